"""The ledger: a file of events to which is only appended, by any number of processes, any of which may be killed."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from .._reading.plain_files import UnfitJsonError, decode_json
from .._reading.study_folders import target_path
from ..errors import LedgerError
from .lines import FORMAT, decoded, encoded
from .locks import locked


class Ledger:
    """Events in a file, and what has been read of it.

    Every event is one write to the end of the file, under a lock, and on the disk before `append` returns. A last line
    that a killed process left without its end is moved to ``<ledger>.torn`` by the next writer. ``<ledger>.lock`` is
    the lock, and remembers the last line, so that a ledger that was cut is found.

    Parameters
    ----------
    path : path
        The file.
    one_writer : bool
        Whether to go without a lock.
    """

    def __init__(self, path: str | os.PathLike[str], *, one_writer: bool = False) -> None:
        self.path = target_path(path)
        self.one_writer = one_writer
        self.lines = 0  # that were read
        self.torn = 0  # bytes at the end that are no whole line
        self._sums = [0]  # of each line, after a 0
        self._end = 0  # of the last whole line, in bytes
        self._descriptor: int | None = None  # of the lock, while it is held

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return self.path.is_file()

    def read_new(self) -> list[dict[str, Any]]:
        """Return the events that were appended since the last call; an error leaves what was read as it is.

        Raises
        ------
        LedgerError
            A line was edited, lines are missing, or the file was cut.
        """
        remembered = self._remembered()  # before the file, which may grow in between
        try:
            with self.path.open("rb") as file:
                file.seek(0, os.SEEK_END)
                if file.tell() < self._end:
                    raise self._cut(self.lines)
                file.seek(self._end)
                data = file.read()
        except FileNotFoundError:
            if remembered[0]:
                raise self._cut(0) from None
            return []
        whole = data.rfind(b"\n") + 1
        self.torn = len(data) - whole
        found = list(decoded(data[:whole], self._sums[-1], self.lines, self.path))
        if found and not self.lines:
            self._check_version(found[0][0])
        self._sums += [total for _, total in found]
        self.lines += len(found)
        self._end += whole
        if self.lines < remembered[0] or self._sums[remembered[0]] != remembered[1]:
            raise self._cut(self.lines)
        return [event for event, _ in found]

    @contextmanager
    def writing(self) -> Generator[list[dict[str, Any]]]:
        """Hold the lock, mend the end of the file, and yield what was appended since; then `append` may be called."""
        with locked(self._beside("lock"), one_writer=self.one_writer) as descriptor:
            self._descriptor = descriptor
            try:
                found = self.read_new()
                if self.torn:
                    self._move_torn()
                yield found
            finally:
                self._descriptor = None

    def append(self, event: dict[str, Any]) -> dict[str, Any]:
        """Write an event, inside `writing`, and return it with its time."""
        if self._descriptor is None:
            raise RuntimeError("append is called inside writing()")
        event = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **event}
        line, total = encoded(event, self._sums[-1])
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                written = os.write(file, line)
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise LedgerError(
                f"writing {self.path} failed: {error.strerror}", hint="What was written before is intact."
            ) from error
        if written < len(line):
            raise LedgerError(
                f"only {written} of {len(line)} bytes could be written to {self.path}", hint="Free space."
            )
        self._end += len(line)
        self.lines += 1
        self._sums.append(total)
        text = msgspec.json.encode([self.lines, total]).ljust(64)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, text)
        return event

    def _remembered(self) -> tuple[int, int]:
        """Return how many lines the lock's file remembers, and the sum of the last."""
        try:
            return decode_json(self._beside("lock").read_bytes().strip() or b"[0,0]", tuple[int, int])
        except (FileNotFoundError, UnfitJsonError):
            return 0, 0  # deleted, or a writer was killed while it wrote: nothing is remembered

    def _move_torn(self) -> None:
        data = self.path.read_bytes()
        with self._beside("torn").open("ab") as kept:
            kept.write(data[self._end :] + b"\n")
            kept.flush()
            os.fsync(kept.fileno())
        os.truncate(self.path, self._end)
        self.torn = 0

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{ending}")

    def _check_version(self, first: dict[str, Any]) -> None:
        if first.get("event") != "init":
            raise LedgerError(f"the first line of {self.path} does not begin a campaign", "an event init")
        if first.get("version", 0) > FORMAT:
            raise LedgerError(
                f"{self.path} has version {first['version']} of the format", f"{FORMAT} or less", "Update runspread."
            )

    def _cut(self, lines: int) -> LedgerError:
        return LedgerError(
            f"{self.path} holds {lines} events, or others, where {self._remembered()[0]} were written",
            "a ledger to which is only appended",
            f"Restore it from a copy. If an older copy is meant, delete {self._beside('lock')}.",
        )
