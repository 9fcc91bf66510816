"""The arrays of a safetensors file, by memory map."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import CorruptShardError

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "V2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def map_tensors(path: Path, *, memmap: bool = False) -> dict[str, NDArray[Any]]:
    """Return the arrays of a safetensors file as read-only views of the memory-mapped file.

    Parameters
    ----------
    path : Path
        The file.
    memmap : bool
        Whether to return ``numpy.memmap``, whose pages can be given back while a large file is walked; opening takes
        four times as long.

    Raises
    ------
    CorruptShardError
        The file is missing, cut short, or not safetensors.
    """
    try:
        with path.open("rb", buffering=0) as file:
            raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = 8 + int.from_bytes(raw[:8], "little")
        header: dict[str, Any] = msgspec.json.decode(raw[8:start])
        header.pop("__metadata__", None)
        if memmap:
            data = np.memmap(path, mode="r", dtype=np.uint8, offset=start)
            return {name: _slice(data, entry) for name, entry in header.items()}
        return {name: _view(raw, start, entry) for name, entry in header.items()}
    except (OSError, ValueError, KeyError, TypeError, msgspec.DecodeError) as error:
        raise CorruptShardError(
            f"{path} cannot be read ({error})",
            "a complete safetensors file",
            "`runspread verify` names every corrupt shard. Move those away, and train or copy them again.",
        ) from error


def _view(raw: mmap.mmap, start: int, entry: Mapping[str, Any]) -> NDArray[Any]:
    begin, end = entry["data_offsets"]
    array: NDArray[Any] = np.ndarray(entry["shape"], _type_of(entry), raw, start + begin)
    if array.nbytes != end - begin:
        raise ValueError(f"{end - begin} bytes for {entry['dtype']} of shape {tuple(entry['shape'])}")
    return array


def _slice(data: NDArray[np.uint8], entry: Mapping[str, Any]) -> NDArray[Any]:
    begin, end = entry["data_offsets"]
    return data[begin:end].view(_type_of(entry)).reshape(entry["shape"])


def _type_of(entry: Mapping[str, Any]) -> str:
    kind = entry["dtype"]
    if kind not in _DTYPES:
        raise ValueError(f"numbers of type {kind}, where one of {', '.join(_DTYPES)} is read")
    return _DTYPES[kind]
