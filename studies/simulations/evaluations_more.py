"""Evaluations of language models: what is answered on request.

Answers follow the probit model of the family above, asked through `rs.evaluations`. Intervals at 95 %, tests at 5 %.
Three of the four methods for a mean are offered because others use them, and are too short in some designs: they are
shown, not judged.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from runspread.errors import RunspreadWarning
from runspread.methods.evaluations import evaluations
from simulations.promises import Promise, promise

COVERED, FIVE = (0.93, 0.99), (0.0, 0.05)
ITEM, TRAINING, OWN = 1.2, 0.1, 0.4  # standard deviations on the probit scale
METHODS = ("wilson", "t", "beta", "bootstrap")


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    sets = max(40, round(400 * scale))
    yield from methods(sets)
    yield from where_methods_differ(sets)
    yield from by_rows(sets)
    yield from pairs(sets)
    yield from posteriors(sets)
    yield from halves(sets)
    yield from margins(2 * sets)


def answers(rng: np.random.Generator, level: np.ndarray, mean: float, trained: np.ndarray, samples: int) -> np.ndarray:
    """Return right answers [trainings, items, samples] of a model that is right in that share of all items."""
    mu = float(ndtri(mean)) * np.sqrt(1 + ITEM**2 + OWN**2 + TRAINING**2)
    own = rng.normal(0, OWN, (len(trained), len(level)))
    chance = ndtr(mu + trained[:, None] + level + own)
    return rng.binomial(1, chance[..., None], (*chance.shape, samples)).astype(float)


def drawn(rng: np.random.Generator, items: int, trainings: int, *means: float, samples: int = 1) -> list[np.ndarray]:
    """Return the answers of models to the same items, each trained several times."""
    level = rng.normal(0, ITEM, items)
    return [answers(rng, level, mean, rng.normal(0, TRAINING, trainings), samples) for mean in means]


def asked(source: Any, **how: Any) -> Any:
    """Return the evaluation, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RunspreadWarning)
        return evaluations(source, **how)


def methods(sets: int) -> Iterator[Promise]:
    """Cover the mean over new items and trainings by each of the methods."""
    for mean, items, method in itertools.product((0.5, 0.95), (30, 300), METHODS):
        rng, hits = np.random.default_rng([70, items, round(100 * mean)]), list[bool]()
        for _ in range(sets if method != "bootstrap" else sets // 4):
            one = asked({"m": drawn(rng, items, 3, mean)[0]}, method=method, on="distribution").models[0]
            hits.append(one.lo <= mean <= one.hi)
        what = f"95 % interval of a mean, method {method}"
        setting = f"{items} items, 3 trainings, {100 * mean:g} % right"
        yield promise(what, setting, COVERED, hits, assumed=method == "wilson")


def where_methods_differ(sets: int) -> Iterator[Promise]:
    """Cover a mean of few items, nearly all right, and one over few trainings: what each method is warned of."""
    for number, (mean, items, trainings, on) in enumerate(((0.95, 20, 1, "models"), (0.5, 300, 2, "distribution"))):
        for method in METHODS:
            rng, hits = np.random.default_rng([75, number]), list[bool]()
            for _ in range(sets if method != "bootstrap" else sets // 4):
                one = asked({"m": drawn(rng, items, trainings, mean)[0]}, method=method, on=on).models[0]
                hits.append(one.lo <= mean <= one.hi)
            setting = f"{items} items, {trainings} training{'s' * (trainings > 1)}, {100 * mean:g} % right"
            yield promise(
                f"95 % interval of a mean, method {method}", setting, COVERED, hits, assumed=method == "wilson"
            )


def by_rows(sets: int) -> Iterator[Promise]:
    """Cover the difference where every answer weighs the same, and items have one to eight."""
    for items in (50, 300):
        rng, covered, false = np.random.default_rng([71, items]), list[bool](), list[bool]()
        for _ in range(sets):
            old, new = drawn(rng, items, 3, 0.6, 0.6, samples=8)
            tries = rng.integers(1, 9, items)  # of an item, whatever the model answers
            for each in (old, new):
                each[:, np.arange(8) >= tries[:, None]] = np.nan
            found = asked({"old": old, "new": new}, weights="rows", on="distribution").differences[0]
            covered.append(found.lo <= 0 <= found.hi)
            false.append(found.verdict in ("better", "worse"))
        setting = f"{items} items with 1 to 8 answers, 3 trainings, no gap"
        yield promise("95 % interval of B - A, every answer weighs the same", setting, COVERED, covered)
        yield promise("better or worse, every answer weighs the same", setting, (0.0, 0.055), false)


def pairs(sets: int) -> Iterator[Promise]:
    """Cover the difference of recipes whose trainings start alike in pairs."""
    for trainings in (3, 5):
        rng, hits = np.random.default_rng([72, trainings]), list[bool]()
        for _ in range(sets):
            level, starts = rng.normal(0, ITEM, 300), rng.normal(0, 3 * TRAINING, trainings)
            old, new = (answers(rng, level, 0.6, starts, 1) for _ in range(2))
            found = asked({"old": old, "new": new}, pair_seeds=True, on="distribution").differences[0]
            hits.append(found.lo <= 0 <= found.hi)
        setting = f"300 items, {trainings} pairs of trainings from one start, no gap"
        yield promise("95 % interval of B - A, trainings in pairs", setting, COVERED, hits)


def posteriors(sets: int) -> Iterator[Promise]:
    """Err no more often than a posterior says, over gaps that are drawn from a flat prior of each accuracy."""
    for items in (50, 300):
        rng, hits = np.random.default_rng([73, items]), list[bool]()
        while len(hits) < sets // 2:
            means = rng.uniform(size=2)
            old, new = ((rng.random(items) < mean).astype(float) for mean in means)
            found = asked({"old": old, "new": new}, bayes=True, on="models").differences[0].posterior
            sure = max(found.p_better, 1 - found.p_better)
            if sure >= 0.95:
                hits.append((found.p_better > 0.5) == (means[1] > means[0]))
        yield promise(
            "who is at least 95 % sure to be better is", f"{items} items, accuracies at random", (0.95, 1), hits
        )


def halves(sets: int) -> Iterator[Promise]:
    """Cover the mean of the model that one half of the items chose, on the other half."""
    for models in (2, 10):
        rng, hits = np.random.default_rng([74, models]), list[bool]()
        for _ in range(sets // 2):
            made = drawn(rng, 200, 2, *[0.6] * models)
            found = asked({f"m{k}": each for k, each in enumerate(made)}, split=True, on="distribution")
            (one,) = (each for each in found.models if each.model == found.question.chosen)
            hits.append(one.lo <= 0.6 <= one.hi)
        setting = f"{models} equal models, 200 items, 2 trainings"
        yield promise("95 % interval of the chosen model, on the other half", setting, COVERED, hits)


def margins(sets: int) -> Iterator[Promise]:
    """Say "not worse" or "equivalent" of any of several models that differ by the margin in at most 5 % of cases."""
    for models, items in itertools.product((2, 4), (100, 400)):
        rng, wrong = np.random.default_rng([76, models, items]), {"not worse": [], "equivalent": []}
        for _ in range(sets):
            made = drawn(rng, items, 3, 0.65, *[0.6] * (models - 1))
            source = {f"m{k}": each for k, each in enumerate(made)}
            for word, asking in (("not worse", "not_worse"), ("equivalent", "equivalent")):
                found = asked(source, on="distribution", baseline="m0", **{asking: 0.05})
                wrong[word].append(any(one.verdict == word for one in found.differences))
        setting = f"{models - 1} model{'s' * (models > 2)} worse by the margin than a baseline, {items} items"
        for word, hits in wrong.items():
            yield promise(f"some model that differs by the margin is {word}, after Holm", setting, (0.0, 0.055), hits)
