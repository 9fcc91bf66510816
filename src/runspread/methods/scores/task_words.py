"""What is said of arms over several tasks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..._words import count, listed, percent
from .amounts import Amounts

if TYPE_CHECKING:
    from .over_tasks import ScoreTasks
    from .task_intervals import TaskMargin


_UNKNOWN = "no interval"  # without a spread of runs, or of tasks


def words_of_two(one: ScoreTasks) -> str:
    """Return the verdict on two arms, on these tasks and on tasks like them."""
    ends, p, alpha, m = one.intervals, one.pairs, 1 - one.confidence_level, len(one.tasks)
    diff, (old, new) = float(p.diff[0]), one.names
    amounts = Amounts(one.metric, one.unit, float(ends.these_hi[0] - ends.these_lo[0]) / 2 or abs(diff) / 10 or 1.0)
    side = "better" if diff > 0 else "worse"
    these, like = bool(p.p_these[0] <= alpha), bool(p.p_like_used[0] <= alpha)
    shown = "Yes" if side == "better" else "No"
    start = {
        (True, True): f"{shown}, on tasks like these {m}",
        (True, False): f"{shown} on these {m} tasks, undecided on tasks like them",
    }.get((these, like), f"Undecided, on these {m} tasks and on tasks like them")
    wins = int((one.means[1] > one.means[0]).sum())
    if one.within is not None and (one.verdicts[0] != "better" or one.within.asked == "equivalent"):
        return f"{_of_margin(one, one.within, amounts)} It is better on {wins} of the {m}."
    apart = f"{_apart(amounts, diff)} than {old}" if diff else f"as good as {old}"
    return (
        f"{start}: {new} is {apart} on average (these tasks "
        f"{_ends(amounts, ends.these_lo[0], ends.these_hi[0])}; tasks like these "
        f"{_ends(amounts, ends.like_lo[0], ends.like_hi[0])}; {_runs(one)}). "
        f"It is better on {wins} of the {m}."
    )


def _of_margin(one: ScoreTasks, found: TaskMargin, amounts: Amounts) -> str:
    """Return whether two arms differ by less than a margin on average, with the interval that belongs to it."""
    (old, new), diff, verdict = one.names, float(one.pairs.diff[0]), one.verdicts[0]
    where, margin = f"on {one.on.replace('-', ' ')}", amounts.margin(found.margin)
    apart = f"{_apart(amounts, diff)} on average"
    level = percent(1 - 2 * (1 - one.confidence_level))
    ends = _ends(amounts, found.lo_tost, found.hi_tost)
    span = ends if ends == _UNKNOWN else f"{level} interval {ends}"
    inside = f"({span}; {len(one.tasks)} tasks, {_runs(one)})"
    if verdict == "equivalent":
        return f"Yes, {new} is within {margin} of {old} {where}: it is {apart} {inside}."
    if verdict == "not worse":
        return f"Yes, {new} is not worse than {old} by more than {margin} {where}: it is {apart} {inside}."
    by = f"by more than {margin} {where}"
    if found.beyond:
        return f"No, {new} differs from {old} {by}: it is {apart} {inside}."
    known = f"; {new} is shown to be {verdict}" if verdict in ("better", "worse") else ""
    far = "apart from" if found.asked == "equivalent" else "worse than"
    return f"Undecided whether {new} is {far} {old} {by}{known}: it is {apart} {inside}."


def _apart(amounts: Amounts, diff: float) -> str:
    """Return by how much the new arm is better or worse; one that is neither is equal."""
    return f"{amounts.size(diff)} {'better' if diff > 0 else 'worse'}" if diff else "equal"


def _ends(amounts: Amounts, low: float, high: float) -> str:
    if math.isnan(low) or math.isnan(high):
        return _UNKNOWN
    words = amounts.interval(float(low), float(high))
    return words.replace("lower", "worse").replace("higher", "better")


def _runs(one: ScoreTasks) -> str:
    low, high = one.n_runs
    return f"{count(low, 'run')} per task" if low == high else f"{low} to {high} runs per task"


def words_of_many(one: ScoreTasks) -> str:
    """Return which pairs of several arms are decided."""
    decided = [
        f"{one.names[j if word == 'better' else i]} over {one.names[i if word == 'better' else j]}"
        for (i, j), word in zip(one.pairs.pairs.tolist(), one.verdicts, strict=True)
        if word != "undecided"
    ]
    what = one.on.replace("-", " ")
    pairs = len(one.verdicts)
    text = f"better on {what}: {listed(decided, 4)}" if decided else f"no pair is decided on {what}"
    top = one.names[int(np.argmax(one.aggregates.mean))]
    return (
        f"Of {len(one.names)} arms on {len(one.tasks)} tasks, {text} ({_runs(one)}; "
        f"after Holm's correction over {pairs} pairs). {top} has the best mean."
    )
