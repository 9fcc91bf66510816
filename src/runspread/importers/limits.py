"""What a file that others send may cost, and files that are opened without a link followed."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

LFS = b"version https://git-lfs.github.com/spec"


class SourceProblem(Exception):
    """Why a file, or a run, cannot be read; it never stops an import."""


@dataclass(frozen=True)
class Limits:
    """What one import, and one file of it, may cost.

    Parameters
    ----------
    depth : int
        Nested folders, and nested values in JSON and YAML.
    files : int
        Files and folders that are looked at.
    record_bytes : int
        Bytes of one record, or of a file that is read as a whole (JSON, YAML).
    memory_bytes : int
        Bytes that what is read of one run may take.
    seconds : float
        Processor time for one run.
    """

    depth: int = 12
    files: int = 10**5
    record_bytes: int = 64 * 2**20
    memory_bytes: int = 2**30
    seconds: float = 10.0


class Clock:
    """Processor time and memory that reading one run has taken."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._until = time.process_time() + limits.seconds
        self._bytes = 0

    def check(self) -> None:
        """Raise if the time is over."""
        if time.process_time() > self._until:
            raise SourceProblem(
                f"reading it takes over {self.limits.seconds:g} s of processor time (a limit: --limit seconds=NUMBER)"
            )

    def take(self, size: int) -> None:
        """Count bytes that are kept, and raise if they are too many, or the time is over."""
        self._bytes += size
        if self._bytes > self.limits.memory_bytes:
            raise SourceProblem(
                f"it holds more than {self.limits.memory_bytes:,} bytes (a limit: --limit memory_bytes=NUMBER)"
            )
        self.check()


@contextmanager
def opened(path: Path) -> Generator[IO[bytes]]:
    """Open a regular file for reading: no link is followed, and no pipe or device waited for."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise SourceProblem(f"{path.name} cannot be opened ({error.strerror})") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SourceProblem(f"{path.name} is no regular file")
        try:
            yield file
        except OSError as error:
            raise SourceProblem(f"{path.name} cannot be read ({error.strerror})") from error


def read_whole(path: Path, limits: Limits, *, most: int | None = None) -> bytes:
    """Return the content of a file, if it is no larger than a record may be, and no pointer to one elsewhere."""
    limit = limits.record_bytes if most is None else min(most, limits.record_bytes)
    with opened(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise SourceProblem(f"{path.name} has more than {limit:,} bytes (a limit)")
    refuse_pointer(data, path)
    return data


def refuse_pointer(data: bytes, path: Path) -> None:
    """Raise if a file's content is a pointer of Git LFS."""
    if data.startswith(LFS):
        raise SourceProblem(f"{path.name} is a Git LFS pointer: run `git lfs pull`")


def is_pointer(path: Path) -> bool:
    """Whether a file is a pointer of Git LFS to its content elsewhere."""
    try:
        with opened(path) as file:
            return file.read(len(LFS)) == LFS
    except SourceProblem:
        return False


def read_text(path: Path, limits: Limits, *, most: int | None = None) -> str:
    """Return the text of a file, without a mark of its encoding; bytes that are no UTF-8 are replaced."""
    return decoded(read_whole(path, limits, most=most))


def decoded(data: bytes) -> str:
    """Return text of UTF-8, with or without a mark, or of UTF-16 with one."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8-sig", errors="replace")


def stat_of(path: Path) -> Any:
    """Return size and times of a file itself, not of what it links to."""
    return path.lstat()
