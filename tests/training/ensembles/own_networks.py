"""Networks as users write them: with tied weights, recurrent, lazy, nested; `rs.train` reads them from this file."""

from __future__ import annotations

import torch
from torch import nn


class Tied(nn.Module):
    """Two layers that share a weight, as an embedding and its output layer do."""

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(size, size), nn.Linear(size, size), nn.Linear(size, classes)
        self.b.weight = self.a.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c(torch.relu(self.b(torch.relu(self.a(x.flatten(1))))))


class Recurrent(nn.Module):
    """A recurrent layer, for which torch has no batching rule."""

    def __init__(self, kind: type[nn.RNNBase], classes: int) -> None:
        super().__init__()
        self.layer, self.out = kind(8, 16, batch_first=True), nn.Linear(16, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.layer(x.flatten(1).reshape(len(x), 8, 8))[0][:, -1])


class Lazy(nn.Module):
    """Layers that learn their sizes from the first input, batch normalisation among them."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.hidden, self.norm, self.out = nn.LazyLinear(12), nn.LazyBatchNorm1d(), nn.LazyLinear(classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.relu(self.norm(self.hidden(x.flatten(1)))))


class Unused(nn.Module):
    """A lazy layer that no input reaches."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.out, self.spare = nn.Linear(64, classes), nn.LazyLinear(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(x.flatten(1))


def tied(shape: tuple[int, ...], classes: int) -> nn.Module:
    return Tied(64, classes)


def lstm(shape: tuple[int, ...], classes: int) -> nn.Module:
    return Recurrent(nn.LSTM, classes)


def gru(shape: tuple[int, ...], classes: int) -> nn.Module:
    return Recurrent(nn.GRU, classes)


def lazy(shape: tuple[int, ...], classes: int) -> nn.Module:
    return Lazy(classes)


def unused(shape: tuple[int, ...], classes: int) -> nn.Module:
    return Unused(classes)
