"""Rules of the climb: whether a try is kept, dropped or run again. They claim nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..._checks import check_choice

RUNS = {"one": 1, "two": 2, "three": 3, "strict": 2}  # rule to the runs of a kept state
KEEP, DROP, AGAIN, CONFIRM = "keep", "drop", "run again", "confirm"


def decide(outcomes: Sequence[float], bar: float, rule: str = "two", *, slack: float = 0.0) -> str:
    """Say what becomes of a try after its runs so far.

    Parameters
    ----------
    outcomes : sequence of float
        Of the try's runs, smaller is better; a run that failed is infinite.
    bar : float
        Mean of the runs of the kept state.
    rule : {"one", "two", "three", "strict"}
        How many runs a kept state has; a try is dropped as soon as its mean is not below the bar. ``strict`` has two
        runs, and what passes is confirmed on fresh runs.
    slack : float
        How far below the bar the mean of all runs must be. The first run must be below the bar alone.

    Returns
    -------
    str
        keep, drop, run again or confirm.
    """
    runs = RUNS[check_choice(rule, "rule", RUNS)]
    full = len(outcomes) >= runs
    mean = math.fsum(outcomes) / len(outcomes) if all(map(math.isfinite, outcomes)) else math.inf
    if not mean < bar - (slack if full else 0.0):
        return DROP
    if not full:
        return AGAIN
    return CONFIRM if rule == "strict" else KEEP
