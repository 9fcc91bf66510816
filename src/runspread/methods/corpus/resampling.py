"""What chance does to rank correlations over all models and inside partitions: tests, intervals, equivalence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._ties import snap
from ..spectra.tails import Floats
from .associations import Groups, members_of
from .kendall import MATRIX, Pairs, balance_variance, pairs_inside, pairs_of, signs

NEGLIGIBLE = 0.3  # |tau_b| inside partitions below which a metric does not track the target: a correlation of 0.45
_FEW = 20  # permutations as extreme as what was seen after which no more are needed
_BATCH = 2000  # permutations at a time

Members = list[NDArray[np.intp]]


@dataclass(frozen=True)
class Resampling:
    """Tests of overall and inside rank correlation, and their intervals.

    Attributes
    ----------
    p_all : float
        Of ``|tau|`` with the target permuted over all models: by permutations, from 257 models by their normal
        approximation.
    p_within : float
        Of ``|tau_within|`` with the target permuted inside partitions.
    p_negligible : float
        That the inside rank correlation is at least `NEGLIGIBLE` in size: two one-sided tests on Fisher's scale. 0
        where the metric or the target is constant inside every partition.
    p_opposite : float
        Probability, by the stratified distribution of both, that overall and inside have opposite signs.
    tau_interval, tau_within_interval : tuple of float
        Intervals of tau_b overall (for models as these) and of tau_b inside partitions, on Fisher's scale.
    n_resamples : int
        Permutations drawn; 0 where none were needed.
    """

    p_all: float
    p_within: float
    p_negligible: float
    p_opposite: float
    tau_interval: tuple[float, float]
    tau_within_interval: tuple[float, float]
    n_resamples: int


def resampled(
    x: Floats,
    y: Floats,
    groups: Groups,
    *,
    n_resamples: int,
    level: float,
    rng: np.random.Generator,
    most: int | None = None,
) -> Resampling:
    """Return the tests; `most` permutations are drawn where `n_resamples` leave a p-value too coarse to judge."""
    x, y = snap(x), snap(y)
    order = np.lexsort((y, x, groups))  # so that the draws do not hang on the order of the rows
    x, y, groups = x[order], y[order], groups[order]
    members = members_of(groups)
    overall, inner = pairs_of(x, y), pairs_inside(x, y, members)
    p_all, p_within, drawn = _p_values(x, y, members, (n_resamples, max(most or 0, n_resamples)), rng)
    paths = [_influence(one, members) for one in (overall, inner)]
    errors = [float(np.sqrt(np.sum(path**2))) for path in paths]
    scale_all = _fisher(overall.tau_b, errors[0], [np.arange(len(x))])
    scale_within = _fisher(inner.tau_b, errors[1], members)
    return Resampling(
        p_all=p_all,
        p_within=p_within,
        p_negligible=_p_negligible(*scale_within),
        p_opposite=_p_opposite(overall.tau_b, inner.tau_b, paths, rng),
        tau_interval=_interval(*scale_all, level),
        tau_within_interval=_interval(*scale_within, level),
        n_resamples=drawn,
    )


# ------------------------------------------------------------------ tests of no association


def _p_values(
    x: Floats, y: Floats, members: Members, counts: tuple[int, int], rng: np.random.Generator
) -> tuple[float, float, int]:
    if len(x) > MATRIX:
        inside = [(x[rows], y[rows]) for rows in members]
        p_within = _normal_p(pairs_inside(x, y, members), sum(balance_variance(*part) for part in inside))
        return _normal_p(pairs_of(x, y), balance_variance(x, y)), p_within, 0
    everyone = [np.arange(len(x))]
    p_all, drawn = _permuted(x, y, everyone, counts, rng)
    if len(members) == 1:
        return p_all, p_all, drawn
    p_within, again = _permuted(x, y, members, counts, rng)
    return p_all, p_within, max(drawn, again)


def _normal_p(pairs: Pairs, variance: float) -> float:
    from scipy.special import ndtr

    return float(2 * ndtr(-abs(int(pairs.balance.sum())) / np.sqrt(variance))) if variance > 0 else 1.0


def _permuted(
    x: Floats, y: Floats, members: Members, counts: tuple[int, int], rng: np.random.Generator
) -> tuple[float, int]:
    """Return the p-value of the sum of sign products inside groups, and how many permutations it took."""
    groups = [(signs(x[rows]), np.unique(y[rows], return_inverse=True)[1].astype("f4")) for rows in members]
    observed = abs(float(sum(_sums(sx, ranks[:, None])[0] for sx, ranks in groups)))
    at_first, at_most = counts
    extreme, drawn = 0, 0
    while drawn < at_first or (extreme < _FEW and drawn < at_most):
        batch = min(_BATCH, (at_first if drawn < at_first else at_most) - drawn)
        sums = np.zeros(batch)
        for sx, ranks in groups:
            orders = rng.permuted(np.broadcast_to(ranks, (batch, len(ranks))), axis=1)
            sums += _sums(sx, np.ascontiguousarray(orders.T))
        extreme, drawn = extreme + int(np.sum(np.abs(sums) >= observed)), drawn + batch
    return (1 + extreme) / (drawn + 1), drawn


def _sums(sx: NDArray[Any], orders: NDArray[Any]) -> Floats:
    """Return the sum over pairs of the signs of x and of each order [models, orders].

    The sums are whole numbers below 2^24, so that single precision adds them exactly, whatever the order of addition.
    """
    found = np.zeros(orders.shape[1])
    for k in range(len(sx) - 1):
        found += sx[k, k + 1 :] @ np.sign(orders[k] - orders[k + 1 :])
    return found


# ------------------------------------------------------------------ intervals and equivalence


def _influence(pairs: Pairs, members: Members) -> Floats:
    """Return what each model adds to tau_b, the partitions being given: its variance is the sum of squares."""
    total, x_pairs, y_pairs = (float(np.sum(v)) for v in (pairs.balance, pairs.untied_x, pairs.untied_y))
    found = np.zeros(len(pairs.balance))
    if not (x_pairs and y_pairs):
        return found
    scale = np.sqrt(x_pairs) * np.sqrt(y_pairs)
    per_model = pairs.balance / scale - total / scale / 2 * (pairs.untied_x / x_pairs + pairs.untied_y / y_pairs)
    for rows in members:
        if len(rows) > 1:
            found[rows] = 2 * (per_model[rows] - np.mean(per_model[rows])) * np.sqrt(len(rows) / (len(rows) - 1))
    return found


def _fisher(tau: float, error: float, members: Members) -> tuple[float, float]:
    """Return tau on Fisher's scale with its standard error: the larger of the data's own and that of normal data.

    Fieller, Hartley and Pearson (1957): the variance of atanh(tau) is 0.437 / (n - 4). Groups count by their pairs.
    """
    if not np.isfinite(tau):
        return tau, float("nan")
    sizes = np.array([len(rows) for rows in members if len(rows) > 1], dtype=np.float64)
    by_formula = np.maximum(0.437 / (np.maximum(sizes, 5) - 4), 2 * (2 * sizes + 5) / (9 * sizes * (sizes - 1)))
    shares = sizes * (sizes - 1) / np.sum(sizes * (sizes - 1))
    tau = float(np.clip(tau, -0.999, 0.999))
    return float(np.arctanh(tau)), max(float(np.sqrt(np.sum(shares**2 * by_formula))), error / (1 - tau**2))


def _interval(z: float, error: float, level: float) -> tuple[float, float]:
    from scipy.special import ndtri

    half = float(ndtri((1 + level) / 2)) * error
    return float(np.tanh(z - half)), float(np.tanh(z + half))


def _p_negligible(z: float, error: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(-(np.arctanh(NEGLIGIBLE) - abs(z)) / error)) if np.isfinite(z) else 0.0


def _p_opposite(tau: float, tau_within: float, paths: list[Floats], rng: np.random.Generator) -> float:
    if not (np.isfinite(tau) and np.isfinite(tau_within)):
        return 0.0
    covariance = np.array([[np.sum(a * b) for b in paths] for a in paths])
    drawn = rng.multivariate_normal([tau, tau_within], covariance, 4000, check_valid="ignore")
    return float(np.mean(drawn[:, 0] * drawn[:, 1] < 0))
