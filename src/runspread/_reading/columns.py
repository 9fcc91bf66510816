"""One value per example, such as the cluster that it belongs to: from a file of its own, or beside the outputs."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CorruptShardError, InputError
from .array_files import load_npy, load_npz, npz_headers
from .safetensors import map_tensors
from .tables import rows_of

_TABLES = {".csv": ",", ".tsv": "\t"}
_SEVERAL = (".npz", ".safetensors", *_TABLES)
_FORMS = (
    "a .npy file, FILE:COLUMN of a .csv, .tsv, .npz or .safetensors file, or the name of an array beside the outputs"
)


def read_column(name: str, beside: str | Path | None = None) -> NDArray[Any]:
    """Return one value per example.

    Parameters
    ----------
    name : str
        ``clusters.npy``; ``examples.csv:patient``, with a header (likewise .tsv, .npz and .safetensors; without a
        column where the file has one alone); or ``patient``, an array of that name in the file `beside`.
    beside : str or Path, optional
        File of the outputs, an .npz or .safetensors that may hold such arrays.

    Raises
    ------
    InputError
        There is no such file or column; those that are there are named.
    """
    file, column = _parts(name)
    if file is not None:
        return _from_file(file, column)
    inside = Path(beside) if beside is not None else None
    if inside is None or not inside.is_file() or inside.suffix not in (".npz", ".safetensors"):
        raise InputError(f"{name!r} is not a file", _FORMS, "Save the values with numpy.save, one per example.")
    return _from_file(inside, name)


def _parts(name: str) -> tuple[Path | None, str | None]:
    """Return the file and the column that a name stands for."""
    if Path(name).suffix in (".npy", *_SEVERAL):
        return Path(name), None
    file, colon, column = name.rpartition(":")
    if colon and Path(file).suffix in _SEVERAL:
        return Path(file), column
    return None, None


def _from_file(file: Path, column: str | None) -> NDArray[Any]:
    if not file.is_file():
        raise InputError(f"the file {str(file)!r} does not exist", _FORMS)
    columns = _columns(file)
    if column is None and len(columns) == 1:
        return next(iter(columns.values()))
    if column is None or column not in columns:
        names = ", ".join(sorted(columns)) or "nothing"
        what = f"{file.name} has no column {column!r}" if column else f"{file.name} has several columns"
        raise InputError(f"{what}; it holds {names}", "one of those" if column else f"{file.name}:COLUMN")
    return columns[column]


def _columns(file: Path) -> Mapping[str, NDArray[Any]]:
    try:
        if file.suffix == ".npy":
            return {"": load_npy(file)}
        if file.suffix == ".npz":
            return load_npz(file, [name for name, (shape, _) in npz_headers(file).items() if len(shape) == 1])
        if file.suffix == ".safetensors":
            return {key: value for key, value in map_tensors(file, memmap=True).items() if value.ndim == 1}
        rows = rows_of(file, _TABLES[file.suffix])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, CorruptShardError) as error:
        raise InputError(f"{file} cannot be read ({error})", _FORMS) from error
    if len({len(row) for row in rows}) != 1 or len(set(rows[0])) != len(rows[0]):
        raise InputError(
            f"{file.name} has rows of different lengths, or two columns of the same name",
            "a table with distinct column names",
        )
    return {head: np.array([row[at] for row in rows[1:]]) for at, head in enumerate(rows[0])}
