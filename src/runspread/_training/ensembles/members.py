"""Several trained networks as one module: a stack that runs in one forward pass, and what goes out of the house."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..._errors import InputError


class MemberStack(nn.Module):
    """Trained networks side by side; returns the outputs of all [members, examples, classes].

    Parameters
    ----------
    members : sequence of nn.Module
        Trained networks. Where their parameters have equal shapes they run stacked, in one vectorised pass.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        if not members:
            raise InputError("no members", "at least one network")
        self.networks = nn.ModuleList(members)
        self.eval()
        self._stack: tuple[dict[str, Tensor], dict[str, Tensor]] | None = None
        self._template: list[nn.Module] = []  # in a list, so that it is no submodule

    @property
    def members(self) -> int:
        """Number of members."""
        return len(self.networks)

    @property
    def alike(self) -> bool:
        """Whether all members have parameters of the same names and shapes."""
        shapes = [{name: value.shape for name, value in member.state_dict().items()} for member in self.networks]
        return all(other == shapes[0] for other in shapes[1:])

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of every member, one member after the other."""
        return torch.stack([network(x) for network in self.networks])

    def stacked(self, x: Tensor) -> Tensor:
        """Return the outputs of every member from one vectorised pass; of unlike members one after the other."""
        if not self.alike:
            return self(x)
        if self._stack is None:
            members: Any = list(self.networks)
            self._stack = torch.func.stack_module_state(members)
            self._template = [copy.deepcopy(members[0]).to("meta")]

        def of_one(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
            return torch.func.functional_call(self._template[0], (parameters, buffers), (x,))

        return torch.vmap(of_one)(*self._stack)


class EnsembleModule(nn.Module):
    """What leaves the house: raw inputs to averaged class probabilities.

    Parameters
    ----------
    core : nn.Module
        From scaled inputs to outputs of all members [members, examples, classes].
    weights : sequence of float [members]
        Weights of the members.
    scaling : tuple of Tensor, optional
        Mean and deviation that inputs are scaled with.
    margin : bool
        Whether the members give one margin f instead of logits; it stands for logits (-f / 2, f / 2).
    """

    weights: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        core: nn.Module,
        weights: Sequence[float],
        scaling: tuple[Tensor, Tensor] | None = None,
        *,
        margin: bool = False,
    ) -> None:
        super().__init__()
        self.core, self.margin = core, margin
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32).view(-1, 1, 1))
        mean, std = scaling or (torch.zeros(()), torch.ones(()))
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.eval()

    def member_probabilities(self, x: Tensor, *, stacked: bool = False) -> Tensor:
        """Return the class probabilities of every member [members, examples, classes]."""
        scaled = (x.to(self.mean.dtype) - self.mean) / self.std
        outputs = self.core.stacked(scaled) if stacked and isinstance(self.core, MemberStack) else self.core(scaled)
        logits = torch.cat([-outputs / 2, outputs / 2], dim=-1) if self.margin else outputs
        return logits.softmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the averaged class probabilities [examples, classes]."""
        return (self.weights * self.member_probabilities(x)).sum(dim=0)
