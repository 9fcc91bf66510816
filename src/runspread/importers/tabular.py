"""Tables and JSON files: one row per run, one row per run and step, or one file per run."""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .formats import Claim, Format, Taken
from .limits import Clock, SourceProblem
from .options import Options
from .records import NO_STEP, RawRun, relative
from .seeds import KEYS, plain_key
from .tables import rows_of
from .values import is_missing, number_of, plain_of_pickled_json, read_json
from .walking import Tree

_SUMMARIES = re.compile(r"summary|sweep|aggregate|statistic|config|runtime|args|hparams", re.IGNORECASE)
_RUN = ("run", "run_id", "runid", "run_name", "id", "experiment_id", "trial_id")
_STEP = ("step", "global_step", "epoch", "iteration", "iter", "iterations", "_step")
_METRIC = re.compile(
    r"acc|loss|score|error|err\b|f1|auc|bleu|rouge|perplex|ppl|reward|return|mse|mae|precision|recall|top_?\d|nll|"
    r"ece|iou|dice|r2|^test|^val|^eval|metric|value",
    re.IGNORECASE,
)
_RESULT = re.compile(r"acc(uracy)?$|loss$|score$|_f1$|auc$|reward$", re.IGNORECASE)  # a whole number may be one
_REASONS = ("error", "reason", "failed", "failure", "gate_failed", "exception", "traceback")


@dataclass
class _Roles:
    """Which column of a table is what."""

    run: str | None
    seed: str | None
    step: str | None
    metrics: list[str]


# ------------------------------------------------------------------ tables


def runs_of_columns(columns: Mapping[str, Sequence[Any]], name: str, options: Options) -> list[RawRun]:
    """Return the runs in a table.

    Parameters
    ----------
    columns : mapping of str to sequence
        Cells by column, all of one length.
    name : str
        What the table is called.
    options : Options
        Its ``table`` says which columns are what, where that is given.
    """
    roles = _roles_of(columns, options)
    size = len(next(iter(columns.values()), ()))
    grouped = _grouped(columns, roles, size)
    if not roles.metrics:
        raise InputError(
            f"{name} has no column that is known to hold a metric ({', '.join(columns)})",
            "one",
            "Name it: metrics=['...'].",
        )
    plain = [column for column in columns if column not in {roles.run, roles.step, *roles.metrics}]
    return [_run_of_rows(columns, rows, key, name, roles, plain) for key, rows in grouped.items()]


def _roles_of(columns: Mapping[str, Sequence[Any]], options: Options) -> _Roles:
    given = options.table
    for role in ("run", "seed", "step"):
        if given.get(role) is not None and given[role] not in columns:
            raise InputError(f"there is no column {given[role]!r}", f"one of {', '.join(columns)}")
    run = given.get("run") or next((column for column in columns if plain_key(column) in _RUN), None)
    seed = given.get("seed") or next((column for column in columns if plain_key(column) in KEYS), None)
    step = given.get("step") or options.step or next((c for c in columns if plain_key(c) in _STEP), None)
    if step is not None and step not in columns:
        step = None
    asked = given.get("metrics")
    if asked is not None:
        wanted = [asked] if isinstance(asked, str) else list(asked)
        for column in wanted:
            if column not in columns:
                raise InputError(f"there is no column {column!r}", f"one of {', '.join(columns)}")
        return _Roles(run, seed, step, wanted)
    others = [c for c in columns if c not in (run, seed, step) and plain_key(c) not in KEYS]
    numeric = [column for column in others if _is_numeric(columns[column])]
    roles = _Roles(run, seed, step, [])
    roles.metrics = [c for c in numeric if _METRIC.search(c)] or _varying(columns, numeric, roles)
    return roles


def _varying(columns: Mapping[str, Sequence[Any]], numeric: Sequence[str], roles: _Roles) -> list[str]:
    """Return numeric columns that change within a run, where rows are steps."""
    if roles.step is None:
        return []
    size = len(next(iter(columns.values()), ()))
    grouped = _grouped(columns, roles, size)
    return [
        column
        for column in numeric
        if any(len({str(columns[column][row]) for row in rows}) > 1 for rows in grouped.values())
    ]


def _is_numeric(cells: Sequence[Any]) -> bool:
    found = [cell for cell in cells if not (isinstance(cell, str) and is_missing(cell)) and cell is not None]
    return bool(found) and all(number_of(_plain(cell)) is not None for cell in found)


def _plain(cell: Any) -> Any:
    return cell.item() if hasattr(cell, "item") else cell


def _grouped(columns: Mapping[str, Sequence[Any]], roles: _Roles, size: int) -> dict[Any, list[int]]:
    """Return the rows of each run."""
    if roles.run is None and roles.step is None:
        return {row: [row] for row in range(size)}
    if roles.run is not None:
        keys: list[Any] = [str(cell) for cell in columns[roles.run]]
    else:
        words = [c for c in columns if c != roles.step and (c == roles.seed or not _is_numeric(columns[c]))]
        keys = ["_".join(str(columns[column][row]) for column in words) for row in range(size)]
    grouped: dict[Any, list[int]] = {}
    for row, key in enumerate(keys):
        grouped.setdefault(key, []).append(row)
    return grouped


def _run_of_rows(
    columns: Mapping[str, Sequence[Any]],
    rows: Sequence[int],
    key: Any,
    name: str,
    roles: _Roles,
    plain: Sequence[str],
) -> RawRun:
    id = (
        str(key)
        if roles.run is not None
        else f"{name} row {key + 1}"
        if isinstance(key, int)
        else f"{name} {key}".strip()
    )
    run = RawRun(id, "table", name, text_only=True, has_config=True, evidence="a table does not say how a run ended")
    for column in plain:
        cells = {str(_plain(columns[column][row])) for row in rows}
        cell = _plain(columns[column][rows[0]])
        missing = cell is None or (isinstance(cell, str) and not cell.strip())
        if len(cells) == 1 and not missing:
            run.config[column] = str(cell) if not isinstance(cell, (bool, int, float)) else _text(cell)
        elif len(cells) > 1:
            run.left_out[f"column {column}, which changes within a run"] += 1
    for row in rows:
        step = number_of(_plain(columns[roles.step][row])) if roles.step is not None else None
        whole = step is not None and math.isfinite(step) and step == int(step)
        for metric in roles.metrics:
            number = number_of(_plain(columns[metric][row]))
            if number is None:
                continue
            if roles.step is None and len(rows) == 1:
                run.summary[metric] = number
            else:
                run.log.add(metric, int(step) if whole and step is not None else NO_STEP, number)
    return run


def _text(cell: Any) -> str:
    whole = isinstance(cell, float) and cell.is_integer()
    return str(int(cell)) if whole else str(cell)


def _read_table(path: Path, name: str, options: Options, clock: Clock) -> list[RawRun]:
    names, rows = rows_of(path, clock)
    columns: dict[str, list[Any]] = {column: [] for column in names}
    for row in rows:
        for k, column in enumerate(names):
            columns[column].append(row[k] if k < len(row) else "")
    if not names or not columns[names[0]]:
        raise SourceProblem(f"{path.name} has no rows")
    commas = [c for c, cells in columns.items() if cells and re.fullmatch(r"[+-]?\d+,\d+", str(cells[0]).strip())]
    if commas:
        raise SourceProblem(
            f"{path.name} has a comma as the decimal point in column {commas[0]} ({columns[commas[0]][0]}): "
            "write a point"
        )
    try:
        runs = runs_of_columns(columns, name, options)
    except InputError as error:
        raise SourceProblem(str(error)) from error
    for run in runs:
        run.files = [path]
        run.path = name
        _say_sampled(run, names)
    return runs


def _say_sampled(run: RawRun, names: Sequence[str]) -> None:
    """Say that a table of W&B's steps with uneven gaps may be a sample of the history."""
    steps = np.unique(run.log.points().steps)
    if {"_step", "Step"} & set(names) and len(steps) > 2 and len(np.unique(np.diff(steps))) > 1:
        run.notes.append(
            "its steps are uneven: an export of W&B samples the history (500 rows by default), so points may be "
            "missing; the run-ID.wandb file has all of them"
        )


# ------------------------------------------------------------------ JSON files


def run_of_json(path: Path, id: str, options: Options) -> RawRun:
    """Return the run that a JSON file is: numbers are results, lists of numbers curves, all else the configuration."""
    content = read_json(path, options.limits)
    if not isinstance(content, dict):
        raise SourceProblem(f"{path.name} holds no mapping")
    run = RawRun(id, "table", id, files=[path], has_config=True, evidence="a JSON file does not say how a run ended")
    run.seeds_in_name = True
    wanted = options.table.get("metrics")
    for key, value in content.items():
        _take_entry(run, str(key), value, wanted)
    run.config = plain_of_pickled_json(run.config, run.left_out)
    _say_failed(run, content)
    return run


def _take_entry(run: RawRun, key: str, value: Any, wanted: Any) -> None:
    number = number_of(value) if isinstance(value, (int, float)) else None
    asked = wanted is not None and key in ([wanted] if isinstance(wanted, str) else wanted)
    is_whole = isinstance(value, int) and not isinstance(value, bool) and _RESULT.search(key) is not None
    is_result = (isinstance(value, float) or is_whole) and plain_key(key) not in KEYS
    if number is not None and (asked or (wanted is None and is_result)):
        run.summary[key] = number
    elif key.lower() in ("history", "curves", "log_history") and isinstance(value, dict):
        for name, points in value.items():
            _take_curve(run, str(name), points)
    elif isinstance(value, list) and len(value) > 1 and all(isinstance(item, (int, float)) for item in value):
        _take_curve(run, key, value)
    elif not isinstance(value, (dict, list)) or len(str(value)) < 1000:
        run.config[key] = value
    else:
        run.left_out[f"{key} (nested)"] += 1


def _take_curve(run: RawRun, name: str, points: Any) -> None:
    if not isinstance(points, list):
        return
    for step, value in enumerate(points):
        number = number_of(value)
        if number is not None:
            run.log.add(name, step, number)


def _say_failed(run: RawRun, content: Mapping[str, Any]) -> None:
    """NaN everywhere, with a text that says why, is a failure."""
    if not run.summary or any(math.isfinite(value) for value in run.summary.values()):
        return
    reason = next(
        (
            str(value)
            for key, value in content.items()
            if isinstance(value, str) and value and any(word in key.lower() for word in _REASONS)
        ),
        None,
    )
    if reason is not None:
        run.status, run.evidence, run.error = "crashed", reason, reason
        run.config = {key: value for key, value in run.config.items() if value != reason}


# ------------------------------------------------------------------ finding them


def find(tree: Tree, taken: Taken, options: Options) -> list[Claim]:
    """Return a claim for each table and each JSON file of a run."""
    del options
    claims: list[Claim] = []
    for folder in taken.free(tree.top):
        for name in sorted(folder.files):
            path = folder.path / name
            if taken.has(path) or not name.lower().endswith((".csv", ".tsv", ".json")):
                continue
            if tree.only is None and _SUMMARIES.search(name):
                continue
            claims.append(Claim(folder, [path], whole=False))
    return claims


def read(claim: Claim, options: Options, clock: Clock) -> list[RawRun]:
    """Return the runs of one table, or the run of one JSON file."""
    path = claim.files[0]
    name = relative(path, claim.folder.root)
    if path.suffix == ".json":
        return [run_of_json(path, name, options)]
    return _read_table(path, name, options, clock)


def matching(pattern: str | os.PathLike[str]) -> list[Path]:
    """Return the files that a pattern names, in order; those of summaries are no runs."""
    found = sorted(Path(path) for path in glob.glob(os.fspath(pattern), recursive=True))  # noqa: PTH207  (a pattern may be absolute)
    return [path for path in found if path.is_file() and not path.is_symlink() and not _SUMMARIES.search(path.name)]


def read_matching(paths: Sequence[Path], options: Options) -> list[RawRun]:
    """Return a run for each JSON file of a pattern, called by what differs between their paths."""
    root = Path(os.path.commonpath([path.resolve().parent for path in paths]))
    one_name = len({path.name for path in paths}) == 1 and len(paths) > 1
    runs: list[RawRun] = []
    for path in paths:
        whole = path.resolve()
        id = relative(whole.parent if one_name else whole, root)
        if path.suffix == ".json":
            runs.append(run_of_json(whole, id, options))
        else:
            runs += _read_table(whole, id, options, Clock(options.limits))
    return runs


FORMAT = Format(
    "table",
    "tables and JSON",
    "CSV with a run or seed column, or a JSON file per seed, read with --from table",
    find,
    read,
)
