"""Kendall's rank correlation in n log n: pairs counted point by point, ties, and what chance does to the count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spectra.tails import Floats

Counts = NDArray[np.int64]
MATRIX = 256  # up to here a matrix of signs is faster than sorting


@dataclass(frozen=True)
class Pairs:
    """How pairs of points are ordered by x and by y; every pair is counted from both its ends.

    Attributes
    ----------
    balance : ndarray of int64 [n]
        Of each point, with how many others x and y agree in order, less with how many they disagree.
    untied_x, untied_y : ndarray of int64 [n]
        How many others have another x, another y.
    """

    balance: Counts
    untied_x: Counts
    untied_y: Counts

    @property
    def tau_a(self) -> float:
        """Mean sign product over pairs; NaN for a single point."""
        n = len(self.balance)
        return int(self.balance.sum()) / (n * (n - 1)) if n > 1 else float("nan")

    @property
    def tau_b(self) -> float:
        """Kendall's tau_b; NaN where x or y is constant."""
        return tau_b(int(self.balance.sum()), int(self.untied_x.sum()), int(self.untied_y.sum()))


def tau_b(balance: int, untied_x: int, untied_y: int) -> float:
    """Return Kendall's tau_b of sums over pairs; NaN where no pair is untied."""
    return balance / float(np.sqrt(untied_x) * np.sqrt(untied_y)) if untied_x and untied_y else float("nan")


def pairs_of(x: Floats, y: Floats) -> Pairs:
    """Count the pairs of points [n] (values that should be equal are: see `snap`)."""
    return Pairs(_balance(x, y), _untied(x), _untied(y))


def pairs_inside(x: Floats, y: Floats, members: list[NDArray[np.intp]]) -> Pairs:
    """Count the pairs inside the groups whose `members` are listed."""
    found = Pairs(*(np.zeros(len(x), dtype=np.int64) for _ in range(3)))
    for rows in members:
        part = pairs_of(x[rows], y[rows])
        found.balance[rows], found.untied_x[rows], found.untied_y[rows] = part.balance, part.untied_x, part.untied_y
    return found


def signs(values: Floats) -> NDArray[Any]:
    """Return ``sign(v_i - v_j)`` [n, n]; float32, whose sums are exact below 4,096 points, float64 from there."""
    return np.sign(values[:, None] - values).astype("f4" if len(values) < 4096 else "f8")


def _untied(values: Floats) -> Counts:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return len(values) - counts[inverse]


def _balance(x: Floats, y: Floats) -> Counts:
    if len(x) <= MATRIX:
        return np.sum(signs(x) * signs(y), axis=1).astype(np.int64)
    rank_x, rank_y = (np.unique(values, return_inverse=True)[1].astype(np.int64) for values in (x, y))
    same = _below(rank_x, rank_y) + _below(-rank_x, -rank_y)
    return same - _below(rank_x, -rank_y) - _below(-rank_x, rank_y)


def _below(x: Counts, y: Counts) -> Counts:
    """Return of each point how many others have both a smaller x and a smaller y, by merging halves ever larger.

    Among points of one x those with the larger y come first, so that none of them counts for another.
    """
    order = np.lexsort((-y, x))
    ranks = np.unique(y[order], return_inverse=True)[1].astype(np.int64)
    n, width = len(x), 1
    position, counts = np.arange(n), np.zeros(n, dtype=np.int64)
    while width < n:
        right = (position // width) % 2
        # Block by block, by y; where y is equal, the right half first: an equal y is not a smaller one.
        merged = np.argsort((position // (2 * width) * n + ranks) * 2 + 1 - right)
        left = 1 - right[merged]
        before = np.cumsum(left) - left
        counts[merged] += np.where(left == 0, before - before[position // (2 * width) * 2 * width], 0)
        width *= 2
    found = np.empty(len(x), dtype=np.int64)
    found[order] = counts
    return found


def balance_variance(x: Floats, y: Floats) -> float:
    """Return the variance of the sum of balances (each pair from both ends) over random orders of y.

    Kendall (1970), Rank Correlation Methods, equation 4.3, with ties in both.
    """
    n = len(x)
    t, u = (np.unique(values, return_counts=True)[1].astype(np.float64) for values in (x, y))
    moments = [[np.sum(c * (c - 1)), np.sum(c * (c - 1) * (c - 2)), np.sum(c * (c - 1) * (2 * c + 5))] for c in (t, u)]
    (t2, t3, tv), (u2, u3, uv) = moments
    found = (n * (n - 1) * (2 * n + 5) - tv - uv) / 18
    if n > 1:
        found += t2 * u2 / (2 * n * (n - 1))
    if n > 2:
        found += t3 * u3 / (9 * n * (n - 1) * (n - 2))
    return 4 * float(found)
