"""Exchanges of runs between two sets: all of them where they are few, else distinct random ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from ..._reading.margins import Floats
from ...errors import InputError
from .levels import check_epsilon

ROUNDING = 1e-9  # of a share of arrangements, so that 1 of 100 is 0.01
TIE = 1e-11  # statistics that differ by this share of theirs are equal but for rounding
Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Exchanges:
    """Arrangements of runs into an old and a new set, the observed one first.

    Where both sets are as large, an arrangement and its mirror image have the same two-sided statistics and are one.

    Attributes
    ----------
    new : ndarray of bool [arrangements, runs]
        Which runs an arrangement calls new.
    exact : bool
        Whether these are all arrangements; else they are distinct random ones.
    """

    new: Rows
    exact: bool

    def p_value(self, statistics: Floats) -> float:
        """Return the share of arrangements whose statistic is at least that of the observed one."""
        return float((statistics >= statistics[0] - TIE * abs(statistics[0])).mean())

    def threshold(self, statistics: Floats, level: float) -> float:
        """Return the statistic that is exceeded exactly where the p-value is at most `level`."""
        beyond = math.floor(level * len(statistics) + ROUNDING)
        return float(np.sort(statistics)[::-1][beyond])


def arrangements(n_old: int, n_new: int) -> int:
    """Return how many arrangements of the runs a two-sided statistic can distinguish."""
    return math.comb(n_old + n_new, n_old) // (2 if n_old == n_new else 1)


def exchanges(n_old: int, n_new: int, permutations: int, rng: np.random.Generator) -> Exchanges:
    """Return all arrangements where there are at most ``permutations + 1``, else the observed and as many random ones.

    Random ones are distinct, from the observed one too; so each arrangement that is there is as likely as any other to
    be the observed one if the sets are alike, and p-values are exact.
    """
    if arrangements(n_old, n_new) <= permutations + 1:
        return Exchanges(_all(n_old, n_new), exact=True)
    observed = np.repeat([False, True], [n_old, n_new])
    rows = observed[None]
    while len(rows) <= permutations:
        drawn = rng.permuted(np.tile(observed, (permutations, 1)), axis=1)
        if n_old == n_new:
            drawn = (
                drawn ^ drawn[:, :1]
            )  # of an arrangement and its mirror image the one with the first run among the old
        rows = np.concatenate([rows, drawn])
        first = np.unique(np.packbits(rows, axis=1), axis=0, return_index=True)[1]
        rows = rows[np.sort(first)]
    return Exchanges(rows[: permutations + 1], exact=False)


def _all(n_old: int, n_new: int) -> Rows:
    runs, count = n_old + n_new, arrangements(n_old, n_new)
    chosen = np.array(list(islice(combinations(range(runs), n_old), count)))  # the observed first; mirror images last
    new = np.ones((count, runs), dtype=np.bool_)
    np.put_along_axis(new, chosen, False, axis=1)
    return new


def check_resolution(
    n_old: int, n_new: int, permutations: int, epsilon: float, tests: int, copies: int = 0
) -> tuple[float, int]:
    """Return the level of each of some tests that share `epsilon`, and how many exchanges it takes at least.

    `copies` is the number of runs that are excluded as copies of others, for the error.

    Raises
    ------
    InputError
        No p-value can be as small as that: the runs or the permutations are too few.
    """
    level, possible = check_epsilon(epsilon) / tests, arrangements(n_old, n_new)
    aside = f" ({copies} {'copy' if copies == 1 else 'copies'} excluded)" if copies else ""
    runs = f"{n_old} old and {n_new} new runs{aside}"
    if 1 / possible > level * (1 + ROUNDING):
        each = (
            f"{level:g}, half of epsilon {epsilon:g}, for each of two tests" if tests == 2 else f"epsilon {epsilon:g}"
        )
        raise InputError(
            f"cannot tell: {runs} have {possible} distinguishable arrangement{'s' * (possible > 1)}, which give "
            f"p-values down to {1 / possible:.2g}",
            f"p-values down to {each}",
            _remedy(level, tests / possible),
        )
    if 1 / (permutations + 1) > epsilon * (1 + ROUNDING):
        raise InputError(
            f"cannot tell: {runs} with {permutations} permutations, which give p-values down to "
            f"{1 / (permutations + 1):.2g}",
            f"p-values down to epsilon {epsilon:g}",
            f"Allow {_exchanges_for(epsilon)} permutations.",
        )
    return level, max(permutations, _exchanges_for(level))


def _exchanges_for(level: float) -> int:
    return math.ceil(1 / level - ROUNDING) - 1


def _remedy(level: float, reached: float) -> str:
    """Return how many runs could show a difference, and the epsilon that these could reach, rounded up to a digit."""
    runs = next(count for count in range(2, 10**6) if arrangements(count, count) * level >= 1 - ROUNDING)
    unit = 10.0 ** math.floor(math.log10(reached))
    epsilon = math.ceil(reached / unit - ROUNDING) * unit
    instead = f", or these at epsilon {epsilon:.1g}" if epsilon < 1 else ""
    return f"{runs} and {runs} runs can show a difference ({1 / arrangements(runs, runs):.2g}){instead}."
