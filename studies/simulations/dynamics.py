"""Training dynamics.

Runs of three metrics that stay for a while in one phase after another, with normal noise of standard deviation 0.3, and
converge when they reach the last one; 20 runs of 60 checkpoints, but where the setting says otherwise. A false detour
is a state that is called one, or a shortcut around it, where nothing that a run passes has to do with when it
converges. Fits take few restarts of few iterations. What is not simulated: agreement over starts and resamples
(`map_stability`), influences and movements of edges, Brier scores and probabilities of routes, which describe and
decide nothing; metrics excluded as copies and convergence times, which are computed exactly; and detours by the
published rule, which promises nothing (one row shows it). Convergence times are given no interval of their own, and
with 6 runs or fewer no detour can be shown, which the sentence says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import runspread as rs
from runspread.methods.dynamics import (
    PrefixPrediction,
    TrainingDynamics,
    compare_maps,
    outcome_regression,
    predict_from_prefix,
)
from runspread.methods.hmm import HiddenMarkovModel, select_hmm
from simulations.promises import Promise, promise

SIZE = (0.0, 0.05)  # of a test at 5 %
COVERAGE = (0.92, 0.98)  # of an interval at 95 %
FOUND = (0.9, 1.0)
LEVEL = np.array([(0, 0, 0), (2, 1, 0), (2, -4, 4), (5, 3, 1)], float)  # of the metrics in each phase
LENGTH, NOISE = 60, 0.3
FAST: dict[str, Any] = {"restarts": 2, "iterations": 25, "permutations": 1}
FALSE = "a false detour or shortcut"
WAYS = {"run": "each run standardised", "pooled": "standardised together"}
CHANGES = {
    "dissimilarity_change": "the change of distance between runs",
    "convergence_change": "the change of convergence",
}

Runs = tuple[list[np.ndarray], np.ndarray]  # metrics of each run, and when it converged


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    yield from false_detours(max(20, round(80 * scale)))
    yield from detours(max(10, round(30 * scale)))
    yield from numbers_of_states(max(10, round(30 * scale)))
    yield from equal_groups(max(10, round(80 * scale)))
    yield from changed_groups(max(10, round(30 * scale)))
    yield from nothing_to_predict(max(10, round(50 * scale)))
    yield from an_effect_to_predict(max(10, round(15 * scale)))
    yield from regressions(max(50, round(400 * scale)))
    yield from areas(max(50, round(400 * scale)))
    yield from live_risk(max(20, round(60 * scale)))


def drawn(rng: np.random.Generator, paths: list[Any], noise: float = NOISE) -> list[np.ndarray]:
    """Return metrics [T, 3] of runs that go through the given phases."""
    return [LEVEL[np.asarray(path)] + noise * rng.normal(size=(len(path), 3)) for path in paths]


def stays(rng: np.random.Generator, runs: int, longest: int = 16) -> Runs:
    """Let all runs go the same way, at paces of their own."""
    times = rng.integers(5, longest + 1, size=(runs, 2))
    return drawn(rng, [np.repeat([0, 1, 3], [a, b, LENGTH - a - b]) for a, b in times]), times.sum(axis=1)


def forked(rng: np.random.Generator, runs: int, share: float = 0.3, extra: int = 12) -> Runs:
    """Let some runs go through a phase of their own, which takes `extra` checkpoints."""
    times, taken = rng.integers(5, 12, size=(runs, 2)), rng.random(runs) < share
    spent = [(a, b, extra * took) for (a, b), took in zip(times, taken, strict=True)]
    paths = [np.repeat([0, 1, 2, 3], [*each, LENGTH - sum(each)]) for each in spent]
    return drawn(rng, paths), np.array([sum(each) for each in spent])


def shuffled(rng: np.random.Generator, runs: int) -> Runs:
    """Let some runs fork, and converge whenever."""
    metrics, when = forked(rng, runs)
    return metrics, rng.permutation(when)


def excursions(rng: np.random.Generator, runs: int, after: int = LENGTH) -> Runs:
    """Let any run, at any checkpoint, make a short excursion; it ends `after` it converges, or at the usual length."""
    times, paths = rng.integers(5, 25, size=(runs, 2)), []
    for a, b in times:
        path = np.repeat([0, 1, 3], [a, b, min(after, LENGTH - a - b)])
        for start in np.flatnonzero(rng.random(len(path)) < 0.01):
            path[start : start + 4] = 2
        paths.append(path)
    return drawn(rng, paths), times.sum(axis=1)


def stopped(rng: np.random.Generator, runs: int) -> Runs:
    """Let any run make excursions, and end soon after it converges: slow runs have more time for them."""
    return excursions(rng, runs, after=6)


def smooth(rng: np.random.Generator, runs: int, every: int = 1) -> Runs:
    """Let metrics rise smoothly, later and more slowly in some runs than in others."""
    metrics, when = [], []
    for centre in rng.uniform(12, 40, size=runs):
        t, width = np.arange(0, LENGTH, every), centre / 8
        late, early = (1 / (1 + np.exp(-(t - c) / width)) for c in (centre, 0.6 * centre))
        metrics.append(np.stack([late, early, 1 - late * early], axis=1) + 0.05 * rng.normal(size=(len(t), 3)))
        when.append(int(np.argmax(late > 0.9)) if (late > 0.9).any() else -1)
    return metrics, np.array(when)


def coarse(rng: np.random.Generator, runs: int) -> Runs:
    """Log every sixth checkpoint of smooth runs: quick ones pass a state in between."""
    return smooth(rng, runs, every=6)


def failing(rng: np.random.Generator, runs: int) -> Runs:
    """Let some runs fork, converge whenever, and one in five never."""
    metrics, when = shuffled(rng, runs)
    return metrics, np.where(rng.random(runs) < 0.2, -1, when)


def tied(rng: np.random.Generator, runs: int) -> Runs:
    """Let some runs fork, and converge at one of two checkpoints."""
    return forked(rng, runs)[0], rng.choice([30, 40], size=runs)


def analysed(data: Runs, states: Any, standardize: str = "pooled", **options: Any) -> TrainingDynamics:
    """Return the dynamics of runs."""
    return rs.dynamics(data[0], outcome=data[1].tolist(), states=states, standardize=standardize, **FAST | options)


def _blamed(found: TrainingDynamics) -> bool:
    return bool(found.detours) or bool(found.skipped.any())


def false_detours(sets: int) -> Iterator[Promise]:
    """Blame states where none is to blame."""
    settings: list[tuple[str, Callable[..., Runs], int, Any, tuple[str, ...]]] = [
        ("all go the same way at paces of their own", stays, 20, [3, 4], ("run", "pooled")),
        ("metrics rise smoothly, at paces of their own", smooth, 20, [3, 4], ("run", "pooled")),
        ("metrics rise smoothly, at paces of their own, and have 10 checkpoints", coarse, 20, [3, 4], ("pooled",)),
        ("three in ten fork, and converge whenever", shuffled, 20, [4], ("run", "pooled")),
        ("three in ten fork, and converge whenever", shuffled, 60, [4], ("pooled",)),
        ("three in ten fork, one in five never converges", failing, 20, [4], ("pooled",)),
        ("three in ten fork, and converge at one of two times", tied, 20, [4], ("pooled",)),
        ("three in ten fork, and converge whenever", shuffled, 8, [4], ("pooled",)),
        ("excursions at any time", excursions, 20, [4], ("pooled",)),
        ("excursions at any time; runs end when they converge", stopped, 20, [4], ("pooled",)),
    ]
    for drawn_as, draw, runs, states, ways in settings:
        for how in ways:
            rng = np.random.default_rng([1, runs, len(drawn_as)])
            found = [_blamed(analysed(draw(rng, runs), states, how)) for _ in range(sets)]
            yield promise(FALSE, f"{runs} runs, {drawn_as}; {WAYS[how]}", SIZE, found)
    rng = np.random.default_rng(2)
    found = [bool(analysed(stays(rng, 20), [4], preset="paper").detours) for _ in range(max(20, sets // 2))]
    published = "a false detour by the published rule"
    yield promise(published, "20 runs, all go the same way at paces of their own", SIZE, found, assumed=False)


def detours(sets: int) -> Iterator[Promise]:
    """Find detours that are there, and say by how much they delay."""
    extra = 12
    for runs, kept in ((20, True), (40, True), (8, False), (5, False)):
        for standardize in ("run", "pooled") if kept else ("pooled",):
            rng = np.random.default_rng([3, runs])
            found = [analysed(forked(rng, runs, extra=extra), [3, 4], standardize) for _ in range(sets)]
            setting = f"{runs} runs, three in ten of which take one of {extra} checkpoints; {WAYS[standardize]}"
            yield promise("a detour is found", setting, FOUND, [bool(x.detours) for x in found], assumed=kept)
            gaps = [x.convergence_difference(state) for x in found for state in x.detours[:1]]
            gaps = [gap for gap in gaps if gap[1] <= gap[2]]
            if gaps:
                covered = [low <= extra <= high for _, low, high in gaps]
                yield promise("interval of the delay by a detour", setting, (0.92, 1.0), covered, assumed=kept)
    rng = np.random.default_rng(4)
    weak = [analysed(forked(rng, 20, extra=3), [4]) for _ in range(2 * sets)]
    shown = [x.convergence_difference(state) for x in weak for state in x.detours[:1]]
    setting = f"20 runs, a delay of 3 checkpoints, shown in {len(shown)} of {len(weak)} data sets: those alone"
    covered = [low <= 3 <= high for _, low, high in shown]
    if covered:
        yield promise("interval of the delay by a detour", setting, COVERAGE, covered, assumed=False)


def chain(rng: np.random.Generator, states: int, runs: int = 12, length: int = 50) -> list[np.ndarray]:
    """Draw runs of a hidden Markov model whose states are apart."""
    means, mixing = 2 * rng.normal(size=(states, 3)), rng.normal(size=(states, 3, 3))
    roots = [np.linalg.cholesky(0.3 * np.eye(3) + a @ a.T / 3) for a in mixing]
    trans = 0.95 * np.eye(states) + 0.05 * rng.dirichlet(np.ones(states), states)
    out = np.empty((runs, length, 3))
    for run in out:
        state = rng.integers(states)
        for row in run:
            row[:] = means[state] + roots[state] @ rng.normal(size=3)
            state = rng.choice(states, p=trans[state])
    return list(out)


def wandering(rng: np.random.Generator, runs: int = 12, length: int = 50) -> list[np.ndarray]:
    """Draw runs without phases whose noise lasts (autocorrelation 0.9)."""
    noise = rng.normal(size=(runs, length, 3))
    for t in range(1, length):
        noise[:, t] = 0.9 * noise[:, t - 1] + 0.19**0.5 * noise[:, t]
    return list(noise)


def numbers_of_states(sets: int) -> Iterator[Promise]:
    """Find the number of states, and no more."""
    for truth in (1, 2, 3):
        rng = np.random.default_rng([5, truth])
        data = [chain(rng, truth) for _ in range(sets)]
        for preset in ("default", "paper"):
            options = {"restarts": 5, "iterations": 50} if preset == "default" else {}
            found = np.array([select_hmm(x, range(1, truth + 3), preset=preset, **options).n_states for x in data])
            rule = "" if preset == "default" else ", the published rule"
            setting = f"12 runs of 50 checkpoints, {truth} state{'s' if truth > 1 else ''}"
            kept = preset == "default"
            yield promise(f"more states than there are{rule}", setting, SIZE, found > truth, assumed=kept)
            yield promise(f"the number of states is right{rule}", setting, FOUND, found == truth, assumed=kept)
    rng = np.random.default_rng(6)
    found = [select_hmm(wandering(rng), [1, 2, 3], restarts=5, iterations=50).n_states > 1 for _ in range(sets)]
    yield promise(
        "more states than there are", "12 runs without phases, noise that lasts (0.9)", SIZE, found, assumed=False
    )


def _compared(rng: np.random.Generator, runs: tuple[int, int], shares: tuple[float, float], how: str) -> Any:
    before, after = (analysed(forked(rng, n, share), [4], how) for n, share in zip(runs, shares, strict=True))
    return compare_maps(before, after, bootstraps=400)


def _holds(interval: tuple[float, float, float], truth: float) -> bool:
    return interval[1] <= truth <= interval[2]


def equal_groups(sets: int) -> Iterator[Promise]:
    """Compare groups of one distribution."""
    settings = (((10, 10), "run"), ((10, 10), "pooled"), ((30, 30), "pooled"), ((12, 30), "pooled"))
    for runs, how in settings:
        rng = np.random.default_rng([7, *runs, len(how)])
        found = [_compared(rng, runs, (0.3, 0.3), how) for _ in range(sets)]
        setting = f"{runs[0]} and {runs[1]} runs, three in ten of both take a detour; {WAYS[how]}"
        detour = [any(x.verdict(k) != "undecided" for k in x.detours) for x in found]
        yield promise("a detour is called rarer or more frequent, where it is not", setting, SIZE, detour)
        anyone = [any(x.verdict(k) != "undecided" for k in range(len(x.pvalue))) for x in found]
        yield promise("any state is called rarer or more frequent, where none is", setting, SIZE, anyone)
        worse = [any("less well" in note for note in x.warnings) for x in found]
        yield promise(
            "the map is said to describe the second runs less well, where both are alike", setting, SIZE, worse
        )
        if runs[0] >= 12:
            for what in ("dissimilarity_change", "convergence_change"):
                covered = [_holds(getattr(x, what), 0.0) for x in found]
                yield promise(f"interval of {CHANGES[what]}", setting, (0.92, 1.0), covered)


def changed_groups(sets: int) -> Iterator[Promise]:
    """Compare groups of which only the first takes the detour, or both in part."""
    rng = np.random.default_rng(8)
    found = [_compared(rng, (30, 30), (0.4, 0.0), "pooled") for _ in range(sets)]
    setting = "30 and 30 runs, four in ten take a detour before, none after"
    fewer = [any(x.verdict(k) == "rarer" for k in x.detours) for x in found]
    yield promise("a detour that went is called rarer", setting, (0.8, 1.0), fewer)
    covered = [_holds(x.convergence_change, -4.8) for x in found]
    yield promise("interval of the change of convergence", setting, (0.92, 1.0), covered)
    seldom = [_compared(rng, (30, 20), (0.4, 0.1), "pooled") for _ in range(sets)]
    setting = "30 and 20 runs, four in ten take a detour before, one in ten after"
    most = [x.most_after[k] >= 0.1 for x in seldom for k in x.detours]
    yield promise("at most so many runs take the detour after the change", setting, (0.95, 1.0), most)


def unrelated(rng: np.random.Generator, runs: int) -> Runs:
    """Let runs converge whenever."""
    return stays(rng, runs)[0], rng.integers(25, LENGTH, size=runs)


def later(rng: np.random.Generator, runs: int) -> Runs:
    """Let runs be alike until they part, late in training."""
    waits = rng.integers(5, 25, size=runs)
    return drawn(rng, [np.repeat([0, 1, 3], [3, 30 + w, LENGTH - 33 - w]) for w in waits]), 33 + waits


def some_fail(rng: np.random.Generator, runs: int) -> Runs:
    """Let one run in five never converge, the others whenever."""
    metrics, when = unrelated(rng, runs)
    return metrics, np.where(rng.random(runs) < 0.2, -1, when)


def two_times(rng: np.random.Generator, runs: int) -> Runs:
    """Let runs converge at one of two times."""
    return stays(rng, runs)[0], rng.choice([30, 40], size=runs)


def _predicted(data: Runs, states: int) -> PrefixPrediction:
    found = analysed(data, [states], restarts=2, iterations=20)
    return predict_from_prefix(found, restarts=1, iterations=20)


def nothing_to_predict(sets: int) -> Iterator[Promise]:
    """Look five times, where early states tell nothing."""
    settings = [
        ("all converge whenever", unrelated, 20, sets),
        ("all converge whenever", unrelated, 60, sets // 2),
        ("they part late in training", later, 20, sets),
        ("one in five never converges, the others whenever", some_fail, 20, sets),
        ("they converge at one of two times", two_times, 20, sets),
    ]
    for drawn_as, draw, runs, count in settings:
        rng = np.random.default_rng([9, runs, len(drawn_as)])
        found = [_predicted(draw(rng, runs), 3) for _ in range(max(10, count))]
        said = [bool((x.auc_low > 0.5).any()) for x in found]
        yield promise("early states are said to foretell slow runs", f"{runs} runs, five looks; {drawn_as}", SIZE, said)


def an_effect_to_predict(sets: int) -> Iterator[Promise]:
    """Look five times, where half of the runs take an early detour."""
    for runs, low in ((20, 0.5), (60, 0.9)):
        rng = np.random.default_rng([10, runs])
        found = []
        for _ in range(sets):
            times, taken = rng.integers((4, 10), (8, 14), size=(runs, 2)), rng.random(runs) < 0.5
            spent = [(a, 14 * took, b) for (a, b), took in zip(times, taken, strict=True)]
            paths = [np.repeat([0, 2, 1, 3], [*each, LENGTH - sum(each)]) for each in spent]
            prediction = _predicted((drawn(rng, paths), np.array([sum(each) for each in spent])), 4)
            found.append(bool((prediction.auc_low > 0.5).any()))
        setting = f"{runs} runs, half take an early detour of 14 checkpoints"
        yield promise("early states are found to foretell slow runs", setting, (low, 1.0), found)


def regressions(sets: int) -> Iterator[Promise]:
    """Regress convergence on shares of time in three states that are given."""
    for runs, strength in ((5, 0.15), (8, 0.15), (20, 0.15), (60, 0.15), (20, 0.5)):
        rng, covered = np.random.default_rng([11, runs, int(100 * strength)]), []
        for _ in range(sets):
            shares = rng.dirichlet([4, 4, 4], size=runs)
            spread = (0.04 * 2 / 3 / 13) ** 0.5  # of what is explained
            noise = spread * (1 / strength - 1) ** 0.5 * rng.normal(size=runs)
            fit = outcome_regression(shares, 1000 * (shares @ [0.2, 0.4, 0.6] + noise), [1000] * runs, permutations=1)
            covered.append(fit.r_squared_low <= strength <= fit.r_squared_high)
        yield promise("interval of R² on a given map", f"{runs} runs, true R² {strength:g}", (0.92, 0.99), covered)
    far = "one run in ten takes far longer"
    for runs, drawn_as in ((5, "normal times"), (8, "normal times"), (20, "normal times"), (20, far)):
        rng, tests = np.random.default_rng([12, runs, len(drawn_as)]), []
        for _ in range(sets):
            shares = rng.dirichlet([4, 4, 4], size=runs)
            times = rng.normal(500, 50, size=runs) + (2000 * (rng.random(runs) < 0.1) if drawn_as == far else 0)
            fit = outcome_regression(shares, times, [1000] * runs, permutations=199)
            tests.append((fit.f_pvalue < 0.05, fit.permutation_pvalue <= 0.05))
        setting = f"{runs} runs on a given map, nothing explains; {drawn_as}"
        yield promise("p of the F-test of R² below 0.05", setting, SIZE, [f for f, _ in tests], assumed=drawn_as != far)
        yield promise("p of the shuffled R² at most 0.05", setting, SIZE, [p for _, p in tests])


def areas(sets: int) -> Iterator[Promise]:
    """Cover the area under a ROC curve of normal scores."""
    from scipy.special import ndtr

    from runspread.methods.dynamics.intervals import auc_interval
    from runspread.methods.dynamics.prefix import _auc

    for runs, shift, ties in ((8, 1.2, 0), (20, 0.0, 0), (20, 1.2, 0), (60, 1.2, 0), (5, 1.2, 0), (20, 1.2, 1)):
        rng, covered = np.random.default_rng([13, runs, int(10 * shift), ties]), []
        truth = float(ndtr(shift / 2**0.5))
        for _ in range(sets):
            late = rng.permutation(runs) < runs // 2
            score = rng.normal(size=runs) + shift * late
            area = _auc(np.round(score) if ties else score, late)
            low, high = auc_interval(area, runs // 2, runs - runs // 2)
            covered.append(low <= truth <= high)
        setting = f"{runs} runs, true AUC {truth:.2f}{', scores with many ties' if ties else ''}"
        yield promise("interval of an AUC", setting, (0.92, 0.99), covered, assumed=runs >= 8 and not ties)


def live_risk(sets: int) -> Iterator[Promise]:
    """Follow 40 live runs of a hidden Markov model, and compare the sum of risks with how many take the detour."""
    trans = np.array([[0.85, 0.1, 0.05, 0], [0, 0.9, 0.02, 0.08], [0, 0.15, 0.85, 0], [0, 0, 0, 1]])
    true = HiddenMarkovModel(startprob=np.eye(4)[0], transmat=trans, means=LEVEL, covars=np.full((4, 3), NOISE**2))
    rng = np.random.default_rng(14)
    for at in (1, 10):
        rows = [_risks(rng, true, trans, at) for _ in range(sets)]
        near = [abs(risk.sum() - hit.sum()) <= 1.96 * np.sqrt((risk * (1 - risk)).sum()) + 0.5 for risk, hit in rows]
        what = "number of detours that the risks of 40 live runs of a known model add up to"
        yield promise(what, f"after checkpoint {at} of 30", (0.93, 1.0), near)


def _risks(rng: np.random.Generator, model: Any, trans: np.ndarray, at: int, runs: int = 40, horizon: int = 30) -> Any:
    risk, hit = [], []
    for _ in range(runs):
        path = [0]
        while len(path) < horizon:
            path.append(int(rng.choice(4, p=trans[path[-1]])))
        monitor = model.monitor([2], horizon)
        for row in drawn(rng, [path[: at + 1]])[0]:
            reading = monitor.update(row)
        risk.append(reading.risk)
        hit.append(2 in path)
    return np.array(risk), np.array(hit)
