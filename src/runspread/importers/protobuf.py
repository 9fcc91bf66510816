"""The few fields of protocol buffers that logs need, read by hand; all others are skipped by their length."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


class BadRecordError(Exception):
    """Bytes that are no protocol buffer."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of variable length, and where it ends."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise BadRecordError
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """Yield number, wire type and value of each field: a whole number, or bytes."""
    at, end = 0, len(data)
    while at < end:
        key, at = varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = varint(data, at)
        else:
            if wire == 2:
                length, at = varint(data, at)
            elif wire in (1, 5):
                length = 8 if wire == 1 else 4
            else:
                raise BadRecordError
            if at + length > end:
                raise BadRecordError
            value = data[at : at + length]
            at += length
        yield key >> 3, wire, value


def fields_of(data: bytes) -> dict[int, Any]:
    """Return the last value of each field."""
    return {number: value for number, _, value in fields(data)}


def text_of(value: Any) -> str:
    """Return a field of text."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def signed(value: int) -> int:
    """Return a number of 64 bits with its sign."""
    return value - (1 << 64) if value >= 1 << 63 else value


def double(value: bytes) -> float:
    """Return a double of 8 bytes."""
    if len(value) != 8:
        raise BadRecordError
    return float(struct.unpack("<d", value)[0])


def _crc_table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1).astype(np.uint32)
    return table


_TABLE = _crc_table()


def masked_crcs(rows: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the masked CRC-32C of each row of bytes [rows, length]."""
    crc = np.full(len(rows), 0xFFFFFFFF, np.uint32)
    for column in rows.T:
        crc = _TABLE[(crc ^ column) & 0xFF] ^ (crc >> np.uint32(8))
    crc ^= np.uint32(0xFFFFFFFF)
    turned = (crc >> np.uint32(15)) | (crc << np.uint32(17))
    return (turned.astype(np.uint64) + np.uint64(0xA282EAD8)).astype(np.uint32)


def masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C of some bytes."""
    crc = 0xFFFFFFFF
    table = _PLAIN_TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


_PLAIN_TABLE: list[int] = _TABLE.tolist()
