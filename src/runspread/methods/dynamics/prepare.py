"""From raw metric logs to the sequences that are fitted: order, cut, exclude, standardise, and say what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._results import Excluded, Result, Table
from ..._words import count
from ..._words import listed as words
from ...errors import InputError
from ..hmm.parameters import Array, Frames, frames_of, is_constant
from .cadence import cadence_of, common_gap, end_of
from .defaults import DIVERGED, DIVERGED_RUNS, REDUNDANT, STANDARDIZATIONS, STANDARDIZE
from .reading import Log, Logs, read_logs
from .redundant import copies, not_of_the_run

SHORTEST = 10
"""Checkpoints that a diverged run must keep to be cut instead of excluded."""
TOO_FEW = f", fewer than {SHORTEST} checkpoints before that"


_SHOWN = {
    "run": "Metrics standardised within each run show the shape of its course, not its level.",
    "pooled": "Metrics have one mean and deviation for all runs.",
    "none": "Metrics are in their own units.",
}


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
        Condition number of the pooled correlation matrix, copies that were dropped included; huge when metrics are
        linearly dependent.
    standardize : str
        ``run``, ``pooled`` or ``none``.
    at : tuple of ndarray [T]
        When each checkpoint was logged: the training step, or the number of the row where steps are not known.
    unit : str
        What times are counted in: ``checkpoint``, or ``step`` for runs that were logged at different steps.
    every : int or None
        Training steps from one checkpoint to the next, where they are known and it is always the same.
    """

    says_excluded = True

    no_picture = "plot_metric_by_state draws metrics of what dynamics() returns, and table() lists them"

    frames: Frames
    raw: Frames
    columns: tuple[str, ...]
    dropped: Mapping[str, str]
    constant: tuple[tuple[str, str], ...]
    center: Array
    scale: Array
    condition: float
    standardize: str
    at: tuple[NDArray[Any], ...] = ()
    unit: str = "checkpoint"
    every: int | None = None

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Runs in order."""
        return self.frames.names

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Checkpoints of each run."""
        return self.frames.lengths

    @property
    def ends(self) -> NDArray[Any]:
        """When each run ends, in `unit`: its checkpoints, or the step after the last one."""
        return np.array([end_of(at, self.unit) for at in self.at]) if self.unit == "step" else self.lengths

    @property
    def sequences(self) -> list[Array]:
        """Standardised metrics, one array [T, D] a run."""
        return self.frames.split(self.frames.x)

    def table(self) -> Table:
        """Return one row per metric."""
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
        lost = f"; {count(len(self.excluded), 'run')} excluded" if self.excluded else ""
        gone = (
            "; dropped: " + ", ".join(f"{name} ({why})" for name, why in self.dropped.items()) if self.dropped else ""
        )
        low, high = self.lengths.min(), self.lengths.max()
        points = count(high, "checkpoint") if low == high else f"{low} to {high} checkpoints"
        return (
            f"{count(len(self.frames), 'run')} with {points} of {count(len(self.columns), 'metric')}{lost}{gone}. "
            f"{_SHOWN[self.standardize]}"
        )


def prepare_sequences(
    sequences: Any,
    *,
    columns: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    steps: Any = None,
    lengths: ArrayLike | None = None,
    first_n: int | None = None,
    diverged: str = DIVERGED,
    standardize: str = STANDARDIZE,
    redundant: str = REDUNDANT,
) -> PreparedSequences:
    """Bring metric logs of several runs into the form that hidden Markov models are fitted to.

    Parameters
    ----------
    sequences : sequence or mapping of runs, or ndarray [runs, T, D]
        A run is an array [T, D], a mapping of metric name to values [T], or a data frame. Cells of a table may be empty
        (NaN) where a metric was logged more rarely than others.
    columns : sequence of str, optional
        Names of an array's columns.
    metrics : sequence of str, optional
        Which of them to use (default: all; of tables with empty cells, the largest set with at least 10 common rows in
        most runs, of metrics logged at least 10 times in most).
    steps : sequence or mapping of array_like [T], optional
        Training step of every checkpoint; runs are sorted by it. By default a table's column ``step`` (``global_step``,
        ``_step``, ``steps``, ``iteration``), if it never goes back.
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
    redundant : {"drop", "keep"}
        ``drop`` excludes metrics that are the same in every run (an epoch, a schedule) or count up evenly, and copies
        of others: what another metric, or a linear combination of others, gives but for a millionth of its variance.

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
    (constant: standard deviation at most 1e-12 · max(1, abs(mean))). Runs that were logged at different steps are kept
    where they have a grid in common, and counted in steps. Source: Hu et al. 2023, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> levels = np.repeat([[0.0, 0.0], [3.0, 1.0]], 15, axis=0)  # two phases
    >>> runs = [levels + 0.1 * rng.normal(size=(30, 2)) for _ in range(8)]
    >>> rs.methods.dynamics.prepare_sequences(np.stack(runs), columns=["l1", "l2"]).columns
    ('l1', 'l2')
    """
    logs = read_logs(sequences, columns=columns, metrics=metrics, steps=steps, lengths=lengths)
    return prepared_logs(logs, first_n=first_n, diverged=diverged, standardize=standardize, redundant=redundant)


def prepared_logs(
    logs: Logs, *, first_n: int | None, diverged: str, standardize: str, redundant: str
) -> PreparedSequences:
    """Do what `prepare_sequences` does to logs that are read."""
    check_choice(diverged, "diverged", DIVERGED_RUNS)
    check_choice(standardize, "standardize", STANDARDIZATIONS)
    check_choice(redundant, "redundant", ("drop", "keep"))
    if first_n is not None and first_n < 1:
        raise InputError(f"got first_n={first_n}", "at least 1")
    cadence = cadence_of([log.at for log in logs.runs.values()], known=logs.stepped)
    runs = {
        run: Log(log.at[rows], log.x[rows])
        for (run, log), rows in zip(logs.runs.items(), (kept[:first_n] for kept in cadence.rows), strict=True)
    }
    names, runs, dropped = _without_unrecorded(runs, logs.names)
    kept, excluded = _without_diverged(runs, names, cut=diverged == "truncate")
    raw, at = frames_of([log.x for log in kept.values()], list(kept)), [log.at for log in kept.values()]
    of_runs = _moments_of_runs(raw)
    useless = _useless(raw, at, names, of_runs, standardize, redundant)
    columns = tuple(name for name in names if name not in useless)
    index = [names.index(name) for name in columns]
    raw, of_runs = raw.columns(index), of_runs[:, :, index]
    center, scale = _moments(raw, of_runs, standardize)
    frames = Frames((raw.x - _per_frame(raw, center)) / _per_frame(raw, scale), raw.offsets, raw.names)
    constant = _flatten_constants(frames, is_constant(*of_runs), columns, standardize)
    products = np.atleast_2d(np.cov(frames.x.T, ddof=0))
    condition = _condition(products, len(frames.x))
    if copied := copies(products, len(frames.x), columns) if redundant == "drop" else {}:
        index = [d for d, name in enumerate(columns) if name not in copied]
        frames, raw, center, scale = frames.columns(index), raw.columns(index), center[:, index], scale[:, index]
        columns = tuple(columns[d] for d in index)
        constant = tuple(pair for pair in constant if pair[1] in columns)
    dropped = logs.dropped | dropped | useless | copied
    return PreparedSequences(
        frames=frames,
        raw=raw,
        columns=columns,
        dropped=dropped,
        constant=constant,
        center=center,
        scale=scale,
        condition=condition,
        standardize=standardize,
        at=tuple(at),
        unit=cadence.unit,
        every=common_gap(at) if logs.stepped else None,
        excluded=tuple(Excluded(run, reason) for run, reason in logs.left_out.items()) + excluded,
        warnings=_caveats(constant, condition, dropped, cadence.note, alike=_all_copies(raw, at), solved=bool(copied)),
    )


def _without_unrecorded(
    runs: dict[str, Log], names: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, Log], dict[str, str]]:
    """Drop metrics that are NaN at every checkpoint of every run (the bias metrics of a network without biases)."""
    empty = np.logical_and.reduce([np.isnan(log.x).all(axis=0) for log in runs.values()])
    if empty.all():
        raise InputError("got only NaN in every run", "at least one metric that was recorded")
    dropped = {name: "never recorded" for name, gone in zip(names, empty, strict=True) if gone}
    kept = tuple(name for name in names if name not in dropped)
    return kept, {run: Log(log.at, log.x[:, ~empty]) for run, log in runs.items()}, dropped


def _without_diverged(
    runs: dict[str, Log], names: tuple[str, ...], *, cut: bool
) -> tuple[dict[str, Log], tuple[Excluded, ...]]:
    kept: dict[str, Log] = {}
    excluded: list[Excluded] = []
    for run, log in runs.items():
        bad = np.argwhere(~np.isfinite(log.x))
        if not len(bad):
            kept[run] = log
        elif cut and bad[0, 0] >= SHORTEST:
            kept[run] = Log(log.at[: bad[0, 0]], log.x[: bad[0, 0]])
        else:
            row, column = bad[0]
            what = f"{names[column]} is {log.x[row, column]} at checkpoint {row}{TOO_FEW if cut else ''}"
            excluded.append(Excluded(run, f"diverged: {what}"))
    if not kept:
        raise InputError(
            f"all {count(len(runs), 'run')} have NaN or infinities ({excluded[0].reason})"
            if len(runs) > 1
            else f"the only run has NaN or infinities ({excluded[0].reason})",
            "at least one that has none",
        )
    return kept, tuple(excluded)


def _useless(
    raw: Frames, at: list[NDArray[Any]], names: tuple[str, ...], of_runs: Array, standardize: str, redundant: str
) -> dict[str, str]:
    """Return the metrics that are not modelled, and why; never all of them.

    A metric that differs between runs but not within any is of use unless each run is standardised on its own.
    """
    if raw.lengths.max() == 1:
        raise InputError(
            f"got one checkpoint per run of {words(names, most=3)}",
            "several",
            "Drop from metrics= what was logged once, or log more often during training.",
        )
    if standardize == "run":
        flat = is_constant(*of_runs).all(axis=0)
    else:
        flat = is_constant(raw.x.mean(axis=0), raw.x.std(axis=0))
    found = {names[d]: "constant in every run" for d in np.flatnonzero(flat)}
    if len(found) == len(names):
        raise InputError("every metric is constant in every run", "metrics that change during training")
    if redundant == "keep":
        return found
    rest = not_of_the_run(raw, at, names, within=standardize == "run")
    if len(found | rest) < len(names):
        found = rest | found
    return found


def _moments_of_runs(raw: Frames) -> Array:
    """Return the mean and the standard deviation of each metric in each run [2, runs, D]."""
    parts = raw.split(raw.x)
    return np.stack([[part.mean(axis=0) for part in parts], [part.std(axis=0) for part in parts]])


def _all_copies(raw: Frames, at: list[NDArray[Any]]) -> bool:
    """Whether every metric is the same in every run."""
    return len(not_of_the_run(raw, at, [str(d) for d in range(raw.x.shape[1])], within=False)) == raw.x.shape[1]


def _moments(raw: Frames, of_runs: Array, standardize: str) -> tuple[Array, Array]:
    """Return what each run is standardised with: centre and scale [runs, D]."""
    shape = (len(raw), raw.x.shape[1])
    if standardize == "none":
        return np.zeros(shape), np.ones(shape)
    if standardize == "pooled":
        center, scale = raw.x.mean(axis=0), raw.x.std(axis=0)
        return np.tile(center, (len(raw), 1)), np.tile(np.where(is_constant(center, scale), 1.0, scale), (len(raw), 1))
    center, scale = of_runs
    return center, np.where(is_constant(center, scale), 1.0, scale)


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


def _condition(covariance: Array, n: int) -> float:
    if n < 2:
        return float("nan")
    values = np.linalg.eigvalsh(covariance)
    return float(values[-1] / values[0]) if values[0] > 0 else float("inf")


def _caveats(
    constant: tuple[tuple[str, str], ...],
    condition: float,
    dropped: Mapping[str, str],
    cadence: str,
    *,
    alike: bool,
    solved: bool,
) -> tuple[str, ...]:
    notes = [f"{name} dropped: {reason}" for name, reason in dropped.items()]
    if cadence:
        notes.append(cadence)
    if alike:
        notes.append("every metric is the same in every run: they are copies of one run, and say nothing of others")
    if constant:
        metrics = sorted({metric for _, metric in constant})
        notes.append(f"constant within some runs, set to 0 there: {', '.join(metrics)}")
    if condition > 1e10:
        rest = "copies were dropped" if solved else "diag covariances are safer"
        notes.append(f"metrics are almost linearly dependent (condition number {condition:.1e}); {rest}")
    return tuple(notes)
