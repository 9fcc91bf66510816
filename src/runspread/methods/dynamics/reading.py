"""Metric logs of several runs as tables over training steps, however they were handed in."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice, check_integers
from ..._reading.opening import is_path
from ..._words import count
from ...errors import InputError
from ..hmm.parameters import ONE_METRIC, Array
from .shared import shared_metrics

STEPS = ("step", "global_step", "_step", "steps", "iteration")
"""Columns of a table that say when a row was logged; they are no metrics unless asked for."""


class Log(NamedTuple):
    """One run: when each checkpoint was logged [T], increasing, and its metrics [T, D]."""

    at: NDArray[Any]
    x: Array


@dataclass(frozen=True, eq=False)
class Logs:
    """Metrics of runs as they were logged, on rows that have all of them.

    Attributes
    ----------
    runs : dict of str to Log
    names : tuple of str
        The D metrics.
    stepped : bool
        Whether ``at`` counts training steps; otherwise rows.
    entries : dict of str to ndarray [rows]
        When each row of a run was logged, in the order in which the rows were handed in.
    dropped : dict of str to str
        Metrics that are not modelled, and why.
    left_out : dict of str to str
        Runs that are not, and why.
    """

    runs: dict[str, Log]
    names: tuple[str, ...]
    stepped: bool
    entries: dict[str, NDArray[Any]]
    dropped: dict[str, str] = field(default_factory=dict[str, str])
    left_out: dict[str, str] = field(default_factory=dict[str, str])


def read_logs(
    sequences: Any,
    *,
    columns: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    steps: Any = None,
    lengths: ArrayLike | None = None,
) -> Logs:
    """Read arrays, mappings or data frames: cut padding, sort by step, keep rows that have every metric."""
    source = named_runs(sequences)
    known = column_names(next(iter(source.values())), columns)
    clock = _step_column(source, known, metrics, columns) if steps is None else None
    wanted = tuple(metrics) if metrics is not None else tuple(name for name in known if name != clock)
    for name in wanted:
        check_choice(name, "metric", known)
    if not wanted:
        raise InputError("there are no metrics", "at least one")
    wanted, dropped = (wanted, dict[str, str]()) if metrics is not None else _numeric(source, wanted)
    tables = _cut({run: _as_array(run, log, known, wanted) for run, log in source.items()}, lengths)
    entries = {run: _entries(run, source[run], table, clock) for run, table in tables.items()}
    if steps is not None:
        given = by_run(steps, source, "steps")
        if absent := [run for run in tables if run not in given]:
            raise InputError(f"steps has no {absent[0]}", "one entry for each run")
        entries = {run: _given_steps(run, given[run], len(table)) for run, table in tables.items()}
    merge = _merged if clock else _sorted
    runs = {run: merge(entries[run], table) for run, table in tables.items()}
    whole, wanted, gaps, left_out = _without_empty_cells(runs, wanted, chosen=metrics is not None)
    return Logs(whole, wanted, bool(clock) or steps is not None, entries, dropped | gaps, left_out)


def named_runs(sequences: Any) -> dict[str, Any]:
    """Return run name to log; a list or a 3-D array gives ``run 0``, ``run 1``, ..."""
    if isinstance(sequences, (str, bytes, os.PathLike)) or not isinstance(sequences, Iterable):
        found = f"no study lies at {str(sequences)!r}" if is_path(sequences) else f"one {type(sequences).__name__}"
        raise InputError(found, "a study, or the metrics of runs", "Logs become a study by rs.import_runs.")
    pairs = sequences.items() if isinstance(sequences, Mapping) else ((f"run {i}", s) for i, s in enumerate(sequences))
    named = {str(run): log for run, log in pairs}
    if not named:
        raise InputError("there are no runs", "at least one")
    return named


def is_table(log: Any) -> bool:
    """Whether a log has columns with names."""
    return isinstance(log, Mapping) or hasattr(log, "columns")


def column(run: str, log: Any, name: str, columns: Sequence[str] | None) -> NDArray[Any]:
    """Return one metric of a log as it was handed in."""
    if is_table(log):
        check_choice(name, f"metric of {run}", [str(each) for each in log])
        return np.asarray(log[name])
    check_choice(name, "metric", list(columns or ()))
    return np.asarray(log, dtype=np.float64)[:, list(columns or ()).index(name)]


def without(log: Any, name: str) -> Any:
    """Return a table without a column; an array as it is."""
    if isinstance(log, Mapping):
        return {key: values for key, values in log.items() if key != name}
    return log.drop(columns=name) if hasattr(log, "columns") else log


def column_names(run: Any, columns: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of a log's columns: its own, those given, or numbers."""
    if is_table(run):
        return tuple(str(name) for name in run)
    if np.ndim(run) < 2:
        raise InputError(f"run 0 has shape {np.shape(run)}", "[checkpoints, metrics]", ONE_METRIC)
    return tuple(columns) if columns is not None else tuple(f"metric {i}" for i in range(np.shape(run)[-1]))


def _step_column(
    source: Mapping[str, Any], known: Sequence[str], metrics: Sequence[str] | None, columns: Sequence[str] | None
) -> str | None:
    """Return the column of tables that says when a row was logged, if there is one that never goes back."""
    asked = {*(metrics or ()), *(columns or ())}
    for name in STEPS:
        if name in known and name not in asked and all(is_table(log) and name in log for log in source.values()):
            values = [np.asarray(log[name]) for log in source.values()]
            if all(v.dtype.kind in "iuf" and np.isfinite(v).all() and (np.diff(v) >= 0).all() for v in values):
                return name
    return None


def _numeric(source: Mapping[str, Any], names: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the columns that hold numbers, and those that do not."""
    words = {
        name: "holds no numbers"
        for name in names
        if any(is_table(log) and name in log and np.asarray(log[name]).dtype.kind in "OSUMm" for log in source.values())
        and not all(_converts(log[name]) for log in source.values() if is_table(log) and name in log)
    }
    return tuple(name for name in names if name not in words), words


def _converts(values: Any) -> bool:
    try:
        np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _as_array(run: str, log: Any, known: Sequence[str], names: Sequence[str]) -> Array:
    if is_table(log):
        absent = [name for name in names if name not in log]
        if absent:
            raise InputError(f"{run} has no metric {absent[0]}", f"the metrics {', '.join(names)}")
        array = np.stack([np.asarray(log[name], dtype=np.float64) for name in names], axis=1)
    else:
        array = np.asarray(log, dtype=np.float64)
        if array.ndim == 1:
            raise InputError(f"{run} has shape {array.shape}", "[checkpoints, metrics]", ONE_METRIC)
        if array.ndim != 2 or array.shape[1] != len(known):
            raise InputError(f"{run} has shape {array.shape}", f"[checkpoints, {len(known)} metrics]")
        array = array[:, [list(known).index(name) for name in names]]
    if not len(array):
        raise InputError(f"{run} has no checkpoints", "at least one", "Exclude empty runs.")
    return array


def by_run(given: Any, runs: Collection[str], name: str) -> dict[str, Any]:
    """Return what is given for each run, as a mapping or in their order."""
    if isinstance(given, Mapping):
        return dict(given)
    values = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    if len(values) != len(runs):
        raise InputError(f"{count(len(values), 'value')} of {name} for {count(len(runs), 'run')}", "one for each run")
    return dict(zip(runs, values, strict=True))


def _cut(tables: dict[str, Array], lengths: ArrayLike | None) -> dict[str, Array]:
    """Cut padding."""
    if lengths is None:
        return tables
    sizes = check_integers(lengths, "lengths", 1, None)
    if sizes.shape != (len(tables),):
        raise InputError(f"got lengths {sizes.tolist()} for {len(tables)} runs", "one positive length per run")
    return {run: table[:size] for (run, table), size in zip(tables.items(), sizes, strict=True)}


def _entries(run: str, log: Any, table: Array, clock: str | None) -> NDArray[Any]:
    return np.arange(len(table)) if clock is None else _whole(np.asarray(log[clock])[: len(table)])


def _whole(values: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers as integers."""
    return values.astype(np.int64) if np.array_equal(values, np.floor(values)) else values


def _given_steps(run: str, steps: Any, length: int) -> NDArray[Any]:
    given = np.asarray(steps)[:length]
    if given.shape != (length,):
        raise InputError(f"{run} has {given.shape} steps for {length} checkpoints", "one step per checkpoint")
    values, counts = np.unique(given, return_counts=True)
    if (counts > 1).any():
        raise InputError(f"{run} has step {values[counts > 1][0]} twice", "every step once")
    return _whole(given)


def _sorted(at: NDArray[Any], table: Array) -> Log:
    order = np.argsort(at, kind="stable")
    return Log(at[order], table[order])


def _merged(at: NDArray[Any], table: Array) -> Log:
    """Make one row of the rows of a step: loggers write what comes from different places into rows of their own."""
    steps, first = np.unique(at, return_index=True)
    if len(steps) == len(at):
        return Log(at, table)
    last = np.where(np.isnan(table), -1, np.arange(len(table))[:, None])  # the last row that has a number
    last = np.maximum.reduceat(last, first, axis=0)
    return Log(steps, np.where(last >= 0, np.take_along_axis(table, np.maximum(last, 0), axis=0), np.nan))


# ------------------------------------------------------------------------------------------------- empty cells


def _without_empty_cells(
    runs: dict[str, Log], names: tuple[str, ...], *, chosen: bool
) -> tuple[dict[str, Log], tuple[str, ...], dict[str, str], dict[str, str]]:
    """Keep the rows that have every metric, where metrics were logged at rows of their own.

    A metric that most runs lack at some rows and have again later was logged more rarely than the others. One that is
    NaN in single runs, or from some row on, has diverged, which is for later to judge.
    """
    rare = _rare([log.x for log in runs.values()])
    if not rare.any() or len(runs) == len(names) == 1:
        return runs, names, {}, {}
    logged = {run: np.isfinite(log.x) | ~rare | _lost(log.x, rare) for run, log in runs.items()}
    kept, dropped = names, dict[str, str]()
    if not chosen:
        rows = [{n: np.flatnonzero(mask[:, d]) for d, n in enumerate(names)} for mask in logged.values()]
        kept, dropped = shared_metrics(rows)
    index = [names.index(name) for name in kept]
    whole, left_out = dict[str, Log](), dict[str, str]()
    for run, log in runs.items():
        rows = np.flatnonzero(logged[run][:, index].all(axis=1))
        if len(rows):
            whole[run] = Log(log.at[rows], log.x[rows][:, index])
        else:
            left_out[run] = "its metrics were logged at no common step"
    if not whole:
        raise InputError("metrics that were logged at no common step", "metrics= of those that were logged together")
    return whole, kept, dropped, left_out


def _rare(tables: list[Array]) -> NDArray[np.bool_]:
    """Return which metrics [D] most runs that have them lack at some rows before they come again."""
    with_gaps, recorded = np.zeros(tables[0].shape[1]), np.zeros(tables[0].shape[1])
    for table in tables:
        there = ~np.isnan(table)
        later = np.logical_or.accumulate(there[::-1], axis=0)[::-1]
        with_gaps += np.logical_and(~there, later).any(axis=0)
        recorded += there.any(axis=0)
    return with_gaps > 0.5 * np.maximum(recorded, 1)


def _lost(table: Array, rare: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where a rare metric [T, D] is missing for longer at the end than twice the gaps before: it diverged."""
    lost = np.zeros(table.shape, dtype=np.bool_)
    for d in np.flatnonzero(rare):
        rows = np.flatnonzero(~np.isnan(table[:, d]))
        if len(rows) > 1:
            usual = int(np.diff(rows).max())
            first = int(rows[-1]) + usual
            lost[first::usual, d] = len(table) - 1 - rows[-1] > 2 * usual
    return lost
