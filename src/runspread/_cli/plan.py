"""``runspread plan``."""

from __future__ import annotations

from typing import Any

import click

from .._errors import InputError
from .choosing import choosing_runs
from .clusters import clusters_option, read_clusters
from .opening import labels_option, open_source
from .show import json_option, show, split_option


@click.command("plan")
@click.argument("study", required=False, type=click.Path())
@click.option("--gap", type=float, help="Difference in accuracy to be shown, in percentage points.")
@click.option("--runs", type=int, help="Runs of each configuration; says which gap they show.")
@click.option("--against", type=click.Path(), help="A second study: how the two differ from example to example.")
@click.option("--error", type=float, help="Without a study: error rate in percent.")
@click.option(
    "--examples",
    type=click.IntRange(min=1),
    help="Size of the test set; with a study: of another one, to which its spread is carried.",
)
@click.option("--alpha", default=0.05, show_default=True, help="Two-sided level.")
@click.option("--power", default=0.8, show_default=True, help="Chance of success.")
@split_option
@labels_option
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
    clusters: str | None,
    as_json: bool,
) -> None:
    """How many runs a gap takes, or which gap some runs show.

    From the runs of STUDY (a study's folder, or a .npy or .safetensors file of outputs), or a priori from error rate
    and size of the test set: runspread plan --error 5 --examples 10000 --gap 0.1
    """
    import runspread as rs

    if (gap is None) == (runs is None):
        raise InputError("both --gap and --runs" if runs else "neither --gap nor --runs", "one of them")
    if gap is not None and not 0 < gap < 100:
        raise InputError(f"--gap {gap:g}", "percentage points between 0 and 100")
    facts = _facts(study, against, error, examples, split, labels, clusters)
    if gap is not None:
        result: rs.Result = rs.plan_runs(gap / 100, alpha=alpha, power=power, **facts)
    else:
        assert runs is not None
        result = rs.plan_gap(runs, alpha=alpha, power=power, **facts)
    show(result, as_json=as_json)


def _facts(
    study: str | None,
    against: str | None,
    error: float | None,
    examples: int | None,
    split: str,
    labels: str | None,
    clusters: str | None,
) -> dict[str, Any]:
    """Return what the plan rests on, as keywords of `plan_runs`."""
    import runspread as rs

    if (study is None) == (error is None):
        raise InputError(
            "both a study and --error" if study else "neither a study nor --error",
            "a study, or --error with --examples",
        )
    if study is None:
        given = {"--against": against, "--labels": labels, "--clusters": clusters}
        ignored = [flag for flag, value in given.items() if value is not None]
        if ignored:
            raise InputError(f"{' and '.join(ignored)} with --error", "a study", f"Leave out {' and '.join(ignored)}.")
        assert error is not None
        return {"error": error / 100, "n_examples": examples}
    opened, groups = open_source(study, labels), read_clusters(clusters, study)
    if against is not None:
        both = rs.compare(opened, open_source(against, labels), split=split, clusters=groups)
        return {"source": both, "split": split, "n_examples": examples}
    return {"source": opened, "split": split, "n_examples": examples, "clusters": groups}
