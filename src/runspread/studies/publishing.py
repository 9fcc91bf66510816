"""Whatever appears on disk appears here: a folder by one rename, a file by one replacement, both flushed first.

What was in progress when its process was killed has a name that says by whom, so that the next start can take it away.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY = ".tmp-"
_NAMED = re.compile(r"\.tmp-([0-9a-f]{8})-(\d+)-[0-9a-f]+$")
_FORGOTTEN = 24 * 3600  # seconds after which what nobody can be asked about is taken for left over


class FolderExistsError(Exception):
    """Another process published the folder first; who publishes says what that means, so it never gets to a user."""


@contextmanager
def published_folder(target: Path) -> Generator[Path]:
    """Yield a temporary sibling of `target` to fill with flushed files; on success it becomes `target` in one rename.

    Raises
    ------
    FolderExistsError
        There is a `target` already. It wins, and the new folder is thrown away: what is published never changes.
    """
    temporary = target.with_name(temporary_name())
    temporary.mkdir(parents=True)
    try:
        yield temporary
        flush(temporary)
        try:
            temporary.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise FolderExistsError(str(target)) from error
    except BaseException:
        with suppress(OSError):  # what cannot be removed now is at the next start
            shutil.rmtree(temporary)
        raise
    flush(target.parent)


def publish_file(target: Path, data: bytes) -> None:
    """Let a file appear with its content, or take the place of the one that is there."""
    temporary = target.with_name(temporary_name())
    try:
        write_bytes(temporary, data)
        temporary.replace(target)
        flush(target.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file and flush it to disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return [place.name for place in folder.iterdir()]


def flush(path: Path) -> None:
    """Flush a file or a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_plain(source: Path, folder: Path) -> None:
    """Copy the files of a folder, flushed; links and folders in it are refused, for they lead elsewhere.

    Raises
    ------
    OSError
        As the file system says; or the folder holds something else than files.
    """
    with os.scandir(source) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if not entry.is_file(follow_symlinks=False) or source.is_symlink():
            raise OSError(errno.EINVAL, "it is a link or no regular file", entry.path)
        shutil.copyfile(entry.path, folder / entry.name, follow_symlinks=False)
        flush(folder / entry.name)


@contextmanager
def alone_in(folder: Path) -> Generator[None]:
    """Wait until no other process is in here for the same folder; where the system has no locks, go on at once."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # a pipe would wait for a writer
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # and with it the lock, as when the process is killed


def temporary_name() -> str:
    """Return a name for what is in progress: it says which process of which machine makes it."""
    return f"{TEMPORARY}{_here()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


@functools.cache
def _here() -> str:
    """Return what tells the processes that can be asked for by number here: the machine, since it started."""
    facts = [platform.node()]
    for place in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            facts.append(str(Path(place).readlink()) if place.endswith("pid") else Path(place).read_text())
    return hashlib.sha256("\n".join(facts).encode(errors="replace")).hexdigest()[:8]


def clear_leftovers(folder: Path) -> None:
    """Take away what killed processes left in a folder; what a living one may still be writing stays."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(TEMPORARY) and _is_left_over(entry):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    Path(entry.path).unlink(missing_ok=True)


def _is_left_over(entry: os.DirEntry[str]) -> bool:
    named = _NAMED.match(entry.name)
    if named is not None and named[1] == _here() and os.name == "posix":
        return not _lives(int(named[2]))
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > _FORGOTTEN


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
