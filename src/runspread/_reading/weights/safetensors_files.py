"""One safetensors file: its header, read in full, and its tensors, mapped into memory when their turn comes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ..array_files import header_length, tensor_entries
from ..plain_files import regular_size
from ..safetensors import unreadable
from .file_kinds import refuse_other_kinds
from .number_formats import TYPES, widened

_SIZES = {name: np.dtype(kind).itemsize for name, (kind, _) in TYPES.items()}


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
        try:
            raw = np.memmap(self.file, dtype=TYPES[self.dtype][0], mode="r", offset=self.offset, shape=self.shape)
        except (OSError, ValueError) as error:
            raise unreadable(self.file, error) from error
        return widened(raw, self.stored)


def header_of(file: Path) -> tuple[dict[str, Entry], dict[str, str]]:
    """Return the tensors of a safetensors file by name, and the texts that it holds beside them.

    Raises
    ------
    InputError
        The file is of another kind, or not whole.
    """
    refuse_other_kinds(file)
    try:
        size = regular_size(file)
        with file.open("rb") as stream:
            length = header_length(stream.read(8), size)
            entries, texts = tensor_entries(stream.read(length), size - 8 - length, _SIZES)
    except (OSError, ValueError, MemoryError) as error:
        raise InputError(f"{file} cannot be read ({error})", "a complete safetensors file") from error
    start = 8 + length
    return {
        name: Entry(file, one.dtype, one.shape, start + one.data_offsets[0]) for name, one in entries.items()
    }, texts
