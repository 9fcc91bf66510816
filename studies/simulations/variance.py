"""Variance of training.

Runs of the probit model `X = [U < Phi(alpha_i + beta z_r)]`, `alpha ~ N(1.5, 1)`, 200 examples. The interval on this
test set is judged by the covariance between its very examples, that on the distribution by the true variance over
examples; judged are the intervals that sentence and table say. In clusters, half the variance of difficulty lies
between clusters, and each responds to the run by a draw of its own (sd 0.5 probit): errors are shared inside it;
500 examples. Unequal clusters have lognormal sizes (sigma 0.9). A failing run loses 1.5 probits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import ndtr
from tests.methods.variance.probit import (
    clustered_variance,
    draw,
    draw_clustered,
    fixed_clustered_variance,
    fixed_variance,
    population_variance,
)

import runspread as rs
from simulations.promises import Promise, promise

EXAMPLES, CLUSTERED, GAMMA, LOSS = 200, 500, 0.5, 1.5
COVERAGE = (0.92, 0.98)  # of an interval at 95 %
AT_LEAST = (0.94, 1.0)  # of a bound at 95 %
SIZE = (0.0, 0.05)  # of a test at 5 %
CLUSTERED_SIZE = (0.03, 0.07)  # of one whose distribution is approximate
HERE, THERE = "interval of the spread on this test set", "interval of the spread on the distribution"
REAL = "some of the spread is real (p below 0.05)"


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    sets = max(50, round(300 * scale))
    yield from intervals(sets)
    yield from in_clusters(sets)
    yield from mean_accuracy(sets)
    yield from failing(sets)
    yield from calibration(sets)


def _holds(interval: tuple[float, float], variance: float) -> bool:
    """Return whether an interval of a standard deviation holds the root of a true variance."""
    return interval[0] <= math.sqrt(max(0.0, variance)) <= interval[1]


def intervals(sets: int) -> Iterator[Promise]:
    """Cover the true variances, and reject a spread of zero as rarely as the level says."""
    for beta in (0.0, 0.1, 0.3):
        truth = population_variance(beta)
        for runs in (2, 5, 10, 50):
            rng = np.random.default_rng([runs, int(1000 * beta)])
            fixed, population, rejected = [], [], []
            for _ in range(sets):
                matrix, alpha = draw(rng, runs, EXAMPLES, beta)
                result = rs.variance(correct=matrix, pairs="none")
                fixed.append(_holds(result.intervals.sd_fixed, fixed_variance(alpha, beta)))
                population.append(_holds(result.intervals.sd_pop, truth))
                rejected.append(result.test.p_value < 0.05)
            setting = f"{runs} runs, true sd {100 * math.sqrt(truth):.2f} points"
            yield promise(HERE, setting, COVERAGE, fixed)
            if runs > 2:  # two runs have no interval on the distribution
                yield promise(THERE, setting, COVERAGE, population)
            if beta == 0:
                yield promise(REAL, setting, SIZE, rejected)


def _sizes(rng: np.random.Generator, clusters: int, unequal: bool) -> np.ndarray:
    if not unequal:
        return np.full(clusters, CLUSTERED // clusters)
    weights = rng.lognormal(0, 0.9, clusters)
    return np.maximum(1, np.round(CLUSTERED * weights / weights.sum())).astype(int)


def in_clusters(sets: int) -> Iterator[Promise]:
    """Cover and reject as promised where examples come in clusters that are given; else show what happens."""
    for beta in (0.0, 0.3):
        for runs in (5, 20):
            for clusters, unequal in ((20, False), (50, False), (50, True), (100, False), (100, True)):
                yield from _in_clusters(sets, beta, runs, clusters, unequal)


def _in_clusters(sets: int, beta: float, runs: int, clusters: int, unequal: bool) -> Iterator[Promise]:
    truth = clustered_variance(beta, GAMMA)
    rng = np.random.default_rng([runs, clusters, int(1000 * beta), unequal])
    ways = (True, False) if clusters == 50 and not unequal else (True,)
    found: dict[tuple[str, bool], list[bool]] = {(what, way): [] for way in ways for what in (HERE, THERE, REAL)}
    for _ in range(sets):
        matrix, alpha, ids = draw_clustered(rng, runs, _sizes(rng, clusters, unequal), beta, GAMMA)
        here = fixed_clustered_variance(alpha, ids, beta, GAMMA)
        for given in ways:
            result = rs.variance(correct=matrix, clusters=ids if given else None, pairs="none")
            found[HERE, given].append(_holds(result.intervals.sd_fixed, here))
            found[THERE, given].append(_holds(result.intervals.sd_pop, truth))
            found[REAL, given].append(result.test.p_value < 0.05)
    sizes = "unequal clusters" if unequal else "clusters"
    for (what, given), hits in found.items():
        if what == REAL and beta:
            continue
        how = "" if given else ", clusters not given"
        setting = f"{runs} runs, {clusters} {sizes}, true sd {100 * math.sqrt(truth):.2f} points{how}"
        promised = CLUSTERED_SIZE if what == REAL else COVERAGE
        yield promise(what, setting, promised, hits, assumed=given and clusters >= 50)  # 20 are warned of


def mean_accuracy(sets: int) -> Iterator[Promise]:
    """Cover the mean accuracy on the distribution, of recipes and of one model, also near the ends."""
    for mean, runs, clusters, samples in (
        (1.5, 1, 0, False),
        (1.5, 3, 0, False),
        (1.5, 10, 0, False),
        (3.5, 5, 0, False),
        (1.5, 5, 50, False),
        (1.5, 10, 0, True),
    ):
        rng = np.random.default_rng([int(10 * mean), runs, clusters])
        beta = 0.0 if runs == 1 or samples else 0.3
        hits = []
        for _ in range(sets):
            if clusters:
                matrix, _, ids = draw_clustered(rng, runs, _sizes(rng, clusters, False), beta, GAMMA)
                truth = float(ndtr(mean / math.sqrt(2 + beta**2 + GAMMA**2)))
            else:
                alpha = rng.normal(mean, 1, EXAMPLES)
                matrix = rng.random((runs, EXAMPLES)) < ndtr(alpha + beta * rng.normal(size=(runs, 1)))
                ids, truth = None, float(ndtr(mean / math.sqrt(2 + beta**2)))
            options: dict[str, Any] = {"samples_are": "samples"} if samples else {}
            result = rs.variance(correct=matrix, clusters=ids, pairs="none", **options)
            hits.append(result.intervals.mean_low <= truth <= result.intervals.mean_high)
        what = "samples of one model" if samples else "run" if runs == 1 else "runs"
        setting = f"{runs} {what}{f', {clusters} clusters' if clusters else ''}, true mean {100 * truth:.1f} %"
        yield promise("interval of the mean accuracy on the distribution", setting, (0.92, 0.99), hits)


def _failing(rng: np.random.Generator, runs: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return correctness of runs of which a share loses `LOSS` probits, and the difficulties."""
    alpha = rng.normal(1.5, 1, EXAMPLES)
    return _runs(rng, alpha, runs, share), alpha


def _runs(rng: np.random.Generator, alpha: np.ndarray, runs: int, share: float) -> np.ndarray:
    shift = 0.1 * rng.normal(size=(runs, 1)) - LOSS * (rng.random((runs, 1)) < share)
    return rng.random((runs, len(alpha))) < ndtr(alpha + shift)


def _failing_variance(alpha: np.ndarray, share: float) -> float:
    """Return the mean covariance between the examples of a test set, where a share of runs fails."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    points = np.concatenate([0.1 * nodes, 0.1 * nodes - LOSS])
    mass = np.concatenate([(1 - share) * weights, share * weights]) / weights.sum()
    p = ndtr(alpha[:, None] + points)
    deviations = p - (p @ mass)[:, None]
    total = (deviations.sum(axis=0) ** 2) @ mass - (np.square(deviations) @ mass).sum()
    return float(total / (len(alpha) * (len(alpha) - 1)))


def failing(sets: int) -> Iterator[Promise]:
    """Show what rare failures do to intervals under a normal distribution; show how rare they may be without one."""
    seldom = ((30, 0.02), (40, 0.01), (40, 0.02), (40, 0.03), (40, 0.05))
    for runs, share in ((10, 0.0), (10, 0.1), (30, 0.0), (30, 0.1), (30, 0.2), (50, 0.1), (100, 0.05), *seldom):
        rng = np.random.default_rng([runs, int(100 * share)])
        normal, free, warned, bounded = [], [], [], []
        for _ in range(sets):
            matrix, alpha = _failing(rng, runs, share)
            truth = _failing_variance(alpha, share)
            result = rs.variance(correct=matrix, pairs="none")
            normal.append(_holds(result.intervals.sd_fixed, truth))
            warned.append(any("outlying" in note or "two groups" in note for note in result.warnings))
            if runs == 10:
                fresh = _runs(rng, alpha, 2000, share).mean(axis=1)
                bounded.append((fresh < result.accuracy.min()).mean() <= result.unseen_share)
            else:
                free.append(
                    _holds(rs.variance(correct=matrix, pairs="none", distribution="any").intervals.sd_fixed, truth)
                )
        setting = f"{runs} runs, {100 * share:.0f} % of trainings fail"
        yield promise(f"{HERE}, normal distribution", setting, COVERAGE, normal, assumed=share == 0)
        if free:  # from three failing runs in expectation on: one training in ten with the least number of runs
            yield promise(
                f"{HERE}, distribution='any'", setting, COVERAGE, free, assumed=runs * share >= 3 or share == 0
            )
        if bounded:
            yield promise("bound of the share of trainings worse than the worst run", setting, AT_LEAST, bounded)
        warning = "an outlying run or two groups of runs are warned of"
        seen = runs * share >= 1 or share == 0  # else most data sets hold no failing run
        yield promise(warning, setting, (0.0, 0.05) if share == 0 else (0.5, 1.0), warned, assumed=seen)


def calibration(sets: int) -> Iterator[Promise]:
    """Cover the gap between disagreement and error, of these runs on new examples or clusters; two classes."""
    for runs, clusters, given in ((3, 0, True), (10, 0, True), (10, 50, True), (10, 100, True), (10, 50, False)):
        rng = np.random.default_rng([runs, clusters, given])
        gamma = GAMMA if clusters else 0.0
        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        p = ndtr((1.5 + nodes) / math.sqrt(1 + gamma**2))
        truth = float((2 * p * (1 - p) - (1 - p)) @ weights / weights.sum())
        hits = []
        for _ in range(sets):
            sizes = _sizes(rng, clusters, False) if clusters else np.ones(EXAMPLES, int)
            matrix, _, ids = draw_clustered(rng, runs, sizes, 0.0, gamma)
            own = ids if clusters and given else None
            result = rs.calibration((~matrix).astype(int), np.zeros(len(ids), int), n_classes=2, clusters=own)
            hits.append(result.disagreement.gap_low <= truth <= result.disagreement.gap_high)
        setting = f"{runs} runs{f', {clusters} clusters' if clusters else ''}{'' if given else ', not given'}"
        yield promise("interval of the gap between disagreement and error", setting, COVERAGE, hits, assumed=given)
