"""Where EM starts: k-means centres, pooled covariance, sparse random transitions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .parameters import Array, Parameters

_MIN_COVAR = 1e-3
_SWEEPS = 100


def initial_parameters(
    x: Array, n_states: int, restarts: int, seed: int, *, full: bool, subset: int | None, inner: tuple[int, ...]
) -> Parameters:
    """Draw starting points, each from its own stream so that the number of restarts changes none of them.

    Parameters
    ----------
    x : ndarray [frames, D]
    n_states, restarts, seed : int
    full : bool
        Shape of the covariances.
    subset : int or None
        Largest number of frames that k-means looks at.
    inner : tuple of int
        How many k-means runs restart b takes the best of; the last entry holds for all later restarts.
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence([seed, n_states]).spawn(restarts)]
    spread = np.full(n_states, 1.0 / n_states)
    start = np.stack([_dirichlet(rng, spread, 1)[0] for rng in streams])
    trans = np.stack([_dirichlet(rng, spread, n_states) for rng in streams])
    times = [inner[min(b, len(inner) - 1)] for b in range(restarts)]
    means = np.stack([kmeans(_sample(x, subset, rng), n_states, rng, n) for rng, n in zip(streams, times, strict=True)])
    pooled = np.atleast_2d(np.cov(x.T, ddof=1)) if len(x) > 1 else np.zeros((x.shape[1],) * 2)
    pooled = pooled + _MIN_COVAR * np.eye(x.shape[1])
    covars = np.tile(pooled if full else np.diag(pooled), (restarts, n_states, *[1] * (1 + full)))
    return Parameters(start, trans, means, covars)


def _dirichlet(rng: np.random.Generator, weights: Array, rows: int) -> Array:
    return rng.dirichlet(weights, rows) if len(weights) > 1 else np.ones((rows, 1))


def _sample(x: Array, size: int | None, rng: np.random.Generator) -> Array:
    return x if size is None or len(x) <= size else x[rng.choice(len(x), size, replace=False)]


def kmeans(x: Array, n_clusters: int, rng: np.random.Generator, times: int = 1) -> Array:
    """Return the best of `times` k-means++ solutions, centres [clusters, D] (Lloyd's algorithm)."""
    solutions = [_lloyd(x, _plus_plus(x, n_clusters, rng)) for _ in range(times)]
    return min(solutions, key=lambda solution: solution[1])[0]


def _plus_plus(x: Array, n_clusters: int, rng: np.random.Generator) -> Array:
    """Choose centres among the frames with probability proportional to the squared distance to those chosen."""
    centres = [x[rng.integers(len(x))]]
    distance = np.square(x - centres[0]).sum(axis=1)
    while len(centres) < n_clusters:
        total = distance.sum()
        index = rng.choice(len(x), p=distance / total) if total > 0 else rng.integers(len(x))
        centres.append(x[index])
        distance = np.minimum(distance, np.square(x - x[index]).sum(axis=1))
    return np.array(centres)


def _lloyd(x: Array, centres: Array) -> tuple[Array, float]:
    squares = np.square(x).sum(axis=1)
    label: NDArray[np.intp] = np.full(len(x), -1)
    for _ in range(_SWEEPS):
        distance = np.square(centres).sum(axis=1) - 2 * (x @ centres.T)
        nearest = distance.argmin(axis=1)
        if np.array_equal(nearest, label):
            break
        label = nearest
        member = np.eye(len(centres))[label]
        count = member.sum(axis=0)
        centres = np.where(count[:, None] > 0, (member.T @ x) / np.maximum(count, 1)[:, None], centres)
    inertia = float(squares.sum() + (np.square(centres).sum(axis=1) - 2 * (x @ centres.T)).min(axis=1).sum())
    return centres, inertia
