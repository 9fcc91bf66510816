"""What `variance` returns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._errors import InputError
from ..._results import Result, Table
from .null import poisson_binomial_pmf
from .pairs import PairDeviations
from .sums import RunSums, sum_of_squares


def root(value: float) -> float:
    """Return the square root of a variance estimate, 0 for a negative one, NaN for NaN."""
    return math.sqrt(max(0.0, value)) if not math.isnan(value) else math.nan


def sd_end(value: float) -> float:
    """Return an end of an interval for a variance of accuracies as a standard deviation: at most one half."""
    return min(0.5, root(value)) if not math.isnan(value) else math.nan


def points(value: float) -> str:
    """Return a fraction as percentage points, with as many digits as a spread needs."""
    return f"{100 * value:.3f}" if 0 < abs(value) < 0.001 else f"{100 * value:.2f}"


def how_much_is_real(sd_test: float, sd_ind: float, low: float, high: float, text: Callable[[float], str]) -> str:
    """Return how much of a spread is real, in words, as far as the interval from `low` to `high` tells."""
    if sd_ind and not high:  # by chance the runs lie closer together than independent errors would
        return "none shows to be real"
    if high < sd_test or not sd_test:
        return f"at most {text(high)} real"
    return "possibly all is real" if low > 0 else "anything from none to all may be real"


def below_zero(level: float) -> str:
    """Return what to say of an interval for a variance that holds no possible value."""
    return f"the {level:.0%} interval lies below zero, so that it bounds nothing"


def refuse_beside_result(**given: Any) -> None:
    """Raise an InputError for arguments that a `VarianceResult` as the source would leave without effect."""
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise InputError(
            f"{', '.join(names)} beside a VarianceResult",
            "the result alone",
            "Give them to variance(), or the runs themselves.",
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class VarianceResult(Result):
    """How much of the spread in accuracy between runs is real, and how much is noise of the finite test set.

    All quantities are fractions: accuracies in [0, 1], variances in squared fractions. What is not defined (one run,
    one example, statistics that kept no bits) is NaN. Negative estimates of ``var_dist`` stay negative.

    Attributes
    ----------
    n_runs, n_examples : int
        R and n.
    level : float
        Of the intervals.
    mean_acc, var_test, sd_test : float
        Mean accuracy, and its variance between runs on this test set (divisor R-1).
    var_ind, sd_ind : float
        Variance that independent errors would give.
    var_dist, sd_dist : float
        Unbiased distribution-wise variance (2304.01910, Theorem 2, exact for any number of runs), and the square root
        of its positive part.
    var_dist_exact : fractions.Fraction or None
        The same as a ratio of integers.
    ci_fixed_lo, ci_fixed_hi : float
        Interval of the mean covariance between examples of this test set; covers run noise only.
    ci_pop_lo, ci_pop_hi : float
        Interval of the distribution-wise variance; covers run noise and example noise.
    runs_jackknife : str
        Which jackknife over runs the population interval rests on: ``"delete one"``, ``"grouped"`` or ``"none"``.
    se_null : float
        Standard error of ``var_dist`` under independent errors: its noise floor.
    f_ratio, p_chi2 : float
        ``var_test / var_ind``, and the one-sided p-value of no distribution-wise variance.
    kr20 : float
        Share of the test-set variance that is distribution-wise (Kuder-Richardson formula 20).
    var_example, var_inter : float
        Variance of example difficulty, and run-by-example interaction.
    se_mean_fixed, se_mean_dist : float
        Standard error of the mean accuracy, on this test set and on the distribution.
    cov_half, corr_half, slope_half : float
        Covariance, correlation and regression slope over runs of the accuracies on two halves of the test set.
    top_quarter_gain1, top_quarter_gain2 : float
        Advantage of the best quarter of runs on the half that picked them, and on the other.
    best_of : tuple of int
        Numbers of runs N of the next two.
    best_of_gain1, best_of_gain2 : ndarray of float [N]
        Expected advantage of the best of N runs on the half that picked it, and on the other.
    jack_runs_var, jack_grouped_var, jack_examples_var, two_way_var, nu_satt : float
        Sampling variance of ``var_dist`` by jackknife over runs, groups of runs and examples; their combination; its
        degrees of freedom.
    pb_mean, pb_var : float
        Mean and variance of the fitted Poisson-binomial law, in counts.
    ks_stat : float
        Largest distance between the runs' distribution function and the law's.
    var_binom, binom_ratio : float
        Variance of a binomial of the same mean, and its ratio to ``var_ind``.
    correct : ndarray of int [runs]
        Correct predictions of each run.
    correct_by_half : ndarray of int [runs, 2]
        The same on the two halves.
    half_sizes : tuple of int
        Examples in each half.
    right : ndarray of int [examples]
        Runs that are right on each example.
    item_total_cov : ndarray of float [examples]
        Covariance over runs of an example's correctness with the run's correct count; the sum is ``n^2 var_test``.
    pairs : PairDeviations or None
        Joint correctness of pairs of examples, where it was looked at.
    duplicate_pairs : int
        Pairs of runs with identical outcomes.
    forms : dict of str to float
        Clustered, weighted and stratified estimates that were asked for, by key.
    run_ids : tuple of str
        Ids of the runs, where known.
    n_classes : int or None
        K, where known.
    """

    n_runs: int
    n_examples: int
    level: float
    mean_acc: float
    var_test: float
    sd_test: float
    var_ind: float
    sd_ind: float
    var_dist: float
    sd_dist: float
    var_dist_exact: Fraction | None
    ci_fixed_lo: float
    ci_fixed_hi: float
    ci_pop_lo: float
    ci_pop_hi: float
    runs_jackknife: str
    se_null: float
    f_ratio: float
    p_chi2: float
    kr20: float
    var_example: float
    var_inter: float
    se_mean_fixed: float
    se_mean_dist: float
    cov_half: float
    corr_half: float
    slope_half: float
    top_quarter_gain1: float
    top_quarter_gain2: float
    best_of: tuple[int, ...]
    best_of_gain1: NDArray[np.float64]
    best_of_gain2: NDArray[np.float64]
    jack_runs_var: float
    jack_grouped_var: float
    jack_examples_var: float
    two_way_var: float
    nu_satt: float
    pb_mean: float
    pb_var: float
    ks_stat: float
    var_binom: float
    binom_ratio: float
    correct: NDArray[np.int64]
    correct_by_half: NDArray[np.int64]
    half_sizes: tuple[int, int]
    right: NDArray[np.int64]
    item_total_cov: NDArray[np.float64]
    pairs: PairDeviations | None = None
    duplicate_pairs: int = 0
    forms: dict[str, float] = field(default_factory=dict[str, float])
    run_ids: tuple[str, ...] = ()
    n_classes: int | None = None

    @property
    def sums(self) -> RunSums:
        """The exact integers T1, T2 and S2 on which everything rests, with R and n."""
        t1, t2 = int(self.correct.sum()), sum_of_squares(self.correct)
        return RunSums(self.n_runs, self.n_examples, t1, t2, sum_of_squares(self.right))

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Accuracy of each run [runs]."""
        return self.correct / self.n_examples

    @property
    def quantiles(self) -> NDArray[np.float64]:
        """Quantiles of the Poisson-binomial law at (j - 1/2)/R, and the runs' accuracies in order [runs, 2]."""
        law = np.cumsum(poisson_binomial_pmf(self.right / self.n_runs))
        levels = (np.arange(self.n_runs) + 0.5) / self.n_runs
        expected = np.minimum(np.searchsorted(law, levels), self.n_examples)
        return np.stack([expected, np.sort(self.correct)], axis=1) / self.n_examples

    @property
    def negative(self) -> bool:
        """Whether the estimate of the distribution-wise variance is negative."""
        return self.var_dist < 0

    @property
    def sd_interval(self) -> tuple[float, float]:
        """Interval of the distribution-wise standard deviation; `interval_covers` says of which noise.

        Ends are cut to what a standard deviation of accuracies can be, 0 to one half.
        """
        if math.isnan(self.ci_pop_hi):
            return sd_end(self.ci_fixed_lo), sd_end(self.ci_fixed_hi)
        return sd_end(self.ci_pop_lo), sd_end(self.ci_pop_hi)

    @property
    def interval_covers(self) -> str:
        """Noise that `sd_interval` covers: ``"runs and examples"``, or ``"runs"`` where that of examples is not known.

        The noise of examples takes three runs and three examples, and the correctness or groups of runs.
        """
        return "runs" if math.isnan(self.ci_pop_hi) else "runs and examples"

    def table(self) -> Table:
        """Return the standard deviations in percentage points, with intervals."""
        rows = [
            ("between runs, on this test set", self.sd_test, math.nan, math.nan),
            ("independent errors alone", self.sd_ind, math.nan, math.nan),
            ("real, between these examples", self.sd_dist, sd_end(self.ci_fixed_lo), sd_end(self.ci_fixed_hi)),
            ("real, on the distribution", self.sd_dist, sd_end(self.ci_pop_lo), sd_end(self.ci_pop_hi)),
            ("mean accuracy, on this test set", self.se_mean_fixed, math.nan, math.nan),
            ("mean accuracy, on the distribution", self.se_mean_dist, math.nan, math.nan),
            ("binomial law, for comparison", root(self.var_binom), math.nan, math.nan),
        ]
        names, values, lows, highs = zip(*rows, strict=True)
        scaled = {"sd": values, "low": lows, "high": highs}
        return Table(
            {"spread": names, **{name: [100 * value for value in column] for name, column in scaled.items()}},
            formats=dict.fromkeys(scaled, ".3f"),
            title=f"Standard deviations in percentage points, {self.level:.0%} intervals",
        )

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        if math.isnan(self.var_dist):
            return self._undefined()
        low, high = self.sd_interval
        noise = "" if self.interval_covers == "runs and examples" else ", not of examples, which these runs cannot tell"
        interval = (
            f"{self.level:.0%} interval {points(low)} to {points(high)}, for the noise of {self.interval_covers}{noise}"
        )
        if self.sd_ind and not high:
            interval = below_zero(self.level)
        real = how_much_is_real(self.sd_test, self.sd_ind, low, high, lambda value: f"{points(value)} are")
        return (
            f"Of the {points(self.sd_test)} points of spread in accuracy between {self.n_runs} runs (mean "
            f"{self.mean_acc:.2%} on {self.n_examples} examples), {real}: the distribution-wise "
            f"standard deviation is {points(self.sd_dist)} points ({interval}), and independent errors on this finite "
            f"test set alone give {points(self.sd_ind)}; this does not show what another configuration or training "
            "set would do."
        )

    def _undefined(self) -> str:
        bound = points(math.sqrt((1 - self.mean_acc) / (2 * self.n_examples)))
        return (
            f"{self.n_runs} run{'s' * (self.n_runs > 1)} on {self.n_examples} example{'s' * (self.n_examples > 1)} "
            f"cannot tell how much of the spread is real (accuracy {self.mean_acc:.2%}): it takes two runs and two "
            f"examples; were the runs calibrated, their spread would be at most about {bound} points."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers under their keys; the exact sums and ratio, pairs and forms are laid flat."""
        plain = super().to_dict()
        plain |= {"T1": self.sums.t1, "T2": self.sums.t2, "S2": self.sums.s2, "K": plain.pop("n_classes")}
        for name in ("var_dist_exact", "pairs", "forms"):
            del plain[name]
        if self.var_dist_exact is not None:
            plain["var_dist_num"] = str(self.var_dist_exact.numerator)
            plain["var_dist_den"] = str(self.var_dist_exact.denominator)
        if self.pairs is not None:
            found = self.pairs.to_dict()
            plain |= {key: found[key] for key in ("pair_dev_max", "pair_dev_arg", "pair_dev_count")}
            plain["pair_threshold"] = self.pairs.threshold
        return plain | self.forms | {"negative": self.negative}
