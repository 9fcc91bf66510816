"""The picture of a campaign: every run of the climb, the bar, and the fresh runs of the certificate beside it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..._plotting import BLUE, GREY, ORANGE, finish, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .status import GateStatus


def plot_gate(result: GateStatus, ax: Axes | None = None) -> Axes:
    """Draw the climb of a campaign: runs of tries in their order, and the bar that each was held against.

    Parameters
    ----------
    result : GateStatus
        What ``rs.gate(path).status()`` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax)
    looks = {
        "drop": ("x", GREY, "dropped"),
        "keep": ("o", BLUE, "kept"),
        "start": ("s", ORANGE, "start"),
        "": (".", GREY, "open"),
    }
    for decision, (marker, colour, label) in looks.items():
        points = [
            (at, value)
            for at, row in enumerate(result.attempts)
            if row.decision == decision
            for value in row.runs
            if math.isfinite(value)
        ]
        if points:
            ax.plot(*zip(*points, strict=True), marker, color=colour, markersize=5, label=label)
    bars = [(at, row.bar) for at, row in enumerate(result.attempts) if math.isfinite(row.bar)]
    if bars:
        bars.append((len(result.attempts), result.bar))
        ax.plot(*zip(*bars, strict=True), drawstyle="steps-post", color=BLUE, linewidth=1, label="bar (no estimate)")
    better = "higher" if result.higher else "lower"
    ax.set(xlabel="try, in order", ylabel=f"{result.metric} ({better} is better)")
    return finish(ax, columns=3)
