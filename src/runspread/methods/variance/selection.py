"""What picking the best of several runs is worth: on the examples that picked it, and on others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_integers
from ...errors import InputError


def checked_counts(counts: Sequence[int]) -> tuple[int, ...]:
    """Return numbers of runs to pick the best from."""
    numbers = tuple(int(count) for count in check_integers(list(counts), "numbers of runs to pick from", 1, None))
    if not numbers:
        raise InputError("there are no numbers of runs to pick from", "at least one, such as (2, 5, 10)")
    return numbers


def _grouped(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    """Return the distinct values of `first`, how often each occurs, and the mean of `second` at each."""
    values, inverse, times = np.unique(first, return_inverse=True, return_counts=True)
    return values, times, np.bincount(inverse, weights=second) / times


def top_gain(first: NDArray[np.float64], second: NDArray[np.float64], fraction: float = 0.25) -> tuple[float, float]:
    """Return how far the top `fraction` of runs by `first` is above the mean, on `first` and on `second`.

    Runs tied at the cut share what is left of the selection.
    """
    values, times, means = _grouped(first, second)
    size = int(np.ceil(len(first) * fraction))
    above = np.cumsum(times[::-1])[::-1] - times
    taken = np.clip(size - above, 0, times) / size
    return float(taken @ values - first.mean()), float(taken @ means - second.mean())


def best_of_gain(first: NDArray[np.float64], second: NDArray[np.float64], count: int) -> tuple[float, float]:
    """Return how far the best of `count` runs by `first` is above the mean, on `first` and on `second`.

    The expectation is over all subsets of `count` runs; tied runs share equally. NaN when there are fewer runs.
    """
    runs = len(first)
    if count > runs:
        return float("nan"), float("nan")
    values, times, means = _grouped(first, second)
    below = np.cumsum(times)
    steps = np.arange(count)
    at_most = np.prod(np.clip(below[:, None] - steps, 0, None) / (runs - steps), axis=1)
    chosen = np.diff(at_most, prepend=0.0)
    return float(chosen @ values - first.mean()), float(chosen @ means - second.mean())
