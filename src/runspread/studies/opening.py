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
from .._reading.study_folders import is_url
from .._words import count, listed
from ..errors import CorruptShardError, NotAStudyError, RunspreadWarning, StudyError
from .homes import FolderHome, home_at
from .layout import LABELS, STUDY, StudyMetadata
from .records import examples_digest
from .shards import labels_digest
from .study import Study
from .verify import Verification, read_plan, verify_study, wrong_labels


def create_study(
    path: str | os.PathLike[str],
    *,
    splits: Mapping[str, ArrayLike] | None = None,
    example_ids: Mapping[str, ArrayLike | str] | None = None,
    recipe: Mapping[str, Any] | None = None,
    exist_ok: bool = False,
    storage: Mapping[str, Any] | None = None,
) -> Study:
    """Create a study in a new or empty folder, or in a store of objects.

    Parameters
    ----------
    path : str or path
        The study's folder; it is made, with its parents. Or a URL: ``s3://bucket/study``, ``gs://``, ``az://``,
        ``file://``, ``memory://``.
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
    storage : mapping, optional
        Options of an object store; see `open_store`.

    Returns
    -------
    Study
        The study, open.

    Raises
    ------
    StudyError
        The folder holds a study already, or another one than this call creates, or other files.

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> study = rs.create_study(mkdtemp() + "/mine", splits={"test": [0, 1, 1, 0]})
    >>> with study.record(seeds=0, hyperparameters={"lr": 0.1}) as run:
    ...     run.predictions("test", [[2.0, 0.0], [0.0, 1.0], [0.5, 0.0], [1.0, 0.5]])
    >>> study.runs[0].accuracy
    {'test': 0.75}
    """
    home = home_at(path, storage)
    labels = {str(name): check_labels(values) for name, values in check_mapping(splits, "splits").items()}
    there = home.has_plan()
    if there and not exist_ok:
        raise StudyError(
            f"{home} already holds a study",
            "a new folder",
            "Continue it with exist_ok=True, or choose another folder.",
        )
    given = {
        check_choice(name, "split with example ids", labels): ids
        for name, ids in check_mapping(example_ids, "example_ids").items()
    }
    examples = {name: examples_digest(ids, len(labels[name]), name) for name, ids in given.items()}
    facts = StudyMetadata(
        recipe=None if recipe is None else dict(check_mapping(recipe, "recipe")),
        splits=tuple(labels),
        example_ids=examples,
        labels={name: labels_digest(array) for name, array in labels.items()},
    )
    if there or not home.begin(facts, labels):  # or another process was first, in the meantime
        if not exist_ok:
            raise StudyError(f"{home} already holds a study", "a new folder", "Continue it with exist_ok=True.")
        return _same_plan(_opened(home), facts, labels)
    return Study(home, facts, labels)


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


def open_study(path: str | os.PathLike[str], *, check: bool = True, storage: Mapping[str, Any] | None = None) -> Study:
    """Open a study.

    Parameters
    ----------
    path : str or path
        The study's folder, or its URL: ``s3://bucket/study``, ``gs://``, ``az://``, ``file://``, ``memory://``.
    check : bool
        Whether arrays are compared with their quick sums when they are first read: runs of a shard that differs are
        then excluded, by name.
    storage : mapping, optional
        Options of an object store (``endpoint``, ``region``, ...); credentials are found as the cloud's own tools find
        them.

    Raises
    ------
    NotAStudyError
        The folder is missing, or holds no readable ``study.json``.
    FormatVersionError
        A newer runspread wrote the study.
    CorruptShardError
        The labels that it was created with are missing or not readable.

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> folder = mkdtemp() + "/mine"
    >>> made = rs.create_study(folder, splits={"test": [0, 1, 1]})
    >>> len(rs.open_study(folder).runs)
    0
    """
    study = _opened(home_at(path, storage), check=check)
    if study.corrupt:
        warnings.warn(_corrupt_message(study), RunspreadWarning, stacklevel=2)
    return study


def _opened(home: FolderHome, *, check: bool = True) -> Study:
    if not home.has_plan() and is_url(str(home)):
        raise NotAStudyError(
            f"{home} holds no study (no {STUDY})", "a URL that runspread wrote to", "Make one with rs.create_study."
        )
    facts = read_plan(home.path)
    return Study(home, facts, _read_labels(home.path, facts) if facts.splits else {}, check=check)


def verify_folder(path: str | os.PathLike[str], *, deep: bool = False) -> Verification:
    """Verify a study that need not open: its plan or its labels may be lost.

    Parameters
    ----------
    path : str or path
        The study's folder.
    deep : bool
        Whether to compare arrays with what is said of them, the index with the shards, and ensembles in the folder too.
    """
    home = home_at(path)
    if home.has_plan():
        home.refresh()
        home.complete()
    return verify_study(home.path, deep=deep)


def _read_labels(folder: Path, facts: StudyMetadata) -> dict[str, NDArray[np.int64]]:
    hint = f"Restore it: runspread repair {folder} takes it from a shard, for every shard also holds the labels."
    try:
        labels = map_tensors(folder / LABELS)
    except CorruptShardError as error:
        raise CorruptShardError(error.found, "the labels that the study was created with", hint) from error
    for name in facts.splits:
        if problem := wrong_labels(labels.get(name), facts.labels.get(name)):
            raise CorruptShardError(
                f"{folder / LABELS} {problem} of split {name!r}", "the labels that the study was created with", hint
            )
    return {name: labels[name].astype(np.int64) for name in facts.splits}


def _corrupt_message(study: Study) -> str:
    names, shards = ", ".join(study.corrupt), len(study.corrupt)
    are = "is" if shards == 1 else "are"
    return (
        f"{count(shards, 'shard')} of {study.location} cannot be read and {are} excluded: {names}. See study.verify()."
    )
