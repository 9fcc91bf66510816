"""Things that break: a layer that fails the k-th write, a killer, a flipper; and a study with every kind of file."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import runspread as rs

LABELS = np.arange(12) % 3
WRITES = ("fsync", "replace", "rename", "mkdir", "link", "write", "unlink")


def logits(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(12, 3)).astype(np.float32)


def make_study(folder: Path, runs: int = 4) -> rs.Study:
    """A small study with metrics, predictions, classes and weights."""
    study = rs.create_study(folder, splits={"test": LABELS, "hard": LABELS}, exist_ok=True)
    for seed in range(runs):
        if not study.is_recorded(seeds=seed, hyperparameters={"lr": 0.1}):
            record(study, seed)
    return study


def record(study: rs.Study, seed: int) -> None:
    with study.record(seeds=seed, hyperparameters={"lr": 0.1}) as run:
        for step in range(3):
            run.log(step, loss=1 / (1 + step) + seed)
        run.predictions("test", logits(seed))
        run.predictions("hard", logits(seed).argmax(1))
        run.weights({"w": logits(seed), "b": np.arange(3.0) + seed})


def answers(study: rs.Study) -> dict[str, object]:
    """What a user reads from a study."""
    reader, hard = study.predictions("test"), study.predictions("hard")
    loss = study.metrics()["loss"]
    return {
        "runs": [(run.id, run.status, run.hyperparameters, run.accuracy, run.seeds.to_dict()) for run in study.runs],
        "splits": {name: labels.tolist() for name, labels in study.splits.items()},
        "recipe": study.recipe,
        "outputs": dict(zip(reader.run_ids, reader.to_array().tolist(), strict=True)),
        "classes": dict(zip(hard.run_ids, hard.to_array().tolist(), strict=True)),
        "labels": reader.labels.tolist(),
        "loss": {run: (loss.of(run)[0].tolist(), loss.of(run)[1].tolist()) for run in loss.run_ids},
        "weights": {run.id: {n: w.tolist() for n, w in study.weights(run).items()} for run in study.runs},
    }


# ---------------------------------------------------------------------- the k-th write-like call fails


class Faults:
    """Counts write-like calls below one folder; the k-th fails, once or from then on."""

    def __init__(self, k: int, *, for_good: bool, code: int = errno.ENOSPC) -> None:
        self.k, self.for_good, self.code, self.calls = k, for_good, code, 0

    def __call__(self) -> None:
        self.calls += 1
        if self.k and (self.calls == self.k or (self.for_good and self.calls > self.k)):
            raise OSError(self.code, os.strerror(self.code))


@contextlib.contextmanager
def failing(k: int, *, for_good: bool = False, code: int = errno.ENOSPC) -> Iterator[Faults]:
    """Let the k-th write-like call fail; 0 only counts them."""
    faults = Faults(k, for_good=for_good, code=code)
    kept = {name: getattr(os, name) for name in ("fsync", "replace", "rename", "mkdir")}
    opened = io.open
    import safetensors.numpy as held

    save = held.save_file

    def wrap(function: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object, **options: object) -> object:
            faults()
            return function(*args, **options)

        return wrapped

    def open_(file: object, mode: str = "r", *args: object, **options: object) -> object:
        if any(sign in mode for sign in "wax+"):
            faults()
        return opened(file, mode, *args, **options)

    try:
        for name, function in kept.items():
            setattr(os, name, wrap(function))
        io.open = builtins.open = open_  # type: ignore[assignment]
        held.save_file = wrap(save)
        yield faults
    finally:
        for name, function in kept.items():
            setattr(os, name, function)
        io.open = builtins.open = opened
        held.save_file = save


# ---------------------------------------------------------------------- kills


def kill_at(code: str, after: float, *args: str) -> subprocess.CompletedProcess[str] | None:
    """Run Python code and kill it `after` seconds from when it says it has begun; None where it ended before."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}


# ---------------------------------------------------------------------- flips


def files_of(folder: Path) -> list[Path]:
    """Every file that a folder holds: found by walking, so that a new kind cannot be forgotten."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


@contextlib.contextmanager
def flipped(path: Path, bit: int) -> Iterator[None]:
    """Let one bit of a file be another, for a while."""
    whole = path.read_bytes()
    data = bytearray(whole)
    data[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(whole)


def copied(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(source, target))


def alive(pids: list[int], seconds: float) -> list[int]:
    """Return which processes still live after at most some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids):
        time.sleep(0.05)
    return [pid for pid in pids if pathlib.Path(f"/proc/{pid}").exists()]
