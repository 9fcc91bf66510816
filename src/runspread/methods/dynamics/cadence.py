"""How far apart checkpoints are, and what runs that were logged at different steps have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .shared import ENOUGH

At = NDArray[Any]


class Cadence(NamedTuple):
    """What to keep of each run, and in which unit to count.

    Attributes
    ----------
    rows : list of ndarray of int64
        Checkpoints to keep.
    unit : str
        ``checkpoint`` where runs were logged at the same steps (or nobody knows), else ``step``.
    note : str
        What the reader should know; empty where there is nothing.
    """

    rows: list[NDArray[np.int64]]
    unit: str
    note: str


def cadence_of(steps: Sequence[At], *, known: bool) -> Cadence:
    """Compare the steps at which runs were logged; where they differ, look for a grid that all of them have.

    The probabilities of a hidden Markov model are per checkpoint. So runs that were logged every step and every second
    step are fitted at every second; where there is no such grid, all checkpoints count for as long as they last.
    """
    everything = [np.arange(len(at)) for at in steps]
    if not known or _same_grid(steps):
        return Cadence(everything, "checkpoint", "")
    gaps = [float(np.median(np.diff(at))) for at in steps if len(at) > 1]
    low, high = (f"{gap:g}" for gap in (min(gaps, default=0.0), max(gaps, default=0.0)))
    every = f"every {low} steps" if low == high else f"every {low} to {high} steps"
    if (rows := _on_grid(steps, gaps)) is not None:
        rest = f"states are those of the checkpoints {high} steps apart that all have, and times are in steps"
        return Cadence(rows, "step", f"runs were logged {every}, not all at the same steps: {rest}")
    rest = "times and shares of time are in steps"
    rest += "" if low == high else ", but probabilities of transitions are from one logged checkpoint to the next"
    return Cadence(everything, "step", f"runs were logged {every}, at no common steps: {rest}")


def _same_grid(steps: Sequence[At]) -> bool:
    """Whether runs were logged at the same steps as far as they go; the last checkpoint of a run may lie elsewhere."""
    longest = max(steps, key=len)
    return all(np.array_equal(at[:-1], longest[: len(at) - 1]) for at in steps)


def _on_grid(steps: Sequence[At], gaps: Sequence[float]) -> list[NDArray[np.int64]] | None:
    """Return the checkpoints on the grid of the run that was logged most rarely, if every run has enough of it."""
    gap = max(gaps, default=0.0)
    if gap < 1 or gap != int(gap) or any(at.dtype.kind not in "iu" for at in steps):
        return None
    coarse = next(at for at in steps if len(at) > 1 and np.median(np.diff(at)) == gap)
    offsets, counts = np.unique(coarse % int(gap), return_counts=True)
    rows = [np.flatnonzero(at % int(gap) == offsets[counts.argmax()]) for at in steps]
    even = all((np.diff(at[kept]) == gap).all() for at, kept in zip(steps, rows, strict=True))
    return rows if even and min(len(kept) for kept in rows) >= ENOUGH else None


def durations(at: At, unit: str) -> NDArray[np.float64]:
    """Return how long each checkpoint of a run lasts: until the next one; the last as long as is usual."""
    if unit == "checkpoint":
        return np.ones(len(at))
    gaps = np.diff(at).astype(np.float64)
    return np.append(gaps, np.median(gaps) if len(gaps) else 1.0)


def end_of(at: At, unit: str) -> Any:
    """Return when a run ends, in its unit."""
    if unit == "checkpoint":
        return len(at)
    end = at[-1] + durations(at, unit)[-1]
    return int(end) if end == int(end) else float(end)


def common_gap(steps: Sequence[At]) -> int | None:
    """Return the steps from one checkpoint to the next; None where that changes, each run's last checkpoint aside."""
    gaps = {int(gap) for at in steps for gap in np.diff(at[:-1])}
    return gaps.pop() if len(gaps) == 1 else None
