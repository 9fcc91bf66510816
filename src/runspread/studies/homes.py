"""Where a study lives: a folder, or a store of objects that a folder of this process mirrors.

A mirror holds the marks of all shards and those files that were asked for, each compared with its sum, so that whatever
reads a study reads a folder. What is written is made there too, and then published.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import CorruptShardError, InputError, StorageError
from .creating import begin_study
from .facts import holds, read_facts
from .files import sha256, sha256_bytes
from .layout import (
    CACHE,
    CHECKSUMS,
    LABELS,
    PARTS,
    SHARD,
    SHARDS,
    STUDY,
    StudyMetadata,
    holds_study,
    shard_folder,
)
from .publishing import FolderExistsError, copy_plain, publish_file, published_folder, temporary_name
from .records import RunRecord
from .shards import write_shard
from .stores.contract import Store
from .stores.marks import Mark, mark_bytes, read_mark
from .stores.pieces import add_piece, read_pieces
from .stores.probing import probe
from .stores.urls import checked_url, is_url, local_folder, open_store
from .verify import read_plan

_AT_ONCE = 64  # requests in flight
_INDEX = f"{CACHE}/index/"


class FolderHome:
    """A study in a folder.

    Attributes
    ----------
    path : Path
        The folder.
    taken : set of str
        Ids of shards that nobody can publish any more, because a cleaner took them.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.taken = path, set[str]()
        self.fetch: Callable[[str, str, str], None] | None = None

    def __str__(self) -> str:
        return str(self.path)

    @property
    def whole(self) -> str:
        """What another process opens the study by."""
        return str(self.path.resolve())

    def has_plan(self) -> bool:
        """Whether a study is there."""
        return holds_study(self.path)

    def begin(self, facts: StudyMetadata, labels: Mapping[str, NDArray[Any]]) -> bool:
        """Create a study; False where another process was first."""
        return begin_study(self.path, facts, labels)

    def refresh(self) -> None:
        """Look what others published since; a folder shows it by itself."""

    def add(self, name: str, source: Path) -> None:
        """Publish a copy of a shard's folder.

        Raises
        ------
        FolderExistsError
            Another process was first with other content.
        """
        target = shard_folder(self.path, name)
        try:
            with published_folder(target) as folder:
                copy_plain(source, folder)
        except FolderExistsError:
            if not holds(target, read_facts(source), (source / CHECKSUMS).read_bytes()):
                raise

    def write(self, name: str, records: Sequence[RunRecord], **how: Any) -> bool:
        """Publish runs as a shard; False where other content was there before, which stays as it was."""
        return write_shard(shard_folder(self.path, name), records, **how)

    def complete(self) -> None:
        """Fetch all that is not here yet."""

    def unfetched(self, part: str) -> int:
        """Return the bytes that reading predictions, metrics or weights would still have to fetch."""
        del part
        return 0


class StoreHome(FolderHome):
    """A study in a store, mirrored by a folder that goes when nobody uses it any more."""

    def __init__(self, store: Store) -> None:
        folder = Path(tempfile.mkdtemp(prefix="runspread-mirror-"))
        super().__init__(folder)
        self.store, self.fetch = store, self._fetch
        self._marks: dict[str, Mark] = {}
        self._away = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        (folder / SHARDS).mkdir()

    def __str__(self) -> str:
        return self.store.url

    @property
    def whole(self) -> str:
        """The store's URL; whoever opens it finds credentials of its own."""
        return self.store.url

    def has_plan(self) -> bool:
        """Whether a study is there; then its plan and its labels are here."""
        try:
            plan = self.store.read(STUDY)
        except KeyError:
            return False
        publish_file(self.path / STUDY, plan)
        for name in (_labels_object(read_plan(self.path)), LABELS):
            with suppress(KeyError):
                publish_file(self.path / LABELS, self.store.read(name))
                break
        return True

    def begin(self, facts: StudyMetadata, labels: Mapping[str, NDArray[Any]]) -> bool:
        """Create a study: first the store is tried, then come the labels, and the plan last."""
        probe(self.store)
        begin_study(self.path, facts, labels)
        if labels:
            self.store.write(_labels_object(facts), self.path / LABELS)
        won = self.store.create(STUDY, (self.path / STUDY).read_bytes())
        return won or not self.has_plan()

    def add(self, name: str, source: Path) -> None:
        """Publish a copy of a shard's folder."""
        if not self.publish(name, source):
            raise FolderExistsError(name)

    def refresh(self) -> None:
        """Read the marks of shards that are new; a shard without one is in progress."""
        there = {prefix.split("/")[-2] for prefix in self.store.list(f"{SHARDS}/").prefixes}
        for gone in self._marks.keys() - there:
            shutil.rmtree(shard_folder(self.path, gone), ignore_errors=True)
            del self._marks[gone]
        known = read_pieces(self.store, _INDEX) if not self._marks and there else {}
        new = sorted(there - self._marks.keys() - self.taken)
        unread = [name for name in new if name not in known]
        with ThreadPoolExecutor(max(1, min(_AT_ONCE, len(unread)))) as pool:
            read = dict(zip(unread, pool.map(self._mark_of, unread), strict=True))
        fresh = {name: data for name, data in read.items() if data is not None}
        for name in new:
            if (data := known.get(name) or fresh.get(name)) is not None:
                self._take(name, data)
        add_piece(self.store, _INDEX, fresh, known)

    def write(self, name: str, records: Sequence[RunRecord], **how: Any) -> bool:
        """Publish runs as a shard."""
        stage = self.path / f".stage-{uuid.uuid4().hex[:12]}"
        stage.mkdir()
        try:
            write_shard(stage / name, records, **how)
            return self.publish(name, stage / name)
        finally:
            shutil.rmtree(stage, ignore_errors=True)

    def publish(self, name: str, folder: Path) -> bool:
        """Publish a folder as a shard: its files under the name of this attempt alone, the mark last.

        Returns
        -------
        bool
            Whether the store holds this content now; False where other content was there before, or a cleaner took the
            id.

        Raises
        ------
        StorageError
            It is not known. Nothing is taken away then: a late request may still publish what is there.
        """
        if self._mark_of(name) is not None:  # nothing has to be sent to be told so
            return self._another_was_first(name, folder, [])
        attempt = uuid.uuid4().hex[:12]
        files = {place.name: place for place in sorted(folder.iterdir()) if place.name != SHARD}
        sums = {file: (place.stat().st_size, sha256(place)) for file, place in files.items()}
        mark = mark_bytes(at=attempt, files=sums, shard=(folder / SHARD).read_text())
        keys = {file: f"{SHARDS}/{name}/{attempt}/{file}" for file in files}
        for file, place in files.items():
            self.store.write(keys[file], place)
        if self.store.create(_key(name), mark):
            self._take(name, mark)
            return True
        return self._another_was_first(name, folder, list(keys.values()))

    def _another_was_first(self, name: str, folder: Path, own: list[str]) -> bool:
        data = self._mark_of(name)
        if data is None:
            raise StorageError(f"the mark of shard {name} was there and is gone", hint="Nothing was lost: try again.")
        self._take(name, data)
        with suppress(StorageError):  # another's mark was seen, so nothing can publish these; the cleaner may have to
            self.store.delete(own)
        if name in self.taken:
            return False
        self._fetch(SHARDS, name, CHECKSUMS)
        return holds(shard_folder(self.path, name), read_facts(folder), (folder / CHECKSUMS).read_bytes())

    def complete(self) -> None:
        """Fetch all files of all shards."""
        for name, mark in self._marks.items():
            for file in mark.files or self._files_beside(name):
                self._fetch(SHARDS, name, file)

    def unfetched(self, part: str) -> int:
        """Return the bytes that reading a part of all runs would still have to fetch; of predictions, their columns."""
        wanted, missing = PARTS[part], 0
        for name, mark in self._marks.items():
            file = next((file for file in wanted if file in mark.files), None)
            if file is not None and not (shard_folder(self.path, name) / file).exists():
                missing += mark.files[file][0]
        return missing

    def _files_beside(self, name: str) -> Iterator[str]:
        for entry in self.store.list(f"{SHARDS}/{name}/").objects:
            if not entry.key.endswith(f"/{SHARD}"):
                yield entry.key.rpartition("/")[2]

    def _mark_of(self, name: str) -> bytes | None:
        with suppress(KeyError):
            return self.store.read(_key(name))
        return None

    def _take(self, name: str, data: bytes) -> None:
        """Note a mark, and put what it says of its shard where a folder has it."""
        mark = read_mark(data)
        if mark.void:
            self.taken.add(name)
            return
        self._marks[name] = mark
        target = shard_folder(self.path, name)
        target.mkdir(exist_ok=True)
        _put(target / SHARD, mark.shard.encode())

    def _fetch(self, under: str, name: str, file: str) -> None:
        """Bring a file of a shard here, if it is not and there is one."""
        target, mark = self.path / under / name / file, self._marks.get(name)
        if target.exists() or under != SHARDS or mark is None or (mark.files and file not in mark.files):
            return
        try:
            data = self.store.read("/".join(part for part in (SHARDS, name, mark.at, file) if part))
        except KeyError:
            return  # whoever reads it says what is missing
        if mark.files and (len(data), sha256_bytes(data)) != tuple(mark.files[file]):
            raise CorruptShardError(
                f"{file} of shard {name} in {self.store.url} differs from its mark", "the file as it was published"
            )
        _put(target, data)


def _put(target: Path, data: bytes) -> None:
    """Let a file of the mirror appear whole; nothing of it has to outlive this process."""
    temporary = target.with_name(temporary_name())
    temporary.write_bytes(data)
    temporary.replace(target)


def _labels_object(facts: StudyMetadata) -> str:
    """Return the name of the object with the labels of a plan: two plans that are made at once share none."""
    digest = sha256_bytes(repr(sorted(facts.labels.items())).encode())[:16]
    return LABELS.replace(".", f"-{digest}.")


def _key(name: str) -> str:
    return f"{SHARDS}/{name}/{SHARD}"


def home_at(path: str | os.PathLike[str], storage: Mapping[str, Any] | None = None) -> FolderHome:
    """Return where the study at a path or URL lives, whether there is one yet or not."""
    if is_url(path) and not str(path).startswith("file://"):
        return StoreHome(open_store(path, storage))
    if storage:
        raise InputError("storage= was given for a folder", "a URL such as s3://bucket/study", "Drop storage=.")
    return FolderHome(local_folder(checked_url(str(path))) if is_url(path) else Path(path))
