"""What numbers are (logits, probabilities, log-odds, classes), and which can be used: decided here, for all methods."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import check_choice
from ..errors import InputError
from .half import half_argmax, half_decided

Floats = NDArray[np.float64]

KINDS = ("logits", "log-probabilities", "probabilities", "log-odds", "classes")
SCALARS = "scalars"  # two axes of floats, of which nobody said more
LOGITS = ("logits", "log-probabilities", "log-odds")  # which only differ by a constant an example
NAN_POLICIES = ("abstain", "exclude", "raise")
SUM_TOLERANCE = 1e-4
NEAR_ONE = 0.05
_MANY, _PERCENT_TOLERANCE = 8, 0.5  # examples on which one sum is no chance, and how far it may be off by rounding
_MIDDLE = {"probabilities": 0.5, "log-probabilities": math.log(0.5)}  # of one column; above it is class 1
_COARSE = ((np.float16, 2e-3), (None, 1e-2))  # what rounding to half precision, or bfloat16, does to sums


def check_kind(kind: str | None) -> str | None:
    """Return a kind that was said; None for ``"auto"``."""
    if kind is None or kind == "auto":
        return None
    return check_choice(kind, "kind", ("auto", *KINDS))


def check_nan(nan: str, *, abstain: bool = False) -> str:
    """Return a policy on outputs that cannot be used; ``"drop_run"``, the word of `missing`, is ``"exclude"``."""
    known = NAN_POLICIES if abstain else tuple(one for one in NAN_POLICIES if one != "abstain")
    return "exclude" if nan == "drop_run" else check_choice(nan, "nan", known)


def one_logit(kind: str | None, columns: int, labels: NDArray[Any] | None = None) -> bool:
    """Whether the only column distinguishes two classes; ``"logits"`` of one class have labels of that class alone."""
    return columns == 1 and not (kind == "logits" and labels is not None and labels.size > 0 and labels.max() <= 0)


def count_classes(kind: str | None, columns: int, labels: NDArray[Any] | None = None) -> int:
    """Return the number of classes of outputs with that many columns."""
    return 2 if one_logit(kind, columns, labels) else columns


def middle_of(kind: str | None) -> float:
    """Return the value of one column above which it says class 1."""
    return _MIDDLE.get(kind or "", 0.0)


def class_of(values: NDArray[Any], kind: str | None = None) -> NDArray[np.signedinteger[Any]]:
    """Return the predicted class of outputs [..., columns]: the first largest; of one column, class 1 above one half.

    One column of ``"logits"`` is of one class; of log-odds, which is what it is taken for by default, the sign counts.
    """
    if values.shape[-1] == 1 and kind != "logits":
        return (values[..., 0] > middle_of(kind)).astype(np.intp)
    return half_argmax(values) if values.dtype == np.float16 else values.argmax(axis=-1)


def decided(
    values: NDArray[Any], kind: str | None = None
) -> tuple[NDArray[np.signedinteger[Any]], NDArray[np.bool_] | None]:
    """Return the predicted classes [...] of outputs [..., columns], and where a row decides nothing, None if nowhere.

    That is a row with a NaN or a positive infinity, or without any finite entry.
    """
    if values.shape[-1] == 1:
        best = class_of(values, kind)
        top = check_share(values[..., 0], kind)
        undecided = np.isnan(top) | (top == np.inf) if kind == "log-probabilities" else ~np.isfinite(top)
    elif values.dtype == np.float16:
        best, undecided = half_decided(values)
    else:  # the largest is NaN, +inf or -inf exactly where a row has a NaN, a +inf, or nothing finite
        best = class_of(values, kind)
        undecided = ~np.isfinite(np.take_along_axis(values, best[..., None], axis=-1)[..., 0])
    return best, undecided if undecided.any() else None


def why_unusable(values: NDArray[Any], kind: str | None) -> str:
    """Return why one run's outputs [examples, columns] cannot be used; nothing where they can."""
    if np.isfinite(values).all():
        return ""
    undecided = decided(values, kind)[1]
    if undecided is None:
        return ""
    what = "NaN" if np.isnan(values[undecided]).any() else "infinite"
    noun = {"probabilities": "probabilities", SCALARS: "outputs"}.get(kind or "", "logits")
    return f"{what} {noun} on {int(undecided.sum())} of {undecided.size} examples"


def check_share(values: NDArray[Any], kind: str | None) -> NDArray[Any]:
    """Return the values of one column if they can be the probability of class 1, where they are said to be."""
    low, high = {"probabilities": (0, 1), "log-probabilities": (-np.inf, 0)}.get(kind or "", (-np.inf, np.inf))
    outside = (values < low) | (np.isfinite(values) & (values > high))
    if outside.any():
        raise InputError(
            f"{int(outside.sum())} {kind} of class 1 are out of range, the first is {values[outside][0]:g}",
            f"numbers from {low:g} to {high:g}",
            "If these are log-odds, say kind='log-odds'.",
        )
    return values


def in_unit(values: NDArray[Any]) -> bool:
    """Whether no number lies outside 0..1."""
    return not bool(((values < 0) | (values > 1)).any())


def look_like_probabilities(block: NDArray[Any]) -> bool:
    """Whether one run's outputs [examples, columns] lie within 0..1 and most rows sum to about 1.

    Badly rounded probabilities must reach the check of their sums, not pass for logits; all-zero logits must not.
    """
    if block.shape[1] == 1 or block.min() < 0 or block.max() > 1 + SUM_TOLERANCE:
        return False
    return bool(np.median(np.abs(block.sum(axis=1, dtype=np.float64) - 1)) < NEAR_ONE)


def refuse_percent(block: NDArray[Any]) -> None:
    """Raise an InputError where rows [examples, columns] are percentages, which would pass for logits."""
    if len(block) < _MANY or block.shape[1] < 2 or block.min() < 0:
        return
    off = np.abs(block.sum(axis=1, dtype=np.float64) - 100)
    if (off <= _PERCENT_TOLERANCE).all() and np.median(np.count_nonzero(block, axis=1)) > 1:
        raise InputError(
            "the outputs are non-negative and their rows all sum to 100, like percentages",
            "probabilities that sum to 1, or logits",
            "Divide by 100; if they are logits after all, say kind='logits' (on the command line --kind).",
        )


def check_sums(values: Floats, run: str) -> None:
    """Raise an InputError unless rows [examples, columns] are probabilities, up to the rounding of their type."""
    sums = values.sum(axis=1)
    off = np.abs(sums - 1) > SUM_TOLERANCE
    if off.any():
        off = np.abs(sums - 1) > rounding_of(values)
    if off.any() or values.min() < 0:
        first = int(np.argmax(off if off.any() else (values < 0).any(axis=1)))
        raise InputError(
            f"probabilities of {run} on example {first} sum to {sums[first]:.6g}, smallest {values[first].min():.6g}",
            f"non-negative rows that sum to 1 within {SUM_TOLERANCE:g}",
            "If these are logits, say kind='logits'; if they are rounded, store them as float32.",
        )


def rounding_of(values: Floats) -> float:
    """Return how far from 1 sums may be: further where all values are half precision or bfloat16 numbers."""
    single = values.astype(np.float32)
    if not np.array_equal(single, values):
        return SUM_TOLERANCE
    for dtype, tolerance in _COARSE:
        same = (single.view(np.uint32) & 0xFFFF) == 0 if dtype is None else single.astype(dtype) == single
        if same.all():
            return tolerance
    return SUM_TOLERANCE


def as_log_probabilities(values: NDArray[Any], kind: str | None, run: str = "the run") -> Floats:
    """Return probabilities [..., examples, columns] as logarithms, in two columns if there was one."""
    numbers = np.asarray(values, np.float64)
    with np.errstate(divide="ignore"):
        if kind == "log-probabilities":
            if numbers.shape[-1] > 1:
                return numbers
            own = check_share(numbers, kind)
            return np.concatenate([np.log(-np.expm1(own)), own], axis=-1)
        if numbers.shape[-1] == 1:
            own = check_share(numbers, kind)
            return np.concatenate([np.log1p(-own), np.log(own)], axis=-1)
        check_sums(numbers.reshape(-1, numbers.shape[-1]), run)
        return _keeping_the_largest(np.log(numbers), numbers)


def _keeping_the_largest(logs: Floats, numbers: Floats) -> Floats:
    """Return logarithms whose first largest is that of the numbers: two neighbours may have one logarithm."""
    best = numbers.argmax(-1)[..., None]
    lost = (logs.argmax(-1)[..., None] != best) & ~np.isnan(numbers.max(-1, keepdims=True))
    if lost.any():
        own = np.take_along_axis(logs, best, -1)
        np.put_along_axis(logs, best, np.where(lost, np.nextafter(own, np.inf), own), -1)
    return logs


def as_logits(values: NDArray[Any], kind: str | None) -> NDArray[Any]:
    """Return outputs [..., columns] of any kind but classes as logits; those that are come back as they are."""
    if kind == "probabilities" or (kind == "log-probabilities" and values.shape[-1] == 1):
        return as_log_probabilities(values, kind)
    return values
