"""Typical runs, and runs of the same code.

Outputs are margins `s_i + e_ri`, signal and noise normal, with a normal shift for each run (standard deviation 0.4) but
where no spread is said; old and new runs, or a run and its references, have one distribution unless the setting says
otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import runspread as rs
from runspread.methods.trimming import trimming_level
from simulations.promises import Promise, promise

EXAMPLES = 60
ALARM, FIVE = "a difference is shown where there is none (epsilon 0.05, alpha 0)", (0.0, 0.05)
COVERAGE = (0.92, 0.98)  # of an interval at 95 %


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    yield from false_alarms(max(50, round(400 * scale)))
    yield from differences(max(20, round(100 * scale)))
    yield from bounds(max(50, round(400 * scale)))
    yield from typical_runs(max(50, round(400 * scale)))
    yield from correlations(max(50, round(300 * scale)))
    yield from sizes(max(20, round(100 * scale)))


def margins(rng: np.random.Generator, runs: int, signal: np.ndarray, kind: str = "") -> np.ndarray:
    """Return scalar outputs [runs, examples] of one distribution."""
    gaps = signal + rng.normal(size=(runs, len(signal)))
    if kind != "no spread":
        gaps = gaps + 0.4 * rng.normal(size=(runs, 1))
    if kind == "rounded":
        return np.round(gaps)
    if kind == "two values":
        return np.where(gaps > 0, 1.0, -1.0)
    if kind == "failing":  # one run in ten is worthless
        return np.where(rng.random((runs, 1)) < 0.1, rng.normal(size=gaps.shape), gaps)
    return gaps


def task(rng: np.random.Generator, examples: int = EXAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and the signal of the examples."""
    labels = rng.integers(2, size=examples)
    return labels, (2 * labels - 1) + rng.normal(size=examples)


def _differs(old: np.ndarray, new: np.ndarray, **settings: object) -> bool:
    return not rs.same(old, new, permutations=199, **settings).same


def false_alarms(sets: int) -> Iterator[Promise]:
    """Call runs of one code different as rarely as epsilon says."""
    settings = [
        *((6, 6, kind) for kind in ("", "rounded", "two values", "failing")),
        *((old, new, kind) for old, new in ((4, 9), (3, 30), (12, 12)) for kind in ("", "rounded")),
    ]
    for number, (n_old, n_new, kind) in enumerate(settings):
        for labelled in (False, True):
            rng = np.random.default_rng([30, number, labelled])
            alarms = []
            for seed in range(sets):
                labels, signal = task(rng)
                pair = [margins(rng, runs, signal, kind) for runs in (n_old, n_new)]
                known = {"labels": labels} if labelled else {}
                alarms.append(_differs(*pair, alpha=0.0, epsilon=0.05, seed=seed, **known))
            which = f"{n_old} old and {n_new} new runs, {'with' if labelled else 'without'} labels"
            yield promise(ALARM, f"{which}{f', {kind}' if kind else ''}", FIVE, alarms)
    rng = np.random.default_rng(31)
    alarms = []
    for seed in range(sets):
        _, signal = task(rng)
        old, new = np.repeat(margins(rng, 4, signal), 3, axis=0), margins(rng, 12, signal)
        alarms.append(_differs(old, new, alpha=0.0, epsilon=0.05, seed=seed))
    yield promise(ALARM, "12 old and 12 new runs, the old ones 4 runs in three copies", FIVE, alarms)


def differences(sets: int) -> Iterator[Promise]:
    """Never pass what shares nothing, and see answers that moved."""
    for n_old, n_new in ((5, 5), (4, 5), (2, 13), (1, 99)):
        rng = np.random.default_rng([32, n_old])
        passed = []
        for seed in range(sets):
            old, new = rng.normal(size=(n_old, 40)), rng.normal(10, 1, size=(n_new, 40))
            passed.append(rs.same(old, new, seed=seed).same)
        setting = f"{n_old} and {n_new} runs of N(0, 1) and N(10, 1)"
        yield promise("no difference is shown of models that share nothing (defaults)", setting, (0.0, 0.0), passed)
    for runs in (6, 8):
        rng = np.random.default_rng([33, runs])
        seen = []
        for seed in range(sets):
            labels, signal = task(rng, 200)
            old, new = (margins(rng, runs, 2 * signal) for _ in range(2))
            moved = new[:, rng.permutation(200)]
            seen.append(not rs.same(old, moved, labels=labels, seed=seed).same)
        setting = f"{runs} and {runs} runs with labels"
        yield promise("a difference is shown of outputs in another order (defaults)", setting, (0.99, 1.0), seen)


def bounds(sets: int) -> Iterator[Promise]:
    """Hold for these runs where examples are independent, and say nothing of seeds."""
    for kind, assumed in (("no spread", True), ("", False)):
        rng = np.random.default_rng([34, assumed])
        alarms = []
        for _ in range(sets):
            pair = [margins(rng, runs, task(rng, 300)[1], kind) for runs in (3, 4)]
            alarms.append(not rs.same(*pair, threshold="dkw", alpha=0.0, epsilon=0.05).same)
        spread = "no spread between runs" if assumed else "runs differ by their seeds"
        setting = f"threshold dkw, 3 and 4 runs on 300 examples each, {spread}"
        yield promise(ALARM, setting, FIVE, alarms, assumed=assumed)


def typical_runs(sets: int) -> Iterator[Promise]:
    """Call a run of the average run's distribution distinguishable as rarely as epsilon says."""
    for resample, replicates in (("split", 1), ("split", 40), ("bootstrap", 40)):
        rng = np.random.default_rng(35)
        found = []
        for seed in range(sets):
            _, signal = task(rng, 400)
            gaps = margins(rng, 21, signal, "no spread")
            level = rs.trimming(gaps[:1], gaps[1:], resample=resample, replicates=replicates, seed=seed, epsilon=0.05)
            found.append(bool(level.rejected[0] > 0.5))
        setting = f"resample {resample}, epsilon 0.05, 20 references, 400 examples"
        often = "a replicate" if replicates == 1 else "more than half of 40 replicates"
        yield promise(
            f"a run of the average distribution is called distinguishable in {often}",
            setting,
            FIVE,
            found,
            assumed=resample == "split",
        )
    rng = np.random.default_rng(36)
    beyond = []
    for _ in range(sets):
        reference, candidate = rng.normal(size=300), rng.normal(size=300)
        candidate[rng.random(300) < 0.3] += 10
        beyond.append(trimming_level(reference, candidate, threshold="rigorous", epsilon=0.05) > 0.3)
    setting = "threshold rigorous, epsilon 0.05, 30 % of another distribution, 300 examples each"
    yield promise("the level is above the true contamination", setting, FIVE, beyond)


def correlations(sets: int) -> Iterator[Promise]:
    """Cover the rank correlation of level and score with the interval over runs."""
    from runspread.methods.trimming.comparison import _rank_correlations

    for runs, rho in ((10, 0.0), (30, 0.0), (30, 0.7), (100, 0.7)):
        rng = np.random.default_rng([37, runs, int(10 * rho)])
        truth = 6 / np.pi * np.arcsin(rho / 2)
        covered = []
        for seed in range(sets):
            level = rng.normal(size=runs)
            score = rho * level + np.sqrt(1 - rho**2) * rng.normal(size=runs)
            _, low, high = _rank_correlations(level, score[None], 0.95, 500, np.random.default_rng(seed))
            covered.append(bool(low[0] <= truth <= high[0]))
        setting = f"{runs} runs, true rank correlation {truth:.2f}"
        yield promise("interval of the rank correlation with the level", setting, COVERAGE, covered)


def sizes(sets: int) -> Iterator[Promise]:
    """Give an interval that holds the size that a great many subsets of these runs give."""
    rng = np.random.default_rng(38)
    gaps = margins(rng, 16, task(rng, 160)[1])
    settings = {"sizes": [1, 2, 3, 4, 6, 8], "kinds": ("mixture",), "epsilon": 0.2}
    truth = rs.representative_size(gaps, replicates=2000, seed=10**6, **settings).recommended() or np.inf
    covered = []
    for seed in range(sets):
        low, high = rs.representative_size(gaps, seed=seed, **settings).interval()
        covered.append(bool((low or np.inf) <= truth <= (high or np.inf)))
    setting = f"16 runs, 160 examples, 100 subsets; 2,000 subsets say {truth:g}"
    yield promise("interval of the representative size over subsets", setting, (0.95, 1.0), covered)
