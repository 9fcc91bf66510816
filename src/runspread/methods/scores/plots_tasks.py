"""Plots of arms over several tasks: profiles, critical differences, and how sure the ranks are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..._plotting import GREY, STYLES, finish, new_axes
from ..._words import percent
from ...errors import InputError
from .aggregates import profiles
from .bands import profile_bands, rank_probabilities
from .forms import Arm, difference
from .over_tasks import ScoreTasks
from .plots import Measure, axis_label, draw_forest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .ranking import ScoreRanking

Floats = NDArray[np.float64]
_THRESHOLDS = 101
_MOST_CURVES, _MOST_RANKED = len(STYLES), 25


def plot_score_tasks(result: ScoreTasks, ax: Axes | None = None) -> Axes:
    """Draw the difference of two arms on each task, and on average; of more arms, their average ranks.

    Parameters
    ----------
    result : ScoreTasks
        What `compare_tasks` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    if len(result.names) > 2:
        return plot_critical_differences(result, ax)
    old, new = list(result.names)
    rows: list[tuple[str, float, float, float]] = []
    for at, task in enumerate(result.tasks):
        one = difference(*(Arm.of(arm[at]) for arm in result.cells))
        rows.append((task, one.value, *one.interval(result.confidence_level)))
    value = float(result.pairs.diff[0])
    rows += [
        ("these tasks", value, float(result.intervals.these_lo[0]), float(result.intervals.these_hi[0])),
        ("tasks like these", value, float(result.intervals.like_lo[0]), float(result.intervals.like_hi[0])),
    ]
    measure = Measure(result.metric, result.unit, None)
    turned = ", sign changed" if result.lower_is_better else ""
    less = f"of {new} less that of {old}{turned}"
    return draw_forest(
        rows, measure, less, ax, level=f"{percent(result.confidence_level)} interval", bold_from=len(result.tasks)
    )


def plot_profile(result: ScoreTasks, ax: Axes | None = None) -> Axes:
    """Draw which share of runs on tasks lies above each score, with a pointwise band: higher is better.

    Parameters
    ----------
    result : ScoreTasks
        What `compare_tasks` returned, of up to eight arms.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    if len(result.names) > _MOST_CURVES:
        raise InputError(f"there are {len(result.names)} arms", f"up to {_MOST_CURVES} curves", "Choose some arms.")
    ax = new_axes(ax)
    values = np.concatenate([x for arm in result.cells for x in arm])
    room = 0.03 * float(np.ptp(values))
    taus = np.linspace(values.min() - room, values.max() + room, _THRESHOLDS)
    shares, _ = profiles(result.cells, taus)
    low, high = profile_bands(result.cells, taus, result.confidence_level)
    for at, (name, (colour, line, _)) in enumerate(zip(result.names, STYLES, strict=False)):
        ax.fill_between(taus, low[at], high[at], color=colour, alpha=0.15, linewidth=0, step="mid")
        ax.step(taus, shares[at], where="mid", color=colour, linestyle=line, linewidth=1.8, label=name)
    axis = axis_label(Measure(result.metric, result.unit, None))
    sign = "goodness: sign changed, " * result.lower_is_better
    ax.set(xlabel=f"{axis} τ", ylabel="share of runs above τ", ylim=(-0.02, 1.02))
    ax.text(
        0.99,
        0.97,
        f"{sign}bands: pointwise {percent(result.confidence_level)}",
        ha="right",
        va="top",
        fontsize=8,
        color=GREY,
        transform=ax.transAxes,
    )
    return finish(ax, columns=3)


def plot_critical_differences(result: ScoreTasks, ax: Axes | None = None) -> Axes:
    """Draw average ranks over tasks on an axis, the best to the right; bars join arms whose difference is not shown.

    A bar rests on the tests of means after Holm's correction, for the question that the verdicts are about, and not on
    Nemenyi's distance of ranks, which ignores runs and hangs on which other arms are in the table.

    Parameters
    ----------
    result : ScoreTasks
        What `compare_tasks` returned, of up to 25 arms.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    k = len(result.names)
    if k > _MOST_RANKED:
        raise InputError(f"there are {k} arms", f"up to {_MOST_RANKED} names on one axis", "Choose some arms.")
    order = np.argsort(result.ranks.ranks, kind="stable").tolist()
    bars = joined(result, order)
    ax = new_axes(ax, height=1.2 + 0.16 * len(bars) + 0.28 * math.ceil(k / 2))
    ranks = result.ranks.ranks[order]
    _draw_bars(ax, bars, ranks)
    start = 0.55 + 0.35 * len(bars)
    half = math.ceil(k / 2)
    for place, at in enumerate(order):
        best = place < half
        depth = start + 0.6 * (place if best else k - 1 - place)
        edge = 0.75 if best else k + 0.25
        ax.plot([ranks[place], ranks[place], edge], [0, depth, depth], color=GREY, linewidth=1.0)
        text = f"{result.names[at]}  {ranks[place]:.2f}" if best else f"{ranks[place]:.2f}  {result.names[at]}"
        ax.annotate(
            f" {text} ", (edge, depth), ha="left" if best else "right", va="center", fontsize=9, annotation_clip=False
        )
    ax.plot(ranks, np.zeros(k), "o", color=STYLES[0][0], markersize=6, clip_on=False, zorder=3)
    what = result.on.replace("-", " ")
    ax.set(xlim=(k + 0.25, 0.75), ylim=(start + 0.6 * half - 0.25, -0.05), yticks=[], xticks=range(1, k + 1))
    ax.xaxis.set_ticks_position("top")
    ax.xaxis.set_label_position("top")
    ax.set_xlabel(f"average rank over {len(result.tasks)} tasks   better →\n(bars: not shown to differ on {what})")
    ax.spines[["bottom", "left", "right"]].set_visible(False)
    return ax


def joined(result: ScoreTasks, order: Sequence[int]) -> list[tuple[int, int]]:
    """Return the longest runs of neighbours by rank, of which no pair is shown to differ, as first and last place."""
    apart = {
        frozenset(pair)
        for pair, word in zip(result.pairs.pairs.tolist(), result.verdicts, strict=True)
        if word != "undecided"
    }
    found: list[tuple[int, int]] = []
    for first in range(len(order)):
        last = first
        while last + 1 < len(order) and not any(
            frozenset((order[last + 1], order[at])) in apart for at in range(first, last + 1)
        ):
            last += 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def _draw_bars(ax: Axes, bars: Sequence[tuple[int, int]], ranks: Floats) -> None:
    for row, (first, last) in enumerate(bars):
        ends = [float(ranks[first]) - 0.04, float(ranks[last]) + 0.04]
        height = 0.35 * (row + 1)
        ax.plot(ends, [height, height], color="black", linewidth=3.5, solid_capstyle="butt", zorder=2)


def plot_rank_probabilities(result: ScoreTasks | ScoreRanking, ax: Axes | None = None) -> Axes:
    """Draw in which share of resampled runs each arm has each rank of the mean, the best arm on top.

    Parameters
    ----------
    result : ScoreTasks or ScoreRanking
        What `compare_tasks` or `rank_scores` returned, of up to 25 arms.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    k = len(result.names)
    if k > _MOST_RANKED:
        raise InputError(f"there are {k} arms", f"up to {_MOST_RANKED}", "Choose some arms.")
    if isinstance(result, ScoreTasks):
        cells: Sequence[Sequence[Floats]] = result.cells
    else:
        sign = -1.0 if result.lower_is_better else 1.0
        cells = [[sign * runs.finite] for runs in result.runs]
    means = np.array([np.mean([x.mean() for x in arm]) for arm in cells])
    order = np.argsort(-means, kind="stable")
    shares = rank_probabilities(cells)[order]
    ax = new_axes(ax, width=max(4.2, 2.4 + 0.5 * k), height=1.4 + 0.36 * k)
    image = ax.imshow(shares, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for row, column in itertools.product(range(k), range(k)):
        if shares[row, column] >= 0.005:
            colour = "black" if shares[row, column] > 0.55 else "white"
            ax.text(column, row, f"{shares[row, column]:.0%}", ha="center", va="center", fontsize=8, color=colour)
    ax.set_xticks(range(k), [str(rank) for rank in range(1, k + 1)])
    ax.set_yticks(range(k), [result.names[at] for at in order.tolist()])
    ax.set_xlabel("rank of the mean (1 is best)")
    ax.tick_params(length=0)
    ax.figure.colorbar(image, ax=ax, label="share of resamples", format="{x:.0%}")
    return ax
