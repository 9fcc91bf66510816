"""What all plots share: axes, one palette; and the plots of a study as it was trained (accuracies, logged metrics)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .studies.readers import Curves

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"  # Okabe-Ito: distinguishable for colour-blind readers and in print
LIGHT = "#BBBBBB"
MOST_ROWS = 40  # names that a picture has room for
# Colours that colour-blind readers can distinguish, each with its own line and marker for black and white.
STYLES: tuple[tuple[str, Any, str], ...] = (
    ("#0072b2", "-", "o"),
    ("#d55e00", "--", "s"),
    ("#666666", ":", "^"),
    ("#009e73", "-.", "D"),
    ("#cc79a7", (0, (5, 1, 1, 1, 1, 1)), "v"),
    ("#a07800", (0, (8, 2)), "P"),
    ("#56b4e9", (0, (2, 1)), "X"),
    ("#000000", "-", "*"),
)


def new_axes(ax: Axes | None, *, width: float = 6.0, height: float = 3.6) -> Axes:
    """Return `ax`, or the axes of a new figure of the given size in inches."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def named_rows(ax: Axes | None, names: Sequence[str], total: int, what: str, *, each: float = 0.42) -> Axes:
    """Return axes with a row for each name, the first on top, wide enough for the names.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        Where to draw; a new figure when None.
    names : sequence of str
        Of the rows that are drawn, ``MOST_ROWS`` at most.
    total : int
        Rows that there are; where that is more, the axes say so.
    what : str
        What a row is, in the plural.
    each : float
        Height of a row in inches.
    """
    short = [_short(name) for name in names]
    width = 6.0 + 0.09 * max(0, max(map(len, short), default=0) - 12)
    ax = new_axes(ax, width=width, height=min(12.0, 1.4 + each * len(names)))
    ax.set_yticks(range(len(names)), short)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    if total > len(names):
        ax.set_ylabel(f"the first {len(names)} of {total:,} {what}")
    return ax


def _short(name: str, most: int = 34) -> str:
    return name if len(name) <= most else f"{name[: most - 12]}…{name[-11:]}"


def draw_interval(ax: Axes, row: float, ends: Sequence[float], colour: str, *, width: float = 1.8) -> None:
    """Draw an interval as a bar in a row, which ends where the interval does."""
    ax.plot(list(ends), [row, row], color=colour, linewidth=width, solid_capstyle="butt")


def stacked(values: np.ndarray, bins: int = 40) -> np.ndarray:
    """Return the height of each sorted value in a dot plot: how many of its bin came before it, plus one."""
    span = np.ptp(values) or 1.0
    bin_of = np.floor((values - values[0]) / span * (bins - 1) + 0.5)
    return np.arange(len(values)) - np.searchsorted(bin_of, bin_of) + 1.0


def finish(ax: Axes, columns: int = 2, *, legend: bool = True) -> Axes:
    """Take the frame off, and put the legend, where there is one, above the axes, out of the way of the data."""
    ax.spines[["top", "right"]].set_visible(False)
    if legend and ax.get_legend_handles_labels()[1]:
        ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2)
    return ax


def plain_texts(drawing: Any) -> None:
    """Let no text of a figure be read as mathematics: a metric may be called ``$a$``.

    Labels of ticks stay what their formatters make of numbers; those that are names have their dollars escaped.
    """
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter

    ticks: set[int] = set()
    for ax in drawing.axes:
        for axis in (ax.xaxis, ax.yaxis):
            for formatter in (axis.get_major_formatter(), axis.get_minor_formatter()):
                if isinstance(formatter, FixedFormatter):
                    formatter.seq = [name.replace("$", r"\$") for name in formatter.seq]
            every = (*axis.get_major_ticks(), *axis.get_minor_ticks())
            ticks |= {id(label) for tick in every for label in (tick.label1, tick.label2)}
    for text in drawing.findobj(Text):
        if id(text) not in ticks:
            text.set_parse_math(False)


def plot_accuracy(accuracies: Sequence[float], ax: Axes | None = None) -> Axes:
    """Draw the accuracy of every run as a dot, with mean and one standard deviation to either side.

    Parameters
    ----------
    accuracies : sequence of float [runs]
        Accuracy of each run, as a fraction.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    from matplotlib.ticker import MaxNLocator

    values = 100 * np.sort(np.asarray(accuracies, dtype=float))
    if values.size == 0:
        raise InputError("there are no accuracies to draw", "at least one run with predictions")
    ax = new_axes(ax, height=2.6)
    ax.plot(values, stacked(values), "o", color=BLUE, markersize=5, alpha=0.75, markeredgewidth=0)
    mean = values.mean()
    ax.axvline(mean, color=ORANGE, linewidth=1.6, label=f"mean {mean:.2f} %")
    if len(values) > 1:
        sd = values.std(ddof=1)
        ax.axvspan(mean - sd, mean + sd, color=ORANGE, alpha=0.15, linewidth=0, label=f"± 1 sd ({sd:.3f} pp)")
    ax.set(xlabel="accuracy per run (%)", ylabel="number of runs", ylim=(0, None))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return finish(ax)


def plot_curves(curves: Curves, ax: Axes | None = None) -> Axes:
    """Draw one logged metric over training: one thin line per run, the median, and the 10 to 90 % band over runs.

    Parameters
    ----------
    curves : Curves
        The metric of all runs, for example ``study.metrics()["loss"]``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax, height=2.8)
    steps = np.where(curves.steps >= 0, curves.steps, np.nan)
    values = np.where(np.isfinite(curves.values), curves.values, np.nan)
    ax.plot(steps.T, values.T, color=GREY, linewidth=0.6, alpha=max(0.08, min(0.6, 8 / len(steps))))
    shared = (curves.lengths == curves.lengths[0]).all() and (curves.steps == curves.steps[0]).all()
    there = np.isfinite(values).any(axis=0)
    if shared and len(steps) > 2 and there.any():
        low, middle, high = np.full((3, values.shape[1]), np.nan)
        low[there], middle[there], high[there] = np.nanpercentile(values[:, there], [10, 50, 90], axis=0)
        ax.fill_between(curves.steps[0], low, high, color=BLUE, alpha=0.2, linewidth=0, label="10 to 90 % of runs")
        ax.plot(curves.steps[0], middle, color=BLUE, linewidth=1.8, label="median run")
    ax.set(xlabel="step", ylabel=curves.name)
    return finish(ax)
