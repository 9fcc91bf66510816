"""From imported runs to a study: what is new is added, what grew supersedes, what changed is named and left alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._reading.safetensors import map_tensors
from .._reading.study_folders import refuse_url
from .._words import count, listed
from ..errors import InputError, RunspreadError
from ..studies.layout import holds_study
from ..studies.opening import create_study, open_study
from ..studies.records import RunRecord, Seeds
from . import statuses
from .hyperparameters import without_names
from .predictions import Predictions
from .records import Curve, ImportedRun, Problem

if TYPE_CHECKING:
    from ..studies.study import Study
    from .imported import ImportedRuns

_RUNS_OF_A_SHARD = 32
_POINTS_OF_A_SHARD = 4_000_000
_EXTREME = float(np.finfo(np.float32).max)


@dataclass
class Saved:
    """What a call of `save_runs` did.

    Attributes
    ----------
    new, grown, same, changed : list of str
        Ids of runs that were added, that superseded an earlier record, that were there already, and whose old points
        are different now, which are not written.
    problems : list of Problem
        What to look at.
    """

    new: list[str] = field(default_factory=list[str])
    grown: list[str] = field(default_factory=list[str])
    same: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    problems: list[Problem] = field(default_factory=list[Problem])

    def sentence(self) -> str:
        """Return what was done."""
        words = [f"{len(self.new)} new", f"{len(self.same)} there already"]
        words += [f"{len(self.grown)} superseded, as their logs grew"] if self.grown else []
        words += [f"{len(self.changed)} left alone, as their old points changed"] if self.changed else []
        return f"{', '.join(words)}."


def save_runs(
    found: ImportedRuns, path: str | os.PathLike[str], labels: Mapping[str, ArrayLike | str | os.PathLike[str]]
) -> tuple[Study, Saved]:
    """Write runs into the study at `path`, made if it is not there; return it, and what was done.

    Raises
    ------
    InputError
        There is no run to save, the formats share no metric, or the study lies inside what is imported.
    """
    refuse_url(path, "import runs")
    target = Path(path)
    _refuse_inside(found, target)
    kept = found.kept()
    if not kept:
        raise InputError(
            f"none of {count(len(found.runs), 'run')} can be saved: {found.sentence()}",
            "at least one run with a curve or a result",
            "Runs that are still running are taken with running='partial' (--running partial)."
            if any(run.status == statuses.RUNNING for run in found.runs)
            else "",
        )
    _refuse_strangers(found, kept)
    predictions = Predictions(found, labels)
    study = _study_at(target, predictions.labels)
    saved = Saved()
    records = _records_to_write(study, kept, found, predictions, saved)
    started = time.time()
    for group in _grouped(records):
        study.publish(group, provenance=_provenance(started), reproducible=False)
    saved.problems += predictions.problems
    return study, saved


def _refuse_inside(found: ImportedRuns, target: Path) -> None:
    whole = target.resolve()
    for root in found.roots:
        if root.is_dir() and (whole == root or root in whole.parents):
            raise InputError(
                f"{target} lies inside {root}, which is imported",
                "a folder elsewhere",
                "Nothing is written into a source.",
            )


def _refuse_strangers(found: ImportedRuns, kept: Sequence[ImportedRun]) -> None:
    """Raise if runs of several formats share no metric, and nobody said which are meant."""
    by_format: dict[str, set[str]] = {}
    for run in kept:
        by_format.setdefault(run.source.format, set()).update(run.taken())
    if len(by_format) < 2 or found.options.metrics is not None or set.intersection(*by_format.values()):
        return
    shown = "; ".join(f"{name}: {', '.join(sorted(metrics)[:4])}" for name, metrics in by_format.items())
    raise InputError(
        f"the runs of {count(len(by_format), 'format')} have no metric of one name in common ({shown})",
        "runs that can be compared",
        "Import each format into a study of its own (--from), or say which metrics are meant: --metric 'val*acc*' "
        "(metrics=['*'] takes all).",
    )


def _study_at(target: Path, labels: Mapping[str, NDArray[np.int64]]) -> Study:
    if not holds_study(target):
        return create_study(target, splits=labels or None)
    study = open_study(target)
    for split, given in labels.items():
        if split in study.splits and not np.array_equal(study.splits[split], given):
            raise InputError(f"the labels of split {split!r} differ from those of the study in {target}", "the same")
    return study


def _provenance(started: float) -> dict[str, Any]:
    """Return when and with what runs were imported: not where, as a study of others' runs is shared."""
    from .. import __version__

    return {
        "imported": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "numpy": np.__version__,
        "runspread": __version__,
    }


# ------------------------------------------------------------------ what is new


def _records_to_write(
    study: Study, kept: Sequence[ImportedRun], found: ImportedRuns, predictions: Predictions, saved: Saved
) -> Iterator[RunRecord]:
    metrics = study.metrics() if len(study.runs) else {}
    cache: dict[str, Any] = {}
    for run in kept:
        if run.id not in study.runs.ids:
            saved.new.append(run.id)
            yield _record(run, found, predictions, saved)
            continue
        old = study.runs[run.id]
        same = (old.source or {}).get("digest") == run.source.digest
        if same and not _may_add(old, run, found, predictions):
            saved.same.append(run.id)
            continue
        what = "" if same else _changed_points(old, run, metrics, cache)
        if what:
            saved.changed.append(run.id)
            saved.problems.append(
                Problem(run.id, f"{what} differs from what was imported before: the study keeps the old record")
            )
            continue
        record = _record(run, found, predictions, saved)
        if same and not _adds(old, record):
            saved.same.append(run.id)
            continue
        lost = {split for split, _ in old.predictions} - {split for split, _ in record.predictions}
        if lost:
            note = f"its log grew, so the earlier predictions on {', '.join(sorted(lost))} are not those of its end"
            saved.problems.append(Problem(run.id, f"{note}: name them again with --predictions"))
        saved.grown.append(run.id)
        record.supersedes = study.shard_of(run.id)
        yield record


def _may_add(old: Any, run: ImportedRun, found: ImportedRuns, predictions: Predictions) -> bool:
    """Whether this import may take something of a run that an earlier one left: predictions, weights, metrics."""
    splits = predictions.splits_of(run) - {split for split, _ in old.predictions}
    weights = found.options.weights == "final" and not old.weights
    return bool(splits or weights or {_clean(name) for name in run.taken()} - set(old.metrics))


def _adds(old: Any, record: RunRecord) -> bool:
    """Whether a record of the same log holds more than the old one, and nothing less."""
    new = set(record.predictions), set(record.weights), set(record.metrics)
    there = set(old.predictions), set(old.weights), set(old.metrics)
    return new != there and all(old_part <= part for old_part, part in zip(there, new, strict=True))


def _changed_points(old: Any, run: ImportedRun, metrics: Mapping[str, Any], cache: dict[str, Any]) -> str:
    """Return which metric's old points are not those of the new record; empty where it only grew."""
    single = set((old.source or {}).get("summary", ()))
    for name in old.metrics:
        if name in single:
            continue
        curve = run.curves.get(name)
        if name not in cache:
            cache[name] = metrics[name]
        steps, values = cache[name].of(run.id)
        if curve is None or not _holds(curve, steps, values):
            return name
    return ""


def _holds(curve: Curve, steps: NDArray[np.int64], values: NDArray[Any]) -> bool:
    at = np.searchsorted(curve.steps, steps)
    if len(steps) and at[-1] >= len(curve.steps):
        return False
    with np.errstate(over="ignore"):
        now = curve.values[at].astype(values.dtype)
    return bool(np.array_equal(curve.steps[at], steps) and np.array_equal(now, values, equal_nan=True))


# ------------------------------------------------------------------ a run as a study keeps it


def _record(run: ImportedRun, found: ImportedRuns, predictions: Predictions, saved: Saved) -> RunRecord:
    taken = run.taken()
    metrics = {_clean(name): (run.curves[name].steps, run.curves[name].values) for name in taken if name in run.curves}
    single = [name for name in taken if name not in run.curves]
    for name in single:
        metrics[_clean(name)] = np.zeros(1, np.int64), np.array([run.summary[name]])
    record = RunRecord(
        id=_clean(run.id),
        seeds=Seeds(**run.seeds),
        hyperparameters=dict(run.hyperparameters) if run.configuration is not None else _unknown(run),
        status=statuses.in_a_study(run.status),
        error=_error(run),
        metrics=metrics,
        source_status=run.status,
        source=_source(run, single),
    )
    predictions.add(run, record)
    if found.options.weights == "final":
        _add_weights(run, record, saved)
    return record


def _add_weights(run: ImportedRun, record: RunRecord, saved: Saved) -> None:
    """Copy the weights of a run's last checkpoint, if it need not be unpickled."""
    files = [path for path in run.place.rglob("*.safetensors") if path.is_file() and not path.is_symlink()]
    known = {Path(one.path).name: one for one in run.checkpoints if not one.pickled}
    listed_files = [path for path in files if path.name in known]
    if not listed_files:
        saved.problems.append(Problem(run.id, "no final weights in safetensors: pickled checkpoints are not opened"))
        return
    last = max(listed_files, key=lambda path: (known[path.name].step is None, known[path.name].step or 0))
    try:
        record.weights[None] = {name: np.asarray(array) for name, array in map_tensors(last).items()}
    except RunspreadError as error:
        saved.problems.append(Problem(run.id, f"{last.name} cannot be read ({error})"))


def _unknown(run: ImportedRun) -> dict[str, Any]:
    """Return what marks a run without a configuration, which is not known to be equal to another's."""
    return {**run.hyperparameters, "configuration": "unknown"}


def _clean(text: str) -> str:
    return text.encode(errors="replace").decode()


def _error(run: ImportedRun) -> str | None:
    if statuses.in_a_study(run.status) == "completed":
        return None
    message = f": {run.error}" if run.error and run.error != run.evidence else ""
    return without_names(f"{run.status} ({run.evidence}){message}")


def _source(run: ImportedRun, single: Sequence[str]) -> dict[str, Any]:
    """Return where a run came from, without hosts, users or paths outside the source."""
    found: dict[str, Any] = {
        "format": run.source.format,
        "path": _clean(run.source.path),
        "files": run.source.files,
        "bytes": run.source.bytes,
        "digest": run.source.digest,
    }
    if run.name != run.id:
        found["name"] = _clean(run.name)
    if run.source.library:
        found["library"] = run.source.library
    if single:
        found["summary"] = list(single)
    return found


def _grouped(records: Iterator[RunRecord]) -> Iterator[list[RunRecord]]:
    """Yield runs that are written as one shard: of one shape, and not too many points together."""
    waiting: list[RunRecord] = []
    points = 0
    for record in records:
        size = sum(len(values) for _, values in record.metrics.values())
        full = len(waiting) >= _RUNS_OF_A_SHARD or points + size > _POINTS_OF_A_SHARD
        if waiting and (full or not _alike(waiting[0], record)):
            yield waiting
            waiting, points = [], 0
        waiting.append(record)
        points += size
    if waiting:
        yield waiting


def _alike(a: RunRecord, b: RunRecord) -> bool:
    shapes = [{at: values.shape for at, values in one.predictions.items()} for one in (a, b)]
    return shapes[0] == shapes[1] and a.kinds == b.kinds and a.weights.keys() == b.weights.keys()


def summary_of(saved: Saved, study: Study) -> str:
    """Return one sentence about what was written."""
    named = f" Left alone: {listed(saved.changed)}." if saved.changed else ""
    return f"{study.path} has {count(len(study.runs), 'run')}: {saved.sentence()}{named}"
