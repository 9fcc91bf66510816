"""Where tasks of an analysis run: here, or on an executor that `engine` names for a while.

Tasks only read, so one that was lost with its worker is simply done again. What they return is put in the order of the
tasks, never of the workers.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from ._checks import check_choice
from ._cores import available_cores
from ._optional import require
from .errors import EngineError, InputError

EXECUTORS = ("local", "processes", "ray")
TRIES = 4  # of a task whose worker was lost
_PER_WORKER = 4  # tasks, so that a slow one does not make all wait
_CLUSTERS, _PROGRESS = ".training.clusters", ".training.progress"  # named, as a result names its plot

_Task = TypeVar("_Task")
_Found = TypeVar("_Found")


class Engine:
    """An executor that is made when it is needed, and again when it is lost.

    Parameters
    ----------
    make : callable
        Returns a ``concurrent.futures.Executor``.
    workers : int
        How many tasks it does at once.
    lost : tuple of type
        Errors that say nothing of a task but that its worker is gone.
    owned : bool
        Whether it is shut down at the end.
    """

    def __init__(
        self, make: Callable[[], Executor], workers: int, lost: tuple[type[Exception], ...] = (), *, owned: bool = True
    ) -> None:
        self.workers = workers
        self._make, self._lost, self._owned = make, (BrokenExecutor, *lost), owned
        self._running: Executor | None = None

    def parts(self, count: int) -> list[range]:
        """Return `count` positions cut into parts for the workers, as even as can be."""
        number = max(1, min(count, self.workers * _PER_WORKER))
        return [range(count * k // number, count * (k + 1) // number) for k in range(number)]

    def map(self, function: Callable[[_Task], _Found], tasks: Sequence[_Task]) -> list[_Found]:
        """Return what the function gives of each task, in their order.

        Raises
        ------
        EngineError
            A task was lost with its worker again and again.
        """
        found: dict[int, _Found] = {}
        for _ in range(TRIES):
            missing = [number for number in range(len(tasks)) if number not in found]
            if not missing:
                break
            found |= dict(self._done(function, tasks, missing))
        lost = len(tasks) - len(found)
        if lost:
            raise EngineError(
                f"{lost} of {len(tasks)} tasks were lost {TRIES} times with their workers",
                "workers that live, with enough memory",
                "Take fewer workers, or find out what ends them.",
            )
        return [found[number] for number in range(len(tasks))]

    def _done(
        self, function: Callable[[_Task], _Found], tasks: Sequence[_Task], numbers: Iterable[int]
    ) -> Iterator[tuple[int, _Found]]:
        """Yield number and result of the tasks whose workers were not lost."""
        self._running = executor = self._running or self._make()
        waiting: dict[int, Future[_Found]] = {}
        try:
            for number in numbers:
                waiting[number] = executor.submit(function, tasks[number])
        except self._lost:  # a pool that breaks before it has all tasks takes no more
            self._forget()
        for number, future in waiting.items():
            try:
                yield number, future.result()
            except self._lost:
                self._forget()

    def _forget(self) -> None:
        """Make another executor next time, in place of one whose workers were lost."""
        if self._owned:
            self._running = None

    def close(self) -> None:
        """End the workers."""
        if self._running is not None and self._owned:
            self._running.shutdown(wait=True)
        self._running = None


_CURRENT: ContextVar[Engine | None] = ContextVar("engine", default=None)


def current_engine() -> Engine | None:
    """Return the engine of the block that runs; None where everything is done here."""
    return _CURRENT.get()


@contextmanager
def engine(
    executor: str | Executor = "processes", *, workers: int | None = None, address: str | None = None
) -> Generator[None]:
    """Let what is counted of studies inside the block be counted by workers; the answers are the same to the last bit.

    Parameters
    ----------
    executor : {"local", "processes", "ray"} or concurrent.futures.Executor
        Where the workers are. They open the study themselves, by its path or URL, and find credentials of their own.
    workers : int, optional
        How many tasks at once; default the cores here.
    address : str, optional
        ``HOST:PORT`` of a Ray cluster; one on this machine is started when None.

    Examples
    --------
    Elsewhere, ``with rs.studies.engine("ray", address="head:6379"): rs.variance("s3://bucket/study")``; and here:

    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> study = rs.create_study(mkdtemp() + "/mine", splits={"test": [0, 1, 1, 0]})
    >>> for seed in range(3):
    ...     with study.record(seeds=seed) as run:
    ...         run.predictions("test", [[2.0, 0.0], [0.0, 1.0], [0.5, 0.1 * seed], [1.0, 0.5]])
    >>> with rs.studies.engine("local", workers=1):
    ...     found = rs.variance(study)
    >>> found.n_runs
    3
    """
    if executor == "local":
        yield
        return
    chosen = _engine_of(executor, workers or available_cores(), address)
    token = _CURRENT.set(chosen)
    try:
        yield
    finally:
        _CURRENT.reset(token)
        chosen.close()


def _engine_of(executor: str | Executor, workers: int, address: str | None) -> Engine:
    if not isinstance(executor, str):
        return Engine(lambda: executor, workers, owned=False)
    check_choice(executor, "executor", EXECUTORS)
    if executor == "processes":
        if address is not None:
            raise InputError("address= was given for processes of this machine", "executor='ray'", "Drop address=.")
        loky = require("loky", "executor='processes'")
        return Engine(lambda: loky.ProcessPoolExecutor(workers), workers)
    clusters, progress = (importlib.import_module(name, __package__) for name in (_CLUSTERS, _PROGRESS))
    return Engine(lambda: clusters.RayExecutor(address), workers, (progress.LostWorkerError,))
