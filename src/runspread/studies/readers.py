"""Lazy readers over the shards of a study: predictions, metrics and weights stay on disk until they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import check_choice
from .._reading.kinds import look_like_probabilities
from .._reading.outputs import CHUNK_BYTES
from .._reading.safetensors import map_tensors
from .._results import Excluded
from .._words import count
from ..errors import CorruptShardError, MissingDataError, StudyError
from .shards import RunMetadata, ShardMetadata, place_of, prediction_file, prediction_key, weight_key


@dataclass(frozen=True, eq=False)
class Part:
    """The rows of one shard that a reader reads."""

    folder: Path
    facts: ShardMetadata
    rows: tuple[int, ...]

    @property
    def runs(self) -> tuple[RunMetadata, ...]:
        """Facts of the runs in `rows`."""
        return tuple(self.facts.runs[row] for row in self.rows)

    def keep(self, rows: list[int]) -> Part:
        """Return the part with fewer rows."""
        return Part(self.folder, self.facts, tuple(rows))

    def tensors(self, file: str) -> dict[str, NDArray[Any]]:
        """Return the shard's arrays in `file`, memory-mapped."""
        return map_tensors(self.folder / file)

    def select(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the rows of `array`: a view where they are consecutive."""
        first, last = self.rows[0], self.rows[-1]
        return array[first : last + 1] if last - first + 1 == len(self.rows) else array[list(self.rows)]


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
        Runs left out: diverged, failed, or without these predictions; and corrupt shards.
    example_ids : str or None
        Digest of the examples' ids, where they were recorded.
    """

    def __init__(self, parts: list[Part], split: str, step: int | None, corrupt: Iterable[str] = ()) -> None:
        self.split, self.step = split, step
        self._parts: list[Part] = []
        excluded = [Excluded(f"shard {name}", "corrupt") for name in corrupt]
        for part in parts:
            self._add(part, excluded)
        self.excluded: tuple[Excluded, ...] = tuple(excluded)
        if not self._parts:
            raise MissingDataError(*_nothing_recorded(parts, split, step))
        self.run_ids: tuple[str, ...] = tuple(run.id for part in self._parts for run in part.runs)
        self._check_labels_agree()
        self.kind: str | None = self._common_kind()
        self._key, self._file = prediction_key(split, step, self.kind), prediction_file(self.kind)
        self.example_ids: str | None = self._common_examples()
        first = self._parts[0].tensors(self._file)
        self.labels: NDArray[np.int64] = first[f"labels/{split}"].astype(np.int64)
        self.shape: tuple[int, ...] = (len(self.run_ids), *_tensor(self._parts[0], first, self._key).shape[1:])

    def _add(self, part: Part, excluded: list[Excluded]) -> None:
        kept: list[int] = []
        for row, run in zip(part.rows, part.runs, strict=True):
            if run.status != "completed":
                excluded.append(Excluded(run.id, run.status))
            elif (self.split, self.step) not in run.predictions:
                excluded.append(Excluded(run.id, f"no {_describe(self.split, self.step)}"))
            else:
                kept.append(row)
        if kept:
            self._parts.append(part.keep(kept))

    def _check_labels_agree(self) -> None:
        first = self._parts[0]
        for part in self._parts:
            if part.facts.labels[self.split] != first.facts.labels[self.split]:
                raise StudyError(
                    f"shards {first.folder.name} and {part.folder.name} have different labels for split {self.split!r}",
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
            tensor = _tensor(plain, plain.tensors(prediction_file(None)), prediction_key(self.split, self.step))
            if look_like_probabilities(tensor[plain.rows[0]]):
                named = ["probabilities" if kind == "logits" else kind for kind in named]
        if {"classes", "probabilities"} & {*named}:
            folders = " and ".join(part.folder.name for part in of_kind.values())
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
            first, second, *_ = (part.folder.name for part in known.values())
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
            array = _tensor(part, part.tensors(self._file), self._key)
            if array.shape[1:] != self.shape[1:]:
                raise StudyError(
                    f"shard {part.folder.name} has outputs of shape {array.shape[1:]}",
                    f"{self.shape[1:]} as in shard {self._parts[0].folder.name}",
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
        waiting: list[NDArray[Any]] = []
        size = 0
        for piece in self._pieces():
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
                array = _tensor(part, part.tensors(self._file), self._key)
                return array[part.rows[number]]
            number -= len(part.rows)
        raise IndexError(number)


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
        Number of points a run.
    """

    name: str
    run_ids: tuple[str, ...]
    steps: NDArray[np.int64]
    values: NDArray[np.floating[Any]]
    lengths: NDArray[np.int64]

    def of(self, run: str) -> tuple[NDArray[np.int64], NDArray[np.floating[Any]]]:
        """Return ``(steps, values)`` of one run, without padding."""
        check_choice(run, "run", self.run_ids)
        row = self.run_ids.index(run)
        length = int(self.lengths[row])
        return self.steps[row, :length], self.values[row, :length]


class Metrics(Mapping[str, Curves]):
    """Logged metrics by name; ``metrics["loss"]`` reads that metric of all runs (diverged and failed ones too)."""

    def __init__(self, parts: list[Part]) -> None:
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
        pieces = [_curve_rows(part.keep(rows), name) for part in self._parts if (rows := _rows_with(part, name))]
        points = max(values.shape[1] for _, _, values, _ in pieces)
        return Curves(
            name,
            tuple(run for runs, _, _, _ in pieces for run in runs),
            np.concatenate([_padded(steps, points, -1) for _, steps, _, _ in pieces]),
            np.concatenate([_padded(values, points, np.nan) for _, _, values, _ in pieces]),
            np.concatenate([lengths for _, _, _, lengths in pieces]),
        )


def read_weights(part: Part, run: RunMetadata, step: int | None) -> dict[str, NDArray[Any]]:
    """Return one run's parameters by name, as views of the file."""
    if step not in run.weights:
        recorded = ", ".join("final" if at is None else f"step {at}" for at in run.weights)
        raise MissingDataError(
            f"run {run.id} has no {'final weights' if step is None else f'weights at step {step}'}",
            f"one of: {recorded}" if recorded else "a run with weights",
            "" if recorded else "Record them with run.weights(model), or train with keep_weights=True.",
        )
    prefix = weight_key(step, "")
    row = part.facts.runs.index(run)
    tensors = part.tensors("weights.safetensors")
    return {name.removeprefix(prefix): array[row] for name, array in tensors.items() if name.startswith(prefix)}


def _tensor(part: Part, tensors: Mapping[str, NDArray[Any]], key: str) -> NDArray[Any]:
    if key not in tensors:
        raise CorruptShardError(
            f"{part.folder} lacks {key}, which its shard.json lists",
            hint=f"Check the study: runspread verify {part.folder.parent.parent}",
        )
    return tensors[key]


def _joined(pieces: list[NDArray[Any]]) -> NDArray[Any]:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _rows_with(part: Part, metric: str) -> list[int]:
    return [row for row, run in zip(part.rows, part.runs, strict=True) if metric in run.metrics]


def _curve_rows(part: Part, name: str) -> tuple[list[str], NDArray[Any], NDArray[Any], NDArray[Any]]:
    tensors = part.tensors("metrics.safetensors")
    values = part.select(_tensor(part, tensors, f"values/{name}"))
    steps = _tensor(part, tensors, f"steps/{name}")
    steps = np.broadcast_to(steps, values.shape) if steps.ndim == 1 else part.select(steps)
    return [run.id for run in part.runs], steps, values, part.select(_tensor(part, tensors, f"lengths/{name}"))


def _padded(array: NDArray[Any], points: int, fill: float) -> NDArray[Any]:
    missing = points - array.shape[1]
    return np.pad(array, ((0, 0), (0, missing)), constant_values=fill) if missing else array


def _describe(split: str, step: int | None) -> str:
    return f"split {split!r}" + ("" if step is None else f" at step {step}")


def _nothing_recorded(parts: list[Part], split: str, step: int | None) -> tuple[str, str, str]:
    recorded = sorted({_describe(*key) for part in parts for run in part.runs for key in run.predictions})
    completed = sum(run.status == "completed" for part in parts for run in part.runs)
    runs = sum(len(part.rows) for part in parts)
    return (
        f"no completed run has predictions on {_describe(split, step)} ({count(runs, 'run')}, {completed} completed)",
        f"one of: {', '.join(recorded)}" if recorded else "at least one run with run.predictions(...)",
        "",
    )
