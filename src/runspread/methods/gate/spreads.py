"""Noise of a campaign: from runs that were not chosen for what they showed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..._results import Part
from ..._words import count
from .._statistics import equal_spread_p, sample_variance

FAR, ENOUGH_DF = 5.0, 4  # pooled standard deviations of a run that failed; degrees of freedom of an estimate
SPREADS_DIFFER = 0.01


@dataclass(frozen=True, eq=False, kw_only=True)
class Noise(Part):
    """Spread of runs of one state.

    Attributes
    ----------
    noise_sd : float
        Pooled standard deviation within states; NaN without a state of two runs.
    noise_df : int
        Its degrees of freedom.
    spread_p : float
        Brown and Forsythe's p-value of equal spreads, over states with three runs or more; NaN below two of those.
    """

    noise_sd: float = math.nan
    noise_df: int = 0
    spread_p: float = math.nan


def noise(runs: Mapping[str, Sequence[float]]) -> Noise:
    """Pool the spread within states.

    Parameters
    ----------
    runs : mapping of str to sequence of float
        State to the finite outcomes of its runs. Exclude runs whose outcome decided that they are here: the first
        run of a kept try was chosen for being low.

    Returns
    -------
    Noise
        Standard deviation, degrees of freedom, and whether the spread differs by state.

    Examples
    --------
    >>> import runspread as rs
    >>> found = rs.methods.gate.noise({"start": [3.28, 3.31, 3.30], "wider": [3.20, 3.24]})
    >>> round(float(found.noise_sd), 3)
    0.021
    """
    groups = [np.asarray(values, dtype=np.float64) for values in runs.values() if len(values) > 1]
    df = sum(len(group) - 1 for group in groups)
    if not df:
        return Noise()
    squares = sum(float(sample_variance(group)) * (len(group) - 1) for group in groups)
    return Noise(noise_sd=math.sqrt(squares / df), noise_df=df, spread_p=equal_spread_p(groups))


def noise_warnings(runs: Mapping[str, Sequence[float]], found: Noise) -> list[str]:
    """Return what a reader of the noise should know, a sentence each.

    Examples
    --------
    >>> import runspread as rs
    >>> runs = {"start": [3.28, 3.31, 3.30], "wider": [3.20, 3.24]}
    >>> rs.methods.gate.noise_warnings(runs, rs.methods.gate.noise(runs))
    ['The noise rests on 3 degrees of freedom: run the start 4 times.']
    """
    notes = list[str]()
    if found.noise_df < ENOUGH_DF:
        notes.append(f"The noise rests on {count(found.noise_df, 'degree')} of freedom: run the start 4 times.")
    if found.spread_p < SPREADS_DIFFER:
        spreads = [float(np.std(values, ddof=1)) for values in runs.values() if len(values) >= 3]
        notes.append(f"The spread differs by state: {min(spreads):.3g} to {max(spreads):.3g}.")
    far = [
        value
        for values in runs.values()
        if len(values) > 2
        for value in values
        if found.noise_sd > 0 and abs(value - float(np.median(values))) > FAR * _robust_sd(values)
    ]
    if far:
        notes.append(
            f"A run lies far from the others of its state ({far[0]:.4g}): means mislead where runs fail. "
            "A campaign with statistic='median' (--statistic median) compares ranks."
        )
    return notes


def _robust_sd(values: Sequence[float]) -> float:
    """Return the spread by the median distance from the median, which one failing run cannot stretch."""
    apart = np.abs(np.asarray(values) - np.median(values))
    return 1.4826 * float(np.median(apart)) or math.inf
