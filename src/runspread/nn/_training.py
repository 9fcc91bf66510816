"""Training of batch and hyper-batch ensembles: weights on training data, in turns with bounds on validation data."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._checks import check_choice, check_integers
from ..errors import InputError, TrainingError
from ._bounds import tuning_loss
from ._ensembles import BatchEnsemble, HyperBatchEnsemble
from ._log import EnsembleTraining, movement_alarms, range_alarms, tuning_alarms
from ._schedules import schedule_factors

Augment = Callable[[Tensor, Tensor, int], Tensor]
Progress = Callable[[int, int], None]
OPTIMIZERS = ("adam", "adamw", "sgd")
DECAYS = ("all", "weights")
FACTOR_NAMES = ("input_factor", "output_factor", "response_input_factor", "response_output_factor")
_BIAS_NAMES = ("bias", "response_bias")  # of a layer: one row a member, so that their axes do not tell them apart
_UNIT = ("momentum", "beta1", "beta2", "label_smoothing")  # from 0 to 1; the other numbers are not negative


def train_ensemble(
    ensemble: BatchEnsemble,
    inputs: Tensor,
    labels: Tensor,
    *,
    validation: tuple[Tensor, Tensor] | None = None,
    epochs: int = 20,
    steps: int | None = None,
    batch_size: int = 128,
    drop_last: bool = False,
    augment: Augment | None = None,
    optimizer: str = "adam",
    lr: float = 1e-3,
    momentum: float = 0.9,
    nesterov: bool = True,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decay: str = "all",
    label_smoothing: float = 0.0,
    schedule: str = "constant",
    warmup: float = 0.0,
    drops: tuple[float, ...] = (),
    drop_factor: float = 0.2,
    factor_rate: float = 0.5,
    l2: float | Mapping[str, float] = 0.0,
    shared_l2: float = 0.0,
    tuning_every: int = 3,
    tuning_rate: float = 1e-3,
    tuning_warmup: int = 0,
    tau: float = 1e-3,
    seed: int = 0,
    progress: Progress | None = None,
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
    drop_last : bool
        Whether the last, smaller batch of an epoch is left out.
    steps : int, optional
        Length in steps, instead of `epochs`.
    augment : callable, optional
        Called with a batch's inputs, the positions of its examples in the training set [batch] and the epoch; returns
        the inputs to train on.
    optimizer : {"adam", "adamw", "sgd"}
        For the weights.
    lr : float
        Base rate.
    momentum, nesterov : float, bool
        Momentum of SGD, and whether it is Nesterov's.
    beta1, beta2, eps : float
        Of Adam and AdamW.
    weight_decay : float
        The optimiser's weight decay, on all weights but the factors.
    decay : {"all", "weights"}
        Whether `weight_decay`, `l2` and `shared_l2` act on all parameters but the factors, or only on those that have
        two axes or more in a single network: not on biases and batch normalisation.
    label_smoothing : float
        Share of the target spread over all classes; for a hyper-batch ensemble only where it does not tune that itself.
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
    shared_l2 : float
        Coefficient of the summed squares of the parameters that all members share besides the kernels
        (`BatchEnsemble.shared`), such as those of batch normalisation. Published for hyper-batch ensembles: 15, divided
        by the number of training examples.
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
    progress : callable, optional
        Called after every step with the steps done and those in all.

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
    check_choice(decay, "decay", DECAYS)
    rates = {"lr": lr, "factor_rate": factor_rate, "tuning_rate": tuning_rate, "weight_decay": weight_decay, "eps": eps}
    shares = {"momentum": momentum, "beta1": beta1, "beta2": beta2, "label_smoothing": label_smoothing}
    _check_numbers({**rates, **shares, "shared_l2": shared_l2, "tau": tau, "tuning_warmup": tuning_warmup})
    check_integers(tuning_every, "tuning_every", 1, None)
    per_epoch = _check_data(inputs, labels, validation, batch_size, drop_last)
    total = int(check_integers(epochs, "epochs", 1, None)) * per_epoch if steps is None else steps
    check_integers(total, "steps", 1, None)
    _refuse_untuned(ensemble, l2, label_smoothing)
    factors = schedule_factors(schedule, total, per_epoch, warmup=warmup, drops=drops, factor=drop_factor)
    made = _optimizer(
        ensemble,
        optimizer,
        lr,
        momentum,
        weight_decay,
        factor_rate,
        nesterov=nesterov,
        betas=(beta1, beta2),
        eps=eps,
        decay=decay,
    )
    trainer = _Trainer(ensemble, made, l2, seed, shared_l2, label_smoothing, kernels_only=decay == "weights")
    hyper = isinstance(ensemble, HyperBatchEnsemble)
    tuner = (
        _Tuner(ensemble, *validation, batch_size, tuning_rate, tau, trainer.generator) if hyper and validation else None
    )
    started = time.perf_counter()
    with torch.random.fork_rng(devices=[inputs.device] if inputs.is_cuda else []):
        torch.manual_seed(seed)
        for step, rows in enumerate(islice(_batches(len(inputs), batch_size, trainer.generator, drop_last), total)):
            rows = rows.to(inputs.device)
            x = inputs[rows] if augment is None else augment(inputs[rows], rows, step // per_epoch)
            trainer.step(x, labels[rows], float(factors[step]))
            if tuner is not None and step >= tuning_warmup and (step + 1) % tuning_every == 0:
                tuner.step(step)
            if progress is not None:
                progress(step + 1, total)
    ensemble.eval()
    return _result(ensemble, trainer.losses, tuner, time.perf_counter() - started)


def _check_numbers(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        high = 1.0 if name in _UNIT else math.inf
        if not isinstance(value, (int, float)) or not 0 <= value <= high or math.isinf(value):
            raise InputError(f"{name}={value!r}", f"a number from 0{'' if math.isinf(high) else ' to 1'}")


def _check_data(
    inputs: Tensor, labels: Tensor, validation: tuple[Tensor, Tensor] | None, batch_size: int, drop_last: bool
) -> int:
    """Return the steps of an epoch, or say what does not fit."""
    for x, y in ((inputs, labels), *([] if validation is None else [validation])):
        if len(x) != len(y) or not len(y):
            raise InputError(f"{len(x)} inputs and {len(y)} labels", "as many of both, at least one")
    size = int(check_integers(batch_size, "batch_size", 1, None))
    if drop_last and size > len(inputs):
        raise InputError(f"batch_size={size} with {len(inputs)} examples and drop_last", "no more than there are")
    return len(inputs) // size if drop_last else -(-len(inputs) // size)


def _refuse_untuned(ensemble: BatchEnsemble, l2: float | Mapping[str, float], label_smoothing: float) -> None:
    """Refuse a fixed value of what a hyper-batch ensemble learns."""
    if not isinstance(ensemble, HyperBatchEnsemble):
        return
    if l2 != 0.0:
        raise InputError("l2 for a hyper-batch ensemble", "an l2 hyperparameter, which it learns")
    if label_smoothing and ensemble.tunes("label_smoothing"):
        raise InputError(f"label_smoothing={label_smoothing} for an ensemble that tunes it", "one of the two")


def _batches(n: int, size: int, generator: torch.Generator, drop_last: bool = False) -> Iterator[Tensor]:
    """Yield the positions of one batch after another, epoch after epoch without end."""
    while True:
        batches = torch.randperm(n, generator=generator).split(size)
        yield from batches[: n // size] if drop_last else batches


def _optimizer(
    ensemble: BatchEnsemble,
    kind: str,
    lr: float,
    momentum: float,
    weight_decay: float,
    factor_rate: float,
    *,
    nesterov: bool = True,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    decay: str = "all",
) -> torch.optim.Optimizer:
    """Return the optimiser of all weights; the factors' own rate is a group, since Adam ignores scaled gradients."""
    named = [(name.rpartition(".")[2], p) for name, p in ensemble.network.named_parameters()]
    fast = [p for name, p in named if name in FACTOR_NAMES]
    free = [p for name, p in named if name not in FACTOR_NAMES and decay == "weights" and _is_vector(name, p)]
    apart = {id(p) for p in (*fast, *free)}
    groups = [
        {"params": [p for _, p in named if id(p) not in apart], "lr": lr, "base": lr, "weight_decay": weight_decay},
        {"params": fast, "lr": lr, "base": lr * factor_rate, "weight_decay": 0.0},
        *([{"params": free, "lr": lr, "base": lr, "weight_decay": 0.0}] if free else []),
    ]
    if kind == "sgd":
        return torch.optim.SGD(groups, momentum=momentum, nesterov=nesterov and momentum > 0)
    return (torch.optim.AdamW if kind == "adamw" else torch.optim.Adam)(groups, betas=betas, eps=eps)


def _is_vector(name: str, parameter: Tensor) -> bool:
    """Whether a parameter has fewer than two axes in a single network."""
    return name in _BIAS_NAMES or parameter.ndim < 2


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, smoothing: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of logits [members, examples, classes] with labels [examples].

    Parameters
    ----------
    logits, labels : Tensor
        Outputs of every member; true classes, the same for all.
    smoothing : Tensor [members, examples] or [], optional
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
    shared_l2: float = 0.0
    label_smoothing: float = 0.0
    kernels_only: bool = False
    losses: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)
        shared = [self.ensemble.network.get_parameter(name) for name in self.ensemble.shared]
        self.shared = [p for p in shared if p.ndim >= 2 or not self.kernels_only] if self.shared_l2 else []

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
        loss = self._own_loss(x, y)
        for parameter in self.shared:
            loss = loss + self.shared_l2 * parameter.square().sum()
        return loss

    def _own_loss(self, x: Tensor, y: Tensor) -> Tensor:
        ensemble = self.ensemble
        smoothing = x.new_tensor(self.label_smoothing) if self.label_smoothing else None
        if not isinstance(ensemble, HyperBatchEnsemble):
            penalty = _squares(ensemble, self.l2, kernels_only=self.kernels_only)
            return smoothed_cross_entropy(ensemble(x), y, smoothing) + penalty
        values = ensemble.bounds.sample(len(x), generator=self.generator).detach()
        tuned = ensemble.smoothing(values)
        loss = smoothed_cross_entropy(ensemble(x, values), y, smoothing if tuned is None else tuned)
        return loss + ensemble.penalty(values)


def _squares(ensemble: BatchEnsemble, l2: float | Mapping[str, float], *, kernels_only: bool = False) -> Tensor | float:
    """Return the penalty of a batch ensemble: kernels and the mean over members of the biases, not the factors."""
    patterns = {"*": l2} if isinstance(l2, (int, float)) else l2
    total: Tensor | float = 0.0
    for name, layer in ensemble.layers.items():
        coefficient = next((value for pattern, value in patterns.items() if fnmatchcase(name, pattern)), 0.0)
        if coefficient:
            total = total + coefficient * layer.weight.square().sum()
            if layer.bias is not None and not kernels_only:
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
        rows = next(self._rows).to(self.inputs.device)
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
    movement = movement_alarms(tuner.history[0][2], tuner.history[-1][2], len(tuner.steps))
    return (*bounds, *tuning_alarms(np.array(tuner.losses)), *movement)
