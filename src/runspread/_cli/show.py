"""How commands show results: for people in a terminal, as plain lines in a pipe, as JSON for machines."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._relabelling import relabelled
from .._results import Result, Table, json_safe, to_plain
from ..errors import InputError
from .choosing import collected, file_of_value, grouping_runs, run_names
from .completion import SourcePath
from .forms import form_asked, refuse_json, say_result, say_table
from .printing import plain_console, say
from .targets import target_file

if TYPE_CHECKING:
    from rich.console import Console

    from ..training.ensembles.artifact import Ensemble
    from ..training.recipes import Recipe

TIMED = 64  # examples that a prediction is timed on
_WIDEST = 1000  # characters of a table in a pipe
_STUDY: Callable[..., Any] = click.argument("study", metavar="STUDY", type=SourcePath())
split_option: Callable[..., Any] = click.option("--split", default="test", show_default=True, help="Data split to use.")

_LARGE = 1000  # numbers in an array that JSON holds only on request
_ALL = "runspread.all"


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``, and ``--json-all``, which omits no large array."""
    text = f"Print the result as JSON, arrays of more than {_LARGE:,} numbers too."
    whole = click.option("--json-all", is_flag=True, expose_value=False, callback=_ask_for_all, help=text)
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(whole(command))


def _ask_for_all(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        context.meta[_ALL] = context.params["as_json"] = True


level_option: Callable[..., Any] = click.option(
    "--confidence-level", "level", default=0.95, show_default=True, help="Confidence level of the intervals."
)


def study_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument STUDY, and the options that choose and group its runs."""
    return _STUDY(grouping_runs(lambda options: [options["study"]])(command))


def whole_study_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument STUDY, to a command that is about the folder."""
    return _STUDY(command)


def runs_option(default: int) -> Callable[..., Any]:
    """Return the option that says how many runs a command lists."""
    text = "Number of runs to list (0: none, -1: all)."
    return click.option("--runs", "n_runs", default=default, show_default=True, help=text)


def plot_option(text: str) -> Any:
    """Return the option that draws a picture into a file, which is looked at before any work is done."""
    return click.option("--plot", type=target_file, callback=_check_plot, help=text)


def _check_plot(_: click.Context, __: click.Parameter, path: str | None) -> Path | None:
    if path is None:
        return None
    from matplotlib.backend_bases import FigureCanvasBase

    file, known = Path(path), sorted(FigureCanvasBase.filetypes)
    if file.suffix and file.suffix[1:].lower() not in known:
        raise InputError(f"--plot {path} has an unknown ending", f"a name that ends in .{', .'.join(known)}")
    if not os.access(file.parent, os.W_OK):
        what = "is not writable" if file.parent.is_dir() else "does not exist"
        raise InputError(f"the folder of --plot, {file.parent}, {what}", hint="Make the folder, or name another one.")
    return file


def save_plot(result: Result, file: Path | None) -> None:
    """Draw a result's main picture into a file, if one was asked for."""
    if file is not None:
        from ..studies.files import storage_errors

        file = file_of_value(file)
        with storage_errors(f"writing {file}"):
            result.plot().figure.savefig(file, bbox_inches="tight")  # pyright: ignore[reportAttributeAccessIssue]


def console(*, stderr: bool = False) -> Console:
    """Return a console: as wide as the terminal, or wide enough for a table in a pipe."""
    output = plain_console(stderr=stderr, highlight=False, soft_wrap=False)
    return output if output.is_terminal else plain_console(stderr=stderr, highlight=False, width=160)


def show(result: Result, *, as_json: bool, n_runs: int | None = None, option: str = "--runs") -> None:
    """Print a result: the sentence first, then the table, then warnings and excluded runs.

    Of a table with one row per run at most `n_runs` rows are printed, from both ends; `option` says how to see all.
    """
    if as_json:
        show_data(result.to_dict())
        return
    result = relabelled(result, run_names())
    if (form := form_asked()) is not None:
        say_result(result, form)
        return
    from rich.text import Text

    out = console()
    out.print(Text(result.sentence(), style="bold"))
    if n_runs is None:
        show_table(result.table())
    else:
        show_runs(result.table(), n_runs, from_both_ends=True, option=option)
    for warning in result.warnings:
        out.print(Text(f"warning: {warning}", style="yellow"))
    if result.excluded:
        named = ", ".join(f"{item.run} ({item.reason})" for item in result.excluded[:5])
        more = len(result.excluded) - 5
        out.print(Text(f"excluded: {named}{f' and {more} more' if more > 0 else ''}"))


def show_table(table: Table, *, cut_after: int = 0) -> None:
    """Print a table, unless it is empty: in a pipe as wide as it is; with a rule where rows are omitted."""
    if not len(table):
        return
    if (form := form_asked()) is not None:
        say_table(table, form)
        return
    from rich.measure import Measurement

    from .tables import fitted, rich_table

    out = console()
    for part in fitted(table, out.width) if out.is_terminal else [table]:
        drawn = rich_table(part, out.width if out.is_terminal else None)
        if cut_after and len(part) == len(table):
            drawn.rows[cut_after - 1].end_section = True
        if not out.is_terminal:
            widest = Measurement.get(out, out.options.update(max_width=_WIDEST), drawn).maximum
            out.width = max(out.width, widest)
        out.print(drawn)


def show_runs(table: Table, n_runs: int, *, from_both_ends: bool = False, option: str = "--runs") -> None:
    """Print `n_runs` of a table's rows, all if negative, and how to see the others."""
    total = len(table)
    shown = total if n_runs < 0 else min(n_runs, total)
    last = shown // 2 if from_both_ends and shown < total else 0
    show_table(table.take([*range(shown - last), *range(total - last, total)]), cut_after=shown - last if last else 0)
    if 0 < shown < total:
        between = " between the two ends" if last else ""
        say(f"... and {total - shown} more{between} ({option} -1 lists all)")


def refuse_written(folder: str | None) -> None:
    """Raise before the work if the folder that is to hold its result is there."""
    if folder is not None:
        from ..studies.files import refuse_existing

        refuse_existing(Path(folder))


def show_cost(ensemble: Ensemble, recipe: Recipe, split: str, *, as_json: bool) -> None:
    """Print what an ensemble costs against a single network, on examples of its data set."""
    import runspread as rs

    inputs, _ = rs.training.load_split(recipe, split)
    say(ensemble.cost(inputs[:TIMED]).sentence(), err=as_json)


def show_data(data: Any) -> None:
    """Print plain data as strict JSON: of arrays of many numbers the shape, unless ``--json-all`` asks for them."""
    refuse_json()
    plain = json_safe(to_plain(data))
    if not click.get_current_context().meta.get(_ALL):
        plain = _without_large(plain)
    if not collected(plain):
        say(as_json_text(plain))


def as_json_text(value: Any, indent: str = "") -> str:
    """Return plain data as strict JSON, indented by two, with a list of plain values on one line."""
    inner = f"{indent}  "
    if isinstance(value, dict) and value:
        items = [f"{json.dumps(name)}: {as_json_text(item, inner)}" for name, item in value.items()]
        return "{\n" + ",\n".join(f"{inner}{item}" for item in items) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, (list, dict)) for item in value):
        items = [as_json_text(item, inner) for item in value]
        return "[\n" + ",\n".join(f"{inner}{item}" for item in items) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False)


def _without_large(value: Any) -> Any:
    """Return plain data in which a mapping holds the shapes of its large arrays under "omitted", not the arrays."""
    if isinstance(value, list):
        return [_without_large(item) for item in value]
    if not isinstance(value, dict):
        return value
    large = {name: shape for name, item in value.items() if prod(shape := _shape(item)) > _LARGE}
    small = {name: _without_large(item) for name, item in value.items() if name not in large}
    return small | ({"omitted": large} if large else {})


def _shape(value: Any) -> list[int]:
    """Return the lengths of nested lists of numbers, down their first items; none of other data."""
    if not isinstance(value, list) or not value:
        return [0] if isinstance(value, list) else []
    if isinstance(value[0], list):
        return [len(value), *_shape(value[0])]
    return [len(value)] if all(isinstance(one, (int, float, str, type(None))) for one in value) else [0]


def fraction(points: float | dict[str, float] | None, option: str) -> float | None:
    """Return a margin as a fraction."""
    if points is None:
        return None
    if isinstance(points, dict):
        raise InputError(f"{option} names {', '.join(points)}", "one number for accuracies", f"Write {option} 1.")
    if not 0 < points < 100:
        raise InputError(f"{option} is {points:g}", "percentage points between 0 and 100, such as 0.5")
    return points / 100
