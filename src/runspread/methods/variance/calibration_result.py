"""What `calibration` returns: calibration of the runs' votes, disagreement, and the variance that both predict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..._results import Part, Result, Table
from ..._words import count, percent
from .wording import points, root

_UNBIASED = 100  # runs from which on the error of calibrated runs is at most a fifth above that of many runs


@dataclass(frozen=True, eq=False, kw_only=True)
class Disagreement(Part):
    """How often runs predict different classes.

    Attributes
    ----------
    rate : float
        Share of examples on which two runs predict different classes, over pairs of distinct runs.
    correctness, both_wrong : float
        Its parts: exactly one of the two is right; both are wrong, differently.
    three_distinct : float
        Share of examples on which three runs predict three classes; NaN below three runs.
    gap : float
        ``rate - err``; zero in expectation under class-aggregated calibration (Jiang et al., 2106.13799).
    gap_low, gap_high : float
        Its interval for other examples and these runs, a t interval over examples, or over clusters where they were
        given; NaN where every example has the same gap.
    """

    keys: ClassVar = {
        "rate": "disagreement",
        "correctness": "disagreement_correctness",
        "both_wrong": "disagreement_both_wrong",
        "gap": "gde_gap",
        "gap_low": "gde_lo",
        "gap_high": "gde_hi",
    }

    rate: float
    correctness: float
    both_wrong: float
    three_distinct: float
    gap: float
    gap_low: float
    gap_high: float


@dataclass(frozen=True, eq=False, kw_only=True)
class CalibrationErrors(Part):
    """Calibration errors of the vote shares.

    All but the last are biased upwards at few runs; compare them only at the same R.

    Attributes
    ----------
    cace_exact, cace : float
        Class-aggregated calibration error, by vote count and in bins.
    cwce, ece : float
        Class-wise error, and error of the top vote.
    cace_crossfit : float
        The class-aggregated error with cells sorted by one half of the runs and judged by the other.
    """

    cace_exact: float
    cace: float
    cwce: float
    ece: float
    cace_crossfit: float


@dataclass(frozen=True, eq=False, kw_only=True)
class PredictedVariance(Part):
    """Predictions of ``var_ind``, the variance that independent errors give.

    Attributes
    ----------
    with_labels, without_labels : float
        (err - T3)/(2n), exact under calibration; (D - T3)/(2n), which needs no labels.
    two_class, binomial : float
        err/(2n), exact for two classes; err (1 - err)/n.
    lower_bound : float
        err/(nK).
    example_low, example_high : float
        Bounds from the concentration of the votes on each example, ``s = sum_k q_k^2``, without third moments: means
        of ``s (1 - sqrt(s))`` and of ``min((1 - s)/2, s (1 - s))``, over n. They hold for the vote shares of many
        calibrated runs; with few, the shares are rough.
    """

    keys: ClassVar = {
        "with_labels": "var_cal_labels",
        "without_labels": "var_cal_free",
        "two_class": "var_binary_formula",
        "binomial": "var_binom",
        "lower_bound": "var_lower_k",
        "example_low": "var_example_low",
        "example_high": "var_example_high",
    }

    with_labels: float
    without_labels: float
    two_class: float
    binomial: float
    lower_bound: float
    example_low: float
    example_high: float


@dataclass(frozen=True, eq=False, kw_only=True)
class MeasuredVariance(Part):
    """The variance that was measured, as in `VarianceResult`; where clusters were given, they are independent."""

    keys: ClassVar = {"p_value": "p_chi2"}

    var_test: float
    var_ind: float
    var_dist: float
    f_ratio: float
    p_value: float


@dataclass(frozen=True, eq=False, kw_only=True)
class CalibrationCurve(Part):
    """Share of true classes against the share of votes.

    Attributes
    ----------
    share, hit, cells : ndarray [bins]
        Mean vote share, share of true classes, and cells, in each bin (NaN where a bin is empty).
    count, hits : ndarray of int64 [R + 1]
        Example-class cells with j votes, and how many of them are the true class.
    """

    keys: ClassVar = {
        "share": "curve_share",
        "hit": "curve_hit",
        "cells": "curve_cells",
        "count": "cal_count",
        "hits": "cal_hit",
    }

    share: NDArray[np.float64]
    hit: NDArray[np.float64]
    cells: NDArray[np.int64]
    count: NDArray[np.int64]
    hits: NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class CalibrationResult(Result):
    """Calibration of the share of runs that vote for a class, and what it predicts for the spread of accuracy.

    Attributes
    ----------
    n_runs, n_examples, n_classes : int
        R, n and K; abstention, where it occurs, counts as one class more.
    n_clusters : int or None
        Clusters of the examples, where they were given. The predictions are of independent examples all the same.
    bins : int
        Bins of the vote share.
    confidence_level : float
        Confidence level of the interval of the gap.
    err : float
        Mean error of a run.
    ensemble_acc : float
        Accuracy of the majority vote.
    disagreement : Disagreement
        How often runs predict different classes: ``rate``, its parts, and its ``gap`` to the error.
    errors : CalibrationErrors
        Calibration errors of the vote shares: ``cace``, ``cwce``, ``ece``, ...
    predicted : PredictedVariance
        Variance of independent errors as calibration predicts it: ``with_labels``, ``without_labels``, bounds.
    measured : MeasuredVariance
        The variance that was measured: ``var_test``, ``var_ind``, ``var_dist``, and the test of it.
    curve : CalibrationCurve
        Share of true classes against the share of votes, in bins.
    """

    picture = ".plots_calibration:plot_calibration_curve"
    keys: ClassVar = {"confidence_level": "level"}

    n_runs: int
    n_examples: int
    n_classes: int
    n_clusters: int | None = None
    bins: int
    confidence_level: float
    err: float
    ensemble_acc: float
    disagreement: Disagreement
    errors: CalibrationErrors
    predicted: PredictedVariance
    measured: MeasuredVariance
    curve: CalibrationCurve

    @property
    def _measured(self) -> float:
        """Variance that independent examples would give: half the disagreement in correctness, over n."""
        return self.disagreement.correctness / (2 * self.n_examples)

    def table(self) -> Table:
        """Return measured and predicted standard deviations of independent errors, in percentage points."""
        rows = {
            "measured": self._measured,
            "from error and three-way disagreement": self.predicted.with_labels,
            "from disagreement alone (no labels)": self.predicted.without_labels,
            "two-class formula, err/(2n)": self.predicted.two_class,
            "lower bound, err/(nK)": self.predicted.lower_bound,
            "binomial": self.predicted.binomial,
        }
        if self.n_clusters is not None:
            rows["independent clusters, measured"] = self.measured.var_ind
        values = [100 * root(value) for value in rows.values()]
        return Table(
            {
                "sd of independent errors": list(rows),
                "percentage points": values,
                "over measured": [v / values[0] for v in values],
            }
            if values[0] > 0
            else {"sd of independent errors": list(rows), "percentage points": values},
            formats={"percentage points": ".4f", "over measured": ".2f"},
            title="What calibration predicts",
        )

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        if math.isnan(self.disagreement.rate):
            return f"One run errs on {self.err:.2%} of {self.n_examples} examples; disagreement takes two."
        predicted = ""
        if not math.isnan(self.predicted.without_labels):
            predicted = (
                f" Disagreement alone predicts {points(root(self.predicted.without_labels))} percentage points of "
                f"spread from independent errors, where {points(root(self._measured))} are "
                f"measured{self._of_clusters()}."
            )
        return (
            f"Two runs disagree on {self.disagreement.rate:.2%} of the examples and one run errs on {self.err:.2%} "
            f"({self.n_runs} runs, {self._examples()}): {self._gap()}. The class-aggregated calibration error is "
            f"{self.errors.cace:.3f} ({self.errors.cace_crossfit:.3f} cross-fitted){self._bias()}.{predicted}"
        )

    def _bias(self) -> str:
        return ", biased upwards at so few runs" if self.n_runs < _UNBIASED else ""

    def _examples(self) -> str:
        on = count(self.n_examples, "example")
        return on if self.n_clusters is None else f"{on} in {count(self.n_clusters, 'cluster')}"

    def _of_clusters(self) -> str:
        measured = points(root(self.measured.var_ind))
        return "" if self.n_clusters is None else f", and {measured} from independent clusters"

    def _gap(self) -> str:
        """Say whether disagreement over- or understates the error, as far as the interval tells."""
        if math.isnan(self.disagreement.gap_low):
            return f"the gap is {100 * self.disagreement.gap:+.2f} percentage points, the same on every example"
        unit = "examples" if self.n_clusters is None else "clusters"
        low, high = f"{100 * self.disagreement.gap_low:+.2f}", f"{100 * self.disagreement.gap_high:+.2f}"
        interval = f"{percent(self.confidence_level)} CI {low} to {high}, for new {unit}, these runs"
        if self.disagreement.gap_low <= 0 <= self.disagreement.gap_high:
            return f"no gap is shown between them ({100 * self.disagreement.gap:+.2f} percentage points, {interval})"
        word = "over" if self.disagreement.gap > 0 else "under"
        size = f"{100 * abs(self.disagreement.gap):.2f} percentage points"
        return f"disagreement {word}states the error by {size} ({interval})"

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers under their keys; binned errors carry the number of bins."""
        plain = super().to_dict()
        for name in ("cace", "cwce", "ece", "cace_crossfit"):
            plain[f"{name}_{self.bins}"] = plain.pop(name)
        return plain
