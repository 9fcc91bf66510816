"""What a method is given as outputs of runs (arrays, tensors, paths, readers, studies) becomes `RunOutputs`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import to_numpy
from ..errors import InputError
from .kinds import check_kind
from .labels import labels_of
from .opening import opened, opened_labels
from .outputs import (
    RunOutputs,
    View,
    array_outputs,
    kind_of,
    said_to_be,
)
from .protocols import is_study


def as_outputs(
    source: Any,
    labels: Any = None,
    *,
    split: str = "test",
    kind: str | None = "auto",
    scalars: bool = False,
    columns: bool = False,
) -> RunOutputs:
    """Return `source` as `RunOutputs`.

    Parameters
    ----------
    source : array_like, path, RunOutputs or study
        Logits or probabilities [runs, examples, classes], predicted classes [runs, examples] of an integer type,
        a study's reader, a study (of which `split` is read), or the path of a study or of files of outputs.
    labels : array_like of int [examples] or path, optional
        True classes; taken from the source where it has them.
    split : str
        Which split of a study to read.
    kind : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
        What the numbers are.
    scalars : bool
        Whether scalar outputs [runs, examples] of a floating type will do; they come as one column.
    columns : bool
        Whether a study's digest columns will do: then its outputs are not looked at until they are asked for.

    Raises
    ------
    InputError
        The array has the wrong number of axes, no runs or no examples, its kind cannot be told, or the labels do not
        fit it.
    """
    said, labels = check_kind(kind), opened_labels(labels)
    source = opened(source)
    outputs = predictions_of(source, split, columns=columns) if is_study(source) else source
    if isinstance(outputs, RunOutputs):
        outputs = _with_labels(outputs, labels)
    else:
        outputs = array_outputs(_as_array(source), labels, said)
    if 0 in outputs.shape:
        raise InputError(f"the outputs have shape {outputs.shape}", "at least one run and one example")
    return said_to_be(outputs, said, scalars)


def predictions_of(study: Any, split: str, *, columns: bool = False) -> RunOutputs:
    """Return a study's reader of a split: of the digest columns, where those will do and all runs have them."""
    found: RunOutputs | None = study.digest(split) if columns and hasattr(study, "digest") else None
    return study.predictions(split) if found is None else found


def examples_of(source: Any, split: str = "test") -> str | None:
    """Return the digest of the examples' ids of a study's split, or of its reader; None where none were recorded."""
    outputs = predictions_of(source, split, columns=True) if is_study(source) else source
    return getattr(outputs, "example_ids", None)


def _as_array(source: Any) -> NDArray[Any]:
    try:
        found = to_numpy(source)
        array = found if isinstance(found, np.ndarray) else np.asarray(found)
    except ValueError as error:
        raise InputError(
            f"the outputs do not form an array ({error})", "runs of one shape, with outputs on the same examples"
        ) from error
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise InputError(
            "the outputs have masked entries",
            "numbers",
            "Exclude the examples or runs that are masked; only correct= takes a mask.",
        )
    return np.ma.getdata(array) if isinstance(array, np.ma.MaskedArray) else array


def _with_labels(outputs: RunOutputs, labels: ArrayLike | None) -> RunOutputs:
    """Return outputs with labels that were given beside them, if they have none of their own."""
    if labels is None:
        return outputs
    if outputs.labels is not None:
        if np.array_equal(outputs.labels, np.asarray(to_numpy(labels))):
            return outputs
        raise InputError(
            "labels were given for a source that has its own", hint="Drop the labels; only arrays need them."
        )
    return View(outputs, labels_of(outputs.shape, labels, kind_of(outputs)), getattr(outputs, "kind", None))
