"""Evaluations of language models.

Answers follow a probit model: items have a standard deviation of 1.2, clusters (unequal, of about 10 items) 0.6,
trainings 0.1, trainings on an item 0.4, a model's own items 0.5. Intervals at 95 %, tests at 5 %. A row over several
designs pools those of 1, 3 or 5 samples of an item and as many trainings; the rows "in every design" count designs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from runspread._reading.evaluations.arrays import as_answers
from runspread.methods._statistics import holm_adjusted
from runspread.methods.evaluations import bars, plans, spread, tries
from runspread.methods.evaluations.budget import known_from, power_of, small_designs
from runspread.methods.evaluations.cells import cells_of
from runspread.methods.evaluations.deciding import _fisher, benjamini_hochberg
from runspread.methods.evaluations.differences import difference_of
from runspread.methods.evaluations.grid import grid_of
from runspread.methods.variance.clusters import Grouping, single_groups
from simulations.promises import Promise, promise

COVERED, ERRORS = (0.93, 0.985), (0.0, 0.055)
ALL = (1.0, 1.0)
EVERY = "in every design (beyond 4 standard errors)"
ITEMS = (30, 100, 300, 1000)
REPEATS = tuple(itertools.product((1, 3, 5), (1, 3, 5)))  # samples, trainings
SD = {"item": 1.2, "cluster": 0.6, "seed": 0.1, "inter": 0.4, "own": 0.5}


class Drawn(NamedTuple):
    """Right answers of a model: cell means [trainings, items], how likely each was, and what is true."""

    means: np.ndarray
    chance: np.ndarray
    checkpoints: float
    recipe: float


class Test(NamedTuple):
    """Items of a test set: their difficulty on the probit scale, and their grouping."""

    level: np.ndarray
    grouping: Grouping
    clustered: bool


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    yield from one_model(max(30, round(300 * scale)))
    yield from two_models(max(30, round(150 * scale)))
    yield from same_items(max(100, round(1200 * scale)))
    yield from several_tries(max(50, round(600 * scale)))
    yield from sources(max(20, round(200 * scale)))
    yield from several_models(max(50, round(600 * scale)))
    yield from incomplete(max(50, round(500 * scale)))
    yield from drawn_prompts(max(50, round(500 * scale)))
    yield from single_items(max(50, round(500 * scale)))
    yield from budgets(max(50, round(600 * scale)))


def a_test(rng: np.random.Generator, items: int, *, clustered: bool) -> Test:
    """Return items, in clusters of unequal size or alone."""
    level = rng.normal(0, SD["item"], items)
    if not clustered:
        return Test(level, single_groups(items), clustered)
    ends = np.cumsum(1 + rng.geometric(0.1, items))
    codes = np.searchsorted(ends, np.arange(items), side="right")
    codes = np.unique(codes, return_inverse=True)[1]
    if codes.max() < 1:
        codes[items // 2 :] = 1
    return Test(level + rng.normal(0, SD["cluster"], codes.max() + 1)[codes], Grouping.of(codes, items), clustered)


def answered(
    rng: np.random.Generator,
    test: Test,
    accuracy: float,
    seeds: int,
    samples: int,
    *,
    own: float = 0.0,
    sd: float = SD["seed"],
) -> Drawn:
    """Return the answers of a model of that accuracy, with items of its own where models are compared."""
    fixed = SD["item"] ** 2 + SD["cluster"] ** 2 * test.clustered + SD["inter"] ** 2 + own**2 + 1
    mu = float(ndtri(accuracy)) * math.sqrt(fixed + sd**2)
    trained = rng.normal(0, sd, seeds)
    items = test.level + rng.normal(0, own, len(test.level)) if own else test.level
    chance = ndtr(mu + trained[:, None] + items + rng.normal(0, SD["inter"], (seeds, len(items))))
    means = rng.binomial(samples, chance) / samples
    return Drawn(means, chance, float(ndtr((mu + trained) / math.sqrt(fixed)).mean()), accuracy)


def bars_of(means: np.ndarray, grouping: Grouping, also: np.ndarray | None = None) -> bars.Variances:
    """Return the variances of the mean of a model, or of its difference from another."""
    seeds = [(*bars.over_seeds(one, grouping), len(one)) for one in (means, also) if one is not None and len(one) > 1]
    values = means.mean(axis=0) - (0 if also is None else also.mean(axis=0))
    return bars.variances(values, grouping, seeds)


def one_model(sets: int) -> Iterator[Promise]:
    """Yield coverage of one model's mean, on checkpoints and on recipes."""
    every: dict[str, list[bool]] = {"checkpoints": [], "recipe": []}
    for clustered, accuracy, items in itertools.product((False, True), (0.5, 0.9), ITEMS):
        rng = np.random.default_rng(items + round(100 * accuracy) + clustered)
        hits: dict[str, list[bool]] = {"checkpoints": [], "recipe": []}
        for samples, seeds in REPEATS:
            found = [
                _covers_mean(rng, items, accuracy, samples, seeds, clustered=clustered)
                for _ in range(_fewer(sets, items))
            ]
            for at, name in enumerate(hits):
                if name == "checkpoints" or seeds > 1:
                    hits[name] += [one[at] for one in found]
                    every[name].append(_honest([one[at] for one in found], 0.92 if at == 0 else 0.91))
        setting = f"{items} items{' in clusters' * clustered}, {100 * accuracy:g} % right, 9 designs"
        yield promise("95 % interval on new questions, these checkpoints", setting, (0.93, 0.99), hits["checkpoints"])
        setting = setting.replace("9 designs", "6 designs")
        yield promise("95 % interval on new questions and trainings", setting, (0.93, 0.99), hits["recipe"])
    yield promise("checkpoints are covered in at least 92 %", EVERY, ALL, every["checkpoints"])
    yield promise("recipes are covered in at least 91 %", EVERY, ALL, every["recipe"])


def _fewer(sets: int, items: int) -> int:
    """Return the data sets of a design: large ones take time, and say the same."""
    return max(30, sets // 2) if items >= 1000 else sets


def _honest(hits: list[bool], least: float) -> bool:
    return bool(np.mean(hits) >= least - 4 * math.sqrt(least * (1 - least) / len(hits)))


def _covers_mean(
    rng: np.random.Generator, items: int, accuracy: float, samples: int, seeds: int, *, clustered: bool
) -> tuple[bool, bool]:
    test = a_test(rng, items, clustered=clustered)
    model = answered(rng, test, accuracy, seeds, samples)
    found, mean, groups = bars_of(model.means, test.grouping), float(model.means.mean()), len(test.grouping)
    low, high = bars.interval(mean, bars.bar_of(found, "models"), 0.95, groups, most=items * samples * seeds)
    new = bars.interval(mean, bars.bar_of(found, "distribution"), 0.95, groups)
    return low <= model.checkpoints <= high, new[0] <= model.recipe <= new[1]


def two_models(sets: int) -> Iterator[Promise]:
    """Yield coverage of differences, false verdicts and false margins."""
    every: dict[str, list[bool]] = {name: [] for name in ("items", "new", "false items", "false new", "margin")}
    for clustered, accuracy, items in itertools.product((False, True), (0.5, 0.85), ITEMS):
        rng = np.random.default_rng(7 * items + round(100 * accuracy) + clustered)
        pooled: dict[str, list[bool]] = {name: [] for name in every}
        for (samples, seeds), gap in itertools.product(REPEATS, (0.0, 0.05)):
            rows = [
                _difference(rng, items, accuracy, gap, samples, seeds, clustered=clustered)
                for _ in range(_fewer(sets, items))
            ]
            for at, name in enumerate(every):
                if (seeds == 1 and name in ("new", "false new", "margin")) or (gap and name.startswith("false")):
                    continue
                hits = [row[at] for row in rows]
                pooled[name] += hits
                bound = {"items": 0.92, "new": 0.91}.get(name)
                every[name].append(_honest(hits, bound) if bound else _honest([not one for one in hits], 0.93))
        setting = f"{items} items{' in clusters' * clustered}, {100 * accuracy:g} % right"
        covers = "95 % interval of B - A for"
        yield promise(f"{covers} these checkpoints", f"{setting}, 18 designs", (0.93, 0.98), pooled["items"])
        yield promise(f"{covers} new trainings", f"{setting}, 12 designs", (0.93, 0.99), pooled["new"])
        read = "a verdict on these checkpoints, read as one on new trainings"
        yield promise(read, f"{setting}, no gap, 9 designs", ERRORS, pooled["false items"], assumed=False)
        yield promise("better or worse, new trainings", f"{setting}, no gap, 6 designs", ERRORS, pooled["false new"])
        yield promise("not worse, at the margin", f"{setting}, 12 designs", ERRORS, pooled["margin"])
    yield promise("differences of checkpoints are covered in at least 92 %", EVERY, ALL, every["items"])
    yield promise("differences of recipes are covered in at least 91 %", EVERY, ALL, every["new"])
    yield promise("false verdicts on recipes in at most 7 %", EVERY, ALL, every["false new"])


def _difference(
    rng: np.random.Generator, items: int, accuracy: float, gap: float, samples: int, seeds: int, *, clustered: bool
) -> tuple[bool, bool, bool, bool, bool]:
    test = a_test(rng, items, clustered=clustered)
    old = answered(rng, test, accuracy, seeds, samples, own=SD["own"])
    new = answered(rng, test, accuracy + gap, seeds, samples, own=SD["own"])
    found, diff = bars_of(new.means, test.grouping, old.means), float(new.means.mean() - old.means.mean())
    on_items = difference_of(diff, bars.bar_of(found, "models"))
    on_new = difference_of(diff, bars.bar_of(found, "distribution"))
    low, high = on_items.interval(0.95)
    wide = on_new.interval(0.95)
    truth = new.checkpoints - old.checkpoints
    no_spread = not on_items.forms
    return (
        no_spread or low <= truth <= high,
        wide[0] <= gap <= wide[1],
        not no_spread and on_items.p() <= 0.05,
        bool(on_new.forms) and on_new.p() <= 0.05,
        bool(on_new.forms) and on_new.p_above(gap) <= 0.05,  # the margin is where the truth lies
    )


def same_items(sets: int) -> Iterator[Promise]:
    """Yield coverage for new answers to the same items, and for new trainings on them."""
    for items, samples, accuracy in ((30, 2, 0.5), (30, 5, 0.9), (100, 3, 0.7), (300, 2, 0.9)):
        rng = np.random.default_rng(items + samples)
        hits = []
        for _ in range(sets):
            test = a_test(rng, items, clustered=False)
            model = answered(rng, test, accuracy, 1, samples)
            p = model.means[0]
            variance = float((p * (1 - p) * samples / (samples - 1)).sum()) / samples / items**2
            bar = bars.Bar(variance, items * (samples - 1))
            low, high = bars.interval(float(p.mean()), bar, 0.95, items)
            hits.append(low <= model.chance.mean() <= high)
        setting = f"{items} items, {samples} samples, {100 * accuracy:g} % right"
        yield promise("95 % interval for new answers to these questions", setting, (0.93, 0.985), hits)
    for seeds, items in ((3, 100), (5, 100), (5, 1000)):
        rng = np.random.default_rng(seeds + items)
        hits = []
        for _ in range(sets // 3):
            test = a_test(rng, items, clustered=False)
            model = answered(rng, test, 0.6, seeds, 3)
            fixed = answered(np.random.default_rng(1), test, 0.6, 400, 1)  # the same items, other trainings
            means = model.means.mean(axis=1)
            bar = bars.Bar(float(means.var(ddof=1)) / seeds, seeds - 1)
            low, high = bars.interval(float(means.mean()), bar, 0.95, items)
            hits.append(low <= fixed.chance.mean() <= high)
        yield promise(
            "95 % interval for new trainings, these questions", f"{items} items, {seeds} trainings", (0.93, 0.98), hits
        )


def several_tries(sets: int) -> Iterator[Promise]:
    """Yield coverage of pass@k, pass^k, and of flips."""
    for items, samples, k in ((30, 5, 2), (82, 10, 5), (164, 10, 10), (164, 20, 5)):
        rng = np.random.default_rng(items + samples + k)
        hits: dict[str, list[bool]] = {"pass@k": [], "pass^k": [], "flips": []}
        many = answered(rng, a_test(rng, 100_000, clustered=False), 0.7, 1, 1, sd=0.0).chance[0]
        truth = {"pass@k": 1 - (1 - many) ** k, "pass^k": many**k, "flips": 2 * many * (1 - many)}
        for _ in range(sets):
            model = answered(rng, a_test(rng, items, clustered=False), 0.7, 1, samples, sd=0.0)
            right = (model.means[0] * samples).round().astype(np.int64)
            values = {
                "pass@k": tries.one_of(samples, right, k),
                "pass^k": tries.all_of(samples, right, k),
                "flips": tries.flips_within(np.full(items, float(samples)), right.astype(float)),
            }
            for name, each in values.items():
                low, high = bars.interval(float(each.mean()), bars.over_items(each, single_groups(items)), 0.95, items)
                hits[name].append(low <= truth[name].mean() <= high)
        setting = f"{items} items, {samples} samples, k = {k}"
        yield promise("95 % interval of pass@k", setting, (0.91, 0.985), hits["pass@k"])
        yield promise("95 % interval of pass^k", setting, (0.91, 0.985), hits["pass^k"])
        yield promise("95 % interval of flips between samples", setting, (0.91, 0.985), hits["flips"])


def normal_answers(rng: np.random.Generator, known: plans.Spreads, seeds: int, items: int, samples: int) -> np.ndarray:
    """Return scores [trainings, items, samples] of normal components."""
    level = rng.normal(0, math.sqrt(known.item), items)
    trained = rng.normal(0, math.sqrt(known.seed), (seeds, 1))
    cells = level + trained + rng.normal(0, math.sqrt(known.inter), (seeds, items))
    return cells[..., None] + rng.normal(0, math.sqrt(known.decode), (seeds, items, samples))


def sources(sets: int) -> Iterator[Promise]:
    """Yield coverage of components, also where cells are missing."""
    known = plans.Spreads(0.02, 0.5, 0.1, 0.4)
    for seeds, items, samples, lost in ((3, 30, 3, 0.0), (5, 100, 3, 0.0), (3, 300, 5, 0.0), (3, 60, 3, 0.3)):
        rng = np.random.default_rng(seeds + items)
        hits: dict[str, list[bool]] = {name: [] for name in ("seed", "item", "item.seed", "decode", "share_item")}
        for _ in range(sets):
            scores = normal_answers(rng, known, seeds, items, samples)
            rows = np.stack([axis.ravel() for axis in np.indices(scores.shape)])
            gone = (rng.random((seeds, items)) < lost)[rows[0], rows[1]]
            cells = cells_of(rows[0][~gone], np.zeros_like(rows[0][~gone]), rows[1][~gone], scores.ravel()[~gone])
            truth = dict(zip(("seed", "item", "item.seed", "decode"), known, strict=True))
            for name, (low, high) in _component_intervals(cells, items).items():
                value = truth.get(name, known.item / sum(known))
                hits[name].append(low <= value <= high)
        setting = f"{seeds} trainings, {items} items, {samples} samples{f', {lost:.0%} of cells missing' * bool(lost)}"
        words = {"seed": "training", "item": "question", "item.seed": "training x question", "decode": "decoding"}
        for name, found in hits.items():
            if found:
                part = f"95 % interval of the component {words[name]}" if name in words else "95 % interval of a share"
                yield promise(part, setting, (0.90, 0.98), found)


def _component_intervals(cells, items: int) -> dict[str, tuple[float, float]]:
    levels = spread.Levels(spread.factors_of(cells, None))
    found = levels.spread(cells.mean, cells.noise, cells.decode)
    values = spread.with_shares(found, list(found.parts))
    deleted = spread.jackknifed(levels, cells, np.arange(items), list(found.parts))
    ends: dict[str, tuple[float, float]] = {}
    for name in ("item", "item.seed", "decode", "share_item"):
        groups = len(deleted[name])
        se = math.sqrt((groups - 1) / groups * float(np.square(deleted[name] - deleted[name].mean()).sum()))
        half = bars.t_quantile(0.975, groups - 1) * se
        ends[name] = (values[name] - half, values[name] + half)
    seeds = int(cells.seed.max()) + 1
    table = cells.by(cells.seed, seeds, items)
    full = ~np.isnan(table).any(axis=0)
    if full.mean() >= 0.9:
        means = table[:, full].mean(axis=1)
        inter = bars.over_seeds(table[:, full], single_groups(int(full.sum())))[1] * seeds
        ends["seed"] = spread.seed_interval(means, inter, 0.95)
    return ends


def several_models(sets: int) -> Iterator[Promise]:
    """Yield the error of a family of comparisons, and how often the best model is among those that may be."""
    for items, seeds in ((100, 1), (100, 3), (300, 3)):
        on = "models" if seeds == 1 else "distribution"
        false, best = [], []
        sd = 0.0 if seeds == 1 else SD["seed"]
        rng = np.random.default_rng(items + seeds)
        for _ in range(sets):
            test = a_test(rng, items, clustered=False)
            gaps = rng.normal(0, 0.04, 6)
            equal = [answered(rng, test, 0.6, seeds, 2, own=0.5, sd=sd) for _ in range(6)]
            p = [_p_of(equal[a], equal[b], test, on) for a, b in itertools.combinations(range(6), 2)]
            false.append(bool((holm_adjusted(np.array(p)) <= 0.05).any()))
            apart = [answered(rng, test, 0.6 + gap, seeds, 2, own=0.5, sd=sd) for gap in gaps]
            leader = int(np.argmax([one.means.mean() for one in apart]))
            others = [at for at in range(6) if at != leader]
            holm = holm_adjusted(np.array([_p_of(apart[at], apart[leader], test, on) for at in others]))
            truth = int(np.argmax(gaps))
            best.append(truth == leader or holm[others.index(truth)] > 0.05)
        setting = f"6 models, {items} items, {seeds} training{'s' * (seeds > 1)}"
        yield promise("any of 15 differences, all models equal (Holm)", setting, ERRORS, false)
        yield promise("the best model is among those that may be", setting, (0.95, 1), best)


def _p_of(old: Drawn, new: Drawn, test: Test, on: str) -> float:
    found = bars_of(new.means, test.grouping, old.means)
    one = difference_of(float(new.means.mean() - old.means.mean()), bars.bar_of(found, on))
    return one.p() if one.forms else 1.0


def rows_of(name: str, means: np.ndarray, keep: np.ndarray, prompt: int = 0) -> list[dict[str, object]]:
    """Return the cells that are kept as rows of a table."""
    return [
        {"model": name, "seed": f"{name}{s}", "item": i, "prompt": prompt, "score": means[s, i]}
        for s, i in zip(*np.nonzero(keep), strict=True)
    ]


def incomplete(sets: int) -> Iterator[Promise]:
    """Yield coverage where trainings lack items, and where items lack answers."""
    for lost, items, seeds in ((0.02, 100, 3), (0.2, 100, 3), (0.2, 300, 5)):
        rng = np.random.default_rng(items + seeds + round(100 * lost))
        hits: list[bool] = []
        false: list[bool] = []
        for _ in range(sets // 2):
            test = a_test(rng, items, clustered=False)
            models = [answered(rng, test, 0.6, seeds, 3, own=0.5) for _ in range(2)]
            rows = [
                row
                for name, one in zip("AB", models, strict=True)
                for row in rows_of(name, one.means, rng.random(one.means.shape) >= lost)
            ]
            gap = _only_difference(rows)
            hits.append(gap[0] <= 0 <= gap[1])
            false.append(not hits[-1])
        setting = f"{items} items, {seeds} trainings, {lost:.0%} of cells missing at random"
        yield promise("95 % interval of B - A for new trainings", setting, (0.93, 0.99), hits)


def _only_difference(rows: list[dict[str, object]], **settings: object) -> tuple[float, float]:
    """Return the interval of the difference, by the functions of the verb, without what it adds."""
    from runspread.methods.evaluations.judging import How, pair_of

    how = How("distribution", 0.95, "better", None, settings.get("prompts") == "random")
    if settings.get("on"):
        how = how._replace(on=str(settings["on"]))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    grid = grid_of(as_answers(columns), "drop")
    if len(grid.models) == 1:
        from runspread.methods.evaluations.judging import score_of_model

        one = score_of_model(grid, grid.models[0], how)
        return one.lo, one.hi
    return pair_of(grid, grid.models[0], grid.models[1], how).one.interval(0.95)


def drawn_prompts(sets: int) -> Iterator[Promise]:
    """Yield coverage where prompts are a draw from many."""
    for prompts, items in ((3, 100), (5, 100), (5, 300)):
        rng = np.random.default_rng(prompts + items)
        hits: dict[str, list[bool]] = {"random": [], "fixed": []}
        for _ in range(sets // 3):
            test = a_test(rng, items, clustered=False)
            shift = rng.normal(0, 0.3, prompts)
            rows: list[dict[str, object]] = []
            fixed = SD["item"] ** 2 + SD["inter"] ** 2 + 1
            for at, move in enumerate(shift):
                chance = ndtr(0.3 + move + test.level + rng.normal(0, SD["inter"], items))
                rows += rows_of("A", rng.binomial(2, chance)[None] / 2, np.ones((1, items), bool), at)
            truth = float(ndtr(0.3 / math.sqrt(fixed + 0.3**2)))
            for name in hits:
                low, high = _only_difference(rows, on="models", prompts=name)
                hits[name].append(low <= truth <= high)
        setting = f"{items} items, {prompts} prompts"
        yield promise("95 % interval with random prompts, new prompts", setting, (0.92, 0.99), hits["random"])
        yield promise(
            "95 % interval with fixed prompts, read as new prompts", setting, COVERED, hits["fixed"], assumed=False
        )


def single_items(sets: int) -> Iterator[Promise]:
    """Yield how often an item is said to differ beyond noise where none does, and the share of false ones."""
    for samples in (5, 10):
        rng = np.random.default_rng(samples)
        false, discoveries, wrong = [], 0, 0
        for _ in range(sets // 5):
            p = ndtr(rng.normal(0.3, 1.2, 100))
            a, b = (rng.binomial(samples, p) for _ in range(2))
            adjusted = benjamini_hochberg(
                np.array([_fisher(x, y, samples, samples) for x, y in zip(a, b, strict=True)])
            )
            false.append(bool((adjusted <= 0.05).any()))
            q = np.where(np.arange(100) < 20, 0.02, p)
            a = rng.binomial(samples, np.where(np.arange(100) < 20, 0.98, p))
            b = rng.binomial(samples, q)
            adjusted = benjamini_hochberg(
                np.array([_fisher(x, y, samples, samples) for x, y in zip(a, b, strict=True)])
            )
            discoveries += int((adjusted <= 0.05).sum())
            wrong += int((adjusted[20:] <= 0.05).sum())
        yield promise("an item differs beyond noise, none does", f"100 items, {samples} samples", ERRORS, false)
        hits = np.repeat([True, False], [wrong, discoveries - wrong])
        if discoveries:
            yield promise(
                "an item said to differ does not", f"20 of 100 items differ, {samples} samples", ERRORS, hits.tolist()
            )


def _judged_items(a: np.ndarray, b: np.ndarray, samples: int) -> np.ndarray:
    """Return the corrected p of each item from the right samples of two models."""
    return benjamini_hochberg(np.array([_fisher(x, y, samples, samples) for x, y in zip(a, b, strict=True)]))


def _price(costs: plans.Costs, one: plans.Design) -> float:
    return plans.cost_of(costs, one.seeds, one.items, one.samples)


def budgets(sets: int) -> Iterator[Promise]:
    """Yield the power of planned designs, from known spreads and from pilots."""
    cases = (
        (plans.Spreads(0.0004, 0.08, 0.02, 0.1), 0.04, plans.Costs(1.0, 0.0, 0.002), math.inf),
        (plans.Spreads(0.0004, 0.08, 0.02, 0.1), 0.04, plans.Costs(0.001, 0.0, 0.01), math.inf),
        (plans.Spreads(0.0001, 0.05, 0.01, 0.12), 0.03, plans.Costs(20.0, 0.0, 0.01), 1000),
    )
    for known, gap, costs, most in cases:
        found = small_designs(known, gap, 0.05, 0.8, most, range(2, 31))
        design = min(found, key=lambda one, costs=costs: _price(costs, one))
        rng = np.random.default_rng(design.items)
        hits = [_found(rng, known, gap, design) for _ in range(sets)]
        sizes = f"{design.seeds} trainings, {design.items} items, samples: {design.samples}"
        setting = f"gap {100 * gap:g} points: {sizes}"
        yield promise("power of 80 % is reached, spreads known", setting, (0.76, 0.90), hits)
    known, gap = plans.Spreads(0.0004, 0.08, 0.02, 0.1), 0.05
    rng, hits = np.random.default_rng(5), []
    for _ in range(sets // 4):
        shared = rng.normal(0, math.sqrt(0.4), 150)
        half = known._replace(item=known.item / 2)
        pilot = {name: shared[:, None] + normal_answers(rng, half, 3, 150, 3) for name in "AB"}
        estimate = known_from(grid_of(as_answers(pilot), "drop"), "distribution")
        found = small_designs(estimate.spreads, gap, 0.05, 0.8, 1e6, range(2, 31))
        if found:
            best = min(
                found, key=lambda one: plans.cost_of(plans.Costs(5.0, 0.0, 0.002), one.seeds, one.items, one.samples)
            )
            hits.append(power_of(known, gap, 0.05, best.seeds, best.items, best.samples) >= 0.7)
    setting = "from a pilot of 3 trainings, 150 items, 3 samples; gap 5 points"
    yield promise("a plan reaches a power of 70 %", setting, (0.75, 1), hits)


def _found(rng: np.random.Generator, known: plans.Spreads, gap: float, design: plans.Design) -> bool:
    """Whether a design finds a gap; the item difference is split between both models."""
    half = known._replace(item=known.item / 2)
    old, new = (normal_answers(rng, half, design.seeds, design.items, design.samples).mean(axis=2) for _ in range(2))
    found = bars_of(new + gap, single_groups(design.items), old)
    one = difference_of(float(new.mean() + gap - old.mean()), bars.bar_of(found, "distribution"))
    return one.p() <= 0.05 and one.value > 0
