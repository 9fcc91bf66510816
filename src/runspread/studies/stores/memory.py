"""Objects in the memory of this process, for tests and for trying things out: ``memory://name``."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from .contract import Entry, Listing, checked_key, checked_prefix, checked_spans

_OPEN: dict[str, MemoryStore] = {}


class MemoryStore:
    """A store in memory; every open of one URL in a process is the same."""

    def __init__(self, url: str = "memory://") -> None:
        self.url = url
        self._held: dict[str, tuple[bytes, float]] = {}
        self._lock = threading.Lock()

    def list(self, prefix: str = "") -> Listing:
        """Return one level."""
        checked_prefix(prefix)
        with self._lock:
            inside = {key: held for key, held in self._held.items() if key.startswith(prefix)}
        names = {key: key.removeprefix(prefix).partition("/") for key in sorted(inside)}
        objects = [Entry(key, len(inside[key][0]), inside[key][1]) for key, (_, slash, _) in names.items() if not slash]
        deeper = dict.fromkeys(f"{prefix}{first}/" for first, slash, _ in names.values() if slash)
        return Listing(tuple(objects), tuple(deeper))

    def read(self, key: str) -> bytes:
        """Return an object."""
        with self._lock:
            return self._held[checked_key(key)][0]

    def read_ranges(self, key: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return spans of an object."""
        data = self.read(key)
        checked_spans(spans, len(data), key)
        return [data[start:stop] for start, stop in spans]

    def write(self, key: str, data: bytes | Path) -> None:
        """Write an object."""
        body = data.read_bytes() if isinstance(data, Path) else bytes(data)
        with self._lock:
            self._held[checked_key(key)] = body, time.time()

    def create(self, key: str, data: bytes) -> bool:
        """Let exactly one body stand at a key."""
        with self._lock:
            return self._held.setdefault(checked_key(key), (bytes(data), time.time()))[0] == data

    def delete(self, keys: Iterable[str]) -> None:
        """Take objects away."""
        with self._lock:
            for key in keys:
                self._held.pop(checked_key(key), None)

    def local_path(self, key: str) -> Path | None:
        """Return None: nothing is a file."""
        return None

    def __repr__(self) -> str:
        return f"<store {self.url}>"


def memory_store(url: str) -> MemoryStore:
    """Return the store of a URL in this process."""
    return _OPEN.setdefault(url.rstrip("/"), MemoryStore(url))
