"""`plan_evals`: how many trainings, items and samples a gap takes, and what they cost (evals 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Unpack

import numpy as np

from ..._checks import check_alpha_and_power, check_choice, check_integers, check_keywords, check_mapping, check_numbers
from ..._reading.evaluations.arrays import as_answers
from ..._reading.evaluations.options import DEFAULTS as READING
from ..._reading.evaluations.options import EvaluationReading, checked
from ..._results import Result, Table
from ..._words import count, listed
from ...errors import InputError
from ..scores.one_arm import t_above, t_quantile
from ..variance.clusters import single_groups
from .bars import over_items
from .defaults import LEVEL, MOST_SAMPLES, MOST_SEEDS, POWER
from .grid import Grid, ModelGrid, grid_of
from .means import level_of
from .plans import Costs, Design, Spreads, cheapest, cost_of, target_variance, variance_of
from .spread import Levels, factors_of

SAFE = 0.8  # the spread between trainings is planned for at this upper bound
_PLANNING = {"cost": None, "items_max": None, "power": POWER, "alpha": 1 - LEVEL, "on": None, "spreads": None}
COST = {"training": 0.0, "item": 0.0, "sample": 0.0}


class PlanEvaluationSettings(EvaluationReading, total=False):
    """Keywords of `plan_evals`: those of the reading, and these.

    cost : mapping of {"training", "item", "sample"} to float
        What each costs, in one currency; default an answer costs 1, and nothing else does.
    items_max : int
        Items that there are.
    power, alpha : float
        Default 0.8 and 0.05.
    on : {"distribution", "models"}
        Whether the gap is one of recipes (new trainings) or of checkpoints; default as the data allow.
    spreads : Spreads
        What is known of the spread, instead of a pilot.
    """

    cost: Mapping[str, float]
    items_max: int
    power: float
    alpha: float
    on: str
    spreads: Spreads


class Known(NamedTuple):
    """What a plan rests on.

    Attributes
    ----------
    spreads : Spreads
        Variances, that of a training at its upper bound.
    estimated : Spreads
        The same as estimated.
    seeds : int or None
        Trainings of the pilot; None where the spread was given.
    design_effect : float
        What clusters multiply the variance over items by.
    """

    spreads: Spreads
    estimated: Spreads
    seeds: int | None
    design_effect: float


@dataclass(frozen=True, eq=False, kw_only=True)
class EvaluationPlan(Result):
    """What shows a gap between two models of equal design.

    Attributes
    ----------
    gap, power, alpha : float
        What was asked, in the unit of the scores.
    on : str
        distribution or models.
    designs : tuple of Design
        The cheapest first; empty where nothing suffices.
    next_best : str
        What a little more money buys most of.
    fewest_seeds : int or None
        Trainings below which no number of items suffices; None where it does not matter.
    items_max : int or None
        Items that there are.
    known : Known
        What it rests on.
    in_unit : bool
        Whether scores lie within 0..1.
    """

    picture = ".plots:plot_evaluation_plan"

    gap: float
    power: float
    alpha: float
    on: str
    designs: tuple[Design, ...]
    next_best: str
    fewest_seeds: int | None
    items_max: int | None
    known: Known
    in_unit: bool

    def table(self) -> Table:
        """Return a row a design, the cheapest first."""
        columns = {
            "trainings": [one.seeds for one in self.designs],
            "items": [one.items for one in self.designs],
            "samples": [one.samples for one in self.designs],
            "cost": [one.cost for one in self.designs],
            "power": [one.power for one in self.designs],
        }
        return Table(columns, formats={"cost": ",.6g", "power": ".1%"})

    def sentence(self) -> str:
        """Return the cheapest design and what it rests on."""
        gap = f"{100 * self.gap:g} points" if self.in_unit else f"{self.gap:g}"
        pilot = self._pilot()
        if not self.designs:
            few = ""
            if self.fewest_seeds is not None:
                few = f" No number of items suffices with fewer than {self.fewest_seeds} trainings."
            most = f" with at most {count(self.items_max, 'item')}" if self.items_max is not None else ""
            return f"No design shows a gap of {gap}{most} with up to {MOST_SEEDS} trainings.{few}{pilot}"
        best = self.designs[0]
        what = f"{count(best.items, 'question')}, {count(best.samples, 'sample')} each"
        if self.on == "distribution":
            what = f"{count(best.seeds, 'training')} of each model, {what}"
        text = f"To decide a gap of {gap} in {100 * self.power:g} of 100 cases: {what} (cost {best.cost:,.6g})."
        if self.on == "distribution" and self.fewest_seeds is not None and self.fewest_seeds > 2:
            text += f" No number of items suffices with fewer than {self.fewest_seeds} trainings."
        return f"{text} {self.next_best}{pilot}".strip()

    def _pilot(self) -> str:
        if self.known.seeds is None or self.on == "models":
            return ""
        return (
            f" The spread between trainings is planned for at its upper 80 % bound, as {self.known.seeds} trainings "
            "leave it."
        )


def plan_evals(
    source: Any = None, gap: float | None = None, **settings: Unpack[PlanEvaluationSettings]
) -> EvaluationPlan:
    """Return the cheapest trainings, items and samples that show a gap between two models.

    Parameters
    ----------
    source : as for `evaluations`, optional
        A pilot of one model or two; or ``spreads=`` says what is known.
    gap : float
        True difference that is to be shown, in the unit of the scores.
    **settings : PlanEvaluationSettings
        Costs, how many items there are, power, and how files are read.

    Raises
    ------
    InputError
        No gap, or nothing that says how large the spread is.

    Examples
    --------
    >>> import runspread as rs
    >>> known = rs.methods.evaluations.Spreads(seed=0.0004, item=0.05, inter=0.01, decode=0.1)
    >>> plan = rs.methods.evaluations.plan_evals(gap=0.05, spreads=known, cost={"training": 50, "sample": 0.01})
    >>> plan.designs[0].seeds
    5
    """
    check_keywords(settings, {**READING, **_PLANNING}, "plan_evals")
    options: dict[str, Any] = {**_PLANNING, **settings}
    if gap is None or not 0 < gap < math.inf:
        raise InputError(f"gap is {gap}", "a number above 0 in the unit of the scores")
    check_alpha_and_power(options["alpha"], options["power"])
    if options["items_max"] is not None:
        check_integers(options["items_max"], "items_max", 2, None)
    costs = _costs(options["cost"])
    known, on, unit = _known(source, options, {key: one for key, one in settings.items() if key in READING})
    return _planned(float(gap), costs, known, on, options, in_unit=unit)


def _costs(given: Any) -> Costs:
    found: dict[str, float] = {**COST, **check_mapping(given or {"sample": 1.0}, "cost")}
    check_keywords(found, COST, "cost")
    _check_amounts(found, "cost")
    return Costs(found["training"], found["item"], found["sample"])


def _check_amounts(amounts: Mapping[str, Any], what: str) -> None:
    for name, value in amounts.items():
        if not isinstance(value, (int, float, np.number)) or not 0 <= value < math.inf:
            raise InputError(f"the {what} of {name} is {value}", "a number from 0 on")


def _known(source: Any, options: Mapping[str, Any], reading: dict[str, Any]) -> tuple[Known, str, bool]:
    if options["on"] is not None:
        check_choice(options["on"], "on", ("distribution", "models"))
    if options["spreads"] is not None:
        known = check_numbers(options["spreads"], "spreads")
        if known.shape != (len(Spreads._fields),):
            raise InputError(f"spreads have shape {known.shape}", f"{len(Spreads._fields)}: {listed(Spreads._fields)}")
        spreads = Spreads(*known.tolist())
        _check_amounts(spreads._asdict(), "spread")
        return Known(spreads, spreads, None, 1.0), options["on"] or "distribution", True
    if source is None:
        raise InputError("neither a pilot nor spreads=", "one of them")
    grid = grid_of(as_answers(source, **reading), checked(reading)["missing"])
    seeds = min(model.seeds for model in grid.models)
    on = options["on"] or ("distribution" if seeds > 1 else "models")
    if on == "distribution" and seeds < 2:
        raise InputError(
            "one training run of a model", "two or more, to know how trainings differ", "Pass on='models'."
        )
    return known_from(grid, on), on, grid.bounded


def known_from(grid: Grid, on: str, safe: float = SAFE) -> Known:
    """Return the spreads of a pilot: of the first two models' difference, or of one model alone, as if twice."""
    models = grid.models[:2]
    parts = [_parts(grid, model, safe) for model in models]
    mean = [float(np.mean(column)) for column in zip(*parts, strict=True)]
    seed, upper, inter, decode = mean
    rows = ~np.isnan(models[0].x) & ~np.isnan(models[-1].x)
    d = models[-1].x - models[0].x if len(models) == 2 else models[0].x
    noise = sum(_noise(model, rows) for model in models)
    alone = over_items(d[rows], single_groups(int(rows.sum())))
    strata = grid.strata(rows)
    clustered = sum(
        over_items(d[items], grouping).variance * (len(items) / rows.sum()) ** 2 for items, grouping in strata
    )
    effect = max(1.0, clustered / alone.variance) if alone.variance > 0 else 1.0
    item = max(0.0, alone.variance * rows.sum() - noise) * effect * (1 if len(models) == 2 else 2)
    seeds = min(model.seeds for model in models) if on == "distribution" else None
    estimated = Spreads(seed, item, inter, decode)
    return Known(estimated._replace(seed=upper) if on == "distribution" else estimated, estimated, seeds, effect)


def _noise(model: ModelGrid, rows: np.ndarray) -> float:
    """Return the mean variance of an item mean around its own true value: of samples, and of trainings on the item."""
    cells = model.cells
    kept = rows[cells.item]
    by_item = np.bincount(cells.item, np.square(cells.weights()) * cells.noise, len(model.x))
    noise = float(by_item[rows].mean()) if kept.any() else 0.0
    full = rows & ~np.isnan(model.by_seed).any(axis=0)
    if model.seeds < 2 or not full.any():
        return noise
    means = model.by_seed[:, full]
    residual = means - means.mean(axis=1, keepdims=True) - means.mean(axis=0) + means.mean()
    return float(np.square(residual).sum() / ((model.seeds - 1) * max(means.shape[1] - 1, 1) * model.seeds))


def _parts(grid: Grid, model: ModelGrid, safe: float) -> tuple[float, float, float, float]:
    """Return the variances of a training, at its upper bound too, of a training on an item, and of an answer."""
    from scipy.special import chdtri

    cells = model.cells
    rows = ~np.isnan(model.x)
    factors = factors_of(cells, None)
    found = Levels(factors).spread(cells.mean, cells.noise, cells.decode).parts if "item" in factors else {}
    decode = cells.decode
    seed, inter = max(0.0, found.get("seed", 0.0)), max(0.0, found.get("item.seed", 0.0))
    if math.isnan(decode):  # answered once: the last component holds decoding, which a single sample has as well
        decode = 0.0
    level = level_of(model.by_seed, rows, grid)
    upper = seed
    if level is not None and level.complete:
        df = model.seeds - 1
        between = df * level.variance * model.seeds
        upper = max(seed, between / float(chdtri(df, safe)) - level.inter * model.seeds)
    return seed, upper, inter, decode


def _planned(
    gap: float, costs: Costs, known: Known, on: str, options: Mapping[str, Any], *, in_unit: bool
) -> EvaluationPlan:
    alpha, power, most = options["alpha"], options["power"], options["items_max"]
    spreads = known.spreads if on == "distribution" else known.spreads._replace(seed=0.0)
    limit = math.inf if most is None else float(most)
    seeds = range(2, MOST_SEEDS + 1) if on == "distribution" else range(1, 2)
    if on == "models":  # they are trained already
        costs = costs._replace(training=0.0)
    found = small_designs(spreads, gap, alpha, power, limit, seeds)
    best = cheapest([replace(one, cost=cost_of(costs, one.seeds, one.items, one.samples)) for one in found])
    least = max(2, math.floor(2 * spreads.seed / target_variance(gap, alpha, power)) + 1)
    return EvaluationPlan(
        gap=gap,
        power=power,
        alpha=alpha,
        on=on,
        designs=tuple(best),
        next_best=_next(spreads, costs, best[0], on, limit) if best else "",
        fewest_seeds=least if on == "distribution" else None,
        items_max=most,
        known=known,
        in_unit=in_unit,
    )


def small_designs(spreads: Spreads, gap: float, alpha: float, power: float, most: float, seeds: range) -> list[Design]:
    """Return for every number of trainings and samples the least items that reach the power with t quantiles."""
    found: list[Design] = []
    for s in seeds:
        for d in range(1, MOST_SAMPLES + 1):
            items = _least_items(spreads, gap, alpha, power, most, s, d)
            if items is not None:
                found.append(Design(s, items, d, math.nan, power_of(spreads, gap, alpha, s, items, d)))
            if spreads.decode == 0:
                break
    return found


def _least_items(
    spreads: Spreads, gap: float, alpha: float, power: float, most: float, seeds: int, samples: int
) -> int | None:
    """Return the least number of items by halving; None where none suffices."""
    high = 2
    while power_of(spreads, gap, alpha, seeds, high, samples) < power:
        if high >= min(most, 1e7):
            return None
        high = int(min(2 * high, most, 1e7))
    low = max(2, high // 2)
    if power_of(spreads, gap, alpha, seeds, low, samples) >= power:
        return low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(spreads, gap, alpha, seeds, middle, samples) >= power else (middle, high)
    return high


def power_of(spreads: Spreads, gap: float, alpha: float, seeds: int, items: int, samples: int) -> float:
    """Return the power of a design: t with the degrees of freedom that its variances will have (evals 2.4)."""
    variance = variance_of(spreads, seeds, items, samples)
    if not variance > 0:
        return 1.0
    inter = (spreads.inter + spreads.decode / samples) / (seeds * items)
    over_items_ = spreads.item / items + 2 * inter
    below = over_items_**2 / (items - 1)
    if seeds > 1 and spreads.seed > 0:
        below += 2 * ((spreads.seed / seeds + inter) ** 2 / (seeds - 1) + inter**2 / ((seeds - 1) * (items - 1)))
    df = max(1.0, variance**2 / below) if below > 0 else math.inf
    return t_above(t_quantile(1 - alpha / 2, df) - gap / math.sqrt(variance), df)


def _next(spreads: Spreads, costs: Costs, best: Design, on: str, most: float) -> str:
    """Return what one more unit of money buys most of: the largest fall of the variance for its price."""
    now = variance_of(spreads, best.seeds, best.items, best.samples)
    steps = {"trainings": (1, 0, 0), "questions": (0, 1, 0), "samples": (0, 0, 1)}
    worth: dict[str, float] = {}
    for name, (s, n, d) in steps.items():
        if (name == "trainings" and on != "distribution") or best.items + n > most:
            continue
        design = (best.seeds + s, best.items + n, best.samples + d)
        price = cost_of(costs, *design) - best.cost
        fall = now - variance_of(spreads, *design)
        if fall > 0:
            worth[name] = fall / price if price > 0 else math.inf
    ranked = sorted(worth, key=lambda name: -worth[name])
    then = f", then on {listed(ranked[1:])}" if len(ranked) > 1 else ""
    return f"More money is best spent on {ranked[0]}{then}." if ranked else ""
