"""Statistics that several families need."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def deviations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values less their mean over the last axis: exactly 0 where all are equal, which rounding makes 1e-17."""
    apart = values - values.mean(axis=-1, keepdims=True)
    return np.where(np.ptp(values, axis=-1, keepdims=True) == 0, 0.0, apart)


def sample_variance(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance over the last axis (divisor n - 1): exactly 0 where all values are equal.

    ``np.var`` of three times 0.8 is 2e-32, which passes for a spread.
    """
    return np.where(np.ptp(values, axis=-1) == 0, 0.0, values.var(axis=-1, ddof=1))


def holm_adjusted(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values corrected for their number by Holm's step-down method; NaN stays and does not count."""
    corrected = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return corrected


def equal_spread_p(groups: Sequence[NDArray[np.float64]]) -> float:
    """Return Brown and Forsythe's p-value of equal spreads; NaN below two groups that tell something of it.

    Two values lie equally far from their median, so that groups of three or more alone count; and where all distances
    of every group are equal, up to rounding, their ratio is 0 over 0.
    """
    many = [group for group in groups if len(group) >= 3 and np.ptp(group) > 0]
    far = [np.abs(group - np.median(group)) for group in many]
    if len(many) < 2 or all(np.ptp(one) <= 1e-9 * one.max() for one in far):
        return math.nan
    return _same_mean_p(far)


def _same_mean_p(groups: Sequence[NDArray[np.float64]]) -> float:
    """Return the p-value of the F test of equal means; SciPy's own would import all of its statistics."""
    from scipy.special import fdtrc

    sizes, means = np.array([len(group) for group in groups]), np.array([group.mean() for group in groups])
    between, within = len(groups) - 1, int(sizes.sum()) - len(groups)
    apart = (sizes * (means - (sizes * means).sum() / sizes.sum()) ** 2).sum()
    inside = sum(((group - mean) ** 2).sum() for group, mean in zip(groups, means, strict=True))
    return float(fdtrc(between, within, within * apart / (between * inside)))
