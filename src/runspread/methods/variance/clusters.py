"""Examples that belong together (one patient, one document, one template): the one mechanism of every method here.

How a method takes clusters:

1. ``grouping = Grouping.of(clusters, n_examples)`` checks the ids (one per example, at least two clusters).
   Where examples were dropped, ``clusters_of(clusters, outcomes)`` does it from the ids of all examples.
2. A number per example, such as the difference in success rate of two configurations:
   ``mean_variance(values, grouping)`` is the variance of its mean over clusters, with its degrees of freedom
   (`evals.md` 2.1). With one example per cluster that is ``s^2/n`` and n - 1. Whole numbers are summed exactly.
3. The spread between runs: ``totals_of(statistics, outcomes, grouping)`` goes through the correctness once more and
   returns integers; its ``sums`` is a `ClusterSums`, which is used wherever a `RunSums` is (``var_dist``, ``var_ind``,
   ...): only pairs of examples in different clusters count (`variance.md` 2.6). With one example per cluster both agree
   exactly. Its ``p_value``, ``se_null`` and ``jackknife`` are those of the distribution-wise variance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import to_numpy
from ..._reading.correctness import Outcomes
from ...errors import InputError
from .counting import unpacked_rows
from .dropped import for_kept
from .statistics import RunStatistics
from .sums import RunSums, sum_of_squares, widest

FEW_CLUSTERS = 20  # below, hardly anything is known about new clusters


@dataclass(frozen=True, eq=False)
class Grouping:
    """Examples in groups: the order that makes each group contiguous, where each starts, and its size.

    Attributes
    ----------
    order : ndarray of int [examples]
        Examples, group by group.
    starts, sizes : ndarray of int [groups]
        Where each group starts in `order`, and its number of examples.
    codes : ndarray of int [examples]
        Group of each example; groups are in sorted order of their ids.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    sizes: NDArray[np.int64]
    codes: NDArray[np.intp]

    @classmethod
    def of(cls, groups: ArrayLike, n_examples: int, name: str = "clusters") -> Grouping:
        """Return the grouping by equal values of `groups` [examples]: whole numbers, strings, anything that sorts.

        Raises
        ------
        InputError
            Not one value per example, or values that are missing (the first and their number are named).
        """
        array = _checked_ids(groups, n_examples, name)
        _, codes, sizes = np.unique(array, return_inverse=True, return_counts=True)
        return cls(np.argsort(codes, kind="stable"), np.cumsum(sizes) - sizes, sizes.astype(np.int64), codes)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def pairs(self) -> int:
        """Number of ordered pairs of examples in different groups, ``n^2 - sum n_g^2``."""
        return len(self.codes) ** 2 - sum_of_squares(self.sizes)

    @property
    def between(self) -> float:
        """Share of the pairs of examples, an example with itself included, that lie in different groups."""
        return self.pairs / len(self.codes) ** 2

    @property
    def degrees(self) -> float:
        """Degrees of freedom of a variance between groups (Satterthwaite): G - 1 for equal sizes, fewer for others."""
        p = self.sizes / len(self.codes)
        square, cube = float(np.square(p).sum()), float((p**3).sum())
        spread = square - 2 * cube + square**2
        return self.between**2 / spread if spread > 0 else 0.0

    def correct(self, rows: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the correct predictions of each run in each group [runs, groups]."""
        return self.sums(rows.view(np.uint8))

    def sums(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return sums over the examples of each group: [..., examples] to [..., groups], exact for whole numbers."""
        kind = np.int64 if values.dtype.kind in "iub" else values.dtype
        return np.add.reduceat(values[..., self.order], self.starts, axis=-1, dtype=kind)


def _checked_ids(groups: ArrayLike, n_examples: int, name: str) -> NDArray[Any]:
    found = to_numpy(groups)
    array: NDArray[Any] = found if isinstance(found, np.ndarray) else np.asarray(found)
    if array.shape != (n_examples,):
        raise InputError(f"got {name} of shape {array.shape}", f"one value per example, ({n_examples},)")
    missing = np.ma.getmaskarray(array) | _missing(np.ma.getdata(array))
    if missing.any():
        count, first = int(missing.sum()), int(np.argmax(missing))
        raise InputError(
            f"{count} of {n_examples} {name} {'is' if count == 1 else 'are'} missing, the first at example {first}",
            "one value per example",
            "Give an example that belongs to no group a value of its own.",
        )
    array = np.ma.getdata(array)
    if array.dtype.kind != "O":
        return array
    kinds = {type(value).__name__ for value in array.tolist()}
    if len(kinds) > 1 or kinds & {"dict", "list", "ndarray"}:
        raise InputError(f"got {name} of types {', '.join(sorted(kinds))}", "values of one kind, such as strings")
    return array


def _missing(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where values are None, NaN, NaT or empty strings."""
    if array.dtype.kind == "U":
        return array == ""
    if array.dtype.kind == "O":
        return np.array([value is None or not bool(np.equal(value, value)) for value in array.tolist()], bool)
    return np.isnan(array) if array.dtype.kind in "fcmM" else np.zeros(array.shape, bool)


def single_groups(n_examples: int) -> Grouping:
    """Return the grouping of examples that are independent: each a group of its own."""
    every = np.arange(n_examples)
    return Grouping(every, every, np.ones(n_examples, np.int64), every)


def clusters_of(clusters: ArrayLike, outcomes: Any, n_examples: int) -> Grouping:
    """Return the grouping of the examples that `outcomes` kept, from the ids of all or of those.

    Parameters
    ----------
    clusters : array_like [examples]
        Cluster of each example, those included that were dropped because a run lacks them.
    outcomes : Outcomes or None
        Where the examples were read from; None for statistics.
    n_examples : int
        Number of examples that were kept.

    Raises
    ------
    InputError
        As for `Grouping.of`, or there is one cluster, from which nothing about other clusters can be learnt.
    """
    grouping = Grouping.of(for_kept(clusters, outcomes, n_examples, "clusters"), n_examples)
    if len(grouping) < 2:
        raise InputError(
            "clusters that are all the same",
            "two clusters or more",
            "Omit clusters if the examples are independent.",
        )
    return grouping


def few_clusters(grouping: Grouping | None) -> tuple[str, ...]:
    """Return what to say where there are few clusters; nothing without clusters."""
    if grouping is None or len(grouping) >= FEW_CLUSTERS:
        return ()
    return (f"{len(grouping)} clusters: little can be said about new clusters.",)


class MeanVariance(NamedTuple):
    """Variance of a mean over examples in clusters, and its degrees of freedom."""

    variance: float
    degrees: float


def mean_variance(values: NDArray[Any], grouping: Grouping) -> MeanVariance:
    """Return the unbiased variance of the mean of `values` [examples] where clusters are independent (`evals.md` 2.1).

    Whole numbers are summed exactly, so that equal values have exactly no variance.
    """
    examples = len(grouping.codes)
    if not grouping.pairs:
        return MeanVariance(math.nan, 0.0)
    if values.dtype.kind in "iub":
        wide = widest(values, 4 * (int(np.abs(values).max()) * examples) ** 2)
        deviations = examples * grouping.sums(wide) - int(wide.sum()) * grouping.sizes
        squares = float(sum(int(d) ** 2 for d in deviations.tolist())) / examples**2
    else:
        deviations = grouping.sums(values - values.mean())
        squares = float(np.square(deviations).sum())
    return MeanVariance(squares / grouping.pairs, grouping.degrees)


@dataclass(frozen=True)
class ClusterSums(RunSums):
    """`RunSums` where examples come in clusters: an example is compared with those of other clusters alone.

    The components are unbiased where clusters are drawn independently, whatever happens inside them. With an example a
    cluster they are those of `RunSums`, exactly.

    Attributes
    ----------
    within : int
        Sum over runs and clusters of the squared number of correct predictions of a run in a cluster.
    between : int
        Sum over clusters of the squared number of correct predictions of all runs in it.
    n_clusters, pairs : int
        Clusters, and ordered pairs of examples in different ones.
    """

    within: int
    between: int
    n_clusters: int
    pairs: int

    @property
    def lift(self) -> Fraction | None:
        """What turns the excess of the test-set variance into the distribution-wise one."""
        return self._over(self.n_examples**2, self.pairs)

    @property
    def var_ind(self) -> Fraction | None:
        """Variance of accuracy that independent clusters would give."""
        r, n = self.n_runs, self.n_examples
        return self._over(r * self.within - self.between, r * (r - 1) * n * n)

    @property
    def var_dist(self) -> Fraction | None:
        """Unbiased estimate of the distribution-wise variance (`variance.md` 2.6)."""
        r = self.n_runs
        return self._over(r * self.t2 - self.t1**2 - r * self.within + self.between, r * (r - 1) * self.pairs)

    @property
    def var_example(self) -> Fraction | None:
        """Unbiased estimate of the variance of example difficulty."""
        r, n = self.n_runs, self.n_examples
        if not (r > 1 and self.pairs):
            return None
        other = Fraction(self.t1**2 - self.between - self.t2 + self.within, r * (r - 1) * self.pairs)
        return Fraction(self.s2 - self.t1, r * (r - 1) * n) - other

    @property
    def var_inter(self) -> Fraction | None:
        """Unbiased estimate of the run-by-example interaction."""
        r, n, dist = self.n_runs, self.n_examples, self.var_dist
        return None if dist is None else Fraction(r * self.t1 - self.s2, r * (r - 1) * n) - dist


@dataclass(frozen=True, eq=False)
class ClusterTotals:
    """Exact sums over the correctness by cluster, t [runs, clusters], from which every clustered estimate follows.

    Attributes
    ----------
    grouping : Grouping
        The clusters.
    sums : ClusterSums
        The sums over everything.
    correct : ndarray of int64 [runs]
        Correct predictions T of each run.
    correct_by_half : ndarray of int64 [runs, 2]
        The same on two halves of the clusters: those of even and of odd rank.
    right, squares, joint : ndarray of int64 [clusters]
        Of each cluster: the sum over runs of t, of t^2, and of t times T.
    """

    grouping: Grouping
    sums: ClusterSums
    correct: NDArray[np.int64]
    correct_by_half: NDArray[np.int64]
    right: NDArray[np.int64]
    squares: NDArray[np.int64]
    joint: NDArray[np.int64]

    @property
    def half_sizes(self) -> tuple[int, int]:
        """Examples in each half of the clusters."""
        return int(self.grouping.sizes[::2].sum()), int(self.grouping.sizes[1::2].sum())

    @property
    def _scatter(self) -> NDArray[np.float64]:
        """Sample variance over runs of the correct predictions in each cluster [clusters]."""
        runs = self.sums.n_runs
        wide, squares = (widest(array, (runs * self.sums.n_examples) ** 2) for array in (self.right, self.squares))
        return (runs * squares - wide * wide).astype(np.float64) / (runs * (runs - 1))

    @property
    def se_null(self) -> float:
        """Standard error of ``var_dist`` where clusters are independent (`variance.md` 2.7); NaN where not defined."""
        if self.sums.n_runs < 2 or not self.sums.pairs:
            return math.nan
        v = self._scatter
        pairs = max(0.0, float(v.sum()) ** 2 - float(np.square(v).sum()))
        return math.sqrt(2 * pairs / (self.sums.pairs**2 * (self.sums.n_runs - 1)))

    @property
    def effective(self) -> float:
        """Number of clusters that the spread of independent clusters rests on: those that vary alike count fully."""
        v = self._scatter
        squares = float(np.square(v).sum()) * (self.sums.n_runs - 1) / (self.sums.n_runs + 1)  # unbiased
        return min(float(len(v)), float(v.sum()) ** 2 / squares) if squares > 0 else math.nan

    @property
    def p_value(self) -> float:
        """One-sided p-value of no distribution-wise variance: F with the effective number of clusters (simulated)."""
        from scipy.special import fdtrc

        if self.sums.n_runs < 2 or not self.sums.var_ind:
            return math.nan
        ratio, clusters = float((self.sums.var_test or 0) / self.sums.var_ind), self.effective
        if ratio >= clusters or clusters <= 1:
            return 0.0 if ratio >= clusters > 1 else 1.0
        degrees = self.sums.n_runs - 1
        return float(fdtrc(degrees, degrees * (clusters - 1), (clusters - 1) * ratio / (clusters - ratio)))

    @property
    def jackknife(self) -> float:
        """Delete-one-cluster jackknife variance of ``var_dist``; NaN below two runs or three clusters."""
        sums, sizes = self.sums, self.grouping.sizes
        runs = sums.n_runs
        if runs < 2 or len(sizes) < 3:
            return math.nan
        bound = 4 * (runs * sums.n_examples) ** 2
        c, u, squares = (widest(array, bound) for array in (self.right, self.joint, self.squares))
        t1 = sums.t1 - c
        numerators = (
            runs * (sums.t2 - 2 * u + squares) - t1 * t1 - runs * (sums.within - squares) + sums.between - c * c
        )
        pairs = (sums.n_examples - sizes) ** 2 - (sum_of_squares(sizes) - sizes**2)
        values = numerators.astype(np.float64) / (float(runs * (runs - 1)) * pairs)
        return float((len(sizes) - 1) / len(sizes) * np.square(values - values.mean()).sum())


class ClusterCounter:
    """Adds up correctness by cluster, some runs at a time.

    Parameters
    ----------
    grouping : Grouping
        The clusters.
    right : ndarray of int64 [examples]
        Runs that are right on each example, from a first pass (``statistics.right``).
    """

    def __init__(self, grouping: Grouping, right: NDArray[np.int64]) -> None:
        self._grouping, self._examples, self._s2 = grouping, len(right), sum_of_squares(right)
        self._right = grouping.sums(right)
        self._squares, self._joint, self._within = np.zeros_like(self._right), np.zeros_like(self._right), 0
        self._halves: list[NDArray[np.int64]] = []

    def add(self, correct: NDArray[np.bool_]) -> None:
        """Count consecutive runs [some runs, examples]."""
        counts = self._grouping.correct(correct)
        total, first = counts.sum(axis=1), counts[:, ::2].sum(axis=1)
        self._halves.append(np.stack([first, total - first], axis=1))
        self._squares += np.square(counts).sum(axis=0)
        self._joint += (counts * total[:, None]).sum(axis=0)
        self._within += int(np.square(counts).sum())

    def totals(self) -> ClusterTotals:
        """Return the sums over all runs that were counted."""
        halves = np.concatenate(self._halves)
        correct = halves.sum(axis=1)
        sums = ClusterSums(
            n_runs=len(correct),
            n_examples=self._examples,
            t1=int(correct.sum()),
            t2=sum_of_squares(correct),
            s2=self._s2,
            within=self._within,
            between=sum_of_squares(self._right),
            n_clusters=len(self._grouping),
            pairs=self._grouping.pairs,
        )
        return ClusterTotals(self._grouping, sums, correct, halves, self._right, self._squares, self._joint)


def cluster_totals(rows: Iterable[NDArray[np.bool_]], grouping: Grouping, right: NDArray[np.int64]) -> ClusterTotals:
    """Return the sums by cluster of correctness that comes in `rows` [some runs, examples] (see `ClusterCounter`)."""
    counter = ClusterCounter(grouping, right)
    for correct in rows:
        counter.add(correct)
    return counter.totals()


def totals_of(statistics: RunStatistics, outcomes: Outcomes | None, grouping: Grouping) -> ClusterTotals:
    """Return the sums by cluster of what was counted: from its bits where they were kept, else from the outcomes.

    Parameters
    ----------
    statistics, outcomes
        As `counted` returns them.
    grouping : Grouping
        The clusters of the examples that were kept.

    Raises
    ------
    InputError
        There are neither bits nor outcomes.
    """
    if statistics.packed is not None:
        rows: Iterator[NDArray[np.bool_]] = unpacked_rows(statistics.packed, statistics.n_examples)
    elif outcomes is not None:
        rows = (chunk.correct for chunk in outcomes.chunks())
    else:
        raise InputError("got statistics without bits", "keep_bits=True", "Clusters need them.")
    return cluster_totals(rows, grouping, statistics.right)
