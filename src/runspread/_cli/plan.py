"""``runspread plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .._reading.scores.files import holds_scores
from .._results import Result
from ..errors import InputError
from .choosing import choosing_runs
from .clusters import clusters_option, read_clusters
from .completion import SourcePath
from .engines import engine_options
from .evaluations import COSTS, cost_options, hold_answers, planned
from .forms import form_options
from .opening import kind_option, labels_option, open_sources, refuse_ignored
from .scores import OF_SCORES, asked, reading_options
from .show import json_option, plot_option, save_plot, show, split_option

_PILOT = ("sd", "like", "superior", "spread")
_MARGINS = ("not_worse", "equivalent")
_NOT_OF_ANSWERS = (*_PILOT, *_MARGINS, "runs", "against", "baseline", "n_old", "error", "split", "kind")


@click.command("plan", epilog="Example: runspread plan runs/a --gap 1")
@click.argument("study", required=False, type=SourcePath())
@click.option(
    "--gap",
    type=float,
    help="True difference to detect: percentage points of an accuracy, else the unit of the metric.",
)
@click.option("--runs", type=int, help="Runs per configuration: answers which gap they can detect.")
@click.option("--not-worse", type=float, metavar="M", help="Plan to show that the new arm is worse by at most M.")
@click.option("--equivalent", type=float, metavar="M", help="Plan to show that the arms differ by less than M.")
@click.option(
    "--against", type=click.Path(), help="Second study, to estimate how the two differ from example to example."
)
@click.option("--baseline", metavar="ARM", help="With a table: the arm whose runs are the pilot. [default: all arms]")
@click.option("--old-runs", "n_old", type=click.IntRange(min=2), help="Runs of the old arm that are there already.")
@click.option("--sd", type=float, help="Standard deviation of scores between runs, for planning without a pilot.")
@click.option("--like", metavar="NAME", help="A known spread: an entry of the atlas.")
@click.option(
    "--superior",
    type=float,
    metavar="SHARE",
    help="Plan to show that a new run is the better one in this share of pairs.",
)
@click.option(
    "--spread",
    type=click.Choice(("shared", "each")),
    help="Whether the arms of a pilot spread alike. [default: shared]",
)
@click.option("--error", type=float, help="Error rate in percent, for planning without a study.")
@click.option("--alpha", default=0.05, show_default=True, help="Two-sided significance level of the test.")
@click.option("--power", default=0.8, show_default=True, help="Probability of detecting the gap.")
@cost_options
@reading_options
@split_option
@labels_option
@kind_option
@clusters_option
@choosing_runs
@plot_option("Draw the plan into this file.")
@form_options
@json_option
@engine_options
def command(
    study: str | None,
    gap: float | None,
    runs: int | None,
    not_worse: float | None,
    equivalent: float | None,
    against: str | None,
    error: float | None,
    alpha: float,
    power: float,
    reading: dict[str, Any],
    split: str,
    labels: str | None,
    kind: str,
    clusters: str | None,
    plot: Path | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Sample size for a given gap, or the gap that a given number of runs can detect.

    STUDY is a pilot: a table with one number per run (.csv, .tsv, .parquet, .jsonl), a file with one number a line, a
    study folder, a .npy or .safetensors file of outputs, or logs of evaluations, for which trainings, items and samples
    are planned by their costs. Without one, plans from --sd or --like, or from an error rate and the size of the test
    set: runspread plan --error 5 --examples 10000 --gap 0.1
    """
    import runspread as rs

    costs = {name: chosen.pop(name) for name in COSTS}
    if study is not None and hold_answers(study):
        refuse_ignored("with logs of evaluations", *_NOT_OF_ANSWERS)
        named = reading | ({"clusters": clusters} if clusters is not None else {})
        found = planned((study,), {"gap": gap, "alpha": alpha, "power": power, **costs}, named)
        save_plot(found, plot)
        show(found, as_json=as_json)
        return
    refuse_ignored("without logs of evaluations", *COSTS)
    _check_question(gap, runs, not_worse, equivalent, chosen["superior"])
    test: dict[str, Any] = {"gap": gap, "runs": runs, "alpha": alpha, "power": power}
    known = {name: value for name, value in chosen.items() if value is not None}
    known |= {
        name: value for name, value in (("not_worse", not_worse), ("equivalent", equivalent)) if value is not None
    }
    held = None if study is None else _scores(study, reading, split, labels)
    if held is not None or (study is None and known.keys() & {*_PILOT, *_MARGINS}):
        refuse_ignored("with one number per run", "against", "error", "kind", "clusters")
        source, options = held if held is not None else (None, {})
        _show(rs.plan(source, **test, **options, **known), plot, as_json=as_json)
        return
    refuse_ignored("without one number per run", *_MARGINS, *_PILOT, "n_old", "baseline", *_without_examples())
    if gap is not None and not 0 < gap < 100:
        raise InputError(f"--gap is {gap:g}", "percentage points between 0 and 100")
    how, examples = {"split": split, "kind": kind}, reading.get("examples")
    if study is None:
        facts: dict[str, Any] = _a_priori(error, examples)
    elif error is not None:
        raise InputError("both a study and --error were given", "a study, or --error with --examples")
    else:
        facts = _of_runs(study, against, labels, clusters, how) | {"n_examples": examples}
    _show(rs.plan(**{**test, "gap": None if gap is None else gap / 100}, **facts), plot, as_json=as_json)


def _show(result: Result, plot: Path | None, *, as_json: bool) -> None:
    save_plot(result, plot)
    show(result, as_json=as_json)


def _check_question(gap: float | None, runs: int | None, *margins: float | None) -> None:
    margin = any(one is not None for one in margins)
    if (gap is None) == (runs is None) and not (margin and runs is None):
        given = "neither --gap nor --runs was given" if runs is None else "both --gap and --runs were given"
        raise InputError(given, "one of them")


def _without_examples() -> list[str]:
    return ["by", *(name for name in OF_SCORES if name not in ("examples", "spread"))]


def _scores(study: str, reading: dict[str, Any], split: str, labels: str | None) -> tuple[Any, dict[str, Any]] | None:
    """Return the source and the keywords of its reading, where it holds one number per run."""
    known = {name: value for name, value in reading.items() if name != "examples"}
    may_be = "metric" in reading or holds_scores(study)
    found = asked((study,), known, split, labels) if may_be else None
    if found is None or not found.scores:
        return None
    examples = {"n_examples": reading["examples"]} if "examples" in reading else {}
    return found.sources[0], {**found.options, **examples}


def _a_priori(error: float | None, examples: int | None) -> dict[str, Any]:
    """Return what a plan without runs rests on, as keywords of `plan`."""
    if error is None:
        raise InputError("neither a study nor --error was given", "a study, or --error with --examples")
    refuse_ignored("with --error", "against", "split", "labels", "kind", "clusters", "where")
    return {"error": error / 100, "n_examples": examples}


def _of_runs(
    study: str, against: str | None, labels: str | None, clusters: str | None, reading: dict[str, str]
) -> dict[str, Any]:
    """Return the runs that the plan rests on, as keywords of `plan`."""
    import runspread as rs

    opened = open_sources((study,) if against is None else (study, against), labels)
    groups = read_clusters(clusters, study)
    if against is None:
        return {"source": opened[0], "clusters": groups, **reading}
    return {"source": rs.methods.variance.compare(*opened, clusters=groups, **reading)}
