"""MLflow's file store: ``mlruns/EXPERIMENT/RUN`` with a plain text file per metric, parameter and tag."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from .formats import Claim, Format, Taken, list_files
from .limits import Clock, SourceProblem, read_text, read_whole
from .mlflow_status import say_status
from .options import Options
from .plain_yaml import read_yaml
from .records import RawRun, relative
from .walking import Folder, Tree

_LARGEST = 256 * 2**20
_ID = re.compile(r"^run_(?:id|uuid): *['\"]?([^\s'\"]+)", re.MULTILINE)


def find(tree: Tree, taken: Taken, options: Options) -> list[Claim]:
    """Return a claim for each run's folder; that of an experiment is none."""
    claims: list[Claim] = []
    for folder in taken.free(tree.top):
        if "meta.yaml" not in folder.files:
            continue
        facts = _meta(folder, options)
        if isinstance(facts, dict) and ("run_id" in facts or "run_uuid" in facts):
            claims.append(Claim(folder, facts=facts))
    return claims


def _meta(folder: Folder, options: Options) -> Any:
    if not {"metrics", "params", "tags"} & folder.folders.keys() and "experiment_id" not in _head(folder):
        return None
    try:
        return read_yaml(folder.path / "meta.yaml", options.limits, RawRun("", "", "").left_out)
    except SourceProblem:
        return None


def _head(folder: Folder) -> str:
    try:
        with (folder.path / "meta.yaml").open("rb") as file:
            return file.read(2000).decode(errors="replace")
    except OSError:
        return ""


def read(claim: Claim, options: Options, clock: Clock) -> list[RawRun]:
    """Return the run of one folder."""
    folder, facts = claim.folder, claim.facts
    found = _ID.search(_head(folder))  # as text: an id of digits alone is no number
    id = found[1] if found else str(facts.get("run_id") or facts.get("run_uuid"))
    run = RawRun(id, "mlflow", folder.relative, text_only=True, files=[folder.path / "meta.yaml"], has_config=True)
    tags = _texts(folder, "tags", run, options)
    run.name = str(facts.get("run_name") or tags.get("mlflow.runName") or "")
    run.parent = tags.get("mlflow.parentRunId")
    run.config = dict(_texts(folder, "params", run, options))
    for path in _below(folder, "metrics"):
        _add_metric(run, relative(path, folder.path / "metrics"), path, clock)
    run.log.by_time = True
    deleted = facts.get("lifecycle_stage") == "deleted" or ".trash" in folder.path.parts
    newest = float(np.nanmax(run.log.points().times)) if run.log.names else None
    say_status(run, facts.get("status"), options, newest, deleted=deleted)
    run.started = _milliseconds(facts.get("start_time"))
    list_files(run, folder)
    return [run]


def _milliseconds(value: Any) -> float | None:
    return value / 1000 if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _below(folder: Folder, name: str) -> list[Path]:
    inside = folder.folders.get(name)
    return list(inside.all_files()) if inside else []


def _texts(folder: Folder, name: str, run: RawRun, options: Options) -> dict[str, str]:
    """Return the content of each file of parameters or tags by its name, which may have slashes."""
    found: dict[str, str] = {}
    for path in _below(folder, name):
        try:
            found[relative(path, folder.path / name)] = read_text(path, options.limits, most=2**20)
        except SourceProblem as problem:
            run.notes.append(str(problem))
        run.files.append(path)
    return found


def _add_metric(run: RawRun, name: str, path: Path, clock: Clock) -> None:
    """Add the lines ``milliseconds value [step]``; the last line counts only if it is whole."""
    data = read_whole(path, clock.limits, most=_LARGEST)
    clock.take(2 * len(data))
    run.files.append(path)
    lines = data.decode("utf-8", errors="replace").splitlines()
    if data and not data.endswith(b"\n") and lines and len(lines[-1].split()) < 3 and len(lines) > 1:
        lines.pop()
    bad = 0
    for line in lines:
        parts = line.split()
        try:
            time, value = float(parts[0]), float(parts[1])
            step = int(parts[2]) if len(parts) > 2 else 0
        except (ValueError, IndexError):
            bad += bool(parts)
            continue
        if abs(step) < 2**62:
            run.log.add(name, step, value, time / 1000)
    if bad:
        run.left_out[f"lines of {name} that are no points"] += bad


FORMAT = Format("mlflow", "MLflow files", "meta.yaml with run_id beside metrics, params and tags", find, read)
