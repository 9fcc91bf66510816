"""A mean over items and its variance: over items or clusters, over trainings, over samples (evals 2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._results import Part
from ..scores.one_arm import t_quantile
from ..variance.clusters import Grouping, mean_variance, single_groups

Floats = NDArray[np.float64]
WILSON, BOOTSTRAP = "wilson", "bootstrap"
METHODS = (WILSON, "t", "beta", BOOTSTRAP)  # of intervals of a mean
_ROUNDING = 1e-12  # differences below it are rounding, not spread


class Bar(NamedTuple):
    """The variance of an estimate, and its degrees of freedom (Satterthwaite)."""

    variance: float
    df: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Variances(Part):
    """The variance of a mean, or of a difference, by where it comes from.

    Attributes
    ----------
    var_items, df_items : float
        Over items, or clusters of them; unbiased, with Satterthwaite's degrees of freedom.
    se_cr1, se_unclustered : float
        What regressions with clustered errors print, and what is printed where clusters are ignored.
    var_seeds, var_inter : float
        Of the means of the trainings, and the part of it that comes from trainings acting on single items; NaN with one
        training.
    var_new, df_new : float
        For a new training on new items; NaN with one training.
    var_samples, df_samples : float
        For new answers to the same items; NaN where nothing was asked twice.
    n_clusters : int
        Items, or clusters of them.
    """

    var_items: float
    df_items: float
    se_cr1: float
    se_unclustered: float
    var_seeds: float
    var_inter: float
    var_new: float
    df_new: float
    var_samples: float = math.nan
    df_samples: float = math.nan
    n_clusters: int = 0


def is_constant(values: Floats) -> bool:
    """Whether values differ by rounding alone."""
    return bool(np.ptp(values) <= _ROUNDING * max(1.0, float(np.abs(values).max())))


def over_items(values: Floats, grouping: Grouping) -> Bar:
    """Return the variance of the mean of `values` [items] where clusters are drawn (evals 2.1); exactly 0 if equal."""
    found = mean_variance(values, grouping)
    if is_constant(values):
        return Bar(0.0 if grouping.pairs else math.nan, found.degrees)
    return Bar(found.variance, found.degrees)


def over_seeds(means: Floats, grouping: Grouping) -> tuple[float, float]:
    """Return V_seeds and V_inter of complete cell means [seeds, items] (evals 2.4); NaN with one seed."""
    seeds, items = means.shape
    if seeds < 2 or not grouping.pairs:
        return math.nan, math.nan
    level, by_item = means.mean(axis=1), means.mean(axis=0)
    spread = 0.0 if is_constant(level) else float(level.var(ddof=1)) / seeds
    residuals = means - level[:, None] - by_item + means.mean()
    inside = grouping.sums(residuals) / (items * seeds)
    clusters = len(grouping)
    return spread, clusters / (clusters - 1) * seeds / (seeds - 1) * float(np.square(inside).sum())


def together(items: Bar, added: list[tuple[float, float, int]]) -> Bar:
    """Return the variance for new items and new levels of other factors (evals 2.4, 3.1).

    Parameters
    ----------
    items : Bar
        Over items.
    added : list of (V_levels, V_inter, levels)
        One for each factor of each model.
    """
    variance = max(items.variance, items.variance + sum(v - inter for v, inter, _ in added))
    below = items.variance**2 / items.df if items.df > 0 else 0.0
    below += sum(v**2 / (n - 1) + inter**2 / ((n - 1) * items.df) for v, inter, n in added)
    if math.isnan(variance) or not items.df > 0:
        return Bar(math.nan, math.nan)
    return Bar(variance, max(1.0, variance**2 / below) if below > 0 else items.df)


def variances(
    values: Floats, grouping: Grouping, seeds: list[tuple[float, float, int]], samples: Bar | None = None
) -> Variances:
    """Return all variances of the mean of `values` [items]; `seeds` as `added` of `together`, empty with one seed."""
    items, alone = over_items(values, grouping), over_items(values, single_groups(len(values)))
    new = together(items, seeds) if seeds else Bar(math.nan, math.nan)
    clusters = len(grouping)
    cr1 = items.variance * grouping.between * clusters / (clusters - 1) if clusters > 1 else math.nan
    return Variances(
        var_items=items.variance,
        df_items=items.df,
        se_cr1=math.sqrt(cr1),
        se_unclustered=math.sqrt(alone.variance),
        var_seeds=sum(v for v, _, _ in seeds) if seeds else math.nan,
        var_inter=sum(inter for _, inter, _ in seeds) if seeds else math.nan,
        var_new=new.variance,
        df_new=new.df,
        var_samples=math.nan if samples is None else samples.variance,
        df_samples=math.nan if samples is None else samples.df,
        n_clusters=clusters,
    )


def bar_of(found: Variances, on: str) -> Bar:
    """Return the variance that an answer about `on` takes."""
    if on == "distribution":
        return Bar(found.var_new, found.df_new)
    return Bar(found.var_samples, found.df_samples) if on == "samples" else Bar(found.var_items, found.df_items)


def effective_items(mean: float, variance: float, clusters: int, most: float = math.inf) -> float:
    """Return how many independent yes-or-no questions would give this variance; the clusters where there is none."""
    inside = mean * (1 - mean)
    if not (inside > _ROUNDING and variance > 0):
        return float(clusters)
    return min(inside / variance, most)


def wilson(mean: float, n_effective: float, quantile: float) -> tuple[float, float]:
    """Return Wilson's interval with an effective number of items and a t quantile (evals 2.2)."""
    z = quantile**2 / n_effective
    centre = (mean + z / 2) / (1 + z)
    half = math.sqrt(max(mean * (1 - mean), 0.0) * z + z * z / 4) / (1 + z)
    return max(0.0, centre - half), min(1.0, centre + half)


def interval(
    mean: float,
    bar: Bar,
    level: float,
    clusters: int,
    *,
    bounded: bool = True,
    most: float = math.inf,
    method: str = WILSON,
) -> tuple[float, float]:
    """Return the interval of a mean: Wilson's with t, or t alone where scores are not within 0..1, or as asked."""
    if math.isnan(bar.variance) or not bar.df > 0:
        return math.nan, math.nan
    quantile = t_quantile((1 + level) / 2, bar.df)
    if not bounded or method == "t":
        half = quantile * math.sqrt(bar.variance)
        return mean - half, mean + half
    n_effective = effective_items(mean, bar.variance, clusters, most)
    return beta(mean, n_effective, level) if method == "beta" else wilson(mean, n_effective, quantile)


def beta(mean: float, n_effective: float, level: float) -> tuple[float, float]:
    """Return Jeffreys' interval with an effective number of items; it knows nothing of degrees of freedom."""
    from scipy.special import betaincinv

    right, wrong = mean * n_effective + 0.5, (1 - mean) * n_effective + 0.5
    return float(betaincinv(right, wrong, (1 - level) / 2)), float(betaincinv(right, wrong, (1 + level) / 2))
