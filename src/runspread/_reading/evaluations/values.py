"""Scores as harnesses write them: letters, words, numbers, numbers as text."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

from ...errors import InputError

_WORDS = {
    **dict.fromkeys(("c", "correct", "yes", "true", "pass", "passed", "resolved"), 1.0),
    **dict.fromkeys(("i", "n", "incorrect", "no", "false", "fail", "failed", "timeout", "unresolved"), 0.0),
    "p": 0.5,
}


def score_of(value: Any) -> float:
    """Return a score as a number; NaN where there is none.

    Raises
    ------
    InputError
        It is no score.
    """
    if value is None:
        return math.nan
    found = value.strip().lower() if isinstance(value, str) else value
    if isinstance(found, str) and found in _WORDS:
        return _WORDS[found]
    if isinstance(found, str) and found in ("", "nan", "none", "null"):
        return math.nan
    if isinstance(found, (bool, int, float, str)):
        with suppress(ValueError, OverflowError):
            return float(found)
    raise InputError(f"the score {str(value)[:40]!r}", "a number, true or false, or C, P, I, N")


def is_score(value: Any) -> bool:
    """Whether a value can be a score."""
    try:
        return not math.isnan(score_of(value))
    except InputError:
        return False
