"""Where the spread of answers comes from: unbiased components of any crossed and nested design (evals 4, Koch)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .cells import Cells, Codes, Floats

Set = frozenset[str]
NOTHING: Set = frozenset()
_JACKKNIFE = 30  # groups of clusters that are deleted in turn suffice


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
    """

    parts: dict[str, float]
    decode: float


class Levels:
    """The cells by what they share: for every closed set of factors the group of each cell, found once.

    Parameters
    ----------
    factors : mapping of str to ndarray of int64 [cells]
        Level of each cell in each factor; items in different clusters have different numbers.
    """

    def __init__(self, factors: Mapping[str, Codes]) -> None:
        self.sets, self.full = closed_sets(tuple(factors)), frozenset(factors)
        cells = len(next(iter(factors.values())))
        self.groups = {one: _groups([factors[name] for name in sorted(one)], cells) for one in [NOTHING, *self.sets]}

    def spread(self, mean: Floats, noise: Floats, decode: float, keep: Floats | None = None) -> Spread:
        """Return the components.

        Parameters
        ----------
        mean, noise : ndarray of float64 [cells]
            Mean of each cell, and the variance that samples give it.
        decode : float
            Variance between samples.
        keep : ndarray of 0 or 1 [cells], optional
            Which cells count; all without.
        """
        weight = np.ones(len(mean)) if keep is None else keep
        centred = weight * (mean - np.average(mean, weights=weight))
        least = {one: _pairs(groups, weight, centred, weight * noise) for one, groups in self.groups.items()}
        gamma = _exactly(least, self.full)
        parts: dict[Set, float] = {}
        for one in self.sets:
            inside = sum(value for other, value in parts.items() if other < one and not math.isnan(value))
            parts[one] = gamma[NOTHING] - gamma[one] - inside
        return Spread({name_of(one): value for one, value in parts.items()}, decode)


def name_of(factors: Set) -> str:
    """Return the name of a set of factors."""
    return ".".join(sorted(factors))


def closed_sets(factors: Sequence[str]) -> list[Set]:
    """Return the sets of factors in which an item comes with its cluster, small ones first, without the empty one."""
    every = [frozenset(some) for size in range(1, len(factors) + 1) for some in itertools.combinations(factors, size)]
    nested = "cluster" in factors
    return [one for one in every if not (nested and "item" in one and "cluster" not in one)]


def factors_of(cells: Cells, cluster: Codes | None) -> dict[str, Codes]:
    """Return the factors of a model's cells that have several levels; `cluster` [items], None without clusters."""
    factors = {"seed": cells.seed, "prompt": cells.prompt, "item": cells.item}
    if cluster is not None:
        factors["cluster"] = cluster[cells.item]
    found = {name: codes for name, codes in factors.items() if np.ptp(codes) > 0}
    if "cluster" in found and len(np.unique(found["cluster"])) == len(np.unique(cells.item)):
        del found["cluster"]  # an item each
    return found


def _exactly(least: Mapping[Set, Pairs], full: Set) -> dict[Set, float]:
    """Return gamma of each set: the mean over pairs that share exactly its factors; NaN without such pairs."""
    exact: dict[Set, Pairs] = {}
    for one in sorted(least, key=len, reverse=True):
        above = [pairs for other, pairs in exact.items() if other > one]
        number = least[one].number - sum(pairs.number for pairs in above)
        exact[one] = Pairs(number, least[one].total - sum(pairs.total for pairs in above))
    gamma = {one: pairs.total / pairs.number if pairs.number > 0.5 else math.nan for one, pairs in exact.items()}
    return gamma | {full: 0.0}


def _pairs(groups: Codes, weight: Floats, mean: Floats, noise: Floats) -> Pairs:
    """Return the pairs of cells in a group, in one pass over the cells."""
    n = np.bincount(groups, weight)
    total, squares, samples = (np.bincount(groups, values) for values in (mean, np.square(mean), noise))
    sums = (n * squares - total**2) / 2 - (n - 1) * samples / 2
    return Pairs(float((n * (n - 1) / 2).sum()), float(sums.sum()))


def _groups(columns: Sequence[Codes], cells: int) -> Codes:
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


def jackknifed(levels: Levels, cells: Cells, cluster: Codes, names: Sequence[str]) -> dict[str, Floats]:
    """Return each component, and its share (``share_...``), with groups of clusters deleted in turn [groups].

    `cluster` [items] is the number of each item's cluster, or of the item.
    """
    clusters = int(cluster.max()) + 1
    group = (np.arange(clusters) * min(clusters, _JACKKNIFE) // clusters)[cluster][cells.item]
    noise, several = cells.noise, cells.n > 1
    found: dict[str, list[float]] = {}
    for out in range(int(group.max()) + 1):
        keep = (group != out).astype(np.float64)
        left = several & (group != out)
        decode = float(cells.var[left].mean()) if left.any() else math.nan
        for name, value in with_shares(levels.spread(cells.mean, noise, decode, keep), names).items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def with_shares(spread: Spread, names: Sequence[str]) -> dict[str, float]:
    """Return components by name, `decode` too, and the share of each in the variance of one answer, negative ones 0."""
    values = {name: spread.parts.get(name, math.nan) for name in names} | {"decode": spread.decode}
    positive = {name: max(0.0, value) for name, value in values.items() if not math.isnan(value)}
    total = sum(positive.values())
    shares = {f"share_{name}": positive.get(name, math.nan) / total if total else math.nan for name in values}
    return values | shares
