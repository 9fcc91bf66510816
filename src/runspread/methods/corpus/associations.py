"""How a metric goes with a target, overall and inside partitions: rank correlations, regression, decompositions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._statistics import deviations
from .._ties import snap
from ..spectra.tails import Floats
from .kendall import pairs_inside, pairs_of

Groups = NDArray[np.int64]


@dataclass(frozen=True)
class Association:
    """How a metric x goes with a target y over n models.

    Attributes
    ----------
    n : int
        Number of models.
    slope, intercept : float
        Least-squares line of y on x.
    r2 : float
        Squared correlation.
    rmse : float
        Root mean squared residual (divided by n).
    tau_b, tau_a : float
        Kendall's rank correlations; tau_a is the mean sign product over pairs.
    rho : float
        Spearman's rank correlation.
    pearson : float
        Correlation.
    """

    n: int
    slope: float
    intercept: float
    r2: float
    rmse: float
    tau_b: float
    tau_a: float
    rho: float
    pearson: float


def association(x: Floats, y: Floats) -> Association:
    """Return the associations of two columns; NaN where one of them is constant."""
    n = len(x)
    dx, dy = deviations(x), deviations(y)
    sxx, syy, sxy = float(dx @ dx), float(dy @ dy), float(dx @ dy)
    slope = sxy / sxx if sxx > 0 else float("nan")
    pearson = sxy / np.sqrt(sxx * syy) if sxx > 0 and syy > 0 else float("nan")
    residual = dy - slope * dx
    pairs = pairs_of(snap(x), snap(y))
    return Association(
        n=n,
        slope=slope,
        intercept=float(np.mean(y) - slope * np.mean(x)),
        r2=pearson**2,
        rmse=float(np.sqrt(np.mean(residual**2))),
        tau_b=pairs.tau_b,
        tau_a=pairs.tau_a,
        rho=_correlation(_ranks(snap(x)), _ranks(snap(y))),
        pearson=pearson,
    )


def _correlation(x: Floats, y: Floats) -> float:
    dx, dy = x - np.mean(x), y - np.mean(y)
    scale = float(np.sqrt((dx @ dx) * (dy @ dy)))
    return float(dx @ dy) / scale if scale > 0 else float("nan")


def _ranks(values: Floats) -> Floats:
    """Return ranks from 0, ties sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts + 1) / 2)[inverse]


@dataclass(frozen=True)
class TauSplit:
    """Kendall and regression split into what happens inside partitions and between them.

    Attributes
    ----------
    tau_within, tau_between : float
        Mean sign product over pairs of models of one partition, and of different ones.
    tau_b_within : float
        As `tau_within`, over pairs that are tied in neither; NaN where metric or target are constant inside all.
    pair_weight : float
        Share of pairs inside: ``tau_a = pair_weight tau_within + (1 - pair_weight) tau_between``.
    slope_all, slope_within, slope_between : float
        Least-squares slopes: of all, with a common slope and own intercept a partition, of the partition means.
    weight_within : float
        Share of the metric's sum of squares inside:
        ``slope_all = weight_within slope_within + (1 - weight_within) slope_between``.
    r2_within : float
        Share of the target's variation inside partitions that the common slope explains.
    """

    tau_within: float
    tau_between: float
    tau_b_within: float
    pair_weight: float
    slope_all: float
    slope_within: float
    slope_between: float
    weight_within: float
    r2_within: float


def split_associations(x: Floats, y: Floats, groups: Groups) -> TauSplit:
    """Return the split of the association of `x` and `y` by `groups` (integers)."""
    sx, sy = snap(x), snap(y)
    members = members_of(groups)
    inner, n = pairs_inside(sx, sy, members), len(x)
    pairs = float(sum(len(rows) * (len(rows) - 1) for rows in members))
    outer = n * (n - 1) - pairs
    within_sum, total = float(inner.balance.sum()), float(pairs_of(sx, sy).balance.sum())
    x_mean, y_mean = group_means(x, groups), group_means(y, groups)
    dx, dy = np.empty(n), np.empty(n)
    for rows in members:
        dx[rows], dy[rows] = deviations(x[rows]), deviations(y[rows])
    mx, my = deviations(x_mean), deviations(y_mean)
    ssw, ssb = float(dx @ dx), float(mx @ mx)
    return TauSplit(
        tau_within=_ratio(within_sum, pairs),
        tau_between=_ratio(total - within_sum, outer),
        tau_b_within=inner.tau_b,
        pair_weight=_ratio(pairs, pairs + outer),
        slope_all=_ratio(float(dx @ dy) + float(mx @ my), ssw + ssb),
        slope_within=_ratio(float(dx @ dy), ssw),
        slope_between=_ratio(float(mx @ my), ssb),
        weight_within=_ratio(ssw, ssw + ssb),
        r2_within=_ratio(float(dx @ dy) ** 2, ssw * float(dy @ dy)),
    )


def members_of(groups: Groups) -> list[NDArray[np.intp]]:
    """Return the rows of each group."""
    order = np.argsort(groups, kind="stable")
    _, starts = np.unique(groups[order], return_index=True)
    return np.split(order, starts[1:])


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")


def group_means(values: Floats, groups: Groups) -> Floats:
    """Return for each model the mean of its group."""
    _, inverse = np.unique(groups, return_inverse=True)
    return (np.bincount(inverse, values) / np.bincount(inverse))[inverse]
