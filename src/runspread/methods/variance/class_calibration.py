"""Calibration of the runs' votes, disagreement between runs, and the variance that both predict (spec 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_integers
from ..._reading.opening import opens
from ..._results import Result, Table
from ..._words import count
from ...errors import InputError
from ..audit.auditing import audited
from .clusters import ClusterTotals, Grouping, clusters_of, few_clusters, mean_variance, single_groups, totals_of
from .estimate import reservations
from .null import chi2_p_value
from .statistics import RunStatistics, counted
from .sums import number, ratio
from .wording import points, root

_UNBIASED = 100  # runs from which on the error of calibrated runs is at most a fifth above that of many runs


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
    gde_lo, gde_hi : float
        Its interval for other examples and these runs, a t interval over examples, or over clusters where they were
        given; NaN where every example has the same gap.
    level : float
        Of that interval.
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
        As in `VarianceResult`, for comparison: where clusters were given, clusters are taken for independent.
    n_clusters : int or None
        Clusters of the examples, where they were given. The predictions are of independent examples all the same.
    curve_share, curve_hit, curve_cells : ndarray [bins]
        Mean vote share, share of true classes, and cells, in each bin (NaN where a bin is empty).
    """

    picture = ".plots_calibration:plot_calibration_curve"

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
    gde_lo: float
    gde_hi: float
    level: float
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
    n_clusters: int | None = None

    @property
    def _measured(self) -> float:
        """Variance that independent examples would give: half the disagreement in correctness, over n."""
        return self.disagreement_correctness / (2 * self.n_examples)

    def table(self) -> Table:
        """Return measured and predicted standard deviations of independent errors, in percentage points."""
        rows = {
            "measured": self._measured,
            "from error and three-way disagreement": self.var_cal_labels,
            "from disagreement alone (no labels)": self.var_cal_free,
            "two-class formula, err/(2n)": self.var_binary_formula,
            "lower bound, err/(nK)": self.var_lower_k,
            "binomial": self.var_binom,
        }
        if self.n_clusters is not None:
            rows["independent clusters, measured"] = self.var_ind
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
        predicted = ""
        if not math.isnan(self.var_cal_free):
            predicted = (
                f" Disagreement alone predicts {points(root(self.var_cal_free))} points of spread from independent "
                f"errors, where {points(root(self._measured))} are measured{self._of_clusters()}."
            )
        return (
            f"Two runs disagree on {self.disagreement:.2%} of the examples and one run errs on {self.err:.2%} "
            f"({self.n_runs} runs, {self._examples()}): {self._gap()}. The class-aggregated calibration error is "
            f"{self.cace:.3f} ({self.cace_crossfit:.3f} cross-fitted){self._bias()}.{predicted}"
        )

    def _bias(self) -> str:
        return ", biased upwards at so few runs" if self.n_runs < _UNBIASED else ""

    def _examples(self) -> str:
        on = count(self.n_examples, "example")
        return on if self.n_clusters is None else f"{on} in {count(self.n_clusters, 'cluster')}"

    def _of_clusters(self) -> str:
        return "" if self.n_clusters is None else f", and {points(root(self.var_ind))} from independent clusters"

    def _gap(self) -> str:
        """Say whether disagreement over- or understates the error, as far as the interval tells."""
        if math.isnan(self.gde_lo):
            return f"the gap is {100 * self.gde_gap:+.2f} points, the same on every example"
        unit = "examples" if self.n_clusters is None else "clusters"
        low, high = f"{100 * self.gde_lo:+.2f}", f"{100 * self.gde_hi:+.2f}"
        interval = f"{self.level:.0%} interval {low} to {high}, for new {unit}, these runs"
        if self.gde_lo <= 0 <= self.gde_hi:
            return f"no gap is shown between them ({100 * self.gde_gap:+.2f} points, {interval})"
        word = "over" if self.gde_gap > 0 else "under"
        return f"disagreement {word}states the error by {100 * abs(self.gde_gap):.2f} points ({interval})"

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers under their keys; binned errors carry the number of bins."""
        plain = super().to_dict()
        for name in ("cace", "cwce", "ece", "cace_crossfit"):
            plain[f"{name}_{self.bins}"] = plain.pop(name)
        return plain


@opens("source")
def calibration(
    source: Any,
    labels: Any = None,
    *,
    n_classes: int | None = None,
    bins: int = 15,
    split: str = "test",
    kind: str = "auto",
    nan: str = "exclude",
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> CalibrationResult:
    """Return how calibrated the votes of the runs are, how often runs disagree, and the spread that this predicts.

    Parameters
    ----------
    source : array_like, RunOutputs, study or RunStatistics
        Logits [runs, examples, classes] or predicted classes [runs, examples], or statistics with labels and votes.
    labels : array_like of int [examples] or path, optional
        True classes; taken from the source where it has them.
    n_classes : int, optional
        Number of classes, when predicted classes are given; by default the largest that occurs decides.
    bins : int
        Bins of the vote share, assigned in integer arithmetic.
    split : str
        Which split of a study to read.
    kind : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
        What the outputs are, where neither they nor their source tell.
    nan : {"exclude", "raise", "abstain"}
        What outputs with NaN, a positive infinity or a row without a finite entry mean: a run to leave out and name, an
        error, or no prediction on those examples.
    clusters : array_like [examples], optional
        Cluster of each example, where several belong together; as for `variance`.
    level : float
        Of the interval of the gap between disagreement and error.
    """
    bins = int(check_integers(bins, "bins", 1, None))
    if not 0 < level < 1:
        raise InputError(f"level={level}", "a number between 0 and 1, such as 0.95")
    counting = {"keep_bits": True} if clusters is not None else {}
    statistics, outcomes = counted(source, labels, counting, split=split, kind=kind, nan=nan, n_classes=n_classes)
    if statistics.labels is None:
        raise InputError("statistics without labels", "RunStatistics(labels, ...)")
    votes = statistics.votes.astype(np.int64)
    numbers = _Votes(votes.sum(axis=0), statistics.labels, statistics.n_runs)
    grouping = None if clusters is None else clusters_of(clusters, outcomes, statistics.n_examples)
    rates = _rates(statistics, numbers)
    if grouping is not None and len(grouping) < statistics.n_examples:
        rates |= _of_clusters(totals_of(statistics, outcomes, grouping))
    low, high = _gap_interval(numbers, grouping or single_groups(statistics.n_examples), level)
    return CalibrationResult(
        n_classes=votes.shape[2],
        bins=bins,
        level=level,
        gde_lo=low,
        gde_hi=high,
        n_clusters=None if grouping is None else len(grouping),
        **rates,
        **_errors(numbers, bins),
        cace_crossfit=_crossfit(votes, statistics.labels, statistics.half_runs, bins),
        excluded=statistics.excluded,
        warnings=audited([source], (*reservations(statistics), *few_clusters(grouping))),
    )


def _of_clusters(totals: ClusterTotals) -> dict[str, float]:
    """Return the variances where clusters are independent."""
    sums = totals.sums
    independent = number(sums.var_ind)
    return {
        "var_ind": independent,
        "var_dist": number(sums.var_dist),
        "f_ratio": ratio(number(sums.var_test), independent),
        "p_chi2": totals.p_value,
    }


def _gap_interval(votes: _Votes, grouping: Grouping, level: float) -> tuple[float, float]:
    """Return the t interval of the disagreement minus the error over examples or clusters, these runs held fixed."""
    from scipy.special import stdtrit

    runs = votes.runs
    gaps = runs**2 - np.square(votes.votes).sum(axis=1) - (runs - 1) * (runs - votes.right)  # times R
    variance, degrees = mean_variance(gaps, grouping)
    if runs < 2 or degrees <= 0 or not variance > 0:
        return math.nan, math.nan
    half = float(stdtrit(degrees, (1 + level) / 2)) * math.sqrt(variance)
    scale, mean = runs * (runs - 1), float(gaps.mean())
    return (mean - half) / scale, (mean + half) / scale


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
    counts = np.bincount(votes.votes.ravel(), minlength=runs + 1)
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
        "cal_count": counts,
        "cal_hit": hit,
        "cace_exact": float(np.abs(runs * hit - counts * np.arange(runs + 1)).sum() / scale),
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
