"""Variance of training at size: one pass over predictions and logits by memory map, its memory, the null law.

Times are the least of several, on the clock and of the processor, the sides of each comparison in turn in one process;
memory is the largest resident set of a process that does nothing else.
``--full`` takes 60,000 runs on 10,000 examples (600 MB of classes; logits stay at the number of runs given by
--logit-runs, 0.2 MB each).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import runspread as rs
from runspread.methods.variance import counting, poisson_binomial_pmf, run_statistics

EXAMPLES, CLASSES = 10_000, 10
ROWS = 800


def seconds(*actions: Callable[[], object], repeats: int = 5) -> list[tuple[float, float]]:
    """Return the least time of each action on the clock, and of the processor; they take turns."""
    least = [(float("inf"), float("inf"))] * len(actions)
    for _ in range(repeats):
        for index, action in enumerate(actions):
            started, worked = time.perf_counter(), time.process_time()
            action()
            clock, processor = time.perf_counter() - started, time.process_time() - worked
            least[index] = min(least[index][0], clock), min(least[index][1], processor)
    return least


def write_classes(path: Path, runs: int, *, hard: bool) -> None:
    """Write predicted classes whose success rates are as on CIFAR-10 (mean 94.4 %, n V_ind 0.021), or 90 %."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, EXAMPLES).astype(np.uint8)
    p = np.full(EXAMPLES, 0.9) if hard else rng.beta(0.621, 0.0369, EXAMPLES)
    out = np.lib.format.open_memmap(path, "w+", np.uint8, (runs, EXAMPLES))
    for start in range(0, runs, 500):
        count = min(500, runs - start)
        wrong = (labels + rng.integers(1, CLASSES, (count, EXAMPLES), np.uint8)) % CLASSES
        out[start : start + count] = np.where(rng.random((count, EXAMPLES), np.float32) < p, labels, wrong)
    np.save(path.with_suffix(".labels.npy"), labels)


def write_logits(path: Path, runs: int) -> None:
    rng = np.random.default_rng(0)
    out = np.lib.format.open_memmap(path, "w+", np.float16, (runs, EXAMPLES, CLASSES))
    for run in range(runs):
        out[run] = rng.normal(size=(EXAMPLES, CLASSES), scale=3)
    np.save(path.with_suffix(".labels.npy"), rng.integers(0, CLASSES, EXAMPLES))


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    return np.load(path, mmap_mode="r"), np.load(path.with_suffix(".labels.npy"))


def plain_pass(path: Path) -> None:
    """Read every prediction once and get the accuracies: what anybody would write."""
    classes, labels = load(path)
    for start in range(0, len(classes), ROWS):
        (classes[start : start + ROWS] == labels).mean(axis=1)


def count(path: Path, *, votes: bool) -> None:
    classes, labels = load(path)
    run_statistics(classes, labels, n_classes=CLASSES, votes=votes)


def count_without_numba(path: Path) -> None:
    limit, counting.COMPILE_FROM = counting.COMPILE_FROM, sys.maxsize
    try:
        count(path, votes=True)
    finally:
        counting.COMPILE_FROM = limit


def whole(path: Path) -> None:
    classes, labels = load(path)
    rs.variance(classes, labels)


def peak_memory(path: Path, job: str) -> float:
    """Return the largest resident set, in MiB, of a process that does one job."""
    command = [sys.executable, __file__, "--job", job, "--path", str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


JOBS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: None,
    "plain": plain_pass,
    "count": lambda path: count(path, votes=False),
    "votes": lambda path: count(path, votes=True),
    "votes, no numba": count_without_numba,
    "variance": whole,
}


def report_classes(folder: Path, runs: int, *, hard: bool) -> None:
    path = folder / "classes.npy"
    write_classes(path, runs, hard=hard)
    names = ("plain", "count", "votes", "votes, no numba", "variance")
    times = seconds(*(lambda name=name: JOBS[name](path) for name in names))
    kind = "every example wrong now and then" if hard else "success rates as on CIFAR-10"
    print(f"\n{runs} runs x {EXAMPLES} examples, uint8 classes by memory map ({kind})")
    titles = ("plain pass: (chunk == labels).mean(axis=1)", "RunStatistics", "RunStatistics with votes")
    titles += ("RunStatistics with votes, without numba", "rs.variance")
    plain_clock, plain_processor = times[0]
    for name, title, (clock, processor) in zip(names, titles, times, strict=True):
        speed = f"{runs * EXAMPLES / clock / 1e9:6.2f} GB/s {plain_clock / clock:6.2f} of plain"
        share = f"({plain_processor / processor:.2f} by processor time)"
        print(f"  {title:44s} {clock:7.3f} s {speed} {share} {peak_memory(path, name):7.0f} MiB")
    path.unlink()


def report_logits(folder: Path, runs: int) -> None:
    path = folder / "logits.npy"
    write_logits(path, runs)
    logits, labels = load(path)
    step = max(1, 2**26 // (EXAMPLES * CLASSES * 2))

    def plain() -> None:
        for start in range(0, runs, step):
            logits[start : start + step].argmax(axis=2)

    times = seconds(plain, lambda: run_statistics(logits, labels, votes=False), repeats=3)
    print(f"\n{runs} runs x {EXAMPLES} x {CLASSES} float16 logits by memory map ({path.stat().st_size / 1e6:.0f} MB)")
    for title, (value, _) in zip(("numpy argmax alone", "RunStatistics"), times, strict=True):
        whole = value * 60_000 / runs
        print(
            f"  {title:44s} {value:7.3f} s {path.stat().st_size / value / 1e9:6.2f} GB/s; 60,000 runs: {whole:5.0f} s"
        )
    memory = peak_memory(path, "count")
    print(f"  {'resident memory':44s} {memory:7.0f} MiB (import alone {peak_memory(path, 'nothing'):.0f})")
    path.unlink()


def report_null() -> None:
    p = np.random.default_rng(0).beta(0.621, 0.0369, EXAMPLES)
    actions: list[tuple[str, Callable[[], object]]] = [
        ("rs.methods.variance.poisson_binomial_pmf", lambda: poisson_binomial_pmf(p))
    ]
    try:
        from scipy.stats import poisson_binom

        actions.append(("scipy.stats.poisson_binom.pmf", lambda: poisson_binom.pmf(np.arange(EXAMPLES + 1), p)))
    except ImportError:
        print("\nscipy.stats.poisson_binom needs SciPy 1.15 or newer: pip install 'scipy>=1.15'")
    times = seconds(*(action for _, action in actions), repeats=3)
    print(f"\nPoisson-binomial law of {EXAMPLES} examples")
    for (title, _), (value, _) in zip(actions, times, strict=True):
        print(f"  {title:44s} {value:7.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=4_000)
    parser.add_argument("--logit-runs", type=int, default=400)
    parser.add_argument("--full", action="store_true", help="60,000 runs")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        JOBS[options.job](options.path)
        status = Path("/proc/self/status").read_text()  # getrusage would report the parent's from before exec
        print(int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024)
        return
    with tempfile.TemporaryDirectory() as temporary:
        for hard in (False, True):
            report_classes(Path(temporary), 60_000 if options.full else options.runs, hard=hard)
        report_logits(Path(temporary), options.logit_runs)
    report_null()


if __name__ == "__main__":
    main()
