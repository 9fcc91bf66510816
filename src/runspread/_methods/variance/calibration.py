"""Calibration of the runs' votes, disagreement between runs, and the variance that both predict (spec 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_integers
from ..._errors import InputError
from ..._results import Result, Table
from .audit import audited
from .estimate import reservations
from .null import chi2_p_value
from .result import points, root
from .statistics import RunStatistics, counted
from .sums import number, ratio


@dataclass(frozen=True, eq=False, kw_only=True)
class CalibrationResult(Result):
    """Calibration of the share of runs that vote for a class, and what it predicts for the spread of accuracy.

    Attributes
    ----------
    n_runs, n_examples, n_classes : int
        R, n and K; abstention, where it occurs, counts as one class more.
    bins : int
        Bins of the vote share.
    err : float
        Mean error of a run.
    disagreement : float
        Share of examples on which two runs predict different classes, over pairs of distinct runs.
    disagreement_correctness, disagreement_both_wrong : float
        Its parts: exactly one of the two is right; both are wrong, differently.
    three_distinct : float
        Share of examples on which three runs predict three classes; NaN below three runs.
    gde_gap : float
        ``disagreement - err``; zero in expectation under class-aggregated calibration (Jiang et al., 2106.13799).
    cal_count, cal_hit : ndarray of int64 [R + 1]
        Example-class cells with j votes, and how many of them are the true class.
    cace_exact, cace, cwce, ece, cace_crossfit : float
        Class-aggregated calibration error by vote count and in bins, class-wise error, error of the top vote, and the
        class-aggregated error with cells sorted by one half of the runs and judged by the other. All but the last
        are biased upwards at few runs; compare them only at the same R.
    ensemble_acc : float
        Accuracy of the majority vote.
    var_binary_formula, var_cal_labels, var_cal_free, var_lower_k, var_binom : float
        Predictions of ``var_ind``: err/(2n); (err - T3)/(2n), exact under calibration; (D - T3)/(2n), which needs no
        labels; the lower bound err/(nK); the binomial.
    var_example_low, var_example_high : float
        Bounds of ``var_ind`` from the concentration of the votes on each example, ``s = sum_k q_k^2``, without third
        moments: means of ``s (1 - sqrt(s))`` and of ``min((1 - s)/2, s (1 - s))``, over n. They hold for the vote
        shares of many calibrated runs; with few, the shares are rough.
    var_test, var_ind, var_dist, f_ratio, p_chi2 : float
        As in `VarianceResult`, for comparison.
    curve_share, curve_hit, curve_cells : ndarray [bins]
        Mean vote share, share of true classes, and cells, in each bin (NaN where a bin is empty).
    """

    n_runs: int
    n_examples: int
    n_classes: int
    bins: int
    err: float
    disagreement: float
    disagreement_correctness: float
    disagreement_both_wrong: float
    three_distinct: float
    gde_gap: float
    cal_count: NDArray[np.int64]
    cal_hit: NDArray[np.int64]
    cace_exact: float
    cace: float
    cwce: float
    ece: float
    cace_crossfit: float
    ensemble_acc: float
    var_binary_formula: float
    var_cal_labels: float
    var_cal_free: float
    var_lower_k: float
    var_binom: float
    var_example_low: float
    var_example_high: float
    var_test: float
    var_ind: float
    var_dist: float
    f_ratio: float
    p_chi2: float
    curve_share: NDArray[np.float64]
    curve_hit: NDArray[np.float64]
    curve_cells: NDArray[np.int64]

    def table(self) -> Table:
        """Return measured and predicted standard deviations of independent errors, in percentage points."""
        rows = {
            "measured": self.var_ind,
            "from error and three-way disagreement": self.var_cal_labels,
            "from disagreement alone (no labels)": self.var_cal_free,
            "two-class formula, err/(2n)": self.var_binary_formula,
            "lower bound, err/(nK)": self.var_lower_k,
            "binomial": self.var_binom,
        }
        values = [100 * root(value) for value in rows.values()]
        return Table(
            {"sd of independent errors": list(rows), "points": values, "over measured": [v / values[0] for v in values]}
            if values[0] > 0
            else {"sd of independent errors": list(rows), "points": values},
            formats={"points": ".4f", "over measured": ".2f"},
            title="What calibration predicts",
        )

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        if math.isnan(self.disagreement):
            return f"One run errs on {self.err:.2%} of {self.n_examples} examples; disagreement takes two."
        predicted = (
            ""
            if math.isnan(self.var_cal_free)
            else (
                f" Disagreement alone predicts {points(root(self.var_cal_free))} points of spread from independent "
                f"errors, where {points(root(self.var_ind))} are measured."
            )
        )
        return (
            f"Two runs disagree on {self.disagreement:.2%} of the examples and one run errs on {self.err:.2%} "
            f"({self.n_runs} runs, {self.n_examples} examples), so disagreement "
            f"{'over' if self.gde_gap > 0 else 'under'}states the error by {100 * abs(self.gde_gap):.2f} points; the "
            f"class-aggregated calibration error is {self.cace:.3f} ({self.cace_crossfit:.3f} cross-fitted), biased "
            f"upwards at this number of runs.{predicted}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers under their keys; binned errors carry the number of bins."""
        plain = super().to_dict()
        for name in ("cace", "cwce", "ece", "cace_crossfit"):
            plain[f"{name}_{self.bins}"] = plain.pop(name)
        return plain


def calibration(
    source: Any,
    labels: ArrayLike | None = None,
    *,
    n_classes: int | None = None,
    bins: int = 15,
    split: str = "test",
    nan: str = "raise",
) -> CalibrationResult:
    """Return how calibrated the votes of the runs are, how often runs disagree, and the spread that this predicts.

    Parameters
    ----------
    source : array_like, RunOutputs, study or RunStatistics
        Logits [runs, examples, classes] or predicted classes [runs, examples], or statistics with labels and votes.
    labels : array_like of int [examples], optional
        True classes; taken from the source where it has them.
    n_classes : int, optional
        Number of classes, when predicted classes are given; by default the largest that occurs decides.
    bins : int
        Bins of the vote share, assigned in integer arithmetic.
    split : str
        Which split of a study to read.
    nan : {"raise", "abstain", "drop_run"}
        What NaN in logits means.
    """
    bins = int(check_integers(bins, "bins", 1, None))
    statistics, outcomes = counted(source, labels, {}, split=split, nan=nan, n_classes=n_classes)
    if statistics.labels is None:
        raise InputError("statistics without labels", "RunStatistics(labels, ...)")
    votes = statistics.votes.astype(np.int64)
    numbers = _Votes(votes.sum(axis=0), statistics.labels, statistics.n_runs)
    return CalibrationResult(
        n_classes=votes.shape[2],
        bins=bins,
        **_rates(statistics, numbers),
        **_errors(numbers, bins),
        cace_crossfit=_crossfit(votes, statistics.labels, statistics.half_runs, bins),
        excluded=() if outcomes is None else outcomes.excluded,
        warnings=audited([source], reservations(statistics)),
    )


class _Votes:
    """Votes [examples, classes] of R runs with the true class of each example."""

    def __init__(self, votes: NDArray[np.int64], labels: NDArray[np.int64], runs: int) -> None:
        self.votes, self.labels, self.runs = votes, labels, runs
        self.examples = len(votes)
        self.right = votes[np.arange(self.examples), labels]

    def gaps(self) -> NDArray[np.int64]:
        """Return R ([y = k] - N/R) in each cell [examples, classes]."""
        gaps = -self.votes
        gaps[np.arange(self.examples), self.labels] += self.runs
        return gaps


def _rates(statistics: RunStatistics, votes: _Votes) -> dict[str, Any]:
    sums, runs, n, n_classes = statistics.sums, votes.runs, votes.examples, votes.votes.shape[1]
    pairs, triples = runs * (runs - 1), runs * (runs - 1) * (runs - 2)
    same = int((votes.votes * (votes.votes - 1)).sum())
    thrice = int((votes.votes * (votes.votes - 1) * (votes.votes - 2)).sum())
    apart = ratio(n * pairs - same, n * pairs)
    one_right = ratio(2 * int((votes.right * (runs - votes.right)).sum()), n * pairs)
    three = ratio(n * triples - 3 * same * (runs - 2) + 2 * thrice, n * triples)
    err = float(1 - sums.mean_acc)
    f_ratio = ratio(number(sums.var_test), number(sums.var_ind))
    return {
        "n_runs": runs,
        "n_examples": n,
        "err": err,
        "disagreement": apart,
        "disagreement_correctness": one_right,
        "disagreement_both_wrong": apart - one_right,
        "three_distinct": three,
        "gde_gap": apart - err,
        "ensemble_acc": float((votes.votes.argmax(axis=1) == votes.labels).mean()),
        "var_binary_formula": err / (2 * n),
        "var_cal_labels": (err - three) / (2 * n),
        "var_cal_free": (apart - three) / (2 * n),
        "var_lower_k": err / (n * n_classes),
        "var_binom": number(sums.var_binom),
        **_example_bounds(votes),
        "var_test": number(sums.var_test),
        "var_ind": number(sums.var_ind),
        "var_dist": number(sums.var_dist),
        "f_ratio": f_ratio,
        "p_chi2": chi2_p_value(f_ratio, runs),
    }


def _example_bounds(votes: _Votes) -> dict[str, float]:
    """Return the bounds of the independent-errors variance from the votes' second moments (spec 4.3)."""
    s = np.square(votes.votes / votes.runs).sum(axis=1)
    high = np.minimum((1 - s) / 2, s * (1 - s))
    return {
        "var_example_low": float((s * (1 - np.sqrt(s))).mean() / votes.examples),
        "var_example_high": float(high.mean() / votes.examples),
    }


def _errors(votes: _Votes, bins: int) -> dict[str, Any]:
    runs, scale = votes.runs, votes.examples * votes.runs
    count = np.bincount(votes.votes.ravel(), minlength=runs + 1)
    hit = np.bincount(votes.right, minlength=runs + 1)
    cells = _bins(votes.votes, runs, bins)
    gaps = votes.gaps()
    n_classes = gaps.shape[1]
    by_class = _sums(cells * n_classes + np.arange(n_classes), gaps, bins * n_classes)
    top = votes.votes.argmax(axis=1)
    top_votes = votes.votes.max(axis=1)
    top_gaps = np.where(top == votes.labels, runs, 0) - top_votes
    filled = np.bincount(cells.ravel(), minlength=bins)
    with np.errstate(invalid="ignore"):
        share = _sums(cells, votes.votes, bins) / (filled * runs)
        hits = np.bincount(_bins(votes.right, runs, bins), minlength=bins) / filled
    return {
        "cal_count": count,
        "cal_hit": hit,
        "cace_exact": float(np.abs(runs * hit - count * np.arange(runs + 1)).sum() / scale),
        "cace": float(np.abs(_sums(cells, gaps, bins)).sum() / scale),
        "cwce": float(np.abs(by_class).sum() / scale),
        "ece": float(np.abs(_sums(_bins(top_votes, runs, bins), top_gaps, bins)).sum() / scale),
        "curve_share": share,
        "curve_hit": hits,
        "curve_cells": filled,
    }


def _bins(votes: NDArray[np.int64], runs: int, bins: int) -> NDArray[np.int64]:
    """Return the bin of each vote share, in integers: in floating point shares on an edge fall to the wrong side."""
    return np.minimum(bins * votes // runs, bins - 1)


def _sums(cells: NDArray[np.int64], values: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return the exact sum of integer values in each cell (below 2**53, so doubles hold it)."""
    return np.bincount(cells.ravel(), weights=values.ravel(), minlength=size).astype(np.int64)


def _crossfit(votes: NDArray[np.int64], labels: NDArray[np.int64], half_runs: tuple[int, int], bins: int) -> float:
    """Return the mean of the two class-aggregated errors with cells sorted by one half of the runs."""
    if min(half_runs) == 0:
        return math.nan
    total = 0.0
    for sorter in (0, 1):
        judge = _Votes(votes[1 - sorter], labels, half_runs[1 - sorter])
        cells = _bins(votes[sorter], half_runs[sorter], bins)
        total += float(np.abs(_sums(cells, judge.gaps(), bins)).sum() / (judge.examples * judge.runs))
    return total / 2
