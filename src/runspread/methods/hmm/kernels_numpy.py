"""The recursions over time without a compiler: the same functions as ``kernels_numba``, vectorised over sequences."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .parameters import Array, Mask, log_sum

BLOCK = 2**15
"""Frames at a time: many sequences together make the loop over time worth its cost."""

SMALLEST_NORM, SMALLEST_RATIO = 1e-100, 1e-180
"""Below these a scaled recursion may have dropped a path that matters later (the exactness certificate)."""

TINY = 1e-300
"""Weights below it count as 0: numbers below 1e-308 are very slow to compute with, and hopeless states have many."""


HOPELESS = -690.0
"""Relative log-densities below it (1e-300) count as minus infinity."""


def gaussian(white: Array, constant: Array, out: Array) -> None:
    """Write log-densities ``constant − ‖white‖²/2`` into `out` [frames, n], from whitened frames [frames, D, n]."""
    np.einsum("tdn,tdn->tn", white, white, out=out)
    out *= -0.5
    out += constant


def relative(log_b: Array) -> tuple[Array, Array]:
    """Return log-densities relative to the largest of each frame and model, and those largest [frames, B]."""
    top = log_b.max(axis=1)
    with np.errstate(invalid="ignore"):
        b = log_b - top[:, None]
        b[b < HOPELESS] = -np.inf
    return b, top


def _by_time(offsets: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return for each time the rows of the sequences that are still running, longest sequence first."""
    lengths = np.diff(offsets)
    order = np.argsort(-lengths, kind="stable")
    starts, sorted_lengths = offsets[:-1][order], lengths[order]
    return [starts[: np.searchsorted(-sorted_lengths, -t)] + t for t in range(int(sorted_lengths[0]))]


def smooth(b: Array, offsets: NDArray[np.int64], start: Array, trans: Array) -> tuple[Array, Array, Array, Mask]:
    """Scaled forward-backward with independent scalings.

    Parameters
    ----------
    b : ndarray [frames, K, B]
        Densities relative to the largest of each frame and model.
    offsets : ndarray [S + 1]
    start : ndarray [K, B]
    trans : ndarray [K, K, B]

    Returns
    -------
    gamma : ndarray [frames, K, B]
        Posteriors of the states.
    xi : ndarray [S, K, K, B]
        Expected numbers of transitions.
    norms : ndarray [frames, B]
        Their logarithms add up to the log-likelihood (of `b`).
    exact : ndarray of bool [S, B]
        Certificate: no path can have been lost to underflow.

    Notes
    -----
    What counts as 0 is below 1e-300, thus below 1e-200 of the mass after division by the smallest norm that the
    certificate lets pass, and the future can magnify it by at most 1e180. So what is certified is exact to 1e-20.
    """
    dense, pi, a = (np.ascontiguousarray(np.moveaxis(v, -1, 0)) for v in (b, start, trans))  # models first
    walk = _without_tiny(a.copy())
    times = _by_time(offsets)
    with np.errstate(all="ignore"):
        alpha, norms = _forward(dense, times, pi, walk)
        ok = (norms > SMALLEST_NORM) & (norms < np.inf)
        scaled, ahead = _backward(dense, times, alpha, walk, ok)
        gamma, exact = alpha, np.logical_and.reduceat(ok, offsets[:-1], axis=1)
        xi = np.stack(
            [
                a * (np.swapaxes(scaled[:, first : last - 1], 1, 2) @ ahead[:, first + 1 : last])
                for first, last in pairwise(offsets)
            ]
        )
    return np.moveaxis(gamma, 0, -1), np.moveaxis(xi, 1, -1), norms.T, exact.T


def _forward(b: Array, times: list[NDArray[np.int64]], start: Array, trans: Array) -> tuple[Array, Array]:
    alpha, norms = np.empty_like(b), np.empty(b.shape[:2])
    for t, rows in enumerate(times):
        ahead = start[:, None] if t == 0 else alpha[:, rows - 1] @ trans
        value = ahead * b[:, rows]
        norms[:, rows] = value.sum(axis=2)
        alpha[:, rows] = _without_tiny(value / norms[:, rows, None])
    return alpha, norms


def _backward(b: Array, times: list[NDArray[np.int64]], alpha: Array, trans: Array, ok: Mask) -> tuple[Array, Array]:
    """Turn `alpha` into posteriors in place, clear `ok` where in doubt; return both factors of ξ."""
    scaled, ahead, beta = np.empty_like(b), np.empty_like(b), np.ones_like(b)
    back = np.ascontiguousarray(np.swapaxes(trans, 1, 2))
    for rows in reversed(times[1:]):
        weight = b[:, rows] * beta[:, rows]
        future = weight @ back
        before = alpha[:, rows - 1]
        mass, top = (before * future).sum(axis=2, keepdims=True), future.max(axis=2, keepdims=True)
        ok[:, rows - 1] &= ((mass > SMALLEST_RATIO * top) & (mass < np.inf) & (top > SMALLEST_NORM))[..., 0]
        scaled[:, rows - 1], ahead[:, rows] = before / mass, weight
        alpha[:, rows - 1] = _without_tiny(before * future / mass)
        beta[:, rows - 1] = _without_tiny(future / top)
    return scaled, ahead


def _without_tiny(values: Array) -> Array:
    values[values < TINY] = 0.0
    return values


def forward_log(log_b: Array, log_start: Array, log_trans: Array) -> Array:
    """Return log p(s_t = k, z_1..z_t) [T, K] of one sequence."""
    alpha = np.empty_like(log_b)
    with np.errstate(all="ignore"):
        alpha[0] = log_start + log_b[0]
        for t in range(1, len(log_b)):
            alpha[t] = log_b[t] + log_sum(alpha[t - 1][:, None] + log_trans, axis=0)
    return alpha


def smooth_log(log_b: Array, log_start: Array, log_trans: Array) -> tuple[Array, Array, float]:
    """Forward-backward of one sequence in log space: posteriors [T, K], ξ [K, K], log-likelihood."""
    alpha, beta = forward_log(log_b, log_start, log_trans), np.zeros_like(log_b)
    with np.errstate(all="ignore"):
        for t in range(len(log_b) - 2, -1, -1):
            beta[t] = log_sum(log_trans + log_b[t + 1] + beta[t + 1], axis=1)
        total = float(log_sum(alpha[-1], axis=0))
        gamma = np.exp(alpha + beta - log_sum(alpha + beta, axis=1)[:, None])
        pairs = alpha[:-1, :, None] + log_trans + (log_b[1:] + beta[1:])[:, None, :] - total
        xi = np.exp(pairs).sum(axis=0)
    return gamma, xi, total


def viterbi(log_b: Array, log_start: Array, log_trans: Array) -> tuple[NDArray[np.int64], float]:
    """Return the most probable path of one sequence and its log-probability; ties go to the lowest state."""
    best, back = log_start + log_b[0], np.empty(log_b.shape, dtype=np.int64)
    for t in range(1, len(log_b)):
        scores = best[:, None] + log_trans
        back[t] = scores.argmax(axis=0)
        best = scores.max(axis=0) + log_b[t]
    path = np.empty(len(log_b), dtype=np.int64)
    path[-1] = best.argmax()
    for t in range(len(log_b) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path, float(best.max())
