"""What the winner of several arms is worth: the best mean of many is too good (scores 4.4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._results import Part
from .arms import arms_of, shared_spread
from .one_arm import t_quantile

Floats = NDArray[np.float64]
_FEWEST = 4  # arms from which means are shrunken


@dataclass(frozen=True, eq=False, kw_only=True)
class Winner(Part):
    """The arm with the best mean, and what it is worth without its luck.

    Attributes
    ----------
    winner : int
        Its position.
    tau2 : float
        Variance between the true means of arms.
    shrinkage, shrunk : ndarray of float64 [arms]
        How far each mean is drawn to the middle (0: not at all, as below four arms), and the mean then.
    winner_lo, winner_hi : float
        Interval of the winner's true mean, after Morris (1983); NaN below four arms.
    luck : float
        Bound on how much better than it is the best of so many equal arms looks on average, in the unit of the metric.
    winner_loo : float
        Chosen on all runs but one and scored on that one, averaged; NaN where arms have different numbers of runs.
    """

    winner: int
    tau2: float
    shrinkage: Floats
    shrunk: Floats
    winner_lo: float
    winner_hi: float
    winner_loo: float
    luck: float


def winner(values: Sequence[Floats], level: float, *, lower: bool, floors: Sequence[float] | None = None) -> Winner:
    """Return the arm with the best mean of runs [n], and what it is worth; errors of means are at least `floors`."""
    arms, sign = arms_of(values, floors), -1.0 if lower else 1.0
    k, good = len(arms), sign * np.array([arm.mean for arm in arms])
    near = 1e-12 * float(np.abs(good).max())  # means that differ by rounding alone are equal
    best = int(np.flatnonzero(good >= good.max() - near)[0])
    sd = shared_spread(arms).sd
    noise = np.square([arm.pooled_se(sd) for arm in arms])
    between = max(0.0, float(good.var(ddof=1) - noise.mean())) if k > 1 else math.nan
    shrinkage, shrunk, ends = np.zeros(k), good.copy(), (math.nan, math.nan)
    if k >= _FEWEST and noise.min() > 0:
        weights = 1 / (noise + between)
        middle = float((weights * good).sum() / weights.sum())
        shrinkage = (k - 3) / (k - 1) * noise * weights
        shrunk = middle + (1 - shrinkage) * (good - middle)
        pull = float(shrinkage[best])
        own = 2 / (k - 3) * float(good[best] - middle) ** 2 + 1 / float(weights.sum())
        half = t_quantile((1 + level) / 2, sum(arm.n - 1 for arm in arms))
        half *= math.sqrt(float(noise[best]) * (1 - pull) + pull**2 * own)
        low, high = sorted((sign * (shrunk[best] - half), sign * (shrunk[best] + half)))
        ends = (float(low), float(high))
    return Winner(
        winner=best,
        tau2=between,
        shrinkage=shrinkage,
        shrunk=sign * shrunk,
        winner_lo=ends[0],
        winner_hi=ends[1],
        winner_loo=_left_out(values, sign),
        luck=math.sqrt(float(noise.mean())) * expected_largest(k),
    )


def expected_largest(k: int) -> float:
    """Return the mean of the largest of k standard normal numbers."""
    from scipy.special import log_ndtr

    nodes, weights = np.polynomial.legendre.leggauss(200)
    z = 10 * nodes
    density = np.exp(-(z**2) / 2 + (k - 1) * log_ndtr(z)) / math.sqrt(2 * math.pi)
    return float(k * 10 * (weights * z * density).sum())


def _left_out(values: Sequence[Floats], sign: float) -> float:
    """Return the mean score, on a run held out, of the arm that is best on the others; ties share."""
    n = len(values[0])
    if n < 2 or any(len(x) != n for x in values):
        return math.nan
    runs = np.stack(list(values))
    rest = sign * (runs.sum(axis=1, keepdims=True) - runs) / (n - 1)
    scale = float(np.abs(rest).max()) or 1.0
    chosen = rest >= rest.max(axis=0) - 1e-12 * scale
    return float(((chosen * runs).sum(axis=0) / chosen.sum(axis=0)).mean())
