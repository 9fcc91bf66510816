"""Intervals over few runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

_TINY = 1e-9


def expanded_interval(draws: Sequence[float], n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the expanded percentile interval of bootstrap draws over `n` runs.

    Percentile intervals are too narrow for few runs: they use normal quantiles and the divisor n. This one takes the
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


def r_squared_interval(r_squared: float, df_model: int, df_error: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of the R² of a regression over runs, whose explaining variables are drawn with the runs.

    Inverts the distribution of R² under normality: given the population's ρ², it is that of a beta variable whose first
    parameter grows by a negative binomial number. Above 0.98 the limit for ρ² near 1 is taken, a ratio of two
    chi-squared variables, which agrees to four digits.

    References
    ----------
    Johnson, Kotz, Balakrishnan (1995), *Continuous Univariate Distributions*, volume 2, section 32.11.
    """
    from scipy.optimize import brentq
    from scipy.special import fdtri

    tail, total = (1 - level) / 2, df_model + df_error
    if r_squared >= 0.98:
        low, high = (1 - (1 - r_squared) * total / (df_error * fdtri(df_error, total, p)) for p in (tail, 1 - tail))
        return max(0.0, float(low)), float(high)

    def end(p: float) -> float:
        highest = 1 - (1 - r_squared) / 20
        if _r_squared_below(r_squared, 0.0, df_model, df_error) <= p:
            return 0.0
        if _r_squared_below(r_squared, highest, df_model, df_error) >= p:
            return highest
        return float(
            brentq(lambda rho: _r_squared_below(r_squared, rho, df_model, df_error) - p, 0, highest, xtol=1e-5)
        )

    return end(1 - tail), end(tail)


def _r_squared_below(r_squared: float, rho: float, df_model: int, df_error: int) -> float:
    """Return the probability of an R² up to `r_squared` where the population's is `rho`."""
    from scipy.special import betainc, gammaln, xlog1py, xlogy

    half = (df_model + df_error) / 2
    mean = half * rho / (1 - rho)
    sd = math.sqrt(mean / (1 - rho))
    j = np.arange(max(0, int(mean - 8 * sd)), int(mean + 12 * sd) + 20, dtype=np.float64)
    weight = np.exp(gammaln(half + j) - gammaln(half) - gammaln(j + 1) + xlog1py(half, -rho) + xlogy(j, rho))
    return float(weight @ betainc(df_model / 2 + j, df_error / 2, r_squared))


def difference_interval(
    first: ArrayLike, second: ArrayLike, *, resolution: float = 1.0, level: float = 0.95
) -> tuple[float, float]:
    """Return Welch's interval of the mean of the second less that of the first; NaN with fewer than two of either.

    Times are known to a checkpoint only: variances are at least those of rounding to `resolution`.
    """
    from scipy.special import stdtrit

    a, b = (np.asarray(values, np.float64) for values in (first, second))
    if min(len(a), len(b)) < 2:
        return float("nan"), float("nan")
    parts = [max(float(values.var(ddof=1)), resolution**2 / 12) / len(values) for values in (a, b)]
    freedom = sum(parts) ** 2 / sum(part**2 / (len(values) - 1) for part, values in zip(parts, (a, b), strict=True))
    gap, reach = float(b.mean() - a.mean()), float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(sum(parts))
    return gap - reach, gap + reach
