"""Pictures of corrupted and of foreign inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._checks import check_choice
from ..._plotting import BLUE, GREY, ORANGE, STYLES, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .corruptions.benchmark import CorruptionBenchmark
    from .corruptions.ood import OodDetection

LABELS = {"accuracy": "accuracy", "nll": "NLL (nats)", "ece": "ECE"}
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++")


def plot_corruptions(result: CorruptionBenchmark, ax: Axes | None = None, *, metric: str = "nll") -> Axes:
    """Draw a box over the corruptions for each severity and predictor; severity 0 is the clean set.

    Parameters
    ----------
    result : CorruptionBenchmark
        Scores.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    metric : {"nll", "accuracy", "ece"}
        Which score.
    """
    from matplotlib.patches import Patch

    check_choice(metric, "metric", LABELS)
    ax = new_axes(ax, width=7.0)
    n = len(result.predictors)
    width = 0.8 / n
    patches: list[Any] = []
    for p, name in enumerate(result.predictors):
        offset = (p - (n - 1) / 2) * width
        colour, hatch = STYLES[p % len(STYLES)][0], HATCHES[p % len(HATCHES)]
        face: dict[str, Any] = {"facecolor": colour, "alpha": 0.55, "hatch": hatch, "edgecolor": "black"}
        ax.boxplot(
            result.corrupted[metric][p],
            positions=np.array(result.severities) + offset,
            widths=0.85 * width,
            patch_artist=True,
            boxprops=face,
            medianprops={"color": "black"},
            flierprops={"markersize": 3},
            manage_ticks=False,
        )
        ax.scatter(offset, result.clean[metric][p], color=colour, edgecolor="black", zorder=3)
        patches.append(Patch(label=name, **face))
    ax.set_xticks([0, *result.severities], ["clean", *map(str, result.severities)])
    ax.set_xlabel(f"severity (a box over {len(result.corruptions)} corruptions)")
    ax.set_ylabel(LABELS[metric])
    ax.legend(handles=patches, frameon=False)
    return ax


def plot_ood(result: OodDetection, ax: Axes | None = None) -> Axes:
    """Draw the confidences inside and outside, and the threshold that accepts 95 % of the inside."""
    ax = new_axes(ax)
    inside, outside = result.inside_counts / result.n_inside, result.outside_counts / result.n_outside
    ax.stairs(inside, result.edges, color=BLUE, linewidth=1.8, label="test set")
    ax.stairs(outside, result.edges, color=ORANGE, linestyle="--", linewidth=1.8, label="other data")
    ax.axvline(result.threshold, color=GREY, linestyle=":", label="accepts 95 % of the test set")
    ax.set_xlabel(f"confidence ({result.confidence.replace('_', ' ')})")
    ax.set_ylabel("share of inputs")
    ax.set_title(f"AUROC {result.auroc:.3f}, FPR at 95 % TPR {result.fpr_at_95_tpr:.1%}")
    ax.legend(frameon=False)
    return ax
