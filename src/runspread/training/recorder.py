"""What is kept of the runs of a stack while they train, and the records that come of it."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..methods.dynamics.metrics_of_weights import stacked_weight_metrics
from ..studies.records import RunRecord
from .cadence import record_steps
from .engine import StackTraining
from .losses import evaluate_logits
from .programs import StepResult

_NOT_KEPT = ("num_batches_tracked", "rate", "key")  # buffers that are no part of what was learned


class _Stop(NamedTuple):
    """A run as it was at the point where its training loss was low enough: logits by split, weights by name."""

    step: int
    predictions: dict[str, NDArray[Any]]
    weights: dict[str, NDArray[Any]]


class Recorder:
    """Collects metrics, predictions and weights of a stack in training.

    Parameters
    ----------
    training : StackTraining
        What is watched; its recipe says what to keep and when.

    Attributes
    ----------
    seconds : float
        Time that recording has taken.
    accuracy : float or None
        Mean accuracy over the runs on the first evaluated split at the latest point.
    """

    def __init__(self, training: StackTraining) -> None:
        self.training, self.recipe = training, training.task.recipe
        self.points = frozenset(record_steps(self.recipe.record, training.total, training.feed.per_epoch))
        self.seconds = 0.0
        self.accuracy: float | None = None
        self._sums = torch.zeros(2, len(training.plans), device=training.task.device)
        self._batches = 0
        self._curves: dict[str, tuple[list[int], list[Tensor]]] = {}
        self._predictions: dict[tuple[str, int | None], NDArray[Any]] = {}
        self._weights: dict[int | None, dict[str, NDArray[Any]]] = {}
        self._stops: dict[int, _Stop] = {}

    def count(self, result: StepResult) -> None:
        """Add a step to the training loss and accuracy that the next point reports."""
        self._sums += torch.stack(result)
        self._batches += 1

    def visit(self) -> None:
        """Record what is due at the present step."""
        started, step = time.perf_counter(), self.training.done
        if step in self.points:
            self._add_metrics(step, self._training_metrics())
            if self.recipe.weight_metrics:
                self._add_metrics(step, self._weight_metrics())
        if step in self.points or step in self.recipe.predict_at:
            self._visit_splits(step)
        if step in self.recipe.checkpoint_at:
            self._weights[step] = self._present_weights()
        if step == self.training.total and self.recipe.keep_weights:
            self._weights[None] = self._present_weights()
        self.seconds += time.perf_counter() - started

    def _visit_splits(self, step: int) -> None:
        logits = {split: self.training.logits(split) for split in self.recipe.evaluate}
        for split, values in logits.items():
            if step in self.points:
                metrics = split_metrics(split, values, self.training.task.labels(split))
                self._add_metrics(step, metrics)
                if split == self.recipe.evaluate[0]:
                    self.accuracy = float(metrics[f"{split}_accuracy"].mean())
            if step in self.recipe.predict_at:
                self._predictions[split, step] = _to_numpy(values)
            if step == self.training.total:
                self._predictions[split, None] = _to_numpy(values)
        if step in self.points and self.recipe.stop_loss is not None:
            self._stop(step, logits, self.recipe.stop_loss)

    def _stop(self, step: int, logits: dict[str, Tensor], enough: float) -> None:
        """Keep the runs whose training loss is low enough for the first time as they are now."""
        low = torch.nonzero(self._curves["train_loss"][1][-1] < enough).flatten().tolist()
        for run in (run for run in low if run not in self._stops):
            weights = {name: _to_numpy(values[run]) for name, values in self._kept_tensors().items()}
            predictions = {split: _to_numpy(values[run]) for split, values in logits.items()}
            self._stops[run] = _Stop(step, predictions, weights if self.recipe.keep_weights else {})

    def all_ended(self) -> bool:
        """Whether every run has stopped or diverged."""
        ended = (run in self._stops or at >= 0 for run, at in enumerate(self.training.diverged_at()))
        return all(ended)

    def _training_metrics(self) -> dict[str, Tensor]:
        """Return mean training loss and accuracy over the batches since the last point, unless they are evaluated."""
        if not self._batches or "train" in self.recipe.evaluate:
            return {}
        loss, accuracy = self._sums / self._batches
        self._sums, self._batches = torch.zeros_like(self._sums), 0
        return {"train_loss": loss, "train_accuracy": accuracy}

    def _weight_metrics(self) -> dict[str, Tensor]:
        """Return the fourteen metrics of the weights, computed for all runs at once."""
        stack = self.training.stack
        masks = {name: value for name, value in stack.buffers.items() if name.endswith(("_mask", "_u", "_v"))}
        weights = {name: value.cpu().numpy() for name, value in (stack.parameters | masks).items()}
        metrics = stacked_weight_metrics(weights, self.training.module)
        return {name: torch.from_numpy(values) for name, values in metrics.items()}

    def _add_metrics(self, step: int, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            steps, points = self._curves.setdefault(name, ([], []))
            steps.append(step)
            points.append(value)

    def _kept_tensors(self) -> dict[str, Tensor]:
        stack = self.training.stack
        buffers = {n: b for n, b in stack.buffers.items() if n.rpartition(".")[2] not in _NOT_KEPT}
        return {**stack.parameters, **buffers}

    def _present_weights(self) -> dict[str, NDArray[Any]]:
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in self._kept_tensors().items()}

    def records(self) -> list[RunRecord]:
        """Return one record per run; a run that diverged keeps its log up to there, and no final predictions."""
        curves = {
            name: (np.array(steps, np.int64), torch.stack(points).float().cpu().numpy())
            for name, (steps, points) in self._curves.items()
        }
        labels = {name: self.training.task.labels(name).cpu().numpy() for name in self.recipe.evaluate}
        return [self._record(run, at, curves, labels) for run, at in enumerate(self.training.diverged_at())]

    def _record(
        self,
        run: int,
        diverged_at: int,
        curves: dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]],
        labels: dict[str, NDArray[np.int64]],
    ) -> RunRecord:
        """Return the record of one run; `diverged_at` counts the steps that were done before, -1 if it did not."""
        stop, plan = self._stops.get(run), self.training.plans[run]
        diverged = diverged_at >= 0 and stop is None
        last = stop.step if stop else diverged_at if diverged else self.training.total

        def kept(step: int | None) -> bool:
            return step <= last if step is not None else not diverged

        predictions = {key: logits[run] for key, logits in self._predictions.items() if kept(key[1])}
        weights = {step: {name: values[run] for name, values in named.items()}
                   for step, named in self._weights.items() if kept(step)}  # fmt: skip
        if stop:
            predictions |= {(split, None): logits for split, logits in stop.predictions.items()}
            weights |= {None: stop.weights} if stop.weights else {}
        return RunRecord(
            id=plan.id,
            seeds=plan.seeds,
            hyperparameters=dict(plan.hyperparameters),
            status="diverged" if diverged else "completed",
            error=f"the training loss was not finite at step {diverged_at + 1}" if diverged else None,
            metrics={
                name: (steps[steps <= last], values[steps <= last, run]) for name, (steps, values) in curves.items()
            },
            predictions=predictions,
            labels={split: labels[split] for split, _ in predictions},
            weights=weights,
        )


def _to_numpy(values: Tensor) -> NDArray[Any]:
    """Return a copy that later steps do not change, in single precision."""
    return np.array(values.detach().float().cpu().numpy())


def split_metrics(split: str, logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Return mean negative log-likelihood and accuracy [runs] of logits on a split."""
    nll, correct = evaluate_logits(logits, targets)
    return {f"{split}_loss": nll / targets.numel(), f"{split}_accuracy": correct / targets.numel()}
