"""The counting kernels: exact integer sums over chunks of outcomes, in blocks that stay in cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

BYTE_ROWS = 255  # as many as a byte can count
_COLUMNS = 2048
_UNPACKED = 2**24
_MANY_CLASSES = 40  # from here on one pass that scatters beats a comparison for each class
_BITS_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)


def column_sums(correct: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many rows are True in each column."""
    total = np.zeros(correct.shape[1], np.int64)
    _add_rows(total, correct)
    return total


def _add_rows(total: NDArray[Any], correct: NDArray[np.bool_]) -> None:
    for start in range(0, len(correct), BYTE_ROWS):
        total += np.add.reduce(correct[start : start + BYTE_ROWS].view(np.uint8), axis=0, dtype=np.uint8)


def row_sums(correct: NDArray[np.bool_], columns: NDArray[Any]) -> NDArray[Any]:
    """Return ``correct @ columns`` for columns [examples, m] of a floating type, a block of rows at a time."""
    sums = np.empty((len(correct), columns.shape[1]), columns.dtype)
    for start in range(0, len(correct), BYTE_ROWS):
        sums[start : start + BYTE_ROWS] = correct[start : start + BYTE_ROWS].astype(columns.dtype) @ columns
    return sums


def packed_rows(correct: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return rows of bits, filled with zeros to whole words of eight bytes."""
    bits = np.packbits(correct, axis=1)
    return np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8)))


def unpacked_rows(packed: NDArray[np.uint8], examples: int) -> Iterator[NDArray[np.bool_]]:
    """Yield the rows of `packed_rows` as booleans, some at a time."""
    step = max(1, _UNPACKED // examples)
    for start in range(0, len(packed), step):
        yield np.unpackbits(packed[start : start + step], axis=1, count=examples).view(np.bool_)


def split_sums(packed: NDArray[np.uint8], first_half: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many columns of each of two halves are set in each row of `packed_rows` [rows, 2]."""
    mask = packed_rows(first_half[None])
    return np.stack([_popcount(packed & mask), _popcount(packed & ~mask)], axis=1)


def _popcount(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the number of set bits in each row."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.bitwise_count(packed.view(np.uint64)).sum(axis=1, dtype=np.int64)
    return _BITS_OF_BYTE[packed].sum(axis=1, dtype=np.int64)


def weighted_sums(correct: NDArray[np.bool_], weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sum over rows of ``weights[row]`` where the column is True.

    Accuracies of runs lie close together, so rows of equal weight are added up before they are multiplied.
    """
    values, inverse, times = np.unique(weights, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    total, scaled = np.zeros((2, correct.shape[1]), np.int64)
    for value, stop, count in zip(values.tolist(), np.cumsum(times).tolist(), times.tolist(), strict=True):
        rows = correct[order[stop - count]][None] if count == 1 else correct[order[stop - count : stop]]
        np.multiply(column_sums(rows), value, out=scaled)
        total += scaled
    return total


def add_votes(
    votes: NDArray[np.int32],
    abstained: NDArray[np.int32],
    predicted: NDArray[np.signedinteger[Any]],
    right: NDArray[np.uint8],
    labels: NDArray[np.int64],
) -> None:
    """Count the votes of up to 255 runs.

    Good networks are right on most examples every time: those columns have all their votes at the label.

    Parameters
    ----------
    votes, abstained : ndarray of int32 [classes, examples] and [examples]
        Are added to.
    predicted : ndarray [runs, examples]
        Classes; -1 is no vote.
    right : ndarray of uint8 [examples]
        How many of the runs are right.
    labels : ndarray of int64 [examples]
        True classes.
    """
    open_ = np.flatnonzero(right < len(predicted))
    if 2 * len(open_) > len(right):
        _add_block(votes, predicted)
        _add_abstained(abstained, slice(None), predicted)
        return
    sure = np.flatnonzero(right == len(predicted))
    votes[labels[sure], sure] += len(predicted)
    unsure = predicted[:, open_]
    part = np.zeros((len(votes), len(open_)), np.int32)
    _add_block(part, unsure)
    votes[:, open_] += part
    _add_abstained(abstained, open_, unsure)


def _add_abstained(abstained: NDArray[np.int32], where: Any, predicted: NDArray[np.signedinteger[Any]]) -> None:
    if predicted.size and predicted.min() < 0:
        abstained[where] += (predicted < 0).sum(axis=0, dtype=np.int32)


def _add_block(votes: NDArray[np.int32], block: NDArray[np.signedinteger[Any]]) -> None:
    count = _compare if len(votes) < _MANY_CLASSES else _scatter
    for column in range(0, block.shape[1], _COLUMNS):
        columns = slice(column, column + _COLUMNS)
        count(votes[:, columns], np.ascontiguousarray(block[:, columns]))


def _compare(votes: NDArray[np.int32], block: NDArray[np.signedinteger[Any]]) -> None:
    same = np.empty(block.shape, bool)
    for label in range(len(votes)):
        np.equal(block, label, out=same)
        votes[label] += np.add.reduce(same.view(np.uint8), axis=0, dtype=np.uint8)


def _scatter(votes: NDArray[np.int32], block: NDArray[np.signedinteger[Any]]) -> None:
    size = len(votes)
    cells = np.arange(block.shape[1]) * size + block
    found = np.bincount(cells[block >= 0], minlength=size * block.shape[1])
    votes += found.reshape(-1, size).T.astype(np.int32)
