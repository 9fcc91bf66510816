"""Types of numbers in weight files that NumPy lacks, and how each is widened exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Type in a safetensors header -> NumPy's type of the bytes, and the name that results give it.
TYPES = {
    "F64": ("<f8", "float64"), "F32": ("<f4", "float32"), "F16": ("<f2", "float16"), "BF16": ("<u2", "bfloat16"),
    "F8_E4M3": ("u1", "float8_e4m3"), "F8_E5M2": ("u1", "float8_e5m2"), "F8_E8M0": ("u1", "float8_e8m0"),
    "I64": ("<i8", "int64"), "I32": ("<i4", "int32"), "I16": ("<i2", "int16"), "I8": ("i1", "int8"),
    "U64": ("<u8", "uint64"), "U32": ("<u4", "uint32"), "U16": ("<u2", "uint16"), "U8": ("u1", "uint8"),
    "BOOL": ("?", "bool"),
}  # fmt: skip


def widened(raw: NDArray[Any], stored: str) -> NDArray[Any]:
    """Return numbers in a type that NumPy has.

    Parameters
    ----------
    raw : ndarray
        The bytes, in NumPy's type of `TYPES`.
    stored : str
        Name of the type.
    """
    return _WIDENED.get(stored, np.asarray)(raw)


def from_bfloat16(raw: NDArray[Any]) -> NDArray[Any]:
    """Return bfloat16 as float32: the upper half of its bits."""
    return (raw.astype(np.uint32) << 16).view(np.float32)


def from_float8_e5m2(raw: NDArray[Any]) -> NDArray[Any]:
    """Return float8 with 5 bits of exponent as float16: the upper half of its bits."""
    return (raw.astype(np.uint16) << 8).view(np.float16)


def from_float8_e4m3(raw: NDArray[Any]) -> NDArray[Any]:
    """Look the 256 numbers up: sign, 4 bits of exponent with bias 7, 3 bits of fraction, all ones for NaN."""
    code = np.arange(256)
    exponent, fraction = (code >> 3) & 15, code & 7
    size = np.where(exponent > 0, np.ldexp(8.0 + fraction, exponent - 10), np.ldexp(fraction * 1.0, -9))
    size[(code & 127) == 127] = np.nan
    return np.where(code < 128, size, -size).astype(np.float32)[raw]


def from_float8_e8m0(raw: NDArray[Any]) -> NDArray[Any]:
    """Return powers of two, ``2^(byte - 127)``; 255 is NaN (OCP microscaling formats, 1.0, section 5.4.1)."""
    return np.append(np.ldexp(1.0, np.arange(255) - 127), np.nan)[raw]


_WIDENED: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "bfloat16": from_bfloat16, "float8_e5m2": from_float8_e5m2, "float8_e4m3": from_float8_e4m3,
    "float8_e8m0": from_float8_e8m0,
}  # fmt: skip
