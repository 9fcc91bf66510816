"""``--latex`` and ``--markdown``: the tables of a command as a paper or a page takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import click

from ..errors import InputError
from .printing import say

if TYPE_CHECKING:
    from .._results import Result, Table

Form = Literal["latex", "markdown"]
_FORM = "runspread.form"


def _option(form: Form, text: str) -> Callable[..., Any]:
    return click.option(f"--{form}", is_flag=True, expose_value=False, callback=_ask, help=text)


def _ask(context: click.Context, option: click.Parameter, asked: bool) -> None:
    if asked:
        ask_for("latex" if option.name == "latex" else "markdown", context)


def ask_for(form: Form, context: click.Context | None = None) -> None:
    """Let `show` and `show_table` print in a form."""
    context = context or click.get_current_context()
    if context.meta.setdefault(_FORM, form) != form:
        raise InputError("both --latex and --markdown were given", "one of them")


markdown_option: Callable[..., Any] = _option("markdown", "Print sentence, table and warnings in Markdown.")
_latex_option = _option("latex", "Print the table in LaTeX (booktabs), sentence and warnings as comments above it.")


def form_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--latex`` and ``--markdown``, which `show` and `show_table` follow."""
    return _latex_option(markdown_option(command))


def form_asked() -> Form | None:
    """Return the form that tables are asked for in; None where they are for the terminal."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(_FORM)


def say_table(table: Table, form: Form) -> None:
    """Print a table in a form, unless it is empty."""
    if len(table):
        say(table.to_latex() if form == "latex" else f"\n{table.to_markdown()}")


def say_result(result: Result, form: Form) -> None:
    """Print a result's sentence, its table and its warnings in a form; a table has all of its rows."""
    if form == "latex":
        comment(result)
        say(result.to_latex() if len(result.table()) else "% The table is empty.")
        return
    say(result.sentence())
    say_table(result.table(), form)
    for note in result.warnings:
        say(f"\nWarning: {note}")


def comment(result: Result) -> None:
    """Print a result's sentence and warnings as comments of LaTeX."""
    for line in (result.sentence(), *(f"warning: {note}" for note in result.warnings)):
        say("\n".join(f"% {part}" for part in line.splitlines()))


def refuse_json() -> None:
    """Raise an InputError where a form was asked for beside JSON."""
    if (form := form_asked()) is not None:
        raise InputError(f"both --{form} and --json were given", "one of them")
