"""`score_variance`: the decomposition for scores that are no 0 or 1, such as a loss an example (spec 2.6)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._errors import InputError
from ..._results import Result, Table
from .intervals import scaled_interval
from .result import below_zero, how_much_is_real, root
from .sums import ratio


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoreVariance(Result):
    """How much of the spread of a mean score between runs is real, and how much is noise of the finite test set.

    In units of the score: of the loss, of a metric an example. Negative estimates of ``var_dist`` stay negative.

    Attributes
    ----------
    n_runs, n_examples : int
        R and n.
    level : float
        Of the interval.
    mean : float
        Mean score.
    var_test, var_ind, var_dist : float
        Variance of the mean score between runs on this test set, what independent examples would give, and the
        unbiased distribution-wise part.
    ci_fixed_lo, ci_fixed_hi : float
        Interval of the mean covariance between the examples of this test set; covers run noise only, and takes the
        runs' mean scores as normal.
    kr20, f_ratio : float
        Distribution-wise share of the variance, and ``var_test / var_ind``.
    run_mean : ndarray of float [runs]
        Mean score of each run.
    """

    n_runs: int
    n_examples: int
    level: float
    mean: float
    var_test: float
    var_ind: float
    var_dist: float
    ci_fixed_lo: float
    ci_fixed_hi: float
    kr20: float
    f_ratio: float
    run_mean: NDArray[np.float64]

    def table(self) -> Table:
        """Return the standard deviations, with the interval."""
        columns = {
            "spread": ["between runs, on this test set", "independent examples alone", "real"],
            "sd": [root(self.var_test), root(self.var_ind), root(self.var_dist)],
            "low": [math.nan, math.nan, root(self.ci_fixed_lo)],
            "high": [math.nan, math.nan, root(self.ci_fixed_hi)],
        }
        return Table(columns, title=f"Standard deviations in units of the score, {self.level:.0%} interval")

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        test, ind, low, high = map(root, (self.var_test, self.var_ind, self.ci_fixed_lo, self.ci_fixed_hi))
        interval = f"{self.level:.0%} interval {low:.4g} to {high:.4g}, for the noise of runs, not of examples"
        if ind and not high:
            interval = below_zero(self.level)
        return (
            f"Of the spread of {test:.4g} in the mean score between {self.n_runs} runs (mean {self.mean:.4g} on "
            f"{self.n_examples} examples), {how_much_is_real(test, ind, low, high, '{:.4g} is'.format)}: the "
            f"distribution-wise standard deviation is {root(self.var_dist):.4g} ({interval}), and independent examples "
            f"alone give {ind:.4g}."
        )


def score_variance(scores: ArrayLike, *, level: float = 0.95) -> ScoreVariance:
    """Return how much of the spread of a mean score between runs is real.

    The formulas of `variance`, which do not rest on 0 and 1 (2304.01910, Theorem 2; unbiased at any number of runs).

    Parameters
    ----------
    scores : array_like of float [runs, examples]
        Score of each run on each example: a loss, a metric. For correctness take `variance`, which has more to say.
    level : float
        Of the interval.

    Raises
    ------
    InputError
        Another shape, values that are not finite, or fewer than two runs or two examples.

    Examples
    --------
    >>> import runspread as rs
    >>> round(rs.score_variance([[0.5, 1.0, 0.0], [1.5, 2.0, 1.0], [1.0, 1.5, 0.5]]).var_dist, 6)
    0.25
    """
    if not 0 < level < 1:
        raise InputError(f"level={level}", "a number between 0 and 1, such as 0.95")
    values = np.asarray(scores, np.float64)
    if values.ndim != 2 or min(values.shape) < 2:
        raise InputError(f"scores of shape {values.shape}", "[runs, examples], two or more of each")
    if not np.isfinite(values).all():
        raise InputError(
            f"{int((~np.isfinite(values)).sum())} scores that are not finite", "numbers", "Leave runs out."
        )
    runs, examples = values.shape
    means = values.mean(axis=1)
    test, independent = float(means.var(ddof=1)), float(values.var(axis=0, ddof=1).sum()) / examples**2
    factor = examples / (examples - 1)
    low, high = scaled_interval(test, runs - 1, level)
    dist = factor * (test - independent)
    return ScoreVariance(
        n_runs=runs,
        n_examples=examples,
        level=level,
        mean=float(means.mean()),
        var_test=test,
        var_ind=independent,
        var_dist=dist,
        ci_fixed_lo=factor * (low - independent),
        ci_fixed_hi=factor * (high - independent),
        kr20=ratio(dist, test),
        f_ratio=ratio(test, independent),
        run_mean=means,
    )
