"""A worker that watches the process it works for: when that is gone, so is the worker."""

from __future__ import annotations

import os
import threading
import time

_EVERY = 0.5  # seconds


def end_with(parent: int) -> None:
    """Let this process end when `parent` has: a thread looks every half second, also while a job runs."""
    if os.getpid() != parent and not any(thread.name == _NAME for thread in threading.enumerate()):
        threading.Thread(target=_watch, args=(parent,), name=_NAME, daemon=True).start()


_NAME = "runspread-watches-its-parent"


def _watch(parent: int) -> None:
    while _lives(parent):
        time.sleep(_EVERY)
    os._exit(1)


def _lives(process: int) -> bool:
    if hasattr(os, "getppid") and os.name == "posix":
        return os.getppid() == process  # a child of a process that ended is given to another
    return True
