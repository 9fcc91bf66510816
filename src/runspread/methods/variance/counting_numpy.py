"""The counting loops in plain NumPy: exact integer sums over chunks of outcomes, in blocks that stay in cache."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .counting import packed_rows

MANY_CLASSES = 40  # from here on one pass that scatters beats a comparison for each class
_BYTE_ROWS = 255  # as many as a byte can count
_COLUMNS = 2048
_HASHED_ROWS = 32
_BITS_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, its bits look random: 2**64 over the golden ratio


def column_sums(correct: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many rows are True in each column."""
    total = np.zeros(correct.shape[1], np.int64)
    for start in range(0, len(correct), _BYTE_ROWS):
        total += np.add.reduce(correct[start : start + _BYTE_ROWS].view(np.uint8), axis=0, dtype=np.uint8)
    return total


def half_sums(correct: NDArray[np.bool_], first_half: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many columns of each of two halves are True in each row [rows, 2]."""
    packed, mask = packed_rows(correct), packed_rows(first_half[None])
    return np.stack([_popcount(packed & mask), _popcount(packed & ~mask)], axis=1)


def _popcount(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the number of set bits in each row."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.bitwise_count(packed.view(np.uint64)).sum(axis=1, dtype=np.int64)
    return _BITS_OF_BYTE[packed].sum(axis=1, dtype=np.int64)


def fingerprints(outcomes: NDArray[Any]) -> NDArray[np.uint64]:
    """Return 64 bits for each row that equal rows share.

    A sum over the row's words, each mixed and multiplied by a random key of its position, modulo 2^64 (multilinear
    hashing): two rows that differ share them with a probability of about 2^-58.
    """
    words = words_of(outcomes)
    keys, fingerprints = keys_of(words.shape[1]), np.empty(len(words), np.uint64)
    for start in range(0, len(words), _HASHED_ROWS):
        mixed = words[start : start + _HASHED_ROWS] * MULTIPLIER
        mixed ^= mixed >> np.uint64(32)
        mixed *= keys
        fingerprints[start : start + _HASHED_ROWS] = mixed.sum(axis=1)
    return fingerprints


def words_of(outcomes: NDArray[Any]) -> NDArray[np.uint64]:
    """Return the bytes of each row as words, filled with zeros."""
    bytes_ = np.ascontiguousarray(outcomes).view(np.uint8)
    missing = -bytes_.shape[1] % 8
    return (np.pad(bytes_, ((0, 0), (0, missing))) if missing else bytes_).view(np.uint64)


@functools.lru_cache(maxsize=4)
def keys_of(n_words: int) -> NDArray[np.uint64]:
    """Return the keys of so many positions: always the same, so that statistics from anywhere compare."""
    return np.random.default_rng(2023).integers(0, 2**64, n_words, np.uint64)


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
    right: NDArray[np.int64],
    labels: NDArray[np.int64],
) -> None:
    """Count the votes of some runs.

    Good networks are right on most examples every time: those columns have all their votes at the label.

    Parameters
    ----------
    votes, abstained : ndarray of int32 [classes, examples] and [examples]
        Are added to.
    predicted : ndarray [runs, examples]
        Classes; -1 is no vote.
    right : ndarray of int64 [examples]
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
    count = _compare if len(votes) < MANY_CLASSES else _scatter
    for row in range(0, len(block), _BYTE_ROWS):
        for column in range(0, block.shape[1], _COLUMNS):
            rows, columns = slice(row, row + _BYTE_ROWS), slice(column, column + _COLUMNS)
            count(votes[:, columns], np.ascontiguousarray(block[rows, columns]))


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
