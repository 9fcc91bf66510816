"""One arm, one number per run: moments, intervals, best of N, a target, outliers (scores 2)."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ..._results import Part
from .._statistics import deviations
from ..variance.power import Rejection

Floats = NDArray[np.float64]
_NODES = 400  # of the noncentral t: with 80 an interval far out is off in its fourth digit
_OUTLIER_LEVEL, _FEWEST_FOR_OUTLIERS = 0.01, 6
_SMALL, _LARGE = 1e-150, 1e150  # beyond, squares leave the range of doubles
_EQUAL_UP_TO = 64 * float(np.finfo(np.float64).eps)  # of the largest: what sums of equal numbers differ by
_MANY = 60  # runs above which binomials are taken as logarithms
_ALL_SIZES, _MOST_WORK = 2000, 10**7  # runs up to which every number of them has a best; runs times numbers beyond
_FOLDS = 30  # a run is dropped from the best of N where its weight falls below exp(-30)
_MOST_OUTLIERS = 2000  # that are looked for among many runs


@dataclass(frozen=True, eq=False, kw_only=True)
class Moments(Part):
    """Mean, spread and middle of the runs of one arm; NaN where one run alone has none.

    Attributes
    ----------
    n : int
        Runs.
    mean, sd, se : float
        Mean, standard deviation (divisor n - 1) and standard error of the mean.
    median, iqm : float
        Median, and mean of the middle half (a quarter of the runs is cut from each end).
    """

    n: int
    mean: float
    sd: float
    se: float
    median: float
    iqm: float


@dataclass(frozen=True, eq=False, kw_only=True)
class ArmIntervals(Part):
    """Intervals from the runs of one arm, exact where runs are normal.

    Attributes
    ----------
    mean_lo, mean_hi : float
        Of the mean (Student's t).
    sd_lo, sd_hi : float
        Of the standard deviation (chi-square); too short where runs are skewed or have heavy tails.
    next_lo, next_hi : float
        Of the next run.
    """

    mean_lo: float
    mean_hi: float
    sd_lo: float
    sd_hi: float
    next_lo: float
    next_hi: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Target(Part):
    """The runs of one arm against a number.

    Attributes
    ----------
    t_target, p_target, p_target_better : float
        One-sample t, its two-sided p, and the one-sided p that the mean is on the good side.
    beat_count : int
        Runs strictly better than the target.
    beat_rate, beat_lo, beat_hi : float
        Their share, with Clopper and Pearson's interval.
    beat_normal, beat_normal_lo, beat_normal_hi : float
        Chance that the next run is better, if runs are normal, with its interval.
    """

    t_target: float
    p_target: float
    p_target_better: float
    beat_count: int
    beat_rate: float
    beat_lo: float
    beat_hi: float
    beat_normal: float
    beat_normal_lo: float
    beat_normal_hi: float


def equal_but_for_rounding(x: Floats, size: float) -> bool:
    """Return whether values differ by no more than rounding leaves of numbers of some size: 0.1 + 0.2 and 0.3 do."""
    return float(x.max() / 2 - x.min() / 2) <= size / 2 * _EQUAL_UP_TO  # halves do not overflow


def standard_deviation(x: Floats) -> float:
    """Return the standard deviation (divisor n - 1): exactly 0 for values equal but for rounding, NaN for one.

    Values are scaled by the largest, so that neither 1e308 nor 1e-308 overflows or vanishes when squared.
    """
    if len(x) < 2:
        return math.nan
    if equal_but_for_rounding(x, float(np.abs(x).max())):
        return 0.0
    size = float(np.abs(x).max())
    if size and not _SMALL < size < _LARGE:
        return size * standard_deviation(x / size)
    apart = deviations(x)
    largest = float(np.abs(apart).max())
    if not largest:
        return 0.0
    return largest * math.sqrt(float(np.square(apart / largest).sum()) / (len(x) - 1))


def mean_of(x: Floats) -> float:
    """Return the mean, without overflow, the same in any order of the runs, and the value where all are equal."""
    if not len(x):
        return math.nan
    if np.ptp(x) == 0:
        return float(x[0])
    return math.fsum(x) / len(x) if float(np.abs(x).max()) < 1e300 else math.fsum(x / len(x))


def moments(x: Floats) -> Moments:
    """Return mean, spread and middle of the runs [n]."""
    sd = standard_deviation(x)
    return Moments(
        n=len(x),
        mean=mean_of(x),
        sd=sd,
        se=sd / math.sqrt(len(x)) if len(x) else math.nan,
        median=float(np.median(x)) if len(x) else math.nan,
        iqm=mean_of(np.sort(x)[len(x) // 4 : len(x) - len(x) // 4]),
    )


@functools.lru_cache(maxsize=4096)
def t_quantile(probability: float, degrees: float) -> float:
    """Return the quantile of Student's t; of the normal distribution at infinite degrees."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(probability)) if math.isinf(degrees) else float(stdtrit(degrees, probability))


def t_above(value: float, degrees: float) -> float:
    """Return the probability that Student's t is above `value`, small ones without loss."""
    from scipy.special import ndtr, stdtr

    return float(ndtr(-value)) if math.isinf(degrees) else float(stdtr(degrees, -value))


def arm_intervals(x: Floats, level: float, floor: float = 0.0) -> ArmIntervals:
    """Return the intervals at `level` from the runs [n], the error of the mean at least `floor`; NaN for one run."""
    from scipy.special import chdtri

    n, mean, sd = len(x), mean_of(x), standard_deviation(x)
    if n < 2:
        return ArmIntervals(**dict.fromkeys((field.name for field in fields(ArmIntervals)), math.nan))
    t = t_quantile((1 + level) / 2, n - 1)
    near, far = t * max(sd / math.sqrt(n), floor), t * sd * math.sqrt(1 + 1 / n)
    low, high = (float(chdtri(n - 1, tail)) for tail in ((1 - level) / 2, (1 + level) / 2))
    return ArmIntervals(
        mean_lo=mean - near,
        mean_hi=mean + near,
        sd_lo=sd * math.sqrt((n - 1) / low),
        sd_hi=sd * math.sqrt((n - 1) / high),
        next_lo=mean - far,
        next_hi=mean + far,
    )


def bca_interval(x: Floats, level: float, seed: int = 0) -> tuple[float, float]:
    """Return the bias-corrected and accelerated bootstrap interval of the mean of runs [n] (9,999 resamples)."""
    from scipy.stats import bootstrap

    found = bootstrap((x,), np.mean, confidence_level=level, method="BCa", random_state=seed).confidence_interval
    return float(found.low), float(found.high)


def best_of(x: Floats, *, lower: bool) -> Floats:
    """Return the expected best of N runs drawn without replacement (unbiased; Tang et al. 2020), for N from 1 on.

    Up to n, the number of runs; of more than 3,000 runs up to ten million over n, as all of them take the square of n.
    """
    from scipy.special import comb, gammaln

    n = len(x)
    sizes = n if n <= _ALL_SIZES else min(n, _MOST_WORK // n)
    if not n or np.ptp(x) == 0:
        return x[:sizes].copy()
    ordered = np.sort(x)[::-1] if lower else np.sort(x)
    if n > _ALL_SIZES:
        return np.array([_best_of_many(ordered, size) for size in range(1, sizes + 1)])
    before, size = np.arange(n)[None, :], np.arange(1, n + 1)[:, None]
    if n <= _MANY:
        weights = comb(before, size - 1) / comb(n, size)
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            log = gammaln(before + 1) - gammaln(size) - gammaln(np.maximum(before - size, -1) + 2)
            log -= gammaln(n + 1) - gammaln(size + 1) - gammaln(n - size + 1)
        weights = np.where(before >= size - 1, np.exp(np.minimum(log, 0.0)), 0.0)
        weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray((weights * ordered).sum(axis=1), np.float64)


def _best_of_many(ordered: Floats, size: int) -> float:
    """Return the expected best of `size` of many runs, the best last, from those that are likely to be it."""
    n = len(ordered)
    few = min(n, math.ceil(_FOLDS * n / size) + 1)  # the chance of any run below is under exp(-_FOLDS)
    place = np.arange(n, n - few, -1)
    falls = (place[:-1] - size) / np.maximum(place[:-1] - 1, 1)
    weights = np.concatenate([[1.0], np.cumprod(np.maximum(falls, 0.0))])
    return float((weights * ordered[::-1][:few]).sum() / weights.sum())


def share_interval(count: int, n: int, level: float) -> tuple[float, float]:
    """Return Clopper and Pearson's interval of a share."""
    from scipy.stats import binomtest

    found = binomtest(count, n).proportion_ci(level, "exact")
    return float(found.low), float(found.high)


def noncentral_above(value: float, degrees: int, noncentrality: float) -> float:
    """Return the probability that a noncentral t is above `value`, by quadrature (SciPy's is NaN far out)."""
    rejection = Rejection(np.array([value]), np.ones(1), degrees, 1.0, 1, _NODES)
    return float(rejection.power(noncentrality)[0])


def noncentrality_interval(t: float, degrees: int, level: float) -> tuple[float, float]:
    """Return the noncentralities under which `t` is a quantile at each end of `level`."""
    from scipy.optimize import brentq

    def end(tail: float) -> float:
        def excess(value: float) -> float:
            return noncentral_above(t, degrees, value) - tail

        near, far = t - 1.0, t + 1.0
        step = 1.0 + abs(t) / 2
        while excess(near) > 0:
            near, step = near - step, 2 * step
        step = 1.0 + abs(t) / 2
        while excess(far) < 0:
            far, step = far + step, 2 * step
        return float(brentq(excess, near, far, xtol=1e-13 * max(1.0, abs(t)), rtol=1e-13))

    return end((1 - level) / 2), end((1 + level) / 2)


def against_target(x: Floats, target: float, level: float, *, lower: bool, is_run: bool = False) -> Target:
    """Return how the mean and the next run stand to a number; NaN where the runs have no spread.

    Where the number is itself one run (`is_run`), the test counts its noise as that of the runs.
    """
    from scipy.special import ndtr

    n, sign = len(x), -1 if lower else 1
    count = int(np.count_nonzero(sign * (x - target) > 0))
    low, high = share_interval(count, n, level)
    sd = standard_deviation(x)
    tested = p = better = rate = rate_lo = rate_hi = math.nan
    if sd > 0:
        t = (mean_of(x) - target) / (sd / math.sqrt(n))
        tested = (mean_of(x) - target) / (sd * math.sqrt(1 + 1 / n)) if is_run else t
        p, better = 2 * t_above(abs(tested), n - 1), t_above(sign * tested, n - 1)
        rate = float(ndtr(sign * t / math.sqrt(n)))
        ends = noncentrality_interval(sign * t, n - 1, level)
        rate_lo, rate_hi = (float(ndtr(value / math.sqrt(n))) for value in ends)
    return Target(
        t_target=tested,
        p_target=p,
        p_target_better=better,
        beat_count=count,
        beat_rate=count / n,
        beat_lo=low,
        beat_hi=high,
        beat_normal=rate,
        beat_normal_lo=rate_lo,
        beat_normal_hi=rate_hi,
    )


def outliers(x: Floats) -> NDArray[np.int64]:
    """Return the positions of outliers by the generalised ESD test (Rosner 1983), in the order of the runs."""
    n = len(x)
    if n < _FEWEST_FOR_OUTLIERS:
        return np.zeros(0, np.int64)
    if n > _ALL_SIZES:
        return _outliers_of_many(x)
    left, removed, found = list(range(n)), [], 0
    for number in range(max(1, n // 5)):
        values = x[left]
        sd, m = standard_deviation(values), len(left)
        if not sd > 0:
            break
        apart = np.abs(values - mean_of(values)) / sd
        furthest = int(np.argmax(apart))
        t = t_quantile(1 - _OUTLIER_LEVEL / (2 * m), m - 2)
        removed.append(left.pop(furthest))
        if apart[furthest] > t * (m - 1) / math.sqrt((m - 2 + t * t) * m):
            found = number + 1
    return np.array(sorted(removed[:found]), np.int64)


def _outliers_of_many(x: Floats) -> NDArray[np.int64]:
    """Return the same for many runs: what is removed is always at an end of the sorted ones, whose sums are kept."""
    from scipy.special import stdtrit

    order = np.argsort(x, kind="stable")
    y = deviations(x)[order]
    values, low, high = y.tolist(), 0, len(x) - 1
    total, squares = math.fsum(values), math.fsum((y * y).tolist())
    removed: list[int] = []
    apart: list[float] = []
    for _ in range(min(len(x) // 5, _MOST_OUTLIERS)):
        m = high - low + 1
        mean, variance = total / m, (squares - total * total / m) / (m - 1)
        if not variance > 0:
            break
        at = low if mean - values[low] >= values[high] - mean else high
        apart.append(abs(values[at] - mean) / math.sqrt(variance))
        removed.append(at)
        low, high = (low + 1, high) if at == low else (low, high - 1)
        total, squares = total - values[at], squares - values[at] ** 2
    m = len(x) - np.arange(len(apart))
    t = stdtrit(m - 2, 1 - _OUTLIER_LEVEL / (2 * m))
    beyond = np.flatnonzero(np.array(apart) > t * (m - 1) / np.sqrt((m - 2 + t * t) * m))
    return np.sort(order[removed[: int(beyond[-1]) + 1 if len(beyond) else 0]]).astype(np.int64)
