"""What a GPU is for: the table of ``bench_training``, a step of WRN-28-10, and a study of 100 ResNet-9 on CIFAR-10.

    python benchmarks/gpu_training.py --data ../shared/data --out runs/resnet9
    python benchmarks/gpu_training.py --data ../shared/data --out runs/small --small

The second is the same code at a small size on a CPU. Not part of ``make bench``: the first needs a GPU.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from bench_training import Case, print_table

import runspread as rs
from runspread.training import TrainingProgress
from runspread.training.engine import StackTraining, make_task
from runspread.training.plan import deal_runs

TABLE = [
    Case("digits-mlp", 256, options={"epochs": 40}, goal="20x"),
    Case("mnist-mlp", 256, "mnist", {"steps": 500}, goal="20x"),
    Case("mnist-lenet", 256, "mnist", {"epochs": 1}, goal="20x"),
    Case("cifar10-resnet20", 16, "cifar10", {"epochs": 2, "drops": ()}),
]
SMALL_TABLE = [
    Case("digits-mlp", 8, options={"epochs": 2}),
    Case("cifar10-resnet20-small", 2, "cifar10", {"steps": 2, "drops": (), "test_examples": 100}, loop_runs=1),
]


def wide_resnet_step(data: Path, device: str, small: bool) -> None:
    """Time a step of WRN-28-10 alone and in a stack; its parameter count must be the published 36,479,194."""
    name = "cifar10-wrn28x10-small" if small else "cifar10-wrn28x10"
    recipe = rs.recipe(name, data=str(data / "cifar10"), batch_size=8 if small else 128, record="none")
    task = make_task(recipe, device)
    print(f"{name}: {task.facts.parameters:,} parameters")
    for runs in (1, 2) if small else (1, 2, 4):
        plans = deal_runs(recipe, runs, vary=("init", "order"), seed=0, search={})
        for program in ("loop", "vmap"):
            training = StackTraining(task, plans, program)
            times = [step_time(training) for _ in range(3 if small else 12)]
            print(f"  {runs} run{'s' * (runs > 1)}, {program}: {1000 * min(times) / runs:.1f} ms a run and step")


def step_time(training: StackTraining) -> float:
    started = time.perf_counter()
    training.step()
    if training.task.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def resnet9_study(data: Path, out: Path, device: str, small: bool) -> None:
    """Train the study, and say what its spread means."""
    options = {"steps": 3, "train_examples": 500, "test_examples": 200} if small else {"epochs": 16}
    name = "cifar10-resnet9-small" if small else "cifar10-resnet9"
    recipe = rs.recipe(name, data=str(data / "cifar10"), **options)
    started = time.perf_counter()
    study = rs.train(recipe, runs=2 if small else 100, out=out, device=device, progress=Lines())
    print(f"{study} in {time.perf_counter() - started:.0f} s")
    print(rs.variance(study).sentence())


class Lines:
    """Prints a line of progress at most every ten seconds."""

    def __init__(self) -> None:
        self.printed = 0.0

    def __call__(self, progress: TrainingProgress) -> None:
        """Print where the training is."""
        if progress.elapsed - self.printed > 10:
            self.printed = progress.elapsed
            print(f"  {progress.runs_done}/{progress.runs_total} runs, {progress.fraction:.0%}, {progress.message}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not options.small:
        parser.error("no GPU here; --small runs the same code on the CPU")
    print_table(SMALL_TABLE if options.small else TABLE, options.data, options.repeats, device)
    wide_resnet_step(options.data, device, options.small)
    resnet9_study(options.data, options.out, device, options.small)


if __name__ == "__main__":
    main()
