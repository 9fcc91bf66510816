"""Rows that are one run: equal rows, steps, repeats, and what looks like one run twice (scores 1.5 to 1.7)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice
from ..._results import Excluded
from ..._words import count, listed
from ...errors import InputError
from .arms import ScoreCell
from .columns import Columns
from .rows import Ints, Rows, first_of, keys_of, members_of, numbered
from .words import direction

Floats = NDArray[np.float64]
_MOST_NAMED = 5  # arms with equal runs that are named
_CHANCE = 0.01  # below which equal values are no accident


def distinct(rows: Rows, warnings: list[str]) -> tuple[Rows, int]:
    """Return the rows without those that equal another of the same run in every column, and how many were dropped."""
    alike = _members_alike(rows)
    again: list[int] = []
    for members in alike:
        seen: set[tuple[Any, ...]] = set()
        for row in members:
            cells = tuple(_comparable(cell) for cell in rows.cells(row))
            if cells in seen:
                again.append(row)
            seen.add(cells)
    if not again:
        return rows, 0
    are, repeat = ("is", "repeats") if len(again) == 1 else ("are", "repeat")
    warnings.append(f"{count(len(again), 'row')} that {repeat} another {are} dropped.")
    left = np.ones(len(rows), bool)
    left[again] = False
    return rows.take(left), len(again)


def _members_alike(rows: Rows) -> list[list[int]]:
    """Return groups of rows of one run with the same step and value: only these may be equal in every column."""
    keyed = np.flatnonzero(rows.is_keyed)
    group = rows.group[keyed]
    several = np.bincount(group, minlength=1)[group] > 1
    if not several.any():
        return []
    at = keyed[several]
    value = np.where(np.isnan(rows.value[at]), 0.0, rows.value[at]) + 0.0
    code = numbered(value.view(np.int64)) + (len(at) + 1) * numbered(rows.step[at])
    both = numbered(rows.group[at] * (len(at) + 1) + numbered(code))
    return [at[members].tolist() for members in members_of(both) if len(members) > 1]


def _comparable(cell: Any) -> Any:
    """Return a cell as it is compared with others: NaN is NaN, and lists are as they are written."""
    if cell != cell:
        return ("nan",)
    return str(cell) if isinstance(cell, (list, dict)) else cell


def one_step(
    rows: Rows,
    at: str | int,
    columns: Columns,
    directions: Mapping[str, bool | None],
    warnings: list[str],
) -> tuple[Rows, list[Excluded]]:
    """Return the rows of one step of each run, and the runs that lack it."""
    if columns.step is None:
        return rows, []
    if isinstance(at, str):
        check_choice(at, "step", ("last", "best"))
    if columns.seed is None and columns.run is None:
        raise InputError(
            "the table has a column of steps and none of seeds or runs",
            "both, to know which rows are one run",
            "Name it: seed=.",
        )
    steps = _steps(rows, columns.step)
    kept = np.zeros(len(rows), bool)
    if at == "best":
        kept[_best(rows, directions)] = True
        warnings.append("The best step of each run was picked on the same numbers: the values are optimistic.")
    else:
        kept = steps == (_last(steps, rows.group) if at == "last" else float(at))
    chosen = np.flatnonzero(kept)
    chosen = chosen[np.argsort(rows.group[chosen], kind="stable")]
    found = rows.take(chosen)
    missing = np.flatnonzero(np.bincount(rows.group[kept], minlength=int(rows.group.max()) + 1) == 0)
    first = first_of(rows.group)
    excluded = [Excluded(rows.name(row), f"no step {at}") for row in first[missing].tolist()]
    warnings += _ragged(found, steps[chosen]) if at == "last" else []
    return found, excluded


def _steps(rows: Rows, column: str) -> Floats:
    """Return the step of each row as a number; NaN without."""
    wrong = next((key for key in rows.steps if not isinstance(key, (int, float))), None)
    if wrong is not None:
        raise InputError(f"the column {column!r} of steps has {wrong!r}", "numbers")
    return np.array([*map(float, rows.steps), math.nan])[rows.step]


def _last(steps: Floats, group: Ints) -> Floats:
    """Return the largest step of the run of each row."""
    last = np.full(int(group.max()) + 1, -math.inf)
    np.maximum.at(last, group, np.where(np.isnan(steps), -math.inf, steps))
    return last[group]


def _best(rows: Rows, directions: Mapping[str, bool | None]) -> list[int]:
    """Return the row of the best finite value of each run; the first where none is finite."""
    found: list[int] = []
    for members in members_of(rows.group):
        metric = rows.places[int(rows.place[members[0]])].metric
        sign = 1.0 if direction(metric, directions[metric]) else -1.0
        values = rows.value[members]
        good = np.where(np.isfinite(values), sign * values, math.inf)
        found.append(int(members[int(np.argmin(good))]))
    return found


def _ragged(rows: Rows, steps: Floats) -> list[str]:
    """Return warnings of arms whose runs end at different steps."""
    names: dict[str, set[float]] = defaultdict(set)
    for place in np.unique(rows.place).tolist():
        names[rows.places[place].arm] |= set(steps[rows.place == place].tolist())
    return [
        f"Runs of {arm or 'the arm'} end at different steps, {min(ends):.15g} to {max(ends):.15g}."
        for arm, ends in names.items()
        if len(ends) > 1
    ]


def one_value(rows: Rows, repeats: str) -> Rows:
    """Return one row of each run; several values of one are an error unless `repeats` says what they mean."""
    check_choice(repeats, "way to take repeats", ("raise", "mean", "first", "last"))
    groups = rows.groups
    if not groups:
        return rows
    if repeats == "raise":
        raise _repeated(rows, groups[0])
    kept, value = np.ones(len(rows), bool), rows.value.copy()
    chosen = np.arange(len(rows))
    for members in groups:
        kept[members[1:]] = False
        first = int(members[0])
        if repeats == "last":
            chosen[first] = members[-1]
        elif repeats == "mean" and len(set(rows.kind[members].tolist())) == 1:
            value[first] = float(np.mean(value[members]))
    return replace(rows, value=value).take(chosen[kept])


def _repeated(rows: Rows, members: Ints) -> InputError:
    """Return the error of a run that is there several times."""
    place, own = rows.places[int(rows.place[members[0]])], members.tolist()
    task = f" on {place.task}" if place.task else ""
    values = listed([f"{rows.value[row]:g}" for row in own])
    where = listed([int(rows.at[row]) + 1 for row in own])
    return InputError(
        f"{rows.name(own[0])}{task} is there {_times(len(own))}, with {values} (rows {where})",
        "one value for each run",
        "If they are several evaluations of one run, pass repeats='mean'.",
    )


def _times(number: int) -> str:
    return "twice" if number == 2 else f"{number} times"


def varying(rows: Rows, columns: Columns) -> list[str]:
    """Return warnings of hyperparameters that differ between the runs of one arm."""
    found: list[str] = []
    arms = keys_of([place.arm for place in rows.places], str)
    arm = arms.codes[rows.place]
    for name in columns.others:
        cells = keys_of(rows.table[name], str)
        code = arm * len(cells.keys) + cells.codes[rows.at]
        _, first = np.unique(code, return_index=True)
        if len(first) == len(rows) > len(np.unique(arm)):
            continue  # another value in each row: a measurement or a name, not a setting
        inside: dict[str, list[str]] = defaultdict(list)
        for row in np.sort(first).tolist():
            inside[arms.keys[arm[row]]].append(cells.keys[cells.codes[rows.at[row]]])
        found += [
            f"Runs of {name_of or 'the arm'} differ in {name} ({listed(values)}): their spread is not of seeds alone."
            for name_of, values in inside.items()
            if len(values) > 1
        ]
    return found


def suspicions(cells: Mapping[Any, ScoreCell]) -> list[str]:
    """Return warnings of runs that agree to the last digit more often than chance allows."""
    found: list[str] = []
    for cell in cells.values():
        values = cell.values[np.isfinite(cell.values)]
        if len(values) == len(cell.values) and len(values) > 2:
            found += _equal_runs(values, cell)
    if len(found) <= _MOST_NAMED:
        return found
    others = count(len(found) - _MOST_NAMED, "other arm")
    by_chance = f"of {len(cells):,} arms about {math.ceil(_CHANCE * len(cells)):,} do so by chance"
    return [*found[:_MOST_NAMED], f"Runs of {others} have the same value to all digits too; {by_chance}."]


def _equal_runs(values: Floats, cell: ScoreCell) -> list[str]:
    from scipy.special import gammainc

    _, places, times = np.unique(values, return_inverse=True, return_counts=True)
    pairs = int((times * (times - 1) // 2).sum())
    if not pairs:
        return []
    size = float(np.abs(values).max())
    sd = size * float((values / size).std(ddof=1)) if size else 0.0
    if not 0 < sd < math.inf:
        return []
    rounding = resolution(values)
    expected = math.comb(len(values), 2) * min(1.0, rounding / (2 * math.sqrt(math.pi) * sd))
    if float(gammainc(pairs, expected)) >= _CHANCE if expected else False:
        return []
    twins = [cell.names[at] for at in np.flatnonzero(places == int(np.argmax(times))).tolist()]
    return [f"{listed(twins)} have the same value to all digits: is it one run twice?"]


def resolution(x: Floats) -> float:
    """Return the step of which all values are whole multiples apart, if some value occurs twice; else 0."""
    if not len(x):
        return 0.0
    values = np.unique(x)
    noise = 8 * np.spacing(float(np.abs(values).max()))
    values = values[np.concatenate([[True], np.diff(values) > noise])]  # what rounding made of one printed value
    if len(values) == len(x) or len(values) < 2:
        return 0.0
    steps = np.diff(values)
    step = float(steps.min())
    multiples = steps / step
    whole = np.abs(multiples - np.rint(multiples)) <= 1e-6 * multiples + 2 * noise / step
    return step if whole.all() else 0.0
