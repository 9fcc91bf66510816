"""Which predictions are right: correctness of many runs in chunks, from logits, predicted classes or 0/1 arrays."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import check_choice, check_integers
from .._results import Excluded
from .._words import count
from ..errors import InputError
from .accepting import as_outputs
from .classes import abstain, hits, run_classes
from .digest_columns import HasColumns
from .kinds import check_nan, count_classes, why_unusable
from .outputs import CHUNK_BYTES, RunOutputs, excluded_by, kind_of, known_kind, nothing_left, run_of

MISSING_POLICIES = ("drop_run", "intersect", "raise")
CLASS_BYTES = 2**23  # predicted classes are gone through several times, which is faster while they are in cache


class Outcome(NamedTuple):
    """Consecutive runs: which examples are right, and what was predicted (None where only the former is known).

    The arrays hold until the next chunk is asked for, which may be written over them: fresh memory costs more time
    than the counting.
    """

    correct: NDArray[np.bool_]
    predicted: NDArray[np.signedinteger[Any]] | None


class Outcomes(Protocol):
    """Outcomes of many runs on one set of examples; `shape` is ``(runs, examples)``."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def labels(self) -> NDArray[np.int64] | None: ...
    @property
    def n_classes(self) -> int | None: ...
    @property
    def run_ids(self) -> tuple[str, ...]: ...
    @property
    def excluded(self) -> tuple[Excluded, ...]: ...
    @property
    def keep(self) -> NDArray[np.bool_]: ...

    def chunks(self) -> Iterator[Outcome]:
        """Yield the outcomes of consecutive runs."""
        ...

    def hopeful(self) -> Outcomes:
        """Return the outcomes as if every run could be used; its chunks raise `UnusableRun` where that proves wrong."""
        ...


class UnusableRun(Exception):
    """A run that is to be excluded was met in a pass that hoped for none."""


def checked_correct(correct: NDArray[Any]) -> NDArray[np.bool_]:
    """Return correctness as bool if every value is exactly 0 or 1."""
    if correct.dtype.kind == "b":
        return correct
    if correct.dtype.kind == "u" and correct.max(initial=0) <= 1:
        return correct.astype(bool)
    return check_integers(correct, "correct", 0, 1).astype(bool)


class PredictedOutcomes:
    """Outcomes of runs whose outputs and labels are known.

    Which runs are excluded takes a pass over all of them, which is made when it is asked for; `hopeful` saves it.
    """

    def __init__(
        self,
        outputs: RunOutputs,
        labels: NDArray[np.int64],
        n_classes: int | None,
        *,
        kind: str | None,
        nan: str,
    ) -> None:
        self.outputs, self.labels, self.n_classes, self.kind, self.nan = outputs, labels, n_classes, kind, nan
        self.classes: Any = outputs.digest_column("class") if isinstance(outputs, HasColumns) else None
        self.reasons: dict[int, str] | None = {} if nan != "exclude" or kind == "classes" else None
        self._chosen: NDArray[np.bool_] | None = None

    def only(self, keep: NDArray[np.bool_]) -> PredictedOutcomes:
        """Return the outcomes of fewer runs; `keep` counts all runs of the outputs."""
        fewer = copy.copy(self)
        fewer._chosen = keep
        return fewer

    @property
    def left_out(self) -> dict[int, str]:
        """Why runs are excluded, by position."""
        if self.reasons is None:
            self.reasons = self.unusable()
            if len(self.reasons) == self.outputs.shape[0]:
                raise nothing_left(self.excluded, len(self.reasons))
        return self.reasons

    def unusable(self) -> dict[int, str]:
        """Look at all runs, and return why some cannot be used, by position."""
        reasons, start = dict[int, str](), 0
        for values, _, undecided in self.decided():
            for row in () if undecided is None else np.flatnonzero(undecided.any(axis=1)).tolist():
                numbers = values[row] if self.classes is None else run_of(self.outputs, start + row)
                reasons[start + row] = why_unusable(numbers, known_kind(self.outputs))
            start += len(values)
        return reasons

    def decided(self) -> Iterator[tuple[NDArray[Any], NDArray[np.signedinteger[Any]], NDArray[np.bool_] | None]]:
        """Yield the outputs (or classes) of consecutive runs, what they predict, and where they decide nothing."""
        for chunk in () if self.classes is None else self.classes.chunks(CLASS_BYTES):
            undecided = chunk < 0
            yield (chunk, chunk.copy(), undecided) if undecided.any() else (chunk, chunk, None)
        if self.classes is not None:
            return
        size = CHUNK_BYTES if self.kind != "classes" else CLASS_BYTES
        for chunk in self.outputs.chunks(size):
            values = np.asarray(chunk)  # slices of a memory map are slow to make
            yield values, *run_classes(values, self.kind, self.n_classes)

    @property
    def keep(self) -> NDArray[np.bool_]:
        """Which runs of the outputs are not excluded [all runs]."""
        kept = np.ones(self.outputs.shape[0], bool) if self._chosen is None else self._chosen.copy()
        kept[list(self.left_out)] = False
        return kept

    @property
    def shape(self) -> tuple[int, int]:
        """``(runs, examples)``, without the runs that are excluded."""
        return int(self.keep.sum()), self.outputs.shape[1]

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Ids of the runs that are kept."""
        return tuple(name for name, kept in zip(self.outputs.run_ids, self.keep, strict=True) if kept)

    @property
    def excluded(self) -> tuple[Excluded, ...]:
        """Runs that are excluded, by the source or for their numbers."""
        return excluded_by(self.outputs, self.left_out)

    def hopeful(self) -> Outcomes:
        """Return the outcomes as if every run could be used."""
        return self if self.reasons is not None or self._chosen is not None else _Hopeful(self)

    def chunks(self) -> Iterator[Outcome]:
        """Yield correctness and predicted classes of consecutive runs."""
        keep, start = self.keep, 0
        correct: NDArray[np.bool_] | None = None
        for _, predicted, undecided in self.decided():
            kept = keep[start : start + len(predicted)]
            if undecided is not None and self.nan != "exclude":
                abstain(predicted, undecided, self.nan, start)
            start += len(predicted)
            if kept.any():
                predicted = predicted if kept.all() else predicted[kept]
                correct = hits(predicted, self.labels, correct)
                yield Outcome(correct, predicted)


class _Hopeful:
    """Outcomes of all runs, in the hope that none is to be excluded: one pass instead of two."""

    def __init__(self, whole: PredictedOutcomes) -> None:
        self._whole = whole
        self.shape = (whole.outputs.shape[0], whole.outputs.shape[1])
        self.labels, self.n_classes = whole.labels, whole.n_classes
        self.run_ids, self.excluded = whole.outputs.run_ids, whole.outputs.excluded
        self.keep = np.ones(self.shape[0], bool)

    def hopeful(self) -> Outcomes:
        """Return itself."""
        return self

    def chunks(self) -> Iterator[Outcome]:
        """Yield correctness and predicted classes of consecutive runs."""
        correct: NDArray[np.bool_] | None = None
        for _, predicted, undecided in self._whole.decided():
            if undecided is not None:
                raise UnusableRun
            correct = hits(predicted, self._whole.labels, correct)
            yield Outcome(correct, predicted)
        self._whole.reasons = {}


@dataclass(frozen=True, eq=False)
class CorrectOutcomes:
    """Outcomes of runs of which only the correctness [runs, examples] is known."""

    correct: NDArray[Any]
    keep: NDArray[np.bool_]
    examples: NDArray[np.bool_]
    labels: None = None
    n_classes: None = None

    def only(self, keep: NDArray[np.bool_]) -> CorrectOutcomes:
        """Return the outcomes of fewer runs; `keep` counts all runs."""
        return replace(self, keep=keep)

    def hopeful(self) -> Outcomes:
        """Return itself: what was not evaluated is known before."""
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """``(runs, examples)``, without those that are excluded."""
        return int(self.keep.sum()), int(self.examples.sum())

    @property
    def run_ids(self) -> tuple[str, ...]:
        """``run 0``, ``run 1``, ..., of the runs that are kept."""
        return tuple(f"run {index}" for index in np.flatnonzero(self.keep))

    @property
    def excluded(self) -> tuple[Excluded, ...]:
        """Runs with missing outcomes."""
        names = tuple(f"run {index}" for index in range(len(self.keep)))
        return left_out(names, self.keep, "not evaluated on every example")

    def chunks(self) -> Iterator[Outcome]:
        """Yield correctness of consecutive runs."""
        step = max(1, int(CLASS_BYTES // max(1, self.correct[:1].nbytes)))
        for start in range(0, len(self.correct), step):
            kept = self.keep[start : start + step]
            rows = np.asarray(np.ma.getdata(self.correct[start : start + step]))
            rows = rows if kept.all() else rows[kept]
            if len(rows):
                yield Outcome(checked_correct(rows if self.examples.all() else rows[:, self.examples]), None)


def left_out(run_ids: tuple[str, ...], keep: NDArray[np.bool_], reason: str) -> tuple[Excluded, ...]:
    """Return a record for each run that is not kept."""
    return tuple(Excluded(run_ids[index], reason) for index in np.flatnonzero(~keep))


def as_outcomes(
    source: Any = None,
    labels: Any = None,
    *,
    correct: ArrayLike | None = None,
    split: str = "test",
    kind: str = "auto",
    nan: str = "exclude",
    missing: str = "raise",
    n_classes: int | None = None,
) -> Outcomes:
    """Return outcomes of runs from outputs and labels, or from correctness.

    Parameters
    ----------
    source : array_like, path, RunOutputs or study, optional
        Logits or probabilities [runs, examples, classes] or predicted classes [runs, examples]; -1 means no prediction.
    labels : array_like of int [examples] or path, optional
        True classes; taken from the source where it has them.
    correct : array_like of bool or 0/1 [runs, examples], optional
        Given instead of `source`. NaN or a mask marks examples on which a run was not evaluated.
    split : str
        Which split of a study to read.
    kind : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
        What the outputs are.
    nan : {"exclude", "raise", "abstain"}
        What outputs with NaN, a positive infinity or a row without a finite entry mean: a run to exclude, an error,
        or no prediction on those examples.
    missing : {"raise", "intersect", "drop_run"}
        What missing correctness means: an error, an example to exclude for all runs, or a run to exclude.
    n_classes : int, optional
        Number of classes, when predicted classes are given and some may occur nowhere.
    """
    if (source is None) == (correct is None):
        if source is None:
            raise InputError(
                "there is nothing to analyse: neither outputs nor correct= was given",
                hint="Pass outputs (logits or classes) with labels, or correct=.",
            )
        raise InputError("both outputs and correct= were given", "one of them")
    nan = check_nan(nan, abstain=True)
    if correct is not None:
        if labels is not None:
            raise InputError("labels were given with correct=, which needs none", hint="Drop the labels.")
        return _from_correct(correct, missing)
    return _from_outputs(as_outputs(source, labels, split=split, kind=kind, columns=True), nan, n_classes)


def _from_outputs(outputs: RunOutputs, nan: str, n_classes: int | None) -> PredictedOutcomes:
    if outputs.labels is None:
        raise InputError(
            "there are no labels",
            "the true classes [examples]",
            "Pass labels= (on the command line --labels), or correct= with 0/1 correctness.",
        )
    kind = kind_of(outputs)
    if len(outputs.shape) == 3:
        n_classes = count_classes(kind, outputs.shape[2], outputs.labels)
    labels = check_integers(outputs.labels, "labels", 0, None if n_classes is None else n_classes - 1)
    return PredictedOutcomes(outputs, labels, n_classes, kind=kind, nan=nan)


def _from_correct(correct: ArrayLike, missing: str) -> CorrectOutcomes:
    check_choice(missing, "missing", MISSING_POLICIES)
    array = correct if isinstance(correct, np.ndarray) else np.asarray(correct)
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"correct= has shape {array.shape}", "two axes [runs, examples], not empty")
    keep, examples = np.ones(len(array), bool), np.ones(array.shape[1], bool)
    absent = _absent(array)
    if absent is not None and absent.any():
        if missing == "raise":
            run, example = (int(i) for i in np.argwhere(absent)[0])
            raise InputError(
                f"{count(int(absent.sum()), 'outcome is', 'outcomes are')} missing, the first for run {run} on example "
                f"{example}",
                "every run evaluated on every example",
                "Pass missing='intersect' to keep the examples that all runs have, or missing='drop_run' to exclude "
                "runs.",
            )
        if missing == "intersect":
            examples = _some(~np.any(absent, axis=0), "example that every run has")
        else:
            keep = _some(~np.any(absent, axis=1), "run with every example")
    return CorrectOutcomes(array, keep, examples)


def on_common_examples(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return correctness of two configurations in which an example that any run of either lacks is missing in both."""
    first, second = (x if isinstance(x, np.ndarray) else np.asarray(x) for x in (a, b))
    if first.ndim != 2 or first.shape[1:] != second.shape[1:]:  # the comparison says what is wrong
        return first, second
    lost = [np.any(gaps, axis=0) for array in (first, second) if (gaps := _absent(array)) is not None]
    if not lost:
        return first, second
    gone = np.logical_or.reduce(lost)
    return _without(first, gone), _without(second, gone)


def _without(array: NDArray[Any], gone: NDArray[np.bool_]) -> NDArray[Any]:
    return np.ma.array(np.ma.getdata(array), mask=np.broadcast_to(gone, array.shape))


def _absent(array: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return where outcomes are missing (masked or NaN), None where they cannot be."""
    if isinstance(array, np.ma.MaskedArray):
        return np.ma.getmaskarray(array)
    return np.isnan(array) if array.dtype.kind == "f" else None


def _some(keep: ArrayLike, what: str) -> NDArray[np.bool_]:
    keep = np.asarray(keep, bool)
    if not keep.any():
        raise InputError(f"no {what} is left once missing outcomes are excluded", "at least one")
    return keep
