"""``runspread compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from .._reading.scores.files import holds_scores
from .choosing import choosing_runs
from .clusters import clusters_option, read_clusters
from .completion import SourcePath
from .engines import engine_options
from .evaluations import finish_models, hold_answers
from .forms import ask_for, form_asked
from .opening import kind_option, labels_option, refuse_ignored, samples_option
from .printing import say
from .scores import Asked, asked, finish, latex_option, margin, normalise_option, reading_options, rows_option
from .show import fraction, json_option, level_option, plot_option, show, split_option
from .statuses import SHOWN

if TYPE_CHECKING:
    from ..methods.variance.comparison import Comparison

ON = ("distribution", "test-set", "models")
ON_TASKS = ("tasks-like-these", "these-tasks")
PLACES = {"distribution": "on the distribution", "test-set": "on this test set", "models": "for these models"}


@click.command("compare", epilog="Example: runspread compare runs/a runs/b --not-worse 0.5")
@click.argument("a", type=SourcePath())
@click.argument("b", required=False, type=SourcePath())
@click.option("--baseline", metavar="ARM", help="The old arm; without --new each other arm is compared with it.")
@click.option("--new", "new_arm", metavar="ARM", help="The new arm.")
@split_option
@level_option
@click.option(
    "--on",
    type=click.Choice((*ON, *ON_TASKS)),
    help="What the answer covers. Of outputs: new runs and new examples (distribution, the default), new runs on these "
    "examples (test-set), or these models on new examples (models). Of several tasks: tasks-like-these (the default) "
    "or these-tasks.",
)
@click.option(
    "--not-worse",
    callback=margin,
    metavar="M|METRIC=M,...",
    help="Ask whether the new one is worse by at most M: percentage points of an accuracy, else the metric's unit.",
)
@click.option(
    "--equivalent",
    callback=margin,
    metavar="M|METRIC=M,...",
    help="Ask whether the two differ by less than M: percentage points of an accuracy, else the metric's unit.",
)
@click.option(
    "--paired",
    is_flag=True,
    help="Compare runs with equal recorded seeds in pairs, if they are shown to be correlated.",
)
@click.option(
    "--spread",
    metavar="each|shared|NAME",
    help="Whether each arm of scores spreads on its own, all alike, or as an entry of the atlas. [default: each]",
)
@click.option(
    "--gap",
    type=float,
    help="Say how many runs show this true difference: percentage points of an accuracy, else its unit.",
)
@click.option("--threshold", type=float, help="Compare too the shares of runs that are better than this value.")
@normalise_option
@reading_options
@clusters_option
@labels_option
@kind_option
@samples_option
@choosing_runs
@plot_option("Draw the comparison into this file.")
@rows_option
@latex_option
@json_option
@engine_options
def command(
    a: str,
    b: str | None,
    split: str,
    level: float,
    on: str | None,
    not_worse: float | dict[str, float] | None,
    equivalent: float | dict[str, float] | None,
    paired: bool,
    reading: dict[str, Any],
    clusters: str | None,
    labels: str | None,
    kind: str,
    samples_are: str,
    plot: Path | None,
    rows: int,
    latex: bool,
    as_json: bool,
    **chosen: str | float | None,
) -> None:
    """Whether the new runs are better than the old; exit status 1: worse is shown, 3: undecided.

    A alone is a table with one number per run (.csv, .tsv, .parquet, .jsonl), or a study that --by divides. With B, the
    new one: two study folders; outputs of runs trained elsewhere (.npy, .npz or .safetensors files, or folders or
    patterns of such files, one file per run); or two files with one number a line. Differences are new minus old.

    Exit status 0: the new one is shown to be better (with a margin: not worse, or equivalent). 1: the opposite is
    shown. 3: undecided. 2: there is no answer, for example because A and B hold the same runs. This makes it usable as
    a gate in continuous integration. Of several new arms one that is better is enough.
    """
    import runspread as rs

    paths = (a,) if b is None else (a, b)
    if hold_answers(*paths):
        margins = {"not_worse": fraction(not_worse, "--not-worse"), "equivalent": fraction(equivalent, "--equivalent")}
        own = {
            "on": on,
            "confidence_level": level,
            "baseline": chosen["baseline"],
            "clusters": clusters,
            **margins,
            **reading,
        }
        finish_models(paths, own, as_json=as_json, latex=latex, plot=plot)
    found = asked(paths, reading, split, labels)
    questions = {"on": on, "not_worse": not_worse, "equivalent": equivalent, "confidence_level": level}
    how: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    how |= {"paired": True} if paired else {}
    named = {} if b is None else {"names": _names(a, b)}
    if found.scores:
        result = rs.compare(*found.sources, **questions, **found.options, **how, **named)
        finish(result, as_json=as_json, latex=latex, plot=plot, rows=rows)
    refuse_ignored("on outputs per example", "spread", "gap", "threshold", "normalise", "diverged", "examples")
    questions |= {"not_worse": fraction(not_worse, "--not-worse"), "equivalent": fraction(equivalent, "--equivalent")}
    how |= {"kind": kind, "samples_are": samples_are, "clusters": read_clusters(clusters, a)}
    result = rs.compare(*found.sources, **questions, **_without_points(found), **how, **named)
    if not isinstance(result, rs.methods.variance.Comparison):
        finish(result, as_json=as_json, latex=latex, plot=plot, rows=rows)
    if latex:
        ask_for("latex")
    show_verdict(result, on or ON[0], as_json=as_json, plot=plot)


def _names(a: str, b: str) -> tuple[str, str]:
    """Return what the two are called: their folders, or their files, those of scores without ending."""
    places = [Path(path).resolve() for path in (a, b)]
    first, second = (place.stem if holds_scores(str(place)) else place.name for place in places)
    return (first, second) if first != second else ("A", "B")


def _without_points(found: Asked) -> dict[str, Any]:
    return {name: value for name, value in found.options.items() if name != "points"}


def show_verdict(result: Comparison, on: str, *, as_json: bool, plot: Path | None = None) -> NoReturn:
    """Show a comparison with its verdict, and exit with the status of it."""
    import sys

    from .show import save_plot

    save_plot(result, plot)
    show(result, as_json=as_json)
    status = SHOWN[result.shown]
    if not as_json:
        before = "% " if form_asked() == "latex" else "\n"
        say(f"{before}Verdict: {result.verdict()} {PLACES[on]} (exit status {status})")
    sys.exit(status)
