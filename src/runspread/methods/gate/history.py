"""What a history of tries without seeds can say: how much noise would explain all of it."""

from __future__ import annotations

import math

from ...errors import InputError


def expected_best(runs: int) -> float:
    """Return how far the best of some independent normal runs lies from their mean, on average, in their spread.

    Parameters
    ----------
    runs : int
        From 1; 100 runs: 2.51.

    Examples
    --------
    >>> import runspread as rs
    >>> round(rs.methods.gate.expected_best(100), 2)  # standard deviations that the best of 100 looks too good
    2.51
    """
    from scipy.integrate import quad
    from scipy.stats import norm

    if runs < 1:
        raise InputError(f"{runs} runs", "1 or more")
    if runs == 1:
        return 0.0
    return float(quad(lambda x: x * runs * norm.pdf(x) * norm.cdf(x) ** (runs - 1), -10, 12, limit=200)[0])


def noise_of_chance(gain: float, runs: int) -> float:
    """Return the standard deviation of a run at which the best of so many lies so far from the first by chance alone.

    Parameters
    ----------
    gain : float
        How much better the best run is than the first.
    runs : int
        Runs after the first.

    Examples
    --------
    >>> import runspread as rs
    >>> round(rs.methods.gate.noise_of_chance(0.05, 100), 3)
    0.02
    """
    best = expected_best(runs)
    return gain / best if best > 0 else math.inf
