"""Intervals for the distribution-wise variance: for this test set, and for the population that it was drawn from."""

from __future__ import annotations

import math

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
    factor = sums.n_examples / (sums.n_examples - 1)
    low, high = scaled_interval(number(sums.var_test), sums.n_runs - 1, level)
    independent = number(sums.var_ind)
    return factor * (low - independent), factor * (high - independent)


def two_way_variance(sums: RunSums, runs: float, examples: float, se_null: float) -> float:
    """Return the sampling variance of ``var_dist`` over runs and examples from its two jackknives (spec 2.7)."""
    shared = 4 * max(number(sums.var_dist), 0.0) * number(sums.var_inter) / (sums.n_examples * (sums.n_runs - 1))
    return max(runs, runs + examples - shared - 2 * se_null**2)


def satterthwaite(sums: RunSums, two_way: float) -> float:
    """Return the degrees of freedom of the population interval, between 1 and R-1."""
    if math.isnan(two_way):
        return math.nan
    scaled = sums.n_examples / (sums.n_examples - 1) * number(sums.var_test)
    degrees = 2 * scaled**2 / two_way if two_way > 0 else math.inf
    return min(sums.n_runs - 1, max(1.0, degrees))


def population_interval(sums: RunSums, degrees: float, level: float) -> Interval:
    """Return the interval of the distribution-wise variance over runs and examples (spec 2.7)."""
    if math.isnan(degrees):
        return _UNDEFINED
    factor = sums.n_examples / (sums.n_examples - 1)
    low, high = scaled_interval(factor * number(sums.var_test), degrees, level)
    independent = factor * number(sums.var_ind)
    return low - independent, high - independent
