"""Tables of models from what people keep them in: mappings, data frames, CSV and Parquet files."""

from __future__ import annotations

import csv
import errno
import itertools
import os
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .._optional import require
from .._results import Table
from ..errors import InputError
from .plain_files import UnfitJsonError, parse_json, regular_size

MAX_TABLE = 2**30  # bytes of a table, which is held whole
_CELLS, _CELLS_PER_BYTE = 10**6, 100  # of Parquet: more cells than that, and as many for each byte, are a trap
_AT_ONCE = 500  # rows of text: of more at once the garbage collector would look at each again and again


def as_table(source: Any) -> Table:
    """Return `source` as a `Table`.

    Parameters
    ----------
    source : Table, mapping, data frame, list of mappings, or path
        A path ends in ``.csv``, ``.tsv``, ``.parquet`` or ``.jsonl``.

    Raises
    ------
    InputError
        Another kind of thing, an unknown ending, or an empty table.
    """
    if isinstance(source, Table):
        table = source
    elif isinstance(source, (str, os.PathLike)):
        with readable(Path(source)):
            table = _from_path(Path(source))
    elif isinstance(source, Mapping):
        table = Table({str(name): list(column) for name, column in source.items()})
    elif hasattr(source, "columns") and hasattr(source, "__getitem__"):
        _refuse_twins([str(name) for name in source.columns], "the data frame")
        table = Table({str(name): list(source[name]) for name in source.columns})
    elif isinstance(source, list) and source and all(isinstance(row, Mapping) for row in source):
        names = dict.fromkeys(str(name) for row in source for name in row)
        table = Table({name: [row.get(name) for row in source] for name in names})
    else:
        raise InputError(
            f"the table has type {type(source).__name__}",
            "a mapping of columns, a data frame, or a CSV or Parquet file",
        )
    if not len(table):
        raise InputError("the table has no rows", "one row per model")
    return table


@contextmanager
def readable(path: Path) -> Generator[None]:
    """Raise an InputError where a file is no text, no Parquet, a pipe or a device, or may not be read."""
    try:
        if (size := regular_size(path)) > MAX_TABLE:
            raise OSError(errno.EFBIG, f"it has {size} bytes, more than the {MAX_TABLE} of a table that is read")
        yield
    except FileNotFoundError as error:
        raise InputError(f"the file {path} does not exist", "a table") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8 ({error.reason})", "a table", "Save it as UTF-8.") from error
    except (OSError, csv.Error, MemoryError, NotImplementedError, OverflowError) as error:
        raise InputError(f"{path} cannot be read ({error})", "a table") from error
    except ValueError as error:  # so does pyarrow say it
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read ({str(error).partition('.')[0]})", "a Parquet table") from error


def _from_path(path: Path) -> Table:
    if path.suffix == ".parquet":
        return _from_parquet(path)
    if path.suffix == ".jsonl":
        return as_table(_from_json_lines(path))
    if path.suffix not in (".csv", ".tsv"):
        raise InputError(
            f"{path.name} {f'ends in {path.suffix}' if path.suffix else 'has no suffix'}",
            ".csv, .tsv, .parquet or .jsonl",
        )
    with path.open(newline="", encoding="utf-8-sig") as file:
        return _from_text(path, file, "\t" if path.suffix == ".tsv" else ",")


def _from_parquet(path: Path) -> Table:
    parquet = require("pyarrow.parquet", "reading a Parquet table")
    facts = parquet.read_metadata(path)
    cells = facts.num_rows * facts.num_columns
    if cells > max(_CELLS, _CELLS_PER_BYTE * regular_size(path)):
        raise InputError(f"{path} would unpack to {cells:,} cells", f"at most {_CELLS_PER_BYTE} for each of its bytes")
    read = parquet.read_table(path)
    _refuse_twins(read.column_names, str(path))
    return Table(read.to_pydict())


def _from_text(path: Path, file: Iterable[str], separator: str) -> Table:
    """Return the table of a file of text, some rows in memory at a time beside its columns."""
    rows = csv.reader(file, delimiter=separator, strict=True)
    names = next((row for row in rows if row), None)
    if names is None:
        raise InputError(f"{path} is empty", "a header and one row per model")
    word = {"\t": "tabs", ",": "commas"}[separator]
    other = next((mark for mark in ";\t," if mark in names[0]), None)
    if len(names) == 1 and other is not None:
        raise InputError(
            f"{path} holds a single column, {names[0]!r}",
            f"columns separated by {word}",
            f"They seem to be separated by {other!r}; write the table with {word}.",
        )
    columns: list[list[str]] = [[] for _ in names]
    while some := list(itertools.islice(rows, _AT_ONCE)):
        if set(map(len, some)) != {len(names)}:
            some = [row for row in some if row]
            wrong = next((k for k, row in enumerate(some) if len(row) != len(names)), None)
            if wrong is not None:
                found = f"row {1 + len(columns[0]) + wrong} of {path} has {len(some[wrong])} cells"
                raise InputError(found, f"{len(names)}, as in the header")
        for column, cells in zip(columns, zip(*some, strict=True), strict=False):
            column.extend(cells)
    _refuse_twins(names, str(path))
    return Table({name: _values(cells) for name, cells in zip(names, columns, strict=True)})


def rows_of(path: Path, separator: str) -> list[list[str]]:
    """Return the rows of a table whose cells are separated by commas or tabs, and which no quote is left open in."""
    with readable(path), path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file, delimiter=separator, strict=True))


def number_in(text: str) -> int | float:
    """Return the number that a cell says; Python's own ``1_2`` is no number of a table.

    Raises
    ------
    ValueError
        It is none.
    """
    if "_" in text:
        raise ValueError(text)
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    raise ValueError(text)


def _from_json_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file with one a line; ``NaN`` and ``Infinity`` are read as Python writes them."""
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):  # texts may hold U+2028
        if not line.strip():
            continue
        try:
            row = parse_json(line, constants=True)
        except UnfitJsonError as error:
            raise InputError(f"{path}, line {number}, is no JSON ({error})", "one JSON object per line") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}, is {line[:40]!r}", "one JSON object per line")
        rows.append(row)
    if not rows:
        raise InputError(f"{path} is empty", "one JSON object per line")
    return rows


def _refuse_twins(names: Sequence[str], where: str) -> None:
    """Raise if two columns share a name: one of them would be lost in silence."""
    twins = [name for name, count in Counter(names).items() if count > 1]
    if twins:
        raise InputError(
            f"{where} has {names.count(twins[0])} columns named {twins[0]!r}",
            "distinct names",
            "Rename all but one.",
        )


def _values(cells: Sequence[str]) -> list[Any]:
    """Return the values of a column, each as `_value` does: a whole column of numbers at once."""
    try:
        text = "".join(cells)
        if "_" in text:
            raise ValueError
        if text.count(".") == len(cells):  # of numbers none can have two, so that none is a whole number
            return list(map(float, cells))
        return list(map(int, cells))
    except ValueError:
        known = {cell: _value(cell) for cell in dict.fromkeys(cells)}
        return [known[cell] for cell in cells]


def _value(cell: str) -> Any:
    text = cell.strip()
    if not text:
        return None
    with suppress(ValueError):
        return number_in(text)
    return text
