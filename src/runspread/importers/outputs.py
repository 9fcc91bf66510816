"""One run's predictions in a file: arrays, class indices as text, tables of W&B, and batches that torch saved."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._reading.safetensors import map_tensors
from ..errors import InputError, MissingDependencyError
from .limits import Limits, SourceProblem, opened, read_text
from .values import is_missing, number_of_text, parsed_json

OUTPUTS = ("logits", "predictions", "probabilities", "outputs", "preds", "y_pred", "classes")
LABELS_INSIDE = ("label_ids", "labels", "label", "targets", "y_true")
_LARGEST = 2**30
_RANK = re.compile(r"(.*)_(\d+)\.(?:pt|pth)")
_RANK_OF_LIGHTNING = re.compile(r"predictions_(\d+)\.pt")  # as its BasePredictionWriter is told to call it


def parts_of(paths: list[Path]) -> tuple[Path, ...]:
    """Return the files of a run's predictions: one, or those that each process of a distributed training wrote.

    Raises
    ------
    SourceProblem
        Several files that are no parts of one.
    """
    if len(paths) > 1 and not are_ranks(paths):
        named = ", ".join(path.name for path in paths[:3])
        raise SourceProblem(f"{len(paths)} files fit the pattern ({named}{', ...' * (len(paths) > 3)})")
    return tuple(sorted(paths, key=lambda path: (len(path.name), path.name)))


def are_ranks(paths: list[Path]) -> bool:
    """Whether files are those of the processes of one training: in one folder, alike but for a number at the end."""
    stems = {(path.parent, found[1] if (found := _RANK.fullmatch(path.name)) else None) for path in paths}
    return len(stems) == 1 and None not in next(iter(stems))


def read_parts(paths: tuple[Path, ...], limits: Limits, kind: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return the predictions in the files of one run, as `read_outputs`.

    Parts of several processes hold the examples in an order of their own, and some twice: they are read with the
    ``batch_indices_RANK.pt`` beside them alone.
    """
    if len(paths) == 1 and not _RANK_OF_LIGHTNING.fullmatch(paths[0].name):
        return read_outputs(paths[0], limits, kind)
    found = [(*_batches(path), _indices_beside(path)) for path in paths]
    at = np.concatenate([indices for _, _, indices in found])
    outputs = np.concatenate([array for array, _, _ in found])
    beside = [own for _, own, _ in found if own is not None]
    labels = np.concatenate(beside) if len(beside) == len(found) else None
    kept, first = np.unique(at, return_index=True)
    if len(at) != len(outputs) or not np.array_equal(kept, np.arange(len(kept))):
        raise SourceProblem(f"the batch indices beside {paths[0].name} are not those of its {len(outputs)} examples")
    return outputs[first], None if labels is None else labels[first]


def _indices_beside(path: Path) -> NDArray[np.int64]:
    rank = path.stem.rpartition("_")[2]
    beside = path.with_name(f"batch_indices_{rank}.pt")
    if not beside.is_file() or beside.is_symlink():
        raise SourceProblem(f"the order of its examples is unknown without {beside.name} beside it")
    indices, _ = _batches(beside)
    if indices.dtype.kind not in "iu" or indices.ndim != 1:
        raise SourceProblem(f"{beside.name} holds no numbers of examples")
    return indices.astype(np.int64)


def read_outputs(path: Path, limits: Limits, kind: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return a file's predictions [examples, columns] or classes [examples], and the labels beside them, if any.

    Raises
    ------
    SourceProblem
        A file that would have to be unpickled, is too large, or is of another kind.
    """
    suffix = path.suffix.lower()
    if path.lstat().st_size > _LARGEST:
        raise SourceProblem(f"{path.name} has more than {_LARGEST:,} bytes (a limit)")
    if suffix == ".npy":
        return _array(path), None
    if suffix == ".npz":
        return _named(_arrays(path), path)
    if suffix == ".safetensors":
        return _named(dict(map_tensors(path)), path)
    if suffix == ".json":
        return _table_of_json(path, limits)
    if suffix in (".txt", ".csv", ".tsv"):
        return _table(path, limits, kind)
    if suffix in (".pt", ".pth", ".bin"):
        return _batches(path)
    raise SourceProblem(f"{path.name} is no file of predictions (.npy, .npz, .safetensors, .txt, .csv, .json, .pt)")


def _array(path: Path) -> NDArray[Any]:
    try:
        with opened(path) as file:
            return np.asarray(np.load(file, allow_pickle=False))
    except ValueError as error:
        raise SourceProblem(f"{path.name} holds pickled objects or no array ({error})") from error


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    import zipfile

    found: dict[str, NDArray[Any]] = {}
    try:
        with opened(path) as file:
            sizes = [item.file_size for item in zipfile.ZipFile(file).infolist()]
            if sum(sizes) > _LARGEST:
                raise SourceProblem(f"{path.name} unpacks to more than {_LARGEST:,} bytes (a limit)")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                for name in archive.files:
                    try:
                        found[name] = archive[name]
                    except ValueError:
                        continue  # pickled objects
    except (ValueError, zipfile.BadZipFile) as error:
        raise SourceProblem(f"{path.name} is no archive of arrays ({error})") from error
    return found


def _named(arrays: dict[str, NDArray[Any]], path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    labels = next((arrays[name] for name in LABELS_INSIDE if name in arrays), None)
    others = {name: array for name, array in arrays.items() if name not in LABELS_INSIDE}
    found = next((others[name] for name in OUTPUTS if name in others), None)
    if found is None and len(others) == 1:
        found = next(iter(others.values()))
    if found is None:
        raise SourceProblem(f"{path.name} holds {', '.join(arrays) or 'nothing'}, none of which is called {OUTPUTS[0]}")
    return found, labels


def _table(path: Path, limits: Limits, kind: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return the numbers of a table with or without names; one column of whole numbers is classes."""
    text = read_text(path, limits)
    first = text.splitlines()[0] if text.strip() else ""
    delimiter = max("\t,; ", key=first.count) if any(mark in first for mark in "\t,; ") else ","
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row and not row[0].startswith("#")]
    names = None
    if rows and any(number_of_text(cell) is None and not is_missing(cell) for cell in rows[0]):
        names, rows = [name.strip() for name in rows[0]], rows[1:]
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise SourceProblem(f"{path.name} has rows of different lengths, or none")
    numbers = [[number_of_text(cell) for cell in row] for row in rows]
    if any(number is None for row in numbers for number in row):
        raise SourceProblem(f"{path.name} holds text that is no number")
    return _columns(np.array(numbers, np.float64), names, path, kind)


def _columns(
    table: NDArray[np.float64], names: list[str] | None, path: Path, kind: str
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    labels = None
    if names is not None:
        at = [k for k, name in enumerate(names) if name in LABELS_INSIDE]
        index = [k for k, name in enumerate(names) if name in ("index", "id", "")]
        labels = table[:, at[0]].astype(np.int64) if at else None
        keep = [k for k in range(len(names)) if k not in (*at, *index)]
        named = [k for k in keep if names[k] in OUTPUTS]
        table = table[:, named if len(named) == 1 else keep]
    if table.shape[1] == 2 and names is None and bool((table[:, 0] == np.arange(len(table))).all()):
        table = table[:, 1:]  # a number of the example beside its class
    if table.shape[1] == 1 and (kind == "classes" or bool((table == np.floor(table)).all())):
        return table[:, 0].astype(np.int64), labels
    del path
    return table, labels


def _table_of_json(path: Path, limits: Limits) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return the numbers of a table of W&B: columns and rows."""
    content = parsed_json(read_text(path, limits), path.name)
    columns, rows = (content.get(key) for key in ("columns", "data")) if isinstance(content, dict) else (None, None)
    if not isinstance(columns, list) or not isinstance(rows, list) or not rows:
        raise SourceProblem(f"{path.name} is no table with columns and data")
    try:
        numeric = [k for k in range(len(columns)) if all(isinstance(row[k], (int, float)) for row in rows)]
        table = np.array([[row[k] for k in numeric] for row in rows], np.float64)
    except (IndexError, TypeError) as error:
        raise SourceProblem(f"{path.name} has rows of different lengths") from error
    return _columns(table, [str(columns[k]) for k in numeric], path, "auto")


def _batches(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return batches that ``torch.save`` wrote, joined; they are unpickled in a process of its own, with limits."""
    from .._reading.weights.torch_files import from_torch_checkpoint

    try:
        checkpoint = from_torch_checkpoint(path, memory_bytes=8 * 2**30, seconds=60)
    except (InputError, MissingDependencyError) as error:
        raise SourceProblem(str(error)) from error
    by_name: dict[str, list[NDArray[Any]]] = {}
    for tensor in checkpoint._raw:
        name = tensor.name.rpartition(".")[2]
        by_name.setdefault("predictions" if name.isdigit() else name, []).append(np.asarray(tensor.load()))
    if any(len({array.shape[1:] for array in arrays}) > 1 or arrays[0].ndim == 0 for arrays in by_name.values()):
        raise SourceProblem(f"{path.name} holds no list of batches of one shape")
    return _named({name: np.concatenate(arrays) for name, arrays in by_name.items()}, path)
