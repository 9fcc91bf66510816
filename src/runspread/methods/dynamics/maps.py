"""The training map: states as places, transitions that some run makes as roads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._results import Result, Table
from ..._words import count
from ...errors import InputError
from ..hmm.model import HiddenMarkovModel
from ..hmm.parameters import Array, Frames, as_frames
from .influence import edge_influence
from .paths import Paths, collapsed, common_route, first_visits, is_linear, occupancy, transitions


@dataclass(frozen=True, eq=False)
class MapEdge:
    """A transition between two different states that at least one run makes.

    Attributes
    ----------
    source, target : int
    probability : float
        Of the model.
    occurrences, runs : int
        How often it happens, and in how many runs.
    features : tuple of str
        The metrics that matter most for entering `target`, most influential first.
    influence : tuple of float
        Mean absolute gradient of the log-probability of `target` at the last checkpoint in `source`.
    movement : tuple of float
        Mean in `target` less mean in `source`, in the units of the sequences (z-scores).
    all_influence, all_movement : ndarray [D]
        The same for every metric, in the order of the model's.
    mean_convergence, sd_convergence : float
        Over the runs that make it, in checkpoints (population SD); NaN without an outcome.
    """

    source: int
    target: int
    probability: float
    occurrences: int
    runs: int
    features: tuple[str, ...]
    influence: tuple[float, ...]
    movement: tuple[float, ...]
    all_influence: Array
    all_movement: Array
    mean_convergence: float
    sd_convergence: float

    def describe(self) -> str:
        """Return the features with arrows and sizes, as in the paper: ``l2 ↓1.68, l1 ↓1.83``."""
        pairs = zip(self.features, self.movement, strict=True)
        return ", ".join(f"{name} {'↑' if move > 0 else '↓'}{abs(move):.2f}" for name, move in pairs)


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingMap(Result):
    """Graph of the states that runs go through.

    Attributes
    ----------
    n_states : int
    run_ids : tuple of str
    paths : tuple of ndarray of int64 [T]
        Decoded state at every checkpoint of each run.
    routes : tuple of tuple of int
        The same without consecutive repeats.
    occupancy : ndarray [runs, K]
        Share of time in each state.
    first_visit : ndarray [K]
        Mean checkpoint of the first visit over the runs that visit; NaN for an unvisited state.
    transmat, pruned_transmat : ndarray [K, K]
        Of the model; and with 0 where no run makes the transition (rows are not normalised again).
    edge_occurrences, edge_runs : ndarray of int64 [K, K]
        Transitions, and runs that make them; the diagonal counts checkpoints that stay.
    edge_mean_convergence, edge_sd_convergence : ndarray [K, K]
        NaN where no run passes or there is no outcome.
    edges : tuple of MapEdge
        Off the diagonal, in lexicographic order.
    metric_names : tuple of str
        Metrics in the model's order.
    is_linear : bool
        All runs take the same route and it visits no state twice. Otherwise the map forks.
    unit : str
        What convergence counts: ``checkpoint`` or ``step``.
    """

    picture = ".plots_training_map:plot_training_map"

    n_states: int
    run_ids: tuple[str, ...]
    paths: tuple[NDArray[np.int64], ...]
    routes: tuple[tuple[int, ...], ...]
    occupancy: Array
    first_visit: Array
    transmat: Array
    pruned_transmat: Array
    edge_occurrences: NDArray[np.int64]
    edge_runs: NDArray[np.int64]
    edge_mean_convergence: Array
    edge_sd_convergence: Array
    edges: tuple[MapEdge, ...]
    is_linear: bool
    metric_names: tuple[str, ...] = ()
    unit: str = "checkpoint"

    @property
    def visited(self) -> NDArray[np.bool_]:
        """Which states some run visits [K]."""
        return np.logical_or.reduce(self.occupancy > 0, axis=0)

    @property
    def visits(self) -> NDArray[np.int64]:
        """Number of runs that visit each state [K]."""
        return (self.occupancy > 0).sum(axis=0)

    @property
    def n_routes(self) -> int:
        """Number of different routes."""
        return len(set(self.routes))

    @property
    def common_route(self) -> tuple[int, ...]:
        """The route of most runs."""
        return common_route(self.routes)[0]

    @property
    def common_share(self) -> float:
        """Share of runs on it."""
        return common_route(self.routes)[1]

    @property
    def one_way(self) -> bool:
        """Whether all runs follow the longest route, as far as they come: to end on the way is no fork."""
        return all(route == self.longest_route[: len(route)] for route in self.routes)

    @property
    def longest_route(self) -> tuple[int, ...]:
        """The longest route (ties: the one that comes first)."""
        return max(self.routes, key=len)

    @property
    def n_unfinished(self) -> int:
        """Number of runs that end on the way: their route is a first part of the common one."""
        common = self.common_route
        return sum(len(route) < len(common) and route == common[: len(route)] for route in self.routes)

    def table(self) -> Table:
        """Return one row an edge."""
        edges = self.edges
        return Table(
            {
                "edge": [f"{e.source} → {e.target}" for e in edges],
                "probability": [e.probability for e in edges],
                "runs": [f"{e.runs}/{len(self.paths)}" for e in edges],
                "times": [e.occurrences for e in edges],
                "what changes": [e.describe() for e in edges],
                "mean convergence": [e.mean_convergence for e in edges],
                "SD": [e.sd_convergence for e in edges],
            },
            formats={"probability": ".2g", "mean convergence": ".1f", "SD": ".1f"},
            title=f"Transitions (convergence in {self.unit}s)",
        )

    def movement_table(self, metrics: Sequence[str] | None = None) -> Table:
        """Return one row an edge: how far the mean of each metric moves, in the units of the sequences (z-scores).

        Parameters
        ----------
        metrics : sequence of str, optional
            Which ones (default: all).
        """
        wanted = self.metric_names if metrics is None else tuple(metrics)
        columns = [self.metric_names.index(check_choice(name, "metric", self.metric_names)) for name in wanted]
        moves = {self.metric_names[i]: [edge.all_movement[i] for edge in self.edges] for i in columns}
        head = {"edge": [f"{e.source} → {e.target}" for e in self.edges]}
        head["runs"] = [f"{e.runs}/{len(self.paths)}" for e in self.edges]
        return Table(
            {**head, **moves}, formats=dict.fromkeys(moves, "+.2f"), title="Movement of the mean, source to target"
        )

    def states_table(self) -> Table:
        """Return one row per state."""
        return Table(
            {
                "state": np.arange(self.n_states),
                "runs": self.visits,
                "share of time": self.occupancy.mean(axis=0),
                "first visit": self.first_visit,
            },
            formats={"share of time": ".1%", "first visit": ".1f"},
            title="States",
        )

    def sentence(self) -> str:
        """Return whether training forks, and how runs divide over routes."""
        n, unvisited = len(self.paths), int((~self.visited).sum())
        if self.n_states == 1:
            return f"The map has one state: it shows no distinct phases in {count(n, 'run')}."
        common = self.longest_route if self.one_way else self.common_route
        share = self.routes.count(common)
        more = n - share if self.one_way else self.n_unfinished
        if self.n_routes == 1:
            shape, runs = ("is linear" if self.is_linear else "goes back to earlier states"), f"all {count(n, 'run')}"
        else:
            shape = "has one way" if self.one_way else f"forks into {count(self.n_routes, 'route')}"
            runs = f"{share} of {count(n, 'run')}"
        route, takes = route_text(common), "takes" if share == 1 else "take"
        extra = f", {more} end{'s' if more == 1 else ''} on the way" if more else ""
        extra += f"; {count(unvisited, 'state')} {'is' if unvisited == 1 else 'are'} never visited" if unvisited else ""
        return (
            f"The map of {self.n_states} states {shape}: {runs} {takes} {route}{extra}. "
            "It shows the order of states that the model sees, not what causes it."
        )

    def to_dot(self) -> str:
        """Return the map in the DOT language of Graphviz."""
        lines = ["digraph training_map {", "  rankdir=LR;", "  node [shape=circle];"]
        share = self.occupancy.mean(axis=0)
        for state in np.flatnonzero(self.visited):
            lines.append(f'  {state} [label="{state}\\n{share[state]:.0%}"];')
        for e in self.edges:
            lines.append(f'  {e.source} -> {e.target} [label="{e.probability:.2g}\\n{e.describe()}"];')
        return "\n".join([*lines, "}"])


def route_text(route: Sequence[int]) -> str:
    """Return a route as text, in the middle shortened when long."""
    parts = [str(state) for state in route]
    return "→".join(parts if len(parts) <= 12 else [*parts[:6], "…", *parts[-5:]])


def training_map(
    model: HiddenMarkovModel, sequences: Any, *, convergence: ArrayLike | None = None, top: int = 3
) -> TrainingMap:
    """Decode runs and draw the map of the states they go through.

    Parameters
    ----------
    model : HiddenMarkovModel
    sequences : sequence or mapping of ndarray [T, D]
        Runs, standardised like those the model was fitted to.
    convergence : array_like of int [runs], optional
        Checkpoint at which each run converged (−1: never, counted as its length), averaged over the runs of each edge.
    top : int
        Metrics to name on each edge.

    Returns
    -------
    TrainingMap

    Notes
    -----
    Transitions that no run makes are excluded whatever their probability. Source: Hu et al. 2023, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> levels = np.repeat([[0.0, 0.0], [3.0, 1.0]], 15, axis=0)  # two phases
    >>> runs = [levels + 0.1 * rng.normal(size=(30, 2)) for _ in range(8)]
    >>> model = rs.methods.hmm.fit_hmm(runs, 2, restarts=2)
    >>> rs.methods.dynamics.training_map(model, runs).n_routes
    1
    """
    frames = as_frames(sequences, model.n_metrics)
    capped = None
    if convergence is not None:
        index = np.asarray(convergence, dtype=np.int64)
        if index.shape != (len(frames),):
            raise InputError(f"got {index.shape} convergence times for {count(len(frames), 'run')}", "one per run")
        capped = np.where(index < 0, frames.lengths, index)
    return map_of(model, frames, capped, top=top)


def map_of(
    model: HiddenMarkovModel,
    frames: Frames,
    capped: NDArray[Any] | None,
    *,
    durations: Sequence[Array] | None = None,
    unit: str = "checkpoint",
    top: int = 3,
) -> TrainingMap:
    """Decode runs and draw their map.

    Parameters
    ----------
    model : HiddenMarkovModel
    frames : Frames
    capped : ndarray [runs] or None
        When each run converged, or ended without.
    durations : sequence of ndarray [T], optional
        How long each checkpoint lasts, for the shares of time (default: all alike).
    unit : str
        What `capped` counts.
    top : int
        Metrics to name on each edge.
    """
    paths = model.decode(frames).paths
    graph = path_graph(paths, model.transmat, capped)
    if durations is not None:
        graph["occupancy"] = occupancy(paths, model.n_states, durations)
    pairs = np.argwhere((graph["edge_occurrences"] > 0) & ~np.eye(model.n_states, dtype=bool))
    influence = edge_influence(model, frames.split(frames.x), paths, pairs)
    edges = [_edge(graph, model, pair, size, top) for pair, size in zip(pairs, influence, strict=True)]
    return TrainingMap(run_ids=frames.names, edges=tuple(edges), metric_names=model.metric_names, unit=unit, **graph)


def path_graph(paths: Paths, transmat: Array, convergence: NDArray[np.int64] | None = None) -> dict[str, Any]:
    """Return what a map knows from the paths alone: every field of `TrainingMap` but names and edges."""
    n_states = len(transmat)
    counts = transitions(paths, n_states)
    used, times = counts > 0, counts.sum(axis=0)
    mean, sd = _edge_convergence(used, convergence)
    routes = tuple(collapsed(path) for path in paths)
    return {
        "n_states": n_states,
        "paths": tuple(paths),
        "routes": routes,
        "occupancy": occupancy(paths, n_states),
        "first_visit": first_visits(paths, n_states),
        "transmat": transmat,
        "pruned_transmat": np.where(times > 0, transmat, 0.0),
        "edge_occurrences": times,
        "edge_runs": used.sum(axis=0),
        "edge_mean_convergence": mean,
        "edge_sd_convergence": sd,
        "is_linear": is_linear(routes),
    }


def _edge_convergence(used: NDArray[np.bool_], convergence: NDArray[np.int64] | None) -> tuple[Array, Array]:
    mean, sd = np.full(used.shape[1:], np.nan), np.full(used.shape[1:], np.nan)
    if convergence is not None:
        for edge in np.argwhere(used.any(axis=0)):
            values = convergence[used[:, edge[0], edge[1]]]
            mean[tuple(edge)], sd[tuple(edge)] = values.mean(), values.std()
    return mean, sd


def top_features(influence: Array, top: int) -> NDArray[np.int64]:
    """Return the most influential metrics, ties to the lower column."""
    return np.argsort(-influence, kind="stable")[:top]


def _edge(graph: dict[str, Any], model: HiddenMarkovModel, pair: NDArray[np.int64], size: Array, top: int) -> MapEdge:
    source, target = int(pair[0]), int(pair[1])
    best = top_features(size, top)
    move = model.means[target] - model.means[source]
    return MapEdge(
        source,
        target,
        float(model.transmat[source, target]),
        int(graph["edge_occurrences"][source, target]),
        int(graph["edge_runs"][source, target]),
        tuple(model.metric_names[i] for i in best),
        tuple(float(size[i]) for i in best),
        tuple(float(move[i]) for i in best),
        size,
        move,
        float(graph["edge_mean_convergence"][source, target]),
        float(graph["edge_sd_convergence"][source, target]),
    )
