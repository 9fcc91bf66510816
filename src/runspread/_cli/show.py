"""How commands show results: for people in a terminal, as plain lines in a pipe, as JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from .._results import Result, Table, json_safe, to_plain

if TYPE_CHECKING:
    from rich.console import Console

_WIDEST = 1000  # characters of a table in a pipe
json_option: Callable[..., Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
study_argument: Callable[..., Any] = click.argument("study", metavar="STUDY", type=click.Path())
split_option: Callable[..., Any] = click.option(
    "--split", default="test", show_default=True, help="Which split to use."
)


def console(*, stderr: bool = False) -> Console:
    """Return a console: as wide as the terminal, or wide enough for a table in a pipe."""
    from rich.console import Console

    output = Console(stderr=stderr, highlight=False, soft_wrap=False)
    return output if output.is_terminal else Console(stderr=stderr, highlight=False, width=160)


def show(result: Result, *, as_json: bool) -> None:
    """Print a result: the sentence first, then the table, then reservations and what was left out."""
    if as_json:
        click.echo(result.to_json(indent=2))
        return
    from rich.text import Text

    out = console()
    out.print(Text(result.sentence(), style="bold"))
    show_table(result.table())
    for warning in result.warnings:
        out.print(Text(f"warning: {warning}", style="yellow"))
    if result.excluded:
        named = ", ".join(f"{item.run} ({item.reason})" for item in result.excluded[:5])
        more = len(result.excluded) - 5
        out.print(Text(f"left out: {named}{f' and {more} more' if more > 0 else ''}"))


def show_table(table: Table) -> None:
    """Print a table, unless it is empty; in a pipe as wide as it is."""
    if not len(table):
        return
    from rich.measure import Measurement

    out, drawn = console(), table.__rich__()
    if not out.is_terminal:
        widest = Measurement.get(out, out.options.update(max_width=_WIDEST), drawn).maximum
        out.width = max(out.width, widest)
    out.print(drawn)


def show_data(data: Any) -> None:
    """Print plain data as strict JSON."""
    click.echo(json.dumps(json_safe(to_plain(data)), indent=2, allow_nan=False))
