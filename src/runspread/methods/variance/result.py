"""What `variance` returns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..._reading.copies import Copies
from ..._results import Result, Table, to_plain
from ..._words import percent
from ...errors import InputError
from .null import poisson_binomial_pmf
from .result_groups import Components, Distribution, Forms, Halves, Intervals, Jackknife, NullTest, Outcomes
from .run_distribution import unseen_share
from .sums import RunSums, sum_of_squares
from .wording import points as points
from .wording import refuse_beside_result as refuse_beside_result
from .wording import root as root
from .wording import variance_sentence

DERIVED = ("sd_test", "sd_ind", "sd_dist")  # properties that `to_dict` has


@dataclass(frozen=True, eq=False, kw_only=True)
class VarianceResult(Result):
    """How much of the spread in accuracy between runs is real, and how much is noise of the finite test set.

    All quantities are fractions: accuracies in [0, 1], variances in squared fractions. What is not defined (one run,
    one example, statistics that kept no bits) is NaN. Negative estimates of ``var_dist`` stay negative.

    Attributes
    ----------
    n_runs, n_examples : int
        R and n.
    n_classes : int or None
        K, where known.
    n_clusters : int or None
        Clusters that the examples come in, where they were given. Then every number that the independence of examples
        enters (``var_ind``, ``var_dist``, all intervals, ``test.p_value``, halves, ...) takes clusters for independent
        instead, and the p-value is an F test's with the effective number of clusters.
    confidence_level : float
        Confidence level of the intervals.
    samples_are : str
        What the first axis holds: ``"runs"``, or ``"samples"`` of one model, which leave the spread between runs NaN.
    mean_acc : float
        Mean accuracy.
    var_test : float
        Variance of accuracy between runs on this test set (divisor R-1).
    var_ind : float
        Variance that independent errors would give.
    var_dist : float
        Unbiased distribution-wise variance (2304.01910, Theorem 2, exact for any number of runs).
    components : Components
        What the variance is made of: ``kr20``, ``var_example``, ``var_inter``, ``var_dist_exact``.
    intervals : Intervals
        Intervals of ``sd_dist``, ``var_dist`` and the mean accuracy, and standard errors of the latter.
    test : NullTest
        Test of no distribution-wise variance: ``f_ratio``, ``p_value``, ``se``.
    halves : Halves
        What the runs do on two halves of the test set: ``covariance``, ``slope``, ``best_of_gain1``, ...
    jackknife : Jackknife
        Sampling variance of ``var_dist``: over ``runs``, ``grouped``, over ``examples``, ``two_way``.
    distribution : Distribution
        Distribution of accuracies that independent errors would give: ``mean``, ``variance``, ``ks``, ...
    outcomes : Outcomes
        What was counted, by run and by example: ``correct``, ``right``, ``run_ids``, ``copies``, ...
    forms : Forms
        Estimates in other forms: those ``asked`` for, and ``unclustered`` ones.
    """

    picture = ".plots:plot_accuracy_distribution"
    keys: ClassVar = {"confidence_level": "level"}

    n_runs: int
    n_examples: int
    n_classes: int | None = None
    n_clusters: int | None = None
    confidence_level: float
    samples_are: str = "runs"
    mean_acc: float
    var_test: float
    var_ind: float
    var_dist: float
    components: Components
    intervals: Intervals
    test: NullTest
    halves: Halves
    jackknife: Jackknife
    distribution: Distribution
    outcomes: Outcomes
    forms: Forms

    @property
    def sd_test(self) -> float:
        """Standard deviation of accuracy between runs on this test set."""
        return root(self.var_test)

    @property
    def sd_ind(self) -> float:
        """Standard deviation that independent errors would give."""
        return root(self.var_ind)

    @property
    def sd_dist(self) -> float:
        """Distribution-wise standard deviation: the square root of the positive part of ``var_dist``."""
        return root(self.var_dist)

    @property
    def sums(self) -> RunSums:
        """The exact integers T1, T2 and S2 on which everything rests, with R and n."""
        self.require_runs()
        t1, t2 = int(self.outcomes.correct.sum()), sum_of_squares(self.outcomes.correct)
        return RunSums(self.n_runs, self.n_examples, t1, t2, sum_of_squares(self.outcomes.right))

    def require_runs(self) -> None:
        """Raise an InputError where the first axis holds samples of one model."""
        if self.samples_are == "samples":
            raise InputError(
                "got samples of one model", "runs", "Sample j of every example is no training: it has no accuracy."
            )

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Accuracy of each run [runs]."""
        self.require_runs()
        return self.outcomes.correct / self.n_examples

    @property
    def distinct(self) -> NDArray[np.intp]:
        """Positions of the runs without copies: the first of each group, and all that are in none."""
        return Copies(self.n_runs, self.outcomes.copies).distinct

    @property
    def quantiles(self) -> NDArray[np.float64]:
        """Poisson-binomial quantiles at (j - 1/2)/R, and the runs' accuracies in order [runs, 2]."""
        self.require_runs()
        cumulative = np.cumsum(poisson_binomial_pmf(self.outcomes.right / self.n_runs))
        levels = (np.arange(self.n_runs) + 0.5) / self.n_runs
        expected = np.minimum(np.searchsorted(cumulative, levels), self.n_examples)
        return np.stack([expected, np.sort(self.outcomes.correct)], axis=1) / self.n_examples

    @property
    def negative(self) -> bool:
        """Whether the estimate of the distribution-wise variance is negative."""
        return self.var_dist < 0

    @property
    def sd_interval(self) -> tuple[float, float]:
        """Interval of the distribution-wise standard deviation; `interval_covers` says of which noise.

        Ends are cut to what a standard deviation of accuracies can be, 0 to one half.
        """
        return self.intervals.sd_fixed if math.isnan(self.intervals.sd_pop[1]) else self.intervals.sd_pop

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
        return "runs" if math.isnan(self.intervals.sd_pop[1]) else f"runs and {self.unit}s"

    @property
    def unseen_share(self) -> float:
        """Largest share of trainings that may do worse than the worst run here, however accuracies are distributed."""
        return unseen_share(len(self.distinct), self.confidence_level)

    def table(self) -> Table:
        """Return the standard deviations in percentage points, with intervals."""
        alone = "independent errors alone" if self.n_clusters is None else "independent clusters alone"
        rows = [
            ("between runs, on this test set", self.sd_test, math.nan, math.nan),
            (alone, self.sd_ind, math.nan, math.nan),
            ("real, between these examples", self.sd_dist, *self.intervals.sd_fixed),
            ("real, on the distribution", self.sd_dist, *self.intervals.sd_pop),
            ("mean accuracy, on this test set", self.intervals.se_mean_fixed, math.nan, math.nan),
            ("mean accuracy, on the distribution", self.intervals.se_mean_dist, math.nan, math.nan),
            ("binomial distribution, for comparison", root(self.distribution.binomial_variance), math.nan, math.nan),
        ]
        names, values, lows, highs = zip(*rows, strict=True)
        scaled = {"sd": values, "low": lows, "high": highs}
        return Table(
            {"spread": names, **{name: [100 * value for value in column] for name, column in scaled.items()}},
            formats=dict.fromkeys(scaled, ".3f"),
            title=f"Standard deviations in percentage points, {percent(self.confidence_level)} CI",
        )

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        return variance_sentence(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers under their keys; the exact sums and ratio, pairs and forms are laid flat.

        Where clusters were given, keys with ``_cluster`` at the end hold what the attributes hold; keys without it
        hold what they would without clusters.
        """
        plain = super().to_dict() | {name: getattr(self, name) for name in DERIVED}
        for name in ("var_dist_exact", "pairs", "forms", "unclustered"):
            del plain[name]
        others = {name: value for name, value in self.forms.unclustered.items() if name in plain}
        clustered = {f"{name}_cluster": plain[name] for name in others}
        plain |= clustered | {name: to_plain(value) for name, value in others.items()}
        right = self.outcomes.right
        plain |= {"S2": sum_of_squares(right), "T1": int(right.sum()), "K": plain.pop("n_classes")}
        if self.samples_are == "runs":
            plain["T2"] = self.sums.t2
        exact = self.forms.unclustered.get("var_dist_exact", self.components.var_dist_exact)
        if exact is not None:
            plain |= {"var_dist_num": str(exact.numerator), "var_dist_den": str(exact.denominator)}
        if self.outcomes.pairs is not None:
            found = self.outcomes.pairs.to_dict()
            plain |= {key: found[key] for key in ("pair_dev_max", "pair_dev_arg", "pair_dev_count")}
            plain["pair_threshold"] = self.outcomes.pairs.threshold
        return plain | self.forms.asked | {"negative": self.negative}
