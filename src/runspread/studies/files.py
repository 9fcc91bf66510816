"""Files of a shard: safetensors and JSON, written so that a reader sees all of a shard or nothing of it."""

from __future__ import annotations

import errno
import hashlib
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

from ..errors import StorageError
from .layout import CHECKSUMS


class FolderExistsError(Exception):
    """Another process published the folder first; who publishes says what that means, so it never gets to a user."""


def refuse_existing(target: Path) -> None:
    """Raise if there is something where a folder is to be written."""
    if target.exists():
        raise StorageError(f"{target} already exists", "a new folder", "Choose another name, or move it away.")


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
        hint = "Free some space and try again." if full else "Check that the folder exists and is writable."
        raise StorageError(
            f"{action} failed: {error}", hint=f"{hint} Everything that was published before is intact."
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
    """Return what differs from the checksums in `folder`, one phrase per file; empty when all is well."""
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
