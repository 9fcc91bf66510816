"""Rows of bits, and the choice of counting loops: compiled for many outcomes, plain for few or without numba."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ..._compiled import can_compile

COMPILE_FROM = 2**27  # outcomes; below, loading the compiled loops takes longer than they save
_BLOCK_ROWS = 255
_UNPACKED = 2**24
_CELLS = 2**20


class Counting(Protocol):
    """What both implementations offer, with the same integers (documented in ``counting_numpy``)."""

    def column_sums(self, correct: NDArray[np.bool_]) -> NDArray[np.int64]: ...
    def half_sums(self, correct: NDArray[np.bool_], first_half: NDArray[np.bool_]) -> NDArray[np.int64]: ...
    def weighted_sums(self, correct: NDArray[np.bool_], weights: NDArray[np.int64]) -> NDArray[np.int64]: ...
    def fingerprints(self, outcomes: NDArray[Any]) -> NDArray[np.uint64]: ...
    def add_votes(
        self,
        votes: NDArray[np.int32],
        abstained: NDArray[np.int32],
        predicted: NDArray[np.signedinteger[Any]],
        right: NDArray[np.int64],
        labels: NDArray[np.int64],
    ) -> None: ...


def load_counting(outcomes: int) -> Counting:
    """Return the loops for so many outcomes."""
    name = "counting_numba" if outcomes >= COMPILE_FROM and can_compile() else "counting_numpy"
    return cast(Counting, importlib.import_module(f"{__package__}.{name}"))


def row_sums(correct: NDArray[np.bool_], columns: NDArray[Any]) -> NDArray[Any]:
    """Return ``correct @ columns`` for columns [examples, m] of a floating type, a block of rows at a time."""
    sums = np.empty((len(correct), columns.shape[1]), columns.dtype)
    for start in range(0, len(correct), _BLOCK_ROWS):
        sums[start : start + _BLOCK_ROWS] = correct[start : start + _BLOCK_ROWS].astype(columns.dtype) @ columns
    return sums


def confusion_matrices(
    predicted: NDArray[np.signedinteger[Any]], labels: NDArray[np.int64], n_classes: int
) -> NDArray[np.unsignedinteger[Any]]:
    """Return how often each class is predicted for each true one [runs, true, predicted]; -1 counts nowhere.

    In the smallest of two unsigned types that holds the number of examples.
    """
    kind = np.uint16 if len(labels) < 2**16 else np.uint32
    counts = np.empty((len(predicted), n_classes, n_classes), kind)
    step = max(1, _CELLS // len(labels))
    for start in range(0, len(predicted), step):
        rows = predicted[start : start + step]
        cells = labels * n_classes + rows + np.arange(len(rows))[:, None] * n_classes**2
        found = np.bincount(cells[rows >= 0], minlength=len(rows) * n_classes**2)
        counts[start : start + step] = found.reshape(len(rows), n_classes, n_classes)
    return counts


def packed_rows(correct: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return rows of bits, filled with zeros to whole words of eight bytes."""
    bits = np.packbits(correct, axis=1)
    return np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8)))


def unpacked_rows(packed: NDArray[np.uint8], examples: int) -> Iterator[NDArray[np.bool_]]:
    """Yield the rows of `packed_rows` as booleans, some at a time."""
    step = max(1, _UNPACKED // examples)
    for start in range(0, len(packed), step):
        yield np.unpackbits(packed[start : start + step], axis=1, count=examples).view(np.bool_)
