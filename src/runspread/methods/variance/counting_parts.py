"""The runs of a study counted in parts by the workers of an engine; joined they are what one pass gives, bit by bit."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..._engine import Engine, current_engine
from ..._reading.correctness import Outcomes, PredictedOutcomes, UnusableRun, as_outcomes
from ..._reading.opening import opened
from ..._reading.outputs import nothing_left
from ...errors import StudyError
from .statistics import RunStatistics

_OPEN = 4  # studies that a worker keeps open


@dataclass(frozen=True)
class Part:
    """Some consecutive runs of a study, and how they are counted.

    Attributes
    ----------
    location, split : str
        Where the study is, and what is read of it.
    run_ids : tuple of str
        The runs.
    start : int
        Position of the first among all.
    n_runs : int
        How many there are in all.
    kind, nan : str
        As for `as_outcomes`.
    settings : dict
        As for `RunStatistics`.
    """

    location: str
    split: str
    run_ids: tuple[str, ...]
    start: int
    n_runs: int
    kind: str
    nan: str
    settings: dict[str, Any]


def count_all(outcomes: Outcomes, settings: Mapping[str, Any]) -> RunStatistics:
    """Count outcomes in one pass; those of a study by the workers of the engine, where there is one."""
    engine, location = current_engine(), getattr(getattr(outcomes, "outputs", None), "location", None)
    if engine is None or location is None or not isinstance(outcomes, PredictedOutcomes):
        return RunStatistics.from_outcomes(outcomes, **settings)
    return _counted_apart(engine, outcomes, location, settings)


def _counted_apart(
    engine: Engine, outcomes: PredictedOutcomes, location: str, settings: Mapping[str, Any]
) -> RunStatistics:
    places = list(range(outcomes.outputs.shape[0]))
    if outcomes.reasons:
        places = [place for place in places if place not in (outcomes.reasons or ())]
    tasks = _tasks(engine, outcomes, location, settings, places)
    found = engine.map(count_part, tasks)
    if reasons := _unusable(tasks, found, places):  # again without those
        outcomes.reasons = {**(outcomes.reasons or {}), **reasons}
        if len(outcomes.reasons) == outcomes.outputs.shape[0]:
            raise nothing_left(outcomes.excluded, len(outcomes.reasons))
        left = [place for place in places if place not in reasons]
        found = engine.map(count_part, _tasks(engine, outcomes, location, settings, left))
    outcomes.reasons = outcomes.reasons or {}
    total, *others = (one for one in found if isinstance(one, RunStatistics))
    for other in others:
        total.merge(other)
    total.require_complete()
    total.excluded = outcomes.excluded
    return total


def _unusable(
    tasks: Sequence[Part], found: Sequence[RunStatistics | dict[int, str]], places: Sequence[int]
) -> dict[int, str]:
    """Return why runs cannot be used, by their places among all."""
    lost = ((task, one) for task, one in zip(tasks, found, strict=True) if isinstance(one, dict))
    return {places[task.start + row]: why for task, one in lost for row, why in one.items()}


def _tasks(
    engine: Engine, outcomes: PredictedOutcomes, location: str, settings: Mapping[str, Any], places: list[int]
) -> list[Part]:
    reader: Any = outcomes.outputs
    return [
        Part(
            location=location,
            split=reader.split,
            run_ids=tuple(reader.run_ids[place] for place in places[part.start : part.stop]),
            start=part.start,
            n_runs=len(places),
            kind=outcomes.kind or "auto",
            nan=outcomes.nan,
            settings=dict(settings),
        )
        for part in engine.parts(len(places))
    ]


def count_part(part: Part) -> RunStatistics | dict[int, str]:
    """Count a part; or say which of its runs cannot be used, by their positions in it. What a worker calls."""
    study = _opened(part.location)
    if any(run not in study.runs.ids for run in part.run_ids[:1]):
        study.refresh()
    outcomes = as_outcomes(study.only(frozenset(part.run_ids)), split=part.split, kind=part.kind, nan=part.nan)
    if not isinstance(outcomes, PredictedOutcomes) or tuple(outcomes.outputs.run_ids) != part.run_ids:
        raise StudyError(f"{part.location} holds other runs for this worker", "the same study everywhere")
    statistics, start = RunStatistics.planned(outcomes.hopeful(), part.n_runs, part.settings), part.start
    try:
        for outcome in outcomes.hopeful().chunks():
            ids = part.run_ids[start - part.start :][: len(outcome.correct)]
            statistics.add(outcome, start, ids)
            start += len(outcome.correct)
    except UnusableRun:
        return outcomes.unusable()
    return statistics


@functools.lru_cache(maxsize=_OPEN)
def _opened(location: str) -> Any:
    return opened(location)
