"""Weights from safetensors files and folders, tensor by tensor, without a deep-learning framework.

A file is memory-mapped and only its header is read at first. Nothing is unpickled. Names in an index are taken for
names of files beside it, never for paths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .._errors import InputError
from .._methods.spectra.weight_tensors import WeightTensor, guessed_kind

_INDEX = ".safetensors.index.json"
_HEADER_LIMIT = 100 * 2**20  # of the format
_NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
          "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
          "BF16": "<u2", "F8_E4M3": "u1", "F8_E5M2": "u1"}  # fmt: skip
_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
          "F8_E4M3": "float8_e4m3", "F8_E5M2": "float8_e5m2"}  # fmt: skip
_BLOCK = 128  # rows or columns that share a factor in block-scaled float8 checkpoints
_SCALES = ("_scale_inv", "_scale")  # of float8 weights: factors on the numbers as stored, whatever the name says


@dataclass(frozen=True)
class Entry:
    """One tensor in the header of a safetensors file."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int

    def read(self) -> NDArray[Any]:
        """Return the tensor as float64, float32, float16 or integers; a view of the file where NumPy has the type."""
        raw = np.memmap(self.file, dtype=_NUMPY[self.dtype], mode="r", offset=self.offset, shape=self.shape)
        return _WIDENED.get(self.dtype, np.asarray)(raw)


def _from_bfloat16(raw: NDArray[Any]) -> NDArray[Any]:
    return (raw.astype(np.uint32) << 16).view(np.float32)


def _from_float8_e5m2(raw: NDArray[Any]) -> NDArray[Any]:
    return (raw.astype(np.uint16) << 8).view(np.float16)


def _from_float8_e4m3(raw: NDArray[Any]) -> NDArray[Any]:
    """Look the 256 numbers up: sign, 4 bits of exponent with bias 7, 3 bits of fraction, all ones for NaN."""
    code = np.arange(256)
    exponent, fraction = (code >> 3) & 15, code & 7
    size = np.where(exponent > 0, np.ldexp(8.0 + fraction, exponent - 10), np.ldexp(fraction * 1.0, -9))
    size[(code & 127) == 127] = np.nan
    return np.where(code < 128, size, -size).astype(np.float32)[raw]


_WIDENED: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "BF16": _from_bfloat16, "F8_E5M2": _from_float8_e5m2, "F8_E4M3": _from_float8_e4m3,
}  # fmt: skip


def tensors_of_safetensors(path: Path, kinds: Mapping[str, str] | None = None) -> list[WeightTensor]:
    """Return the tensors of a safetensors file, of the shards of an index, or of a folder of either.

    Raises
    ------
    InputError
        The folder holds none, or several models; a shard is missing, or a file is not whole.
    """
    entries: dict[str, Entry] = {}
    for file in _files_of(path):
        found = _entries_of(file)
        twice = next((name for name in found if name in entries), None)
        if twice is not None:
            raise InputError(
                f"{twice} is in {entries[twice].file.name} and in {file.name} of {path}",
                "one model, each tensor in one file",
                f"Give one of them, such as {file}.",
            )
        entries |= found
    return [_tensor(name, entries, kinds or {}) for name in entries if _scaled(name, entries) is None]


def _files_of(path: Path) -> list[Path]:
    if path.name.endswith(_INDEX):
        return [_shard(path.parent, name) for name in _names_in(path)]
    if path.is_file():
        return [path]
    indexes = sorted(path.glob(f"*{_INDEX}"))
    if len(indexes) > 1:
        raise InputError(
            f"{path} holds {len(indexes)} indexes: {', '.join(index.name for index in indexes)}",
            "one model",
            f"Give one of them, such as {indexes[-1]}.",
        )
    if indexes:
        return _files_of(indexes[0])
    files = sorted(path.glob("*.safetensors"))
    if not files:
        pickled = sorted({*path.glob("*.bin"), *path.glob("*.pt"), *path.glob("*.pth")})
        raise InputError(
            f"{path} holds no safetensors file",
            "model.safetensors, or shards with their index",
            f"{pickled[0].name} is a pickle: read it with rs.from_torch_checkpoint, or --torch on the command line."
            if pickled else "",
        )  # fmt: skip
    return files


def _names_in(index: Path) -> list[str]:
    try:
        decoded = msgspec.json.decode(index.read_bytes(), type=dict[str, Any])
        return sorted(set(msgspec.convert(decoded["weight_map"], dict[str, str]).values()))
    except (OSError, KeyError, msgspec.MsgspecError) as error:
        raise InputError(f"{index} cannot be read ({error})", "JSON with a weight_map of tensor to file") from error


def _shard(folder: Path, name: str) -> Path:
    if Path(name).name != name:
        raise InputError(f"the index names {name!r}", "files in the same folder")
    if not (folder / name).is_file():
        raise InputError(f"shard {name} is missing from {folder}", "every file that the index names", "Copy it there.")
    return folder / name


def _entries_of(file: Path) -> dict[str, Entry]:
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(_HEADER_LIMIT, size - 8):
                raise ValueError("its header has no possible length")
            header = msgspec.json.decode(stream.read(length), type=dict[str, dict[str, Any]])
        header.pop("__metadata__", None)
        return {name: _entry(file, name, facts, 8 + length, size) for name, facts in header.items()}
    except (OSError, ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
        raise InputError(f"{file} cannot be read ({error})", "a whole safetensors file") from error


def _entry(file: Path, name: str, facts: Mapping[str, Any], start: int, size: int) -> Entry:
    shape = msgspec.convert(facts["shape"], tuple[int, ...])
    begin, end = msgspec.convert(facts["data_offsets"], tuple[int, int])
    kind = str(facts["dtype"])
    if min(shape, default=0) < 0 or not 0 <= begin <= end <= size - start:
        raise ValueError(f"{name} lies outside the file")
    if kind in _NUMPY and end - begin != int(np.prod(shape, dtype=object)) * np.dtype(_NUMPY[kind]).itemsize:
        raise ValueError(f"{name} has {end - begin} bytes for shape {shape}")
    return Entry(file, kind, shape, start + begin)


def _scaled(name: str, entries: Mapping[str, Entry]) -> str | None:
    """Return the float8 tensor that `name` holds the scales of, if it does."""
    for suffix in _SCALES:
        base = name.removesuffix(suffix)
        if base != name and base in entries and entries[base].dtype.startswith("F8"):
            return base
    return None


def _tensor(name: str, entries: Mapping[str, Entry], kinds: Mapping[str, str]) -> WeightTensor:
    entry = entries[name]
    kind = kinds.get(name, guessed_kind(name, entry.shape))
    scale = next((entries[name + suffix] for suffix in _SCALES if name + suffix in entries), None)
    status = detail = ""
    if entry.dtype not in _NAMES:
        known = entry.dtype in _NUMPY
        status = "" if kind == "vector" else ("quantised" if known else "unsupported")
        kind, detail = ("vector" if not status else kind), f"stored as {entry.dtype}"
    load = partial(_read_scaled, entry, scale) if scale is not None and not status else entry.read
    if scale is not None and not status and not _scale_fits(entry.shape, scale.shape):
        status, detail = "quantised", f"scales of shape {scale.shape} for a tensor of shape {entry.shape}"
    return WeightTensor(
        name=name,
        shape=entry.shape,
        stored=_NAMES.get(entry.dtype, entry.dtype),
        load=load,
        kind=kind,
        status=status,
        detail=detail,
    )


def _scale_fits(shape: tuple[int, ...], scale: tuple[int, ...]) -> bool:
    if int(np.prod(scale)) == 1:
        return True
    return len(scale) == len(shape) and all(map(_block_size, scale, shape))


def _block_size(factors: int, length: int) -> int:
    """Return how many rows share a factor: 128 as is usual, or an equal split; 0 where neither is possible."""
    if factors > 1 and factors == -(-length // _BLOCK):
        return _BLOCK
    return length // factors if factors and length % factors == 0 else 0


def _read_scaled(entry: Entry, scale: Entry) -> NDArray[Any]:
    """Return a tensor times its scales: one for all, or one a block of rows and columns."""
    factors = scale.read().astype(np.float64)
    values = entry.read().astype(np.float64)
    if factors.size == 1:
        return values * factors.reshape(())
    for axis, length in enumerate(values.shape):
        repeats = _block_size(factors.shape[axis], length)
        factors = np.repeat(factors, repeats, axis=axis).take(range(length), axis=axis)
    return values * factors
