"""Exit statuses: 0 where the verdict asked for holds, 1 where its opposite is shown, 3 where neither is."""

from __future__ import annotations

from typing import Any

SHOWN = {True: 0, False: 1, None: 3}


def status_of(result: Any) -> int:
    """Return the exit status of a result; 0 of one that asks for no verdict.

    Of several arms against a baseline 0 where one is better, else 1 where one is worse; without a baseline 0 where one
    arm is better than all others.
    """
    if hasattr(result, "refuted"):
        return SHOWN[True if result.shown else False if result.refuted else None]
    if hasattr(result, "verdicts"):
        return _of_several(result)
    return SHOWN[result.shown] if hasattr(result, "shown") else 0


def _of_several(result: Any) -> int:
    """Return the status of verdicts on several arms; without a baseline, of whether one arm is the best."""
    within = getattr(result, "within", None)
    if within is not None:
        holds = result.verdicts[0] in (within.asked, *(["better"] if within.asked == "not worse" else []))
        return SHOWN[True if holds else False if within.beyond else None]
    words = _against_the_first(result) if hasattr(result, "tasks") else tuple(result.verdicts)
    if not words:
        return 0 if int(result.maybe_best.sum()) == 1 else 3
    return 0 if "better" in words else 1 if "worse" in words else 3


def _against_the_first(result: Any) -> tuple[str, ...]:
    """Return the verdicts over tasks on each other arm against the first, which is the baseline where one was named."""
    pairs = zip(result.pairs.pairs.tolist(), result.verdicts, strict=True)
    return tuple(word for (old, _), word in pairs if old == 0)


def verdict_of(result: Any) -> str:
    """Return the verdict in words; empty where there is none."""
    if hasattr(result, "verdicts"):
        words = tuple(dict.fromkeys(result.verdicts))
        return ", ".join(words) or ("one arm is the best" if _of_several(result) == 0 else "undecided")
    return result.verdict() if callable(getattr(result, "verdict", None)) else ""
