"""The arrays of a safetensors file: small files are read whole, large ones mapped, and neither holds a descriptor."""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
import sys
import weakref
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CorruptShardError, FormatVersionError, StorageError
from .array_files import TensorEntry, header_length, tensor_entries
from .plain_files import is_of_access, is_of_the_machine, open_regular, read_all, regular_size

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "V2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
_SIZES = {name: np.dtype(kind).itemsize for name, kind in _DTYPES.items()}
_READ_WHOLE = 2**20  # bytes of a file; larger ones are mapped
_BLOCK, _ROW = 2**20, 4096  # bytes that are added up at a time for a quick sum, and the width of what is added


class TensorFile:
    """A safetensors file whose header was read and found to fit the file.

    Parameters
    ----------
    path : path
        The file.
    memmap : bool
        Whether its arrays are ``numpy.memmap``, whose pages can be given back while a large file is walked; each holds
        a descriptor, and opening takes four times as long.

    Raises
    ------
    CorruptShardError
        The file is missing, cut short, or not safetensors.
    StorageError
        This process has no descriptors or no memory left, which says nothing of the file.
    """

    def __init__(self, path: Path | str, *, memmap: bool = False) -> None:
        self.path = path
        try:
            self._data: Any = np.memmap(path, np.uint8, "r") if memmap and regular_size(path) else contents(path)
            size = len(self._data)
            self._start = 8 + header_length(bytes(self._data[:8]), size)
            self.header = bytes(self._data[: self._start])
            self.entries, _ = tensor_entries(self.header[8:], size - self._start, _SIZES)
        except (OSError, ValueError, MemoryError) as error:
            raise unreadable(path, error) from error

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array as a read-only view."""
        entry = self.entries[name]
        try:
            return self._view(entry)
        except ValueError as error:
            raise unreadable(self.path, error) from error

    def _view(self, entry: TensorEntry) -> NDArray[Any]:
        if entry.dtype not in _DTYPES:
            raise ValueError(f"numbers of type {entry.dtype}, where one of {', '.join(_DTYPES)} is read")
        begin, end = (self._start + offset for offset in entry.data_offsets)
        if isinstance(self._data, np.memmap):
            return self._data[begin:end].view(_DTYPES[entry.dtype]).reshape(entry.shape)
        return np.ndarray(entry.shape, _DTYPES[entry.dtype], self._data, begin)

    def sum_of(self, name: str) -> str:
        """Return the quick sum of an array; of the header for an empty name."""
        if not name:
            return quick_sum(self.header)
        begin, end = (self._start + offset for offset in self.entries[name].data_offsets)
        return quick_sum(memoryview(self._data)[begin:end])

    def sums(self) -> str:
        """Return the quick sums as one text: of the header, and of each array in its order."""
        return " ".join(self.sum_of(name) for name in ("", *self.entries))

    def sha256(self) -> str:
        """Return the SHA-256 of the file in hexadecimal."""
        return hashlib.sha256(memoryview(self._data)).hexdigest()


def map_tensors(path: Path, *, memmap: bool = False) -> dict[str, NDArray[Any]]:
    """Return the arrays of a safetensors file by name; see `TensorFile`."""
    file = TensorFile(path, memmap=memmap)
    return {name: file[name] for name in file.entries}


def unreadable(
    path: Path | str, error: BaseException, expected: str = "a complete safetensors file"
) -> CorruptShardError | StorageError:
    """Return what an error while reading a file means: the file's fault, or this machine's."""
    if is_of_the_machine(error):
        return StorageError(
            f"{path} cannot be opened now ({error})",
            hint="The file need not be damaged: allow more open files (ulimit -n) or memory, and try again.",
        )
    if is_of_access(error):
        hint = "Check the permissions and the disk: the file itself need not be damaged."
    else:
        hint = "`runspread verify` names every corrupt shard. Move those away, and train or copy them again."
    return CorruptShardError(f"{path} cannot be read ({error})", expected, hint)


def need_not_be_damaged(error: BaseException) -> bool:
    """Whether an error leaves open that what could not be read is as it was written."""
    cause = error.__cause__ or error
    return isinstance(error, FormatVersionError) or is_of_the_machine(cause) or is_of_access(cause)


def contents(path: Path | str) -> Any:
    """Return the bytes of a regular file as a buffer that holds no descriptor."""
    descriptor, size = open_regular(path)
    try:
        return read_all(descriptor, size) if size <= _READ_WHOLE else _mapped(descriptor, size)
    finally:
        os.close(descriptor)


def _mapped(descriptor: int, size: int) -> Any:
    """Return a mapping of a file; Python's own would keep a copy of the descriptor, and a study has thousands."""
    if sys.platform == "win32":
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = (
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
    )  # fmt: skip
    library.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    address = library.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    region = (ctypes.c_ubyte * size).from_address(address)
    view = np.ctypeslib.as_array(region)
    weakref.finalize(region, library.munmap, address, size)
    view.flags.writeable = False
    return view


def quick_sum(data: Any) -> str:
    """Return a sum that tells any changed bit, fast: CRC-32, of large data of what each mebibyte adds up to.

    Parameters
    ----------
    data : bytes-like
        Up to a mebibyte, its own CRC-32; else the rows of 4096 bytes of each whole mebibyte are added as 64-bit words,
        and the CRC-32 is of these sums and of the bytes that remain.
    """
    raw = memoryview(data)
    if raw.nbytes < _BLOCK:
        return f"{zlib.crc32(raw):08x}"
    raw = raw.cast("B")
    whole = len(raw) // _BLOCK * _BLOCK
    blocks = np.frombuffer(raw[:whole], "<u8").reshape(-1, _BLOCK // _ROW, _ROW // 8)
    return f"{zlib.crc32(raw[whole:], zlib.crc32(np.add.reduce(blocks, axis=1))):08x}"
