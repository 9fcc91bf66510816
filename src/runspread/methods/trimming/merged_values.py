"""Two distributions drawn from the same runs: a small one, and a large one whose values are sorted once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..._reading.margins import Floats
from .._ties import ranks_among, starts_of, tolerance
from .nodes import Nodes, candidate_nodes, reference_nodes
from .resampling import Indices, cumulative_mass


@dataclass(frozen=True)
class MergedValues:
    """All values of one statistic [runs, examples], sorted together.

    Attributes
    ----------
    values : ndarray [runs x examples]
        Sorted values.
    run, example : ndarray [runs x examples]
        Where each came from.
    start, stop : ndarray [runs x examples]
        Positions of the first value equal to each, and after the last.
    ends : ndarray of int, or slice
        Positions of the last of equal values; all, where no values are tied.
    equal_up_to : float
        Values that differ by no more are equal.
    """

    values: Floats
    run: Indices
    example: Indices
    start: Indices
    stop: Indices
    ends: Indices | slice
    equal_up_to: float

    @classmethod
    def of(cls, values: Floats) -> MergedValues:
        """Sort the values."""
        order = np.argsort(values, axis=None)
        run, example = np.divmod(order, values.shape[1])
        ordered = values.ravel()[order]
        equal_up_to = tolerance(ordered)
        first = np.flatnonzero(starts_of(ordered, equal_up_to))
        sizes = np.diff(np.append(first, ordered.size))
        last = first + sizes
        ends = slice(None) if len(first) == ordered.size else last - 1
        return cls(ordered, run, example, np.repeat(first, sizes), np.repeat(last, sizes), ends, equal_up_to)

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """Start, stop, run and example of each value [4, runs x examples]."""
        return np.stack([self.start, self.stop, self.run, self.example]).astype(np.int64)

    def counts(self, runs: NDArray[np.int64], examples: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how often each sorted value counts, given how often each run and each example does."""
        return runs[self.run] * examples[self.example]

    def mass(self, runs: NDArray[np.int64], examples: NDArray[np.int64]) -> Floats:
        """Return the cumulative mass [values + 1] of the average of some runs' distributions on some examples."""
        return cumulative_mass(self.counts(runs, examples), int(runs.sum() * examples.sum()))

    def of_runs(self, runs: NDArray[np.bool_]) -> Indices:
        """Return the positions of the values of some runs."""
        return np.flatnonzero(runs[self.run])

    def average(self, positions: Indices, examples: NDArray[np.int64]) -> FewValues:
        """Return the average of the distributions of the runs with values at `positions`, as one with few values."""
        counts = examples[self.example[positions]]
        drawn = counts > 0
        there = positions[drawn]
        return FewValues(self.start[there], self.stop[there], counts[drawn])

    def ensemble(self, values: Floats, examples: NDArray[np.int64]) -> FewValues:
        """Return the distribution of values [examples] that are not among the merged ones, on some examples."""
        there = np.flatnonzero(examples)
        there = there[np.argsort(values[there])]
        left, right = ranks_among(self.values, values[there], self.equal_up_to)
        return FewValues(left, right, examples[there])


@dataclass(frozen=True)
class FewValues:
    """A distribution with few values: where they fall among the merged values, and how often each counts.

    Attributes
    ----------
    left, right : ndarray [values]
        Number of merged values below, and at or below, each value, ascending.
    counts : ndarray of int [values]
        How often each value counts.
    """

    left: Indices
    right: Indices
    counts: NDArray[np.int64]

    def nodes(self, mass: Floats, *, trimmed: bool) -> Nodes:
        """Return the nodes of this distribution and one with a cumulative mass over the merged values.

        Parameters
        ----------
        mass : ndarray [merged values + 1]
            The other distribution.
        trimmed : bool
            Whether this distribution is the candidate, which is trimmed, or the reference.
        """
        own = cumulative_mass(self.counts, int(self.counts.sum()))[None]
        build = candidate_nodes if trimmed else reference_nodes
        return build(mass[self.left][None], mass[self.right][None], own)
