"""Where shards are trained: threads of this process, a process pool, or any ``concurrent.futures.Executor``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from .engine import Task, make_task
from .progress import Scoreboard
from .shards import ShardJob, run_job

_POLL_SECONDS = 0.25

Watch = Callable[[set[int]], None]
"""Called now and then with the numbers of the jobs whose shards are in the study."""


@dataclass
class Outcome:
    """What became of the jobs.

    Attributes
    ----------
    finished : set of int
        Numbers of the jobs whose shards are in the study.
    lost : dict of int to str
        Jobs whose worker was lost: they may be tried again.
    failed : dict of int to str
        Jobs that ended with an error of their own, and which.
    """

    finished: set[int] = field(default_factory=set[int])
    lost: dict[int, str] = field(default_factory=dict[int, str])
    failed: dict[int, str] = field(default_factory=dict[int, str])


class Cancelled(Exception):
    """Raised inside a worker thread when the driver has given up."""


def run_with(executor: Executor, jobs: Sequence[ShardJob], work: Callable[..., str], watch: Watch) -> Outcome:
    """Submit ``work(number, job)`` for every job, call `watch` now and then, and say what became of all."""
    outcome = Outcome()
    futures: dict[Future[str], int] = {executor.submit(work, k, job): k for k, job in enumerate(jobs)}
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            _note(outcome, futures[future], future)
        watch(outcome.finished)
    return outcome


def _note(outcome: Outcome, number: int, future: Future[str]) -> None:
    error = future.exception()
    if error is None:
        outcome.finished.add(number)
    elif isinstance(error, BrokenExecutor):
        outcome.lost[number] = f"its worker was lost ({error})"
    else:
        outcome.failed[number] = f"{type(error).__name__}: {error}"


def run_locally(jobs: Sequence[ShardJob], workers: int, scores: Scoreboard, watch: Watch) -> Outcome:
    """Train shards in threads of this process: torch lets go of the interpreter while it computes."""
    cancelled, tasks = threading.Event(), _Tasks()

    def work(number: int, job: ShardJob) -> str:
        def tick(done: float, accuracy: float | None) -> None:
            if cancelled.is_set():
                raise Cancelled
            scores.tick(number, done, accuracy)

        return run_job(job, tick, tasks.get(job))

    with ThreadPoolExecutor(workers, thread_name_prefix="runspread") as pool:
        try:
            return run_with(pool, jobs, work, watch)
        except BaseException:  # an interrupt, or an error in the caller's progress callback
            cancelled.set()
            pool.shutdown(cancel_futures=True)
            raise


class _Tasks:
    """Data of each structure, loaded once in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, Task] = {}

    def get(self, job: ShardJob) -> Task:
        recipe = job.task_recipe()
        key = f"{recipe.to_dict()} on {job.device}"
        with self._lock:
            if key not in self._made:
                self._made[key] = make_task(recipe, job.device)
            return self._made[key]
