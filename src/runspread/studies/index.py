"""The index of a study's shards: a cache that makes opening quick and may be deleted at any time, never the truth."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from .files import write_bytes
from .layout import CACHE, FORMAT_VERSION, ShardMetadata


def _index_path(study: Path) -> Path:
    return study / CACHE / f"index-{FORMAT_VERSION}.msgpack"


def read_index(study: Path) -> dict[str, ShardMetadata]:
    """Return what the cache knows of the shards; nothing when it is missing or unreadable."""
    try:
        return msgspec.msgpack.decode(_index_path(study).read_bytes(), type=dict[str, ShardMetadata])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def write_index(study: Path, shards: dict[str, ShardMetadata]) -> None:
    """Write the cache, if the disk lets us."""
    path = _index_path(study)
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{time.monotonic_ns()}")
    with suppress(OSError):  # a study on a read-only disk is merely slower to open
        path.parent.mkdir(exist_ok=True)
        write_bytes(temporary, msgspec.msgpack.encode(shards))
        temporary.replace(path)
