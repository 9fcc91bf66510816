"""Plots of searches and of plans: the expected best of N runs, and the power over numbers of runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..._plotting import GREY, ORANGE, STYLES, finish, new_axes
from ...errors import InputError
from .planning import expected_power
from .plots import Measure, axis_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .planning import ScorePlan
    from .summary import RunScores

_POINTS = 40
_PLANS = (
    ("runs_plugin", "if the sd is exact", "s"),
    ("runs_assurance", "allowing for the pilot", "o"),
    ("runs_upper", "to be safe (80 %)", "^"),
)


def plot_best_of(result: RunScores, ax: Axes | None = None, *, metric: str | None = None) -> Axes:
    """Draw the expected best of N runs over N: what picking the best of several runs is worth.

    Dotted, beyond the runs that there are: as if they were normal.

    Parameters
    ----------
    result : RunScores
        What `run_scores` returned, of up to eight arms.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    metric : str, optional
        Which, where there are several; default the first.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    from matplotlib.ticker import MaxNLocator

    chosen = result.arms[0].metric if metric is None else metric
    arms = [one for one in result.arms if one.metric == chosen and len(one.best_of)]
    if not arms:
        raise InputError("there is no best of N", "a metric whose direction is known", "Pass lower_is_better=.")
    if len(arms) > len(STYLES):
        raise InputError(f"there are {len(arms)} arms", f"up to {len(STYLES)} curves", "Choose some with where=.")
    ax = new_axes(ax)
    for one, (colour, line, marker) in zip(arms, STYLES, strict=False):
        n = np.arange(1, len(one.best_of) + 1)
        label = ", ".join(name for name in (one.arm, one.task) if name) or None
        size = 5 if len(n) <= _POINTS else 0
        ax.plot(n, one.best_of, color=colour, linestyle=line, marker=marker, markersize=size, label=label)
        if 1 < len(n) <= _POINTS:
            more = np.arange(len(n) + 1, 2 * len(n) + 1)
            ax.plot(more, [one.expected_best(int(runs)).value for runs in more], color=colour, linestyle=":")
    lower = result.directions[chosen]
    if lower:
        ax.invert_yaxis()
    if max(len(one.best_of) for one in arms) > _POINTS:
        ax.set_xscale("log")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    name = axis_label(Measure(chosen, result.units[chosen], None))
    ax.set(xlabel="runs to pick from, N", ylabel=f"expected best {name}\n(better is up; dotted: if runs are normal)")
    return finish(ax, columns=3)


def plot_score_plan(result: ScorePlan, ax: Axes | None = None) -> Axes:
    """Draw the power to be expected over numbers of runs, with the plans that the result names.

    Parameters
    ----------
    result : ScorePlan
        What `plan_scores` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax)
    plans = [(getattr(result, name), label, mark) for name, label, mark in _PLANS]
    known = [int(runs) for runs, *_ in plans if math.isfinite(runs)]
    last = max(10, round(1.25 * max(known, default=50)))
    grid = np.unique(np.geomspace(2, last, _POINTS).astype(int))
    curve = [expected_power(result, int(runs)) for runs in grid]
    open_ended = math.isfinite(result.df)
    ax.plot(grid, curve, color=STYLES[0][0], linewidth=1.8, label="expected power")
    ax.axhline(result.power, color=GREY, linestyle="--", linewidth=1.0)
    for runs, label, mark in plans if open_ended else plans[1:2]:
        if math.isfinite(runs):
            name = f"{int(runs)} runs {label}" if open_ended else f"{int(runs)} runs"
            ax.plot([runs], [expected_power(result, int(runs))], mark, color=ORANGE, markersize=8, label=name)
    of = "of the new arm" if result.n_old is not None else "of each arm"
    ax.set(xscale="log", xlabel=f"runs {of}", ylabel="power", ylim=(0, 1.02))
    ticks = [digit * 10**power for power in range(6) for digit in (1, 2, 5) if 2 <= digit * 10**power <= last]
    ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    ax.set_xticks([], minor=True)
    return finish(ax)
