"""How firm a training map is: over starting points of EM and over resampled runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_seed
from ..._results import Result, Table
from ..._words import count
from ...errors import InputError
from ..hmm.defaults import FitOptions
from ..hmm.fit import fit_hmm
from ..hmm.parameters import Array
from .analysis import detours_of, first_entries
from .defaults import BOOTSTRAPS
from .outcome import outcome_regression
from .paths import Paths, collapsed, is_linear, occupancy, transitions
from .result import TrainingDynamics


@dataclass(frozen=True, eq=False, kw_only=True)
class MapStability(Result):
    """What becomes of a training map when it is fitted again.

    Attributes
    ----------
    restart_agreement : ndarray [restarts]
        Share of checkpoints that another starting point puts into the matching state; NaN for failed ones.
    restart_gap : ndarray [restarts]
        Log-likelihood below that of the best starting point, in nats.
    bootstrap_agreement : ndarray [bootstraps]
        The same for models fitted to resampled runs (all runs are decoded).
    edge_support : ndarray [K, K]
        Share of bootstraps in which some run makes the transition.
    detour_support : ndarray [K]
        Share of bootstraps in which the state is a detour; NaN without an outcome.
    linear_support : float
        Share of bootstraps with a linear map.
    edges : tuple of (int, int)
        The transitions of the map itself.
    detours : tuple of int
    """

    picture = ".plots_map_checks:plot_map_stability"

    restart_agreement: Array
    restart_gap: Array
    bootstrap_agreement: Array
    edge_support: Array
    detour_support: Array
    linear_support: float
    edges: tuple[tuple[int, int], ...]
    detours: tuple[int, ...]

    def table(self) -> Table:
        """Return one row a transition of the map."""
        support = [self.edge_support[edge] for edge in self.edges]
        return Table(
            {
                "edge": [f"{i} → {j}" for i, j in self.edges],
                "share of bootstraps that have it": support,
                "into a detour": ["yes" if j in self.detours else "" for _, j in self.edges],
            },
            formats={"share of bootstraps that have it": ".0%"},
        )

    def sentence(self) -> str:
        """Return how much of the map comes back."""
        again = self.bootstrap_agreement
        if not self.edges:
            return f"The map has no transitions that could recur in {count(len(again), 'resample')} of the runs."
        resamples = f"{count(len(again), 'resample')} of the runs"
        firm = sum(self.edge_support[edge] >= 0.9 for edge in self.edges)
        recur = f"{firm} of {count(len(self.edges), 'transition')} recur{'s' if firm == 1 else ''}"
        detours = [f"state {k} is a detour in {self.detour_support[k]:.0%}" for k in self.detours]
        of_detours = f"; {', '.join(detours)} of them" if detours else ""
        return (
            f"{recur} in at least 90% of {resamples}, and {np.mean(again):.0%} of checkpoints fall into the matching "
            f"state (worst {np.min(again):.0%}){of_detours}. The number of states was held fixed."
        )


def map_stability(
    result: TrainingDynamics, *, bootstraps: int = BOOTSTRAPS, **options: Unpack[FitOptions]
) -> MapStability:
    """Fit the chosen number of states again, from other starting points and to resampled runs, and compare.

    Parameters
    ----------
    result : TrainingDynamics
        What `dynamics` returned.
    bootstraps : int
        Resamples of the runs (with replacement), a model each.
    **options
        As for `fit_hmm`, for the resamples; by default what the result was fitted with (``result.fit_options``), but 4
        restarts. ``seed`` draws the resamples too.

    Returns
    -------
    MapStability
        States are matched to those of the result by the assignment that agrees on most checkpoints.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> levels = np.repeat([[0.0, 0.0], [3.0, 1.0]], 15, axis=0)  # two phases
    >>> runs = {f"seed {k}": dict(zip(("l1", "l2"), (levels + 0.1 * rng.normal(size=(30, 2))).T)) for k in range(8)}
    >>> found = rs.dynamics(runs, states=[2], restarts=2, standardize="pooled", outcome=dict.fromkeys(runs, 15))
    >>> rs.methods.dynamics.map_stability(found, bootstraps=3, restarts=1).detours
    ()
    """
    if bootstraps < 1:
        raise InputError(f"got bootstraps={bootstraps}", "at least 1")
    frames, n_states = result.prepared.frames, result.model.n_states
    base = np.concatenate(result.map.paths)
    fitted = result.selection.model
    others = [None if r.failure else fitted.restart(i) for i, r in enumerate(fitted.restarts)]
    agreement = [np.nan if m is None else _matched(m.decode(frames).paths, base, n_states)[1] for m in others]
    scores = np.array([restart.log_likelihood for restart in fitted.restarts])
    settings: Any = {**result.fit_options, "covariance": result.model.covariance, "restarts": 4, **options}
    rng, found = np.random.default_rng(check_seed(settings.pop("seed", 0))), []
    for _ in range(bootstraps):
        sample = frames.subset(rng.integers(len(frames), size=len(frames)))
        model = fit_hmm(sample, n_states, **settings | {"seed": int(rng.integers(2**31))})
        found.append(_matched(model.decode(frames).paths, base, n_states))
    edges = np.mean([(transitions(paths, n_states) > 0).any(axis=0) for paths, _ in found], axis=0)
    return MapStability(
        restart_agreement=np.array(agreement),
        restart_gap=np.nanmax(scores) - scores,
        bootstrap_agreement=np.array([share for _, share in found]),
        edge_support=edges,
        detour_support=np.mean([_detours(result, paths) for paths, _ in found], axis=0),
        linear_support=float(np.mean([is_linear([collapsed(p) for p in paths]) for paths, _ in found])),
        edges=tuple((edge.source, edge.target) for edge in result.map.edges),
        detours=result.detours,
    )


def _matched(paths: Paths, base: NDArray[np.int64], n_states: int) -> tuple[list[NDArray[np.int64]], float]:
    """Return paths with states renamed to agree with `base` on most checkpoints, and that share."""
    from scipy.optimize import linear_sum_assignment

    counts = np.zeros((n_states, n_states), dtype=np.int64)
    np.add.at(counts, (np.concatenate(paths), base), 1)
    rows, columns = linear_sum_assignment(-counts)
    names = np.empty(n_states, dtype=np.int64)
    names[rows] = columns
    return [names[path] for path in paths], float(counts[rows, columns].sum() / counts.sum())


def _detours(result: TrainingDynamics, paths: Paths) -> Array:
    """Return which states are detours by the rule of the result, were these its paths."""
    n_states, prepared = result.model.n_states, result.prepared
    if result.convergence is None or result.regression is None:
        return np.full(n_states, np.nan)
    full, preset = result.model.covariance == "full", result.preset
    first = first_entries(prepared, paths, n_states, full=full, preset=preset)
    fit = outcome_regression(occupancy(paths, n_states), result.convergence, prepared.ends, permutations=1)
    found = detours_of(prepared, paths, first, result.convergence, fit, result.significance, preset)
    return found.detour.astype(np.float64)
