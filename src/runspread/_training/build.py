"""Builds the network of a recipe."""

from __future__ import annotations

from torch import nn

from .._errors import InputError
from .models import MODELS
from .modules import prepare_module
from .recipes import Recipe


def build_network(recipe: Recipe, shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return the recipe's network for inputs of `shape`, drawn from torch's generator and fit for stacking."""
    return prepare_module(plain_network(recipe, shape, n_classes))


def plain_network(recipe: Recipe, shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return the recipe's network as its author wrote it, with torch's own dropout layers."""
    outputs = 1 if recipe.loss == "hinge" else n_classes
    if recipe.loss == "hinge" and n_classes != 2:
        raise InputError(f"loss='hinge' with {n_classes} classes", "two classes")
    if ":" in recipe.model:
        from .user_code import load_object

        module = load_object(recipe.model)(shape, outputs, **recipe.model_options)
    else:
        module = MODELS[recipe.model].build(shape, outputs, **recipe.model_options)
    if not isinstance(module, nn.Module):
        raise InputError(f"model {recipe.model!r} gave a {type(module).__name__}", "a torch.nn.Module")
    return module
