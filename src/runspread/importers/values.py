"""Values as logs write them: numbers as text, JSON with a bare NaN, YAML with tags that are never followed."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from .._reading.plain_files import UnfitJsonError, parse_log
from .limits import Limits, SourceProblem, read_text

_WORDS = {
    "nan": math.nan, "inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf,
    "+inf": math.inf, "+infinity": math.inf,
}  # fmt: skip
MISSING = ("", "na", "n/a", "none", "null", "<na>")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z")
_ONE = re.compile(r"\[+\s*([^\[\],\s]+)\s*\]+\Z")  # an array of one element, as NumPy prints it


def number_of(value: Any) -> float | None:
    """Return a logged value as a number; None where it is none.

    Truth values are 0 and 1; ``"NaN"``, ``"Infinity"``, ``"1e-3"`` and arrays of one element are numbers.
    """
    if isinstance(value, float):
        return value
    if isinstance(value, (bool, int)):
        try:
            return float(value)
        except OverflowError:
            return None
    if isinstance(value, str):
        return number_of_text(value)
    if isinstance(value, list) and len(value) == 1:
        return number_of(value[0])
    if isinstance(value, dict) and "value" in value and ("py/object" in value or len(value) == 1):
        return number_of(value["value"]) if not isinstance(value["value"], dict) else None
    return None


def number_of_text(text: str) -> float | None:
    """Return the number that a text is, or None: a comma as the decimal point is no number."""
    plain = text.strip()
    if _NUMBER.match(plain):
        return float(plain)
    found = _WORDS.get(plain.lower())
    if found is not None:
        return found
    if plain.lower() in ("true", "false"):
        return float(plain.lower() == "true")
    inside = _ONE.match(plain)
    return number_of_text(inside[1]) if inside else None


def is_missing(text: str) -> bool:
    """Whether a cell of a table holds no point."""
    return text.strip().lower() in MISSING


def typed(text: str) -> Any:
    """Return what a text stands for in a store of text: a whole number, a number, True, False, None, or text."""
    plain = text.strip()
    if plain in ("True", "true"):
        return True
    if plain in ("False", "false"):
        return False
    if plain in ("None", "null"):
        return None
    if re.fullmatch(r"[+-]?\d{1,18}", plain):
        return int(plain)
    if _NUMBER.match(plain) or plain.lower() in _WORDS:
        return number_of_text(plain)
    return text


def read_json(path: Path, limits: Limits) -> Any:
    """Return the content of a JSON file; a bare NaN and Infinity are numbers.

    Raises
    ------
    SourceProblem
        It is too large, nested too deeply, a pointer, or no JSON.
    """
    text = read_text(path, limits)
    return parsed_json(text, path.name)


def parsed_json(text: str, name: str) -> Any:
    """Return what JSON text holds."""
    try:
        return parse_log(text)
    except UnfitJsonError as error:
        raise SourceProblem(f"{name} is no JSON that can be read ({error})") from error


def plain_of_pickled_json(value: Any, left_out: Counter[str], depth: int = 0) -> Any:
    """Return what jsonpickle wrote as plain values; Python objects are never built."""
    if depth > 50:
        return "<too deep, not read>"
    if isinstance(value, list):
        return [plain_of_pickled_json(item, left_out, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if "py/tuple" in value or "py/set" in value:
        return plain_of_pickled_json(value.get("py/tuple", value.get("py/set")), left_out, depth + 1)
    kind = value.get("py/object")
    if kind is not None and isinstance(value.get("values"), list) and str(kind).startswith("numpy"):
        return plain_of_pickled_json(value["values"], left_out, depth + 1)
    if kind is not None and isinstance(value.get("value"), (int, float, str, bool)) and str(kind).startswith("numpy"):
        return value["value"]
    marks = [key for key in value if str(key).startswith("py/")]
    if marks:
        left_out["Python objects in JSON"] += 1
        return f"<{_short(kind) if kind is not None else marks[0]}, not read>"
    return {str(key): plain_of_pickled_json(item, left_out, depth + 1) for key, item in value.items()}


def _short(kind: Any) -> str:
    return str(kind).rpartition(".")[2][:60]
