"""The plot of an ensemble's training: where the bounds of its hyperparameters went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._plotting import BLUE, STYLES, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ._log import EnsembleTraining


def plot_bounds(result: EnsembleTraining, ax: Axes | None = None) -> Axes:
    """Draw where each member's mean hyperparameters lie in their ranges over the tuning; 0 and 1 are the ends."""
    ax = new_axes(ax)
    if not len(result.tuning_steps):
        steps = np.arange(len(result.losses))
        ax.plot(steps, result.losses, color=BLUE)
        ax.set(xlabel="training step", ylabel="training loss")
        return ax
    place = np.log(result.mean / result.low) / np.log(result.high / result.low)
    steps = np.concatenate([[0], result.tuning_steps + 1])
    for j, name in enumerate(result.names):
        colour, line, _ = STYLES[j % len(STYLES)]
        for k in range(place.shape[1]):
            ax.plot(steps, place[:, k, j], color=colour, linestyle=line, linewidth=1.2, label=name if k == 0 else None)
    ax.set(ylim=(-0.02, 1.02), xlabel="training step", ylabel="mean, place in its range (log scale)")
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), title="one line per member")
    return ax
