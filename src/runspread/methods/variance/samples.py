"""Samples of one model: what repeated answers to each example tell, whatever their order, and what they do not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import InputError
from .clusters import Grouping, few_clusters, mean_variance, single_groups
from .intervals import mean_interval
from .numbers import Settings
from .result import VarianceResult
from .statistics import RunStatistics
from .sums import RunSums, number
from .wording import root

SAMPLES_ARE = ("runs", "samples")
_OF_RUNS = (
    *("var_test", "sd_test", "var_dist", "sd_dist", "ci_fixed_lo", "ci_fixed_hi", "ci_pop_lo", "ci_pop_hi", "se_null"),
    *("f_ratio", "p_chi2", "kr20", "var_example", "var_inter", "cov_half", "corr_half", "slope_half", "ks_stat"),
    *("top_quarter_gain1", "top_quarter_gain2", "two_way_var", "nu_satt"),
    *("jack_runs_var", "jack_grouped_var", "jack_examples_var"),
)


def refuse_study(source: Any) -> None:
    """Raise an InputError where runs of a study are called samples."""
    if hasattr(source, "runs"):
        raise InputError("samples_are='samples' with a study", "its runs", "Their seeds say that they are trainings.")


def of_samples(
    source: Any,
    statistics: RunStatistics,
    grouping: Grouping | None,
    settings: Settings,
    *,
    warnings: tuple[str, ...],
) -> VarianceResult:
    """Return the numbers that do not depend on which sample of an example is called the first; the others are NaN.

    They follow from the number of right samples of each example alone.
    """
    refuse_study(source)
    right, count, examples = statistics.right, statistics.n_runs, statistics.n_examples
    sums = RunSums(count, examples, int(right.sum()), 0, statistics.sums.s2)
    groups = single_groups(examples) if grouping is None else grouping
    of_mean = mean_variance(right, groups)
    of_mean = of_mean._replace(variance=of_mean.variance / count**2)
    low, high = mean_interval(sums, of_mean, len(groups), settings.level, new_runs=False)
    undefined: dict[str, Any] = dict.fromkeys(_OF_RUNS, math.nan)
    p, independent, nothing = right / count, number(sums.var_ind), np.zeros(0, np.int64)
    return VarianceResult(
        **undefined,
        n_runs=count,
        n_examples=examples,
        level=settings.level,
        mean_acc=float(sums.mean_acc),
        var_ind=independent,
        sd_ind=root(independent),
        var_dist_exact=None,
        sd_fixed=(math.nan, math.nan),
        sd_pop=(math.nan, math.nan),
        ci_mean_lo=low,
        ci_mean_hi=high,
        runs_jackknife="none",
        se_mean_fixed=root(independent / count),
        se_mean_dist=root(of_mean.variance),
        best_of=(),
        best_of_gain1=nothing.astype(np.float64),
        best_of_gain2=nothing.astype(np.float64),
        pb_mean=float(p.sum()),
        pb_var=float((p * (1 - p)).sum()),
        var_binom=number(sums.var_binom),
        binom_ratio=math.nan if not independent else number(sums.var_binom) / independent,
        correct=nothing,
        correct_by_half=nothing.reshape(0, 2),
        half_sizes=(0, 0),
        right=right,
        item_total_cov=np.full(examples, math.nan),
        n_classes=statistics.known_classes,
        n_clusters=None if grouping is None else len(grouping),
        samples_are="samples",
        warnings=warnings + few_clusters(grouping),
    )
