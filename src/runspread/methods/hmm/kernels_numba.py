"""The recursions over time, compiled: the models of a batch lie side by side in memory and share every loop.

Loops are written out because the compiler turns the innermost ones, over models, into vector instructions.
Imported only where numba is installed; ``kernels_numpy`` has the same functions and documents them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from ..._compiled import compiled
from .flush import FLUSH_TO_ZERO, exchange_control
from .kernels_numpy import HOPELESS, SMALLEST_NORM, SMALLEST_RATIO, TINY
from .parameters import Array, Mask

_Function = TypeVar("_Function", bound=Callable[..., Any])

BLOCK = 256
"""Frames at a time: few enough that the arrays of a block stay in the processor's cache."""


def _inlined(function: _Function) -> _Function:
    """Compile into the caller: a call at every checkpoint would cost as much as the work."""
    return cast(_Function, numba.njit(inline="always", error_model="numpy")(function))


@compiled
def gaussian(white: Array, constant: Array, out: Array) -> None:
    """Write ``constant − ‖white‖²/2`` into `out`; see ``kernels_numpy.gaussian``."""
    n_frames, n_metrics, width = white.shape
    for t in range(n_frames):
        total = out[t]
        total[:] = 0.0
        for d in range(n_metrics):
            row = white[t, d]
            for r in range(width):
                total[r] += row[r] * row[r]
        for r in range(width):
            total[r] = constant[r] - 0.5 * total[r]


@compiled
def relative(log_b: Array) -> tuple[Array, Array]:
    """Return log-densities relative to the largest of each frame and model, and those largest [frames, B]."""
    n_frames, n_states, n_models = log_b.shape
    b, top = np.empty(log_b.shape), np.empty((n_frames, n_models))
    for t in range(n_frames):
        largest = top[t]
        largest[:] = log_b[t, 0]
        for j in range(1, n_states):
            row = log_b[t, j]
            for r in range(n_models):
                largest[r] = row[r] if row[r] > largest[r] else largest[r]
        for j in range(n_states):
            row, out = log_b[t, j], b[t, j]
            for r in range(n_models):
                value = row[r] - largest[r]
                out[r] = -np.inf if value < HOPELESS else value
    return b, top


@compiled
def _forward(b: Array, first: int, last: int, start: Array, trans: Array, alpha: Array, norms: Array) -> None:
    n_states, n_models = start.shape
    inverse = np.empty(n_models)
    for t in range(first, last):
        norm = norms[t]
        norm[:] = 0.0
        for j in range(n_states):
            value, dense = alpha[t, j], b[t, j]
            if t == first:
                value[:] = start[j]
            else:
                value[:] = 0.0
                for i in range(n_states):
                    step, before = trans[i, j], alpha[t - 1, i]
                    for r in range(n_models):
                        value[r] += before[r] * step[r]
            for r in range(n_models):
                value[r] *= dense[r]
                norm[r] += value[r]
        for r in range(n_models):
            inverse[r] = 1.0 / norm[r]
        for j in range(n_states):
            value = alpha[t, j]
            for r in range(n_models):
                weight = value[r] * inverse[r]
                value[r] = 0.0 if weight < TINY else weight  # this way round NaN stays


@_inlined
def _look_ahead(trans: Array, weight: Array, before: Array, future: Array, mass: Array, top: Array) -> None:
    """Compute ``future = trans · weight`` [K, B], its sum weighted by `before` and its maximum [B]."""
    n_states, n_models = weight.shape
    mass[:] = 0.0
    top[:] = 0.0
    for i in range(n_states):
        ahead, past = future[i], before[i]
        ahead[:] = 0.0
        for j in range(n_states):
            step, w = trans[i, j], weight[j]
            for r in range(n_models):
                ahead[r] += step[r] * w[r]
        for r in range(n_models):
            mass[r] += past[r] * ahead[r]
            top[r] = max(top[r], ahead[r])


@_inlined
def _look_back(before: Array, weight: Array, future: Array, mass: Array, top: Array, xi: Array, beta: Array) -> None:
    """Turn `before` [K, B] into posteriors, add its products with `weight` to `xi`, update `beta`."""
    n_states, n_models = weight.shape
    for i in range(n_states):
        ahead, past, back = future[i], before[i], beta[i]
        for r in range(n_models):
            past[r] *= mass[r]
        for j in range(n_states):
            pair, w = xi[i, j], weight[j]
            for r in range(n_models):
                pair[r] += past[r] * w[r]
        for r in range(n_models):
            smoothed, later = past[r] * ahead[r], ahead[r] * top[r]
            past[r] = 0.0 if smoothed < TINY else smoothed
            back[r] = 0.0 if later < TINY else later


@compiled
def _backward(b: Array, first: int, last: int, trans: Array, alpha: Array, xi: Array, exact: Mask) -> None:
    """Turn `alpha` into posteriors in place and add to `xi`, which lacks the factor `trans`."""
    n_states, n_models = trans.shape[1:]
    weight, future = np.empty((n_states, n_models)), np.empty((n_states, n_models))
    beta, mass, top = np.ones((n_states, n_models)), np.empty(n_models), np.empty(n_models)
    for t in range(last - 1, first, -1):
        for j in range(n_states):
            for r in range(n_models):
                weight[j, r] = b[t, j, r] * beta[j, r]
        _look_ahead(trans, weight, alpha[t - 1], future, mass, top)
        for r in range(n_models):
            exact[r] &= SMALLEST_RATIO * top[r] < mass[r] < np.inf and top[r] > SMALLEST_NORM
            mass[r] = 1.0 / mass[r]
            top[r] = 1.0 / top[r]
        _look_back(alpha[t - 1], weight, future, mass, top, xi, beta)


@compiled
def smooth(b: Array, offsets: NDArray[np.int64], start: Array, trans: Array) -> tuple[Array, Array, Array, Mask]:
    """Scaled forward-backward; see ``kernels_numpy.smooth``."""
    n_states, n_models = start.shape
    n_sequences = len(offsets) - 1
    gamma, norms = np.empty(b.shape), np.empty((len(b), n_models))
    xi = np.zeros((n_sequences, n_states, n_states, n_models))
    exact = np.ones((n_sequences, n_models), dtype=np.bool_)
    walk = np.where(trans < TINY, 0.0, trans)  # for the recursions; the expected transitions keep the tiny ones
    control = exchange_control(np.uint32(FLUSH_TO_ZERO))  # pyright: ignore[reportCallIssue]
    for s in range(n_sequences):
        first, last = offsets[s], offsets[s + 1]
        _forward(b, first, last, start, walk, gamma, norms)
        for t in range(first, last):
            for r in range(n_models):
                exact[s, r] &= SMALLEST_NORM < norms[t, r] < np.inf
        _backward(b, first, last, walk, gamma, xi[s], exact[s])
        xi[s] *= trans
    exchange_control(control)  # pyright: ignore[reportCallIssue]
    return gamma, xi, norms, exact


@compiled
def _log_sum(values: Array) -> float:
    top = values.max()
    if not np.isfinite(top):
        return top
    total = 0.0
    for value in values:
        if value - top > -40.0:  # what is omitted is below 5e-18 of the sum
            total += np.exp(value - top)
    return top + np.log(total)


@compiled
def forward_log(log_b: Array, log_start: Array, log_trans: Array) -> Array:
    """Return log p(s_t = k, z_1..z_t) [T, K] of one sequence."""
    n_states = len(log_start)
    alpha, terms = np.empty(log_b.shape), np.empty(n_states)
    alpha[0] = log_start + log_b[0]
    for t in range(1, len(log_b)):
        for j in range(n_states):
            for i in range(n_states):
                terms[i] = alpha[t - 1, i] + log_trans[i, j]
            alpha[t, j] = log_b[t, j] + _log_sum(terms)
    return alpha


@compiled
def smooth_log(log_b: Array, log_start: Array, log_trans: Array) -> tuple[Array, Array, float]:
    """Forward-backward of one sequence in log space; see ``kernels_numpy.smooth_log``."""
    n_frames, n_states = log_b.shape
    alpha = forward_log(log_b, log_start, log_trans)
    total = _log_sum(alpha[n_frames - 1])
    gamma, xi = np.empty(log_b.shape), np.zeros((n_states, n_states))
    beta, ahead, terms = np.zeros(n_states), np.empty(n_states), np.empty(n_states)
    for t in range(n_frames - 1, -1, -1):
        row = alpha[t] + beta
        gamma[t] = np.exp(row - _log_sum(row))
        if t == 0:
            break
        ahead[:] = log_b[t] + beta
        for i in range(n_states):
            for j in range(n_states):
                terms[j] = log_trans[i, j] + ahead[j]
                pair = alpha[t - 1, i] + terms[j] - total
                if pair > -745.0:
                    xi[i, j] += np.exp(pair)
            beta[i] = _log_sum(terms)
    return gamma, xi, total


@compiled
def viterbi(log_b: Array, log_start: Array, log_trans: Array) -> tuple[NDArray[np.int64], float]:
    """Return the most probable path of one sequence and its log-probability; ties go to the lowest state."""
    n_frames, n_states = log_b.shape
    best, scores = log_start + log_b[0], np.empty(n_states)
    back, path = np.zeros((n_frames, n_states), dtype=np.int64), np.empty(n_frames, dtype=np.int64)
    for t in range(1, n_frames):
        for j in range(n_states):
            winner = 0
            for i in range(1, n_states):
                if best[i] + log_trans[i, j] > best[winner] + log_trans[winner, j]:
                    winner = i
            back[t, j] = winner
            scores[j] = best[winner] + log_trans[winner, j] + log_b[t, j]
        best[:] = scores
    path[n_frames - 1] = np.argmax(best)
    for t in range(n_frames - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path, best.max()
