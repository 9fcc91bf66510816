"""How far a training is: what the progress callback is told."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


class LostWorkerError(Exception):
    """Raised by an adapter when the machine or process that trained a shard is gone."""


@dataclass(frozen=True)
class TrainingProgress:
    """State of a training of many runs.

    Attributes
    ----------
    runs_done, runs_total : int
        Runs that are in the study, and those that will be.
    fraction : float
        Share of this call's work that is done, runs in progress included.
    accuracy : float or None
        Mean accuracy on the first evaluated split over the runs that this call trains, as last seen in each shard.
    elapsed, remaining : float, float or None
        Seconds since the call began, and the estimate of those to come.
    message : str
        What is being done.
    unit : str
        What `runs_done` and `runs_total` count: runs, or the steps of one training.
    runs_before : int
        How many of `runs_done` were in the study before this call; `accuracy` is not of those.
    """

    runs_done: int
    runs_total: int
    fraction: float = 0.0
    accuracy: float | None = None
    elapsed: float = 0.0
    remaining: float | None = None
    message: str = ""
    unit: str = "runs"
    runs_before: int = 0


class Scoreboard:
    """Adds up what the workers report: threads of this process, or processes that write into a file.

    Parameters
    ----------
    sizes : list of int
        Runs of each shard that is to be trained.
    done : int
        Runs that are in the study already.
    """

    def __init__(self, sizes: list[int], done: int) -> None:
        self._sizes, self._before = sizes, done
        self._table = np.full((len(sizes), 2), (0.0, np.nan))
        self._started = time.perf_counter()

    def share(self, file: Path) -> None:
        """Keep the table in a file, so that other processes can write into it (see `tick_in_file`)."""
        table = np.memmap(file, np.float64, "w+", shape=self._table.shape)
        table[:] = self._table
        self._table = table

    def tick(self, shard: int, fraction: float, accuracy: float | None) -> None:
        """Note how far shard number `shard` is."""
        _note(self._table, shard, fraction, accuracy)

    def progress(self, finished: set[int], message: str = "") -> TrainingProgress:
        """Return the state, given the numbers of the shards that are in the study."""
        total = sum(self._sizes)
        fractions, accuracies = np.array(self._table).T
        work = sum(s * (1.0 if k in finished else fractions[k]) for k, s in enumerate(self._sizes))
        seen = np.isfinite(accuracies)
        accuracy = float(np.average(accuracies[seen], weights=np.array(self._sizes)[seen])) if seen.any() else None
        fraction = float(work / total) if total else 1.0
        elapsed = time.perf_counter() - self._started
        return TrainingProgress(
            runs_done=self._before + sum(self._sizes[k] for k in finished),
            runs_total=self._before + total,
            fraction=fraction,
            accuracy=accuracy,
            elapsed=elapsed,
            remaining=elapsed * (1 - fraction) / fraction if fraction > 0.01 else None,
            message=message,
            runs_before=self._before,
        )


def tick_in_file(file: Path, shard: int, fraction: float, accuracy: float | None) -> None:
    """Note how far a shard is in the file that a `Scoreboard` shares."""
    _note(np.memmap(file, np.float64, "r+").reshape(-1, 2), shard, fraction, accuracy)


def _note(table: np.ndarray, shard: int, fraction: float, accuracy: float | None) -> None:
    table[shard] = fraction, np.nan if accuracy is None else accuracy
