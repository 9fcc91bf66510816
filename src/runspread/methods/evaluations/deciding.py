"""Which items decide: those whose difference is beyond noise, and those that the verdict hangs on (evals 7)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._results import Result, Table
from ..._words import count
from ..scores.forms import Arm, difference
from .cells import Floats
from .defaults import ROWS_TO_DECIDE
from .grid import Grid, ModelGrid

_NONE = "That a single item differs is not shown."


@dataclass(frozen=True, eq=False, kw_only=True)
class DecidingItems(Result):
    """The items of one difference, new minus old.

    Attributes
    ----------
    old, new : str
        Names of the models.
    items, clusters : tuple of str
        Ids of the common items, and of their clusters (empty without).
    d : ndarray of float64 [items]
        Difference of each.
    p, p_adjusted : ndarray of float64 [items]
        Of no difference on this item, for new answers to it (exact where scores are 0 or 1 and there is one training,
        else by trainings), and corrected for their number (Benjamini and Hochberg); NaN where it was not answered often
        enough.
    contribution : ndarray of float64 [clusters]
        What each cluster adds to the mean difference.
    without : ndarray of float64 [clusters]
        Mean difference without the cluster.
    fewest : int or None
        How few items have to go for the verdict to be undecided; None where it is not better or worse.
    all_right, all_wrong : int
        Items that both models always, and never solve: they tell nothing here.
    level : float
        Of the tests.
    """

    picture = ".plots:plot_deciding_items"

    old: str
    new: str
    items: tuple[str, ...]
    clusters: tuple[str, ...]
    d: Floats
    p: Floats
    p_adjusted: Floats
    contribution: Floats
    without: Floats
    fewest: int | None
    all_right: int
    all_wrong: int
    level: float

    @property
    def beyond_noise(self) -> tuple[str, ...]:
        """Items whose difference is beyond noise."""
        return tuple(self.items[at] for at in np.flatnonzero(self.p_adjusted <= 1 - self.level))

    def table(self) -> Table:
        """Return a row an item on which the models differ, the largest difference first."""
        order = [at for at in np.argsort(-np.abs(self.d), kind="stable").tolist() if self.d[at]]
        columns = {
            "item": [self.items[at] for at in order],
            "difference": self.d[order],
            "p": self.p[order],
            "p, all items": self.p_adjusted[order],
        }
        return Table(columns, formats={"difference": ".3g", "p": ".2g", "p, all items": ".2g"})

    def sentence(self) -> str:
        """Return what the verdict hangs on, and which items differ beyond noise."""
        total = len(self.items)
        if self.fewest is None:
            start = f"There is no verdict of better or worse on {self.new} against {self.old} to overturn."
        else:
            most = "one that says" if self.fewest == 1 else "ones that say"
            hangs = f"The verdict hangs on {self.fewest} of {count(total, 'item')}"
            start = f"{hangs}: without the {most} it most, it is undecided."
        if np.isnan(self.p).all():
            more = f"Single items cannot be judged: that takes {ROWS_TO_DECIDE} answers of each model."
        else:
            number = len(self.beyond_noise)
            more = f"{count(number, 'item')} differ{'s' * (number == 1)} beyond noise." if number else _NONE
        silent = self.all_right + self.all_wrong
        tell = "tells" if silent == 1 else "tell"
        return f"{start} {more} {count(silent, 'item')} that both models always or never solve {tell} nothing."


def deciding_items(
    grid: Grid,
    old: ModelGrid,
    new: ModelGrid,
    differences: Floats,
    rows: NDArray[np.bool_],
    level: float,
    fewest: int | None,
) -> DecidingItems:
    """Return which of the common items `rows` [items] decide.

    `differences` [items] are those of the verdict, which may weigh items by their answers; what the models answered is
    theirs all the same. `fewest` is what `fewest_items` found.
    """
    items, d = np.flatnonzero(rows), differences[rows]
    grouping = grid.grouping(items)
    p = _item_p(grid, old, new, items)
    sums = grouping.sums(d)
    sizes = grouping.sizes
    without = (d.sum() - sums) / np.maximum(len(d) - sizes, 1)
    names = grid.answers.clusters
    codes = np.unique(grid.cluster_codes[items])
    both = np.stack([old.x[rows], new.x[rows]])
    return DecidingItems(
        old=old.name,
        new=new.name,
        items=tuple(grid.answers.items[at] for at in items.tolist()),
        clusters=() if grid.cluster is None else tuple(_cluster_name(names, code) for code in codes.tolist()),
        d=d,
        p=p,
        p_adjusted=benjamini_hochberg(p),
        contribution=sums / len(d),
        without=without,
        fewest=fewest,
        all_right=int((both == 1).all(axis=0).sum()),
        all_wrong=int((both == 0).all(axis=0).sum()),
        level=level,
    )


def _cluster_name(names: tuple[str, ...], code: int) -> str:
    return names[code] if code < len(names) else f"item {code - len(names)}"


def fewest_items(d: Floats, rows: NDArray[np.bool_], decided: Callable[[NDArray[np.bool_]], int]) -> int | None:
    """Return how few of the items `rows`, those that speak most for the verdict, leave it undecided when they go.

    None where nothing is decided with all of them. The number is found by halving: each item that goes takes from it.
    `decided` says of some items [items] whether they show that the new model is better (1), worse (-1), or neither (0);
    one item alone never does.
    """
    sign = decided(rows)
    if not sign:
        return None
    items = np.flatnonzero(rows)
    order = items[np.argsort(-sign * d[items], kind="stable")]
    low, high = 0, len(order) - 1  # decided without `low`, undecided without `high`
    while high - low > 1:
        middle = (low + high) // 2
        kept = np.zeros_like(rows)
        kept[order[middle:]] = True
        low, high = (middle, high) if decided(kept) == sign else (low, middle)
    return high


def benjamini_hochberg(p: Floats) -> Floats:
    """Return p-values corrected so that among what is called different 5 % are expected not to be; NaN stays."""
    found = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
    found[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return found


def _item_p(grid: Grid, old: ModelGrid, new: ModelGrid, items: NDArray[np.intp]) -> Floats:
    """Return the p of no difference of each item, for new answers to it."""
    size = len(old.x)
    rows = [np.bincount(one.cells.item, one.cells.n, size)[items] for one in (old, new)]
    enough = (rows[0] >= ROWS_TO_DECIDE) & (rows[1] >= ROWS_TO_DECIDE)
    p = np.full(len(items), np.nan)
    if not enough.any():
        return p
    if max(old.seeds, new.seeds) > 1:
        for at in np.flatnonzero(enough).tolist():
            p[at] = _by_trainings(old.by_seed[:, items[at]], new.by_seed[:, items[at]])
        return p
    if not grid.binary:
        return p
    right = [np.bincount(one.cells.item, one.cells.n * one.cells.mean, size)[items] for one in (old, new)]
    tables = np.stack([*right, *rows]).round().astype(np.int64)[:, enough]
    distinct, at = np.unique(tables, axis=1, return_inverse=True)
    p[enough] = np.array([_fisher(*column) for column in distinct.T.tolist()])[at]
    return p


def _by_trainings(a: Floats, b: Floats) -> float:
    """Return the p of the guarded t form of the means of trainings; NaN without two of each."""
    a, b = a[~np.isnan(a)], b[~np.isnan(b)]
    if min(len(a), len(b)) < 2:
        return math.nan
    one = difference(Arm.of(a), Arm.of(b))
    return one.p() if one.forms else (1.0 if not one.value else math.nan)


def _fisher(right_a: int, right_b: int, n_a: int, n_b: int) -> float:
    """Return Fisher's exact two-sided p of equal shares."""
    from scipy.special import gammaln

    total = right_a + right_b
    x = np.arange(max(0, total - n_b), min(n_a, total) + 1)
    terms = gammaln(x + 1) + gammaln(n_a - x + 1) + gammaln(total - x + 1) + gammaln(n_b - total + x + 1)
    chance = np.exp(terms.min() - terms)
    own = chance[right_a - x[0]]
    return float(min(1.0, chance[chance <= own * (1 + 1e-7)].sum() / chance.sum()))
