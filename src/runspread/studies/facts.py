"""What a shard says of itself: read, and compared with what another one says."""

from __future__ import annotations

from pathlib import Path

import msgspec

from .._reading.plain_files import UnfitJsonError, read_whole
from .._reading.safetensors import unreadable
from ..errors import CorruptShardError
from .layout import CHECKSUMS, SHARD, ShardMetadata, decoded


def holds(folder: Path, facts: ShardMetadata, sums: bytes) -> bool:
    """Whether a shard has these facts and checksums; its position in the study is no part of a run."""
    try:
        there, sums_there = read_facts(folder), (folder / CHECKSUMS).read_bytes()
    except (CorruptShardError, OSError):
        return False
    same_facts = _of_runs(there) == _of_runs(facts)
    return same_facts and _sums_of_arrays(sums_there) == _sums_of_arrays(sums)


def _of_runs(facts: ShardMetadata) -> bytes:
    """Return what a shard says of its runs: without its place in the study, and sums that older versions lack."""
    return msgspec.json.encode(msgspec.structs.replace(facts, position=0, sums={}, crc32=""))


def _sums_of_arrays(sums: bytes) -> list[bytes]:
    return [line for line in sums.splitlines() if not line.endswith(f"  {SHARD}".encode())]


def read_facts(folder: Path | str) -> ShardMetadata:
    """Read ``shard.json``.

    Raises
    ------
    CorruptShardError
        It is missing or not what was written.
    FormatVersionError
        A newer runspread wrote it.
    """
    path = f"{folder}/{SHARD}"
    try:
        return decoded(read_whole(path), ShardMetadata, path)
    except (OSError, UnfitJsonError, MemoryError) as error:
        raise unreadable(path, error, "the metadata of a shard") from error
