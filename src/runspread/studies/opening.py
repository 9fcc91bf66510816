"""A study is created in a folder, or opened where it is."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import check_choice, check_labels, check_mapping
from .._reading.safetensors import map_tensors
from .._words import count, listed
from ..errors import CorruptShardError, NotAStudyError, RunspreadWarning, StudyError
from .files import storage_errors, write_json, write_tensors
from .layout import LABELS, PREDICTIONS, SHARDS, STUDY, StudyMetadata, decoded, holds_study, labels_key
from .records import examples_digest
from .study import Study
from .verify import Verification, verify_study


def create_study(
    path: str | os.PathLike[str],
    *,
    splits: Mapping[str, ArrayLike] | None = None,
    example_ids: Mapping[str, ArrayLike | str] | None = None,
    recipe: Mapping[str, Any] | None = None,
    exist_ok: bool = False,
) -> Study:
    """Create a study in a new or empty folder.

    Parameters
    ----------
    path : str or path
        The study's folder; it is made, with its parents.
    splits : mapping of str to array_like of int [examples], optional
        True classes of the splits that runs will be evaluated on.
    example_ids : mapping of str to array_like of str or int [examples], or to str, optional
        Ids of these splits' examples in their order, or a digest of your own; kept as a digest, and compared with those
        that are given with predictions.
    recipe : mapping, optional
        What is trained, as plain values.
    exist_ok : bool
        Whether to open a study that is there already, if it was created with the same splits, ids and recipe: then a
        loop that asks `Study.is_recorded` before each run can be started again as it is.

    Returns
    -------
    Study
        The study, open.

    Raises
    ------
    StudyError
        The folder holds a study already, or another one than this call creates, or other files.
    """
    folder = Path(path)
    labels = {str(name): check_labels(values) for name, values in check_mapping(splits, "splits").items()}
    there = holds_study(folder)
    if there and not exist_ok:
        raise StudyError(
            f"{folder} already holds a study",
            "a new folder",
            "Continue it with exist_ok=True, or choose another folder.",
        )
    if not there and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError(f"{folder} is not empty and holds no study", "a new or empty folder")
    given = {
        check_choice(name, "split with example ids", labels): ids
        for name, ids in check_mapping(example_ids, "example_ids").items()
    }
    examples = {name: examples_digest(ids, len(labels[name]), name) for name, ids in given.items()}
    facts = StudyMetadata(
        recipe=None if recipe is None else dict(check_mapping(recipe, "recipe")),
        splits=tuple(labels),
        example_ids=examples,
    )
    if there:
        return _same_plan(open_study(folder), facts, labels)
    with storage_errors(f"creating the study {folder}"):
        (folder / SHARDS).mkdir(parents=True, exist_ok=True)
        if labels:
            write_tensors(folder / LABELS, labels)
        temporary = folder / f".{STUDY}"
        write_json(temporary, facts)
        temporary.rename(folder / STUDY)
    return Study(folder, facts, labels)


def _same_plan(study: Study, facts: StudyMetadata, labels: Mapping[str, NDArray[np.int64]]) -> Study:
    """Return an open study if it was created with these splits, ids of examples and recipe."""
    splits = study.splits
    others = [
        name for name in sorted({*splits, *labels}) if not np.array_equal(splits.get(name, ()), labels.get(name, ()))
    ]
    differ = [f"labels of split {name!r}" for name in others]
    differ += ["example ids"] if study.example_ids != facts.example_ids else []
    differ += ["recipe"] if msgspec.json.encode(study.recipe) != msgspec.json.encode(facts.recipe) else []
    if differ:
        raise StudyError(
            f"the study in {study.path} differs from this call in its {listed(differ)}",
            "the study that this call creates",
            "Choose another folder.",
        )
    return study


def open_study(path: str | os.PathLike[str]) -> Study:
    """Open a study.

    Parameters
    ----------
    path : str or path
        The study's folder.

    Raises
    ------
    NotAStudyError
        The folder is missing, or holds no readable ``study.json``.
    FormatVersionError
        A newer runspread wrote the study.
    CorruptShardError
        The labels that it was created with are missing or not readable.
    """
    folder = Path(path)
    facts = _read_study(folder)
    study = Study(folder, facts, _read_labels(folder) if facts.splits else {})
    if study.corrupt:
        warnings.warn(_corrupt_message(study), RunspreadWarning, stacklevel=2)
    return study


def verify_folder(path: str | os.PathLike[str]) -> Verification:
    """Verify a study that need not open: its labels may be lost.

    Parameters
    ----------
    path : str or path
        The study's folder.
    """
    folder = Path(path)
    return verify_study(folder, _read_study(folder).splits)


def _read_study(folder: Path) -> StudyMetadata:
    try:
        return decoded((folder / STUDY).read_bytes(), StudyMetadata, folder / STUDY)
    except OSError as error:
        raise NotAStudyError(
            f"{folder} holds no study ({f'no {STUDY}' if folder.is_dir() else 'no such folder'})",
            "a folder that runspread made",
            "Make one with rs.create_study, rs.train or `runspread train`.",
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotAStudyError(f"{folder / STUDY} cannot be read ({error})", "the metadata of a study") from error


def _read_labels(folder: Path) -> dict[str, NDArray[np.int64]]:
    try:
        labels = map_tensors(folder / LABELS)
    except CorruptShardError as error:
        hint = (
            f"Restore it from a copy; the {PREDICTIONS} of every shard also hold the labels ({labels_key('<split>')})."
        )
        raise CorruptShardError(error.found, "the labels that the study was created with", hint) from error
    return {name: array.astype(np.int64) for name, array in labels.items()}


def _corrupt_message(study: Study) -> str:
    names, shards = ", ".join(study.corrupt), len(study.corrupt)
    are = "is" if shards == 1 else "are"
    return f"{count(shards, 'shard')} of {study.path} cannot be read and {are} excluded: {names}. See study.verify()."
