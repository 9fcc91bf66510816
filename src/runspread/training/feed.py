"""Training data on the device, and the batches that each run of a stack sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .augment import Augmenter
from .cadence import steps_per_epoch
from .datasets.base import Dataset, Split
from .plan import PlannedRun
from .recipes import Recipe
from .seeding import epoch_order

_FLOAT_BYTES = 512 * 2**20  # scaled once and kept as float32 up to this size; larger sets are scaled batch by batch


@dataclass(frozen=True, eq=False)
class DeviceSplit:
    """One split on the device.

    Attributes
    ----------
    inputs, labels : Tensor [examples, ...]
        Inputs as stored, or already scaled where `scaling` is None.
    scaling : tuple of Tensor, or None
        Mean and deviation of the inputs.
    """

    inputs: Tensor
    labels: Tensor
    scaling: tuple[Tensor, Tensor] | None

    def gather(self, index: Tensor) -> Tensor:
        """Return scaled inputs of the examples in `index` (any shape), with the axes of one example behind."""
        rows = self.inputs.index_select(0, index.reshape(-1))
        return scale(rows, self.scaling).unflatten(0, index.shape)


def scale(rows: Tensor, scaling: tuple[Tensor, Tensor] | None) -> Tensor:
    """Return ``(rows - mean) / std``; tokens (whole numbers without scaling) stay as they are."""
    return rows if scaling is None else (rows.float() - scaling[0]) / scaling[1]


def to_device(split: Split, dataset: Dataset, device: torch.device) -> DeviceSplit:
    """Return a split on the device, scaled there once if it is small enough."""
    inputs = torch.from_numpy(np.array(split.inputs)).to(device)
    labels = torch.from_numpy(np.array(split.labels)).to(device)
    if inputs.dtype == torch.int64:
        return DeviceSplit(inputs, labels, None)
    scaling = (torch.from_numpy(dataset.mean).to(device), torch.from_numpy(dataset.std).to(device))
    if inputs.numel() * 4 <= _FLOAT_BYTES:
        return DeviceSplit(scale(inputs, scaling), labels, None)
    return DeviceSplit(inputs, labels, scaling)


class Feed:
    """Batches of a stack: every run gathers its own order and draws its own augmentation.

    Parameters
    ----------
    recipe : Recipe
        Batch size and augmentation.
    plans : sequence of PlannedRun
        The runs, for their seeds.
    split : DeviceSplit
        Training data.
    n_classes : int
        Classes, or tokens.
    """

    def __init__(self, recipe: Recipe, plans: Sequence[PlannedRun], split: DeviceSplit, n_classes: int) -> None:
        self.split, self.n, self.runs = split, len(split.inputs), len(plans)
        self.batch = recipe.batch_size or self.n
        self.per_epoch = steps_per_epoch(self.n, recipe.batch_size, recipe.drop_last)
        self.orders = [plan.seeds.order or 0 for plan in plans]
        seeds = [plan.seeds.augment or 0 for plan in plans]
        self.augmenter = Augmenter(recipe.augment, seeds, split.inputs.device, n_classes)
        self._epoch, self._order = -1, torch.empty(0)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of a step, [runs, batch, ...], or [1, ...] where all runs see the same."""
        epoch, number = divmod(step, self.per_epoch)
        if self.batch == self.n and not self.augmenter:
            everything = torch.arange(self.n, device=self.split.labels.device)[None]
            return self.split.gather(everything), self.split.labels[None]
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._draw(epoch)
        index = self._order[:, number * self.batch : (number + 1) * self.batch]
        inputs = self.split.gather(index)
        return self.augmenter(inputs, self.split.labels[index], index, epoch)

    def _draw(self, epoch: int) -> Tensor:
        drawn = {seed: epoch_order(seed, epoch, self.n) for seed in set(self.orders)}
        orders = np.stack([drawn[seed] for seed in self.orders])
        return torch.from_numpy(orders).to(self.split.labels.device)
