"""Outputs of runs trained elsewhere: one file of many runs, by memory map, or a file for each run."""

from __future__ import annotations

import glob
import os
import re
import zipfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._results import Excluded
from ..errors import CorruptShardError, InputError
from .array_files import load_npy, load_npz, npz_headers
from .kinds import SCALARS, check_kind
from .labels import labels_of
from .outputs import CHUNK_BYTES, RunOutputs, array_outputs, on_floats, said_to_be
from .safetensors import map_tensors
from .study_folders import is_study_folder

_OUTPUTS = ("logits", "probabilities", "predictions", "outputs")
_LABELS = ("labels", "label_ids", "label", "targets", "target", "y_true", "y_test", "y", "ground_truth")
SUFFIXES = (".npy", ".npz", ".safetensors")
_FILES = "a .npy, .npz or .safetensors file, a folder or a pattern of such files, or a list of them"


def open_outputs(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    labels: ArrayLike | str | os.PathLike[str] | None = None,
    *,
    tensor: str | None = None,
    key: str | None = None,
    kind: str = "auto",
) -> RunOutputs:
    """Open files that hold the outputs of runs; what can be mapped is not read before a method asks for it.

    Every method that takes the outputs of runs takes what this returns. Methods go through it in chunks of runs, so it
    may be larger than the memory: 60,000 runs on 10,000 examples of 10 classes in float16 are 12 GB.

    Parameters
    ----------
    path : str, Path, or a list of them
        One ``.npy``, ``.npz`` or ``.safetensors`` file of many runs: floating-point logits or probabilities
        [runs, examples, classes], whole-number predicted classes [runs, examples], or floating-point scalar outputs
        [runs, examples]. Or a file for each run, as a list, a folder or a pattern such as ``"runs/*.npy"``, each of
        [examples, classes], or [examples] for predicted classes and scalar outputs; a file called ``labels``,
        ``targets`` or ``y_true`` among them holds the labels, and is no run. Numbers may be bfloat16.
    labels : array_like of int [examples], or path, optional
        True classes; by default the array "labels" of a file, where there is one.
    tensor, key : str, optional
        Name of the outputs in a safetensors file, or in an ``.npz`` file; default "logits", "probabilities",
        "predictions" or "outputs", whichever is there, or the only array.
    kind : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
        What the numbers are. With ``"auto"`` an array called "probabilities" is that, and methods look at others; one
        column within 0..1 they refuse.

    Returns
    -------
    RunOutputs
        With runs named ``run 0``, ``run 1``, ..., or after their files.

    Raises
    ------
    InputError
        A file is not there or of another kind, holds no such array, or its array or labels do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> folder, labels = mkdtemp(), np.arange(60) % 3
    >>> for seed in range(4):  # a file per run, or one of all runs
    ...     np.save(f"{folder}/seed_{seed}.npy", np.eye(3)[labels] + np.random.default_rng(seed).normal(size=(60, 3)))
    >>> outputs = rs.open_outputs(f"{folder}/seed_*.npy", labels)
    >>> rs.variance(outputs).n_runs
    4
    """
    said, name = check_kind(kind), key or tensor
    if isinstance(path, (str, os.PathLike)) and Path(path).is_file():
        return _one_file(Path(path), labels, name, said)
    files, beside = _files_at(path, labels)
    if labels is None:
        labels = _only(beside)
    if isinstance(labels, (str, os.PathLike)):
        labels = read_labels(Path(labels))
    arrays = [_find(file, name) for file in files]
    if len(arrays) == 1 and len(arrays[0].shape) == 3 and arrays[0].shape[0] != 1:
        return _one_file(files[0], labels, name, said)
    return _a_file_each(arrays, labels, said)


def read_labels(path: Path) -> NDArray[Any]:
    """Return the labels in a file: its array "labels", or the only one."""
    if not path.is_file():
        raise InputError(f"the file of labels {str(path)!r} does not exist", "a .npy, .npz or .safetensors file")
    return _find(path, None, _LABELS, ()).load()


# ------------------------------------------------------------------ one file of many runs


def _one_file(
    path: Path, labels: ArrayLike | str | os.PathLike[str] | None, name: str | None, said: str | None
) -> RunOutputs:
    found = _find(path, name)
    if isinstance(labels, (str, os.PathLike)):
        labels = read_labels(Path(labels))
    said = said or found.said
    outputs = array_outputs(found.load(), found.labels() if labels is None else labels, said)
    return said_to_be(outputs, said) if said else outputs


# ------------------------------------------------------------------ a file for each run


@dataclass(frozen=True, eq=False)
class FileOutputs:
    """`RunOutputs` over files of one run each, read when they are asked for."""

    arrays: tuple[Stored, ...]
    run_ids: tuple[str, ...]
    labels: NDArray[np.int64] | None
    kind: str | None
    excluded: tuple[Excluded, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """``(runs, examples[, classes])``."""
        return (len(self.arrays), *self.arrays[0].run_shape)

    def __getitem__(self, index: int) -> NDArray[Any]:
        found = self.arrays[index]
        return on_floats(found.load().reshape(found.run_shape))

    def chunks(self, max_bytes: int = CHUNK_BYTES) -> Iterator[NDArray[Any]]:
        """Yield the outputs of consecutive runs, at most `max_bytes` at a time (but at least one run)."""
        waiting: list[NDArray[Any]] = []
        for index in range(len(self.arrays)):
            rows = self[index]
            if waiting and (len(waiting) + 1) * rows.nbytes > max_bytes:
                yield np.stack(waiting)
                waiting = []
            waiting.append(rows)
        if waiting:
            yield np.stack(waiting)


def _a_file_each(arrays: Sequence[Stored], labels: ArrayLike | None, said: str | None) -> RunOutputs:
    """Return the outputs of a file for each run, if all have one shape, and that of the labels."""
    first = arrays[0]
    for each in arrays:
        if len(each.run_shape) not in (1, 2) or (len(each.run_shape) == 2 and each.dtype.kind in "iub"):
            raise InputError(
                f"{each.path.name} holds an array of shape {each.shape} and dtype {each.dtype}",
                "one file per run: floats [examples, classes], or one number per example [examples]",
                "A single file may also hold all runs, [runs, examples, classes]; pass it alone.",
            )
        if each.run_shape != first.run_shape or (each.dtype.kind in "iub") != (first.dtype.kind in "iub"):
            raise InputError(
                f"{first.path.name} has shape {first.run_shape}, but {each.path.name} has shape {each.run_shape}",
                "the same shape and type of numbers in all files",
                "Every file is one run; pass a file of labels as labels=.",
            )
    own = [found for each in arrays if (found := each.labels()) is not None]
    for found in own:
        if labels is None and not np.array_equal(found, own[0]):
            raise InputError("the files hold different labels", "the same examples in the same order in every file")
    given = labels if labels is not None else own[0] if own else None
    whole = (len(arrays), *first.run_shape)
    kind = None if len(whole) == 3 else "classes" if first.dtype.kind in "iub" else SCALARS
    told = said or first.said
    checked = None if given is None else labels_of(whole, given, told)
    outputs = FileOutputs(tuple(arrays), names_of([each.path for each in arrays]), checked, kind)
    return said_to_be(outputs, told) if told else outputs


def names_of(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return a name for each file: its stem, or where stems repeat its path below the folder that all share."""
    stems = [path.stem for path in paths]
    if len(set(stems)) == len(stems):
        return tuple(stems)
    shared = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    names = [path.absolute().relative_to(shared).with_suffix("").as_posix() for path in paths]
    if len(set(stems)) == 1:  # runs/seed_1/logits.npy, runs/seed_2/logits.npy
        names = [name.rpartition("/")[0] or name for name in names]
    if len(set(names)) < len(names):
        twice = next(path for path, name in zip(paths, names, strict=True) if names.count(name) > 1)
        raise InputError(
            f"{twice} is listed twice, or differs from another file only in its suffix", "one file per run"
        )
    return tuple(names)


def _files_at(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], labels: Any
) -> tuple[list[Path], list[Path]]:
    """Return the files of runs at a folder, a pattern or in a list, and the files of labels among them."""
    if not isinstance(path, (str, os.PathLike)):
        files = [Path(one) for one in path]
        for file in files:
            if not file.is_file():
                raise InputError(f"the file {str(file)!r} does not exist", _FILES)
        if not files:
            raise InputError("the list of files is empty", _FILES)
    else:
        files = _found_at(path)
    given = Path(labels).resolve() if isinstance(labels, (str, os.PathLike)) else None
    beside = [file for file in files if file.stem.lower() in _LABELS or file.resolve() == given]
    runs = [file for file in files if file not in beside]
    if not runs:
        raise _no_runs(path, beside)
    return runs, beside


def _found_at(path: str | os.PathLike[str]) -> list[Path]:
    folder = Path(path)
    if folder.is_dir():
        if is_study_folder(folder):
            raise InputError(f"{folder} is a study, not files of outputs", hint="Open it with rs.open_study.")
        found = list(folder.iterdir())
    else:
        found = [Path(name) for name in glob.glob(str(path), recursive=True)]  # noqa: PTH207 (may be absolute)
    return sorted((one for one in found if one.suffix in SUFFIXES and one.is_file()), key=_natural)


def _no_runs(path: Any, beside: Sequence[Path]) -> InputError:
    """Return the error for a place without files of runs, with a pattern where its folders hold some."""
    if beside:
        return InputError(
            f"only files of labels were found ({', '.join(file.name for file in beside)})", "files of outputs as well"
        )
    folder = Path(path)
    if not folder.is_dir():
        return InputError(f"the file {str(path)!r} does not exist", _FILES)
    inner = sorted(one for one in folder.glob("*/*") if one.suffix in SUFFIXES and one.stem.lower() not in _LABELS)
    hint = f"Its subfolders hold some: pass a pattern, such as {str(folder / '*' / inner[0].name)!r}." if inner else ""
    return InputError(f"{folder} holds no files of outputs", _FILES, hint)


def _only(beside: Sequence[Path]) -> Path | None:
    """Return the file of labels; of several it has to be said which."""
    if len(beside) > 1:
        names = ", ".join(file.name for file in beside)
        raise InputError(
            f"there are {len(beside)} files of labels: {names}",
            "one",
            f"Say which one to use: labels={str(beside[0])!r} (--labels).",
        )
    return beside[0] if beside else None


def _natural(path: Path) -> list[Any]:
    """Return a key that puts run_2 before run_10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", str(path))]


# ------------------------------------------------------------------ arrays in files


@dataclass(frozen=True, eq=False)
class Stored:
    """An array in a file, of which only shape and type are known before `load`."""

    path: Path
    name: str | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    label_name: str | None = None

    @property
    def run_shape(self) -> tuple[int, ...]:
        """Shape of one run, where the file holds one: an axis of length one in front is that of runs."""
        return self.shape[1:] if len(self.shape) == 3 and self.shape[0] == 1 else self.shape

    @property
    def said(self) -> str | None:
        """What the name says that the numbers are."""
        return "probabilities" if self.name == "probabilities" else None

    def load(self) -> NDArray[Any]:
        """Return the array, by memory map where the file allows it."""
        return _load(self.path, self.name)

    def labels(self) -> NDArray[Any] | None:
        """Return the labels in the same file, where it has them."""
        return None if self.label_name is None else _load(self.path, self.label_name)


def _find(
    path: Path, name: str | None, wanted: tuple[str, ...] = _OUTPUTS, others: tuple[str, ...] = _LABELS
) -> Stored:
    """Return the array of a file that is meant: by its name, by one of the usual names, or the only one."""
    facts = _facts(path)
    if path.suffix == ".npy":
        if name is not None:
            raise InputError(
                f"tensor={name!r} names an array in {path.name}, but a .npy file holds only one",
                hint="Drop the name, or pass a .safetensors or .npz file.",
            )
        return Stored(path, None, *facts[None])
    usual = [one for one in wanted if one in facts]
    rest = [one for one in facts if one not in others] or list(facts)
    chosen = [name] if name is not None else usual or rest
    word = "tensor" if path.suffix == ".safetensors" else "key"
    if len(chosen) != 1 or chosen[0] not in facts:
        listed = ", ".join(f"{one} {shape}" for one, (shape, _) in sorted(facts.items()))
        raise InputError(
            f"{path.name} holds {f'the {word}s {listed}' if listed else f'no {word}s'}",
            f"the {word} {name}" if name else f"exactly one of {', '.join(wanted)}",
            f"Name the one that holds the outputs of the runs with {word}=.",
        )
    label = next((one for one in others if one in facts), None)
    return Stored(path, chosen[0], *facts[chosen[0]], label)


Facts = dict[str | None, tuple[tuple[int, ...], np.dtype[Any]]]


def _facts(path: Path) -> Facts:
    """Return shape and type of the arrays in a file by name; the one of a .npy file has none."""
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"{path.name} is not a kind of file that can be read",
            _FILES,
            "Save the array with numpy.save; such files can be memory-mapped.",
        )
    if not path.is_file():
        raise InputError(f"the file {str(path)!r} does not exist", _FILES)
    if path.suffix == ".npz":
        return _npz_facts(path)
    arrays = _mapped(path)
    return {name: (array.shape, array.dtype) for name, array in arrays.items()}


def _npz_facts(path: Path) -> Facts:
    with _readable(path, "a .npz file, as numpy.savez writes it"):
        return {**npz_headers(path)}


def _load(path: Path, name: str | None) -> NDArray[Any]:
    if path.suffix != ".npz":
        return _mapped(path)[name]
    with _readable(path, "a .npz file of numbers"):
        return load_npz(path, [str(name)])[str(name)]


def npy_array(path: Path) -> NDArray[Any]:
    """Return the array of a .npy file, as a view of the file; an InputError where it cannot be read."""
    return _mapped(path)[None]


def _mapped(path: Path) -> Mapping[str | None, NDArray[Any]]:
    """Return the arrays of a .npy or .safetensors file, as views of the file."""
    if path.suffix == ".npy":
        with _readable(path, "a .npy file, as numpy.save writes it"):
            return {None: load_npy(path, mapped=True)}
    try:
        return {**map_tensors(path, memmap=True)}
    except CorruptShardError as error:
        raise InputError(
            f"{path} cannot be read ({error.__cause__})",
            "a complete safetensors file of float16, float32 or whole numbers",
        ) from error


@contextmanager
def _readable(path: Path, expected: str) -> Generator[None]:
    try:
        yield
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read ({error})", expected) from error
