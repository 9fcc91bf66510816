"""Lazy readers over the shards of a study: predictions, metrics and weights stay on disk until they are asked for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import check_choice
from .._reading.kinds import look_like_probabilities
from .._reading.outputs import CHUNK_BYTES, CORRUPT_SHARD
from .._results import Excluded
from .._words import count
from ..errors import CorruptShardError, MissingDataError, RunspreadWarning, StudyError
from .layout import DIGEST, column_key, labels_key, place_of
from .shards import ShardRows, read_curves, read_labels, read_predictions


class Predictions:
    """Outputs of all completed runs on one split; arrays are read when they are asked for.

    ``reader[3]`` is one run's logits [examples, classes]; ``reader[:10]`` and ``reader.to_array()`` stack several;
    ``reader.chunks()`` walks over all runs in bounded memory.

    Attributes
    ----------
    shape : tuple of int
        ``(runs, examples, classes)``; ``(runs, examples)`` of predicted classes.
    kind : str or None
        What the outputs are, where the study says so: ``"log-probabilities"``, ``"log-odds"``, ``"logits"``,
        ``"classes"``.
    labels : ndarray of int64 [examples]
        True classes.
    run_ids : tuple of str
        Id of each run, in the order of the first axis.
    excluded : tuple of Excluded
        Runs excluded: diverged, failed, or without these predictions; and corrupt shards.
    example_ids : str or None
        Digest of the examples' ids, where they were recorded.
    """

    rounds = True  # what methods compute of single outputs is rounded as the columns of a digest are

    def __init__(
        self,
        parts: list[ShardRows],
        split: str,
        step: int | None,
        corrupt: Iterable[str] = (),
        location: str | None = None,
    ) -> None:
        self.split, self.step = split, step
        self.location = location if step is None else None  # where a worker finds the same
        self._parts: list[ShardRows] = []
        excluded = [Excluded(f"shard {name}", "corrupt") for name in corrupt]
        for part in parts:
            self._add(part, excluded)
        held = self._with_labels(list(self._parts), excluded)
        self._parts = [part for part in held if self._is_intact(part, excluded)]
        if held and not self._parts:
            self._read(held[0])  # which says what is wrong
        self.excluded: tuple[Excluded, ...] = tuple(excluded)
        if not self._parts:
            raise MissingDataError(*_nothing_recorded(parts, split, step))
        self.run_ids: tuple[str, ...] = tuple(run.id for part in self._parts for run in part.runs)
        self._check_labels_agree()
        self.kind: str | None = self._common_kind()
        self.example_ids: str | None = self._common_examples()
        self.labels: NDArray[np.int64] = self._labels_in(self._parts[0])
        self.shape: tuple[int, ...] = (len(self.run_ids), *self._shape_in(self._parts[0]))

    def _outputs_of(self, part: ShardRows) -> NDArray[Any]:
        """Return the outputs of all runs of a shard, as a view of the file."""
        return read_predictions(part, self.split, self.step, self.kind)

    def _labels_in(self, part: ShardRows) -> NDArray[np.int64]:
        return read_labels(part, self.split, part.facts.kinds.get(place_of(self.split, self.step)))

    def _shape_in(self, part: ShardRows) -> tuple[int, ...]:
        """Return the shape of one run's outputs."""
        return self._outputs_of(part).shape[1:]

    def _add(self, part: ShardRows, excluded: list[Excluded]) -> None:
        kept: list[int] = []
        for row, run in zip(part.rows, part.runs, strict=True):
            if run.status != "completed":
                excluded.append(Excluded(run.id, run.status))
            elif (self.split, self.step) not in run.predictions:
                excluded.append(Excluded(run.id, f"no {_describe(self.split, self.step)}"))
            else:
                kept.append(row)
        if kept:
            self._parts.append(part if len(kept) == len(part.rows) else part.keep(kept))

    def _with_labels(self, parts: list[ShardRows], excluded: list[Excluded]) -> list[ShardRows]:
        """Return the shards from the first on whose labels can be read; every other has the same, by its digest."""
        for number, part in enumerate(parts):
            try:
                self._labels_in(part)
            except CorruptShardError as error:
                if number == len(parts) - 1:
                    raise
                excluded += _of_corrupt(part, error)
            else:
                return parts[number:]
        return parts

    def _read(self, part: ShardRows) -> None:
        """Read what is needed of a shard once; its labels are those of the others, or that is an error of its own."""
        if self.split not in part.facts.labels:
            raise CorruptShardError(f"{part.folder} lists outputs on split {self.split!r}, and no labels of it")
        read_predictions(part, self.split, self.step, part.facts.kinds.get(place_of(self.split, self.step)))

    def _is_intact(self, part: ShardRows, excluded: list[Excluded]) -> bool:
        """Whether a shard can be read; runs of one that is corrupt are excluded by name."""
        try:
            self._read(part)
        except CorruptShardError as error:
            excluded += _of_corrupt(part, error)
            return False
        return True

    def _check_labels_agree(self) -> None:
        first = self._parts[0]
        for part in self._parts:
            if part.facts.labels[self.split] != first.facts.labels[self.split]:
                raise StudyError(
                    f"shards {first.name} and {part.name} have different labels for split {self.split!r}",
                    "the same examples in the same order in every run",
                    "Record runs on different examples under different names of the split.",
                )

    def _common_kind(self) -> str | None:
        """Return what the outputs are; None where no shard says so. Kept logits differ in their kind by name alone."""
        place = place_of(self.split, self.step)
        of_kind = {part.facts.kinds.get(place): part for part in self._parts}
        if len(of_kind) == 1:
            return next(iter(of_kind))
        named = [kind or "logits" for kind in of_kind]
        plain = of_kind.get(None)
        if plain is not None and "classes" not in of_kind:  # of version 1, which did not ask
            outputs = read_predictions(plain, self.split, self.step, None)[plain.rows[0]]
            named = [
                "probabilities" if kind == "logits" and look_like_probabilities(outputs) else kind for kind in named
            ]
        if {"classes", "probabilities"} & {*named}:
            folders = " and ".join(part.name for part in of_kind.values())
            raise StudyError(
                f"shards {folders} have different kinds of outputs for split {self.split!r}: {', '.join(named)}",
                "one kind of outputs",
                "Record them again, or under different names of the split.",
            )
        return "logits"

    def _common_examples(self) -> str | None:
        noted = [part for part in self._parts if self.split in part.facts.example_ids]
        known = {part.facts.example_ids[self.split]: part for part in noted}
        if len(known) > 1:
            first, second, *_ = (part.name for part in known.values())
            raise StudyError(
                f"shards {first} and {second} have different example ids for split {self.split!r}",
                "the same examples in the same order in every run",
                "Put the outputs into the same order and record them again.",
            )
        return next(iter(known), None)

    def __len__(self) -> int:
        return len(self.run_ids)

    def __repr__(self) -> str:
        axes = "[runs, examples, classes]" if len(self.shape) == 3 else "predicted classes [runs, examples]"
        return f"<predictions of {_describe(self.split, self.step)}, {axes} = {self.shape}>"

    def _pieces(self) -> Iterator[NDArray[Any]]:
        for part in self._parts:
            array = self._outputs_of(part)
            if array.shape[1:] != self.shape[1:]:
                raise StudyError(
                    f"shard {part.name} has outputs of shape {array.shape[1:]}",
                    f"{self.shape[1:]} as in shard {self._parts[0].name}",
                    f"Move the shard with the wrong run out of {part.folder.parent}, and record that run under another "
                    "name of "
                    "the split or in a separate study.",
                )
            yield part.select(array)

    def chunks(self, max_bytes: int = CHUNK_BYTES) -> Iterator[NDArray[Any]]:
        """Yield the outputs of consecutive runs, at most `max_bytes` at a time (but at least one run).

        Yields
        ------
        ndarray [runs, examples, classes]
            In the recorded precision; views of the files where possible.
        """
        yield from chunked(self._pieces(), max_bytes)

    def to_array(self, dtype: str | None = None) -> NDArray[Any]:
        """Return all outputs as one array [runs, examples, classes] in memory, converted to `dtype` if given."""
        return np.concatenate([piece if dtype is None else piece.astype(dtype) for piece in self._pieces()])

    def __getitem__(self, index: int | slice) -> NDArray[Any]:
        wanted = range(len(self))[index]
        numbers = [wanted] if isinstance(wanted, int) else list(wanted)
        found = [self._row(number) for number in numbers]
        return found[0] if isinstance(wanted, int) else np.stack(found)

    def _row(self, number: int) -> NDArray[Any]:
        for part in self._parts:
            if number < len(part.rows):
                return self._outputs_of(part)[part.rows[number]]
            number -= len(part.rows)
        raise IndexError(number)


class DigestPredictions(Predictions):
    """Outputs of which digest columns are read, and the outputs themselves only where they are asked for."""

    def _read(self, part: ShardRows) -> None:
        self._column_of(part, "class")

    def _labels_in(self, part: ShardRows) -> NDArray[np.int64]:
        return _digest_of(part, self.split).array(DIGEST, labels_key(self.split)).astype(np.int64)

    def _common_kind(self) -> str | None:
        return super()._common_kind() or "logits"  # what may be probabilities has no digest

    def _shape_in(self, part: ShardRows) -> tuple[int, ...]:
        return len(self.labels), self._column_of(part, "sample").shape[2]

    def _column_of(self, part: ShardRows, name: str) -> NDArray[Any]:
        """Return a column of all runs of a shard, as a view of the file."""
        return _digest_of(part, self.split).array(DIGEST, column_key(name, self.split))

    def digest_column(self, name: str) -> Column:
        """Return a digest column of all runs; see the page of the format for what they are."""
        return Column(self._parts, lambda part: self._column_of(part, name))


class Column:
    """One digest column of many runs [runs, ...], read when it is asked for."""

    def __init__(self, parts: list[ShardRows], read: Callable[[ShardRows], NDArray[Any]]) -> None:
        self._parts, self._of = parts, read

    def chunks(self, max_bytes: int = CHUNK_BYTES) -> Iterator[NDArray[Any]]:
        """Yield the numbers of consecutive runs, at most `max_bytes` at a time (but at least one run)."""
        yield from chunked((part.select(self._of(part)) for part in self._parts), max_bytes)

    def to_array(self) -> NDArray[Any]:
        """Return all of it, in memory."""
        return np.concatenate(list(self.chunks()))


def _digest_of(part: ShardRows, split: str) -> ShardRows:
    found = part.digest(split)
    if found is None:
        raise CorruptShardError(f"the digest of shard {part.name} cannot be read", "the columns that were there")
    return found


def chunked(pieces: Iterable[NDArray[Any]], max_bytes: int) -> Iterator[NDArray[Any]]:
    """Yield arrays joined or cut along their first axis to at most `max_bytes` (but at least one row)."""
    waiting: list[NDArray[Any]] = []
    size = 0
    for piece in pieces:
        step = max(1, max_bytes // max(1, piece[:1].nbytes))
        for start in range(0, len(piece), step):
            chunk = piece[start : start + step]
            if waiting and size + chunk.nbytes > max_bytes:
                yield _joined(waiting)
                waiting, size = [], 0
            waiting.append(chunk)
            size += chunk.nbytes
    if waiting:
        yield _joined(waiting)


@dataclass(frozen=True, eq=False)
class Curves:
    """One metric over training, for every run that logged it.

    Attributes
    ----------
    name : str
        Name of the metric.
    run_ids : tuple of str
        Id of each run, in the order of the first axis.
    steps : ndarray of int64 [runs, points]
        Step of each point; -1 after a run's last.
    values : ndarray of float32 [runs, points]
        Logged values; NaN after a run's last. Double precision where a value does not fit.
    lengths : ndarray of int64 [runs]
        Number of points of each run.
    excluded : tuple of Excluded
        Runs that logged it into a shard that is corrupt.
    """

    name: str
    run_ids: tuple[str, ...]
    steps: NDArray[np.int64]
    values: NDArray[np.floating[Any]]
    lengths: NDArray[np.int64]
    excluded: tuple[Excluded, ...] = ()

    def of(self, run: str) -> tuple[NDArray[np.int64], NDArray[np.floating[Any]]]:
        """Return ``(steps, values)`` of one run, without padding."""
        row = self._rows[check_choice(run, "run", self._rows)]
        length = int(self.lengths[row])
        return self.steps[row, :length], self.values[row, :length]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {run: row for row, run in enumerate(self.run_ids)}


class Metrics(Mapping[str, Curves]):
    """Logged metrics by name; ``metrics["loss"]`` reads that metric of all runs (diverged and failed ones too)."""

    def __init__(self, parts: list[ShardRows]) -> None:
        self._parts = parts
        self._names = sorted({name for part in parts for run in part.runs for name in run.metrics})

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<metrics {', '.join(self._names) or 'none'}>"

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> Curves:
        if name not in self._names:
            known = f"one of {', '.join(self._names)}" if self._names else "a study with logged metrics"
            raise MissingDataError(f"no run has a metric {name!r}", known)
        logged = [part.keep(rows) for part in self._parts if (rows := _rows_with(part, name))]
        excluded: list[Excluded] = []
        read = [(part, curves) for part in logged if (curves := _curves_of(part, name, excluded)) is not None]
        if not read:
            raise MissingDataError(f"every shard with the metric {name!r} is corrupt", "an intact one")
        parts, pieces = [part for part, _ in read], [curves for _, curves in read]
        points = max(values.shape[1] for _, values, _ in pieces)
        return Curves(
            name,
            tuple(run.id for part in parts for run in part.runs),
            np.concatenate([_padded(steps, points, -1) for steps, _, _ in pieces]),
            np.concatenate([_padded(values, points, np.nan) for _, values, _ in pieces]),
            np.concatenate([lengths for _, _, lengths in pieces]),
            tuple(excluded),
        )


def _of_corrupt(part: ShardRows, error: CorruptShardError) -> list[Excluded]:
    return [Excluded(run.id, f"{CORRUPT_SHARD} {part.name}: {error.found}") for run in part.runs]


def _curves_of(
    part: ShardRows, name: str, excluded: list[Excluded]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]] | None:
    """Return curves of a shard; None, its runs excluded with a warning that counts them, where it is corrupt."""
    try:
        return read_curves(part, name)
    except CorruptShardError as error:
        excluded += _of_corrupt(part, error)
        runs = count(len(part.runs), "run")
        warnings.warn(f"Excluded {runs} of the corrupt shard {part.name}: {error.found}", RunspreadWarning, 2)
        return None


def _joined(pieces: list[NDArray[Any]]) -> NDArray[Any]:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _rows_with(part: ShardRows, metric: str) -> list[int]:
    return [row for row, run in zip(part.rows, part.runs, strict=True) if metric in run.metrics]


def _padded(array: NDArray[Any], points: int, fill: float) -> NDArray[Any]:
    missing = points - array.shape[1]
    return np.pad(array, ((0, 0), (0, missing)), constant_values=fill) if missing else array


def _describe(split: str, step: int | None) -> str:
    return f"split {split!r}" + ("" if step is None else f" at step {step}")


def _nothing_recorded(parts: list[ShardRows], split: str, step: int | None) -> tuple[str, str, str]:
    recorded = sorted({_describe(*key) for part in parts for run in part.runs for key in run.predictions})
    completed = sum(run.status == "completed" for part in parts for run in part.runs)
    runs = sum(len(part.rows) for part in parts)
    return (
        f"no completed run has predictions on {_describe(split, step)} ({count(runs, 'run')}, {completed} completed)",
        f"one of: {', '.join(recorded)}" if recorded else "at least one run with run.predictions(...)",
        "",
    )
