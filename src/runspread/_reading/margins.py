"""The scalar output of a classifier whose distribution is compared."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import check_choice, check_labels, check_logits
from ..errors import InputError


class UndefinedMargin(InputError):
    """Infinite logits on which a margin is not a number."""


Margin = Literal["gap", "one-vs-rest", "pairwise", "top-two", "true-class"]
MARGINS = ("gap", "one-vs-rest", "pairwise", "top-two", "true-class")
Floats = NDArray[np.float64]


def logit_gap(logits: ArrayLike) -> Floats:
    """Return the logit gap of a binary classifier: second logit minus first, or the logit itself if there is one.

    Parameters
    ----------
    logits : array_like [..., examples, 2] or [..., examples, 1]
        Logits. Labels play no part.

    Returns
    -------
    ndarray [..., examples]
        Log-odds of class 1; the share of values below 0 is the share of examples predicted as class 0.

    Raises
    ------
    InputError
        The last axis is neither 1 nor 2 long, or there are NaN.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.trimming.logit_gap([[0.0, 2.0], [1.0, 0.5]])
    array([ 2. , -0.5])
    """
    array = _as_float64(logits)
    if array.shape[-1] not in (1, 2):
        raise InputError(
            f"the logits have {array.shape[-1]} classes", "1 or 2", "Use margins(logits, kind=...) for more classes."
        )
    return array[..., 0] if array.shape[-1] == 1 else _finite_gap(array[..., 1], array[..., 0])


def margins(
    logits: ArrayLike,
    kind: Margin = "one-vs-rest",
    *,
    labels: ArrayLike | None = None,
    classes: tuple[int, int] | None = None,
) -> Floats:
    """Return scalar outputs of a classifier of two or more classes.

    Parameters
    ----------
    logits : array_like [..., examples, classes]
        Logits.
    kind : {"one-vs-rest", "pairwise", "top-two", "true-class", "gap"}
        ``one-vs-rest``: log-odds of each class, ``z_k - logsumexp of the others``. ``pairwise``: ``z_b - z_a`` on the
        examples of classes a and b. ``top-two``: largest minus second largest logit. ``true-class``: logit of the
        true class minus the largest of the others, below 0 where the prediction is wrong. ``gap``: `logit_gap`.
    labels : array_like of int [examples], optional
        True classes; needed for ``pairwise`` and ``true-class``.
    classes : (int, int), optional
        The classes (a, b) of ``pairwise``.

    Returns
    -------
    ndarray [..., examples]
        For ``one-vs-rest`` [..., examples, classes]; for ``pairwise`` the examples of the two classes only.

    Raises
    ------
    InputError
        An unknown kind, one class only, NaN, or labels that are missing or do not fit.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.trimming.margins([[2.0, 0.0, 1.0]], "top-two")
    array([1.])
    """
    check_choice(kind, "kind of margin", MARGINS)
    if kind == "gap":
        return logit_gap(logits)
    array = _as_float64(logits)
    if array.shape[-1] < 2:
        raise InputError("the logits have one class", "at least two classes", "Use logit_gap for a single logit.")
    if kind == "one-vs-rest":
        return _log_odds(array)
    if kind == "top-two":
        top = np.partition(array, -2, axis=-1)
        return _finite_gap(top[..., -1], top[..., -2])
    truth = _labels_of(array, labels, kind)
    return _true_class(array, truth) if kind == "true-class" else _pairwise(array, truth, classes)


def clip_gaps(
    gaps: ArrayLike, bounds: tuple[float, float] = (-15.0, 15.0), *, kind: Literal["saturate", "published"] = "saturate"
) -> Floats:
    """Return gaps within bounds.

    Parameters
    ----------
    gaps : array_like [..., examples]
        Scalar outputs.
    bounds : (float, float)
        Lower and upper bound; the published ones by default.
    kind : {"saturate", "published"}
        ``saturate`` moves values to the nearest bound. ``published`` does what the authors' helper does, for
        comparison only: each run's values are sorted, then those at or beyond a bound become 0, so the most confident
        outputs land on the decision boundary and examples no longer line up across runs.

    Returns
    -------
    ndarray [..., examples]
        The clipped values.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.trimming.clip_gaps([-20.0, 3.0, 40.0])
    array([-15.,   3.,  15.])
    """
    check_choice(kind, "kind of clipping", ("saturate", "published"))
    array = np.asarray(gaps, dtype=np.float64)
    low, high = bounds
    if not low < high:
        raise InputError(f"the bounds are ({low}, {high})", "a lower and a higher number")
    if kind == "saturate":
        return np.clip(array, low, high)
    array = np.sort(array, axis=-1)
    return np.where((array <= low) | (array >= high), 0.0, array)


def _as_float64(logits: ArrayLike) -> Floats:
    array = np.asarray(logits)
    if array.ndim < 2 or array.size == 0:
        raise InputError(f"the logits have shape {array.shape}", "[..., examples, classes], not empty")
    return check_logits(array, shape=(None,) * array.ndim).astype(np.float64)


def _finite_gap(first: Floats, second: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        gap = first - second
    undefined = np.isnan(gap)
    if undefined.any():
        raise UndefinedMargin(
            f"two infinite logits on {_count(undefined)}", "at most one", "Their difference is not a number."
        )
    return gap


def _count(examples: NDArray[np.bool_]) -> str:
    return f"{int(examples.sum())} of {examples.size} examples"


def _log_odds(logits: Floats) -> Floats:
    """Return ``z_k - logsumexp_{j != k} z_j``; stable, because the largest logit never cancels."""
    best = logits.argmax(-1)[..., None]
    others = np.array(logits)
    np.put_along_axis(others, best, -np.inf, -1)
    second = others.max(-1, keepdims=True)
    largest = np.take_along_axis(logits, best, -1)
    undefined = ~(np.isfinite(second) & np.isfinite(largest))[..., 0]
    if undefined.any():
        raise UndefinedMargin(
            f"infinite logits on {_count(undefined)}", "finite ones for one-vs-rest", "Half precision ends at 65504."
        )
    weight = np.exp(others - largest)
    odds = logits - largest - np.log1p(np.maximum(weight.sum(-1, keepdims=True) - weight, 0))
    top = largest - second - np.log(np.exp(others - second).sum(-1, keepdims=True))
    np.put_along_axis(odds, best, top, -1)
    return odds


def _labels_of(logits: Floats, labels: ArrayLike | None, kind: str) -> NDArray[np.int64]:
    if labels is None:
        raise InputError(f"the {kind} margin needs labels", "labels [examples]")
    truth = check_labels(labels, logits.shape[-1])
    if len(truth) != logits.shape[-2]:
        raise InputError(f"there are {len(truth)} labels for {logits.shape[-2]} examples", "one label per example")
    return truth


def _true_class(logits: Floats, truth: NDArray[np.int64]) -> Floats:
    index: tuple[Any, ...] = (..., np.arange(len(truth)), truth)
    others = np.array(logits)
    others[index] = -np.inf
    return _finite_gap(logits[index], others.max(-1))


def _pairwise(logits: Floats, truth: NDArray[np.int64], classes: tuple[int, int] | None) -> Floats:
    if classes is None or len(classes) != 2 or not {*classes} <= {*range(logits.shape[-1])}:
        raise InputError(f"classes is {classes}", f"two of 0 to {logits.shape[-1] - 1} for the pairwise margin")
    a, b = classes
    chosen = logits[..., np.isin(truth, classes), :]
    if a == b or not chosen.shape[-2]:
        raise InputError(f"there are no examples to compare classes {a} and {b}", "two different classes with examples")
    return _finite_gap(chosen[..., b], chosen[..., a])
