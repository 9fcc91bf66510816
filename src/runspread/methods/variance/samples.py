"""Samples of one model: what repeated answers to each example tell, whatever their order, and what they do not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import InputError
from .clusters import Grouping, few_clusters, mean_variance, single_groups
from .intervals import mean_interval
from .numbers import IntervalSettings
from .result import VarianceResult
from .statistics import RunStatistics
from .sums import RunSums, number
from .wording import root

SAMPLES_ARE = ("runs", "samples")


def refuse_study(source: Any) -> None:
    """Raise an InputError where runs of a study are called samples."""
    if hasattr(source, "runs"):
        raise InputError(
            "got samples_are='samples' with a study", "its runs", "Their seeds say that they are trainings."
        )


def of_samples(
    source: Any,
    statistics: RunStatistics,
    grouping: Grouping | None,
    settings: IntervalSettings,
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
    p, independent, nothing = right / count, number(sums.var_ind), np.zeros(0, np.int64)
    numbers: dict[str, Any] = {
        "n_runs": count,
        "n_examples": examples,
        "n_classes": statistics.known_classes,
        "n_clusters": None if grouping is None else len(grouping),
        "samples_are": "samples",
        "mean_acc": float(sums.mean_acc),
        "var_test": math.nan,
        "var_ind": independent,
        "var_dist": math.nan,
        "ci_mean_lo": low,
        "ci_mean_hi": high,
        "se_mean_fixed": root(independent / count),
        "se_mean_dist": root(of_mean.variance),
        "best_of": (),
        "best_of_gain1": nothing.astype(np.float64),
        "best_of_gain2": nothing.astype(np.float64),
        "correct_by_half": nothing.reshape(0, 2),
        "half_sizes": (0, 0),
        "pb_mean": float(p.sum()),
        "pb_var": float((p * (1 - p)).sum()),
        "var_binom": number(sums.var_binom),
        "binom_ratio": math.nan if not independent else number(sums.var_binom) / independent,
        "correct": nothing,
        "right": right,
        "item_total_cov": np.full(examples, math.nan),
    }
    return VarianceResult.from_numbers(
        numbers, confidence_level=settings.level, warnings=warnings + few_clusters(grouping)
    )
