"""`compare`: is the new configuration better than the old, on this test set and on the distribution (spec 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._reading.opening import opens
from ..._reading.options import DEFAULTS_OF_OUTCOMES, divided
from ..._words import count, percent
from ...errors import InputError
from .._statistics import holm_adjusted
from .answers import Asked
from .clusters import Grouping, clusters_of, few_clusters
from .comparison import QUESTIONS, Comparison
from .comparison_numbers import numbers_of
from .comparison_words import pairing_note
from .defaults import COMPARE, CONFIDENCE_LEVEL, CompareOptions
from .difference import quantile
from .dropped import dropped_note
from .pairing import Pairs, kept_bits, pair_runs
from .run_distribution import share_text, unseen_share
from .samples import SAMPLES_ARE, refuse_study
from .shared import shared_runs
from .sides import Side, both_sides


@opens("a", "b")
def compare(
    a: Any = None,
    b: Any = None,
    labels: Any = None,
    *,
    correct: tuple[ArrayLike, ArrayLike] | None = None,
    on: str = "distribution",
    not_worse: float | None = None,
    equivalent: float | None = None,
    clusters: ArrayLike | None = None,
    confidence_level: float = CONFIDENCE_LEVEL,
    **options: Unpack[CompareOptions],
) -> Comparison:
    """Return whether a new configuration (b) is better than an old one (a), and on what.

    Runs are compared unpaired, also where both configurations used the same seeds: long trainings decorrelate even
    under identical seeds. With `paired` or `seeds`, runs of the same seeds are compared in pairs if their accuracies
    are shown to be positively correlated (a one-sided t test at 1 %, which keeps the size of both steps together at
    that of one), and unpaired otherwise; the sentence says which. The replication unit is the run; examples are a
    sample of the distribution. Accuracies are taken as normal over runs: where trainings fail so rarely that few runs
    hold none, "not worse" and "equivalent" may be shown of a configuration that fails (``docs/simulations.md``).

    Parameters
    ----------
    a, b : array_like, RunOutputs, study or RunStatistics
        Runs of the old and of the new configuration on the same examples, as for `variance`.
    labels : array_like of int [examples], optional
        True classes; taken from the sources where they have them.
    correct : tuple of two array_like of 0/1 [runs, examples], optional
        Given instead of `a`, `b` and `labels`.
    on : {"distribution", "test-set", "models"}
        What the answer is to cover: other examples and other runs; other runs on these very examples; other examples,
        for the trained models at hand (which one run of each can answer).
    not_worse : float, optional
        Ask whether the new one is not worse by more than this margin, a fraction: 0.005 is half a percentage point.
    equivalent : float, optional
        Ask whether the two differ by less than this margin.
    clusters : array_like [examples], optional
        Examples that belong together (one patient, one document): the distribution is then that of clusters.
    confidence_level : float
        Confidence level of tests and intervals.
    **options : CompareOptions
        How the two are called (``names``), whether runs are compared in pairs (``paired``, ``seeds``), how outputs are
        read (``split``, ``kind``, ``nan``, ``missing``; ``missing="intersect"`` keeps the examples that all runs of
        both have), and whether they are of runs (``samples_are``).

    Returns
    -------
    Comparison
        Verdict, difference (new minus old) and interval; ``result.sentence()`` answers in words.

    Raises
    ------
    InputError
        The two were not evaluated on the same examples; or pairs are asked for and there are no seeds, or several runs
        have the same; or a margin that is not above 0; or all runs of one are runs of the other too.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> old, new = (rng.random((5, 400)) < accuracy for accuracy in (0.7, 0.9))
    >>> rs.compare(correct=(old, new)).verdict()
    'better'
    """
    reading, settings = divided(compare, options, DEFAULTS_OF_OUTCOMES, COMPARE)
    asked = Asked.of(confidence_level, not_worse, equivalent)
    check_choice(on, "on", QUESTIONS)
    names, samples = settings["names"], _are_samples((a, b), settings)
    counting = {"votes": False, "keep_bits": True}
    old, new = both_sides((a, b), labels, correct, names, counting, reading, samples=samples)
    shared = shared_runs(old, new)
    grouping = None if clusters is None else _grouping(clusters, old, new)
    found = numbers_of(
        old.statistics,
        new.statistics,
        names,
        grouping=grouping,
        pairs=_pairs(old, new, settings),
        limit=quantile(confidence_level),
        told=old.told and new.told,
        samples=samples,
    )
    result = Comparison.from_numbers(
        found.fields,
        names=names,
        n_clusters=None if grouping is None else len(grouping),
        confidence_level=confidence_level,
        on=on,
        asked=asked.what,
        margin=asked.margin,
        runs_needed=found.runs_needed(asked, on),
        excluded=(*old.excluded, *new.excluded),
        samples_are=settings["samples_are"],
        warnings=(
            *shared,
            *(() if samples else (note for side in (old, new) for note in side.notes())),
            *_few_against_many(old, new, found.fields["form"]),
            *_if_alike(names, found.fields, asked.level),
            *_dropped(correct, old, names),
            *few_clusters(grouping),
        ),
    )
    return replace(result, warnings=(*result.warnings, *pairing_note(result), *_of_distribution(result)))


def _are_samples(sources: tuple[Any, Any], settings: Mapping[str, Any]) -> bool:
    """Return whether the first axis holds samples of one model, after checks of what goes with that."""
    seeds = settings["seeds"]
    if seeds is not None and (found := len(seeds) if hasattr(seeds, "__len__") else 1) != 2:
        raise InputError(f"got seeds of {count(found, 'configuration')}", "seeds=(a, b), one seed per run")
    samples = check_choice(settings["samples_are"], "samples_are", SAMPLES_ARE) == "samples"
    if samples:
        _refuse_for_samples(sources, pairing=settings["paired"] or seeds is not None)
    return samples


def _pairs(old: Side, new: Side, settings: Mapping[str, Any]) -> Pairs | None:
    """Return the pairs of runs with the same seeds, None where they were not asked for."""
    if not settings["paired"] and settings["seeds"] is None:
        return None
    of_a, of_b = (None, None) if settings["seeds"] is None else settings["seeds"]
    return pair_runs(old.seeds(of_a), new.seeds(of_b), settings["names"])


def _refuse_for_samples(sources: tuple[Any, Any], *, pairing: bool) -> None:
    for source in sources:
        refuse_study(source)
    if pairing:
        raise InputError("got pairs of samples of two models", "runs", "Omit paired and seeds, or samples_are.")


def _dropped(correct: tuple[ArrayLike, ArrayLike] | None, old: Side, names: tuple[str, str]) -> tuple[str, ...]:
    """Count and name the examples that were excluded since a run of either lacks them."""
    keep = getattr(old.outcomes, "examples", None)
    if correct is None or keep is None:
        return ()
    return dropped_note([np.ma.asanyarray(array) for array in correct], keep, names)


def _of_distribution(result: Comparison) -> tuple[str, ...]:
    """Say what an answer on the configurations assumes of their runs, and which failures it may miss."""
    if result.answered == "models":
        return ()
    runs = [count(number, "run") for number in (result.n_runs_a, result.n_runs_b)]
    shares = [
        share_text(unseen_share(number, result.confidence_level)) for number in (result.n_runs_a, result.n_runs_b)
    ]
    old, new = result.names
    of = f"{runs[0]} of each" if runs[0] == runs[1] else f"{runs[0]} of {old} and {runs[1]} of {new}"
    up_to = shares[0] if runs[0] == runs[1] else f"{shares[0]} and {shares[1]}"
    return (
        f"This takes accuracies as normal over runs: with {of}, failures in up to {up_to} of trainings may not have "
        f"been seen ({percent(result.confidence_level)} bound).",
    )


def _grouping(clusters: ArrayLike, old: Side, new: Side) -> Grouping:
    for side in (old, new):
        kept_bits(side.statistics, side.name)
    return clusters_of(clusters, old.outcomes, old.statistics.n_examples)


def _few_against_many(old: Side, new: Side, form: str) -> tuple[str, ...]:
    """Say what few runs against many cost."""
    if form != "guarded":
        return ()
    fewer = min(old, new, key=lambda side: side.statistics.n_runs)
    return (
        f"{fewer.statistics.n_runs} runs of {fewer.name} hardly measure its spread, which sets the width of the "
        "interval: one more of them narrows it more than any number of the other.",
    )


def _if_alike(names: tuple[str, str], fields: Mapping[str, Any], level: float) -> tuple[str, ...]:
    """Say what would hold if the single run of one configuration spread as those of the other."""
    answer = fields["answers"].get("if alike")
    if answer is None or not answer.forms:
        return ()
    alone = names[0 if fields["n_runs_a"] == 1 else 1]
    low, high = answer.interval(level)
    return (
        f"If {alone} spread as the other does, the {percent(level)} CI for the configurations would be "
        f"{100 * low:+.2f} to {100 * high:+.2f} percentage points; a second run of it tells whether it does.",
    )


def holm_adjust(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted for several comparisons (Holm 1979).

    Parameters
    ----------
    p_values : array_like of float [comparisons]
        Unadjusted.

    Returns
    -------
    ndarray of float64 [comparisons]
        Reject where at most the level: the chance of any false rejection is then at most the level.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.variance.holm_adjust([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p_values, np.float64)
    if p.ndim != 1 or p.size == 0 or not bool(((p >= 0) & (p <= 1)).all()):
        raise InputError(f"got p-values {p}", "one axis of numbers from 0 to 1, not empty")
    return holm_adjusted(p)
