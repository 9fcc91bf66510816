"""Networks to convert: those that runspread trains, as their authors wrote them."""

from __future__ import annotations

from typing import Any

from torch import nn

from runspread.training.models import MODELS


def build(name: str, shape: tuple[int, ...], classes: int = 10, **options: Any) -> nn.Module:
    return MODELS[name].build(shape, classes, **{**MODELS[name].options, **options})


def mlp(inputs: int, hidden: int, classes: int, dropout: float) -> nn.Module:
    network = build("mlp", (inputs,), classes, hidden=(hidden, hidden), init="he")
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    return network
