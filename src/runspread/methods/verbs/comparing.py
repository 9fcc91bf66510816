"""`compare`: is the new one better than the old? From outputs per example, or from one number per run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from ..._reading.evidence import Outputs, Scores, evidence
from ..._reading.options import DEFAULTS_OF_OUTCOMES
from ..._results import Result
from ...errors import InputError
from ..evaluations.result import Evaluations
from ..scores.compare import COMPARING, compare_scores
from ..scores.comparison import ScoreComparison
from ..scores.metrics import MARGINS, ScoreMetrics, compare_metrics
from ..scores.over_tasks import OVER_TASKS, ScoreTasks, compare_tasks
from ..scores.ranked_metrics import ScoreRankings
from ..scores.ranking import ScoreRanking
from ..variance.comparing import compare as compare_outputs
from ..variance.comparison import QUESTIONS, Comparison
from ..variance.defaults import COMPARE, CONFIDENCE_LEVEL
from .answers import are_answers, evaluated
from .ranking import ranked
from .scores import arm_of, direction_given, margins, one_of_both, read, resting
from .settings import COMPARISONS, OF_TABLES, ComparingOptions, check, refuse, some

_NAMED = ("labels", "on", "not_worse", "equivalent", "confidence_level")
_OF_MEANS = ("spread", "gap", "threshold", "examples", "tasks", "normalise", "gamma")
_ONLY_SCORES = (*OF_TABLES, *_OF_MEANS, "diverged", "at", "lower_is_better")


def compare(
    a: Any = None,
    b: Any = None,
    labels: Any = None,
    *,
    on: str | None = None,
    not_worse: float | Mapping[str, float] | None = None,
    equivalent: float | Mapping[str, float] | None = None,
    confidence_level: float = CONFIDENCE_LEVEL,
    **options: Unpack[ComparingOptions],
) -> Comparison | ScoreComparison | ScoreMetrics | ScoreRanking | ScoreRankings | ScoreTasks | Evaluations:
    """Return whether a new configuration is better than an old one, from whatever there is of their runs.

    Outputs per example are compared on these examples and on others like them (`methods.variance.compare`); one number
    per run by the mean of the runs (`methods.scores.compare_scores`), several arms with a baseline or for the best
    (`rank_scores`), several tasks on these and on tasks like them (`compare_tasks`); logs of evaluations by item
    (`evaluations`). The sentence says which.

    Parameters
    ----------
    a, b : array_like, study, table, path, or mapping
        The old and the new: outputs [runs, examples, classes], studies, files of outputs, one number per run (a
        sequence, or a file with one a line), or tables. `a` alone: a table with an arm a row, a mapping of arm to its
        scores, or a study that ``by=`` divides.
    labels : array_like of int [examples], optional
        True classes, for outputs.
    on : str, optional
        What the answer covers: "distribution" (default), "test-set" or "models" for outputs; "tasks-like-these"
        (default) or "these-tasks" for several tasks.
    not_worse, equivalent : float, optional
        Ask whether the new one is not worse by more than this margin, or differs by less. In the unit of the data: half
        a percentage point is 0.005 of fractions and 0.5 of percent. Of several metrics, a mapping of each to its own.
    confidence_level : float
        Confidence level of tests and intervals.
    **options : methods.verbs.ComparingOptions
        How the evidence is read, and what only one kind of it knows.

    Returns
    -------
    Comparison, ScoreComparison, ScoreMetrics, ScoreRanking, ScoreRankings, ScoreTasks or Evaluations
        ``result.sentence()`` answers in words.

    Raises
    ------
    InputError
        Evidence of two kinds, an ambiguous table, an unknown direction, or a keyword that has no effect on what there
        is.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.compare([0.412, 0.398, 0.405, 0.401], [0.391, 0.380, 0.388, 0.395], metric="val_loss").verdict()
    'better'
    """
    check(options, COMPARISONS, "compare", _NAMED)
    asked = {"on": on, "not_worse": not_worse, "equivalent": equivalent, "confidence_level": confidence_level}
    if options.get("correct") is not None or a is None or isinstance(a, Result):
        return _outputs(a, b, labels, asked, options)
    sources = (a,) if b is None else (a, b)
    if are_answers(*sources):
        return evaluated(sources, {**options, **asked, "labels": labels})
    held = evidence(sources, options)
    if isinstance(held, Scores):
        if labels is not None:
            hint = "Drop labels=; of the predicted classes of one run, pass x[None]."
            raise InputError("labels= has no effect on one number per run", hint=hint)
        return _of_scores(held, asked, options)
    return _of_outputs(held, b is None, labels, asked, options)


def _outputs(
    a: Any, b: Any, labels: Any, asked: Mapping[str, Any], options: Mapping[str, Any], **more: Any
) -> Comparison:
    """Compare outputs per example."""
    refuse(options, _ONLY_SCORES, "outputs per example")
    own = {**some(options, {*DEFAULTS_OF_OUTCOMES, *COMPARE, "correct", "clusters"}), **more}
    question = "distribution" if asked["on"] is None else asked["on"]
    return compare_outputs(a, b, labels, **{**asked, "on": question}, **own)


def _of_outputs(
    held: Outputs, one_source: bool, labels: Any, asked: Mapping[str, Any], options: Mapping[str, Any]
) -> Comparison | ScoreRanking | ScoreRankings | ScoreTasks:
    """Compare two arms by their outputs; of more, rank accuracies."""
    names = list(held.arms)
    baseline, new = (arm_of(options.get(key), names) for key in ("baseline", "new_arm"))
    if len(names) < 2:
        raise InputError("there is one arm", "two, or a study that by= divides", "Pass the new one too, or by='lr'.")
    if len(names) == 2 or (baseline and new):
        old = baseline or next(name for name in names if name != new)
        new = new or next(name for name in names if name != old)
        named = {"names": (old, new)} if one_source else {}
        return _outputs(held.arms[old], held.arms[new], labels, asked, options, **named)
    refuse(asked, ("on", "not_worse", "equivalent"), f"{len(names)} arms: name two with baseline= and new_arm=")
    return ranked(held, labels, {**options, "baseline": baseline}, asked["confidence_level"])


def _of_scores(
    held: Scores, asked: Mapping[str, Any], options: Mapping[str, Any]
) -> ScoreComparison | ScoreMetrics | ScoreRanking | ScoreRankings | ScoreTasks:
    """Compare arms by one number per run."""
    table = read(held, options)
    own = {**some(options, {*COMPARING, *OVER_TASKS}), **direction_given(options, table)}
    own |= {key: arm_of(own[key], table.arms) for key in ("baseline", "new_arm") if own.get(key) is not None}
    level, on = asked["confidence_level"], asked["on"]
    if len(table.metrics) > 1:
        one_of_both(table)
        if len(table.arms) > 2 and own.get("new_arm") is None:
            single = ("on", "not_worse", "equivalent", "paired", "gap", "threshold")
            refuse({**asked, **own}, single, f"{len(table.arms)} arms: name two with baseline= and new_arm=")
            return ranked(Scores(table), None, {**options, **own}, level)
        refuse(asked, ("on",), f"{len(table.metrics)} metrics: name one with metric=")
        how = some(own, {*COMPARING, "lower_is_better"})
        refuse(own, ("tasks", "normalise", "gamma", "gap", "threshold"), "several metrics: name one with metric=")
        margin = margins(some(asked, MARGINS), table, points=bool(options.get("points")))
        return resting(compare_metrics(table, confidence_level=level, **margin, **how), "compare")
    asked_margins = {**some(asked, MARGINS), "gap": own.pop("gap", None)}
    margin = margins(asked_margins, table, points=bool(options.get("points")))
    if len(table.tasks) > 1:
        single = ("spread", "paired", "examples", "threshold", "gap")
        refuse({**margin, **some(own, single)}, single, "several tasks")
        question: dict[str, Any] = {**margin, **({} if on is None else {"on": on})}
        how = some(own, {*OVER_TASKS, "lower_is_better"})
        return resting(compare_tasks(table, confidence_level=level, **{**how, **question}), "compare")
    if on in QUESTIONS:
        raise InputError(f"on={on!r} with one number per run", "outputs per example", "Drop on=.")
    refuse(own, ("tasks", "normalise", "gamma"), "one task")
    if len(table.arms) > 2 and own.get("new_arm") is None:
        single = ("not_worse", "equivalent", "paired", "gap", "threshold")
        refuse({**margin, **some(own, single)}, single, f"{len(table.arms)} arms")
        return ranked(Scores(table), None, {**options, **own}, level)
    how = some(own, {*COMPARING, "lower_is_better"})
    return resting(compare_scores(table, confidence_level=level, **margin, **how), "compare")
