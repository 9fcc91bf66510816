"""Digest columns: the few numbers of each run's outputs that most methods need, defined once for all who read or write.

All follow from the outputs as a study stores them. Numbers are rounded to single precision, and methods round what they
compute from a study's full outputs alike, so that either way gives the same bits.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .classes import ABSTAINED, hits, run_classes
from .kinds import look_like_probabilities
from .margins import margins
from .probabilities import Member
from .sketches import places

COLUMNS = ("class", "correct", "log_true", "margin", "sample")
VERSION = 1  # of these definitions

Floats = NDArray[np.float64]


@runtime_checkable
class HasColumns(Protocol):
    """A reader of outputs that has digest columns of all its runs."""

    def digest_column(self, name: str) -> Any: ...


def can_be_digested(rows: NDArray[Any], kind: str | None) -> bool:
    """Whether outputs [runs, examples, columns] have these columns: of several classes, and surely no probabilities."""
    if rows.ndim != 3 or rows.shape[2] < 2 or rows.dtype.kind != "f":
        return False
    return kind is not None or not any(look_like_probabilities(row) for row in rows)


def digest_columns(rows: NDArray[Any], labels: NDArray[np.int64], kind: str | None) -> dict[str, NDArray[Any]]:
    """Return the columns of stored outputs.

    Parameters
    ----------
    rows : ndarray [runs, examples, classes]
        Logits or log-probabilities.
    labels : ndarray of int64 [examples]
        True classes.
    kind : str or None
        What the outputs are.

    Returns
    -------
    dict of str to ndarray
        ``class`` [runs, examples]: the first largest; -1 where a row decides nothing (NaN, plus infinity, or nothing
        finite). ``correct`` [runs, bytes]: bits, the first example highest. ``log_true`` float32 [runs, examples]:
        log-probability of the true class; NaN throughout a run with a row that decides nothing. ``margin`` float32
        [runs, examples]: true class minus the largest of the others; NaN throughout where it is not defined.
        ``sample`` [runs, sampled, classes]: the outputs on the examples by which copies are told.
    """
    predicted, undecided = run_classes(rows, kind)
    if undecided is not None:
        predicted = np.where(undecided, np.array(ABSTAINED, predicted.dtype), predicted)
    usable = np.ones(len(rows), bool) if undecided is None else ~undecided.any(axis=1)
    log_true, margin = (np.full(rows.shape[:2], np.nan, np.float32) for _ in range(2))
    for run in np.flatnonzero(usable):
        log_true[run] = Member(0, rows[run].astype(np.float64), is_logits=True).true_class(labels)
        margin[run] = true_margin(rows[run], labels)
    return {
        "class": predicted,
        "correct": np.packbits(hits(predicted, labels), axis=1),
        "log_true": log_true,
        "margin": margin,
        "sample": rows[:, places(rows.shape[1])],
    }


def true_margin(values: NDArray[Any], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the rounded margin of the true class of one run [examples]; NaN throughout where one is not defined."""
    try:
        return margins(values[None], "true-class", labels=labels)[0].astype(np.float32)
    except InputError:
        return np.full(len(labels), np.nan, np.float32)


def rounded(values: Floats, source: Any) -> Floats:
    """Return numbers rounded as columns are, where the source is a study's reader; others are left as they are."""
    source = getattr(source, "source", source)  # of a view
    return values.astype(np.float32).astype(np.float64) if getattr(source, "rounds", False) else values
