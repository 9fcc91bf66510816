"""Comparing two configurations.

Runs of the probit model. Where both are equally good, a verdict that one is better is an error, and so is "not worse"
or "equivalent" where the new one is worse by just the margin. Success rates differ from example to example by `tau`
(standard deviation of the probit), runs by `beta`. Clustered examples come in groups whose difficulty, differences of
the configurations and errors of a run are shared; unequal sizes are lognormal. Where trainings of the new configuration
fail, they lose 30 points; accuracies are 90 % otherwise, with a standard deviation of 0.3 points.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import ndtri
from tests.methods.variance.configurations import Configurations

import runspread as rs
from runspread.methods.variance import Comparison
from simulations.promises import Promise, promise

SIZE = (0.0, 0.05)  # of a test at 5 %
CLUSTER_SIZE = (0.03, 0.07)
COVERAGE = (0.92, 0.98)  # of an interval at 95 %
WRONG = "one is better on the distribution, where both are equal"
FIXED = "one is better on this test set, where both are equal"
ALIKE = "p below 0.05 if the one run spreads as the other ten, where both are equal"
MODELS = "one of these two models is better, where both are equal"
COVERED = "interval of the difference on the distribution"
UNSEEN = "a failure was seen, or the share that may not have been seen holds it"
FAILS = "equivalent within 2 points, where they differ by 3"
NEAR_ONE = float(ndtri(0.99)) * 2**0.5  # mean of the probit at 99 % accuracy

Runs = tuple[int, int]


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    sets = max(50, round(300 * scale))
    yield from equal_configurations(sets)
    yield from small_test_sets(sets)
    yield from clusters(sets)
    yield from margins(sets)
    yield from single_models(sets)
    yield from copies(sets)
    yield from broken(sets)
    yield from failures(sets)


def _compared(
    drawn_from: Configurations, runs: Runs, examples: int, sets: int, *, clustered: bool = False, **asked: Any
) -> list[Comparison]:
    rng = np.random.default_rng(
        [7, *runs, examples, drawn_from.groups, int(100 * sum(drawn_from.beta)), int(100 * drawn_from.tau)]
    )
    drawn = (drawn_from.draw(rng, runs, examples) for _ in range(sets))
    return [rs.compare(correct=(old, new), clusters=codes if clustered else None, **asked) for old, new, codes in drawn]


def _decided(found: list[Comparison], on: str = "distribution") -> list[bool]:
    return [result.verdict(on) in ("better", "worse") for result in found]


def _covered(found: list[Comparison], truth: float) -> list[bool]:
    return [low <= truth <= high for low, high in (result.ci_dist for result in found)]


def _setting(runs: Runs, drawn_from: Configurations) -> str:
    beta = (
        f"{drawn_from.beta[0]}"
        if drawn_from.beta[0] == drawn_from.beta[1]
        else f"{drawn_from.beta[0]} and {drawn_from.beta[1]}"
    )
    return f"{runs[0]} and {runs[1]} runs, beta {beta}, tau {drawn_from.tau}"


def equal_configurations(sets: int) -> Iterator[Promise]:
    """Vary the numbers of runs and their spreads."""
    same: list[tuple[tuple[float, float], float, Runs]] = [
        ((beta, beta), 0.0, (runs, runs)) for beta in (0.1, 0.3) for runs in (2, 3, 5)
    ]
    apart: list[tuple[tuple[float, float], float, Runs]] = [
        ((0.3, 0.1), 0.3, runs) for runs in ((2, 2), (3, 3), (2, 20), (3, 10), (4, 20))
    ]
    others: list[tuple[tuple[float, float], float, Runs]] = [
        ((0.1, 0.1), 0.5, runs) for runs in ((2, 20), (3, 10), (10, 10), (30, 10))
    ]
    for beta, tau, runs in (*same, *apart, *others):
        drawn_from = Configurations(beta=beta, tau=tau)
        found = _compared(drawn_from, runs, 200, sets)
        yield promise(WRONG, f"200 examples, {_setting(runs, drawn_from)}", SIZE, _decided(found))


def small_test_sets(sets: int) -> Iterator[Promise]:
    """Take few examples and few errors, where arms without any spread are common."""
    for examples in (20, 50, 200):
        for name, mean in (("86 %", 1.5), ("99 %", NEAR_ONE)):
            for runs in ((2, 2), (5, 5)):
                drawn_from = Configurations(mean=(mean, mean), beta=(0.0, 0.0))
                found = _compared(drawn_from, runs, examples, sets)
                setting = f"{examples} examples, {name} right, {_setting(runs, drawn_from)}"
                yield promise(WRONG, setting, SIZE, _decided(found))
                yield promise(FIXED, setting, SIZE, _decided(found, "test-set"))


def clusters(sets: int) -> Iterator[Promise]:
    """Draw groups of examples that are difficult, and differ between the configurations, together."""
    for groups in (50, 100):
        for runs in ((5, 5), (20, 20)):
            for unequal in (False, True):
                drawn_from = Configurations(groups=groups, unequal=unequal)
                sizes = "unequal" if unequal else "equal"
                setting = f"1,000 examples in {groups} groups of {sizes} size, {runs[0]} and {runs[1]} runs"
                found = _compared(drawn_from, runs, 1000, sets, clustered=True)
                yield promise(WRONG, setting, CLUSTER_SIZE, _decided(found))
                better = drawn_from.with_gap(0.03)
                found = _compared(better, runs, 1000, sets, clustered=True)
                yield promise(COVERED, f"{setting}, true gap 3 points", COVERAGE, _covered(found, better.gap))
    drawn_from = Configurations(groups=20)
    setting = "1,000 examples in 20 groups of equal size, 5 and 5 runs"
    found = _compared(drawn_from, (5, 5), 1000, sets, clustered=True)
    yield promise(WRONG, setting, SIZE, _decided(found))
    yield promise(COVERED, setting, COVERAGE, _covered(found, 0.0))


def margins(sets: int) -> Iterator[Promise]:
    """Make the new one worse by just the margin, or better by it."""
    near = Configurations(mean=(NEAR_ONE, NEAR_ONE))
    settings: list[tuple[Configurations, Runs, int, float]] = [
        (Configurations(), (3, 3), 200, 0.02),
        (Configurations(tau=0.5), (5, 5), 200, 0.05),
        (Configurations(beta=(0.3, 0.1), tau=0.3), (3, 10), 200, 0.05),
        (Configurations(tau=0.5), (20, 20), 1000, 0.02),
        (near, (5, 5), 200, 0.01),
        (near, (20, 20), 1000, 0.01),
    ]
    for drawn_from, runs, examples, margin in settings:
        accuracy = f"{100 * drawn_from.accuracy(0):.0f} % right"
        setting = f"{examples} examples, {accuracy}, {_setting(runs, drawn_from)}, margin {100 * margin:g} points"
        worse = _compared(drawn_from.with_gap(-margin), runs, examples, sets, not_worse=margin)
        yield promise("not worse, where it is worse by the margin", setting, SIZE, [bool(x.shown) for x in worse])
        better = _compared(
            drawn_from.with_gap(margin if drawn_from is not near else -margin), runs, examples, sets, equivalent=margin
        )
        shown = [result.verdict() == "equivalent" for result in better]
        yield promise("equivalent, where they differ by the margin", setting, SIZE, shown)


def single_models(sets: int) -> Iterator[Promise]:
    """Set one model against one, whose true accuracies are equal, and one run against ten."""
    for examples, mean in ((50, 1.5), (200, 1.5), (200, NEAR_ONE), (1000, 1.5)):
        drawn_from = Configurations(mean=(mean, mean), beta=(0.0, 0.0), tau=0.5)
        setting = f"{examples} examples, {100 * drawn_from.accuracy(0):.0f} % right, one run each"
        found = _compared(drawn_from, (1, 1), examples, sets)
        yield promise(
            "one of these two models is better, where both are equal", setting, SIZE, _decided(found, "models")
        )
    for beta, kept in (((0.1, 0.1), True), ((0.3, 0.3), True), ((0.1, 0.5), False)):
        drawn_from = Configurations(beta=beta, tau=0.3)
        found = _compared(drawn_from, (10, 1), 200, sets)
        alike = [result.answers["if alike"].p <= 0.05 for result in found]
        setting = f"200 examples, {_setting((10, 1), drawn_from)}"
        yield promise(ALIKE, setting, SIZE, alike, assumed=kept)
        yield promise(WRONG, setting, SIZE, _decided(found))


def copies(sets: int) -> Iterator[Promise]:
    """Copy runs of one configuration: each counts once, and five copies of one are no five runs."""
    rng = np.random.default_rng(11)
    for distinct in (1, 3):
        wrong: list[bool] = []
        for _ in range(sets):
            old, new, _ = Configurations(beta=(0.3, 0.3)).draw(rng, (distinct, 5), 200)
            copied = np.resize(old, (6, 200))
            wrong += _decided([rs.compare(correct=(copied, new))])
        setting = f"200 examples, 6 runs that are copies of {distinct}, and 5 runs; beta 0.3"
        yield promise(WRONG, setting, SIZE, wrong)


def broken(sets: int) -> Iterator[Promise]:
    """Break what is assumed: clusters that nobody names, runs that fail."""
    found = _compared(Configurations(groups=50), (5, 5), 1000, sets)
    setting = "1,000 examples in 50 groups, 5 and 5 runs, clusters not given"
    yield promise(WRONG, setting, SIZE, _decided(found), assumed=False)
    drawn_from = Configurations(failing=0.1)
    found = _compared(drawn_from, (10, 10), 200, sets)
    setting = f"200 examples, {_setting((10, 10), drawn_from)}, one run in ten of both loses two probits"
    yield promise(WRONG, setting, SIZE, _decided(found), assumed=False)


def _failing(rng: np.random.Generator, runs: int, share: float) -> np.ndarray:
    """Return correctness on 500 examples of runs of which a share loses 30 points."""
    accuracy = 0.9 + 0.003 * rng.normal(size=runs) - 0.3 * (rng.random(runs) < share)
    return rng.random((runs, 500)) < accuracy[:, None]


def failures(sets: int) -> Iterator[Promise]:
    """Let trainings fail: verdicts take accuracies as normal; what so many runs may not have seen is said and holds."""
    for runs in (5, 10, 20, 40):
        rng = np.random.default_rng([13, runs])
        found, seen = list[Comparison](), list[bool]()
        for _ in range(sets):
            arms = _failing(rng, runs, 0.0), _failing(rng, runs, 0.1)
            result = rs.compare(correct=arms, not_worse=0.02)
            found.append(result)
            seen.append(arms[1].mean(axis=1).min() < 0.8 or result.unseen_share >= 0.1)
        setting = f"500 examples, {runs} and {runs} runs, one training in ten of the new one fails"
        worse = "not worse by more than 2 points, where it is by 3"
        yield promise(worse, setting, SIZE, [bool(x.shown) for x in found], assumed=False)
        both = [x.asked_for._replace(what="equivalent").shown(x.answers["distribution"]) for x in found]
        yield promise(FAILS, setting, SIZE, [bool(x) for x in both], assumed=False)
        if runs == 40:  # with fewer the share that is said is above one in ten anyway
            yield promise(UNSEEN, setting, (0.95, 1.0), seen)
    for runs in (5, 10):
        rng = np.random.default_rng([14, runs])
        equal = [rs.compare(correct=(_failing(rng, runs, 0.1), _failing(rng, runs, 0.1))) for _ in range(sets)]
        setting = f"500 examples, {runs} and {runs} runs, one training in ten of both fails"
        yield promise(WRONG, setting, SIZE, _decided(equal), assumed=False)
