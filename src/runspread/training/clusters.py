"""Adapters that make a Ray cluster and a Slurm queue look like a ``concurrent.futures.Executor``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from .._optional import require
from ..errors import TrainingError
from .progress import LostWorkerError


class RayExecutor(Executor):
    """Shards as tasks of a Ray cluster.

    Parameters
    ----------
    address : str, optional
        ``HOST:PORT`` of the cluster; one on this machine is started when None.
    cpus, gpus : float
        What a shard occupies; a fraction of a GPU lets several shards share it.
    """

    def __init__(self, address: str | None = None, cpus: float = 1.0, gpus: float = 0.0) -> None:
        self._ray: Any = require("ray", "executor='ray'")
        if not self._ray.is_initialized():
            self._ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        self._remote = self._ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(_call)
        self._running: dict[Future[str], Any] = {}

    def submit(self, fn: Callable[..., str], /, *args: Any, **kwargs: Any) -> Future[str]:  # type: ignore[override]
        """Send a call to the cluster."""
        reference = self._remote.remote(fn, *args, **kwargs)
        outcome: Future[str] = _Running()
        reference.future().add_done_callback(lambda done: self._pass_on(done, outcome))
        self._running[outcome] = reference
        return outcome

    def _pass_on(self, done: Future[str], outcome: Future[str]) -> None:
        error = done.exception()
        if error is None:
            outcome.set_result(done.result())
        elif isinstance(error, self._ray.exceptions.RayTaskError):  # what the call itself raised
            outcome.set_exception(error)
        else:
            outcome.set_exception(LostWorkerError(str(error).strip().partition("\n")[0]))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Give up what is still running; the cluster itself goes on."""
        for future, reference in self._running.items():
            if not future.done():
                self._ray.cancel(reference, force=True)


def _call(fn: Callable[..., str], *args: Any, **kwargs: Any) -> str:
    return fn(*args, **kwargs)


class _Running(Future[str]):
    """A future that counts as running from the start: when a cluster begins is not known here."""

    def __init__(self) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()


class SlurmExecutor(Executor):
    """Shards as jobs of a Slurm queue, through submitit.

    Parameters
    ----------
    folder : str
        Where submitit keeps scripts and logs, on the shared file system.
    workers : int
        Jobs that are queued at once.
    cluster : str, optional
        "slurm", or "local" and "debug" for processes on this machine; found out when None.
    poll : float
        Seconds between two looks at the queue.
    **parameters
        What submitit's ``update_parameters`` takes: ``slurm_partition``, ``timeout_min``, ``gpus_per_node``, ...
    """

    def __init__(
        self, folder: str, workers: int = 1, cluster: str | None = None, poll: float = 2.0, **parameters: Any
    ) -> None:
        submitit: Any = require("submitit", "executor='slurm'")
        self._no_result = submitit.core.utils.UncompletedJobError
        self._failed_call = submitit.core.utils.FailedJobError  # a kind of the other
        self._executor = submitit.AutoExecutor(folder=str(Path(folder)), cluster=cluster)
        self._executor.update_parameters(**parameters)
        self._poll, self._stop = poll, threading.Event()
        self._slots = threading.Semaphore(workers)

    def submit(self, fn: Callable[..., str], /, *args: Any, **kwargs: Any) -> Future[str]:  # type: ignore[override]
        """Queue a call."""
        outcome: Future[str] = Future()
        watcher = threading.Thread(target=self._watch, args=(outcome, fn, args, kwargs), daemon=True)
        watcher.start()
        return outcome

    def _watch(self, outcome: Future[str], fn: Callable[..., str], args: Any, kwargs: Any) -> None:
        with self._slots:
            if self._stop.is_set() or not outcome.set_running_or_notify_cancel():
                return
            try:
                job = self._executor.submit(fn, *args, **kwargs)
                while not job.done() and not self._stop.is_set():
                    time.sleep(self._poll)
                outcome.set_result(job.result())
            except self._failed_call as error:  # what the call itself raised, of which submitit keeps the text
                outcome.set_exception(TrainingError(_last_line_of_trace(str(error))))
            except self._no_result as error:  # the job vanished: preempted, out of time, node down
                outcome.set_exception(LostWorkerError(str(error).partition("\n")[0]))
            except Exception as error:  # the queue refused the job
                outcome.set_exception(error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop watching the queue."""
        if cancel_futures:
            self._stop.set()


def _last_line_of_trace(message: str) -> str:
    """Return the error in what submitit says of a failed call: the last line of the trace between two rules."""
    trace = message.split("----------------------")[1:2] or [message]
    return (trace[0].strip().splitlines() or [message])[-1]
