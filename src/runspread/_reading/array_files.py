"""Headers of array files, checked before a byte of the arrays is read: .npy, .npz, and the arrays of safetensors.

What a header declares has to be what the file holds: sizes are compared with the file's own, in whole numbers.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .plain_files import decode_json, regular_size

Header = tuple[tuple[int, ...], np.dtype[Any]]

_NPY_HEADER = 65_536  # bytes
_SAFETENSORS_HEADER = 100 * 2**20  # of the format
_MOST_AXES = 32
_UNPACKED, _RATIO = 2**30, 100  # of compressed arrays: larger ones that were packed tighter are refused


# ---------------------------------------------------------------------- NumPy


def npy_header(stream: IO[bytes], size: int) -> Header:
    """Return shape and type of the array that starts here, and has `size` bytes with its header.

    Raises
    ------
    ValueError
        It is no such array, or another number of bytes.
    """
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} of the .npy format")
    try:
        shape, _, dtype = readers[version](stream, max_header_size=_NPY_HEADER)
    except Exception as error:  # whatever Python says of a header that is no literal
        raise ValueError(f"a header that cannot be read ({type(error).__name__})") from error
    if dtype.hasobject:
        raise ValueError("an array of Python objects, which would have to be unpickled")
    needed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or needed != size - stream.tell():
        raise ValueError(f"{size - stream.tell()} bytes for {dtype} of shape {shape}")
    return shape, dtype


def load_npy(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    """Return the array of a .npy file, as a view of the file where it is `mapped`."""
    size = regular_size(path)
    with path.open("rb") as stream:
        npy_header(stream, size)
    return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)


def npz_headers(path: Path) -> dict[str, Header]:
    """Return shape and type of each array of a .npz file.

    Raises
    ------
    ValueError, OSError, zipfile.BadZipFile
        It is no such file, an array occurs twice, or they unpack to far more than the file holds.
    """
    regular_size(path)
    with _unreadable_members(), zipfile.ZipFile(path) as archive:
        check_unpacked(archive)
        found: dict[str, Header] = {}
        for info in archive.infolist():
            with archive.open(info) as stream:
                found[info.filename.removesuffix(".npy")] = npy_header(stream, info.file_size)
    return found


@contextmanager
def _unreadable_members() -> Generator[None]:
    """Turn what says that a member is packed in another way, encrypted or damaged into a ValueError."""
    try:
        yield
    except (NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def load_npz(path: Path, names: list[str] | None = None) -> dict[str, NDArray[Any]]:
    """Return arrays of a .npz file by name: those with one of the `names`, or all."""
    wanted = [name for name in npz_headers(path) if names is None or name in names]
    with _unreadable_members(), np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in wanted}


def check_unpacked(archive: zipfile.ZipFile) -> None:
    """Raise a ValueError where members occur twice, or unpack to far more than the archive holds."""
    members = archive.infolist()
    if len({info.filename for info in members}) < len(members):
        raise ValueError("two members of one name")
    unpacked, packed = (sum(getattr(info, size) for info in members) for size in ("file_size", "compress_size"))
    if unpacked > _UNPACKED and unpacked > _RATIO * packed:
        raise ValueError(f"{packed} bytes that unpack to {unpacked}")


# ---------------------------------------------------------------------- safetensors


class TensorEntry(msgspec.Struct, frozen=True):
    """One array in the header of a safetensors file: the name of its type, its shape, and where it lies in the data."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def header_length(start: bytes, size: int) -> int:
    """Return the length of the header, from the first eight bytes of a safetensors file of `size` bytes."""
    length = int.from_bytes(start[:8], "little")
    if len(start) < 8 or not 2 <= length <= min(_SAFETENSORS_HEADER, size - 8):
        raise ValueError("its header has no possible length")
    return length


def tensor_entries(header: bytes, size: int, sizes: Mapping[str, int]) -> tuple[dict[str, TensorEntry], dict[str, str]]:
    """Return the arrays that a header names, and the texts beside them.

    Parameters
    ----------
    header : bytes
        JSON.
    size : int
        Bytes of the data behind it.
    sizes : mapping of str to int
        Bytes of a number of each type that is known; of others no size can be checked.

    Raises
    ------
    ValueError
        It is no header; an array occurs twice, lies outside the data, over another one, or has other bytes than its
        shape needs; or there are data that belong to none.
    """
    if b'"__metadata__"' not in header:
        found, texts = decode_json(header, dict[str, TensorEntry]), dict[str, str]()
    else:
        raw = decode_json(header, dict[str, msgspec.Raw])
        texts = {name: str(text) for name, text in _texts(raw.pop("__metadata__", None)).items()}
        found = {name: decode_json(bytes(one), TensorEntry) for name, one in raw.items()}
    if header.count(b'"data_offsets"') > len(found) + sum("data_offsets" in text for text in (*texts, *texts.values())):
        raise ValueError("an array occurs twice")
    end = 0
    for (begin, after), name, entry in sorted([(entry.data_offsets, name, entry) for name, entry in found.items()]):
        shape = entry.shape
        if len(shape) > _MOST_AXES or min(shape, default=0) < 0 or begin != end or not begin <= after <= size:
            raise ValueError(f"{name} has no possible shape, or lies outside the file or over another array")
        known = sizes.get(entry.dtype)
        if known is not None and after - begin != math.prod(shape) * known:
            raise ValueError(f"{name} has {after - begin} bytes for {entry.dtype} of shape {shape}")
        end = after
    if end != size:
        raise ValueError(f"{size - end} bytes that belong to no array")
    return found, texts


def _texts(raw: msgspec.Raw | None) -> dict[str, Any]:
    return {} if raw is None else decode_json(bytes(raw), dict[str, Any])
