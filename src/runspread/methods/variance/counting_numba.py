"""The counting loops, compiled: one visit of each outcome, with accumulators so narrow that vectors hold many.

Imported only where numba is installed; ``counting_numpy`` has the same functions and documents them. Inner loops do
nothing but add, so that the compiler turns them into vector instructions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._compiled import compiled
from . import counting_numpy as plain

_ROWS = 255  # as many as a byte can count
_COLUMNS = 4096  # accumulators that stay in the nearest cache
_WIDE = 2**15  # columns that 16 bits can count
_RANGE = 2**32 - 1


def column_sums(correct: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many rows are True in each column."""
    total = np.zeros(correct.shape[1], np.int64)
    _column_sums(_bytes(correct), total)
    return total


def half_sums(correct: NDArray[np.bool_], first_half: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many columns of each of two halves are True in each row [rows, 2]."""
    sums = np.empty((len(correct), 2), np.int64)
    _half_sums(_bytes(correct), _bytes(first_half), sums)
    return sums


def weighted_sums(correct: NDArray[np.bool_], weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sum over rows of ``weights[row]`` where the column is True."""
    least = int(weights.min())
    above = weights - least
    step = _RANGE // max(1, int(above.max()))
    if step == 0:  # weights that 32 bits do not hold
        return plain.weighted_sums(correct, weights)
    total = least * column_sums(correct)
    for start in range(0, len(correct), step):
        part = np.zeros(correct.shape[1], np.uint32)
        _weighted_sums(_bytes(correct[start : start + step]), above[start : start + step].astype(np.uint32), part)
        total += part
    return total


def fingerprints(outcomes: NDArray[Any]) -> NDArray[np.uint64]:
    """Return 64 bits for each row that equal rows share."""
    words = plain.words_of(outcomes)
    fingerprints = np.empty(len(words), np.uint64)
    _fingerprints(words, plain.keys_of(words.shape[1]), fingerprints)
    return fingerprints


def add_votes(
    votes: NDArray[np.int32],
    abstained: NDArray[np.int32],
    predicted: NDArray[np.signedinteger[Any]],
    right: NDArray[np.int64],
    labels: NDArray[np.int64],
) -> None:
    """Count the votes of some runs."""
    predicted = np.ascontiguousarray(predicted)
    if len(votes) < plain.MANY_CLASSES:
        _compare(votes, abstained, predicted, np.arange(len(votes), dtype=predicted.dtype))
        return
    votes[labels, np.arange(len(labels))] += right.astype(np.int32)
    _scatter_wrong(votes, abstained, predicted, labels)


def _bytes(flags: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(flags).view(np.uint8)


@compiled
def _column_sums(correct: NDArray[np.uint8], total: NDArray[np.int64]) -> None:
    n_rows, n_columns = correct.shape
    counts = np.empty(_COLUMNS, np.uint8)
    for low in range(0, n_columns, _COLUMNS):
        block = counts[: min(_COLUMNS, n_columns - low)]
        for first in range(0, n_rows, _ROWS):
            block[:] = 0
            for row in range(first, min(n_rows, first + _ROWS)):
                values = correct[row, low : low + _COLUMNS]
                for i in range(block.size):
                    block[i] += values[i]
            for i in range(block.size):
                total[low + i] += block[i]


@compiled
def _half_sums(correct: NDArray[np.uint8], first_half: NDArray[np.uint8], sums: NDArray[np.int64]) -> None:
    n_rows, n_columns = correct.shape
    for row in range(n_rows):
        every, first = 0, 0
        for low in range(0, n_columns, _WIDE):
            values, mask = correct[row, low : low + _WIDE], first_half[low : low + _WIDE]
            one, two = np.uint16(0), np.uint16(0)
            for i in range(values.size):
                one = np.uint16(one + values[i])
                two = np.uint16(two + (values[i] & mask[i]))
            every += one
            first += two
        sums[row, 0], sums[row, 1] = first, every - first


@compiled
def _weighted_sums(correct: NDArray[np.uint8], weights: NDArray[np.uint32], total: NDArray[np.uint32]) -> None:
    n_rows, n_columns = correct.shape
    for low in range(0, n_columns, _COLUMNS):
        block = total[low : low + _COLUMNS]
        for row in range(n_rows):
            values, weight = correct[row, low : low + _COLUMNS], weights[row]
            for i in range(block.size):
                block[i] += np.uint32(weight * np.uint32(values[i]))


@compiled
def _fingerprints(words: NDArray[np.uint64], keys: NDArray[np.uint64], fingerprints: NDArray[np.uint64]) -> None:
    for row in range(words.shape[0]):
        total, values = np.uint64(0), words[row]
        for i in range(values.size):
            mixed = values[i] * plain.MULTIPLIER
            total += (mixed ^ (mixed >> np.uint64(32))) * keys[i]
        fingerprints[row] = total


@compiled
def _compare(
    votes: NDArray[np.int32],
    abstained: NDArray[np.int32],
    predicted: NDArray[np.signedinteger[Any]],
    classes: NDArray[np.signedinteger[Any]],
) -> None:
    n_rows, n_columns = predicted.shape
    counts = np.empty(_COLUMNS, np.uint8)
    for low in range(0, n_columns, _COLUMNS):
        block, none = counts[: min(_COLUMNS, n_columns - low)], abstained[low : low + _COLUMNS]
        for first in range(0, n_rows, _ROWS):
            last = min(n_rows, first + _ROWS)
            none += np.int32(last - first)
            for label in classes:  # of the predictions' own type: a wider one would halve the vectors
                block[:] = 0
                for row in range(first, last):
                    values = predicted[row, low : low + _COLUMNS]
                    for i in range(block.size):
                        block[i] += np.uint8(values[i] == label)
                part = votes[label, low : low + _COLUMNS]
                for i in range(block.size):
                    part[i] += block[i]
                    none[i] -= block[i]


@compiled
def _scatter_wrong(
    votes: NDArray[np.int32],
    abstained: NDArray[np.int32],
    predicted: NDArray[np.signedinteger[Any]],
    labels: NDArray[np.int64],
) -> None:
    n_rows, n_columns = predicted.shape
    wrong = np.empty(n_columns + 1, np.int64)
    for row in range(n_rows):
        values, count = predicted[row], 0
        for i in range(n_columns):  # without a branch, which would be guessed wrongly
            wrong[count] = i
            count += values[i] != labels[i]
        for i in wrong[:count]:
            if values[i] < 0:
                abstained[i] += 1
            else:
                votes[values[i], i] += 1
