"""Whether something holds graded answers, as logs of evaluations and tables with a row an answer do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..._results import Table
from ...errors import RunspreadError
from ..study_folders import is_study_folder
from .answers import Answers
from .options import DEFAULTS
from .reading import UNFIT, columns_of, reader_of

_ITEMS = {"item", "item_id", "question", "question_id", "doc_id", "instance_id"}  # what runs are never called
_SCORES = {"score", "correct", "passed", "resolved", "is_correct"}
_LOGS = (".eval", ".json", ".jsonl")
_TABLES = (".csv", ".tsv", ".parquet")
_LOOKED_AT = 20  # files of a folder, before it counts as none of logs


def holds_answers(source: Any) -> bool:
    """Whether a source is one of `read_evals` and of no other reader: answers, logs, or a table with items."""
    if isinstance(source, Answers):
        return True
    if isinstance(source, (str, os.PathLike)):
        return _at_path(Path(source))
    if isinstance(source, Table) or hasattr(source, "columns"):
        names = source.columns
    elif isinstance(source, list) and source and isinstance(source[0], Mapping):
        names = source[0]
    elif isinstance(source, Mapping):
        names = source
    else:
        return False
    return _of_items(list(names))


def _of_items(names: list[Any]) -> bool:
    plain = {str(name).strip().lower() for name in names}
    return bool(plain & _ITEMS) and bool(plain & _SCORES)


def _at_path(path: Path) -> bool:
    if path.is_dir():
        return not is_study_folder(path) and any(_at_file(one) for one in _first_files(path))
    return path.is_file() and _at_file(path)


def _first_files(path: Path) -> list[Path]:
    found: list[Path] = []
    for one in sorted(path.rglob("*")):
        if one.suffix in _LOGS and one.is_file():
            found.append(one)
        if len(found) >= _LOOKED_AT:
            break
    return found


def _at_file(path: Path) -> bool:
    try:
        if path.suffix in _TABLES:
            return _of_items(columns_of(path))
        return path.suffix in _LOGS and reader_of(path, DEFAULTS) is not None
    except (RunspreadError, *UNFIT):
        return False
