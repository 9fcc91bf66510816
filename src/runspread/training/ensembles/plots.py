"""Plots of ensembles that were trained: how the training went, and what a prediction costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._plotting import BLUE, GREY, new_axes
from ...methods.ensembles.plots import plot_reliability, plot_selection
from ...nn._plots import plot_bounds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .batch import TrainedBatchEnsemble
    from .cost import EnsembleCost
    from .procedures import TrainedEnsemble


def plot_trained(result: TrainedEnsemble, ax: Axes | None = None) -> Axes:
    """Draw the selection of a trained ensemble; of a deep ensemble, whose members are not selected, the reliability."""
    return plot_reliability(result.scores, ax) if result.selection is None else plot_selection(result.selection, ax)


def plot_trained_batch(result: TrainedBatchEnsemble, ax: Axes | None = None) -> Axes:
    """Draw the course of the training: the bounds of a hyper-batch ensemble, the loss of a batch ensemble."""
    return plot_bounds(result.log, ax)


def plot_cost(result: EnsembleCost, ax: Axes | None = None) -> Axes:
    """Draw parameters and time of a prediction relative to a single network."""
    ax = new_axes(ax, height=2.4)
    time = min(result.seconds, result.stacked_seconds) / result.single_seconds
    values = {"parameters": result.parameters / result.single_parameters, "time of a prediction": time}
    values = {name: value for name, value in values.items() if np.isfinite(value)}
    rows = range(len(values))
    ax.barh(rows, list(values.values()), color=BLUE, height=0.5)
    for row, value in enumerate(values.values()):
        ax.text(value, row, f" {value:.2f}", va="center")
    ax.axvline(1, color=GREY, linestyle="--")
    ax.set_yticks(rows, list(values))
    ax.set_ylim(len(values) - 0.5, -0.5)
    ax.set_xlabel(f"relative to a single network ({result.kind}, {result.members} members)")
    ax.margins(x=0.15)
    return ax
