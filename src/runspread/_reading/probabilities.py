"""The class probabilities of several runs, read one run at a time from whatever holds them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import check_labels, to_numpy
from .._cores import available_cores
from .._results import Excluded
from ..errors import InputError
from .accepting import as_outputs
from .classes import checked_classes
from .kinds import (
    LOGITS,
    Floats,
    as_log_probabilities,
    check_nan,
    check_share,
    check_sums,
    count_classes,
    one_logit,
    why_unusable,
)
from .labels import check_label_count
from .opening import opened_labels
from .outputs import RunOutputs, excluded_by, known_kind, nothing_left, refused, run_of, runs_of

_BLOCK = 2**16  # numbers worked on at a time: they stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Member:
    """One run's outputs on all examples.

    Attributes
    ----------
    index : int
        Position of the run in the source.
    values : ndarray of float64 [examples, classes]
        Logits or probabilities.
    is_logits : bool
        Which of the two `values` are.
    """

    index: int
    values: Floats
    is_logits: bool

    @cached_property
    def log_probabilities(self) -> Floats:
        """Log-probabilities [examples, classes]; probability zero gives minus infinity."""
        if self.is_logits:
            shifted = self.values - self.values.max(axis=1, keepdims=True)
            return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        with np.errstate(divide="ignore"):
            return np.log(self.values)

    @cached_property
    def probabilities(self) -> Floats:
        """Probabilities [examples, classes]; those that were handed in are handed out unchanged."""
        return np.exp(self.log_probabilities) if self.is_logits else self.values

    @property
    def top(self) -> NDArray[np.intp]:
        """Predicted class [examples], the first largest: of logits themselves, as probabilities may round to ties."""
        return self.values.argmax(axis=1)

    def true_class(self, labels: NDArray[np.int64]) -> Floats:
        """Return the log-probabilities of the true classes [examples]."""
        rows = np.arange(len(labels))
        if self.is_logits:
            return self.log_probabilities[rows, labels]
        with np.errstate(divide="ignore"):
            return np.log(self.values[rows, labels])


@dataclass(eq=False)
class Members:
    """Runs to average over, with the labels of the examples; iterating yields the valid ones as `Member`.

    Attributes
    ----------
    outputs : RunOutputs
        Where the numbers lie.
    labels : ndarray of int64 [examples]
        True classes of the examples that count.
    keep : ndarray of bool, or None
        Which examples of `outputs` count; None for all.
    kind : str
        What the numbers are. Predicted classes come as votes: probability one for the class, and one class more, which
        no label is, where a run abstains.
    n_classes : int
        Number of classes.
    invalid : dict of int to str
        Runs met so far that cannot be used, by position, with the reason.
    nan : {"exclude", "raise"}
        What becomes of those.
    """

    outputs: RunOutputs
    labels: NDArray[np.int64]
    keep: NDArray[np.bool_] | None
    kind: str
    n_classes: int
    invalid: dict[int, str]
    nan: str = "exclude"

    def __len__(self) -> int:
        return self.outputs.shape[0]

    @property
    def votes(self) -> bool:
        """Whether the runs have predicted classes alone."""
        return self.kind == "classes"

    def need_probabilities(self, what: str, instead: str) -> None:
        """Raise an InputError where runs have predicted classes alone."""
        if self.votes:
            raise InputError(
                f"{what} cannot be computed from predicted classes", "logits or probabilities of every class", instead
            )

    def __iter__(self) -> Iterator[Member]:
        for index, block in enumerate(runs_of(self.outputs)):
            member = self._member(index, block)
            if member is not None:
                yield member

    def true_classes(self) -> Iterator[tuple[int, Floats]]:
        """Yield position and log-probabilities of the true classes [examples] of each valid run, read on all cores."""
        with ThreadPoolExecutor(available_cores()) as threads:
            start = 0
            for chunk in self.outputs.chunks():
                found = threads.map(self._true_class, chunk)
                for index, (block, log_true) in enumerate(zip(chunk, found, strict=True), start):
                    member = self._member(index, block) if log_true is None else None
                    if member is not None:
                        log_true = member.true_class(self.labels)
                    if log_true is not None:
                        yield index, log_true
                start += len(chunk)

    def _true_class(self, block: NDArray[Any]) -> Floats | None:
        """Return what `Member.true_class` does, a few rows at a time; None where that has more to look at."""
        if self.kind not in LOGITS or self.keep is not None or block.shape[1] != self.n_classes:
            return None
        found, step = np.empty(len(block)), max(1, _BLOCK // block.shape[1])
        for start in range(0, len(block), step):
            values = block[start : start + step].astype(np.float64)
            if not np.isfinite(values).all():
                return None
            values -= values.max(axis=1, keepdims=True)
            own = values[np.arange(len(values)), self.labels[start : start + step]]
            found[start : start + step] = own - np.log(np.exp(values, out=values).sum(axis=1))
        return found

    def at(self, index: int) -> Member:
        """Return one run; a source without an index is read from its start."""
        member = self._member(index, run_of(self.outputs, index))
        if member is None:
            raise InputError(f"{self.outputs.run_ids[index]} cannot be used: {self.invalid[index]}", "a valid run")
        return member

    def why_not(self, index: int) -> None:
        """Note why a run cannot be used, or raise where that is an error."""
        self._member(index, run_of(self.outputs, index))

    def _member(self, index: int, block: NDArray[Any]) -> Member | None:
        values = block if self.keep is None else block[self.keep]
        if self.votes:
            return Member(index, self._votes(values), is_logits=False)
        values, is_logits = np.asarray(values, dtype=np.float64), self.kind in ("logits", "log-odds")
        reason = why_unusable(values, self.kind)
        if reason:
            self.invalid[index] = reason
            if self.nan == "raise":
                raise refused(self.outputs, self.invalid)
            return None
        return Member(index, self._of_classes(values, index), is_logits or self.kind == "log-probabilities")

    def _of_classes(self, values: Floats, index: int) -> Floats:
        """Return a column for each class: one column is of class 1."""
        run = self.outputs.run_ids[index]
        if values.shape[1] == self.n_classes:
            if self.kind == "probabilities":
                check_sums(values, run)
            return values
        if self.kind == "log-probabilities":
            return as_log_probabilities(values, self.kind, run)
        if self.kind == "probabilities":
            check_share(values[:, 0], self.kind)
        return np.hstack([1 - values if self.kind == "probabilities" else np.zeros_like(values), values])

    def _votes(self, classes: NDArray[Any]) -> Floats:
        """Return predicted classes [examples] as probabilities of one."""
        checked = checked_classes(classes, None)
        return np.eye(self.n_classes)[np.where(checked < 0, self.n_classes - 1, checked)]

    def excluded(self) -> tuple[Excluded, ...]:
        """Return the runs that the source and the reading excluded, each with its reason."""
        return excluded_by(self.outputs, self.invalid)

    def nothing_left(self) -> InputError:
        """Return the error for a source without one valid run."""
        return nothing_left(self.excluded(), len(self))


def read_members(
    source: Any,
    labels: Any = None,
    *,
    split: str = "test",
    kind: str = "auto",
    nan: str = "exclude",
    ignore_index: int | None = None,
    needs_labels: bool = True,
    columns: bool = False,
) -> Members:
    """Return `source` as `Members`.

    Parameters
    ----------
    source : array_like, path, RunOutputs, study or Members
        Logits or probabilities [runs, examples, classes], predicted classes [runs, examples]; or a study.
    labels : array_like of int [examples] or path, optional
        True classes; needed where the source carries none.
    split : str
        Which split of a study to read.
    kind : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
        What the numbers are. ``"auto"``: what the source says; else probabilities if the first usable run lies within
        0..1 and most of its rows sum to about 1, else logits.
    nan : {"exclude", "raise"}
        Whether runs with NaN, a positive infinity or a row without a finite entry are excluded, or an error.
    ignore_index : int, optional
        Examples with this label are excluded before everything.
    needs_labels : bool
        Whether labels are needed; without them all are class 0.
    columns : bool
        Whether a study's digest columns will do; see `as_outputs`.

    Raises
    ------
    InputError
        No labels, labels out of range, no examples left, or numbers of the wrong shape.
    """
    if isinstance(source, Members):
        return source
    nan = check_nan(nan)
    outputs = as_outputs(source, split=split, kind=kind, columns=columns)
    found = _only_labels(outputs, opened_labels(labels), needs_labels)
    keep = None if ignore_index is None else found != ignore_index
    kept = found if keep is None else found[keep]
    known = known_kind(outputs)
    if known == "classes":
        checked = check_labels(kept)
        return Members(outputs, checked, keep, known, _voted(outputs, checked), {}, nan)
    known_labels = labels is not None or outputs.labels is not None
    one_class = kind == "logits" and known_labels and not one_logit(kind, outputs.shape[2], kept)
    size = outputs.shape[2] if one_class else count_classes(known, outputs.shape[2], kept)
    return Members(outputs, check_labels(kept, size), keep, "logits" if one_class else known, size, {}, nan)


def _voted(outputs: RunOutputs, labels: NDArray[np.int64]) -> int:
    """Return how many classes labels and predictions tell, with one more for abstentions where there are any."""
    low, high = 0, int(labels.max())
    for chunk in outputs.chunks():
        classes = checked_classes(np.asarray(chunk), None)
        low, high = min(low, int(classes.min())), max(high, int(classes.max()))
    return high + 1 + (low < 0)


def _only_labels(outputs: RunOutputs, labels: Any, needed: bool) -> NDArray[Any]:
    if labels is not None and outputs.labels is not None and not np.array_equal(outputs.labels, to_numpy(labels)):
        raise InputError(
            "labels were given for a source that has its own", hint="Drop the labels; only arrays need them."
        )
    found = outputs.labels if labels is None else np.asarray(to_numpy(labels))
    if found is None and not needed:
        return np.zeros(outputs.shape[1], np.int64)
    if found is None:
        raise InputError(
            "there are no labels", "the true class of every example", "Pass labels= (on the command line --labels)."
        )
    check_label_count(found, outputs.shape)
    return found
