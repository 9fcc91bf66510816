"""Marks that were read once, kept together in pieces: a cache in the store, which may be deleted at any time.

A mark never changes, so any set of pieces is right; whoever may write adds one where many marks are in none.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from ...errors import StorageError
from .contract import Store

_FEWEST, _SHARE, _MOST = 64, 10, 8  # marks in no piece, that part of all, and pieces until they are joined


def read_pieces(store: Store, prefix: str) -> dict[str, bytes]:
    """Return the marks in all pieces under a prefix, by id; a piece that is torn or gone is passed over."""
    found: dict[str, bytes] = {}
    for key in _keys(store, prefix):
        with suppress(KeyError, StorageError, msgspec.MsgspecError, RecursionError):
            data = store.read(key)
            if data[:8] == b"%08x" % zlib.crc32(data[8:]):
                found |= msgspec.msgpack.decode(data[8:], type=dict[str, bytes])
    return found


def add_piece(store: Store, prefix: str, new: Mapping[str, bytes], known: Mapping[str, bytes]) -> None:
    """Keep marks together where they are many, if the store lets us; many pieces become one."""
    if len(new) < max(_FEWEST, len(known) // _SHARE):
        return
    with suppress(StorageError):
        before = _keys(store, prefix)
        joined = len(before) >= _MOST
        body = msgspec.msgpack.encode({**known, **read_pieces(store, prefix), **new} if joined else dict(new))
        key = f"{prefix}{hashlib.sha256(body).hexdigest()[:16]}"
        store.write(key, b"%08x" % zlib.crc32(body) + body)
        store.delete([old for old in before if joined and old != key])


def _keys(store: Store, prefix: str) -> list[str]:
    return [entry.key for entry in store.list(prefix).objects]
