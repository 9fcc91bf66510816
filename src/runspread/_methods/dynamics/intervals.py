"""Intervals over few runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_TINY = 1e-9


def expanded_interval(draws: Sequence[float], n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the expanded percentile interval of bootstrap draws over `n` runs.

    Percentile intervals are too narrow for few runs: they use the normal law and the divisor n. This one takes the
    quantiles further out that give the t interval with the divisor n − 1 for a mean.

    References
    ----------
    Hesterberg (2015), "What Teachers Should Know About the Bootstrap", section 4.
    """
    from scipy.special import ndtr, stdtrit

    reach = stdtrit(n - 1, (1 + level) / 2) * math.sqrt(n / (n - 1))
    low, high = np.quantile(np.asarray(draws, np.float64), [ndtr(-reach), ndtr(reach)])
    return float(low), float(high)


def auc_interval(auc: float, n_first: int, n_second: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of an area under the ROC curve of two groups: the areas whose own spread reaches it.

    Inverts the score test with Hanley and McNeil's variance, as Wilson's interval does for a share; so it has a width
    where the groups are apart altogether, which no resampling of them has.

    References
    ----------
    Newcombe (2006), "Confidence intervals for an effect size measure based on the Mann-Whitney statistic", part 2,
    method 5.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    z, extra = float(ndtri((1 + level) / 2)), (n_first + n_second) / 2 - 1

    def excess(theta: float) -> float:
        spread = 1 + extra * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (auc - theta) ** 2 - z**2 * theta * (1 - theta) * spread / (n_first * n_second)

    low = 0.0 if auc <= 0 else float(brentq(excess, 0, auc - _TINY))  # at 0 and 1 the excess itself may be 0
    return low, 1.0 if auc >= 1 else float(brentq(excess, auc + _TINY, 1))
