"""Multilayer perceptrons."""

from __future__ import annotations

import itertools
import math

from torch import Tensor, nn

from ..._checks import check_choice

INITS = ("he", "torch", "xavier")


class MLP(nn.Module):
    """Dense layers with ReLU and dropout between them, on the flattened input.

    Parameters
    ----------
    sizes : tuple of int
        Inputs, hidden widths, outputs.
    init : {"xavier", "he", "torch"}
        Xavier-uniform with zero biases; N(0, 2 / fan_in), output layer N(0, 1 / fan_in), with zero biases; torch's own.
    """

    def __init__(self, sizes: tuple[int, ...], init: str) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(sizes))
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairs)
        self.dropouts = nn.ModuleList(nn.Dropout() for _ in pairs[1:])
        check_choice(init, "init", INITS)
        for number, layer in enumerate(self.layers, start=1):
            assert isinstance(layer, nn.Linear)
            initialise(layer, init, gain=1.0 if number == len(pairs) else 2.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs [batch, outputs] for inputs [batch, ...]."""
        x = x.flatten(1)
        for layer, dropout in zip(self.layers, self.dropouts, strict=False):
            x = dropout(layer(x).relu())
        return self.layers[-1](x)


def initialise(layer: nn.Linear | nn.Conv2d, init: str, *, gain: float) -> None:
    """Draw a layer's weights; `gain` is the numerator of the He variance."""
    if init == "torch":
        return
    if init == "xavier":
        nn.init.xavier_uniform_(layer.weight)
    else:
        nn.init.normal_(layer.weight, std=math.sqrt(gain / layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def build_mlp(shape: tuple[int, ...], outputs: int, *, hidden: tuple[int, ...], init: str) -> MLP:
    """Return the perceptron for inputs of `shape`."""
    return MLP((math.prod(shape), *hidden, outputs), init)
