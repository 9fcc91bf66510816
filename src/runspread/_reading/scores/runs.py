"""Rows that are one run: equal rows, steps, repeats, and what looks like one run twice (scores 1.5 to 1.7)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..._checks import check_choice
from ..._results import Excluded, Table
from ..._words import count, listed
from ...errors import InputError
from .columns import Columns
from .rows import Row
from .words import direction

_CHANCE = 0.01  # below which equal values are no accident


def distinct(rows: Sequence[Row], warnings: list[str]) -> tuple[list[Row], int]:
    """Return the rows without those that equal another of the same run in every column, and how many were dropped."""
    seen: set[Hashable] = set()
    kept: list[Row] = []
    for row in rows:
        if row.key[0] != "row":
            same = (row.place, row.key, *(("nan",) if cell != cell else cell for cell in row.cells))
            if same in seen:
                continue
            seen.add(same)
        kept.append(row)
    dropped = len(rows) - len(kept)
    if dropped:
        are = "is" if dropped == 1 else "are"
        warnings.append(
            f"{count(dropped, 'row')} that {'repeats' if dropped == 1 else 'repeat'} another {are} dropped."
        )
    return kept, dropped


def by_run(rows: Sequence[Row]) -> dict[Hashable, list[Row]]:
    """Return the rows of each run."""
    groups: dict[Hashable, list[Row]] = defaultdict(list)
    for row in rows:
        groups[(row.place, row.key)].append(row)
    return groups


def one_step(
    rows: list[Row],
    at: str | int,
    columns: Columns,
    directions: Mapping[str, bool | None],
    warnings: list[str],
) -> tuple[list[Row], list[Excluded]]:
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
    kept: list[Row] = []
    excluded: list[Excluded] = []
    last: dict[str, set[Any]] = defaultdict(set)
    for own in by_run(rows).values():
        chosen = _at_step(own, at, directions)
        if not chosen:
            excluded.append(Excluded(own[0].name, f"no step {at}"))
        else:
            last[chosen[0].place.arm].add(chosen[0].step)
        kept += chosen
    if at == "best":
        warnings.append("The best step of each run was picked on the same numbers: the values are optimistic.")
    ragged = {arm: steps for arm, steps in last.items() if at == "last" and len(steps) > 1}
    warnings += [
        f"Runs of {arm or 'the arm'} end at different steps, {min(steps)} to {max(steps)}."
        for arm, steps in ragged.items()
    ]
    return kept, excluded


def _at_step(own: Sequence[Row], at: str | int, directions: Mapping[str, bool | None]) -> list[Row]:
    if at == "best":
        metric = own[0].place.metric
        finite = [row for row in own if math.isfinite(row.value)] or list(own[:1])
        pick = min if direction(metric, directions[metric]) else max
        return [pick(finite, key=lambda row: row.value)]
    step = max(row.step for row in own if row.step is not None) if at == "last" else at
    return [row for row in own if row.step == step]


def one_value(all_rows: Sequence[Row], repeats: str) -> list[Row]:
    """Return one row of each run; several values of one are an error unless `repeats` says what they mean."""
    check_choice(repeats, "way to take repeats", ("raise", "mean", "first", "last"))
    kept: list[Row] = []
    for own in by_run(all_rows).values():
        if len(own) == 1 or repeats == "first":
            kept.append(own[0])
        elif repeats == "last":
            kept.append(own[-1])
        elif repeats == "mean":
            values = [row.value for row in own if row.kind == own[0].kind]
            kept.append(replace(own[0], value=float(np.mean(values))) if len(values) == len(own) else own[0])
        else:
            task = f" on {own[0].place.task}" if own[0].place.task else ""
            rows = listed([row.at + 1 for row in own])
            raise InputError(
                f"{own[0].name}{task} is there {_times(len(own))}, with {_values(own)} (rows {rows})",
                "one value for each run",
                "If they are several evaluations of one run, pass repeats='mean'.",
            )
    return kept


def _times(number: int) -> str:
    return "twice" if number == 2 else f"{number} times"


def _values(own: Sequence[Row]) -> str:
    return listed([f"{row.value:g}" for row in own])


def varying(rows: Sequence[Row], table: Table, columns: Columns) -> list[str]:
    """Return warnings of hyperparameters that differ between the runs of one arm."""
    found: list[str] = []
    for name in columns.others:
        cells = table[name]
        inside: dict[str, dict[str, None]] = defaultdict(dict)
        for row in rows:
            inside[row.place.arm][str(cells[row.at])] = None
        if sum(len(values) for values in inside.values()) == len(rows) > len(inside):
            continue  # another value in each row: a measurement or a name, not a setting
        found += [
            f"Runs of {arm or 'the arm'} differ in {name} ({listed(list(values))}): their spread is not of seeds alone."
            for arm, values in inside.items()
            if len(values) > 1
        ]
    return found


def suspicions(cells: Mapping[Any, Any]) -> list[str]:
    """Return warnings of runs that agree to the last digit more often than chance allows."""
    found: list[str] = []
    for cell in cells.values():
        values = cell.values[np.isfinite(cell.values)]
        if len(values) == len(cell.values) and len(values) > 2:
            found += _equal_runs(values, cell.names)
    return found


def _equal_runs(values: Any, names: Sequence[str]) -> list[str]:
    from scipy.special import gammainc

    _, places, times = np.unique(values, return_inverse=True, return_counts=True)
    pairs = int((times * (times - 1) // 2).sum())
    sd = float(values.std(ddof=1))
    if not pairs or not sd:
        return []
    rounding = _printed_step(values)
    expected = math.comb(len(values), 2) * min(1.0, rounding / (2 * math.sqrt(math.pi) * sd))
    if float(gammainc(pairs, expected)) >= _CHANCE if expected else False:
        return []
    twins = [names[at] for at in np.flatnonzero(places == int(np.argmax(times))).tolist()]
    return [f"{listed(twins)} have the same value to all digits: is it one run twice?"]


def _printed_step(values: Any) -> float:
    """Return the step to which values are rounded; 0 where none is seen."""
    distinct = np.unique(values)
    steps = np.diff(distinct)
    if not len(steps):
        return 0.0
    step = float(steps.min())
    multiples = steps / step
    return step if bool((np.abs(multiples - np.rint(multiples)) <= 1e-6 * multiples).all()) else 0.0
