"""Lightning: ``version_N`` with ``metrics.csv``, event files and ``hparams.yaml``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from .formats import Claim, Format, Taken, list_files
from .limits import Clock, SourceProblem
from .options import Options
from .plain_yaml import read_yaml
from .records import RawRun
from .tables import Cells, rows_of, step_of
from .tensorboard import add_events, event_files, is_event_file
from .walking import Folder, Tree

_VERSION = re.compile(r"version_\d+\Z")
_CSV, _HPARAMS = "metrics.csv", "hparams.yaml"
_CLI = ("seed_everything",)


def find(tree: Tree, taken: Taken, options: Options) -> list[Claim]:
    """Return a claim for each version."""
    del options
    return [Claim(folder) for folder in taken.free(tree.top) if _is_version(folder)]


def _is_version(folder: Folder) -> bool:
    if "trainer_state.json" in folder.files:
        return False
    events = any(map(is_event_file, folder.files))
    if _HPARAMS in folder.files:
        return _CSV in folder.files or events or _VERSION.match(folder.name) is not None
    return _CSV in folder.files and _has_steps(folder.path / _CSV)


def _has_steps(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            names = file.readline(65536).decode("utf-8-sig", errors="replace").strip().split(",")
    except OSError:
        return False
    return {"step", "epoch"} <= set(names)


def read(claim: Claim, options: Options, clock: Clock) -> list[RawRun]:
    """Return the run of one version."""
    folder = claim.folder
    run = RawRun(folder.relative, "lightning", folder.relative)
    run.evidence = "Lightning's loggers do not say how a run ended"
    run.seeds_in_name = True
    _read_hparams(run, folder, options)
    if _CSV in folder.files:
        read_csv(run, folder.path / _CSV, clock, options.step)
    events = event_files(folder)
    if events:
        _add_events(run, folder, options, clock)
    list_files(run, folder)
    return [run]


def _read_hparams(run: RawRun, folder: Folder, options: Options) -> None:
    for name in (_HPARAMS, "config.yaml"):
        if name not in folder.files:
            continue
        path = folder.path / name
        run.files.append(path)
        try:
            found = read_yaml(path, options.limits, run.left_out)
        except SourceProblem as problem:
            run.notes.append(f"{problem}: the hyperparameters are unknown")
            continue
        if isinstance(found, dict) and found:
            content: dict[str, Any] = found
            if name == _HPARAMS:
                run.config |= content
            else:
                run.config |= {key: content[key] for key in _CLI if key in content and key not in run.config}
            run.has_config = True
    if run.left_out.get("Python objects in YAML"):
        run.notes.append(f"{_HPARAMS} holds Python objects, which are not read")


def read_csv(run: RawRun, path: Path, clock: Clock, axis: str | None = None) -> None:
    """Add the rows of ``metrics.csv`` to a run's log, on its column ``step`` or another one that is asked for."""
    run.files.append(path)
    names, rows = rows_of(path, clock)
    if "step" not in names:
        raise SourceProblem(f"{path.name} has no column step")
    at, cells, skipped = names.index(axis if axis in names else "step"), Cells(run, path.name), 0
    columns = [(k, name) for k, name in enumerate(names) if k != at and name not in ("epoch", "step")]
    for row in rows:
        step = step_of(row[at]) if at < len(row) else None
        if step is None:
            skipped += 1
            continue
        for k, name in columns:
            cell = row[k] if k < len(row) else ""
            if cell and (number := cells.number(name, cell)) is not None:
                run.log.add(name, step, number)
    cells.finish()
    if skipped:
        run.notes.append(f"{skipped} rows of {path.name} have no whole step: excluded")


def _add_events(run: RawRun, folder: Folder, options: Options, clock: Clock) -> None:
    """Add event files: alone, or beside a CSV file those of their metrics that reach further."""
    if not run.log.names:
        add_events(run, event_files(folder), options, clock)
        return
    other = RawRun(run.id, run.format, run.path)
    add_events(other, event_files(folder), options, clock)
    run.files += other.files
    run.left_out.update(other.left_out)
    ours, theirs = run.log.points(), other.log.points()
    counts = {name: int((ours.which == k).sum()) for k, name in enumerate(run.log.names)}
    further = [k for k, name in enumerate(other.log.names) if int((theirs.which == k).sum()) > counts.get(name, 0)]
    known = [other.log.names[k] for k in further if other.log.names[k] in counts]
    if known:
        run.notes.append(
            f"the event files hold more points of {', '.join(known[:3])} than {_CSV}, which a resumed run begins anew: "
            "the event files are read"
        )
        run.log, run.notes = other.log, run.notes + other.notes
    elif further:
        part = theirs.take(np.flatnonzero(np.isin(theirs.which, further)))
        run.log.join(part._replace(segments=part.segments * 0), other.log.names)


def join(runs: list[RawRun]) -> list[RawRun]:
    """Say which version may be the one before it, resumed: it is proposed, and not done."""
    before: dict[str, RawRun] = {}
    for run in runs:
        parent, _, name = run.path.rpartition("/")
        earlier = before.get(parent)
        if earlier is not None and _VERSION.match(name) and _continues(earlier, run):
            run.notes.append(
                f"it may be {earlier.path} resumed: equal hyperparameters, and it begins where that one ended; to have "
                "one run, import them apart and say so"
            )
        before[parent] = run
    return runs


def _continues(earlier: RawRun, run: RawRun) -> bool:
    first, second = earlier.log.points().steps, run.log.points().steps
    if not (len(first) and len(second)) or not earlier.config or earlier.config != run.config:
        return False
    epoch = int(first.max()) - int(first.min()) + 1
    return 0 < int(second.min()) - int(first.max()) <= epoch


FORMAT = Format(
    "lightning", "Lightning", "metrics.csv with step and epoch, or event files beside hparams.yaml", find, read, join
)
