"""Plans the shards of a training, sends them to workers, and keeps score."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import torch

from .._cores import available_cores, blas_threads
from .._reading.study_folders import is_url
from .._words import count
from ..errors import TrainingError
from ..studies.layout import CACHE
from ..studies.study import Study
from .calibration import Choice, choose_program
from .engine import choose_device
from .execution import ExecutionPlan
from .executors import Borrowed, Cluster, Place, Processes, ShardOutcome, Threads, Watch, run_jobs
from .hyperparameters import check_parts
from .memory import MemoryPlan
from .models import MODELS
from .plan import PlannedRun, deal_shards, structural
from .progress import Scoreboard
from .recipes import Recipe
from .shards import ShardJob, TaskCache
from .stack import build_seeded

_LARGEST_SHARD = 8  # of models whose entry names no other size
_GPU_SHARDS = 8  # times larger on a GPU, where a wide stack pays
_PROCESS_SECONDS = 2.0  # of work for each worker, from which on processes pay for their start


class Driver:
    """One call of `train`: what is trained, and where."""

    def __init__(self, recipe: Recipe, plans: Sequence[PlannedRun], execution: ExecutionPlan) -> None:
        self.recipe, self.plans, self.execution = recipe, plans, execution
        self.device = choose_device(execution.device) if execution.here else execution.device
        self.workers = execution.workers or (1 if self.device.startswith("cuda") else available_cores())
        self.tasks = TaskCache()
        self.task = self.tasks.get(recipe, self.device if execution.here else "cpu")
        self.message = ""
        self._choices: dict[str, tuple[Choice, MemoryPlan]] = {}

    def check_networks(self) -> None:
        """Build the network of every structure once, so that what cannot be trained is said before a study is made."""
        for overrides in {repr(made := structural(plan)): made for plan in self.plans}.values():
            task = self.tasks.get(self.recipe.replace(**overrides), self.task.device)
            check_parts(task.recipe, self.plans[0].hyperparameters, build_seeded(task.build, 0))
            _ = task.facts, task.steps

    def labels(self) -> dict[str, Any]:
        """Return the labels of the splits whose predictions are kept."""
        return {name: self.task.labels(name).cpu().numpy() for name in self.recipe.evaluate}

    def train_missing(self, study: Study) -> None:
        """Train every shard whose runs are not all in the study."""
        there = {run.id for run in study.runs if run.status != "failed"}
        jobs = self._jobs(study.location if is_url(study.location) else str(study.path.resolve()), there)
        scores = Scoreboard([len(job.plans) for job in jobs], len(self.plans) - sum(len(job.plans) for job in jobs))
        progress = self.execution.progress

        def watch(finished: set[int]) -> None:
            if progress is not None:
                progress(scores.progress(finished, self.message))

        if not jobs:
            watch(set())
            return
        with tempfile.TemporaryDirectory(prefix="runspread-", ignore_cleanup_errors=True) as folder:
            place = self._place(jobs, scores, Path(folder))
            watch(set())
            outcome = self._run(place, jobs, watch)
        if outcome.failed or outcome.lost:
            raise TrainingError(_complaint(jobs, outcome))

    def _jobs(self, study: str, there: set[str]) -> list[ShardJob]:
        shards = deal_shards(self.plans, largest_shard(self.recipe, self.device), self.workers)
        threads = max(1, available_cores() // min(self.workers, len(shards))) if self.execution.here else 1
        numbers = {plan.id: number for number, plan in enumerate(self.plans)}
        missing = [(shard, tuple(plan for plan in shard if plan.id not in there)) for shard in shards]
        return [self._job(study, shard, plans, numbers[plans[0].id], threads) for shard, plans in missing if plans]

    def _job(
        self, study: str, shard: Sequence[PlannedRun], plans: tuple[PlannedRun, ...], position: int, threads: int
    ) -> ShardJob:
        stack = 0 if self.execution.stack == "auto" else int(self.execution.stack)
        choice = self._choose(shard, threads) if self.execution.here else Choice("auto", stack)
        recipe = self.recipe.replace(**structural(shard[0]))
        task = self.tasks.get(recipe, self.task.device)
        return ShardJob(
            study=study,
            recipe=recipe.to_dict(),
            plans=plans,
            program=choice.program,
            width=choice.width,
            device=self.device,
            fingerprint=task.fingerprint,
            position=position,
            threads=threads,
            seconds=1e-6 * choice.microseconds * task.steps * len(plans),
        )

    def _choose(self, shard: Sequence[PlannedRun], threads: int) -> Choice:
        """Return how a shard is trained; shards of one structure and size are trained in one way."""
        key = f"{sorted(structural(shard[0]).items())} {len(shard)}"
        if key not in self._choices:
            task = self.tasks.get(self.recipe.replace(**structural(shard[0])), self.device)
            self._choices[key] = choose_program(
                task, shard, self.execution.stack, workers=self.workers, threads=threads
            )
        return self._choices[key][0]

    def _run(self, place: Place, jobs: list[ShardJob], watch: Watch) -> ShardOutcome:
        before, limits = torch.get_num_threads(), self.execution
        torch.set_num_threads(jobs[0].threads)
        try:
            with blas_threads(jobs[0].threads):
                return run_jobs(place, jobs, watch=watch, retries=limits.retries, timeout=limits.shard_timeout)
        finally:
            torch.set_num_threads(before)
            if isinstance(place, Threads):
                place.stop_all = True  # after an interrupt, or an error in the progress callback, the rest stops too

    def _place(self, jobs: list[ShardJob], scores: Scoreboard, folder: Path) -> Place:
        executor, options = self.execution.executor, self.execution.options
        if isinstance(executor, Executor):
            return Borrowed(executor)
        if executor in ("local", "processes"):
            return self._place_here(jobs, scores, folder)
        defaults = {"workers": self.workers, "folder": f"{jobs[0].study}/{CACHE}/slurm"}
        return Cluster(executor, {**(defaults if executor == "slurm" else {}), **options})

    def _place_here(self, jobs: list[ShardJob], scores: Scoreboard, folder: Path) -> Place:
        """Return threads, or processes where they are faster: threads wait for each other's Python between steps."""
        choice, memory = max(self._choices.values(), key=lambda pair: pair[1].total)
        workers = min(self.workers, len(jobs))
        apart = memory.in_processes()
        pay = self.device == "cpu" and workers > 1 and sum(job.seconds for job in jobs) > _PROCESS_SECONDS * workers
        processes = self.execution.executor == "processes" or (pay and apart.fits)
        if processes:
            apart.check(choice.width)
        said = f"in {workers} processes, {apart.sentence()}" if processes else memory.sentence()
        self.message = f"{choice.program} program, {count(choice.width, 'run')} in a batch, {said}"
        return Processes(workers, scores, folder) if processes else Threads(self.workers, self.tasks, scores)


def largest_shard(recipe: Recipe, device: str) -> int:
    """Return how many runs a shard may have: what a kill may cost, and on a GPU the widest stack."""
    entry = MODELS.get(recipe.model)
    size = entry.traits.get("shard", _LARGEST_SHARD) if entry else _LARGEST_SHARD
    return size * _GPU_SHARDS if device.startswith("cuda") else size


def _complaint(jobs: list[ShardJob], outcome: ShardOutcome) -> str:
    problems = {**outcome.lost, **outcome.failed}
    lines = [f"runs {jobs[k].plans[0].id} to {jobs[k].plans[-1].id}: {text}" for k, text in sorted(problems.items())]
    return f"{len(problems)} of {len(jobs)} shards could not be trained, the rest is in the study; {'; '.join(lines)}"
