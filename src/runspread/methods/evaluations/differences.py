"""B against A, paired by item: the forms of the difference and what few and discrete items allow (evals 3)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..scores.forms import Difference, Form
from ..variance.clusters import Grouping
from .bars import Bar, over_items

Floats = NDArray[np.float64]


class AddTwo(NamedTuple):
    """The difference with one item more that only B solves and one that only A solves (evals 3.2)."""

    value: float
    bar: Bar


class McNemar(NamedTuple):
    """Items that only B solves, that only A solves, and the exact p of equal chances."""

    n01: int
    n10: int
    exact_p: float


def difference_of(value: float, bar: Bar) -> Difference:
    """Return a difference with its one t form; without any where there is no spread to judge by."""
    if not bar.variance > 0 or not bar.df > 0:
        return Difference(value, (), "none")
    return Difference(value, (Form(math.sqrt(bar.variance), bar.df),), "paired")


def add_two(d: Floats, grouping: Grouping) -> AddTwo:
    """Return the difference with two items more, each a cluster: for differences that are all equal."""
    codes = np.concatenate([grouping.codes, len(grouping) + np.arange(2)])
    more = np.concatenate([d, [1.0, -1.0]])
    return AddTwo(float(more.mean()), over_items(more, Grouping.of(codes, len(more))))


def guarded(value: float, bar: Bar, d: Floats, grouping: Grouping) -> Difference:
    """Return a difference with its t form; where all `d` [items] are equal, that of two items more.

    No spread is no certainty.
    """
    one = difference_of(value, bar)
    if one.forms or not bar.df > 0:
        return one
    more = add_two(d, grouping)
    return difference_of(more.value, more.bar)


def mcnemar(a: Floats, b: Floats) -> McNemar:
    """Return the exact test of 0/1 scores [items] of two models."""
    from scipy.special import bdtr

    only_b, only_a = int((b > a).sum()), int((a > b).sum())
    p = min(1.0, 2 * float(bdtr(min(only_b, only_a), only_b + only_a, 0.5)))
    return McNemar(only_b, only_a, p)
