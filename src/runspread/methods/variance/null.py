"""The distribution of accuracy under independent errors: Poisson-binomial, and how far the runs are from it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from .sums import RunSums


def poisson_binomial_pmf(p: ArrayLike) -> NDArray[np.float64]:
    """Return the distribution of a sum of independent Bernoulli variables.

    Parameters
    ----------
    p : array_like of float [n]
        Success probabilities.

    Returns
    -------
    ndarray of float64 [n + 1]
        Probability of each sum 0..n. All terms of the recursion are positive: the tails keep their relative accuracy.

    Raises
    ------
    InputError
        A value is not a probability, or there is none.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.variance.poisson_binomial_pmf([0.5, 0.5, 1.0]).tolist()
    [0.0, 0.25, 0.5, 0.25]
    """
    array = np.asarray(p, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"got probabilities of shape {array.shape}", "one axis, not empty")
    bad = ~((array >= 0) & (array <= 1))
    if bad.any():
        raise InputError(
            f"{int(bad.sum())} values are no probabilities, the first {array[bad][0]} at {int(np.argmax(bad))}",
            "numbers from 0 to 1",
        )
    open_ = array[(array > 0) & (array < 1)]
    inner = np.zeros(len(open_) + 1)
    inner[0] = 1.0
    scratch = np.empty_like(inner)
    for k, q in enumerate(open_.tolist()):
        np.multiply(inner[: k + 1], q, out=scratch[: k + 1])
        inner[: k + 1] *= 1 - q
        inner[1 : k + 2] += scratch[: k + 1]
    pmf = np.zeros(len(array) + 1)
    shift = int((array == 1).sum())
    pmf[shift : shift + len(inner)] = inner
    return pmf


def ks_statistic(correct: NDArray[np.int64], pmf: NDArray[np.float64]) -> float:
    """Return the largest distance between the distribution function of the runs' correct counts and that of `pmf`."""
    empirical = np.cumsum(np.bincount(correct, minlength=len(pmf))) / len(correct)
    return float(np.abs(empirical - np.cumsum(pmf)).max())


def null_standard_error(sums: RunSums, right: NDArray[np.int64]) -> float:
    """Return the standard error of ``var_dist`` when columns are independent (spec 2.7); NaN where not defined."""
    r, n = sums.n_runs, sums.n_examples
    if r < 2 or n < 2:
        return math.nan
    v = right * (r - right) / (r * (r - 1))
    return math.sqrt(max(0.0, 2 * (v.sum() ** 2 - np.square(v).sum()) / (n**2 * (n - 1) ** 2 * (r - 1))))


def chi2_p_value(f_ratio: float, n_runs: int) -> float:
    """Return P(chi-square with R-1 degrees of freedom exceeds (R-1) `f_ratio`)."""
    from scipy.special import chdtrc

    return math.nan if math.isnan(f_ratio) else float(chdtrc(n_runs - 1, (n_runs - 1) * f_ratio))
