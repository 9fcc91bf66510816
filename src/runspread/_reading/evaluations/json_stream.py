"""JSON files of any length, an element at a time: a window of the text is decoded, never the whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, TextIO

from ...errors import InputError
from ..plain_files import UnfitJsonError, json_decoder

_WINDOW = 1 << 18
LARGEST = 64 << 20  # characters of one element
_BLANK = " \t\r\n"


class JsonStream:
    """Reads a JSON text from an open file.

    Parameters
    ----------
    file : text file
        Open for reading.
    name : str
        What messages call it.
    """

    def __init__(self, file: TextIO, name: str) -> None:
        self._file, self._name = file, name
        self._text, self._at, self._ended = "", 0, False
        self._decoder = json_decoder(constants=True)

    def kind(self) -> str:
        """Return the first character that is not blank: { or [ in most files, "" in an empty one."""
        return self._peek()

    def elements(self) -> Iterator[Any]:
        """Yield the elements of a list at the position."""
        self._expect("[")
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self._expect(",]") == "]":
                return

    def entries(self, streamed: Collection[str] = ()) -> Iterator[tuple[str, Any]]:
        """Yield keys and values of an object; elements and entries of the `streamed` keys follow one by one.

        A streamed list gives ``key, element`` for each element; a streamed object ``key, (name, value)``.
        """
        self._expect("{")
        if self._peek() == "}":
            self._at += 1
            return
        while True:
            key = str(self.value())
            self._expect(":")
            if key in streamed and self._peek() in ("[", "{"):
                inside = self.elements() if self._peek() == "[" else self.entries()
                yield from ((key, one) for one in inside)
            else:
                yield key, self.value()
            if self._expect(",}") == "}":
                return

    def value(self) -> Any:
        """Return the value at the position."""
        self._peek()
        while True:
            try:
                found, end = self._decoder.raw_decode(self._text, self._at)
                if end < len(self._text) or self._ended:  # a number may go on after the window
                    self._at = end
                    return found
            except UnfitJsonError as error:  # a name twice
                raise InputError(f"{self._name} is not read: {error}", "a log of an evaluation") from None
            except ValueError as error:
                if self._ended:
                    raise self._broken() from error
            except RecursionError:
                raise InputError(f"{self._name} is nested too deeply", "a log of an evaluation") from None
            self._more(max(_WINDOW, len(self._text) - self._at))

    def _peek(self) -> str:
        while True:
            while self._at < len(self._text) and self._text[self._at] in _BLANK:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._more(_WINDOW)

    def _expect(self, one_of: str) -> str:
        found = self._peek()
        if not found or found not in one_of:
            raise self._broken()
        self._at += 1
        return found

    def _more(self, size: int) -> None:
        if len(self._text) - self._at > LARGEST:
            raise InputError(
                f"{self._name} holds an element of more than {LARGEST >> 20} MiB", "a log of an evaluation"
            )
        chunk = self._file.read(size)
        self._ended = not chunk
        self._text, self._at = self._text[self._at :] + chunk, 0

    def _broken(self) -> InputError:
        return InputError(f"{self._name} is no JSON from some place on, or ends too early", "a whole JSON file")
