"""Files of a shard: safetensors and JSON, written so that a reader sees all of a shard or nothing of it."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .._reading.plain_files import MAX_BYTES, cannot_look, read_whole, regular_size, sealed
from .._reading.safetensors import TensorFile, need_not_be_damaged
from ..errors import CorruptShardError, StorageError
from .layout import CHECKSUMS, PROVENANCE, SHARD
from .publishing import flush, names_in, write_bytes

_UNLISTED = {CHECKSUMS, PROVENANCE}
_SMALL = 2**20  # bytes of arrays that are put together in memory


def refuse_existing(target: Path) -> None:
    """Raise if there is something where a folder is to be written."""
    try:
        there = target.exists()
    except OSError as error:
        raise cannot_look(target, error) from error
    if there:
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


def write_json(path: Path, value: Any, *, seal: bool = True) -> None:
    """Write a record or plain data as indented JSON, in the order of its fields, and flush it to disk."""
    write_bytes(path, json_bytes(value, seal=seal))


def json_bytes(value: Any, *, seal: bool = True) -> bytes:
    """Return a record or plain data as indented JSON; with a seal, its last name is a sum of the whole file."""
    plain = msgspec.to_builtins(value, str_keys=True)
    if seal:
        plain.pop("crc32", None)
    data = msgspec.json.format(msgspec.json.encode(plain), indent=1) + b"\n"
    return sealed(data) if seal else data


def tensor_bytes(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as the bytes of a safetensors file."""
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(array) for name, array in tensors.items()})


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as one safetensors file and flush it to disk."""
    from safetensors.numpy import save_file

    if sum(array.nbytes for array in tensors.values()) <= _SMALL:
        write_bytes(path, tensor_bytes(tensors))
        return
    path.touch()
    mode = path.stat().st_mode
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, path)
    path.chmod(mode)  # the library writes files that only their owner may read
    flush(path)


def checksum_lines(sums: Mapping[str, str]) -> bytes:
    """Return SHA-256 sums by name of the file in the format of ``sha256sum``."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_sound(path: Path) -> str:
    """Return the SHA-256 of a file that is no larger than what it is: the sum of a sparse terabyte takes for ever.

    Raises
    ------
    OSError
        It is no regular file; or a large one that is no safetensors file, or longer than its header says.
    """
    size = regular_size(path)
    if size > MAX_BYTES and path.suffix != ".safetensors":
        raise OSError(errno.EFBIG, f"it has {size} bytes, more than the {MAX_BYTES} that are read")
    if size > MAX_BYTES:
        try:
            TensorFile(path)
        except CorruptShardError as error:
            raise OSError(errno.EINVAL, "its header does not fit its size") from error
    return sha256(path)


def listed_sums(data: bytes) -> dict[str, str]:
    """Return the sums that a file in the format of ``sha256sum`` lists, by name.

    Raises
    ------
    ValueError
        It is no text, or names what cannot be a file.
    """
    if b"\0" in data:
        raise ValueError("it names what cannot be a file")
    return {name: known for known, _, name in (line.partition("  ") for line in data.decode().splitlines())}


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def wrong_files(folder: Path) -> list[str]:
    """Return what differs from the checksums in `folder`, one phrase per file; empty when all is well.

    Raises
    ------
    OSError
        A file may not or cannot be read from here, which says nothing of what is in it.
    """
    try:
        data = read_whole(folder / CHECKSUMS)
        listed = listed_sums(data)
        there = set(names_in(folder))
    except (OSError, ValueError) as error:
        if need_not_be_damaged(error):
            raise
        return [f"{CHECKSUMS} cannot be read ({error})"]
    problems = [f"{CHECKSUMS} does not list {name}" for name in sorted(there - listed.keys() - _UNLISTED)]
    problems += [f"{CHECKSUMS} lists no {name}" for name in (SHARD,) if name not in listed]
    found: dict[str, str] = {}
    for name in sorted(listed):
        try:
            if Path(name).name != name or (folder / name).is_symlink():
                raise OSError(errno.EINVAL, "it lies elsewhere")
            found[name] = sha256_of_sound(folder / name)
            problems += [f"{name} differs from its checksum"] * (found[name] != listed[name])
        except OSError as error:
            if need_not_be_damaged(error):
                raise
            problems.append(f"{name} cannot be read ({error.strerror})")
    if not problems and data != checksum_lines(found):
        problems.append(f"{CHECKSUMS} is not as it was written")
    return problems
