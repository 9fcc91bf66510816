"""How far a training is: what the progress callback is told."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass


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
        Mean accuracy over runs on the first evaluated split, as last seen in any shard.
    elapsed, remaining : float, float or None
        Seconds since the call began, and the estimate of those to come.
    message : str
        What is being done.
    """

    runs_done: int
    runs_total: int
    fraction: float = 0.0
    accuracy: float | None = None
    elapsed: float = 0.0
    remaining: float | None = None
    message: str = ""


class Scoreboard:
    """Adds up what the workers report; safe to use from several threads.

    Parameters
    ----------
    sizes : list of int
        Runs of each shard that is to be trained.
    done : int
        Runs that are in the study already.
    """

    def __init__(self, sizes: list[int], done: int) -> None:
        self._sizes, self._before = sizes, done
        self._fractions = [0.0] * len(sizes)
        self._accuracy: float | None = None
        self._lock = threading.Lock()
        self._started = time.perf_counter()

    def tick(self, shard: int, fraction: float, accuracy: float | None) -> None:
        """Note how far shard number `shard` is."""
        with self._lock:
            self._fractions[shard] = fraction
            if accuracy is not None:
                self._accuracy = accuracy

    def progress(self, finished: set[int], message: str = "") -> TrainingProgress:
        """Return the state, given the numbers of the shards that are in the study."""
        with self._lock:
            total = sum(self._sizes)
            work = sum(s * (1.0 if k in finished else self._fractions[k]) for k, s in enumerate(self._sizes))
            accuracy = self._accuracy
        fraction = work / total if total else 1.0
        elapsed = time.perf_counter() - self._started
        return TrainingProgress(
            runs_done=self._before + sum(self._sizes[k] for k in finished),
            runs_total=self._before + total,
            fraction=fraction,
            accuracy=accuracy,
            elapsed=elapsed,
            remaining=elapsed * (1 - fraction) / fraction if fraction > 0.01 else None,
            message=message,
        )
