"""``rs.plan``: how many runs a gap needs, or which gap some runs can show."""

from __future__ import annotations

from typing import Any, Unpack

from ...errors import InputError
from .defaults import PlanOptions
from .plan_results import GapPlan, RunPlan
from .plans import plan_gap, plan_runs


def plan(
    source: Any = None, *, gap: float | None = None, runs: int | None = None, **options: Unpack[PlanOptions]
) -> RunPlan | GapPlan:
    """Return how many runs of each configuration a gap needs, or the gap that a number of runs can show.

    Parameters
    ----------
    source : study, path, outputs, VarianceResult or Comparison, optional
        Runs from which the spread is estimated. Without it, `error` and `n_examples` (or `variance`) say it.
    gap : float, optional
        True difference in accuracy that is to be shown, as a fraction: 0.001 is a tenth of a percentage point.
    runs : int, optional
        Runs of each configuration. Exactly one of `gap` and `runs` is given.
    **options
        As for `methods.variance.plan_runs`: ``error``, ``n_examples``, ``alpha``, ``power``, ``clusters``, ...

    Returns
    -------
    RunPlan or GapPlan
        For a gap, the runs; for a number of runs, the gap.

    Raises
    ------
    InputError
        Both or neither of `gap` and `runs`, or nothing that says how large the spread is.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.plan(gap=0.001, error=0.05, n_examples=10_000).runs_needed
    41
    """
    if gap is not None and runs is None:
        return plan_runs(gap, source, **options)
    if runs is not None and gap is None:
        return plan_gap(runs, source, **options)
    what = "neither gap= nor runs=" if gap is None else "both gap= and runs="
    raise InputError(what, "one of them", "gap= asks for the runs it needs, runs= for the gap they can show.")
