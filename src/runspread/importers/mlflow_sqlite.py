"""MLflow's SQLite database: a row of ``runs`` is a run."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .formats import Claim, Format, Taken
from .limits import Clock
from .mlflow_status import say_status
from .options import Options
from .records import RawRun, relative
from .sqlite_files import SUFFIXES, database, is_database, selection, tables_of
from .walking import Tree

_INFINITE = 1.79e308
_TABLES = {"runs", "metrics", "alembic_version"}


def find(tree: Tree, taken: Taken, options: Options) -> list[Claim]:
    """Return a claim for each database."""
    del options
    claims: list[Claim] = []
    for folder in taken.free(tree.top):
        for name in sorted(folder.files):
            path = folder.path / name
            if (name.endswith(SUFFIXES) or tree.only) and not taken.has(path) and is_database(path):
                tables = tables_of(path)
                if tables.keys() >= _TABLES and "run_uuid" in tables["runs"]:
                    claims.append(Claim(folder, [path], whole=False, facts=tables))
    return claims


def read(claim: Claim, options: Options, clock: Clock) -> list[RawRun]:
    """Return the runs of one database."""
    path, tables = claim.files[0], claim.facts
    where = relative(path, claim.folder.root)
    with database(path, clock) as connection:
        runs = {run.id: run for run in _runs(connection, tables, where, path, options)}
        tags = _pairs(connection, tables, "tags")
        parameters = _pairs(connection, tables, "params")
        newest = _add_metrics(connection, tables, runs, clock)
    for id, run in runs.items():
        own = tags.get(id, {})
        run.name = run.name or own.get("mlflow.runName", "")
        run.parent = own.get("mlflow.parentRunId")
        run.config = dict(parameters.get(id, {}))
        say_status(run, run.evidence, options, newest.get(id), deleted=run.status == "deleted")
    return list(runs.values())


def _runs(
    connection: sqlite3.Connection, tables: dict[str, list[str]], where: str, path: Path, options: Options
) -> list[RawRun]:
    del options
    columns = selection(tables["runs"], ("run_uuid", "name", "status", "start_time", "lifecycle_stage"))
    found: list[RawRun] = []
    for id, name, status, started, stage in connection.execute(f"SELECT {columns} FROM runs"):
        run = RawRun(str(id), "mlflow", where, str(name or ""), [path], text_only=True, has_config=True)
        run.evidence = str(status)
        run.status = "deleted" if stage == "deleted" else "unknown"
        run.started = started / 1000 if isinstance(started, (int, float)) else None
        found.append(run)
    return found


def _pairs(connection: sqlite3.Connection, tables: dict[str, list[str]], table: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    if {"key", "value", "run_uuid"} <= set(tables.get(table, ())):
        for id, key, value in connection.execute(f"SELECT run_uuid, key, value FROM {table}"):
            found[str(id)][str(key)] = str(value)
    return found


def _add_metrics(
    connection: sqlite3.Connection, tables: dict[str, list[str]], runs: dict[str, RawRun], clock: Clock
) -> dict[str, float]:
    """Add the points of all runs, in the order of their times; repeats of a step are kept."""
    wanted = selection(tables["metrics"], ("run_uuid", "key", "value", "timestamp", "step", "is_nan"))
    numbers: dict[tuple[str, str], int] = {}
    parts: list[tuple[NDArray[Any], ...]] = []
    cursor = connection.execute(f"SELECT {wanted} FROM metrics ORDER BY rowid")
    while block := cursor.fetchmany(50_000):
        clock.take(32 * len(block))
        ids, keys, values, times, steps, is_nan = zip(*block, strict=True)
        pairs = [numbers.setdefault(pair, len(numbers)) for pair in zip(ids, keys, strict=True)]
        parts.append(
            (
                np.array(pairs, np.int32),
                np.where(np.array(is_nan, bool), np.nan, np.array(values, np.float64)),
                np.array(times, np.float64) / 1000,
                np.array([step or 0 for step in steps], np.int64),
            )
        )
    return _put_rows(parts, list(numbers), runs)


def _put_rows(
    parts: list[tuple[NDArray[Any], ...]], names: list[tuple[str, str]], runs: dict[str, RawRun]
) -> dict[str, float]:
    """Give each run its points; return when each run last logged something."""
    if not parts:
        return {}
    which, values, times, steps = (np.concatenate(column) for column in zip(*parts, strict=True))
    values = np.where(np.abs(values) >= _INFINITE, np.sign(values) * np.inf, values)
    order = np.argsort(which, kind="stable")
    bounds = np.searchsorted(which[order], np.arange(len(names) + 1))
    newest: dict[str, float] = {}
    for number, (id, key) in enumerate(names):
        run = runs.get(str(id))
        own = order[bounds[number] : bounds[number + 1]]
        if run is None:
            continue
        at = run.log.number(str(key))
        run.log.extend(np.full(len(own), at, np.int32), steps[own], values[own], times[own])
        run.log.by_time = True
        newest[str(id)] = max(newest.get(str(id), 0.0), float(times[own].max()))
    return newest


FORMAT = Format(
    "mlflow-sqlite", "MLflow SQLite", "a database with tables runs, metrics and alembic_version", find, read
)
