"""Where the spread of answers comes from: unbiased components of any crossed and nested design (evals 4, Koch)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cells import Floats

Set = frozenset[str]
NOTHING: Set = frozenset()


class Pairs(NamedTuple):
    """Pairs of cells: how many, and the sum of half their squared differences less what samples explain."""

    number: float
    total: float


class Spread(NamedTuple):
    """Components of the variance of one answer.

    Attributes
    ----------
    parts : dict of str to float
        Closed sets of factors, their names sorted and joined by dots, to the component; it may be negative. Sets that
        no pair of cells can show are part of those that contain them, and are NaN here.
    decode : float
        Variance between samples of a cell; NaN where nothing was asked twice.
    merged : tuple of str
        Sets that cannot be told.
    """

    parts: dict[str, float]
    decode: float
    merged: tuple[str, ...]


def name_of(factors: Set) -> str:
    """Return the name of a set of factors."""
    return ".".join(sorted(factors))


def closed_sets(factors: Sequence[str]) -> list[Set]:
    """Return the sets of factors in which an item comes with its cluster, small ones first, without the empty one."""
    every = [frozenset(some) for size in range(1, len(factors) + 1) for some in itertools.combinations(factors, size)]
    nested = "cluster" in factors
    return [one for one in every if not (nested and "item" in one and "cluster" not in one)]


def spread_of(factors: Mapping[str, NDArray[np.int64]], mean: Floats, noise: Floats, decode: float) -> Spread:
    """Return the components.

    Parameters
    ----------
    factors : mapping of str to ndarray of int64 [cells]
        Level of each cell in each factor; items in different clusters have different numbers.
    mean, noise : ndarray of float64 [cells]
        Mean of each cell, and the variance that samples give it.
    decode : float
        Variance between samples.
    """
    sets, full = closed_sets(tuple(factors)), frozenset(factors)
    centred = mean - mean.mean()
    least = {one: _pairs(factors, one, centred, noise) for one in [NOTHING, *sets]}
    gamma = _exactly(least, full)
    parts: dict[Set, float] = {}
    for one in sets:
        if math.isnan(gamma[one]):
            parts[one] = math.nan
            continue
        inside = sum(value for other, value in parts.items() if other < one and not math.isnan(value))
        parts[one] = gamma[NOTHING] - gamma[one] - inside
    merged = tuple(name_of(one) for one, value in parts.items() if math.isnan(value))
    return Spread({name_of(one): value for one, value in parts.items()}, decode, merged)


def _exactly(least: Mapping[Set, Pairs], full: Set) -> dict[Set, float]:
    """Return gamma of each set: the mean over pairs that share exactly its factors; NaN without such pairs."""
    exact: dict[Set, Pairs] = {}
    for one in sorted(least, key=len, reverse=True):
        above = [pairs for other, pairs in exact.items() if other > one]
        number = least[one].number - sum(pairs.number for pairs in above)
        exact[one] = Pairs(number, least[one].total - sum(pairs.total for pairs in above))
    gamma = {one: pairs.total / pairs.number if pairs.number > 0 else math.nan for one, pairs in exact.items()}
    return gamma | {full: 0.0}


def _pairs(factors: Mapping[str, NDArray[np.int64]], one: Set, mean: Floats, noise: Floats) -> Pairs:
    """Return the pairs of cells that share at least the factors of a set, in one pass over the cells."""
    groups = _groups([factors[name] for name in sorted(one)], len(mean))
    n = np.bincount(groups).astype(np.float64)
    total, squares, samples = (np.bincount(groups, values) for values in (mean, np.square(mean), noise))
    sums = (n * squares - total**2) / 2 - (n - 1) * samples / 2
    return Pairs(float((n * (n - 1) / 2).sum()), float(sums.sum()))


def _groups(columns: Sequence[NDArray[np.int64]], cells: int) -> NDArray[np.int64]:
    key = np.zeros(cells, np.int64)
    for column in columns:
        _, key = np.unique(key * (int(column.max()) + 1) + column, return_inverse=True)
    return key.astype(np.int64)


def seed_interval(level_means: Floats, inter: float, level: float) -> tuple[float, float]:
    """Return the interval of the component of the training from the means of the trainings (evals 4).

    `inter` is what trainings acting on single items and samples add to the variance of such a mean: V_inter times the
    number of trainings.
    """
    from scipy.special import chdtri

    df = len(level_means) - 1
    if df < 1:
        return math.nan, math.nan
    between = df * float(level_means.var(ddof=1))
    low, high = float(chdtri(df, (1 - level) / 2)), float(chdtri(df, (1 + level) / 2))
    return between / low - inter, between / high - inter
