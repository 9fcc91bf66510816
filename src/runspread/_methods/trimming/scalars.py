"""Scalar outputs [statistics, runs, examples] of many runs, read from arrays or a study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._errors import InputError
from ..._results import Excluded
from .._sources import RunOutputs, as_outputs
from .margins import MARGINS, Floats, Margin, clip_gaps, margins


@dataclass(frozen=True)
class Reading:
    """How outputs become scalars.

    Attributes
    ----------
    margin : str or None
        Kind of margin; None for the gap of up to two classes, one-vs-rest of more.
    classes : (int, int) or None
        Classes of the pairwise margin.
    clip : (float, float) or None
        Bounds to which scalars are saturated.
    """

    margin: Margin | None = None
    classes: tuple[int, int] | None = None
    clip: tuple[float, float] | None = None

    def scalars(self, logits: NDArray[Any], labels: NDArray[np.int64] | None) -> Floats:
        """Return [statistics, runs, examples] of logits [runs, examples, classes]."""
        kind = self.kind(logits.shape[-1])
        values = margins(logits, kind, labels=labels, classes=self.classes)
        values = np.moveaxis(values, -1, 0) if kind == "one-vs-rest" else values[None]
        return values if self.clip is None else clip_gaps(values, self.clip)

    def labels_of(self, kind: Margin, labels: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
        """Return the labels of the examples that have a scalar output."""
        if labels is None or kind != "pairwise" or self.classes is None:
            return labels
        return labels[np.isin(labels, self.classes)]

    def kind(self, classes: int) -> Margin:
        """Return the kind of margin that outputs of that many classes get."""
        return self.margin or ("gap" if classes <= 2 else "one-vs-rest")


@dataclass(frozen=True)
class Scalars:
    """Scalar outputs of the usable runs of a source.

    Attributes
    ----------
    values : ndarray [statistics, runs, examples]
        One statistic, or one a class for the one-vs-rest margin.
    run_ids : tuple of str
        Ids of the runs.
    excluded : tuple of Excluded
        Runs without usable outputs.
    margin : str
        Kind of margin.
    labels : ndarray of int64 [examples] or None
        True classes of the examples.
    """

    values: Floats
    run_ids: tuple[str, ...]
    excluded: tuple[Excluded, ...]
    margin: str
    labels: NDArray[np.int64] | None
    _outputs: RunOutputs
    _reading: Reading
    _rows: NDArray[np.intp]

    def of_ensembles(self, members: NDArray[np.bool_]) -> Floats:
        """Return the scalars [statistics, ensembles, examples] of averaged logits.

        Parameters
        ----------
        members : ndarray of bool [ensembles, runs]
            Which runs each ensemble averages.
        """
        weights = np.zeros((len(members), self._outputs.shape[0]))
        weights[:, self._rows] = members
        total, start = np.zeros((len(members), *self._outputs.shape[1:])), 0
        for chunk in self._outputs.chunks():
            here = weights[:, start : start + len(chunk)]
            used = here.any(0)  # excluded runs may hold NaN
            total += np.tensordot(here[:, used], chunk[used].astype(np.float64), axes=1)
            start += len(chunk)
        return self._reading.scalars(total / weights.sum(1)[:, None, None], self._outputs.labels)

    def mean_accuracy(self) -> float:
        """Return the mean accuracy of the usable runs on all examples; NaN without labels or with one logit."""
        labels = self._outputs.labels
        if labels is None or self._outputs.shape[2] < 2:
            return float("nan")
        right = [float((logits.argmax(-1) == labels).mean()) for logits in _runs(self._outputs)]
        return float(np.mean(np.array(right)[self._rows]))


def read_scalars(source: Any, labels: ArrayLike | None, split: str, reading: Reading) -> Scalars:
    """Read scalar outputs of every run; runs with NaN among their outputs are excluded and named.

    Parameters
    ----------
    source : array_like, RunOutputs or study
        Logits [runs, examples, classes], or scalar outputs of a floating type [runs, examples].
    labels : array_like of int [examples], optional
        True classes, for margins that need them.
    split : str
        Split of a study.
    reading : Reading
        How outputs become scalars.
    """
    if reading.margin is not None:
        check_choice(reading.margin, "kind of margin", MARGINS)
    outputs = as_outputs(_with_classes(source), labels, split=split)
    if len(outputs.shape) != 3:
        raise InputError("predicted classes", "logits or scalar outputs", "Classes alone have no distribution of gaps.")
    values, kept, excluded = [], [], list(outputs.excluded)
    for run, logits in enumerate(_runs(outputs)):
        if np.isnan(logits).any():
            excluded.append(Excluded(outputs.run_ids[run], "NaN among its outputs"))
            continue
        values.append(reading.scalars(logits[None], outputs.labels))
        kept.append(run)
    if not kept:
        raise InputError(
            "no run has usable outputs", "at least one", "; ".join(f"{e.run}: {e.reason}" for e in excluded)
        )
    ids = tuple(outputs.run_ids[run] for run in kept)
    kind = reading.kind(outputs.shape[2])
    return Scalars(
        values=np.concatenate(values, 1),
        run_ids=ids,
        excluded=tuple(excluded),
        margin=kind,
        labels=reading.labels_of(kind, outputs.labels),
        _outputs=outputs,
        _reading=reading,
        _rows=np.array(kept, dtype=np.intp),
    )


def _with_classes(source: Any) -> Any:
    """Return scalar outputs [runs, examples] as logits of one class; anything else as it is."""
    if isinstance(source, RunOutputs) or hasattr(source, "predictions"):
        return source
    array = np.asarray(source) if not isinstance(source, np.ndarray) else source
    return array[..., None] if array.ndim == 2 and array.dtype.kind == "f" else array


def _runs(outputs: RunOutputs) -> Iterator[NDArray[Any]]:
    for chunk in outputs.chunks():
        yield from chunk
