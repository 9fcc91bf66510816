"""How often two answers differ: two samples of one checkpoint, and two trainings (evals 6)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._results import Result, Table
from ..scores.one_arm import t_quantile
from .bars import over_items
from .cells import Floats
from .grid import Grid, ModelGrid
from .tries import flips_across, flips_within


class Rate(NamedTuple):
    """A rate with its interval over items or clusters; NaN where it cannot be told."""

    value: float
    lo: float
    hi: float


NOT_KNOWN = Rate(math.nan, math.nan, math.nan)


@dataclass(frozen=True, eq=False, kw_only=True)
class Consistency(Result):
    """How often correctness differs between two answers to an item.

    Attributes
    ----------
    names : tuple of str
        Of the models.
    flip_within : tuple of Rate
        Between two samples of one checkpoint.
    flip_across : tuple of Rate
        Between samples of two trainings.
    excess : tuple of Rate
        What a retrain adds: across less within.
    """

    picture = ".plots:plot_consistency"

    names: tuple[str, ...]
    flip_within: tuple[Rate, ...]
    flip_across: tuple[Rate, ...]
    excess: tuple[Rate, ...]

    def table(self) -> Table:
        """Return a row a model, in percent."""
        rates = {"two samples": self.flip_within, "two trainings": self.flip_across, "a retrain adds": self.excess}
        columns: dict[str, list[object]] = {"model": list(self.names)}
        for name, values in rates.items():
            columns[name] = [100 * one.value for one in values]
            columns[f"{name}, interval"] = [
                None if math.isnan(one.lo) else f"{100 * one.lo:.1f} to {100 * one.hi:.1f}" for one in values
            ]
        return Table(columns, formats=dict.fromkeys(rates, ".1f"))

    def sentence(self) -> str:
        """Return the rates of each model."""
        found = [_of_model(self, at) for at in range(len(self.names))]
        known = [text for text in found if text]
        return " ".join(known) if known else "How often answers differ cannot be told: nothing was answered twice."


def _of_model(one: Consistency, at: int) -> str:
    within, across, excess = one.flip_within[at], one.flip_across[at], one.excess[at]
    start = f"{one.names[at]}: " if len(one.names) > 1 else ""
    parts: list[str] = []
    if not math.isnan(within.value):
        parts.append(f"{100 * within.value:.1f} % of correct/wrong marks differ between two samples of one checkpoint")
    if not math.isnan(across.value):
        more = "" if parts else " of correct/wrong marks differ"
        parts.append(f"{100 * across.value:.1f} %{more} between two trainings")
    added = f": a retrain adds {100 * excess.value:.1f} points ({100 * excess.lo:.1f} to {100 * excess.hi:.1f})"
    return f"{start}{', '.join(parts)}{'' if math.isnan(excess.value) else added}." if parts else ""


def consistency_of(grid: Grid, level: float) -> Consistency:
    """Return how often answers differ, of every model; of 0/1 scores alone."""
    nothing = (NOT_KNOWN, NOT_KNOWN, NOT_KNOWN)
    found = [_rates(grid, model, level) if grid.binary else nothing for model in grid.models]
    return Consistency(
        names=tuple(model.name for model in grid.models),
        flip_within=tuple(rates[0] for rates in found),
        flip_across=tuple(rates[1] for rates in found),
        excess=tuple(rates[2] for rates in found),
    )


def _rates(grid: Grid, model: ModelGrid, level: float) -> tuple[Rate, Rate, Rate]:
    cells, items = model.cells, len(model.x)
    flips = flips_within(cells.n.astype(np.float64), cells.mean * cells.n)
    known = ~np.isnan(flips)
    total, number = np.bincount(cells.item[known], flips[known], items), np.bincount(cells.item[known], minlength=items)
    with np.errstate(invalid="ignore"):
        within = np.where(number > 0, total / number, np.nan)
    across = flips_across(model.by_seed)
    return _rate(grid, within, level), _rate(grid, across, level), _rate(grid, across - within, level)


def _rate(grid: Grid, values: Floats, level: float) -> Rate:
    rows: NDArray[np.bool_] = ~np.isnan(values)
    if rows.sum() < 2:
        return NOT_KNOWN
    found = values[rows]
    bar = over_items(found, grid.grouping(np.flatnonzero(rows)))
    mean = float(found.mean())
    if not bar.df > 0:
        return Rate(mean, math.nan, math.nan)
    half = t_quantile((1 + level) / 2, bar.df) * math.sqrt(bar.variance)
    return Rate(mean, mean - half, mean + half)
