"""Safetensors files written byte by byte, in types that their library or NumPy lack."""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

import numpy as np

_TYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "int16": "I16",
          "int8": "I8", "uint32": "U32", "uint8": "U8"}  # fmt: skip


class Raw(NamedTuple):
    """Bytes of a type of safetensors, and the numbers that they mean where that is known."""

    dtype: str
    bytes: np.ndarray
    values: np.ndarray | None = None


def raw(dtype, array):
    return Raw(dtype, np.ascontiguousarray(array))


def _e4m3_values():
    """The positive numbers of float8 with 4 bits of exponent, by the formula of the standard."""
    codes = np.arange(127)
    exponent, fraction = codes // 8, codes % 8
    return np.where(exponent == 0, fraction / 8 * 2.0**-6, (1 + fraction / 8) * 2.0 ** (exponent - 7))


def e4m3(array):
    """Round to float8 with 4 bits of exponent: to the nearest of its numbers."""
    table = _e4m3_values()
    size = np.abs(np.asarray(array, np.float64))
    above = np.clip(np.searchsorted(table, size), 1, 126)
    codes = np.where(size - table[above - 1] <= table[above] - size, above - 1, above)
    values = np.where(np.asarray(array) < 0, -table[codes], table[codes])
    return Raw("F8_E4M3", (codes + 128 * (np.asarray(array) < 0)).astype(np.uint8), values)


def write(path, tensors):
    """Write a safetensors file; values are arrays or `Raw`."""
    header, blobs, at = {}, [], 0
    for name, value in tensors.items():
        one = value if isinstance(value, Raw) else raw(_TYPES[str(np.asarray(value).dtype)], value)
        shape = np.shape(value) if not isinstance(value, Raw) else one.bytes.shape
        data = one.bytes.tobytes()
        header[name] = {"dtype": one.dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
        blobs.append(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    return path
