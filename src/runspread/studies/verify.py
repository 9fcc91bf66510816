"""Verification: every file against its sums, and what is said of runs against what is held of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._reading.plain_files import UnfitJsonError, parse_json, read_json, read_whole, seal_holds
from .._reading.safetensors import map_tensors, need_not_be_damaged
from .._results import Result, Table
from ..errors import CorruptShardError, FormatVersionError, NotAStudyError, StudyError
from .checking import wrong_ensembles, wrong_in_depth
from .digests import wrong_digests
from .facts import read_facts
from .files import wrong_files
from .index import index_path, stamps_of, stored_index
from .layout import LABELS, PLAN_OF_LOOKS, PROVENANCE, SHARD, SHARDS, STUDY, ShardMetadata, StudyMetadata, decoded
from .shards import labels_digest


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
    unread : dict of str to str
        Id of each shard that cannot be judged here, and why: it may not be read, or a newer runspread wrote it.
    files : dict of str to tuple of str
        What is wrong with each other file: the plan, the index, the plan of looks, and ensembles in the folder.
    """

    shards: int
    runs: int
    attempts: int
    labels: tuple[str, ...]
    corrupt: dict[str, tuple[str, ...]]
    leftovers: tuple[str, ...]
    unread: dict[str, str] = field(default_factory=dict[str, str])
    files: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    @property
    def ok(self) -> bool:
        """Whether all that was checked is intact."""
        return not (self.corrupt or self.unread or self.labels or self.files)

    def table(self) -> Table:
        """Return one row per shard or file that is corrupt, or cannot be judged."""
        problems = {**self.files, **({LABELS: self.labels} if self.labels else {}), **self.corrupt}
        problems |= {name: (why,) for name, why in self.unread.items()}
        return Table({"corrupt": list(problems), "problem": ["; ".join(found) for found in problems.values()]})

    def sentence(self) -> str:
        """Say whether the study is intact."""
        more = f", and {self.attempts} more attempt{'s' * (self.attempts > 1)} at them" if self.attempts else ""
        read = f"{self.shards - len(self.unread)} of {self.shards}" if self.unread else f"All {self.shards}"
        agree = f"{read} shards ({self.runs} runs{more}) agree with their checksums"
        unread = "".join(f"; shard {name} cannot be judged here: {why}" for name, why in self.unread.items())
        named = f"{len(self.corrupt)} of {self.shards} shards are corrupt: {', '.join(self.corrupt)}"
        labels = f"; {LABELS} is corrupt: {'; '.join(self.labels)}" if self.labels else ""
        files = "".join(f"; {name} is corrupt: {'; '.join(found)}" for name, found in self.files.items())
        return f"{named if self.corrupt else agree}{unread}{labels}{files}".removesuffix(".") + "."


def read_plan(folder: Path) -> StudyMetadata:
    """Return the content of ``study.json``."""
    path = folder / STUDY
    try:
        return decoded(read_whole(path), StudyMetadata, path)
    except FileNotFoundError as error:
        raise NotAStudyError(
            f"{folder} holds no study ({f'no {STUDY}' if folder.is_dir() else 'no such folder'})",
            "a folder that runspread made",
            "Make one with rs.create_study, rs.train or `runspread train`.",
        ) from error
    except (OSError, UnfitJsonError, MemoryError) as error:
        hint = "Copy it back from where the study was made: it holds what was planned."
        raise NotAStudyError(f"{path} cannot be read ({error})", "the metadata of a study", hint) from error


def verify_study(path: Path, *, deep: bool = False) -> Verification:
    """Check the study under `path`: every shard, the plan, the labels, the index; in depth, as `checking` says."""
    files: dict[str, tuple[str, ...]] = {}
    plan: StudyMetadata | None = None
    try:
        plan = read_plan(path)
    except StudyError as error:
        if not (path / STUDY).exists() or isinstance(error, FormatVersionError):
            raise
        files[STUDY] = (error.found,)
    leftovers = tuple(sorted(one.name for one in (path / SHARDS).glob(".*")))
    corrupt: dict[str, tuple[str, ...]] = {}
    unread: dict[str, str] = {}
    intact: dict[str, ShardMetadata] = {}
    stamps = stamps_of(path)
    for name in stamps:
        try:
            facts, problems = verify_shard(path / SHARDS / name, deep=deep)
        except (StudyError, OSError) as error:
            unread[name] = str(error)
            continue
        if facts is not None and not problems:
            intact[name] = facts
        else:
            corrupt[name] = tuple(problems)
    files |= {name: tuple(found) for name, found in _wrong_others(path, intact, deep=deep).items()}
    attempts = [run.id for facts in intact.values() for run in facts.runs]
    return Verification(
        shards=len(stamps),
        runs=len(set(attempts)),
        attempts=len(attempts) - len(set(attempts)),
        labels=tuple(_wrong_labels(path / LABELS, plan, list(intact.values()))) if plan and plan.splits else (),
        corrupt=corrupt,
        unread=unread,
        leftovers=leftovers,
        files=files,
    )


def verify_shard(folder: Path, *, deep: bool) -> tuple[ShardMetadata | None, list[str]]:
    """Return what a shard says of itself, and what is wrong with it.

    Raises
    ------
    StudyError, OSError
        It cannot be judged here: this process may not read it or has no files left, or a newer runspread wrote it.
    """
    problems: list[str] = []
    try:
        problems = wrong_files(folder)
        facts = read_facts(folder)
        if folder.is_symlink():
            problems.append("it is a link to another folder")
        problems += _wrong_provenance(folder, facts)
        if deep and not problems:
            parse_json(read_whole(folder / SHARD))
            problems += wrong_in_depth(folder, facts)
    except (StudyError, OSError, UnfitJsonError) as error:
        if need_not_be_damaged(error):
            raise
        return None, [*problems, str(error)]
    return facts, problems


def _wrong_provenance(folder: Path, facts: ShardMetadata) -> list[str]:
    try:
        data = read_whole(folder / PROVENANCE)
        parse_json(data)
        holds = seal_holds(data)
    except (OSError, UnfitJsonError) as error:
        if need_not_be_damaged(error):
            raise
        return [f"{PROVENANCE} cannot be read ({error})"]
    differs = holds is False or (holds is None and bool(facts.sums))
    return [f"{PROVENANCE} differs from the sum that it holds of itself"] * differs


def _wrong_others(path: Path, intact: dict[str, ShardMetadata], *, deep: bool) -> dict[str, list[str]]:
    """Return what is wrong with the index, the plan of looks and ensembles, by the name of the file."""
    found: dict[str, list[str]] = {}
    if os.path.lexists(index_path(path)):
        try:
            known = stored_index(path)
            stamps = stamps_of(path)
            now = {name: facts for name, (stamp, facts) in known.items() if stamps.get(name) == stamp}
            differ = [name for name, facts in now.items() if name in intact and facts != intact[name]]
            found[index_path(path).name] = [f"it says something else of {name} than its {SHARD}" for name in differ]
        except (OSError, ValueError) as error:
            found[index_path(path).name] = [f"{error}; delete it, and it is made again"]
    if (path / PLAN_OF_LOOKS).exists():
        try:
            plan: dict[str, Any] = read_json(path / PLAN_OF_LOOKS, dict[str, Any])
            holds = seal_holds(read_whole(path / PLAN_OF_LOOKS))
            wrong = holds is False or (holds is None and "version" in plan)
            found[PLAN_OF_LOOKS] = ["it differs from the sum that it holds of itself"] * wrong
        except (OSError, UnfitJsonError) as error:
            found[PLAN_OF_LOOKS] = [str(error)]
    found |= wrong_digests(path, intact, deep=deep)
    if deep:
        found |= wrong_ensembles(path)
    return {name: problems for name, problems in found.items() if problems}


def wrong_labels(array: NDArray[Any] | None, known: str | None) -> str:
    """Return what is wrong with the labels of a split that a study was created with; empty where nothing is."""
    if array is None or array.dtype != np.int64 or array.ndim != 1 or not array.size or int(array.min()) < 0:
        return "holds no labels"
    return "holds other labels than it was created with," if known not in (None, labels_digest(array)) else ""


def _wrong_labels(file: Path, plan: StudyMetadata, shards: Sequence[ShardMetadata]) -> list[str]:
    """Return what is wrong with the study's labels: the plan knows them, and so does every shard."""
    try:
        labels = map_tensors(file)
    except CorruptShardError as error:
        return [error.found]
    problems = [f"it holds {name}, which is no split" for name in labels if name not in plan.splits]
    for split in plan.splits:
        array = labels.get(split)
        if problem := wrong_labels(array, plan.labels.get(split)):
            problems.append(f"it {problem} of split {split!r}")
            if array is None or "no labels" in problem:
                continue
        ours, theirs = labels_digest(labels[split]), [one.labels[split] for one in shards if split in one.labels]
        differ = len(theirs) - theirs.count(ours)
        if differ:
            problems.append(f"split {split!r} differs from the labels in {differ} of {len(theirs)} shards")
    return problems
