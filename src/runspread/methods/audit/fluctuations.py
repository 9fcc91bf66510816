"""Runs whose losses fluctuate together from step to step: that the same batches came in the same order.

The minibatch decides much of the loss of a step, so runs with the same batches share a part of their noise. A schedule
is common to all runs as well, and is no noise: it is smooth, or it comes back (restarts, tasks in turn), or it jumps
now and then. Two questions are asked:

1. Is a pair of runs more alike than pairs of runs are? The mean curve over runs is taken out, and the schedule with it.
2. Is what runs have in common noise? Then they agree at equal steps, and at no lag between them. Where they agree at a
   lag too, what comes back after that lag is taken out, and they are asked again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_LEVEL = 0.001  # chance of a pair that agrees, over all pairs of an audit
_CORRELATION = 0.3  # less is no matter
_TREND = 7  # points of the line that is taken for the trend at a point
_LOCAL = 31  # points over which the size of fluctuations is taken
_CLIP = 2.5  # sizes; one wild step is not to decide
_AGREES = 3.5  # standard errors from which on runs agree at a lag
_SHARE = 0.2  # and of their agreement at equal steps
_FAR = 5.0  # standard errors where the lag is long and has come once or twice
_MULTIPLES = 4
_ALL_ALIKE = 0.4  # mean correlation from which on all runs have noise in common, and not what a schedule left
_ROUNDS = 4
_PAIRS = 1000  # of runs that agree, at which is looked whether they do so at a lag too
_WILD = 4.0  # sizes beyond which a point says nothing of the trend around it
_MOST_STEPS = 0.5
_STEP = 4  # points before and after a lasting step
_SLOW = 0.25  # autocorrelation from which on noise is whitened
_ROUNDING = 1e-6  # of the loss: what single precision leaves of a schedule

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def fluctuate_together(losses: Floats, asked: Flags, looks: int) -> Flags:
    """Return which pairs of runs have fluctuations of the loss in common, beyond chance and schedule.

    Parameters
    ----------
    losses : ndarray of float [runs, points]
        Finite; two runs or more of one configuration.
    asked : ndarray of bool [runs, runs]
        Pairs that are looked at.
    looks : int
        Pairs that are looked at in all configurations, over which the level holds.

    Returns
    -------
    ndarray of bool [runs, runs]
        In the upper triangle.
    """
    asked = np.triu(asked, 1)
    whole = _whitened(losses)
    curves = _tamed(whole)
    points = curves.shape[1]
    wild = (curves != whole).any(axis=0)
    found = _more_alike(curves, losses, asked, looks) if len(curves) > 3 else np.zeros_like(asked)
    periods: list[int] = []
    for _ in range(_ROUNDS):
        inflation = _inflation(periods, points)
        noise = _fluctuations(curves, periods)
        values = _standardised(noise, losses)
        if periods:  # how much was cut off says nothing, nor does a start that never comes back
            values[:, wild | (np.arange(points) < max(periods))] = 0.0
        pairs = asked & (_correlations(values) > _limit(values, inflation, looks))
        lag = _comes_back(values, pairs, inflation)
        if lag is None:
            steps = _steps(_trend(curves, periods) + noise)
            if steps.mean() > _MOST_STEPS:  # what is left is too little, and chosen
                return found
            values = np.where(steps, 0.0, values)
            pairs &= _correlations(values) > _limit(values, inflation, looks)
            lag = _comes_back(values, pairs, inflation)
        if lag is None:
            # what is left of a schedule that was taken out lifts some pairs; those are the first question's
            left = bool(periods) and len(curves) > 3 and float(_correlations(values)[asked].mean()) < _ALL_ALIKE
            return found if left else found | pairs
        if lag in (1, *periods) or lag > points // 4:  # smooth, or too seldom or too unlike to be taken out
            break
        periods.append(lag)
    return found


def _more_alike(curves: Floats, losses: Floats, asked: Flags, looks: int) -> Flags:
    """Return pairs that agree without the mean over runs, which leaves honest pairs at -1 / (runs - 1).

    Where runs differ a lot at a step, as they do in how much a switch of tasks costs them, it counts for no more.
    """
    own = _without_mean(_fluctuations(curves))
    size = np.abs(own).mean(axis=0)
    usual = _smooth(size)
    own = _standardised(own * np.where(size > usual, usual / np.where(size > 0, size, 1.0), 1.0), losses)
    inflation = _inflation([], curves.shape[1])
    pairs = asked & (_correlations(own) + 1 / (len(own) - 1) > _limit(own, inflation, looks))
    if _comes_back(own, pairs, inflation) is not None:
        return np.zeros_like(pairs)
    leaps = np.convolve(_steps(_whitened(losses)), np.ones(_TREND), "same") > 0.5
    rest = np.where(leaps, 0.0, own)  # where the mean leaps, runs differ in how far they do, and the trend follows
    return pairs & (_correlations(rest) + 1 / (len(own) - 1) > _limit(rest, inflation, looks))


def _limit(values: Floats, inflation: float, looks: int) -> float:
    """Return the correlation that no pair of runs with noise of their own reaches, but with probability `_LEVEL`."""
    from scipy.special import ndtri

    told = max(int((values != 0).any(axis=0).sum()), 1)
    beyond = float(-ndtri(_LEVEL / looks))
    return max(_CORRELATION, beyond * math.sqrt(inflation / told))


def _correlations(values: Floats) -> Floats:
    unit = _unit(values)
    return unit @ unit.T


def _without_mean(noise: Floats) -> Floats:
    """Return what is left of each run without the mean over runs, which it may follow more or less than others."""
    size = _size(noise)
    scaled = noise / np.where(size > 0, size, 1.0)
    mean = scaled.mean(axis=0)
    common = float(mean @ mean)
    return (scaled - np.outer(scaled @ mean / common, mean)) * size if common else noise


# ------------------------------------------------------------------ what is not noise


def _local_line(curves: Floats, width: int) -> Floats:
    """Return the line through `width` points around each point, at that point."""
    points = curves.shape[1]
    width = min(width, points)
    first = np.clip(np.arange(points) - width // 2, 0, points - width)
    at, middle = np.arange(points), first + (width - 1) / 2
    edge = np.zeros((len(curves), 1))
    sums, moments = (np.hstack([edge, np.cumsum(values, axis=1)]) for values in (curves, curves * at))
    total = sums[:, first + width] - sums[:, first]
    moment = moments[:, first + width] - moments[:, first] - middle * total
    return total / width + (at - middle) * moment / (width * (width**2 - 1) / 12)


def _fluctuations(curves: Floats, periods: Sequence[int] = ()) -> Floats:
    """Return what is left without the trend, and without what comes back after one of the periods.

    The trend is taken over whole periods, where they are short, so that it does not follow them. Taken out is the mean
    of the points one and two periods before and after.
    """
    rest = curves - _trend(curves, periods)
    for period in periods:
        total, count = np.zeros_like(rest), np.zeros(rest.shape[1])
        for shift in (period, 2 * period):
            total[:, :-shift] += rest[:, shift:]
            total[:, shift:] += rest[:, :-shift]
            count[:-shift] += 1
            count[shift:] += 1
        rest = rest - total / np.maximum(count, 1)
    return rest


def _tamed(curves: Floats) -> Floats:
    """Return the curves without what is far from their trend: a switch of tasks lifts the loss for a few steps."""
    for _ in range(3):
        trend = _local_line(curves, _TREND)
        limit = _WILD * _size(curves - trend)
        curves = trend + np.clip(curves - trend, -limit, limit)
    return curves


def _trend(curves: Floats, periods: Sequence[int]) -> Floats:
    short = [period * math.ceil(_TREND / period) for period in periods if period < _TREND]
    return _local_line(curves, max(short, default=_TREND))


def _inflation(periods: Sequence[int], points: int) -> float:
    """Return how much more than ``1 / points`` the squared correlation of independent noise is, so filtered."""
    points = min(points, 4 * sum(periods) + 100)
    response = _fluctuations(np.eye(points), periods)
    covariance = np.einsum("it,iu->tu", response, response)
    size = np.sqrt(np.diag(covariance))
    return float(np.square(covariance / np.outer(size, size)).sum() / points)


def _standardised(noise: Floats, losses: Floats) -> Floats:
    """Return fluctuations in units of their size around a step, clipped; zero where they are no more than rounding."""
    size = _size(noise)
    level = np.abs(losses[:, -noise.shape[1] :]).mean(axis=0)
    told = size > _ROUNDING * level
    return np.clip(np.where(told, noise / np.where(told, size, 1.0), 0.0) / 1.2, -_CLIP, _CLIP)


def _size(noise: Floats) -> Floats:
    """Return the size of fluctuations around each step, common to the runs; one wild step does not count."""
    return _smooth(np.abs(noise).mean(axis=0))


def _smooth(values: Floats) -> Floats:
    from scipy.ndimage import median_filter

    return median_filter(values, min(_LOCAL, len(values) // 2 * 2 - 1), mode="nearest")


def _unit(values: Floats) -> Floats:
    """Return rows without their mean, of length one; zero where they are constant."""
    values = values - values.mean(axis=1, keepdims=True)
    size = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(size > 0, size, 1.0)


def _steps(curves: Floats) -> Flags:
    """Return the points around which the mean curve makes a lasting step, or one that is far out of the ordinary.

    A switch to another task does that to all runs.
    """
    noise = _fluctuations(curves)
    points = curves.shape[1]
    size = _size(noise)
    size = np.maximum(size, max(1e-9 * float(size.max()), 1e-300))
    together = np.abs((noise / size).mean(axis=0))
    out = np.convolve(together > 6 * np.median(together), np.ones(3), "same") > 0
    mean = curves.mean(axis=0) / size
    sums = np.concatenate([[0.0], np.cumsum(mean)])
    at = np.arange(_STEP, points - _STEP + 1)
    change = (sums[at + _STEP] - 2 * sums[at] + sums[at - _STEP]) / _STEP
    change = np.abs(change - _smooth(change))
    bends = np.diff(mean, 2)
    error = 1.4826 * float(np.median(np.abs(bends - np.median(bends)))) / math.sqrt(6) * math.sqrt(2 / _STEP)
    for place in np.flatnonzero(change > 4.5 * error):
        if change[place] >= change[max(0, place - 3) : place + 4].max():
            out[max(0, at[place] - _STEP) : at[place] + _STEP] = True
    return out


# ------------------------------------------------------------------ lags


def _comes_back(values: Floats, pairs: Flags, inflation: float) -> int | None:
    """Return the shortest lag after which runs agree with each other again, None where they do not; 1 is smooth.

    Agreement at a lag is taken over its multiples: what comes back does so more than once, and each time about as well.
    """
    agree = np.argwhere(pairs)
    if not len(agree):
        return None
    agree = agree[:: -(-len(agree) // _PAIRS)]
    across, points = _across_runs(_unit(values), agree), values.shape[1]
    error = math.sqrt(inflation / points * (across[0] ** 2 + (1 - across[0] ** 2) / (2 * len(agree))))
    lags = np.arange(len(across))
    score, share = np.zeros(len(across)), np.zeros(len(across))
    for lag in lags[1:]:
        again = across[lag::lag][: _MULTIPLES if lag > 1 else 1]
        if across[lag] >= 0.6 * again.max():
            score[lag] = again.sum() / (error * math.sqrt(len(again)))
            share[lag] = again.mean() / across[0]
    agrees = (share > _SHARE) & (score > np.where(lags < 0.75 * len(lags), _AGREES, _FAR))
    if not agrees.any():
        return None
    return int(np.flatnonzero(agrees & (score > 0.8 * score[agrees].max()))[0])


def _across_runs(unit: Floats, agree: NDArray[np.intp]) -> Floats:
    """Return the mean correlation of the pairs at each lag up to a third of the points."""
    points = unit.shape[1]
    waves = {run: np.fft.rfft(unit[run], 2 * points) for run in np.unique(agree).tolist()}
    power = np.zeros(points + 1)
    for first, second in agree.tolist():
        power += (waves[first].conj() * waves[second]).real
    lagged = np.fft.irfft(power, 2 * points)[: points // 3 + 1]
    return lagged * points / (points - np.arange(len(lagged))) / len(agree)


# ------------------------------------------------------------------ noise that is no noise from step to step


def _whitened(losses: Floats) -> Floats:
    """Return the curves as differences, where the runs' own noise lasts over steps, as that of smoothed losses does."""
    own = _fluctuations(losses - losses.mean(axis=0))
    own = _standardised(own, losses)
    total = float(np.square(own).sum())
    if not total:
        return losses
    seen = float((own[:, 1:] * own[:, :-1]).sum()) / total
    lasts = float(np.interp(seen, *_autocorrelations()))
    return losses[:, 1:] - lasts * losses[:, :-1] if lasts > _SLOW else losses


def _autocorrelations() -> tuple[Floats, Floats]:
    """Return lag-one autocorrelations that are seen without the trend, and those that noise has."""
    response = _fluctuations(np.eye(41))[:, 20]
    filtered = np.correlate(response, response, "full")
    true = np.arange(0.0, 1.0, 0.05)
    seen: list[float] = []
    for value in true:
        correlation = np.convolve(value ** np.abs(np.arange(-200, 201)), filtered)
        middle = len(correlation) // 2
        seen.append(float(correlation[middle + 1] / correlation[middle]))
    return np.array(seen), true
