"""``runspread plan``."""

from __future__ import annotations

from typing import Any

import click

from .._errors import InputError
from .show import json_option, show, split_option


@click.command("plan")
@click.argument("study", required=False, type=click.Path())
@click.option("--gap", type=float, help="Difference in accuracy to be shown, in percentage points.")
@click.option("--runs", type=int, help="Runs of each configuration; says which gap they show.")
@click.option("--against", type=click.Path(), help="A second study: how the two differ from example to example.")
@click.option("--error", type=float, help="Without a study: error rate in percent.")
@click.option("--examples", type=int, help="Without a study: size of the test set.")
@click.option("--alpha", default=0.05, show_default=True, help="Two-sided level.")
@click.option("--power", default=0.8, show_default=True, help="Chance of success.")
@split_option
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
    as_json: bool,
) -> None:
    """How many runs a gap takes, or which gap some runs show.

    From the runs of STUDY, or a priori from error rate and size of the test set:
    runspread plan --error 5 --examples 10000 --gap 0.1
    """
    import runspread as rs

    if (gap is None) == (runs is None):
        raise InputError("both --gap and --runs" if runs else "neither --gap nor --runs", "one of them")
    facts = _facts(study, against, error, examples, split)
    if gap is not None:
        result: rs.Result = rs.plan_runs(gap / 100, alpha=alpha, power=power, **facts)
    else:
        assert runs is not None
        result = rs.plan_gap(runs, alpha=alpha, power=power, **facts)
    show(result, as_json=as_json)


def _facts(
    study: str | None, against: str | None, error: float | None, examples: int | None, split: str
) -> dict[str, Any]:
    """Return what the plan rests on, as keywords of `plan_runs`."""
    import runspread as rs

    if (study is None) == (error is None):
        raise InputError(
            "both a study and --error" if study else "neither a study nor --error",
            "a study, or --error with --examples",
        )
    if study is None:
        assert error is not None
        return {"error": error / 100, "n_examples": examples}
    opened = rs.open_study(study)
    if against is None:
        return {"source": opened, "split": split}
    return {"source": rs.compare(opened, rs.open_study(against), split=split)}
