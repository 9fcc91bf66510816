"""Simpson's paradox over a corpus.

Models in partitions (depths) whose target and metrics have means that depend on the depth. "Depth-only" metrics follow
the depth alone; r is the correlation of metric and target inside every partition. A verdict counts once a table.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import runspread as rs
from simulations.promises import Promise, promise

AT_MOST = (0.0, 0.05)
TAU = 2 / np.pi * np.arcsin(0.5)  # of a normal pair with r = 0.5


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    yield from depth_only(max(40, round(200 * scale)))
    for groups, size in ((4, 10), (3, 6), (3, 20), (4, 100)):
        yield from tracking(groups, size, max(60, round(400 * scale)))


def table(rng: np.random.Generator, groups: int, size: int, r: float, metrics: int, ties: bool = False) -> dict:
    """Return models whose metrics follow the depth, and the target inside with correlation r."""
    depth = np.repeat(np.arange(groups), size)
    inner = rng.normal(size=groups * size)
    target = inner + 1.5 * depth
    columns = {"depth": depth, "test_accuracy": np.round(target, 0) if ties else target}
    for k in range(metrics):
        noise = rng.normal(size=groups * size)
        columns[f"m{k}"] = -2.0 * depth + r * inner + np.sqrt(1 - r * r) * noise
    return columns


def depth_only(sets: int) -> Iterator[Promise]:
    """Call no metric a reversal that follows depth only."""
    for metrics, groups, size in ((10, 4, 10), (20, 4, 10), (20, 3, 6)):
        rng = np.random.default_rng([1, metrics, size])
        found = [rs.paradox(table(rng, groups, size, 0.0, metrics)) for _ in range(sets)]
        wrong = [any(one.verdict == "reversal" for one in each.analyses) for each in found]
        setting = f"{metrics} depth-only metrics, {groups} x {size} models"
        yield promise("a metric is a reversal, where none is", setting, AT_MOST, wrong)


def tracking(groups: int, size: int, sets: int) -> Iterator[Promise]:
    """Call no metric aggregate only that tracks the target inside, and cover its tau."""
    for ties in (False, True):
        rng = np.random.default_rng([2, groups, size])
        found = [rs.paradox(table(rng, groups, size, 0.5, 1, ties), n_resamples=200)["m0"] for _ in range(sets)]
        setting = f"r = 0.5 inside, {groups} x {size} models" + (", target in whole numbers" if ties else "")
        wrong = [one.verdict == "aggregate_only" for one in found]
        yield promise("aggregate only, where the metric tracks the target inside", setting, AT_MOST, wrong)
        if not ties:
            covered = [one.tests.tau_within_interval[0] <= TAU <= one.tests.tau_within_interval[1] for one in found]
            yield promise("95 % interval of tau inside partitions", setting, (0.92, 1.0), covered)
    rng = np.random.default_rng([3, groups, size])
    unrelated = [rs.paradox(table(rng, groups, size, 0.0, 1), n_resamples=200)["m0"] for _ in range(sets)]
    shown = [one.p_within < 0.05 for one in unrelated]
    setting = f"depth-only metric, {groups} x {size} models"
    yield promise("an association inside partitions, where none is", setting, AT_MOST, shown)
