"""The training of one stack of runs, a step at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from ..errors import InputError, RunspreadError
from ..nn._schedules import schedule_factors
from .build import build_network
from .cadence import steps_per_epoch, total_steps
from .checkpoints import Checkpoint, read_checkpoint, start_from
from .datasets import load_dataset
from .feed import DeviceSplit, Feed, to_device
from .hyperparameters import coefficient, make_segments, most_specific, per_run
from .losses import IGNORED, to_logits
from .memory import activation_floats
from .modules import dropout_layers
from .optimizers import StackOptimizer
from .plan import PlannedRun
from .programs import Program, StepResult, make_program, set_dropout_keys
from .recipes import Recipe
from .seeding import fold_seed
from .stack import build_seeded, make_stack

_EVALUATED_AT_ONCE = 2**24  # numbers that the forward pass of a stack may hold while a split is evaluated
_DROPOUT_STREAM = 2**20


@dataclass(frozen=True)
class NetworkMetadata:
    """Parameters of a network, and numbers that an example leaves behind for the backward pass."""

    parameters: int
    activations: int


@dataclass(frozen=True, eq=False)
class Task:
    """A recipe with its data on a device: what all stacks of one structure share.

    Attributes
    ----------
    recipe : Recipe
        What is trained.
    splits : dict of str to DeviceSplit
        Data by split.
    device : torch.device
        Where.
    n_classes : int
        Classes of the data set.
    fingerprint : str
        Digest of the data, and of the checkpoint that runs start from.
    checkpoint : Checkpoint or None
        Weights that every run starts from.
    """

    recipe: Recipe
    splits: dict[str, DeviceSplit]
    device: torch.device
    n_classes: int
    fingerprint: str
    checkpoint: Checkpoint | None = None

    def build(self) -> nn.Module:
        """Return a network as a run starts from it, drawn from torch's global generator."""
        shape = tuple(self.splits["train"].inputs.shape[1:])
        module = build_network(self.recipe, shape, self.n_classes)
        if self.checkpoint is not None:
            start_from(module, self.checkpoint)
        return module

    @cached_property
    def facts(self) -> NetworkMetadata:
        """Sizes of the network, measured on two examples."""
        module = build_seeded(self.build, 0).to(self.device)
        two = self.splits["train"].gather(torch.arange(2, device=self.device))
        try:
            activations = activation_floats(module, two)
            with torch.no_grad():
                outputs = tuple(module(two).shape)
        except RunspreadError:
            raise
        except Exception as error:  # whatever the user's own network raises
            raise InputError(
                f"model {self.recipe.model!r} fails on inputs of shape {tuple(two.shape)} "
                f"({type(error).__name__}: {error})",
                f"a network for inputs of shape (examples, {', '.join(map(str, two.shape[1:]))})",
            ) from error
        self._check_outputs(outputs)
        return NetworkMetadata(sum(p.numel() for p in module.parameters()), activations)

    def _check_outputs(self, shape: tuple[int, ...]) -> None:
        """Raise unless outputs of two examples are one for each label and class; more than the classes are allowed."""
        hinge, labels = self.recipe.loss == "hinge", tuple(self.splits["train"].labels[:2].shape)
        count = 1 if hinge else self.n_classes
        if shape[:-1] != labels or shape[-1] < count or (hinge and shape[-1] > 1):
            raise InputError(
                f"model {self.recipe.model!r} gives outputs of shape {shape} for two examples",
                f"{(*labels, count)}",
            )

    @property
    def steps(self) -> int:
        """Length of a training in optimiser steps."""
        recipe = self.recipe
        per_epoch = steps_per_epoch(len(self.splits["train"].inputs), recipe.batch_size, recipe.drop_last)
        return total_steps(recipe.epochs, recipe.steps, per_epoch)

    def check_fingerprint(self, expected: str) -> None:
        """Raise unless the data are those that the study was planned with."""
        if expected and expected != self.fingerprint:
            raise InputError(
                f"the data have the fingerprint {self.fingerprint}",
                expected,
                "The data differ from those that the study was planned with: point data= at the same files.",
            )

    def labels(self, split: str) -> Tensor:
        """Return the labels that count on a split, flat."""
        labels = self.splits[split].labels
        return labels[labels != IGNORED]


def choose_device(device: str) -> str:
    """Return the device that "auto" stands for, or the given one if torch has it."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"got device {device!r}, unusable here ({error})", "cpu, cuda, cuda:1 or auto") from error
    return device


@dataclass(frozen=True, eq=False)
class DeviceData:
    """A data set on a device."""

    splits: dict[str, DeviceSplit]
    n_classes: int
    fingerprint: str


def load_data(recipe: Recipe, device: torch.device) -> DeviceData:
    """Load onto a device the splits that a recipe trains and evaluates on."""
    dataset = load_dataset(recipe)
    names = dict.fromkeys(("train", *recipe.evaluate))
    splits = {name: to_device(dataset.split(name), dataset, device) for name in names}
    return DeviceData(splits, dataset.n_classes, dataset.fingerprint)


def make_task(recipe: Recipe, device: str | torch.device = "cpu", data: DeviceData | None = None) -> Task:
    """Return a recipe with its data on a device; `data` are those that are loaded already."""
    device = torch.device(device)
    data = data or load_data(recipe, device)
    checkpoint = None if recipe.start_from is None else read_checkpoint(recipe.start_from, recipe.fresh)
    digests = data.fingerprint if checkpoint is None else f"{data.fingerprint}-{checkpoint.digest}"
    return Task(recipe, data.splits, device, data.n_classes, digests, checkpoint)


class StackTraining:
    """The training of one stack, a step at a time.

    Parameters
    ----------
    task : Task
        Recipe and data.
    plans : sequence of PlannedRun
        Runs of one structure.
    program : str
        Name of the program (see ``programs``).
    """

    def __init__(self, task: Task, plans: Sequence[PlannedRun], program: str) -> None:
        self.task, self.plans, recipe = task, plans, task.recipe
        modules = [build_seeded(task.build, plan.seeds.init or 0) for plan in plans]
        self.stack = make_stack(modules, task.device)
        self.module = modules[0].to(task.device)
        self.program: Program = make_program(program, self.module, recipe.loss)
        self.feed = Feed(recipe, plans, task.splits["train"], task.n_classes)
        self.total = task.steps
        self.factors = schedule_factors(
            recipe.schedule,
            self.total,
            self.feed.per_epoch,
            warmup=recipe.warmup,
            drops=recipe.drops,
            factor=recipe.drop_factor,
        )
        self.optimizer = self._make_optimizer()
        self.smoothing = per_run(recipe, plans, "label_smoothing", task.device)
        self._set_up_dropout()
        self._finite = torch.ones(len(plans), dtype=torch.bool, device=task.device)
        self._finite_steps = torch.zeros(len(plans), dtype=torch.int64, device=task.device)
        self.done = 0

    def _make_optimizer(self) -> StackOptimizer:
        recipe, device = self.task.recipe, self.task.device
        return StackOptimizer(
            recipe.optimizer,
            self.stack.values,
            self.stack.gradients,
            len(self.stack),
            make_segments(recipe, self.plans, self.stack.layout, device),
            momentum=coefficient(recipe, self.plans, "momentum", device),
            options={name: getattr(recipe, name) for name in ("nesterov", "beta1", "beta2", "eps")},
        )

    def _set_up_dropout(self) -> None:
        layers = dropout_layers(self.module)
        for name in layers:
            source = most_specific(self.plans, "dropout", name)
            rates = per_run(self.task.recipe, self.plans, source, self.task.device)
            self.stack.buffers[f"{name}.rate"] = rates
            self.stack.drops |= bool((rates > 0).any())
        for layer in layers.values():
            layer.active = self.stack.drops
        keys = [fold_seed(plan.seeds.augment or 0, _DROPOUT_STREAM) for plan in self.plans]
        self.dropout_keys = torch.tensor(keys, dtype=torch.int32, device=self.task.device)

    def step(self) -> StepResult:
        """Do one optimiser step of all runs; return its losses and accuracies."""
        inputs, targets = self.feed(self.done)
        if self.stack.drops:
            set_dropout_keys(self.stack, self.module, self.dropout_keys, self.done)
        result = self.program.gradients(self.stack, inputs, targets, self.smoothing)
        self.optimizer.step(float(self.factors[self.done]))
        self._finite.logical_and_(result.loss < float("inf"))  # NaN is not
        self._finite_steps += self._finite
        self.done += 1
        return result

    def diverged_at(self) -> list[int]:
        """Return for each run the steps done before its loss was no longer finite; -1 where it still is."""
        return torch.where(self._finite, -1, self._finite_steps).tolist()

    def logits(self, split: str) -> Tensor:
        """Return logits [runs, examples, classes] of a split, in evaluation mode."""
        data = self.task.splits[split]
        chunk = max(1, _EVALUATED_AT_ONCE // (len(self.plans) * self.task.facts.activations))
        examples = torch.arange(len(data.inputs), device=self.task.device)
        return torch.cat([self._logits(data, index) for index in examples.split(chunk)], dim=1)

    def _logits(self, data: DeviceSplit, index: Tensor) -> Tensor:
        outputs = self.program.outputs(self.stack, data.gather(index))
        labels = data.labels[index]
        return to_logits(self.task.recipe.loss, outputs if labels.ndim == 1 else outputs[:, labels != IGNORED])
