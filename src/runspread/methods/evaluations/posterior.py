"""The posterior of a difference under independent Jeffreys priors (evals 3.4, ``bayes=True``)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..._results import Part

_POINTS = 4_000  # equally likely values of a mean, over which the other one is averaged


@dataclass(frozen=True, eq=False, kw_only=True)
class Posterior(Part):
    """What is believed of a difference, new minus old, if nothing was known before; NaN where it was not asked for.

    Attributes
    ----------
    p_better : float
        Probability that the new model is better on questions like these.
    post_lo, post_hi : float
        Interval that holds the difference with the confidence level.
    """

    p_better: float = math.nan
    post_lo: float = math.nan
    post_hi: float = math.nan


def posterior_of(old: tuple[float, float], new: tuple[float, float], level: float) -> Posterior:
    """Return the posterior of a difference of two means, each with its effective number of questions (evals 2.2).

    The means are taken to be independent, although both models answered the same questions: so it is wider than the
    paired interval where they find the same ones hard.
    """
    from scipy.optimize import brentq
    from scipy.special import betainc, betaincinv

    (a, b), (c, d) = ((mean * n + 0.5, (1 - mean) * n + 0.5) for mean, n in (old, new))
    olds = betaincinv(a, b, (np.arange(_POINTS) + 0.5) / _POINTS)

    def below(gap: float) -> float:
        """Return the probability that the difference is at most `gap`."""
        return float(betainc(c, d, np.clip(olds + gap, 0.0, 1.0)).mean())

    ends = [float(brentq(lambda gap, at=at: below(gap) - at, -1.0, 1.0)) for at in ((1 - level) / 2, (1 + level) / 2)]
    return Posterior(p_better=1 - below(0.0), post_lo=ends[0], post_hi=ends[1])
