"""The mark of a shard in a store: the one small object whose creation publishes it."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from ..._reading.plain_files import UnfitJsonError, decode_json
from ..layout import MARK_VERSION, refuse_newer


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a mark says.

    Attributes
    ----------
    version : int
        Version of marks; 0 of a ``shard.json`` that was copied from a folder.
    at : str
        Under which name the attempt's files lie; empty where they lie beside the mark.
    files : dict of str to (int, str)
        Bytes and SHA-256 of each.
    shard : str
        The text of ``shard.json``, as in a folder.
    void : str
        Instead of all: a cleaner took the id, and nobody can publish under it any more.
    """

    version: int
    at: str = ""
    files: dict[str, tuple[int, str]] = {}
    shard: str = ""
    void: str = ""


def mark_bytes(*, at: str, files: dict[str, tuple[int, str]], shard: str) -> bytes:
    """Return the mark of an attempt."""
    return msgspec.json.encode(Mark(version=MARK_VERSION, at=at, files=files, shard=shard)) + b"\n"


def void_bytes() -> bytes:
    """Return a mark that takes an id; no two are equal."""
    return msgspec.json.encode(Mark(version=MARK_VERSION, void=uuid.uuid4().hex)) + b"\n"


def read_mark(data: bytes) -> Mark:
    """Return a mark; of a ``shard.json`` that was copied from a folder, or cannot be read, its text is the shard's.

    Raises
    ------
    FormatVersionError
        A newer runspread wrote it.
    """
    text = data.decode(errors="replace")
    try:
        head: dict[str, Any] = decode_json(data, dict[str, Any])
        if "at" not in head and "void" not in head:
            return Mark(version=0, shard=text)
        mark = decode_json(data, Mark)
    except UnfitJsonError:
        return Mark(version=0, shard=text)
    refuse_newer(mark.version, MARK_VERSION, "a mark")
    return mark
