"""Keras's CSVLogger: ``epoch`` and a column a metric; appended logs begin again."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from .formats import Claim, Format, Taken, list_files
from .limits import Clock, SourceProblem, opened
from .options import Options
from .records import RawRun, relative
from .tables import Cells, rows_of, step_of, whole_numbers
from .values import read_json
from .walking import Folder, Tree

_SUFFIXES = (".csv", ".log", ".tsv", ".txt")


def find(tree: Tree, taken: Taken, options: Options) -> list[Claim]:
    """Return a claim for each table whose first column is ``epoch``."""
    claims: list[Claim] = []
    for folder in taken.free(tree.top):
        for name in sorted(folder.files):
            path = folder.path / name
            if name.lower().endswith(_SUFFIXES) and not taken.has(path) and _is_log(path, options):
                claims.append(Claim(folder, [path], whole=False))
    return claims


def _is_log(path: Path, options: Options) -> bool:
    try:
        with opened(path) as file:
            head = file.read(64)
        first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n")[0]
        if not first.lstrip().lower().startswith(b"epoch") or not any(mark in first for mark in b",;\t"):
            return False
        names, rows = rows_of(path, Clock(options.limits))
        return names[0].lower() == "epoch" and whole_numbers([row[0] for row in islice(rows, 5)])
    except (SourceProblem, OSError):
        return False


def read(claim: Claim, options: Options, clock: Clock) -> list[RawRun]:
    """Return the run of one log; `assemble` splits one that begins again."""
    path, folder = claim.files[0], claim.folder
    name = relative(path, folder.root)
    run = RawRun(name, "keras", name, files=[path], restarts="split-at-first", seeds_in_name=True)
    run.evidence = "CSVLogger does not say how a run ended"
    names, rows = rows_of(path, clock)
    cells, skipped = Cells(run, path.name), 0
    for row in rows:
        step = step_of(row[0])
        if step is None:
            skipped += 1
            continue
        for column, cell in zip(names[1:], row[1:], strict=False):
            number = cells.number(column, cell)
            if number is not None:
                run.log.add(column, step, number)
    cells.finish()
    if skipped:
        run.notes.append(f"{skipped} rows of {path.name} have no whole epoch: excluded")
    _add_config(run, folder, options)
    if sum(other.lower().endswith(_SUFFIXES) for other in folder.files) == 1:
        list_files(run, folder)
    return [run]


def _add_config(run: RawRun, folder: Folder, options: Options) -> None:
    """Add ``config.json`` beside the only log of a folder."""
    logs = [name for name in folder.files if name.lower().endswith((".csv", ".log", ".tsv"))]
    if "config.json" not in folder.files or len(logs) > 1:
        return
    try:
        found: Any = read_json(folder.path / "config.json", options.limits)
    except SourceProblem as problem:
        run.notes.append(str(problem))
        return
    if isinstance(found, dict):
        run.config, run.has_config = found, True
        run.files.append(folder.path / "config.json")


FORMAT = Format("keras", "Keras CSVLogger", "a table whose first column is epoch", find, read)
