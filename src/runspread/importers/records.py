"""The neutral run: what every reader yields, whatever wrote the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NO_STEP = -(2**62)  # of a point that was logged without a step


class Curve(NamedTuple):
    """One metric of one run.

    Attributes
    ----------
    steps : ndarray of int64 [points]
        Steps that increase strictly.
    values : ndarray of float64 [points]
        Values; NaN and infinities as they were logged.
    times : ndarray of float64 [points] or None
        Seconds since 1970, where the log keeps them.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    times: NDArray[np.float64] | None


@dataclass(frozen=True)
class Output:
    """A file that may hold predictions: found, not loaded.

    Attributes
    ----------
    path : str
        Relative to the root of the import.
    split : str or None
        The split that its name speaks of.
    kind : str or None
        What it seems to hold: logits, probabilities, classes, a table.
    shape : tuple of int or None
        Its shape, where a header says it.
    """

    path: str
    split: str | None = None
    kind: str | None = None
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights: found, not loaded.

    Attributes
    ----------
    path : str
        Relative to the root of the import.
    step : int or None
        The step that its name speaks of.
    pickled : bool
        Whether it can be read only by unpickling, which an import never does.
    """

    path: str
    step: int | None
    pickled: bool


class Log:
    """Points in the order in which they were written, of all metrics of one run.

    A reader adds points one by one (`add`) or as arrays (`extend`), and begins a segment (`begin_segment`) at a mark of
    a new start: a new file, a session, a process.
    """

    def __init__(self, *, ordered: bool = True) -> None:
        self.ordered = ordered  # whether the order is that of all metrics together, not of each alone
        self.names: list[str] = []
        self._number: dict[str, int] = {}
        self._points: list[tuple[int, int, float, float]] = []
        self._parts: list[Points] = []
        self.segment = 0
        self.by_time = False  # whether times, not the order of adding, say what was written first

    def number(self, name: str) -> int:
        """Return the number of a metric."""
        found = self._number.get(name)
        if found is None:
            found = self._number[name] = len(self.names)
            self.names.append(name)
        return found

    def add(self, name: str, step: int, value: float, time: float = np.nan) -> None:
        """Add a point."""
        self._points.append((self.number(name), step, value, time))

    def extend(
        self, which: NDArray[Any], steps: NDArray[Any], values: NDArray[Any], times: NDArray[Any] | None = None
    ) -> None:
        """Add points as arrays; `which` holds numbers of metrics."""
        self._flush()
        at = np.full(len(which), np.nan) if times is None else times
        self._append(Points(which, steps, values, at, np.full(len(which), self.segment, np.int32)))

    def join(self, points: Points, names: Sequence[str]) -> None:
        """Add the points of another log of the same run, whose metrics are called `names` here."""
        self._flush()
        numbers = np.array([self.number(name) for name in names], np.int32)
        if len(points.which):
            self._append(points._replace(which=numbers[points.which]))
            self.by_time = True

    def _append(self, points: Points) -> None:
        self._parts.append(
            Points(
                points.which.astype(np.int32, copy=False),
                points.steps.astype(np.int64, copy=False),
                points.values.astype(np.float64, copy=False),
                points.times.astype(np.float64, copy=False),
                points.segments.astype(np.int32, copy=False),
            )
        )

    def begin_segment(self) -> None:
        """Begin a segment, unless nothing was added since the last began."""
        self._flush()
        if self._parts and bool((self._parts[-1].segments == self.segment).any()):
            self.segment += 1

    def _flush(self) -> None:
        if self._points:
            which, steps, values, times = zip(*self._points, strict=True)
            self._points = []
            rows = np.array(which, np.int32), np.array(steps, np.int64), np.array(values, np.float64)
            self._append(Points(*rows, np.array(times, np.float64), np.full(len(which), self.segment, np.int32)))

    def points(self) -> Points:
        """Return all points, in the order of writing."""
        self._flush()
        if not self._parts:
            nothing: Any = [np.empty(0, kind) for kind in (np.int32, np.int64, np.float64, np.float64, np.int32)]
            return Points(*nothing)
        columns: Any = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        found = Points(*columns)
        if not self.by_time:
            return found
        timed = bool(np.isfinite(found.times).all())
        self.ordered = self.ordered and timed
        keys = (found.times, found.segments) if timed else (found.segments,)
        return found.take(np.lexsort(keys))


class Points(NamedTuple):
    """Points of all metrics in the order of writing: number of the metric, step, value, time, segment [points]."""

    which: NDArray[np.int32]
    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    times: NDArray[np.float64]
    segments: NDArray[np.int32]

    def take(self, rows: NDArray[Any]) -> Points:
        """Return some of the points."""
        columns: Any = [column[rows] for column in self]
        return Points(*columns)


@dataclass
class Resolved:
    """Curves of one run, or of one of those that a log was split into.

    Attributes
    ----------
    curves : dict of str to Curve
        A value per step.
    raw : dict of str to Curve
        The same as they were written.
    summary : dict of str to float
        Points at negative steps.
    notes : list of str
        What was decided, with counts.
    """

    curves: dict[str, Curve] = field(default_factory=dict[str, Curve])
    raw: dict[str, Curve] = field(default_factory=dict[str, Curve])
    summary: dict[str, float] = field(default_factory=dict[str, float])
    notes: list[str] = field(default_factory=list[str])


@dataclass
class Settled:
    """What became of a log: the parts that it was split into, usually one, or why it is refused."""

    parts: list[Resolved] = field(default_factory=list[Resolved])
    refused: str = ""
    placeholder: bool = False  # whether Lightning's ``hp_metric`` was the one that nobody set


@dataclass
class RawRun:
    """A run as its reader found it, before seeds, hyperparameters and curves are put in order.

    Attributes
    ----------
    id : str
        The source's own id, or the path relative to the root.
    format : str
        Name of the format.
    path : str
        Relative path of the folder or file.
    files : list of Path
        The files that were read.
    config : dict
        Hyperparameters as stored, nested.
    has_config : bool
        Whether the source keeps a configuration at all; a run without one is never taken for equal to another.
    text_only : bool
        Whether the source keeps values of hyperparameters as text.
    seeds : dict of str to (key, value)
        Seeds by role that the reader itself knows.
    log : Log
        What was logged.
    summary : dict of str to float
        Single values that have no step.
    status, evidence : str
        How it ended, in the words of `statuses.STATUSES`, and what says so.
    """

    id: str
    format: str
    path: str
    name: str = ""
    files: list[Path] = field(default_factory=list[Path])
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    has_config: bool = False
    text_only: bool = False
    seeds: dict[str, tuple[str, Any]] = field(default_factory=dict[str, tuple[str, Any]])
    log: Log = field(default_factory=Log)
    summary: dict[str, float] = field(default_factory=dict[str, float])
    status: str = "unknown"
    evidence: str = ""
    error: str | None = None
    outputs: list[Output] = field(default_factory=list[Output])
    checkpoints: list[Checkpoint] = field(default_factory=list[Checkpoint])
    left_out: Counter[str] = field(default_factory=Counter[str])
    notes: list[str] = field(default_factory=list[str])
    library: str = ""
    parent: str | None = None
    started: float | None = None
    restarts: str = ""  # what to do about restarts, where the format has a rule of its own
    seeds_in_name: bool = False  # whether the name of its folder says the seed, as the format has no other place
    media: set[str] = field(default_factory=set[str])  # numbers that describe pictures and tables, and are no results
    place: Path = Path()  # the folder that it lies in
    settled: Settled | None = None  # its curves, once they are in order; the log is dropped then


@dataclass(frozen=True)
class Source:
    """Where a run came from.

    Attributes
    ----------
    format : str
        Name of the format.
    path : str
        Relative to the root of the import.
    files, bytes : int
        How many files were read, and their size together.
    digest : str
        Of the values that were read.
    library : str
        Version of what wrote it, where that is stored.
    """

    format: str
    path: str
    files: int
    bytes: int
    digest: str
    library: str = ""


@dataclass(frozen=True)
class Problem:
    """What went wrong with one run or file; the others are imported all the same.

    Attributes
    ----------
    where : str
        Relative path, or id of the run.
    what : str
        What was found, and what to do where there is something to do.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, eq=False)
class ImportedRun:
    """A run that was trained elsewhere, in the same form whatever wrote its log.

    Attributes
    ----------
    id, name : str
        The source's own id, else the path relative to the root; and a name to show, which need not be unique.
    source : Source
        Where it came from.
    seeds : dict of str to int
        Seed by role (init, order, augment); a role that is unknown is missing.
    seed_keys : dict of str to str
        The key that each seed came from.
    hyperparameters : dict
        What identifies the configuration: flat, with dotted names, without seeds and without what is unique to a run.
    configuration : str or None
        What equals between runs of one configuration; None where the source has none, so that nothing is claimed.
    curves : dict of str to Curve
        What was logged, a value per step, every metric.
    raw : dict of str to Curve
        The same as it was written, with the points that were written again.
    summary : dict of str to float
        Single values.
    status : str
        finished, crashed, killed, running, empty or unknown; diverged where the loss ends without a finite value.
    evidence : str
        What says so.
    error : str or None
        The message of a crash.
    outputs : tuple of Output
        Files that may hold predictions.
    checkpoints : tuple of Checkpoint
        Files of weights.
    left_out : dict of str to int
        What was seen and not taken.
    notes : tuple of str
        What a reader of its numbers should know.
    started : float or None
        When it began, in seconds since 1970, where the log says so.
    parent : str or None
        Id of the run that it is nested in.
    hidden : frozenset of str
        Metrics that a study does not take: runtimes, throughputs, or what was not asked for.
    place : Path
        The folder that it lies in.
    """

    id: str
    name: str
    source: Source
    seeds: Mapping[str, int]
    seed_keys: Mapping[str, str]
    hyperparameters: Mapping[str, Any]
    configuration: str | None
    curves: Mapping[str, Curve]
    raw: Mapping[str, Curve]
    summary: Mapping[str, float]
    status: str
    evidence: str
    error: str | None = None
    outputs: Sequence[Output] = ()
    checkpoints: Sequence[Checkpoint] = ()
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])
    notes: Sequence[str] = ()
    started: float | None = None
    parent: str | None = None
    hidden: frozenset[str] = frozenset()
    place: Path = field(default=Path(), repr=False)

    def taken(self) -> list[str]:
        """Return the metrics and results that a study takes."""
        return [name for name in dict.fromkeys([*self.curves, *self.summary]) if name not in self.hidden]

    def __repr__(self) -> str:
        return f"<run {self.id!r} of {self.source.format}: {self.status}, {len(self.curves)} metrics>"


def relative(path: Path, root: Path) -> str:
    """Return a path below the root with slashes; that of the root itself is its name."""
    text = path.relative_to(root).as_posix()
    return path.name if text == "." else text


def joined(words: Iterable[str], separator: str = "; ") -> str:
    """Return words that are not empty, with a separator between them."""
    return separator.join(word for word in words if word)
