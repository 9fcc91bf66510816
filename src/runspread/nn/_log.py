"""What a training of a batch or hyper-batch ensemble leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._results import Result, Table

Floats = NDArray[np.float64]
_RISE = 1.5  # times its best tenth
_HARDLY = 0.05  # nats


@dataclass(frozen=True, eq=False, kw_only=True)
class EnsembleTraining(Result):
    """Losses of a training, and for a hyper-batch ensemble the way of its bounds.

    Attributes
    ----------
    losses : ndarray [steps]
        Training loss: mean over members of their own losses, plus the penalty.
    tuning_steps : ndarray of int64 [tunings]
        Training steps after which the bounds were updated.
    tuning_losses : ndarray [tunings]
        Validation NLL of the averaged probabilities minus tau times the entropy.
    lower, upper, mean : ndarray [tunings + 1, members, coordinates]
        Bounds and mean of every distribution, before the first and after every tuning step.
    low, high : ndarray [coordinates]
        Allowed range.
    names : tuple of str [coordinates]
        Names of the hyperparameters.
    seconds : float
        Wall-clock time.
    warnings : tuple of str
        Alarms: every member at an end of the range, all members at the same place, a tuning loss that rises, bounds
        that hardly moved.
    """

    picture = "._plots:plot_bounds"

    losses: Floats
    tuning_steps: NDArray[np.int64]
    tuning_losses: Floats
    lower: Floats
    upper: Floats
    mean: Floats
    low: Floats
    high: Floats
    names: tuple[str, ...]
    seconds: float

    def table(self) -> Table:
        """Return the last bounds and mean of every member and hyperparameter."""
        members = range(self.mean.shape[1])
        cells = [(name, k, j) for j, name in enumerate(self.names) for k in members]
        return Table(
            {
                "hyperparameter": [name for name, _, _ in cells],
                "member": [k for _, k, _ in cells],
                "lower": [self.lower[-1, k, j] for _, k, j in cells],
                "upper": [self.upper[-1, k, j] for _, k, j in cells],
                "mean": [self.mean[-1, k, j] for _, k, j in cells],
            }
        )

    def sentence(self) -> str:
        """Return how far training and tuning came."""
        if not len(self.losses):
            return "No step was taken."
        tail = float(self.losses[-max(1, len(self.losses) // 20) :].mean())
        text = f"{len(self.losses)} steps brought the training loss from {self.losses[0]:.4f} to {tail:.4f}"
        if not len(self.tuning_steps):
            return f"{text} in {self.seconds:.1f} s."
        moved = movement(self.mean[0], self.mean[-1])
        alarms = f" Alarms: {'; '.join(self.warnings)}." if self.warnings else ""
        return (
            f"{text} in {self.seconds:.1f} s; {len(self.tuning_steps)} tuning steps moved the mean hyperparameters of "
            f"{self.mean.shape[1]} members by {moved:.2g} nats on average. The tuning loss is no test score.{alarms}"
        )


def range_alarms(mean: Floats, low: Floats, high: Floats, names: tuple[str, ...]) -> list[str]:
    """Return the alarms for means [members, coordinates]: all at one end of the range, or all together."""
    place = np.log(mean / low) / np.log(high / low)
    ends = {"lower": (place < 0.01).all(axis=0), "upper": (place > 0.99).all(axis=0)}
    found = [
        f"every member's {names[j]} is at the {end} end of its range"
        for end, at in ends.items()
        for j in np.flatnonzero(at)
    ]
    if len(mean) > 1 and np.ptp(place, axis=0).max() < 0.01:
        found.append("all members have the same hyperparameters")
    return found


def tuning_alarms(losses: Floats) -> list[str]:
    """Return an alarm where the last tenth of the tuning losses lies far above their best tenth."""
    tenths = [part.mean() for part in np.array_split(losses, 10)] if len(losses) >= 50 else [0.0]
    if tenths[-1] <= _RISE * min(tenths):
        return []
    return [
        f"the tuning loss rose from {min(tenths):.3f} to {tenths[-1]:.3f}: the bounds move faster than the weights "
        "follow, so lower tuning_rate"
    ]


def movement(first: Floats, last: Floats) -> float:
    """Return how far means [members, coordinates] moved, in nats, on average."""
    return float(np.abs(np.log(last / first)).mean())


def movement_alarms(first: Floats, last: Floats, steps: int) -> list[str]:
    """Return a notice where tuning left the means about where they started."""
    moved = movement(first, last)
    if not steps or moved >= _HARDLY:
        return []
    return [
        f"the bounds hardly moved ({moved:.2g} nats in {steps} tuning step{'s' * (steps > 1)}): the members have about "
        "the hyperparameters that they started with, so train longer or raise tuning_rate"
    ]
