"""What a cell of a table of scores is: a number, percent, no value, or a run that diverged (scores 1.4)."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

import numpy as np

from ...errors import InputError
from ..tables import number_in

_MISSING = frozenset(("", "na", "n/a", "null", "none", "-"))
_COMMA = re.compile(r"[+-]?\d+,\d+")
NUMBER, MISSING, DIVERGED, INFINITE = range(4)


class Cell(NamedTuple):
    """The value of a cell; `kind` says what it stands for, `percent` whether it ends in a percent sign.

    An infinite cell is a run that diverged, or an error, as the direction of its metric says.
    """

    value: float
    kind: int = NUMBER
    percent: bool = False


def read_cell(cell: Any, column: str, at: int) -> Cell:
    """Return what a cell says; `column` and the position of its row name it in errors."""
    if type(cell) is float:
        return _number(cell)
    if cell is None or _is_na(cell):
        return Cell(math.nan, MISSING)
    if isinstance(cell, (int, float, np.integer, np.floating)) and not isinstance(cell, bool):
        try:
            return _number(float(cell))
        except OverflowError:
            raise InputError(
                f"row {at + 1} has a number of more than 308 digits in column {column!r}", "less"
            ) from None
    text = str(cell).strip()
    if text.lower() in _MISSING:
        return Cell(math.nan, MISSING)
    percent = text.endswith("%")
    digits = text.removesuffix("%").strip()
    try:
        value = _number(float(number_in(digits)))
    except (ValueError, OverflowError):
        reading = f"Write {digits.replace(',', '.')}." if _COMMA.fullmatch(digits) else ""
        raise InputError(f"row {at + 1} has {cell!r} in column {column!r}", "a number", reading) from None
    return value._replace(percent=percent)


def _is_na(cell: Any) -> bool:
    return type(cell).__name__ in ("NAType", "NaTType")


def _number(value: float) -> Cell:
    if math.isfinite(value):
        return Cell(value)
    return Cell(value, DIVERGED if math.isnan(value) else INFINITE)


def read_key(cell: Any) -> Any:
    """Return a seed or a name as it is compared: 3.0 is 3, text stays text, missing is None."""
    if cell is None or _is_na(cell) or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, bool):
        return str(cell)
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def read_name(cell: Any) -> str:
    """Return the name of an arm, a task or a metric."""
    key = read_key(cell)
    return "" if key is None else str(key)
