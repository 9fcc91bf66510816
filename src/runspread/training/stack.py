"""The parameters of many runs in one buffer, with a view [runs, *shape] by name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Modules draw their initial weights from torch's global generator, which all threads of a process share.
_GENERATOR_LOCK = threading.Lock()


@dataclass(frozen=True)
class Layout:
    """Where each parameter lies: name to (offset in numbers of one run, shape).

    A stack's buffer holds one block per parameter, and the block holds that parameter of every run: so each is
    contiguous, which batched matrix products need, and all of them can be updated in one sweep.
    """

    places: Mapping[str, tuple[int, torch.Size]]
    size: int

    @classmethod
    def of(cls, module: nn.Module) -> Layout:
        """Return the layout of a module's parameters, in the module's own order."""
        places: dict[str, tuple[int, torch.Size]] = {}
        offset = 0
        for name, parameter in module.named_parameters():
            places[name] = (offset, parameter.shape)
            offset += parameter.numel()
        return cls(places, offset)

    def views(self, buffer: Tensor) -> dict[str, Tensor]:
        """Return each parameter as a view [runs, *shape] of a buffer [runs * parameters]."""
        runs = len(buffer) // self.size
        return {
            name: buffer[runs * offset : runs * (offset + shape.numel())].view(runs, *shape)
            for name, (offset, shape) in self.places.items()
        }


@dataclass
class Stack:
    """State of R runs that train together.

    Attributes
    ----------
    layout : Layout
        Where parameters lie.
    values, gradients : Tensor [runs * parameters]
        Parameters and the latest gradient.
    buffers : dict of str to Tensor [runs, ...]
        Running statistics of batch normalisation, keys and rates of dropout.
    drops : bool
        Whether any run has dropout.
    parameters, gradient_views : dict of str to Tensor [runs, *shape]
        The same by name; views, so they follow every update in place.
    """

    layout: Layout
    values: Tensor
    gradients: Tensor
    buffers: dict[str, Tensor]
    drops: bool = False

    def __post_init__(self) -> None:
        self.parameters = self.layout.views(self.values)
        self.gradient_views = self.layout.views(self.gradients)

    def __len__(self) -> int:
        return len(self.values) // self.layout.size


def build_seeded(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Return the module that `build` makes when torch's generator is seeded with `seed`; the generator is put back."""
    with _GENERATOR_LOCK, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def make_stack(modules: Sequence[nn.Module], device: torch.device) -> Stack:
    """Return the stack of modules of one architecture."""
    layout = Layout.of(modules[0])
    blocks = zip(*(tuple(module.parameters()) for module in modules), strict=True)
    values = torch.cat([torch.stack(block).detach().reshape(-1) for block in blocks]).to(device)
    names = [name for name, _ in modules[0].named_buffers()]
    columns = zip(*(tuple(buffer for _, buffer in module.named_buffers()) for module in modules), strict=True)
    buffers = {name: torch.stack(column).to(device) for name, column in zip(names, columns, strict=True)}
    return Stack(layout, values, torch.zeros_like(values), buffers)
