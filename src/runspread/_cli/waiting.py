"""What a terminal shows while a command is silent: that it still works, and for how long already."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

PATIENCE = 2.0  # seconds of silence after which something is shown
_CLEAR = "\r\x1b[K"


class _Waiting:
    """A line on standard error, which everything else that is printed takes away first."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._shown = False
        self._held = 0
        self._last = self._started = time.monotonic()

    def clear(self) -> None:
        """Take the line away, and wait again: something else is about to be printed."""
        with self._lock:
            if self._shown:
                _write(_CLEAR)
            self._shown, self._last = False, time.monotonic()

    def tick(self) -> None:
        """Show the line if nothing was printed for a while."""
        with self._lock:
            now = time.monotonic()
            if not self._held and now - self._last >= PATIENCE:
                self._shown = True
                _write(f"{_CLEAR}working, {now - self._started:.0f} s")

    @contextmanager
    def running(self) -> Generator[None]:
        """Show the line during a command, where standard error is a terminal."""
        if not sys.stderr.isatty():
            yield
            return
        self._last = self._started = time.monotonic()
        over = threading.Event()
        thread = threading.Thread(target=self._run, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.clear()

    def _run(self, over: threading.Event) -> None:
        while not over.wait(1.0):
            self.tick()

    @contextmanager
    def held(self) -> Generator[None]:
        """Show no line: a bar of progress is on the terminal."""
        self.clear()
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            self.clear()


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


sign = _Waiting()
