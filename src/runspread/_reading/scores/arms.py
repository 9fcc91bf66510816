"""The runs of each arm, of the rows of a table: which count, and what stands for those that diverged (scores 1.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice
from ..._results import Excluded
from ...errors import InputError
from .cells import DIVERGED, INFINITE, MISSING, NUMBER
from .rows import Ints, Place, Rows, first_of, numbered, run_name
from .words import direction

LARGEST = 1e150  # of a score: squares of larger ones, and their sums, are infinite


@dataclass(frozen=True)
class ScoreCell:
    """The runs of one arm on one task in one metric.

    Attributes
    ----------
    arm : str
        Its name.
    values : ndarray of float64 [n]
        One number per run, in the order of the table.
    seeds, ids : tuple [n]
        Seed and id of each run; None without.
    at : ndarray of int64 [n]
        Row of each.
    n_diverged, n_missing : int
        Runs without a finite value, and without any; excluded unless `diverged` says else.
    """

    arm: str
    values: NDArray[np.float64]
    seeds: tuple[Any, ...]
    ids: tuple[Any, ...]
    at: Ints
    n_diverged: int = 0
    n_missing: int = 0

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What messages call each run [n]."""
        facts = zip(self.seeds, self.ids, self.at.tolist(), strict=True)
        return tuple(run_name(self.arm, seed, run, at) for seed, run, at in facts)


def empty_cell(arm: str) -> ScoreCell:
    """Return the cell of an arm without runs."""
    return ScoreCell(arm, np.zeros(0), (), (), np.zeros(0, np.int64))


def cells_of(
    rows: Rows, diverged: str | float, directions: Mapping[str, bool | None]
) -> tuple[dict[Place, ScoreCell], list[Excluded]]:
    """Return the runs by place, and those that are excluded."""
    if isinstance(diverged, str):
        check_choice(diverged, "way to take diverged runs", ("exclude", "worst", "raise"))
    kind, value = _judged(rows, directions), rows.value.copy()
    for row in np.flatnonzero(kind == DIVERGED).tolist() if diverged != "exclude" else ():
        if diverged == "raise":
            raise InputError(f"{rows.name(row)} diverged ({rows.value[row]})", "finite values")
        value[row] = _stand_in(diverged, rows.places[int(rows.place[row])], directions)
    kept = (kind == NUMBER) | ((kind == DIVERGED) & (diverged != "exclude"))
    n_diverged, n_missing = (
        np.bincount(rows.place[kind == what], minlength=len(rows.places)).tolist() for what in (DIVERGED, MISSING)
    )
    order = np.argsort(rows.place, kind="stable")
    ends = np.searchsorted(rows.place[order], np.arange(len(rows.places) + 1))
    cells: dict[Place, ScoreCell] = {}
    excluded: list[Excluded] = []
    for number in _as_they_appear(rows):
        own = order[ends[number] : ends[number + 1]]
        place, left = rows.places[number], own[kept[own]]
        cells[place] = _cell(rows, place, left, value, n_diverged[number], n_missing[number])
        excluded += [
            Excluded(rows.name(row), "no value" if kind[row] == MISSING else "diverged")
            for row in (own[~kept[own]].tolist() if len(left) < len(own) else ())
        ]
    return cells, excluded


def _as_they_appear(rows: Rows) -> list[int]:
    """Return the places that have rows, in the order of their first ones."""
    return rows.place[first_of(numbered(rows.place))].tolist() if len(rows) else []


def _cell(rows: Rows, place: Place, left: Ints, value: NDArray[np.float64], bad: int, empty: int) -> ScoreCell:
    return ScoreCell(
        arm=place.arm,
        values=value[left],
        seeds=_chosen(rows.seeds, rows.seed[left]),
        ids=_chosen(rows.runs, rows.run[left]),
        at=rows.at[left],
        n_diverged=bad,
        n_missing=empty,
    )


def _chosen(keys: list[Any], codes: Ints) -> tuple[Any, ...]:
    """Return the keys at some positions; None at -1."""
    if not keys:
        return (None,) * len(codes)
    found = [*keys, None]  # -1 is the last
    return tuple([found[code] for code in codes.tolist()])


def _judged(rows: Rows, directions: Mapping[str, bool | None]) -> NDArray[np.int8]:
    """Return what each value stands for; an infinity on the good side is an error, and so is too large a number."""
    kind = rows.kind.copy()
    for row in np.flatnonzero((kind == NUMBER) & (np.abs(rows.value) > LARGEST)).tolist():
        hint = "Exclude the runs that diverged, or write the values in another unit."
        found = f"{_called(rows, row)} has {rows.value[row]:g}, whose square is no number"
        raise InputError(found, f"numbers of at most {LARGEST:g}", hint)
    for row in np.flatnonzero(kind == INFINITE).tolist():
        metric = rows.places[int(rows.place[row])].metric
        if (rows.value[row] > 0) != direction(metric, directions[metric]):
            raise InputError(f"{_called(rows, row)} has {rows.value[row]}, better than anything", "a finite value")
        kind[row] = DIVERGED
    return kind


def _called(rows: Rows, row: int) -> str:
    name, at = rows.name(row), f"row {rows.at[row] + 1}"
    return name if name.endswith(at) else f"{name} ({at})"


def _stand_in(diverged: str | float, place: Place, directions: Mapping[str, bool | None]) -> float:
    if diverged == "worst":
        return math.inf if direction(place.metric, directions[place.metric]) else -math.inf
    return float(diverged)
