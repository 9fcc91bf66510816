"""Zstandard members of zip files (method 93), which the standard library reads from Python 3.14 on."""

from __future__ import annotations

import importlib
import io
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from ...errors import InputError, MissingDependencyError
from .json_stream import LARGEST

ZSTANDARD = 93
_LOCAL_HEADER = 30  # bytes of a member's own header, before its name


def unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return the content of a member; it may hold several frames."""
    data = _compressed(archive, info)
    for unpack in (_standard, _zstandard, _arrow):
        try:
            found = unpack(data)
        except ImportError:
            continue
        except Exception as error:  # each package has errors of its own
            raise InputError(f"{info.filename} cannot be unpacked ({error})", "a whole log") from error
        if len(found) != info.file_size or zlib.crc32(found) != info.CRC:
            raise InputError(f"{info.filename} does not have its check sum", "a whole log")
        return found
    raise MissingDependencyError(
        "reading a log with Zstandard members needs Python 3.14, or the package zstandard or pyarrow, none of which is "
        "installed",
        hint="Run: pip install zstandard. Or write the log anew: inspect log convert LOG --to json --output-dir DIR",
    )


def _compressed(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return the bytes of a member as they lie in the file."""
    if info.flag_bits & 1:
        raise InputError(f"{info.filename} is encrypted", "a log of Inspect")
    if archive.fp is None:
        raise InputError("the log is closed", "an open file")
    archive.fp.seek(info.header_offset)
    head = archive.fp.read(_LOCAL_HEADER)
    lengths = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    archive.fp.seek(info.header_offset + _LOCAL_HEADER + lengths)
    return archive.fp.read(info.compress_size)


def _standard(data: bytes) -> bytes:
    module: Any = importlib.import_module("compression.zstd")
    with module.ZstdFile(io.BytesIO(data)) as stream:
        return stream.read(LARGEST + 1)


def _zstandard(data: bytes) -> bytes:
    module: Any = importlib.import_module("zstandard")
    reader = module.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)
    return _all_of(reader.read)


def _arrow(data: bytes) -> bytes:
    module: Any = importlib.import_module("pyarrow")
    with module.CompressedInputStream(module.BufferReader(data), "zstd") as stream:
        return _all_of(stream.read)


def _all_of(read: Callable[[int], bytes]) -> bytes:
    parts: list[bytes] = []
    while sum(map(len, parts)) <= LARGEST and (part := read(1 << 20)):
        parts.append(part)
    return b"".join(parts)
