"""Lines of a ledger: JSON with sorted keys, each with a sum of itself and the sum of the line before."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from ..errors import InputError, LedgerError

FORMAT = 1
LONGEST = 4096  # bytes: what one write puts into a file as a whole
_SUM = re.compile(rb'"crc":(\d+),')  # never inside a string, whose quotes are escaped; "event" always follows
_encode, _decode = msgspec.json.Encoder(order="sorted"), msgspec.json.Decoder(dict[str, Any])


def encoded(event: dict[str, Any], previous: int) -> tuple[bytes, int]:
    """Return the line of an event and its sum; `previous` is the sum of the line before, 0 for the first.

    Raises
    ------
    InputError
        The line is too long to be written at once.
    """
    event = event | {"prev": previous}
    total = zlib.crc32(_encode.encode(event))
    line = _encode.encode(event | {"crc": total}) + b"\n"
    if len(line) >= LONGEST:
        raise InputError(
            f"the event takes {len(line)} bytes", f"fewer than {LONGEST}", "Shorten its name, state or note."
        )
    return line, total


def decoded(data: bytes, previous: int, number: int, path: object) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the events of whole lines with their sums.

    Parameters
    ----------
    data : bytes
        Whole lines.
    previous : int
        Sum of the line before the first of them.
    number : int
        How many lines come before them.
    path : path
        Of the ledger, for errors.

    Raises
    ------
    LedgerError
        A line was edited, or one is missing before it.
    """
    for line in data.split(b"\n")[:-1]:
        number += 1
        found = _SUM.search(line)
        if found is None or zlib.crc32(line[: found.start()] + line[found.end() :]) != int(found[1]):
            raise LedgerError(
                f"line {number} of {path} was changed: its sum does not fit",
                hint="Restore the ledger from a copy. What stands before that line is intact.",
            )
        try:
            event = _decode.decode(line)  # by a decoder that is there already: a ledger has many lines
            before = event["prev"]
        except (msgspec.DecodeError, RecursionError, KeyError) as error:
            raise LedgerError(f"line {number} of {path} is no event", "JSON with event and prev") from error
        if before != previous:
            raise LedgerError(
                f"before line {number} of {path} lines are missing, or come from another ledger",
                hint="Restore the ledger from a copy. What stands before that line is intact.",
            )
        previous = int(found[1])
        yield event, previous
