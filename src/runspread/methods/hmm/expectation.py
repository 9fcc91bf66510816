"""The E-step of many models at once: exact posteriors and the sums that the M-step needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .densities import Density, density
from .kernels import Kernels
from .parameters import Array, Frames, Mask, Parameters


@dataclass(frozen=True, eq=False)
class Expectation:
    """Sums over all frames and sequences.

    Attributes
    ----------
    log_likelihood : ndarray [S, B]
    failed : ndarray of bool [B]
        Models whose covariances have no Cholesky factor or are not finite.
    start : ndarray [K, B]
    xi : ndarray [K, K, B]
    moments : ndarray [K, B, P]
        Posterior-weighted sums of ``Frames.squares`` or ``Frames.products``.
    fallbacks : int
        Pairs of sequence and model that were recomputed in log space.
    """

    log_likelihood: Array
    failed: Mask
    start: Array
    xi: Array
    moments: Array
    fallbacks: int

    @property
    def total(self) -> Array:
        """Log-likelihood of each model [B]; NaN for failed ones."""
        return np.where(self.failed, np.nan, self.log_likelihood.sum(axis=0))


@dataclass(frozen=True, eq=False)
class Block:
    """Posteriors of some sequences: ``gamma`` [frames, K, B], ``xi`` [S, K, K, B], ``log_likelihood`` [S, B]."""

    gamma: Array
    xi: Array
    log_likelihood: Array
    fallbacks: int


def expectation(frames: Frames, params: Parameters, kernels: Kernels) -> Expectation:
    """Run forward-backward on every sequence under every model and add up."""
    features = frames.products if params.full else frames.squares
    n_models, n_states = params.start.shape
    start, xi = np.zeros((n_states, n_models)), np.zeros((n_states, n_states, n_models))
    moments = np.zeros((n_states * n_models, features.shape[1]))
    likelihood, fallbacks = np.empty((len(frames), n_models)), 0
    dense = density(params, kernels)
    for first, last in frames.blocks(kernels.BLOCK):
        low, high = frames.offsets[first], frames.offsets[last]
        block = smooth_block(frames, first, last, params, dense, kernels)
        moments += np.ascontiguousarray(block.gamma).reshape(high - low, -1).T @ features[low:high]
        start += block.gamma[frames.offsets[first:last] - low].sum(axis=0)
        xi += block.xi.sum(axis=0)
        likelihood[first:last] = block.log_likelihood
        fallbacks += block.fallbacks
    shaped = moments.reshape(n_states, n_models, -1)
    return Expectation(likelihood, dense.failed, start, xi, shaped, fallbacks)


def smooth_block(frames: Frames, first: int, last: int, params: Parameters, dense: Density, kernels: Kernels) -> Block:
    """Forward-backward of sequences ``first..last-1``: scaled, and again in log space where the certificate fails."""
    offsets = frames.offsets[first : last + 1] - frames.offsets[first]
    log_b = dense.log(frames, int(frames.offsets[first]), int(frames.offsets[last]))
    with np.errstate(all="ignore"):
        b, top = kernels.relative(log_b)
        np.exp(b, out=b)
        start = np.ascontiguousarray(params.start.T)
        trans = np.ascontiguousarray(np.moveaxis(params.trans, 0, -1))
        gamma, xi, norms, exact = kernels.smooth(b, offsets, start, trans)
        likelihood = np.add.reduceat(np.log(norms) + top, offsets[:-1], axis=0)
    doubtful = np.argwhere(~exact & ~dense.failed)
    for s, r in doubtful:
        span = slice(offsets[s], offsets[s + 1])
        logs = log_parameters(params, r)
        gamma[span, :, r], xi[s, :, :, r], likelihood[s, r] = kernels.smooth_log(
            np.ascontiguousarray(log_b[span, :, r]), *logs
        )
    return Block(gamma, xi, likelihood, len(doubtful))


def log_parameters(params: Parameters, model: int = 0) -> tuple[Array, Array]:
    """Return log start and log transition probabilities of one model, minus infinity where they are 0."""
    with np.errstate(divide="ignore"):
        return np.log(params.start[model]), np.log(params.trans[model])
