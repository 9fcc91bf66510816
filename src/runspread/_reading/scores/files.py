"""Files of scores: one number a line, an array of them, and several tables of one arm each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..._results import Table
from ...errors import InputError
from ..output_files import npy_array
from ..tables import as_table, readable
from .cells import NUMBER, read_cell

TABLES = (".csv", ".tsv", ".parquet", ".jsonl", ".txt")  # of them, .txt holds one number a line
_LINES = (".csv", ".tsv", ".txt")


def numbers_at(path: Path) -> tuple[list[Any], str] | None:
    """Return the numbers of a file with one a line, and its header where it has one; None for a table."""
    if path.suffix not in _LINES or not path.is_file():
        return None
    with readable(path), path.open(encoding="utf-8-sig") as file:
        first = file.readline().strip()
        if path.suffix != ".txt" and any(mark in first for mark in ",;\t"):
            return None
        lines = [first, *(line.strip() for line in file)]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise InputError(f"{path} is empty", "one number a line, or a table")
    head = "" if _is_number(first) else first.strip("\"'")
    values = lines[1:] if head else lines
    for number, text in enumerate(values, start=1 + bool(head)):
        if text and not _is_number(text):
            raise InputError(f"line {number} of {path} is {text!r}", "one number a line")
    return [_plain(text) for text in values], head


def array_at(path: Path) -> list[float] | None:
    """Return the numbers of a .npy file with one per run; None for all else."""
    if path.suffix != ".npy" or not path.is_file():
        return None
    array = npy_array(path)
    return array.tolist() if array.ndim == 1 and array.dtype.kind == "f" else None


def holds_scores(path: str) -> bool:
    """Whether a path is, by its ending, that of a table of scores, or of an array with one number per run."""
    return Path(path).suffix in TABLES or array_at(Path(path)) is not None


def are_numbers(values: Sequence[Any]) -> bool:
    """Whether a sequence holds numbers as text, such as ``91.2%``, and nothing else."""
    return bool(values) and all(isinstance(value, str) and _is_number(value) for value in values)


def _is_number(text: str) -> bool:
    try:
        read_cell(text, "", 0)
    except InputError:
        return False
    return True


def _plain(text: str) -> Any:
    """Return a number as one; a percent sign, which says the unit, stays."""
    cell = read_cell(text, "", 0)
    return text if cell.percent or cell.kind != NUMBER else cell.value


def stacked(sources: Sequence[Any], names: Sequence[str]) -> Table:
    """Return tables, each of one arm, as one: a column `arm` names it."""
    tables = [as_table(source) for source in sources]
    columns = list(tables[0].columns)
    for name, table in zip(names, tables, strict=True):
        if set(table.columns) != set(columns):
            raise InputError(
                f"{name} has the columns {', '.join(table.columns)}, and {names[0]} {', '.join(columns)}", "the same"
            )
    held = {column: [cell for table in tables for cell in table[column]] for column in columns if column != "arm"}
    arms = [name for name, table in zip(names, tables, strict=True) for _ in range(len(table))]
    return Table({"arm": arms, **held})
