"""Numbers in sentences: 1 run, 8 runs; and words that are no longer used."""

from __future__ import annotations

from collections.abc import Sequence

# Keywords that were called otherwise, and are refused with the name of now.
RENAMED_KEYWORDS = {"confidence": "confidence_level", "law": "distribution", "level": "confidence_level"}


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the singular for 1."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Sequence[object], most: int = 6) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``; of more than `most`, how many others there are."""
    words = [str(name) for name in names]
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} others"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def p_text(p: float) -> str:
    """Return a p-value as it stands in a sentence; what rounding makes 0 is small, not 0."""
    return f"p = {p:.2g}" if not p < 1e-16 else "p < 1e-16"
