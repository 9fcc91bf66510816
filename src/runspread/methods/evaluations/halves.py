"""One half of the questions chooses the best model, the other reports on it (evals 3.5, ``split=True``)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..._reading.evaluations.answers import Answers
from ...errors import InputError
from .grid import Grid, ModelGrid, stratified

_FEWEST = 4  # items, or clusters of them, of each benchmark


def halves(grid: Grid, seed: int = 0) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which items [items] are in each half: clusters drawn at random, as many of every benchmark.

    Raises
    ------
    InputError
        Fewer than four items, or clusters of them, in a benchmark.
    """
    rng = np.random.default_rng(seed)
    first = np.zeros(len(grid.task_of), bool)
    for task in np.unique(grid.task_of).tolist():
        items = np.flatnonzero(grid.task_of == task)
        names = np.unique(grid.cluster_codes[items])
        if len(names) < _FEWEST:
            found = f"{len(names)} items or clusters to split in halves"
            raise InputError(found, f"{_FEWEST} or more in each benchmark", "Drop split= (--split).")
        chosen = rng.permutation(names)[: len(names) // 2]
        first[items[np.isin(grid.cluster_codes[items], chosen)]] = True
    return first, ~first


def leader(grid: Grid, rows: NDArray[np.bool_]) -> ModelGrid:
    """Return the model with the largest mean over some items [items], each over those that it has."""
    means = [stratified(model.x, grid.strata(rows & ~np.isnan(model.x))) for model in grid.models]
    return grid.models[int(np.nanargmax(means))]


def only_items(answers: Answers, rows: NDArray[np.bool_]) -> Answers:
    """Return the answers to some items [items], which are numbered anew."""
    kept = answers.take(rows[answers.item])
    number = np.cumsum(rows) - 1
    return replace(
        kept,
        items=tuple(name for name, one in zip(answers.items, rows.tolist(), strict=True) if one),
        item=number[kept.item],
        task_of=answers.task_of[rows],
        cluster_of=answers.cluster_of[rows],
    )
