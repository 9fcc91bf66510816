"""One shard: runs that were trained, recorded or imported together, in one folder that never changes.

What lies in it is in `layout.py` and on the page of the format; here its arrays are written and read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .._reading.kinds import class_of, why_unusable
from .._reading.safetensors import TensorFile
from ..errors import CorruptShardError, InputError, MissingDataError
from .arrays import Arrays
from .columns import columns_beside, worth_a_digest
from .facts import holds
from .files import checksum_lines, json_bytes, sha256_bytes, storage_errors, write_tensors
from .layout import (
    CHECKSUMS,
    DIGEST,
    METRICS,
    PREDICTIONS,
    PROVENANCE,
    SHARD,
    SHARDS,
    WEIGHTS,
    Imported,
    RunMetadata,
    ShardMetadata,
    column_key,
    labels_key,
    metric_keys,
    place_of,
    prediction_file,
    prediction_key,
    version_of,
    weight_key,
)
from .publishing import FolderExistsError, published_folder, write_bytes
from .records import RunRecord

FLOAT16_MAX = float(np.finfo(np.float16).max)
FLOAT32_MAX = float(np.finfo(np.float32).max)


def write_shard(
    target: Path, records: Sequence[RunRecord], *, position: int, dtype: str, provenance: Mapping[str, Any]
) -> bool:
    """Write `records` as the shard folder `target`, all or nothing.

    Returns
    -------
    bool
        Whether `target` holds them now: False where other content was there before, which stays as it was.
    """
    kinds = _shared_kinds(records)
    predictions, digest = _stack_predictions(records, dtype, kinds)
    stacked = {
        METRICS: _stack_metrics(records),
        PREDICTIONS: predictions,
        DIGEST: digest,
        WEIGHTS: _stack_weights(records),
    }
    files = {name: tensors for name, tensors in stacked.items() if tensors}
    facts = _shard_facts(records, predictions | digest, position, kinds)
    sums = b""
    try:
        with storage_errors(f"writing shard {target.name}"), published_folder(target) as folder:
            written = write_arrays(folder, files)
            facts = msgspec.structs.replace(facts, sums={name: held.sums() for name, held in written.items()})
            text = json_bytes(facts)
            sums = checksum_lines({name: held.sha256() for name, held in written.items()} | {SHARD: sha256_bytes(text)})
            for name, data in ((SHARD, text), (PROVENANCE, json_bytes(dict(provenance))), (CHECKSUMS, sums)):
                write_bytes(folder / name, data)
    except FolderExistsError:
        return holds(target, facts, sums)
    return True


def write_arrays(folder: Path, files: Mapping[str, Mapping[str, NDArray[Any]]]) -> dict[str, TensorFile]:
    """Write files of arrays, and return them as they can be read."""
    for name, tensors in files.items():
        write_tensors(folder / name, tensors)
    return {name: TensorFile(folder / name) for name in files}


def _shard_facts(
    records: Sequence[RunRecord],
    stored: Mapping[str, NDArray[Any]],
    position: int,
    kinds: Mapping[tuple[str, int | None], str],
) -> ShardMetadata:
    prefix = labels_key("")
    labels = {key.removeprefix(prefix): labels_digest(array) for key, array in stored.items() if key.startswith(prefix)}
    return ShardMetadata(
        version=version_of(kinds, imported=any(record.is_imported for record in records)),
        position=position,
        runs=tuple(_run_facts(record, row, stored, kinds) for row, record in enumerate(records)),
        labels=labels,
        example_ids=_shared_examples(records),
        kinds={place_of(*at): kind for at, kind in sorted(kinds.items(), key=lambda item: place_of(*item[0]))},
    )


def _shared_kinds(records: Sequence[RunRecord]) -> dict[tuple[str, int | None], str]:
    """Return what predictions are, where it has to be noted; that is one thing for all runs of a shard."""
    found: dict[tuple[str, int | None], str] = {}
    for at in _keys(records, lambda record: record.predictions):
        kinds = {record.kinds.get(at) for record in records if at in record.predictions}
        if len(kinds) > 1:
            named = " and ".join(sorted(kind or "plain logits" for kind in kinds))
            raise InputError(f"one shard has {named} of split {at[0]!r}", "one kind of outputs")
        kind = kinds.pop()
        if kind is not None:
            found[at] = kind
    return found


def _shared_examples(records: Sequence[RunRecord]) -> dict[str, str]:
    found: dict[str, str] = {}
    for record in records:
        for split, known in record.example_ids.items():
            if found.setdefault(split, known) != known:
                raise InputError(f"runs of one shard have different examples for split {split!r}", "the same examples")
    return found


def _run_facts(
    record: RunRecord, row: int, stored: Mapping[str, NDArray[Any]], kinds: Mapping[tuple[str, int | None], str]
) -> RunMetadata:
    # Accuracy is taken from what is stored, which predicts what was handed in, so that a reader gets the same number.
    accuracy: dict[str, float] = {}
    for split, step in record.predictions:
        if step is None and record.status == "completed":
            kind = kinds.get((split, None))
            values = stored[prediction_key(split, None, kind)][row]
            if kind == "classes" or not why_unusable(values, kind):
                predicted = values if kind == "classes" else class_of(values, "log-odds")
                accuracy[split] = float(np.mean(predicted == stored[labels_key(split)]))
    return RunMetadata(
        id=record.id,
        seeds=record.seeds,
        hyperparameters=record.hyperparameters,
        status=record.status,
        error=record.error,
        accuracy=accuracy,
        predictions=tuple(sorted(record.predictions, key=_by_split_and_step)),
        weights=tuple(sorted(record.weights, key=_by_step)),
        metrics=tuple(sorted(record.metrics)),
        imported=_imported(record) if record.is_imported else msgspec.UNSET,
    )


def _imported(record: RunRecord) -> Imported:
    return Imported(source_status=record.source_status, source=record.source, supersedes=record.supersedes)


def _by_step(step: int | None) -> int:
    return sys.maxsize if step is None else step


def _by_split_and_step(key: tuple[str, int | None]) -> tuple[str, int]:
    return key[0], _by_step(key[1])


def _stack_metrics(records: Sequence[RunRecord]) -> dict[str, NDArray[Any]]:
    tensors: dict[str, NDArray[Any]] = {}
    for name in _keys(records, lambda record: record.metrics):
        curves = [record.metrics.get(name, (np.empty(0, np.int64), np.empty(0))) for record in records]
        lengths = np.array([len(steps) for steps, _ in curves], dtype=np.int64)
        steps = np.full((len(curves), lengths.max()), -1, dtype=np.int64)
        values = np.full(steps.shape, np.nan)
        for row, (at, logged) in enumerate(curves):
            steps[row, : len(at)], values[row, : len(at)] = at, logged
        shared = bool((steps == steps[0]).all())
        stored = values.astype("float32" if _largest(values) <= FLOAT32_MAX else "float64")
        tensors |= dict(zip(metric_keys(name), (stored, lengths, steps[0] if shared else steps), strict=True))
    return tensors


def _stack_predictions(
    records: Sequence[RunRecord], dtype: str, kinds: Mapping[tuple[str, int | None], str]
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Return the tensors of the outputs, and those of the digest of predicted classes."""
    tensors: dict[str, NDArray[Any]] = {}
    digest: dict[str, NDArray[Any]] = {}
    for split, step in _keys(records, lambda record: record.predictions):
        rows = _rows(records, lambda record, key=(split, step): record.predictions.get(key), f"predictions {split!r}")
        kind, labels = kinds.get((split, step)), _shared_labels(records, split)
        if kind == "classes":
            digest[prediction_key(split, step, kind)] = rows
            digest[column_key("correct", split, step)] = np.packbits(rows == labels, axis=1)
        else:
            stored = _small(rows, "float32" if kind == "log-probabilities" else dtype)
            tensors[prediction_key(split, step)] = stored
            if step is None and worth_a_digest(stored):
                digest |= columns_beside(stored, labels, split, kind)
        (digest if kind == "classes" else tensors)[labels_key(split)] = labels
    return tensors, digest


def _small(rows: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return outputs in a type at least as precise as `dtype` in which all values fit and predict the same classes."""
    predicted, largest = class_of(rows, "log-odds"), _largest(rows)
    for name, limit in (("float16", FLOAT16_MAX), ("float32", FLOAT32_MAX)):
        if (name == dtype or dtype == "float16") and largest <= limit:
            stored = rows.astype(name)
            if np.array_equal(class_of(stored, "log-odds"), predicted):
                return stored
    return rows.astype("float64")


def _largest(values: NDArray[Any]) -> float:
    """Return the largest size of a finite value."""
    return float(np.max(np.abs(values), initial=0.0, where=np.isfinite(values)))


def _shared_labels(records: Sequence[RunRecord], split: str) -> NDArray[Any]:
    given = [record.labels[split] for record in records if split in record.labels]
    if not given or any(not np.array_equal(labels, given[0]) for labels in given):
        raise InputError(
            f"runs of one shard have {'different' if given else 'no'} labels for split {split!r}", "the same labels"
        )
    return _narrow(given[0])


def _narrow(labels: NDArray[Any]) -> NDArray[Any]:
    return labels.astype(np.min_scalar_type(int(labels.max())))


def labels_digest(labels: NDArray[Any]) -> str:
    """Return the digest of labels that ``shard.json`` holds: of the narrowest type that takes them."""
    return sha256_bytes(_narrow(labels).tobytes())


def _stack_weights(records: Sequence[RunRecord]) -> dict[str, NDArray[Any]]:
    tensors: dict[str, NDArray[Any]] = {}
    for step in _keys(records, lambda record: record.weights):
        names = _keys(records, lambda record, step=step: record.weights.get(step, {}))
        for name in names:
            rows = _rows(
                records, lambda record, at=step, name=name: record.weights.get(at, {}).get(name), f"weights {name!r}"
            )
            tensors[weight_key(step, name)] = rows
    return tensors


def _keys(records: Sequence[RunRecord], of: Callable[[RunRecord], Mapping[Any, Any]]) -> list[Any]:
    """Return the keys that occur in any record, in order of first appearance."""
    return list(dict.fromkeys(key for record in records for key in of(record)))


def _rows(records: Sequence[RunRecord], of: Callable[[RunRecord], NDArray[Any] | None], what: str) -> NDArray[Any]:
    """Stack one array per run; runs without it get NaN (zero for whole numbers)."""
    arrays = [of(record) for record in records]
    first = next(array for array in arrays if array is not None)
    shapes = {array.shape for array in arrays if array is not None}
    if len(shapes) > 1:
        raise InputError(
            f"the {what} of one shard have shapes {sorted(shapes)}", "one shape", "Publish such runs one by one."
        )
    missing = np.full(first.shape, np.nan if first.dtype.kind == "f" else 0, dtype=first.dtype)
    return np.stack([missing if array is None else array for array in arrays])


# ---------------------------------------------------------------------- reading


@dataclass(frozen=True, eq=False)
class ShardRows:
    """The rows of one shard that a reader reads; `beside` holds digest columns that were made of it later."""

    study: Path
    name: str
    facts: ShardMetadata
    rows: tuple[int, ...]
    arrays: Arrays = field(default_factory=Arrays)
    beside: ShardRows | None = None
    under: str = SHARDS

    @property
    def folder(self) -> Path:
        """Where the shard lies; made when it is asked for, because a study has thousands."""
        return self.study / self.under / self.name

    def file(self, name: str) -> str:
        """Return the path of one of the shard's files, which is here then."""
        if self.arrays.fetch is not None:
            self.arrays.fetch(self.under, self.name, name)
        return f"{self.study}/{self.under}/{self.name}/{name}"

    @property
    def runs(self) -> tuple[RunMetadata, ...]:
        """Facts of the runs in `rows`."""
        runs = self.facts.runs
        return runs if len(runs) == len(self.rows) else tuple(runs[row] for row in self.rows)

    def keep(self, rows: list[int]) -> ShardRows:
        """Return the part with fewer rows."""
        beside = None if self.beside is None else self.beside.keep(rows)
        return replace(self, rows=tuple(rows), beside=beside)

    def digest(self, split: str) -> ShardRows | None:
        """Return where the digest columns of final outputs on a split lie; None where there are none."""
        if self.facts.kinds.get(split) == "classes":
            return None
        for part in (self, self.beside):
            if part is not None and DIGEST in part.facts.sums:
                try:
                    if column_key("class", split) in TensorFile(part.file(DIGEST)).entries:
                        return part
                except CorruptShardError:  # the outputs themselves tell the same
                    continue
        return None

    def array(self, file: str, key: str) -> NDArray[Any]:
        """Return one of the shard's arrays, read-only."""
        return self.arrays.of(self, file, key)

    def select(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the rows of `array`: a view where they are consecutive."""
        first, last = self.rows[0], self.rows[-1]
        return array[first : last + 1] if last - first + 1 == len(self.rows) else array[list(self.rows)]


def read_predictions(part: ShardRows, split: str, step: int | None, kind: str | None) -> NDArray[Any]:
    """Return the predictions of all runs of the shard, as a view of the file."""
    return part.array(prediction_file(kind), prediction_key(split, step, kind))


def read_labels(part: ShardRows, split: str, kind: str | None) -> NDArray[np.int64]:
    """Return the labels beside predictions of a kind."""
    return part.array(prediction_file(kind), labels_key(split)).astype(np.int64)


def read_curves(part: ShardRows, name: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return steps and values [runs, points] of a metric, and the number of points of each run, which all logged it."""
    values, lengths, steps = (part.array(METRICS, key) for key in metric_keys(name))
    values = part.select(values)
    steps = np.broadcast_to(steps, values.shape) if steps.ndim == 1 else part.select(steps)
    return steps, values, part.select(lengths)


def read_weights(part: ShardRows, run: RunMetadata, step: int | None) -> dict[str, NDArray[Any]]:
    """Return one run's parameters by name, as views of the file."""
    if step not in run.weights:
        recorded = ", ".join("final" if at is None else f"step {at}" for at in run.weights)
        raise MissingDataError(
            f"run {run.id} has no {'final weights' if step is None else f'weights at step {step}'}",
            f"one of: {recorded}" if recorded else "a run with weights",
            "" if recorded else "Record them with run.weights(model), or train with keep_weights=True.",
        )
    row, (held, names) = part.facts.runs.index(run), weights_at(part, step)
    return {name: part.arrays.of(part, WEIGHTS, key, held)[row] for name, key in names.items()}


def weights_at(part: ShardRows, step: int | None) -> tuple[TensorFile, dict[str, str]]:
    """Return the file of the weights at a step, and for each parameter the name of its array there."""
    prefix, held = weight_key(step, ""), TensorFile(part.file(WEIGHTS))
    return held, {name.removeprefix(prefix): name for name in held.entries if name.startswith(prefix)}
