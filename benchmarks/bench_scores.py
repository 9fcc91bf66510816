"""Ranking many arms and reading long tables of scores: processor seconds, against the goals of the specification.

python benchmarks/bench_scores.py [--rows 1000000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from runspread.methods.scores import compare_scores, rank_scores, run_scores


def seconds(action: Callable[[], object]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started


def table(path: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.9, 0.01, rows)
    lines = (f"{'new' if k % 2 else 'old'},{k},{value:.6f}" for k, value in enumerate(values))
    path.write_text("method,seed,accuracy\n" + "\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    arms = {str(k): x for k, x in enumerate(np.random.default_rng(0).normal(size=(options.arms, 5)))}
    spent = seconds(lambda: rank_scores(arms, metric="return"))
    print(f"{options.arms:,} arms of 5 runs ranked   {spent:8.1f} s (goal for 10,000: 10 s)")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.csv"
        table(path, options.rows)
        spent = seconds(lambda: run_scores(path, metric="accuracy"))
        print(f"{options.rows:,} rows of CSV summarised {spent:8.1f} s (goal for 1,000,000: 5 s)")
        spent = seconds(lambda: compare_scores(path, metric="accuracy"))
        print(f"{options.rows:,} rows of CSV compared   {spent:8.1f} s")


if __name__ == "__main__":
    main()
