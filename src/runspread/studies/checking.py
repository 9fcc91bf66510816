"""What `verify --deep` looks at besides sums: arrays against what is said of their runs, and ensembles."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._reading.kinds import class_of, why_unusable
from .._reading.plain_files import UnfitJsonError, lies_at, read_json, read_whole, seal_holds
from .._reading.safetensors import TensorFile, need_not_be_damaged
from .._results import Result, Table
from ..errors import CorruptShardError
from .files import sha256_of_sound
from .layout import CACHE, METRICS, SHARDS, WEIGHTS, RunMetadata, ShardMetadata, metric_keys, place_of
from .shards import ShardRows, labels_digest, read_labels, read_predictions, weights_at

ENSEMBLE, ENSEMBLE_LOG = "ensemble.json", "training.safetensors"
_DEEPEST = 3  # folders below the study in which ensembles are looked for
_ROUNDING = 1e-12


def wrong_in_depth(folder: Path, facts: ShardMetadata) -> list[str]:
    """Return what is wrong with a shard whose files are as they were written: with what they say of each other."""
    part = ShardRows(folder.parent.parent, folder.name, facts, tuple(range(len(facts.runs))))
    try:
        problems = [
            f"{file} differs from its quick sums"
            for file, known in facts.sums.items()
            if TensorFile(folder / file).sums() != known
        ]
        for run in facts.runs:
            problems += _wrong_run(part, run)
    except (CorruptShardError, OSError) as error:
        if need_not_be_damaged(error):
            raise
        return [str(error)]
    if len({run.id for run in facts.runs}) < len(facts.runs):
        problems.append("two of its runs have one id")
    return problems


def _wrong_run(part: ShardRows, run: RunMetadata) -> Iterator[str]:
    row = part.facts.runs.index(run)
    for split, step in run.predictions:
        kind = part.facts.kinds.get(place_of(split, step))
        labels, outputs = read_labels(part, split, kind), read_predictions(part, split, step, kind)[row]
        if labels_digest(labels) != part.facts.labels.get(split):
            yield f"the labels of split {split!r} are not those that it lists"
        if len(labels) != len(outputs):
            yield f"run {run.id} has outputs of {len(outputs)} examples on split {split!r}, which has {len(labels)}"
        elif step is None and split in run.accuracy and not _agrees(run.accuracy[split], outputs, labels, kind):
            yield f"run {run.id} lists accuracy {run.accuracy[split]} on split {split!r}, unlike its outputs"
    for name in run.metrics:
        lengths = part.array(METRICS, metric_keys(name)[1])
        if int(lengths[row]) < 0 or int(lengths[row]) > part.array(METRICS, metric_keys(name)[0]).shape[-1]:
            yield f"run {run.id} lists {int(lengths[row])} points of {name}"
    if any(not weights_at(part, step)[1] for step in run.weights):
        yield f"run {run.id} lists weights that are not there"


def _agrees(accuracy: float, outputs: Any, labels: Any, kind: str | None) -> bool:
    if kind != "classes" and why_unusable(outputs, kind):
        return False
    predicted = outputs if kind == "classes" else class_of(outputs, "log-odds")
    return math.isclose(accuracy, float(np.mean(predicted == labels)), abs_tol=_ROUNDING)


def wrong_ensembles(folder: Path) -> dict[str, list[str]]:
    """Return what is wrong with each ensemble that lies in a folder, by its place."""
    found = {str(place.relative_to(folder)): wrong_ensemble(place) for place in _ensembles(folder, _DEEPEST)}
    return {name: problems for name, problems in found.items() if problems}


def holds_ensemble(folder: Path) -> bool:
    """Whether a folder is that of a saved ensemble."""
    return lies_at(folder / ENSEMBLE)


@dataclass(frozen=True, eq=False, kw_only=True)
class EnsembleVerification(Result):
    """Whether a saved ensemble is as it was saved.

    Attributes
    ----------
    problems : tuple of str
        What is wrong, a phrase each.
    """

    problems: tuple[str, ...]

    no_picture = "what is wrong is a list: print(result)"

    @property
    def ok(self) -> bool:
        """Whether all files are as they were saved."""
        return not self.problems

    def table(self) -> Table:
        """Return what is wrong, one row each."""
        return Table({"problem": list(self.problems)})

    def sentence(self) -> str:
        """Say whether the ensemble is intact."""
        return f"The ensemble is corrupt: {'; '.join(self.problems)}." if self.problems else "The ensemble is as saved."


def verify_ensemble(folder: Path) -> EnsembleVerification:
    """Compare the files of a saved ensemble with their sums."""
    return EnsembleVerification(problems=tuple(wrong_ensemble(folder)))


def _ensembles(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / ENSEMBLE).is_file():
        yield folder
    elif depth:
        for place in sorted(folder.iterdir()):
            if place.is_dir() and not place.is_symlink() and place.name not in (SHARDS, CACHE):
                yield from _ensembles(place, depth - 1)


def wrong_ensemble(folder: Path) -> list[str]:
    """Return what is wrong with the files of a saved ensemble."""
    try:
        data = read_whole(folder / ENSEMBLE)
        facts: dict[str, Any] = read_json(folder / ENSEMBLE, dict[str, Any])
        holds = seal_holds(data)
        if holds is False or (holds is None and facts.get("version") != 1):
            return [f"{ENSEMBLE} differs from the sum that it holds of itself"]
        expected = {WEIGHTS: facts.get("sha256")}
        training = facts.get("training")
        if isinstance(training, dict) and training.get("sha256") is not None:
            expected[ENSEMBLE_LOG] = training["sha256"]
        found = {name: sha256_of_sound(folder / name) for name in expected}
        return [f"{name} differs from its checksum" for name, known in expected.items() if found[name] != known]
    except (OSError, UnfitJsonError) as error:
        return [str(error)]
