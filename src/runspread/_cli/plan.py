"""``runspread plan``."""

from __future__ import annotations

from typing import Any

import click

from ..errors import InputError
from .choosing import choosing_runs
from .clusters import clusters_option, read_clusters
from .opening import kind_option, labels_option, open_sources, refuse_ignored
from .show import json_option, show, split_option


@click.command("plan")
@click.argument("study", required=False, type=click.Path())
@click.option("--gap", type=float, help="Difference in accuracy to detect, in percentage points.")
@click.option("--runs", type=int, help="Runs per configuration: answers which gap they can detect.")
@click.option(
    "--against", type=click.Path(), help="Second study, to estimate how the two differ from example to example."
)
@click.option("--error", type=float, help="Error rate in percent, for planning without a study.")
@click.option(
    "--examples",
    type=click.IntRange(min=1),
    help="Size of the test set. With STUDY: the size of another test set to extrapolate to.",
)
@click.option("--alpha", default=0.05, show_default=True, help="Two-sided significance level of the test.")
@click.option("--power", default=0.8, show_default=True, help="Probability of detecting the gap.")
@split_option
@labels_option
@kind_option
@clusters_option
@choosing_runs
@json_option
def command(
    study: str | None,
    gap: float | None,
    runs: int | None,
    against: str | None,
    error: float | None,
    examples: int | None,
    alpha: float,
    power: float,
    split: str,
    labels: str | None,
    kind: str,
    clusters: str | None,
    as_json: bool,
) -> None:
    """Sample size for a given gap, or the gap that a given number of runs can detect.

    Plans from the runs of STUDY (a study folder, or a .npy or .safetensors file of outputs), or without runs from an
    error rate and the size of the test set: runspread plan --error 5 --examples 10000 --gap 0.1
    """
    import runspread as rs

    if (gap is None) == (runs is None):
        given = "neither --gap nor --runs was given" if runs is None else "both --gap and --runs were given"
        raise InputError(given, "one of them")
    if gap is not None and not 0 < gap < 100:
        raise InputError(f"--gap is {gap:g}", "percentage points between 0 and 100")
    reading = {"split": split, "kind": kind}
    if study is None:
        facts: dict[str, Any] = _a_priori(error, examples)
    elif error is not None:
        raise InputError("both a study and --error were given", "a study, or --error with --examples")
    else:
        facts = _of_runs(study, against, labels, clusters, reading) | {"n_examples": examples}
    if gap is not None:
        result: rs.methods.Result = rs.methods.variance.plan_runs(gap / 100, alpha=alpha, power=power, **facts)
    else:
        assert runs is not None
        result = rs.methods.variance.plan_gap(runs, alpha=alpha, power=power, **facts)
    show(result, as_json=as_json)


def _a_priori(error: float | None, examples: int | None) -> dict[str, Any]:
    """Return what a plan without runs rests on, as keywords of `plan_runs`."""
    if error is None:
        raise InputError("neither a study nor --error was given", "a study, or --error with --examples")
    refuse_ignored("with --error", "against", "split", "labels", "kind", "clusters", "where")
    return {"error": error / 100, "n_examples": examples}


def _of_runs(
    study: str, against: str | None, labels: str | None, clusters: str | None, reading: dict[str, str]
) -> dict[str, Any]:
    """Return the runs that the plan rests on, as keywords of `plan_runs`."""
    import runspread as rs

    opened = open_sources((study,) if against is None else (study, against), labels)
    groups = read_clusters(clusters, study)
    if against is None:
        return {"source": opened[0], "clusters": groups, **reading}
    return {"source": rs.compare(*opened, clusters=groups, **reading)}
