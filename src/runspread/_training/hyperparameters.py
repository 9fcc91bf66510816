"""Hyperparameters of the runs of a stack, as tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .optimizers import Segment
from .plan import RunPlan
from .recipes import Recipe
from .stack import Layout


def per_run(recipe: Recipe, plans: Sequence[RunPlan], name: str, device: torch.device) -> Tensor:
    """Return hyperparameter `name` of every run, float32 [runs]."""
    values = [float(plan.hyperparameter(recipe, name)) for plan in plans]
    return torch.tensor(values, dtype=torch.float32, device=device)


def most_specific(plans: Sequence[RunPlan], name: str, part: str) -> str:
    """Return the longest searched name that covers `part` of the network: "l2.head" covers "head.weight"."""
    words = part.split(".")
    candidates = [f"{name}.{'.'.join(words[:n])}" for n in range(len(words), 0, -1)]
    return next((c for c in candidates if any(c in plan.hyperparameters for plan in plans)), name)


def make_segments(recipe: Recipe, plans: Sequence[RunPlan], layout: Layout, device: torch.device) -> list[Segment]:
    """Return the segments of a stack: runs of parameters whose coefficients have the same sources."""
    sources: list[tuple[int, int, tuple[str, str, str] | tuple[str, None, None]]] = []
    for name, (offset, shape) in layout.places.items():
        lr, decay, l2 = (most_specific(plans, key, name) for key in ("lr", "weight_decay", "l2"))
        exempt = recipe.decay == "weights" and len(shape) < 2
        source = (lr, None, None) if exempt else (lr, decay, l2)
        if sources and sources[-1][2] == source:
            offset = sources.pop()[0]
        sources.append((offset, layout.places[name][0] + shape.numel(), source))
    return [_segment(recipe, plans, start, stop, *source, device=device) for start, stop, source in sources]


def _segment(
    recipe: Recipe,
    plans: Sequence[RunPlan],
    start: int,
    stop: int,
    lr: str,
    decay: str | None,
    l2: str | None,
    *,
    device: torch.device,
) -> Segment:
    def column(name: str | None) -> Tensor:
        values = torch.zeros(len(plans), device=device) if name is None else per_run(recipe, plans, name, device)
        return values.unsqueeze(1)

    penalty = column(l2) * (2 / recipe.l2_reference)  # the gradient of c * w**2 is 2 c w
    decoupled = recipe.optimizer == "adamw"
    weight_decay = column(decay)
    return Segment(
        start,
        stop,
        lr=column(lr),
        decay=weight_decay if decoupled else torch.zeros_like(weight_decay),
        coupled=penalty if decoupled else penalty + weight_decay,
    )
