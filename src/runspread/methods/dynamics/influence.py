"""Which metrics decide that a run is in a state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..hmm.densities import cholesky, inverse_lower
from ..hmm.model import HiddenMarkovModel
from ..hmm.parameters import Array
from .paths import Paths


def precisions(model: HiddenMarkovModel) -> Array:
    """Return the inverse covariances [K, D, D]."""
    if model.covariance == "diag":
        return np.stack([np.diag(1.0 / row) for row in model.covars])
    whiten = inverse_lower(cholesky(model.covars[None])[0])[0]
    return np.swapaxes(whiten, 1, 2) @ whiten


def posterior_gradient(model: HiddenMarkovModel, x: Array, filtered: Array) -> Array:
    """Return how the log-probability of each state changes with each metric, ``∂ log p(s_t = k | z_1..z_t) / ∂ z_t``.

    Parameters
    ----------
    model : HiddenMarkovModel
    x : ndarray [n, D]
        Metrics at some checkpoints.
    filtered : ndarray [n, K]
        ``model.filtered`` at those checkpoints.

    Returns
    -------
    ndarray [n, K, D]

    Notes
    -----
    Source: Hu et al. 2023, section 3 (version 3): only the emission factor of the forward pass depends on ``z_t``, so
    the gradient is that of log N(z_t; μ_k, Σ_k) less its average over the states.
    """
    pull = np.einsum("kde,nke->nkd", precisions(model), model.means - x[:, None, :])
    return pull - np.einsum("nh,nhd->nd", filtered, pull)[:, None, :]


def edge_influence(model: HiddenMarkovModel, sequences: list[Array], paths: Paths, edges: NDArray[np.int64]) -> Array:
    """Return the mean absolute gradient for entering j over all transitions i → j [edges, D].

    It is taken at the last checkpoint in i: at the first one in j the state is already certain, the gradient vanishes.
    """
    last = [np.flatnonzero(path[1:] != path[:-1]) for path in paths]
    filtered = model.filtered(sequences)
    x = np.concatenate([run[rows] for run, rows in zip(sequences, last, strict=True)])
    known = np.concatenate([run[rows] for run, rows in zip(filtered, last, strict=True)])
    pairs = np.concatenate([np.stack([p[rows], p[rows + 1]], axis=1) for p, rows in zip(paths, last, strict=True)])
    size = np.abs(posterior_gradient(model, x, known))
    importance = np.empty((len(edges), model.n_metrics))
    for row, (source, target) in enumerate(edges):
        here = (pairs == (source, target)).all(axis=1)
        importance[row] = size[here, target].mean(axis=0)
    return importance
