"""YAML as plain values, from its events: tags of Python are never followed, and aliases never multiply."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from .._optional import require
from .limits import Limits, SourceProblem, read_text

_MOST = 100_000  # values in one file
_LARGEST = 8 * 2**20  # bytes
_INTEGER = re.compile(r"[+-]?(0|[1-9][\d_]*)\Z")
_FLOAT = re.compile(r"[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")
_INFINITE = re.compile(r"([+-]?)\.(inf|Inf|INF)\Z")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_CONTAINERS = ("Namespace", "OrderedDict", "AttributeDict", "AttrDict", "DictConfig", "dict", "tuple", "list", "set")
_PYTHON = "tag:yaml.org,2002:python/"


def read_yaml(path: Path, limits: Limits, left_out: Counter[str]) -> Any:
    """Return the first document of a YAML file as plain values.

    Parameters
    ----------
    path : Path
        The file.
    limits : Limits
        Depth of nesting; a file has at most 8 MiB and 100,000 values.
    left_out : Counter
        Counts Python objects, which become the text ``"<type, not read>"``.

    Raises
    ------
    SourceProblem
        It is too large, nested too deeply, a pointer, or no YAML.
    """
    return parsed_yaml(read_text(path, limits, most=_LARGEST), path.name, limits, left_out)


def parsed_yaml(text: str, name: str, limits: Limits, left_out: Counter[str]) -> Any:
    """Return the first document of YAML text as plain values."""
    yaml = require("yaml", "reading YAML")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(name, 4 * limits.depth, left_out)
    try:
        for event in yaml.parse(text, Loader=loader):
            if builder.take(type(event).__name__, event):
                break
    except yaml.YAMLError as error:
        raise SourceProblem(f"{name} is no YAML ({str(error).splitlines()[0]})") from error
    except RecursionError as error:
        raise SourceProblem(f"{name} is nested too deeply") from error
    return builder.result


class _Open:
    """A mapping or a list that is being read."""

    def __init__(self, tag: str | None, anchor: str | None, *, mapping: bool) -> None:
        self.tag, self.anchor, self.mapping = tag, anchor, mapping
        self.items: list[Any] = []

    def value(self, left_out: Counter[str]) -> Any:
        if self.mapping:
            pairs = zip(self.items[::2], self.items[1::2], strict=False)
            plain: Any = {str(key): item for key, item in pairs}
        else:
            plain = self.items
        return plain if not self.tag else _untagged(self.tag, plain, left_out)


class _Builder:
    def __init__(self, name: str, depth: int, left_out: Counter[str]) -> None:
        self.name, self.depth, self.left_out = name, depth, left_out
        self.result: Any = None
        self._open: list[_Open] = []
        self._known: dict[str, tuple[Any, int]] = {}
        self._count = 0

    def take(self, kind: str, event: Any) -> bool:
        """Take an event; True at the end of the document."""
        if kind == "ScalarEvent":
            self._put(_scalar(event, self.left_out), event.anchor, 1)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._open.append(_Open(event.tag, event.anchor, mapping=kind == "MappingStartEvent"))
            if len(self._open) > self.depth:
                raise SourceProblem(f"{self.name} is nested more than {self.depth} deep (a limit)")
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            done = self._open.pop()
            self._put(done.value(self.left_out), done.anchor, 1)
        elif kind == "AliasEvent":
            value, size = self._known.get(event.anchor, (None, 1))
            self._put(value, None, size)
        return kind == "DocumentEndEvent"

    def _put(self, value: Any, anchor: str | None, size: int) -> None:
        self._count += size
        if self._count > _MOST:
            raise SourceProblem(f"{self.name} holds more than {_MOST:,} values (a limit)")
        if anchor:
            self._known[anchor] = value, _size(value)
        if self._open:
            self._open[-1].items.append(value)
        else:
            self.result = value


def _size(value: Any) -> int:
    """Return how many values an alias would bring."""
    if isinstance(value, dict):
        return 1 + sum(_size(item) for item in value.values())
    if isinstance(value, list):
        return 1 + sum(_size(item) for item in value)
    return 1


def _scalar(event: Any, left_out: Counter[str]) -> Any:
    text, tag = event.value, event.tag
    if tag and tag.startswith(_PYTHON):
        return _python_scalar(tag.removeprefix(_PYTHON), text, left_out)
    if tag in ("tag:yaml.org,2002:binary", "!!binary"):
        left_out["Python objects in YAML"] += 1
        return "<binary, not read>"
    if tag and tag != "tag:yaml.org,2002:str":
        return plain_scalar(text)
    return text if tag or not event.implicit[0] else plain_scalar(text)


def _python_scalar(tag: str, text: str, left_out: Counter[str]) -> Any:
    if tag in ("int", "long", "float", "bool", "none"):
        return plain_scalar(text)
    if tag in ("str", "unicode"):
        return text
    left_out["Python objects in YAML"] += 1
    return f"<{tag.rpartition(':')[2].rpartition('.')[2] or tag}, not read>"


def plain_scalar(text: str) -> Any:
    """Return what an unquoted YAML scalar stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text) if len(text) < 400 else text
    if _FLOAT.match(text) and len(text) < 400:
        return float(text.replace("_", ""))
    infinite = _INFINITE.match(text)
    if infinite:
        return -math.inf if infinite[1] == "-" else math.inf
    return math.nan if text in (".nan", ".NaN", ".NAN") else text


def _untagged(tag: str, value: Any, left_out: Counter[str]) -> Any:
    """Return the plain content of a tagged container: of a tuple, a namespace, an enumeration; else what it was."""
    if not tag.startswith(_PYTHON):
        return value
    what = tag.removeprefix(_PYTHON)
    short = what.rpartition(":")[2].rpartition(".")[2]
    if what == "tuple" or (short in _CONTAINERS and "apply" not in what):
        return value.get("dictitems", value) if isinstance(value, dict) else value
    if short in _CONTAINERS:
        return _ordered(value)
    if "apply" in what and isinstance(value, list) and len(value) == 1 and isinstance(value[0], (str, int, float)):
        return value[0]  # an enumeration
    left_out["Python objects in YAML"] += 1
    return f"<{short}, not read>"


def _ordered(value: Any) -> Any:
    """Return the mapping that ``OrderedDict`` is written as: a list with a list of pairs."""
    pairs = value[0] if isinstance(value, list) and value else []
    if isinstance(pairs, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        return {str(key): item for key, item in pairs}
    return value
