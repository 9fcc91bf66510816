"""What the decoded paths of several runs have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from ..hmm.parameters import Array

Paths: TypeAlias = Sequence[NDArray[np.int64]]


def collapsed(path: NDArray[np.int64]) -> tuple[int, ...]:
    """Return a path without consecutive repeats."""
    change = np.concatenate([[True], path[1:] != path[:-1]])
    return tuple(int(state) for state in path[change])


def occupancy(paths: Paths, n_states: int, durations: Sequence[Array] | None = None) -> Array:
    """Return the share of checkpoints that each run spends in each state [runs, K]; rows sum to 1.

    With the time that each checkpoint lasts, one array per run, it is the share of time.
    """
    lasting = [np.ones(len(path)) for path in paths] if durations is None else durations
    spent = [np.bincount(path, time, n_states) / time.sum() for path, time in zip(paths, lasting, strict=True)]
    return np.stack(spent)


def transitions(paths: Paths, n_states: int) -> NDArray[np.int64]:
    """Return how often each run goes from state i to state j between two checkpoints [runs, K, K]."""
    counts = np.zeros((len(paths), n_states, n_states), dtype=np.int64)
    for run, path in enumerate(paths):
        np.add.at(counts[run], (path[:-1], path[1:]), 1)
    return counts


def first_visits(paths: Paths, n_states: int) -> Array:
    """Return the mean checkpoint of the first visit over the runs that visit a state [K]; NaN for an unvisited one."""
    first = np.full((len(paths), n_states), np.nan)
    for run, path in enumerate(paths):
        states, index = np.unique(path, return_index=True)
        first[run, states] = index
    seen = ~np.isnan(first)
    return np.where(seen.any(axis=0), np.nansum(first, axis=0) / np.maximum(seen.sum(axis=0), 1), np.nan)


def canonical_order(paths: Paths, n_states: int) -> NDArray[np.int64]:
    """Return the states by mean first visit, unvisited ones last, ties by number."""
    visits = first_visits(paths, n_states)
    return np.lexsort((np.arange(n_states), np.where(np.isnan(visits), np.inf, visits)))


def is_linear(routes: Sequence[tuple[int, ...]]) -> bool:
    """Whether all runs take the same collapsed path and it visits no state twice."""
    return len(set(routes)) == 1 and len(set(routes[0])) == len(routes[0])


def common_route(routes: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], float]:
    """Return the most frequent collapsed path and the share of runs on it (ties: the one that comes first)."""
    route, count = Counter(routes).most_common(1)[0]
    return route, count / len(routes)


def trajectory_dissimilarity(occupancy: ArrayLike, *, ground: str = "tv") -> float:
    """Return the mean distance between the runs' shares of time in each state, over all pairs of runs.

    Parameters
    ----------
    occupancy : array_like [runs, K]
        Share of checkpoints that each run spends in each state; rows sum to 1.
    ground : {"tv", "label"}
        ``tv``: total variation, which needs no order of the states. ``label``: Wasserstein distance with the states'
        numbers as positions, which probably gave the published figures.

    Returns
    -------
    float
        NaN with fewer than two runs.

    Notes
    -----
    Source: Hu et al. 2023, section 4 (trajectory dissimilarity); they do not state the ground distance.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.dynamics.trajectory_dissimilarity([[1.0, 0.0], [0.5, 0.5]])
    0.5
    """
    shares = np.asarray(occupancy, dtype=np.float64)
    if ground not in ("tv", "label"):
        raise InputError(f"unknown ground {ground!r}", "one of label, tv")
    if shares.ndim != 2:
        raise InputError(f"got occupancy of shape {shares.shape}", "[runs, states]")
    if len(shares) < 2:
        return float("nan")
    values = 0.5 * shares if ground == "tv" else np.cumsum(shares, axis=1)[:, :-1]
    # Sum over pairs of |a − b|, a column at a time: after sorting, each value counts (rank − n + rank) times.
    rank = 2 * np.arange(len(values)) - len(values) + 1
    total = float((np.sort(values, axis=0) * rank[:, None]).sum())
    return 2 * total / (len(values) * (len(values) - 1))
