"""The networks of a study's runs, built again from its recipe."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from .._results import to_plain
from .._words import listed
from ..errors import InputError
from ..studies.layout import RunMetadata
from ..studies.study import Study
from .build import plain_network
from .datasets import DATASETS
from .hyperparameters import set_dropout_rates
from .plan import PlannedRun, structural
from .recipes import Recipe, recipe_from_dict
from .recipes import recipe as make_recipe
from .user_code import refuse_code

_ASK = "Pass network=, a module of the same architecture, or recipe=, the recipe that the runs were trained with."
_OF_THE_CALLER = ("data", "start_from")  # where files lie is said by who reads them, never by a study
_LAYERS = ("depth", "blocks", "dense")  # options that count layers
_DESIGN = ("dataset", "dataset_options", "model", "model_options")


def recipe_of(
    study: Study, data: str | os.PathLike[str] | None, own: str | Recipe | None = None, *, network: bool = True
) -> Recipe | None:
    """Return the recipe that runspread trained the study with; None if it was trained elsewhere.

    Parameters
    ----------
    study : Study
        Its ``study.json`` may be anybody's: code that it names is refused.
    data : path or None
        Where the data lie.
    own : str or Recipe, optional
        The recipe from the caller, whose code is run; it has to be that of the study.
    network : bool
        Whether the network is wanted; else only the data set's part is, and code that is named does no harm.
    """
    described: Mapping[str, Any] = study.recipe or {}
    known = {name: to_plain(described[name]) for name in Recipe.__struct_fields__ if name in described}
    known = {name: value for name, value in known.items() if name not in _OF_THE_CALLER}
    if own is not None:
        return _same_design(make_recipe(own), known).replace(**({} if data is None else {"data": str(data)}))
    if not {"dataset", "model", "name"} <= set(known) or str(known["dataset"]) not in DATASETS:
        return None
    if data is not None:
        known["data"] = str(data)
    if not network:
        known |= {"model": "mlp", "model_options": {}}
    return recipe_of_file(known, f"the study {study.path}")


def recipe_of_file(fields: Mapping[str, Any], by: str, hint: str = _ASK) -> Recipe:
    """Return the recipe that a file describes; what is no recipe of runspread's own is refused."""
    refuse_code(fields.get("model"), by, hint)
    options = [fields.get(name, {}) for name in ("dataset_options", "model_options")]
    if not all(isinstance(option, dict) for option in options):
        raise InputError(f"{by} gives options that are no mapping", "a recipe, as Recipe.to_dict describes it")
    return recipe_from_dict(fields)


def _same_design(own: Recipe, described: Mapping[str, Any]) -> Recipe:
    ours = to_plain(own.to_dict())
    differ = [name for name in _DESIGN if name in described and described[name] != ours[name]]
    if differ:
        raise InputError(f"a recipe that differs from the study's in {listed(differ)}", "the recipe of its runs")
    return own


def own_recipe(recipe: Recipe, run: RunMetadata | PlannedRun) -> Recipe:
    """Return the recipe with the run's own structural hyperparameters, such as widths.

    Raises
    ------
    InputError
        They name code that is not the recipe's, or say where data lie.
    """
    own = structural(PlannedRun(run.id, run.seeds, run.hyperparameters))
    if own.get("model", recipe.model) != recipe.model:
        refuse_code(own["model"], f"run {run.id}", _ASK)
    elsewhere = [name for name in ("name", "dataset", *_OF_THE_CALLER) if own.get(name) is not None]
    if elsewhere:
        raise InputError(f"run {run.id} has {elsewhere[0]!r} among its hyperparameters", "a run of the study's recipe")
    return recipe.replace(**own)


def own_network(
    recipe: Recipe,
    run: RunMetadata | PlannedRun,
    shape: tuple[int, ...],
    classes: int,
    held: Collection[int] | None = None,
) -> nn.Module:
    """Return an untrained network of the run's architecture, with its own widths and dropout rates.

    Parameters
    ----------
    recipe, run : Recipe, RunMetadata or PlannedRun
        What is built, which a file may have declared.
    shape, classes : tuple of int, int
        Shape of one input, and the number of classes.
    held : collection of int, optional
        Sizes of the arrays that are to fill the network: one that is larger is refused before it is built.
    """
    own = own_recipe(recipe, run)
    if held is not None:
        check_declared(own, shape, classes, held)
    return set_dropout_rates(
        plain_network(own, shape, classes), own, PlannedRun(run.id, run.seeds, run.hyperparameters)
    )


def check_declared(recipe: Recipe, shape: tuple[int, ...], classes: int, held: Collection[int]) -> None:
    """Raise where a network of these options has more layers or parameters than the arrays that are to fill it."""
    if ":" in recipe.model:  # from the caller
        return
    parts = math.prod(shape), classes, *shape
    sizes = [*parts, *(size for value in recipe.model_options.values() for size in _sizes(value))]
    layers = [recipe.model_options.get(name, 0) for name in _LAYERS]
    lengths = [len(value) for value in recipe.model_options.values() if isinstance(value, tuple)]
    if max(sizes) > sum(held) + math.prod(shape) or max([*layers, *lengths]) > len(held) or min(parts) < 1:
        raise _too_large(recipe)
    with torch.device("meta"):
        declared = plain_network(recipe, shape, classes)
    if sum(value.numel() for value in declared.state_dict().values()) > sum(held):
        raise _too_large(recipe)


def _too_large(recipe: Recipe) -> InputError:
    return InputError(
        f"a network {recipe.model!r} with {recipe.model_options} is declared, which is larger than its weights",
        "weights of the network that is declared",
    )


def _sizes(value: Any) -> list[int]:
    found = value if isinstance(value, tuple) else (value,)
    return [size for size in found if isinstance(size, int)]
