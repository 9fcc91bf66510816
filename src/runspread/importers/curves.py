"""From points as they were written to curves whose steps increase: the axis, the segments, and what a restart voids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._words import count
from .limits import SourceProblem
from .records import NO_STEP, Curve, Log, Points, RawRun, Resolved, Settled

RESTARTS = ("last", "first", "split", "refuse")


PLACEHOLDER = "hp_metric"


def settle(run: RawRun, restarts: str | None) -> None:
    """Put the curves of a run in order, and drop its log."""
    if run.settled is not None:
        return
    found = Settled(placeholder=_is_placeholder(run.log))
    try:
        quiet = [PLACEHOLDER] if found.placeholder else []
        found.parts = resolved_curves(run.log, restarts or run.restarts or "last", quiet)
    except SourceProblem as problem:
        found.refused = str(problem)
    except (ArithmeticError, ValueError, LookupError, MemoryError) as error:
        found.refused = f"its curves cannot be put in order ({type(error).__name__}: {error})"
    if len(found.parts) == 1:
        found.parts[0].raw = raw_curves(run.log)
    for part in found.parts:
        _share(part)
    if found.placeholder:
        run.left_out[f"{PLACEHOLDER} (the placeholder -1)"] += 1
    run.settled, run.log = found, Log()


def _is_placeholder(log: Log) -> bool:
    """Whether Lightning's ``hp_metric`` is what the logger writes when nobody sets it."""
    if PLACEHOLDER not in log.names:
        return False
    points = log.points()
    own = points.which == log.names.index(PLACEHOLDER)
    return bool((points.values[own] == -1).all() and (points.steps[own] == 0).all())


def _share(part: Resolved) -> None:
    """Keep the points once where those that were written are those that count."""
    for name, curve in part.curves.items():
        raw = part.raw.get(name)
        if raw is None or (
            len(raw.steps) == len(curve.steps)
            and np.array_equal(raw.steps, curve.steps)
            and np.array_equal(raw.values, curve.values, equal_nan=True)
        ):
            part.raw[name] = curve


def raw_curves(log: Log) -> dict[str, Curve]:
    """Return every metric's points in the order in which they were written."""
    points = log.points()
    steps = np.where(points.steps == NO_STEP, 0, points.steps)
    return {name: _curve(points, steps, rows) for name, rows in _rows_of(points, log.names).items()}


def _rows_of(points: Points, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    order = np.argsort(points.which, kind="stable")
    bounds = np.searchsorted(points.which[order], np.arange(len(names) + 1))
    return {name: order[bounds[k] : bounds[k + 1]] for k, name in enumerate(names) if bounds[k] < bounds[k + 1]}


def _curve(points: Points, steps: NDArray[np.int64], rows: NDArray[Any]) -> Curve:
    times = points.times[rows]
    return Curve(steps[rows], points.values[rows], None if np.isnan(times).all() else times)


def resolved_curves(log: Log, restarts: str, passive: Sequence[str] = ()) -> list[Resolved]:
    """Return the curves of the run, or of the runs that its log is split into.

    Parameters
    ----------
    log : Log
        Points as they were written.
    restarts : {"last", "first", "split", "refuse", "split-at-first"}
        What becomes of points that were written again: the last or the first count, each segment is a run of its own,
        or the run is refused. ``"split-at-first"`` splits only a log that goes back to its first step, else ``"last"``.
    passive : sequence of str
        Metrics that say nothing about restarts, such as placeholders.

    Raises
    ------
    SourceProblem
        Points were written again, and restarts are to be refused.
    """
    found = Resolved()
    points = _with_steps(log, found)
    rows = _rows_of(points, log.names)
    quiet = {log.names.index(name) for name in passive if name in log.names}
    segments = _segments(points, rows, log, quiet)
    back = _restarts(points, segments, len(log.names), quiet)
    first = int(points.steps.min()) if len(points.steps) else 0
    wanted = restarts
    if restarts == "split-at-first":
        to_first = any(min(starts.values()) <= first for starts in back.values())
        wanted = "split" if to_first else "last"
        if to_first:
            found.notes.append(
                "the log goes back to its first step: it is read as separate runs (--restarts split), but may be one "
                "run that was resumed and counted anew (--restarts last)"
            )
    if back and wanted == "refuse":
        at = next(iter(back.values()))
        raise SourceProblem(f"points were written again after a restart at step {min(at.values())} (--restarts refuse)")
    if wanted == "split" and back:
        return _split(points, segments, back, log.names, found)
    kept = _kept(points, segments, back, len(log.names), wanted, log.names, found)
    _take_curves(points.take(kept), log.names, found)
    return [found]


def _with_steps(log: Log, found: Resolved) -> Points:
    """Return the points with whole steps from 0: the order where there is none, and no negative ones."""
    points = log.points()
    steps = points.steps.copy()
    stepless: list[str] = []
    for name, rows in _rows_of(points, log.names).items():
        own = steps[rows]
        if (own == NO_STEP).any():
            steps[rows] = np.arange(len(rows))
        elif len(rows) > 1 and own[0] == 0 and not own.any() and len(np.unique(points.segments[rows])) == 1:
            steps[rows] = np.arange(len(rows))
            stepless.append(name)
    if stepless:
        found.notes.append(f"{_some(stepless)} logged without steps: the order of writing is the step")
    negative = np.flatnonzero(steps < 0)
    for row in negative:
        found.summary[log.names[points.which[row]]] = float(points.values[row])
    if len(negative):
        names = {log.names[points.which[row]] for row in negative}
        found.notes.append(
            f"{count(len(negative), 'point')} of {_some(sorted(names))} at negative steps: in the summary"
        )
    whole = points._replace(steps=steps)
    return whole.take(np.flatnonzero(steps >= 0)) if len(negative) else whole


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    more = f" and {count(len(names) - 3, 'more metric')}" if len(names) > 3 else ""
    return f"{shown}{more} {'was' if len(names) == 1 else 'were'}" if not more else f"{shown}{more} were"


def _goes_back(steps: NDArray[np.int64]) -> NDArray[Any]:
    """Return where an axis goes back by more than one row: there a restart begins."""
    if len(steps) < 2:
        return np.empty(0, np.int64)
    falls = np.flatnonzero(np.diff(steps) < 0) + 1
    if not len(falls):
        return falls
    highest = np.maximum.accumulate(steps)
    starts: list[int] = []
    for at in falls.tolist():
        before = highest[at - 1]
        following = steps[at + 1] if at + 1 < len(steps) else None
        alone = following is not None and following >= before and (not starts or at > starts[-1])
        if not alone:
            starts.append(at)
    return np.array(starts, np.int64)


def _segments(points: Points, rows: Mapping[str, NDArray[Any]], log: Log, quiet: set[int]) -> NDArray[np.int64]:
    """Return the number of each point's segment: marks of the log, and axes that go back."""
    marked = points.segments.astype(np.int64)
    backs: list[tuple[int, int]] = []  # position in the order of writing, metric
    counted = np.zeros(len(marked), np.int64)
    for name, own in rows.items():
        metric = log.names.index(name)
        if metric in quiet:
            continue
        for mark in np.unique(marked[own]):
            part = own[marked[own] == mark]
            starts = _goes_back(points.steps[part])
            backs += [(int(part[at]), metric) for at in starts]
            for at in starts:
                counted[part[at:]] += 1
    if not backs:
        return marked
    if not log.ordered:
        return marked * (int(counted.max()) + 1) + counted
    return _cut(points, marked, sorted(backs))


def _cut(points: Points, marked: NDArray[np.int64], backs: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """Return segments of a log with one order, cut where the first of the metrics goes back at each restart."""
    cuts: list[int] = []
    seen: set[int] = set()
    for position, metric in backs:
        there = cuts and not ((points.which[cuts[-1] : position] == metric).any())
        if not there or metric in seen:
            cuts.append(position)
            seen = set()
        seen.add(metric)
    numbers = np.zeros(len(marked), np.int64)
    numbers[np.array(cuts)] = 1
    numbers[1:] += np.diff(marked) != 0
    return np.cumsum(numbers)


def _restarts(points: Points, segments: NDArray[np.int64], metrics: int, quiet: set[int]) -> dict[int, dict[int, int]]:
    """Return, of each segment that goes over steps again, from which step on older points are void, by metric.

    A metric is void from where it was written again, or from where another one of the same axis was, if earlier.
    Axes differ (epochs beside batches), so only metrics that reached as far count for each other.
    """
    found: dict[int, dict[int, int]] = {}
    far = np.full(metrics, -1, np.int64)  # the last step of each metric in older segments
    for number in np.unique(segments):
        inside = np.flatnonzero(segments == number)
        first = np.full(metrics, np.iinfo(np.int64).max)
        np.minimum.at(first, points.which[inside], points.steps[inside])
        again = [m for m in range(metrics) if m not in quiet and 0 <= first[m] < far[m]]
        if again:
            found[int(number)] = _void_from(again, first, far, metrics)
        np.maximum.at(far, points.which[inside], points.steps[inside])
    return found


def _void_from(again: Sequence[int], first: NDArray[np.int64], far: NDArray[np.int64], metrics: int) -> dict[int, int]:
    starts: dict[int, int] = {}
    for metric in range(metrics):
        reached = [int(first[other]) for other in again if 2 * far[other] >= far[metric]]
        if reached and far[metric] >= 0:
            starts[metric] = min(reached)
    return starts


def _kept(
    points: Points,
    segments: NDArray[np.int64],
    back: Mapping[int, Mapping[int, int]],
    metrics: int,
    restarts: str,
    names: Sequence[str],
    found: Resolved,
) -> NDArray[Any]:
    """Return the rows that count, and say how many do not."""
    keep = np.ones(len(segments), bool)
    for number, starts in back.items():
        limits = np.full(metrics, np.iinfo(np.int64).max)
        for metric, step in starts.items():
            limits[metric] = step
        older, void_older = segments < number, restarts == "last"
        if void_older:
            void = older & keep & (points.steps >= limits[points.which])
        else:
            reached = np.full(metrics, -1, np.int64)
            np.maximum.at(reached, points.which[older & keep], points.steps[older & keep])
            void = (segments == number) & (points.steps <= reached[points.which])
        keep &= ~void
        _say_void(points, void, older | (segments == number), min(starts.values()), names, found)
    return np.flatnonzero(keep)


def _say_void(
    points: Points,
    void: NDArray[np.bool_],
    among: NDArray[np.bool_],
    step: int,
    names: Sequence[str],
    found: Resolved,
) -> None:
    counts = np.bincount(points.which[void], minlength=len(names))
    totals = np.bincount(points.which, minlength=len(names))
    del among
    order = [m for m in np.argsort(-counts, kind="stable") if counts[m]]
    if not order:
        return
    worst = int(order[0])
    more = f" (and points of {count(len(order) - 1, 'more metric')})" if len(order) > 1 else ""
    found.notes.append(
        f"{counts[worst]} of {totals[worst]} points of {names[worst]} were written again after a restart at step "
        f"{step}{more}"
    )


def _split(
    points: Points,
    segments: NDArray[np.int64],
    back: Mapping[int, Any],
    names: Sequence[str],
    found: Resolved,
) -> list[Resolved]:
    """Return a run for each segment that goes over steps again; others belong to the one before."""
    runs: list[Resolved] = []
    starts = sorted(back)
    owner = np.searchsorted(np.array(starts), segments, side="right")
    for number in range(len(starts) + 1):
        rows = np.flatnonzero(owner == number)
        part = Resolved(summary=dict(found.summary) if not number else {}, notes=list(found.notes))
        if not any("separate runs" in note for note in part.notes):
            part.notes.append(f"the log restarts: this is part {number + 1} of {len(starts) + 1} of it")
        _take_curves(points.take(rows), names, part)
        runs.append(part)
    return runs


def _take_curves(points: Points, names: Sequence[str], found: Resolved) -> None:
    """Fill in the curves: sorted by step, the last of the points at one step."""
    twice: dict[str, int] = {}
    for name, rows in _rows_of(points, names).items():
        steps = points.steps[rows]
        if not bool((np.diff(steps) > 0).all()):
            order = np.argsort(steps, kind="stable")
            rows, steps = rows[order], steps[order]
            last = np.append(np.diff(steps) > 0, True)
            values = points.values[rows]
            same = np.append(steps[1:] == steps[:-1], False) if len(steps) > 1 else np.zeros(len(steps), bool)
            differ = int(np.sum(same[:-1] & ~_equal(values[1:], values[:-1])))
            if differ:
                twice[name] = differ
            rows = rows[last]
        found.curves[name] = _curve(points, points.steps, rows)
    if twice:
        total = sum(twice.values())
        shown = ", ".join(list(twice)[:3]) + (" and others" if len(twice) > 3 else "")
        found.notes.append(
            f"{count(total, 'point')} of {shown} {'has' if total == 1 else 'have'} another value at the same step: the "
            "last counts"
        )


def _equal(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    return (a == b) | (np.isnan(a) & np.isnan(b))
