"""What a method reads run outputs from: an array, or anything that hands them out in chunks (a study's reader does)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import check_labels, to_numpy
from .._errors import InputError
from .._results import Excluded

CHUNK_BYTES = 64 * 2**20


@runtime_checkable
class RunOutputs(Protocol):
    """Outputs of many runs on one set of examples.

    Attributes
    ----------
    shape : tuple of int
        ``(runs, examples, classes)`` for logits or probabilities, where one column is the log-odds of class 1;
        ``(runs, examples)`` for predicted classes.
    labels : ndarray of int64 [examples] or None
        True classes.
    run_ids : tuple of str
        Id of each run, in the order of the first axis.
    excluded : tuple of Excluded
        Runs of the study that have no usable outputs, each with its reason.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def labels(self) -> NDArray[np.int64] | None: ...
    @property
    def run_ids(self) -> tuple[str, ...]: ...
    @property
    def excluded(self) -> tuple[Excluded, ...]: ...

    def chunks(self, max_bytes: int = CHUNK_BYTES) -> Iterator[NDArray[Any]]:
        """Yield the outputs of consecutive runs, at most `max_bytes` at a time (but at least one run)."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayOutputs:
    """`RunOutputs` over one array, in memory or memory-mapped."""

    array: NDArray[Any]
    labels: NDArray[np.int64] | None
    excluded: tuple[Excluded, ...] = ()
    ids: tuple[str, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """``(runs, examples[, classes])``."""
        return self.array.shape

    @property
    def run_ids(self) -> tuple[str, ...]:
        """`ids`, or ``run 0``, ``run 1``, ..."""
        return self.ids if self.ids is not None else tuple(f"run {index}" for index in range(len(self.array)))

    def chunks(self, max_bytes: int = CHUNK_BYTES) -> Iterator[NDArray[Any]]:
        """Yield slices along the first axis."""
        step = max(1, int(max_bytes // max(1, self.array[:1].nbytes)))
        for start in range(0, len(self.array), step):
            yield self.array[start : start + step]
            _forget_pages(self.array)


def _forget_pages(array: NDArray[Any]) -> None:
    """Tell the system that the pages read so far are not needed, so that a large file does not fill the memory."""
    mapped = getattr(array, "_mmap", None)
    # A private (copy-on-write) map would lose its changes; one that others share reads the file again.
    if mapped is not None and getattr(array, "mode", "c") != "c" and hasattr(mapped, "madvise"):
        import mmap

        mapped.madvise(mmap.MADV_DONTNEED)


def n_classes(columns: int) -> int:
    """Return the number of classes of outputs with that many columns: one logit tells two classes apart."""
    return max(columns, 2)


def class_of(logits: NDArray[Any]) -> NDArray[np.intp]:
    """Return the predicted class of logits [..., classes]; of one logit, the log-odds of class 1, by its sign."""
    return (logits[..., 0] > 0).astype(np.intp) if logits.shape[-1] == 1 else logits.argmax(-1)


def as_outputs(source: Any, labels: ArrayLike | None = None, *, split: str = "test") -> RunOutputs:
    """Return `source` as `RunOutputs`.

    Parameters
    ----------
    source : array_like, RunOutputs or study
        Logits or probabilities [runs, examples, classes], predicted classes [runs, examples] of an integer type,
        a study's reader, or a study (of which `split` is read).
    labels : array_like of int [examples], optional
        True classes; taken from the source where it has them.
    split : str
        Which split of a study to read.

    Raises
    ------
    InputError
        The array has the wrong number of axes, no runs or no examples, or the labels do not fit it.
    """
    outputs = source.predictions(split) if hasattr(source, "predictions") else source
    if not isinstance(outputs, RunOutputs):
        found = to_numpy(source)
        outputs = _from_array(found if isinstance(found, np.ndarray) else np.asarray(found), labels)
    elif labels is not None:
        raise InputError(
            "labels were given for a source that carries its own", "labels only with arrays", "Leave labels out."
        )
    if 0 in outputs.shape:
        raise InputError(f"outputs of shape {outputs.shape}", "at least one run and one example")
    return outputs


def examples_of(source: Any, split: str = "test") -> str | None:
    """Return the digest of the examples' ids of a study's split, or of its reader; None where none were recorded."""
    outputs = source.predictions(split) if hasattr(source, "predictions") else source
    return getattr(outputs, "example_ids", None)


def check_same_examples(
    labels: Mapping[str, NDArray[np.int64] | None], ids: Mapping[str, str | None], hint: str = ""
) -> None:
    """Raise an InputError unless sources, by name, agree in the labels and the examples' ids that are known of them."""
    for what, known in (("labels", labels), ("example ids", ids)):
        given = {name: value for name, value in known.items() if value is not None}
        if not given:
            continue
        first, *others = given
        for name in others:
            if not np.array_equal(given[first], given[name]):
                raise InputError(
                    f"{first} and {name} with different {what}", "the same examples in the same order", hint
                )


def _from_array(array: NDArray[Any], labels: ArrayLike | None) -> ArrayOutputs:
    classes = array.ndim == 2 and array.dtype.kind in "iub"
    if not classes and not (array.ndim == 3 and array.dtype.kind == "f"):
        raise InputError(
            f"outputs of shape {array.shape} and dtype {array.dtype}",
            "floating-point logits [runs, examples, classes] or whole-number predicted classes [runs, examples]",
        )
    checked = None if labels is None else check_labels(labels, None if classes else n_classes(array.shape[2]))
    if checked is not None and len(checked) != array.shape[1]:
        raise InputError(f"{len(checked)} labels for {array.shape[1]} examples", "one label an example")
    return ArrayOutputs(array, checked)
