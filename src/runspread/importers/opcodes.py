"""Literals of a pickle, from its opcodes alone: nothing is executed, imported or built."""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path
from typing import Any

from .limits import Limits, SourceProblem, opened

_LARGEST = 4 * 2**20
_MEMO = {"BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"}
_LITERALS = {
    "BINUNICODE", "SHORT_BINUNICODE", "UNICODE", "BININT", "BININT1", "BININT2", "INT", "LONG1", "LONG", "BINFLOAT",
    "FLOAT",
}  # fmt: skip
_WORDS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


def literals_of_pickle(path: Path, limits: Limits) -> dict[str, Any]:
    """Return the attributes whose value is a literal, of the one object in a file of ``torch.save``.

    A value that is anything else, or a key that stands twice with two values, is excluded.
    """
    try:
        return _literals(_pickle_in(path, limits))
    except (SourceProblem, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
        return {}


def _pickle_in(path: Path, limits: Limits) -> bytes:
    with opened(path) as file:
        head = file.read(4)
        file.seek(0)
        if head != b"PK\x03\x04":
            return file.read(min(_LARGEST, limits.record_bytes))
        with zipfile.ZipFile(file) as archive:
            inside = next((item for item in archive.infolist()[:1000] if item.filename.endswith("/data.pkl")), None)
            if inside is None or inside.file_size > _LARGEST:
                raise SourceProblem(f"{path.name} holds no small pickle")
            with archive.open(inside) as data:
                return data.read(_LARGEST)


_CLASS = object()  # stands for a class in the memo: it is never looked up


def _literals(data: bytes) -> dict[str, Any]:
    scan = _Scan()
    for number, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if number > 100_000:
            break
        scan.take(opcode.name, argument)
    return {name: value for name, value in scan.found.items() if name not in scan.doubtful}


class _Scan:
    """Follows the opcodes: a key, then a literal, or a class and the literal that an enumeration is made of."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.doubtful: set[str] = set()
        self._memo: dict[int, Any] = {}
        self._last: Any = None  # what a memo would keep
        self._key: str | None = None
        self._enumeration: list[Any] | None = None  # the literals after a class

    def take(self, name: str, argument: Any) -> None:
        if name in _MEMO:
            self._memo[len(self._memo) if argument is None else int(argument)] = self._last
            return
        value = self._value(name, argument)
        self._last = value
        if name == "TUPLE1" and self._enumeration:
            return
        if name == "REDUCE" and self._key and self._enumeration and len(self._enumeration) == 1:
            self._put(self._key, self._enumeration[0])
            self._key = self._enumeration = None
        elif value is _CLASS:
            self._enumeration = [] if self._key else None
        elif value is self._unknown:
            self._key = self._enumeration = None
        elif self._enumeration is not None:
            self._enumeration.append(value)
        elif self._key is None:
            self._key = value if isinstance(value, str) and value.isidentifier() else None
        else:
            self._put(self._key, value)
            self._key = None

    _unknown = object()

    def _value(self, name: str, argument: Any) -> Any:
        if name in _LITERALS:
            return argument
        if name in _WORDS:
            return _WORDS[name]
        if name == "GLOBAL":
            return _CLASS
        if name in ("BINGET", "LONG_BINGET", "GET"):
            known = self._memo.get(int(argument), self._unknown)
            return known if known is _CLASS or isinstance(known, (str, int, float, bool)) else self._unknown
        return self._unknown

    def _put(self, key: str, value: Any) -> None:
        if key in self.found and self.found[key] != value:
            self.doubtful.add(key)
        self.found.setdefault(key, value)
