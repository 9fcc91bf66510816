"""Training of batch and hyper-batch ensembles: weights on training data, in turns with bounds on validation data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice
from typing import Unpack

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InputError, TrainingError
from ._bounds import tuning_loss
from ._ensembles import BatchEnsemble, HyperBatchEnsemble
from ._log import EnsembleTraining, movement_alarms, range_alarms, tuning_alarms
from ._schedules import schedule_factors
from ._settings import CheckedSettings, TrainingSettings, settled

Progress = Callable[[int, int], None]
FACTOR_NAMES = ("input_factor", "output_factor", "response_input_factor", "response_output_factor")
_BIAS_NAMES = ("bias", "response_bias")  # of a layer: one row a member, so that their axes do not distinguish them


def train_ensemble(
    ensemble: BatchEnsemble,
    inputs: Tensor,
    labels: Tensor,
    *,
    validation: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **settings: Unpack[TrainingSettings],
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
    seed : int
        Seed of data order, hyperparameters and dropout; the global random state is left as it was.
    progress : callable, optional
        Called after every step with the steps done and those in all.
    **settings
        Length, batches, optimiser, learning rates, penalties and tuning, as `TrainingSettings` says.

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

    Examples
    --------
    >>> import runspread as rs
    >>> import torch
    >>> network = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    >>> ensemble = rs.nn.batch_ensemble(network, 2)
    >>> log = rs.nn.train_ensemble(ensemble, torch.randn(64, 8), torch.randint(4, (64,)), steps=5)
    >>> log.losses.shape
    (5,)
    """
    chosen = settled(settings)
    _check_data((inputs, labels), validation)
    chosen.refuse_untuned(ensemble)
    per_epoch = chosen.steps_per_epoch(len(inputs))
    total = chosen.total_steps(per_epoch)
    factors = schedule_factors(
        chosen.schedule, total, per_epoch, warmup=chosen.warmup, drops=chosen.drops, factor=chosen.drop_factor
    )
    trainer = _Trainer(ensemble, _optimizer(ensemble, chosen), chosen, seed)
    tunes = isinstance(ensemble, HyperBatchEnsemble) and validation is not None
    tuner = _Tuner(ensemble, *validation, chosen, trainer.generator) if tunes and validation is not None else None
    started = time.perf_counter()
    with torch.random.fork_rng(devices=[inputs.device] if inputs.is_cuda else []):
        torch.manual_seed(seed)
        batches = _batches(len(inputs), chosen.batch_size, trainer.generator, chosen.drop_last)
        for step, rows in enumerate(islice(batches, total)):
            rows = rows.to(inputs.device)
            x = inputs[rows] if chosen.augment is None else chosen.augment(inputs[rows], rows, step // per_epoch)
            trainer.step(x, labels[rows], float(factors[step]))
            if tuner is not None and tuner.is_due(step):
                tuner.step(step)
            if progress is not None:
                progress(step + 1, total)
    ensemble.eval()
    return _result(ensemble, trainer.losses, tuner, time.perf_counter() - started)


def _check_data(training: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor] | None) -> None:
    for x, y in (training, *([] if validation is None else [validation])):
        if len(x) != len(y) or not len(y):
            raise InputError(f"got {len(x)} inputs and {len(y)} labels", "as many of both, at least one")


def _batches(n: int, size: int, generator: torch.Generator, drop_last: bool = False) -> Iterator[Tensor]:
    """Yield the positions of one batch after another, epoch after epoch without end."""
    while True:
        batches = torch.randperm(n, generator=generator).split(size)
        yield from batches[: n // size] if drop_last else batches


def _optimizer(ensemble: BatchEnsemble, settings: CheckedSettings) -> torch.optim.Optimizer:
    """Return the optimiser of all weights; the factors' own rate is a group, since Adam ignores scaled gradients."""
    lr, decay = settings.lr, settings.weight_decay
    named = [(name.rpartition(".")[2], p) for name, p in ensemble.network.named_parameters()]
    fast = [p for name, p in named if name in FACTOR_NAMES]
    free = [p for name, p in named if name not in FACTOR_NAMES and settings.kernels_only and _is_vector(name, p)]
    apart = {id(p) for p in (*fast, *free)}
    groups = [
        {"params": [p for _, p in named if id(p) not in apart], "lr": lr, "base": lr, "weight_decay": decay},
        {"params": fast, "lr": lr, "base": lr * settings.factor_rate, "weight_decay": 0.0},
        *([{"params": free, "lr": lr, "base": lr, "weight_decay": 0.0}] if free else []),
    ]
    if settings.optimizer == "sgd":
        nesterov = settings.nesterov and settings.momentum > 0
        return torch.optim.SGD(groups, momentum=settings.momentum, nesterov=nesterov)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, betas=(settings.beta1, settings.beta2), eps=settings.eps)


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

    Examples
    --------
    >>> import runspread as rs
    >>> import torch
    >>> logits, labels = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    >>> rs.nn.smoothed_cross_entropy(logits, labels).shape
    torch.Size([])
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
    settings: CheckedSettings
    seed: int
    losses: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)
        shared = [self.ensemble.network.get_parameter(name) for name in self.ensemble.shared]
        kept = [p for p in shared if p.ndim >= 2 or not self.settings.kernels_only]
        self.shared = kept if self.settings.shared_l2 else []

    def step(self, x: Tensor, y: Tensor, factor: float) -> None:
        self.ensemble.train()
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        loss = self._loss(x, y)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} at step {len(self.losses)}", "a finite loss", "Lower the learning rate."
            )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        loss = self._own_loss(x, y)
        for parameter in self.shared:
            loss = loss + self.settings.shared_l2 * parameter.square().sum()
        return loss

    def _own_loss(self, x: Tensor, y: Tensor) -> Tensor:
        ensemble = self.ensemble
        share = self.settings.label_smoothing
        smoothing = x.new_tensor(share) if share else None
        if not isinstance(ensemble, HyperBatchEnsemble):
            penalty = _squares(ensemble, self.settings.l2, kernels_only=self.settings.kernels_only)
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
        settings: CheckedSettings,
        generator: torch.Generator,
    ) -> None:
        assert isinstance(ensemble, HyperBatchEnsemble)
        self.ensemble, self.inputs, self.labels = ensemble, inputs, labels
        self.settings, self.generator = settings, generator
        self.bounds = ensemble.bounds
        self.optimizer = torch.optim.Adam(self.bounds.parameters(), lr=settings.tuning_rate)
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.history = [self._snapshot()]
        self.alarms: dict[str, int] = {}
        self._rows = _batches(len(self.labels), settings.batch_size, self.generator)

    def _snapshot(self) -> np.ndarray:
        with torch.no_grad():
            values = (self.bounds.log_lower.exp(), self.bounds.log_upper.exp(), self.bounds.mean())
            return torch.stack(values).double().cpu().numpy()

    def is_due(self, step: int) -> bool:
        """Whether the bounds are updated after this training step."""
        return step >= self.settings.tuning_warmup and (step + 1) % self.settings.tuning_every == 0

    def step(self, step: int) -> None:
        rows = next(self._rows).to(self.inputs.device)
        self.ensemble.eval()
        values = self.bounds.sample(len(rows), generator=self.generator)
        logits = self.ensemble(self.inputs[rows], values)
        loss = tuning_loss(logits, self.labels[rows], self.bounds.entropy(), self.settings.tau)
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
