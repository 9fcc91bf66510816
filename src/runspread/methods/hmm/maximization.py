"""The M-step of many models at once: hmmlearn's formulas, and what keeps a healthy batch going when a state dies."""

from __future__ import annotations

import numpy as np

from .expectation import Expectation
from .parameters import Array, Mask, Parameters

_LEAST_WEIGHT = 1e-5  # floor of a diagonal variance's denominator
DEAD = 1e-8
"""A state with a smaller expected number of frames keeps its parameters (robust mode)."""


def maximization(
    stats: Expectation,
    old: Parameters,
    prior: Array,
    *,
    robust: bool,
    variance_floor: float | None = None,
    noise: Array | None = None,
) -> tuple[Parameters, Mask]:
    """Return updated parameters and which states were dead [B, K].

    Parameters
    ----------
    stats : Expectation
        Sums from the E-step under `old`.
    old : Parameters
        Structural zeros of start and transition probabilities are kept for ever.
    prior : ndarray
        Added to the sums of squares: [D] for diagonal, [D, D] for full covariances.
    robust : bool
        Keep the parameters of dead states; otherwise they become NaN, as in hmmlearn.
    variance_floor : float, optional
        Smallest variance (diagonal) or eigenvalue (full).
    noise : ndarray [D], optional
        Added to every variance. The same for states of few frames and of many, so that it prefers no number of states
        where metrics depend on each other; a prior on the sums of squares weighs more on a small state.
    """
    moments = np.moveaxis(stats.moments, 1, 0)  # [B, K, P]
    weight, dead = moments[:, :, 0], moments[:, :, 0] < DEAD
    with np.errstate(all="ignore"):
        start = _normalised(np.where(old.start == 0, 0.0, stats.start.T))
        counts = np.where(old.trans == 0, 0.0, np.moveaxis(stats.xi, -1, 0))
        trans = _normalised(counts)
        n_metrics = old.means.shape[2]
        first, second = moments[:, :, 1 : 1 + n_metrics], moments[:, :, 1 + n_metrics :]
        means = first / weight[..., None]
        update = _full_covariances if old.full else _diagonal_variances
        covars = update(weight, first, second, means, prior)
    if noise is not None:
        covars = covars + (np.diag(noise) if old.full else noise)
    if robust:
        means = np.where(dead[..., None], old.means, means)
        covars = np.where(dead.reshape(*dead.shape, *[1] * (covars.ndim - 2)), old.covars, covars)
        trans = np.where((dead & (counts.sum(axis=2) == 0))[..., None], old.trans, trans)
    if variance_floor is not None:
        covars = _floored(covars, variance_floor, full=old.full)
    return Parameters(start, trans, means, covars), dead


def _normalised(values: Array) -> Array:
    """Divide by the sums along the last axis; what sums to 0 stays 0."""
    total = values.sum(axis=-1, keepdims=True)
    return values / np.where(total == 0, 1.0, total)


def _diagonal_variances(weight: Array, first: Array, second: Array, means: Array, prior: Array) -> Array:
    sums = prior + second - 2 * means * first + means**2 * weight[..., None]
    return sums / np.maximum(weight, _LEAST_WEIGHT)[..., None]


def _full_covariances(weight: Array, first: Array, second: Array, means: Array, prior: Array) -> Array:
    n_metrics = means.shape[2]
    rows, columns = np.tril_indices(n_metrics)
    squares = np.empty((*means.shape, n_metrics))
    squares[..., rows, columns] = squares[..., columns, rows] = second
    cross = first[..., :, None] * means[..., None, :]
    outer = means[..., :, None] * means[..., None, :]
    heavy = weight[..., None, None]
    return (prior + squares - cross - np.swapaxes(cross, -1, -2) + heavy * outer) / heavy


def _floored(covars: Array, floor: float, *, full: bool) -> Array:
    if not full:
        return np.maximum(covars, floor)
    finite = np.isfinite(covars).all(axis=(-1, -2), keepdims=True)
    values, vectors = np.linalg.eigh(np.where(finite, covars, np.eye(covars.shape[-1])))
    lifted = (vectors * np.maximum(values, floor)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    return np.where(finite & (values.min(axis=-1) < floor)[..., None, None], lifted, covars)
