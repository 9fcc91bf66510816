"""Plots of evaluations: models with both bars, where the spread comes from, flips, and the items that decide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..._plotting import BLUE, GREY, MOST_ROWS, ORANGE, STYLES, draw_interval, finish, named_rows, new_axes
from ...errors import InputError
from .bars import bar_of, interval
from .budget import power_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .budget import EvaluationPlan
    from .consistency import Consistency
    from .deciding import DecidingItems
    from .result import Evaluations, ModelScore
    from .shares import EvaluationSources

_NEGLIGIBLE = 0.002  # shares that no bar can show


def plot_evaluations(result: Evaluations, ax: Axes | None = None) -> Axes:
    """Draw every model with the interval of the answer, and thin the one for these checkpoints beside it.

    Parameters
    ----------
    result : Evaluations
        What `evaluations` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    shown = sorted(result.models, key=lambda one: -one.mean)[:MOST_ROWS]
    ax = named_rows(ax, [one.model for one in shown], len(result.models), "models")
    scale = 100 if result.in_unit else 1
    for row, one in enumerate(shown):
        best = one.model in result.may_be_best
        colour = ORANGE if best else BLUE
        draw_interval(ax, row, (scale * one.lo, scale * one.hi), colour, width=2.2)
        ax.plot([scale * one.mean], [row], "D" if best else "o", color=colour, markersize=6)
        if result.question.on == "distribution":
            draw_interval(ax, row + 0.22, [scale * end for end in _of_items(result, one)], GREY, width=1.0)
    ax.plot([], [], "D-", color=ORANGE, label=f"may be the best ({result.question.on})")
    if len(result.may_be_best) < len(result.models):
        ax.plot([], [], "o-", color=BLUE, label="shown to be below")
    if result.question.on == "distribution":
        ax.plot([], [], "-", color=GREY, linewidth=1.0, label="these checkpoints alone")
    ax.set(xlabel=f"mean{' (%)' * result.in_unit}")
    return finish(ax)


def _of_items(result: Evaluations, one: ModelScore) -> tuple[float, float]:
    bar = bar_of(one.variances, "models")
    return interval(one.mean, bar, result.question.level, one.variances.n_clusters, bounded=result.in_unit)


def plot_evaluation_sources(result: EvaluationSources, ax: Axes | None = None) -> Axes:
    """Draw the shares of the variance of one answer, a bar per model.

    Parameters
    ----------
    result : EvaluationSources
        ``evaluations(...).sources``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    shown = result.models[:MOST_ROWS]
    words = list(dict.fromkeys(part.words for one in shown for part in one.components))
    if not words:
        raise InputError("no model has components to draw", "answers that differ")
    ax = named_rows(ax, [one.model for one in shown], len(result.models), "models")
    hatches = ("", "//", "..", "xx", "\\\\", "oo", "--", "++")
    left = np.zeros(len(shown))
    for at, word in enumerate(words):
        shares = [next((part.share for part in one.components if part.words == word), 0.0) for one in shown]
        widths = 100 * np.nan_to_num(np.array(shares))
        if widths.max() > 100 * _NEGLIGIBLE:
            colour, hatch = STYLES[at % len(STYLES)][0], hatches[at % len(hatches)]
            ax.barh(range(len(left)), widths, left=left, color=colour, hatch=hatch, edgecolor="white", label=word)
        left += widths
    ax.set(xlabel="share of the variance of one answer (%)", xlim=(0, 100))
    return finish(ax)


def plot_consistency(result: Consistency, ax: Axes | None = None) -> Axes:
    """Draw how often two answers differ: two samples, and two trainings, with intervals.

    Parameters
    ----------
    result : Consistency
        ``evaluations(...).consistency``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = named_rows(ax, result.names[:MOST_ROWS], len(result.names), "models")
    kinds = (("two samples of a checkpoint", result.flip_within, BLUE, "o", -0.12),)
    kinds += (("two trainings", result.flip_across, ORANGE, "s", 0.12),)
    for label, rates, colour, marker, shift in kinds:
        known = [(row, one) for row, one in enumerate(rates[:MOST_ROWS]) if not math.isnan(one.value)]
        for row, one in known:
            draw_interval(ax, row + shift, (100 * one.lo, 100 * one.hi), colour, width=1.6)
        rows = [row + shift for row, _ in known]
        ax.plot([100 * one.value for _, one in known], rows, marker, color=colour, label=label)
    ax.set(xlabel="answers that differ in correctness (%)")
    return finish(ax)


def plot_deciding_items(result: DecidingItems, ax: Axes | None = None) -> Axes:
    """Draw the difference of every item in order, those beyond noise in another colour.

    Parameters
    ----------
    result : DecidingItems
        ``evaluations(...).deciding_items``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax)
    order = np.argsort(result.d, kind="stable")
    beyond = (result.p_adjusted <= 1 - result.level)[order]
    at = np.arange(len(order))
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.plot(at[~beyond], result.d[order][~beyond], "o", color=GREY, markersize=3, label="within noise, or not judged")
    if beyond.any():
        ax.plot(at[beyond], result.d[order][beyond], "s", color=ORANGE, markersize=4, label="beyond noise")
    ax.set(xlabel="items, in order", ylabel=f"{result.new} - {result.old}")
    return finish(ax)


def plot_evaluation_plan(result: EvaluationPlan, ax: Axes | None = None) -> Axes:
    """Draw the power of the cheapest designs against the number of items.

    Parameters
    ----------
    result : EvaluationPlan
        What `plan_evals` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    if not result.designs:
        raise InputError("no design suffices, so there is none to draw", hint="Plan for a larger gap.")
    ax = new_axes(ax)
    most = 2 * max(one.items for one in result.designs)
    items = np.unique(np.geomspace(2, most, 60).astype(int)).tolist()
    for at, one in enumerate(result.designs):
        colour, line, marker = STYLES[at % len(STYLES)]
        power = [
            100 * power_of(result.known.spreads, result.gap, result.alpha, one.seeds, int(n), one.samples)
            for n in items
        ]
        label = f"{one.seeds} x {one.samples}, cost {one.cost:,.4g}"
        ax.plot(items, power, color=colour, linestyle=line, label=label)
        ax.plot([one.items], [100 * one.power], marker, color=colour)
    ax.axhline(100 * result.power, color=GREY, linewidth=0.8)
    ax.set(xlabel="items (trainings x samples above)", ylabel="power (%)", ylim=(0, 100))
    return finish(ax)
