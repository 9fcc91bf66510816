"""Changes of weights: correlation traps taken out, and distances between two sets of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_seed
from ..._reading.weights.sorting import layers_of_arrays
from ..._reading.weights.tensors import WeightTensor
from ..._results import Result, Table
from ...errors import InputError
from .marchenko_pastur import fit_marchenko_pastur
from .singular_values import matrices_of, tensor_of_matrices
from .tails import Floats


@dataclass(frozen=True)
class ClippedWeight:
    """A weight without correlation traps.

    Attributes
    ----------
    weight : ndarray
        In the shape and type of the original.
    num_spikes : int
        Number of spikes of the shuffled matrices that were removed.
    """

    weight: NDArray[Any]
    num_spikes: int


def clip_traps(
    weight: ArrayLike,
    *,
    groups: int = 1,
    layout: str = "auto",
    seed: int | np.random.Generator | None = None,
) -> ClippedWeight:
    """Remove from a weight what stands out of the noise even after its entries are shuffled: a few huge entries.

    The entries are permuted at random, a Marchenko-Pastur bulk is fitted, the singular components of the **permuted**
    matrix above it are removed, and the permutation is undone. Learned directions do not survive the permutation, so
    they stay. (WeightWatcher 0.7 removes components of the unpermuted matrix.)

    Parameters
    ----------
    weight : array_like
        A matrix or a kernel.
    groups, layout
        As in `spectrum`.
    seed : int or Generator, optional
        Seed of the permutations.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> weight = rng.normal(size=(160, 100)) @ np.diag(np.arange(1, 101.0) ** -0.6)  # a heavy tail
    >>> rs.methods.spectra.clip_traps(weight, seed=0).weight.shape
    (160, 100)
    """
    array, rng = np.asarray(weight), np.random.default_rng(check_seed(seed))
    blocks = matrices_of(array, layout=layout, groups=groups)
    clipped, removed = np.empty_like(blocks), 0
    for k, block in enumerate(blocks):
        order = rng.permutation(block.size)
        u, s, v = np.linalg.svd(block.ravel()[order].reshape(block.shape), full_matrices=False)
        spikes = _spikes(s, block.shape)
        removed += spikes
        s[:spikes] = 0.0
        flat = np.empty(block.size)
        flat[order] = ((u * s) @ v).ravel()
        clipped[k] = flat.reshape(block.shape)
    back = tensor_of_matrices(clipped, shape=array.shape, layout=layout, groups=groups)
    return ClippedWeight(back.astype(array.dtype), removed)


def _spikes(singular: Floats, shape: tuple[int, ...]) -> int:
    if not singular[0] > 0:
        return 0
    fit = fit_marchenko_pastur(singular**2, max(shape), min(shape))
    return fit.num_spikes if fit.status == "ok" else 0


@dataclass(frozen=True, eq=False, kw_only=True)
class WeightDistances(Result):
    """How far two sets of weights of one architecture lie apart.

    Attributes
    ----------
    layers : tuple of str
        Names of the weight matrices and kernels.
    frobenius : ndarray [layers]
        ``||W - W0||_F``.
    relative : ndarray [layers]
        That over ``||W0||_F``.
    euclidean : ndarray [layers]
        Frobenius distance averaged over the slices of a kernel (WeightWatcher's "euclidean").
    spectral : ndarray [layers]
        ``||W - W0||_2`` (the largest over slices).
    cka : ndarray [layers]
        Uncentred alignment ``||W0^T W||_F / sqrt(||W0^T W0||_F ||W W^T||_F)``, averaged over slices.
    squared : float
        Sum of squared differences over all arrays, biases included: the contest's distance from initialisation.
    """

    layers: tuple[str, ...]
    frobenius: NDArray[np.float64]
    relative: NDArray[np.float64]
    euclidean: NDArray[np.float64]
    spectral: NDArray[np.float64]
    cka: NDArray[np.float64]
    squared: float

    def table(self) -> Table:
        """Return one row per layer."""
        names = ("frobenius", "relative", "euclidean", "spectral", "cka")
        return Table({"layer": self.layers} | {name: getattr(self, name) for name in names})

    def sentence(self) -> str:
        """Say how far the weights lie apart."""
        return (
            f"The weights differ by {np.sqrt(self.squared):.3g} in all (square root of the summed squares), by "
            f"{np.mean(self.relative):.0%} of the norm of a layer on average over {len(self.layers)} layers; networks "
            "that compute the same function can be far apart."
        )


def weight_distances(first: Mapping[str, ArrayLike], second: Mapping[str, ArrayLike]) -> WeightDistances:
    """Return distances between two sets of weights, for example at initialisation and after training.

    Parameters
    ----------
    first, second : mapping of str to array_like
        Parameters by name, the same names and shapes.

    Raises
    ------
    InputError
        Names or shapes differ, or there are no matrices.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> weight = rng.normal(size=(160, 100)) @ np.diag(np.arange(1, 101.0) ** -0.6)  # a heavy tail
    >>> rs.methods.spectra.weight_distances({"fc.weight": weight}, {"fc.weight": weight}).table()["relative"]
    [0.0]
    """
    a = {name: np.asarray(weight, dtype=np.float64) for name, weight in first.items()}
    b = {name: np.asarray(weight, dtype=np.float64) for name, weight in second.items()}
    for name in sorted(a.keys() | b.keys()):
        if name not in a or name not in b or a[name].shape != b[name].shape:
            found = [str(x[name].shape) if name in x else "nothing" for x in (a, b)]
            raise InputError(
                f"{name} is {found[0]} in one and {found[1]} in the other", "the same names and shapes in both"
            )
    layers, others = layers_of_arrays(a), {tensor.name: tensor for tensor in layers_of_arrays(b)}
    if not layers:
        raise InputError("there are no weight matrices among the weights", "at least one array with two axes")
    rows = np.array([_distances(tensor.load(), others[tensor.name].load(), tensor) for tensor in layers]).T
    return WeightDistances(
        layers=tuple(tensor.name for tensor in layers),
        frobenius=rows[0],
        relative=rows[1],
        euclidean=rows[2],
        spectral=rows[3],
        cka=rows[4],
        squared=float(sum(np.sum((b[name] - a[name]) ** 2) for name in a)),
    )


def _distances(first: Floats, second: Floats, tensor: WeightTensor) -> tuple[float, ...]:
    layout = {"embedding": "dense", "update": "auto"}.get(tensor.kind, tensor.kind)
    a, b = (matrices_of(w, layout=layout) for w in (first, second))
    total, size = float(np.linalg.norm(second - first)), float(np.linalg.norm(first))
    at, bt = np.swapaxes(a, 1, 2), np.swapaxes(b, 1, 2)
    aligned = _frobenius(at @ b)
    scale = np.sqrt(_frobenius(at @ a) * _frobenius(b @ bt))
    return (
        total,
        total / size if size > 0 else float("nan"),
        float(np.mean(_frobenius(b - a))),
        float(np.max(np.linalg.norm(b - a, ord=2, axis=(1, 2)))),
        float(np.mean(np.divide(aligned, scale, out=np.full(len(scale), np.nan), where=scale > 0))),
    )


def _frobenius(blocks: NDArray[Any]) -> Floats:
    return np.sqrt(np.sum(blocks**2, axis=(1, 2)))
