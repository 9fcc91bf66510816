"""Makes a module fit for stacking: dropout whose masks hang on a key, and nothing drawn from a global generator."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .hashing import keep_mask

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class KeyedDropout(nn.Module):
    """Dropout with its rate and the key of its random bits in buffers, so that both may differ by run.

    Parameters
    ----------
    whole_channels : bool
        Whether channels are dropped as a whole (``nn.Dropout2d``).

    Attributes
    ----------
    active : bool
        Set to False where no run drops anything, which saves the drawing of bits.
    """

    def __init__(self, whole_channels: bool = False) -> None:
        super().__init__()
        self.whole_channels = whole_channels
        self.active = True
        self.rate: Tensor
        self.key: Tensor
        self.register_buffer("rate", torch.zeros(()))
        self.register_buffer("key", torch.zeros((), dtype=torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        """Return x with entries zeroed at `rate` and the rest scaled up, in training; x itself in evaluation."""
        if not self.training or not self.active:
            return x
        shape = (*x.shape[:2], *(1,) * (x.ndim - 2)) if self.whole_channels else x.shape
        return x * keep_mask(self.key, shape, self.rate) / (1 - self.rate)


def prepare_module(module: nn.Module) -> nn.Module:
    """Return the module with torch's dropout layers replaced by keyed ones (in place)."""
    for name, child in module.named_children():
        if isinstance(child, DROPOUTS):
            setattr(module, name, KeyedDropout(whole_channels=not isinstance(child, nn.Dropout)))
        else:
            prepare_module(child)
    return module


def dropout_layers(module: nn.Module) -> dict[str, KeyedDropout]:
    """Return the dropout layers by name, in the module's order."""
    return {name: child for name, child in module.named_modules() if isinstance(child, KeyedDropout)}


@contextmanager
def refusing_slow_stacks() -> Generator[None]:
    """Raise a UserWarning inside the block where torch would take a layer (a recurrent one) apart run by run."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="There is a performance drop", category=UserWarning)
        yield
