"""How much a training will hold, and how much there is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from .._words import count
from ..errors import TrainingError

_GIB = 2**30
_HEADROOM = 0.9  # share of what is free that may be planned for


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that a training will hold at its largest.

    Attributes
    ----------
    data : int
        Data sets on the device, shared by all workers of a process; all copies together.
    stack : int
        One stack: parameters, gradients, optimiser state, activations, recorded outputs and weights.
    workers : int
        Stacks that train at once.
    available : int
        Free bytes on the device.
    """

    data: int
    stack: int
    workers: int
    available: int

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.data + self.workers * self.stack

    @property
    def fits(self) -> bool:
        """Whether there is that much."""
        return self.total <= _HEADROOM * self.available

    def in_processes(self) -> MemoryPlan:
        """Return what it is when every worker has its own copy of the data, next to the driver's."""
        return replace(self, data=self.data * (1 + self.workers))

    def sentence(self) -> str:
        """Say it in one line."""
        return (
            f"will hold about {_gib(self.total)}: data {_gib(self.data)}, "
            f"{count(self.workers, 'batch', 'batches')} of runs of {_gib(self.stack)}; {_gib(self.available)} free"
        )

    def check(self, width: int) -> None:
        """Raise if it does not fit."""
        if not self.fits:
            raise TrainingError(
                f"{count(width, 'batched run')} {self.sentence()}",
                "less than is free",
                "Use a smaller stack= or workers=, a smaller batch_size, or a machine with more memory.",
            )


def _gib(size: int) -> str:
    return f"{size / _GIB:.2f} GiB"


def free_memory(device: torch.device) -> int:
    """Return the free bytes of a device; on a CPU within the limit of the control group, where there is one."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min(_free_of_machine(), _free_of_group())


def _free_of_machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return 2**63  # not a Linux machine: nothing is known, so nothing is refused


def _free_of_group() -> int:
    group = Path("/sys/fs/cgroup")
    try:
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no such group, or "max"
        return 2**63


def activation_floats(module: nn.Module, inputs: Tensor) -> int:
    """Return how many numbers an example leaves behind for the backward pass, measured on a few `inputs`."""
    seen: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        seen[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = module(inputs)
    for parameter in module.parameters():
        seen.pop(parameter.data_ptr(), None)
    return (sum(seen.values()) + outputs.numel()) // len(inputs) + inputs[0].numel()
