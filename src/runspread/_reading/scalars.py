"""Scalar outputs [statistics, runs, examples] of many runs, read from arrays or a study."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import check_choice
from .._results import Excluded
from ..errors import InputError
from .accepting import as_outputs, examples_of
from .copies import copied_outputs
from .digest_columns import HasColumns
from .kinds import as_logits, check_nan, class_of, count_classes, why_unusable
from .margins import MARGINS, Floats, Margin, UndefinedMargin, clip_gaps, margins
from .outputs import RunOutputs, excluded_by, known_kind, logits_of, nothing_left, refused, run_of, runs_of

_KEPT = 2**26  # bytes of statistics that are kept while one after the other is asked for


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
    rounds : bool
        Whether margins of the true class are rounded as those in a study's digest are.
    """

    margin: Margin | None = None
    classes: tuple[int, int] | None = None
    clip: tuple[float, float] | None = None
    rounds: bool = False

    def __post_init__(self) -> None:
        """Refuse classes where the margin takes none."""
        if self.classes is not None and self.margin != "pairwise":
            raise InputError(
                f"classes={self.classes} was given without margin='pairwise'",
                hint="Pass margin='pairwise' too, or drop classes=.",
            )

    def scalars(self, logits: NDArray[Any], labels: NDArray[np.int64] | None) -> Floats:
        """Return [statistics, runs, examples] of logits [runs, examples, classes]."""
        kind = self.kind(logits.shape[-1])
        values = margins(logits, kind, labels=labels, classes=self.classes)
        values = np.moveaxis(values, -1, 0) if kind == "one-vs-rest" else values[None]
        return self.clipped(values.astype(np.float32) if self.rounds and kind == "true-class" else values)

    def clipped(self, values: NDArray[Any]) -> Floats:
        """Return scalars within the bounds, in double precision."""
        values = values.astype(np.float64, copy=False)
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
    """Scalar outputs of the usable runs of a source, read when they are asked for.

    Attributes
    ----------
    run_ids : tuple of str
        Ids of the runs.
    excluded : tuple of Excluded
        Runs without usable outputs.
    margin : str
        Kind of margin.
    labels : ndarray of int64 [examples] or None
        True classes of the examples.
    n_statistics, n_examples : int
        One statistic, or one per class for the one-vs-rest margin; examples that have a scalar output.
    """

    run_ids: tuple[str, ...]
    excluded: tuple[Excluded, ...]
    margin: str
    labels: NDArray[np.int64] | None
    n_statistics: int
    n_examples: int
    _outputs: RunOutputs
    _reading: Reading
    _rows: NDArray[np.intp]

    @property
    def outputs(self) -> RunOutputs:
        """Outputs of all runs that they are made of."""
        return self._outputs

    @property
    def reading(self) -> Reading:
        """How outputs become scalars."""
        return self._reading

    @property
    def n_classes(self) -> int:
        """Number of classes of the outputs."""
        return count_classes(None, self._outputs.shape[2])

    @property
    def is_single(self) -> bool:
        """Whether an output is one number per example."""
        return self._outputs.shape[2] == 1

    @property
    def example_ids(self) -> str | None:
        """Digest of the examples' ids, where they were recorded."""
        return examples_of(self._outputs)

    @cached_property
    def values(self) -> Floats:
        """All of them [statistics, runs, examples], in memory from then on."""
        found = np.empty((self.n_statistics, len(self.run_ids), self.n_examples))
        for run, values in enumerate(self.each(range(len(self.run_ids)))):
            found[:, run] = values
        return found

    def each(self, runs: Iterable[int]) -> Iterator[Floats]:
        """Yield the scalars [statistics, examples] of some runs one by one, in the order of the source."""
        wanted = set(self._rows[np.asarray(list(runs), dtype=np.intp)].tolist())
        margin = columns_for(self._outputs, self.margin)
        for row, numbers in enumerate(runs_of(self._outputs if margin is None else margin)):
            if row in wanted and margin is None:
                yield self._reading.scalars(numbers[None], self._outputs.labels)[:, 0]
            elif row in wanted:
                yield self._reading.clipped(numbers[None])

    def blocks(self, number: int, runs: Iterable[int], size: int) -> Iterator[Floats]:
        """Yield one statistic of some runs, `size` runs [size, examples] at a time."""
        rows = self._rows_of(number, list(runs))
        while block := list(islice(rows, size)):
            yield np.stack(block)

    def _rows_of(self, number: int, runs: list[int]) -> Iterator[Floats]:
        """Yield one statistic of some runs; its neighbours are kept, for each takes the scalars of all classes."""
        at_once = _KEPT // (8 * len(self.run_ids) * self.n_examples)
        if at_once < 2 or self.n_statistics == 1:
            return (values[number].copy() for values in self.each(runs))
        first = number // at_once * at_once
        if first not in self._neighbours:
            self._neighbours.clear()
            count = min(at_once, self.n_statistics - first)
            found = self._neighbours[first] = np.empty((count, len(self.run_ids), self.n_examples))
            for run, values in enumerate(self.each(range(len(self.run_ids)))):
                found[:, run] = values[first : first + count]
        return iter(self._neighbours[first][number - first, runs])

    @cached_property
    def _neighbours(self) -> dict[int, Floats]:
        """The statistics [statistics, runs, examples] that were read last, by the number of the first."""
        return {}

    @cached_property
    def digests(self) -> tuple[bytes, ...]:
        """A digest of each run's scalars: equal where two runs have exactly the same."""
        values = self.each(range(len(self.run_ids)))
        return tuple(hashlib.blake2b(each.tobytes(), digest_size=16).digest() for each in values)

    def count_in(self, others: Scalars) -> int:
        """Return how many runs have exactly the scalars of one of the other runs."""
        known = set(others.digests)
        return sum(digest in known for digest in self.digests)

    def count_copies(self) -> int:
        """Return how many runs have exactly the scalars of an earlier run."""
        return len(self.run_ids) - len(set(self.digests))

    def distinct(self) -> Scalars:
        """Return the runs without those whose outputs are an earlier run's, exactly or nearly, which are excluded."""
        copies = copied_outputs(self._outputs)[0]
        again = {run: group[0] for group in copies.groups for run in group[1:]}
        kept = np.array([row not in again for row in self._rows], bool)
        if kept.all():
            return self
        ids = self._outputs.run_ids
        gone = [Excluded(ids[run], f"the outputs of {ids[again[run]]} again") for run in self._rows[~kept].tolist()]
        return replace(
            self,
            run_ids=tuple(name for name, keep in zip(self.run_ids, kept, strict=True) if keep),
            excluded=(*self.excluded, *gone),
            _rows=self._rows[kept],
        )

    def of_ensembles(self, members: NDArray[np.bool_]) -> Floats:
        """Return the scalars [statistics, ensembles, examples] of averaged logits.

        Parameters
        ----------
        members : ndarray of bool [ensembles, runs]
            Which runs each ensemble averages.
        """
        wanted = dict(zip(self._rows.tolist(), members.T, strict=True))
        total = np.zeros((len(members), *self._outputs.shape[1:]))
        for row, logits in enumerate(runs_of(self._outputs)):
            own = np.flatnonzero(wanted.get(row, False))
            if len(own):  # one by one, and not as a product of matrices, whose sums depend on the processor
                with np.errstate(invalid="ignore"):
                    total[own] += logits
        if np.isnan(total).any():
            raise InputError(
                "the logits of one example and class are +infinity in one run and -infinity in another, so they have "
                "no average",
                hint="Use the mixture, which averages distributions, or exclude these runs.",
            )
        return self._reading.scalars(total / members.sum(1)[:, None, None], self._outputs.labels)

    @cached_property
    def votes(self) -> NDArray[np.unsignedinteger[Any]]:
        """Predicted classes [runs, examples] of the usable runs on all examples, in memory from then on."""
        kind = np.min_scalar_type(self.n_classes - 1)
        if isinstance(self._outputs, HasColumns):
            classes = [row.astype(kind) for row in runs_of(self._outputs.digest_column("class"))]
        else:
            classes = [class_of(logits).astype(kind) for logits in runs_of(self._outputs)]
        return np.stack([classes[row] for row in self._rows])

    @cached_property
    def right(self) -> NDArray[np.int64] | None:
        """On how many examples each usable run gives the true class [runs]; None without labels."""
        labels = self._outputs.labels
        return None if labels is None else np.count_nonzero(self.votes == labels, axis=1).astype(np.int64)

    def mean_accuracy(self) -> float:
        """Return the mean accuracy of the usable runs on all examples; NaN without labels."""
        return float("nan") if self.right is None else float(self.right.mean() / self._outputs.shape[1])


def read_scalars(
    source: Any, labels: Any, split: str, reading: Reading, *, kind: str = "auto", nan: str = "exclude"
) -> Scalars:
    """Find the usable runs of a source; those that have no scalar outputs are excluded and named.

    Parameters
    ----------
    source : array_like, path, RunOutputs or study
        Logits or probabilities [runs, examples, classes], or scalar outputs of a floating type [runs, examples].
    labels : array_like of int [examples] or path, optional
        True classes, for margins that need them.
    split : str
        Split of a study.
    reading : Reading
        How outputs become scalars.
    kind : str
        What the numbers are; probabilities are taken as their logarithms, which are logits.
    nan : {"exclude", "raise"}
        Whether runs with NaN, a positive infinity or a row without a finite entry are excluded, or an error.
    """
    if reading.margin is not None:
        check_choice(reading.margin, "kind of margin", MARGINS)
    nan = check_nan(nan)
    given = as_outputs(source, labels, split=split, kind=kind, scalars=True, columns=reading.margin == "true-class")
    if len(given.shape) != 3:
        raise InputError(
            "predicted classes alone have no distribution of margins",
            "logits, probabilities or scalar outputs",
        )
    reading = replace(reading, rounds=getattr(given, "rounds", False))
    outputs, known = logits_of(given), known_kind(given)
    columns = columns_for(given, reading.margin)
    suspects = enumerate(runs_of(given)) if columns is None else _undefined(given, columns)
    found = {run: _unusable(values, known, reading, given.labels) for run, values in suspects}
    reasons = {run: reason for run, reason in found.items() if reason}
    if reasons and nan == "raise":
        raise refused(given, reasons)
    kept = [run for run in range(given.shape[0]) if run not in reasons]
    excluded = excluded_by(given, reasons)
    if not kept:
        raise nothing_left(excluded, given.shape[0])
    margin = reading.kind(outputs.shape[2])
    shape = (1, 1, outputs.shape[1])
    if columns is None:  # bad settings show here
        shape = reading.scalars(run_of(outputs, kept[0])[None], outputs.labels).shape
    return Scalars(
        run_ids=tuple(outputs.run_ids[run] for run in kept),
        excluded=excluded,
        margin=margin,
        labels=reading.labels_of(margin, outputs.labels),
        n_statistics=shape[0],
        n_examples=shape[2],
        _outputs=outputs,
        _reading=reading,
        _rows=np.array(kept, dtype=np.intp),
    )


def columns_for(outputs: RunOutputs, margin: str | None) -> Any:
    """Return the digest column that holds a kind of margin; None where there is none."""
    return outputs.digest_column("margin") if margin == "true-class" and isinstance(outputs, HasColumns) else None


def _undefined(outputs: RunOutputs, margin: Any) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield position and outputs of the runs whose margins are not numbers, which the outputs alone explain."""
    for run, row in enumerate(runs_of(margin)):
        if np.isnan(row).any():
            yield run, run_of(outputs, run)


def _unusable(values: NDArray[Any], kind: str, reading: Reading, labels: NDArray[np.int64] | None) -> str:
    """Return why a run [examples, classes] has no scalar outputs; nothing if it has."""
    reason = why_unusable(values, kind)
    if reason or (kind != "probabilities" and np.isfinite(values).all()):
        return reason
    try:
        reading.scalars(as_logits(values, kind)[None], labels)
    except UndefinedMargin as error:
        return error.found
    return ""
