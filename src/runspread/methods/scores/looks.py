"""Looking at a comparison as runs come in: nominal levels of planned looks, and a test that is always valid (6.5)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from ..variance.boundaries import sequential_boundaries
from .defaults import EFFECT_VARIANCE, LOOKS
from .forms import Arm, student_form


def look_levels(looks: Sequence[int] = LOOKS, *, alpha: float = 0.05, kind: str = "pocock") -> NDArray[np.float64]:
    """Return the level at which each look may decide, so that all of them together err in `alpha` of cases.

    Parameters
    ----------
    looks : sequence of int [looks]
        Runs of each arm at each look, increasing from two on.
    alpha : float
        Of all looks together.
    kind : {"pocock", "obrien-fleming"}
        How it is spent: evenly, or at the end.

    Returns
    -------
    ndarray of float64 [looks]
        A look decides where the two-sided p of `compare_scores` is at most its level.

    Raises
    ------
    InputError
        Looks that do not increase, or begin below two runs.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.scores.look_levels((4, 8), kind="obrien-fleming").round(4).tolist()
    [0.0031, 0.049]
    """
    runs = list(looks)
    if not runs or runs[0] < 2 or any(b <= a for a, b in itertools.pairwise(runs)):
        raise InputError(f"the looks are at {runs} runs", "increasing numbers from 2 on")
    from scipy.special import ndtr

    return np.asarray(2 * ndtr(-sequential_boundaries([float(n) for n in runs], alpha, kind)), np.float64)


def e_value(old: ArrayLike, new: ArrayLike, *, effect_variance: float = EFFECT_VARIANCE) -> float:
    """Return the evidence against equal means that may be looked at after every run (normal runs, equal spread).

    Stop when it is at least ``1 / alpha``: at any number of looks that errs in at most `alpha` of cases.

    Parameters
    ----------
    old, new : array_like of float [n]
        One number per run.
    effect_variance : float
        Of the normal prior of the standardised difference.

    Examples
    --------
    >>> import runspread as rs
    >>> round(rs.methods.scores.e_value([1.0, 1.1, 0.9], [2.0, 2.1, 1.9]), 1)
    5.7
    """
    a, b = Arm.of(np.asarray(old, np.float64)), Arm.of(np.asarray(new, np.float64))
    form = student_form(a, b)
    if math.isnan(form.se):
        return 1.0
    t2 = ((b.mean - a.mean) / form.se) ** 2
    r = 1 + a.n * b.n / (a.n + b.n) * effect_variance
    shrunk = (1 + t2 / (form.df * r)) / (1 + t2 / form.df)
    return float(r**-0.5 * shrunk ** (-(form.df + 1) / 2))
