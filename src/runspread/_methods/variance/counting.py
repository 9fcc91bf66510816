"""The counting kernels: exact integer sums over chunks of outcomes, in blocks that stay in cache."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS = 255  # as many as a byte can count
_COLUMNS = 4096
_FLOAT32_EXACT = 2**24


def column_sums(correct: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many rows are True in each column."""
    total = np.zeros(correct.shape[1], np.int64)
    for start in range(0, len(correct), _ROWS):
        total += np.add.reduce(correct[start : start + _ROWS].view(np.uint8), axis=0, dtype=np.uint8)
    return total


def row_sums(correct: NDArray[np.bool_], columns: NDArray[Any]) -> NDArray[Any]:
    """Return ``correct @ columns`` for columns [examples, m] of a floating type, a block of rows at a time."""
    sums = np.empty((len(correct), columns.shape[1]), columns.dtype)
    for start in range(0, len(correct), _ROWS):
        sums[start : start + _ROWS] = correct[start : start + _ROWS].astype(columns.dtype) @ columns
    return sums


def split_sums(correct: NDArray[np.bool_], first_half: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many columns of each of two halves are True in each row [rows, 2]."""
    halves = np.stack([first_half, ~first_half], axis=1).astype(_exact_float(correct.shape[1]))
    return row_sums(correct, halves).astype(np.int64)


def weighted_sums(correct: NDArray[np.bool_], weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sum over rows of ``weights[row]`` where the column is True; weights are not negative."""
    total = np.zeros(correct.shape[1], np.int64)
    kind = _exact_float(_ROWS * int(weights.max(initial=0)))
    for start in range(0, len(correct), _ROWS):
        rows = slice(start, start + _ROWS)
        total += (weights[rows].astype(kind) @ correct[rows].astype(kind)).astype(np.int64)
    return total


def _exact_float(largest: int) -> type[np.float32] | type[np.float64]:
    """Return the floating type in which sums up to `largest` of whole numbers are exact."""
    return np.float32 if largest < _FLOAT32_EXACT else np.float64


def add_votes(votes: NDArray[np.int32], predicted: NDArray[np.signedinteger[Any]]) -> None:
    """Add to `votes` [classes, examples] the votes of `predicted` [runs, examples]; negative classes are no vote."""
    for start in range(0, len(predicted), _ROWS):
        for column in range(0, predicted.shape[1], _COLUMNS):
            block = predicted[start : start + _ROWS, column : column + _COLUMNS]
            target = votes[:, column : column + _COLUMNS]
            for label in range(len(votes)):
                target[label] += np.add.reduce((block == label).view(np.uint8), axis=0, dtype=np.uint8)
