"""`variance`: from outcomes of runs to the whole decomposition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._errors import InputError
from .audit import audited
from .forms import Forms, SecondPass
from .intervals import fixed_interval, population_interval, satterthwaite, two_way_variance
from .null import chi2_p_value, ks_statistic, null_standard_error, poisson_binomial_pmf
from .pairs import PairDeviations, scan_pairs
from .result import VarianceResult, root
from .selection import best_of_gain, checked_counts, top_gain
from .statistics import GROUPS, RunStatistics, counted
from .sums import RunSums, jackknife_examples, jackknife_groups, jackknife_runs, number, ratio

PAIR_POLICIES = ("all", "auto", "none")
_PAIR_WORK = 2e10  # runs times examples squared that takes a second or two


def variance(
    source: Any = None,
    labels: ArrayLike | None = None,
    *,
    correct: ArrayLike | None = None,
    split: str = "test",
    nan: str = "raise",
    missing: str = "raise",
    level: float = 0.95,
    groups: int | None = None,
    best_of: Sequence[int] = (2, 5, 10),
    first_half: ArrayLike | None = None,
    pairs: str = "auto",
    pair_threshold: float | None = None,
    clusters: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    priors: ArrayLike | None = None,
) -> VarianceResult:
    """Return how much of the spread in accuracy between runs of one configuration is real.

    The accuracy of a run on a finite test set varies for two reasons: the trained models differ, and each errs on
    examples of its own. The second part vanishes with a larger test set. The split between the two follows from the
    outcomes alone (Jordan, arXiv 2304.01910, Theorem 2; here exact and unbiased for any number of runs).

    Parameters
    ----------
    source : array_like, RunOutputs, study or RunStatistics, optional
        Logits [runs, examples, classes], predicted classes [runs, examples] (-1 for no prediction), a study, or
        statistics that were accumulated elsewhere (without ``keep_bits`` their jackknife over runs is grouped).
    labels : array_like of int [examples], optional
        True classes; taken from the source where it has them.
    correct : array_like of bool or 0/1 [runs, examples], optional
        Given instead of `source` and `labels`. NaN or a mask marks what was not evaluated.
    split : str
        Which split of a study to read.
    nan : {"raise", "abstain", "drop_run"}
        What NaN in logits means.
    missing : {"raise", "intersect", "drop_run"}
        What missing correctness means.
    level : float
        Of the intervals.
    groups : int, optional
        Number of contiguous groups of runs for the grouped jackknife; default 20. Statistics have their own, as they
        have their `first_half`.
    best_of : sequence of int
        For which N to say what the best of N runs is worth.
    first_half : array_like of bool [examples], optional
        The first of two halves of the test set; default the even indices.
    pairs : {"auto", "all", "none"}
        Whether to look at the joint correctness of all pairs of examples; ``"auto"`` does where it takes a moment.
    pair_threshold : float, optional
        See `pair_deviations`.
    clusters : array_like [examples], optional
        Examples that belong together (one patient, one document); adds ``var_dist_cluster``.
    weights : array_like of float [examples], optional
        Adds the weighted forms ``mean_w``, ``var_test_w``, ``var_ind_w``, ``var_dist_w``.
    strata : array_like [examples], optional
        Strata of fixed size, such as the classes; adds ``var_dist_strat``.
    priors : array_like of float [strata], optional
        Weight of each stratum, in sorted order of their values; default the shares in the test set.

    Returns
    -------
    VarianceResult
        Estimates with intervals; ``result.sentence()`` answers in words.

    Raises
    ------
    InputError
        Wrong shapes, values out of range, or nothing to look at.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> correct = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]])
    >>> result = rs.variance(correct=correct)
    >>> print(result.var_dist_exact)
    1/36
    """
    if not 0 < level < 1:
        raise InputError(f"level={level}", "a number between 0 and 1, such as 0.95")
    check_choice(pairs, "pairs", PAIR_POLICIES)
    best_of = checked_counts(best_of)
    if isinstance(source, RunStatistics) and not (groups is None and first_half is None):
        raise InputError(
            "groups or first_half with RunStatistics", "neither", "Give them to RunStatistics, which counts by them."
        )
    groups = GROUPS if groups is None else groups
    settings = {"groups": groups, "votes": False, "first_half": first_half, "keep_bits": True}
    statistics, outcomes = counted(source, labels, settings, correct=correct, split=split, nan=nan, missing=missing)
    forms = Forms.of(statistics.n_examples, clusters=clusters, weights=weights, strata=strata, priors=priors)
    packed = statistics.packed
    second = _second(packed, statistics, forms)
    found = _pairs(packed, statistics, pairs, pair_threshold)
    numbers = _numbers(statistics, level, best_of, None if second is None else second.weighted)
    return VarianceResult(
        **numbers,
        level=level,
        pairs=found,
        forms=second.results() if second is not None else {},
        run_ids=() if outcomes is None else outcomes.run_ids,
        n_classes=statistics.known_classes,
        excluded=() if outcomes is None else outcomes.excluded,
        warnings=audited([source], reservations(statistics)),
    )


def _second(packed: NDArray[np.uint8] | None, statistics: RunStatistics, forms: Forms) -> SecondPass | None:
    """Return the second pass over the correctness, None where it was not kept."""
    if packed is None:
        if forms.asked:
            raise InputError("statistics without bits", "keep_bits=True", "Clusters, weights and strata need them.")
        return None
    return SecondPass(packed, statistics, forms)


def _pairs(
    packed: NDArray[np.uint8] | None, statistics: RunStatistics, policy: str, threshold: float | None
) -> PairDeviations | None:
    work = statistics.n_runs * statistics.n_examples**2
    if packed is None or policy == "none" or (policy == "auto" and work > _PAIR_WORK):
        return None
    return scan_pairs(packed, statistics.n_examples, threshold=threshold)


def reservations(statistics: RunStatistics) -> tuple[str, ...]:
    """Return what the reader should know about the runs."""
    runs = statistics.n_runs
    notes = statistics.repeats
    if 1 < runs < 10:
        notes += (f"{runs} runs only: the intervals are wide, and were checked from 10 runs on.",)
    return notes


def _numbers(
    statistics: RunStatistics, level: float, best_of: tuple[int, ...], weighted: NDArray[np.int64] | None
) -> dict[str, Any]:
    """Return every number of sections 2 and 3."""
    sums = statistics.sums
    return {
        **_moments(sums, statistics),
        **_uncertainty(sums, statistics, level, weighted),
        **_halves(statistics, best_of),
        **_null(sums, statistics),
        "correct": statistics.correct,
        "right": statistics.right,
        "duplicate_pairs": statistics.duplicate_pairs,
    }


def _moments(sums: RunSums, statistics: RunStatistics) -> dict[str, Any]:
    runs, examples = sums.n_runs, sums.n_examples
    test, independent, dist = number(sums.var_test), number(sums.var_ind), number(sums.var_dist)
    example, inter = number(sums.var_example), number(sums.var_inter)
    mean_variance = dist / runs + example / examples + inter / (examples * runs)
    shift = statistics.right * (sums.t1 / runs)
    return {
        "n_runs": runs,
        "n_examples": examples,
        "mean_acc": float(sums.mean_acc),
        "var_test": test,
        "sd_test": root(test),
        "var_ind": independent,
        "sd_ind": root(independent),
        "var_dist": dist,
        "sd_dist": root(dist),
        "var_dist_exact": sums.var_dist,
        "var_example": example,
        "var_inter": inter,
        "kr20": ratio(dist, test),
        "f_ratio": ratio(test, independent),
        "p_chi2": chi2_p_value(ratio(test, independent), runs),
        "se_mean_fixed": root(test / runs),
        "se_mean_dist": root(mean_variance),
        "item_total_cov": (statistics.weighted - shift) / (runs - 1) if runs > 1 else np.full(examples, math.nan),
    }


def _uncertainty(
    sums: RunSums, statistics: RunStatistics, level: float, weighted: NDArray[np.int64] | None
) -> dict[str, Any]:
    se_null = null_standard_error(sums, statistics.right)
    grouped = math.nan
    if statistics.declared_runs is not None:
        grouped = jackknife_groups(sums, statistics.correct, statistics.right_by_group, statistics.edges)
    single = math.nan if weighted is None else jackknife_runs(sums, statistics.correct, weighted)
    examples = jackknife_examples(sums, statistics.right, statistics.weighted)
    runs = grouped if weighted is None else single
    two_way = math.nan if math.isnan(runs) else two_way_variance(sums, runs, examples, se_null)
    degrees = satterthwaite(sums, two_way)
    fixed, population = fixed_interval(sums, level), population_interval(sums, degrees, level)
    return {
        "se_null": se_null,
        "jack_runs_var": single,
        "jack_grouped_var": grouped,
        "jack_examples_var": examples,
        "two_way_var": two_way,
        "nu_satt": degrees,
        "runs_jackknife": "none" if math.isnan(runs) else "grouped" if weighted is None else "delete one",
        "ci_fixed_lo": fixed[0],
        "ci_fixed_hi": fixed[1],
        "ci_pop_lo": population[0],
        "ci_pop_hi": population[1],
    }


def _halves(statistics: RunStatistics, best_of: tuple[int, ...]) -> dict[str, Any]:
    counts = statistics.correct_by_half
    sizes = int(statistics.first_half.sum()), int((~statistics.first_half).sum())
    if min(sizes) == 0:
        gains, quarter, covariance = [(math.nan, math.nan)] * len(best_of), (math.nan, math.nan), (math.nan,) * 3
    else:
        first, second = counts[:, 0] / sizes[0], counts[:, 1] / sizes[1]
        gains = [best_of_gain(first, second, count) for count in best_of]
        quarter = top_gain(first, second)
        covariance = _covariance(first, second)
    gain1, gain2 = np.array(gains, np.float64).reshape(-1, 2).T
    return {
        **dict(zip(("cov_half", "corr_half", "slope_half"), covariance, strict=True)),
        "top_quarter_gain1": quarter[0],
        "top_quarter_gain2": quarter[1],
        "best_of": best_of,
        "best_of_gain1": gain1,
        "best_of_gain2": gain2,
        "correct_by_half": counts,
        "half_sizes": sizes,
    }


def _covariance(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the sample covariance over runs, the correlation, and the slope of the second on the first."""
    if len(first) < 2:
        return (math.nan,) * 3
    (v1, both), (_, v2) = np.cov(first, second).tolist()
    return both, ratio(both, math.sqrt(v1 * v2)), ratio(both, v1)


def _null(sums: RunSums, statistics: RunStatistics) -> dict[str, Any]:
    p = statistics.right / sums.n_runs
    binomial = number(sums.var_binom)
    return {
        "pb_mean": float(p.sum()),
        "pb_var": float((p * (1 - p)).sum()),
        "ks_stat": ks_statistic(statistics.correct, poisson_binomial_pmf(p)),
        "var_binom": binomial,
        "binom_ratio": ratio(binomial, number(sums.var_ind)),
    }
