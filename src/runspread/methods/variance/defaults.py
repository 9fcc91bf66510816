"""Rarely needed keywords of the family's verbs, and their defaults: one set for Python, command and report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from ..._reading.options import OutcomeOptions, ReadingOptions

CONFIDENCE_LEVEL = 0.95
BEST_OF = (2, 5, 10)
GROUPS = 20  # of runs, for the grouped jackknife

VARIANCE: dict[str, Any] = {
    "groups": None,
    "best_of": BEST_OF,
    "first_half": None,
    "pairs": "auto",
    "pair_threshold": None,
    "weights": None,
    "strata": None,
    "priors": None,
    "samples_are": "runs",
}
COMPARE: dict[str, Any] = {"names": ("A", "B"), "paired": False, "seeds": None, "samples_are": "runs"}
PLAN: dict[str, Any] = {
    "variance": None,
    "variance_b": None,
    "n_examples": None,
    "error": None,
    "tau2": None,
    "alpha": 0.05,
    "power": 0.8,
    "correct": None,
    "clusters": None,
}

COUNTING: dict[str, Any] = {
    "n_classes": None,
    "groups": GROUPS,
    "first_half": None,
    "votes": True,
    "keep_bits": False,
    "keep_confusion": False,
}


class VarianceOptions(OutcomeOptions, total=False):
    """Rarely needed keywords of `variance`; ``split``, ``kind``, ``nan`` and ``missing`` say how outputs are read.

    groups : int, optional
        Number of contiguous groups of runs for the grouped jackknife; default 20. Statistics have their own, as they
        have their `first_half`.
    best_of : sequence of int
        For which N to say what the best of N runs is worth; default 2, 5 and 10.
    first_half : array_like of bool [examples], optional
        The first of two halves of the test set; default the even indices.
    pairs : {"auto", "all", "none"}
        Whether to look at the joint correctness of all pairs of examples; ``"auto"`` does where it takes a moment.
    pair_threshold : float, optional
        As `threshold` of `pair_deviations`.
    weights : array_like of float [examples], optional
        Adds the weighted forms ``mean_w``, ``var_test_w``, ``var_ind_w``, ``var_dist_w``.
    strata : array_like [examples], optional
        Strata of fixed size, such as the classes; adds ``var_dist_strat``.
    priors : array_like of float [strata], optional
        Weight of each stratum, in sorted order of their values; default the shares in the test set.
    samples_are : {"runs", "samples"}
        What the first axis is: trainings, or repeated samples of one model on each example (decodings of a language
        model). "Sample j of every example" is no training, and which sample comes first is arbitrary: samples give an
        accuracy with an interval over examples, and nothing about the spread between trainings.
    """

    groups: int | None
    best_of: Sequence[int]
    first_half: ArrayLike | None
    pairs: str
    pair_threshold: float | None
    weights: ArrayLike | None
    strata: ArrayLike | None
    priors: ArrayLike | None
    samples_are: str


class CompareOptions(OutcomeOptions, total=False):
    """Rarely needed keywords of `compare`; ``split``, ``kind``, ``nan`` and ``missing`` say how outputs are read.

    names : tuple of str
        How to call the two; default "A" and "B".
    paired : bool
        Whether to pair the runs of two studies whose recorded seeds are the same in every role.
    seeds : tuple of two array_like [runs] or [runs, roles], optional
        Seeds of the runs of A and of B, to pair them by; for arrays, files and statistics (with ``keep_bits=True``).
    samples_are : {"runs", "samples"}
        What the first axis is: trainings, or repeated samples of one model on each example, as for `variance`. With
        samples of two models only ``on="models"`` can be answered.
    """

    names: tuple[str, str]
    paired: bool
    seeds: tuple[ArrayLike, ArrayLike] | None
    samples_are: str


class PlanOptions(OutcomeOptions, total=False):
    """Keywords of `plan`, `plan_runs` and `plan_gap`; those of reading are for a `source` that is no result.

    variance, variance_b : float, optional
        Test-set variance of accuracy of each configuration, taken as exact, instead of `source`; the second defaults
        to the first.
    n_examples : int, optional
        Size of the test set. Beside a `source` with runs it asks for a test set of another size: what is real stays,
        and the noise of the examples shrinks or grows (that of clusters with their number). Not beside a `Comparison`.
    error : float, optional
        Error rate: with `n_examples` alone it gives the variance of independent errors, err/(2n), for calibrated runs.
        No repeated runs are needed for this, and it bounds nothing: fine-tunings were seen at 1 to 5 times that spread.
    tau2 : float, optional
        Variance over examples of the difference in success rate.
    alpha, power : float
        Two-sided level (default 0.05), and probability of success (default 0.8).
    correct : array_like of bool or 0/1 [runs, examples], optional
        Correctness of runs, given instead of `source`.
    clusters : array_like [examples], optional
        Cluster of each example, as for `variance`. On a test set of another size it is the number of clusters that
        grows or shrinks.
    """

    variance: float | None
    variance_b: float | None
    n_examples: int | None
    error: float | None
    tau2: float | None
    alpha: float
    power: float
    correct: ArrayLike | None
    clusters: ArrayLike | None


class AccuracyOptions(OutcomeOptions, total=False):
    """Keywords of `run_accuracies`: those of reading, and one more.

    clusters : array_like [examples], optional
        Cluster of each example, as for `variance`.
    """

    clusters: ArrayLike | None


class TaskOptions(ReadingOptions, total=False):
    """Keywords of `two_group_tasks`: those of reading, and one more.

    clusters : array_like [examples], optional
        Cluster of each example, as for `variance`; takes predictions, and one more pass over them.
    """

    clusters: ArrayLike | None


class CountingOptions(ReadingOptions, total=False):
    """Keywords of `run_statistics`: ``split``, ``kind`` and ``nan`` of reading, and those of `RunStatistics`."""

    n_classes: int | None
    groups: int
    first_half: ArrayLike | None
    votes: bool
    keep_bits: bool
    keep_confusion: bool
