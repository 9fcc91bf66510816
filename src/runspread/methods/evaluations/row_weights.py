"""Every answer of the same weight, in place of every item (evals 1.2, ``weights="rows"``)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .cells import Floats
from .grid import ModelGrid
from .means import Strata


def by_rows(model: ModelGrid, strata: Strata) -> ModelGrid:
    """Return a model whose means over the items of `strata` are those of its answers there.

    Each item's mean is moved away from the mean of all answers in proportion to its number of answers. The mean over
    items is then the mean of answers, and its variance over items is that of a ratio, to first order. An item that
    counts as a failure, because the model has no answer to it, weighs as one answer.
    """
    cells, size = model.cells, len(model.x)
    answers = np.bincount(cells.item, cells.n, size)
    answers[(answers == 0) & ~np.isnan(model.x)] = 1
    x = _or_else(cells.item_means(size, by_answers=True), model.x)
    centre, factor = np.zeros(size), np.zeros(size)
    for items, _ in strata:
        factor[items] = answers[items] / answers[items].mean()
        centre[items] = np.average(x[items], weights=answers[items])

    def moved(values: Floats) -> Floats:
        return factor * values + (1 - factor) * centre  # with one answer to each item, the values to the last bit

    by_seed = cells.by(cells.seed, len(model.by_seed), size, by_answers=True)
    by_prompt = cells.by(cells.prompt, len(model.by_prompt), size, by_answers=True)
    share = factor[cells.item] * cells.n / answers[cells.item]
    by_seed, by_prompt = _or_else(by_seed, model.by_seed), _or_else(by_prompt, model.by_prompt)
    return replace(model, x=moved(x), by_seed=moved(by_seed), by_prompt=moved(by_prompt), share=share)


def _or_else(values: Floats, others: Floats) -> Floats:
    return np.where(np.isnan(values), others, values)


def missing_by_rows(model: ModelGrid, strata: Strata) -> tuple[Floats, Floats]:
    """Return what all that has no score would make of each item's mean, if wrong and if right, by answers asked for.

    The means over the items of `strata` are those of all answers, scored or not. An item that the model was never asked
    counts as one answer.
    """
    cells, size = model.cells, len(model.x)
    right, answered = (np.bincount(cells.item, values, size) for values in (cells.n * cells.mean, cells.n))
    asked = np.maximum(model.asked, 1)
    lost = np.where(model.best > model.worst, asked - answered, 0)
    weight = np.ones(size)
    for items, _ in strata:
        weight[items] = 1 / asked[items].mean()
    return weight * right, weight * (right + lost)
