"""Parameters of a batch of Gaussian hidden Markov models, and the sequences they are fitted to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError

ONE_METRIC = "One metric per run has one column: [run[:, None] for run in runs]."

Array: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Parameters:
    """B models with K states over D metrics each.

    Attributes
    ----------
    start : ndarray [B, K]
    trans : ndarray [B, K, K]
    means : ndarray [B, K, D]
    covars : ndarray [B, K, D] (diagonal) or [B, K, D, D] (full)
    """

    start: Array
    trans: Array
    means: Array
    covars: Array

    def __len__(self) -> int:
        return len(self.start)

    @property
    def full(self) -> bool:
        """Whether covariances are unrestricted."""
        return self.covars.ndim == 4

    def take(self, index: Any) -> Parameters:
        """Return the models at `index` along the batch axis."""
        return Parameters(self.start[index], self.trans[index], self.means[index], self.covars[index])

    def put(self, index: Any, other: Parameters) -> None:
        """Overwrite the models at `index` in place."""
        for name in ("start", "trans", "means", "covars"):
            getattr(self, name)[index] = getattr(other, name)

    def copy(self) -> Parameters:
        """Return a copy that owns its arrays."""
        return Parameters(self.start.copy(), self.trans.copy(), self.means.copy(), self.covars.copy())

    def permuted(self, order: NDArray[np.int64]) -> Parameters:
        """Return the same models with state ``order[k]`` called ``k``."""
        trans = self.trans[:, order][:, :, order]
        return Parameters(self.start[:, order], trans, self.means[:, order], self.covars[:, order])

    @property
    def finite(self) -> Mask:
        """Which models have no NaN or infinity [B]."""
        arrays = (self.start, self.trans, self.means, self.covars)
        return np.logical_and.reduce([np.isfinite(a.reshape(len(a), -1)).all(axis=1) for a in arrays])


def is_constant(mean: Array, deviation: Array) -> Mask:
    """Whether a standard deviation is no more than rounding."""
    return deviation <= 1e-12 * np.maximum(1.0, np.abs(mean))


def log_sum(values: Array, axis: int = 0) -> Array:
    """Return log Σ exp along an axis; minus infinity where all terms are."""
    top = np.max(values, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(values - top).sum(axis=axis)) + np.squeeze(top, axis=axis)


def count_parameters(n_states: int, n_metrics: int, covariance: str) -> int:
    """Return the number of free parameters."""
    spread = n_metrics if covariance == "diag" else n_metrics * (n_metrics + 1) // 2
    return (n_states - 1) + n_states * (n_states - 1) + n_states * (n_metrics + spread)


@dataclass(frozen=True, eq=False)
class Frames:
    """Sequences laid end to end.

    Attributes
    ----------
    x : ndarray [frames, D]
    offsets : ndarray of int64 [sequences + 1]
        Sequence s is ``x[offsets[s]:offsets[s + 1]]``.
    names : tuple of str
        How to call each sequence.
    """

    x: Array
    offsets: NDArray[np.int64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of each sequence."""
        return np.diff(self.offsets)

    def split(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Cut an array with one row a frame into one array a sequence."""
        return np.split(values, self.offsets[1:-1])

    def subset(self, index: Sequence[int] | NDArray[np.int64]) -> Frames:
        """Return the sequences at `index`, in that order."""
        parts = self.split(self.x)
        return frames_of([parts[i] for i in index], [self.names[i] for i in index])

    def columns(self, index: Sequence[int]) -> Frames:
        """Return some of the metrics."""
        return Frames(np.ascontiguousarray(self.x[:, list(index)]), self.offsets, self.names)

    def blocks(self, size: int) -> Iterator[tuple[int, int]]:
        """Yield ranges of sequences that together have at least `size` frames (the last one what is left)."""
        first = 0
        for stop in range(1, len(self) + 1):
            if self.offsets[stop] - self.offsets[first] >= size or stop == len(self):
                yield first, stop
                first = stop

    @cached_property
    def spread(self) -> Array:
        """Variance of each metric over all frames [D]; 1 for a constant one."""
        mean, deviation = self.x.mean(axis=0), self.x.std(axis=0)
        return np.where(is_constant(mean, deviation), 1.0, np.square(deviation))

    def prepare(self, *, full: bool) -> None:
        """Build what fits read, once, before threads share it."""
        _ = self.spread, self.with_one, self.products if full else self.squares

    @cached_property
    def with_one(self) -> Array:
        """Frames with a last column of ones [frames, D + 1]: adds a constant inside a matrix product."""
        return np.concatenate([self.x, np.ones((len(self.x), 1))], axis=1)

    @cached_property
    def squares(self) -> Array:
        """``[1, x, x²]`` [frames, 1 + 2D], whose weighted sums are the statistics of a diagonal model."""
        return np.concatenate([np.ones((len(self.x), 1)), self.x, np.square(self.x)], axis=1)

    @cached_property
    def products(self) -> Array:
        """``[1, x, lower triangle of x xᵀ]``, the same for a full model."""
        rows, columns = np.tril_indices(self.x.shape[1])
        return np.concatenate([np.ones((len(self.x), 1)), self.x, self.x[:, rows] * self.x[:, columns]], axis=1)


def frames_of(parts: Sequence[Array], names: Sequence[str]) -> Frames:
    """Lay checked sequences end to end."""
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return Frames(np.ascontiguousarray(np.concatenate(parts)), offsets, tuple(names))


def named_sequences(sequences: Any) -> dict[str, NDArray[Any]]:
    """Return run name to array; a list or a 3-D array gives ``run 0``, ``run 1``, ..."""
    if isinstance(sequences, Mapping):
        return {str(name): np.asarray(value) for name, value in sequences.items()}
    return {f"run {index}": np.asarray(value) for index, value in enumerate(sequences)}


def as_frames(sequences: Any, n_metrics: int | None = None) -> Frames:
    """Return sequences as checked `Frames`.

    Raises
    ------
    InputError
        No sequence, an empty one, different numbers of metrics, or a value that is not finite; names the run.
    """
    if isinstance(sequences, Frames):
        return sequences
    named = named_sequences(sequences)
    if not named:
        raise InputError("there are no sequences", "at least one [checkpoints, metrics]")
    for name, array in named.items():
        width = n_metrics if n_metrics is not None else next(iter(named.values())).shape[-1:]
        _check_sequence(name, array, width if isinstance(width, int) else (*width, 0)[0])
    return frames_of([array.astype(np.float64) for array in named.values()], list(named))


def _check_sequence(name: str, array: NDArray[Any], n_metrics: int) -> None:
    if array.ndim == 1:
        raise InputError(f"{name} has shape {array.shape}", "[checkpoints, metrics]", ONE_METRIC)
    if array.ndim != 2 or array.dtype.kind not in "fiub" or array.shape[1] != n_metrics or not n_metrics:
        shape = f"[checkpoints, {n_metrics or 'metrics'}]"
        raise InputError(f"{name} has shape {array.shape} and dtype {array.dtype}", f"numbers {shape}")
    if len(array) == 0:
        raise InputError(f"{name} has no checkpoints", "at least one", "Exclude empty runs.")
    finite = np.isfinite(array)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise InputError(
            f"{name} holds {array[row, column]} at checkpoint {row}, metric {column}",
            "finite numbers",
            "dynamics() and prepare_sequences() set diverged runs aside.",
        )
