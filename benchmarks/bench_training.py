"""Training many seeds: runspread against the plain PyTorch loop over seeds, and a loop with a DataLoader.

For each task all sides train the same network with the same optimiser on the same data: runspread as `rs.train` does
(the study on disk included), the plain loop with its data in tensors and torch's default threads, seed after seed.
The sides take turns, several times over, and the shortest time of each counts. A line a task: runs x epochs a second.
Starting processes (two seconds) counts too, so a training that is cut short here looks slower than a whole one. Then
the share of its time that a training at the recipe's own cadence spends on recording.

    python benchmarks/bench_training.py [--data ../shared/data] [--repeats 3] [--only NAME] [--device cpu]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import runspread as rs
from runspread.training import Recipe
from runspread.training.driver import Driver
from runspread.training.engine import Task, make_task
from runspread.training.execution import ExecutionPlan
from runspread.training.losses import loss_of_one
from runspread.training.modules import dropout_layers
from runspread.training.plan import deal_runs


@dataclass
class Case:
    """A recipe, how many runs, and what makes it short enough to be timed."""

    recipe: str
    runs: int
    data: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    loop_runs: int = 2  # how many of the runs the loops train: their time is the same for each
    goal: str = ""
    loader: bool = False
    recorded: dict[str, Any] | None = None  # how long a training is in which the recording is timed; None for none

    def make(self, data: Path) -> Recipe:
        """Return the recipe, with nothing recorded but the end."""
        found = str(data / self.data) if self.data else None
        return rs.recipe(self.recipe, record="none", weight_metrics=False, data=found, **self.options)


CPU_CASES = [
    Case("digits-mlp", 64, goal="4x; 10x a DataLoader", loader=True, recorded={}),
    Case(
        "mnist-mlp",
        32,
        "mnist",
        {"steps": 400, "test_examples": 1000},
        goal="1.5x",
        loop_runs=1,
        recorded={"steps": 1000},
    ),
    Case("mnist-mlp-small", 32, "mnist", {"epochs": 0.2}, recorded={"epochs": 2}),
    Case(
        "mnist-lenet",
        16,
        "mnist",
        {"steps": 300, "test_examples": 1000},
        goal="1.5x",
        loop_runs=1,
        recorded={"epochs": 1},
    ),
    Case("sparse-parity", 40, goal="8x", loader=True, loop_runs=1, recorded={"epochs": 200}),
    Case("modular-addition-small", 8, options={"epochs": 150}, recorded={"epochs": 600}),
    Case(
        "cifar10-resnet9-small", 4, "cifar10", {"steps": 40, "test_examples": 500}, loop_runs=1, recorded={"epochs": 2}
    ),
]


def plain_run(task: Task, seed: int) -> float:
    """Train one seed in the ordinary way and evaluate it; return its test accuracy."""
    recipe, train = task.recipe, task.splits["train"]
    torch.manual_seed(seed)
    module = plain_network(task)
    optimizer = make_optimizer(recipe, module)
    batch = recipe.batch_size or len(train.inputs)
    smoothing = torch.tensor(recipe.label_smoothing, device=task.device)
    step, total = 0, task.steps
    while step < total:
        order = torch.randperm(len(train.inputs), device=task.device)
        for index in order.split(batch):
            if step == total or (recipe.drop_last and len(index) < batch):
                break
            loss = loss_of_one(
                recipe.loss, module(augmented(recipe, train.gather(index))), train.labels[index], smoothing
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    return accuracy(task, module)


def plain_network(task: Task) -> torch.nn.Module:
    """Return the network without our dropout layers where there is no dropout."""
    module = task.build().to(task.device)
    for layer in dropout_layers(module).values():
        layer.active = task.recipe.dropout > 0
    return module


def augmented(recipe: Recipe, images: torch.Tensor) -> torch.Tensor:
    """Flip, shift and blank as the recipe says, with torch's own generator (the usual batched code)."""
    for name, _, size in (text.partition(":") for text in recipe.augment):
        if name == "flip":
            flips = torch.rand(len(images), device=images.device) < 0.5
            images = torch.where(flips.view(-1, 1, 1, 1), images.flip(-1), images)
        elif name in ("shift", "crop"):
            images = shifted(images, int(size))
        elif name == "cutout":
            images = blanked(images, int(size))
    return images


def shifted(images: torch.Tensor, size: int) -> torch.Tensor:
    n, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (size,) * 4)
    dy, dx = torch.randint(0, 2 * size + 1, (2, n), device=images.device)
    rows = dy.view(-1, 1) + torch.arange(height, device=images.device)
    columns = dx.view(-1, 1) + torch.arange(width, device=images.device)
    example = torch.arange(n, device=images.device).view(-1, 1, 1)
    return padded[example, :, rows.unsqueeze(2), columns.unsqueeze(1)].permute(0, 3, 1, 2)


def blanked(images: torch.Tensor, size: int) -> torch.Tensor:
    n, _, height, width = images.shape
    top, left = torch.randint(0, height - size + 1, (2, n, 1), device=images.device)
    y, x = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    inside = ((y >= top) & (y < top + size)).unsqueeze(2) & ((x >= left) & (x < left + size)).unsqueeze(1)
    return images * ~inside.unsqueeze(1)


def make_optimizer(recipe: Recipe, module: torch.nn.Module) -> torch.optim.Optimizer:
    if recipe.optimizer == "sgd":
        options = {"momentum": recipe.momentum, "nesterov": recipe.nesterov and recipe.momentum > 0}
        return torch.optim.SGD(module.parameters(), recipe.lr, weight_decay=recipe.weight_decay, **options)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    betas = (recipe.beta1, recipe.beta2)
    return kind(module.parameters(), recipe.lr, betas=betas, weight_decay=recipe.weight_decay)


@torch.no_grad()
def accuracy(task: Task, module: torch.nn.Module) -> float:
    module.eval()
    test = task.splits["test"]
    right = 0
    for index in torch.arange(len(test.inputs), device=task.device).split(1000):
        outputs = module(test.gather(index))
        guess = (outputs[:, 0] > 0).long() if task.recipe.loss == "hinge" else outputs.argmax(-1)
        right += int((guess == test.labels[index]).sum())
    return right / len(test.inputs)


def loader_run(task: Task, seed: int) -> float:
    """Train one seed in the loop that most people write: a DataLoader over a TensorDataset, in the same process."""
    recipe, train = task.recipe, task.splits["train"]
    torch.manual_seed(seed)
    module = plain_network(task)
    optimizer = make_optimizer(recipe, module)
    dataset = torch.utils.data.TensorDataset(train.inputs, train.labels)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=recipe.batch_size, shuffle=True, drop_last=recipe.drop_last
    )
    smoothing = torch.tensor(recipe.label_smoothing)
    step, total = 0, task.steps
    while step < total:
        for x, y in loader:
            loss = loss_of_one(recipe.loss, module(x), y, smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step == total:
                break
    return accuracy(task, module)


def stacked_runs(recipe: Recipe, runs: int, device: str, folder: Path) -> Callable[[], Any]:
    """Return the call that trains the runs and writes the study; the data are loaded already, as for the loops."""
    plans = deal_runs(recipe, runs, vary=("init", "order", "augment"), seed=0, search={})
    driver = Driver(recipe, plans, ExecutionPlan(device=device, retries=0))
    driver.check_networks()
    study = rs.create_study(folder, splits=driver.labels(), recipe=recipe.identity())
    return lambda: driver.train_missing(study)


def recording_share(case: Case, data: Path, device: str) -> str:
    """Return the share of its time that a training at the recipe's own cadence spends on recording."""
    if case.recorded is None:
        return ""
    found = str(data / case.data) if case.data else None
    recipe = rs.recipe(case.recipe, data=found, **case.recorded)
    with tempfile.TemporaryDirectory() as folder:
        study = rs.train(recipe, runs=min(case.runs, 8), out=Path(folder) / "study", device=device)
        shards = [json.loads(file.read_text()) for file in study.path.glob("shards/*/provenance.json")]
    return f"{sum(s['recording_seconds'] for s in shards) / sum(s['seconds'] for s in shards):.1%}"


def timed(call: Callable[[], Any]) -> float:
    """Return seconds on the clock."""
    started = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def with_threads(threads: int, call: Callable[[], Any]) -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return call()
    finally:
        torch.set_num_threads(before)


def measure(case: Case, data: Path, repeats: int, device: str) -> dict[str, float]:
    """Return runs x epochs per second of each side."""
    recipe = case.make(data)
    task = make_task(recipe, device)
    n = len(task.splits["train"].inputs)
    epochs = task.steps * (recipe.batch_size or n) / n

    def loop() -> None:
        for seed in range(case.loop_runs):
            plain_run(task, seed)

    def loader_loop() -> None:
        for seed in range(case.loop_runs):
            loader_run(task, seed)

    sides: dict[str, tuple[int, Callable[[], None]]] = {
        "loop": (case.loop_runs, loop),
        "one thread": (case.loop_runs, lambda: with_threads(1, loop)),
    }
    if case.loader:
        sides["DataLoader"] = (case.loop_runs, loader_loop)
    best = dict.fromkeys(("runspread", *sides), float("inf"))
    for repeat in range(repeats + 1):  # the first round warms up (and lets runspread choose its stack)
        with tempfile.TemporaryDirectory() as folder:
            ours = stacked_runs(recipe, case.runs, device, Path(folder) / "study")
            for name, (runs, call) in {"runspread": (case.runs, ours), **sides}.items():
                seconds = timed(call) / runs
                if repeat:
                    best[name] = min(best[name], seconds)
    return {name: epochs / seconds for name, seconds in best.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    cases = [case for case in CPU_CASES if options.only in (None, case.recipe)]
    print_table(cases, options.data, options.repeats, options.device)


def print_table(cases: list[Case], data: Path, repeats: int, device: str) -> None:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, device {device}")
    print("runs x epochs a second; in brackets how many times faster runspread is")
    heads = "".join(f"{head:>18}" for head in ("loop", "loop, 1 thread", "DataLoader"))
    print(f"{'recipe':<24}{'runs':>5}{'runspread':>11}{heads}{'recording':>11}  goal")
    for case in cases:
        if case.data and not (data / case.data).is_dir():
            print(f"{case.recipe:<24} left out: no {data / case.data}")
            continue
        rate = measure(case, data, repeats, device)
        ours = rate["runspread"]
        peers = (rate.get(name, 0.0) for name in ("loop", "one thread", "DataLoader"))
        cells = "".join(f"{f'{peer:.2f} ({ours / peer:.1f}x)' if peer else '':>18}" for peer in peers)
        recording = recording_share(case, data, device)
        print(f"{case.recipe:<24}{case.runs:>5}{ours:>11.2f}{cells}{recording:>11}  {case.goal}", flush=True)


if __name__ == "__main__":
    main()
