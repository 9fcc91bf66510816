"""From raw metric logs to the sequences that are fitted: order, cut, set aside, standardise, and say what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._errors import InputError
from ..._results import Excluded, Result, Table
from ..hmm.parameters import Array, Frames, frames_of

SHORTEST = 10
"""Checkpoints that a diverged run must keep to be cut instead of set aside."""
TOO_FEW = f", fewer than {SHORTEST} checkpoints before that"


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedSequences(Result):
    """Standardised metric sequences and what was done to get them.

    Attributes
    ----------
    frames : Frames
        Standardised sequences, end to end.
    raw : Frames
        The same checkpoints and metrics in their own units.
    columns : tuple of str
        Metrics that were kept.
    dropped : mapping of str to str
        Metrics that were not, and why.
    constant : tuple of (run, metric)
        Constant in that run only: set to 0 there.
    center, scale : ndarray [runs, D]
        What each run was standardised with.
    condition : float
        Condition number of the pooled correlation matrix; huge when metrics are linearly dependent.
    standardize : str
        ``run``, ``pooled`` or ``none``.
    """

    frames: Frames
    raw: Frames
    columns: tuple[str, ...]
    dropped: Mapping[str, str]
    constant: tuple[tuple[str, str], ...]
    center: Array
    scale: Array
    condition: float
    standardize: str

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Runs in order."""
        return self.frames.names

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Checkpoints of each run."""
        return self.frames.lengths

    @property
    def sequences(self) -> list[Array]:
        """Standardised metrics, one array [T, D] a run."""
        return self.frames.split(self.frames.x)

    def table(self) -> Table:
        """Return one row a metric."""
        last, first = self.raw.offsets[1:] - 1, self.raw.offsets[:-1]
        return Table(
            {
                "metric": self.columns,
                "mean at first checkpoint": self.raw.x[first].mean(axis=0),
                "mean at last checkpoint": self.raw.x[last].mean(axis=0),
                "mean SD within a run": self.scale.mean(axis=0),
                "constant in": [sum(name == metric for _, metric in self.constant) for name in self.columns],
            }
        )

    def sentence(self) -> str:
        """Return how much was kept and what was not."""
        lost = f"; {len(self.excluded)} runs set aside" if self.excluded else ""
        gone = f"; dropped: {', '.join(self.dropped)}" if self.dropped else ""
        return (
            f"{len(self.frames)} runs with {self.lengths.min()} to {self.lengths.max()} checkpoints of "
            f"{len(self.columns)} metrics{lost}{gone}. Standardised metrics show the shape of a run's course, not "
            "its level."
        )


def prepare_sequences(
    sequences: Any,
    *,
    columns: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    steps: Any = None,
    lengths: ArrayLike | None = None,
    first_n: int | None = None,
    diverged: str = "exclude",
    standardize: str = "run",
) -> PreparedSequences:
    """Bring metric logs of several runs into the form that hidden Markov models are fitted to.

    Parameters
    ----------
    sequences : sequence or mapping of runs, or ndarray [runs, T, D]
        A run is an array [T, D], a mapping of metric name to values [T], or a data frame.
    columns : sequence of str, optional
        Names of an array's columns.
    metrics : sequence of str, optional
        Which of them to use (default: all).
    steps : sequence or mapping of array_like [T], optional
        Training step of every checkpoint; runs are sorted by it.
    lengths : array_like of int [runs], optional
        How many checkpoints of each run count; the rest is padding.
    first_n : int, optional
        Keep the first checkpoints only.
    diverged : {"exclude", "truncate"}
        What to do with a run that has NaN or infinities: set it aside, or keep what comes before if that is at least
        10 checkpoints.
    standardize : {"run", "pooled", "none"}
        ``run``: every metric of every run to mean 0 and population standard deviation 1, as published: levels are
        gone, shapes remain. ``pooled``: with one mean and deviation for all runs, which a live run can be given too.

    Returns
    -------
    PreparedSequences

    Raises
    ------
    InputError
        An empty run, duplicated steps, unknown metrics, or nothing left; names the run.

    Notes
    -----
    A metric that is constant in every run, or was never recorded, is dropped; one constant in some runs is 0 there
    (constant: standard deviation at most 1e-12 · max(1, abs(mean))). Source: Hu et al. 2023, section 3.
    """
    check_choice(diverged, "diverged", ("exclude", "truncate"))
    check_choice(standardize, "standardize", ("run", "pooled", "none"))
    runs, names = read_runs(sequences, columns, metrics)
    runs = _ordered(runs, steps, lengths, first_n)
    runs, names, dropped = _without_unrecorded(runs, names)
    kept, excluded = _without_diverged(runs, names, cut=diverged == "truncate")
    raw = frames_of(list(kept.values()), list(kept))
    varying, flat = _constants(raw, names, dropped, within=standardize == "run")
    raw = Frames(np.ascontiguousarray(raw.x[:, varying]), raw.offsets, raw.names)
    columns_kept = tuple(np.array(names)[varying].tolist())
    center, scale = _moments(raw, standardize)
    frames = Frames((raw.x - _per_frame(raw, center)) / _per_frame(raw, scale), raw.offsets, raw.names)
    constant = _flatten_constants(frames, flat[:, varying], columns_kept, standardize)
    condition = _condition(frames.x)
    return PreparedSequences(
        frames=frames,
        raw=raw,
        columns=columns_kept,
        dropped=dropped,
        constant=constant,
        center=center,
        scale=scale,
        condition=condition,
        standardize=standardize,
        excluded=excluded,
        warnings=_reservations(constant, condition, dropped),
    )


def read_runs(
    sequences: Any, columns: Sequence[str] | None, metrics: Sequence[str] | None
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Return run name to array [T, D] and the names of the D metrics."""
    source = dict(sequences) if isinstance(sequences, Mapping) else {f"run {i}": s for i, s in enumerate(sequences)}
    if not source:
        raise InputError("no runs", "at least one")
    first = next(iter(source.values()))
    known = _column_names(first, columns)
    wanted = tuple(metrics) if metrics is not None else known
    for name in wanted:
        check_choice(name, "metric", known)
    if not wanted:
        raise InputError("no metrics", "at least one")
    index = [known.index(name) for name in wanted]
    return {str(run): _as_array(str(run), log, known)[:, index] for run, log in source.items()}, wanted


def _column_names(run: Any, columns: Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(run, Mapping):
        return tuple(str(name) for name in run)
    if hasattr(run, "columns"):
        return tuple(str(name) for name in run.columns)
    return tuple(columns) if columns is not None else tuple(f"metric {i}" for i in range(np.shape(run)[-1]))


def _as_array(run: str, log: Any, columns: tuple[str, ...]) -> Array:
    if isinstance(log, Mapping) or hasattr(log, "columns"):
        absent = [name for name in columns if name not in log]
        if absent:
            raise InputError(f"{run} has no metric {absent[0]}", f"the metrics {', '.join(columns)}")
        log = np.stack([np.asarray(log[name], dtype=np.float64) for name in columns], axis=1)
    array = np.asarray(log, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != len(columns):
        raise InputError(f"{run} has shape {array.shape}", f"[checkpoints, {len(columns)} metrics]")
    if not len(array):
        raise InputError(f"{run} has no checkpoints", "at least one", "Leave empty runs out.")
    return array


def _ordered(runs: dict[str, Array], steps: Any, lengths: ArrayLike | None, first_n: int | None) -> dict[str, Array]:
    """Cut padding, sort by step, keep the first checkpoints."""
    if first_n is not None and first_n < 1:
        raise InputError(f"first_n={first_n}", "at least 1")
    if lengths is not None:
        sizes = np.asarray(lengths, dtype=np.int64)
        if sizes.shape != (len(runs),) or sizes.min() < 1:
            raise InputError(f"lengths {sizes.tolist()} for {len(runs)} runs", "one positive length a run")
        runs = {name: run[:size] for (name, run), size in zip(runs.items(), sizes, strict=True)}
    if steps is not None:
        given = dict(steps) if isinstance(steps, Mapping) else dict(zip(runs, steps, strict=True))
        runs = {
            name: run[_step_order(name, np.asarray(given[name])[: len(run)], len(run))] for name, run in runs.items()
        }
    return {name: run[:first_n] for name, run in runs.items()}


def _step_order(run: str, steps: NDArray[Any], length: int) -> NDArray[np.int64]:
    if steps.shape != (length,):
        raise InputError(f"{run} has {steps.shape} steps for {length} checkpoints", "one step a checkpoint")
    values, counts = np.unique(steps, return_counts=True)
    if (counts > 1).any():
        raise InputError(f"{run} has step {values[counts > 1][0]} twice", "every step once")
    return np.argsort(steps, kind="stable")


def _without_unrecorded(
    runs: dict[str, Array], names: tuple[str, ...]
) -> tuple[dict[str, Array], tuple[str, ...], dict[str, str]]:
    """Drop metrics that are NaN at every checkpoint of every run (the bias metrics of a network without biases)."""
    empty = np.logical_and.reduce([np.isnan(run).all(axis=0) for run in runs.values()])
    if empty.all():
        raise InputError("only NaN in every run", "at least one metric that was recorded")
    dropped = {name: "never recorded" for name, gone in zip(names, empty, strict=True) if gone}
    kept = tuple(name for name in names if name not in dropped)
    return {name: run[:, ~empty] for name, run in runs.items()}, kept, dropped


def _without_diverged(
    runs: dict[str, Array], names: tuple[str, ...], *, cut: bool
) -> tuple[dict[str, Array], tuple[Excluded, ...]]:
    kept: dict[str, Array] = {}
    excluded: list[Excluded] = []
    for run, array in runs.items():
        bad = np.argwhere(~np.isfinite(array))
        if not len(bad):
            kept[run] = array
        elif cut and bad[0, 0] >= SHORTEST:
            kept[run] = array[: bad[0, 0]]
        else:
            row, column = bad[0]
            what = f"{names[column]} is {array[row, column]} at checkpoint {row}{TOO_FEW if cut else ''}"
            excluded.append(Excluded(run, f"diverged: {what}"))
    if not kept:
        raise InputError(
            f"all {len(runs)} runs have NaN or infinities ({excluded[0].reason})", "at least one that has none"
        )
    return kept, tuple(excluded)


def _is_constant(mean: Array, deviation: Array) -> NDArray[np.bool_]:
    return deviation <= 1e-12 * np.maximum(1.0, np.abs(mean))


def _constants(
    raw: Frames, names: tuple[str, ...], dropped: dict[str, str], *, within: bool
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which metrics vary [D] and which are constant in each run [runs, D]; note those that are dropped.

    A metric that differs between runs but not within any is of use unless each run is standardised on its own.
    """
    parts = raw.split(raw.x)
    flat = np.stack([_is_constant(part.mean(axis=0), part.std(axis=0)) for part in parts])
    useless = np.logical_and.reduce(flat) if within else _is_constant(raw.x.mean(axis=0), raw.x.std(axis=0))
    dropped.update({name: "constant in every run" for name, gone in zip(names, useless, strict=True) if gone})
    if useless.all():
        raise InputError("every metric is constant in every run", "metrics that change during training")
    return ~useless, flat


def _moments(raw: Frames, standardize: str) -> tuple[Array, Array]:
    """Return what each run is standardised with: centre and scale [runs, D]."""
    shape = (len(raw), raw.x.shape[1])
    if standardize == "none":
        return np.zeros(shape), np.ones(shape)
    if standardize == "pooled":
        center, scale = raw.x.mean(axis=0), raw.x.std(axis=0)
        return np.tile(center, (len(raw), 1)), np.tile(np.where(_is_constant(center, scale), 1.0, scale), (len(raw), 1))
    parts = raw.split(raw.x)
    center, scale = np.stack([p.mean(axis=0) for p in parts]), np.stack([p.std(axis=0) for p in parts])
    return center, np.where(_is_constant(center, scale), 1.0, scale)


def _per_frame(frames: Frames, values: Array) -> Array:
    return np.repeat(values, frames.lengths, axis=0)


def _flatten_constants(
    frames: Frames, flat: NDArray[np.bool_], columns: tuple[str, ...], standardize: str
) -> tuple[tuple[str, str], ...]:
    """Set what is constant in a run to exactly 0 (rounding would leave noise), and list it."""
    if standardize != "run":
        return ()
    frames.x[np.repeat(flat, frames.lengths, axis=0)] = 0.0
    return tuple((frames.names[run], columns[column]) for run, column in np.argwhere(flat))


def _condition(x: Array) -> float:
    if len(x) < 2:
        return float("nan")
    values = np.linalg.eigvalsh(np.atleast_2d(np.cov(x.T, ddof=0)))
    return float(values[-1] / values[0]) if values[0] > 0 else float("inf")


def _reservations(
    constant: tuple[tuple[str, str], ...], condition: float, dropped: Mapping[str, str]
) -> tuple[str, ...]:
    notes = [f"{name} dropped: {reason}" for name, reason in dropped.items()]
    if constant:
        metrics = sorted({metric for _, metric in constant})
        notes.append(f"constant within some runs, set to 0 there: {', '.join(metrics)}")
    if condition > 1e10:
        notes.append(
            f"metrics are almost linearly dependent (condition number {condition:.1e}); diag covariances are safer"
        )
    return tuple(notes)
