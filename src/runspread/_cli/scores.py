"""Options of the commands that take one number per run: which column is what, which arms, which margin, what to print.

A source is a table (CSV, TSV, Parquet, JSON Lines), a file with one number a line, a study whose metric is named or
that ``--by`` divides, or outputs per example; `Asked` says which, and refuses options without effect on it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import click

from .._reading.scores.files import holds_scores
from .._results import Result
from ..errors import InputError
from .choosing import where_asked
from .forms import comment, form_asked, markdown_option
from .hints import hints_in_options, in_options
from .opening import is_outputs, open_chosen, open_sources, refuse_ignored, typed
from .printing import say
from .show import save_plot, show
from .statuses import status_of, verdict_of

OF_TABLES = ("value", "seed", "task", "step", "run", "at", "repeats", "diverged", "lower_is_better")
OF_SCORES = (*OF_TABLES, "metric", "examples", "spread")
_OF_OUTPUTS = ("labels", "kind", "clusters", "samples_are")


def _diverged(_: click.Context, __: click.Parameter, text: str | None) -> str | float | None:
    """Return what a diverged run stands for: a word, or a number."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def _step(_: click.Context, __: click.Parameter, text: str | None) -> str | int | None:
    return int(text) if text is not None and text.lstrip("-").isdecimal() else text


_READING = (
    click.option(
        "--by",
        multiple=True,
        metavar="COLUMN",
        help="Column that names the arms, or hyperparameter that divides a study; can be repeated. [default: found by "
        "name: method, model, config, ...]",
    ),
    click.option(
        "--metric",
        multiple=True,
        metavar="NAME",
        help="Metric: a value of the column of metrics, a numeric column, or a logged metric of a study; can be "
        "repeated.",
    ),
    click.option("--value", metavar="COLUMN", help="Column of the scores. [default: found by name: value, score, ...]"),
    click.option("--seed", metavar="COLUMN", help="Column of the seeds. [default: found by name]"),
    click.option("--task", metavar="COLUMN|TASK", help="Column of the tasks, or one task to keep."),
    click.option("--step", metavar="COLUMN", help="Column of the training steps. [default: found by name]"),
    click.option("--run", metavar="COLUMN", help="Column of the ids of runs. [default: found by name]"),
    click.option(
        "--at", metavar="last|best|STEP", callback=_step, help="Which step of each run counts. [default: the last]"
    ),
    click.option(
        "--repeats",
        type=click.Choice(("raise", "mean", "first", "last")),
        help="What several values of one run mean. [default: an error]",
    ),
    click.option(
        "--diverged",
        metavar="exclude|worst|raise|NUMBER",
        callback=_diverged,
        help="What a run without a finite value means: excluded and named, worse than every other, an error, or a "
        "number. [default: exclude]",
    ),
    click.option(
        "--lower-is-better/--higher-is-better", default=None, help="Direction, where the metric's name does not tell."
    ),
    click.option(
        "--examples",
        type=click.IntRange(min=1),
        help="Size of the test set that accuracies are measured on; its noise is counted, as of independent errors.",
    ),
)
_NAMES = ("by", "metric", *OF_TABLES, "examples")


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how scores are read; the command gets those that are set in one dict, `reading`."""

    @functools.wraps(command)
    def called(*args: Any, **options: Any) -> Any:
        given = {name: options.pop(name) for name in _NAMES}
        reading = {name: value for name, value in given.items() if value not in (None, ())}
        reading |= {name: reading[name][0] for name in ("by", "metric") if len(reading.get(name, ())) == 1}
        with hints_in_options():
            return command(*args, reading=reading, **options)

    for option in reversed(_READING):
        called = option(called)
    return called


def margin(_: click.Context, option: click.Parameter, text: str | None) -> float | dict[str, float] | None:
    """Return a margin: a number, or one for each metric as ``accuracy=1,val_loss=0.01``."""
    if text is None:
        return None
    try:
        if "=" not in text:
            return float(text)
        parts = [one.rpartition("=") for one in text.split(",")]
        return {metric.strip(): float(value) for metric, _, value in parts}
    except ValueError:
        hint = "Write 1, or accuracy=1,val_loss=0.01 for several metrics."
        raise click.BadParameter(f"{text!r} is no number. {hint}", param=option) from None


normalise_option: Callable[..., Any] = click.option(
    "--normalise",
    type=click.Choice(("none", "baseline")),
    help="How scores of several tasks come to one scale: as they are, or in the spread of the baseline's runs.",
)
rows_option: Callable[..., Any] = click.option(
    "--rows", default=30, show_default=True, help="Number of rows of the table to print (0: none, -1: all)."
)
_LATEX = "Print a LaTeX table (booktabs) of one number per run, with the sentence as a comment above it."


def latex_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--latex``, the table of a paper with an arm in each row, and ``--markdown``."""
    return click.option("--latex", is_flag=True, help=_LATEX)(markdown_option(command))


class Asked(NamedTuple):
    """What a command was given: sources, opened where they are studies or outputs; whether they are scores."""

    sources: tuple[Any, ...]
    scores: bool
    options: dict[str, Any]


def asked(paths: Sequence[str], reading: dict[str, Any], split: str, labels: str | None) -> Asked:
    """Return what the sources are, opened, and the keywords of the verbs that go with them."""
    tables = [holds_scores(path) for path in paths]
    if all(tables):
        return Asked(tuple(paths), True, {**_of_tables(paths), **reading, "points": True})
    if any(tables):
        table, other = (
            next(path for path, is_one in zip(paths, tables, strict=True) if is_one is k) for k in (True, False)
        )
        raise InputError(f"{table} is a table of scores, {other} is not", "all of one kind")
    studies = not any(is_outputs(path) for path in paths)
    if studies and (reading.get("metric") or reading.get("by")):
        if reading.get("metric"):
            refuse_ignored("on the scalars of a study", *_OF_OUTPUTS)
        opened = tuple(open_chosen(path) for path in paths)
        return Asked(opened, bool(reading.get("metric")), {**reading, "split": split, "points": True})
    refuse_ignored("on outputs per example", *OF_SCORES, "by")
    return Asked(tuple(open_sources(paths, labels)), False, {"split": split})


def _of_tables(paths: Sequence[str]) -> dict[str, Any]:
    """Return the rows that are asked for, after refusing what tables have not."""
    refuse_ignored("on a table of scores", "split", *_OF_OUTPUTS)
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        raise InputError(f"the file {missing[0]} does not exist", "a table of scores")
    where = where_asked()
    return {"where": where} if where else {}


def finish(result: Result, *, as_json: bool, latex: bool, plot: Path | None, rows: int = -1) -> NoReturn:
    """Draw, print and leave with the status of the verdict."""
    save_plot(result, plot)
    command = click.get_current_context().command
    result = replace(result, warnings=tuple(in_options(note, command) for note in result.warnings))
    if latex:
        _print_latex(result)
    else:
        show(result, as_json=as_json, n_runs=rows, option="--rows")
    status = status_of(result)
    words = verdict_of(result)
    if words and not (as_json or latex):
        say(f"\nVerdict: {words} (exit status {status})")
    sys.exit(status)


def _print_latex(result: Result) -> None:
    """Print the table of a paper, with the sentence and the warnings above it as comments."""
    text = getattr(result, "to_latex", None)
    if text is None:
        raise InputError(f"{type(result).__name__} has no LaTeX table", hint="Drop --latex.")
    if typed("as_json"):
        raise InputError("both --latex and --json were given", "one of them")
    if form_asked() is not None:
        raise InputError("both --latex and --markdown were given", "one of them")
    comment(result)
    say(text(), nl=False)
