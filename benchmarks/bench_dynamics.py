"""Batched exact EM against hmmlearn 0.3 on the same data, starting points and iterations, one thread each, interleaved.

Workloads: metrics of 40 sparse-parity trainings (500 checkpoints x 14), and a synthetic 5-state model of the same size;
K = 2..8, 16 restarts, 10 iterations. hmmlearn fits some of the restarts and its time is scaled. Then a whole selection
on two threads: K = 1..8, 8 restarts, 32 iterations.

Usage: python benchmarks/bench_dynamics.py [--quick]
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

import numpy as np
from parity_runs import parity_runs

from runspread._cores import blas_threads
from runspread.methods.dynamics import prepare_sequences
from runspread.methods.hmm import fit_hmm, select_hmm
from runspread.methods.hmm.fitting import FitSettings, fit_batch, starting_points
from runspread.methods.hmm.parameters import Frames, Parameters, as_frames

try:
    from hmmlearn.hmm import GaussianHMM
except ImportError:
    sys.exit("hmmlearn is not installed: pip install 'runspread[bench]'")

ITERATIONS, RESTARTS, PEER_RESTARTS = 10, 16, 2


def synthetic_runs(runs: int = 40, length: int = 500, n_metrics: int = 14, n_states: int = 5) -> np.ndarray:
    rng = np.random.default_rng(0)
    means, roots = 1.5 * rng.normal(size=(n_states, n_metrics)), 0.4 * rng.normal(size=(n_states, n_metrics, n_metrics))
    trans = 0.02 * rng.dirichlet(np.ones(n_states), n_states) + 0.98 * np.eye(n_states)
    out = np.empty((runs, length, n_metrics))
    for run in out:
        state = rng.integers(n_states)
        for row in run:
            row[:] = means[state] + roots[state] @ rng.normal(size=n_metrics) + 0.3 * rng.normal(size=n_metrics)
            state = rng.choice(n_states, p=trans[state])
    return out


def clock(action: Callable[[], object]) -> tuple[float, object]:
    start = time.process_time()
    result = action()
    return time.process_time() - start, result


def peer(frames: Frames, start: Parameters, restart: int, implementation: str = "log") -> list[float]:
    """Fit one restart with hmmlearn; return its log-likelihoods."""
    model = GaussianHMM(
        start.start.shape[1],
        covariance_type="full" if start.full else "diag",
        n_iter=ITERATIONS,
        tol=-np.inf,
        init_params="",
        implementation=implementation,
    )
    model.startprob_, model.transmat_ = start.start[restart].copy(), start.trans[restart].copy()
    model.means_, model.covars_ = start.means[restart].copy(), start.covars[restart].copy()
    model.fit(frames.x, frames.lengths)
    return list(model.monitor_.history)


def compare(frames: Frames, covariance: str, n_states: int, repeats: int) -> tuple[float, float, float, int]:
    """Return seconds of ours, of hmmlearn (scaled), the largest relative difference, and log-space fallbacks."""
    settings = FitSettings(
        covariance=covariance,
        restarts=RESTARTS,
        iterations=ITERATIONS,
        tolerance=-np.inf,
        workers=1,
        mode="compat",
        prior=1e-2,  # hmmlearn's
    )
    start = starting_points(frames, n_states, settings, None)
    ours, theirs, difference, fallbacks = np.inf, np.inf, 0.0, 0
    for repeat in range(repeats):
        seconds, batch = clock(lambda: fit_batch(frames, start, settings))
        ours, fallbacks = min(ours, seconds), batch.fallbacks
        restart = repeat % PEER_RESTARTS
        seconds, history = clock(lambda restart=restart: peer(frames, start, restart))
        theirs = min(theirs, seconds)
        if not batch.failures[restart]:
            mine = np.array(batch.history[restart])
            difference = max(difference, float(np.abs(mine / np.array(history) - 1).max()))
    return ours, theirs * RESTARTS, difference, fallbacks


def speed(workloads: dict[str, Frames], states: list[int], repeats: int) -> None:
    print(f"{RESTARTS} restarts, {ITERATIONS} iterations, CPU seconds, minimum of {repeats} interleaved repeats")
    print("data       cov   K   ours s  hmmlearn s  ratio  max rel. diff.  fallbacks")
    for name, frames in workloads.items():
        for covariance in ("diag", "full"):
            total = np.zeros(2)
            for k in states:
                ours, theirs, gap, lost = compare(frames, covariance, k, repeats)
                total += ours, theirs
                row = f"{k:3} {ours:8.2f} {theirs:11.1f} {theirs / ours:6.1f} {gap:15.1e} {lost:10}"
                print(f"{name:10} {covariance} {row}", flush=True)
            print(f"{name:10} {covariance} all {total[0]:7.2f} {total[1]:11.1f} {total[1] / total[0]:6.1f}", flush=True)


def selection(workloads: dict[str, Frames]) -> None:
    print("\nwhole selection: K = 1..8, 8 restarts, 32 iterations, 40 x 500 x 14, two threads")
    options = {"restarts": 8, "iterations": 32, "tolerance": -np.inf, "workers": 2}
    for name, frames in workloads.items():
        for covariance in ("diag", "full"):
            wall, cpu = time.perf_counter(), time.process_time()
            found = select_hmm(frames, range(1, 9), covariance=covariance, **options)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(f"{name:10} {covariance} {wall:6.2f} s wall, {cpu:6.2f} s of cores; K = {found.n_states}", flush=True)


def main() -> None:
    logging.disable(logging.CRITICAL)
    quick = "--quick" in sys.argv
    real = prepare_sequences(parity_runs()[0]).frames
    workloads = {"real": real, "synthetic": prepare_sequences(synthetic_runs()).frames}
    for covariance in ("diag", "full"):  # compile before the clock starts
        fit_hmm(as_frames([real.x[:50]]), 2, covariance=covariance, restarts=2, iterations=2)
    with blas_threads(1):
        speed(workloads, [2, 5, 8] if quick else list(range(2, 9)), 2 if quick else 4)
        selection(workloads)


if __name__ == "__main__":
    main()
