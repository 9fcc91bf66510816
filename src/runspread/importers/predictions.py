"""Predictions as people save them: found by a pattern, given to their runs, and checked against labels and logs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import check_labels
from .._reading.kinds import class_of
from .._reading.output_files import read_labels
from .._reading.recordable import recordable
from ..errors import InputError, RunspreadError
from ..studies.records import RunRecord
from .limits import SourceProblem
from .outputs import LABELS_INSIDE, are_ranks, parts_of, read_parts
from .records import ImportedRun, Problem

if TYPE_CHECKING:
    from .imported import ImportedRuns

TOLERANCE = 0.005  # between the accuracy of what is stored and the one that was logged
_ACCURACY = ("acc", "accuracy")


class Predictions:
    """Files of predictions that were asked for, by split, and the labels that they are compared with."""

    def __init__(self, found: ImportedRuns, labels: Mapping[str, ArrayLike | str | os.PathLike[str]]) -> None:
        self.problems: list[Problem] = []
        self.kind = found.options.outputs
        self.limits = found.options.limits
        self.labels = {str(split): _labels(given, split) for split, given in labels.items()}
        self._files: dict[tuple[str, str], tuple[Path, ...]] = {}
        for split, pattern in found.options.predictions.items():
            self._find(found, split, pattern)

    def _find(self, found: ImportedRuns, split: str, pattern: str) -> None:
        """Give each file that a pattern names to the run whose id or folder its path has."""
        files: dict[str, list[Path]] = {}
        for run in found.runs:
            own = [path for path in sorted(run.place.glob(pattern)) if _plain(path)] if _relative(pattern) else []
            files |= {run.id: own} if len(own) == 1 or are_ranks(own) else {}
        below: dict[str, list[Path]] = {}
        for root in found.roots:
            for path in sorted(root.glob(pattern)) if root.is_dir() and _relative(pattern) else []:
                run = _owner(path, found.runs) if _plain(path) else None
                if run is not None and run.id not in files and path not in below.setdefault(run.id, []):
                    below[run.id].append(path)
        for id, paths in (files | below).items():
            try:
                self._files[id, split] = parts_of(paths)
            except SourceProblem as error:
                self.problems.append(Problem(id, f"the predictions of split {split!r} are excluded: {error}"))
        if not files and not below:
            raise InputError(
                f"no file of a run is named {pattern} (--predictions {split}=...)",
                "a pattern below each run's folder, or below the root, such as '*/test_logits.npy'",
            )

    def splits_of(self, run: ImportedRun) -> set[str]:
        """Return the splits of which a run has a file of predictions."""
        return {split for id, split in self._files if id == run.id}

    def add(self, run: ImportedRun, record: RunRecord) -> None:
        """Add a run's predictions to its record; what does not fit is named, and the run kept without it."""
        for split in sorted({split for id, split in self._files if id == run.id}):
            paths = self._files[run.id, split]
            try:
                self._add(run, record, split, paths)
            except (RunspreadError, SourceProblem, OSError, ValueError) as error:
                self.problems.append(Problem(run.id, f"the predictions in {paths[0].name} are excluded: {error}"))

    def _add(self, run: ImportedRun, record: RunRecord, split: str, paths: tuple[Path, ...]) -> None:
        outputs, own = read_parts(paths, self.limits, self.kind)
        labels = self.labels.get(split)
        if labels is None:
            if own is None:
                raise InputError(f"split {split!r} has no labels", "labels", f"Pass --labels {split}=FILE.")
            labels = self.labels[split] = check_labels(own)
        elif own is not None and not np.array_equal(labels, own):
            raise InputError(
                f"the labels beside them ({', '.join(LABELS_INSIDE)}) differ from those of the split", "the same labels"
            )
        array, note = recordable(outputs, len(labels), self.kind)
        record.predictions[split, None] = array
        record.labels[split] = labels
        if note is not None:
            record.kinds[split, None] = note
        self._compare_accuracy(run, split, array, note, labels)

    def _compare_accuracy(
        self, run: ImportedRun, split: str, array: NDArray[Any], note: str | None, labels: NDArray[np.int64]
    ) -> None:
        """Compare the accuracy of the predictions with the logged one: another order of examples shows nowhere else."""
        predicted = array if note == "classes" else class_of(array[None], "log-odds")[0]
        accuracy = float(np.mean(predicted == labels))
        logged = logged_accuracy(run, split)
        if logged is not None and abs(logged[1] - accuracy) > TOLERANCE:
            chance = 1 / (int(labels.max()) + 1)
            order = (
                ": as near to chance as examples in another order than the labels' would be"
                if accuracy < chance + 0.1 < logged[1]
                else ""
            )
            self.problems.append(
                Problem(
                    run.id,
                    f"{split} accuracy of the predictions is {accuracy:.4g}, but {logged[0]} was logged as "
                    f"{logged[1]:.4g}{order}",
                )
            )


def _labels(given: Any, split: str) -> NDArray[np.int64]:
    if isinstance(given, (str, os.PathLike)):
        return check_labels(read_labels(Path(given)))
    del split
    return check_labels(given)


def _relative(pattern: str) -> bool:
    return not Path(pattern).is_absolute() and ".." not in Path(pattern).parts


def _plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _owner(path: Path, runs: tuple[ImportedRun, ...]) -> ImportedRun | None:
    """Return the run whose id is a part of a path, or whose folder is the nearest above it."""
    named = [run for run in runs if run.id in path.parts]
    if len(named) == 1:
        return named[0]
    above = [run for run in runs if run.place in path.parents]
    if not above:
        return None
    deepest = max(len(run.place.parts) for run in above)
    nearest = [run for run in above if len(run.place.parts) == deepest]
    return nearest[0] if len(nearest) == 1 else None


def logged_accuracy(run: ImportedRun, split: str) -> tuple[str, float] | None:
    """Return name and last value of the metric that is a run's accuracy on a split."""
    for name in (*run.summary, *run.curves):
        words = name.lower().replace("/", "_").replace(".", "_").split("_")
        if split.lower() in words and any(word in _ACCURACY for word in words):
            curve = run.curves.get(name)
            value = float(curve.values[-1]) if curve is not None else run.summary[name]
            return (name, value) if 0 <= value <= 1 else (name, value / 100) if 1 < value <= 100 else None
    return None
