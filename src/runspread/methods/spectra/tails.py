"""All tails of a sample under a power law, and the exact search for the one of smallest Kolmogorov-Smirnov distance.

Clauset, Shalizi and Newman (2009), section 3, with three changes that leave the answer as it is: all exponents come
from one reverse cumulative sum of non-negative terms, ties count as one candidate, and the minimum is found by branch
and bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_ROUNDING = 1e-10  # far below what single precision distinguishes
_BOUND_POINTS = 12  # values per tail at which its distance is bounded from below to begin with


@dataclass(frozen=True, eq=False)
class Tails:
    """The tails ``values[k:]`` of a sorted sample, each with its fitted exponent.

    Attributes
    ----------
    values : ndarray [r]
        Where a tail may start, ascending.
    counts : ndarray [r]
        Number of sample points ``>= values[k]``.
    logs : ndarray [r]
        Natural logarithms of `values`.
    slopes : ndarray [r - 1]
        Exponent minus one; inf where all values of a tail are equal.
    scale : ndarray [r - 1]
        One over the model's distribution function at the upper end (1 where the model has none).
    two_sided : bool
        Whether a distance looks at both sides of each step of the empirical distribution.
    """

    values: Floats
    counts: Floats
    logs: Floats
    slopes: Floats
    scale: Floats
    two_sided: bool

    def distance(self, k: int) -> float:
        """Return the Kolmogorov-Smirnov distance of tail `k`."""
        return self._farthest(k)[0]

    def _farthest(self, k: int) -> tuple[float, int]:
        """Return the distance of tail `k` and the place of the value where it is attained."""
        deviation = self._deviations(slice(k, k + 1), slice(k, None))
        place = int(np.argmax(deviation))
        return float(deviation[place]), k + place

    def _deviations(self, rows: Any, at: Any) -> Floats:
        """Return ``|model - empirical|`` of the tails `rows` at the values `at` (indices that broadcast)."""
        model = self.logs[at] - self.logs[rows]
        model *= -self.slopes[rows]
        np.expm1(model, out=model)
        model *= -self.scale[rows]
        total = self.counts[rows]
        deviation = np.abs(model - (total - self.counts[at]) / total)
        if self.two_sided:
            following = np.append(self.counts[1:], 0.0)[at]
            deviation = np.maximum(deviation, np.abs(model - (total - following) / total))
        return deviation

    def distances(self) -> Floats:
        """Return the distance of every tail [r - 1] (NaN where there is no exponent); takes r^2/2 model values."""
        return np.array([self.distance(k) if np.isfinite(b) else np.nan for k, b in enumerate(self.slopes)])

    def best(self, rows: NDArray[np.intp]) -> tuple[int, float]:
        """Return the tail of `rows` with the smallest distance, and that distance; the first one on ties.

        Branch and bound: the deviation at any value bounds a distance from below. Bounds start from a few values a
        tail; then the most promising tail is computed in full, and the value where it is farthest from its model
        tightens the bounds of all others, because neighbouring tails are far from theirs at the same place. What is
        excluded lies above the smallest distance found, so the minimum is exact.
        """
        last = len(self.values) - 1
        at = np.rint(np.linspace(0.0, 1.0, _BOUND_POINTS) * (last - rows)[:, None]).astype(np.intp) + rows[:, None]
        bounds = np.max(self._deviations(rows[:, None], at), axis=1)
        best = (np.inf, -1)
        while rows.size:
            chosen = int(np.argmin(bounds))
            row = int(rows[chosen])
            distance, place = self._farthest(row)
            best = min(best, (distance, row))
            reach = rows <= place
            bounds[reach] = np.maximum(bounds[reach], self._deviations(rows[reach], place))
            bounds[chosen] = np.inf
            keep = bounds <= best[0] * (1 + 1e-12)  # a hair, in case a vectorised exponential differs in the last digit
            rows, bounds = rows[keep], bounds[keep]
        return best[1], best[0]


def first_of_equal(values: Floats) -> NDArray[np.intp]:
    """Return the places of the first of each group of ascending positive values that are equal but for rounding.

    Eigenvalues of copies of a matrix, or of its transpose, differ in their last digits, which depend on the processor.
    """
    return np.flatnonzero(np.append(True, values[1:] > values[:-1] * (1 + _ROUNDING)))


def tails_of(
    values: Floats,
    *,
    distinct: bool = True,
    xmax: float | None = None,
    bounded: bool = False,
    unbiased: bool = False,
    two_sided: bool = False,
) -> Tails:
    """Return the tails of ascending positive `values`.

    Parameters
    ----------
    values : ndarray [n]
        Ascending.
    distinct : bool
        Whether values that are equal but for rounding are one candidate and one step (the empirical distribution) or
        one each.
    xmax : float, optional
        Upper end of the model.
    bounded : bool
        Whether exponents maximise the likelihood of the model that ends at `xmax`.
    unbiased : bool
        Whether exponents use n - 1 in place of n.
    two_sided : bool
        Passed on.
    """
    starts = np.arange(len(values))
    if distinct:
        starts = first_of_equal(values)
    return tails_from(
        values[starts], (len(values) - starts).astype(np.float64), xmax, bounded, unbiased=unbiased, two_sided=two_sided
    )


def tails_from(
    values: Floats,
    counts: Floats,
    xmax: float | None = None,
    bounded: bool = False,
    *,
    unbiased: bool = False,
    two_sided: bool = False,
) -> Tails:
    """Return tails from candidate values and the number of points at or above each (see `tails_of`)."""
    gaps = np.log1p(np.diff(values) / values[:-1])
    sums = np.cumsum((counts[1:] * gaps)[::-1])[::-1]
    used = counts[:-1] - 1 if unbiased else counts[:-1]
    slopes = np.divide(used, sums, out=np.full(len(sums), np.inf), where=sums > 0)
    scale = np.ones(len(sums))
    if xmax is not None:
        span = np.log(xmax / values[:-1])
        if bounded:
            slopes = bounded_slopes(sums / counts[:-1], span)
        finite = np.isfinite(slopes)
        scale[finite] = -1.0 / np.expm1(-slopes[finite] * span[finite])
    return Tails(values, counts, np.log(values), slopes, scale, two_sided)


def bounded_slopes(mean_logs: Floats, span: Floats) -> Floats:
    """Return b that solves ``1/b - r/(exp(b r) - 1) = t`` for the mean log ratio t and ``r = ln(xmax/xmin)``.

    With u = b r the left side over r falls from 1 to 0, is 1/2 at u = 0 and mirrors about it; so the half u > 0,
    where it lies below 1/u, is enough, and bisection needs no guess.
    """
    share = mean_logs / span
    target = np.minimum(share, 1.0 - share)
    low, high = np.zeros_like(target), 1.0 / target
    for _ in range(60):
        middle = (low + high) / 2
        above = 1.0 / middle - np.exp(-middle) / -np.expm1(-middle) > target
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    size = (low + high) / 2
    small = target > 0.5 - 1e-7  # the series 1/2 - u/12 holds to round-off there, the difference above does not
    size = np.where(small, 12 * (0.5 - target), size)
    return np.where(share <= 0.5, size, -size) / span
