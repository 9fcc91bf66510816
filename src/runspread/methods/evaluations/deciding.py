"""Which items decide: those whose difference is beyond noise, and those that the verdict hangs on (evals 7)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._results import Result, Table
from ..._words import count
from ..scores.forms import Arm, difference
from ..variance.clusters import Grouping
from .bars import over_items
from .cells import Floats
from .defaults import ROWS_TO_DECIDE
from .differences import difference_of
from .grid import Grid, ModelGrid


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
        How few items have to go for the verdict to be undecided; None where it is undecided.
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
            start = f"Nothing to overturn: {self.new} against {self.old} is undecided on {count(total, 'item')}."
        else:
            verb = "is" if self.fewest == 1 else "are"
            start = (
                f"The verdict hangs on {self.fewest} of {count(total, 'item')}: without the "
                f"{'one that says' if self.fewest == 1 else 'ones that say'} it most it {verb and 'is'} undecided."
            )
        if np.isnan(self.p).all():
            more = f"Single items cannot be judged: that takes {ROWS_TO_DECIDE} answers of each model."
        else:
            more = f"{count(len(self.beyond_noise), 'item')} differ{'s' * (len(self.beyond_noise) == 1)} beyond noise."
        silent = self.all_right + self.all_wrong
        return f"{start} {more} {count(silent, 'item')} solved by both always or never tell nothing."


def deciding_items(
    grid: Grid, old: ModelGrid, new: ModelGrid, rows: NDArray[np.bool_], verdict: str, level: float
) -> DecidingItems:
    """Return which of the common items `rows` [items] decide."""
    items, d = np.flatnonzero(rows), (new.x - old.x)[rows]
    grouping = Grouping.of(grid.cluster_codes[items], len(items))
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
        fewest=fewest_items(d, grouping, level) if verdict in ("better", "worse") else None,
        all_right=int((both == 1).all(axis=0).sum()),
        all_wrong=int((both == 0).all(axis=0).sum()),
        level=level,
    )


def _cluster_name(names: tuple[str, ...], code: int) -> str:
    return names[code] if code < len(names) else f"item {code - len(names)}"


def fewest_items(d: Floats, grouping: Grouping, level: float) -> int | None:
    """Return how few items, those that speak most for the sign, leave the difference undecided when they go."""
    sign = 1 if d.mean() > 0 else -1
    order = np.argsort(-sign * d, kind="stable")
    for gone in range(1, len(d) - 1):
        kept = order[gone:]
        codes = grouping.codes[kept]
        if len(np.unique(codes)) < 2:
            return gone
        left = d[kept]
        one = difference_of(float(left.mean()), over_items(left, Grouping.of(codes, len(kept))))
        if not one.forms or one.value * sign <= 0 or one.p() > 1 - level:
            return gone
    return None


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
    from scipy.stats import fisher_exact

    return float(fisher_exact(np.array([[right_a, n_a - right_a], [right_b, n_b - right_b]]))[1])
