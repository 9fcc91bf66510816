"""What `RunStatistics` is made of: positions of runs, each counted once, and votes that grow with the classes."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._reading.classes import abstain, run_classes
from ..._reading.kinds import why_unusable
from ..._reading.outputs import RunOutputs, kind_of
from ...errors import InputError


class Segment(NamedTuple):
    """Per-run numbers of consecutive runs: correct on the two halves of the examples, a fingerprint, and what is kept.

    That is, where it was asked for, the packed hits and the confusion matrices; and the ids of the runs, if known.
    """

    start: int
    correct: NDArray[np.int64]
    fingerprints: NDArray[np.uint64]
    bits: NDArray[np.uint8] | None
    confusion: NDArray[np.unsignedinteger[Any]] | None
    run_ids: tuple[str, ...] = ()


def claim(taken: list[tuple[int, int]], start: int, stop: int, declared: int | None) -> None:
    """Put positions of runs, which must be free, among those `taken`."""
    if start < 0 or (declared is not None and stop > declared):
        raise InputError(f"got runs {start} to {stop - 1}", f"positions below n_runs={declared}")
    place = bisect.bisect_left(taken, (start, stop))
    before = taken[place - 1] if place else (0, 0)
    after = taken[place] if place < len(taken) else (stop, stop)
    if before[1] > start or after[0] < stop:
        raise InputError(f"got runs {start} to {stop - 1} twice", "each run once")
    if place and before[1] == start:  # runs mostly come one after the other: one span grows
        taken[place - 1] = (before[0], stop)
    else:
        taken.insert(place, (start, stop))


def widened(votes: NDArray[np.int32], n_classes: int) -> NDArray[np.int32]:
    """Return votes [halves, classes, examples] with room for `n_classes` classes."""
    extra = n_classes - votes.shape[1]
    return np.pad(votes, ((0, 0), (0, extra), (0, 0))) if extra > 0 else votes


def summed(first: NDArray[np.int32] | None, second: NDArray[np.int32] | None, turn: int) -> NDArray[np.int32] | None:
    """Return the votes of both, with the halves of the second exchanged where `turn` is -1."""
    if first is None or second is None:
        return first
    size = max(first.shape[1], second.shape[1])
    return widened(first, size) + widened(second, size)[::turn]


def checked_examples(labels: NDArray[np.int64] | None, n_examples: int | None) -> int:
    """Return the number of examples that labels or `n_examples` say, which must agree."""
    if labels is None and n_examples is None:
        raise InputError("got neither labels nor n_examples", "one of them")
    count = len(labels) if labels is not None else int(n_examples or 0)
    if count < 1 or (n_examples is not None and n_examples != count):
        raise InputError(f"got n_examples={n_examples} with {count} labels", "at least one example, and equal numbers")
    return count


def checked_half(first_half: ArrayLike | None, n_examples: int) -> NDArray[np.bool_]:
    """Return the mask [examples] of the first half; every second example by default."""
    if first_half is None:
        return np.arange(n_examples) % 2 == 0
    half = np.asarray(first_half)
    if half.shape != (n_examples,) or half.dtype != bool:
        raise InputError(f"got first_half of shape {half.shape} and dtype {half.dtype}", f"booleans [{n_examples}]")
    return half


def checked_ids(run_ids: Sequence[str], n_runs: int) -> tuple[str, ...]:
    """Return the ids of so many runs, or none."""
    if len(run_ids) not in (0, n_runs):
        raise InputError(f"got {len(run_ids)} run_ids for {n_runs} runs", "one id per run")
    return tuple(str(name) for name in run_ids)


def predictions_of(
    outputs: RunOutputs, limit: int | None, nan: str | None, start: int
) -> tuple[NDArray[np.signedinteger[Any]], dict[int, str]]:
    """Return predicted classes [runs, examples] and why runs among the given were excluded, by position.

    Without `nan` undecided runs are excluded; else they abstain, or are an error.
    """
    values, kind = np.concatenate(list(outputs.chunks())), kind_of(outputs)
    if limit is not None and values.ndim == 3 and values.shape[2] > limit:
        raise InputError(f"got outputs of {values.shape[2]} classes", f"at most n_classes={limit}")
    predicted, undecided = run_classes(values, kind, limit)
    if undecided is None:
        return predicted, {}
    if nan is not None:
        abstain(predicted, undecided, nan if nan == "abstain" else "raise", start)
        return predicted, {}
    lost = {row: why_unusable(values[row], kind) for row in np.flatnonzero(undecided.any(axis=1)).tolist()}
    return np.delete(predicted, list(lost), axis=0), lost


def confusions(held: Sequence[Segment], n_classes: int) -> NDArray[np.unsignedinteger[Any]] | None:
    """Return the confusion matrix of each run [runs, true, predicted]; None where none were kept."""
    kept = [segment.confusion for segment in held if segment.confusion is not None]
    if not kept:
        return None
    wider = [n_classes - counts.shape[1] for counts in kept]  # later runs may predict classes new till then
    return np.concatenate(
        [np.pad(counts, ((0, 0), (0, more), (0, more))) for counts, more in zip(kept, wider, strict=True)]
    )
