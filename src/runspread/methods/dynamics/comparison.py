"""Did a change of training remove the detour? Two sets of runs on one map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_seed
from ..._results import Result, Table
from ..._words import count, listed, p_text
from ...errors import InputError
from .._statistics import holm_adjusted
from ..hmm.parameters import Array, Frames
from .intervals import expanded_interval
from .paths import occupancy, trajectory_dissimilarity
from .prepare import PreparedSequences
from .result import TrainingDynamics

LEVEL = 0.05
FEWEST = 12
"""Runs on either side below which bootstrap intervals cover too seldom (82 % at 5, 87 % at 8 where a quarter forks)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MapComparison(Result):
    """Runs after a change, on the map of the runs before it.

    Attributes
    ----------
    visits : ndarray of int64 [2, K]
        Runs that visit each state of the first map, before and after.
    n_runs : tuple of int
        Before and after.
    pvalue : ndarray [K]
        Fisher's exact test that visiting does not depend on the change. Over the detours it is corrected for their
        number (Holm), over the other states for theirs.
    detours : tuple of int
        Detour states of the first map.
    own_detours : tuple of int
        Detour states of the second runs' own map.
    dissimilarity : tuple of float
        Mean total-variation distance between runs, before and after, on the first map.
    dissimilarity_change : tuple of float
        After less before, with a 95 % bootstrap interval over runs: (estimate, low, high); no interval (NaN) with fewer
        than 12 runs on either side, for which it would be too narrow.
    convergence_change : tuple of float
        The same for the mean convergence; NaN without outcomes, or where one counts checkpoints and the other steps.
    most_after : ndarray [K]
        Largest share of runs after the change that may visit each state (upper end of the 95 % interval by Clopper and
        Pearson).
    log_density : tuple of float
        Mean log-likelihood a checkpoint under the first map's model: far less after than before means that the map does
        not describe the second runs.
    """

    picture = ".plots_map_checks:plot_map_comparison"

    visits: NDArray[np.int64]
    n_runs: tuple[int, int]
    pvalue: Array
    detours: tuple[int, ...]
    own_detours: tuple[int, ...]
    dissimilarity: tuple[float, float]
    dissimilarity_change: tuple[float, float, float]
    convergence_change: tuple[float, float, float]
    most_after: Array
    log_density: tuple[float, float]

    def verdict(self, state: int) -> str:
        """Return ``rarer``, ``more frequent`` or ``undecided``: what the test at 5 % says of visits to a state."""
        before, after = (self.visits[row, state] / self.n_runs[row] for row in (0, 1))
        if not self.pvalue[state] < LEVEL or before == after:
            return "undecided"
        return "rarer" if after < before else "more frequent"

    @property
    def removed(self) -> bool:
        """Whether no run after the change visits a detour of the map before it, and each is shown to be rarer.

        That a detour is impossible no number of runs can show: `most_after` says how many may still take it.
        """
        none = [self.visits[1, k] == 0 and self.verdict(k) == "rarer" for k in self.detours]
        return bool(none) and all(none)

    def table(self) -> Table:
        """Return one row per state of the first map."""
        return Table(
            {
                "state": np.arange(self.visits.shape[1]),
                "runs before": [f"{v}/{self.n_runs[0]}" for v in self.visits[0]],
                "runs after": [f"{v}/{self.n_runs[1]}" for v in self.visits[1]],
                "p (Fisher)": self.pvalue,
                "detour before": ["yes" if k in self.detours else "" for k in range(self.visits.shape[1])],
            },
            formats={"p (Fisher)": ".2g"},
        )

    def sentence(self) -> str:
        """Return what became of the detours, of the distance between runs, and what is not seen."""
        change, low, high = self.dissimilarity_change
        interval = f"95 % {low:+.3f} to {high:+.3f}" if low <= high else "too few runs for an interval"
        return (
            f"{self._detour_clause()} The distance between runs changes by {change:+.3f} ({interval}). "
            "States that the first map lacks are not seen."
        )

    def _detour_clause(self) -> str:
        if not self.detours:
            return "No detour was shown before the change."
        verdicts = {self.verdict(k) for k in self.detours}
        first = min(self.detours, key=lambda k: self.pvalue[k])
        more = len(self.detours) - 1
        parts = self._counted(first) + (f"; {count(more, 'other')} in the table" if more else "")
        the = "the detour" if len(self.detours) == 1 else "the detours"
        if self.removed:
            found = f"{the.capitalize()} {'is' if len(self.detours) == 1 else 'are'} gone or rare"
        elif len(verdicts) > 1:
            found = "The detours changed differently"
        elif verdicts == {"undecided"}:
            found = f"Whether the change affects {the} is undecided"
        else:
            found = f"{'Fewer' if verdicts == {'rarer'} else 'More'} runs take {the}"
        return f"{found} ({parts})."

    def _counted(self, k: int) -> str:
        (before, after), (n, m) = self.visits[:, k], self.n_runs
        most = f", at most {self.most_after[k]:.0%} of runs" if after == 0 else ""
        return f"state {k}: {before} of {count(n, 'run')} before, {after} of {m} after{most}; {p_text(self.pvalue[k])}"


def compare_maps(
    before: TrainingDynamics, after: TrainingDynamics, *, bootstraps: int = 2000, seed: int = 0
) -> MapComparison:
    """Put runs after a change of training on the map of the runs before it.

    Parameters
    ----------
    before, after : TrainingDynamics
        What `dynamics` returned, over the same metrics and with the same ``standardize``. Runs that were standardised
        together (``pooled``) are brought to the units of the first map.
    bootstraps : int
        Resamples of the runs for the intervals.
    seed : int

    Returns
    -------
    MapComparison

    Raises
    ------
    InputError
        The second lacks a metric of the first, or was standardised in another way.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> levels = np.repeat([[0.0, 0.0], [3.0, 1.0]], 15, axis=0)  # two phases
    >>> runs = {f"seed {k}": dict(zip(("l1", "l2"), (levels + 0.1 * rng.normal(size=(30, 2))).T)) for k in range(8)}
    >>> found = rs.dynamics(runs, states=[2], restarts=2, standardize="pooled", outcome=dict.fromkeys(runs, 15))
    >>> rs.methods.dynamics.compare_maps(found, found, bootstraps=10).visits.shape
    (2, 2)
    """
    frames = _in_units_of(before.prepared, after.prepared)
    model, n_states = before.model, before.model.n_states
    shares = before.map.occupancy, occupancy(model.decode(frames).paths, n_states)
    visits = np.stack([(share > 0).sum(axis=0) for share in shares])
    n_runs = len(shares[0]), len(shares[1])
    spread = trajectory_dissimilarity(shares[0]), trajectory_dissimilarity(shares[1])
    rng = np.random.default_rng(check_seed(seed))
    density = [model.score(runs) / len(runs.x) for runs in (before.prepared.frames, frames)]
    return MapComparison(
        visits=visits,
        n_runs=n_runs,
        **visit_tests(visits, n_runs, before.detours),
        detours=before.detours,
        own_detours=after.detours,
        dissimilarity=spread,
        dissimilarity_change=_change(*shares, trajectory_dissimilarity, bootstraps, rng),
        convergence_change=_convergence_change(before, after, bootstraps, rng),
        log_density=(density[0], density[1]),
        excluded=before.excluded + after.excluded,
        warnings=_warnings(before, after, (density[0], density[1])),
    )


def _in_units_of(first: PreparedSequences, second: PreparedSequences) -> Frames:
    """Return the second runs with the metrics of the first, as the first map's model takes them."""
    missing = [name for name in first.columns if name not in second.columns]
    if missing:
        raise InputError(f"the second runs lack {', '.join(missing)}", "the metrics of the first map")
    if first.standardize != second.standardize:
        raise InputError(
            f"got maps with standardize={first.standardize!r} and {second.standardize!r}",
            "one for both",
            "Call dynamics() on the second runs with the first one's.",
        )
    index = [second.columns.index(name) for name in first.columns]
    if first.standardize == "run":  # each run has units of its own
        x = second.frames.x[:, index]
    else:
        x = (second.raw.x[:, index] - first.center[0]) / first.scale[0]
    return Frames(np.ascontiguousarray(x), second.frames.offsets, second.frames.names)


def visit_tests(visits: NDArray[np.int64], n_runs: tuple[int, int], detours: Sequence[int]) -> dict[str, Array]:
    """Return ``pvalue`` and ``most_after`` of a comparison from the runs that visit each state [2, K]."""
    tests = np.array([_fisher(pair, n_runs) for pair in visits.T])
    others = [state for state in range(len(tests)) if state not in detours]
    for group in (list(detours), others):
        tests[group] = holm_adjusted(tests[group])
    return {"pvalue": tests, "most_after": np.array([_upper(int(k), n_runs[1]) for k in visits[1]])}


def _fisher(visits: NDArray[np.int64], n_runs: tuple[int, int]) -> float:
    from scipy.stats import fisher_exact

    return float(fisher_exact(np.stack([visits, np.array(n_runs) - visits]))[1])


def _upper(visits: int, runs: int) -> float:
    """Return the upper end of Clopper and Pearson's 95 % interval of a share."""
    from scipy.special import betaincinv

    return 1.0 if visits == runs else float(betaincinv(visits + 1, runs - visits, 0.975))


def _warnings(before: TrainingDynamics, after: TrainingDynamics, density: tuple[float, float]) -> tuple[str, ...]:
    notes = (
        [f"on their own map the runs after the change have detours: {listed(after.detours)}"] if after.detours else []
    )
    if density[1] < density[0] - 1:
        notes.append(
            f"the map describes the runs after the change less well: {density[0] - density[1]:.1f} nats per checkpoint"
        )
    lost = [count(r.n_unconverged, "run") + f" {when}" for r, when in ((before, "before"), (after, "after"))]
    if before.n_unconverged + after.n_unconverged:
        notes.append(
            f"runs that never converged count with their length in the change of convergence ({', '.join(lost)})"
        )
    return tuple(notes)


def _change(
    a: Array, b: Array, statistic: Callable[[Array], Any], bootstraps: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return the difference of a statistic of runs (first axis) and its interval over resampled runs."""
    estimate = float(statistic(b) - statistic(a))
    if min(len(a), len(b)) < FEWEST:
        return estimate, float("nan"), float("nan")
    draws = [
        statistic(b[rng.integers(len(b), size=len(b))]) - statistic(a[rng.integers(len(a), size=len(a))])
        for _ in range(bootstraps)
    ]
    return estimate, *expanded_interval(draws, min(len(a), len(b)))


def _convergence_change(
    before: TrainingDynamics, after: TrainingDynamics, bootstraps: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    if before.capped is None or after.capped is None or before.prepared.unit != after.prepared.unit:
        return float("nan"), float("nan"), float("nan")
    times = before.capped.astype(np.float64), after.capped.astype(np.float64)
    return _change(*times, np.mean, bootstraps, rng)
