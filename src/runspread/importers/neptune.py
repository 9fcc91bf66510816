"""Parquet folders of Neptune's exporter: one run in ``RUN_part_N.parquet``, a row an attribute or a point."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from .._optional import require
from .formats import Claim, Format, Taken
from .limits import Clock, SourceProblem, is_pointer
from .options import Options
from .records import NO_STEP, RawRun, relative
from .statuses import CRASHED, UNKNOWN
from .walking import Tree

_PART = re.compile(r"(.+)_part_(\d+)\.parquet\Z")
_COLUMNS = ("project_id", "run_id", "attribute_path", "attribute_type", "step", "timestamp")
_VALUES = ("int_value", "float_value", "string_value", "bool_value", "string_set_value")
_SYSTEM = ("sys/", "monitoring/", "source_code/", "artifacts/")


def find(tree: Tree, taken: Taken, options: Options) -> list[Claim]:
    """Return a claim for the parts of each run."""
    del options
    claims: list[Claim] = []
    for folder in taken.free(tree.top):
        parts: dict[str, list[tuple[int, Path]]] = defaultdict(list)
        for name in folder.files:
            found = _PART.match(name)
            if found:
                parts[found[1]].append((int(found[2]), folder.path / name))
        claims += [Claim(folder, [path for _, path in sorted(each)], whole=False) for each in parts.values()]
    return claims


def read(claim: Claim, options: Options, clock: Clock) -> list[RawRun]:
    """Return the run of some parts."""
    del options
    run = RawRun("", "neptune", relative(claim.files[0], claim.folder.root), files=claim.files, has_config=True)
    run.log.by_time = True
    run.evidence = "the export does not say how a run ended"
    for path in claim.files:
        if is_pointer(path):
            raise SourceProblem(f"{path.name} is a Git LFS pointer: run `git lfs pull`")
        _add_part(run, path, clock)
    if not run.id:
        raise SourceProblem(f"{claim.files[0].name} holds no rows of a run")
    return [run]


def _add_part(run: RawRun, path: Path, clock: Clock) -> None:
    parquet: Any = require("pyarrow.parquet", "reading Parquet")
    try:
        file = parquet.ParquetFile(path)
        names = set(file.schema_arrow.names)
        if not set(_COLUMNS) <= names:
            raise SourceProblem(f"{path.name} has other columns than Neptune's exporter writes")
        wanted = [name for name in (*_COLUMNS, *_VALUES) if name in names]
        for batch in file.iter_batches(batch_size=50_000, columns=wanted):
            clock.take(batch.nbytes)
            columns = {name: batch.column(name).to_pylist() for name in wanted}
            _add_rows(run, columns)
    except (OSError, ValueError) as error:
        raise SourceProblem(f"{path.name} cannot be read ({error})") from error


def _add_rows(run: RawRun, columns: dict[str, list[Any]]) -> None:
    for row in range(len(columns["run_id"])):
        if not run.id:
            run.id = str(columns["run_id"][row])
        path, kind = str(columns["attribute_path"][row]), str(columns["attribute_type"][row])
        if kind == "float_series":
            _add_point(run, path, columns, row)
        elif kind in ("float", "int", "string", "bool", "string_set"):
            _add_value(run, path, kind, columns, row)
        else:
            run.left_out[kind] += 1


def _add_point(run: RawRun, path: str, columns: dict[str, list[Any]], row: int) -> None:
    value, step, time = columns["float_value"][row], columns["step"][row], columns["timestamp"][row]
    if value is None:
        return
    if path.startswith("monitoring/"):
        run.left_out["points of monitoring"] += 1
        return
    at = NO_STEP if step is None or step != int(step) else int(step)
    if at == NO_STEP:
        run.left_out["steps that are fractions: the order is the step"] += 1
    run.log.add(path, at, float(value), time.timestamp() if time else float("nan"))


def _add_value(run: RawRun, path: str, kind: str, columns: dict[str, list[Any]], row: int) -> None:
    value = columns.get(f"{kind}_value", [None] * (row + 1))[row]
    if path == "sys/failed" and value is True:
        run.status, run.evidence = CRASHED, "sys/failed is true"
    if path == "sys/name" and value:
        run.name = str(value)
    if path.startswith(_SYSTEM) or value is None:
        return
    if (
        run.status == UNKNOWN
        and kind == "float"
        and path.split("/")[0] in ("metrics", "results", "test", "val", "eval")
    ):
        run.summary[path] = float(value)
        return
    run.config[path.replace("/", ".")] = value


FORMAT = Format("neptune", "Neptune's exporter", "RUN_part_N.parquet", find, read)
