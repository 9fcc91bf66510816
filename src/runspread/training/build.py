"""Builds the network of a recipe."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..errors import InputError, RunspreadError
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
        raise InputError(f"got loss='hinge' with {n_classes} classes", "two classes")
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
    return materialised(module, shape)


def is_unsized(module: nn.Module) -> bool:
    """Whether a module has lazy layers that do not know their sizes yet."""
    return any(is_lazy(value) for value in (*module.parameters(), *module.buffers()))


@torch.no_grad()
def materialised(module: nn.Module, shape: tuple[int, ...] | None) -> nn.Module:
    """Return a module whose lazy layers know their sizes, from one pass of an example of zeros; others unchanged.

    Raises
    ------
    InputError
        The shape of an input is not known, or the pass fails or leaves a layer without a size.
    """
    if not is_unsized(module):
        return module
    if shape is None:
        raise InputError(
            "got a network with lazy layers", "layers that know their sizes", "Call it on one batch first."
        )
    training = module.training
    try:
        try:
            module.eval()(torch.zeros(1, *shape))
        except (RuntimeError, TypeError):  # a network of tokens takes whole numbers
            module.eval()(torch.zeros(1, *shape, dtype=torch.long))
    except Exception as error:
        raise InputError(
            f"lazy layers whose sizes an input of shape {(1, *shape)} does not give ({type(error).__name__}: {error})",
            "a network that takes inputs of that shape",
        ) from error
    left = [name for name, value in module.named_parameters() if is_lazy(value)]
    if left:
        raise InputError(f"lazy layers that no pass reaches: {', '.join(left)}", "layers that the network uses")
    return module.train(training)
