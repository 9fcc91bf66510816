"""Fourteen scalar statistics of a network's weights at one checkpoint, for one run or a stack of runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice
from ...errors import InputError
from .weight_parts import (
    ARCHITECTURES,
    WeightParts,
    guess_architecture,
    head_count,
    kinds_of,
    named_arrays,
    plain_parts,
    weight_parts,
)

WEIGHT_METRICS = (
    "l1",
    "l2",
    "trace",
    "spectral",
    "code_sparsity",
    "computational_sparsity",
    "mean_lambda",
    "variance_lambda",
    "mean_w",
    "median_w",
    "var_w",
    "mean_b",
    "median_b",
    "var_b",
)
"""Names of the fourteen weight metrics in their canonical order (Hu et al. 2023, section 3)."""

_SMALLEST = 1e-5  # singular values below it count as 0, as in the published metrics
_LARGE = 256  # rows and columns from which singular values come from the Gram matrix


def weight_metrics(
    weights: Any,
    *,
    architecture: str | None = None,
    heads: int | None = None,
    variance: str = "unbiased",
    stacked: bool = False,
) -> dict[str, Any]:
    """Return the fourteen weight metrics of a network at one checkpoint.

    Parameters
    ----------
    weights : module, mapping of str to array, or sequence of arrays
        A torch module, a state dict, or bare arrays (one axis: bias; two: matrix; more: convolution). A module tells
        which of its weights are embeddings and how many heads it has; of a state dict only names and shapes are known
        (by the rules of `spectra`), so an embedding that is not called one counts as a matrix, and heads are not split
        without `heads`. Pruned and normalised weights count as the layers use them.
    architecture : {"mlp", "cnn", "transformer", "encoder"}, optional
        Which arrays count, and how. Guessed from names and shapes when None. ``mlp``: every linear layer.
        ``cnn``: every convolution but downsampling ones as filters; linear layers as matrices, with their biases.
        ``transformer``: keys, queries and values per head, attention output, both MLP matrices and their biases.
        ``encoder``: the same without splitting heads (as for BERT).
        Embeddings, unembeddings and normalisation parameters never count.
    heads : int, optional
        Number of attention heads, where the arrays or the module do not tell.
    variance : {"unbiased", "population"}
        Estimator behind ``variance_lambda``, ``var_w`` and ``var_b``.
    stacked : bool
        Whether every array has a leading axis of runs.

    Returns
    -------
    dict of str to float (or ndarray of float64 [runs] when stacked)
        In the order l1, l2, trace, spectral, code_sparsity, computational_sparsity, mean_lambda, variance_lambda,
        mean_w, median_w, var_w, mean_b, median_b, var_b. All NaN for a run with NaN or infinite weights;
        NaN for the bias metrics of a network without biases.

    Raises
    ------
    InputError
        No array counts, or the arrays do not fit together.

    Notes
    -----
    Norms, traces, largest singular values and the two sparsities are averages over the matrices (ratios are averaged,
    not taken of averages); mean, median (the lower of two middle values) and variance are over all weights and over
    all biases. Source: Hu et al. 2023, section 3 and appendix; singular values below 1e-5 count as 0, as in their code.

    Examples
    --------
    >>> import numpy as np, runspread as rs
    >>> rs.methods.dynamics.weight_metrics([np.eye(2), np.ones(2)])["trace"]
    2.0
    """
    check_choice(variance, "variance", ("unbiased", "population"))
    parts = _parts(weights, architecture, heads, stacked, weights)
    values = _metrics(parts, ddof=int(variance == "unbiased"))
    return {name: value if stacked else float(value[0]) for name, value in zip(WEIGHT_METRICS, values, strict=True)}


def stacked_weight_metrics(weights: Mapping[str, Any], module: Any) -> dict[str, NDArray[np.float64]]:
    """Return the metrics [runs] of a stack of a module's parameters, which the module itself says the kinds of.

    Parameters
    ----------
    weights : mapping of str to array [runs, ...]
        The parameters by name.
    module : torch.nn.Module
        Whose layers they belong to.
    """
    parts = _parts(weights, None, head_count(module), True, module)
    return dict(zip(WEIGHT_METRICS, _metrics(parts, ddof=1), strict=True))


def _parts(weights: Any, architecture: str | None, heads: int | None, stacked: bool, source: Any) -> WeightParts:
    named = named_arrays(weights, stacked)
    if not hasattr(weights, "items") and not hasattr(weights, "named_parameters"):
        if architecture is not None:
            raise InputError(f"got architecture {architecture!r} with unnamed arrays", "a mapping of names to arrays")
        return plain_parts(named.values())
    kinds = kinds_of(named, source)
    kind = guess_architecture(named) if architecture is None else architecture
    return weight_parts(named, check_choice(kind, "architecture", ARCHITECTURES), heads or head_count(source), kinds)


def _metrics(parts: WeightParts, ddof: int) -> NDArray[np.float64]:
    """Return the metrics [14, runs]; a run with a non-finite weight is zeroed for the algebra and NaN in the answer."""
    groups = (parts.matrices, parts.filters, parts.biases)
    if not parts.matrices and not parts.filters:
        raise InputError("got only biases", "at least one weight matrix")
    runs = len((parts.matrices or parts.filters)[0])
    broken = np.zeros(runs, dtype=bool)
    for array in (a for group in groups for a in group):
        broken |= ~np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    if broken.any():
        matrices, filters, biases = ([np.where(_expand(broken, a), 0.0, a) for a in group] for group in groups)
        parts = WeightParts(matrices, filters, biases)
    values = np.concatenate([_layer_metrics(parts, ddof), _pooled(parts.matrices + parts.filters, ddof, runs)])
    values = np.concatenate([values, _pooled(parts.biases, ddof, runs)])
    values[:, broken] = np.nan
    return values


def _expand(mask: NDArray[np.bool_], like: NDArray[np.float64]) -> NDArray[np.bool_]:
    return mask.reshape(-1, *([1] * (like.ndim - 1)))


def _layer_metrics(parts: WeightParts, ddof: int) -> NDArray[np.float64]:
    """Return the eight averages over layers [8, runs]."""
    runs = len((parts.matrices or parts.filters)[0])
    norms = [_filter_norms(a) for a in parts.filters] + [_matrix_norms(a) for a in parts.matrices]
    l1, l2, code = (_average([n[i] for n in norms], runs) for i in range(3))
    spectra = [_spectrum_metrics(a, ddof) for a in parts.matrices]
    trace, spectral, computational, mean, var = (_average([s[i] for s in spectra], runs) for i in range(5))
    return np.stack([l1, l2, trace, spectral, code, computational, mean, var])


def _average(values: list[NDArray[np.float64]], runs: int) -> NDArray[np.float64]:
    """Average over layers, excluding those where the value is undefined (NaN)."""
    stack = np.array(values).reshape(-1, runs)
    count = np.sum(~np.isnan(stack), axis=0)
    return _ratio(np.nansum(stack, axis=0), count.astype(np.float64))


def _ratio(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide, with NaN where the denominator is 0."""
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom != 0)


def _matrix_norms(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    l1, l2 = np.abs(matrix).sum(axis=(1, 2)), np.sqrt(np.square(matrix).sum(axis=(1, 2)))
    return l1, l2, _ratio(l1, l2)


def _filter_norms(filters: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return norms and their ratio, each averaged over a convolution's filters."""
    l1, l2 = np.abs(filters).sum(axis=2), np.sqrt(np.square(filters).sum(axis=2))
    return l1.mean(axis=1), l2.mean(axis=1), _average(list(_ratio(l1, l2).T), len(filters))


def _spectrum_metrics(matrix: NDArray[np.float64], ddof: int) -> tuple[NDArray[np.float64], ...]:
    trace = np.trace(matrix, axis1=1, axis2=2)
    singular = _singular_values(matrix)
    spectral = singular[:, 0]
    kept = np.where(singular < _SMALLEST, 0.0, singular)
    undefined = kept.shape[1] <= ddof
    spread = np.full(len(kept), np.nan) if undefined else kept.var(axis=1, ddof=ddof)
    return trace, spectral, _ratio(trace, spectral), kept.mean(axis=1), spread


def _singular_values(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return singular values, largest first; of large matrices from the Gram matrix, twice as fast.

    Those are off by about 1e-16 σ₁² / σ, and by 1e-8 σ₁ where σ is 0, which counts as 0 all the same up to σ₁ = 500.
    """
    rows, columns = matrix.shape[1:]
    if min(rows, columns) < _LARGE:
        return np.linalg.svd(matrix, compute_uv=False).astype(np.float64)
    short = matrix if rows <= columns else np.swapaxes(matrix, 1, 2)
    squares = np.linalg.eigvalsh(short @ np.swapaxes(short, 1, 2))[:, ::-1]
    return np.sqrt(np.maximum(squares, 0.0))


def _pooled(arrays: list[NDArray[np.float64]], ddof: int, runs: int) -> NDArray[np.float64]:
    """Return mean, lower median and variance [3, runs] of all entries together."""
    if not arrays:
        return np.full((3, runs), np.nan)
    values = np.concatenate([array.reshape(runs, -1) for array in arrays], axis=1)
    size = values.shape[1]
    median = np.partition(values, (size - 1) // 2, axis=1)[:, (size - 1) // 2]
    variance = values.var(axis=1, ddof=ddof) if size > ddof else np.full(runs, np.nan)
    return np.stack([values.mean(axis=1), median, variance])
