"""What `variance` returns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._reading.copies import Copies
from ..._results import Result, Table, to_plain
from ...errors import InputError
from .law import unseen_share
from .null import poisson_binomial_pmf
from .pairs import PairDeviations
from .sums import RunSums, sum_of_squares
from .wording import points as points
from .wording import refuse_beside_result as refuse_beside_result
from .wording import root as root
from .wording import variance_sentence


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
        Interval of the distribution-wise variance; covers run noise and example noise. Both take the accuracies of
        runs as normal, and may lie below zero.
    sd_fixed, sd_pop : tuple of float
        The two intervals as standard deviations, as sentence and table say them: for the `law` that was asked for, and
        where runs lie closer together than independent errors would, from the spread of those upwards.
    ci_mean_lo, ci_mean_hi : float
        Interval of the mean accuracy on the distribution, over runs and examples (Wilson's form); with one run over
        examples alone.
    runs_jackknife : str
        Which variance over runs the population interval rests on: that of the jackknife, ``"delete one"`` or
        ``"grouped"``, of the ``"normal law"`` (with clusters), or ``"none"``.
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
    copies : tuple of tuple of int
        Groups of positions of runs that are one run: by outputs, or by outcomes that are equal beyond chance. The
        numbers here count them all.
    forms : dict of str to float
        Clustered, weighted and stratified estimates that were asked for, by key.
    run_ids : tuple of str
        Ids of the runs, where known.
    n_classes : int or None
        K, where known.
    n_clusters : int or None
        Clusters that the examples come in, where they were given. Then every number that the independence of examples
        enters (``var_ind``, ``var_dist``, all intervals, ``p_chi2``, halves, ...) takes clusters for independent
        instead, and ``p_chi2`` is an F test's with the effective number of clusters.
    law : str
        Law of accuracies over runs that `sd_interval` assumes: ``"normal"`` or ``"any"``.
    samples_are : str
        What the first axis holds: ``"runs"``, or ``"samples"`` of one model, which leave the spread between runs NaN.
    unclustered : dict
        Where clusters were given, the numbers without them, by name.
    """

    picture = ".plots:plot_accuracy_distribution"

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
    sd_fixed: tuple[float, float]
    sd_pop: tuple[float, float]
    ci_mean_lo: float
    ci_mean_hi: float
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
    copies: tuple[tuple[int, ...], ...] = ()
    forms: dict[str, float] = field(default_factory=dict[str, float])
    run_ids: tuple[str, ...] = ()
    n_classes: int | None = None
    n_clusters: int | None = None
    law: str = "normal"
    samples_are: str = "runs"
    unclustered: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def sums(self) -> RunSums:
        """The exact integers T1, T2 and S2 on which everything rests, with R and n."""
        self.require_runs()
        t1, t2 = int(self.correct.sum()), sum_of_squares(self.correct)
        return RunSums(self.n_runs, self.n_examples, t1, t2, sum_of_squares(self.right))

    def require_runs(self) -> None:
        """Raise an InputError where the first axis holds samples of one model."""
        if self.samples_are == "samples":
            raise InputError(
                "samples of one model", "runs", "Sample j of every example is no training: it has no accuracy."
            )

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Accuracy of each run [runs]."""
        self.require_runs()
        return self.correct / self.n_examples

    @property
    def distinct(self) -> NDArray[np.intp]:
        """Positions of the runs without copies: the first of each group, and all that are in none."""
        return Copies(self.n_runs, self.copies).distinct

    @property
    def quantiles(self) -> NDArray[np.float64]:
        """Quantiles of the Poisson-binomial law at (j - 1/2)/R, and the runs' accuracies in order [runs, 2]."""
        self.require_runs()
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
        return self.sd_fixed if math.isnan(self.sd_pop[1]) else self.sd_pop

    @property
    def unit(self) -> str:
        """What is drawn independently: ``"example"``, or ``"cluster"`` where clusters were given."""
        return "example" if self.n_clusters is None else "cluster"

    @property
    def interval_covers(self) -> str:
        """Noise that `sd_interval` covers: of ``"runs and examples"`` (or clusters), or ``"runs"`` alone.

        The noise of examples takes three runs and three examples, and the correctness or groups of runs; that of
        clusters takes two runs and three clusters.
        """
        return "runs" if math.isnan(self.sd_pop[1]) else f"runs and {self.unit}s"

    @property
    def unseen_share(self) -> float:
        """Largest share of trainings that may do worse than the worst run here, at `level`, for any law of runs."""
        return unseen_share(len(self.distinct), self.level)

    def table(self) -> Table:
        """Return the standard deviations in percentage points, with intervals."""
        alone = "independent errors alone" if self.n_clusters is None else "independent clusters alone"
        rows = [
            ("between runs, on this test set", self.sd_test, math.nan, math.nan),
            (alone, self.sd_ind, math.nan, math.nan),
            ("real, between these examples", self.sd_dist, *self.sd_fixed),
            ("real, on the distribution", self.sd_dist, *self.sd_pop),
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
        return variance_sentence(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers under their keys; the exact sums and ratio, pairs and forms are laid flat.

        Where clusters were given, keys with ``_cluster`` at the end hold what the attributes hold; keys without it
        hold what they would without clusters.
        """
        plain = super().to_dict()
        for name in ("var_dist_exact", "pairs", "forms", "unclustered"):
            del plain[name]
        others = {name: value for name, value in self.unclustered.items() if name in plain}
        clustered = {f"{name}_cluster": plain[name] for name in others}
        plain |= clustered | {name: to_plain(value) for name, value in others.items()}
        plain |= {"S2": sum_of_squares(self.right), "T1": int(self.right.sum()), "K": plain.pop("n_classes")}
        if self.samples_are == "runs":
            plain["T2"] = self.sums.t2
        exact = self.unclustered.get("var_dist_exact", self.var_dist_exact)
        if exact is not None:
            plain |= {"var_dist_num": str(exact.numerator), "var_dist_den": str(exact.denominator)}
        if self.pairs is not None:
            found = self.pairs.to_dict()
            plain |= {key: found[key] for key in ("pair_dev_max", "pair_dev_arg", "pair_dev_count")}
            plain["pair_threshold"] = self.pairs.threshold
        return plain | self.forms | {"negative": self.negative}
