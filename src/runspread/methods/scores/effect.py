"""Two arms in standard deviations: Hedges' g and the interval of the standardised difference (scores 3.4)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..._results import Part
from .forms import Arm, pooled_sd, student_form
from .one_arm import noncentrality_interval


@dataclass(frozen=True, eq=False, kw_only=True)
class Effect(Part):
    """The difference in standard deviations of runs.

    Attributes
    ----------
    hedges_g : float
        Unbiased where runs are normal and spread alike.
    d_lo, d_hi : float
        Interval of the true standardised difference (noncentral t).
    """

    hedges_g: float
    d_lo: float
    d_hi: float


def effect(a: Arm, b: Arm, level: float) -> Effect:
    """Return the difference of b and a in standard deviations; NaN without any spread."""
    form = student_form(a, b)
    if math.isnan(form.se):
        return Effect(hedges_g=math.nan, d_lo=math.nan, d_hi=math.nan)
    value, df = b.mean - a.mean, int(form.df)
    unit = math.sqrt(1 / a.n + 1 / b.n)
    shrink = math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2) if df > 1 else math.nan
    low, high = noncentrality_interval(value / form.se, df, level)
    return Effect(hedges_g=shrink * value / pooled_sd(a, b), d_lo=low * unit, d_hi=high * unit)
