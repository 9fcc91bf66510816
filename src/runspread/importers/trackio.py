"""Trackio's local SQLite databases: rows of JSON per run and step."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from .formats import Claim, Format, Taken
from .limits import Clock, SourceProblem
from .options import Options
from .records import RawRun, relative
from .sqlite_files import SUFFIXES, database, is_database, selection, tables_of
from .statuses import RUNNING, UNKNOWN, running_or_killed
from .values import number_of, parsed_json
from .walking import Tree


def find(tree: Tree, taken: Taken, options: Options) -> list[Claim]:
    """Return a claim for each database."""
    del options
    claims: list[Claim] = []
    for folder in taken.free(tree.top):
        for name in sorted(folder.files):
            path = folder.path / name
            if (name.endswith(SUFFIXES) or tree.only) and not taken.has(path) and is_database(path):
                tables = tables_of(path)
                if {"run_name", "step", "metrics"} <= set(tables.get("metrics", ())):
                    claims.append(Claim(folder, [path], whole=False, facts=tables))
    return claims


def read(claim: Claim, options: Options, clock: Clock) -> list[RawRun]:
    """Return the runs of one database."""
    path, tables = claim.files[0], claim.facts
    runs: dict[str, RawRun] = {}
    where = relative(path, claim.folder.root)
    several = "run_id" in tables["metrics"]
    columns = selection(tables["metrics"], ("project_name", "run_name", "run_id", "step", "timestamp", "metrics"))
    with database(path, clock) as connection:
        cursor = connection.execute(f"SELECT {columns} FROM metrics ORDER BY rowid")
        while block := cursor.fetchmany(10_000):
            for project, name, id, step, time, text in block:
                clock.take(len(text or ""))
                key = str(id) if several and id else f"{project}/{name}" if project else str(name)
                if key not in runs:
                    runs[key] = RawRun(key, "trackio", where, str(name), [path])
                _add_row(runs[key], step, time, text)
        _add_configs(connection, tables, runs)
    for run in runs.values():
        run.log.by_time = True
        if run.status == UNKNOWN:
            run.status, run.evidence = _status(run, options)
    return list(runs.values())


def _status(run: RawRun, options: Options) -> tuple[str, str]:
    what = "Trackio does not say how a run ended"
    times = run.log.points().times
    status, why = running_or_killed(run.files, options.stale, what, float(times.max()) if len(times) else None)
    return (status, why) if status == RUNNING else (UNKNOWN, what)


def _add_row(run: RawRun, step: Any, time: Any, text: Any) -> None:
    try:
        found = parsed_json(str(text), "a row")
        at = datetime.fromisoformat(str(time)).timestamp()
    except (SourceProblem, ValueError):
        run.left_out["unreadable rows"] += 1
        return
    for name, value in _flat(found).items():
        number = number_of(value)
        if number is not None:
            run.log.add(name, int(step or 0), number, at)
        else:
            run.left_out[f"values of {name} that are no numbers"] += 1


def _flat(found: Any, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in found.items() if isinstance(found, dict) else ():
        if isinstance(value, dict) and "_type" not in value and prefix.count(".") < 20:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _add_configs(connection: Any, tables: dict[str, list[str]], runs: dict[str, RawRun]) -> None:
    if "config" not in tables.get("configs", ()):
        return
    by_name: dict[str, list[RawRun]] = defaultdict(list)
    for key, run in runs.items():
        by_name[key].append(run)
        if run.name != key:
            by_name[run.name].append(run)
    columns = selection(tables["configs"], ("run_name", "run_id", "config"))
    for name, id, text in connection.execute(f"SELECT {columns} FROM configs"):
        for run in by_name.get(str(id), []) if id else by_name.get(str(name), []):
            try:
                found = parsed_json(str(text), "a configuration")
            except SourceProblem:
                continue
            if isinstance(found, dict):
                run.config = {key: value for key, value in found.items() if not key.startswith("_")}
                run.has_config = True


FORMAT = Format("trackio", "Trackio", "a database with metrics per run_name and step", find, read)
