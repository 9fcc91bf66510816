"""One safetensors file: its header, read in full, and its tensors, mapped into memory when their turn comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from .file_kinds import refuse_other_kinds
from .number_formats import TYPES, widened

_HEADER_LIMIT = 100 * 2**20  # of the format


@dataclass(frozen=True)
class Entry:
    """One tensor in the header of a safetensors file."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def readable(self) -> bool:
        """Whether the type is one that is known."""
        return self.dtype in TYPES

    @property
    def stored(self) -> str:
        """Name of the type, as results give it."""
        return TYPES[self.dtype][1] if self.readable else self.dtype

    def read(self) -> NDArray[Any]:
        """Return the tensor as float64, float32, float16 or integers; a view of the file where NumPy has the type."""
        if not self.readable:
            raise InputError(f"{self.file.name} holds numbers of type {self.dtype}", f"one of {', '.join(TYPES)}")
        raw = np.memmap(self.file, dtype=TYPES[self.dtype][0], mode="r", offset=self.offset, shape=self.shape)
        return widened(raw, self.stored)


def header_of(file: Path) -> tuple[dict[str, Entry], dict[str, str]]:
    """Return the tensors of a safetensors file by name, and the texts that it holds beside them.

    Raises
    ------
    InputError
        The file is of another kind, or not whole.
    """
    refuse_other_kinds(file)
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(_HEADER_LIMIT, size - 8):
                raise ValueError("its header has no possible length")
            header = msgspec.json.decode(stream.read(length), type=dict[str, dict[str, Any]])
        texts = {name: str(text) for name, text in header.pop("__metadata__", {}).items()}
        return {name: _entry(file, name, facts, 8 + length, size) for name, facts in header.items()}, texts
    except (OSError, ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
        raise InputError(f"{file} cannot be read ({error})", "a complete safetensors file") from error


def _entry(file: Path, name: str, facts: Mapping[str, Any], start: int, size: int) -> Entry:
    shape = msgspec.convert(facts["shape"], tuple[int, ...])
    begin, end = msgspec.convert(facts["data_offsets"], tuple[int, int])
    kind = str(facts["dtype"])
    if min(shape, default=0) < 0 or not 0 <= begin <= end <= size - start:
        raise ValueError(f"{name} lies outside the file")
    if kind in TYPES and end - begin != int(np.prod(shape, dtype=object)) * np.dtype(TYPES[kind][0]).itemsize:
        raise ValueError(f"{name} has {end - begin} bytes for shape {shape}")
    return Entry(file, kind, shape, start + begin)
