"""The closed form of the trimmed Kolmogorov distance, for many candidates at once.

With c = 1/(1 - alpha), the reference's mass P0 and the candidate's mass P of a set A::

    d(c) = max(0, sup over half-lines A of P0(A) - c P(A), sup over intervals A of (P0(A) - c P(A)) / 2)

A set where the reference has more mass than the trimmed candidate can have forces an error; on a half-line it all
falls on one end, on an interval two ends share it. As a function of c this is a maximum of lines, so the smallest c
with d(c) <= delta is the largest root of those lines: in closed form for half-lines, by Newton's method (finitely many
steps, exact) for intervals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import RunspreadError

SLACK = 1e-12  # a distance is at most the threshold when it exceeds it by no more than rounding
CHUNK_VALUES = 2**17  # nodes in one work array: a megabyte, so that the passes over it stay in cache
MAX_STEPS = 100

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Nodes:
    """Ends of the sets that decide the distance: one row per candidate, one column per node.

    Attributes
    ----------
    upper_reference, upper_candidate : ndarray [candidates, nodes]
        Mass of reference and candidate to the left of the k-th possible right end of a set.
    lower_reference, lower_candidate : ndarray [candidates, nodes]
        Mass to the left of the j-th possible left end; the sets are the pairs j <= k and the half-lines.
    """

    upper_reference: Floats
    upper_candidate: Floats
    lower_reference: Floats
    lower_candidate: Floats

    @property
    def rows(self) -> int:
        """Number of candidates."""
        return max(len(self.upper_reference), len(self.upper_candidate))

    def take(self, rows: NDArray[np.intp]) -> Nodes:
        """Return the nodes of some candidates; arrays that all candidates share stay shared."""
        if len(rows) == self.rows:
            return self

        def taken(part: Floats) -> Floats:
            return part if len(part) == 1 else part[rows]

        upper = taken(self.upper_candidate)
        lower = upper if self.lower_candidate is self.upper_candidate else taken(self.lower_candidate)
        return Nodes(taken(self.upper_reference), upper, taken(self.lower_reference), lower)

    def excess(self, c: Floats) -> tuple[Floats, Floats]:
        """Return reference minus c times candidate mass at the right ends and at the left ends."""
        scaled = self.upper_candidate * c[:, None]
        upper = self.upper_reference - scaled
        if self.lower_candidate is not self.upper_candidate:
            scaled = self.lower_candidate * c[:, None]
        return upper, np.subtract(self.lower_reference, scaled, out=scaled)


def candidate_nodes(left: Floats, right: Floats, cumulative: Floats) -> Nodes:
    """Return nodes at the sorted values of the candidates.

    Parameters
    ----------
    left, right : ndarray [candidates, n]
        Reference mass below, and at or below, each sorted value; one array where the two are the same.
    cumulative : ndarray [candidates or 1, n + 1]
        Candidate mass of the first 0, 1, ... n sorted values.
    """
    rows, size = left.shape
    reference = np.empty((rows, size + 2))
    reference[:, 0], reference[:, 1:-1], reference[:, -1] = 0.0, left, 1.0
    below = reference[:, 1:]
    if right is not left:
        reference = np.concatenate([reference[:, :1], right], axis=1)
    return Nodes(below, cumulative, reference[:, : size + 1], cumulative)


def reference_nodes(left: Floats, right: Floats, cumulative: Floats) -> Nodes:
    """Return nodes at the sorted values of the reference, the cheaper choice when it is the smaller sample.

    A set loses none of the reference's mass, and gains none of the candidate's, when it is shrunk to the reference
    values that it holds; so closed sets that begin and end at reference values decide.

    Parameters
    ----------
    left, right : ndarray [candidates, m]
        Candidate mass below, and at or below, each sorted reference value.
    cumulative : ndarray [1, m + 1]
        Reference mass of the first 0, 1, ... m sorted values.
    """
    return Nodes(cumulative[:, 1:], right, cumulative[:, :-1], left)


def row_chunks(rows: int, width: int) -> Iterator[slice]:
    """Yield slices of rows whose work arrays fit in cache."""
    step = max(1, CHUNK_VALUES // max(1, width))
    for start in range(0, rows, step):
        yield slice(start, start + step)


def distance(nodes: Nodes, c: float) -> Floats:
    """Return d(c) of each candidate, shape [candidates]."""
    upper, lower = nodes.excess(np.full(nodes.rows, c))
    highest, lowest = upper.max(-1), lower.min(-1)
    worst = np.maximum(np.maximum(highest, 1.0 - c - lowest), 0.0)
    rows = np.flatnonzero(highest - lowest > 2 * worst)  # elsewhere no interval can be worse than the half-lines
    if len(rows):
        running = np.minimum.accumulate(lower[rows], axis=-1)
        worst[rows] = np.maximum(worst[rows], (upper[rows] - running).max(-1) / 2)
    return worst


def smallest_level(nodes: Nodes, delta: tuple[float, float]) -> Floats:
    """Return the smallest alpha with d(c) <= delta[0] + c delta[1] of each candidate; inf where there is none."""
    upper, lower = nodes.excess(np.ones(nodes.rows))
    plain = np.maximum(upper.max(-1), -lower.min(-1))  # at c = 1 an interval is worth no more than its half-lines
    rejected = np.flatnonzero(plain > delta[0] + delta[1] + SLACK)
    levels = np.zeros(nodes.rows)
    if len(rejected):
        tested = nodes.take(rejected)
        c = _raise_for_intervals(tested, _half_line_root(tested, delta), delta)
        levels[rejected] = np.where(np.isfinite(c), 1.0 - 1.0 / c, np.inf)
    return levels


def _half_line_root(nodes: Nodes, delta: tuple[float, float]) -> Floats:
    """Return the smallest c that satisfies all half-lines."""
    left = _largest_root(nodes.upper_reference, nodes.upper_candidate, delta)
    right = _largest_root(1.0 - nodes.lower_reference, 1.0 - nodes.lower_candidate, delta)
    return np.maximum(np.maximum(left, right), 1.0)


def _largest_root(reference: Floats, candidate: Floats, delta: tuple[float, float]) -> Floats:
    """Return the largest c at which a line ``reference - c candidate`` meets the threshold; inf if one never does."""
    above, slope = np.broadcast_arrays(reference - delta[0], candidate + delta[1])
    out = np.where(above > SLACK, np.inf, -np.inf)
    return np.divide(above, slope, out=out, where=slope > 0).max(-1)


def _raise_for_intervals(nodes: Nodes, c: Floats, delta: tuple[float, float]) -> Floats:
    """Raise each c until the intervals satisfy the threshold too: Newton's method from below."""
    active = np.flatnonzero(np.isfinite(c))
    for _ in range(MAX_STEPS):
        if not len(active):
            return c
        proposed = _interval_root(nodes.take(active), c[active], delta)
        moved = proposed > c[active]  # a smaller root differs by rounding alone
        c[active[moved]] = proposed[moved]
        active = active[moved & np.isfinite(proposed)]
    raise unsettled()


def unsettled() -> RunspreadError:
    """Return the error of a level that Newton's method does not find."""
    return RunspreadError(f"the trimming level did not settle in {MAX_STEPS} Newton steps", hint="Please report this.")


def _interval_root(nodes: Nodes, c: Floats, delta: tuple[float, float]) -> Floats:
    """Return where the line of the worst interval at c meets the threshold; 0 if it is met already."""
    limit = 2 * (delta[0] + c * delta[1] + SLACK)
    upper, lower = nodes.excess(c)
    roots = np.zeros(len(c))
    doubtful = np.flatnonzero(upper.max(-1) - lower.min(-1) > limit)  # no interval exceeds this bound
    if not len(doubtful):
        return roots
    upper, lower = upper[doubtful], lower[doubtful]
    running = np.minimum.accumulate(lower, axis=-1)
    right = (upper - running).argmax(-1)
    row = np.arange(len(doubtful))
    bottom = running[row, right]
    worse = np.flatnonzero(upper[row, right] - bottom > limit[doubtful])
    left = (lower[worse] == bottom[worse, None]).argmax(-1)
    roots[doubtful[worse]] = _line_root(nodes.take(doubtful[worse]), left, right[worse], delta)
    return roots


def _line_root(nodes: Nodes, left: NDArray[np.intp], right: NDArray[np.intp], delta: tuple[float, float]) -> Floats:
    """Return where the line of the interval from node `left` to node `right` meets the threshold."""
    row = np.arange(len(left))

    def between(upper: Floats, lower: Floats) -> Floats:
        return upper[row % len(upper), right] - lower[row % len(lower), left]

    reference = between(nodes.upper_reference, nodes.lower_reference)
    slope = between(nodes.upper_candidate, nodes.lower_candidate) / 2 + delta[1]
    return np.divide(reference / 2 - delta[0], slope, out=np.full(len(row), np.inf), where=slope > 0)
