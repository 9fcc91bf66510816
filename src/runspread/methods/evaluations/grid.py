"""Answers as what the methods take: cells and item means of each model, and the benchmarks as strata (evals 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..._reading.evaluations.answers import Answers
from ...errors import InputError
from ..variance.clusters import Grouping, single_groups
from .cells import Cells, Codes, Floats, cells_of, renumbered


@dataclass(frozen=True, eq=False)
class ModelGrid:
    """One model.

    Attributes
    ----------
    name : str
        Of the model.
    cells : Cells
        Trainings are numbered within the model; prompts and items as in the answers.
    x : ndarray of float64 [items]
        Mean of each item; NaN where the model has no answer.
    by_seed : ndarray of float64 [trainings, items]
        Mean over prompts; NaN where missing.
    by_prompt : ndarray of float64 [prompts, items]
        Mean over trainings; NaN where missing.
    prompts : int
        That the model was asked with.
    answers, lost : int
        Answers with a score, and attempts without one that were excluded although their items have other answers.
    asked : ndarray of int64 [items]
        Answers to each item, with a score or without.
    worst, best : ndarray of float64 [items]
        Mean of each item with all that has no score wrong, and right.
    mean_rows : float
        Mean of all answers, whichever the item.
    seed_names : tuple of str
        What the trainings are called.
    share : ndarray of float64 [cells] or None
        Weight of each cell in the mean of its item; None where all cells of an item weigh the same.
    """

    name: str
    cells: Cells
    x: Floats
    by_seed: Floats
    by_prompt: Floats
    prompts: int
    answers: int
    lost: int
    asked: NDArray[np.int64]
    worst: Floats
    best: Floats
    mean_rows: float
    seed_names: tuple[str, ...] = ()
    share: Floats | None = None

    @property
    def seeds(self) -> int:
        """Number of trainings."""
        return len(self.by_seed)


@dataclass(frozen=True, eq=False)
class Grid:
    """All models on all items.

    Attributes
    ----------
    models : tuple of ModelGrid
        In the order of the answers.
    task_of : ndarray of int64 [items]
        Benchmark of each item: strata, each with the same weight.
    cluster : ndarray of int64 [items] or None
        Cluster of each item; None without clusters.
    answers : Answers
        Names of items and clusters, notes and problems.
    bounded, binary : bool
        Whether all scores lie within 0..1, and whether all are 0 or 1.
    """

    models: tuple[ModelGrid, ...]
    task_of: Codes
    cluster: Codes | None
    answers: Answers
    bounded: bool
    binary: bool

    def strata(self, rows: NDArray[np.bool_]) -> list[tuple[NDArray[np.intp], Grouping]]:
        """Return items and their grouping for each benchmark, of the items that `rows` [items] keep."""
        found: list[tuple[NDArray[np.intp], Grouping]] = []
        for task in np.unique(self.task_of[rows]).tolist():
            items = np.flatnonzero(rows & (self.task_of == task))
            found.append((items, self.grouping(items)))
        return found

    def grouping(self, items: NDArray[np.intp]) -> Grouping:
        """Return how some items, by position, lie in clusters."""
        return single_groups(len(items)) if self.cluster is None else Grouping.of(self.cluster[items], len(items))

    @property
    def cluster_codes(self) -> Codes:
        """Cluster of each item [items]; items of their own without clusters."""
        return np.arange(len(self.task_of)) if self.cluster is None else self.cluster


def grid_of(answers: Answers, missing: str) -> Grid:
    """Return the grid of answers; `missing` says what an item without a score means."""
    every = answers.score
    lost = np.isnan(every)
    failures = missing == "zero" or (missing == "as_source" and answers.defines_items)
    kept = replace(answers, score=np.where(lost, 0.0, every)) if failures else answers.take(~lost)
    if not len(kept):
        raise InputError("answers without a single score", "scores")
    if np.isinf(kept.score).any():
        raise InputError("infinite scores", "numbers")
    asked = kept if failures else answers
    models = tuple(_model(kept, asked, code) for code in range(len(answers.models)) if (kept.model == code).any())
    if failures:
        models = tuple(_filled(one) for one in models)
    cluster = None if (answers.cluster_of < 0).all() else _clusters(answers.cluster_of)
    score = kept.score
    return Grid(
        models=models,
        task_of=np.zeros_like(answers.task_of) if answers.cluster_name == "task" else answers.task_of,
        cluster=cluster,
        answers=answers,
        bounded=bool(((score >= 0) & (score <= 1)).all()),
        binary=bool(np.isin(score, (0.0, 1.0)).all()),
    )


def _clusters(found: Codes) -> Codes:
    """Return clusters numbered from 0; an item without one is one of its own."""
    alone = np.flatnonzero(found < 0)
    codes = found.copy()
    codes[alone] = found.max() + 1 + np.arange(len(alone))
    return codes


def _model(answers: Answers, asked: Answers, code: int) -> ModelGrid:
    """Return one model from its answers with a score, and from all that it was `asked`."""
    own, every = (one.take(one.model == code) for one in (answers, asked))
    trainings, seed = renumbered(own.seed)
    cells = cells_of(seed, own.prompt, own.item, own.score)
    items, seeds, prompts = len(answers.items), int(seed.max()) + 1, len(answers.prompts)
    x, lost = cells.item_means(items), np.isnan(every.score)
    worst, best = (_with_all(every, x, value) for value in (0.0, 1.0))
    return ModelGrid(
        name=answers.models[code],
        cells=cells,
        x=x,
        by_seed=cells.by(cells.seed, seeds, items),
        by_prompt=cells.by(cells.prompt, prompts, items),
        prompts=len(np.unique(cells.prompt)),
        answers=len(own),
        lost=int((lost & ~np.isnan(x)[every.item]).sum()),
        asked=np.bincount(every.item, minlength=items),
        worst=worst,
        best=best,
        mean_rows=float(own.score.mean()),
        seed_names=tuple(answers.seeds[code] for code in trainings.tolist()),
    )


def _with_all(asked: Answers, x: Floats, value: float) -> Floats:
    """Return the mean of each item if all that has no score has this one; `x` are those of what has a score."""
    lost = np.isnan(asked.score)
    if lost.any():
        x = cells_of(asked.seed, asked.prompt, asked.item, np.where(lost, value, asked.score)).item_means(len(x))
    return np.where(np.isnan(x), value, x)


def _filled(one: ModelGrid) -> ModelGrid:
    """Return a model whose missing items are failures."""

    def zero(values: Floats, only: NDArray[np.bool_]) -> Floats:
        return np.where(np.isnan(values) & only, 0.0, values)

    absent = np.isnan(one.x)
    asked = ~np.isnan(one.by_prompt).all(axis=1, keepdims=True)
    x = zero(one.x, absent)
    seeds, prompts = zero(one.by_seed, absent), zero(one.by_prompt, absent & asked)
    return replace(one, x=x, by_seed=seeds, by_prompt=prompts, worst=x, best=x)


def stratified(values: Floats, strata: list[tuple[NDArray[np.intp], Grouping]]) -> float:
    """Return the mean over benchmarks of the mean over their items."""
    return float(np.mean([values[items].mean() for items, _ in strata])) if strata else math.nan
