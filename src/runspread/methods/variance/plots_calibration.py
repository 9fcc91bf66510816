"""Plots of calibration: votes against truth, and the spread that error rates predict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._plotting import BLUE, GREY, ORANGE, finish, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .class_calibration import CalibrationResult
    from .tasks import TwoGroupTasks


def plot_calibration_curve(result: CalibrationResult, ax: Axes | None = None) -> Axes:
    """Draw how often a class is the true one against the share of runs that vote for it.

    Parameters
    ----------
    result : CalibrationResult
        Of `calibration`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on. The area of a dot grows with the number of example-class cells in its bin.
    """
    ax = new_axes(ax, width=4.6, height=4.4)
    filled = result.curve.cells > 0
    share, hit = 100 * result.curve.share[filled], 100 * result.curve.hit[filled]
    area = 15 + 130 * np.sqrt(result.curve.cells[filled] / result.curve.cells.max())
    ax.plot([0, 100], [0, 100], color=GREY, linewidth=1, linestyle="--", label="calibrated")
    ax.vlines(share, share, hit, color=ORANGE, linewidth=2, label=f"gaps: CACE {result.errors.cace:.3f}")
    ax.scatter(share, hit, s=area, color=BLUE, alpha=0.8, linewidth=0, zorder=3, label="example-class cells")
    ax.set(xlabel=f"share of {result.n_runs} runs that vote for the class (%)", ylabel="class is the true one (%)")
    ax.set(xlim=(-4, 104), ylim=(-4, 104), aspect="equal")
    ax.legend(frameon=False, loc="upper left", markerscale=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_task_spread(result: TwoGroupTasks, ax: Axes | None = None) -> Axes:
    """Draw the standard deviation of accuracy in every two-group task against ``sqrt(err / (2 n))``.

    Parameters
    ----------
    result : TwoGroupTasks
        Of `two_group_tasks`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax, width=4.8, height=4.4)
    predicted, measured = 100 * result.sd_predicted, 100 * np.sqrt(result.var_test)
    binomial = 100 * np.sqrt(result.err * (1 - result.err) / result.n_examples)
    order = np.argsort(predicted)
    ax.plot(predicted, measured, "o", color=BLUE, markersize=4, alpha=0.6, markeredgewidth=0, label="two-group tasks")
    top = max(predicted.max(), measured.max()) * 1.04
    ax.plot([0, top], [0, top], color=ORANGE, linewidth=1.6, label="sqrt(err / 2n), calibrated and independent")
    ax.plot(predicted[order], binomial[order], color=GREY, linewidth=1.2, linestyle="--", label="binomial distribution")
    ax.set(xlabel="sqrt(err / 2n) (percentage points)", ylabel="sd of accuracy between runs (percentage points)")
    low = min(predicted.min(), measured.min()) * 0.9
    ax.set(xlim=(low, top), ylim=(low, max(top, binomial.max() * 1.03)))
    return finish(ax, columns=1)
