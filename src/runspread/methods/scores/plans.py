"""How many runs a question about scores takes: gaps, margins, and pilots whose spread is uncertain (scores 6)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ..variance.power import smallest

Floats = NDArray[np.float64]
_NODES = 80


def equivalence_power(margin: float, var_a: float, var_b: float, runs: int, alpha: float, diff: float = 0.0) -> float:
    """Return the power of two one-sided Welch tests with `runs` runs of each, for normal runs (scores 6.1).

    Given how the two sample variances split and what they are together, the difference of means is normal.
    """
    from scipy.special import ndtr

    share, mass, scale, weights = _laws(runs)
    unit = math.sqrt((var_a + var_b) / runs)
    a, b = 2 * var_a * share / runs, 2 * var_b * (1 - share) / runs
    df = (a + b) ** 2 * (runs - 1) / (a**2 + b**2)
    reach = np.outer(_critical(df, alpha) * np.sqrt(a + b), scale)
    inside = ndtr((margin - diff - reach) / unit) - ndtr((reach - margin - diff) / unit)
    return float(mass @ np.maximum(inside, 0.0) @ weights)


def _critical(df: Floats, alpha: float) -> Floats:
    from scipy.special import stdtrit

    return np.asarray(-stdtrit(df, alpha), np.float64)


def _laws(runs: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return nodes and masses of the share of one sum of squares, and of the root of both over their degrees."""
    from scipy.special import betaincinv, gammaincinv

    half = (runs - 1) / 2
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    nodes, weights = (nodes + 1) / 2, weights / 2
    low = math.asin(math.sqrt(float(betaincinv(half, half, 1e-16))))
    angle = low + (math.pi / 2 - 2 * low) * nodes
    logs = (2 * half - 1) * (np.log(np.sin(angle)) + np.log(np.cos(angle)))
    mass = weights * np.exp(logs - logs.max())
    ends = [math.sqrt(float(gammaincinv(2 * half, q)) / (2 * half)) for q in (1e-16, 1 - 1e-16)]
    scale = ends[0] + (ends[1] - ends[0]) * nodes
    logs = (4 * half - 1) * np.log(scale) - 2 * half * scale**2
    density = weights * np.exp(logs - logs.max())
    return np.sin(angle) ** 2, mass / mass.sum(), scale, density / density.sum()


def runs_for_equivalence(
    margin: float, var_a: float, var_b: float, alpha: float, power: float, diff: float = 0.0
) -> int:
    """Return the runs of each that show equivalence within a margin, at a true difference of `diff`."""
    return smallest(lambda runs: equivalence_power(margin, var_a, var_b, runs, alpha, diff) >= power)


def runs_for_superiority(share: float, alpha: float, power: float) -> int:
    """Return the runs of each that show which arm is better, where its run wins this share of pairs (Noether 1987).

    At the two-sided level, as verdicts are two-sided.
    """
    from scipy.special import ndtri

    if not 0.5 < share < 1:
        raise InputError(f"superior is {share}", "a share of pairs above one half and below 1, such as 0.75")
    z = float(-ndtri(alpha / 2) + ndtri(power))
    return math.ceil((z / (math.sqrt(6) * (share - 0.5))) ** 2)


def superiority_power(share: float, runs: int, alpha: float) -> float:
    """Return the power that Noether's formula gives to `runs` runs of each."""
    from scipy.special import ndtr, ndtri

    return float(ndtr(math.sqrt(6 * runs) * (share - 0.5) + float(ndtri(alpha / 2))))
