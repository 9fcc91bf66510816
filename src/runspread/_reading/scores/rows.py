"""Rows of a table of scores, by columns: one value of one run each (scores 1.1)."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._results import Table
from ..._words import count
from ...errors import InputError
from .cells import DIVERGED, INFINITE, MISSING, NUMBER, read_cell, read_key, read_name
from .columns import Columns, check_column

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_LARGE, _DENSE = 2**62, 16


class Place(NamedTuple):
    """Where a run belongs."""

    metric: str
    task: str
    arm: str


class Keys(NamedTuple):
    """A column as positions in its distinct keys; -1 where a cell has none."""

    codes: Ints
    keys: list[Any]


@dataclass(frozen=True)
class Rows:
    """Values of runs, an array for each thing that is known of them.

    Attributes
    ----------
    table : Table
        Where they come from.
    places : list of Place
        Where runs belong.
    seeds, runs, steps : list
        Distinct seeds, ids and steps.
    place, seed, run, step : ndarray of int64 [rows]
        Positions in these; -1 where a row has none.
    value : ndarray of float64 [rows]
        The values.
    kind : ndarray of int8 [rows]
        What a cell stands for: a number, no value, a run that diverged, an infinity.
    at : ndarray of int64 [rows]
        Position in the table.
    """

    table: Table
    places: list[Place]
    seeds: list[Any]
    runs: list[Any]
    steps: list[Any]
    place: Ints
    seed: Ints
    run: Ints
    step: Ints
    value: Floats
    kind: NDArray[np.int8]
    at: Ints

    def __len__(self) -> int:
        return len(self.at)

    def take(self, chosen: NDArray[Any]) -> Rows:
        """Return some rows, by position or by mask."""
        names = ("place", "seed", "run", "step", "value", "kind", "at")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    @property
    def key(self) -> Ints:
        """What tells a run from others of its place, as a number: its seed, else its id, else its row."""
        by_run = np.where(self.run >= 0, self.run, len(self.runs) + self.at)
        return np.where(self.seed >= 0, self.seed, len(self.seeds) + by_run)

    @property
    def is_keyed(self) -> NDArray[np.bool_]:
        """Whether a row has a seed or an id, so that another row can be of the same run."""
        return (self.seed >= 0) | (self.run >= 0)

    @functools.cached_property
    def groups(self) -> list[Ints]:
        """Positions of the rows of each run, where it has several; in the order of the table."""
        several = np.flatnonzero(np.bincount(self.group, minlength=1)[self.group] > 1)
        return [several[members] for members in members_of(self.group[several])] if len(several) else []

    @functools.cached_property
    def group(self) -> Ints:
        """Number of each row's run [rows]; runs are numbered as they first appear."""
        width = len(self.seeds) + len(self.runs) + len(self.table) + 1
        return numbered(self.place * width + self.key)

    def name(self, row: int) -> str:
        """Return what messages call the run of a row."""
        place = self.places[int(self.place[row])]
        return run_name(place.arm, self.seed_of(row), self.run_of(row), int(self.at[row]))

    def seed_of(self, row: int) -> Any:
        """Return the seed of a row; None without."""
        code = int(self.seed[row])
        return self.seeds[code] if code >= 0 else None

    def run_of(self, row: int) -> Any:
        """Return the run's id in a row; None without."""
        code = int(self.run[row])
        return self.runs[code] if code >= 0 else None

    def cells(self, row: int) -> list[Any]:
        """Return all cells of the table in a row."""
        at = int(self.at[row])
        return [column[at] for column in self.table.columns.values()]


def run_name(arm: str, seed: Any, run: Any, at: int) -> str:
    """Return what messages call a run."""
    arm = arm or "run"
    if seed is not None:
        text = str(seed)
        return f"{arm} {text if text.lower().startswith('seed') else f'seed {text}'}"
    return f"{arm} {run}" if run is not None else f"{arm} row {at + 1}"


def numbered(codes: Ints) -> Ints:
    """Return codes as consecutive numbers in the order of their first appearance."""
    if not len(codes):
        return codes
    if int(codes.max()) < _DENSE * len(codes) and int(codes.min()) >= 0:
        place = np.full(int(codes.max()) + 1, len(codes), np.int64)
        place[codes[::-1]] = np.arange(len(codes))[::-1]  # of equal codes the last that is written, the first, stays
        present = np.flatnonzero(place < len(codes))
        place[present[np.argsort(place[present])]] = np.arange(len(present))
        return place[codes]
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int64)
    place[np.argsort(first, kind="stable")] = np.arange(len(first))
    return place[inverse]


def first_of(numbers: Ints) -> Ints:
    """Return where each of consecutive numbers, as `numbered` gives them, stands first."""
    first = np.empty(int(numbers.max()) + 1, np.int64)
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]
    return first


def members_of(group: Ints) -> Iterator[Ints]:
    """Yield the positions of the members of each group, in the order of the groups."""
    order = np.argsort(group, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


@dataclass
class Percents:
    """How many cells of a metric hold anything, and how many of them end in a percent sign."""

    marked: int = 0
    cells: int = 0


def keys_of(cells: Sequence[Any], read: Callable[[Any], Any]) -> Keys:
    """Return a column as positions in its distinct keys; `read` makes a cell a key, or None."""
    kinds = set(map(type, cells))
    if kinds == {int} and max(cells) < _LARGE and min(cells) > -_LARGE:
        whole, codes = np.unique(np.array(cells, np.int64), return_inverse=True)
        return Keys(codes, whole.tolist() if read is read_key else [read(key) for key in whole.tolist()])
    marks: Sequence[Any] = cells
    if kinds & {list, dict}:
        marks = [str(cell) for cell in cells]
    elif bool in kinds:  # True is 1 for a dictionary
        marks = [(type(cell), cell) for cell in cells]
    distinct: dict[Any, int] = {mark: at for at, mark in enumerate(dict.fromkeys(marks))}
    codes = np.fromiter(map(distinct.__getitem__, marks), np.int64, len(marks))
    keys: dict[Any, int] = {}
    found: list[int] = []
    for mark in distinct:
        key = read(mark[1] if isinstance(mark, tuple) else mark)
        found.append(-1 if key is None else keys.setdefault(key, len(keys)))
    return Keys(np.array(found, np.int64)[codes] if found else codes, list(keys))


def rows_of(
    table: Table, columns: Columns, metrics: Sequence[str], where: Mapping[str, Any] | None
) -> tuple[Rows, dict[str, Percents]]:
    """Return the rows of the metrics that are asked for (all if none is), and what is marked as percent by metric."""
    sources = dict(columns.values)
    if not sources:
        inside = columns.metric is not None
        sources = {"" if inside or not metrics else metrics[0]: str(columns.value)}
    kept = _kept(table, where)
    names = _keys(table, columns.metric, read_name)
    if metrics and columns.metric is not None:
        wanted = np.array([name in set(metrics) for name in names.keys], bool)
        kept = kept[wanted[names.codes[kept]]]
    for name in columns.by:
        _check_named(table, name, kept)
    tasks, arms = _keys(table, columns.task, read_name), _arms(table, columns)
    seeds, runs, steps = (_keys(table, name, read_key) for name in (columns.seed, columns.run, columns.step))
    parts = [_values(table, column, kept) for column in sources.values()]
    at = np.tile(kept, len(parts))
    if columns.metric is None:
        names = Keys(np.repeat(np.arange(len(parts)), len(kept)), list(sources))
        metric = names.codes
    else:
        metric = names.codes[at]
    place, places = _places(metric, names.keys, tasks.codes[at], tasks.keys, arms.codes[at], arms.keys)
    value, kind, marked = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    rows = Rows(
        table=table,
        places=places,
        seeds=seeds.keys,
        runs=runs.keys,
        steps=steps.keys,
        place=place,
        seed=seeds.codes[at],
        run=runs.codes[at],
        step=steps.codes[at],
        value=value,
        kind=kind,
        at=at,
    )
    return rows, _percents(metric, names.keys, kind, marked)


def _check_named(table: Table, name: str, kept: Ints) -> None:
    """Raise if a row that is kept does not say which arm it is of."""
    nameless = keys_of(table[name], read_key).codes[kept] < 0
    if nameless.any():
        at = int(kept[int(np.argmax(nameless))])
        several = f" ({count(int(nameless.sum()), 'row')} in all)" if nameless.sum() > 1 else ""
        raise InputError(
            f"row {at + 1} has no value in column {name!r}, which names the arms{several}",
            "one in each row",
            "Fill it in, or keep the other rows with where=.",
        )


def _places(
    metric: Ints, metrics: list[Any], task: Ints, tasks: list[Any], arm: Ints, arms: list[Any]
) -> tuple[Ints, list[Place]]:
    """Return the place of each row, and the places in the order of their first appearance."""
    code = (metric * len(tasks) + task) * len(arms) + arm
    place = numbered(code)
    first = first_of(place).tolist() if len(place) else []
    return place, [Place(metrics[metric[k]], tasks[task[k]], arms[arm[k]]) for k in first]


def _percents(metric: Ints, names: list[Any], kind: NDArray[np.int8], marked: NDArray[np.bool_]) -> dict[str, Percents]:
    found: dict[str, Percents] = defaultdict(Percents)
    filled = kind != MISSING
    cells = np.bincount(metric[filled], minlength=len(names))
    percents = np.bincount(metric[filled & marked], minlength=len(names))
    for name, number, those in zip(names, cells.tolist(), percents.tolist(), strict=True):
        if number:
            found[name] = Percents(those, number)
    return found


def _keys(table: Table, name: str | None, read: Callable[[Any], Any]) -> Keys:
    if name is not None:
        return keys_of(table[name], read)
    empty = read(None)
    return Keys(np.full(len(table), -1 if empty is None else 0, np.int64), [] if empty is None else [empty])


def _arms(table: Table, columns: Columns) -> Keys:
    """Return the arms; cells of several columns together name one."""
    if len(columns.by) < 2:
        return _keys(table, columns.by[0] if columns.by else None, read_name)
    parts = [keys_of(table[name], read_name) for name in columns.by]
    code = np.zeros(len(table), np.int64)
    for part in parts:
        code = code * len(part.keys) + part.codes
    number = numbered(code)
    names = [", ".join(part.keys[part.codes[k]] for part in parts) for k in first_of(number).tolist()]
    return keys_of([names[at] for at in number.tolist()], read_name)


def _values(table: Table, column: str, kept: Ints) -> tuple[Floats, NDArray[np.int8], NDArray[np.bool_]]:
    """Return the values of a column in some rows, what each stands for, and whether it is in percent."""
    cells = table[column]
    if set(map(type, cells)) <= {float, int}:
        try:
            value = np.array(cells, np.float64)[kept]
        except OverflowError:
            pass
        else:
            kind = np.where(np.isfinite(value), NUMBER, np.where(np.isnan(value), DIVERGED, INFINITE))
            return value, kind.astype(np.int8), np.zeros(len(kept), bool)
    read = [read_cell(cells[at], column, at) for at in kept.tolist()]
    return (
        np.array([cell.value for cell in read], np.float64),
        np.array([cell.kind for cell in read], np.int8),
        np.array([cell.percent for cell in read], bool),
    )


def _kept(table: Table, where: Mapping[str, Any] | None) -> Ints:
    """Return the positions of the rows that `where` keeps."""
    kept = np.arange(len(table))
    for name, wanted in (where or {}).items():
        values = {str(item) for item in (wanted if isinstance(wanted, (list, tuple, set)) else [wanted])}
        check_column(name, list(table.columns))
        found = keys_of(table[name], read_name)
        kept = kept[np.array([key in values for key in found.keys], bool)[found.codes[kept]]]
        if not len(kept):
            raise InputError(f"there is no row whose {name} is {' or '.join(sorted(values))}", "a value that is there")
    return kept
