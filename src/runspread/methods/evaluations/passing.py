"""`pass_at_k`: the chance that one of k tries is right, or that all are, with intervals (evals 6)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

import numpy as np

from ..._checks import check_choice, check_confidence_level, check_integers, check_keywords
from ..._reading.evaluations.arrays import as_answers
from ..._reading.evaluations.options import DEFAULTS as READING
from ..._reading.evaluations.options import EvaluationReading, checked
from ..._results import Result, Table
from ..._words import count
from ...errors import InputError
from .bars import bar_of, interval
from .cells import Floats
from .defaults import LEVEL
from .differences import guarded
from .grid import Grid, ModelGrid, grid_of, stratified
from .judging import common_items, within
from .means import mean_bar
from .tries import all_of, one_of

MOST_LEFT_OUT = 0.05  # of items with fewer samples than tries, above which nothing is said
_ACROSS = ("samples", "seeds")


class Passed(NamedTuple):
    """A model at one number of tries.

    Attributes
    ----------
    model : str
        Name.
    k : int
        Tries.
    value, lo, hi : float
        Mean over items and its interval, over items or clusters of them.
    n_items, n_left_out : int
        Items, and those with fewer samples than tries.
    """

    model: str
    k: int
    value: float
    lo: float
    hi: float
    n_items: int
    n_left_out: int


class PassedDifference(NamedTuple):
    """The paired difference of two models at one number of tries: new minus old."""

    old: str
    new: str
    k: int
    diff: float
    lo: float
    hi: float
    p: float


@dataclass(frozen=True, eq=False, kw_only=True)
class PassAtK(Result):
    """The chance that one of k tries is right (pass@k), or that all are (pass^k).

    Attributes
    ----------
    every : bool
        Whether all k have to be right.
    across : str
        samples (k tries of one checkpoint, averaged over trainings) or seeds (one try of each of k trainings).
    models : tuple of Passed
        A row a model and number of tries.
    differences : tuple of PassedDifference
        Of the second model less the first, where there are two.
    level : float
        Of the intervals.
    """

    no_picture = "draw the table's columns"

    every: bool
    across: str
    models: tuple[Passed, ...]
    differences: tuple[PassedDifference, ...]
    level: float

    def table(self) -> Table:
        """Return a row a model and number of tries, in percent."""
        name = f"pass{'^' if self.every else '@'}k"
        columns = {
            "model": [one.model for one in self.models],
            "k": [one.k for one in self.models],
            name: [100 * one.value for one in self.models],
            "low": [100 * one.lo for one in self.models],
            "high": [100 * one.hi for one in self.models],
            "items": [one.n_items for one in self.models],
        }
        return Table(columns, formats={name: ".1f", "low": ".1f", "high": ".1f"})

    def sentence(self) -> str:
        """Return the chances of each model."""
        what = "all of" if self.every else "one of"
        parts: list[str] = []
        for one in self.models:
            ends = f"{100 * one.lo:.1f} to {100 * one.hi:.1f}"
            tries = "1 try is right" if one.k == 1 else f"{what} {one.k} tries {'are' if self.every else 'is'} right"
            of = "trainings" if self.across == "seeds" else "one checkpoint"
            parts.append(
                f"{one.model}: {tries} on {100 * one.value:.1f} % of {count(one.n_items, 'question')} "
                f"({100 * self.level:g} % interval {ends}; tries of {of})."
            )
        return " ".join(parts)


def pass_at_k(
    source: Any,
    k: int | Sequence[int] = 1,
    *,
    every: bool = False,
    across: str = "samples",
    confidence_level: float = LEVEL,
    **reading: Unpack[EvaluationReading],
) -> PassAtK:
    """Return the chance that one of `k` tries at an item is right, without bias and never beyond the data.

    Parameters
    ----------
    source : as for `evaluations`
        Answers that are right or wrong.
    k : int or sequence of int
        Tries; at most the samples of an item.
    every : bool
        Whether all have to be right (pass^k) instead of one (pass@k).
    across : {"samples", "seeds"}
        k tries of one checkpoint, averaged over trainings, or one try of each of k trainings.
    confidence_level : float
        Of the intervals.
    **reading : EvaluationReading
        How files are read.

    Raises
    ------
    InputError
        Scores that are not 0 or 1, or more than 5 % of items with fewer samples than tries.

    Source: Chen et al. 2021 (pass@k); Yao et al. 2024 (pass^k).

    Examples
    --------
    >>> import runspread as rs
    >>> answers = {"A": [[1, 0, 1, 0], [0, 0, 1, 1]]}
    >>> found = rs.methods.evaluations.pass_at_k(answers, [1, 2], samples_are="samples")
    >>> [one.value for one in found.models]
    [0.5, 0.75]
    """
    check_keywords(reading, READING, "pass_at_k")
    check_choice(across, "across", _ACROSS)
    level = check_confidence_level(confidence_level)
    grid = grid_of(as_answers(source, **reading), checked(reading)["missing"])
    if not grid.binary:
        raise InputError("scores that are not all 0 or 1", "answers that are right or wrong")
    tries: list[int] = check_integers(np.atleast_1d(k), "k", 1, None).tolist()
    if not tries:
        raise InputError("no number of tries", "k such as 1, or [1, 5]")
    values = {(model.name, one): _values(model, one, across, every=every) for one in tries for model in grid.models}
    return PassAtK(
        every=every,
        across=across,
        models=tuple(_passed(grid, name, one, found, level) for (name, one), found in values.items()),
        differences=tuple(_gap(grid, values, one, level) for one in tries) if len(grid.models) == 2 else (),
        level=level,
        excluded=grid.answers.problems,
        warnings=grid.answers.notes,
    )


def _values(model: ModelGrid, k: int, across: str, *, every: bool) -> Floats:
    """Return the chance of each item [items]; NaN with fewer samples than tries."""
    found = _of_seeds(model.by_seed, k, every=every) if across == "seeds" else _of_samples(model, k, every=every)
    asked = ~np.isnan(model.x)
    lacking = int((asked & np.isnan(found)).sum())
    if lacking > MOST_LEFT_OUT * asked.sum():
        what = "trainings" if across == "seeds" else "samples"
        raise InputError(
            f"{lacking} of {int(asked.sum())} items of {model.name} with fewer than {k} {what}",
            "k from 1 to their number",
            "More tries than there are answers are not known from them.",
        )
    return found


def _of_samples(model: ModelGrid, k: int, *, every: bool) -> Floats:
    """Return the chance of k tries of one checkpoint, averaged over trainings and prompts."""
    cells = model.cells.take(model.cells.n >= k)
    right = (cells.n * cells.mean).round().astype(np.int64)
    each = (all_of if every else one_of)(cells.n, right, k) if len(cells) else np.zeros(0)
    number = np.bincount(cells.item, minlength=len(model.x))
    with np.errstate(invalid="ignore"):
        return np.where(number > 0, np.bincount(cells.item, each, len(model.x)) / number, np.nan)


def _of_seeds(p: Floats, k: int, *, every: bool) -> Floats:
    """Return the chance of one try of each of k trainings: the mean over all choices of k (symmetric polynomials)."""
    chance = np.where(np.isnan(p), 0.0, p if every else 1 - p)
    known = (~np.isnan(p)).sum(axis=0)
    sums = np.zeros((k + 1, p.shape[1]))
    sums[0] = 1
    for row, there in zip(chance, ~np.isnan(p), strict=True):
        for size in range(k, 0, -1):
            sums[size] += np.where(there, row * sums[size - 1], 0.0)
    choices = np.array([math.comb(int(n), k) for n in known])
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(choices > 0, sums[k] / choices, np.nan)
    return mean if every else 1 - mean


def _passed(grid: Grid, name: str, k: int, values: Floats, level: float) -> Passed:
    rows = ~np.isnan(values)
    strata = grid.strata(rows)
    found = mean_bar(values, strata, [])
    value = stratified(values, strata)
    lo, hi = interval(value, bar_of(found, "models"), level, found.n_clusters)
    model = next(one for one in grid.models if one.name == name)
    left = int((~np.isnan(model.x) & ~rows).sum())
    return Passed(name, k, value, lo, hi, int(rows.sum()), left)


def _gap(grid: Grid, values: dict[tuple[str, int], Floats], k: int, level: float) -> PassedDifference:
    old, new = (model.name for model in grid.models)
    d = values[new, k] - values[old, k]
    rows = common_items(d, old, new)
    strata = grid.strata(rows)
    value = stratified(d, strata)
    grouping = grid.grouping(np.flatnonzero(rows))
    one = guarded(value, bar_of(mean_bar(d, strata, []), "models"), d[rows], grouping)
    lo, hi = within(one.interval(level), bounded=True)
    return PassedDifference(old, new, k, value, lo, hi, one.p())
