"""Log-densities of frames under every state of every model, by matrix products (no loop over frames or models)."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from .kernels import Kernels
from .parameters import Array, Frames, Mask, Parameters

_JITTER = 1e-7  # added to a covariance that has no Cholesky factor, for the density only
_TILE = 2**16  # whitened numbers at a time: they stay in the processor's cache, and their memory is used again


class Density(Protocol):
    """Log-densities of a fixed batch of models."""

    @property
    def failed(self) -> Mask:
        """Models without a density [B]."""
        ...

    def log(self, frames: Frames, first: int, last: int) -> Array:
        """Return log N(x_t; μ_k, Σ_k) of frames ``first..last-1`` as [frames, K, B]."""
        ...


def density(params: Parameters, kernels: Kernels) -> Density:
    """Prepare the log-densities of a batch."""
    return FullDensity(params, kernels) if params.full else DiagonalDensity(params)


class DiagonalDensity:
    """``[1, x, x²] · W``: one matrix product for all states and models."""

    def __init__(self, params: Parameters) -> None:
        variances = np.maximum(np.moveaxis(params.covars, 0, 2), np.finfo(np.float64).tiny)  # [K, D, B]
        means = np.moveaxis(params.means, 0, 2)
        with np.errstate(all="ignore"):
            constant = -0.5 * (np.log(2 * np.pi * variances) + means**2 / variances).sum(axis=1, keepdims=True)
            weights = np.concatenate([constant, means / variances, -0.5 / variances], axis=1)
        self.failed: Mask = np.any(~np.isfinite(weights), axis=(0, 1))
        weights[:, :, self.failed] = 0.0
        self._weights = np.moveaxis(weights, 1, 0).reshape(weights.shape[1], -1)
        self._shape = (weights.shape[0], weights.shape[2])

    def log(self, frames: Frames, first: int, last: int) -> Array:
        """Return the log-densities [frames, K, B]."""
        return (frames.squares[first:last] @ self._weights).reshape(-1, *self._shape)


class FullDensity:
    """Whitening, ``‖R(x − μ)‖²`` with ``R = L⁻¹``.

    The quadratic expansion would lose digits: covariances of training metrics have eigenvalues down to 1e-10.
    """

    def __init__(self, params: Parameters, kernels: Kernels) -> None:
        lower, self.failed = cholesky(params.covars)
        whiten = inverse_lower(lower)  # [B, K, D, D]
        n_models, n_states, n_metrics = params.means.shape
        means = np.where(self.failed[:, None, None], 0.0, params.means)
        shift = -np.einsum("bkde,bke->bkd", whiten, means)
        log_det = np.log(np.diagonal(lower, axis1=2, axis2=3)).sum(axis=2)
        self._constant = (-0.5 * n_metrics * np.log(2 * np.pi) - log_det).T.ravel()
        weights = np.concatenate([whiten, shift[..., None]], axis=3)  # [B, K, D, D + 1]
        self._weights = np.ascontiguousarray(weights.transpose(3, 2, 1, 0)).reshape(n_metrics + 1, -1)
        self._shape, self._kernels = (n_states, n_models), kernels

    def log(self, frames: Frames, first: int, last: int) -> Array:
        """Return the log-densities [frames, K, B]."""
        out = np.empty((last - first, self._constant.size))
        tile = max(16, _TILE // self._weights.shape[1])
        buffer = np.empty((min(tile, last - first), self._weights.shape[1]))
        with np.errstate(all="ignore"):
            for start in range(first, last, tile):
                stop = min(start + tile, last)
                white = np.matmul(frames.with_one[start:stop], self._weights, out=buffer[: stop - start])
                shaped = white.reshape(stop - start, -1, out.shape[1])
                self._kernels.gaussian(shaped, self._constant, out[start - first : stop - first])
        return out.reshape(-1, *self._shape)


def cholesky(covars: Array) -> tuple[Array, Mask]:
    """Return lower Cholesky factors [B, K, D, D] and which models have none even with jitter (identities instead)."""
    failed: Mask = np.logical_or.reduce(~np.isfinite(covars.reshape(len(covars), -1)), axis=1)
    identity = np.eye(covars.shape[-1])
    safe = np.where(failed[:, None, None, None], identity, covars)
    try:
        return np.asarray(np.linalg.cholesky(safe), dtype=np.float64), failed
    except np.linalg.LinAlgError:
        lower = np.empty_like(safe)
    for index in np.ndindex(safe.shape[:2]):
        factor = _factor(safe[index])
        failed[index[0]] |= factor is None
        lower[index] = identity if factor is None else factor
    return lower, failed


def _factor(covariance: Array) -> Array | None:
    for jitter in (0.0, _JITTER):
        try:
            return np.asarray(np.linalg.cholesky(covariance + jitter * np.eye(len(covariance))), dtype=np.float64)
        except np.linalg.LinAlgError:
            continue
    return None


def inverse_lower(lower: Array) -> Array:
    """Invert lower triangular matrices [..., D, D] by forward substitution, all of them at once."""
    size = lower.shape[-1]
    inverse = np.zeros_like(lower)
    for row in range(size):
        known = -np.einsum("...e,...ed->...d", lower[..., row, :row], inverse[..., :row, :])
        known[..., row] += 1.0
        inverse[..., row, :] = known / lower[..., row, row, None]
    return inverse
