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

from .._errors import RunspreadWarning
from .datasets.cache import user_cache, write_atomically
from .engine import StackTraining, Task
from .memory import MemoryPlan, free_memory
from .plan import RunPlan
from .programs import candidate_programs
from .stack import build_seeded

_VERSION = 1  # part of the key of what is remembered: raise it when the programs change
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
    why : str
        What decided.
    """

    program: str
    width: int
    why: str = ""


def choose_program(
    task: Task, plans: Sequence[RunPlan], stack: int | str, *, workers: int, threads: int
) -> tuple[Choice, MemoryPlan]:
    """Return how runs like `plans` are trained on this machine, and what that will hold.

    The choice is remembered in the user's cache folder, by recipe, machine and version of torch: so that the same
    training is done in the same way when it is done again, and nothing is measured twice.

    Raises
    ------
    TrainingError
        Not even the narrowest stack fits into memory, or the `stack` that was asked for does not.
    """
    programs = _working_programs(task, plans)
    if not isinstance(stack, str):
        width = min(stack, len(plans))
        choice = Choice(programs[0] if width > 1 or programs == ("dense",) else programs[-1], width, "asked for")
    else:
        choice = _remembered(task, plans, threads) or _measure(task, plans, programs, workers, threads)
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


def _working_programs(task: Task, plans: Sequence[RunPlan]) -> tuple[str, ...]:
    """Return the programs that can train the network; say so if it cannot be stacked."""
    programs = candidate_programs(build_seeded(task.build, 0))
    if "vmap" not in programs or task.steps == 0:
        return programs
    try:
        StackTraining(task, [plans[0], plans[-1]], "vmap").step()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        warnings.warn(
            f"this network cannot be stacked ({reason}): its runs are trained one at a time",
            RunspreadWarning,
            stacklevel=2,
        )
        return ("loop",)
    return programs


def _measure(task: Task, plans: Sequence[RunPlan], programs: tuple[str, ...], workers: int, threads: int) -> Choice:
    best, best_time = Choice(programs[-1], 1, "the only one that fits"), float("inf")
    for program in reversed(programs):  # "loop" first, which is never the slowest by far
        for width in [w for w in _WIDTHS if w < len(plans)] + [len(plans)]:
            candidate = Choice(program, width)
            if width > 1 and not plan_memory(task, candidate, workers).fits:
                break
            seconds = _time_step(task, plans[:width], program, threads) / width
            if seconds > 2 * best_time:
                break
            if seconds < _GAIN * best_time:
                best, best_time = Choice(program, width, f"{seconds * 1e6:.0f} us a run and step"), seconds
    _remember(task, plans, threads, best)
    return best


def _time_step(task: Task, plans: Sequence[RunPlan], program: str, threads: int) -> float:
    """Return the shortest time of a step, the first being left out."""
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


def _place(task: Task, plans: Sequence[RunPlan], threads: int) -> Path:
    device = torch.cuda.get_device_name(task.device) if task.device.type == "cuda" else _processor()
    ignored = ("epochs", "steps", "record", "evaluate", "name", "predict_at", "checkpoint_at", "start_from")
    recipe = {key: value for key, value in task.recipe.identity().items() if key not in ignored}
    facts = [_VERSION, recipe, len(task.splits["train"].inputs), len(plans), device, threads, str(torch.__version__)]
    key = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:24]
    return user_cache() / "calibration" / f"{key}.json"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line for line in lines if line.startswith("model name")), platform.processor())
    except OSError:
        return platform.processor()


def _remembered(task: Task, plans: Sequence[RunPlan], threads: int) -> Choice | None:
    try:
        return Choice(**json.loads(_place(task, plans, threads).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _remember(task: Task, plans: Sequence[RunPlan], threads: int, choice: Choice) -> None:
    text = json.dumps(asdict(choice)).encode()
    try:
        write_atomically(_place(task, plans, threads), lambda file: file.write(text))
    except OSError:
        return  # a read-only home merely means that it is measured again
