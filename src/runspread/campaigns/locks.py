"""One writer at a time: an advisory lock on a file beside the ledger, which the system frees when its owner dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ..errors import LedgerError


@contextmanager
def locked(path: Path, *, one_writer: bool = False) -> Generator[int]:
    """Yield a descriptor of the lock's file while no other process holds it.

    Parameters
    ----------
    path : Path
        Of the lock's file; made if it is absent, and never deleted.
    one_writer : bool
        Whether to go without a lock, on file systems that have none.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise LedgerError(
            f"{path} cannot be opened: {error.strerror}", hint="Check that the folder exists and is writable."
        ) from error
    try:
        if not one_writer:
            _lock(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)  # frees the lock


def _lock(descriptor: int, path: Path) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # a byte beyond what is read
            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        raise LedgerError(
            f"{path} cannot be locked: {error.strerror}",
            hint="If only one process writes this ledger, say so: one_writer=True, or --one-writer.",
        ) from error
