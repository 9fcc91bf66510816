"""`read_evals`: what harnesses wrote, told by content, as answers (evals 8)."""

from __future__ import annotations

import csv
import hashlib
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from ..._checks import check_keywords
from ..._optional import require
from ...errors import InputError, RunspreadError
from ..plain_files import opened_regular, read_json
from . import code_tests, helm, inspect_logs, lm_harness, swe_bench
from .answers import Answers, Gathering
from .json_stream import LARGEST, JsonStream
from .one_file import OneFile
from .options import DEFAULTS, EvaluationReading, checked, cluster_name
from .tidy import Columns, looks_tidy, read_rows, rows_of

_TABLES = (".csv", ".tsv", ".parquet")
_SUFFIXES = (".eval", ".json", ".jsonl", *_TABLES)
Reader = Callable[[OneFile], None]
UNFIT = (  # a file that cannot be read is a problem, and the others are read
    *(OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError),
    *(csv.Error, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


def read_evals(paths: Any, **options: Unpack[EvaluationReading]) -> Answers:
    """Return the graded answers in files that harnesses of evaluations wrote.

    Logs of lm-evaluation-harness, Inspect, HELM, SWE-bench, EvalPlus and HumanEval are told by their content; tables
    have a row an answer. Files are read a record at a time and left as they are; questions and answers are not kept.

    Parameters
    ----------
    paths : path, or sequence of paths
        Files, and folders that are searched for them.
    **options : EvaluationReading
        What names models, trainings, clusters and prompts, and which score is read.

    Returns
    -------
    Answers
        With ``problems`` (files and rows that could not be read) and ``notes`` (what was assumed).

    Raises
    ------
    InputError
        No answer was found, or items that are other questions in other files.

    Examples
    --------
    >>> import runspread as rs
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> file = Path(mkdtemp()) / "answers.csv"
    >>> rows = [f"{m},{i},{(i + k) % 3 > 0:d}" for k, m in enumerate("ab") for i in range(30)]
    >>> with file.open("w") as opened:
    ...     for row in ("model,item,score", *rows):
    ...         print(row, file=opened)
    >>> len(rs.methods.evaluations.read_evals(file))
    60
    """
    check_keywords(options, DEFAULTS, "reading")
    how = checked(options)
    gathering, given = Gathering(cluster_name=cluster_name(how["clusters"])), _paths(paths)
    seen: dict[Any, Path] = {}
    for number, (path, asked) in enumerate(_files(given)):
        try:
            _read_file(OneFile(path, number, gathering, how, _digest(path), seen), asked=asked)
        except RunspreadError as error:
            gathering.problem(path.name, str(error))
        except UNFIT as error:
            gathering.problem(path.name, f"not what such files hold ({type(error).__name__}: {error})")
    if not len(gathering):
        raise _nothing(given, gathering)
    answers = gathering.answers()
    _say_trainings(gathering, answers, how)
    return _with_notes(answers, gathering)


def _paths(paths: Any) -> list[Path]:
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found = [Path(one) for one in given]
    for path in found:
        if not path.exists():
            raise InputError(f"{path} does not exist", "logs of evaluations, or folders of them")
    return found


def _files(given: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield files in sorted order, and whether each was named itself."""
    for path in given:
        if path.is_dir():
            yield from ((one, False) for one in sorted(path.rglob("*")) if one.is_file() and one.suffix in _SUFFIXES)
        else:
            yield path, True


def _read_file(file: OneFile, *, asked: bool) -> None:
    """Read a file of any kind; one that was named and holds no answers is a problem."""
    reader = reader_of(file.path, file.options)
    if reader is not None:
        reader(file)
    elif asked:
        file.problem("no log and no table of answers")


def _digest(path: Path) -> bytes:
    with opened_regular(path) as (descriptor, _), open(descriptor, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").digest()


def _nothing(given: Sequence[Path], gathering: Gathering) -> InputError:
    reasons = "; ".join(f"{one.run}: {one.reason}" for one in gathering.problems[:3])
    names = ", ".join(path.name for path in given[:3])
    return InputError(f"no answers in {names}{f' ({reasons})' if reasons else ''}", "logs or tables of evaluations")


def _say_trainings(gathering: Gathering, answers: Answers, how: Mapping[str, Any]) -> None:
    """Say what several files of one model were taken for."""
    if how["seed"] is None and len(answers.seeds) == 1:
        gathering.note(
            "No training seed was named: all answers of a model are taken for one checkpoint's (name the trainings "
            "with seed= or --seed)."
        )


def _with_notes(answers: Answers, gathering: Gathering) -> Answers:
    from dataclasses import replace

    return replace(answers, notes=tuple(gathering.notes), problems=tuple(gathering.problems))


def reader_of(path: Path, options: Mapping[str, Any]) -> Reader | None:
    """Return what reads a file, by its content; None where it holds no answers."""
    if path.suffix == ".eval":
        if not inspect_logs.looks_like_log(path):
            raise InputError(f"{path.name} is no zip of samples", "a log of Inspect")
        return inspect_logs.read_zip
    if path.suffix in _TABLES:
        return partial(_read_table) if looks_tidy(columns_of(path), options) else _refuse_table(path, options)
    if path.suffix == ".jsonl":
        return _reader_of_lines(path, options)
    return _reader_of_json(path) if path.suffix == ".json" else None


def _read_table(file: OneFile) -> None:
    if file.is_copy():
        return
    found = Columns(columns_of(file.path), file.options).found if file.path.suffix in _TABLES else {}
    needed = list(dict.fromkeys(name for name in found.values() if name is not None))
    read_rows(rows_of(file.path, needed), file.gathering, file.options, file.path.name, file.number)


def _refuse_table(path: Path, options: Mapping[str, Any]) -> None:
    Columns(columns_of(path), options)  # says what the table lacks


def columns_of(path: Path) -> list[str]:
    """Return the names of the columns of a table."""
    if path.suffix == ".parquet":
        return list(require("pyarrow.parquet", "reading a Parquet table").ParquetFile(path).schema_arrow.names)
    with path.open(newline="", encoding="utf-8-sig") as lines:
        return next(csv.reader(lines, delimiter="\t" if path.suffix == ".tsv" else ","), [])


def _reader_of_lines(path: Path, options: Mapping[str, Any]) -> Reader | None:
    first = next(lm_harness.records(path), None)
    if lm_harness.is_samples(first):
        return lm_harness.read_samples
    if code_tests.is_passed(first):
        return code_tests.read_humaneval
    return _read_table if isinstance(first, Mapping) and looks_tidy(list(first), options) else None


def _reader_of_json(path: Path) -> Reader | None:
    with path.open(encoding="utf-8-sig") as text:
        stream = JsonStream(text, path.name)
        kind = stream.kind()
        if kind == "[":
            first = next(stream.elements(), None)
            return helm.read_stats if helm.is_stats(first) else lm_harness.read_samples if _is_lm(first) else None
        if kind != "{":
            return None
        for key, value in stream.entries(("eval", "samples", "results")):
            if key == "eval":
                return _of_eval(value)
            if key == "samples":
                return inspect_logs.read_json
            if key == "results":
                return None  # of lm-evaluation-harness; its answers lie beside
            if path.stat().st_size > LARGEST:
                return None
    return _reader_of_object(path)


def _is_lm(record: Any) -> bool:
    return lm_harness.is_samples(record)


def _of_eval(value: Any) -> Reader:
    """Return the reader of a file whose key ``eval`` was streamed: entries of a log's header, or of tasks."""
    samples = isinstance(value, tuple) and isinstance(value[1], (list, Mapping)) and "/" in str(value[0])
    return code_tests.read_evalplus if samples else inspect_logs.read_json


def _reader_of_object(path: Path) -> Reader | None:
    record = read_json(path, limit=LARGEST, constants=True)
    kinds: tuple[tuple[Callable[[Any], bool], Callable[[OneFile, Any], None]], ...] = (
        (swe_bench.is_report, swe_bench.read_report),
        (swe_bench.is_list, swe_bench.read_list),
        (swe_bench.is_instance, swe_bench.read_instance),
    )
    for fits, read in kinds:
        if fits(record):
            return partial(_given, read, record)
    return None


def _given(read: Callable[[OneFile, Any], None], record: Any, file: OneFile) -> None:
    read(file, record)
