"""The looks of a certificate: how many fresh runs, at which level, and when to stop for good."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..._checks import check_choice
from ...errors import InputError
from .defaults import (
    CERTIFICATE_RUNS,
    CERTIFICATE_RUNS_PAIRED,
    CONFIRMATION_SHARE,
    HOPELESS,
    MORE_RUNS_FIRST,
    SHARES,
)

WELCH = "welch-min"
TESTS = ("permutation", WELCH)
STATISTICS = ("mean", "median")
CERTIFIED, REFUSED, ON = "certified", "not certified", "go on"
ROUNDING = 1 + 1e-9


@dataclass(frozen=True)
class Look:
    """One look of a certificate.

    Attributes
    ----------
    runs : int
        Fresh runs per side.
    level : float
        It is certified if the p-value is at most this.
    hopeless : float
        It stops for good if the p-value is above this; 1 where it goes on whatever the p-value is, or ends anyway.
    """

    runs: int
    level: float
    hopeless: float = 1.0


def certificate_looks(
    spent: float, *, pair: bool = False, fixed: int = 0, test: str = "permutation"
) -> tuple[Look, ...]:
    """Return the looks of a certificate that spends a level; the chance of a false one is at most that.

    Parameters
    ----------
    spent : float
        Level of the whole certificate.
    pair : bool
        Whether start and end have common seeds (signs of differences are flipped instead of runs exchanged).
    fixed : int
        Runs per side of a design with one look, whose gain is unbiased; 0: three looks.
    test : {"permutation", "welch-min"}
        welch-min reaches every level with any number of runs.

    Raises
    ------
    InputError
        No look has runs enough to reach its level.

    Examples
    --------
    >>> import runspread as rs
    >>> [look.runs for look in rs.methods.gate.certificate_looks(0.05)]
    [5, 10, 16]
    """
    check_choice(test, "test", TESTS)
    if not 0 < spent < 1:
        raise InputError(f"the level of the certificate is {spent:g}", "a number between 0 and 1")
    if fixed:
        looks = (Look(fixed, spent),)
    else:
        runs = CERTIFICATE_RUNS_PAIRED if pair else CERTIFICATE_RUNS
        first = (
            runs[0] if test != "permutation" or smallest_p(runs[0], pair=pair) <= SHARES[0] * spent * ROUNDING else 0
        )
        numbers = (first or (12 if pair else MORE_RUNS_FIRST), *runs[1:])
        looks = tuple(
            Look(number, share * spent, hopeless)
            for number, share, hopeless in zip(numbers, SHARES, (*HOPELESS, 1.0), strict=True)
        )
        looks = tuple(look for at, look in enumerate(looks) if not at or look.runs > looks[at - 1].runs)
    if test == "permutation" and smallest_p(looks[-1].runs, pair=pair) > looks[-1].level * ROUNDING:
        raise InputError(
            f"{looks[-1].runs} fresh runs per side give p-values down to {smallest_p(looks[-1].runs, pair=pair):.2g}",
            f"p-values down to the level {looks[-1].level:.2g}",
            "Use more runs, or a larger alpha in a new campaign.",
        )
    return looks


def smallest_p(runs: int, *, pair: bool = False) -> float:
    """Return the smallest p-value that so many runs per side can have."""
    return 0.5**runs if pair else 1 / math.comb(2 * runs, runs)


def judge(p: float, guards: list[float], look: Look, *, last: bool) -> str:
    """Return certified, not certified or go on.

    Every guard must hold at the look's level too, and needs no correction: all of them are asked for. Futility is
    judged by the outcome alone.
    """
    if max([p, *guards]) <= look.level * ROUNDING:
        return CERTIFIED
    return REFUSED if last or p > look.hopeless else ON


def confirmation_level(wealth: float) -> float:
    """Return the level of the next confirmation of a try under the rule "strict".

    Examples
    --------
    >>> import runspread as rs
    >>> round(rs.methods.gate.confirmation_level(0.05), 3)
    0.01
    """
    return CONFIRMATION_SHARE * wealth


def confirmation_levels(certified: list[bool], alpha: float) -> list[float]:
    """Return the level of each confirmation of a sequence; what is certified costs nothing.

    Parameters
    ----------
    certified : list of bool
        How each confirmation ended.
    alpha : float
        Wealth at first, which bounds the chance of any false keep.

    Examples
    --------
    >>> import runspread as rs
    >>> [round(level, 4) for level in rs.methods.gate.confirmation_levels([False, True], 0.05)]
    [0.01, 0.008]
    """
    wealth, levels = alpha, list[float]()
    for kept in certified:
        levels.append(confirmation_level(wealth))
        wealth -= 0.0 if kept else levels[-1]
    return levels
