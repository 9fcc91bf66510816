"""Two arms whose runs fall into two groups: the shares of runs that end in the better one (scores 2.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._results import Part
from ..._words import percent
from .modes import Shape, gap_statistic
from .one_arm import t_quantile

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupShares(Part):
    """Shares of runs that are better than a threshold.

    Attributes
    ----------
    threshold : float
        As given, or the middle of the widest gap between the runs.
    share_old, share_new : float
        Of both arms.
    share_diff, share_lo, share_hi : float
        New minus old, with Newcombe's interval (1998, method 10).
    p_fisher : float
        Fisher's exact p of equal shares.
    """

    threshold: float
    share_old: float
    share_new: float
    share_diff: float
    share_lo: float
    share_hi: float
    p_fisher: float

    def words(self, names: tuple[str, str], counts: tuple[int, int], level: float) -> str:
        """Return the shares of both arms in a sentence."""
        old, new = (round(share * n) for share, n in zip((self.share_old, self.share_new), counts, strict=True))
        apart = f"{100 * self.share_diff:.0f} percentage points more"
        if self.share_diff < 0:
            apart = f"{-100 * self.share_diff:.0f} percentage points fewer"
        return (
            f"{new} of {counts[1]} runs of {names[1]} and {old} of {counts[0]} of {names[0]} are better than "
            f"{self.threshold:.4g}: {apart} ({percent(level)} interval {100 * self.share_lo:.0f} to "
            f"{100 * self.share_hi:.0f}; Fisher's exact p = {self.p_fisher:.2g})."
        )


def group_shares(a: Floats, b: Floats, threshold: float, level: float, *, lower: bool) -> GroupShares:
    """Return the shares of runs of old a [n_a] and new b [n_b] that are better than a threshold."""
    from scipy.stats import fisher_exact

    sign = -1.0 if lower else 1.0
    old, new = (int(np.count_nonzero(sign * (x - threshold) > 0)) for x in (a, b))
    low, high = newcombe_difference((old, len(a)), (new, len(b)), level)
    return GroupShares(
        threshold=threshold,
        share_old=old / len(a),
        share_new=new / len(b),
        share_diff=new / len(b) - old / len(a),
        share_lo=low,
        share_hi=high,
        p_fisher=float(fisher_exact(np.array([[old, len(a) - old], [new, len(b) - new]]))[1]),
    )


def dividing(a: Floats, b: Floats, shapes: tuple[Shape, Shape]) -> float | None:
    """Return where the runs of two arms fall apart: the middle of the gap; None where neither has two groups."""
    parted = [x[np.isfinite(x)] for x, form in zip((a, b), shapes, strict=True) if form.two_groups]
    if not parted:
        return None
    y = np.sort(np.concatenate(parted))
    _, below = gap_statistic(y, max(form.resolution for form in shapes))
    return float(y[below - 1] + y[below]) / 2


def newcombe_difference(old: tuple[int, int], new: tuple[int, int], level: float) -> tuple[float, float]:
    """Return Newcombe's interval of a difference of shares, new minus old; each is a count of a number."""
    z = t_quantile((1 + level) / 2, math.inf)
    p, q = old[0] / old[1], new[0] / new[1]
    (p_low, p_high), (q_low, q_high) = (wilson(p, old[1], z), wilson(q, new[1], z))
    return q - p - math.hypot(q - q_low, p_high - p), q - p + math.hypot(q_high - q, p - p_low)


def wilson(share: float, n: float, z: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of n, z normal standard deviations to each side."""
    spread = z * z / n
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return (share + spread / 2 - half) / (1 + spread), (share + spread / 2 + half) / (1 + spread)
