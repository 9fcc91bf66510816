"""Plots of training dynamics: runs as ribbons of states, metrics by state, choice of states, convergence by route."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice
from ..._plotting import BLUE, GREY, ORANGE, new_axes
from ..._words import count
from ...errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap

    from ..hmm.selection import HmmSelection
    from .result import TrainingDynamics


def _state_colors(n_states: int) -> ListedColormap:
    """Return one colour per state, from dark to light in the order of first visit, so that print keeps them apart."""
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap

    return ListedColormap(mpl.colormaps["cividis"](np.linspace(0.0, 1.0, n_states)), name="states")


def _ink(color: Any) -> str:
    """Return black or white, whichever reads better on `color`."""
    return "black" if float(np.dot(color[:3], [0.3, 0.59, 0.11])) > 0.5 else "white"


def _every(result: TrainingDynamics) -> str:
    """Return how far apart checkpoints are, for a label; nothing where that is not known."""
    return f" (every {result.every} steps)" if (result.every or 1) > 1 else ""


def _state_legend(ax: Axes, n_states: int, visited: NDArray[np.bool_]) -> None:
    from matplotlib.patches import Patch

    colors = _state_colors(n_states)
    patches = [Patch(facecolor=colors(k), edgecolor=GREY, label=str(k)) for k in range(n_states) if visited[k]]
    ax.legend(handles=patches, title="state", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def plot_state_ribbons(result: TrainingDynamics, ax: Axes | None = None) -> Axes:
    """Draw every run as a ribbon of its states, fast runs on top.

    Parameters
    ----------
    result : TrainingDynamics
        What `dynamics` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on. A dash marks convergence; states are numbered where they last long enough.
    """
    paths, n_states = result.map.paths, result.model.n_states
    order = np.argsort(result.capped, kind="stable") if result.capped is not None else _route_order(result)
    ax = new_axes(ax, width=7.0, height=float(np.clip(1.2 + 0.13 * len(paths), 2.6, 9.0)))
    picture = np.full((len(paths), max(len(path) for path in paths)), np.nan)
    for row, run in enumerate(order):
        picture[row, : len(paths[run])] = paths[run]
    colors = _state_colors(n_states)
    ax.imshow(picture, aspect="auto", interpolation="nearest", cmap=colors, vmin=-0.5, vmax=n_states - 0.5)
    _number_states(ax, picture, colors)
    if (at := result.convergence_checkpoint) is not None:
        done = [(row, at[run]) for row, run in enumerate(order) if at[run] >= 0]
        rows, index = (np.array(values) for values in zip(*done, strict=True)) if done else (np.array([]),) * 2
        ax.vlines(index, rows - 0.5, rows + 0.5, color="white", linewidth=2.6)
        ax.vlines(index, rows - 0.5, rows + 0.5, color=ORANGE, linewidth=1.3, label="converged")
        ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1)
    ylabel = "runs, fastest on top" if result.capped is not None else "runs, by route"
    ax.set(xlabel=f"checkpoint{_every(result)}", ylabel=ylabel)
    ax.set_yticks([])
    return ax


def _route_order(result: TrainingDynamics) -> NDArray[np.int64]:
    routes = result.map.routes
    common = Counter(routes)
    return np.array(sorted(range(len(routes)), key=lambda run: (-common[routes[run]], routes[run])), dtype=np.int64)


def _number_states(ax: Axes, picture: NDArray[np.float64], colors: ListedColormap) -> None:
    """Write each state's number into its stretch of a few rows, where there is room."""
    rows = np.unique(np.linspace(0, len(picture) - 1, 5).astype(int))
    for row in rows:
        line = picture[row][~np.isnan(picture[row])].astype(int)
        cuts = np.flatnonzero(np.diff(line)) + 1
        for first, last in zip([0, *cuts], [*cuts, len(line)], strict=True):
            if last - first > 0.04 * picture.shape[1]:
                state = int(line[first])
                middle = (first + last - 1) / 2
                ax.text(middle, row, str(state), color=_ink(colors(state)), fontsize=7, ha="center", va="center")


def plot_metric_by_state(result: TrainingDynamics, ax: Axes | None = None, *, metric: str | None = None) -> Axes:
    """Draw one metric of every run over training, coloured by state.

    Parameters
    ----------
    result : TrainingDynamics
        What `dynamics` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    metric : str, optional
        Which one (default: the most influential of the most travelled transition, else the first).

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on, in the metric's own units.
    """
    from matplotlib.collections import LineCollection

    edges = sorted(result.map.edges, key=lambda edge: -edge.runs)
    default = edges[0].features[0] if edges and edges[0].features else result.prepared.columns[0]
    name = check_choice(default if metric is None else metric, "metric", result.prepared.columns)
    column = result.prepared.columns.index(name)
    ax = new_axes(ax, width=6.6)
    colors = _state_colors(result.model.n_states)
    raw = result.prepared.raw.split(result.prepared.raw.x[:, column])
    for values, path in zip(raw, result.map.paths, strict=True):
        points = np.column_stack([np.arange(len(values)), values])
        pieces: Any = np.stack([points[:-1], points[1:]], axis=1)
        ax.add_collection(LineCollection(pieces, colors=colors(path[1:]), linewidths=0.9, alpha=0.9))
    ax.autoscale()
    ax.set(xlabel=f"checkpoint{_every(result)}", ylabel=name)
    ax.spines[["top", "right"]].set_visible(False)
    _state_legend(ax, result.model.n_states, result.map.visited)
    return ax


def plot_state_selection(result: HmmSelection, ax: Axes | None = None) -> Axes:
    """Draw the BIC against the number of states.

    Parameters
    ----------
    result : HmmSelection
        What `select_hmm` returned, or a `TrainingDynamics`' ``selection``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on: mean over restarts with one standard deviation, the best restart, and the choice, on the
        curve that it was made by.
    """
    from matplotlib.ticker import MaxNLocator

    ax = new_axes(ax, width=5.0, height=3.4)
    n = result.bic.shape[1]
    ax.errorbar(
        result.states,
        result.bic_mean,
        result.bic_sd,
        color=BLUE,
        marker="o",
        capsize=3,
        label=f"mean ± sd, {count(n, 'restart')}",
    )
    ax.plot(result.states, result.bic_best, color=GREY, marker="x", linestyle="--", label="best restart")
    chosen = int(np.flatnonzero(result.states == result.n_states)[0])
    ring: dict[str, Any] = {"markersize": 13, "fillstyle": "none", "markeredgewidth": 1.8, "linestyle": "none"}
    label = f"chosen: {result.n_states}"
    ax.plot(result.n_states, result.curve[chosen], "o", color=ORANGE, label=label, **ring)
    ax.set(xlabel="number of states", ylabel=f"BIC on {result.where}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return ax


def plot_convergence_by_route(result: TrainingDynamics, ax: Axes | None = None, *, most: int = 7) -> Axes:
    """Draw when runs converge, a row for each route through the states.

    Parameters
    ----------
    result : TrainingDynamics
        What `dynamics` returned, with an outcome.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    most : int
        Routes with a row of their own, most frequent first; the rest share one.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on: one dot per run (hollow: never converged, drawn at its length), a bar at the mean.
    """
    if result.capped is None or result.convergence is None:
        raise InputError("got dynamics without an outcome", "dynamics(..., outcome=...)")
    groups, unit = _routes(result, most), result.prepared.unit
    ax = new_axes(ax, width=6.4, height=1.3 + 0.42 * len(groups))
    for row, (_, runs) in enumerate(groups):
        times, done = result.capped[runs], result.convergence[runs] >= 0
        offset = row + (np.linspace(-0.22, 0.22, len(runs)) if len(runs) > 1 else np.zeros(1))
        ax.plot(times[done], offset[done], "o", color=BLUE, markersize=4.5, alpha=0.8, markeredgewidth=0)
        ax.plot(times[~done], offset[~done], "o", color=BLUE, markersize=4.5, fillstyle="none")
        ax.vlines(times.mean(), row - 0.34, row + 0.34, color=ORANGE, linewidth=2)
    ax.set_yticks(range(len(groups)), [f"{name}  ({len(runs)})" for name, runs in groups])
    ax.invert_yaxis()
    every = _every(result) if unit == "checkpoint" else ""
    ax.set(xlabel=f"{unit} of convergence{every}; bar: mean of the route", ylabel="route (runs)")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _routes(result: TrainingDynamics, most: int) -> list[tuple[str, NDArray[np.int64]]]:
    """Return route text and runs, most frequent first, the rest together."""
    from .maps import route_text

    routes = result.map.routes
    ranked = [route for route, _ in Counter(routes).most_common()]
    shown = ranked if len(ranked) <= most + 1 else ranked[:most]
    groups = [(route_text(r), np.array([i for i, other in enumerate(routes) if other == r])) for r in shown]
    rest = np.array([i for i, route in enumerate(routes) if route not in shown], dtype=np.int64)
    return groups if not len(rest) else [*groups, (count(len(ranked) - most, "other route"), rest)]
