"""Plots of what a training map is good for: early prediction, regression, stability, comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._plotting import BLUE, GREY, ORANGE, new_axes
from ..._words import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .comparison import MapComparison
    from .outcome import OutcomeRegression
    from .prefix import PrefixPrediction
    from .stability import MapStability


def plot_prefix_prediction(result: PrefixPrediction, ax: Axes | None = None) -> Axes:
    """Draw how well slow runs are foretold against the share of training that is known.

    Parameters
    ----------
    result : PrefixPrediction
        What `predict_from_prefix` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on: the AUC with its interval (95 % over all shares; none for few runs) and the runs at risk.
    """
    ax = new_axes(ax, width=5.6, height=3.4)
    percent = 100 * result.fractions
    spread = np.stack([result.auc - result.auc_low, result.auc_high - result.auc])
    ax.axhline(0.5, color=GREY, linewidth=1, linestyle="--")
    ax.errorbar(percent, result.auc, np.maximum(spread, 0.0), color=BLUE, marker="o", capsize=3)
    for x, runs in zip(percent, result.at_risk, strict=True):
        ax.text(x, 1.05, f"n={runs}", ha="center", va="bottom", fontsize="x-small")
    ax.annotate(
        "chance", (0, 0.5), xycoords=("axes fraction", "data"), xytext=(3, 2), textcoords="offset points",
        color=GREY, fontsize="x-small",
    )  # fmt: skip
    ax.set(xlabel="share of training known (%)", ylabel="AUC of slow against fast runs", ylim=(-0.03, 1.13))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_outcome_regression(result: OutcomeRegression, ax: Axes | None = None) -> Axes:
    """Draw when runs converged against what their time in the states says.

    Parameters
    ----------
    result : OutcomeRegression
        What `outcome_regression` returned, or a `TrainingDynamics`' ``regression``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on: one dot per run, in shares of a run's length; on the line the two agree.
    """
    ax = new_axes(ax, width=4.4, height=4.0)
    ends = np.array([min(result.fitted.min(), result.target.min()), max(result.fitted.max(), result.target.max())])
    ax.plot(ends, ends, color=GREY, linewidth=1)
    ax.plot(result.fitted, result.target, "o", color=BLUE, markersize=4.5, alpha=0.8, markeredgewidth=0)
    interval = f"95 % {result.r_squared_low:.3f} to {result.r_squared_high:.3f}"
    title = result.reason or f"R² = {result.r_squared:.3f} ({interval}), n = {result.n_runs}"
    ax.set_title(title, fontsize="medium", loc="left")
    ax.set(xlabel="fitted from time in the states", ylabel="convergence, share of the run's length")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_map_stability(result: MapStability, ax: Axes | None = None) -> Axes:
    """Draw in how many resamples of the runs each transition of a map comes back.

    Parameters
    ----------
    result : MapStability
        What `map_stability` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on: a bar a transition, orange for those into a detour state.
    """
    edges = result.edges
    ax = new_axes(ax, width=5.4, height=1.3 + 0.26 * max(len(edges), 2))
    support = [100 * result.edge_support[edge] for edge in edges]
    colors = [ORANGE if target in result.detours else BLUE for _, target in edges]
    ax.barh(range(len(edges)), support, color=colors)
    for row, value in enumerate(support):
        ax.text(value + 1, row, f"{value:.0f}", va="center", fontsize="x-small")
    ax.set_yticks(range(len(edges)), [f"{source} → {target}" for source, target in edges])
    ax.invert_yaxis()
    marked = "; orange: into a detour" if any(target in result.detours for _, target in edges) else ""
    ax.set_title(
        f"{count(len(result.bootstrap_agreement), 'resample')} of the runs{marked}", fontsize="medium", loc="left"
    )
    ax.set(xlabel="resamples that have the transition (%)", xlim=(0, 108))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_map_comparison(result: MapComparison, ax: Axes | None = None) -> Axes:
    """Draw the share of runs that visit each state of the first map, before and after the change.

    Parameters
    ----------
    result : MapComparison
        What `compare_maps` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on: two bars a state; detours of the first map are named on the axis.
    """
    states = np.arange(result.visits.shape[1])
    ax = new_axes(ax, width=max(4.4, 1.6 + 0.7 * len(states)), height=3.4)
    for offset, color, name, visits, n in zip(
        (-0.2, 0.2), (BLUE, ORANGE), ("before", "after"), result.visits, result.n_runs, strict=True
    ):
        ax.bar(states + offset, 100 * visits / n, width=0.38, color=color, label=f"{name} ({count(n, 'run')})")
    ax.set_xticks(states, [f"{k}\ndetour" if k in result.detours else str(k) for k in states])
    ax.set(xlabel="state of the first map", ylabel="runs that visit it (%)", ylim=(0, 105))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
    return ax
