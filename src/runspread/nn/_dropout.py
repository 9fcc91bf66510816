"""Dropout with a rate for every row, and dropout at test time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .._checks import check_integers
from ..errors import InputError

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class RowDropout(nn.Module):
    """Dropout whose rate may differ by row; active in training mode only.

    Parameters
    ----------
    rate : float
        Rate of all rows until `rates` is set.
    spatial : bool
        Drop whole channels (as ``nn.Dropout2d``) instead of single values.
    """

    def __init__(self, rate: float = 0.5, *, spatial: bool = False) -> None:
        super().__init__()
        self.rate, self.spatial = rate, spatial
        self.rates: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with values dropped where ``rand < rate`` and the rest scaled by ``1 / (1 - rate)``."""
        if not self.training:
            return x
        rates = x.new_full((1,), self.rate) if self.rates is None else self.rates
        rates = rates.view(-1, *[1] * (x.ndim - 1))
        shape = (*x.shape[:2], *[1] * (x.ndim - 2)) if self.spatial else x.shape
        kept = torch.rand(shape, dtype=x.dtype, device=x.device) >= rates
        return x * kept / (1 - rates)

    def extra_repr(self) -> str:
        """Return the rate, for ``print(network)``."""
        return f"rate={'by row' if self.rates is not None else self.rate}, spatial={self.spatial}"


@torch.no_grad()
def mc_dropout(network: nn.Module, inputs: Tensor, *, passes: int = 30, seed: int = 0) -> Tensor:
    """Return the class probabilities of passes with dropout active: [passes, examples, classes].

    Only the dropout layers are switched on; batch normalisation and all else stay in evaluation mode. Average over the
    first axis for the prediction. The modes of the network's modules are put back afterwards.

    Parameters
    ----------
    network : nn.Module
        Returns logits [examples, classes].
    inputs : Tensor [examples, ...]
        Examples.
    passes : int
        Stochastic passes.
    seed : int
        Seed of the masks; the global random state is left as it was.

    Raises
    ------
    InputError
        The network has no dropout layer, so that every pass would be the same.

    References
    ----------
    Gal and Ghahramani (2016), arXiv 1506.02142.

    Examples
    --------
    >>> import runspread as rs
    >>> import torch
    >>> network = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Dropout(0.5), torch.nn.Linear(16, 4))
    >>> rs.nn.mc_dropout(network, torch.randn(5, 8), passes=10).shape  # passes, examples, classes
    torch.Size([10, 5, 4])
    """
    passes = int(check_integers(passes, "passes", 1, None))
    with dropout_active(network, seed):
        return torch.stack([network(inputs).softmax(dim=-1) for _ in range(passes)])


@contextmanager
def dropout_active(network: nn.Module, seed: int) -> Generator[None]:
    """Switch on the dropout layers alone, with masks from `seed`; modes and global random state are put back after."""
    layers = [module for module in network.modules() if isinstance(module, (*DROPOUTS, RowDropout))]
    if not layers:
        raise InputError("got a network without dropout layers", "at least one nn.Dropout")
    modes = [(module, module.training) for module in network.modules()]
    devices = sorted({p.device.index for p in network.parameters() if p.is_cuda})
    try:
        network.eval()
        for layer in layers:
            layer.training = True
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield
    finally:
        for module, mode in modes:
            module.training = mode
