"""Which column of a table of scores is what: by the names that are given, else by known names alone (scores 1.1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ..._results import Table
from ...errors import InputError
from .words import names_a_metric, words_of

NAMES = {
    "by": "method arm model algorithm algo config configuration variant recipe group",
    "value": "value score result final",
    "metric": "metric measure key",
    "seed": "seed randomseed replicate rep trial",
    "task": "task dataset data env environment benchmark game",
    "step": "step iteration epoch tokens",
    "run": "run runid id name file",
}
_STANDARD_ERRORS = ("stderr", "se", "standarderror", "sem")


class Columns(NamedTuple):
    """Names of the columns by role; None where a table has no such column.

    `by` may be several, whose cells together name the arm, and is empty for a table of one arm. `values` maps metric to
    column where metrics are columns (the wide form); else it is empty and `value` holds them all.
    """

    by: tuple[str, ...]
    value: str | None
    metric: str | None
    seed: str | None
    task: str | None
    step: str | None
    run: str | None
    values: Mapping[str, str]
    others: tuple[str, ...]
    ignored: tuple[str, ...]


def plain(name: str) -> str:
    """Return a column's name without case, blanks, underscores and hyphens."""
    return name.lower().replace(" ", "").replace("_", "").replace("-", "")


def _is_an_error(name: str) -> bool:
    """Whether a column holds standard errors of an evaluation, as ``stderr`` and ``acc_stderr`` do."""
    return plain(name) in _STANDARD_ERRORS or bool({"stderr", "sem"} & set(words_of(name)))


def as_names(value: Any) -> tuple[str, ...]:
    """Return one name or several as a tuple."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(item) for item in value)


def find_columns(table: Table, given: Mapping[str, Any], *, one_arm: bool = False) -> Columns:
    """Return which column is what.

    Parameters
    ----------
    table : Table
        A row a value.
    given : mapping
        Names by role (``by``, ``value``, ``metric``, ``seed``, ``task``, ``step``, ``run``); None is to be found.
    one_arm : bool
        Whether a table without a column of arms is one arm.

    Raises
    ------
    InputError
        A name that is no column, two candidates for a role, or none for the arm or the value.
    """
    names = list(table.columns)
    taken = {name for role in NAMES if role != "metric" for name in as_names(given.get(role))}
    for name in taken:
        check_column(name, names)
    wanted = as_names(given.get("metric"))
    wide = given.get("value") is None and bool(wanted) and all(name in names for name in wanted)
    taken |= set(wanted) if wide else set()
    found = {role: None if wide and role == "value" else _found(role, names, given, taken) for role in NAMES}
    values = _wide(table, found, wanted)
    if found["value"] is None and not values:
        likely = _likely_values(table, {*taken, *(name for name in found.values() if name is not None)})
        raise InputError(
            f"none of the columns {', '.join(names)} is known to hold values", "one", f"Name it: metric={likely!r}."
        )
    by = as_names(given.get("by")) or as_names(found["by"])
    if not by and not one_arm:
        used = {*wanted, *(name for name in found.values() if name is not None)}
        likely = _likely_arms(table, used)
        raise InputError(
            f"none of the columns {', '.join(names)} is known to name arms", "one", f"Name it: by={likely!r}."
        )
    metric = None if values else found["metric"]
    used = {*by, *values.values(), *(found[role] for role in NAMES if role not in ("by", "metric")), metric}
    rest = [name for name in names if name not in used]
    errors = tuple(name for name in rest if _is_an_error(name))
    others = tuple(name for name in rest if name not in errors)
    return Columns(
        by=by,
        value=None if values else found["value"],
        metric=metric,
        seed=found["seed"],
        task=found["task"],
        step=found["step"],
        run=found["run"],
        values=values,
        others=tuple(name for name in others if not (values and names_a_metric(name))),
        ignored=errors,
    )


def _likely_values(table: Table, used: Collection[str]) -> str:
    """Return the column that a hint names for the values: one called as a metric, else the only one of numbers left."""
    left = [name for name in table.columns if name not in used and not _is_an_error(name)]
    numbers = [name for name in left if set(map(type, table[name])) <= {int, float, type(None)}]
    called = [name for name in left if names_a_metric(name)]
    return called[0] if called else numbers[0] if len(numbers) == 1 else "..."


def _likely_arms(table: Table, used: Collection[str]) -> str:
    """Return the column that a hint names for the arms: the first whose cells recur, as an arm has several runs."""
    left = [name for name in table.columns if name not in used and not names_a_metric(name)]
    several = [name for name in left if len(set(map(str, table[name]))) < len(table)]
    return next(iter((*several, *left)), "...")


def check_column(name: str, names: Sequence[str]) -> None:
    """Raise unless there is a column of that name; the nearest one is suggested."""
    if name not in names:
        raise InputError(f"there is no column {name!r}", f"one of {', '.join(names)}")


def _found(role: str, names: Sequence[str], given: Mapping[str, Any], taken: set[str]) -> str | None:
    """Return the column of a role: the one given, or the one whose name is known."""
    if role not in ("metric", "by") and given.get(role) is not None:
        return str(given[role])
    if role == "by" and given.get("by") is not None:
        return None
    known = NAMES[role].split()
    candidates = [name for name in names if plain(name) in known and name not in taken]
    if len(candidates) > 1:
        hint = f"Name it: {role}={candidates[0]!r}; the columns are {', '.join(names)}."
        if role == "metric":
            hint = "Rename the column that does not hold the names of metrics."
        raise InputError(
            f"{len(candidates)} columns may be the {_CALLED.get(role, role)}: {', '.join(candidates)}", "one", hint
        )
    return candidates[0] if candidates else None


_CALLED = {"by": "arm", "run": "run's id"}


def _wide(table: Table, found: Mapping[str, str | None], wanted: Sequence[str]) -> dict[str, str]:
    """Return metric to column where the metrics that are asked for are columns."""
    if not wanted:
        return {}
    column = found["metric"]
    if column is not None and found["value"] is not None:
        inside = {str(cell) for cell in table[column]}
        unknown = [name for name in wanted if name not in inside]
        if unknown:
            raise InputError(f"there is no metric {unknown[0]!r}", f"one of {', '.join(sorted(inside))}")
        return {}
    if found["value"] is not None and not any(name in table.columns for name in wanted):
        return {}  # what the one column of values is called
    for name in wanted:
        check_column(name, list(table.columns))
    return {name: name for name in wanted}
