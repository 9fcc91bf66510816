"""One number over several tasks, with an interval by resampled runs that covers at few of them (scores 5.3, 5.4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._results import Part
from .one_arm import t_quantile
from .ranks import pairs_above
from .tasks import Cells, cell_means, cell_noise, satterthwaite

Floats = NDArray[np.float64]
AGGREGATES = ("mean", "median", "iqm", "optimality_gap")
AT_ONCE, _MOST_VALUES = 500, 400_000  # resamples, or their values, held in memory
_SMALL = 256  # numbers of runs that fit a byte


@dataclass(frozen=True, eq=False, kw_only=True)
class TaskAggregates(Part):
    """Aggregates over tasks of each arm.

    Attributes
    ----------
    mean, median, iqm, optimality_gap : ndarray of float64 [arms]
        Mean; median over tasks of the task means; mean of the middle half of all values of runs on tasks; and by how
        much those below `gamma` fall short of it on average.
    se_mean, df_mean : ndarray of float64 [arms]
        Standard error of the mean from the noise of runs, and its degrees of freedom.
    p_improvement : ndarray of float64 [arms, arms]
        Mean over tasks of the chance that a run of the first arm beats one of the second.
    """

    mean: Floats
    median: Floats
    iqm: Floats
    optimality_gap: Floats
    se_mean: Floats
    df_mean: Floats
    p_improvement: Floats


def aggregate(stacked: Floats, kind: str, gamma: float = 1.0) -> Floats:
    """Return an aggregate of values [..., runs, tasks] over runs and tasks."""
    if kind == "mean":
        return stacked.mean(axis=(-2, -1))
    if kind == "median":
        return _middle(stacked.mean(axis=-2), (stacked.shape[-1] - 1) // 2)
    if kind == "iqm":
        flat = stacked.reshape(*stacked.shape[:-2], -1)
        return _middle(flat, flat.shape[-1] // 4)
    return gamma - np.minimum(stacked, gamma).mean(axis=(-2, -1))


def _middle(values: Floats, cut: int) -> Floats:
    """Return the mean over the last axis without `cut` values at either end; of short rows sorting is the fastest."""
    return np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut].mean(axis=-1)


def aggregate_of(arm: Sequence[Floats], kind: str, gamma: float = 1.0) -> float:
    """Return an aggregate of one arm's cells [tasks], each of runs [n], which may differ in number."""
    from scipy.stats import trim_mean

    check_choice(kind, "aggregate", AGGREGATES)
    means = np.array([x.mean() for x in arm])
    if kind == "mean":
        return float(means.mean())
    if kind == "median":
        return float(np.median(means))
    values = np.concatenate(list(arm))
    if kind == "iqm":
        return float(trim_mean(values, 0.25))
    return gamma - float(np.mean([np.minimum(x, gamma).mean() for x in arm]))


def task_aggregates(cells: Cells, gamma: float = 1.0) -> TaskAggregates:
    """Return the aggregates over tasks of each arm, with the closed standard error of the mean."""
    noise, degrees = cell_noise(cells)
    found = {kind: np.array([aggregate_of(arm, kind, gamma) for arm in cells]) for kind in AGGREGATES}
    return TaskAggregates(
        se_mean=np.sqrt(noise.sum(axis=1)) / noise.shape[1],
        df_mean=np.array([satterthwaite(row, df) for row, df in zip(noise, degrees, strict=True)]),
        p_improvement=improvement(cells),
        **found,
    )


def improvement(cells: Cells) -> Floats:
    """Return the mean over tasks of the chance that a run of arm i beats one of arm j [arms, arms]; ties half."""
    k = len(cells)
    found = np.full((k, k), 0.5)
    for i in range(k):
        for j in range(i):
            shares = [pairs_above(y, x) / (len(x) * len(y)) for x, y in zip(cells[i], cells[j], strict=True)]
            found[i, j] = float(np.mean(shares))
            found[j, i] = 1 - found[i, j]
    return found


def profiles(cells: Cells, taus: ArrayLike) -> tuple[Floats, Floats]:
    """Return which share of values, and of task means, lies above each threshold [arms, taus]."""
    at = np.asarray(taus, np.float64)
    values = np.stack([np.mean([(x[:, None] > at).mean(axis=0) for x in arm], axis=0) for arm in cells])
    means = (cell_means(cells)[:, :, None] > at).mean(axis=1)
    return values, means


def resampled(arm: Sequence[Floats], draws: int, rng: np.random.Generator, *, stretched: bool = True) -> list[Floats]:
    """Return resamples of the runs of each cell [tasks], each [draws, n].

    Deviations from the cell's mean are stretched by ``sqrt(n / (n - 1))``, so that the spread of resampled means is the
    standard error and not less.
    """
    found: list[Floats] = []
    for x in arm:
        n = len(x)
        values = x.mean() + (x - x.mean()) * math.sqrt(n / (n - 1)) if stretched and n > 1 else x
        found.append(values[rng.integers(0, n, (draws, n))])
    return found


def _of_resamples(
    arm: Sequence[Floats], kind: str, gamma: float, draws: int, rng: np.random.Generator, *, stretched: bool = True
) -> Floats:
    """Return the aggregate of resamples of one arm's runs in each cell [draws]."""
    if len({len(x) for x in arm}) == 1:
        return aggregate(_stacked(arm, draws, rng, stretched=stretched), kind, gamma)
    samples = resampled(arm, draws, rng, stretched=stretched)
    means = np.stack([x.mean(axis=1) for x in samples], axis=-1)
    if kind == "mean":
        return means.mean(axis=-1)
    if kind == "median":
        return np.median(means, axis=-1)
    if kind == "iqm":
        from scipy.stats import trim_mean

        return np.asarray(trim_mean(np.concatenate(samples, axis=1), 0.25, axis=1), np.float64)
    return gamma - np.mean([np.minimum(x, gamma).mean(axis=1) for x in samples], axis=0)


def _stacked(arm: Sequence[Floats], draws: int, rng: np.random.Generator, *, stretched: bool) -> Floats:
    """Return resamples of cells with equal numbers of runs, all at once [draws, runs, tasks]."""
    values = np.stack(list(arm), axis=1)
    n, m = values.shape
    if stretched and n > 1:
        middle = values.mean(axis=0)
        values = middle + (values - middle) * math.sqrt(n / (n - 1))
    kind = np.uint8 if n <= _SMALL else np.int64  # small random numbers are drawn faster
    chosen = rng.integers(0, n, (draws, n, m), dtype=kind).astype(np.int64)
    chosen *= m
    chosen += np.arange(m)
    return values.ravel().take(chosen)


def _drawn(
    arms: Sequence[Sequence[Floats]], kind: str, gamma: float, draws: int, seed: int, *, stretched: bool = True
) -> Floats:
    """Return the aggregate of resamples of one arm, or the second less the first of two [draws]."""
    rng, parts = np.random.default_rng(seed), []
    at_once = max(1, min(draws, _MOST_VALUES // max(sum(len(x) for x in arm) for arm in arms)))
    for start in range(0, draws, at_once):
        size = min(at_once, draws - start)
        values = [_of_resamples(arm, kind, gamma, size, rng, stretched=stretched) for arm in arms]
        parts.append(values[-1] - values[0] if len(values) > 1 else values[0])
    return np.concatenate(parts)


def _noise_below(x: Floats, gamma: float) -> float:
    """Return the variance, over resamples of stretched runs [n], of the mean of what lies below `gamma`, or is it."""
    n = len(x)
    below = np.minimum(x.mean() + (x - x.mean()) * math.sqrt(n / (n - 1)), gamma) if n > 1 else x
    return float(below.var()) / n


def t_boot_interval(
    arms: Sequence[Sequence[Floats]],
    kind: str,
    confidence_level: float,
    *,
    gamma: float = 1.0,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Return an aggregate of one arm, or the second less the first of two, with its interval ("t-boot").

    Its standard error is the spread over stratified resamples with stretched deviations (of means, and so of the
    optimality gap, in closed form), and the degrees of freedom are those of the mean (Satterthwaite): percentile
    intervals cover 53 to 80 % at two runs of each task.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> arms = [[np.array([0.8, 0.9, 0.85])], [np.array([0.7, 0.75, 0.8])]]  # of each arm the runs by task
    >>> len(rs.methods.scores.t_boot_interval(arms, "mean", 0.95))
    3
    """
    check_choice(kind, "aggregate", AGGREGATES)
    estimates = [aggregate_of(arm, kind, gamma) for arm in arms]
    estimate = estimates[-1] - estimates[0] if len(arms) > 1 else estimates[0]
    noise, degrees = cell_noise(arms)
    df = satterthwaite(noise.ravel(), degrees.ravel())
    if math.isnan(df):
        return estimate, math.nan, math.nan
    if kind == "mean":
        se = math.sqrt(float(noise.sum())) / len(arms[0])
    elif kind == "optimality_gap":
        se = math.sqrt(sum(_noise_below(x, gamma) for arm in arms for x in arm)) / len(arms[0])
    else:
        se = float(_drawn(arms, kind, gamma, draws, seed).std(ddof=1))
    half = t_quantile((1 + confidence_level) / 2, df) * se
    return estimate, estimate - half, estimate + half


def percentile_interval(
    arms: Sequence[Sequence[Floats]],
    kind: str,
    confidence_level: float,
    *,
    gamma: float = 1.0,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the stratified percentile interval of rliable, which covers too little at few runs.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> arms = [[np.array([0.8, 0.9, 0.85])], [np.array([0.7, 0.75, 0.8])]]  # of each arm the runs by task
    >>> low, high = rs.methods.scores.percentile_interval(arms, "iqm", 0.95)
    >>> bool(low <= high)
    True
    """
    found = _drawn(arms, kind, gamma, draws, seed, stretched=False)
    low, high = np.quantile(found, [(1 - confidence_level) / 2, (1 + confidence_level) / 2])
    return float(low), float(high)
