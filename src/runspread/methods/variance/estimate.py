"""`variance`: from outcomes of runs to the whole decomposition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._reading.copies import Copies
from ..._reading.opening import opens
from ...errors import InputError
from ..audit.auditing import audited
from .clusters import clusters_of, few_clusters, totals_of
from .dropped import dropped_examples, for_kept
from .forms import Forms, SecondPass
from .law import LEAST_RUNS, checked_law, reservations_of_law, unseen
from .numbers import Settings, clustered_numbers, plain_numbers
from .once import copies_of
from .pairs import PairDeviations, scan_pairs
from .result import DERIVED, VarianceResult
from .samples import SAMPLES_ARE, of_samples
from .selection import checked_counts
from .statistics import GROUPS, RunStatistics, counted

PAIR_POLICIES = ("all", "auto", "none")
SAID = ("sd_fixed", "sd_pop", "ci_mean_lo", "ci_mean_hi", "runs_jackknife")  # what is said has no unclustered twin
_PAIR_WORK = 2e10  # runs times examples squared that takes a second or two


@opens("source")
def variance(
    source: Any = None,
    labels: Any = None,
    *,
    correct: ArrayLike | None = None,
    split: str = "test",
    kind: str = "auto",
    nan: str = "exclude",
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
    law: str = "normal",
    samples_are: str = "runs",
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
    labels : array_like of int [examples] or path, optional
        True classes; taken from the source where it has them.
    correct : array_like of bool or 0/1 [runs, examples], optional
        Given instead of `source` and `labels`. NaN or a mask marks what was not evaluated.
    split : str
        Which split of a study to read.
    kind : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
        What the outputs are, where neither they nor their source tell.
    nan : {"exclude", "raise", "abstain"}
        What outputs with NaN, a positive infinity or a row without a finite entry mean: a run to leave out and name, an
        error, or no prediction on those examples.
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
        Cluster of each example, where several belong together (one patient, one document, one template): whole
        numbers, strings, anything that sorts. Estimates, intervals, p-value, halves and sentence then take clusters,
        not examples, for independent (spec 2.6); without, clustered examples make intervals far too short. Fewer than
        20 clusters say little about new ones.
    weights : array_like of float [examples], optional
        Adds the weighted forms ``mean_w``, ``var_test_w``, ``var_ind_w``, ``var_dist_w``.
    strata : array_like [examples], optional
        Strata of fixed size, such as the classes; adds ``var_dist_strat``.
    priors : array_like of float [strata], optional
        Weight of each stratum, in sorted order of their values; default the shares in the test set.
    law : {"normal", "any"}
        Law of accuracies over runs that the intervals of ``sd_interval``, sentence and table assume. ``"normal"`` is
        wrong where some trainings fail: a warning names outlying runs and two groups of runs. ``"any"`` does not take
        accuracies as normal: the jackknife of the logarithm of the variance, from 30 runs on. It covers where one
        training in ten or more fails, not where failures are so rare that the runs may hold none or one
        (``docs/simulations.md``): see ``unseen_share``.
    samples_are : {"runs", "samples"}
        What the first axis is: trainings, or repeated samples of one model on each example (decodings of a language
        model). "Sample j of every example" is no training, and which sample comes first is arbitrary: samples give an
        accuracy with an interval over examples, and nothing about the spread between trainings.

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
    >>> print(result.components.var_dist_exact)
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
    reading = {"correct": correct, "split": split, "kind": kind, "nan": nan, "missing": missing}
    counting = {"groups": GROUPS if groups is None else groups, "votes": False, "keep_bits": True}
    statistics, outcomes = counted(source, labels, counting | {"first_half": first_half}, **reading)
    settings = Settings(level, checked_law(law, statistics.n_runs), best_of)
    grouping = None if clusters is None else clusters_of(clusters, outcomes, statistics.n_examples)
    notes = dropped_examples(outcomes)
    if check_choice(samples_are, "samples_are", SAMPLES_ARE) == "samples":
        return of_samples(source, statistics, grouping, settings, warnings=notes)
    packed = statistics.packed
    forms = Forms.of(
        statistics.n_examples,
        weights=None if weights is None else for_kept(weights, outcomes, statistics.n_examples, "weights"),
        strata=None if strata is None else for_kept(strata, outcomes, statistics.n_examples, "strata"),
        priors=priors,
    )
    second = _second(packed, statistics, forms)
    totals = None if grouping is None else totals_of(statistics, outcomes, grouping)
    numbers = plain_numbers(statistics, settings, None if second is None else second.weighted)
    found, plain = {} if second is None else second.results(), dict[str, Any]()
    if totals is not None:
        notes += few_clusters(grouping)
        if totals.sums.n_clusters < statistics.n_examples:  # else every example is a cluster: nothing differs
            clustered = clustered_numbers(statistics, totals, settings)
            plain = {name: numbers[name] for name in clustered if name not in SAID}
            numbers |= clustered
        found["var_dist_cluster"] = numbers["var_dist"]
    run_ids = () if outcomes is None else outcomes.run_ids
    copies = copies_of(source, statistics, outcomes)
    numbers |= {
        "pairs": _pairs(packed, statistics, pairs, pair_threshold),
        "forms": found,
        "unclustered": plain,
        "run_ids": run_ids,
        "copies": copies.groups,
        "law": law,
        "n_classes": statistics.known_classes,
        "n_clusters": None if totals is None else totals.sums.n_clusters,
    }
    return VarianceResult.from_numbers(
        {name: value for name, value in numbers.items() if name not in DERIVED},
        confidence_level=level,
        excluded=statistics.excluded,
        warnings=audited([source], (*notes, *_reservations(statistics, copies, run_ids, settings))),
    )


def _reservations(
    statistics: RunStatistics, copies: Copies, run_ids: tuple[str, ...], settings: Settings
) -> tuple[str, ...]:
    """Return what the reader should know: what the law assumed hides, and what few runs (copies count once) do."""
    runs = copies.n_distinct
    notes = reservations(statistics, runs)
    if settings.law == "normal":
        notes += reservations_of_law(statistics.correct, statistics.n_examples, run_ids)
    if 1 < runs < LEAST_RUNS or settings.law == "any":
        notes += (unseen(runs, settings.level),)
    return notes


def _second(packed: NDArray[np.uint8] | None, statistics: RunStatistics, forms: Forms) -> SecondPass | None:
    """Return the second pass over the correctness, None where it was not kept."""
    if packed is None:
        if forms.asked:
            raise InputError("statistics without bits", "keep_bits=True", "Weights and strata need them.")
        return None
    return SecondPass(packed, statistics, forms)


def _pairs(
    packed: NDArray[np.uint8] | None, statistics: RunStatistics, policy: str, threshold: float | None
) -> PairDeviations | None:
    work = statistics.n_runs * statistics.n_examples**2
    if packed is None or policy == "none" or (policy == "auto" and work > _PAIR_WORK):
        return None
    return scan_pairs(packed, statistics.n_examples, threshold=threshold)


def reservations(statistics: RunStatistics, distinct: int | None = None) -> tuple[str, ...]:
    """Return what the reader should know about the runs, of which so many are distinct where that is known."""
    runs = statistics.n_runs if distinct is None else distinct
    notes = statistics.repeats
    if 1 < runs < 10:
        notes += (f"{runs} runs only: the intervals are wide.",)
    return notes
