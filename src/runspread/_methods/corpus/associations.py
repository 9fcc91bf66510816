"""How a metric goes with a target, overall and inside partitions: rank correlations, regression, decompositions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spectra.tails import Floats

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
    dx, dy = x - np.mean(x), y - np.mean(y)
    sxx, syy, sxy = float(dx @ dx), float(dy @ dy), float(dx @ dy)
    slope = sxy / sxx if sxx > 0 else float("nan")
    pearson = sxy / np.sqrt(sxx * syy) if sxx > 0 and syy > 0 else float("nan")
    residual = dy - slope * dx
    tau_a, tau_b = kendall(x, y)
    return Association(
        n=n,
        slope=slope,
        intercept=float(np.mean(y) - slope * np.mean(x)),
        r2=pearson**2,
        rmse=float(np.sqrt(np.mean(residual**2))),
        tau_b=tau_b,
        tau_a=tau_a,
        rho=_correlation(_ranks(x), _ranks(y)),
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


def signs(values: Floats) -> NDArray[Any]:
    """Return ``sign(v_i - v_j)`` [n, n]; float32, whose sums are exact below 4,096 models, float64 from there."""
    return np.sign(values[:, None] - values).astype("f4" if len(values) < 4096 else "f8")


def kendall(x: Floats, y: Floats) -> tuple[float, float]:
    """Return Kendall's tau_a and tau_b."""
    if len(x) < 2:
        return float("nan"), float("nan")
    sx, sy = signs(x), signs(y)
    product = float(np.sum(sx * sy))
    untied = float(np.sum(np.abs(sx))) * float(np.sum(np.abs(sy)))
    return product / (len(x) * (len(x) - 1)), product / np.sqrt(untied) if untied > 0 else float("nan")


@dataclass(frozen=True)
class Split:
    """Kendall and regression split into what happens inside partitions and between them.

    Attributes
    ----------
    tau_within, tau_between : float
        Mean sign product over pairs of models of one partition, and of different ones.
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
    pair_weight: float
    slope_all: float
    slope_within: float
    slope_between: float
    weight_within: float
    r2_within: float


def split_associations(x: Floats, y: Floats, groups: Groups) -> Split:
    """Return the split of the association of `x` and `y` by `groups` (integers)."""
    product = signs(x) * signs(y)
    inside = groups[:, None] == groups
    n, pairs = len(x), float(np.sum(inside)) - len(x)
    outer = n * (n - 1) - pairs
    within_sum, total = float(np.sum(product[inside])), float(np.sum(product))
    x_mean, y_mean = group_means(x, groups), group_means(y, groups)
    dx, dy, mx, my = x - x_mean, y - y_mean, x_mean - np.mean(x), y_mean - np.mean(y)
    ssw, ssb = float(dx @ dx), float(mx @ mx)
    return Split(
        tau_within=_ratio(within_sum, pairs),
        tau_between=_ratio(total - within_sum, outer),
        pair_weight=_ratio(pairs, pairs + outer),
        slope_all=_ratio(float(dx @ dy) + float(mx @ my), ssw + ssb),
        slope_within=_ratio(float(dx @ dy), ssw),
        slope_between=_ratio(float(mx @ my), ssb),
        weight_within=_ratio(ssw, ssw + ssb),
        r2_within=_ratio(float(dx @ dy) ** 2, ssw * float(dy @ dy)),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")


def group_means(values: Floats, groups: Groups) -> Floats:
    """Return for each model the mean of its group."""
    _, inverse = np.unique(groups, return_inverse=True)
    return (np.bincount(inverse, values) / np.bincount(inverse))[inverse]


def holm(p_values: Floats) -> Floats:
    """Return p-values corrected for their number by Holm's step-down method; NaN stays and does not count."""
    corrected = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return corrected


@dataclass(frozen=True)
class Resampling:
    """Permutation tests and a stratified bootstrap of overall and inside rank correlation.

    Attributes
    ----------
    p_all : float
        Of ``|tau|`` with the target permuted over all models.
    p_within : float
        Of ``|tau_within|`` with the target permuted inside partitions.
    p_opposite : float
        Share of bootstrap samples in which the two have opposite signs.
    tau_interval, tau_within_interval : tuple of float
        Bootstrap intervals of tau_b overall and of tau_within.
    """

    p_all: float
    p_within: float
    p_opposite: float
    tau_interval: tuple[float, float]
    tau_within_interval: tuple[float, float]


def resampled(
    x: Floats, y: Floats, groups: Groups, *, n_resamples: int, level: float, rng: np.random.Generator
) -> Resampling:
    """Return the tests; partitions are resampled and permuted within themselves."""
    sx, sy = signs(x), signs(y)
    inside = groups[:, None] == groups
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]

    def inner(order: NDArray[np.intp], weight: NDArray[Any]) -> float:
        return float(np.vdot(weight, sy[np.ix_(order, order)]))

    sx_inside = np.where(inside, sx, 0)
    everyone = np.arange(len(x))
    overall = [inner(rng.permutation(len(x)), sx) for _ in range(n_resamples)]
    within = [inner(_permuted_inside(members, rng), sx_inside) for _ in range(n_resamples)]
    taus, taus_within = _bootstrap(sx, sy, inside, members, n_resamples, rng)
    tail = (1 - level) / 2
    return Resampling(
        p_all=_p_value(overall, inner(everyone, sx)),
        p_within=_p_value(within, inner(everyone, sx_inside)),
        p_opposite=float(np.mean(taus * taus_within < 0)),
        tau_interval=_interval(taus, tail),
        tau_within_interval=_interval(taus_within, tail),
    )


def _interval(values: Floats, tail: float) -> tuple[float, float]:
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _p_value(permuted: list[float], observed: float) -> float:
    return (1 + int(np.sum(np.abs(permuted) >= abs(observed) - 1e-9))) / (len(permuted) + 1)


def _permuted_inside(members: list[NDArray[np.intp]], rng: np.random.Generator) -> NDArray[np.intp]:
    order = np.empty(sum(map(len, members)), dtype=np.intp)
    for rows in members:
        order[rows] = rng.permutation(rows)
    return order


def _bootstrap(
    sx: NDArray[Any],
    sy: NDArray[Any],
    inside: NDArray[np.bool_],
    members: list[NDArray[np.intp]],
    n_resamples: int,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Return tau_b and tau_within of samples drawn inside partitions.

    A sample is the number of times each model was drawn, c; its sum of sign products over pairs is ``c' P c``.
    """
    counts = np.zeros((n_resamples, len(sx)))
    for rows in members:
        counts[:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), n_resamples)

    def pairs(products: NDArray[Any]) -> Floats:
        return np.einsum("bi,bi->b", counts @ products.astype(np.float64), counts)

    product = sx * sy
    untied = pairs(np.abs(sx)) * pairs(np.abs(sy))
    taus = np.divide(pairs(product), np.sqrt(untied), out=np.zeros(n_resamples), where=untied > 0)
    distinct = pairs(inside & ~np.eye(len(sx), dtype=bool))  # a model drawn twice makes no pair with itself
    within = np.divide(pairs(np.where(inside, product, 0)), distinct, out=np.zeros(n_resamples), where=distinct > 0)
    return taus, within
