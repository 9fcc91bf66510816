"""`evaluations`: how good models are on items, and which is better (evals 2, 3)."""

from __future__ import annotations

import math
from functools import partial
from itertools import combinations
from typing import Any, Unpack

import numpy as np

from ..._checks import check_choice, check_confidence_level, check_settings
from ..._reading.evaluations.arrays import as_answers
from ..._reading.evaluations.options import DEFAULTS as READING
from ..._reading.evaluations.options import EvaluationReading, checked
from ..._words import count, listed
from ...errors import InputError
from .._statistics import holm_adjusted
from ..scores.forms import asked_of
from .bars import BOOTSTRAP, METHODS, WILSON
from .consistency import consistency_of
from .deciding import deciding_items, fewest_items
from .defaults import FEW_CLUSTERS, LEVEL, MOST_MISSING, ON
from .grid import Grid, ModelGrid, grid_of
from .halves import halves, leader, only_items
from .judging import How, decided, judged_pair, margin_p, p_of, pair_of, score_of_model
from .result import Asked, Evaluations, ModelDifference, ModelScore
from .shares import sources_of
from .words import plural

SETTINGS: dict[str, Any] = {
    "confidence_level": LEVEL,
    "prompts": "fixed",
    "method": WILSON,
    "weights": "items",
    "pair_seeds": False,
    "bayes": False,
    "split": False,
}


class EvaluationSettings(EvaluationReading, total=False):
    """Keywords of `evaluations`: those of the reading, and these.

    confidence_level : float
        Of intervals; default 0.95.
    prompts : {"fixed", "random"}
        Whether the prompts are all that matter (default), or a draw from many.
    method : {"wilson", "t", "beta", "bootstrap"}
        Of the intervals of means: Wilson's with an effective number of items and t (default), t alone, Jeffreys' with
        that number, or the percentile bootstrap over clusters (and trainings). All but the first are too short in some
        designs. Differences always have the t form.
    weights : {"items", "rows"}
        Whether every item weighs the same (default), or every answer.
    pair_seeds : bool
        Whether trainings of equal names are pairs, such as two recipes from the same start.
    bayes : bool
        Whether to add the posterior of each difference, under independent Jeffreys priors; for ``on="models"``.
    split : bool
        Whether one half of the clusters chooses the best model and the other half reports on it.
    """

    confidence_level: float
    prompts: str
    method: str
    weights: str
    pair_seeds: bool
    bayes: bool
    split: bool


def evaluations(
    source: Any,
    labels: Any = None,
    *,
    baseline: str | None = None,
    on: str | None = None,
    not_worse: float | None = None,
    equivalent: float | None = None,
    **settings: Unpack[EvaluationSettings],
) -> Evaluations:
    """Return how good models are on items and which is better, with error bars that say what they cover.

    Items are what models are paired by, trainings what a recipe is judged by, samples what decoding adds. Files of
    lm-evaluation-harness, Inspect, HELM, SWE-bench, EvalPlus and HumanEval are read as they are.

    Parameters
    ----------
    source : path, sequence of paths, table, Answers, or mapping of model to its scores or outputs
        A row an answer (item, model, score; and seed, sample, prompt, cluster, task), or scores with the axes [items],
        [runs, items] or [runs, items, samples] by model.
    labels : array_like of int [examples], optional
        True classes, where outputs of runs are given.
    baseline : str, optional
        Model that the others are compared with; default the first of two, and every two of more.
    on : {"distribution", "models", "test-set", "samples"}, optional
        What the answer covers: new trainings and new items, these checkpoints on new items, new trainings on these
        items, or new answers to these items. Default the widest that the data allow.
    not_worse, equivalent : float, optional
        Margin above 0, in the unit of the scores: is the new model not worse by more, or within it on both sides?
    **settings : EvaluationSettings
        Confidence level, prompts, and how files are read.

    Returns
    -------
    Evaluations
        With ``differences``, ``sources``, ``consistency`` and ``deciding_items``.

    Raises
    ------
    InputError
        Answers that allow no such statement, such as a new training from one.

    Examples
    --------
    >>> import runspread as rs
    >>> old, new = [[0, 1, 0, 0, 1, 0] * 20] * 2, [[1, 1, 0, 1, 1, 0] * 20] * 2
    >>> rs.evaluations({"old": old, "new": new}, on="models").verdict
    'better'
    """
    check_settings(settings, {**READING, **SETTINGS}, evaluations)
    options: dict[str, Any] = {**SETTINGS, **settings}
    check_choice(options["prompts"], "way to take prompts", ("fixed", "random"))
    check_choice(options["method"], "method of intervals", METHODS)
    check_choice(options["weights"], "way to weigh answers", ("items", "rows"))
    for name in ("pair_seeds", "bayes", "split"):
        if not isinstance(options[name], (bool, np.bool_)):
            raise InputError(f"{name}={options[name]!r}", "True or False")
    asked, margin = asked_of({"not_worse": not_worse, "equivalent": equivalent})
    level = check_confidence_level(options["confidence_level"])
    reading = {name: value for name, value in settings.items() if name in READING}
    answers, missing = as_answers(source, labels, **reading), checked(reading)["missing"]
    grid = grid_of(answers, missing)
    chosen = None
    if options["split"]:
        if baseline is not None or len(grid.models) < 2:
            found = f"split= with {count(len(grid.models), 'model')}" + f" and baseline={baseline!r}" * bool(baseline)
            raise InputError(found, "two models or more, of which the best is chosen", "Drop split= (--split).")
        choosing, reporting = halves(grid)
        chosen, grid = leader(grid, choosing).name, grid_of(only_items(answers, reporting), missing)
        if chosen not in [model.name for model in grid.models]:
            found = f"split= with {chosen}, which leads on one half of the items and has no answer to the other"
            raise InputError(found, "models that answered the same items", "Drop split= (--split), or this model.")
    how = How(
        _covered(grid, "models" if on is None and options["bayes"] else on),
        level,
        asked,
        margin,
        options["prompts"] == "random",
        grid.bounded,
        method=options["method"],
        by_rows=options["weights"] == "rows",
        pair_seeds=bool(options["pair_seeds"]),
        bayes=bool(options["bayes"]),
        binary=grid.binary,
    )
    _check_ways(how)
    return _evaluated(grid, how, _pairs(grid, baseline, chosen), baseline, chosen)


def _check_ways(how: How) -> None:
    """Raise where a method is asked for that the answer does not allow."""
    if how.method == "beta" and not how.bounded:
        raise InputError("method='beta' with scores beyond 0..1", "scores within 0..1", "Pass method='t'.")
    if how.method == BOOTSTRAP and how.on not in ("models", "distribution"):
        raise InputError(f"method='bootstrap' with on={how.on!r}", "on='models', as items are drawn")
    if how.bayes and (how.on != "models" or not how.bounded):
        found = f"bayes=True with on={how.on!r}" if how.bounded else "bayes=True with scores beyond 0..1"
        raise InputError(found, "scores within 0..1 of these checkpoints on new items", "Drop bayes= (--bayes).")
    if how.pair_seeds and how.on not in ("distribution", "test-set"):
        hint = "Drop pair_seeds= (--pair-seeds): only new trainings have pairs."
        raise InputError(f"pair_seeds=True with on={how.on!r}", "on='distribution' or on='test-set'", hint)


def _covered(grid: Grid, on: str | None) -> str:
    """Return what the answer covers: what was asked for if the data allow it, else the widest that they do."""
    seeds = min(model.seeds for model in grid.models)
    groups = min(_groups(grid))
    repeats = all(model.cells.repeats for model in grid.models)
    allowed = {
        "distribution": seeds > 1 and groups > 1,
        "models": groups > 1,
        "test-set": seeds > 1,
        "samples": repeats,
    }
    if on is None:
        found = next((name for name in ON if allowed[name]), None)
        if found is None:
            raise _too_few(grid)
        return found
    check_choice(on, "on", ON)
    if not allowed[on]:
        raise InputError(*_REFUSALS[on])
    return on


def _groups(grid: Grid) -> list[int]:
    """Return the number of items, or of clusters of them, of each benchmark."""
    every = np.ones(len(grid.task_of), bool)
    return [len(grouping) for _, grouping in grid.strata(every)]


def _too_few(grid: Grid) -> InputError:
    """Return why nothing can be said about new items."""
    if len(_groups(grid)) > 1:
        tasks = grid.answers.tasks
        few = [name for name, number in zip(tasks, _groups(grid), strict=True) if number < 2]
        return InputError(
            f"a benchmark with one item, {few[0]}",
            "two or more in each",
            "Pass clusters='task' to pool the benchmarks.",
        )
    if len(grid.task_of) > 1:
        return InputError("clusters that are all the same", "two clusters or more", "Drop clusters=.")
    return InputError("one item, answered once", "two items or more")


_REFUSALS = {
    "distribution": (
        "one training run of a model",
        "two or more of each",
        "The bar covers new questions, not a new training: pass on='models', or name the trainings with seed=.",
    ),
    "test-set": ("one training run of a model", "two or more of each", "Name the trainings with seed=."),
    "models": ("one item, or one cluster of items", "two or more", "Pass on='samples' for these items alone."),
    "samples": ("items that were answered once", "two answers of a model to most items", "Pass on='models'."),
}


def _pairs(grid: Grid, baseline: str | None, chosen: str | None) -> list[tuple[ModelGrid, ModelGrid]]:
    """Return which models are compared, old and new."""
    if chosen is not None:
        new = next(model for model in grid.models if model.name == chosen)
        return [(model, new) for model in grid.models if model.name != chosen]
    if baseline is not None:
        check_choice(baseline, "model", [model.name for model in grid.models])
        old = next(model for model in grid.models if model.name == baseline)
        return [(old, model) for model in grid.models if model.name != baseline]
    return list(combinations(grid.models, 2))


def _evaluated(
    grid: Grid, how: How, compared: list[tuple[ModelGrid, ModelGrid]], baseline: str | None, chosen: str | None = None
) -> Evaluations:
    answers = grid.answers
    pairs = [pair_of(grid, old, new, how) for old, new in compared]
    p = np.array([p_of(pair) for pair in pairs])
    scores = tuple(score_of_model(grid, model, how) for model in grid.models)
    gaps = tuple(
        judged_pair(pair, p_holm, p_margin, how, len(pairs))
        for pair, p_holm, p_margin in zip(
            pairs,
            holm_adjusted(p).tolist(),
            holm_adjusted(np.array([margin_p(pair, how) for pair in pairs])).tolist(),
            strict=True,
        )
    )
    decides = None
    if pairs:
        first, fewest = pairs[0], None
        d = first.new.x - first.old.x
        if gaps[0].verdict in ("better", "worse"):
            fewest = fewest_items(d, first.rows, partial(decided, grid, *compared[0], how, p[1:]))
        decides = deciding_items(grid, *compared[0], d, first.rows, how.level, fewest)
    return Evaluations(
        question=Asked(
            on=how.on,
            level=how.level,
            asked=how.asked,
            margin=how.margin,
            baseline=baseline,
            clusters=None if grid.cluster is None else answers.cluster_name,
            metric=answers.metric,
            method=how.method,
            chosen=chosen,
        ),
        models=scores,
        differences=gaps,
        may_be_best=_may_be_best(grid, scores, how),
        in_unit=grid.bounded,
        tasks=answers.tasks,
        sources=sources_of(grid, how.level),
        consistency=consistency_of(grid, how.level),
        deciding_items=decides,
        excluded=answers.problems,
        warnings=(*answers.notes, *_warnings(grid, scores, gaps, how)),
    )


def _may_be_best(grid: Grid, scores: tuple[ModelScore, ...], how: How) -> tuple[str, ...]:
    """Return the models that are not shown to be below the leader, by tests corrected for their number (Holm)."""
    at = max(range(len(scores)), key=lambda one: scores[one].mean)
    others = [model for model in grid.models if model.name != scores[at].model]
    pairs = [pair_of(grid, model, grid.models[at], how) for model in others]
    holm = holm_adjusted(np.array([p_of(pair) for pair in pairs])).tolist()
    below = {pair.old.name for pair, p in zip(pairs, holm, strict=True) if p <= 1 - how.level and not pair.forced}
    return tuple(one.model for one in scores if one.model not in below)


_ITEMS = "is too short with few items of which nearly all are right, or nearly all wrong"
_TOO_SHORT = {"t": _ITEMS, BOOTSTRAP: _ITEMS, "beta": "counts few trainings, or clusters, as if they were many"}


def _warnings(grid: Grid, scores: tuple[ModelScore, ...], gaps: tuple[ModelDifference, ...], how: How) -> list[str]:
    found: list[str] = []
    if how.method != WILSON:
        found.append(f"Intervals of means are by method={how.method!r}, which {_TOO_SHORT[how.method]}.")
    clusters = min(one.counts.n_clusters for one in scores)
    if grid.cluster is not None and clusters < FEW_CLUSTERS and how.on in ("models", "distribution"):
        noun = grid.answers.cluster_name
        found.append(f"{count(clusters, noun, plural(noun))}: little can be said about new {plural(noun)}.")
    for one in scores:
        found += _left_out(one, len(grid.task_of))
        if one.se > 0 and abs(one.mean_rows - one.mean) > 0.1 * one.se and len(grid.answers.tasks) == 1:
            found.append(
                f"{one.model}: the mean of all answers is {one.mean_rows:.4g}, that of items {one.mean:.4g}: the "
                "number of answers depends on the item."
            )
    for gap in gaps:
        for name, lacks in ((gap.old, gap.lacks_old), (gap.new, gap.lacks_new)):
            if lacks:
                found.append(f"Common items of {gap.new} and {gap.old}: {gap.n_items}; {name} lacks {lacks}.")
    if len({model.seeds > 1 for model in grid.models}) > 1:
        found.append("Some models have one training: the answer covers these checkpoints, not new trainings.")
    return found


def _left_out(one: ModelScore, items: int) -> list[str]:
    """Return what to say where more than two in a hundred of a model's `items`, or as much of its mean, is missing."""
    absent = items - one.counts.n_items
    attempts = one.counts.n_left_out - absent
    rounding = 1e-9
    if max(absent / items, 0.0 if math.isnan(one.best) else one.best - one.worst) <= MOST_MISSING + rounding:
        return []
    lost = [count(absent, "item")] * (absent > 0) + [count(attempts, "attempt")] * (attempts > 0)
    text = f"{one.model}: {listed(lost)} without a score excluded"
    if math.isnan(one.best):
        return [f"{text}."]
    return [f"{text}; its mean is {one.worst:.1%} if all are wrong, {one.best:.1%} if all are right."]
