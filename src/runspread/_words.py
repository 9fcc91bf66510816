"""Numbers in sentences: 1 run, 8 runs; and words that are no longer used."""

from __future__ import annotations

from collections.abc import Sequence

# Keywords that were called otherwise, and are refused with the name of now.
RENAMED_KEYWORDS = {"confidence": "confidence_level", "law": "distribution", "level": "confidence_level"}


def visible(text: str) -> str:
    """Return text in which what moves a cursor, or turns the direction of reading, is spelled out; lines stay lines."""
    return text if text.isascii() and text.isprintable() else text.translate(_SPELLED)


class _Spelled(dict[int, str]):
    """What is printed instead of a character, as `str.translate` asks."""

    def __missing__(self, code: int) -> str:
        control = (code < 32 and code not in (9, 10)) or 0x7F <= code < 0xA0
        directs = 0x2028 <= code <= 0x202E or 0x2066 <= code <= 0x2069
        odd = control or directs or 0xD800 <= code < 0xE000  # half characters, which no terminal takes
        self[code] = chr(code).encode("unicode_escape").decode() if odd else chr(code)
        return self[code]


_SPELLED = _Spelled()


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the singular for 1."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(share: float) -> str:
    """Return a share as it was given, such as a confidence level: 95%, 97.5%, 99.9%."""
    return f"{round(100 * share, 6):g}%"


def listed(names: Sequence[object], most: int = 6) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``; of more than `most`, how many others there are."""
    words = [str(name) for name in names]
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} others"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def p_text(p: float) -> str:
    """Return a p-value as it stands in a sentence; what rounding makes 0 is small, not 0."""
    return f"p = {p:.2g}" if not p < 1e-16 else "p < 1e-16"
