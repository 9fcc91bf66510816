"""Every answer of the same weight, in place of every item (evals 1.2, ``weights="rows"``)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .grid import ModelGrid
from .means import Strata


def by_rows(model: ModelGrid, strata: Strata) -> ModelGrid:
    """Return a model whose means over the items of `strata` are those of its answers there.

    Each item's mean is moved away from the mean of all answers in proportion to its number of answers. The mean over
    items is then the mean of answers, and its variance over items is that of a ratio, to first order.
    """
    cells, size = model.cells, len(model.x)
    answers = np.bincount(cells.item, cells.n, size)
    x = cells.item_means(size, by_answers=True)
    centre, factor = np.zeros(size), np.zeros(size)
    for items, _ in strata:
        factor[items] = answers[items] / answers[items].mean()
        centre[items] = np.average(x[items], weights=answers[items])

    def moved(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return centre + factor * (values - centre)

    by_seed = cells.by(cells.seed, len(model.by_seed), size, by_answers=True)
    by_prompt = cells.by(cells.prompt, len(model.by_prompt), size, by_answers=True)
    share = factor[cells.item] * cells.n / answers[cells.item]
    return replace(model, x=moved(x), by_seed=moved(by_seed), by_prompt=moved(by_prompt), share=share)
