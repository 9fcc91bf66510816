"""Files of a shard: safetensors and JSON, written so that a reader sees all of a shard or nothing of it."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import shutil
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .._errors import CorruptShardError, StorageError

CHECKSUMS = "SHA256SUMS"

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


class FolderExistsError(Exception):
    """Another process published the folder first; who publishes says what that means, so it never gets to a user."""


def refuse_existing(target: Path) -> None:
    """Raise if there is something where a folder is to be written."""
    if target.exists():
        raise StorageError(f"{target} exists", "a new folder", "Choose another name, or move it away.")


@contextmanager
def storage_errors(action: str) -> Generator[None]:
    """Turn what the file system says into a `StorageError` that says what to do."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        if isinstance(error, StorageError):
            raise
        code = getattr(error, "errno", None)
        full = code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "space left" in str(error)
        hint = "Free some space and try again." if full else "Check that the folder exists and may be written."
        raise StorageError(
            f"{action} failed: {error}", hint=f"{hint} Everything published before is as it was."
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Write a record or plain data as indented JSON, in the order of its fields, and flush it to disk."""
    encoded = msgspec.json.encode(value)
    write_bytes(path, msgspec.json.format(encoded, indent=1) + b"\n")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file and flush it to disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as one safetensors file and flush it to disk."""
    from safetensors.numpy import save_file

    path.touch()
    mode = path.stat().st_mode
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, path)
    path.chmod(mode)  # the library writes files that only their owner may read
    flush(path)


def flush(path: Path) -> None:
    """Flush a file or a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def map_tensors(path: Path, *, memmap: bool = False) -> dict[str, NDArray[Any]]:
    """Return the arrays of a safetensors file as read-only views of the memory-mapped file.

    Parameters
    ----------
    path : Path
        The file.
    memmap : bool
        Whether to return ``numpy.memmap``, whose pages can be given back while a large file is walked; opening takes
        four times as long.

    Raises
    ------
    CorruptShardError
        The file is missing, cut short, or not safetensors.
    """
    try:
        with path.open("rb", buffering=0) as file:
            raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = 8 + int.from_bytes(raw[:8], "little")
        header: dict[str, Any] = msgspec.json.decode(raw[8:start])
        header.pop("__metadata__", None)
        if memmap:
            data = np.memmap(path, mode="r", dtype=np.uint8, offset=start)
            return {name: _slice(data, entry) for name, entry in header.items()}
        return {name: _view(raw, start, entry) for name, entry in header.items()}
    except (OSError, ValueError, KeyError, TypeError, msgspec.DecodeError) as error:
        raise CorruptShardError(
            f"{path} cannot be read ({error})",
            "a whole safetensors file",
            "`runspread verify` names every corrupt shard; move those away, and train or copy them again.",
        ) from error


def _view(raw: mmap.mmap, start: int, entry: Mapping[str, Any]) -> NDArray[Any]:
    begin, end = entry["data_offsets"]
    array: NDArray[Any] = np.ndarray(entry["shape"], _DTYPES[entry["dtype"]], raw, start + begin)
    if array.nbytes != end - begin:
        raise ValueError(f"{end - begin} bytes for {entry['dtype']} of shape {tuple(entry['shape'])}")
    return array


def _slice(data: NDArray[np.uint8], entry: Mapping[str, Any]) -> NDArray[Any]:
    begin, end = entry["data_offsets"]
    return data[begin:end].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])


def checksums(folder: Path, names: list[str]) -> bytes:
    """Return the SHA-256 sums of files in `folder` in the format of ``sha256sum``."""
    return "".join(f"{sha256(folder / name)}  {name}\n" for name in sorted(names)).encode()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def wrong_files(folder: Path) -> list[str]:
    """Return what differs from the checksums in `folder`, a phrase a file; empty when all is well."""
    try:
        lines = (folder / CHECKSUMS).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return [f"{CHECKSUMS} cannot be read ({error})"]
    problems: list[str] = []
    for line in lines:
        expected, _, name = line.partition("  ")
        try:
            if "/" in name or sha256(folder / name) != expected:
                problems.append(f"{name} differs from its checksum")
        except OSError as error:
            problems.append(f"{name} cannot be read ({error.strerror})")
    return problems


@contextmanager
def published_folder(target: Path) -> Generator[Path]:
    """Yield a temporary sibling of `target` to fill; on success it becomes `target` in one rename.

    Raises
    ------
    FolderExistsError
        There is a `target` already. It wins, and the new folder is thrown away: shards never change.
    """
    temporary = target.parent / f".tmp-{uuid.uuid4().hex}"
    temporary.mkdir(parents=True)
    try:
        yield temporary
        flush(temporary)
        try:
            temporary.rename(target)
            flush(target.parent)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise FolderExistsError(str(target)) from error
    finally:
        with suppress(FileNotFoundError):
            shutil.rmtree(temporary)
