"""sacred's file observer: a numbered folder with ``run.json``, ``config.json`` and ``metrics.json``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from .formats import Claim, Format, Taken, list_files
from .limits import Clock, SourceProblem
from .options import Options
from .records import NO_STEP, RawRun
from .statuses import CRASHED, FINISHED, KILLED, RUNNING, UNKNOWN
from .tensorboard import add_events, event_files
from .values import number_of, plain_of_pickled_json, read_json
from .walking import Folder, Tree

_STATUSES = {"COMPLETED": FINISHED, "FAILED": CRASHED, "INTERRUPTED": KILLED, "TIMEOUT": KILLED}


def find(tree: Tree, taken: Taken, options: Options) -> list[Claim]:
    """Return a claim for each numbered folder."""
    claims: list[Claim] = []
    for folder in taken.free(tree.top):
        if {"run.json", "config.json"} <= folder.files.keys() and folder.name != "_sources":
            facts = _json(folder.path / "run.json", options)
            if isinstance(facts, dict) and ("heartbeat" in facts or "experiment" in facts):
                claims.append(Claim(folder, facts=facts))
    return claims


def _json(path: Path, options: Options) -> Any:
    try:
        return read_json(path, options.limits)
    except SourceProblem:
        return None


def read(claim: Claim, options: Options, clock: Clock) -> list[RawRun]:
    """Return the run of one folder."""
    folder, facts = claim.folder, claim.facts
    run = RawRun(folder.relative, "sacred", folder.relative, has_config=True)
    name = facts.get("experiment", {}).get("name") if isinstance(facts.get("experiment"), dict) else None
    run.name = f"{name} {folder.name}" if isinstance(name, str) else ""
    run.files = [folder.path / "run.json", folder.path / "config.json"]
    config = plain_of_pickled_json(read_json(run.files[1], options.limits), run.left_out)
    run.config = config if isinstance(config, dict) else {}
    _say_status(run, facts, options)
    run.started = _seconds(facts.get("start_time"))
    _add_results(run, facts, folder, options)
    if "metrics.json" in folder.files:
        _add_metrics(run, folder.path / "metrics.json", options)
    _add_tables(run, folder)
    _join_events(run, folder, options, clock)
    list_files(run, folder)
    return [run]


def _seconds(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except (TypeError, ValueError):
        return None


def _say_status(run: RawRun, facts: dict[str, Any], options: Options) -> None:
    said = str(facts.get("status", ""))
    run.evidence = f"status {said or 'unknown'}"
    if said in _STATUSES:
        run.status = _STATUSES[said]
    elif said in ("RUNNING", "QUEUED"):
        beat = _seconds(facts.get("heartbeat"))
        age = None if beat is None else datetime.now(UTC).timestamp() - beat
        run.status = RUNNING if age is not None and age <= options.stale else KILLED
        run.evidence += ", and the last heartbeat is " + ("old" if run.status == KILLED else "recent")
    else:
        run.status = UNKNOWN
    trace = facts.get("fail_trace")
    if isinstance(trace, list) and trace:
        run.error = str(trace[-1]).strip()[:500]


def _add_results(run: RawRun, facts: dict[str, Any], folder: Folder, options: Options) -> None:
    _add_result(run, facts.get("result"))
    info = _json(folder.path / "info.json", options) if "info.json" in folder.files else None
    if isinstance(info, dict):
        run.files.append(folder.path / "info.json")
        for key, value in info.items():
            if isinstance(value, list) and len(value) > 1 and all(number_of(item) is not None for item in value):
                for step, item in enumerate(value):
                    run.log.add(str(key), step, number_of(item) or 0.0)
            elif (number := number_of(value)) is not None:
                run.summary.setdefault(str(key), number)


def _add_result(run: RawRun, result: Any) -> None:
    number = number_of(result)
    if number is not None:
        run.summary["result"] = number
    elif isinstance(result, dict):
        for key, value in result.items():
            if (inside := number_of(value)) is not None and not str(key).startswith("py/"):
                run.summary[f"result.{key}"] = inside


def _add_metrics(run: RawRun, path: Path, options: Options) -> None:
    try:
        content = read_json(path, options.limits)
    except SourceProblem as problem:
        run.notes.append(str(problem))
        return
    run.files.append(path)
    run.log.by_time = True
    for name, curve in content.items() if isinstance(content, dict) else ():
        _add_curve(run, str(name), curve)


def _add_curve(run: RawRun, name: str, curve: Any) -> None:
    values = curve.get("values") if isinstance(curve, dict) else None
    if not isinstance(values, list):
        run.left_out[f"{name}, which has no values"] += 1
        return
    steps, times = curve.get("steps") or [], curve.get("timestamps") or []
    for k, value in enumerate(values):
        number, step = number_of(value), number_of(steps[k]) if k < len(steps) else None
        if number is None:
            run.left_out[f"values of {name} that are no numbers"] += 1
            continue
        at = int(step) if step is not None and step == int(step) else NO_STEP
        run.log.add(name, at, number, _seconds(times[k]) or float("nan") if k < len(times) else float("nan"))


def _add_tables(run: RawRun, folder: Folder) -> None:
    """Count tables that people wrote as artifacts: what they hold is anybody's guess."""
    for name in folder.files:
        if name.endswith((".csv", ".tsv")):
            run.left_out["tables among the artifacts"] += 1


def _join_events(run: RawRun, folder: Folder, options: Options, clock: Clock) -> None:
    """Join the event files inside: metrics that ``metrics.json`` does not have."""
    other = RawRun(run.id, run.format, run.path)
    for inside in folder.walk():
        files = event_files(inside)
        if files:
            add_events(other, files, options, clock)
    run.files += other.files
    if not other.files:
        return
    if not other.log.names:
        run.notes.append("the event files inside hold no scalars")
        return
    points, known = other.log.points(), set(run.log.names)
    wanted = [k for k, name in enumerate(other.log.names) if name not in known]
    run.log.join(points.take(np.flatnonzero(np.isin(points.which, wanted))), other.log.names)


FORMAT = Format("sacred", "sacred", "run.json beside config.json", find, read)
