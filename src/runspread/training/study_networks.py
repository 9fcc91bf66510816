"""The networks of a study's runs, built again from its recipe."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from torch import nn

from .._results import to_plain
from ..studies.layout import RunMetadata
from ..studies.study import Study
from .build import plain_network
from .datasets import DATASETS
from .hyperparameters import set_dropout_rates
from .plan import PlannedRun, structural
from .recipes import Recipe, recipe_from_dict


def recipe_of(study: Study, data: str | os.PathLike[str] | None) -> Recipe | None:
    """Return the recipe that runspread trained the study with; None if it was trained elsewhere."""
    described: Mapping[str, Any] = study.recipe or {}
    known = {name: to_plain(described[name]) for name in Recipe.__struct_fields__ if name in described}
    if not {"dataset", "model", "name"} <= set(known) or known["dataset"] not in DATASETS:
        return None
    if data is not None:
        known["data"] = str(data)
    return recipe_from_dict(known)


def own_recipe(recipe: Recipe, run: RunMetadata | PlannedRun) -> Recipe:
    """Return the recipe with the run's own structural hyperparameters, such as widths."""
    return recipe.replace(**structural(PlannedRun(run.id, run.seeds, run.hyperparameters)))


def own_network(recipe: Recipe, run: RunMetadata | PlannedRun, shape: tuple[int, ...], classes: int) -> nn.Module:
    """Return an untrained network of the run's architecture, with its own widths and dropout rates."""
    own = own_recipe(recipe, run)
    return set_dropout_rates(
        plain_network(own, shape, classes), own, PlannedRun(run.id, run.seeds, run.hyperparameters)
    )
