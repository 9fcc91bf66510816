"""TensorBoard event files: a folder is a run; what ``add_scalars`` and ``add_hparams`` put below belongs to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .event_files import EventFile, read_event_file
from .formats import Claim, Format, Taken, list_files
from .limits import Clock
from .options import Options
from .records import Log, RawRun
from .walking import Folder, Tree

_NAME = re.compile(r"events\.out\.tfevents\.(\d+)\.(.*?)(?:\.(\d+))?(?:\.(\d+))?(?:\.v2)?\Z")
_STAMP = re.compile(r"\d{9,}(\.\d+)?\Z")
_KERAS = ({"train", "validation"},)  # what TensorFlow's callback makes of one training
_DATED = re.compile(r"(?:^|/)[A-Z][a-z]{2}\d{2}_\d{2}-\d{2}-\d{2}_([^/]+)")


def is_event_file(name: str) -> bool:
    """Whether a file is one of events, by its name."""
    return "tfevents" in name and not name.endswith((".gz", ".zip", ".profile-empty"))


def event_files(folder: Folder) -> list[Path]:
    """Return a folder's event files in the order in which they were begun."""
    return [folder.path / name for name in sorted(filter(is_event_file, folder.files), key=_order)]


def _order(name: str) -> tuple[int, int, str]:
    found = _NAME.match(name)
    return (int(found[1]), int(found[4] or found[3] or 0), name) if found else (0, 0, name)


def host_of(files: Sequence[Path]) -> str:
    """Return the host in the name of an event file."""
    found = next((match for file in files if (match := _NAME.match(file.name))), None)
    return found[2] if found else ""


def without_host(path: str, files: Sequence[Path]) -> str:
    """Return a run's path without the host that SummaryWriter puts into the name of a folder."""
    host = host_of(files)
    dated = _DATED.search(path)
    return path.replace(f"_{host}", "_host") if host and dated and dated[1].startswith(host) else path


def add_events(run: RawRun, files: Sequence[Path], options: Options, clock: Clock) -> list[EventFile]:
    """Add the scalars of event files to a run's log, a segment for each file and session."""
    found: list[EventFile] = []
    for path in files:
        events = read_event_file(path, clock, verify=options.verify)
        run.log.begin_segment()
        _extend(run.log, events)
        run.left_out.update(events.left_out)
        if events.problem:
            run.notes.append(f"{_shown(path)}: {events.problem}")
        found.append(events)
        times = next((block.times for block in events.blocks if len(block.times)), None)
        if times is not None and run.started is None:
            run.started = float(times[0])
    run.files += files
    return found


def _shown(path: Path) -> str:
    """Return how an event file is called: without its host."""
    found = _NAME.match(path.name)
    return f"the event file of {found[1]}" if found else "an event file"


def _extend(log: Log, events: EventFile) -> None:
    numbers = np.array([log.number(name) for name in events.names], np.int32)
    for block in events.blocks:
        bounds = [0, *block.starts, len(block.which)]
        for part, (start, end) in enumerate(pairwise(bounds)):
            if part:
                log.begin_segment()
            if end > start:
                rows = slice(start, end)
                log.extend(numbers[block.which[rows]], block.steps[rows], block.values[rows], block.times[rows])


def find(tree: Tree, taken: Taken, options: Options) -> list[Claim]:
    """Return a claim for each folder with event files."""
    del options
    claims: list[Claim] = []
    for folder in taken.free(tree.top):
        files = [path for path in event_files(folder) if not taken.has(path)]
        if files:
            claims.append(Claim(folder, files, whole=False))
    return claims


def read(claim: Claim, options: Options, clock: Clock) -> list[RawRun]:
    """Return the run of one folder."""
    path = without_host(claim.folder.relative, claim.files)
    run = RawRun(path, "tensorboard", path)
    found = add_events(run, claim.files, options, clock)
    for events in found:
        run.config |= events.hparams
    run.has_config = bool(run.config)
    run.evidence = "event files do not say how a run ended"
    if not claim.folder.folders or not any(map(is_event_file, _names_below(claim.folder))):
        list_files(run, claim.folder)
    run.seeds_in_name = True
    return [run]


def _names_below(folder: Folder) -> list[str]:
    return [name for inside in folder.folders.values() for below in inside.walk() for name in below.files]


def join(runs: list[RawRun]) -> list[RawRun]:
    """Put sub-folders to the runs that they belong to."""
    by_path = {run.path: run for run in runs}
    kept: list[RawRun] = []
    joined: set[str] = set()
    for run in sorted(runs, key=lambda run: run.path.count("/")):
        parent_path, _, name = run.path.rpartition("/")
        parent = by_path.get(parent_path)
        if (parent is None and parent_path and not _is_split(by_path, parent_path)) or (
            parent is None and (not parent_path)
        ):
            kept.append(run)
        elif parent is None:
            by_path[parent_path] = parent = RawRun(parent_path, run.format, parent_path, evidence=run.evidence)
            parent.seeds_in_name = True
            kept.append(parent)
            _put(run, parent, f"{name}/")
        elif parent_path in joined:
            kept.append(run)
        elif (prefix := _prefix(run, name, by_path, parent_path)) is not None:
            _put(run, parent, prefix)
            joined.add(run.path)
        else:
            kept.append(run)
    order = {run.path: number for number, run in enumerate(runs)}
    return sorted(kept, key=lambda run: order.get(run.path, min(order.values(), default=0)))


def _is_split(by_path: dict[str, Any], parent: str) -> bool:
    inside = {path.rpartition("/")[2] for path in by_path if path.rpartition("/")[0] == parent}
    return inside in _KERAS


def _prefix(run: RawRun, name: str, by_path: dict[str, Any], parent: str) -> str | None:
    """Return how a sub-folder's metrics are called in its parent: a callable prefix, or None where it is a run."""
    if _STAMP.match(name):
        return ""
    if name in ("train", "validation") and _is_split(by_path, parent):
        return f"{name}/"
    tags = run.log.names
    if tags and all(name.startswith(tag.replace("/", "_").replace(" ", "_") + "_") for tag in tags):
        return "*"
    return None


def _put(run: RawRun, parent: RawRun, prefix: str) -> None:
    """Move a sub-folder's points to its parent."""
    name = run.path.rpartition("/")[2]

    def called(tag: str) -> str:
        if prefix != "*":
            return prefix + tag
        return f"{tag}/{name[len(tag.replace('/', '_')) + 1 :]}"

    parent.log.join(run.log.points(), [called(tag) for tag in run.log.names])
    parent.config |= run.config
    parent.has_config |= run.has_config
    parent.files += run.files
    parent.notes += run.notes
    parent.left_out.update(run.left_out)


FORMAT = Format("tensorboard", "TensorBoard", "events.out.tfevents.*", find, read, join)
