"""Do the runs fall into two groups, so that mean and standard deviation describe neither? (scores 2.5)."""

from __future__ import annotations

import csv
import functools
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..._reading.scores.runs import resolution
from ..._results import Part
from .._statistics import deviations

Floats = NDArray[np.float64]
FEWEST = 8
LEVEL = 0.025  # of each of both statistics
_MANY = 2000  # points from which hulls are found by whole arrays
_TABLE = Path(__file__).with_name("modes_table.csv")


@dataclass(frozen=True, eq=False, kw_only=True)
class Shape(Part):
    """Whether the runs fall into two groups.

    Attributes
    ----------
    resolution : float
        Step to which the values are rounded; 0 where none is seen.
    gap, dip : float
        Widest gap between the runs, in standard deviations within both sides of it, and Hartigan's dip; NaN below
        eight runs or without any spread.
    gap_at : int
        Runs below that gap; -1 where there is none.
    p_gap, p_dip : float
        Shares of samples with one mode that have at least as large a statistic, between 0.002 and 0.5 (both are bounds
        there), the largest over five distributions for the gap.
    two_groups : bool
        Whether either is at most 0.025. False does not mean that there is one group.
    """

    resolution: float
    gap: float
    gap_at: int
    dip: float
    p_gap: float
    p_dip: float
    two_groups: bool


def gap_statistic(x: Floats, rounding: float) -> tuple[float, int]:
    """Return the widest gap in standard deviations within both sides, and how many runs lie below it."""
    n = len(x)
    y = np.sort(x)
    fewest = max(2, math.ceil(n / 10))
    below = np.arange(fewest, n - fewest + 1)
    centred = deviations(y)
    sums, squares = np.cumsum(centred)[below - 1], np.cumsum(centred**2)[below - 1]
    total = float((centred**2).sum())
    within = np.maximum(squares - sums**2 / below, 0) + np.maximum(total - squares - sums**2 / (n - below), 0)
    steps = np.maximum(0.0, y[below] - y[below - 1] - rounding)
    scale = np.sqrt(within / (n - 2) + rounding**2 / 12)
    scale = np.where(_equal_sides(y, below), math.sqrt(rounding**2 / 12), scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(steps == 0, 0.0, steps / scale)
    best = int(np.argmax(found))
    return float(found[best]), int(below[best])


def _equal_sides(y: Floats, below: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return where both sides are constant, so that rounding of the sums leaves no false spread."""
    return (y[below - 1] == y[0]) & (y[below] == y[-1])


def dip_statistic(x: Floats) -> float:
    """Return Hartigan's dip: the least distance of the empirical distribution from one with a single mode (1985).

    The interval that holds the mode shrinks to where the greatest convex minorant and the least concave majorant of the
    empirical distribution lie furthest apart, until what is outside it is as far from its own hull.
    """
    y = np.sort(x)
    n, low, high, dip = len(y), 0, len(y) - 1, 1.0
    if n < 2 or y[0] == y[-1]:
        return dip / (2 * n)
    while True:
        minorant, majorant = _hull(y, low, high, 1), _hull(y, low, high, -1)
        if len(minorant) == len(majorant) == 2:
            apart, left, right = 1.0, low, high
        else:
            apart, left, right = _widest(y, minorant, majorant)
        if apart < dip:
            break
        outside = max(
            _beyond(y, [k for k in minorant if k <= left], 1), _beyond(y, [k for k in majorant if k >= right], -1)
        )
        dip = max(dip, outside)
        if (left, right) == (low, high):
            break
        low, high = left, right
    return dip / (2 * n)


def _hull(y: Floats, low: int, high: int, side: int) -> list[int]:
    """Return the corners of the convex minorant (1) or the concave majorant (-1) of the points (y[k], k)."""
    if high - low > _MANY:
        return _hull_of_many(y, low, high, side)
    corners: list[int] = []
    for k in range(low, high + 1):
        while len(corners) > 1:
            a, b = corners[-2], corners[-1]
            turn = (y[b] - y[a]) * (k - a) - (b - a) * (y[k] - y[a])
            if side * turn > 0:
                break
            corners.pop()
        corners.append(k)
    return corners


def _hull_of_many(y: Floats, low: int, high: int, side: int) -> list[int]:
    """Return the same for many points: between two corners the point furthest beyond their chord is a corner too."""
    corners, left = [low, high], [(low, high)]
    while left:
        a, b = left.pop()
        if b - a < 2:
            continue
        k = np.arange(a + 1, b)
        beyond = side * ((b - a) * (y[a + 1 : b] - y[a]) - (y[b] - y[a]) * (k - a))
        furthest = int(np.argmax(beyond))
        if beyond[furthest] > 0:
            corner = a + 1 + furthest
            corners.append(corner)
            left += [(a, corner), (corner, b)]
    return sorted(corners)


def _widest(y: Floats, minorant: list[int], majorant: list[int]) -> tuple[float, int, int]:
    """Return the largest distance between both hulls, and the corners of each that bound the mode there."""
    best, left, right = 0.0, minorant[0], majorant[-1]
    for k in sorted({*minorant[1:-1], *majorant[1:-1]}):
        if k in majorant[1:-1]:  # from a corner above down to the minorant
            a, b = _around(minorant, k)
            apart = (k - a + 1) - (b - a) * _share(y, a, k, b)
            if apart >= best:
                best, left, right = apart, a, k
        if k in minorant[1:-1]:
            a, b = _around(majorant, k)
            apart = (b - a) * _share(y, a, k, b) - (k - a - 1)
            if apart >= best:
                best, left, right = apart, k, b
    return best, left, right


def _around(corners: list[int], k: int) -> tuple[int, int]:
    """Return the corners on both sides of point k."""
    after = next(at for at, corner in enumerate(corners) if corner >= k and at)
    return corners[after - 1], corners[after]


def _share(y: Floats, a: int, k: int, b: int) -> float:
    width = float(y[b] - y[a])
    return float(y[k] - y[a]) / width if width else 1.0


def _beyond(y: Floats, corners: list[int], side: int) -> float:
    """Return how far the empirical distribution lies from its hull between these corners, in half steps, at least 1."""
    furthest = 1.0
    for a, b in itertools.pairwise(corners):
        width = float(y[b] - y[a])
        if b - a > 1 and width:
            k = np.arange(a, b + 1)
            line = (y[a : b + 1] - y[a]) * ((b - a) / width)
            furthest = max(furthest, float(((k - a + 1) - line).max() if side > 0 else (line - (k - a - 1)).max()))
    return furthest


@functools.cache
def _table() -> tuple[NDArray[np.int64], Floats, dict[str, Floats]]:
    """Return n [rows], tail levels [levels] and the quantiles [rows, levels] of both statistics."""
    with _TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith("gap_")]
    levels = np.array([float(name.removeprefix("gap_")) for name in names])
    found = {
        kind: np.array([[float(row[name.replace("gap", kind)]) for name in names] for row in rows])
        for kind in ("gap", "dip")
    }
    return np.array([int(row["n"]) for row in rows]), levels, found


def tabled_quantiles(n: int) -> tuple[Floats, Floats, Floats]:
    """Return tail levels and the upper quantiles of gap and dip for n runs (the row of the next smaller n)."""
    sizes, levels, found = _table()
    row = int(np.searchsorted(sizes, n, side="right")) - 1
    return levels, found["gap"][row], found["dip"][row]


def tail_share(value: float, quantiles: Floats, levels: Floats) -> float:
    """Return the tabled tail share of a statistic, its logarithm interpolated; 0.002 and 0.5 are bounds."""
    if math.isnan(value):
        return math.nan
    return float(np.exp(np.interp(value, quantiles, np.log(levels))))


def mode_words(name: str, x: Floats, form: Shape) -> list[str]:
    """Return the sentence that an arm's mean misleads, where its runs [n] fall into two groups; else none."""
    if not form.two_groups:
        return []
    y = np.sort(x)
    low, high = y[: form.gap_at], y[form.gap_at :]
    found = f"{len(high)} of {len(y)} runs end near {high.mean():.4g} and {len(low)} near {low.mean():.4g}"
    return [f"Mean and standard deviation mislead{f' for {name}' * bool(name)}: {found}."]


def shape(x: Floats) -> Shape:
    """Return whether the runs [n] fall into two groups; NaN below eight runs, or without any spread."""
    rounding = resolution(x)
    if len(x) < FEWEST or np.ptp(x) == 0:
        nan = math.nan
        return Shape(resolution=rounding, gap=nan, gap_at=-1, dip=nan, p_gap=nan, p_dip=nan, two_groups=False)
    gap, at = gap_statistic(x, rounding)
    dip = dip_statistic(x)
    levels, gaps, dips = tabled_quantiles(len(x))
    p_gap, p_dip = tail_share(gap, gaps, levels), tail_share(dip, dips, levels)
    return Shape(
        resolution=rounding,
        gap=gap,
        gap_at=at,
        dip=dip,
        p_gap=p_gap,
        p_dip=p_dip,
        two_groups=min(p_gap, p_dip) <= LEVEL,
    )
