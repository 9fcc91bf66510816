"""What writers that died left in a store: parts that no mark names, taken away only after their id was taken."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress

from .contract import Store
from .marks import read_mark, void_bytes

WEEK = 7 * 24 * 3600.0


def clean(store: Store, prefix: str, mark: str, *, older_than: float = WEEK, dry_run: bool = False) -> list[str]:
    """Take away attempts that no mark names and that have not changed for a while.

    Where an id has no mark, a void one is created first: a slow writer of the attempt finds it and publishes under
    another id. Without it a published shard could lose its files.

    Parameters
    ----------
    store : Store
        The store.
    prefix : str
        Under which ids lie, ``"shards/"``.
    mark : str
        What a mark is called.
    older_than : float
        Seconds since an attempt last changed, by the store's own clock.
    dry_run : bool
        Whether only to name them.

    Returns
    -------
    list of str
        Keys that were taken away, or would be.
    """
    gone, now = list[str](), _clock(store)
    for place in store.list(prefix).prefixes:
        stale = dict(_stale(store, place, now - older_than))
        named = _attempt_named(store, f"{place}{mark}")
        if stale and named is None and not dry_run and not store.create(f"{place}{mark}", void_bytes()):
            named = _attempt_named(store, f"{place}{mark}")  # somebody published in the meantime
        keys = [key for attempt, held in stale.items() if attempt != named for key in held]
        if not dry_run:
            store.delete(keys)
        gone += keys
    return gone


def _clock(store: Store) -> float:
    """Return what time it is for the store, which may not be what it is here."""
    key = f".clock-{uuid.uuid4().hex[:12]}"
    store.write(key, b"")
    try:
        return next(entry.changed for entry in store.list().objects if entry.key == key)
    finally:
        store.delete([key])


def _stale(store: Store, place: str, before: float) -> Iterator[tuple[str, list[str]]]:
    """Yield the attempts of an id of which everything is older, and their keys."""
    for attempt in store.list(place).prefixes:
        entries = store.list(attempt).objects
        if all(entry.changed < before for entry in entries):
            yield attempt.removeprefix(place).rstrip("/"), [entry.key for entry in entries]


def _attempt_named(store: Store, key: str) -> str | None:
    """Return which attempt a mark names; None where there is no mark."""
    with suppress(KeyError):
        return read_mark(store.read(key)).at
    return None
