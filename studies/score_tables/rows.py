"""A cell of a table: what is specified, what is simulated, and how far they lie apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SETS_OF_SPEC = 20_000
FURTHEST = 4.0  # standard errors
LAWS = {"normal": "normal", "skew": "skewed", "bimodal": "failing", "heavy": "heavy tails"}


class Row(NamedTuple):
    """A cell; `apart` is in Monte Carlo standard errors of both, less what the specification rounds."""

    table: str
    setting: str
    specified: float
    found: float
    apart: float


def row(
    table: str, setting: str, specified: float, found: float, sets: int, *, of: int = SETS_OF_SPEC, digits: int = 3
) -> Row:
    """Return a cell with a share of `sets` data sets; the specified one is of `of`, rounded to some digits."""
    share = min(max((specified + found) / 2, 1 / sets), 1 - 1 / sets)
    error = math.sqrt(share * (1 - share) * (1 / sets + 1 / of))
    return Row(table, setting, specified, found, max(0.0, abs(found - specified) - 0.5 * 10**-digits) / error)


def mean_row(table: str, setting: str, specified: float, found: Sequence[float], *, of: int, rounding: float) -> Row:
    """Return a cell with a mean of data sets."""
    values = np.asarray(found, float)
    error = max(values.std(ddof=1), 1e-9) * math.sqrt(1 / len(values) + 1 / of)
    return Row(
        table, setting, specified, values.mean(), max(0.0, abs(values.mean() - specified) - rounding / 2) / error
    )


def within(table: str, setting: str, span: tuple[float, float], found: float, sets: int, *, of: int) -> Row:
    """Return a cell of which a range is specified, by the end that lies nearest."""
    return row(table, setting, min(max(found, span[0]), span[1]), found, sets, of=of)
