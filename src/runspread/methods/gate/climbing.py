"""Rules of the climb: whether a try is kept, dropped or run again. They claim nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..._checks import check_choice

RUNS = {"one": 1, "two": 2, "three": 3, "two-more": 4, "strict": 2}  # rule to the runs of a kept state
DECIDING = RUNS | {"two-more": 2}  # rule to the runs that decide
KEEP, DROP, AGAIN, CONFIRM = "keep", "drop", "run again", "confirm"


def decide(outcomes: Sequence[float], bar: float, rule: str = "two", *, slack: float = 0.0) -> str:
    """Say what becomes of a try after its runs so far.

    Parameters
    ----------
    outcomes : sequence of float
        Of the try's runs, smaller is better; a run that failed is infinite.
    bar : float
        Mean of the runs of the kept state.
    rule : {"one", "two", "three", "two-more", "strict"}
        How many runs a kept state has; a try is dropped as soon as its mean is not below the bar. ``two-more`` decides
        by two runs, and runs what is kept twice more for the bar. ``strict`` has two runs, and what passes is
        confirmed on fresh runs.
    slack : float
        How far below the bar the mean of all runs must be. The first run must be below the bar alone.

    Returns
    -------
    str
        keep, drop, run again or confirm.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.gate.decide([3.1, 3.2], bar=3.3)
    'keep'
    """
    runs = RUNS[check_choice(rule, "rule", RUNS)]
    deciding = outcomes[: DECIDING[rule]]
    full = len(deciding) >= DECIDING[rule]
    mean = math.fsum(deciding) / len(deciding) if all(map(math.isfinite, deciding)) else math.inf
    if not mean < bar - (slack if full else 0.0):
        return DROP
    if len(outcomes) < runs:
        return AGAIN
    return CONFIRM if rule == "strict" else KEEP
