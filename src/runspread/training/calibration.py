"""Chooses by measurement how the runs of a shard are trained: with which program, and how many in a stack."""

from __future__ import annotations

import hashlib
import json
import platform
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from .._reading.plain_files import read_json
from ..errors import RunspreadWarning
from .datasets.cache import user_cache, write_atomically
from .engine import StackTraining, Task
from .memory import MemoryPlan, free_memory
from .modules import refusing_slow_stacks
from .plan import PlannedRun
from .programs import candidate_programs
from .stack import build_seeded

_VERSION = 4  # part of the key of what is remembered: raise it when the programs change
_SECONDS = 0.15  # how long each candidate is timed, at least two steps
_WIDTHS = (1, 4, 16, 64, 256, 1024)
_GAIN = 0.95  # a wider stack must be this much faster, since a narrow one holds less


@dataclass(frozen=True)
class Choice:
    """How a shard is trained.

    Attributes
    ----------
    program, width : str, int
        See ``programs``; runs in a stack.
    problem : str
        Why runs of the network cannot be batched; empty where they can.
    microseconds : float
        What a step took, a run, when it was measured.
    """

    program: str
    width: int
    problem: str = ""
    microseconds: float = 0.0


def choose_program(
    task: Task, plans: Sequence[PlannedRun], stack: int | str, *, workers: int, threads: int
) -> tuple[Choice, MemoryPlan]:
    """Return how runs like `plans` are trained on this machine, and what that will hold.

    The choice is remembered in the user's cache folder, by recipe, machine and version of torch: so that the same
    training is done in the same way when it is done again, and nothing is measured twice.

    Raises
    ------
    TrainingError
        Not even the narrowest stack fits into memory, or the `stack` that was asked for does not.
    """
    programs = candidate_programs(build_seeded(task.build, 0))
    if isinstance(stack, str):
        choice = _remembered(task, plans, threads) or _measure(task, plans, programs, workers, threads)
    elif stack == 1 or len(plans) == 1:
        choice = Choice(programs[-1], 1)
    else:
        problem = _stacking_problem(task, plans, programs)
        choice = Choice(programs[-1] if problem else programs[0], min(stack, len(plans)), problem)
    if choice.problem:
        warnings.warn(
            f"this network cannot be batched over runs ({choice.problem}): its runs are trained one at a time",
            RunspreadWarning,
            stacklevel=2,
        )
    memory = plan_memory(task, choice, workers)
    memory.check(choice.width)
    return choice, memory


def plan_memory(task: Task, choice: Choice, workers: int) -> MemoryPlan:
    """Return what a training with stacks of this kind holds."""
    recipe, run = task.recipe, task.facts
    batch = recipe.batch_size or len(task.splits["train"].inputs)
    state = {"sgd": 3, "adam": 4, "adamw": 4}[recipe.optimizer]
    kept = int(recipe.keep_weights) + len(recipe.checkpoint_at)
    outputs = sum(len(task.labels(s)) for s in recipe.evaluate) * task.n_classes * (2 + len(recipe.predict_at))
    at_once = 1 if choice.program == "loop" else choice.width
    floats = choice.width * (run.parameters * (state + kept) + outputs) + 2 * at_once * batch * run.activations
    data = sum(s.inputs.numel() * s.inputs.element_size() for s in task.splits.values())
    return MemoryPlan(data, 4 * floats, workers, free_memory(task.device) + data)  # the data are loaded already


def _stacking_problem(task: Task, plans: Sequence[PlannedRun], programs: tuple[str, ...]) -> str:
    """Return why the network cannot be stacked, as torch says it; nothing where it can."""
    if "vmap" not in programs or task.steps == 0:
        return ""
    try:
        with refusing_slow_stacks():
            StackTraining(task, [plans[0], plans[-1]], "vmap").step()
    except (RuntimeError, UserWarning) as error:
        return str(error).strip().partition("\n")[0]
    return ""


def _measure(task: Task, plans: Sequence[PlannedRun], programs: tuple[str, ...], workers: int, threads: int) -> Choice:
    problem = _stacking_problem(task, plans, programs)
    best = Choice(programs[-1], 1, problem, float("inf"))
    for program in programs[-1:] if problem else reversed(programs):  # "loop" first, which is never far from the best
        for width in [w for w in _WIDTHS if w < len(plans)] + [len(plans)]:
            if width > 1 and not plan_memory(task, Choice(program, width), workers).fits:
                break
            cost = 1e6 * _time_step(task, plans[:width], program, threads) / width
            if cost > 2 * best.microseconds:
                break
            if cost < _GAIN * best.microseconds:
                best = Choice(program, width, problem, cost)
    _remember(task, plans, threads, best)
    return best


def _time_step(task: Task, plans: Sequence[PlannedRun], program: str, threads: int) -> float:
    """Return the shortest time of a step, the first being excluded."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        training = StackTraining(task, plans, program)
        if training.total < 3:
            return 1.0
        training.step()
        times: list[float] = []
        while training.done < training.total and (len(times) < 2 or sum(times) < _SECONDS):
            times.append(_timed(training))
        return min(times)
    finally:
        torch.set_num_threads(before)


def _timed(training: StackTraining) -> float:
    started = time.perf_counter()
    training.step()
    if training.task.device.type == "cuda":
        torch.cuda.synchronize(training.task.device)
    return time.perf_counter() - started


def _place(task: Task, plans: Sequence[PlannedRun], threads: int) -> Path:
    device = torch.cuda.get_device_name(task.device) if task.device.type == "cuda" else _processor()
    ignored = ("epochs", "steps", "record", "evaluate", "name", "predict_at", "checkpoint_at", "start_from")
    recipe = {key: value for key, value in task.recipe.identity().items() if key not in ignored}
    recipe["dataset_options"] = {**task.recipe.dataset_options, "split_seed": 0}  # which examples: no matter
    facts = [_VERSION, recipe, len(task.splits["train"].inputs), len(plans), device, threads, str(torch.__version__)]
    key = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:24]
    return user_cache() / "calibration" / f"{key}.json"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line for line in lines if line.startswith("model name")), platform.processor())
    except OSError:
        return platform.processor()


def _remembered(task: Task, plans: Sequence[PlannedRun], threads: int) -> Choice | None:
    try:
        return Choice(**read_json(_place(task, plans, threads)))
    except (OSError, ValueError, TypeError):
        return None


def _remember(task: Task, plans: Sequence[PlannedRun], threads: int, choice: Choice) -> None:
    text = json.dumps(asdict(choice)).encode()
    try:
        write_atomically(_place(task, plans, threads), lambda file: file.write(text))
    except OSError:
        return  # a read-only home merely means that it is measured again
