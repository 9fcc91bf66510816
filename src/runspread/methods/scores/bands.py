"""Uncertainty over tasks by resampled runs: bands of profiles, of the chance to improve, and of ranks (scores 5.4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .aggregates import AT_ONCE, improvement, profiles, resampled
from .groups import wilson
from .one_arm import t_quantile
from .ranks import newcombe_interval
from .tasks import Cells, cell_noise, satterthwaite

Floats = NDArray[np.float64]


def profile_bands(
    cells: Cells, taus: ArrayLike, confidence_level: float, *, draws: int = 2000, seed: int = 0
) -> tuple[Floats, Floats]:
    """Return both ends of the pointwise bands of performance profiles [arms, taus].

    Each threshold has an interval of its own at the confidence level: that all of them hold together is not claimed.
    Resampled runs ("t-boot") say nothing where all or none of the runs lie above a threshold, and too little near to
    it, so that a band is at least as wide as Wilson's of as many runs.

    Parameters
    ----------
    cells : sequence of sequence of ndarray of float [arms][tasks][n]
        Runs; higher is better.
    taus : array_like of float [taus]
        Thresholds.
    confidence_level : float
        Of each threshold's interval.
    draws, seed : int
        Resamples, and the seed of the generator that draws them.
    """
    at = np.asarray(taus, np.float64)
    values, _ = profiles(cells, at)
    reach = np.stack([_reach([arm], _shares(at), confidence_level, draws, seed) for arm in cells])
    z = t_quantile((1 + confidence_level) / 2, math.inf)
    ends = [[wilson(share, runs, z) for share in row] for row, runs in zip(values.tolist(), _sizes(cells), strict=True)]
    low, high = np.moveaxis(np.array(ends).reshape(*values.shape, 2), -1, 0)
    return np.clip(np.minimum(values - reach, low), 0, 1), np.clip(np.maximum(values + reach, high), 0, 1)


def _sizes(cells: Cells) -> list[float]:
    """Return of how many runs the mean over tasks of shares of runs is worth, for each arm."""
    return [len(arm) ** 2 / sum(1 / len(x) for x in arm) for arm in cells]


def _shares(at: Floats) -> Callable[[Sequence[Sequence[Floats]]], Floats]:
    """Return what gives the share of values above each threshold in each resample [draws, taus] of one arm."""

    def shares(samples: Sequence[Sequence[Floats]]) -> Floats:
        return np.mean([(x[:, :, None] > at).mean(axis=1) for x in samples[0]], axis=0)

    return shares


def improvement_intervals(
    cells: Cells, confidence_level: float, *, draws: int = 2000, seed: int = 0
) -> tuple[Floats, Floats]:
    """Return both ends of the intervals of the chance that arm i beats arm j [arms, arms], averaged over tasks.

    By resampled runs ("t-boot"), and at least as wide as Newcombe's, as arms that lie apart in all runs leave resamples
    nothing to say.

    Parameters
    ----------
    cells : sequence of sequence of ndarray of float [arms][tasks][n]
        Runs; higher is better.
    confidence_level : float
        Of each interval.
    draws, seed : int
        Resamples, and the seed of the generator that draws them.
    """
    value, k = improvement(cells), len(cells)
    low, high = np.full((k, k), 0.5), np.full((k, k), 0.5)
    for i in range(k):
        for j in range(i):
            reach = float(_reach([cells[i], cells[j]], _wins, confidence_level, draws, seed))
            share, tasks = float(value[i, j]), len(cells[i])
            sizes = [tasks / sum(1 / len(x) for x in arm) for arm in (cells[i], cells[j])]
            least, most = newcombe_interval(share, sizes[0], sizes[1], confidence_level, tasks)
            low[i, j], high[i, j] = max(0.0, min(share - reach, least)), min(1.0, max(share + reach, most))
            low[j, i], high[j, i] = 1 - high[i, j], 1 - low[i, j]
    return low, high


def _wins(samples: Sequence[Sequence[Floats]]) -> Floats:
    """Return the share of pairs in which the first arm is above the second, over tasks, in each resample [draws]."""
    shares = [
        (x[:, :, None] > y[:, None, :]).mean(axis=(1, 2)) + (x[:, :, None] == y[:, None, :]).mean(axis=(1, 2)) / 2
        for x, y in zip(*samples, strict=True)
    ]
    return np.mean(shares, axis=0)


def _reach(
    arms: Cells, statistic: Callable[[Sequence[Sequence[Floats]]], Floats], level: float, draws: int, seed: int
) -> Floats:
    """Return the half-width of the interval of a statistic of some arms ("t-boot"); NaN without any spread of runs."""
    noise, degrees = cell_noise(arms)
    df = satterthwaite(noise.ravel(), degrees.ravel())
    found = np.concatenate([statistic(samples) for samples in _resamples(arms, draws, seed)])
    se = np.asarray(found.std(axis=0, ddof=1), np.float64)
    return se * (math.nan if math.isnan(df) else t_quantile((1 + level) / 2, df))


def _resamples(arms: Cells, draws: int, seed: int) -> Iterator[list[list[Floats]]]:
    """Yield resamples of all arms, some hundred at a time."""
    rng = np.random.default_rng(seed)
    for start in range(0, draws, AT_ONCE):
        yield [resampled(arm, min(AT_ONCE, draws - start), rng) for arm in arms]


def rank_probabilities(cells: Cells, *, draws: int = 2000, seed: int = 0) -> Floats:
    """Return in which share of resamples each arm has each rank of the mean over tasks [arms, ranks]; 1 is best.

    Parameters
    ----------
    cells : sequence of sequence of ndarray of float [arms][tasks][n]
        Runs; higher is better.
    draws, seed : int
        Resamples, and the seed of the generator that draws them; ties are broken by chance.
    """
    k, rng = len(cells), np.random.default_rng([seed, 1])
    found = np.zeros((k, k))
    for samples in _resamples(cells, draws, seed):
        means = np.stack([np.mean([x.mean(axis=1) for x in arm], axis=0) for arm in samples], axis=1)
        order = np.lexsort((rng.random(means.shape), -means), axis=1)
        for rank in range(k):
            found[:, rank] += np.bincount(order[:, rank], minlength=k)
    return found / draws
