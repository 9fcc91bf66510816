"""Outputs of one run as a study keeps them: what they are is settled when they are recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import check_logits, to_numpy
from ..errors import InputError
from .classes import checked_classes
from .kinds import NEAR_ONE, as_log_probabilities, check_kind, in_unit, look_like_probabilities, refuse_percent


def recordable(outputs: Any, n_examples: int, kind: str = "auto") -> tuple[NDArray[Any], str | None]:
    """Return one run's outputs as they are kept, and what has to be noted of them.

    Probabilities are kept as their logarithms, which lose nothing of small ones; those of one column in two. Logits are
    kept as they are, and nothing is noted unless they could be taken for probabilities.

    Parameters
    ----------
    outputs : array_like [examples, columns], or [examples]
        Outputs; whole numbers on one axis are predicted classes.
    n_examples : int
        How many examples there are.
    kind : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
        What they are.

    Raises
    ------
    InputError
        A shape, or numbers, that do not fit; one column within 0..1 of which nobody said what it is.
    """
    said, array = check_kind(kind), np.asarray(to_numpy(outputs))
    if said == "classes" or (said is None and array.ndim == 1 and array.dtype.kind in "iub"):
        return _classes(array, n_examples), "classes"
    if array.ndim == 1 and said is not None:
        array = array[:, None]
    values = check_logits(array, shape=(n_examples, None))
    columns = values.shape[1]
    if said == "log-odds" and columns != 1:
        raise InputError(
            f"kind='log-odds' was given for {columns} columns", "one column [examples, 1]", "Say kind='logits'."
        )
    riddle = in_unit(values) if columns == 1 else look_like_probabilities(values)
    if riddle and said is None and columns == 1:
        raise InputError(
            "the outputs have one column whose values all lie in 0..1: they may be probabilities or log-odds of class "
            "1",
            "kind= to say which",
            "Say kind='probabilities' for sigmoid outputs, kind='log-odds' for logits.",
        )
    if said is None:
        refuse_percent(values)
    known = said or ("probabilities" if riddle and _all_near_one(values) else None)
    if known in ("probabilities", "log-probabilities"):
        return as_log_probabilities(values, known), "log-probabilities"
    return values, ("log-odds" if columns == 1 else "logits") if riddle and said is not None else None


def _all_near_one(values: NDArray[Any]) -> bool:
    """Whether every row may be badly rounded probabilities, which are then refused; else the reading decides."""
    return bool((np.abs(values.sum(axis=1, dtype=np.float64) - 1) < NEAR_ONE).all())


def _classes(array: NDArray[Any], n_examples: int) -> NDArray[Any]:
    if array.shape != (n_examples,):
        raise InputError(f"the predicted classes have shape {array.shape}", f"({n_examples},), one per example")
    return checked_classes(array, None)
