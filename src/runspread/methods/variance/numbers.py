"""The numbers of `variance` from exact sums: where examples are independent, and where they come in clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .clusters import ClusterSums, ClusterTotals, Grouping, mean_variance, single_groups
from .intervals import (
    any_distribution_interval,
    clustered_two_way_variance,
    fixed_interval,
    mean_interval,
    population_interval,
    satterthwaite,
    two_way_variance,
    upper_end,
)
from .null import chi2_p_value, ks_statistic, null_standard_error, poisson_binomial_pmf
from .run_distribution import log_jackknife
from .selection import best_of_gain, top_gain
from .statistics import RunStatistics
from .sums import RunSums, jackknife_examples, jackknife_groups, jackknife_runs, number, ratio
from .wording import root, sd_end


@dataclass(frozen=True)
class IntervalSettings:
    """What was asked for: the level of the intervals, the distribution that they assume, and N of the best of N."""

    level: float
    distribution: str
    best_of: tuple[int, ...]


@dataclass(frozen=True)
class _Sampling:
    """Sampling variances of ``var_dist``: over runs, over examples or clusters, and under independence."""

    runs: float
    examples: float
    se_null: float

    def two_way(self, sums: RunSums, runs: float) -> float:
        """Return the variance over runs and examples, with `runs` over runs."""
        if isinstance(sums, ClusterSums) and math.isnan(runs):
            return clustered_two_way_variance(sums, self.examples, self.se_null)
        return two_way_variance(sums, runs, self.examples, self.se_null)


def plain_numbers(
    statistics: RunStatistics, settings: IntervalSettings, weighted: NDArray[np.int64] | None
) -> dict[str, Any]:
    """Return every number where examples are independent (spec 2 and 3)."""
    sums, runs = statistics.sums, statistics.n_runs
    grouped = math.nan
    if statistics.declared_runs is not None:
        grouped = jackknife_groups(sums, statistics.correct, statistics.right_by_group, statistics.edges)
    single = math.nan if weighted is None else jackknife_runs(sums, statistics.correct, weighted)
    over_runs = grouped if weighted is None else single
    examples = jackknife_examples(sums, statistics.right, statistics.weighted)
    sampling = _Sampling(over_runs, examples, null_standard_error(sums, statistics.right))
    two_way = math.nan if math.isnan(over_runs) else sampling.two_way(sums, over_runs)
    shift = statistics.right * (sums.t1 / runs)
    inside = number(sums.var_example) / sums.n_examples + number(sums.var_inter) / (sums.n_examples * runs)
    return {
        **_spread(sums, statistics, sampling, two_way, settings),
        **_mean(sums, statistics, single_groups(sums.n_examples), settings),
        **_halves(statistics.correct_by_half, _half_sizes(statistics), settings.best_of),
        **_null(sums, statistics),
        "n_runs": runs,
        "n_examples": sums.n_examples,
        "mean_acc": float(sums.mean_acc),
        "var_test": number(sums.var_test),
        "sd_test": root(number(sums.var_test)),
        "p_chi2": chi2_p_value(ratio(number(sums.var_test), number(sums.var_ind)), runs),
        "se_mean_fixed": root(number(sums.var_test) / runs),
        "se_mean_dist": root(number(sums.var_dist) / runs + inside),
        "item_total_cov": (statistics.weighted - shift) / (runs - 1)
        if runs > 1
        else np.full(sums.n_examples, math.nan),
        "jack_runs_var": single,
        "jack_grouped_var": grouped,
        "runs_jackknife": "none" if math.isnan(over_runs) else "grouped" if weighted is None else "delete one",
        "best_of": settings.best_of,
        "correct": statistics.correct,
        "right": statistics.right,
        "duplicate_pairs": statistics.duplicate_pairs,
    }


def clustered_numbers(statistics: RunStatistics, totals: ClusterTotals, settings: IntervalSettings) -> dict[str, Any]:
    """Return the numbers that are others where examples come in clusters; halves are made of whole clusters."""
    sums, grouping = totals.sums, totals.grouping
    sampling = _Sampling(math.nan, totals.jackknife, totals.se_null)
    two_way = math.nan if math.isnan(sampling.examples) else sampling.two_way(sums, math.nan)
    of_items = mean_variance(statistics.right, grouping).variance / sums.n_runs**2
    numbers = {
        **_spread(sums, statistics, sampling, two_way, settings),
        **_mean(sums, statistics, grouping, settings),
        "p_chi2": totals.p_value,
        "se_mean_dist": root(max(of_items, of_items + number(sums.var_dist) / sums.n_runs)),
        "jack_runs_var": math.nan,
        "jack_grouped_var": math.nan,
        "runs_jackknife": "none" if math.isnan(two_way) else "normal distribution",
    }
    every_second = np.arange(statistics.n_examples) % 2 == 0
    if np.array_equal(statistics.first_half, every_second):  # the default, which cuts through clusters
        numbers |= _halves(totals.correct_by_half, totals.half_sizes, settings.best_of)
    return numbers


def _spread(
    sums: RunSums, statistics: RunStatistics, sampling: _Sampling, two_way: float, settings: IntervalSettings
) -> dict[str, Any]:
    """Return the decomposition, and its intervals."""
    test, independent, dist = number(sums.var_test), number(sums.var_ind), number(sums.var_dist)
    degrees = satterthwaite(number(sums.lift) * test, sums.n_runs, two_way)
    fixed = fixed_interval(sums, settings.level)
    population = population_interval(sums, degrees, settings.level)
    said = (fixed[0], upper_end(sums, math.nan, settings.level)), (population[0], _upper_end(sums, two_way, settings))
    if settings.distribution == "any":
        said = _any_distribution(sums, statistics, sampling, two_way, settings.level)
    return {
        "var_ind": independent,
        "sd_ind": root(independent),
        "var_dist": dist,
        "sd_dist": root(dist),
        "var_dist_exact": sums.var_dist,
        "var_example": number(sums.var_example),
        "var_inter": number(sums.var_inter),
        "kr20": ratio(dist, test),
        "f_ratio": ratio(test, independent),
        "se_null": sampling.se_null,
        "jack_examples_var": sampling.examples,
        "two_way_var": two_way,
        "nu_satt": degrees,
        "ci_fixed_lo": fixed[0],
        "ci_fixed_hi": fixed[1],
        "ci_pop_lo": population[0],
        "ci_pop_hi": population[1],
        "sd_fixed": (sd_end(said[0][0]), sd_end(said[0][1])),
        "sd_pop": (sd_end(said[1][0]), sd_end(said[1][1])),
    }


def _upper_end(sums: RunSums, two_way: float, settings: IntervalSettings) -> float:
    return math.nan if math.isnan(two_way) else upper_end(sums, two_way, settings.level)


def _any_distribution(
    sums: RunSums, statistics: RunStatistics, sampling: _Sampling, two_way: float, level: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the intervals on this test set and on the population, not taking accuracies as normal over runs."""
    of_log = log_jackknife(statistics.correct.astype(np.float64))
    fixed = any_distribution_interval(sums, of_log, lambda runs: runs, level)
    if math.isnan(two_way):
        return fixed, (math.nan, math.nan)
    return fixed, any_distribution_interval(sums, of_log, lambda runs: sampling.two_way(sums, runs), level)


def _mean(sums: RunSums, statistics: RunStatistics, grouping: Grouping, settings: IntervalSettings) -> dict[str, Any]:
    of_mean = mean_variance(statistics.right, grouping)
    of_mean = of_mean._replace(variance=of_mean.variance / sums.n_runs**2)
    low, high = mean_interval(sums, of_mean, len(grouping), settings.level)
    return {"ci_mean_lo": low, "ci_mean_hi": high}


def _half_sizes(statistics: RunStatistics) -> tuple[int, int]:
    first = int(statistics.first_half.sum())
    return first, statistics.n_examples - first


def _halves(counts: NDArray[np.int64], sizes: tuple[int, int], best_of: tuple[int, ...]) -> dict[str, Any]:
    if min(sizes) == 0:
        gains, quarter, covariance = [(math.nan, math.nan)] * len(best_of), (math.nan, math.nan), (math.nan,) * 3
    else:
        first, second = counts[:, 0] / sizes[0], counts[:, 1] / sizes[1]
        gains = [best_of_gain(first, second, count) for count in best_of]
        quarter = top_gain(first, second)
        covariance = _covariance(first, second)
    gain1, gain2 = np.array(gains, np.float64).reshape(-1, 2).T
    return {
        **dict(zip(("cov_half", "corr_half", "slope_half"), covariance, strict=True)),
        "top_quarter_gain1": quarter[0],
        "top_quarter_gain2": quarter[1],
        "best_of_gain1": gain1,
        "best_of_gain2": gain2,
        "correct_by_half": counts,
        "half_sizes": sizes,
    }


def _covariance(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the sample covariance over runs, the correlation, and the slope of the second on the first."""
    if len(first) < 2:
        return (math.nan,) * 3
    (v1, both), (_, v2) = np.cov(first, second).tolist()
    return both, ratio(both, math.sqrt(v1 * v2)), ratio(both, v1)


def _null(sums: RunSums, statistics: RunStatistics) -> dict[str, Any]:
    p = statistics.right / sums.n_runs
    binomial = number(sums.var_binom)
    return {
        "pb_mean": float(p.sum()),
        "pb_var": float((p * (1 - p)).sum()),
        "ks_stat": ks_statistic(statistics.correct, poisson_binomial_pmf(p)),
        "var_binom": binomial,
        "binom_ratio": ratio(binomial, number(sums.var_ind)),
    }
