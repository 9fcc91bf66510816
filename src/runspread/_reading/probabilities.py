"""The class probabilities of several runs, read one run at a time from whatever holds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import check_choice, check_labels, to_numpy
from .._errors import InputError
from .._results import Excluded
from .outputs import RunOutputs, as_outputs, n_classes

KINDS = ("auto", "logits", "probabilities")
SUM_TOLERANCE = 1e-4
NEAR_ONE = 0.05
Floats = NDArray[np.float64]


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
    kind : {"logits", "probabilities"}
        What the numbers are.
    invalid : dict of int to str
        Runs met so far that cannot be used, by position, with the reason.
    """

    outputs: RunOutputs
    labels: NDArray[np.int64]
    keep: NDArray[np.bool_] | None
    kind: str
    invalid: dict[int, str]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return 2 if self._one_logit else self.outputs.shape[2]

    @property
    def _one_logit(self) -> bool:
        """Whether the one column tells two classes apart; where all labels are 0 there is one class only."""
        return self.outputs.shape[2] == 1 and bool(self.labels.max() > 0)

    def __len__(self) -> int:
        return self.outputs.shape[0]

    def __iter__(self) -> Iterator[Member]:
        index = 0
        for chunk in self.outputs.chunks():
            for block in chunk:
                member = self._member(index, block)
                if member is not None:
                    yield member
                index += 1

    def at(self, index: int) -> Member:
        """Return one run; a source without an index is read from its start."""
        rows: Any = getattr(self.outputs, "array", self.outputs)
        blocks = (block for chunk in self.outputs.chunks() for block in chunk)
        block = rows[index] if hasattr(rows, "__getitem__") else next(islice(blocks, index, None))
        member = self._member(index, block)
        if member is None:
            raise InputError(f"{self.outputs.run_ids[index]} cannot be used: {self.invalid[index]}", "a valid run")
        return member

    def _member(self, index: int, block: NDArray[Any]) -> Member | None:
        values = block if self.keep is None else block[self.keep]
        values = np.asarray(values, dtype=np.float64)
        is_logits = self.kind == "logits"
        if self._one_logit:  # the log-odds, or the probability, of class 1
            values = np.hstack([np.zeros_like(values) if is_logits else 1 - values, values])
        reason = _invalid_logits(values) if is_logits else _invalid_probabilities(values, self.outputs.run_ids[index])
        if reason:
            self.invalid[index] = reason
            return None
        return Member(index, values, is_logits)

    def excluded(self) -> tuple[Excluded, ...]:
        """Return the runs that the source and the reading left out, each with its reason."""
        ids = self.outputs.run_ids
        return self.outputs.excluded + tuple(Excluded(ids[i], reason) for i, reason in sorted(self.invalid.items()))

    def nothing_left(self) -> InputError:
        """Return the error for a source without one valid run."""
        return InputError(
            f"none of the {len(self)} runs has usable outputs: {_first_reasons(self.excluded())}",
            "at least one run with finite outputs",
        )


def read_members(
    source: Any,
    labels: ArrayLike | None = None,
    *,
    split: str = "test",
    kind: str = "auto",
    ignore_index: int | None = None,
) -> Members:
    """Return `source` as `Members`.

    Parameters
    ----------
    source : array_like, RunOutputs, study or Members
        Logits or probabilities, [runs, examples, classes] or [examples, classes] for one run; or a study.
    labels : array_like of int [examples], optional
        True classes; needed where the source carries none.
    split : str
        Which split of a study to read.
    kind : {"auto", "logits", "probabilities"}
        What the numbers are. One column is the log-odds (or probability) of class 1. ``"auto"``: probabilities if
        the first usable run lies within 0..1 and most of its rows sum to about 1, else logits.
    ignore_index : int, optional
        Examples with this label are left out before everything.

    Raises
    ------
    InputError
        No labels, labels out of range, no examples left, or numbers of the wrong shape.
    """
    if isinstance(source, Members):
        return source
    check_choice(kind, "kind", KINDS)
    if not hasattr(source, "predictions") and not isinstance(source, RunOutputs):
        source = _as_array(source)
        outputs = as_outputs(source)
    else:
        outputs = as_outputs(source, split=split)
    if len(outputs.shape) != 3:
        raise InputError(f"outputs of shape {outputs.shape}", "logits or probabilities [runs, examples, classes]")
    found = _only_labels(outputs, labels)
    keep = None if ignore_index is None else found != ignore_index
    checked = check_labels(found if keep is None else found[keep], n_classes(outputs.shape[2]))
    return Members(outputs, checked, keep, _detect(outputs) if kind == "auto" else kind, {})


def _as_array(source: Any) -> NDArray[Any]:
    """Return bare numbers as [runs, examples, classes]; one run's [examples, classes] gains the first axis."""
    found = to_numpy(source)
    array = found if isinstance(found, np.ndarray) else np.asarray(found)
    return array[None] if array.ndim == 2 and array.dtype.kind == "f" else array


def _only_labels(outputs: RunOutputs, labels: ArrayLike | None) -> NDArray[Any]:
    if labels is not None and outputs.labels is not None:
        raise InputError(
            "labels were given for a source that carries its own", "labels only with arrays", "Leave labels out."
        )
    found = outputs.labels if labels is None else np.asarray(to_numpy(labels))
    if found is None:
        raise InputError("no labels", "the true class of every example", "Pass labels= (on the command line --labels).")
    if found.shape != (outputs.shape[1],):
        raise InputError(f"labels of shape {found.shape} for {outputs.shape[1]} examples", "one label an example")
    return found


def _detect(outputs: RunOutputs) -> str:
    """Return the kind of the first run without NaN."""
    for chunk in outputs.chunks():
        for block in chunk:
            if not np.isnan(block.min()):
                return "probabilities" if _look_like_probabilities(block) else "logits"
    return "logits"


def _look_like_probabilities(block: NDArray[Any]) -> bool:
    # Badly rounded probabilities must reach the check of their sums, not pass for logits; all-zero logits must not.
    if block.shape[1] == 1 or block.min() < 0 or block.max() > 1 + SUM_TOLERANCE:
        return False
    return bool(np.median(np.abs(block.sum(axis=1, dtype=np.float64) - 1)) < NEAR_ONE)


def _invalid_logits(values: Floats) -> str:
    # The row maximum is NaN, +inf or -inf exactly where a row has a NaN, a +inf, or nothing above -inf.
    top = values.max(axis=1)
    if np.isfinite(top).all():
        return ""
    bad = int((~np.isfinite(top)).sum())
    what = "NaN" if np.isnan(top).any() else "infinite"
    return f"{what} logits on {bad} of {len(top)} examples"


def _invalid_probabilities(values: Floats, run: str) -> str:
    sums = values.sum(axis=1)
    if np.isnan(sums).any():
        return f"NaN probabilities on {int(np.isnan(sums).sum())} of {len(sums)} examples"
    off = np.abs(sums - 1) > SUM_TOLERANCE
    if off.any() or values.min() < 0:
        first = int(np.argmax(off if off.any() else (values < 0).any(axis=1)))
        raise InputError(
            f"probabilities of {run} on example {first} sum to {sums[first]:.6g}, smallest {values[first].min():.6g}",
            f"non-negative rows that sum to 1 within {SUM_TOLERANCE:g}",
            "If these are logits, say kind='logits'; if they are rounded, store them as float32.",
        )
    return ""


def _first_reasons(excluded: tuple[Excluded, ...], limit: int = 3) -> str:
    shown = "; ".join(f"{item.run}: {item.reason}" for item in excluded[:limit])
    return shown + (f"; and {len(excluded) - limit} more" if len(excluded) > limit else "")
