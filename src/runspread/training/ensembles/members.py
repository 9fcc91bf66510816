"""Several trained networks as one module: a stack that runs in one forward pass, and what goes out of the house."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import InputError
from ..modules import DROPOUTS, refusing_slow_stacks


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
            raise InputError("there are no members", "at least one network")
        self.networks = nn.ModuleList(members)
        self.eval()

    @property
    def members(self) -> int:
        """Number of members."""
        return len(self.networks)

    @property
    def alike(self) -> bool:
        """Whether all members have parameters of the same names, shapes and types."""
        shapes = [{name: (v.shape, v.dtype) for name, v in member.state_dict().items()} for member in self.networks]
        return all(other == shapes[0] for other in shapes[1:])

    @property
    def stackable(self) -> bool:
        """Whether one member's code computes all: alike, of the same modules with the same settings."""
        first, *others = (_settings(member) for member in self.networks)
        return self.alike and all(other == first for other in others)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of every member, one member after the other."""
        return torch.stack([network(x) for network in self.networks])

    def one_pass(self) -> Callable[[Tensor], Tensor]:
        """Return what gives the outputs of every member from one vectorised pass, with the weights as they are now.

        Members that cannot be stacked are computed one after the other.
        """
        if not self.stackable:
            return self
        return self._vectorised()

    def _vectorised(self) -> Callable[[Tensor], Tensor]:
        members: Any = list(self.networks)
        stack = torch.func.stack_module_state(members)
        fails = False

        def of_one(x: Tensor, parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
            return torch.func.functional_call(members[0], (parameters, buffers), (x,))

        def outputs(x: Tensor) -> Tensor:
            nonlocal fails
            if not fails:
                try:
                    with refusing_slow_stacks():
                        return torch.vmap(of_one, in_dims=(None, 0, 0))(x, *stack)
                except (RuntimeError, UserWarning):  # no batching rule; or what the plain pass raises too
                    fails = True
            return self(x)

        return outputs


def _settings(network: nn.Module) -> list[Any]:
    """Return what a network's modules compute, as far as their plain attributes say it; dropout has no say in it."""
    return [
        (name, type(module), {key: value for key, value in vars(module).items() if _is_setting(module, key, value)})
        for name, module in network.named_modules()
    ]


def _is_setting(module: nn.Module, key: str, value: Any) -> bool:
    plain = isinstance(value, (bool, int, float, str, tuple, type(None))) or callable(value)
    return plain and not key.startswith("_") and not (isinstance(module, DROPOUTS) and key == "p")


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

    def one_pass(self) -> Callable[[Tensor], Tensor]:
        """Return the members' outputs as a function of scaled inputs, from one vectorised pass where that can be."""
        return self.core.one_pass() if isinstance(self.core, MemberStack) else self.core

    def member_probabilities(self, x: Tensor, outputs_of: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Return the class probabilities of every member [members, examples, classes].

        Parameters
        ----------
        x : Tensor [examples, ...]
            Inputs, not scaled.
        outputs_of : callable, optional
            What `one_pass` returned.
        """
        scaled = (x.to(self.mean.dtype) - self.mean) / self.std
        outputs = (outputs_of or self.core)(scaled)
        logits = torch.cat([-outputs / 2, outputs / 2], dim=-1) if self.margin else outputs
        return logits.softmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the averaged class probabilities [examples, classes]."""
        return (self.weights * self.member_probabilities(x)).sum(dim=0)
