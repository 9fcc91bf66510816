"""The groups of numbers in a `VarianceResult`; `to_dict()` has them side by side under the keys of the specs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..._results import Part
from .pairs import PairDeviations


@dataclass(frozen=True, eq=False, kw_only=True)
class Components(Part):
    """What the variance between runs is made of.

    Attributes
    ----------
    var_dist_exact : fractions.Fraction or None
        The distribution-wise variance as a ratio of integers.
    kr20 : float
        Share of the test-set variance that is distribution-wise (Kuder-Richardson formula 20).
    var_example, var_inter : float
        Variance of example difficulty, and run-by-example interaction.
    """

    var_dist_exact: Fraction | None = None
    kr20: float = math.nan
    var_example: float = math.nan
    var_inter: float = math.nan


@dataclass(frozen=True, eq=False, kw_only=True)
class Intervals(Part):
    """Intervals and standard errors at the result's confidence level; each field says which noise it covers.

    Attributes
    ----------
    sd_fixed, sd_pop : tuple of float
        Intervals of the distribution-wise standard deviation, as sentence and table give them: for the noise of runs
        on these examples, and for that of runs and examples. They assume `accuracies`; where runs lie closer together
        than independent errors would, they begin at the spread of those.
    var_fixed_low, var_fixed_high : float
        Interval of the mean covariance between examples of this test set; covers run noise only.
    var_pop_low, var_pop_high : float
        Interval of the distribution-wise variance; covers run noise and example noise. Both take the accuracies of
        runs as normal, and may lie below zero.
    mean_low, mean_high : float
        Interval of the mean accuracy on the distribution, over runs and examples (Wilson's form); with one run over
        examples alone.
    se_mean_fixed, se_mean_dist : float
        Standard error of the mean accuracy, on this test set and on the distribution.
    accuracies : {"normal", "any"}
        Distribution of accuracies over runs that `sd_fixed` and `sd_pop` assume.
    """

    keys: ClassVar = {
        "var_fixed_low": "ci_fixed_lo",
        "var_fixed_high": "ci_fixed_hi",
        "var_pop_low": "ci_pop_lo",
        "var_pop_high": "ci_pop_hi",
        "mean_low": "ci_mean_lo",
        "mean_high": "ci_mean_hi",
        "accuracies": "distribution",
    }

    sd_fixed: tuple[float, float] = (math.nan, math.nan)
    sd_pop: tuple[float, float] = (math.nan, math.nan)
    var_fixed_low: float = math.nan
    var_fixed_high: float = math.nan
    var_pop_low: float = math.nan
    var_pop_high: float = math.nan
    mean_low: float
    mean_high: float
    se_mean_fixed: float
    se_mean_dist: float
    accuracies: str = "normal"


@dataclass(frozen=True, eq=False, kw_only=True)
class NullTest(Part):
    """Test of no distribution-wise variance.

    Attributes
    ----------
    f_ratio, p_value : float
        ``var_test / var_ind``, and the one-sided p-value.
    se : float
        Standard error of ``var_dist`` under independent errors: its noise floor.
    """

    keys: ClassVar = {"p_value": "p_chi2", "se": "se_null"}

    f_ratio: float = math.nan
    p_value: float = math.nan
    se: float = math.nan


@dataclass(frozen=True, eq=False, kw_only=True)
class Halves(Part):
    """What the runs do on two halves of the test set.

    Attributes
    ----------
    covariance, correlation, slope : float
        Over runs, of the accuracies on the two halves; regression slope of the second on the first.
    top_quarter_gain1, top_quarter_gain2 : float
        Advantage of the best quarter of runs on the half that picked them, and on the other.
    best_of : tuple of int
        Numbers of runs N of the next two.
    best_of_gain1, best_of_gain2 : ndarray of float [N]
        Expected advantage of the best of N runs on the half that picked it, and on the other.
    correct : ndarray of int [runs, 2]
        Correct predictions of each run on the two halves.
    sizes : tuple of int
        Examples in each half.
    """

    keys: ClassVar = {
        "covariance": "cov_half",
        "correlation": "corr_half",
        "slope": "slope_half",
        "correct": "correct_by_half",
        "sizes": "half_sizes",
    }

    covariance: float = math.nan
    correlation: float = math.nan
    slope: float = math.nan
    top_quarter_gain1: float = math.nan
    top_quarter_gain2: float = math.nan
    best_of: tuple[int, ...]
    best_of_gain1: NDArray[np.float64]
    best_of_gain2: NDArray[np.float64]
    correct: NDArray[np.int64]
    sizes: tuple[int, int]


@dataclass(frozen=True, eq=False, kw_only=True)
class Jackknife(Part):
    """Sampling variance of ``var_dist``.

    Attributes
    ----------
    runs, grouped, examples : float
        By jackknife over runs, groups of runs, and examples.
    two_way, degrees : float
        Runs and examples combined, and the degrees of freedom (Satterthwaite).
    used : str
        Which variance over runs the population interval rests on: that of the jackknife, ``"delete one"`` or
        ``"grouped"``, of the ``"normal distribution"`` (with clusters), or ``"none"``.
    """

    keys: ClassVar = {
        "runs": "jack_runs_var",
        "grouped": "jack_grouped_var",
        "examples": "jack_examples_var",
        "two_way": "two_way_var",
        "degrees": "nu_satt",
        "used": "runs_jackknife",
    }

    runs: float = math.nan
    grouped: float = math.nan
    examples: float = math.nan
    two_way: float = math.nan
    degrees: float = math.nan
    used: str = "none"


@dataclass(frozen=True, eq=False, kw_only=True)
class Distribution(Part):
    """Distribution of accuracies that independent errors would give: Poisson-binomial, with a binomial for comparison.

    Attributes
    ----------
    mean, variance : float
        Of the fitted Poisson-binomial distribution, in counts of correct predictions.
    ks : float
        Largest distance between the runs' distribution function and the fitted one.
    binomial_variance, binomial_ratio : float
        Variance of the accuracy under a binomial of the same mean, and its ratio to ``var_ind``.
    """

    keys: ClassVar = {
        "mean": "pb_mean",
        "variance": "pb_var",
        "ks": "ks_stat",
        "binomial_variance": "var_binom",
        "binomial_ratio": "binom_ratio",
    }

    mean: float
    variance: float
    ks: float = math.nan
    binomial_variance: float
    binomial_ratio: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcomes(Part):
    """What was counted, by run and by example.

    Attributes
    ----------
    correct : ndarray of int [runs]
        Correct predictions of each run.
    right : ndarray of int [examples]
        Runs that are right on each example.
    item_total_cov : ndarray of float [examples]
        Covariance over runs of an example's correctness with the run's correct count; the sum is ``n^2 var_test``.
    pairs : PairDeviations or None
        Joint correctness of pairs of examples, where it was looked at.
    run_ids : tuple of str
        Ids of the runs, where known.
    copies : tuple of tuple of int
        Groups of positions of runs that are one run: by outputs, or by outcomes that are equal beyond chance. The
        numbers of the result count them all.
    duplicate_pairs : int
        Pairs of runs with identical outcomes.
    """

    correct: NDArray[np.int64]
    right: NDArray[np.int64]
    item_total_cov: NDArray[np.float64]
    pairs: PairDeviations | None = None
    run_ids: tuple[str, ...] = ()
    copies: tuple[tuple[int, ...], ...] = ()
    duplicate_pairs: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Forms(Part):
    """The same question in other forms.

    Attributes
    ----------
    asked : dict of str to float
        Clustered, weighted and stratified estimates that were asked for, by key.
    unclustered : dict
        Where clusters were given, the numbers without them, by their keys in ``to_dict()``.
    """

    keys: ClassVar = {"asked": "forms"}

    asked: dict[str, float] = field(default_factory=dict[str, float])
    unclustered: dict[str, Any] = field(default_factory=dict[str, Any])
