"""Tolerance bound of a baseline: how far above its mean new runs may lie, for one baseline that is used for ever."""

from __future__ import annotations

import math
from functools import lru_cache

from ...errors import InputError

SURE = 0.95  # share of baselines whose rate of false alarms keeps the bound


def tolerance_factor(baseline_runs: int, new_runs: int, false_red: float, *, sure: float = SURE) -> float:
    """Return k: new runs are worse if their mean is above the baseline's mean plus k of its standard deviations.

    Parameters
    ----------
    baseline_runs : int
        Runs of the baseline, from 2.
    new_runs : int
        Runs whose mean is judged.
    false_red : float
        Largest rate of false alarms, given the baseline, between 0 and 1.
    sure : float
        Share of baselines that keep it, for normal runs.

    Returns
    -------
    float
        The factor.

    Raises
    ------
    InputError
        Too few runs, or a rate outside (0, 1).

    Notes
    -----
    A quantile of the noncentral t distribution: ``t'_{n-1}(z sqrt(n / m)) / sqrt(n)`` at `sure`, where z is the normal
    quantile of ``1 - false_red`` (one-sided tolerance limits; Krishnamoorthy and Mathew, Statistical Tolerance
    Regions, 2009, section 2.2). A level that holds on average over baselines would not hold for the one that a
    repository has: with 10 runs, 5 % of baselines would give 5 % false alarms or more at a level of 1 %.

    Examples
    --------
    >>> import runspread as rs
    >>> round(rs.methods.gate.tolerance_factor(20, 1, 0.01), 2)
    3.3
    """
    if baseline_runs < 2 or new_runs < 1:
        raise InputError(f"a baseline of {baseline_runs} and {new_runs} new runs", "at least 2, and 1")
    if not 0 < false_red < 1:
        raise InputError(f"the rate of false alarms is {false_red}", "a number between 0 and 1")
    return _factor(baseline_runs, new_runs, false_red, sure)


@lru_cache(256)
def _factor(baseline_runs: int, new_runs: int, false_red: float, sure: float) -> float:
    from scipy.stats import nct, norm

    shift = float(norm.isf(false_red)) * math.sqrt(baseline_runs / new_runs)
    return float(nct.ppf(sure, baseline_runs - 1, shift)) / math.sqrt(baseline_runs)
