"""Plans the shards of a training, sends them to workers, and keeps score."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

import torch

from .._checks import check_choice
from .._errors import InputError, TrainingError
from .._study.study import Study
from .engine import Task, make_task
from .executors import Outcome, run_locally, run_with
from .models import MODELS
from .plan import RunPlan, deal_shards
from .programs import candidate_programs
from .progress import Scoreboard
from .recipes import Recipe
from .shards import ShardJob, run_job
from .stack import build_seeded
from .train import Progress

EXECUTORS = ("local",)
_LARGEST_SHARD = 8  # of models whose entry names no other size


class Driver:
    """One call of `train`: see there for the parameters."""

    def __init__(
        self,
        recipe: Recipe,
        plans: Sequence[RunPlan],
        *,
        executor: str | Executor,
        workers: int | None,
        stack: int | str,
        device: str,
        progress: Progress | None,
    ) -> None:
        if isinstance(executor, str):
            check_choice(executor, "executor", EXECUTORS)
        self.recipe, self.plans, self.executor, self.stack = recipe, plans, executor, stack
        self.progress = progress
        self.device = choose_device(device)
        self.workers = workers or (1 if self.device != "cpu" else available_cores())
        self.task: Task = make_task(recipe, self.device)

    def labels(self) -> dict[str, Any]:
        """Return the labels of the splits whose predictions are kept."""
        return {name: self.task.labels(name).cpu().numpy() for name in self.recipe.evaluate}

    def train_missing(self, study: Study) -> None:
        """Train every shard whose runs are not all in the study."""
        there = {run.id for run in study.runs if run.status != "failed"}
        jobs = self._jobs(str(study.path), there)
        scores = Scoreboard([len(job.plans) for job in jobs], len(self.plans) - sum(len(job.plans) for job in jobs))

        def watch(finished: set[int]) -> None:
            if self.progress is not None:
                self.progress(scores.progress(finished))

        watch(set())
        outcome = self._run(jobs, scores, watch) if jobs else Outcome()
        if outcome.failed or outcome.lost:
            raise TrainingError(_complaint(jobs, outcome))

    def _jobs(self, study: str, there: set[str]) -> list[ShardJob]:
        shards = deal_shards(self.plans, largest_shard(self.recipe, self.device), self.workers)
        threads = max(1, available_cores() // min(self.workers, len(shards)))
        numbers = {plan.id: number for number, plan in enumerate(self.plans)}
        program, width = self._choose(shards)
        missing = [tuple(plan for plan in shard if plan.id not in there) for shard in shards]
        return [
            ShardJob(
                study=study,
                recipe=self.recipe.to_dict(),
                plans=plans,
                program=program,
                width=width,
                device=self.device,
                fingerprint=self.task.fingerprint,
                position=numbers[plans[0].id],
                threads=threads,
            )
            for plans in missing
            if plans
        ]

    def _choose(self, shards: list[list[RunPlan]]) -> tuple[str, int]:
        module = build_seeded(self.task.build, 0)
        width = max(map(len, shards)) if self.stack == "auto" else self.stack
        if not isinstance(width, int) or width < 1:
            raise InputError(f"stack={self.stack!r}", "a number of runs, or 'auto'")
        return candidate_programs(module)[0], width

    def _run(self, jobs: list[ShardJob], scores: Scoreboard, watch: Any) -> Outcome:
        threads = torch.get_num_threads()
        torch.set_num_threads(jobs[0].threads)
        try:
            if isinstance(self.executor, Executor):
                return run_with(self.executor, jobs, lambda _, job: run_job(job), watch)
            return run_locally(jobs, self.workers, scores, watch)
        finally:
            torch.set_num_threads(threads)


def choose_device(device: str) -> str:
    """Return the device that "auto" stands for, or the given one if torch has it."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device {device!r}, which torch cannot use here ({error})", "cpu, cuda, cuda:1 or auto"
        ) from error
    return device


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def largest_shard(recipe: Recipe, device: str) -> int:
    """Return how many runs a shard may have: what a kill may cost, and on a GPU the widest stack."""
    entry = MODELS.get(recipe.model)
    size = entry.traits.get("shard", _LARGEST_SHARD) if entry else _LARGEST_SHARD
    return size if device == "cpu" else 8 * size


def _complaint(jobs: list[ShardJob], outcome: Outcome) -> str:
    problems = {**outcome.lost, **outcome.failed}
    lines = [f"shard of runs {jobs[k].plans[0].id}..{jobs[k].plans[-1].id}: {text}" for k, text in problems.items()]
    return f"{len(problems)} of {len(jobs)} shards could not be trained; the rest is in the study. " + "; ".join(lines)
