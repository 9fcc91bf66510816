"""Levels of many runs and subsets of runs, compiled: one visit of each value.

Imported only where numba is installed; ``resampling`` and ``representative`` have the twins in NumPy. Masses are the
same quotients of integers and lines are compared in the same order, so that both give the same levels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..._compiled import compiled
from .nodes import MAX_STEPS, SLACK

_SLACK, _STEPS = SLACK, MAX_STEPS


@compiled
def line(above: float, slope: float) -> float:
    """Return where a line that is `above` the threshold at zero meets it."""
    if slope > 0:
        return above / slope
    return math.inf if above > _SLACK else -math.inf


@compiled
def smallest_level(nodes: Any, size: int, d0: float, d1: float) -> float:
    """Return the smallest level of nodes [4, size] (see ``Nodes``), NaN where it does not settle."""
    p, q, r, s = nodes[0], nodes[1], nodes[2], nodes[3]
    plain = -math.inf
    for k in range(size):
        high, low = p[k] - q[k], s[k] - r[k]
        plain = high if high > plain else plain
        plain = low if low > plain else plain
    if not plain > d0 + d1 + _SLACK:
        return 0.0
    c = 1.0
    for k in range(size):
        c = max(c, line(p[k] - d0, q[k] + d1), line(1.0 - r[k] - d0, 1.0 - s[k] + d1))
    for _ in range(_STEPS):
        if c == math.inf:
            return math.inf
        root = interval_root(nodes, size, c, d0, d1)
        if not root > c:
            return 1.0 - 1.0 / c
        c = root
    return math.nan


@compiled
def interval_root(nodes: Any, size: int, c: float, d0: float, d1: float) -> float:
    """Return where the line of the worst interval at `c` meets the threshold; 0 if it is met already."""
    p, q, r, s = nodes[0], nodes[1], nodes[2], nodes[3]
    lowest, at, best, left, right = math.inf, 0, -math.inf, 0, 0
    for k in range(size):
        low = r[k] - s[k] * c
        if low < lowest:
            lowest, at = low, k
        gap = p[k] - q[k] * c - lowest
        if gap > best:
            best, left, right = gap, at, k
    if not best > 2 * (d0 + c * d1 + _SLACK):
        return 0.0
    slope = (q[right] - s[left]) / 2 + d1
    return ((p[right] - r[left]) / 2 - d0) / slope if slope > 0 else math.inf


@compiled
def distance(nodes: Any, size: int) -> float:
    """Return the distance at c = 1 of nodes [4, size]."""
    highest, lowest, widest = -math.inf, math.inf, -math.inf
    p, q, r, s = nodes[0], nodes[1], nodes[2], nodes[3]
    for k in range(size):
        high, low = p[k] - q[k], r[k] - s[k]
        highest = high if high > highest else highest
        lowest = low if low < lowest else lowest
        widest = high - lowest if high - lowest > widest else widest
    worst = max(highest, -lowest, 0.0)
    return max(worst, widest / 2)


@compiled
def set_nodes(nodes: Any, few: Any, size: int, mass: Any, trimmed: bool) -> int:
    """Fill nodes from few values (left, right, count) [3, size] and the other distribution's mass; return how many."""
    p, q, r, s = nodes[0], nodes[1], nodes[2], nodes[3]
    lefts, rights, times = few[0, :size], few[1, :size], few[2, :size]
    total = times.sum()
    done, own, last = 0, 0.0, 0.0
    for k in range(size):
        left, right = mass[lefts[k]], mass[rights[k]]
        done += times[k]
        reached = done / total
        if trimmed:
            p[k], q[k], r[k], s[k] = left, own, last, own
        else:
            p[k], q[k], r[k], s[k] = reached, right, own, left
        own, last = reached, right
    if not trimmed:
        return size
    p[size], q[size], r[size], s[size] = 1.0, own, last, own
    return size + 1


@compiled
def masses(merged: Any, pool: Any, examples: Any) -> Any:
    """Return the pool's cumulative mass [3, values + 1] by the counts of examples [3, examples]."""
    found = np.zeros((3, merged.shape[1] + 1))
    runs = pool.sum()
    for h in range(3):
        total, done = runs * examples[h].sum(), 0
        for k in range(merged.shape[1]):
            done += pool[merged[2, k]] * examples[h, merged[3, k]]
            found[h, k + 1] = done / total
    return found


@compiled
def judge(few: Any, sizes: Any, mass: Any, nodes: Any, delta: Any) -> tuple[float, float, float]:
    """Return both levels, and the distance, of few values [3 examples, 3, values] against the pool."""
    n = set_nodes(nodes, few[0], sizes[0], mass[1], True)
    first = smallest_level(nodes, n, delta[0], delta[1])
    n = set_nodes(nodes, few[1], sizes[1], mass[0], False)
    second = smallest_level(nodes, n, delta[0], delta[1])
    n = set_nodes(nodes, few[2], sizes[2], mass[2], True)
    return first, second, distance(nodes, n)


@compiled
def mixtures(merged: Any, place: Any, members: Any, mass: Any, examples: Any, delta: Any) -> Any:
    """Return [sizes, 3]: levels in both directions and distance of the mixtures of the first runs in an order.

    Parameters
    ----------
    merged : ndarray of int64 [4, values]
        Start, stop, run and example of the merged values.
    place : ndarray of int64 [runs]
        Place of each run in the order.
    members : ndarray of int64 [sizes]
        How many of the first runs.
    mass : ndarray [3, values + 1]
        The pool's cumulative mass on the candidates' examples, the reference's, and those of the distance.
    examples : ndarray of int64 [3, examples]
        How often each example counts for the candidates, for the reference, and for the distance.
    delta : ndarray [2]
        The threshold.
    """
    found = np.zeros((len(members), 3))
    few = np.empty((3, 4, merged.shape[1] + 1), np.int64)
    nodes = np.empty((4, merged.shape[1] + 2))
    sizes = np.zeros(3, np.int64)
    for h in range(3):
        sizes[h] = counted(few[h], merged, place, members[-1], examples[h])
    for m in range(len(members) - 1, -1, -1):  # the largest first: the values of fewer runs are among its values
        for h in range(3):
            sizes[h] = kept(few[h], sizes[h], members[m])
        found[m, 0], found[m, 1], found[m, 2] = judge(few, sizes, mass, nodes, delta)
    return found


@compiled
def counted(few: Any, merged: Any, place: Any, most: int, examples: Any) -> int:
    """Fill few values (left, right, count, place) with those of the first runs that count, and return how many.

    Each is written, and counted where it is one: branches cost more.
    """
    start, stop, runs, where = merged[0], merged[1], merged[2], merged[3]
    lefts, rights, times, places = few[0], few[1], few[2], few[3]
    at = 0
    for k in range(len(start)):
        of, often = place[runs[k]], examples[where[k]]
        lefts[at], rights[at], times[at], places[at] = start[k], stop[k], often, of
        at += (of < most) & (often > 0)
    return at


@compiled
def kept(few: Any, size: int, most: int) -> int:
    """Keep of few values those of the first runs, and return how many."""
    lefts, rights, times, places = few[0], few[1], few[2], few[3]
    at = 0
    for k in range(size):
        of = places[k]
        lefts[at], rights[at], times[at], places[at] = lefts[k], rights[k], times[k], of
        at += of < most
    return at


@compiled
def ensembles(ordered: Any, values: Any, orders: Any, equal_up_to: float, mass: Any, examples: Any, delta: Any) -> Any:
    """Return [sizes, 3] as `mixtures` does, for ensembles, whose values are not among the merged ones.

    Parameters
    ----------
    ordered : ndarray [values]
        The merged values.
    values, orders : ndarray [sizes, examples]
        Of the ensembles, and the positions that sort them.
    equal_up_to : float
        Values that differ by no more are equal.
    """
    found = np.zeros((len(values), 3))
    few = np.empty((3, 3, values.shape[1] + 1), np.int64)
    nodes = np.empty((4, values.shape[1] + 1))
    sizes = np.zeros(3, np.int64)
    for m in range(len(values)):
        sizes[:] = 0
        left = 0
        for at in range(values.shape[1]):
            k = orders[m, at]
            left = first_from(ordered, values[m, k] - equal_up_to, left)
            right = left
            while right < len(ordered) and ordered[right] <= values[m, k] + equal_up_to:
                right += 1
            for h in range(3):
                few[h, 0, sizes[h]], few[h, 1, sizes[h]], few[h, 2, sizes[h]] = left, right, examples[h, k]
                sizes[h] += examples[h, k] > 0
        found[m, 0], found[m, 1], found[m, 2] = judge(few, sizes, mass, nodes, delta)
    return found


@compiled
def first_from(ordered: Any, value: float, low: int) -> int:
    """Return the first position, from one that is not beyond it, of a value that is not below another."""
    high, step = low, 1
    while high < len(ordered) and ordered[high] < value:
        low, high, step = high + 1, high + step, 2 * step
    high = min(high, len(ordered))
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def pool_mass(counts: Any, example: Any, total: int) -> Any:
    """Return the cumulative mass [values + 1] of sorted values, each of an example that counts so often."""
    mass = np.empty(len(example) + 1)
    mass[0], done = 0.0, 0
    for k in range(len(example)):
        done += counts[example[k]]
        mass[k + 1] = done / total
    return mass


@compiled
def block_levels(order: Any, left: Any, right: Any, counts: Any, mass: Any, delta: Any) -> Any:
    """Return the level of each candidate [candidates] on examples that count so often, against a pool.

    Values of examples that do not count begin and end no set that is worse: they are skipped, without a branch.

    Parameters
    ----------
    order, left, right : ndarray of int [candidates, examples]
        Example of each sorted value, and where it falls in the pool.
    counts : ndarray of int [examples]
        How often each example counts.
    mass : ndarray [pooled values + 1]
        The pool's cumulative mass.
    delta : ndarray [2]
        The threshold.
    """
    total = counts.sum()
    owns = np.arange(total + 1) / total
    size = (counts > 0).sum()
    nodes = np.empty((4, size + 2))
    p, q, r, s = nodes[0], nodes[1], nodes[2], nodes[3]
    found = np.empty(len(order))
    for row in range(len(order)):
        examples, lefts, rights = order[row], left[row], right[row]
        at, done, last = 0, 0, 0.0
        for k in range(len(examples)):
            often = counts[examples[k]]
            p[at], q[at], r[at], s[at] = mass[lefts[k]], owns[done], last, owns[done]
            last = mass[rights[k]] if often > 0 else last
            at += often > 0
            done += often
        p[at], q[at], r[at], s[at] = 1.0, owns[done], last, owns[done]
        found[row] = smallest_level(nodes, at + 1, delta[0], delta[1])
    return found
