"""Scores, one number per run: how fast many arms and long tables are, and beside rliable and autorank.

python benchmarks/bench_scores.py [--rows 1000000] [--only speed rliable autorank]

A peer that is not installed is skipped with the reason. rliable and autorank need much that runspread does not: install
them into an environment of their own.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from runspread.methods.scores import compare_scores, percentile_interval, rank_scores, run_scores, t_boot_interval
from runspread.methods.scores.aggregates import AGGREGATES, aggregate_of, improvement, profiles
from runspread.methods.scores.tasks import task_ranks

RUNS, TASKS, DRAWS = 5, 26, 2000


def seconds(action: Callable[[], object], times: int = 1) -> float:
    """Return processor seconds of one call, the least of several."""
    found = []
    for _ in range(times):
        started = time.process_time()
        action()
        found.append(time.process_time() - started)
    return min(found)


def table(path: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.9, 0.01, rows)
    lines = (f"{'new' if k % 2 else 'old'},{k},{value:.6f}" for k, value in enumerate(values))
    path.write_text("method,seed,accuracy\n" + "\n".join(lines) + "\n")


def speed(arms: int, rows: int) -> None:
    """Print the goals of the specification: 10,000 arms in 10 s, a million rows in 5 s."""
    several = {str(k): x for k, x in enumerate(np.random.default_rng(0).normal(size=(arms, 5)))}
    spent = seconds(lambda: rank_scores(several, metric="return"))
    print(f"{arms:,} arms of 5 runs ranked      {spent:8.2f} s (goal for 10,000: 10 s)")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.csv"
        table(path, rows)
        spent = seconds(lambda: run_scores(path, metric="accuracy"))
        print(f"{rows:,} rows of CSV summarised {spent:8.2f} s (goal for 1,000,000: 5 s)")
        spent = seconds(lambda: compare_scores(path, metric="accuracy"))
        print(f"{rows:,} rows of CSV compared   {spent:8.2f} s")


def cells_of(scores: np.ndarray) -> list[np.ndarray]:
    """Return an arm's runs on each task, of scores [runs, tasks]."""
    return list(scores.T.copy())


def beside_rliable() -> None:
    """Print point estimates, time of the bootstrap and coverage at three runs, beside rliable's."""
    from rliable import library, metrics

    rng = np.random.default_rng(0)
    a, b = (rng.normal(0.5 + shift, 0.2, (RUNS, TASKS)) for shift in (0.0, 0.1))
    theirs = {
        "mean": metrics.aggregate_mean,
        "median": metrics.aggregate_median,
        "iqm": metrics.aggregate_iqm,
        "optimality_gap": metrics.aggregate_optimality_gap,
    }
    taus = np.linspace(0, 1, 21)
    apart = [abs(theirs[kind](a) - aggregate_of(cells_of(a), kind)) for kind in AGGREGATES]
    peer_profile = np.array([library.run_score_deviation(a, tau) for tau in taus])
    apart.append(float(np.abs(peer_profile - profiles([cells_of(a)], taus)[0][0]).max()))
    apart.append(abs(metrics.probability_of_improvement(a, b) - improvement([cells_of(a), cells_of(b)])[0, 1]))
    print(f"rliable: largest difference of six point estimates {max(apart):.1e}")
    for kind in AGGREGATES:
        own = seconds(lambda kind=kind: t_boot_interval([cells_of(a)], kind, 0.95, draws=DRAWS), 3)
        peer = seconds(
            lambda kind=kind: library.get_interval_estimates(
                {"a": a}, lambda x, kind=kind: np.array([theirs[kind](x)]), reps=DRAWS
            )
        )
        took = f"{peer:7.3f} s, here {own:7.4f} s: {peer / own:5.0f} times"
        print(f"rliable: interval of the {kind:<14} by {DRAWS:,} resamples {took}")
    _coverage(library, theirs)


def _coverage(library: object, theirs: dict[str, Callable[..., float]], sets: int = 150) -> None:
    """Print how often intervals at 95 % hold the truth with three runs of ten tasks."""
    rng, hits = np.random.default_rng(1), dict.fromkeys(("rliable", "percentile", "t-boot"), 0)
    for seed in range(sets):
        scores = rng.normal(size=(3, 10))
        low, high = library.get_interval_estimates(  # type: ignore[attr-defined]
            {"a": scores}, lambda x: np.array([theirs["iqm"](x)]), reps=200
        )[1]["a"].ravel()
        hits["rliable"] += int(low <= 0 <= high)
        low, high = percentile_interval([cells_of(scores)], "iqm", 0.95, draws=200, seed=seed)
        hits["percentile"] += int(low <= 0 <= high)
        _, low, high = t_boot_interval([cells_of(scores)], "iqm", 0.95, draws=200, seed=seed)
        hits["t-boot"] += int(low <= 0 <= high)
    shares = ", ".join(f"{name} {100 * number / sets:.0f} %" for name, number in hits.items())
    print(f"coverage of 95 % intervals of the IQM, 3 runs of 10 tasks, {sets} data sets: {shares}")


def beside_autorank() -> None:
    """Print average ranks, Friedman's p and the critical distance beside autorank's, and the time of both."""
    import pandas as pd
    from autorank import autorank

    rng = np.random.default_rng(0)
    means = rng.normal(size=(6, 20)) + 0.4 * np.arange(6)[:, None]
    frame = pd.DataFrame(means.T, columns=[f"m{k}" for k in range(6)])
    with contextlib.redirect_stdout(io.StringIO()):
        found = autorank(frame, alpha=0.05, force_mode="nonparametric")
        peer = seconds(lambda: autorank(frame, alpha=0.05, force_mode="nonparametric"))
    own = task_ranks(means)
    ranks = found.rankdf.loc[list(frame.columns), "meanrank"].to_numpy()
    apart = [float(np.abs(ranks - own.ranks).max()), abs(found.pvalue - own.p_friedman), abs(found.cd - own.nemenyi_cd)]
    print(
        f"autorank: differences of average ranks {apart[0]:.1e}, Friedman's p {apart[1]:.1e}, "
        f"critical distance {apart[2]:.1e}"
    )
    print(f"autorank: {peer:.3f} s, here {seconds(lambda: task_ranks(means), 3):.4f} s")


def missing(names: Sequence[str]) -> str:
    """Return which modules are not installed; nothing if all are."""
    return ", ".join(name for name in names if importlib.util.find_spec(name) is None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="+", choices=("speed", "rliable", "autorank"))
    options = parser.parse_args()
    wanted = options.only or ("speed", "rliable", "autorank")
    if "speed" in wanted:
        speed(options.arms, options.rows)
    for name, needs, run in (
        ("rliable", ("rliable", "arch"), beside_rliable),
        ("autorank", ("autorank", "pandas"), beside_autorank),
    ):
        if name in wanted:
            lacking = missing(needs)
            if lacking:
                print(f"{name}: skipped, {lacking} not installed")
            else:
                run()


if __name__ == "__main__":
    main()
