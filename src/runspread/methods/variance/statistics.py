"""`RunStatistics`: what the variance methods need from the outcomes of many runs, in one pass and in exact integers."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_labels
from ..._reading.accepting import as_outputs
from ..._reading.classes import hits
from ..._reading.copies import Copies, copied_outcomes, equal_groups, identical_outcomes
from ..._reading.correctness import Outcome, Outcomes, UnusableRun, checked_correct
from ..._reading.kinds import check_nan
from ..._results import Excluded
from ...errors import InputError
from .accumulators import (
    Segment,
    checked_examples,
    checked_half,
    checked_ids,
    claim,
    confusions,
    predictions_of,
    summed,
    widened,
)
from .counting import confusion_matrices, load_counting, packed_rows
from .defaults import GROUPS
from .sums import RunSums, group_edges, sum_of_squares

_MOST_BITS = 2**32
_SUMS = ("_right", "_weighted", "_abstained", "_votes")  # arrays that counting adds to


class RunStatistics:
    """Sums over the outcomes of many runs, from which every variance and calibration estimate follows.

    Outcomes come in chunks of runs, in any chunking and, where `n_runs` is given, in any order; every accumulator is an
    exact integer, so the result does not depend on it. Partial statistics merge.

    Parameters
    ----------
    labels : array_like of int [examples], optional
        True classes. Needed for `update`; for `update_correct` give `n_examples` instead.
    n_examples : int, optional
        Number of examples, when there are no labels.
    n_classes : int, optional
        Number of classes; otherwise the largest class seen decides.
    n_runs : int, optional
        How many runs there will be. With it the statistics keep sums by contiguous groups of runs (for the grouped
        jackknife) and votes by the first and second half of the runs; without it there is one group, and votes are
        kept by even and odd runs.
    groups : int
        Number of groups of runs.
    votes : bool
        Whether to count votes (for `calibration`); needs predictions, and K more comparisons an example.
    first_half : array_like of bool [examples], optional
        The first of two halves of the examples; default the even indices.
    keep_bits : bool
        Whether to keep the correctness itself, eight examples a byte (75 MB for 60,000 runs on 10,000 examples). With
        it `variance` has everything that it has from the outcomes; without it the jackknife over runs is grouped, and
        there are no pairs, clusters, weights or strata.
    keep_confusion : bool
        Whether to keep the confusion matrix of every run (for `two_group_tasks`): K x K counts of two bytes per run, of
        four beyond 65,535 examples. Needs labels, predictions and votes.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> statistics = rs.methods.variance.RunStatistics(labels=np.array([0, 1, 1]), n_runs=4)
    >>> statistics.update(np.array([[0, 1, 1], [0, 0, 1]]))
    >>> statistics.update(np.array([[1, 1, 1], [0, 1, 0]]))
    >>> statistics.sums
    RunSums(n_runs=4, n_examples=3, t1=9, t2=21, s2=27)
    """

    def __init__(
        self,
        labels: ArrayLike | None = None,
        *,
        n_examples: int | None = None,
        n_classes: int | None = None,
        n_runs: int | None = None,
        groups: int = GROUPS,
        votes: bool = True,
        first_half: ArrayLike | None = None,
        keep_bits: bool = False,
        keep_confusion: bool = False,
    ) -> None:
        if keep_confusion and (labels is None or not votes):
            raise InputError("got confusion matrices without labels or votes", "labels=, and votes=True")
        self.keep_bits, self.keep_confusion = keep_bits, keep_confusion
        self.labels = None if labels is None else check_labels(labels, n_classes)
        self.n_examples = checked_examples(self.labels, n_examples)
        self.declared_runs = n_runs
        if groups < 1 or (n_runs is not None and n_runs < 1):
            raise InputError(f"got groups={groups} and n_runs={n_runs}", "at least one group and one run")
        self.first_half = checked_half(first_half, self.n_examples)
        self.edges = group_edges(n_runs, min(groups, n_runs)) if n_runs else np.array([0, 0])
        self._class_limit = n_classes
        self._segments: list[Segment] = []
        self._taken: list[tuple[int, int]] = []
        self._right = np.zeros((len(self.edges) - 1, self.n_examples), np.int64)
        self._weighted = np.zeros(self.n_examples, np.int64)
        width = n_classes or (0 if self.labels is None else int(self.labels.max()) + 1)
        self._votes = np.zeros((2, width, self.n_examples), np.int32) if votes else None
        self._first: NDArray[np.bool_] | None = None
        self._abstained = np.zeros((2, self.n_examples), np.int32)
        self._half_runs = [0, 0]
        self.excluded: tuple[Excluded, ...] = ()

    def update(
        self,
        outputs: ArrayLike,
        *,
        start: int | None = None,
        kind: str = "auto",
        nan: str = "exclude",
        run_ids: Sequence[str] = (),
    ) -> None:
        """Count the outputs of consecutive runs; where that fails, the statistics stay as they were.

        Parameters
        ----------
        outputs : array_like
            Logits [runs, examples, classes] of any floating type, or predicted classes [runs, examples]; -1 means no
            prediction: never correct, and an extra class for the votes.
        start : int, optional
            Position of the first of these runs among all; default the one after the last.
        kind : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
            What the outputs are.
        nan : {"exclude", "raise", "abstain"}
            What outputs with NaN, a positive infinity or a row without a finite entry mean: a run to exclude, named
            in ``excluded`` (where `n_runs` was declared such a run is an error: it was counted upon), an error, or no
            prediction on those examples.
        run_ids : sequence of str, optional
            Ids of these runs, which results then name them by.
        """
        nan = check_nan(nan, abstain=True)
        if self.labels is None:
            raise InputError("got predictions without labels", "labels= at construction, or update_correct")
        if np.shape(outputs)[:1] == (0,):
            return
        found = as_outputs(outputs, self.labels, kind=kind)
        drops = nan == "exclude" and self.declared_runs is None
        predicted, lost = predictions_of(found, self._class_limit, None if drops else nan, start or 0)
        ids = checked_ids(run_ids, len(predicted) + len(lost))
        seen = self.n_runs + len(self.excluded) if start is None else start
        gone = tuple(Excluded(ids[row] if ids else f"run {seen + row}", reason) for row, reason in lost.items())
        kept = tuple(name for row, name in enumerate(ids) if row not in lost)
        outcomes = [Outcome(hits(predicted, self.labels), predicted)] if len(predicted) else []
        self._commit(outcomes, start, kept, excluded=self.excluded + gone)

    def update_correct(
        self, correct: ArrayLike, *, start: int | None = None, packed: bool = False, run_ids: Sequence[str] = ()
    ) -> None:
        """Count the correctness of consecutive runs; where that fails, the statistics stay as they were.

        Parameters
        ----------
        correct : array_like of bool or 0/1 [runs, examples]
            Which examples each run gets right; with `packed`, the bytes of ``numpy.packbits(..., axis=1)``.
        start : int, optional
            Position of the first of these runs among all; default the one after the last.
        packed : bool
            Whether `correct` is packed, eight examples a byte.
        run_ids : sequence of str, optional
            Ids of these runs, which results then name them by.
        """
        array = np.asarray(correct)
        width = -(-self.n_examples // 8) if packed else self.n_examples
        if array.ndim != 2 or array.shape[1] != width or (packed and array.dtype != np.uint8):
            raise InputError(f"got correct of shape {array.shape} and dtype {array.dtype}", f"[runs, {width}]")
        if self.keep_confusion:
            raise InputError("got correctness for confusion matrices", "predictions", "Call update.")
        if self._votes is not None and self._votes.any():
            raise InputError("got correctness after predictions", "one kind of outcome", "Pass votes=False for both.")
        bits = np.unpackbits(array, axis=1, count=self.n_examples).view(bool) if packed else checked_correct(array)
        ids = checked_ids(run_ids, len(bits))
        self._commit([Outcome(bits, None)] if len(bits) else [], start, ids, _votes=None)

    def merge(self, other: RunStatistics) -> None:
        """Add the runs of `other`, a part of the same whole.

        With `n_runs` given to both, the parts must hold different positions; otherwise the runs of `other` come after.

        Raises
        ------
        InputError
            The parts are of other examples, labels or plans of runs, or share a position. Nothing is changed then.
        """
        self._check_same_whole(other)
        shift = self._taken[-1][1] if self.declared_runs is None and self._taken else 0
        taken = list(self._taken)
        for segment in other._segments:
            claim(taken, segment.start + shift, segment.start + shift + len(segment.correct), self.declared_runs)
        turn = 1 - 2 * (shift % 2)  # halves are even and odd positions, which an odd shift exchanges
        merged: dict[str, Any] = {
            "_taken": taken,
            "_segments": self._segments + [held._replace(start=held.start + shift) for held in other._segments],
            "_right": self._right + other._right,
            "_weighted": self._weighted + other._weighted,
            "_first": other._first if self._first is None and not shift else self._first,
            "_abstained": self._abstained + other._abstained[::turn],
            "_half_runs": [a + b for a, b in zip(self._half_runs, other._half_runs[::turn], strict=True)],
            "_votes": summed(self._votes, other._votes, turn),
            "excluded": self.excluded + other.excluded,
        }
        vars(self).update(merged)  # all of it is made: nothing here can fail half-way

    def _check_same_whole(self, other: RunStatistics) -> None:
        same = (
            self.n_examples == other.n_examples
            and self.declared_runs == other.declared_runs
            and np.array_equal(self.edges, other.edges)
            and np.array_equal(self.first_half, other.first_half)
            and self._class_limit == other._class_limit
            and (self._votes is None) == (other._votes is None)
            and (self.keep_bits, self.keep_confusion) == (other.keep_bits, other.keep_confusion)
        )
        if not same:
            raise InputError("got statistics of another set of examples or another plan of runs", "the same arguments")
        labels = [labels for labels in (self.labels, other.labels) if labels is not None]
        if len(labels) == 1 or (labels and not np.array_equal(labels[0], labels[1])):
            raise InputError("got statistics with other labels", "the same examples in the same order")

    def _commit(self, outcomes: Sequence[Outcome], start: int | None, run_ids: tuple[str, ...], **changed: Any) -> None:
        """Count outcomes in a copy, and take its place at once: whatever interrupts the counting changes nothing."""
        fresh = copy.copy(self)
        fresh._segments, fresh._half_runs = [*self._segments], [*self._half_runs]
        for name in _SUMS if outcomes else ():
            array = getattr(self, name)
            setattr(fresh, name, None if array is None else array.copy())
        for outcome in outcomes:
            fresh.add(outcome, start, run_ids)
        vars(self).update({**vars(fresh), **changed})

    def add(self, outcome: Outcome, start: int | None, run_ids: tuple[str, ...] = ()) -> None:
        """Count outcomes, adding to the sums in place."""
        correct, predicted = np.ascontiguousarray(outcome.correct), outcome.predicted
        start = start if start is not None else self._taken[-1][1] if self._taken else 0
        taken = list(self._taken)
        claim(taken, start, start + len(correct), self.declared_runs)
        counting = load_counting(max(self.n_runs, self.declared_runs or 0) * self.n_examples)
        counts = counting.half_sums(correct, self.first_half)
        fingerprints = counting.fingerprints(correct if predicted is None else predicted)
        confusion = None
        if self.keep_confusion and predicted is not None and self.labels is not None:
            size = max(self.n_classes, int(predicted.max()) + 1)
            confusion = confusion_matrices(predicted, self.labels, size)
        bits = packed_rows(correct) if self.keep_bits else None
        weighted = counting.weighted_sums(correct, counts.sum(axis=1))
        spans = [(*span, counting.column_sums(correct[span[2]])) for span in self._spans(start, len(correct))]
        if self._votes is not None and predicted is not None and self._class_limit is None:
            self._votes = widened(self._votes, int(predicted.max()) + 1)
        self._segments.append(Segment(start, counts, fingerprints, bits, confusion, run_ids))
        self._taken = taken
        self._weighted += weighted
        if start == 0:
            self._first = correct[0].copy()
        for group, half, rows, right in spans:
            self._right[group] += right
            self._half_runs[half] += len(correct[rows])
            if predicted is not None and self._votes is not None and self.labels is not None:
                counting.add_votes(self._votes[half], self._abstained[half], predicted[rows], right, self.labels)

    def _spans(self, start: int, count: int) -> Iterator[tuple[int, int, slice]]:
        """Yield group, half and rows of each part of a chunk that lies in one of either."""
        if self.declared_runs is None:
            for half in (0, 1):
                if (start + half) % 2 < count:
                    yield 0, half, slice((start + half) % 2, count, 2)
            return
        middle = self.declared_runs // 2
        cuts = {*self.edges.tolist(), middle, start, start + count}
        inside = sorted(cut for cut in cuts if start <= cut <= start + count)
        for low, high in pairwise(inside):
            group = int(np.searchsorted(self.edges, low, "right")) - 1
            yield group, int(low >= middle), slice(low - start, high - start)

    def _joined(self, field: str) -> NDArray[Any]:
        if not self._segments:
            raise InputError("no runs were counted", "at least one", "Call update first.")
        return np.concatenate([getattr(held, field) for held in sorted(self._segments, key=lambda held: held.start)])

    @property
    def n_runs(self) -> int:
        """Number of runs counted so far."""
        return sum(stop - start for start, stop in self._taken)

    @property
    def n_classes(self) -> int:
        """Number of classes, without the extra one for abstentions; 0 where votes are not counted."""
        return 0 if self._votes is None else self._votes.shape[1]

    @property
    def known_classes(self) -> int | None:
        """Number of classes where it was given or counted, or follows from the labels; None for correctness alone."""
        if self._class_limit or self._votes is not None:
            return self._class_limit or self.n_classes
        return None if self.labels is None else int(self.labels.max()) + 1

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Ids of the runs in the order of their positions; empty unless all are known."""
        ordered = sorted(self._segments, key=lambda held: held.start)
        ids = tuple(name for held in ordered for name in held.run_ids)
        return ids if len(ids) == self.n_runs else ()

    @property
    def correct_by_half(self) -> NDArray[np.int64]:
        """Correct predictions of each run on the two halves of the examples [runs, 2]."""
        return self._joined("correct")

    @property
    def correct(self) -> NDArray[np.int64]:
        """Correct predictions of each run [runs]."""
        return self.correct_by_half.sum(axis=1)

    @property
    def right(self) -> NDArray[np.int64]:
        """Runs that are right on each example [examples]."""
        return self._right.sum(axis=0)

    @property
    def right_by_group(self) -> NDArray[np.int64]:
        """Runs of each contiguous group that are right on each example [groups, examples]."""
        return self._right

    @property
    def weighted(self) -> NDArray[np.int64]:
        """Correct predictions of the runs that are right on each example, summed [examples]."""
        return self._weighted

    @property
    def votes(self) -> NDArray[np.int32]:
        """Votes by half of the runs [2, examples, classes]; a last class holds abstentions where there are any."""
        if self._votes is None or not self._votes.size:
            raise InputError("votes were not counted", "statistics of predictions with votes=True")
        votes = self._votes.transpose(0, 2, 1)
        return np.concatenate([votes, self._abstained[..., None]], axis=2) if self._abstained.any() else votes

    @property
    def first_run(self) -> NDArray[np.bool_]:
        """Which examples the first run gets right [examples]."""
        if self._first is None:
            raise InputError("the first run was not counted", "the run at position 0")
        return self._first

    @property
    def packed(self) -> NDArray[np.uint8] | None:
        """Correctness in bits [runs, bytes], rows filled with zeros to whole words; None where it was not kept."""
        return self._joined("bits") if self.keep_bits else None

    @property
    def confusion(self) -> NDArray[np.unsignedinteger[Any]] | None:
        """Confusion matrix of each run [runs, true, predicted], without abstentions; None where they were not kept."""
        return confusions(sorted(self._segments, key=lambda segment: segment.start), self.n_classes)

    @property
    def half_runs(self) -> tuple[int, int]:
        """Number of runs in each half of the runs."""
        return self._half_runs[0], self._half_runs[1]

    @property
    def fingerprints(self) -> list[int]:
        """A fingerprint of each run's outcomes: of the predictions, where they were counted, else of correctness."""
        return self._joined("fingerprints").tolist()

    @property
    def duplicate_pairs(self) -> int:
        """Pairs of runs with identical outcomes (by a 64-bit fingerprint)."""
        return sum(len(group) * (len(group) - 1) // 2 for group in equal_groups(self.fingerprints))

    @property
    def copies(self) -> Copies:
        """Runs whose outcomes are identical beyond chance: they are one run."""
        return copied_outcomes(self.fingerprints, self.correct, self.right)

    @property
    def repeats(self) -> tuple[str, ...]:
        """What to say of runs with identical outcomes; nothing without any."""
        return identical_outcomes(self.fingerprints, self.correct, self.right)

    @property
    def sums(self) -> RunSums:
        """The three exact integers, with the numbers of runs and examples."""
        counts = self.correct
        return RunSums(
            len(counts), self.n_examples, int(counts.sum()), sum_of_squares(counts), sum_of_squares(self.right)
        )

    def require_complete(self) -> None:
        """Raise an InputError when fewer runs were counted than declared."""
        if self.declared_runs is not None and self.n_runs != self.declared_runs:
            raise InputError(f"{self.n_runs} of {self.declared_runs} runs were counted", "all of them")

    def __repr__(self) -> str:
        return f"RunStatistics({self.n_runs} runs, {self.n_examples} examples)"

    @classmethod
    def from_outcomes(cls, outcomes: Outcomes, **settings: Any) -> RunStatistics:
        """Count all `outcomes` (see `as_outcomes`) in one pass; `settings` go to the constructor.

        Bits are kept up to half a gigabyte.
        """
        try:
            return cls._from_all(outcomes.hopeful(), settings)
        except UnusableRun:  # which runs are to be excluded takes a pass of its own
            return cls._from_all(outcomes, settings)

    @classmethod
    def _from_all(cls, outcomes: Outcomes, given: Mapping[str, Any]) -> RunStatistics:
        statistics = cls.planned(outcomes, outcomes.shape[0], given)
        for outcome in outcomes.chunks():
            seen = statistics.n_runs
            statistics.add(outcome, None, outcomes.run_ids[seen : seen + len(outcome.correct)])
        statistics.excluded = outcomes.excluded
        return statistics

    @classmethod
    def planned(cls, outcomes: Outcomes, n_runs: int, given: Mapping[str, Any]) -> RunStatistics:
        """Return empty statistics for outcomes that are `n_runs` in all, or a part of those."""
        examples, settings = outcomes.shape[1], dict(given)
        if settings.get("keep_bits") and n_runs * examples > _MOST_BITS:
            settings["keep_bits"] = False
        plan: dict[str, Any] = {
            "n_examples": examples,
            "n_runs": n_runs,
            "n_classes": outcomes.n_classes,
            "labels": outcomes.labels,
        }
        return cls(**(plan | settings))
