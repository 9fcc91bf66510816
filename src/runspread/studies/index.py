"""The index of a study's shards: a cache that makes opening quick and may be deleted at any time, never the truth.

It says of each shard's folder when that changed last, and of itself a sum: what does not agree is read again.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from .._reading.plain_files import cannot_look, read_whole
from .layout import CACHE, FORMAT_VERSION, SHARDS, ShardMetadata
from .publishing import publish_file

_LARGEST = 2**31  # bytes
Stamps = dict[str, tuple[int, int]]  # of each shard's folder: its number in the file system, and when it changed
Indexed = dict[str, tuple[tuple[int, int], ShardMetadata]]


def index_path(study: Path) -> Path:
    """Return where the index lies."""
    return study / CACHE / f"index-{FORMAT_VERSION}-stamped.msgpack"


def stamps_of(study: Path) -> Stamps:
    """Return the shards of a study that are published, each with what tells its folder from one put in its place."""
    folder = study / SHARDS
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if entry.name[0] != "." and entry.name not in _SYSTEM]
            stamps = {entry.name: _stamp(entry) for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise cannot_look(folder, error) from error
    return dict(sorted(stamps.items()))


_SYSTEM = ("Thumbs.db", "desktop.ini")  # files that file managers put into every folder


def _stamp(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        found = entry.stat()
    except OSError:  # gone since, or a link to nothing
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def read_index(study: Path, stamps: Mapping[str, tuple[int, int]]) -> dict[str, ShardMetadata]:
    """Return what the cache knows of the shards that did not change since; nothing where it cannot be read."""
    try:
        known = stored_index(study)
    except (OSError, ValueError):
        return {}
    return {name: facts for name, (stamp, facts) in known.items() if stamps.get(name) == stamp}


def stored_index(study: Path) -> Indexed:
    """Return the content of the cache.

    Raises
    ------
    OSError, ValueError
        There is none, or it is not as it was written.
    """
    data = read_whole(index_path(study), _LARGEST)
    if data[:8] != b"%08x" % zlib.crc32(data[8:]):
        raise ValueError("it differs from the sum that it holds of itself")
    try:
        return msgspec.msgpack.decode(data[8:], type=Indexed)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error


def write_index(study: Path, shards: Mapping[str, ShardMetadata], stamps: Stamps) -> None:
    """Write the cache, if the disk lets us."""
    known = {name: (stamps[name], facts) for name, facts in shards.items() if name in stamps}
    with suppress(OSError, OverflowError):  # a study on a read-only disk is merely slower to open
        data = msgspec.msgpack.encode(known)
        index_path(study).parent.mkdir(exist_ok=True)
        publish_file(index_path(study), b"%08x" % zlib.crc32(data) + data)
