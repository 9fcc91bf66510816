"""What an audit of seeds looks at: plain facts about runs, from arrays or from a study."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._reading.accepting import predictions_of
from ..._reading.copies import Copies, copied_outputs, digest_of
from ..._reading.outputs import CORRUPT_SHARD, ArrayOutputs, RunOutputs
from ..._reading.protocols import HoldsEvidence
from ..._results import Excluded
from ...errors import CorruptShardError, InputError, MissingDataError, RunspreadWarning

ROLES = ("init", "order", "augment")
_HEAD = 256  # values of a parameter that mostly differ between runs
LOSSES = ("loss", "nll", "entropy", "perplexity")
HELD_OUT = ("val", "test", "eval", "dev")
_LENGTHS = 20  # of curves, the longest, that are tried

Fingerprints = tuple[str | None, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class RunEvidence:
    """Facts about runs by which copies and shared randomness can be told. What is not known is None.

    Attributes
    ----------
    run_ids : tuple of str
        Ids of the runs.
    seeds : dict of str to tuple of (int or None)
        Recorded seed of each run, by role.
    configurations : tuple of str
        Runs that are to be compared with each other have equal ones.
    initial : tuple of (str or None)
        Digest of each run's weights at step 0.
    first_losses : ndarray of float [runs, losses] or None
        First value of each loss that was logged; NaN where there is none, or it never changes.
    predictions, final : tuple of (str or None)
        Digest of each run's predictions, or of a sample of them, and of its weights at the end of training.
    copies : Copies or None
        Which runs are one run by their predictions.
    losses : ndarray of float [runs, points] or None
        A loss logged at the same steps in all runs; NaN where it was not.
    unread : tuple of Excluded
        Runs of which a part is recorded but corrupt, and was not looked at.
    away : tuple of str
        What was not looked at because it would have to be fetched: metrics, predictions, weights.
    """

    run_ids: tuple[str, ...]
    seeds: dict[str, tuple[int | None, ...]] = field(default_factory=dict[str, tuple[int | None, ...]])
    configurations: tuple[str, ...] = ()
    initial: Fingerprints = ()
    first_losses: NDArray[np.float64] | None = None
    predictions: Fingerprints = ()
    final: Fingerprints = ()
    copies: Copies | None = None
    losses: NDArray[np.float64] | None = None
    unread: tuple[Excluded, ...] = ()
    away: tuple[str, ...] = ()

    @classmethod
    def from_arrays(
        cls,
        *,
        seeds: Mapping[str, Sequence[int | None]] | None = None,
        initial_weights: ArrayLike | None = None,
        predictions: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        losses: ArrayLike | None = None,
        configurations: Sequence[str] | None = None,
        run_ids: Sequence[str] | None = None,
    ) -> RunEvidence:
        """Return the evidence in arrays whose first axis is runs.

        Parameters
        ----------
        seeds : mapping of str to sequence of (int or None) [runs], optional
            Recorded seeds by role: ``"init"``, ``"order"``, ``"augment"``.
        initial_weights : array_like [runs, ...], optional
            Weights before the first step, or a part of them.
        predictions : array_like [runs, examples, ...], optional
            Outputs or predicted classes.
        labels : array_like of int [examples], optional
            True classes. With them it is known how few errors predicted classes have: accurate runs agree by chance.
        losses : array_like of float [runs, points], optional
            Training loss, logged at the same steps in all runs, the first before or at the first step.
        configurations : sequence of str [runs], optional
            Name of each run's configuration; by default all are one.
        run_ids : sequence of str [runs], optional
            Ids; by default ``run 0``, ``run 1``, ...
        """
        given = {"initial_weights": initial_weights, "predictions": predictions, "losses": losses}
        arrays = {name: np.asarray(value) for name, value in given.items() if value is not None}
        by_role = {role: tuple(values) for role, values in (seeds or {}).items()}
        lengths = {name: len(array) for name, array in arrays.items()} | {r: len(v) for r, v in by_role.items()}
        lengths |= {"configurations": len(configurations)} if configurations is not None else {}
        lengths |= {"run_ids": len(run_ids)} if run_ids is not None else {}
        if len(set(lengths.values())) != 1:
            raise InputError(f"numbers of runs {lengths}" if lengths else "no evidence", "one number of runs in all")
        if set(by_role) - set(ROLES):
            raise InputError(f"got seeds of {', '.join(by_role)}", f"roles {', '.join(ROLES)}")
        count = next(iter(lengths.values()))
        copies, fingerprints = _array_copies(arrays.get("predictions"), labels)
        curves = arrays["losses"].astype(np.float64) if "losses" in arrays else None
        if curves is not None and curves.ndim != 2:
            raise InputError(f"got losses of shape {curves.shape}", "[runs, points]")
        return cls(
            run_ids=tuple(run_ids or (f"run {index}" for index in range(count))),
            seeds=by_role,
            configurations=tuple(configurations or [""] * count),
            initial=_prints(arrays.get("initial_weights")),
            predictions=fingerprints,
            copies=copies,
            first_losses=None if curves is None else _first_values(curves)[:, None],
            losses=curves,
        )


def _prints(array: NDArray[Any] | None) -> Fingerprints:
    return () if array is None else tuple(_whole([row]) for row in array)


def _array_copies(array: NDArray[Any] | None, labels: ArrayLike | None) -> tuple[Copies | None, Fingerprints]:
    if array is None:
        return None, ()
    outputs = ArrayOutputs(array[:, None] if array.ndim == 1 else array, None if labels is None else np.asarray(labels))
    return copied_outputs(outputs)


def _first_values(curves: NDArray[Any]) -> NDArray[np.float64]:
    """Return the first values [runs] of curves padded with NaN; NaN where a curve is constant, which tells nothing."""
    values = curves.astype(np.float64)
    first = values[:, 0]
    moves = (np.isfinite(values) & (values != first[:, None])).any(axis=1)
    alone = np.isfinite(values).sum(axis=1) == 1
    return np.where(np.isfinite(first) & (moves | alone), first, np.nan)


def study_evidence(
    study: HoldsEvidence,
    *,
    split: str | None = "test",
    most_weights: int | None = None,
    most_bytes: int | None = None,
) -> RunEvidence:
    """Return the evidence in a study.

    Runs that failed are excluded: there is nothing of them to count twice. Of predictions and weights only the first
    values are read, and the rest of those runs alone that agree in them. What is corrupt is no evidence, and is named.

    Parameters
    ----------
    study : HoldsEvidence
        The study.
    split : str or None
        Whose predictions to compare; None takes "test", or the first that there is.
    most_weights : int, optional
        Look at the weights of so many runs only, the first.
    most_bytes : int, optional
        Of a study in a store, leave alone what takes more than that to fetch.
    """
    runs = [run for run in study.runs if run.status != "failed"]
    ids = tuple(run.id for run in runs)
    unread: dict[str, str] = {}
    away = away_from(study, most_bytes)
    first, losses = (None, None) if "metrics" in away else _losses(study, ids, unread)
    looked = runs[: 0 if "weights" in away else most_weights]
    rest: Fingerprints = (None,) * (len(runs) - len(looked))
    copies, fingerprints = (None, ()) if "predictions" in away else _predictions(study, ids, split, unread)
    initial, final = (_weights(study, looked, step, unread) for step in (0, None))
    return RunEvidence(
        run_ids=ids,
        seeds={role: tuple(getattr(run.seeds, role) for run in runs) for role in ROLES},
        configurations=tuple(json.dumps(run.hyperparameters, sort_keys=True, default=str) for run in runs),
        initial=initial + rest,
        final=final + rest,
        predictions=fingerprints,
        copies=copies,
        first_losses=first,
        losses=losses,
        unread=tuple(Excluded(name, reason) for name, reason in unread.items()),
        away=away,
    )


def away_from(study: Any, most_bytes: int | None) -> tuple[str, ...]:
    """Return the parts of a study in a store that take more than so many bytes to fetch."""
    unfetched = getattr(study, "unfetched", None)
    if most_bytes is None or unfetched is None:
        return ()
    return tuple(part for part in ("metrics", "predictions", "weights") if unfetched(part) > most_bytes)


def _told_apart(runs: Sequence[Any], read: Callable[[Any], Sequence[NDArray[Any]] | None]) -> Fingerprints:
    """Return a digest of each run's arrays: of their first values, or of all where runs agree in those.

    None where `read` has nothing, or NaN: what diverged is no evidence.
    """
    heads = [None if (arrays := read(run)) is None else digest_of(*map(_head, arrays)) for run in runs]
    times = Counter(heads)
    return tuple(
        head if head is None or times[head] == 1 else _whole(read(run)) for run, head in zip(runs, heads, strict=True)
    )


def _head(array: NDArray[Any]) -> NDArray[Any]:
    return array.reshape(-1)[:_HEAD]


def _whole(arrays: Sequence[NDArray[Any]] | None) -> str | None:
    if arrays is None or any(array.dtype.kind == "f" and bool(np.isnan(array).any()) for array in arrays):
        return None
    return digest_of(*arrays)


def _weights(study: HoldsEvidence, runs: Sequence[Any], step: int | None, unread: dict[str, str]) -> Fingerprints:
    """Return the digest of each run's weights at a step, None where they were not recorded or the run diverged."""

    def read(run: Any) -> Sequence[NDArray[Any]] | None:
        if step not in run.weights or (step is None and run.status == "diverged"):
            return None
        try:
            return [array for _, array in sorted(study.weights(run, step=step).items())]
        except CorruptShardError as error:
            unread.setdefault(run.id, f"its weights were not looked at: {error.found}")
            return None

    return _told_apart(runs, read)


def _predictions(
    study: HoldsEvidence, ids: tuple[str, ...], split: str | None, unread: dict[str, str]
) -> tuple[Copies | None, Fingerprints]:
    recorded = [name for run in study.runs for name, step in run.predictions if step is None]
    wanted = split or ("test" if "test" in recorded or not recorded else recorded[0])
    try:
        outputs = predictions_of(study, wanted, columns=True)
    except MissingDataError:
        if recorded:  # of another split: the name is misspelt, or the wrong one
            raise
        return None, ()
    except CorruptShardError:  # of every run
        without = [run.id for run in study.runs if (wanted, None) in run.predictions]
        unread |= dict.fromkeys(without, f"{CORRUPT_SHARD}: no predictions on {wanted!r} can be read")
        return None, ()
    unread |= {item.run: item.reason for item in outputs.excluded if item.reason.startswith(CORRUPT_SHARD)}
    copies, fingerprints = copied_outputs(outputs)
    known = dict(zip(outputs.run_ids, fingerprints, strict=True))
    return copies.placed(outputs.run_ids, ids), tuple(known.get(name) for name in ids)


def outputs_evidence(outputs: RunOutputs, most: int | None = None) -> RunEvidence:
    """Return the evidence in outputs of runs alone, of the first `most`: which of them are copies."""
    copies, fingerprints = copied_outputs(outputs, most)
    ids = outputs.run_ids[:most]
    return RunEvidence(run_ids=ids, configurations=("",) * len(ids), predictions=fingerprints, copies=copies)


def _losses(
    study: HoldsEvidence, ids: tuple[str, ...], unread: dict[str, str]
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Return the first values of all losses, and the loss curve with most values at steps that runs share.

    Curves of training count before those on held-out data, which do not depend on the batch of their step.
    """
    metrics = study.metrics()
    names = [name for name in metrics if any(word in name.lower() for word in LOSSES)]
    first = np.full((len(ids), len(names)), np.nan)
    best, found = (False, 0), None
    for column, name in enumerate(names):
        curves = _curves(metrics, name)
        if curves is None:
            unread |= {run.id: f"{CORRUPT_SHARD}: no {name} can be read" for run in study.runs if name in run.metrics}
            continue
        unread |= {item.run: item.reason for item in getattr(curves, "excluded", ())}
        first[:, column] = _by_run(curves.run_ids, _first_values(curves.values)[:, None], ids)[:, 0]
        rows, points = _shared(curves)
        rank = (not any(word in name.lower() for word in HELD_OUT), len(rows) * points)
        if len(rows) > 1 and rank > best:
            at_rows = tuple(curves.run_ids[row] for row in rows)
            best, found = rank, _by_run(at_rows, curves.values[rows, :points].astype(np.float64), ids)
    return (first if names else None), found


def _curves(metrics: Mapping[str, Any], name: str) -> Any:
    """Return the curves of a metric, which say themselves which runs they lack; None where every shard is corrupt."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RunspreadWarning)
        try:
            return metrics[name]
        except MissingDataError:
            return None


def _shared(curves: Any) -> tuple[NDArray[np.intp], int]:
    """Return which runs have the same steps up to a number of points, and that number: the most values in all.

    Runs end early, and some log at another pace.
    """
    lengths = np.asarray(curves.lengths)
    best: tuple[NDArray[np.intp], int] = np.zeros(0, np.intp), 0
    for points in np.unique(lengths)[-_LENGTHS:].tolist():
        rows = np.flatnonzero(lengths >= points)
        if len(rows) * points <= len(best[0]) * best[1]:
            continue
        groups: dict[bytes, list[int]] = {}
        for row in rows.tolist():
            groups.setdefault(curves.steps[row, :points].tobytes(), []).append(row)
        largest = max(groups.values(), key=len)
        if len(largest) * points > len(best[0]) * best[1]:
            best = np.array(largest, np.intp), points
    return best


def _by_run(names: Sequence[str], values: NDArray[np.float64], ids: tuple[str, ...]) -> NDArray[np.float64]:
    """Return rows of values in the order of `ids`, NaN for runs that lack them."""
    place = {name: row for row, name in enumerate(names)}
    found = np.full((len(ids), values.shape[1]), np.nan)
    for at, name in enumerate(ids):
        if name in place:
            found[at] = values[place[name]]
    return found
