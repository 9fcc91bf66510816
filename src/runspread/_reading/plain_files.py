"""Files that others may have sent: regular ones, read whole within a limit; and JSON within limits.

Whatever reads JSON reads it here: at most `MAX_DEPTH` levels, `MAX_BYTES` and `MOST_NESTED` objects, no name twice in
one object, no NaN or Infinity, UTF-8. Logs of others may be deeper, and hold NaN.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..errors import StorageError

MAX_DEPTH = 12  # levels of nesting
LOG_DEPTH = 100  # of logs that other tools wrote
MAX_BYTES = 64 * 2**20  # of a file that is read whole
MOST_NESTED = 2**21  # objects and lists in one text: each takes a hundred times what it is written in
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_OF_THE_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
_OF_ACCESS = (errno.EACCES, errno.EPERM, errno.EIO)
_SEAL = b'"crc32":"'

_Kind = TypeVar("_Kind")


class UnfitJsonError(ValueError):
    """JSON that is not read, and why; who reads it says which file."""


def is_of_the_machine(error: BaseException) -> bool:
    """Whether an error says that this process has too few files or too little memory, and nothing of a file."""
    return isinstance(error, MemoryError) or getattr(error, "errno", None) in _OF_THE_MACHINE


def is_of_access(error: BaseException) -> bool:
    """Whether an error says that a file may not, or cannot, be read from here: what is in it may be as it was."""
    return getattr(error, "errno", None) in _OF_ACCESS


@contextmanager
def opened_regular(path: str | os.PathLike[str]) -> Generator[tuple[int, int]]:
    """Yield descriptor and size of a regular file.

    Raises
    ------
    OSError
        It is missing; or a pipe, a device or a folder, reading which might never end.
    """
    descriptor, size = open_regular(path)
    try:
        yield descriptor, size
    finally:
        os.close(descriptor)


def open_regular(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Return descriptor and size of a regular file; see `opened_regular`, which also closes it."""
    descriptor = os.open(path, os.O_RDONLY | _AT_ONCE)  # a pipe without a writer would wait
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return descriptor, found.st_size


def lies_at(path: str | os.PathLike[str]) -> bool:
    """Whether a file, or a link to one, lies at a path.

    Raises
    ------
    StorageError
        It may not be looked for, or its name is none: that says nothing of what is there.
    """
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise cannot_look(path, error) from error


def cannot_look(path: str | os.PathLike[str], error: OSError | ValueError) -> StorageError:
    """Return the error for a path at which this process may not, or cannot, look."""
    said = getattr(error, "strerror", None) or error
    return StorageError(f"{os.fspath(path)} cannot be looked at ({said})", hint="Check its name and its permissions.")


def regular_size(path: str | os.PathLike[str]) -> int:
    """Return the size of a regular file; see `opened_regular` for what is refused."""
    with opened_regular(path) as (_, size):
        return size


def read_whole(path: str | os.PathLike[str], limit: int = MAX_BYTES) -> bytes:
    """Return the bytes of a regular file.

    Raises
    ------
    OSError
        As `opened_regular`; or it has more than `limit` bytes.
    """
    with opened_regular(path) as (descriptor, size):
        if size > limit:
            raise OSError(errno.EFBIG, f"it has {size} bytes, more than the {limit} that are read", str(path))
        return read_all(descriptor, size)


def read_all(descriptor: int, size: int) -> bytes:
    """Return the first `size` bytes of an open file, or as many as there are."""
    data = os.read(descriptor, size)
    while len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more
    return data


def parse_json(
    data: bytes | str, kind: type[_Kind] | Any = Any, *, depth: int = MAX_DEPTH, constants: bool = False
) -> Any:
    """Return what JSON says, as a `kind` where one is given; with `constants`, NaN and Infinity as Python writes them.

    Raises
    ------
    UnfitJsonError
        It is no JSON, too deep, names something twice, or does not fit the kind.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        nested = text.count("[") + text.count("{")
        if nested > MOST_NESTED:
            raise UnfitJsonError(f"{nested} objects and lists, of which at most {MOST_NESTED} are read")
        value = _DECODERS[constants].decode(text)
        if nested > depth:
            check_depth(value, depth)
        return value if kind is Any else msgspec.convert(value, kind)
    except RecursionError as error:
        raise UnfitJsonError(f"more than {depth} levels of nesting") from error
    except (ValueError, msgspec.MsgspecError) as error:
        raise UnfitJsonError(str(error)) from error


def read_json(
    path: str | os.PathLike[str],
    kind: Any = Any,
    *,
    limit: int = MAX_BYTES,
    depth: int = MAX_DEPTH,
    constants: bool = False,
) -> Any:
    """Return what a JSON file says; see `parse_json` and `read_whole` for what is refused."""
    return parse_json(read_whole(path, limit), kind, depth=depth, constants=constants)


def parse_log(data: bytes | str) -> Any:
    """Return what JSON in a log of another tool says: as deep as `LOG_DEPTH`, with NaN and Infinity."""
    return parse_json(data, depth=LOG_DEPTH, constants=True)


def decode_json(data: bytes, kind: type[_Kind]) -> _Kind:
    """Return what JSON says as a `kind`, fast: for the many small files of a study, whose seals tell changes.

    Raises
    ------
    UnfitJsonError
        As `parse_json`, except that a name that occurs twice passes.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except RecursionError as error:
        raise UnfitJsonError(f"more than {MAX_DEPTH} levels of nesting") from error
    except (ValueError, msgspec.MsgspecError) as error:
        raise UnfitJsonError(str(error)) from error


def check_depth(value: Any, depth: int = MAX_DEPTH) -> None:
    """Raise where plain values are nested deeper than `depth`."""
    level = [value]
    for _ in range(depth):
        level = [
            each
            for one in level
            if isinstance(one, (dict, list))
            for each in (one.values() if isinstance(one, dict) else one)
            if isinstance(each, (dict, list))
        ]
        if not level:
            return
    raise UnfitJsonError(f"more than {depth} levels of nesting")


def json_decoder(*, constants: bool = False) -> json.JSONDecoder:
    """Return what decodes JSON a value at a time: no name twice, and NaN and Infinity with `constants` alone."""
    return _DECODERS[constants]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UnfitJsonError(f"the name {twice!r} occurs twice")
    return found


def _no_constant(name: str) -> Any:
    raise UnfitJsonError(f"{name} is no number of JSON")


_DECODERS = {
    constants: json.JSONDecoder(object_pairs_hook=_object, parse_constant=float if constants else _no_constant)
    for constants in (False, True)
}


# ---------------------------------------------------------------------- a sum that a JSON file holds of itself


def sealed(data: bytes) -> bytes:
    """Return a JSON object with a last name ``crc32``: the CRC-32 of the file with eight zeros in its place."""
    body = data.rstrip()[:-1].rstrip()
    blank = body + (b"" if body.endswith(b"{") else b",") + b"\n " + _SEAL + b'00000000"\n}\n'
    return blank[:-12] + b"%08x" % zlib.crc32(blank) + blank[-4:]


def seal_holds(data: bytes) -> bool | None:
    """Whether the sum that a JSON file holds of itself is right; None where it holds none."""
    at = data.rfind(_SEAL)
    if at < 0:
        return None
    start = at + len(_SEAL)
    blank = data[:start] + b"00000000" + data[start + 8 :]
    return data[start : start + 8] == b"%08x" % zlib.crc32(blank)
