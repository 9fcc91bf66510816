"""Repair: damaged shards are moved aside, never deleted, and who is to train again is told."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._reading.safetensors import map_tensors
from .._reading.study_folders import refuse_url
from .._results import Result, Table
from .._words import count
from ..errors import CorruptShardError, StudyError
from .choosing import labels_of
from .facts import read_facts
from .files import storage_errors, tensor_bytes
from .index import index_path, stamps_of, stored_index
from .layout import DAMAGED, LABELS, RunMetadata, ShardMetadata, StudyMetadata, shard_folder
from .publishing import alone_in, flush, publish_file
from .shards import ShardRows, labels_digest, read_labels
from .verify import Verification, read_plan, verify_shard, verify_study, wrong_labels


@dataclass(frozen=True, eq=False, kw_only=True)
class Repair(Result):
    """What `repair_study` did, and what is to be done.

    Attributes
    ----------
    moved : dict of str to str
        Id of each damaged shard, and the folder where it lies now.
    again : dict of str to str
        Id of each run that only damaged shards held, and what it is called: train or record it again.
    unnamed : tuple of str
        Damaged shards of which it is not known which runs they held.
    restored : tuple of str
        Files that were made again from what is intact.
    left : tuple of str
        What is still wrong, a sentence each.
    """

    moved: dict[str, str]
    again: dict[str, str]
    unnamed: tuple[str, ...]
    restored: tuple[str, ...]
    left: tuple[str, ...]

    no_picture = "what was moved is a table: print(result), or result.table()"

    @property
    def ok(self) -> bool:
        """Whether the study is intact now."""
        return not self.left

    def table(self) -> Table:
        """Return the runs that are to be trained or recorded again."""
        return Table({"train again": list(self.again.values()), "run": list(self.again)})

    def sentence(self) -> str:
        """Say what was moved, and which runs are to be trained again."""
        if not (self.moved or self.restored or self.left):
            return "Nothing is damaged, and nothing was moved."
        said: list[str] = []
        if self.moved:
            said.append(f"Moved {count(len(self.moved), 'damaged shard')} to {DAMAGED}/; nothing was deleted.")
            if self.again or not self.unnamed:
                said.append(f"To train again: {count(len(self.again), 'run')}." if self.again else "No run is lost.")
        if self.unnamed:
            said.append(f"Which runs were in {', '.join(self.unnamed)} is not known.")
        said += [f"Made again: {', '.join(self.restored)}."] if self.restored else []
        return " ".join([*said, *(f"Still wrong: {one}" for one in self.left)])


def repair_study(path: str | os.PathLike[str]) -> Repair:
    """Move damaged shards of a study aside, and make again what can be made from what is intact.

    Labels are taken from intact shards that hold those the study was created with, and an index that is damaged is
    dropped. Nothing is deleted; `study.json` is never changed. Shards that cannot be judged here, because they may not
    be read or are of a newer version, stay where they are.

    Parameters
    ----------
    path : str or path
        The study's folder.

    Returns
    -------
    Repair
        What was moved, which runs are to be trained again, and what is still wrong.

    Raises
    ------
    NotAStudyError
        There is no study.
    """
    refuse_url(path, "repair a study")
    folder = Path(path)
    with storage_errors(f"repairing {folder}"), alone_in(folder):
        before = verify_study(folder, deep=True)
        lost = {name: _runs_of(folder, name) for name in before.corrupt}
        moved = {name: _move(folder, shard_folder(folder, name)) for name in before.corrupt}
        restored = _restored(folder, before)
        after = verify_study(folder, deep=True)
        rest = [_runs_of(folder, name) or () for name in stamps_of(folder)]
    kept = {run.id for held in rest for run in held if run.status != "failed"}
    runs = [run for held in lost.values() for run in held or () if run.id not in kept]
    return Repair(
        moved=moved,
        again=labels_of(runs),
        unnamed=tuple(name for name, held in lost.items() if held is None),
        restored=restored,
        left=() if after.ok else (after.sentence(),),
    )


def _runs_of(folder: Path, name: str) -> tuple[RunMetadata, ...] | None:
    """Return the runs that a shard holds: as it says itself, or as the index does; None where neither does."""
    try:
        return read_facts(shard_folder(folder, name)).runs
    except StudyError:
        pass
    try:
        return stored_index(folder)[name][1].runs
    except (OSError, ValueError, KeyError):
        return None


def _move(folder: Path, what: Path) -> str:
    aside = folder / DAMAGED
    aside.mkdir(exist_ok=True)
    target = aside / what.name
    if target.exists():
        target = aside / f"{what.name}-{uuid.uuid4().hex[:8]}"
    what.rename(target)
    for changed in (what.parent, aside):
        flush(changed)
    return str(target.relative_to(folder))


def _restored(folder: Path, found: Verification) -> tuple[str, ...]:
    """Make labels again from shards, and move a damaged index away, which is made again when it is needed."""
    made: list[str] = []
    index = index_path(folder)
    if index.name in found.files:
        _move(folder, index)
        made.append(index.name)
    try:
        plan = read_plan(folder)
    except StudyError:
        return tuple(made)
    if found.labels and (labels := _labels_of_shards(folder, plan)) is not None:
        if (folder / LABELS).exists():
            _move(folder, folder / LABELS)
        publish_file(folder / LABELS, tensor_bytes(labels))
        made.append(LABELS)
    return tuple(made)


def _labels_of_shards(folder: Path, plan: StudyMetadata) -> dict[str, NDArray[np.int64]] | None:
    """Return the labels of every split: from the file where they are right, else from shards; None where none has."""
    try:
        held: dict[str, NDArray[Any]] = dict(map_tensors(folder / LABELS))
    except CorruptShardError:
        held = {}
    intact = {name: facts for name in stamps_of(folder) if (facts := _intact(folder, name)) is not None}
    found: dict[str, NDArray[np.int64]] = {}
    for split in plan.splits:
        known = plan.labels.get(split) or _most_common(intact, split)
        array = held.get(split)
        if array is None or wrong_labels(array, known):
            array = _from_a_shard(folder, intact, split, known)
        if array is None:
            return None
        found[split] = array.astype(np.int64)
    return found


def _intact(folder: Path, name: str) -> ShardMetadata | None:
    try:
        facts, problems = verify_shard(shard_folder(folder, name), deep=False)
    except (StudyError, OSError):
        return None
    return None if problems else facts


def _most_common(intact: Mapping[str, ShardMetadata], split: str) -> str | None:
    seen = Counter(facts.labels[split] for facts in intact.values() if split in facts.labels)
    return seen.most_common(1)[0][0] if seen else None


def _from_a_shard(
    folder: Path, intact: Mapping[str, ShardMetadata], split: str, known: str | None
) -> NDArray[np.int64] | None:
    for name, facts in intact.items():
        if facts.labels.get(split) == known and known is not None:
            kinds = {kind for place, kind in facts.kinds.items() if place.partition("@")[0] == split}
            part = ShardRows(folder, name, facts, ())
            labels = read_labels(part, split, "classes" if kinds == {"classes"} else None)
            if labels_digest(labels) == known:
                return labels
    return None
