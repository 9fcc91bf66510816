"""Intervals: of the distribution-wise variance, on this test set and on the population, and of the mean accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable

from .clusters import MeanVariance
from .sums import RunSums, number

Interval = tuple[float, float]
_UNDEFINED = (math.nan, math.nan)


def scaled_interval(value: float, degrees: float, level: float) -> Interval:
    """Return the chi-square interval of a variance estimated as `value` with `degrees` of freedom."""
    from scipy.special import gammaincinv

    tail = (1 - level) / 2
    low, high = (2 * float(gammaincinv(degrees / 2, q)) for q in (1 - tail, tail))
    return degrees * value / low, degrees * value / high


def fixed_interval(sums: RunSums, level: float) -> Interval:
    """Return the interval of the mean covariance between examples of this test set (spec 2.7)."""
    if sums.var_dist is None:
        return _UNDEFINED
    lift = number(sums.lift)
    low, high = scaled_interval(number(sums.var_test), sums.n_runs - 1, level)
    independent = number(sums.var_ind)
    return lift * (low - independent), lift * (high - independent)


def two_way_variance(sums: RunSums, runs: float, examples: float, se_null: float) -> float:
    """Return the sampling variance of ``var_dist`` over runs and examples from its two jackknives (spec 2.7)."""
    return max(runs, runs + examples - _shared(sums) - 2 * se_null**2)


def clustered_two_way_variance(sums: RunSums, clusters: float, se_null: float) -> float:
    """Return the sampling variance of ``var_dist`` over runs and clusters.

    That of runs is the normal distribution's, as in `fixed_interval`: the jackknife over a few runs overstates it, and
    the interval then covers too much. That of clusters is their jackknife, less what it counts of the runs' (spec 2.7).
    """
    runs = 2 * (number(sums.lift) * number(sums.var_test)) ** 2 / (sums.n_runs - 1)
    return runs + max(0.0, clusters - _shared(sums) - 2 * se_null**2)


def _shared(sums: RunSums) -> float:
    """Return the part of the sampling variance that both jackknives count: runs by examples."""
    if sums.var_test is None or sums.var_dist is None:
        return math.nan
    return 4 * max(0.0, float(sums.var_dist)) * float(sums.var_test - sums.var_dist) / (sums.n_runs - 1)


def satterthwaite(value: float, n_runs: int, two_way: float) -> float:
    """Return the degrees of freedom, between 1 and R-1, of the lifted test-set variance `value`."""
    if math.isnan(two_way):
        return math.nan
    degrees = 2 * value**2 / two_way if two_way > 0 else math.inf
    return min(n_runs - 1, max(1.0, degrees))


def population_interval(sums: RunSums, degrees: float, level: float) -> Interval:
    """Return the interval of the distribution-wise variance over runs and examples (spec 2.7)."""
    if math.isnan(degrees):
        return _UNDEFINED
    lift = number(sums.lift)
    low, high = scaled_interval(lift * number(sums.var_test), degrees, level)
    independent = lift * number(sums.var_ind)
    return low - independent, high - independent


def upper_end(sums: RunSums, two_way: float, level: float) -> float:
    """Return the upper end of the interval where the runs lie closer together than independent errors would.

    Their spread is then taken for that of independent errors, which it is at least in expectation: few runs with
    equal accuracies are no sign that all runs have them. NaN where no variance is defined.
    """
    if sums.var_dist is None:
        return math.nan
    lift, independent = number(sums.lift), number(sums.var_ind)
    value = lift * max(independent, number(sums.var_test))
    degrees = sums.n_runs - 1 if math.isnan(two_way) else satterthwaite(value, sums.n_runs, two_way)
    return scaled_interval(value, degrees, level)[1] - lift * independent


def any_distribution_interval(
    sums: RunSums, of_log: float, two_way: Callable[[float], float], level: float
) -> Interval:
    """Return the interval of the distribution-wise variance that does not take accuracies as normal over runs.

    A t interval of the logarithm of the test-set variance, whose sampling variance over runs is the delete-one
    jackknife's.

    Parameters
    ----------
    sums : RunSums
        The sums.
    of_log : float
        Jackknife variance over runs of the logarithm (`log_jackknife`).
    two_way : callable
        From a sampling variance of ``var_dist`` over runs to that over runs and examples.
    level : float
        Confidence level of the interval.
    """
    from scipy.special import stdtrit

    if sums.var_dist is None:
        return _UNDEFINED
    lift, independent = number(sums.lift), number(sums.var_ind)
    value = lift * number(sums.var_test)
    floor = lift * max(number(sums.var_test), independent)  # see `upper_end`
    if not (value > 0 and math.isfinite(of_log)):
        return -lift * independent, math.inf
    total = two_way(value**2 * of_log)
    reach = float(stdtrit(sums.n_runs - 1, (1 + level) / 2)) * math.sqrt(total) / value
    return value * math.exp(-reach) - lift * independent, floor * math.exp(min(reach, 700.0)) - lift * independent


def mean_interval(sums: RunSums, of_mean: MeanVariance, size: int, level: float, *, new_runs: bool = True) -> Interval:
    """Return the interval of the mean accuracy on the distribution (`evals.md` 2.2 and 2.4).

    Wilson's, with the effective number of examples and a t quantile, so that it has width where all runs are right on
    all examples. With one run it covers the noise of examples alone.

    Parameters
    ----------
    sums : RunSums
        The sums.
    of_mean : MeanVariance
        Of the mean over runs of each example's correctness, over examples or clusters.
    size : int
        Number of examples, or of clusters: the effective number where no spread is seen.
    level : float
        Confidence level of the interval.
    new_runs : bool
        Whether it covers the noise of runs too, where there are two or more.
    """
    from scipy.special import stdtrit

    mean, examples = float(sums.mean_acc), of_mean.variance
    if math.isnan(examples) or of_mean.degrees <= 0:
        return _UNDEFINED
    total, degrees = examples, of_mean.degrees
    if new_runs and sums.var_dist is not None:
        runs, real = number(sums.var_test) / sums.n_runs, number(sums.var_dist) / sums.n_runs
        total = max(examples, examples + real)
        noise = examples**2 / of_mean.degrees + runs**2 / (sums.n_runs - 1)
        noise += (runs - real) ** 2 / ((sums.n_runs - 1) * of_mean.degrees)
        degrees = max(1.0, total**2 / noise) if noise > 0 else of_mean.degrees
    spread = mean * (1 - mean)
    effective = spread / total if spread > 0 and total > 0 else float(size)
    z = float(stdtrit(degrees, (1 + level) / 2)) ** 2 / effective
    centre, half = (mean + z / 2) / (1 + z), math.sqrt(spread * z + z * z / 4) / (1 + z)
    return max(0.0, centre - half), min(1.0, centre + half)
