"""Plots of scores: every run with the interval of the mean beside it, and differences from a baseline.

Better is always to the right: the axis of a loss runs from right to left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._plotting import BLUE, GREY, MOST_ROWS, ORANGE, draw_interval, finish, named_rows, new_axes, stacked
from ..._reading.scores.words import FRACTION, PERCENT, spoken
from ..._words import percent
from ...errors import InputError
from .amounts import Amounts
from .arm_runs import ArmRuns
from .comparison import ScoreComparison
from .one_arm import arm_intervals, mean_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .ranking import ScoreRanking
    from .summary import RunScores
    from .two_groups import ScoreModes

Floats = NDArray[np.float64]
_JITTER, _BESIDE = 0.14, 0.30  # rows: how far runs scatter, and how far below them the interval lies


class Measure(NamedTuple):
    """What an axis shows: name of the metric, unit, direction (None: not known)."""

    metric: str
    unit: str
    lower: bool | None


def plot_scores(
    result: RunScores, ax: Axes | None = None, *, metric: str | None = None, task: str | None = None
) -> Axes:
    """Draw every run as a point, and beside it the mean of the arm with its interval.

    Parameters
    ----------
    result : RunScores
        What `run_scores` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    metric, task : str, optional
        Which, where there are several; default the first metric, and all its tasks.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    metrics = list(dict.fromkeys(one.metric for one in result.arms))
    chosen = metrics[0] if metric is None else metric
    arms = [one for one in result.arms if one.metric == chosen and task in (None, one.task)]
    if not arms:
        raise InputError(f"there are no scores of {chosen} {'' if task is None else f'on {task}'}".strip())
    several = len({one.task for one in arms}) > 1
    rows = {(f"{one.arm}, {one.task}" if several else one.arm): one.runs for one in arms}
    measure = Measure(chosen, result.units[chosen], result.directions[chosen])
    ax = draw_strip(rows, measure, result.confidence_level, ax, target=result.target)
    if len(metrics) > 1 and metric is None:
        ax.set_title(f"{spoken(chosen)}, the first of {len(metrics)} metrics", loc="left", fontsize=9, pad=26)
    return ax


def plot_score_comparison(result: ScoreComparison, ax: Axes | None = None) -> Axes:
    """Draw every run of both arms as a point, and beside them the mean of each with its interval.

    Parameters
    ----------
    result : ScoreComparison
        What `compare_scores` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    measure = Measure(result.metric, result.unit, result.lower_is_better)
    return draw_strip(result.arm_runs(), measure, result.confidence_level, ax)


def plot_score_ranking(result: ScoreRanking, ax: Axes | None = None) -> Axes:
    """Draw differences from the baseline where one was named, else every run of each arm, the best arm on top.

    Parameters
    ----------
    result : ScoreRanking
        What `rank_scores` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    if result.against is not None:
        return plot_score_forest(result, ax)
    order = np.argsort(result.mean if result.lower_is_better else -result.mean, kind="stable").tolist()
    rows = {result.names[at]: result.runs[at] for at in order}
    out = frozenset(result.names[at] for at in order if not result.maybe_best[at])
    return draw_strip(
        rows, Measure(result.metric, result.unit, result.lower_is_better), result.confidence_level, ax, out=out
    )


def plot_score_forest(result: ScoreRanking | ScoreComparison, ax: Axes | None = None) -> Axes:
    """Draw differences of means with their intervals, new minus old: the good side is to the right.

    Intervals of several arms less a baseline are simultaneous. A margin is drawn as a band.

    Parameters
    ----------
    result : ScoreRanking or ScoreComparison
        What `rank_scores` with a baseline, or `compare_scores`, returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    measure = Measure(result.metric, result.unit, result.lower_is_better)
    if isinstance(result, ScoreComparison):
        one, judged, level = result.difference, result.judged, result.confidence_level
        ends = (one.lo, one.hi)
        if judged.margin is not None:  # the interval that belongs to a margin
            ends, level = (judged.lo_tost, judged.hi_tost), 1 - 2 * (1 - level)
        row = (result.names["new"], one.diff, *ends)
        less = f"less that of {result.names['old']}"
        return draw_forest([row], measure, less, ax, margin=judged.margin, level=f"{percent(level)} interval")
    if result.against is None or result.baseline is None:
        raise InputError("no baseline was named", "differences from one", "Pass baseline= to rank_scores.")
    level = f"{'simultaneous ' * (len(result.names) > 2)}{percent(result.confidence_level)} interval"
    return draw_forest(_forest_rows(result), measure, f"less that of {result.baseline}", ax, level=level)


def _forest_rows(result: ScoreRanking) -> list[tuple[str, float, float, float]]:
    """Return name, difference and ends for each arm but the baseline, the best first."""
    if result.against is None or result.baseline is None:
        return []
    base = float(result.mean[result.names.index(result.baseline)])
    places, low, high = result.against.vs_baseline, result.against.baseline_lo, result.against.baseline_hi
    found = [
        (result.names[at], float(result.mean[at]) - base, lo, hi)
        for at, lo, hi in zip(places.tolist(), low.tolist(), high.tolist(), strict=True)
    ]
    return sorted(found, key=lambda row: row[1], reverse=not result.lower_is_better)


def plot_score_modes(result: ScoreModes, ax: Axes | None = None) -> Axes:
    """Draw every run as a point, in two colours where they are divided into two groups.

    Parameters
    ----------
    result : ScoreModes
        What `score_modes` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax, height=2.4)
    y = np.sort(result.values)
    heights = stacked(y)
    cut = result.sizes[0] if result.sizes else len(y)
    parts = [(y[:cut], heights[:cut], BLUE, "o", "lower"), (y[cut:], heights[cut:], ORANGE, "s", "upper")]
    for values, at, colour, marker, name in parts:
        if len(values):
            label = f"{name} group, {_runs(len(values))}" if result.sizes else _runs(len(values))
            ax.plot(values, at, marker, color=colour, markersize=6, alpha=0.8, markeredgewidth=0, label=label)
    if result.threshold is not None:
        ax.axvline(result.threshold, color=GREY, linestyle="--", linewidth=1.2, label="threshold")
    ax.set(xlabel="score", ylim=(0, max(heights.max() + 1, 3)), yticks=[])
    ax.spines["left"].set_visible(False)
    return finish(ax, columns=3)


def _runs(number: int) -> str:
    return f"{number} {'run' if number == 1 else 'runs'}"


def axis_label(measure: Measure, prefix: str = "") -> str:
    """Return the label of an axis: metric, unit, and which way is better."""
    unit = {PERCENT: " (%)", FRACTION: " (fraction)"}.get(measure.unit, "")
    better = "" if measure.lower is None else "   better →"
    return f"{prefix}{spoken(measure.metric)}{unit}{better}"


def draw_strip(
    rows: Mapping[str, ArmRuns],
    measure: Measure,
    level: float,
    ax: Axes | None,
    *,
    target: float | None = None,
    out: frozenset[str] = frozenset(),
) -> Axes:
    """Draw runs, means and intervals, an arm a row; arms in `out` cannot be the best and are grey."""
    shown = list(rows.items())[:MOST_ROWS]
    ax = named_rows(ax, [name for name, _ in shown], len(rows), "arms")
    rng = np.random.default_rng(0)
    for row, (name, runs) in enumerate(shown):
        _draw_arm(ax, row, runs, level, rng, GREY if name in out else BLUE, first=row == 0)
    if target is not None:
        ax.axvline(target, color="black", linestyle="--", linewidth=1.2, label=f"target {target:g}")
    if out:
        ax.plot([], [], "o", color=GREY, markersize=5, label="ruled out as the best")
    if measure.lower:
        ax.invert_xaxis()
    ax.set(xlabel=axis_label(measure))
    _draw_diverged(ax, [runs for _, runs in shown])
    return finish(ax, columns=2 if out else 3)


def _draw_arm(
    ax: Axes, row: int, runs: ArmRuns, level: float, rng: np.random.Generator, colour: str, *, first: bool
) -> None:
    x = runs.finite
    scatter = row - 0.1 + rng.uniform(-_JITTER, _JITTER, len(x))
    ax.plot(
        x, scatter, "o", color=colour, markersize=5, alpha=0.65, markeredgewidth=0, label="one run" if first else None
    )
    ends = arm_intervals(x, level)
    at, name = row + _BESIDE, f"mean with {percent(level)} interval" if first else None
    if math.isfinite(ends.mean_lo) and len(x) == len(runs.values):
        draw_interval(ax, at, (ends.mean_lo, ends.mean_hi), ORANGE)
        ax.plot(mean_of(x), at, "D", color=ORANGE, markersize=5, label=name)


def _draw_diverged(ax: Axes, rows: Sequence[ArmRuns]) -> None:
    """Draw runs without a finite value as crosses at the bad end, with their number."""
    from matplotlib.transforms import blended_transform_factory

    if not any(runs.n_diverged for runs in rows):
        return
    start, end = ax.get_xlim()
    ax.set_xlim(start - 0.16 * (end - start), end)
    edge = blended_transform_factory(ax.transAxes, ax.transData)
    label = "diverged"
    for row, runs in enumerate(rows):
        if runs.n_diverged:
            ax.plot([0.025], [row - 0.1], "x", color="black", markersize=6, transform=edge, label=label)
            ax.text(0.05, row - 0.1, str(runs.n_diverged), transform=edge, va="center", fontsize=9)
            label = None


def draw_forest(
    rows: Sequence[tuple[str, float, float, float]],
    measure: Measure,
    less: str,
    ax: Axes | None,
    *,
    margin: float | None = None,
    level: str = "interval",
    bold_from: int | None = None,
) -> Axes:
    """Draw differences (name, value, low, high), a row each; the good side to the right.

    Rows from `bold_from` on are averages, and drawn apart from those above.
    """
    shown = rows[:MOST_ROWS] if bold_from is None else rows
    ax = named_rows(ax, [name for name, *_ in shown], len(rows), "arms", each=0.36)
    unit, points = Amounts(measure.metric, measure.unit, math.nan), measure.unit in (FRACTION, PERCENT)
    if margin is not None:
        reach = unit.scale * margin
        ax.axvspan(-reach, reach, color=BLUE, alpha=0.10, linewidth=0, label=f"margin ±{reach:g}")
    ax.axvline(0, color=GREY, linewidth=1.0)
    if bold_from is not None:
        ax.axhline(bold_from - 0.5, color=GREY, linewidth=0.6)
    for row, (_, *numbers) in enumerate(shown):
        value, low, high = (unit.scale * number for number in numbers)
        average = bold_from is not None and row >= bold_from
        colour, marker = (ORANGE, "D") if average else (BLUE, "o")
        draw_interval(ax, row, (low, high), colour)
        label = {0: f"difference with {level}", bold_from: "average over tasks"}.get(row)
        ax.plot([value], [row], marker, color=colour, markersize=6, label=label)
    if measure.lower:
        ax.invert_xaxis()
    ax.set(xlabel=f"{unit.name} {less}{' (percentage points)' * points}   better →")
    return finish(ax)
