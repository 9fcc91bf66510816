"""How a study comes into being: whole, or not at all, however many processes begin it at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import StudyError
from .files import json_bytes, storage_errors, tensor_bytes
from .layout import CACHE, LABELS, SHARDS, STUDY, StudyMetadata, holds_study
from .publishing import TEMPORARY, alone_in, clear_leftovers, names_in, publish_file

_OWN = (CACHE, LABELS, SHARDS, f".{STUDY}")  # what a creation that was cut short leaves, of this version or before


def begin_study(folder: Path, facts: StudyMetadata, labels: Mapping[str, NDArray[Any]]) -> bool:
    """Create a study in a folder that is new, or empty, or holds the half of one that was cut short.

    Returns
    -------
    bool
        Whether this process did: False where another one was first.

    Raises
    ------
    StudyError
        The folder holds something else.
    """
    with storage_errors(f"creating the study {folder}"):
        if folder.exists() and not folder.is_dir():
            raise _not_empty(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with alone_in(folder):
            if holds_study(folder):
                return False
            _refuse_foreign(folder)
            clear_leftovers(folder)
            (folder / SHARDS).mkdir(exist_ok=True)
            if labels:
                publish_file(folder / LABELS, tensor_bytes(labels))
            else:
                (folder / LABELS).unlink(missing_ok=True)  # of a half with another plan
            (folder / f".{STUDY}").unlink(missing_ok=True)
            publish_file(folder / STUDY, json_bytes(facts))
    return True


def _refuse_foreign(folder: Path) -> None:
    if any(name not in _OWN and not name.startswith(TEMPORARY) for name in names_in(folder)):
        raise _not_empty(folder)
    shards = folder / SHARDS
    if shards.exists() and (not shards.is_dir() or any(not name.startswith(".") for name in names_in(shards))):
        raise StudyError(
            f"{folder} is not empty and holds no study: it has {SHARDS} without a {STUDY}",
            "a new or empty folder",
            f"Copy {STUDY} and {LABELS} back, or choose another folder.",
        )


def _not_empty(folder: Path) -> StudyError:
    return StudyError(f"{folder} is not empty and holds no study", "a new or empty folder")
