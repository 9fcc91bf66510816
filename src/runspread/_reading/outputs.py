"""What a method reads run outputs from: an array, a path, or anything that hands them out in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._results import Excluded
from ..errors import InputError
from .kinds import LOGITS, SCALARS, as_logits, in_unit, look_like_probabilities, one_logit, refuse_percent
from .labels import labels_of, refuse_square

CHUNK_BYTES = 64 * 2**20
CORRUPT_SHARD = "corrupt shard"  # how the reason begins why a run that is recorded was not read
LOOK_BYTES = 2**16  # read to see whether one column lies within 0..1, before more is read
ONE_RUN = "One run? The first axis is runs: pass x[None]."


@runtime_checkable
class RunOutputs(Protocol):
    """Outputs of many runs on one set of examples.

    A source may also have a ``kind`` (one of `KINDS`, or None where it is not known) and give one run as
    ``source[index]``.

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
    kind: str | None = None

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
            yield on_floats(self.array[start : start + step])
            _forget_pages(self.array)

    def __getitem__(self, index: int) -> NDArray[Any]:
        return on_floats(self.array[index])


def on_floats(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers that NumPy can compute with: bfloat16, which it has not, in single precision."""
    if values.dtype.kind != "V":
        return values
    return np.left_shift(values.view(np.uint16).astype(np.uint32), np.uint32(16)).view(np.float32)


def _forget_pages(array: NDArray[Any]) -> None:
    """Tell the system that the pages read so far are not needed, so that a large file does not fill the memory."""
    mapped = getattr(array, "_mmap", None)
    # A private (copy-on-write) map would lose its changes; one that others share reads the file again.
    if mapped is not None and getattr(array, "mode", "c") != "c" and hasattr(mapped, "madvise"):
        import mmap

        mapped.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True, eq=False)
class View:
    """Outputs of which more is said than their source knows: what they are, the labels, that they are one column."""

    source: RunOutputs
    labels: NDArray[np.int64] | None
    kind: str | None
    column: bool = False
    logits: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """``(runs, examples[, columns])``."""
        shape = (*self.source.shape, 1) if self.column else self.source.shape
        two = self.logits and shape[-1] == 1 and self.kind in ("probabilities", "log-probabilities")
        return (*shape[:-1], 2) if two else shape

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Ids of the runs."""
        return self.source.run_ids

    @property
    def excluded(self) -> tuple[Excluded, ...]:
        """Runs that the source excludes."""
        return self.source.excluded

    @property
    def example_ids(self) -> str | None:
        """Digest of the examples' ids, where they were recorded."""
        return getattr(self.source, "example_ids", None)

    def chunks(self, max_bytes: int = CHUNK_BYTES) -> Iterator[NDArray[Any]]:
        """Yield the outputs of consecutive runs."""
        return map(self._seen, self.source.chunks(max_bytes))

    def __getitem__(self, index: int) -> NDArray[Any]:
        return self._seen(run_of(self.source, index))

    def _seen(self, values: NDArray[Any]) -> NDArray[Any]:
        values = values[..., None] if self.column else values
        return as_logits(values, self.kind) if self.logits else values


def run_of(outputs: RunOutputs, index: int) -> NDArray[Any]:
    """Return the outputs of one run; a source without an index is read from its start."""
    if hasattr(outputs, "__getitem__"):
        rows: Any = outputs
        return rows[index]
    return next(islice(runs_of(outputs), index, None))


def runs_of(outputs: RunOutputs) -> Iterator[NDArray[Any]]:
    """Yield the outputs of every run."""
    for chunk in outputs.chunks():
        yield from chunk


def kind_of(outputs: RunOutputs) -> str | None:
    """Return what a source says that its numbers are; two axes are predicted classes unless it says otherwise."""
    kind = getattr(outputs, "kind", None)
    return "classes" if kind is None and len(outputs.shape) == 2 else kind


def known_kind(outputs: RunOutputs) -> str:
    """Return what the numbers are: as was said, else by the looks of the first run without NaN."""
    kind = kind_of(outputs)
    if kind is not None:
        return kind
    for block in runs_of(outputs):
        if not np.isnan(block.min()):
            refuse_percent(block)
            return "probabilities" if look_like_probabilities(block) else "logits"
    return "logits"


def corrupt_shards(source: Any) -> tuple[Excluded, ...]:
    """Return the shards of a study that cannot be read, which every result on its runs names."""
    return tuple(Excluded(f"shard {name}", "corrupt") for name in getattr(source, "corrupt", ()))


def logits_of(outputs: RunOutputs) -> RunOutputs:
    """Return outputs of any kind but classes as logits: logarithms of probabilities, all else as it is."""
    kind = known_kind(outputs)
    return View(outputs, outputs.labels, kind, logits=True) if kind not in (*LOGITS, SCALARS) else outputs


def excluded_by(outputs: RunOutputs, reasons: Mapping[int, str]) -> tuple[Excluded, ...]:
    """Return the runs that the source and the reading excluded, each with its reason."""
    ids = outputs.run_ids
    return outputs.excluded + tuple(Excluded(ids[index], reason) for index, reason in sorted(reasons.items()))


def refused(outputs: RunOutputs, reasons: Mapping[int, str]) -> InputError:
    """Return the error of ``nan="raise"``, which names the first run."""
    first = min(reasons)
    return InputError(
        f"{outputs.run_ids[first]} cannot be used: {reasons[first]}",
        "finite outputs",
        "Drop nan= to exclude and name such runs.",
    )


def nothing_left(excluded: tuple[Excluded, ...], runs: int, limit: int = 3) -> InputError:
    """Return the error for a source without one usable run."""
    shown = "; ".join(f"{item.run}: {item.reason}" for item in excluded[:limit])
    more = f"; and {len(excluded) - limit} more" if len(excluded) > limit else ""
    none = "no run" if runs == 1 else f"none of the {runs} runs"
    return InputError(f"{none} has usable outputs: {shown}{more}", "at least one run with finite outputs")


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
                    f"{first} and {name} have different {what}", "the same examples in the same order", hint
                )


# ------------------------------------------------------------------ arrays


def array_outputs(
    array: NDArray[Any], labels: ArrayLike | None, said: str | None = None, ids: tuple[str, ...] | None = None
) -> ArrayOutputs:
    """Return an array as `RunOutputs`: two axes of whole numbers are predicted classes, of floats scalar outputs."""
    kind = array.dtype.kind
    floats = kind == "f" or array.dtype == np.dtype("V2")  # which is how NumPy reads bfloat16
    if array.ndim == 2 and (kind in "iub" or floats):
        found = "classes" if kind in "iub" or said == "classes" else SCALARS
    elif array.ndim == 3 and floats:
        found = None
    else:
        raise InputError(
            f"the outputs have shape {array.shape} and dtype {array.dtype}",
            "floating-point logits [runs, examples, classes] or whole-number predicted classes [runs, examples]",
            _hint_of_axes(array),
        )
    return ArrayOutputs(array, None if labels is None else labels_of(array.shape, labels, said), (), ids, found)


def _hint_of_axes(array: NDArray[Any]) -> str:
    if array.ndim == 1:
        return f"{ONE_RUN} Accuracies alone, one number per run, hold no outputs: plan_runs takes variance=."
    if array.ndim == 3 and array.dtype.kind in "iub":
        return "If these are logits, convert them: x.astype(float); if they are one-hot classes, pass x.argmax(-1)."
    return ""


# ------------------------------------------------------------------ what was said of them


def said_to_be(outputs: RunOutputs, said: str | None, scalars: bool = False) -> RunOutputs:
    """Return outputs of the kind that was said, or that follows; what can be two things is refused."""
    known = kind_of(outputs)
    if known == SCALARS:
        return _one_number(outputs, said, scalars)
    if said is not None and known not in (None, said) and not {known, said} <= {*LOGITS}:
        raise InputError(
            f"kind={said!r} was given for outputs that are {known}", f"kind={known!r}, or none", "Drop kind=."
        )
    if len(outputs.shape) == 2:
        return outputs
    columns = outputs.shape[2]
    if said == "classes" or (said == "log-odds" and columns != 1):
        wanted = "[runs, examples]" if said == "classes" else "one column [runs, examples, 1]"
        raise InputError(f"the outputs have shape {outputs.shape}, but kind={said!r} was given", wanted)
    kind = known if known is not None and said == "logits" else said or known
    if columns == 1 and (kind is None or (kind == "logits" and one_logit(kind, columns, outputs.labels))):
        kind = "log-odds" if kind else _column_kind(outputs)
    return outputs if kind == known else View(outputs, outputs.labels, kind)


def _one_number(outputs: RunOutputs, said: str | None, scalars: bool) -> RunOutputs:
    """Return one number for each run and example as a column, if the method takes such or their kind was said."""
    column = len(outputs.shape) == 2
    if said == "classes" and column:
        return View(outputs, outputs.labels, said)
    if said in ("log-odds", "probabilities", "log-probabilities"):
        return View(outputs, outputs.labels, said, column)
    if scalars and said is None:
        if column and outputs.labels is not None and hasattr(getattr(outputs, "source", outputs), "array"):
            refuse_square(outputs.shape)
        return View(outputs, outputs.labels, SCALARS, column)
    array = getattr(outputs, "array", None)
    dtype = "" if array is None else f" and dtype {array.dtype}"
    raise InputError(
        f"the outputs are scalars of shape {outputs.shape}{dtype}" + (f", with kind={said!r}" if said else ""),
        "outputs for every class [runs, examples, classes], or whole-number predicted classes [runs, examples]",
        "If this is one run, pass x[None]. If it is one number per run and example for two classes, say "
        "kind='log-odds' "
        "or kind='probabilities' (of class 1).",
    )


def _column_kind(outputs: RunOutputs) -> str:
    """Return what one column is; numbers that may be the log-odds or the probability of class 1 are refused."""
    if all(in_unit(chunk) for chunk in outputs.chunks(LOOK_BYTES)):
        raise InputError(
            "the outputs have one column whose values all lie in 0..1: they may be probabilities or log-odds of class "
            "1",
            "kind= to say which",
            "Say kind='probabilities' for sigmoid outputs, kind='log-odds' for logits (on the command line --kind).",
        )
    return "log-odds"
