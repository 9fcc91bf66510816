"""Calibration of the runs' votes, disagreement between runs, and the variance that both predict (spec 4)."""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_confidence_level, check_integers
from ..._reading.opening import opens
from ..._reading.options import DEFAULTS, ReadingOptions, divided
from ...errors import InputError
from ..audit.auditing import audited
from .calibration_result import CalibrationResult
from .clusters import ClusterTotals, Grouping, clusters_of, few_clusters, mean_variance, single_groups, totals_of
from .defaults import CONFIDENCE_LEVEL
from .estimate import caveats
from .null import chi2_p_value
from .statistics import RunStatistics
from .sums import number, ratio
from .whole_sources import counted


@opens("source")
def calibration(
    source: Any,
    labels: Any = None,
    *,
    n_classes: int | None = None,
    bins: int = 15,
    clusters: ArrayLike | None = None,
    confidence_level: float = CONFIDENCE_LEVEL,
    **reading: Unpack[ReadingOptions],
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
    clusters : array_like [examples], optional
        Cluster of each example, where several belong together; as for `variance`.
    confidence_level : float
        Confidence level of the interval of the gap between disagreement and error.
    **reading : ReadingOptions
        How outputs are read: ``split``, ``kind``, ``nan``.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> round(rs.calibration(logits, labels).errors.cace, 2)
    0.35
    """
    bins = int(check_integers(bins, "bins", 1, None))
    check_confidence_level(confidence_level)
    how, _ = divided(calibration, reading, DEFAULTS, {})
    counting = {"keep_bits": True} if clusters is not None else {}
    statistics, outcomes = counted(source, labels, counting, n_classes=n_classes, **how)
    if statistics.labels is None:
        raise InputError("got statistics without labels", "RunStatistics(labels, ...)")
    votes = statistics.votes.astype(np.int64)
    numbers = _Votes(votes.sum(axis=0), statistics.labels, statistics.n_runs)
    grouping = None if clusters is None else clusters_of(clusters, outcomes, statistics.n_examples)
    rates = _rates(statistics, numbers)
    if grouping is not None and len(grouping) < statistics.n_examples:
        rates |= _of_clusters(totals_of(statistics, outcomes, grouping))
    low, high = _gap_interval(numbers, grouping or single_groups(statistics.n_examples), confidence_level)
    crossfit = _crossfit(votes, statistics.labels, statistics.half_runs, bins)
    return CalibrationResult.from_numbers(
        {**rates, **_errors(numbers, bins), "cace_crossfit": crossfit, "gde_lo": low, "gde_hi": high},
        n_classes=votes.shape[2],
        n_clusters=None if grouping is None else len(grouping),
        bins=bins,
        confidence_level=confidence_level,
        excluded=statistics.excluded,
        warnings=audited([source], (*caveats(statistics), *few_clusters(grouping))),
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
