"""What a file is, from its first bytes: plain words for formats that are not read here, and what to do instead."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ..plain_files import regular_size

_HEAD = 512
_ARRAYS = "Read its arrays by name and pass those. In Python: rs.spectra({name: array, ...})"


@dataclass(frozen=True)
class FileKind:
    """A format that is not safetensors.

    Attributes
    ----------
    what : str
        What the file is.
    hint : str
        What to do; code that can be run stands at the end, after "In Python: ".
    pickled : bool
        Whether `from_torch_checkpoint` reads it.
    """

    what: str
    hint: str
    pickled: bool = False


_MAGIC = (
    (b"GGUF", "a GGUF file of llama.cpp, whose weights are mostly packed integers",
     "Pass the safetensors files that it was made from."),
    (b"ggml", "a GGML file of llama.cpp", "Pass the safetensors files that it was made from."),
    (b"lmgg", "a GGML file of llama.cpp", "Pass the safetensors files that it was made from."),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras and TensorFlow write them", _ARRAYS),
    (b"PAR1", "a Parquet table", "Pass the weights."),
    (b"\x1f\x8b", "compressed with gzip", "Unpack it and pass what is inside."),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard", "Unpack it and pass what is inside."),
    (b"\xfd7zXZ", "compressed with xz", "Unpack it and pass what is inside."),
    (b"BZh", "compressed with bzip2", "Unpack it and pass what is inside."),
    (b"7z\xbc\xaf", "a 7-Zip archive", "Unpack it and pass what is inside."),
    (b"version https://git-lfs", "a Git LFS pointer: the weights themselves were not downloaded",
     "Fetch them with git lfs pull in that folder."),
)  # fmt: skip
_SUFFIXES = {
    ".msgpack": ("a file of Flax's msgpack", _ARRAYS),
    ".pb": ("a TensorFlow graph", _ARRAYS),
    ".distcp": (
        "a part of a distributed PyTorch checkpoint",
        "Join its parts first: python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER model.pt",
    ),
}


def kind_of(file: Path) -> FileKind | None:
    """Return what a file is where it is no safetensors file; None where it can be one, or nothing is known of it."""
    try:
        regular_size(file)
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error})", "a regular file") from error
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
    if not head:
        return FileKind("an empty file", "Copy it again.")
    if _is_safetensors(head):
        return None
    for magic, what, hint in _MAGIC:
        if head.startswith(magic):
            return FileKind(what, hint)
    return _by_content(file, head)


def _is_safetensors(head: bytes) -> bool:
    """Whether a file starts with the length of a header and the header's bracket."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**40


def _by_content(file: Path, head: bytes) -> FileKind | None:
    if head.startswith(b"\x93NUMPY"):
        return FileKind("a NumPy array", f"In Python: rs.methods.spectra.layer_metrics(np.load({str(file)!r}))")
    if head.startswith(b"PK\x03\x04"):
        return _of_zip(file)
    if head[:1] == b"\x80" and 2 <= head[1] <= 5:
        return _checkpoint(file, "a pickle, as older versions of torch.save write it")
    if head[257:262] == b"ustar":
        return FileKind("a tar archive", "Unpack it and pass what is inside.")
    if head[4:8] == b"TFL3":
        return FileKind("a TensorFlow Lite model", "Pass the weights of the model that it was made from.")
    if file.suffix == ".onnx" or _is_onnx(head):
        code = f"{{one.name: numpy_helper.to_array(one) for one in onnx.load({str(file)!r}).graph.initializer}}"
        return FileKind("an ONNX model", f"Pass its initializers. In Python: rs.spectra({code})")
    return _of_text(file, head)


def _is_onnx(head: bytes) -> bool:
    """Whether a protocol buffer starts with a version of ONNX's format and another of its fields."""
    return len(head) > 2 and head[0] == 0x08 and 1 <= head[1] <= 32 and head[2] in (0x12, 0x1A, 0x22, 0x2A, 0x32, 0x3A)


def _of_text(file: Path, head: bytes) -> FileKind | None:
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return FileKind("a web page or XML, not weights", "Download the file itself.")
    if start.startswith((b"{", b"[")):
        return FileKind("JSON text", "Pass the folder with the weights, or their index, model.safetensors.index.json.")
    what = _SUFFIXES.get(file.suffix)
    return None if what is None else FileKind(*what)


def _of_zip(file: Path) -> FileKind:
    """Return what a zip file is by the names inside; its contents are not read."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return FileKind("a truncated zip file", "Copy it again.")
    if any(name.endswith("/data.pkl") for name in names):
        if any("/code/" in name or name.endswith("/constants.pkl") for name in names):
            code = f"rs.spectra(torch.jit.load({str(file)!r}).state_dict())"
            return FileKind("a TorchScript program", f"Load it where you trust it. In Python: {code}")
        return _checkpoint(file, "a PyTorch checkpoint")
    if any(name.endswith(".npy") for name in names):
        return FileKind("an .npz file of NumPy", f"In Python: rs.spectra(dict(np.load({str(file)!r})))")
    if any(name.endswith(".weights.h5") for name in names):
        return FileKind("a model of Keras 3", _ARRAYS)
    return FileKind("a zip archive", "Unpack it and pass what is inside.")


def _checkpoint(file: Path, what: str) -> FileKind:
    code = f"rs.spectra(rs.methods.spectra.from_torch_checkpoint({str(file)!r}))"
    hint = f"Pickles can run code: ask for it with --torch on the command line. In Python: {code}"
    return FileKind(f"{what}, which has to be unpickled", hint, pickled=True)


def refuse_other_kinds(file: Path, *, pickles: bool = False) -> None:
    """Raise where a file is of a kind that is known and not wanted.

    Parameters
    ----------
    file : Path
        Exists.
    pickles : bool
        Whether a checkpoint of PyTorch is wanted, instead of safetensors.

    Raises
    ------
    InputError
        With what it is and what to do.
    """
    kind = kind_of(file)
    if pickles and kind is None:
        with file.open("rb") as stream:
            if _is_safetensors(stream.read(16)):
                hint = f"Drop --torch. In Python: rs.spectra({str(file)!r})"
                raise InputError(f"{file} is a safetensors file", "a checkpoint that torch.save wrote", hint)
    if kind is not None and not (pickles and kind.pickled):
        wanted = "a checkpoint that torch.save wrote" if pickles else "safetensors weights"
        raise InputError(f"{file} is {kind.what}", wanted, kind.hint)
