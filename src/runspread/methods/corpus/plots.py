"""Plots of a corpus: a metric against quality by partition, and what is inside partitions and what between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._plotting import BLUE, GREY, ORANGE, finish, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .analysis import MetricAnalysis, ParadoxAnalysis
    from .associations import Association

# Okabe-Ito, and markers that distinguish the partitions without colour.
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#999999")
_MARKERS = "osD^vPX*"


def plot_simpson(result: MetricAnalysis, ax: Axes | None = None) -> Axes:
    """Draw a metric against the target, a colour and a line a partition, and a dashed line over all models.

    Parameters
    ----------
    result : MetricAnalysis
        ``paradox(...)["metric"]``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax)
    for k, (name, part) in enumerate(result.partitions.items()):
        here = result.groups == name
        color, marker = _COLORS[k % len(_COLORS)], _MARKERS[k % len(_MARKERS)]
        label = f"{name}: τ = {part.tau_b:.2f}"
        ax.plot(result.x[here], result.y[here], marker, color=color, markersize=4.5, alpha=0.8, label=label)
        _line(ax, part, result.x[here], color=color, linewidth=1.8)
    _line(ax, result.overall, result.x, color="black", linestyle="--", linewidth=1.4,
          label=rf"all: τ = {result.overall.tau_b:.2f}")  # fmt: skip
    ax.set(xlabel=result.metric, ylabel=result.target)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(
        title=result.partition, alignment="left", frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2,
        borderaxespad=0.2,
    )  # fmt: skip
    return ax


def _line(ax: Axes, part: Association, x: Any, **style: Any) -> None:
    if np.isfinite(part.slope) and len(x) > 1:
        ends = np.array([x.min(), x.max()])
        ax.plot(ends, part.intercept + part.slope * ends, **style)


def plot_within_between(result: ParadoxAnalysis, ax: Axes | None = None) -> Axes:
    """Draw Kendall's tau of every metric over all models, inside partitions (with its interval) and between them.

    Parameters
    ----------
    result : ParadoxAnalysis
        What `paradox` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    """
    rows = result.analyses
    ax = new_axes(ax, height=max(2.2, 0.9 + 0.42 * len(rows)))
    place = np.arange(len(rows))[::-1]
    overall = [one.overall.tau_b for one in rows]
    between = [one.split.tau_between for one in rows]
    within = np.array([one.split.tau_b_within for one in rows])
    limits = np.array([one.tests.tau_within_interval for one in rows])
    reach = np.nan_to_num(np.maximum(0, np.abs(limits.T - within)))
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.plot(overall, place + 0.22, "s", color="black", markersize=5, markerfacecolor="white", label="all")
    ax.errorbar(within, place, xerr=reach, fmt="o", color=BLUE, markersize=5, capsize=2, linewidth=1,
                label="inside, 95 %")  # fmt: skip
    ax.plot(between, place - 0.22, "^", color=ORANGE, markersize=5, label="between")
    for one, at in zip(rows, place, strict=True):
        ax.annotate(
            one.verdict.replace("_", " "), (1.01, at), xycoords=("axes fraction", "data"), va="center", fontsize=8
        )
    ax.set_yticks(place, [one.metric for one in rows])
    ax.set(xlabel=f"Kendall's τ with {result.target}", xlim=(-1.02, 1.02), xticks=(-1, -0.5, 0, 0.5, 1))
    return finish(ax, columns=3)


def plot_partition_map(result: ParadoxAnalysis, ax: Axes | None = None) -> Axes:
    """Draw Kendall's tau as a map of metrics by partitions, with the numbers written in.

    Parameters
    ----------
    result : ParadoxAnalysis
        What `paradox` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    """
    rows = result.analyses
    names = list(dict.fromkeys(name for one in rows for name in one.partitions))
    ax = new_axes(ax, height=max(2.2, 0.9 + 0.32 * len(rows)))
    columns = ["all", "inside", *names]
    values = np.array([
        [one.overall.tau_b, one.split.tau_b_within]
        + [one.partitions[name].tau_b if name in one.partitions else np.nan for name in names]
        for one in rows
    ])  # fmt: skip
    ax.imshow(values, cmap="PuOr_r", vmin=-1, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        text = "–" if np.isnan(value) else f"{value:+.2f}"
        ax.text(
            column, row, text, ha="center", va="center", fontsize=8, color="white" if abs(value) > 0.65 else "black"
        )
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), [one.metric for one in rows])
    ax.axvline(1.5, color="white", linewidth=3)
    ax.set_xlabel(f"Kendall's τ with {result.target}: all models, inside partitions, and by {result.partition}")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax
