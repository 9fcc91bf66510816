"""Predicted classes, from outputs of any kind, in the smallest type that holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import check_choice, check_integers
from .._words import count
from ..errors import InputError
from .kinds import class_of, count_classes, decided

ABSTAINED = -1


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

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.variance.predicted_classes([[[2.0, 0.0], [0.0, 1.0]]])
    array([[0, 1]], dtype=int8)
    """
    array = np.asarray(outputs)
    if array.dtype.kind != "f" or array.ndim < 2 or array.shape[-1] == 0:
        raise InputError(
            f"the outputs have shape {array.shape} and dtype {array.dtype}", "floating-point rows [..., classes]"
        )
    check_choice(nan, "nan", ("abstain", "raise"))
    best = class_of(array)  # argmax stops at the first NaN
    undefined = np.isnan(array[..., 0] if array.shape[-1] == 1 else _of_class(array, best))
    if undefined.any():
        if nan == "raise":
            where = tuple(int(i) for i in np.argwhere(undefined)[0])
            raise InputError(
                f"the logits hold NaN in {count(int(undefined.sum()), 'row')}, the first at {where}",
                "numbers",
                "Pass nan='abstain' to count such rows as no prediction; methods exclude such runs.",
            )
        best[undefined] = ABSTAINED
    return compact(best, count_classes(None, array.shape[-1]))


def _of_class(array: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    return np.take_along_axis(array, classes[..., None], axis=-1)[..., 0]


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


def run_classes(
    values: NDArray[Any], kind: str | None, n_classes: int | None = None
) -> tuple[NDArray[np.signedinteger[Any]], NDArray[np.bool_] | None]:
    """Return predicted classes [runs, examples] of outputs of a kind, and where they decide nothing (None: nowhere)."""
    if kind == "classes":
        return checked_classes(values, n_classes), None
    best, undecided = decided(values, kind)
    return compact(best, count_classes(kind, values.shape[-1])), undecided


def abstain(predicted: NDArray[Any], undecided: NDArray[np.bool_], nan: str, start: int = 0) -> None:
    """Write "no prediction" where runs [runs, examples] decide nothing, or raise where that is an error."""
    if nan == "raise":
        run, example = (int(i) for i in np.argwhere(undecided)[0])
        raise InputError(
            f"the outputs are NaN or infinite in {count(int(undecided.sum()), 'row')}, the first at "
            f"{(start + run, example)} (run, example)",
            "finite numbers",
            "Drop nan= to exclude and name such runs, or pass nan='abstain' to count such rows as no prediction.",
        )
    predicted[undecided] = ABSTAINED
