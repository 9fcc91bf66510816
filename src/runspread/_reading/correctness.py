"""Which predictions are right: correctness of many runs in chunks, from logits, predicted classes or 0/1 arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import check_choice, check_integers
from .._errors import InputError
from .._results import Excluded
from .half import half_argmax
from .outputs import CHUNK_BYTES, RunOutputs, as_outputs

NAN_POLICIES = ("abstain", "drop_run", "raise")
MISSING_POLICIES = ("drop_run", "intersect", "raise")
ABSTAINED = -1
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


def predicted_classes(outputs: ArrayLike, *, nan: str = "raise") -> NDArray[np.signedinteger[Any]]:
    """Return the predicted class of each row of logits: the first largest entry.

    Parameters
    ----------
    outputs : array_like [..., classes]
        Logits or probabilities of any floating type. Float16 does contain ties; they go to the smaller class, and so
        does a row of minus infinities.
    nan : {"raise", "abstain"}
        What a NaN in a row means: an error, or no prediction (-1).

    Returns
    -------
    ndarray of int [...]
        Predicted classes, in the smallest signed integer type that holds them.

    Raises
    ------
    InputError
        A row holds NaN and `nan` is ``"raise"``; the first one and the count are named.
    """
    check_choice(nan, "nan", ("abstain", "raise"))
    array = np.asarray(outputs)
    if array.dtype.kind != "f" or array.ndim < 2 or array.shape[-1] == 0:
        raise InputError(
            f"outputs of shape {array.shape} and dtype {array.dtype}", "floating-point rows [..., classes]"
        )
    if array.shape[-1] == 1:  # the log-odds of class 1
        array = np.concatenate([np.zeros_like(array), array], axis=-1)
    best = half_argmax(array) if array.dtype == np.float16 else array.argmax(axis=-1)
    undefined = np.isnan(np.take_along_axis(array, best[..., None], axis=-1)[..., 0])  # argmax stops at the first NaN
    if undefined.any():
        if nan == "raise":
            where = tuple(int(i) for i in np.argwhere(undefined)[0])
            raise InputError(
                f"logits hold NaN in {int(undefined.sum())} rows, the first at {where}",
                "numbers",
                "Pass nan='abstain' to count them as no prediction, or nan='drop_run' where runs may be left out.",
            )
        best[undefined] = ABSTAINED
    return compact(best, array.shape[-1])


def compact(predicted: NDArray[Any], n_classes: int) -> NDArray[np.signedinteger[Any]]:
    """Return classes in the smallest signed type for `n_classes`, so that equal rows are equal bytes."""
    kind = np.int8 if n_classes <= 2**7 else np.int16 if n_classes <= 2**15 else np.int32
    if predicted.dtype.itemsize == 1 and kind is np.int8:
        return predicted.view(np.int8)
    return predicted.astype(kind, copy=False)


def checked_classes(predicted: NDArray[Any], n_classes: int | None) -> NDArray[np.signedinteger[Any]]:
    """Return predicted classes compactly if each is -1 (no prediction) or a class; else name the first offender."""
    if predicted.dtype.kind not in "iub":
        predicted = check_integers(predicted, "predictions", ABSTAINED, None if n_classes is None else n_classes - 1)
    high = int(predicted.max())
    if (predicted.dtype.kind == "i" and predicted.min() < ABSTAINED) or (n_classes is not None and high >= n_classes):
        check_integers(predicted, "predictions", ABSTAINED, None if n_classes is None else n_classes - 1)
    return compact(predicted, high + 1 if n_classes is None else n_classes)


def hits(
    predicted: NDArray[np.signedinteger[Any]], labels: NDArray[np.int64], out: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Return where compact predictions are the label, without widening them; `out` is used where it is long enough."""
    high = np.iinfo(predicted.dtype).max
    narrow = np.where(labels <= high, labels, ABSTAINED - 1).astype(predicted.dtype)
    return np.equal(
        predicted, narrow, out=out[: len(predicted)] if out is not None and len(out) >= len(predicted) else None
    )


def classes_of(outputs: NDArray[Any], nan: str, n_classes: int | None) -> NDArray[np.signedinteger[Any]]:
    """Return predicted classes [runs, examples] of logits [runs, examples, classes] or of predicted classes."""
    if outputs.ndim == 3:
        return predicted_classes(outputs, nan=nan)
    return checked_classes(outputs, n_classes)


def checked_correct(correct: NDArray[Any]) -> NDArray[np.bool_]:
    """Return correctness as bool if every value is exactly 0 or 1."""
    if correct.dtype.kind == "b":
        return correct
    if correct.dtype.kind == "u" and correct.max(initial=0) <= 1:
        return correct.astype(bool)
    return check_integers(correct, "correct", 0, 1).astype(bool)


@dataclass(frozen=True, eq=False)
class PredictedOutcomes:
    """Outcomes of runs whose outputs and labels are known; `keep` [runs] leaves runs out."""

    outputs: RunOutputs
    labels: NDArray[np.int64]
    n_classes: int | None
    nan: str
    keep: NDArray[np.bool_]

    @property
    def shape(self) -> tuple[int, int]:
        """``(runs, examples)``, without the runs that are left out."""
        return int(self.keep.sum()), self.outputs.shape[1]

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Ids of the runs that are kept."""
        return tuple(name for name, kept in zip(self.outputs.run_ids, self.keep, strict=True) if kept)

    @property
    def excluded(self) -> tuple[Excluded, ...]:
        """Runs that are left out, by the source or for NaN."""
        return self.outputs.excluded + left_out(self.outputs.run_ids, self.keep, "NaN in its outputs")

    def chunks(self) -> Iterator[Outcome]:
        """Yield correctness and predicted classes of consecutive runs."""
        start = 0
        correct: NDArray[np.bool_] | None = None
        nan = "raise" if self.nan == "drop_run" else self.nan
        for chunk in self.outputs.chunks(CHUNK_BYTES if len(self.outputs.shape) == 3 else CLASS_BYTES):
            kept = self.keep[start : start + len(chunk)]
            start += len(chunk)
            if kept.any():
                rows = np.asarray(chunk)  # slices of a memory map are slow to make
                predicted = classes_of(rows if kept.all() else rows[kept], nan, self.n_classes)
                correct = hits(predicted, self.labels, correct)
                yield Outcome(correct, predicted)


@dataclass(frozen=True, eq=False)
class CorrectOutcomes:
    """Outcomes of runs of which only the correctness [runs, examples] is known."""

    correct: NDArray[Any]
    keep: NDArray[np.bool_]
    examples: NDArray[np.bool_]
    labels: None = None
    n_classes: None = None

    @property
    def shape(self) -> tuple[int, int]:
        """``(runs, examples)``, without those that are left out."""
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
    labels: ArrayLike | None = None,
    *,
    correct: ArrayLike | None = None,
    split: str = "test",
    nan: str = "raise",
    missing: str = "raise",
    n_classes: int | None = None,
) -> Outcomes:
    """Return outcomes of runs from outputs and labels, or from correctness.

    Parameters
    ----------
    source : array_like, RunOutputs or study, optional
        Logits [runs, examples, classes] or predicted classes [runs, examples]; -1 means no prediction.
    labels : array_like of int [examples], optional
        True classes; taken from the source where it has them.
    correct : array_like of bool or 0/1 [runs, examples], optional
        Given instead of `source`. NaN or a mask marks examples on which a run was not evaluated.
    split : str
        Which split of a study to read.
    nan : {"raise", "abstain", "drop_run"}
        What NaN in logits means: an error, no prediction, or a run to leave out.
    missing : {"raise", "intersect", "drop_run"}
        What missing correctness means: an error, an example to leave out for all runs, or a run to leave out.
    n_classes : int, optional
        Number of classes, when predicted classes are given and some may occur nowhere.
    """
    if (source is None) == (correct is None):
        raise InputError("both" if correct is not None else "neither", "either outputs of runs or correct=")
    if correct is not None:
        if labels is not None:
            raise InputError("labels were given with correct=", "correctness alone", "Leave labels out.")
        return _from_correct(correct, missing)
    return _from_outputs(as_outputs(source, labels, split=split), check_choice(nan, "nan", NAN_POLICIES), n_classes)


def _from_outputs(outputs: RunOutputs, nan: str, n_classes: int | None) -> PredictedOutcomes:
    if outputs.labels is None:
        raise InputError(
            "no labels",
            "true classes [examples]",
            "Pass labels= (on the command line --labels), or correct= with 0/1 correctness.",
        )
    if len(outputs.shape) == 3:
        n_classes = max(outputs.shape[2], 2)  # one logit tells two classes apart
    labels = check_integers(outputs.labels, "labels", 0, None if n_classes is None else n_classes - 1)
    keep = np.ones(outputs.shape[0], bool)
    if nan == "drop_run" and len(outputs.shape) == 3:
        keep = np.concatenate([~np.isnan(chunk).any(axis=(1, 2)) for chunk in outputs.chunks()])
    return PredictedOutcomes(outputs, labels, n_classes, nan, _some(keep, "run without NaN"))


def _from_correct(correct: ArrayLike, missing: str) -> CorrectOutcomes:
    check_choice(missing, "missing", MISSING_POLICIES)
    array = correct if isinstance(correct, np.ndarray) else np.asarray(correct)
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"correct of shape {array.shape}", "two axes [runs, examples], not empty")
    keep, examples = np.ones(len(array), bool), np.ones(array.shape[1], bool)
    absent = _absent(array)
    if absent is not None and absent.any():
        if missing == "raise":
            run, example = (int(i) for i in np.argwhere(absent)[0])
            raise InputError(
                f"{int(absent.sum())} outcomes are missing, the first that of run {run} on example {example}",
                "every run evaluated on every example",
                "Pass missing='intersect' to keep the examples that all runs have, or missing='drop_run'.",
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
        raise InputError(f"no {what} is left", "at least one")
    return keep
