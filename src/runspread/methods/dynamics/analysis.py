"""``dynamics``: every step from metric logs to a training map and what it says about slow runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice, check_settings
from ..._reading.opening import opened_studies, opens
from ..._reading.protocols import is_study
from ..._results import Excluded
from ...errors import InputError
from ..audit.auditing import warns_of_seeds
from ..hmm.defaults import PRESET, STATES, FitOptions
from ..hmm.parameters import Mask
from ..hmm.selection import HmmSelection, check_states, select_hmm
from .cadence import durations
from .convergence import checkpoint_of, convergence_of
from .defaults import (
    DIRECTION,
    DIRECTIONS,
    DIVERGED,
    PERMUTATIONS,
    PRESETS,
    SIGNIFICANCE,
    STANDARDIZE,
    DynamicsSettings,
)
from .detours import DetourTest, before_convergence, detour_test, entries, lasting
from .live import with_live_form
from .logs import only_the_outcome, study_logs
from .maps import TrainingMap, map_of
from .outcome import OutcomeRegression, detour_states, outcome_regression
from .paths import Paths, canonical_order, trajectory_dissimilarity
from .prepare import PreparedSequences, prepared_logs
from .reading import STEPS, Logs, column, column_names, named_runs, read_logs, without
from .result import TrainingDynamics


@opens("source", by=opened_studies)
@warns_of_seeds(pooled=False)
def dynamics(
    source: Any,
    *,
    metrics: Sequence[str] | None = None,
    outcome: Any = None,
    threshold: float | None = None,
    direction: str = DIRECTION,
    preset: str = PRESET,
    states: Iterable[int] = STATES,
    standardize: str = STANDARDIZE,
    **settings: Unpack[DynamicsSettings],
) -> TrainingDynamics:
    """Find the latent states of training, the map that runs make through them, and the detours of slow runs.

    Parameters
    ----------
    source : study or the path of one, sequence or mapping of runs, or ndarray [runs, T, D]
        A study with logged metrics, or the logs themselves; a run is an array [T, D], a mapping of metric name to
        values [T], or a data frame (cells may be empty, and a column ``step`` says when a row was logged).
    metrics : sequence of str, optional
        Which metrics to model. Default: all but the outcome (of a study, the weight metrics where any were logged) that
        were logged at least 10 times, at steps that they share, in most runs. Any will do; the paper takes
        ``weight_metrics``.
    outcome : str, array_like of int [runs], or sequence or mapping of array_like [T], optional
        What makes a run slow: the name of a logged metric or one curve per run (with `threshold`), or the checkpoint at
        which each run converged (−1 for never).
    threshold : float, optional
        A run has converged when the outcome is strictly beyond it.
    direction : {"above", "below"}
        ``below`` for a loss.
    preset : {"default", "paper"}
        ``paper`` has the published rules: the number of states by the mean BIC on held-out runs; 5 restarts, 32
        iterations, hmmlearn's prior, k-means with ten starts on all checkpoints; the first 1000 checkpoints; copies of
        metrics kept; detours by the sign of a coefficient.
    states : iterable of int
        Numbers of states to choose from.
    standardize : {"run", "pooled", "none"}
        As for `prepare_sequences`.
    **settings
        Which rows of the logs count (`columns`, `steps`, `lengths`, `first_n`, `diverged`), how states and detours are
        chosen (`criterion`, `significance`, `permutations`), and how models are fitted (`covariance`, `restarts`,
        `iterations`, `seed`, ...): see `DynamicsSettings`.

    Returns
    -------
    TrainingDynamics

    Raises
    ------
    InputError
        Bad logs or options; names the run.

    Notes
    -----
    Runs that were logged at different steps are compared in steps. Source: Hu, Chen, Saphra, Cho, *Latent State Models
    of Training Dynamics*, TMLR 2023 (arXiv 2308.09543).

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> levels = np.repeat([[0.0, 0.0], [3.0, 1.0]], 15, axis=0)  # two phases
    >>> runs = {f"seed {k}": dict(zip(("l1", "l2"), (levels + 0.1 * rng.normal(size=(30, 2))).T)) for k in range(8)}
    >>> rs.dynamics(runs, states=[2], restarts=2, standardize="pooled").map.n_routes
    1
    """
    check_choice(preset, "preset", PRESETS)
    check_choice(direction, "direction", DIRECTIONS)
    if outcome is None and (threshold is not None or direction == "below"):
        given = f"threshold={threshold}" if threshold is not None else f"direction={direction!r}"
        raise InputError(f"got {given} without an outcome", "outcome= (--outcome), what says when a run has converged")
    check_states(states)
    rules, fits = _rules(preset, settings)
    given = _Logged(metrics, outcome, *(settings.get(name) for name in ("columns", "steps", "lengths")))
    diverged = settings.get("diverged", DIVERGED)
    logs, curves, left_out = given.read(source, diverged)
    prepared = prepared_logs(
        logs, first_n=rules["first_n"], diverged=diverged, standardize=standardize, redundant=rules["redundant"]
    )
    found = convergence_of(curves, logs, prepared, threshold, direction)
    selection = select_hmm(prepared.frames, states, criterion=rules["criterion"], columns=prepared.columns, **fits)
    shuffles = settings.get("permutations", PERMUTATIONS)
    result = interpret(prepared, selection, found, rules["significance"], shuffles, fits.get("seed", 0), preset=preset)
    return replace(result, excluded=left_out + result.excluded, fit_options=fits)


def _rules(preset: str, settings: DynamicsSettings) -> tuple[dict[str, Any], Any]:
    """Return the rules of the preset, or what was asked for instead, and the keywords of fits."""
    check_settings(settings, DynamicsSettings.__annotations__, dynamics)
    rules = {**PRESETS[preset], **{name: value for name, value in settings.items() if value is not None}}
    fits = {name: value for name, value in rules.items() if name in FitOptions.__annotations__}
    return rules, fits


@dataclass(frozen=True, eq=False)
class _Logged:
    """Which of the logs are modelled, what the outcome is, and how arrays are to be read."""

    metrics: Sequence[str] | None
    outcome: Any
    columns: Sequence[str] | None
    steps: Any
    lengths: ArrayLike | None

    def read(self, source: Any, diverged: str) -> tuple[Logs, Any, tuple[Excluded, ...]]:
        """Return the logs without the outcome (unless it is asked for as a metric), the outcome, excluded runs."""
        metrics, outcome, columns = self.metrics, self.outcome, self.columns
        if is_study(source):
            read = study_logs(source, metrics, outcome, diverged)
            return read.logs, read.curves if isinstance(outcome, str) else outcome, read.left_out
        runs = named_runs(source)
        if isinstance(outcome, str):
            name, outcome = outcome, {run: column(run, log, outcome, columns) for run, log in runs.items()}
            if metrics is None and columns is not None:
                metrics = [each for each in columns if each != name]
            if metrics is None or name not in metrics:
                runs = {run: without(log, name) for run, log in runs.items()}
            left = column_names(next(iter(runs.values())), columns) if metrics is None else metrics
            if not set(left) - ({*STEPS} if metrics is None else set()):
                raise only_the_outcome(name)
        logs = read_logs(runs, columns=columns, metrics=metrics, steps=self.steps, lengths=self.lengths)
        return logs, outcome, ()


def interpret(
    prepared: PreparedSequences,
    selection: HmmSelection,
    convergence: NDArray[Any] | None,
    significance: float = SIGNIFICANCE,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    *,
    preset: str = PRESET,
) -> TrainingDynamics:
    """Decode the runs with the chosen model and describe the map, the outcome and the detours."""
    order = canonical_order(selection.model.decode(prepared.frames).paths, selection.n_states)
    model = selection.model.permuted(order)
    capped = None if convergence is None else np.where(convergence < 0, prepared.ends, convergence)
    lasting = [durations(at, prepared.unit) for at in prepared.at] if prepared.unit == "step" else None
    drawn = map_of(model, prepared.frames, capped, durations=lasting, unit=prepared.unit)
    regression = None
    if convergence is not None and len(prepared.frames) > 1:
        regression = outcome_regression(
            drawn.occupancy, convergence, prepared.ends, permutations=permutations, seed=seed
        )
    first = first_entries(prepared, drawn.paths, model.n_states, full=model.covariance == "full", preset=preset)
    found, visits = detours_of(prepared, drawn.paths, first, convergence, regression, significance, preset), first >= 0
    watched = None if regression is None else tuple(int(state) for state in np.flatnonzero(found.detour))
    model = with_live_form(model, prepared, drawn.paths, watched)
    return TrainingDynamics(
        prepared=prepared,
        selection=selection,
        model=model,
        permutation=order,
        map=drawn,
        convergence=convergence,
        regression=regression,
        visits=visits,
        optional=found.optional,
        detour=found.detour,
        skipped=found.skipped,
        detour_pvalue=found.pvalue,
        dissimilarity_tv=trajectory_dissimilarity(drawn.occupancy),
        dissimilarity_label=trajectory_dissimilarity(drawn.occupancy, ground="label"),
        significance=significance,
        preset=preset,
        every=prepared.every,
        excluded=prepared.excluded,
        warnings=_warnings(prepared, selection, model.warnings, regression, drawn, visits),
    )


def first_entries(
    prepared: PreparedSequences, paths: Paths, n_states: int, *, full: bool, preset: str
) -> NDArray[np.int64]:
    """Return the checkpoint at which each run is first in each state it passes [runs, K]; −1 for the others.

    By the published rule a run passes the states that it is decoded to.
    """
    if preset == "paper":
        prepared = replace(prepared, standardize="none")
    return entries(prepared, paths, n_states, full=full)


def detours_of(
    prepared: PreparedSequences,
    paths: Paths,
    first: NDArray[np.int64],
    convergence: NDArray[Any] | None,
    regression: OutcomeRegression | None,
    significance: float,
    preset: str,
) -> DetourTest:
    """Return which states are detours, by the rule of the preset; none without a regression."""
    visits, n_states = first >= 0, first.shape[1]
    nothing, unknown = np.zeros(n_states, dtype=bool), np.full(n_states, np.nan)
    if convergence is None or regression is None:
        return DetourTest(nothing, unknown, nothing, nothing)
    if preset == "paper":
        optional, detour = detour_states(visits.astype(np.float64), convergence, regression, significance)
        return DetourTest(optional, unknown, detour, nothing)
    when = (
        first
        if prepared.unit == "checkpoint"
        else np.stack([at[row] for at, row in zip(prepared.at, first, strict=True)])
    )
    found = detour_test(visits, convergence, prepared.ends, entered=when, level=significance)
    early = before_convergence(paths, checkpoint_of(convergence, prepared), n_states)
    return replace(found, detour=found.detour & early, skipped=found.skipped & early & lasting(paths, n_states))


def _warnings(
    prepared: PreparedSequences,
    selection: HmmSelection,
    of_model: tuple[str, ...],
    regression: OutcomeRegression | None,
    drawn: TrainingMap,
    visits: Mask,
) -> tuple[str, ...]:
    notes = [*prepared.warnings, *selection.warnings, *of_model]
    if prepared.standardize == "run" and ((drawn.occupancy > 0) != visits).any():
        notes.append(
            "runs that were standardised each on its own are decoded to states that depend on how long they stay in "
            'each; in the metrics\' own units other runs pass some of these states. standardize="pooled" '
            "(--standardize pooled) takes all runs in the same units"
        )
    if regression is not None and selection.n_states > 1:
        notes += [regression.sentence(), *regression.warnings]
    return tuple(dict.fromkeys(notes))
