"""Tidy tables, one answer (or one count of answers) a row: files, data frames, mappings of columns (evals 8)."""

from __future__ import annotations

import csv
import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..._optional import require
from ..._results import Table
from ...errors import InputError
from .answers import Gathering
from .lm_harness import records
from .options import cluster_of as pattern_cluster
from .options import is_pattern
from .values import score_of

ROLES = {
    "item": ("item", "id", "item_id", "task_id", "question", "question_id", "doc_id", "instance_id", "example"),
    "model": ("model", "model_name", "system", "agent", "arm", "method"),
    "seed": ("seed", "training_seed", "train_seed", "checkpoint", "run"),
    "sample": ("sample", "epoch", "repeat", "try", "attempt"),
    "prompt": ("prompt", "prompt_id", "template", "few_shot", "fewshot"),
    "cluster": ("cluster", "passage", "group", "repository", "repo", "document"),
    "task": ("task", "benchmark", "dataset"),
    "score": ("score", "correct", "passed", "resolved", "is_correct", "accuracy", "value", "result"),
    "samples": ("samples", "n_samples", "n"),
    "digest": ("hash", "doc_hash", "question_hash"),
}
_OPTIONS = {"by": "model", "seed": "seed", "clusters": "cluster", "prompt": "prompt", "metric": "score"}
_BATCH = 50_000
_LONGEST = 80  # characters of an id


class Columns:
    """Which column of a table is what, by the options and by names.

    Parameters
    ----------
    names : list of str
        Of the columns.
    options : mapping
        The reading options.
    """

    def __init__(self, names: list[str], options: Mapping[str, Any]) -> None:
        lower = {name.strip().lower().replace(" ", "_"): name for name in reversed(names)}
        self.found = {role: next((lower[one] for one in known if one in lower), None) for role, known in ROLES.items()}
        for option, role in _OPTIONS.items():
            asked = options[option]
            if asked is None or (option == "clusters" and is_pattern(asked)):
                continue
            if asked not in names:
                raise InputError(f"the table has no column {asked!r}", f"one of {', '.join(map(str, names))}")
            self.found[role] = asked
        self._need(names)

    def _need(self, names: list[str]) -> None:
        if self.found["score"] is None:
            raise InputError(f"a table of the columns {', '.join(map(str, names))}", "one of the scores, such as score")
        if self.found["item"] is None:
            raise InputError(
                "a table without a column of items",
                "one row an answer, with a column such as item",
                "Averages of runs have no items: compare those with rs.methods.scores.compare_scores.",
            )

    def cell(self, row: Mapping[str, Any], role: str) -> Any:
        """Return the cell of a row in a role; None where there is none."""
        name = self.found[role]
        value = None if name is None else row.get(name)
        return None if value is None or value == "" or (isinstance(value, float) and math.isnan(value)) else value


def looks_tidy(names: list[str], options: Mapping[str, Any]) -> bool:
    """Whether columns are those of a table of answers."""
    try:
        Columns(names, options)
    except InputError:
        return False
    return True


def read_rows(
    rows: Iterator[Mapping[str, Any]], gathering: Gathering, options: Mapping[str, Any], name: str, number: int = 0
) -> None:
    """Read rows; without a column of samples, rows of one model and item are samples of it."""
    columns, seen = None, Counter[Any]()
    for row in rows:
        if columns is None:
            columns = Columns([str(one) for one in row], options)
            gathering.metric = gathering.metric or columns.found["score"] or ""
            if options["clusters"] is None and columns.found["cluster"]:
                gathering.cluster_name = columns.found["cluster"]
        item = columns.cell(row, "item")
        if item is None:
            gathering.problem(name, "a row without an item")
            continue
        place = {
            "task": _text(columns.cell(row, "task")),
            "seed": _text(columns.cell(row, "seed")),
            "prompt": _text(columns.cell(row, "prompt")),
        }
        model, item = _text(columns.cell(row, "model")) or "model", _short(_text(item))
        cluster = _cluster(columns, row, item, options)
        sample = columns.cell(row, "sample")
        if sample is None:
            key = (model, item, *place.values())
            sample = (number, seen[key])
            seen[key] += 1
        for each, score in enumerate(_scores(columns, row, item)):
            gathering.add(
                model,
                item,
                score,
                **place,
                cluster=cluster,
                sample=(sample, each),
                digest=columns.cell(row, "digest"),
            )
    if columns is None:
        raise InputError(f"{name} has no rows", "one row an answer")


def _cluster(columns: Columns, row: Mapping[str, Any], item: str, options: Mapping[str, Any]) -> str | None:
    asked = options["clusters"]
    if asked is not None and is_pattern(asked):
        return pattern_cluster(asked, item)
    value = columns.cell(row, "cluster")
    if value is None:
        return f"item {item}" if asked is not None else None
    return _text(value)


def _scores(columns: Columns, row: Mapping[str, Any], item: Any) -> list[float]:
    """Return the scores of a row: one, or as many as its number of samples says, of which some are right."""
    score, many = score_of(columns.cell(row, "score")), columns.cell(row, "samples")
    if many is None:
        return [score]
    n, right = score_of(many), score
    if not (n >= 1 and 0 <= right <= n and n == int(n) and right == int(right)):
        raise InputError(f"item {item} with {right:g} of {n:g} samples right", "whole numbers, right from 0 to n")
    return [1.0] * int(right) + [0.0] * int(n - right)


def _short(item: str) -> str:
    """Return the id of an item; of a question that stands for its id a digest, as no question is kept."""
    return item if len(item) <= _LONGEST else hashlib.sha256(item.encode()).hexdigest()[:16]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def rows_of(source: Any, columns: list[str] | None = None) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a table in memory or of a file, some at a time; of Parquet the `columns` alone."""
    if isinstance(source, Path):
        yield from _rows_of_file(source, columns)
        return
    if hasattr(source, "columns") and not isinstance(source, Table):
        names = [str(name) for name in source.columns]
        values: list[Any] = [list(source[name]) for name in source.columns]
    else:
        held: Mapping[Any, Any] = source.columns if isinstance(source, Table) else source
        names, values = [str(name) for name in held], [list(one) for one in held.values()]
    if len({len(one) for one in values}) > 1:
        raise InputError("columns of different lengths", "one value a row in each")
    for row in zip(*values, strict=True):
        yield dict(zip(names, row, strict=True))


def _rows_of_file(path: Path, columns: list[str] | None) -> Iterator[Mapping[str, Any]]:
    if path.suffix in (".csv", ".tsv"):
        with path.open(newline="", encoding="utf-8-sig") as lines:
            yield from csv.DictReader(lines, delimiter="\t" if path.suffix == ".tsv" else ",")
    elif path.suffix == ".parquet":
        file = require("pyarrow.parquet", "reading a Parquet table").ParquetFile(path)
        for batch in file.iter_batches(_BATCH, columns=columns):
            yield from batch.to_pylist()
    else:
        yield from records(path)
