"""Greedy ensemble selection at scale: time a step, against the naive loop, and memory from a memory map.

    python benchmarks/bench_ensembles.py [--candidates 1000] [--examples 10000] [--classes 100] [--repeats 5]

The naive loop is the usual script's: for every candidate, softmax and average the whole ensemble over all classes. It
would take minutes, so a few of its evaluations are timed, in turns with ours, and multiplied by their number.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from runspread._reading.probabilities import read_members
from runspread.methods import Table
from runspread.methods.ensembles import read_candidates, select_ensemble
from runspread.methods.ensembles.candidates import Candidates, NegativeLogLikelihood

ROUNDS = (5, 50)


def make_candidates(n: int, m: int, classes: int, seed: int = 0) -> tuple[Candidates, np.ndarray, np.ndarray]:
    """Return candidates as if read, a few of them in full, and the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, m)
    difficulty, skill = rng.normal(-1.0, 1.0, m), rng.normal(0.0, 0.3, (n, 1))
    log_true = -np.logaddexp(0.0, -(difficulty + skill + rng.normal(0, 0.7, (n, m))))
    full = rng.normal(0, 1, (8, m, classes)).astype(np.float32)
    return Candidates(read_members(full, labels), np.arange(n), log_true), full, labels


def timed(function, *arguments) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def select_rounds(pool: Candidates, rounds: int) -> None:
    """Do exactly `rounds` steps of selection, with the preparation that they need."""
    objective = NegativeLogLikelihood(pool)
    for _ in range(rounds):
        objective.add(int(np.argmin(objective.scores())))


def naive_evaluation(chosen: list[np.ndarray], labels: np.ndarray) -> float:
    """Score one candidate the usual way: softmax and average of all members, over all classes."""
    probabilities = []
    for logits in chosen:
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities.append(exponentials / exponentials.sum(axis=1, keepdims=True))
    mean = np.mean(probabilities, axis=0)
    return float(-np.log(mean[np.arange(len(labels)), labels]).mean())


def loop_over_candidates(pool: Candidates, rounds: int) -> None:
    """Do the middle way: running sum of true-class probabilities, a Python loop over candidates."""
    probabilities = np.exp(pool.log_true)
    total = np.zeros(probabilities.shape[1])
    for step in range(rounds):
        scores = [-np.log((total + p) / (step + 1)).mean() for p in probabilities]
        total += probabilities[int(np.argmin(scores))]


def bench_speed(n: int, m: int, classes: int, repeats: int) -> Table:
    pool, full, labels = make_candidates(n, m, classes)
    ours = dict.fromkeys(ROUNDS, np.inf)
    naive = dict.fromkeys(range(1, ROUNDS[0] + 1), np.inf)
    loop = np.inf
    for _ in range(repeats):
        for rounds in ROUNDS:
            ours[rounds] = min(ours[rounds], timed(select_rounds, pool, rounds))
        for size in naive:
            naive[size] = min(naive[size], timed(naive_evaluation, list(full[:size]), labels))
        loop = min(loop, timed(loop_over_candidates, pool, ROUNDS[0]))
    naive_total = n * sum(naive.values())
    rows = {
        f"runspread, {ROUNDS[0]} rounds": (ours[5], naive_total / ours[5]),
        f"runspread, {ROUNDS[1]} rounds": (ours[50], np.nan),
        f"Python loop over candidates, true class only, {ROUNDS[0]} rounds": (loop, naive_total / loop),
        f"naive loop, all classes, {ROUNDS[0]} rounds (from timed evaluations)": (naive_total, 1.0),
    }
    return Table(
        {
            "method": list(rows),
            "seconds": [row[0] for row in rows.values()],
            "times faster than naive": [row[1] for row in rows.values()],
        },
        formats={"seconds": ".3f", "times faster than naive": ".0f"},
        title=f"{n} candidates x {m} examples x {classes} classes, after ingestion, minimum of {repeats}",
    )


def write_logits(path: Path, n: int, m: int, classes: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, m)
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, m, classes))
    base = rng.normal(0, 1, (m, classes)).astype(np.float32)
    base[np.arange(m), labels] += 1
    for run in range(n):
        file[run] = base + rng.normal(0, 1, (m, 1)).astype(np.float32) * np.roll(base, run + 1, axis=0)
    file.flush()
    return labels


def child(folder: str) -> None:
    """Read and select in a process of its own, and print seconds and the largest resident size."""
    labels, logits = np.load(f"{folder}/labels.npy"), np.load(f"{folder}/logits.npy", mmap_mode="r")
    start = time.perf_counter()
    pool = read_candidates(logits, labels, kind="logits")
    read = time.perf_counter()
    found = select_ensemble(pool, size=5)
    done = time.perf_counter()
    print(read - start, done - read, largest_resident(), len(found.path))


def largest_resident() -> float:
    """Return the largest resident size of this process in GiB (Linux); rusage would include the parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def bench_memory(n: int, m: int, classes: int) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        labels = write_logits(Path(folder) / "logits.npy", n, m, classes)
        np.save(f"{folder}/labels.npy", labels)
        size = (Path(folder) / "logits.npy").stat().st_size / 2**30
        command = [sys.executable, __file__, "--child", folder]
        read, select, resident, _ = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return Table(
        {
            "step": [
                "ingestion",
                "selection of 5, 5-fold cross-validated, 100 random controls",
                "largest resident size",
            ],
            "value": [float(read), float(select), float(resident)],
            "unit": ["s", "s", "GiB"],
        },
        title=f"{n} x {m} x {classes} float32 logits from a memory map of {size:.2f} GiB",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child)
        return
    sizes = (arguments.candidates, arguments.examples, arguments.classes)
    for table in (bench_speed(*sizes, arguments.repeats), bench_memory(*sizes)):
        print(table, end="\n\n")


if __name__ == "__main__":
    main()
