"""Trimmed distances, exact trimming levels, and levels of many runs over many resamplings.

    python benchmarks/bench_trimming.py [--published robustkstest_ray.py] [--runs 1000] [--repeats 20]

The peer is the authors' inner function (github.com/Sinjini77/RobustKSTest, file robustkstest_ray.py), called directly
without its worker pool: hand in a copy of the file with --published; it needs statsmodels (the bench extra). It takes
seconds a distance, so a few distances are timed, in turns with ours, and multiplied by their number. CPU seconds.
"""

from __future__ import annotations

import argparse
import ast
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import runspread as rs
from runspread.methods.trimming import trimmed_distance, trimming_level
from runspread.methods.trimming.defaults import GRID
from runspread.methods.trimming.levels import prepare, threshold_terms
from runspread.methods.trimming.nodes import smallest_level

SIZE, CANDIDATES = 5000, 10


def samples(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a reference and candidates that are contaminated by 0 to 40 %."""
    rng = np.random.default_rng(seed)
    candidates = rng.normal(size=(CANDIDATES, SIZE))
    inside = rng.random(candidates.shape) < np.linspace(0, 0.4, CANDIDATES)[:, None]
    candidates[inside] = rng.normal(5, 0.5, size=int(inside.sum()))
    return rng.normal(size=SIZE), candidates


def cpu(action: Callable[[], object]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started


def best(action: Callable[[], object], repeats: int) -> float:
    return min(cpu(action) for _ in range(repeats))


def published_distance(path: Path) -> Callable[[np.ndarray, np.ndarray, float], float]:
    """Return the authors' inner function from their file, freed of its worker pool."""
    from scipy import interpolate

    try:
        from statsmodels.distributions.empirical_distribution import ECDF
    except ModuleNotFoundError:
        raise SystemExit("the peer needs statsmodels: pip install 'runspread[bench]'") from None
    tree = ast.parse(path.read_text())
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "calc_trimdk")
    function.decorator_list = []
    code = compile(ast.Module([function], []), str(path), "exec")

    def distance(reference: np.ndarray, candidate: np.ndarray, alpha: float) -> float:
        names = {"np": np, "interpolate": interpolate, "ECDF": ECDF, "print": lambda *_: None}
        names |= {"alpha": [alpha], "Rnd1": candidate[None], "Rnd2": reference, "s1": 0}
        exec(code, names)
        return names["calc_trimdk"]([0, 0])[0]

    return distance


def against_the_published(path: Path, repeats: int, distances: int = 3) -> None:
    reference, candidates = samples()
    peer = published_distance(path)
    theirs, ours, apart = [], [], 0.0
    for turn in range(distances):
        candidate, alpha = candidates[3 * turn], GRID[4 * turn]
        started = time.process_time()
        value = peer(reference, candidate, alpha)
        theirs.append(time.process_time() - started)
        ours.append(best(lambda: trimmed_distance(reference, candidates, GRID, mode="published"), repeats))
        apart = max(apart, abs(value - trimmed_distance(reference, candidate, alpha, mode="published")[0]))
    total, fast = min(theirs) * CANDIDATES * len(GRID), min(ours)
    print(f"published function, one distance          {min(theirs):10.3f} s (of {distances})")
    print(f"published function, 130 distances         {total:10.1f} s (multiplied)")
    print(f"ours in published mode, 130 distances     {1e3 * fast:10.2f} ms    {total / fast:,.0f} times less")
    print(f"largest difference                        {apart:10.1e}")


def distances_and_levels(repeats: int) -> None:
    reference, candidates = samples()
    pair = prepare(reference, candidates, "step")
    delta = threshold_terms("dkw", 0.01, SIZE, SIZE, "step")
    chunks = list(pair.nodes())
    rows = (
        ("130 distances, with sorting", lambda: trimmed_distance(reference, candidates, GRID), 50.0),
        ("exact levels of the 10, on top", lambda: [smallest_level(nodes, delta) for nodes in chunks], 5.0),
        ("exact levels of the 10, from scratch", lambda: trimming_level(reference, candidates), None),
    )
    for name, action, target in rows:
        measured = 1e3 * best(action, repeats)
        print(f"{name:41s} {measured:10.2f} ms" + (f"    target {target:.0f} ms" if target else ""))


def many_runs(runs: int, examples: int = 2000, replicates: int = 100) -> None:
    """Time as many candidates against as many references: seed noise, and scale and shift of each run's own."""
    rng = np.random.default_rng(1)
    signal = rng.choice([-3.0, 3.0], size=examples) + 2 * rng.normal(size=examples)
    own = [np.exp(0.1 * rng.normal(size=(2 * runs, 1))), 0.2 * rng.normal(size=(2 * runs, 1))]
    gaps = (signal + rng.normal(size=(2 * runs, examples))) * own[0] + own[1]
    for mode in ("step", "published"):
        wall = time.perf_counter()
        used = cpu(lambda mode=mode: rs.trimming(gaps[:runs], gaps[runs:], mode=mode, replicates=replicates))
        wall = time.perf_counter() - wall
        name = f"{runs} runs x {replicates} replicates, {mode}"
        print(f"{name:41s} {used:10.1f} s CPU, {wall:.1f} s wall    target 120 s wall")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, help="the authors' robustkstest_ray.py")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    print(f"reference {SIZE}, {CANDIDATES} candidates of {SIZE}, {len(GRID)} levels")
    distances_and_levels(options.repeats)
    if options.published:
        against_the_published(options.published, options.repeats)
    else:
        print("published function: not timed, hand in the authors' file with --published")
    many_runs(options.runs)


if __name__ == "__main__":
    main()
