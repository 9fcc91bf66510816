"""When runs converge: from curves and a threshold, or as given; in checkpoints or in training steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice
from ...errors import InputError
from .prepare import PreparedSequences
from .reading import Logs, by_run


@dataclass(frozen=True, eq=False)
class Convergence:
    """When each run converged.

    Attributes
    ----------
    index : ndarray of int64 [runs]
        First checkpoint beyond the threshold, −1 for a run that never gets there.
    capped : ndarray of int64 [runs]
        The same with a run's own length in place of −1, as published.
    """

    index: NDArray[np.int64]
    capped: NDArray[np.int64]


def convergence_index(curves: Any, threshold: float, *, direction: str = "above") -> Convergence:
    """Return the first checkpoint at which each run's evaluation metric is beyond a threshold.

    Parameters
    ----------
    curves : sequence or mapping of array_like [T]
        Accuracy (or loss) at every checkpoint, one curve per run.
    threshold : float
        Strictly beyond it counts; "slightly below the best accuracy" in the paper (0.9 for grokking tasks). It is
        rounded to the type of the curve: 0.97 in single precision is larger than 0.97, and is not above it.
    direction : {"above", "below"}
        ``below`` for losses.

    Returns
    -------
    Convergence
        Indices count from 0.

    Notes
    -----
    Source: Hu et al. 2023, section 4 (convergence time).

    Examples
    --------
    >>> import runspread as rs
    >>> curves = {"seed 0": [0.1, 0.6, 0.95, 0.97], "seed 1": [0.1, 0.3, 0.5, 0.92]}
    >>> rs.methods.dynamics.convergence_index(curves, 0.9).index
    array([2, 3])
    """
    check_choice(direction, "direction", ("above", "below"))
    rows = list(curves.values()) if isinstance(curves, Mapping) else list(curves)
    sign = 1.0 if direction == "above" else -1.0
    index = np.empty(len(rows), dtype=np.int64)
    for run, row in enumerate(rows):
        values = np.asarray(row)
        level = values.dtype.type(threshold) if values.dtype.kind == "f" else threshold
        beyond = sign * values > sign * level
        if beyond.ndim != 1 or not len(beyond):
            raise InputError(f"curve {run} has shape {beyond.shape}", "one axis [checkpoints], not empty")
        index[run] = int(beyond.argmax()) if beyond.any() else -1
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    return Convergence(index, np.where(index < 0, lengths, index))


class Curve(NamedTuple):
    """An outcome at the times at which it was logged."""

    at: NDArray[Any]
    values: NDArray[Any]


def convergence_of(
    outcome: Any, logs: Logs, prepared: PreparedSequences, threshold: float | None, direction: str
) -> NDArray[Any] | None:
    """Return when the kept runs converged, −1 for never, in the unit of `prepared`.

    Parameters
    ----------
    outcome : sequence or mapping of `Curve`, array_like [T] or int, or None
        A curve has times of its own; an array goes with the rows of the log; a number counts these.
    logs : Logs
        As they were read: the rows.
    prepared : PreparedSequences
    threshold, direction
        As for ``dynamics``.
    """
    if outcome is None:
        return None
    order = dict.fromkeys([*logs.entries])
    rows = by_run(outcome, order, "outcome")
    rows = {str(run): values if isinstance(values, Curve) else np.asarray(values) for run, values in rows.items()}
    absent = [run for run in prepared.run_ids if run not in rows]
    if absent:
        raise InputError(f"there is no outcome for {absent[0]}", "one per run")
    given = all(not isinstance(rows[run], Curve) and np.ndim(rows[run]) == 0 for run in prepared.run_ids)
    if not given and threshold is None:
        raise InputError("got outcome curves without a threshold", "threshold=, slightly below the best value")
    when: list[Any] = []
    for run, at, end in zip(prepared.run_ids, prepared.at, prepared.ends, strict=True):
        entries = logs.entries[run]
        time = _given(run, rows[run], entries) if given else _crossing(rows[run], entries, threshold, direction)
        when.append(_in_unit(time, at, end, prepared.unit))
    return np.array(when)


def _given(run: str, index: Any, entries: NDArray[Any]) -> Any:
    """Return the time of a checkpoint that was given by its number; None for never, infinity for the very end."""
    if index.dtype.kind not in "iu" and index != np.floor(index):
        raise InputError("outcome that is neither whole numbers nor curves", "checkpoint indices, or one curve per run")
    if index > len(entries):
        raise InputError(
            f"{run} converges at checkpoint {index} of {len(entries)}", "an index counted in checkpoints, or −1"
        )
    if index < 0:
        return None
    return np.sort(entries)[int(index)] if index < len(entries) else np.inf


def _crossing(outcome: Any, entries: NDArray[Any], threshold: Any, direction: str) -> Any:
    """Return when a curve is first beyond the threshold; None for never."""
    if not isinstance(outcome, Curve):
        rows = len(outcome)
        at = entries[:rows] if rows <= len(entries) else np.append(entries, np.full(rows - len(entries), np.inf))
        outcome = Curve(at, outcome)
    order = np.argsort(outcome.at, kind="stable")
    index = int(convergence_index([np.asarray(outcome.values)[order]], threshold, direction=direction).index[0])
    return None if index < 0 else outcome.at[order][index]


def _in_unit(time: Any, at: NDArray[Any], end: Any, unit: str) -> Any:
    """Return a time in a run's unit: the step, or the first checkpoint from then on; −1 if the run does not get there.

    What was given as the very end (infinity) is the end.
    """
    if time is None:
        return -1
    if time == np.inf:
        return end
    last = at[-1] + (at[-1] - at[-2] if len(at) > 1 else 1)
    if time >= last:
        return -1
    return time if unit == "step" else int(np.searchsorted(at, time))


def checkpoint_of(when: NDArray[Any], prepared: PreparedSequences) -> NDArray[np.int64]:
    """Return the checkpoint at which each run converged, −1 for never, from times in the unit of `prepared`."""
    if prepared.unit == "checkpoint":
        return when.astype(np.int64)
    found = [np.searchsorted(at, time) if time >= 0 else -1 for at, time in zip(prepared.at, when, strict=True)]
    return np.array(found, dtype=np.int64)
