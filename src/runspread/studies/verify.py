"""Verification: every file against its checksum, and the study's labels against those of its shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._reading.safetensors import map_tensors
from .._results import Result, Table
from ..errors import CorruptShardError, FormatVersionError
from .files import wrong_files
from .layout import LABELS, SHARDS, ShardMetadata
from .shards import labels_digest, read_facts


@dataclass(frozen=True, eq=False, kw_only=True)
class Verification(Result):
    """What `Study.verify` found.

    Attributes
    ----------
    shards : int
        Number of shards.
    runs : int
        Number of runs in the intact shards.
    attempts : int
        How often the intact shards hold one of these runs again: failed attempts, besides the one that counts.
    labels : tuple of str
        What is wrong with the labels that the study was created with, one sentence per split.
    corrupt : dict of str to tuple of str
        Id of each corrupt shard, and what is wrong with it.
    leftovers : tuple of str
        Folders of shards that were in progress when a process was killed; they may be deleted.
    """

    shards: int
    runs: int
    attempts: int
    labels: tuple[str, ...]
    corrupt: dict[str, tuple[str, ...]]
    leftovers: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every shard and the labels are intact."""
        return not self.corrupt and not self.labels

    def table(self) -> Table:
        """Return one row per corrupt shard, and one for the labels if they are corrupt."""
        problems = {LABELS: self.labels, **self.corrupt} if self.labels else self.corrupt
        return Table({"corrupt": list(problems), "problem": ["; ".join(found) for found in problems.values()]})

    def sentence(self) -> str:
        """Say whether the study is intact."""
        more = f", and {self.attempts} more attempt{'s' * (self.attempts > 1)} at them" if self.attempts else ""
        intact = f"All {self.shards} shards ({self.runs} runs{more}) agree with their checksums"
        named = f"{len(self.corrupt)} of {self.shards} shards are corrupt: {', '.join(self.corrupt)}"
        labels = f"; {LABELS} is corrupt: {'; '.join(self.labels)}" if self.labels else ""
        return f"{named if self.corrupt else intact}{labels}."


def verify_study(path: Path, splits: Sequence[str]) -> Verification:
    """Check every shard under `path`, and the labels of the splits that the study was created with."""
    folders = sorted(folder for folder in (path / SHARDS).glob("*"))
    leftovers = tuple(folder.name for folder in folders if folder.name.startswith("."))
    shards = [folder for folder in folders if folder.name not in leftovers]
    corrupt: dict[str, tuple[str, ...]] = {}
    intact: list[ShardMetadata] = []
    for folder in shards:
        problems = wrong_files(folder)
        try:
            intact += [] if problems else [read_facts(folder)]
        except (CorruptShardError, FormatVersionError) as error:
            problems.append(str(error))
        if problems:
            corrupt[folder.name] = tuple(problems)
    attempts = [run.id for facts in intact for run in facts.runs]
    return Verification(
        shards=len(shards),
        runs=len(set(attempts)),
        attempts=len(attempts) - len(set(attempts)),
        labels=tuple(_wrong_labels(path / LABELS, splits, intact)) if splits else (),
        corrupt=corrupt,
        leftovers=leftovers,
    )


def _wrong_labels(file: Path, splits: Sequence[str], shards: list[ShardMetadata]) -> list[str]:
    """Return what is wrong with the study's labels: they have no checksum, but every shard has one of its own."""
    try:
        labels = map_tensors(file)
    except CorruptShardError as error:
        return [error.found]
    problems: list[str] = []
    for split in splits:
        array = labels.get(split)
        if array is None or array.dtype != np.int64 or array.ndim != 1 or not array.size:
            problems.append(f"it holds no labels of split {split!r}")
            continue
        ours, theirs = labels_digest(array), [facts.labels[split] for facts in shards if split in facts.labels]
        differ = len(theirs) - theirs.count(ours)
        if differ:
            problems.append(f"split {split!r} differs from the labels in {differ} of {len(theirs)} shards")
    return problems
