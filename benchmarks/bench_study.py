"""Opening a study of many recorded runs: first time, with the index, and what `runspread info` costs."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import runspread as rs


def make_study(folder: Path, runs: int) -> None:
    labels = np.arange(100) % 10
    study = rs.create_study(folder, splits={"test": labels})
    rng = np.random.default_rng(0)
    for seed in range(runs):
        with study.record(seeds=seed, hyperparameters={"lr": 0.1}) as run:
            run.log(1, loss=float(rng.random()))
            run.predictions("test", rng.normal(size=(100, 10)))


def seconds(action) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "study"
        made = seconds(lambda: make_study(folder, runs))
        rows = [("record all runs", made)]
        shutil.rmtree(folder / ".cache", ignore_errors=True)
        rows.append(("open, no index", seconds(lambda: rs.open_study(folder).runs)))
        rows.append(("open, with index", min(seconds(lambda: rs.open_study(folder).runs) for _ in range(3))))
        info = [sys.executable, "-m", "runspread", "info", str(folder)]
        timed = min(seconds(lambda: subprocess.run(info, check=True, capture_output=True)) for _ in range(3))
        rows.append(("runspread info (whole process)", timed))
        help_text = [sys.executable, "-m", "runspread", "--help"]
        timed = min(seconds(lambda: subprocess.run(help_text, check=True, capture_output=True)) for _ in range(5))
        rows.append(("runspread --help (whole process)", timed))
        study = rs.open_study(folder)
        rows.append(("one pass over predictions", seconds(lambda: sum(len(c) for c in study.predictions().chunks()))))
        rows.append(("first rs.variance, with the audit", seconds(lambda: rs.variance(study))))
        rows.append(("next rs.variance", seconds(lambda: rs.variance(study))))
    print(f"A study of {runs} runs, one shard each")
    for name, value in rows:
        print(f"  {name:34s} {value:8.3f} s")


if __name__ == "__main__":
    main()
