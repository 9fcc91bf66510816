"""How a run ended, and what says so."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..studies.records import Status
from .records import Curve
from .walking import newest

FINISHED, CRASHED, KILLED, RUNNING, EMPTY, UNKNOWN, DIVERGED = (
    "finished", "crashed", "killed", "running", "empty", "unknown", "diverged",
)  # fmt: skip
DELETED = "deleted"  # in the tracker: excluded, and counted
STATUSES = (FINISHED, CRASHED, KILLED, RUNNING, DIVERGED, UNKNOWN, EMPTY)
SHORTER = 0.9  # of the largest last step of its group


def running_or_killed(files: Sequence[Path], stale: float, what: str, logged: float | None = None) -> tuple[str, str]:
    """Return the status of a run without an end, and why.

    It is running while a file of it is younger than `stale` seconds, and so is its last point where points have times:
    a copy of a run that was killed years ago has new files.
    """
    latest = newest(files)
    age = time.time() - (latest if logged is None or math.isnan(logged) else min(latest, logged))
    if age <= stale:
        return RUNNING, f"{what}; it changed {_span(age)} ago"
    return KILLED, f"{what}, and nothing in it changed for {_span(stale)}"


def in_a_study(status: str) -> Status:
    """Return what a study calls a run of a status; one that is running is written only if that is asked for."""
    if status == DIVERGED:
        return "diverged"
    return "completed" if status in (FINISHED, UNKNOWN) else "failed"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def is_loss(name: str) -> bool:
    """Whether a metric is a loss, by its name."""
    return "loss" in name.lower()


def diverged(curves: Mapping[str, Curve]) -> str | None:
    """Return which loss ends without a finite value, or None."""
    for name, curve in curves.items():
        if is_loss(name) and len(curve.values) and not math.isfinite(curve.values[-1]):
            return f"{name} ends at {curve.values[-1]:g} (step {curve.steps[-1]})"
    return None
