"""Rows of a table of scores: one value of one run each (scores 1.1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..._results import Table
from ...errors import InputError
from .cells import MISSING, read_cell, read_key, read_name
from .columns import Columns, check_column


class Place(NamedTuple):
    """Where a run belongs."""

    metric: str
    task: str
    arm: str


@dataclass
class Row:
    """One value of one run; `kind` says what its cell stands for, `at` its position in the table."""

    place: Place
    seed: Any
    run: Any
    step: Any
    value: float
    kind: str
    at: int
    cells: tuple[Any, ...]

    @property
    def key(self) -> tuple[str, Any]:
        """What tells the run from others of its arm: its seed, else its id, else its row."""
        if self.seed is not None:
            return ("seed", self.seed)
        return ("run", self.run) if self.run is not None else ("row", self.at)

    @property
    def name(self) -> str:
        """What messages call the run."""
        arm = self.place.arm or "run"
        if self.seed is not None:
            seed = str(self.seed)
            return f"{arm} {seed if seed.lower().startswith('seed') else f'seed {seed}'}"
        return f"{arm} {self.run}" if self.run is not None else f"{arm} row {self.at + 1}"


@dataclass
class Percents:
    """How many cells of a metric hold anything, and how many of them end in a percent sign."""

    marked: int = 0
    cells: int = 0


def rows_of(
    table: Table, columns: Columns, metrics: Sequence[str], where: Mapping[str, Any] | None
) -> tuple[list[Row], dict[str, Percents]]:
    """Return the rows of the metrics that are asked for (all if none is), and what is marked as percent by metric."""
    sources, wanted = dict(columns.values), set(metrics)
    if not sources:
        inside = columns.metric is not None
        sources = {"" if inside or not metrics else metrics[0]: str(columns.value)}
    kept = _kept(table, where)
    rows: list[Row] = []
    percents: dict[str, Percents] = defaultdict(Percents)
    for metric, column in sources.items():
        for row, percent in _of_column(table, columns, metric, column, kept):
            if wanted and row.place.metric not in wanted:
                continue
            if row.kind != MISSING:
                percents[row.place.metric].marked += percent
                percents[row.place.metric].cells += 1
            rows.append(row)
    return rows, percents


def _of_column(
    table: Table, columns: Columns, metric: str, column: str, kept: Sequence[int]
) -> Iterator[tuple[Row, bool]]:
    """Yield the rows of one column of values, and whether each is in percent."""
    by = [[read_name(cell) for cell in table[name]] for name in columns.by]
    arms = [", ".join(parts) for parts in zip(*by, strict=True)] if by else [""] * len(table)
    seeds, runs, steps = (_keys(table, name) for name in (columns.seed, columns.run, columns.step))
    tasks = [read_name(cell) for cell in table[columns.task]] if columns.task else [""] * len(table)
    names = [read_name(cell) for cell in table[columns.metric]] if columns.metric else [metric] * len(table)
    whole = list(zip(*table.columns.values(), strict=True))
    cells = table[column]
    for at in kept:
        cell = read_cell(cells[at], column, at)
        place = Place(names[at], tasks[at], arms[at])
        yield Row(place, seeds[at], runs[at], steps[at], cell.value, cell.kind, at, whole[at]), cell.percent


def _keys(table: Table, name: str | None) -> list[Any]:
    return [read_key(cell) for cell in table[name]] if name else [None] * len(table)


def _kept(table: Table, where: Mapping[str, Any] | None) -> Sequence[int]:
    """Return the positions of the rows that `where` keeps."""
    kept: Sequence[int] = range(len(table))
    for name, wanted in (where or {}).items():
        values = {str(item) for item in (wanted if isinstance(wanted, (list, tuple, set)) else [wanted])}
        check_column(name, list(table.columns))
        cells = table[name]
        kept = [at for at in kept if read_name(cells[at]) in values]
        if not kept:
            raise InputError(f"there is no row whose {name} is {' or '.join(sorted(values))}", "a value that is there")
    return kept
