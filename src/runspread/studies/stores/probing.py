"""A probe of a store: whether two writers could publish one shard there."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from ...errors import StorageError
from .contract import Store

WRITERS, ROUNDS = 16, 3


def probe(store: Store) -> None:
    """Try a store with writers at once, and raise unless it keeps what the contract promises.

    Exactly one of 16 concurrent creations of a key wins, three times over, by the answers and by what stands there; a
    later one is refused; what was written is listed; ranges are exact; what is deleted is gone. It shows that the store
    knows conditional writes and rejects coarse races; it cannot prove that there are no finer ones.

    Raises
    ------
    StorageError
        The store breaks a promise, which the message names.
    """
    own = f".probe-{uuid.uuid4().hex[:12]}/"
    used: list[str] = []
    try:
        for problem in _problems(store, own, used):
            raise StorageError(
                f"{store.url} {problem}",
                "a store whose conditional writes are atomic, as those of S3, Google and Azure are",
                "Upgrade it, or take another one: two writers could publish one shard there.",
            )
    finally:
        store.delete(used)


def _problems(store: Store, own: str, used: list[str]) -> Iterator[str]:
    for turn in range(ROUNDS):
        key, bodies = f"{own}{turn}", [f"{turn}-{writer}-{uuid.uuid4().hex}".encode() for writer in range(WRITERS)]
        used.append(key)
        with ThreadPoolExecutor(WRITERS) as pool:
            won = list(pool.map(lambda body, key=key: store.create(key, body), bodies))
        winners = [body for body, first in zip(bodies, won, strict=True) if first]
        if len(winners) != 1:
            yield f"let {len(winners)} of {WRITERS} writers create one object"
        elif store.read(key) != winners[0]:
            yield "holds another body than that of the writer that it let win"
        elif store.create(key, b"late") or store.read(key) != winners[0]:
            yield "let an object be created over one that was there"
    data, key = bytes(range(256)) * 4, f"{own}data"
    used.append(key)
    store.write(key, data)
    if {entry.key: entry.size for entry in store.list(own).objects}.get(key) != len(data):
        yield "does not list what was just written"
    if store.read_ranges(key, [(3, 7), (1000, 1024)]) != [data[3:7], data[1000:1024]]:
        yield "returns other ranges than were asked for"
    store.delete([key])
    try:
        store.read(key)
        yield "still holds what was deleted"
    except KeyError:
        pass
