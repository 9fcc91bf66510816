"""The percentile bootstrap of a model's mean, for readers who must have it (evals 3.4): a picture, no default."""

from __future__ import annotations

import numpy as np

from .grid import ModelGrid
from .means import Strata

RESAMPLES = 2_000


def resampled(model: ModelGrid, strata: Strata, level: float, *, trainings: bool, seed: int = 0) -> tuple[float, float]:
    """Return the percentile interval of a mean over resampled clusters, and `trainings` where those are drawn too.

    Missing means of a training are those of its item.
    """
    rng = np.random.default_rng(seed)
    by_seed = np.where(np.isnan(model.by_seed), model.x, model.by_seed) if trainings else model.x[None]
    weight = rng.multinomial(len(by_seed), np.full(len(by_seed), 1 / len(by_seed)), RESAMPLES) / len(by_seed)
    means = np.zeros(RESAMPLES)
    for items, grouping in strata:
        sums, sizes = grouping.sums(by_seed[:, items]), grouping.sums(np.ones(len(items)))
        clusters = len(grouping)
        drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), RESAMPLES)
        total = np.einsum("rs,sg,rg->r", weight, sums, drawn, optimize=True)
        means += total / (drawn @ sizes) / len(strata)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
