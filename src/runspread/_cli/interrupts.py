"""What a signal does to a command: the first ends it politely, the second at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType

INTERRUPTED = 130
_SAID = (
    "interrupted: what is finished is kept, and the same command goes on from there; interrupt again to stop at once"
)


def handle_signals() -> None:
    """Let SIGINT and SIGTERM raise a KeyboardInterrupt once, and end the process the second time.

    Threads that still compute would else be torn down in C++, which aborts.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    seen: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        if seen:
            os._exit(INTERRUPTED)
        seen.append(number)
        with suppress(OSError, ValueError):
            sys.stderr.write(f"\n{_SAID}\n")
            sys.stderr.flush()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(OSError, ValueError):
            signal.signal(number, stop)
