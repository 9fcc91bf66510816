"""Evidence of one number per run, made ready for the methods of scores: read once, margins in its unit."""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..._checks import check_choice
from ..._reading.evidence import NUMBERS, OUTPUTS, STUDY, Scores
from ..._reading.scores.columns import NAMES, plain
from ..._reading.scores.runs import suspicions
from ..._reading.scores.table import DEFAULTS as READING
from ..._reading.scores.table import ScoreTable, read_scores
from ..._reading.scores.words import FRACTION
from ..._reading.tables import as_table
from ..._results import Table
from ..._words import listed
from ...errors import InputError
from ..scores.basis import ScoreResult
from ..scores.metrics import by_metric
from .settings import OF_OUTPUTS, OF_TABLES, refuse, some

R = TypeVar("R", bound=ScoreResult)
_BEYOND = {
    "compare": "whether it holds on other examples",
    "rank": "whether it holds on other examples",
    "summary": "how much of the spread is noise of the test set",
    "plan": "whether it takes more runs or more examples",
}
_TELLS = {"summary": "variance"}  # the verb on outputs that tells it; else compare, of two arms
_ODD = 0.01  # p over all arms below which one is shown to spread more than the others
_ASSUMED = (
    "The scores have no name of a metric: higher is taken to be better. Pass metric='...', or lower_is_better=True."
)


def read(held: Scores, given: Mapping[str, Any], *, one_arm: bool = False) -> ScoreTable:
    """Return the scores as a table, after refusing keywords that have no effect on them."""
    if isinstance(held.source, ScoreTable):
        return held.source
    refuse(given, OF_OUTPUTS, "one number per run")
    if held.origin in (STUDY, OUTPUTS):
        refuse(given, OF_TABLES, "the scalars of a study")
    else:
        refuse(given, ("split",), "one number per run")
        if "by" in held.reading:
            refuse(given, ("by",), "sources that are one arm each")
    reading = {**some(given, READING), **held.reading}
    source = held.source
    if held.origin not in (STUDY, OUTPUTS) and given.get("task") is not None:
        source, reading = _one_task(source, reading)
    with naming(held.source):
        found = read_scores(source, one_arm=one_arm, **reading)
    if held.origin == OUTPUTS:  # accuracies on one test set are often equal
        equal = suspicions(found.cells)
        found = replace(found, warnings=tuple(note for note in found.warnings if note not in equal))
    found = replace(found, excluded=(*held.excluded, *found.excluded))
    return _directed(found) if held.origin == NUMBERS else found


@contextmanager
def naming(source: Any) -> Generator[None]:
    """Let an InputError name the file that a table was read from."""
    try:
        yield
    except InputError as error:
        name = Path(source).name if isinstance(source, (str, os.PathLike)) else ""
        if not name or name in error.found:
            raise
        raise InputError(f"{name}: {error.found}", error.expected, error.hint) from error


def _one_task(source: Any, reading: dict[str, Any]) -> tuple[Table, dict[str, Any]]:
    """Return the table, where `task` names a column; else the rows of the task that it names."""
    table, task = as_table(source), reading["task"]
    columns = [name for name in table.columns if plain(name) in NAMES["task"].split()]
    if task in table.columns or len(columns) != 1:
        return table, reading
    return table, {**reading, "task": columns[0], "where": {**(reading.get("where") or {}), columns[0]: task}}


def _directed(table: ScoreTable) -> ScoreTable:
    """Return plain numbers without a direction as higher-is-better where all lie within 0 and 1, and say so."""
    name = table.metrics[0]
    values = np.concatenate([cell.values for cell in table.cells.values()])
    finite = values[np.isfinite(values)]
    if name or table.directions[name] is not None or not len(finite) or finite.min() < 0 or finite.max() > 1:
        return table
    return replace(table, directions={name: False}, warnings=(*table.warnings, _ASSUMED))


def margins(given: Mapping[str, Any], table: ScoreTable, *, points: bool) -> dict[str, Any]:
    """Return margins and gaps in the unit of the table; with `points`, those of fractions are percentage points.

    Each is one number; of several metrics it becomes a mapping of metric to its own.
    """
    known = {
        name: {
            metric: _in_unit(name, margin, points and table.units[metric] == FRACTION)
            for metric, margin in by_metric(name, value, table).items()
        }
        for name, value in given.items()
        if value is not None
    }
    first, *others = table.metrics
    return known if others else {name: one[first] for name, one in known.items()}


def _in_unit(name: str, margin: float, points: bool) -> float:
    if not points:
        return margin
    if not 0 < margin < 100:
        hint = "1 is one percentage point."
        raise InputError(f"{name}={margin:g} is out of range", "percentage points between 0 and 100", hint)
    return margin / 100


def one_of_both(table: ScoreTable) -> None:
    """Raise if a table has several metrics and several tasks: one correction cannot be over both."""
    if len(table.metrics) > 1 and len(table.tasks) > 1:
        raise InputError(
            f"the table has the metrics {listed(table.metrics, 4)} and the tasks {listed(table.tasks, 4)}",
            "several of one of them",
            f"Name one metric with metric={table.metrics[0]!r}, or one task with task={table.tasks[0]!r}.",
        )


def arm_of(name: Any, names: Sequence[str]) -> str | None:
    """Return an arm by its name, or by its value alone: ``0.1`` is ``lr=0.1``."""
    if name is None:
        return None
    found = [one for one in names if one == str(name)] or [one for one in names if one.rpartition("=")[2] == str(name)]
    return found[0] if len(found) == 1 else check_choice(str(name), "arm", names)


def resting(result: R, verb: str, *, outputs: bool = False) -> R:
    """Return a result whose sentence says that it rests on one number per run, and what more could be told.

    With `outputs` that number is the accuracy of outputs that are there.
    """
    text = f"From one score per run; with per-example outputs it could also be told {_BEYOND[verb]}."
    if outputs:
        text = f"From the accuracy of each run; rs.{_TELLS.get(verb, 'compare')} also tells {_BEYOND[verb]}."
    return replace(result, rests_on=text)


def direction_given(given: Mapping[str, Any], table: ScoreTable) -> dict[str, Any]:
    """Return `lower_is_better` where it was given, so that a result does not say it was found."""
    return {} if given.get("lower_is_better") is None else {"lower_is_better": table.lower_is_better()}


def pilot_of(table: ScoreTable, baseline: str | None) -> dict[str, list[float]]:
    """Return the finite runs of each arm on each task, or of the baseline alone, by name."""
    arm = arm_of(baseline, table.arms)
    cells = {place: cell.values for place, cell in table.cells.items() if arm in (None, place.arm)}
    return {
        f"{place.arm}{f' on {place.task}' if place.task else ''}": [v for v in values.tolist() if math.isfinite(v)]
        for place, values in cells.items()
    }


def odd_spreads(pilot: Mapping[str, Sequence[float]]) -> list[str]:
    """Return a warning of arms that spread more than the others together, which the pooled spread hides.

    By the F test of each against the rest, at 1 % over all arms (Bonferroni).
    """
    from scipy.special import fdtrc

    known = {name: np.asarray(values) for name, values in pilot.items() if len(values) > 1}
    squares = {name: float(np.square(x - x.mean()).sum()) for name, x in known.items()}
    total, degrees = sum(squares.values()), sum(len(x) - 1 for x in known.values())
    odd: list[str] = []
    for name, x in known.items():
        own, rest = squares[name] / (len(x) - 1), total - squares[name]
        others = degrees - (len(x) - 1)
        if others > 0 and rest > 0 and float(fdtrc(len(x) - 1, others, own / (rest / others))) * len(known) <= _ODD:
            odd.append(f"{name} ({math.sqrt(own / (rest / others)):.1f} times)")
    if not odd:
        return []
    spread = "spreads" if len(odd) == 1 else "spread"
    return [f"{listed(odd, 4)} {spread} more than the other arms together, and add to the spread that is planned with."]
