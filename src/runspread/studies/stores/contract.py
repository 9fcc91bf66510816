"""What a store of objects promises: six verbs, and creation that exactly one of many writers wins.

Tests of it are in `runspread.testing.StoreTests`. Absence is a `KeyError`; everything else that goes wrong is a
`StorageError`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from ...errors import StorageError

TRIES = 8  # of what a store answers in no clear way
LARGEST_CREATED = 16 * 2**20  # bytes that are created in one request


class Entry(NamedTuple):
    """One object: its key, bytes, and when it changed, in seconds of the store's own clock."""

    key: str
    size: int
    changed: float


class Listing(NamedTuple):
    """One level of a store: the objects at it, and the prefixes (each ends with a slash) of what lies deeper."""

    objects: tuple[Entry, ...]
    prefixes: tuple[str, ...]


class Store(Protocol):
    """Objects by key; keys are relative, with slashes.

    Attributes
    ----------
    url : str
        Where it is; it holds no secret.
    """

    url: str

    def list(self, prefix: str = "") -> Listing:
        """Return one level, complete and as it is now; `prefix` is empty or ends with a slash."""
        ...

    def read(self, key: str) -> bytes:
        """Return all of one version of an object."""
        ...

    def read_ranges(self, key: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return spans (start, stop) of an object, each exactly as long as asked for."""
        ...

    def write(self, key: str, data: bytes | Path) -> None:
        """Write an object, from memory or a file, that only this writer has the name of."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Let exactly one body stand at a key: True if and only if it is `data`."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Take objects away that may or may not be there."""
        ...

    def local_path(self, key: str) -> Path | None:
        """Return the file that can be memory-mapped; None where there is no such thing."""
        ...


class Refused(StorageError):
    """The store says no and will go on to do so: a permission, a bucket that is not there."""


def checked_key(key: str) -> str:
    """Return a key that stays within the store."""
    if not key or key.startswith("/") or any(part in ("", ".", "..") for part in key.split("/")) or "\\" in key:
        raise Refused(f"{key!r} is no key of an object", "names with slashes between them")
    return key


def checked_prefix(prefix: str) -> str:
    """Return a prefix of whole names."""
    if prefix:
        checked_key(prefix.removesuffix("/"))
        if not prefix.endswith("/"):
            raise Refused(f"the prefix {prefix!r} does not end with a slash", "whole names")
    return prefix


def checked_spans(spans: Sequence[tuple[int, int]], size: int, key: str) -> None:
    """Raise unless all spans lie within an object of so many bytes."""
    for start, stop in spans:
        if not 0 <= start <= stop <= size:
            raise Refused(f"{key} has {size} bytes, not those from {start} to {stop}", "a complete object")


def settled(put: Callable[[], None], read: Callable[[], bytes], data: bytes, key: str, pause: float = 0.05) -> bool:
    """Create an object and find out who won, by reading what stands there after anything but success.

    A refusal says too little: the answer to a success may be lost and the second try find the own object, and some
    answers ("conflict") mean that nothing landed. So two writers must never send equal bytes for different things.

    Parameters
    ----------
    put : callable
        Sends the conditional request; raises where it did not succeed.
    read : callable
        Returns what stands at the key; KeyError where nothing does.
    data : bytes
        What `put` sends.
    key : str
        For the error.
    pause : float
        Seconds before the second try; it doubles.

    Returns
    -------
    bool
        Whether `data` stands there.

    Raises
    ------
    StorageError
        It could not be found out.
    """
    last: StorageError | None = None
    for attempt in range(TRIES):
        if attempt:
            time.sleep(min(2.0, pause * 2**attempt))
        try:
            put()
            return True
        except Refused:
            raise
        except StorageError as error:
            last = error
        try:
            return read() == data
        except KeyError:
            continue
        except Refused:
            raise
        except StorageError as error:
            last = error
    raise StorageError(
        f"it is not known whether {key} was published: {last.found if last else 'no answer'}",
        hint="Nothing was lost: try again, which finds out.",
    ) from last


def persistent(action: Callable[[], bytes], pause: float = 0.05) -> bytes:
    """Return what a read or a repeatable write gives, trying again where the store stumbles."""
    for attempt in range(TRIES - 1):
        try:
            return action()
        except Refused:
            raise
        except StorageError:
            time.sleep(min(2.0, pause * 2**attempt))
    return action()
