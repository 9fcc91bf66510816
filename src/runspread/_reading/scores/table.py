"""A table of scores, one number per run, as arms: `read_scores` (scores 1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_keywords
from ..._results import Excluded, Table
from ..._words import count
from ...errors import InputError
from ..tables import as_table
from .arms import ScoreCell, cells_of, empty_cell
from .columns import NAMES as ROLES
from .columns import Columns, as_names, find_columns, plain
from .rows import Percents, Place, Rows, rows_of
from .runs import distinct, one_step, one_value, suspicions, varying
from .words import direction, found_direction, refuse_mixed, unit_of

Floats = NDArray[np.float64]
DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(ROLES),
    "where": None,
    "at": "last",
    "repeats": "raise",
    "diverged": "exclude",
    "lower_is_better": None,
}


class ScoreReading(TypedDict, total=False):
    """Keywords of every method that reads one number per run.

    by : str or sequence of str
        Column that names the arm, or several that do so together; found by name when it is called method, model,
        config, ... .
    value, seed, task, step, run : str
        Columns of the values, the seeds, the tasks, the steps and the ids of runs, where they are not called so.
    metric : str or sequence of str
        Which metric: one in the column of metrics, or a numeric column.
    where : mapping
        Which rows: column to the value, or the values, that are kept, as in ``where={"task": "mnist"}``.
    at : {"last", "best"} or int
        Which step of each run, where there is a column of steps; default the last.
    repeats : {"raise", "mean", "first", "last"}
        What several values of one run mean; default an error.
    diverged : {"exclude", "worst", "raise"} or float
        What a run without a finite value means: excluded and named (default), worse than every other, an error, or a
        value that stands in.
    lower_is_better : bool
        Where the name of the metric does not tell.
    """

    by: str | Sequence[str]
    value: str
    metric: str | Sequence[str]
    seed: str
    task: str
    step: str
    run: str
    where: Mapping[str, Any]
    at: str | int
    repeats: str
    diverged: str | float
    lower_is_better: bool


@dataclass(frozen=True)
class ScoreTable:
    """Arms, tasks and metrics of a table, and the runs of each.

    Attributes
    ----------
    metrics, tasks, arms : tuple of str
        In the order of the table; one empty name where there is no such column.
    cells : mapping of Place to ScoreCell
        Those that have rows.
    units : mapping of str to str
        By metric: fraction, percent or plain.
    directions : mapping of str to bool or None
        By metric: whether lower is better; None where it is not known.
    excluded : tuple of Excluded
        Runs that were excluded.
    warnings : tuple of str
        Caveats.
    diverged : str or float
        What a run without a finite value stands for.
    duplicates : int
        Rows that repeat another and were dropped.
    """

    metrics: tuple[str, ...]
    tasks: tuple[str, ...]
    arms: tuple[str, ...]
    cells: Mapping[Place, ScoreCell]
    units: Mapping[str, str]
    directions: Mapping[str, bool | None]
    excluded: tuple[Excluded, ...]
    warnings: tuple[str, ...]
    diverged: str | float
    duplicates: int

    def cell(self, arm: str, task: str | None = None, metric: str | None = None) -> ScoreCell:
        """Return the runs of an arm; without any, an empty cell."""
        place = Place(self.metrics[0] if metric is None else metric, self.tasks[0] if task is None else task, arm)
        found = self.cells.get(place)  # one without runs is not the same as none
        return empty_cell(arm) if found is None else found

    def only(self, metric: str) -> ScoreTable:
        """Return the table of one metric."""
        cells = {place: cell for place, cell in self.cells.items() if place.metric == metric}
        tasks, arms = (tuple(dict.fromkeys(place[at] for place in cells)) for at in (1, 2))
        return replace(self, metrics=(metric,), tasks=tasks, arms=arms, cells=cells)

    def lower_is_better(self, metric: str | None = None) -> bool:
        """Return whether lower is better; an error that asks where it is not known."""
        name = self.metrics[0] if metric is None else metric
        return direction(name, self.directions[name])


def read_scores(source: Any, *, one_arm: bool = False, **given: Any) -> ScoreTable:
    """Return a table of scores as arms.

    Parameters
    ----------
    source : table, path, or mapping of arm to its scores
        A row a value (CSV, TSV, Parquet, JSON Lines, data frame, mapping of columns, list of mappings), or arms. A
        table that was read already is returned as it is.
    one_arm : bool
        Whether a table without a column of arms is one arm.
    **given : ScoreReading
        How the table is read.

    Raises
    ------
    InputError
        An ambiguous or missing column, a cell that is no number, mixed units, one run with different values, no values.
    """
    check_keywords(given, DEFAULTS, "reading")
    if isinstance(source, ScoreTable):
        return source
    options = {**DEFAULTS, **given}
    metrics = as_names(options["metric"])
    if _is_arms(source, options):
        table, columns = _from_arms(source)
    else:
        table = as_table(source)
        columns = find_columns(table, options, one_arm=one_arm)
    rows, percents = rows_of(table, columns, metrics, options["where"])
    if not len(rows):
        raise InputError(
            "no rows are left", "a row per score", "Check where= and metric=." if metrics or options["where"] else ""
        )
    return _gathered(rows, percents, columns, options)


def given_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a method's keywords that say how a table is read."""
    return {name: value for name, value in settings.items() if name in DEFAULTS}


def _is_arms(source: Any, options: Mapping[str, Any]) -> bool:
    """Whether a mapping holds arms by name, each a sequence of scores, and is no mapping of columns."""
    if not isinstance(source, Mapping) or isinstance(source, Table) or not source:
        return False
    if any(options[role] is not None for role in ROLES if role != "metric"):
        return False
    known = {word for role in ("by", "value") for word in ROLES[role].split()}
    if any(plain(str(name)) in known for name in source):
        return False
    return all(np.ndim(column) == 1 and np.asarray(column).dtype.kind in "iufO" for column in source.values())


def _from_arms(source: Mapping[Any, Any]) -> tuple[Table, Columns]:
    names = [str(name) for name, scores in source.items() for _ in range(len(scores))]
    values = [value for scores in source.values() for value in np.asarray(scores).tolist()]
    if not values:
        raise InputError("no arm has a score", "one number per run")
    columns = Columns(("arm",), "value", None, None, None, None, None, {}, (), ())
    return Table({"arm": names, "value": values}), columns


def _gathered(rows: Rows, percents: Mapping[str, Percents], columns: Columns, options: Mapping[str, Any]) -> ScoreTable:
    """Return the arms of the rows: equal rows once, one step of each run, one value of each run, units."""
    metrics, tasks, arms = (tuple(dict.fromkeys(place[at] for place in rows.places)) for at in range(3))
    given = options["lower_is_better"]
    directions = {name: found_direction(name) if given is None else bool(given) for name in metrics}
    warnings: list[str] = []
    rows, duplicates = distinct(rows, warnings)
    rows, excluded = one_step(rows, options["at"], columns, directions, warnings)
    rows = one_value(rows, options["repeats"])
    cells, lost = cells_of(rows, options["diverged"], directions)
    if not any(len(cell) for cell in cells.values()):
        raise InputError("no run has a finite value", "one number per run")
    units = {name: _unit(name, cells, percents[name]) for name in metrics}
    warnings += varying(rows, columns)
    warnings += suspicions(cells)
    if columns.ignored:
        warnings.append(
            f"The column {columns.ignored[0]} is ignored: errors of an evaluation are no noise between runs."
        )
    warnings += _twins(arms)
    return ScoreTable(
        metrics=metrics,
        tasks=tasks,
        arms=arms,
        cells=cells,
        units=units,
        directions=directions,
        excluded=(*excluded, *lost),
        warnings=tuple(warnings),
        diverged=options["diverged"],
        duplicates=duplicates,
    )


def _unit(metric: str, cells: Mapping[Place, ScoreCell], percents: Percents) -> str:
    finite = {place: cell.values[np.isfinite(cell.values)] for place, cell in cells.items() if place.metric == metric}
    by_task: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for place, values in finite.items():
        if len(values):
            by_task[place.task][place.arm] = (float(values.min()), float(values.max()))
    if not percents.marked:
        for ranges in by_task.values():
            refuse_mixed(metric, ranges)
    ends = [end for ranges in by_task.values() for span in ranges.values() for end in span]
    return unit_of(metric, ends, percents.marked, percents.cells)


def _twins(arms: Collection[str]) -> list[str]:
    """Return a warning where names of arms differ by case or blanks alone."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in arms:
        groups[plain(name)].append(name)
    return [
        f"{count(len(names), 'arm')} differ by case or blanks alone and are kept apart: {', '.join(map(repr, names))}."
        for names in groups.values()
        if len(names) > 1
    ]
