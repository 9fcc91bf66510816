"""Where shards are trained: threads, processes, Ray, Slurm, or any ``concurrent.futures.Executor``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from .._optional import require
from .progress import LostWorkerError, Scoreboard, tick_in_file
from .shards import ShardJob, TaskCache, run_job
from .watching import end_with

_POLL_SECONDS = 0.25

Watch = Callable[[set[int]], None]
"""Called now and then with the numbers of the jobs whose shards are in the study."""


class Cancelled(Exception):
    """Raised inside a worker thread when the driver has given up on it."""


@dataclass
class ShardOutcome:
    """What became of the jobs.

    Attributes
    ----------
    finished : set of int
        Numbers of the jobs whose shards are in the study.
    lost : dict of int to str
        Jobs whose worker was lost: they may be tried again.
    failed : dict of int to str
        Jobs that ended with an error of their own or took too long, and why.
    """

    finished: set[int] = field(default_factory=set[int])
    lost: dict[int, str] = field(default_factory=dict[int, str])
    failed: dict[int, str] = field(default_factory=dict[int, str])

    def note(self, number: int, future: Future[str]) -> None:
        """Note how a job ended."""
        error = CancelledError("cancelled") if future.cancelled() else future.exception()
        if error is None:
            self.finished.add(number)
        elif isinstance(error, (BrokenExecutor, LostWorkerError, CancelledError)):
            self.lost[number] = f"its worker was lost ({type(error).__name__}: {error})"
        else:
            self.failed[number] = f"{type(error).__name__}: {error}"


class Place:
    """Where shards are trained: how an executor is made, and what is sent to it."""

    def executor(self) -> Executor:
        """Return the executor of one round."""
        raise NotImplementedError

    def work(self, number: int, job: ShardJob) -> Callable[[], str]:
        """Return the call that trains job `number` and returns the id of its shard."""
        del number
        return partial(run_job, job)

    def give_up(self, executor: Executor, number: int, future: Future[str]) -> None:
        """Free the worker of a job that hangs."""
        future.cancel()

    def close(self, executor: Executor) -> None:
        """Let go of the executor of a round, whose jobs have ended or are given up."""
        executor.shutdown(wait=False, cancel_futures=True)


class Threads(Place):
    """Threads of this process: torch lets go of the interpreter while it computes.

    Parameters
    ----------
    workers : int
        How many threads.
    tasks : TaskCache
        Data that are loaded already.
    scores : Scoreboard
        Told how far each shard is.
    """

    def __init__(self, workers: int, tasks: TaskCache, scores: Scoreboard) -> None:
        self.workers, self.tasks, self.scores = workers, tasks, scores
        self.stop_all = False
        self._given_up: set[int] = set()

    def executor(self) -> Executor:
        """See `Place`."""
        return ThreadPoolExecutor(self.workers, thread_name_prefix="runspread")

    def work(self, number: int, job: ShardJob) -> Callable[[], str]:
        """See `Place`."""

        def tick(done: float, accuracy: float | None) -> None:
            if self.stop_all or number in self._given_up:
                raise Cancelled
            self.scores.tick(number, done, accuracy)

        return partial(run_job, job, tick, self.tasks)

    def give_up(self, executor: Executor, number: int, future: Future[str]) -> None:
        """Let the thread end at its next step."""
        self._given_up.add(number)


class Processes(Place):
    """Processes of this machine, each with its own interpreter and its own copy of the data.

    They come from loky, whose processes do not import the caller's script: it needs no ``__main__`` guard.

    Parameters
    ----------
    workers : int
        How many processes.
    scores : Scoreboard
        Told how far each shard is, through a file.
    folder : Path
        Where that file may lie.
    """

    def __init__(self, workers: int, scores: Scoreboard, folder: Path) -> None:
        self._loky = require("loky", "training in processes")
        self.workers = workers
        self._file = folder / "progress"
        scores.share(self._file)

    def executor(self) -> Executor:
        """See `Place`."""
        return self._loky.ProcessPoolExecutor(self.workers, initializer=end_with, initargs=(os.getpid(),))

    def work(self, number: int, job: ShardJob) -> Callable[[], str]:
        """See `Place`."""
        return partial(run_job, job, partial(tick_in_file, self._file, number))

    def give_up(self, executor: Executor, number: int, future: Future[str]) -> None:
        """Kill the pool, whose processes are not distinguishable: its other jobs count as lost and are tried again."""
        pool: Any = executor
        for process in list(pool._processes.values()):
            process.terminate()

    def close(self, executor: Executor) -> None:
        """See `Place`."""
        pool: Any = executor
        pool.shutdown(wait=True, kill_workers=True)  # else loky complains of leaks when the script ends


class Cluster(Place):
    """A Ray cluster or a Slurm queue."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name, self.options = name, options

    def executor(self) -> Executor:
        """See `Place`."""
        from . import clusters

        return (clusters.RayExecutor if self.name == "ray" else clusters.SlurmExecutor)(**self.options)


class Borrowed(Place):
    """An executor of the caller's, which is not shut down here."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def executor(self) -> Executor:
        """See `Place`."""
        return _KeptOpen(self._executor)


class _KeptOpen(Executor):
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._executor.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        return  # it is its owner's


def run_jobs(
    place: Place, jobs: Sequence[ShardJob], *, watch: Watch, retries: int, timeout: float | None
) -> ShardOutcome:
    """Train all jobs; those whose worker is lost are tried again in a new executor, `retries` times.

    Parameters
    ----------
    place : Place
        Where.
    jobs : sequence of ShardJob
        What to train.
    watch : callable
        See `Watch`.
    retries : int
        Further rounds for jobs whose worker was lost.
    timeout : float or None
        Seconds that a shard may take; one that takes longer is given up and named.
    """
    outcome, todo, losses = ShardOutcome(), dict(enumerate(jobs)), 0
    while todo and losses <= retries:
        outcome.lost = {}
        executor = place.executor()
        try:
            hung = _run_round(place, executor, todo, outcome, watch, timeout)
        finally:
            place.close(executor)
        losses += not hung  # where a pool was killed because a shard hung in it, the others are not to blame
        todo = {number: jobs[number] for number in outcome.lost}
    return outcome


def _run_round(
    place: Place,
    executor: Executor,
    todo: Mapping[int, ShardJob],
    outcome: ShardOutcome,
    watch: Watch,
    timeout: float | None,
) -> bool:
    """Train jobs in one executor; return whether one of them took too long."""
    hung = False
    futures = {executor.submit(place.work(number, job)): number for number, job in todo.items()}
    started: dict[Future[str], float] = {}
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            outcome.note(futures[future], future)
        for future in _overdue(pending, started, timeout):
            outcome.failed[futures[future]] = f"no end after {timeout:g} seconds, given up"
            pending.discard(future)
            hung = True
            place.give_up(executor, futures[future], future)
        watch(outcome.finished)
    return hung


def _overdue(pending: set[Future[str]], started: dict[Future[str], float], timeout: float | None) -> list[Future[str]]:
    """Return the futures that have been running for longer than `timeout`; notes when each was first seen running."""
    now = time.monotonic()
    running = [future for future in pending if future.running()]
    return [f for f in running if now - started.setdefault(f, now) > (timeout or float("inf"))]
