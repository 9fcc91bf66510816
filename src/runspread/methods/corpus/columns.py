"""The columns of a table of models that an analysis needs: numbers, partitions, and rows that cannot be used, named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._results import Excluded, Table
from ...errors import InputError
from ..spectra.tails import Floats


@dataclass(frozen=True)
class Corpus:
    """The columns that an analysis needs, as arrays.

    Attributes
    ----------
    models : tuple of str
        Name of each model.
    metrics : dict of str to ndarray [models]
        By name.
    target : ndarray [models]
        Quality.
    groups : ndarray of str [models]
        Partition.
    hyperparameters : dict of str to list [models]
        For scores over the grid.
    excluded : tuple of Excluded
        Models that cannot be used, and rows that were there before.
    notes : tuple of str
        What a reader should know of the rows.
    """

    models: tuple[str, ...]
    metrics: dict[str, Floats]
    target: Floats
    groups: NDArray[Any]
    hyperparameters: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    excluded: tuple[Excluded, ...] = ()
    notes: tuple[str, ...] = ()


def corpus_of(
    table: Table,
    metrics: Sequence[str],
    target: str,
    partition: str,
    *,
    hyperparameters: Sequence[str] = (),
    model: str | None = None,
) -> Corpus:
    """Return the columns of a table; rows without a finite target or a partition are excluded and named.

    Raises
    ------
    InputError
        A column is missing or holds no numbers, or fewer than three rows remain.
    """
    names = _model_names(table, model)
    y, groups = _numbers(table, target), [_label(value) for value in table[partition]]
    named = _name_column(table, model)
    copies = _copies(table, [] if named is None else [named, target, partition, *metrics, *hyperparameters])
    excluded: list[Excluded] = []
    kept: list[int] = []
    for row, name in enumerate(names):
        if row in copies:
            excluded.append(Excluded(name, f"row {row + 1} is row {copies[row] + 1} again"))
        elif not np.isfinite(y[row]):
            excluded.append(Excluded(name, f"no finite {target}"))
        elif not groups[row]:
            excluded.append(Excluded(name, f"no {partition}"))
        else:
            kept.append(row)
    if len(kept) < 3:
        raise InputError(
            f"{len(kept)} different models of {len(names)} rows have a finite {target} and a {partition}", "at least 3"
        )
    if np.ptp(y[kept]) == 0:
        raise InputError(f"{target} is {y[kept[0]]:g} for all {len(kept)} models", "models of different quality")
    columns = {name: _numbers(table, name)[kept] for name in metrics}
    return Corpus(
        models=tuple(names[row] for row in kept),
        metrics=columns,
        target=y[kept],
        groups=np.array([groups[row] for row in kept]),
        hyperparameters={name: [table[name][row] for row in kept] for name in hyperparameters},
        excluded=tuple(excluded),
        notes=tuple(_notes([names[row] for row in kept], [*columns.values(), y[kept]], len(copies))),
    )


def counts_rows(name: str) -> bool:
    """Whether a column numbers the rows, as exports of data frames write it; it tells nothing of a model."""
    return not name.strip() or name.lower().startswith("unnamed:") or name.lower() == "index"


def _copies(table: Table, of_model: Sequence[str]) -> dict[int, int]:
    """Return the rows that are an earlier row again, and which that is.

    They hold its values in every column but numbers of rows, or, where models have names, in the columns `of_model`
    that are judged. Models without names may well have equal numbers, and so may models of one name in some columns:
    there a row must hold one that chance does not repeat.
    """
    every = [name for name in table.columns if not counts_rows(name)]
    found: dict[int, int] = {}
    for columns, sure in ((every, bool(of_model)), (of_model, False)):
        first: dict[tuple[str, ...], int] = {}
        for row, values in enumerate(zip(*(table[name] for name in columns), strict=True)):
            if sure or any(_is_long(value) for value in values):
                earlier = first.setdefault(tuple(map(_label, values)), row)
                if earlier != row:
                    found.setdefault(row, earlier)
    return found


def _is_long(value: Any) -> bool:
    """Whether a number has eight digits or more, which equal measurements of two models do not share."""
    return isinstance(value, float) and len(repr(float(value)).split("e")[0].replace(".", "").strip("-0")) >= 8


def _notes(names: Sequence[str], columns: Sequence[Floats], n_copies: int) -> list[str]:
    """Say how many rows stood twice, and which models of other names have the same numbers."""
    notes = (
        [f"{n_copies} row{'s' * (n_copies != 1)} of the table stood there before and count once."] if n_copies else []
    )
    seen: dict[bytes, str] = {}
    alike = []
    for name, row in zip(names, np.column_stack(columns) + 0.0, strict=True):
        other = seen.setdefault(row.tobytes(), name)
        if other != name:
            alike.append(f"{other} and {name}")
    if len(columns) > 2 and alike:
        more = f" and {len(alike) - 3} more pairs" if len(alike) > 3 else ""
        notes.append(
            f"Models with equal numbers in every metric and the target: {', '.join(alike[:3])}{more}. If they are "
            "copies, drop them: p-values take them for independent models."
        )
    return notes


def _model_names(table: Table, model: str | None) -> list[str]:
    column = _name_column(table, model)
    return [str(value) for value in (table[column] if column else range(len(table)))]


def _name_column(table: Table, model: str | None) -> str | None:
    return model or next((name for name in ("run", "model", "model_id", "id") if name in table.columns), None)


def _numbers(table: Table, name: str) -> Floats:
    column = table[name]
    try:
        return np.array([np.nan if value is None or value == "" else float(value) for value in column])
    except (TypeError, ValueError) as error:
        raise InputError(f"column {name!r} holds {error}", "numbers") from error


def _label(value: Any) -> str:
    """Return a partition's name: 2, 2.0 and "2" are one partition."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
