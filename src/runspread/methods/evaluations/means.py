"""Means and differences on a grid, over benchmarks as strata (evals 2, 3.1, 3.3, 3.5)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._words import listed
from ...errors import InputError
from ..variance.clusters import Grouping
from .bars import Bar, Variances, over_seeds, together, variances
from .cells import Floats
from .defaults import COMPLETE
from .grid import Grid, ModelGrid
from .spread import Levels, factors_of

Strata = list[tuple[NDArray[np.intp], Grouping]]


class Level(NamedTuple):
    """What the levels of a factor, trainings or prompts, add to the variance of a mean."""

    variance: float
    inter: float
    levels: int
    complete: bool  # whether it comes from items that have all levels


def mean_bar(values: Floats, strata: Strata, added: list[Level], samples: Bar | None = None) -> Variances:
    """Return all variances of the mean over strata of `values` [items]."""
    seeds = [(one.variance, one.inter, one.levels) for one in added]
    parts = [variances(values[items], grouping, []) for items, grouping in strata]
    if len(parts) == 1:
        (items, grouping) = strata[0]
        return variances(values[items], grouping, seeds, samples)
    items_bar = _sum_of([Bar(one.var_items, one.df_items) for one in parts])
    new = together(items_bar, seeds) if seeds else Bar(math.nan, math.nan)
    count = len(parts)
    return Variances(
        var_items=items_bar.variance,
        df_items=items_bar.df,
        se_cr1=math.sqrt(sum(one.se_cr1**2 for one in parts)) / count,
        se_unclustered=math.sqrt(sum(one.se_unclustered**2 for one in parts)) / count,
        var_seeds=sum(one.variance for one in added) if added else math.nan,
        var_inter=sum(one.inter for one in added) if added else math.nan,
        var_new=new.variance,
        df_new=new.df,
        var_samples=math.nan if samples is None else samples.variance,
        df_samples=math.nan if samples is None else samples.df,
        n_clusters=sum(one.n_clusters for one in parts),
    )


def _sum_of(bars: list[Bar]) -> Bar:
    """Return the variance of the mean of independent estimates, with Satterthwaite's degrees of freedom."""
    total = sum(bar.variance for bar in bars)
    below = sum(bar.variance**2 / bar.df if bar.df > 0 else math.inf for bar in bars)
    df = total**2 / below if below > 0 else min(bar.df for bar in bars)
    return Bar(total / len(bars) ** 2, df)


def level_of(means: Floats, rows: NDArray[np.bool_], grid: Grid) -> Level | None:
    """Return what the levels of `means` [levels, items] add, from items of `rows` that have all; None for one level.

    Below nine complete items of ten the result says so, and the caller takes components instead.
    """
    if len(means) < 2:
        return None
    full = rows & ~np.isnan(means).any(axis=0)
    if full.sum() < COMPLETE * rows.sum() or full.sum() < 2:
        return Level(math.nan, math.nan, len(means), complete=False)
    strata = grid.strata(full)
    averaged = np.mean([means[:, items].mean(axis=1) for items, _ in strata], axis=0)
    inter = [over_seeds(means[:, items], grouping)[1] for items, grouping in strata]
    variance = 0.0 if np.ptp(averaged) < 1e-12 else float(averaged.var(ddof=1)) / len(means)
    return Level(variance, sum(inter) / len(strata) ** 2, len(means), complete=True)


def seeds_of(model: ModelGrid, rows: NDArray[np.bool_], grid: Grid) -> Level | None:
    """Return what trainings add; from the components of all cells where many items lack some training."""
    found = level_of(model.by_seed, rows, grid)
    if found is None or found.complete:
        return found
    cells = model.cells.take(rows[model.cells.item])
    factors = factors_of(cells, grid.cluster)
    if "seed" not in factors:
        return None
    part = Levels(factors).spread(cells.mean, cells.noise, cells.decode).parts["seed"]
    return found._replace(variance=max(0.0, part) / model.seeds, inter=0.0)


def trainings_in_pairs(old: ModelGrid, new: ModelGrid, rows: NDArray[np.bool_], grid: Grid) -> Level:
    """Return what trainings add to a difference where those of both models are pairs, by their names (evals 1).

    Raises
    ------
    InputError
        Trainings without names, or with other ones, or items that lack some.
    """
    if "" in old.seed_names or set(old.seed_names) != set(new.seed_names):
        raise InputError(
            f"the trainings {listed(old.seed_names, 4)} of {old.name} and {listed(new.seed_names, 4)} of {new.name}",
            "the same names, to pair them",
            "Name the trainings with seed=, or drop pair_seeds= (--pair-seeds).",
        )
    order = [new.seed_names.index(name) for name in old.seed_names]
    found = level_of(new.by_seed[order] - old.by_seed, rows, grid)
    if found is None or not found.complete:
        raise InputError(
            f"{old.name} and {new.name} have too few trainings or items that all of them answered",
            "two trainings of each, and nine items of ten from all",
            "Drop pair_seeds= (--pair-seeds).",
        )
    return found


def samples_bar(model: ModelGrid, rows: NDArray[np.bool_], strata: Strata) -> Bar | None:
    """Return the variance for new answers of these checkpoints to these items; None without repeats (evals 2.3)."""
    cells = model.cells
    if not cells.repeats:
        return None
    weight = np.zeros(len(rows))
    for items, _ in strata:
        weight[items] = 1 / (len(items) * len(strata))
    kept = rows[cells.item]
    share = cells.weights() if model.share is None else model.share
    parts = np.square(weight[cells.item] * share) * cells.noise
    return Bar(float(parts[kept].sum()), float((cells.n[kept] - 1).sum()))


def same_items_bar(levels: list[Level]) -> Bar:
    """Return the variance for new trainings on the same items: between trainings (evals 1.1, as on="test-set")."""
    total = sum(one.variance for one in levels)
    below = sum(one.variance**2 / (one.levels - 1) for one in levels)
    return Bar(total, total**2 / below if below > 0 else float(sum(one.levels - 1 for one in levels)))


def prompts_of(d: Floats, rows: NDArray[np.bool_], grid: Grid) -> Level | None:
    """Return what random prompts add, from means or differences by prompt [prompts, items]."""
    asked = ~np.isnan(d[:, rows]).all(axis=1)
    return level_of(d[asked], rows, grid)
