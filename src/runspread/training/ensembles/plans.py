"""Which runs the procedures train: configurations across, seeds down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...studies.records import Seeds, run_id
from ..plan import PlannedRun, own_values
from ..recipes import Recipe
from ..search import Distribution, sample
from ..seeding import derive_seed, run_seeds

_ROW = 1_000_000  # places of the runs of one row of the block in the streams of order and augmentation seeds


def search_plans(
    recipe: Recipe, space: Mapping[str, Distribution], runs: int, seed: int, *, shared_init: bool
) -> list[PlannedRun]:
    """Return the plans of a random search; candidate 0 is the recipe's own configuration, spelled out.

    Parameters
    ----------
    recipe : Recipe
        What is searched from.
    space : mapping of str to Distribution
        Search space.
    runs, seed : int
        Candidates; base seed.
    shared_init : bool
        Whether all start from one initialisation. Data order and augmentation differ in any case.
    """
    vary = ("order", "augment") if shared_init else ("init", "order", "augment")
    drawn = [own_values(recipe, space), *(sample(space, seed, i) for i in range(1, runs))]
    return [_plan(run_seeds(seed, i, vary), values) for i, values in enumerate(drawn)]


def row_plans(configurations: Sequence[tuple[int, Mapping[str, Any]]], row: int, seed: int) -> list[PlannedRun]:
    """Return the plans of one row of the block: given configurations from the row's own initialisation.

    Parameters
    ----------
    configurations : sequence of (int, mapping)
        Position in the search, hyperparameters.
    row : int
        From 1; row 0 is the search itself.
    seed : int
        Base seed.
    """
    init = derive_seed(seed, "init", _ROW * row)
    seeds = [
        Seeds(
            init=init,
            order=derive_seed(seed, "order", _ROW * row + column),
            augment=derive_seed(seed, "augment", _ROW * row + column),
        )
        for column, _ in configurations
    ]
    return [_plan(one, dict(values)) for one, (_, values) in zip(seeds, configurations, strict=True)]


def _plan(seeds: Seeds, hyperparameters: dict[str, Any]) -> PlannedRun:
    return PlannedRun(run_id(seeds, hyperparameters), seeds, hyperparameters)
