"""``dynamics``: every step from metric logs to a training map and what it says about slow runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._errors import InputError
from ..._results import Excluded, Result, Table
from ..hmm.fitting import FitOptions
from ..hmm.model import HiddenMarkovModel
from ..hmm.parameters import Array
from ..hmm.selection import HmmSelection, select_hmm
from ..variance.audit import warns_of_seeds
from .live import with_live_form
from .logs import is_study, study_logs
from .monitor import RunMonitor
from .outcome import OutcomeRegression, convergence_index, detour_states, outcome_regression
from .paths import canonical_order, trajectory_dissimilarity
from .prepare import PreparedSequences, prepare_sequences
from .training_map import TrainingMap, route_text, training_map

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {"first_n": 1000, "restarts": 5, "iterations": 32, "tolerance": 1e-2, "kmeans": "reference"},
}


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingDynamics(Result):
    """Latent states of training runs, the map they make, and how they go with convergence.

    Attributes
    ----------
    prepared : PreparedSequences
        Standardised metrics and what was left out.
    selection : HmmSelection
        Number of states and the curves behind it.
    model : HiddenMarkovModel
        The chosen model with states numbered by mean first visit.
    permutation : ndarray of int64 [K]
        State k of `model` is state ``permutation[k]`` of ``selection.model``.
    map : TrainingMap
        Of all runs, fitted and held out.
    convergence : ndarray of int64 [runs] or None
        Checkpoint at which each run converged, −1 for never; None without an outcome.
    regression : OutcomeRegression or None
        None without an outcome or with one run.
    optional, detour : ndarray of bool [K]
        States that some converging run does without; those of them that go with slow convergence.
    dissimilarity_tv, dissimilarity_label : float
        Mean distance between runs' shares of time in the states (total variation; states as positions).
    significance : float
        Level below which the regression's p-value allows detours.
    every : int or None
        Training steps from one checkpoint to the next, where a study says so and it is always the same.
    fit_options : mapping of str to object
        Keywords of ``fit_hmm`` that the model was fitted with; what is not there was left at its default.
    """

    prepared: PreparedSequences
    selection: HmmSelection
    model: HiddenMarkovModel
    permutation: NDArray[np.int64]
    map: TrainingMap
    convergence: NDArray[np.int64] | None
    regression: OutcomeRegression | None
    optional: NDArray[np.bool_]
    detour: NDArray[np.bool_]
    dissimilarity_tv: float
    dissimilarity_label: float
    significance: float
    every: int | None = None
    fit_options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def detours(self) -> tuple[int, ...]:
        """Detour states."""
        return tuple(int(state) for state in np.flatnonzero(self.detour))

    @property
    def capped(self) -> NDArray[np.int64] | None:
        """Convergence with a run's length in place of −1."""
        if self.convergence is None:
            return None
        return np.where(self.convergence < 0, self.prepared.lengths, self.convergence)

    @property
    def n_unconverged(self) -> int:
        """Runs that never reached the threshold."""
        return 0 if self.convergence is None else int((self.convergence < 0).sum())

    def monitor(self, detours: Sequence[int] | None = None, horizon: int | None = None) -> RunMonitor:
        """Return a monitor for a live run; by default of this result's detours, with its longest run as horizon."""
        return self.model.monitor(detours, horizon)

    def mean_convergence_with(self, state: int) -> tuple[float, float]:
        """Return the mean convergence checkpoint of the runs that visit a state and of those that do not."""
        if self.capped is None:
            return float("nan"), float("nan")
        visits = self.map.occupancy[:, state] > 0
        groups = (self.capped[visits], self.capped[~visits])
        with_state, without = (float(group.mean()) if len(group) else float("nan") for group in groups)
        return with_state, without

    def table(self) -> Table:
        """Return one row a state."""
        table = self.map.states_table()
        columns: dict[str, Any] = dict(table.columns)
        if self.regression is not None:
            columns["coefficient"] = self.regression.coef
            means = [self.mean_convergence_with(state) for state in range(self.model.n_states)]
            columns["convergence of its runs"] = [pair[0] for pair in means]
            columns["of the others"] = [pair[1] for pair in means]
            columns["optional"] = ["yes" if value else "" for value in self.optional]
            columns["detour"] = ["yes" if value else "" for value in self.detour]
        formats = {"coefficient": ".2f", "convergence of its runs": ".1f", "of the others": ".1f", **table.formats}
        counted = f"; {self.n_unconverged} that never converged count with their length" if self.n_unconverged else ""
        return Table(columns, formats=formats, title=f"States (first visit and convergence in checkpoints{counted})")

    def sentence(self) -> str:
        """Return whether runs part ways, which detours slow them, and what that does not show."""
        lost = f" ({len(self.excluded)} set aside)" if self.excluded else ""
        n = len(self.map.paths)
        route, share = route_text(self.map.common_route), round(self.map.common_share * n)
        shape = "are linear" if self.map.is_linear else f"fork into {self.map.n_routes} routes"
        ended = f", {self.map.n_unfinished} more end on the way" if self.map.n_unfinished else ""
        if self.n_unconverged:
            ended += f"; {self.n_unconverged} of {n} never converged and count with their length"
        return (
            f"{n} runs{lost} {shape}: {share} of {n} take {route} through {self.model.n_states} states{ended}. "
            f"{self._detour_clause()}{self._regression_clause()}"
        )

    def _detour_clause(self) -> str:
        if self.regression is None:
            return "Without an outcome nothing is said about slow runs."
        if not self.detours:
            return "No detour state. "
        parts = []
        for state in self.detours:
            slow, fast = self.mean_convergence_with(state)
            visits = int(self.map.visits[state])
            odd = "" if slow > fast else ", though the others are slower"
            known = f"coefficient {self.regression.coef[state]:.2f}, {visits} runs"
            parts.append(f"state {state} ({known}, converging at checkpoint {slow:.0f} against {fast:.0f}{odd})")
        unit = f" (a checkpoint is {self.every} steps)" if self.every else ""
        return f"Detours: {', '.join(parts)}{unit}. "

    def _regression_clause(self) -> str:
        return "" if self.regression is None else self.regression.sentence()


@warns_of_seeds(pooled=False)
def dynamics(
    source: Any,
    *,
    metrics: Sequence[str] | None = None,
    outcome: Any = None,
    threshold: float | None = None,
    direction: str = "above",
    preset: str = "default",
    states: Iterable[int] = range(1, 9),
    criterion: str = "bic_mean",
    columns: Sequence[str] | None = None,
    steps: Any = None,
    lengths: ArrayLike | None = None,
    first_n: int | None = None,
    diverged: str = "exclude",
    standardize: str = "run",
    significance: float = 1e-3,
    permutations: int = 1000,
    **options: Unpack[FitOptions],
) -> TrainingDynamics:
    """Find the latent states of training, the map that runs make through them, and the detours of slow runs.

    Parameters
    ----------
    source : study, sequence or mapping of runs, or ndarray [runs, T, D]
        A study with logged metrics, or the logs themselves; a run is an array [T, D], a mapping of metric name to
        values [T], or a data frame.
    metrics : sequence of str, optional
        Which metrics to model (default: all but the outcome; of a study, the weight metrics that were logged). Any will
        do; the paper takes ``weight_metrics``.
    outcome : str, array_like of int [runs], or sequence or mapping of array_like [T], optional
        What makes a run slow: the name of a logged metric or one curve a run (with `threshold`), or the checkpoint at
        which each run converged (−1 for never).
    threshold : float, optional
        A run has converged when the outcome is strictly beyond it.
    direction : {"above", "below"}
        ``below`` for a loss.
    preset : {"default", "paper"}
        ``paper``: 5 restarts, 32 iterations, k-means with ten starts on all checkpoints, the first 1000 checkpoints.
    states : iterable of int
        Numbers of states to choose from.
    criterion : {"bic_mean", "bic_best", "aic", "heldout_ll"}
        As for ``select_hmm``.
    columns, steps, lengths, first_n, diverged, standardize
        As for ``prepare_sequences``.
    significance : float
        Level of the F-test below which states can be detours.
    permutations : int
        Shuffles for the permutation p-value.
    **options
        As for ``fit_hmm``; they override the preset.

    Returns
    -------
    TrainingDynamics

    Raises
    ------
    InputError
        Bad logs or options; names the run.

    Notes
    -----
    Source: Hu, Chen, Saphra, Cho, *Latent State Models of Training Dynamics*, TMLR 2023 (arXiv 2308.09543).
    """
    check_choice(preset, "preset", PRESETS)
    check_choice(direction, "direction", ("above", "below"))
    if outcome is None and (threshold is not None or direction == "below"):
        given = f"threshold={threshold}" if threshold is not None else f"direction={direction!r}"
        raise InputError(f"{given} without an outcome", "outcome= (--outcome), what says when a run has converged")
    left_out: tuple[Excluded, ...] = ()
    every: int | None = None
    if is_study(source):
        read = study_logs(source, metrics, outcome, diverged)
        source, metrics, left_out, every = read.logs, read.metrics, read.left_out, read.every
    logs, curves = separate_outcome(source, outcome, metrics, columns)
    if columns is not None and metrics is None:
        metrics = [name for name in columns if name != outcome]
    settings: Any = {**PRESETS[preset], **options}
    preset_first = settings.pop("first_n", None)
    prepared = prepare_sequences(
        logs,
        columns=columns,
        metrics=metrics,
        steps=steps,
        lengths=lengths,
        first_n=preset_first if first_n is None else first_n,
        diverged=diverged,
        standardize=standardize,
    )
    selection = select_hmm(prepared.frames, states, criterion=criterion, columns=prepared.columns, **settings)
    found = convergence_of(curves, prepared, logs, threshold, direction, steps)
    result = interpret(prepared, selection, found, significance, permutations, settings.get("seed", 0))
    return replace(result, excluded=left_out + result.excluded, every=every, fit_options=settings)


def interpret(
    prepared: PreparedSequences,
    selection: HmmSelection,
    convergence: NDArray[np.int64] | None,
    significance: float = 1e-3,
    permutations: int = 1000,
    seed: int = 0,
) -> TrainingDynamics:
    """Decode the runs with the chosen model and describe the map, the outcome and the detours."""
    order = canonical_order(selection.model.decode(prepared.frames).paths, selection.n_states)
    model = selection.model.permuted(order)
    drawn = training_map(model, prepared.frames, convergence=convergence)
    regression, nothing = None, np.zeros(model.n_states, dtype=bool)
    optional, detour = nothing, nothing
    if convergence is not None and len(prepared.frames) > 1:
        regression = outcome_regression(
            drawn.occupancy, convergence, prepared.lengths, permutations=permutations, seed=seed
        )
        optional, detour = detour_states(drawn.occupancy, convergence, regression, significance)
    watched = None if regression is None else tuple(int(state) for state in np.flatnonzero(detour))
    model = with_live_form(model, prepared, drawn.paths, watched)
    return TrainingDynamics(
        prepared=prepared,
        selection=selection,
        model=model,
        permutation=order,
        map=drawn,
        convergence=convergence,
        regression=regression,
        optional=optional,
        detour=detour,
        dissimilarity_tv=trajectory_dissimilarity(drawn.occupancy),
        dissimilarity_label=trajectory_dissimilarity(drawn.occupancy, ground="label"),
        significance=significance,
        excluded=prepared.excluded,
        warnings=(*prepared.warnings, *selection.warnings, *model.warnings),
    )


def separate_outcome(
    source: Any, outcome: Any, metrics: Sequence[str] | None, columns: Sequence[str] | None
) -> tuple[dict[str, Any], Any]:
    """Return the logs without the outcome's column (unless it is asked for as a metric), and the outcome's curves."""
    logs = dict(source) if isinstance(source, Mapping) else {f"run {i}": run for i, run in enumerate(source)}
    if not isinstance(outcome, str):
        return {str(name): run for name, run in logs.items()}, outcome
    curves = {str(run): _column(run, log, outcome, columns) for run, log in logs.items()}
    keep = metrics is not None and outcome in metrics
    return {str(run): log if keep else _without(log, outcome) for run, log in logs.items()}, curves


def _column(run: str, log: Any, name: str, columns: Sequence[str] | None) -> Array:
    if isinstance(log, Mapping) or hasattr(log, "columns"):
        check_choice(name, f"metric of {run}", [str(column) for column in log])
        return np.asarray(log[name])
    check_choice(name, "metric", list(columns or ()))
    return np.asarray(log, dtype=np.float64)[:, list(columns or ()).index(name)]


def _without(log: Any, name: str) -> Any:
    if isinstance(log, Mapping):
        return {key: values for key, values in log.items() if key != name}
    return log.drop(columns=name) if hasattr(log, "columns") else log


def convergence_of(
    outcome: Any,
    prepared: PreparedSequences,
    logs: Mapping[str, Any],
    threshold: float | None,
    direction: str,
    steps: Any = None,
) -> NDArray[np.int64] | None:
    """Return the convergence checkpoint of the kept runs, from curves and a threshold or as given."""
    if outcome is None:
        return None
    order = {run: index for index, run in enumerate(logs)}
    rows = dict(outcome) if isinstance(outcome, Mapping) else dict(zip(order, outcome, strict=True))
    rows = {str(run): np.asarray(values) for run, values in rows.items()}
    absent = [run for run in prepared.run_ids if run not in rows]
    if absent:
        raise InputError(f"no outcome for {absent[0]}", "one a run")
    kept = [rows[run] for run in prepared.run_ids]
    if all(row.ndim == 0 for row in kept):
        return _given(np.array(kept), prepared)
    if threshold is None:
        raise InputError("outcome curves without a threshold", "threshold=, slightly below the best value")
    if steps is not None:
        given = dict(steps) if isinstance(steps, Mapping) else dict(zip(order, steps, strict=True))
        kept = [row[np.argsort(given[run])] for run, row in zip(prepared.run_ids, kept, strict=True)]
    cut = [row[:length] for row, length in zip(kept, prepared.lengths, strict=True)]
    return convergence_index(cut, threshold, direction=direction).index


def _given(index: NDArray[Any], prepared: PreparedSequences) -> NDArray[np.int64]:
    if index.dtype.kind not in "iu" and not np.array_equal(index, np.floor(index)):
        raise InputError("outcome that is neither whole numbers nor curves", "checkpoint indices, or one curve a run")
    late = np.flatnonzero(index > prepared.lengths)
    if len(late):
        run = late[0]
        raise InputError(
            f"{prepared.run_ids[run]} converges at checkpoint {index[run]} of {prepared.lengths[run]}",
            "an index counted in checkpoints, or −1",
        )
    return np.where(index < 0, -1, index).astype(np.int64)
