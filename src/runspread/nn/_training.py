"""Training of batch and hyper-batch ensembles: weights on training data, in turns with bounds on validation data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from .._checks import check_choice
from .._errors import InputError, TrainingError
from .._training.schedules import schedule_factors
from ._bounds import tuning_loss
from ._ensembles import BatchEnsemble, HyperBatchEnsemble
from ._log import EnsembleTraining, range_alarms, tuning_alarms

Augment = Callable[[Tensor, Tensor, int], Tensor]
OPTIMIZERS = ("adam", "adamw", "sgd")
FACTOR_NAMES = ("input_factor", "output_factor", "response_input_factor", "response_output_factor")


def train_ensemble(
    ensemble: BatchEnsemble,
    inputs: Tensor,
    labels: Tensor,
    *,
    validation: tuple[Tensor, Tensor] | None = None,
    epochs: int = 20,
    steps: int | None = None,
    batch_size: int = 128,
    augment: Augment | None = None,
    optimizer: str = "adam",
    lr: float = 1e-3,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    schedule: str = "constant",
    warmup: float = 0.0,
    drops: tuple[float, ...] = (),
    drop_factor: float = 0.2,
    factor_rate: float = 0.5,
    l2: float | Mapping[str, float] = 0.0,
    tuning_every: int = 3,
    tuning_rate: float = 1e-3,
    tuning_warmup: int = 0,
    tau: float = 1e-3,
    seed: int = 0,
) -> EnsembleTraining:
    """Train a batch or hyper-batch ensemble in place.

    Every member sees the same examples; the loss is the mean of the members' own cross-entropies. A hyper-batch
    ensemble draws hyperparameters for every member and example at each step, and every `tuning_every` steps updates its
    bounds (weights fixed) on a validation batch, in evaluation mode, with the NLL of the averaged probabilities.

    Parameters
    ----------
    ensemble : BatchEnsemble or HyperBatchEnsemble
        What to train; left in evaluation mode.
    inputs, labels : Tensor [examples, ...], Tensor of int [examples]
        Training set, on the ensemble's device.
    validation : tuple of Tensor, optional
        Inputs and labels for tuning; without them the bounds stay where they start.
    epochs, batch_size : int
        Length of the training; a batch is that many examples for every member.
    steps : int, optional
        Length in steps, instead of `epochs`.
    augment : callable, optional
        Called with a batch's inputs, the positions of its examples in the training set [batch] and the epoch; returns
        the inputs to train on.
    optimizer : {"adam", "adamw", "sgd"}
        For the weights; SGD has Nesterov momentum.
    lr, momentum, weight_decay : float
        Base rate; momentum of SGD; the optimiser's weight decay, on all weights but the factors.
    schedule : {"constant", "linear", "cosine", "drops"}
        Course of the rate.
    warmup : float
        Epochs of linear warm-up.
    drops, drop_factor : tuple of float, float
        Epochs at which ``"drops"`` multiplies the rate by `drop_factor` (published: 0.2).
    factor_rate : float
        Rate of the rank-one factors relative to the others.
    l2 : float or mapping
        Coefficient of the summed squares of kernels and biases, or one for each pattern of layer names; for batch
        ensembles (a hyper-batch ensemble brings its own penalty).
    tuning_every : int
        Training steps for each tuning step.
    tuning_rate : float
        Adam's rate for the bounds, in log units. 1e-3 as published for many thousand tuning steps; 0.01 to 0.03 for a
        few hundred. Too fast, and the weights do not follow: an alarm says so where the tuning loss rises.
    tuning_warmup : int
        Training steps before the first tuning step.
    tau : float
        Weight of the mean entropy.
    seed : int
        Seed of data order, hyperparameters and dropout; the global random state is left as it was.

    Returns
    -------
    EnsembleTraining
        Losses, bounds, alarms.

    Raises
    ------
    InputError
        Arguments that do not fit.
    TrainingError
        The loss is no longer finite; its message names the step.

    References
    ----------
    Wenzel et al. (2020), arXiv 2006.13570, section 4.3 and appendix.
    """
    check_choice(optimizer, "optimizer", OPTIMIZERS)
    if len(inputs) != len(labels) or not len(labels):
        raise InputError(f"{len(inputs)} inputs and {len(labels)} labels", "as many of both, at least one")
    hyper = isinstance(ensemble, HyperBatchEnsemble)
    if hyper and l2 != 0.0:
        raise InputError("l2 for a hyper-batch ensemble", "an l2 hyperparameter, which it learns")
    per_epoch = -(-len(inputs) // batch_size)
    total = epochs * per_epoch if steps is None else steps
    factors = schedule_factors(schedule, total, per_epoch, warmup=warmup, drops=drops, factor=drop_factor)
    trainer = _Trainer(ensemble, _optimizer(ensemble, optimizer, lr, momentum, weight_decay, factor_rate), l2, seed)
    tuner = (
        _Tuner(ensemble, *validation, batch_size, tuning_rate, tau, trainer.generator) if hyper and validation else None
    )
    started = time.perf_counter()
    with torch.random.fork_rng(devices=[inputs.device] if inputs.is_cuda else []):
        torch.manual_seed(seed)
        for step, rows in enumerate(islice(_batches(len(inputs), batch_size, trainer.generator), total)):
            x = inputs[rows] if augment is None else augment(inputs[rows], rows, step // per_epoch)
            trainer.step(x, labels[rows], float(factors[step]))
            if tuner is not None and step >= tuning_warmup and (step + 1) % tuning_every == 0:
                tuner.step(step)
    ensemble.eval()
    return _result(ensemble, trainer.losses, tuner, time.perf_counter() - started)


def _batches(n: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield the positions of one batch after another, epoch after epoch without end."""
    while True:
        yield from torch.randperm(n, generator=generator).split(size)


def _optimizer(
    ensemble: BatchEnsemble, kind: str, lr: float, momentum: float, weight_decay: float, factor_rate: float
) -> torch.optim.Optimizer:
    """Return the optimiser of all weights; the factors' own rate is a group, since Adam ignores scaled gradients."""
    named = list(ensemble.network.named_parameters())
    fast = [p for name, p in named if name.rpartition(".")[2] in FACTOR_NAMES]
    slow = [p for name, p in named if name.rpartition(".")[2] not in FACTOR_NAMES]
    groups = [
        {"params": slow, "lr": lr, "base": lr, "weight_decay": weight_decay},
        {"params": fast, "lr": lr, "base": lr * factor_rate, "weight_decay": 0.0},
    ]
    if kind == "sgd":
        return torch.optim.SGD(groups, momentum=momentum, nesterov=momentum > 0)
    return (torch.optim.AdamW if kind == "adamw" else torch.optim.Adam)(groups)


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, smoothing: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of logits [members, examples, classes] with labels [examples].

    Parameters
    ----------
    logits, labels : Tensor
        Outputs of every member; true classes, the same for all.
    smoothing : Tensor [members, examples], optional
        Weight of the uniform distribution in each row's target.
    """
    log_p = torch.log_softmax(logits, dim=-1)
    right = log_p.gather(-1, labels.expand(log_p.shape[:-1]).unsqueeze(-1)).squeeze(-1)
    if smoothing is None:
        return -right.mean()
    return ((smoothing - 1) * right - smoothing * log_p.mean(dim=-1)).mean()


@dataclass
class _Trainer:
    """Updates the weights; bounds stay fixed."""

    ensemble: BatchEnsemble
    optimizer: torch.optim.Optimizer
    l2: float | Mapping[str, float]
    seed: int
    losses: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)

    def step(self, x: Tensor, y: Tensor, factor: float) -> None:
        self.ensemble.train()
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        loss = self._loss(x, y)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} at step {len(self.losses)}", "a finite loss", "Lower the rate."
            )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        ensemble = self.ensemble
        if not isinstance(ensemble, HyperBatchEnsemble):
            return smoothed_cross_entropy(ensemble(x), y) + _squares(ensemble, self.l2)
        values = ensemble.bounds.sample(len(x), generator=self.generator).detach()
        loss = smoothed_cross_entropy(ensemble(x, values), y, ensemble.smoothing(values))
        return loss + ensemble.penalty(values)


def _squares(ensemble: BatchEnsemble, l2: float | Mapping[str, float]) -> Tensor | float:
    """Return the penalty of a batch ensemble: kernels and the mean over members of the biases, not the factors."""
    patterns = {"*": l2} if isinstance(l2, (int, float)) else l2
    total: Tensor | float = 0.0
    for name, layer in ensemble.layers.items():
        coefficient = next((value for pattern, value in patterns.items() if fnmatchcase(name, pattern)), 0.0)
        if coefficient:
            total = total + coefficient * layer.weight.square().sum()
            if layer.bias is not None:
                total = total + coefficient * layer.bias.square().sum(dim=1).mean()
    return total


class _Tuner:
    """Updates the bounds; weights stay fixed."""

    def __init__(
        self,
        ensemble: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        batch_size: int,
        rate: float,
        tau: float,
        generator: torch.Generator,
    ) -> None:
        assert isinstance(ensemble, HyperBatchEnsemble)
        self.ensemble, self.inputs, self.labels = ensemble, inputs, labels
        self.batch_size, self.tau, self.generator = batch_size, tau, generator
        self.bounds = ensemble.bounds
        self.optimizer = torch.optim.Adam(self.bounds.parameters(), lr=rate)
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.history = [self._snapshot()]
        self.alarms: dict[str, int] = {}
        self._rows = _batches(len(self.labels), self.batch_size, self.generator)

    def _snapshot(self) -> np.ndarray:
        with torch.no_grad():
            values = (self.bounds.log_lower.exp(), self.bounds.log_upper.exp(), self.bounds.mean())
            return torch.stack(values).double().cpu().numpy()

    def step(self, step: int) -> None:
        rows = next(self._rows)
        self.ensemble.eval()
        values = self.bounds.sample(len(rows), generator=self.generator)
        logits = self.ensemble(self.inputs[rows], values)
        loss = tuning_loss(logits, self.labels[rows], self.bounds.entropy(), self.tau)
        parameters = list(self.bounds.parameters())
        gradients = torch.autograd.grad(loss, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()
        self.bounds.project()
        self.steps.append(step)
        self.losses.append(loss.item())
        self.history.append(self._snapshot())
        for alarm in range_alarms(self.history[-1][2], *self.ranges(), self.names()):
            self.alarms.setdefault(alarm, step)

    def names(self) -> tuple[str, ...]:
        return tuple(h.name for h in self.ensemble.hyperparameters)

    def ranges(self) -> tuple[np.ndarray, np.ndarray]:
        hyperparameters = self.ensemble.hyperparameters
        return np.array([h.low for h in hyperparameters]), np.array([h.high for h in hyperparameters])


def _result(ensemble: BatchEnsemble, losses: list[float], tuner: _Tuner | None, seconds: float) -> EnsembleTraining:
    history = np.zeros((1, 3, ensemble.members, 0)) if tuner is None else np.stack(tuner.history)
    low, high = (np.zeros(0), np.zeros(0)) if tuner is None else tuner.ranges()
    return EnsembleTraining(
        losses=np.array(losses),
        tuning_steps=np.array([] if tuner is None else tuner.steps, dtype=np.int64),
        tuning_losses=np.array([] if tuner is None else tuner.losses),
        lower=history[:, 0],
        upper=history[:, 1],
        mean=history[:, 2],
        low=low,
        high=high,
        names=() if tuner is None else tuner.names(),
        seconds=seconds,
        warnings=() if tuner is None else _alarms(tuner),
    )


def _alarms(tuner: _Tuner) -> tuple[str, ...]:
    bounds = (f"{text} since step {step}" for text, step in tuner.alarms.items())
    return (*bounds, *tuning_alarms(np.array(tuner.losses)))
