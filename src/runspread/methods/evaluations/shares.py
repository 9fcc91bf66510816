"""Where the spread of answers comes from, for a reader: components, their shares and intervals (evals 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..._results import Result, Table
from ..._words import listed
from ..scores.one_arm import t_quantile
from .cells import Floats
from .grid import Grid, ModelGrid
from .means import level_of
from .spread import Levels, factors_of, jackknifed, seed_interval, with_shares

_WORDS = {"seed": "training", "item": "question", "prompt": "prompt", "cluster": "cluster"}


class Component(NamedTuple):
    """A component of the variance of one answer.

    Attributes
    ----------
    name, words : str
        Its key, and what it is called.
    variance, lo, hi : float
        Unbiased, so perhaps negative, and its interval; NaN where there is none.
    share, share_lo, share_hi : float
        Of the variance of one answer, negative components as 0.
    """

    name: str
    words: str
    variance: float
    lo: float
    hi: float
    share: float
    share_lo: float
    share_hi: float


class ModelSources(NamedTuple):
    """Components of one model, and what cannot be told."""

    model: str
    components: tuple[Component, ...]
    cannot: tuple[str, ...]

    def variance(self, name: str) -> float:
        """Return a component by its key; NaN where it is not known."""
        return next((one.variance for one in self.components if one.name == name), math.nan)


@dataclass(frozen=True, eq=False, kw_only=True)
class EvaluationSources(Result):
    """Where the spread of answers comes from, of every model.

    Attributes
    ----------
    models : tuple of ModelSources
        Components of each.
    level : float
        Of the intervals.
    """

    picture = ".plots:plot_evaluation_sources"

    models: tuple[ModelSources, ...]
    level: float

    def table(self) -> Table:
        """Return a row a component."""
        rows = [(model.model, one) for model in self.models for one in model.components]
        columns = {
            "model": [name for name, _ in rows],
            "source": [one.words for _, one in rows],
            "variance": [one.variance for _, one in rows],
            "low": [one.lo for _, one in rows],
            "high": [one.hi for _, one in rows],
            "share": [one.share for _, one in rows],
            "note": ["negative: taken for 0 in the shares" if one.variance < 0 else "" for _, one in rows],
        }
        return Table(columns, formats={"variance": ".3g", "low": ".3g", "high": ".3g", "share": ".1%"})

    def sentence(self) -> str:
        """Return the shares of each model, and what cannot be told."""
        return " ".join(_of_model(one, named=len(self.models) > 1) for one in self.models)


def _of_model(one: ModelSources, *, named: bool) -> str:
    known = sorted((c for c in one.components if not math.isnan(c.share)), key=lambda c: -c.share)
    if not known:
        return f"{f'{one.model}: ' if named else ''}The answers have no spread to give shares of."
    parts = [_share(one) for one in known if one.share > 0.0005 or one.name == "seed"]
    start = f"{one.model}: of" if named else "Of"
    the = "" if known[0].name == "decode" else "the "
    first = f"{parts[0][0]} % is {the}{known[0].words}"
    others = [f"{share} % {words}" for share, words in parts[1:]]
    text = f"{start} the variance of one answer {', '.join([first, *others])}."
    return f"{text} {' '.join(one.cannot)}".strip()


def _share(one: Component) -> tuple[str, str]:
    """Return a share in percent, and what comes after the sign; that of trainings with its interval."""
    share = f"{100 * one.share:.0f}" if one.share >= 0.01 else f"{100 * one.share:.1f}"
    if one.name != "seed" or math.isnan(one.share_lo):
        return share, one.words
    low, high = max(0.0, 100 * one.share_lo), min(100.0, 100 * one.share_hi)
    return share, f"({low:.0f} to {high:.0f}) {one.words}"


def sources_of(grid: Grid, level: float) -> EvaluationSources:
    """Return the components of every model."""
    return EvaluationSources(models=tuple(_model_sources(grid, one, level) for one in grid.models), level=level)


def _model_sources(grid: Grid, model: ModelGrid, level: float) -> ModelSources:
    cells = model.cells
    factors = factors_of(cells, grid.cluster)
    cannot = _cannot(grid, model)
    if "item" not in factors:
        return ModelSources(model.name, (), cannot)
    levels = Levels(factors)
    found = levels.spread(cells.mean, cells.noise, cells.decode)
    names = list(found.parts)
    values = with_shares(found, names)
    _, codes = np.unique(grid.cluster_codes[cells.item], return_inverse=True)
    by_item = np.zeros(len(model.x), np.int64)
    by_item[cells.item] = codes
    several = int(codes.max()) + 1 >= 3
    deleted = jackknifed(levels, cells, by_item, names) if several else {}
    merged = [name for name in names if math.isnan(found.parts[name])]
    components = [
        _component(name, values, deleted, level, _words(name, merged, found.decode, names))
        for name in [*names, "decode"]
        if name not in merged and not math.isnan(values[name])
    ]
    return ModelSources(model.name, tuple(_with_seed(one, grid, model, level) for one in components), cannot)


def _component(name: str, values: dict[str, float], deleted: dict[str, Floats], level: float, words: str) -> Component:
    nan = math.nan
    alone = not {"item", "cluster", "decode"} & set(name.split("."))  # of few levels, which no item knows
    lo, hi = (nan, nan) if alone else _interval(values[name], deleted.get(name), level)
    share = values[f"share_{name}"]
    low, high = (nan, nan) if alone else _interval(share, deleted.get(f"share_{name}"), level)
    return Component(name, words, values[name], lo, hi, share, low, high)


def _interval(value: float, deleted: Floats | None, level: float) -> tuple[float, float]:
    """Return the interval of the jackknife that leaves groups of clusters out in turn."""
    if deleted is None or np.isnan(deleted).any():
        return math.nan, math.nan
    groups = len(deleted)
    se = math.sqrt((groups - 1) / groups * float(np.square(deleted - deleted.mean()).sum()))
    half = t_quantile((1 + level) / 2, groups - 1) * se
    return value - half, value + half


def _with_seed(one: Component, grid: Grid, model: ModelGrid, level: float) -> Component:
    """Return the component of trainings with its interval, which no jackknife over items can give."""
    rows = ~np.isnan(model.x)
    found = level_of(model.by_seed, rows, grid) if one.name == "seed" else None
    if found is None or not found.complete:
        return one
    full = rows & ~np.isnan(model.by_seed).any(axis=0)
    lo, hi = seed_interval(model.by_seed[:, full].mean(axis=1), found.inter * model.seeds, level)
    total = one.variance / one.share if one.share > 0 else math.nan
    return one._replace(lo=lo, hi=hi, share_lo=lo / total, share_hi=hi / total)


def _words(name: str, merged: list[str], decode: float, names: list[str]) -> str:
    """Return what a component is called; the last one holds decoding where nothing was asked twice."""
    if name == "decode":
        return "decoding"
    factors = name.split(".")
    if "item" in factors and "cluster" in factors:
        factors.remove("cluster")
    order = [one for one in ("seed", "prompt", "cluster", "item") if one in factors]
    words = " x ".join(_WORDS[one] for one in order)
    inside = [other for other in merged if set(other.split(".")) < set(name.split("."))]
    if inside:
        words += f" with {listed([_words(other, [], 0.0, []) for other in inside])}"
    return f"{words} and decoding together" if math.isnan(decode) and names and name == names[-1] else words


def _cannot(grid: Grid, model: ModelGrid) -> tuple[str, ...]:
    """Return what the design cannot tell."""
    found: list[str] = []
    if model.seeds < 2:
        found.append("One training: its share is not known, and all shares are for this one.")
    if model.prompts < 2 and model.seeds > 1:
        found.append("One prompt was used: its share is not known.")
    if not model.cells.repeats:
        found.append("Nothing was answered twice: the share of decoding is not known.")
    return tuple(found)
