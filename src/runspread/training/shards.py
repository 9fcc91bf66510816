"""Trains one shard: the unit of work, of commit and of distribution."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from .._cores import set_blas_threads
from ..studies.records import RunRecord
from .calibration import choose_program
from .engine import DeviceData, StackTraining, Task, choose_device, load_data, make_task
from .plan import PlannedRun
from .recipes import Recipe, recipe_from_dict
from .recorder import Recorder

_TICK_SECONDS = 0.2

Tick = Callable[[float, float | None], None]
"""Called now and then with the share of the shard that is trained and the latest mean accuracy, if there is one."""


@dataclass(frozen=True)
class ShardJob:
    """All that a worker needs to train a shard, as plain data that can be sent anywhere.

    Attributes
    ----------
    study : str
        Folder of the study.
    recipe : dict
        `Recipe.to_dict`, with the hyperparameters that all runs of the shard share put in.
    plans : tuple of PlannedRun
        Runs of one structure.
    program, width : str, int
        How a stack is trained, and of how many runs it is; "auto" (and width 0) leaves it to the worker.
    device : str
        Such as "cpu" or "cuda:0".
    fingerprint : str
        Digest of the data that the driver saw; a worker that sees other data refuses.
    position : int
        Number of the shard's first run in the plan, by which a study orders its shards.
    threads : int
        Intra-op threads of the worker.
    seconds : float
        What its steps will take, as measured beforehand; 0 where that is not known.
    """

    study: str
    recipe: dict[str, Any]
    plans: tuple[PlannedRun, ...]
    program: str
    width: int
    device: str = "cpu"
    fingerprint: str = ""
    position: int = 0
    threads: int = 1
    seconds: float = 0.0


def stacks(plans: Sequence[PlannedRun], width: int) -> Iterator[Sequence[PlannedRun]]:
    """Yield the runs in stacks of at most `width`, as even as can be: a narrow one is slow for each of its runs."""
    number = -(-len(plans) // width)
    for k in range(number):
        yield plans[len(plans) * k // number : len(plans) * (k + 1) // number]


def train_shard(task: Task, job: ShardJob, tick: Tick | None = None) -> tuple[list[RunRecord], dict[str, Any]]:
    """Return the records of a shard's runs, and how they came about (which differs from time to time)."""
    started, recording = time.perf_counter(), 0.0
    records: list[RunRecord] = []
    for plans in stacks(job.plans, job.width):
        before, share = len(records) / len(job.plans), len(plans) / len(job.plans)

        def stack_tick(done: float, accuracy: float | None, before: float = before, share: float = share) -> None:
            if tick is not None:
                tick(before + share * done, accuracy)

        recorder = train_stack(task, plans, job.program, stack_tick)
        recording += recorder.seconds
        records += recorder.records()
    return records, _provenance(job, time.perf_counter() - started, recording)


def train_stack(task: Task, plans: Sequence[PlannedRun], program: str, tick: Tick) -> Recorder:
    """Train runs of one structure together; return what was recorded."""
    training = StackTraining(task, plans, program)
    recorder = Recorder(training)
    recorder.visit()
    ticked = time.perf_counter()
    while training.done < training.total:
        recorder.count(training.step())
        recorder.visit()
        if time.perf_counter() - ticked > _TICK_SECONDS:
            ticked = time.perf_counter()
            tick(training.done / training.total, recorder.accuracy)
            if recorder.all_ended():
                break
    tick(1.0, recorder.accuracy)
    return recorder


class TaskCache:
    """Tasks by recipe and device, data that several recipes share being loaded once; safe to use from threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, Task] = {}
        self._data: dict[str, DeviceData] = {}

    def get(self, recipe: Recipe, device: str | torch.device) -> Task:
        """Return the task of a recipe, loading its data the first time."""
        key = f"{recipe.to_dict()} on {device}"
        with self._lock:
            if key not in self._made:
                self._made[key] = make_task(recipe, device, self._load(recipe, torch.device(device)))
            return self._made[key]

    def _load(self, recipe: Recipe, device: torch.device) -> DeviceData:
        key = f"{recipe.dataset} {recipe.dataset_options} {recipe.data} {recipe.evaluate} on {device}"
        if key not in self._data:
            self._data[key] = load_data(recipe, device)
        return self._data[key]


def run_job(job: ShardJob, tick: Tick | None = None, tasks: TaskCache | None = None) -> str:
    """Train a shard and publish it in the study's folder; return the shard's id. What a worker calls."""
    from ..studies.opening import open_study

    torch.set_num_threads(job.threads)
    set_blas_threads(job.threads)  # of the weight metrics
    device = choose_device(job.device)
    task = (tasks or TaskCache()).get(recipe_from_dict(job.recipe), device)
    task.check_fingerprint(job.fingerprint)
    if job.program == "auto":
        choice, _ = choose_program(task, job.plans, job.width or "auto", workers=1, threads=job.threads)
        job = replace(job, program=choice.program, width=choice.width)
    records, provenance = train_shard(task, job, tick)
    study = open_study(job.study)
    return study.publish(records, provenance=provenance, position=job.position, dtype=task.recipe.logits_dtype)


def _provenance(job: ShardJob, seconds: float, recording: float) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "recording_seconds": recording,
        "program": job.program,
        "stack": job.width,
        "device": job.device,
        "host": platform.node(),
        "process": os.getpid(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
    }
