"""`rank`: which of several arms may be the best? From one number per run, which may be the accuracy of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from ..._reading.evidence import OUTPUTS, Outputs, Scores, evidence
from ..._reading.options import DEFAULTS_OF_OUTCOMES
from ..._results import Excluded
from ...errors import InputError
from ..evaluations.result import Evaluations
from ..scores.defaults import LEVEL
from ..scores.over_tasks import OVER_TASKS, ScoreTasks, compare_tasks
from ..scores.ranked_metrics import ScoreRankings, rank_metrics
from ..scores.ranking import RANKING, ScoreRanking, rank_scores
from ..variance.accuracy import run_accuracies
from .answers import are_answers, evaluated
from .scores import arm_of, direction_given, one_of_both, read, resting
from .settings import OF_TABLES, RANKINGS, RankingOptions, check, refuse, some

ACCURACY = "accuracy"


def rank(
    source: Any,
    labels: Any = None,
    *,
    baseline: str | None = None,
    confidence_level: float = LEVEL,
    **options: Unpack[RankingOptions],
) -> ScoreRanking | ScoreRankings | ScoreTasks | Evaluations:
    """Return which of several arms may be the best, and how each differs from a baseline.

    Parameters
    ----------
    source : table, mapping, study or path
        A table with an arm a row; a mapping of arm to its scores, its outputs or its study; or a study that ``by=``
        divides. Outputs are ranked by accuracy, models in logs of evaluations by item.
    labels : array_like of int [examples], optional
        True classes, for outputs.
    baseline : str, optional
        An arm to compare each other one with.
    confidence_level : float
        Of the set of arms that may be best, and of intervals.
    **options : methods.verbs.RankingOptions
        How the evidence is read.

    Returns
    -------
    ScoreRanking, ScoreRankings for several metrics, ScoreTasks for several tasks, or Evaluations

    Raises
    ------
    InputError
        Fewer than two arms with runs, an ambiguous table, an unknown direction or baseline.

    Examples
    --------
    >>> import runspread as rs
    >>> arms = {"a": [90.1, 90.3, 90.2], "b": [91.9, 92.1, 92.2], "c": [92.0, 92.3, 91.9]}
    >>> rs.rank(arms, metric="accuracy").maybe_best.tolist()
    [False, True, True]
    """
    check(options, RANKINGS, "rank", ("labels", "baseline", "confidence_level"))
    if are_answers(source):
        return evaluated((source,), {**options, "baseline": baseline, "confidence_level": confidence_level})
    held = evidence((source,), options)
    return ranked(held, labels, {**options, "baseline": baseline}, confidence_level)


def ranked(
    held: Scores | Outputs, labels: Any, options: Mapping[str, Any], level: float
) -> ScoreRanking | ScoreRankings | ScoreTasks:
    """Return the ranking of arms, whatever they are known from."""
    if isinstance(held, Outputs):
        held, options = accuracies(held, labels, options), without_outputs(options)
    elif labels is not None:
        refuse({"labels": labels}, ("labels",), "one number per run")
    table = read(held, options)
    own = {**some(options, RANKING), **direction_given(options, table)}
    own["baseline"] = arm_of(own.get("baseline"), table.arms)
    if len(table.metrics) > 1:
        one_of_both(table)
        refuse(options, ("on", "tasks", "normalise", "gamma"), "one task")
        return resting(rank_metrics(table, confidence_level=level, **own), "rank")
    if len(table.tasks) > 1:
        refuse(options, ("spread", "examples"), "several tasks")
        return resting(compare_tasks(table, confidence_level=level, **some({**options, **own}, OVER_TASKS)), "rank")
    refuse(options, ("on", "tasks", "normalise", "gamma"), "one task")
    return resting(rank_scores(table, confidence_level=level, **own), "rank", outputs=held.origin == OUTPUTS)


def accuracies(held: Outputs, labels: Any, options: Mapping[str, Any]) -> Scores:
    """Return the accuracy of each run of each arm, as scores."""
    refuse(options, (*OF_TABLES, "metric", "diverged", "at", "lower_is_better"), "outputs per example")
    how = some(options, {*DEFAULTS_OF_OUTCOMES, "clusters"})
    found = {arm: run_accuracies(source, labels, **how) for arm, source in held.arms.items()}
    if not found:
        raise InputError("there are no arms", "outputs of runs")
    rows = [
        (arm, run, value) for arm, one in found.items() for run, value in zip(one.run_ids, one.accuracy, strict=True)
    ]
    columns = {name: [row[at] for row in rows] for at, name in enumerate(("arm", "run", "value"))}
    lost = [(arm, item) for arm, one in found.items() for item in one.excluded]
    excluded = tuple(Excluded(f"{arm} {item.run}".strip(), item.reason) for arm, item in lost)
    reading = {"by": "arm", "run": "run", "value": "value", "metric": ACCURACY}
    return Scores(columns, reading, OUTPUTS, excluded)


def without_outputs(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options without those by which outputs were read."""
    return {name: value for name, value in options.items() if name not in (*DEFAULTS_OF_OUTCOMES, "clusters", "by")}
