"""Where EM starts: k-means centres, pooled covariance, sparse random transitions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from .parameters import Array, Frames, Parameters

_MIN_COVAR = 1e-3
_SWEEPS = 100


def initial_parameters(
    x: Array, n_states: int, restarts: int, seed: int, *, full: bool, subset: int | None, inner: Sequence[int]
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
    inner : sequence of int [restarts]
        How many k-means runs each restart takes the best of; for 0 its centres are those that k-means would start from.
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence([seed, n_states]).spawn(restarts)]
    spread = np.full(n_states, 1.0 / n_states)
    start = np.stack([_dirichlet(rng, spread, 1)[0] for rng in streams])
    trans = np.stack([_dirichlet(rng, spread, n_states) for rng in streams])
    means = np.stack([kmeans(_sample(x, subset, rng), n_states, rng, n) for rng, n in zip(streams, inner, strict=True)])
    pooled = np.atleast_2d(np.cov(x.T, ddof=1)) if len(x) > 1 else np.zeros((x.shape[1],) * 2)
    pooled = pooled + _MIN_COVAR * np.eye(x.shape[1])
    covars = np.tile(pooled if full else np.diag(pooled), (restarts, n_states, *[1] * (1 + full)))
    return Parameters(start, trans, means, covars)


def from_clusters(frames: Frames, start: Parameters, restarts: Iterable[int]) -> Parameters:
    """Take the frames nearest to each starting mean for its state, and start some restarts from what they say.

    Their covariances and transitions are closer to a fit than pooled covariances and random transitions, from which EM
    often ends in a poor optimum; from both, in fewer of them than from either.
    """
    first = np.zeros(len(frames.x), dtype=bool)
    first[frames.offsets[:-1]] = True
    n_states, new = start.start.shape[1], start.copy()
    spread = frames.spread
    for b in restarts:
        means = start.means[b]
        label = _snapped(np.square(means).sum(axis=1) - 2 * (frames.x @ means.T)).argmin(axis=1)
        new.start[b] = (np.bincount(label[first], minlength=n_states) + 1) / (first.sum() + n_states)
        pairs = np.bincount(n_states * label[:-1][~first[1:]] + label[1:][~first[1:]], minlength=n_states**2)
        counts = pairs.reshape(n_states, n_states) + 1.0
        new.trans[b] = 0.9 * counts / counts.sum(axis=1, keepdims=True) + 0.1 * start.trans[b]
        for k in range(n_states):
            members = frames.x[label == k]
            if len(members) <= 2 * start.means.shape[2]:
                continue  # too few: the pooled covariance stays
            gap = members - members.mean(axis=0)
            covar = gap.T @ gap / len(members) + _MIN_COVAR * np.diag(spread)
            new.covars[b, k] = covar if start.full else np.diagonal(covar)
    return new


def _dirichlet(rng: np.random.Generator, weights: Array, rows: int) -> Array:
    return rng.dirichlet(weights, rows) if len(weights) > 1 else np.ones((rows, 1))


def _sample(x: Array, size: int | None, rng: np.random.Generator) -> Array:
    return x if size is None or len(x) <= size else x[rng.choice(len(x), size, replace=False)]


def kmeans(x: Array, n_clusters: int, rng: np.random.Generator, times: int = 1) -> Array:
    """Return the best of `times` k-means++ solutions, centres [clusters, D] (Lloyd); for 0, those it starts from."""
    if times == 0:
        return _plus_plus(x, n_clusters, rng)
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
        nearest = _snapped(np.square(centres).sum(axis=1) - 2 * (x @ centres.T)).argmin(axis=1)
        if np.array_equal(nearest, label):
            break
        label = nearest
        member = np.eye(len(centres))[label]
        count = member.sum(axis=0)
        centres = np.where(count[:, None] > 0, (member.T @ x) / np.maximum(count, 1)[:, None], centres)
    inertia = float(squares.sum() + (np.square(centres).sum(axis=1) - 2 * (x @ centres.T)).min(axis=1).sum())
    return centres, inertia


def _snapped(distance: Array) -> Array:
    """Round to nine digits of the largest: equal distances must not differ by how a processor adds up."""
    step = 1e-9 * float(np.abs(distance).max())
    return np.round(distance / step) if step > 0 else distance
