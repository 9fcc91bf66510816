"""What ``dynamics`` returns: the states of training, the map, and what is shown of slow runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._results import Result, Table
from ..._words import count, listed, p_text
from ..hmm.model import HiddenMarkovModel
from ..hmm.monitor import RunMonitor
from ..hmm.parameters import Array
from ..hmm.selection import HmmSelection
from .convergence import checkpoint_of
from .detours import fewest_runs
from .intervals import difference_interval
from .maps import TrainingMap, route_text
from .outcome import OutcomeRegression
from .prepare import PreparedSequences


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingDynamics(Result):
    """Latent states of training runs, the map they make, and how they go with convergence.

    Attributes
    ----------
    prepared : PreparedSequences
        Standardised metrics and what was excluded; ``prepared.unit`` says whether times count checkpoints or, for runs
        that were logged at different steps, training steps.
    selection : HmmSelection
        Number of states and the curves behind it.
    model : HiddenMarkovModel
        The chosen model with states numbered by mean first visit.
    permutation : ndarray of int64 [K]
        State k of `model` is state ``permutation[k]`` of ``selection.model``.
    map : TrainingMap
        Of all runs, fitted and held out.
    convergence : ndarray [runs] or None
        Checkpoint (or training step) at which each run converged, −1 for never; None without an outcome.
    regression : OutcomeRegression or None
        None without an outcome or with one run.
    visits : ndarray of bool [runs, K]
        Which states each run passes. Of runs that were standardised each on its own: in the metrics' own units, as the
        states that such a run is decoded to depend on how long it stays in each.
    optional, detour, skipped : ndarray of bool [K]
        States that some converging run does without. Those of them that no more than half of the runs pass and whose
        runs are shown to converge later. Those that more than half pass and whose runs are shown to converge later: the
        others take a shortcut. By the published rule (``preset="paper"``) a detour is an optional state with a positive
        coefficient in a significant regression, whether or not its runs are slower.
    detour_pvalue : ndarray [K]
        Of the runs that pass an optional state converging later, corrected for the number of such states; where runs
        end at different times, beside those that then still ran and had not entered it. NaN for the others, and by the
        published rule.
    dissimilarity_tv, dissimilarity_label : float
        Mean distance between runs' shares of time in the states (total variation; states as positions).
    significance : float
        Level of detours: of `detour_pvalue`, or of the regression's F-test by the published rule.
    preset : str
        ``default``, or ``paper`` for the published rules.
    every : int or None
        Training steps from one checkpoint to the next, where they are known and it is always the same.
    fit_options : mapping of str to object
        Keywords of ``fit_hmm`` that the model was fitted with; what is not there was left at its default.
    """

    says_excluded = True

    picture = ".plots_training_map:plot_training_map"

    prepared: PreparedSequences
    selection: HmmSelection
    model: HiddenMarkovModel
    permutation: NDArray[np.int64]
    map: TrainingMap
    convergence: NDArray[Any] | None
    regression: OutcomeRegression | None
    visits: NDArray[np.bool_]
    optional: NDArray[np.bool_]
    detour: NDArray[np.bool_]
    skipped: NDArray[np.bool_]
    detour_pvalue: Array
    dissimilarity_tv: float
    dissimilarity_label: float
    significance: float
    preset: str = "default"
    every: int | None = None
    fit_options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def detours(self) -> tuple[int, ...]:
        """Detour states."""
        return tuple(int(state) for state in np.flatnonzero(self.detour))

    @property
    def capped(self) -> NDArray[Any] | None:
        """Convergence with the end of a run in place of −1."""
        if self.convergence is None:
            return None
        return np.where(self.convergence < 0, self.prepared.ends, self.convergence)

    @property
    def convergence_checkpoint(self) -> NDArray[np.int64] | None:
        """Checkpoint at which each run converged, −1 for never, whatever `convergence` counts."""
        return None if self.convergence is None else checkpoint_of(self.convergence, self.prepared)

    @property
    def n_unconverged(self) -> int:
        """Runs that never reached the threshold."""
        return 0 if self.convergence is None else int((self.convergence < 0).sum())

    def monitor(self, detours: Sequence[int] | None = None, horizon: int | None = None) -> RunMonitor:
        """Return a monitor for a live run; by default of this result's detours, with its longest run as horizon."""
        return self.model.monitor(detours, horizon)

    def mean_convergence_with(self, state: int) -> tuple[float, float]:
        """Return the mean convergence of the runs that pass a state and of those that do not."""
        if self.capped is None:
            return float("nan"), float("nan")
        with_state, without = (float(group.mean()) if len(group) else float("nan") for group in self._groups(state))
        return with_state, without

    def convergence_difference(self, state: int) -> tuple[float, float, float]:
        """Return how much later the runs that pass a state converge than the others, with Welch's 95 % interval."""
        with_state, without = self.mean_convergence_with(state)
        if self.capped is None:
            return float("nan"), float("nan"), float("nan")
        passing, others = self._groups(state)
        return with_state - without, *difference_interval(others, passing)

    def _groups(self, state: int) -> tuple[Array, Array]:
        assert self.capped is not None
        times = self.capped.astype(np.float64)
        return times[self.visits[:, state]], times[~self.visits[:, state]]

    def table(self) -> Table:
        """Return one row per state."""
        table = self.map.states_table()
        columns: dict[str, Any] = dict(table.columns)
        if self.regression is not None:
            columns["coefficient"] = self.regression.coef
            means = [self.mean_convergence_with(state) for state in range(self.model.n_states)]
            columns["convergence of its runs"] = [pair[0] for pair in means]
            columns["of the others"] = [pair[1] for pair in means]
            columns["p, later"] = self.detour_pvalue
            columns["optional"] = ["yes" if value else "" for value in self.optional]
            columns["detour"] = ["yes" if value else "" for value in self.detour]
        formats = {"coefficient": ".2f", "convergence of its runs": ".1f", "of the others": ".1f", "p, later": ".2g"}
        counted = f"; {self.n_unconverged} that never converged count with their length" if self.n_unconverged else ""
        title = f"States (first visit in checkpoints, convergence in {self.prepared.unit}s{counted})"
        return Table(columns, formats=formats | table.formats, title=title)

    def sentence(self) -> str:
        """Return whether runs part ways, which detours slow runs took, and what that does not show."""
        return " ".join(part for part in (self._shape(), self._detour_clause()) if part)

    def _shape(self) -> str:
        n = len(self.map.paths)
        lost = f" ({len(self.excluded)} excluded)" if self.excluded else ""
        rest = f"; {self.n_unconverged} of {n} never converged" if self.n_unconverged else ""
        return f"{self._ways(n, lost)}{rest}{self._copies()}."

    def _ways(self, n: int, lost: str) -> str:
        """Return how the runs go through the states."""
        drawn = self.map
        if self.model.n_states == 1:
            chosen = len(self.selection.states) > 1
            one = "One state fits best: no distinct phases found" if chosen else "One state, the only number tried,"
            return f"{one} in {count(n, 'run')}{lost}"
        common = drawn.longest_route if drawn.one_way else drawn.common_route
        route, share = route_text(common), drawn.routes.count(common)
        if drawn.n_routes == 1:
            who = "The only run follows one" if n == 1 else f"All {count(n, 'run')}{lost} follow the same"
            back = "" if drawn.is_linear else ", back to earlier ones"
            return f"{who} route ({count(len(set(common)), 'state')}{back}): {route}"
        more = n - share if drawn.one_way else drawn.n_unfinished
        ended = f", {more} more end{'s' if more == 1 else ''} on the way" if more else ""
        takes = f"take{'s' if share == 1 else ''} {route}"
        if drawn.one_way:
            return f"{share} of {count(n, 'run')}{lost} {takes} to its end{ended}"
        doubt = "" if self.apart else ", which the metrics' own units do not confirm"
        return f"{count(n, 'run')}{lost} fork into {drawn.n_routes} routes{doubt}: {share} of {n} {takes}{ended}"

    @property
    def apart(self) -> bool:
        """Whether some run passes a state that another does not, where runs go through different states."""
        return self.map.n_routes == 1 or not bool((self.visits == self.visits[0]).all())

    def _copies(self) -> str:
        """Return which metrics were excluded because others say the same."""
        why = {name: reason for name, reason in self.prepared.dropped.items() if reason.startswith("a ")}
        if not why:
            return ""
        first = next(iter(why))
        return f" ({first} excluded as {why[first]})" if len(why) == 1 else f" (excluded as copies: {listed([*why])})"

    def _detour_clause(self) -> str:
        if self.convergence is None:
            return "Without an outcome nothing is said about slow runs."
        if self.regression is None or self.model.n_states == 1:
            return ""
        if self.detours:
            return self._detours_shown()
        if self.preset == "paper":
            return "No detour states were found by the published rule."
        if self.skipped.any():
            ways = [self._shortcut(state) for state in self._by_evidence(self.skipped)]
            return f"No detour states were found, but a shortcut: {ways[0]}{_more(ways)}."
        if (few := fewest_runs(self.significance)) > len(self.map.paths):
            return f"These are too few to show a detour: {few} are needed."
        if self.visits.all():
            return "No detour states were found: every run passes every state."
        return "No detour states were found; that there are none is not shown."

    def _detours_shown(self) -> str:
        unit = f" (a checkpoint is {self.every} steps)" if self._in_checkpoints and (self.every or 1) > 1 else ""
        rule = " by the published rule" if self.preset == "paper" else ""
        shown = [self._detour(state) for state in self._by_evidence(self.detour)]
        slows = "it slows" if len(shown) == 1 else "they slow"
        return f"Detours{rule}: {shown[0]}{_more(shown)}{unit}. That {slows} these runs is not shown."

    def _by_evidence(self, states: NDArray[np.bool_]) -> list[int]:
        """Return some states, that with the smallest p first."""
        return sorted((int(k) for k in np.flatnonzero(states)), key=lambda k: (np.nan_to_num(self.detour_pvalue[k]), k))

    @property
    def _in_checkpoints(self) -> bool:
        return self.prepared.unit == "checkpoint"

    def _detour(self, state: int) -> str:
        slow, fast = self.mean_convergence_with(state)
        runs = count(int(self.visits[:, state].sum()), "run")
        times = f"converging at {self.prepared.unit} {slow:.0f} against {fast:.0f}"
        if self.preset == "paper" and self.regression is not None:
            odd = "" if slow > fast else ", though others are slower"
            return f"state {state} (coefficient {self.regression.coef[state]:.2f}, {runs}, {times}{odd})"
        gap, low, high = self.convergence_difference(state)
        digits = 1 if high - low < 2 else 0  # an interval within rounding would look like certainty
        interval = f", 95 % {low:+.{digits}f} to {high:+.{digits}f}" if low <= high else ""
        return f"state {state} ({runs}, {times}: {gap:+.{digits}f}{interval}, {p_text(self.detour_pvalue[state])})"

    def _shortcut(self, state: int) -> str:
        slow, fast = self.mean_convergence_with(state)
        runs = int((~self.visits[:, state]).sum())
        return (
            f"{count(runs, 'run')} skip{'s' if runs == 1 else ''} state {state} and converge{'s' if runs == 1 else ''} "
            f"sooner ({self.prepared.unit} {fast:.0f} against {slow:.0f}, {p_text(self.detour_pvalue[state])})"
        )


def _more(shown: Sequence[str]) -> str:
    return f" and {len(shown) - 1} more in the table" if len(shown) > 1 else ""
