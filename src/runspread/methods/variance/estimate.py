"""`variance`: from outcomes of runs to the whole decomposition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from numpy.typing import ArrayLike

from ..._checks import check_choice, check_confidence_level
from ..._reading.copies import Copies
from ..._reading.correctness import Outcomes
from ..._reading.opening import opens
from ..._reading.options import DEFAULTS_OF_OUTCOMES, divided
from ...errors import InputError
from ..audit.auditing import audited
from .clusters import Grouping, clusters_of, few_clusters, totals_of
from .defaults import CONFIDENCE_LEVEL, GROUPS, VARIANCE, VarianceOptions
from .dropped import dropped_examples, for_kept
from .forms import Forms, SecondPass
from .numbers import IntervalSettings, clustered_numbers, plain_numbers
from .once import copies_of
from .pairs import PairDeviations, scan_pairs
from .result import DERIVED, VarianceResult
from .run_distribution import LEAST_RUNS, checked_distribution, unseen, warnings_of_distribution
from .samples import SAMPLES_ARE, of_samples
from .selection import checked_counts
from .statistics import RunStatistics
from .whole_sources import counted

PAIR_POLICIES = ("all", "auto", "none")
SAID = ("sd_fixed", "sd_pop", "ci_mean_lo", "ci_mean_hi", "runs_jackknife")  # what is said has no unclustered twin
_PAIR_WORK = 2e10  # runs times examples squared that takes a second or two


@opens("source")
def variance(
    source: Any = None,
    labels: Any = None,
    *,
    correct: ArrayLike | None = None,
    confidence_level: float = CONFIDENCE_LEVEL,
    clusters: ArrayLike | None = None,
    distribution: str = "normal",
    **options: Unpack[VarianceOptions],
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
    confidence_level : float
        Confidence level of the intervals.
    clusters : array_like [examples], optional
        Cluster of each example, where several belong together (one patient, one document, one template): whole
        numbers, strings, anything that sorts. Estimates, intervals, p-value, halves and sentence then take clusters,
        not examples, for independent (spec 2.6); without, clustered examples make intervals far too short. Fewer than
        20 clusters say little about new ones.
    distribution : {"normal", "any"}
        Distribution of accuracies over runs that the intervals of ``sd_interval``, sentence and table assume.
        ``"normal"`` is wrong where some trainings fail: a warning names outlying runs and two groups of runs. ``"any"``
        does not take accuracies as normal: it is the jackknife of the logarithm of the variance, and takes 30 runs. It
        covers where one training in ten or more fails, not where failures are so rare that the runs may hold none or
        one (``docs/simulations.md``): see ``unseen_share``.
    **options : VarianceOptions
        How outputs are read (``split``, ``kind``, ``nan``, ``missing``), whether they are of runs (``samples_are``),
        and what is rarely needed: ``best_of``, ``first_half``, ``groups``, ``pairs``, ``pair_threshold``, ``weights``,
        ``strata``, ``priors``.

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
    reading, asked = divided(variance, options, DEFAULTS_OF_OUTCOMES, VARIANCE)
    check_confidence_level(confidence_level)
    check_choice(asked["pairs"], "pairs", PAIR_POLICIES)
    counting = _counting(source, asked)
    statistics, outcomes = counted(source, labels, counting, correct=correct, **reading)
    settings = IntervalSettings(
        confidence_level, checked_distribution(distribution, statistics.n_runs), checked_counts(asked["best_of"])
    )
    grouping = None if clusters is None else clusters_of(clusters, outcomes, statistics.n_examples)
    notes = dropped_examples(outcomes)
    if check_choice(asked["samples_are"], "samples_are", SAMPLES_ARE) == "samples":
        return of_samples(source, statistics, grouping, settings, warnings=notes)
    numbers = _numbers(statistics, outcomes, grouping, settings, asked)
    run_ids = statistics.run_ids if outcomes is None else outcomes.run_ids
    copies = copies_of(source, statistics, outcomes)
    notes += few_clusters(grouping) + _caveats(statistics, copies, run_ids, settings)
    return VarianceResult.from_numbers(
        numbers | {"run_ids": run_ids, "copies": copies.groups, "distribution": distribution},
        n_classes=statistics.known_classes,
        confidence_level=confidence_level,
        excluded=statistics.excluded,
        warnings=audited([source], notes),
    )


def _counting(source: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return how runs are counted; statistics were counted already."""
    groups, first_half = asked["groups"], asked["first_half"]
    if isinstance(source, RunStatistics) and not (groups is None and first_half is None):
        raise InputError(
            "got groups or first_half with RunStatistics",
            "neither",
            "Give them to RunStatistics, which counts by them.",
        )
    groups = GROUPS if groups is None else groups
    return {"groups": groups, "votes": False, "keep_bits": True, "first_half": first_half}


def _numbers(
    statistics: RunStatistics,
    outcomes: Outcomes | None,
    grouping: Grouping | None,
    settings: IntervalSettings,
    asked: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the numbers by their keys, with the forms that were asked for."""
    second = _second(statistics, _forms(statistics, outcomes, asked))
    numbers = plain_numbers(statistics, settings, None if second is None else second.weighted)
    found, plain, n_clusters = {} if second is None else second.results(), dict[str, Any](), None
    if grouping is not None:
        totals = totals_of(statistics, outcomes, grouping)
        n_clusters = totals.sums.n_clusters
        if n_clusters < statistics.n_examples:  # else every example is a cluster: nothing differs
            clustered = clustered_numbers(statistics, totals, settings)
            plain = {name: numbers[name] for name in clustered if name not in SAID}
            numbers |= clustered
        found["var_dist_cluster"] = numbers["var_dist"]
    pairs = _pairs(statistics, asked["pairs"], asked["pair_threshold"])
    of_forms = {"forms": found, "unclustered": plain, "n_clusters": n_clusters, "pairs": pairs}
    return {name: value for name, value in numbers.items() if name not in DERIVED} | of_forms


def _forms(statistics: RunStatistics, outcomes: Outcomes | None, asked: Mapping[str, Any]) -> Forms:
    """Return the weighted and stratified forms that were asked for."""
    kept = {
        name: None if asked[name] is None else for_kept(asked[name], outcomes, statistics.n_examples, name)
        for name in ("weights", "strata")
    }
    return Forms.of(statistics.n_examples, **kept, priors=asked["priors"])


def _caveats(
    statistics: RunStatistics, copies: Copies, run_ids: tuple[str, ...], settings: IntervalSettings
) -> tuple[str, ...]:
    """Return what the reader should know: what the assumed distribution hides, and what few runs do."""
    runs = copies.n_distinct
    notes = caveats(statistics, runs)
    if settings.distribution == "normal":
        notes += warnings_of_distribution(statistics.correct, statistics.n_examples, run_ids)
    if 1 < runs < LEAST_RUNS or settings.distribution == "any":
        notes += (unseen(runs, settings.level),)
    return notes


def _second(statistics: RunStatistics, forms: Forms) -> SecondPass | None:
    """Return the second pass over the correctness, None where it was not kept."""
    packed = statistics.packed
    if packed is None:
        if forms.asked:
            raise InputError("got statistics without bits", "keep_bits=True", "Weights and strata need them.")
        return None
    return SecondPass(packed, statistics, forms)


def _pairs(statistics: RunStatistics, policy: str, threshold: float | None) -> PairDeviations | None:
    packed = statistics.packed
    work = statistics.n_runs * statistics.n_examples**2
    if packed is None or policy == "none" or (policy == "auto" and work > _PAIR_WORK):
        return None
    return scan_pairs(packed, statistics.n_examples, threshold=threshold)


def caveats(statistics: RunStatistics, distinct: int | None = None) -> tuple[str, ...]:
    """Return what the reader should know about the runs, of which so many are distinct where that is known."""
    runs = statistics.n_runs if distinct is None else distinct
    notes = statistics.repeats
    if 1 < runs < 10:
        notes += (f"{runs} runs only: the intervals are wide.",)
    return notes
