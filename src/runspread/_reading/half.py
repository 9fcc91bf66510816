"""The largest entry of rows of float16, which neither NumPy nor most processors compare directly."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._compiled import can_compile, compiled
from .._cores import available_cores

_BLOCK = 2**20
_COMPILE_FROM = 2**24  # values; below, compiling takes longer than it saves
_MOST_COLUMNS = 2**16

Classes = NDArray[np.signedinteger[Any]]
Odd = NDArray[np.bool_]
_Scan = Callable[[NDArray[np.int16], Classes, Odd], None]


def half_argmax(array: NDArray[np.float16]) -> Classes:
    """Return the first position of the largest entry of each row [..., classes]; the first NaN where there is one."""
    return half_decided(array)[0]


def half_decided(array: NDArray[np.float16]) -> tuple[Classes, Odd]:
    """Return what `half_argmax` does, and where that entry is NaN or infinite, both [...].

    Large inputs go through a compiled loop over the bit patterns where numba is installed, on all cores; otherwise
    blocks are converted to float32, which is still twice as fast as NumPy on float16.
    """
    rows, columns = array.reshape(-1, array.shape[-1]), array.shape[-1]
    best = np.empty(len(rows), np.int8 if columns <= 2**7 else np.int32)
    odd = np.empty(len(rows), np.bool_)
    if array.size >= _COMPILE_FROM and columns <= _MOST_COLUMNS and can_compile():
        _on_all_cores(_compiled_scan(), np.ascontiguousarray(rows).view(np.int16), best, odd)
    else:
        _converted(rows, best, odd)
    return best.reshape(array.shape[:-1]), odd.reshape(array.shape[:-1])


def _converted(rows: NDArray[np.float16], best: Classes, odd: Odd) -> None:
    step = max(1, _BLOCK // rows.shape[1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        block = rows[part].astype(np.float32)
        best[part] = found = block.argmax(axis=1)
        odd[part] = ~np.isfinite(np.take_along_axis(block, found[:, None], axis=1)[:, 0])


def _on_all_cores(scanning: _Scan, bits: NDArray[np.int16], best: Classes, odd: Odd) -> None:
    cores = available_cores()
    edges = [len(bits) * core // cores for core in range(cores + 1)]

    def of(start: int, stop: int) -> None:
        scanning(bits[start:stop], best[start:stop], odd[start:stop])

    with ThreadPoolExecutor(cores) as threads:
        list(threads.map(of, edges[:-1], edges[1:]))


@functools.cache
def _compiled_scan() -> _Scan:
    return compiled(scan)


def scan(bits: NDArray[np.int16], best: Classes, odd: Odd) -> None:
    """Write the position of the largest float16 of each row, from its bits, and whether it is NaN or infinite.

    Sign and magnitude order as numbers do, NaN above all; the first of equal ones has the largest key. Without a
    branch, which costs more than all else.
    """
    columns = bits.shape[1]
    for row in range(bits.shape[0]):
        largest = -(2**40)
        for column in range(columns):
            pattern = np.int64(bits[row, column])
            magnitude, sign = pattern & 0x7FFF, pattern >> 63
            value = (magnitude ^ sign) - sign
            key = (0x7FFF if magnitude > 0x7C00 else value) * 65536 - column
            largest = key if key > largest else largest
        value = (largest + 65535) >> 16
        best[row] = value * 65536 - largest
        odd[row] = (value >= 0x7C00) | (value == -0x7C00)
