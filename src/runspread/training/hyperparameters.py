"""Hyperparameters of the runs of a stack, as tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from .modules import DROPOUTS, dropout_layers
from .optimizers import Segment
from .plan import PlannedRun
from .recipes import Recipe
from .stack import Layout


def per_run(recipe: Recipe, plans: Sequence[PlannedRun], name: str, device: torch.device) -> Tensor:
    """Return hyperparameter `name` of every run, float32 [runs]."""
    values = [float(plan.hyperparameter(recipe, name)) for plan in plans]
    return torch.tensor(values, dtype=torch.float32, device=device)


def coefficient(recipe: Recipe, plans: Sequence[PlannedRun], name: str | None, device: torch.device) -> Tensor:
    """Return a hyperparameter as [runs, 1] where the plans have it, and as a scalar [] where it is the recipe's.

    It hangs on whether it is searched, not on whether the values differ: so a run is computed in one way in any stack.
    """
    if name is None:
        return torch.zeros((), device=device)
    if name in plans[0].hyperparameters:
        return per_run(recipe, plans, name, device).unsqueeze(1)
    return torch.tensor(float(getattr(recipe, name)), device=device)


def most_specific(plans: Sequence[PlannedRun], name: str, part: str) -> str:
    """Return the longest searched name that covers `part` of the network: "l2.head" covers "head.weight"."""
    words = part.split(".")
    candidates = [f"{name}.{'.'.join(words[:n])}" for n in range(len(words), 0, -1)]
    return next((c for c in candidates if c in plans[0].hyperparameters), name)


def check_parts(recipe: Recipe, hyperparameters: Mapping[str, Any], module: nn.Module) -> None:
    """Raise if dropout is asked of a network without it, or a searched name is of no part of the network."""
    layers, parameters = list(dropout_layers(module)), [name for name, _ in module.named_parameters()]
    if not layers and (recipe.dropout or any(name.partition(".")[0] == "dropout" for name in hyperparameters)):
        raise InputError(f"dropout for {recipe.model}, which has no dropout layer", "a network with nn.Dropout layers")
    for name in hyperparameters:
        kind, dot, part = name.partition(".")
        found = layers if kind == "dropout" else parameters
        if dot and not any(f"{full}.".startswith(f"{part}.") for full in found):
            raise InputError(
                f"{name}: the network has no part {part!r}", f"a beginning of one of {', '.join(found[:8])}"
            )


def set_dropout_rates(network: nn.Module, recipe: Recipe, plan: PlannedRun) -> nn.Module:
    """Give torch's dropout layers of a network the rates that the run was trained with."""
    for name, module in network.named_modules():
        if isinstance(module, DROPOUTS):
            module.p = float(plan.hyperparameter(recipe, most_specific([plan], "dropout", name)))
    return network


def make_segments(recipe: Recipe, plans: Sequence[PlannedRun], layout: Layout, device: torch.device) -> list[Segment]:
    """Return the segments of a stack; neighbours whose coefficients all runs share are merged."""
    segments: list[Segment] = []
    previous: tuple[str, ...] = ()
    by_run = "momentum" in plans[0].hyperparameters
    for name, (offset, shape) in layout.places.items():
        lr, decay, l2 = (most_specific(plans, key, name) for key in ("lr", "weight_decay", "l2"))
        exempt = recipe.decay == "weights" and len(shape) < 2
        sources = (lr,) if exempt else (lr, decay, l2)
        made = _segment(recipe, plans, (offset, offset + shape.numel()), sources, device)
        if sources == previous and not made.by_run and not by_run:
            made = _segment(recipe, plans, (segments.pop().start, made.stop), sources, device)
        segments.append(made)
        previous = sources
    return segments


def _segment(
    recipe: Recipe, plans: Sequence[PlannedRun], span: tuple[int, int], sources: tuple[str, ...], device: torch.device
) -> Segment:
    lr, weight_decay, l2 = (coefficient(recipe, plans, name, device) for name in (*sources, None, None)[:3])
    penalty = l2 * (2 / recipe.l2_reference)  # the gradient of c * w**2 is 2 c w
    decoupled = recipe.optimizer == "adamw"
    return Segment(
        *span,
        lr=lr,
        decay=weight_decay if decoupled else torch.zeros_like(weight_decay),
        coupled=penalty if decoupled else penalty + weight_decay,
    )
