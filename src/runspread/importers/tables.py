"""Rows of CSV and TSV files: streamed, with marks of encoding, Windows line ends and cells that are no numbers."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from .limits import Clock, SourceProblem, decoded, opened, refuse_pointer
from .records import RawRun
from .values import is_missing, number_of_text

_LARGEST = 256 * 2**20
_LONGEST_CELL = 2**20


def rows_of(path: Path, clock: Clock, delimiter: str | None = None) -> tuple[list[str], Iterator[list[str]]]:
    """Return the names of a table's columns, and its rows; comment lines before the names are skipped.

    A last line without its end is read if it is whole: it has as many cells as there are columns.
    """
    with opened(path) as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise SourceProblem(f"{path.name} has more than {_LARGEST:,} bytes (a limit)")
    refuse_pointer(data, path)
    clock.take(len(data))
    text = decoded(data).replace("\0", "")
    if delimiter is None:
        delimiter = "\t" if path.suffix == ".tsv" else _delimiter(text)
    lines = _parsed(text, delimiter)
    try:
        names = next((row for row in lines if row and not row[0].startswith("#")), [])
    except csv.Error as error:
        raise SourceProblem(f"{path.name} is no table ({error})") from error
    return [name.strip() for name in names], _rows(lines, path, clock, len(names), ended=text.endswith(("\n", "\r")))


def _parsed(text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the rows of a text; the limit of a cell is the process's, and is given back after each."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    while True:
        before = csv.field_size_limit(_LONGEST_CELL)
        try:
            row = next(reader, None)
        finally:
            csv.field_size_limit(before)
        if row is None:
            return
        yield row


def _delimiter(text: str) -> str:
    first = next((line for line in text[:65536].splitlines() if line and not line.startswith("#")), "")
    return max(",;\t", key=first.count)


def _rows(lines: Iterator[list[str]], path: Path, clock: Clock, columns: int, *, ended: bool) -> Iterator[list[str]]:
    waiting: list[str] | None = None
    try:
        for number, row in enumerate(lines):
            if number % 1000 == 0:
                clock.check()
            if waiting is not None:
                yield waiting
            waiting = row if row else None
    except csv.Error as error:
        raise SourceProblem(f"{path.name} is no table ({error})") from error
    if waiting is not None and (ended or len(waiting) >= columns):
        yield waiting


class Cells:
    """Takes the cells of a table for points of a run, and notes columns that hold none."""

    def __init__(self, run: RawRun, file: str) -> None:
        self.run, self.file = run, file
        self._bad: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def number(self, column: str, cell: str) -> float | None:
        """Return a cell's number; None where there is no point, or no number, which is noted."""
        number = number_of_text(cell)
        if number is None and not is_missing(cell):
            self._bad.setdefault(column, cell)
            self._counts[column] += 1
        return number

    def finish(self) -> None:
        """Say which columns hold what is no number, with an example."""
        for column, example in self._bad.items():
            shown = example if len(example) <= 40 else example[:37] + "..."
            self.run.left_out[f"values of {column} that are no numbers"] += self._counts[column]
            self.run.notes.append(f"{self.file}: {column} holds {shown!r}, which is no number: excluded")


def step_of(text: str) -> int | None:
    """Return a step as a whole number; None where the cell is empty, a fraction or no number."""
    number = number_of_text(text) if not is_missing(text) else None
    if number is None or number != number or abs(number) >= 2**62 or number != int(number):
        return None
    return int(number)


def whole_numbers(cells: Sequence[str]) -> bool:
    """Whether all cells are whole numbers from 0."""
    return all((step := step_of(cell)) is not None and step >= 0 for cell in cells)
