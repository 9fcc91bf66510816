"""Builds the network of a recipe."""

from __future__ import annotations

from torch import nn

from .._errors import InputError, RunspreadError
from .models import MODELS
from .modules import prepare_module
from .recipes import Recipe
from .user_code import load_object


def build_network(recipe: Recipe, shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return the recipe's network for inputs of `shape`, drawn from torch's generator and fit for stacking."""
    return prepare_module(plain_network(recipe, shape, n_classes))


def plain_network(recipe: Recipe, shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return the recipe's network as its author wrote it, with torch's own dropout layers."""
    outputs = 1 if recipe.loss == "hinge" else n_classes
    if recipe.loss == "hinge" and n_classes != 2:
        raise InputError(f"loss='hinge' with {n_classes} classes", "two classes")
    build = load_object(recipe.model) if ":" in recipe.model else MODELS[recipe.model].build
    try:
        module = build(shape, outputs, **recipe.model_options)
    except RunspreadError:
        raise
    except Exception as error:  # whatever the user's own code raises
        raise InputError(
            f"model {recipe.model!r} cannot be built ({type(error).__name__}: {error})",
            f"a function that takes ({shape}, {outputs}) and the options {recipe.model_options}",
        ) from error
    if not isinstance(module, nn.Module):
        raise InputError(f"model {recipe.model!r} gave a {type(module).__name__}", "a torch.nn.Module")
    return module
