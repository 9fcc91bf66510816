"""The variance decomposition from three exact integers, and its jackknives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

_INT64 = 2**62


def widest(array: NDArray[Any], bound: int) -> NDArray[Any]:
    """Return `array` as int64, or as Python integers where values up to `bound` would overflow."""
    return array.astype(np.int64 if bound < _INT64 else object)


def sum_of_squares(counts: NDArray[Any]) -> int:
    """Return the exact sum of squares of non-negative whole numbers."""
    top = int(counts.max(initial=0))
    exact = widest(counts, top * top * max(1, counts.size))
    return int((exact * exact).sum())


@dataclass(frozen=True)
class RunSums:
    """Sums over the correctness matrix X [runs, examples] that hold the two-way variance decomposition.

    Everything is exact: integers in, fractions out. A quantity that is not defined (one run, one example) is None.

    Attributes
    ----------
    n_runs, n_examples : int
        R and n.
    t1 : int
        Number of correct predictions over all runs.
    t2 : int
        Sum over runs of the squared number of correct predictions.
    s2 : int
        Sum over examples of the squared number of runs that are right.
    """

    n_runs: int
    n_examples: int
    t1: int
    t2: int
    s2: int

    @property
    def mean_acc(self) -> Fraction:
        """Mean accuracy."""
        return Fraction(self.t1, self.n_runs * self.n_examples)

    @property
    def _pairs(self) -> int:
        """R (R-1) n (n-1), the divisor that the unbiased components share."""
        return self.n_runs * (self.n_runs - 1) * self.n_examples * (self.n_examples - 1)

    def _over(self, numerator: int, divisor: int) -> Fraction | None:
        return Fraction(numerator, divisor) if divisor else None

    @property
    def lift(self) -> Fraction | None:
        """n/(n-1), which turns the excess of the test-set variance into the distribution-wise one."""
        return self._over(self.n_examples, self.n_examples - 1)

    @property
    def var_test(self) -> Fraction | None:
        """Sample variance of accuracy over runs, V."""
        r, n = self.n_runs, self.n_examples
        return self._over(r * self.t2 - self.t1**2, r * (r - 1) * n * n)

    @property
    def var_ind(self) -> Fraction | None:
        """Variance of accuracy that independent errors would give, V_ind."""
        r, n = self.n_runs, self.n_examples
        return self._over(r * self.t1 - self.s2, r * (r - 1) * n * n)

    @property
    def var_dist(self) -> Fraction | None:
        """Unbiased estimate of the distribution-wise variance (2304.01910, Theorem 2, exact at any number of runs)."""
        r = self.n_runs
        return self._over(r * self.t2 - self.t1**2 - r * self.t1 + self.s2, self._pairs)

    @property
    def var_example(self) -> Fraction | None:
        """Unbiased estimate of the variance of example difficulty."""
        n = self.n_examples
        return self._over(n * self.s2 - self.t1**2 - n * self.t1 + self.t2, self._pairs)

    @property
    def var_inter(self) -> Fraction | None:
        """Unbiased estimate of the run-by-example interaction."""
        r, n = self.n_runs, self.n_examples
        return self._over(n * r * self.t1 - n * self.s2 - r * self.t2 + self.t1**2, self._pairs)

    @property
    def var_binom(self) -> Fraction:
        """Variance of a binomial accuracy of the same mean."""
        return self.mean_acc * (1 - self.mean_acc) / self.n_examples


def number(value: Fraction | None) -> float:
    """Return an exact value as float, NaN for one that is not defined."""
    return math.nan if value is None else float(value)


def ratio(numerator: float, denominator: float) -> float:
    """Return a quotient, NaN where the denominator is 0 or NaN."""
    return numerator / denominator if denominator else math.nan


def _jackknife(numerators: NDArray[Any], divisor: int) -> float:
    """Return the delete-one jackknife variance of ``numerators / divisor``."""
    count = len(numerators)
    deviations = (numerators - numerators.min()).astype(np.float64)
    return float((count - 1) / count * np.square(deviations - deviations.mean()).sum() / float(divisor) ** 2)


def jackknife_runs(sums: RunSums, correct: NDArray[np.int64], weighted: NDArray[np.int64]) -> float:
    """Return the delete-one-run jackknife variance of ``var_dist``; NaN below three runs or two examples.

    Parameters
    ----------
    sums : RunSums
        Of all runs.
    correct : ndarray of int64 [runs]
        Correct predictions of each run, t.
    weighted : ndarray of int64 [runs]
        For each run, the sum over its correct examples of the number of runs that are right, w.
    """
    r, n = sums.n_runs - 1, sums.n_examples
    if r < 2 or n < 2:
        return math.nan
    bound = 2 * (sums.n_runs * n) ** 2
    t, w = widest(correct, bound), widest(weighted, bound)
    t1 = sums.t1 - t
    numerators = r * (sums.t2 - t * t) - t1 * t1 - r * t1 + (sums.s2 - 2 * w + t)
    return _jackknife(numerators, r * (r - 1) * n * (n - 1))


def jackknife_examples(sums: RunSums, right: NDArray[np.int64], weighted: NDArray[np.int64]) -> float:
    """Return the delete-one-example jackknife variance of ``var_dist``; NaN below two runs or three examples.

    Parameters
    ----------
    sums : RunSums
        Of all examples.
    right : ndarray of int64 [examples]
        Runs that are right on each example, c.
    weighted : ndarray of int64 [examples]
        For each example, the sum over the runs that are right of their correct predictions, U.
    """
    r, n = sums.n_runs, sums.n_examples - 1
    if r < 2 or n < 2:
        return math.nan
    bound = 2 * (r * sums.n_examples) ** 2
    c, u = widest(right, bound), widest(weighted, bound)
    t1 = sums.t1 - c
    numerators = r * (sums.t2 - 2 * u + c) - t1 * t1 - r * t1 + (sums.s2 - c * c)
    return _jackknife(numerators, r * (r - 1) * n * (n - 1))


def group_edges(n_runs: int, groups: int) -> NDArray[np.int64]:
    """Return where contiguous groups of runs begin and end: sizes differ by at most one, larger groups first."""
    sizes = np.full(groups, n_runs // groups, np.int64)
    sizes[: n_runs % groups] += 1
    return np.concatenate([[0], np.cumsum(sizes)])


def jackknife_groups(
    sums: RunSums, correct: NDArray[np.int64], right_by_group: NDArray[np.int64], edges: NDArray[np.int64]
) -> float:
    """Return the jackknife variance of ``var_dist`` that excludes one contiguous group of runs at a time.

    Parameters
    ----------
    sums : RunSums
        Of all runs.
    correct : ndarray of int64 [runs]
        Correct predictions of each run, in run order.
    right_by_group : ndarray of int64 [groups, examples]
        Runs of each group that are right.
    edges : ndarray of int64 [groups + 1]
        First run of each group, and the number of runs.
    """
    groups, largest = len(right_by_group), int(np.diff(edges).max())
    if groups < 2 or sums.n_runs - largest < 2 or sums.n_examples < 2:
        return math.nan
    right = right_by_group.sum(axis=0)
    values = np.array(
        [
            number(_without(sums, correct[start:stop], right - own).var_dist)
            for start, stop, own in zip(edges[:-1], edges[1:], right_by_group, strict=True)
        ]
    )
    return float((groups - 1) / groups * np.square(values - values.mean()).sum())


def _without(sums: RunSums, correct: NDArray[np.int64], right: NDArray[np.int64]) -> RunSums:
    """Return the sums without the runs whose correct counts are given; `right` is what remains of c."""
    return RunSums(
        sums.n_runs - len(correct),
        sums.n_examples,
        sums.t1 - int(correct.sum()),
        sums.t2 - sum_of_squares(correct),
        sum_of_squares(right),
    )
