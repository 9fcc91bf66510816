"""`score_variance`: the decomposition for scores that are no 0 or 1, such as a loss per example (spec 2.6)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_confidence_level
from ..._results import Result, Table
from ..._words import count, percent
from ...errors import InputError
from .._statistics import sample_variance
from .clusters import clusters_of, few_clusters, single_groups
from .defaults import CONFIDENCE_LEVEL
from .intervals import scaled_interval
from .sums import ratio
from .wording import how_much_is_real, root


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoreVariance(Result):
    """How much of the spread of a mean score between runs is real, and how much is noise of the finite test set.

    In units of the score: of the loss, or of a metric per example. Negative estimates of ``var_dist`` stay negative.

    Attributes
    ----------
    n_runs, n_examples : int
        R and n.
    confidence_level : float
        Confidence level of the interval.
    mean : float
        Mean score.
    var_test, var_ind, var_dist : float
        Variance of the mean score between runs on this test set, what independent examples would give, and the
        unbiased distribution-wise part.
    ci_fixed_lo, ci_fixed_hi : float
        Interval of the mean covariance between the examples of this test set; covers run noise only, and takes the
        runs' mean scores as normal. It may lie below zero.
    sd_interval : tuple of float
        The same as standard deviations; where runs lie closer together than independent examples would, from the
        spread of those upwards.
    kr20, f_ratio : float
        Distribution-wise share of the variance, and ``var_test / var_ind``.
    run_mean : ndarray of float [runs]
        Mean score of each run.
    n_clusters : int or None
        Clusters of the examples, where they were given: then they are taken for independent, not the examples.
    """

    keys: ClassVar = {"confidence_level": "level"}
    no_picture = "draw result.run_mean with a histogram: nothing says how independent errors in scores would spread"

    n_runs: int
    n_examples: int
    confidence_level: float
    mean: float
    var_test: float
    var_ind: float
    var_dist: float
    ci_fixed_lo: float
    ci_fixed_hi: float
    kr20: float
    f_ratio: float
    run_mean: NDArray[np.float64]
    sd_interval: tuple[float, float]
    n_clusters: int | None = None

    @property
    def _unit(self) -> str:
        return "examples" if self.n_clusters is None else "clusters"

    def table(self) -> Table:
        """Return the standard deviations, with the interval."""
        columns = {
            "spread": ["between runs, on this test set", f"independent {self._unit} alone", "real"],
            "sd": [root(self.var_test), root(self.var_ind), root(self.var_dist)],
            "low": [math.nan, math.nan, self.sd_interval[0]],
            "high": [math.nan, math.nan, self.sd_interval[1]],
        }
        return Table(columns, title=f"Standard deviations in units of the score, {percent(self.confidence_level)} CI")

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        test, ind, (low, high) = root(self.var_test), root(self.var_ind), self.sd_interval
        on = count(self.n_examples, "example")
        if self.n_clusters is not None:
            on = f"{on} in {count(self.n_clusters, 'cluster')}"
        if not (test or ind):
            return (
                f"The {self.n_runs} runs have the same score on every one of {on}, as copies of one run would: they "
                "say nothing about the spread between trainings."
            )
        return (
            f"Of the spread of {test:.4g} in the mean score between {self.n_runs} runs, "
            f"{how_much_is_real(test, ind, low, high, '{:.4g} is'.format)}: the distribution-wise standard deviation "
            f"is {root(self.var_dist):.4g} ({percent(self.confidence_level)} CI {low:.4g} to {high:.4g}, assuming "
            "normality), "
            f"independent {self._unit} give {ind:.4g} (mean {self.mean:.4g} on {on}). Other {self._unit} may differ."
        )


def score_variance(
    scores: ArrayLike, *, confidence_level: float = CONFIDENCE_LEVEL, clusters: ArrayLike | None = None
) -> ScoreVariance:
    """Return how much of the spread of a mean score between runs is real.

    The formulas of `variance`, which do not rest on 0 and 1 (2304.01910, Theorem 2; unbiased at any number of runs).

    Parameters
    ----------
    scores : array_like of float [runs, examples]
        Score of each run on each example: a loss, a metric. For correctness take `variance`, which has more to say.
    confidence_level : float
        Confidence level of the interval.
    clusters : array_like [examples], optional
        Cluster of each example, where several belong together; as for `variance`.

    Raises
    ------
    InputError
        Another shape, values that are not finite, or fewer than two runs or two examples.

    Examples
    --------
    >>> import runspread as rs
    >>> round(rs.methods.variance.score_variance([[0.5, 1.0, 0.0], [1.5, 2.0, 1.0], [1.0, 1.5, 0.5]]).var_dist, 6)
    0.25
    """
    check_confidence_level(confidence_level)
    values = np.asarray(scores, np.float64)
    if values.ndim != 2 or min(values.shape) < 2:
        raise InputError(f"got scores of shape {values.shape}", "[runs, examples], two or more of each")
    if not np.isfinite(values).all():
        raise InputError(f"{int((~np.isfinite(values)).sum())} scores that are not finite", "numbers", "Omit runs.")
    runs, examples = values.shape
    means = values.mean(axis=1)
    grouping = single_groups(examples) if clusters is None else clusters_of(clusters, None, examples)
    test, independent = (
        float(sample_variance(means)),
        float(sample_variance(grouping.sums(values).T).sum()) / examples**2,
    )
    lift = 1 / grouping.between
    low, high = scaled_interval(test, runs - 1, confidence_level)
    highest = max(high, scaled_interval(independent, runs - 1, confidence_level)[1])
    dist = lift * (test - independent)
    return ScoreVariance(
        n_runs=runs,
        n_examples=examples,
        confidence_level=confidence_level,
        mean=float(means.mean()),
        var_test=test,
        var_ind=independent,
        var_dist=dist,
        ci_fixed_lo=lift * (low - independent),
        ci_fixed_hi=lift * (high - independent),
        kr20=ratio(dist, test),
        f_ratio=ratio(test, independent),
        run_mean=means,
        sd_interval=(root(lift * (low - independent)), root(lift * (highest - independent))),
        n_clusters=None if clusters is None else len(grouping),
        warnings=few_clusters(None if clusters is None else grouping),
    )
