"""Figures of the trimming study with their 95 % intervals, over runs or over random subsets of them, as text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

BOOTSTRAP = 4000
CAP = 0.5  # at which mean levels are censored


def interval_of_mean(values: np.ndarray) -> str:
    """Return the mean over runs with its 95 % percentile bootstrap interval."""
    return with_limits(values, np.mean)[0]


def with_limits(
    values: np.ndarray, statistic: Callable[[np.ndarray], float], form: str = ".3f"
) -> tuple[str, tuple[float, float]]:
    """Return a statistic of values, one per run, with its 95 % percentile bootstrap interval, as text and numbers."""
    rng = np.random.default_rng(0)
    drawn = [statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(BOOTSTRAP)]
    low, high = np.quantile(drawn, [0.025, 0.975], method="inverted_cdf")  # copes with what is infinite
    return f"{statistic(values):{form}} ({low:{form}} to {high:{form}})", (float(low), float(high))


def quantiles(levels: np.ndarray) -> str:
    """Return the 5 % quantile, the median and the 95 % quantile over runs, each with its interval."""
    found = ((np.quantile(levels, q), *quantile_limits(levels, q)) for q in (0.05, 0.5, 0.95))
    return ", ".join("{:.3f} ({:.3f} to {:.3f})".format(*each) for each in found)


def quantile_limits(levels: np.ndarray, q: float) -> tuple[float, float]:
    """Return the 95 % interval of a quantile by order statistics; what few runs leave open ends where levels do."""
    from scipy.stats import quantile_test

    low, high = quantile_test(levels, p=q).confidence_interval(0.95)
    return 0.0 if np.isnan(low) else float(low), CAP if np.isnan(high) else float(high)


def level_words(levels: np.ndarray) -> str:
    """Return median and range of 90 % of levels, and the share above 0 with its 95 % Wilson interval over subsets."""
    middle, low, high = np.quantile(levels, [0.5, 0.05, 0.95], method="inverted_cdf")
    return f"{middle:.3f} ({low:.3f} to {high:.3f}); {share_words(int((levels > 0).sum()), len(levels))}"


def share_words(count: int, total: int) -> str:
    """Return a share with its 95 % Wilson interval."""
    low, high = wilson(count, total)
    return f"{count / total:.0%} ({low:.0%} to {high:.0%})"


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share."""
    from scipy.stats import binomtest

    limits = binomtest(count, total).proportion_ci(method="wilson")
    return float(limits.low), float(limits.high)


def difference(first: np.ndarray, second: np.ndarray) -> str:
    """Return the difference of two means over runs with its 95 % percentile bootstrap interval."""
    rng = np.random.default_rng(0)
    drawn = [rng.choice(first, len(first)).mean() - rng.choice(second, len(second)).mean() for _ in range(BOOTSTRAP)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{first.mean() - second.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def rank_correlation(first: np.ndarray, second: np.ndarray) -> tuple[str, tuple[float, float]]:
    """Return Spearman's correlation with its 95 % percentile bootstrap interval, as text and as numbers."""
    return with_limits(np.stack([first, second], axis=1), lambda rows: spearman(*rows.T))


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Return the rank correlation, 0 where either is constant."""
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic) if np.ptp(first) and np.ptp(second) else 0.0
