"""Plots of the variance of training: what of the spread is real, whether it transfers, where it comes from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..._plotting import BLUE, GREY, ORANGE, draw_interval, finish, new_axes
from ..._words import percent
from ...errors import InputError
from .null import poisson_binomial_pmf
from .result import root

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .accuracy import RunAccuracies
    from .comparison import Comparison
    from .components import SourceComponents, SourceGroups
    from .plans import GapPlan, RunPlan
    from .result import VarianceResult
    from .selection_model import BestSeedModel
    from .stopping import InterimLook
    from .transfer import BestSeedSelection


def _bin_edges(counts: NDArray[np.int64], pmf: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return edges half-way between counts, in equal steps; they cover the runs and all but 10^-6 of the mass."""
    cumulative = np.cumsum(pmf)
    low = min(int(counts.min()), int(np.searchsorted(cumulative, 5e-7)))
    high = max(int(counts.max()), min(len(pmf) - 1, int(np.searchsorted(cumulative, 1 - 5e-7))))
    step = max(1, math.ceil((high - low + 1) / min(40.0, max(8.0, 2.5 * math.sqrt(len(counts))))))
    return np.arange(low - 0.5, high + step + 0.5, step)


def plot_accuracy_distribution(result: VarianceResult, ax: Axes | None = None) -> Axes:
    """Draw the runs' accuracies against the distribution they would follow if they erred independently on each example.

    Parameters
    ----------
    result : VarianceResult
        Of `variance`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax)
    result.require_runs()
    pmf = poisson_binomial_pmf(result.outcomes.right / result.n_runs)
    edges = _bin_edges(result.outcomes.correct, pmf)
    scale = 100 / result.n_examples
    spread = "" if math.isnan(result.sd_test) else f": sd {100 * result.sd_test:.3g} percentage points"
    ax.hist(
        result.outcomes.correct * scale,
        bins=(edges * scale).tolist(),
        color=BLUE,
        alpha=0.45,
        edgecolor="white",
        linewidth=0.5,
        label=f"{result.n_runs} runs{spread}",
    )
    mass = np.add.reduceat(np.append(pmf, 0.0), np.clip(np.ceil(edges[:-1]), 0, len(pmf)).astype(int))
    steps = np.repeat(edges, 2)[1:-1] * scale
    independent = result.forms.unclustered.get("sd_ind", result.sd_ind)
    known = "" if math.isnan(independent) else f": sd {100 * independent:.3g} percentage points"
    label = f"if errors were independent{known}"
    ax.plot(steps, np.repeat(mass * result.n_runs, 2), color=ORANGE, linewidth=1.8, label=label)
    ax.axvline(100 * result.mean_acc, color=GREY, linewidth=1, linestyle="--", label="mean")
    ax.set(xlabel="accuracy per run (%)", ylabel="runs")
    return finish(ax, 1)


def plot_quantiles(result: VarianceResult, ax: Axes | None = None) -> Axes:
    """Draw the runs' accuracies in order against the quantiles of the distribution that independent errors would give.

    Parameters
    ----------
    result : VarianceResult
        Of `variance`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on. Dots on the line: independent errors explain the spread; a steeper course: more spread.
    """
    ax = new_axes(ax, width=4.6, height=4.2)
    expected, runs = 100 * result.quantiles.T
    ax.plot(expected, runs, "o", color=BLUE, markersize=5, alpha=_opacity(len(runs)), markeredgewidth=0)
    ends = np.array([min(expected.min(), runs.min()), max(expected.max(), runs.max())])
    ax.plot(ends, ends, color=ORANGE, linewidth=1.8, label="if errors were independent")
    ax.set(xlabel="quantile of the Poisson-binomial distribution (%)", ylabel="accuracy per run (%)")
    return finish(ax)


def plot_split_halves(result: VarianceResult | BestSeedSelection, ax: Axes | None = None) -> Axes:
    """Draw each run's accuracy on one half of the test set against that on the other.

    What is real shows on both halves: the slope of the line is the share of an advantage that transfers.

    Parameters
    ----------
    result : VarianceResult or BestSeedSelection
        With two runs or more.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    from .result import VarianceResult
    from .transfer import BestSeedSelection

    if isinstance(result, VarianceResult) and min(result.halves.sizes) == 0:
        raise InputError(f"got {result.n_examples} example", "two or more, one in each half")
    ax = new_axes(ax, width=4.6, height=4.2)
    if isinstance(result, BestSeedSelection):
        first, second = result.halves.first, result.halves.second
    else:
        first, second = result.halves.correct.T / np.array(result.halves.sizes)[:, None]
    ax.plot(100 * first, 100 * second, "o", color=BLUE, markersize=5, alpha=_opacity(len(first)), markeredgewidth=0)
    ends = np.array([first.min(), first.max()])
    slope = 0.0 if math.isnan(result.halves.slope) else result.halves.slope
    line = second.mean() + slope * (ends - first.mean())
    ax.plot(100 * ends, 100 * line, color=ORANGE, linewidth=1.8, label=f"slope {slope:.2f}: what transfers")
    full = second.mean() + ends - first.mean()
    ax.plot(100 * ends, 100 * full, color=GREY, linewidth=1, linestyle="--", label="slope 1: all would transfer")
    ax.set(xlabel="accuracy on one half (%)", ylabel="accuracy on the other half (%)")
    return finish(ax, 1)


def _opacity(count: int) -> float:
    return float(np.clip(20 / math.sqrt(count), 0.08, 0.8))


def plot_best_seed_selection(result: BestSeedSelection, ax: Axes | None = None) -> Axes:
    """Draw by how much the best of N runs looks better, and by how much it is better on fresh examples.

    Parameters
    ----------
    result : BestSeedSelection
        Of `best_seed_selection`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on. Bars of the latter have their interval.
    """
    ax = new_axes(ax)
    at = np.arange(len(result.counts))
    looks, gain = 100 * result.apparent.gain, 100 * result.fresh.gain
    gain, low, high = (np.maximum(value, 0.0) for value in (gain, 100 * result.fresh.low, 100 * result.fresh.high))
    ax.bar(at - 0.2, looks, 0.38, color="white", edgecolor=GREY, hatch="///", label="looks better by")
    ax.bar(at + 0.2, gain, 0.38, color=BLUE, label="is better by, on fresh examples")
    ax.vlines(at + 0.2, low, high, color="black", linewidth=1.5, label=f"{percent(result.confidence_level)} CI")
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_xticks(at, [f"best\nof {count}" for count in result.counts])
    ax.set_ylabel("above the mean run (percentage points)")
    return finish(ax, 3)


def plot_sources(result: SourceGroups | SourceComponents, ax: Axes | None = None) -> Axes:
    """Draw the spread that each source of randomness brings.

    Parameters
    ----------
    result : SourceGroups or SourceComponents
        Of `sources`. Groups: standard deviation with one source varied at a time, with its real part.
        Components: share of the variance of each source and interaction.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    from .components import SourceGroups

    ax = new_axes(ax)
    if isinstance(result, SourceGroups):
        _draw_groups(result, ax)
    else:
        _draw_components(result, ax)
    return finish(ax)


def _draw_groups(result: SourceGroups, ax: Axes) -> None:
    from scipy.special import chdtri

    at = np.arange(len(result.names))
    spread = np.sqrt(result.var_test)
    degrees = result.n_runs - 1
    low, high = (spread * np.sqrt(degrees / chdtri(degrees, tail)) for tail in (0.025, 0.975))
    bars = 100 * np.array([spread - low, high - spread])
    ax.bar(
        at - 0.2, 100 * spread, 0.38, yerr=bars, capsize=3, color="white", edgecolor=GREY, hatch="///", label="total"
    )
    real = 100 * np.array([root(value) for value in result.var_dist])
    ends = 100 * np.array([[root(value) for value in row] for row in result.ci_dist]).T
    reach = np.clip(np.array([real - ends[0], ends[1] - real]), 0, None)
    ax.bar(at + 0.2, real, 0.38, yerr=reach, capsize=3, color=BLUE, label="real, on the distribution")
    names = zip(result.names, result.n_runs.tolist(), strict=True)
    ax.set_xticks(at, [f"{name}\n{runs} runs" for name, runs in names])
    ax.set(xlabel="source of randomness varied", ylabel="sd of accuracy (percentage points)")


def _draw_components(result: SourceComponents, ax: Axes) -> None:
    names = [name.replace(" x ", " × ") for name in result.table()["source"]]
    at = np.arange(len(names))
    total = result.total_test or math.nan
    test, dist = 100 * result.comp_test / total, 100 * result.comp_dist / total
    ax.barh(at - 0.2, test, 0.38, color="white", edgecolor=GREY, hatch="///", label="on this test set")
    ax.barh(at + 0.2, dist, 0.38, color=BLUE, label="on the distribution")
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(at, names)
    ax.invert_yaxis()
    ax.set_xlabel("share of the variance on this test set (%)")


def plot_comparison(result: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the difference, new minus old, with its interval: on the distribution, this test set, for these models.

    A band shows the margin that was asked for: inside it the new configuration is not worse, or equivalent.

    Parameters
    ----------
    result : Comparison
        Of `compare`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax, height=2.6)
    level = result.asked_for.level
    rows = (("distribution", "distribution", ORANGE, "s"), ("test-set", "this test set", BLUE, "o"))
    rows += (("models", "these models", GREY, "D"),)
    for at, (on, _, color, marker) in enumerate(rows):
        low, high = result.answers[on].interval(level)
        draw_interval(ax, at, (100 * low, 100 * high), color, width=2.5)
        ax.plot(100 * result.diff, at, marker, color=color, markersize=8)
    ax.axvline(0, color=GREY, linewidth=1, linestyle="--")
    if not math.isnan(result.margin):
        end = 100 if result.asked == "not worse" else 100 * result.margin
        shown = ax.get_xlim()
        ax.axvspan(-100 * result.margin, end, color=GREY, alpha=0.15, linewidth=0)
        ax.set_xlim(min(shown[0], -110 * result.margin), max(shown[1], 110 * result.margin))
    ax.set_yticks(range(len(rows)), [name for _, name, *_ in rows])
    old, new = result.names
    ax.set(ylim=(2.6, -0.6), xlabel=f"accuracy of {new} minus {old} (percentage points, {percent(level)} CI)")
    return finish(ax, legend=False)


def plot_run_accuracies(result: RunAccuracies, ax: Axes | None = None) -> Axes:
    """Draw each run's accuracy on this test set, and what it predicts on the distribution.

    Parameters
    ----------
    result : RunAccuracies
        Of `run_accuracies`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on. Runs are in the order of their accuracy.
    """
    ax = new_axes(ax)
    order = np.argsort(result.accuracy, kind="stable")
    rank = np.arange(1, len(order) + 1)
    seen, expected = 100 * result.accuracy[order], 100 * result.estimate[order]
    reach = 100 * result.residual_sd
    size = float(np.clip(60 / math.sqrt(len(order)), 2, 6))
    ax.plot(rank, seen, "o", color=GREY, markersize=size, markerfacecolor="white", label="on this test set")
    ax.plot(rank, expected, color=BLUE, linewidth=1.8, label="to be expected on the distribution")
    if not math.isnan(reach):
        ax.fill_between(rank, expected - reach, expected + reach, color=BLUE, alpha=0.2, linewidth=0)
    ax.set(xlabel="runs, from the least accurate to the best", ylabel="accuracy (%); band: one sd")
    ax.margins(x=0.03)
    return finish(ax)


def plot_best_seed_model(result: BestSeedModel, ax: Axes | None = None) -> Axes:
    """Draw how much better the best of N runs looks, and how much better it is on fresh data.

    Parameters
    ----------
    result : BestSeedModel
        Of `best_seed_model`, or ``best_seed_selection(...).model``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax)
    order = np.argsort(result.counts, kind="stable")
    counts = np.array(result.counts)[order]
    ax.plot(counts, 100 * result.apparent_gain[order], "o-", color=GREY, label="looks better by")
    ax.plot(counts, 100 * result.fresh_gain[order], "s-", color=BLUE, label="is better by")
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set(xscale="log", xlabel="runs to pick the best from", ylabel="above the mean run (percentage points)")
    _plain_numbers(ax, x_only=True)
    return finish(ax)


def plot_look(result: InterimLook, ax: Axes | None = None) -> Axes:
    """Draw what a look at the runs says, with its interval, beside what was asked for.

    Parameters
    ----------
    result : InterimLook
        Result of `stopping_rule` or `train_until`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax, scale, metric = new_axes(ax, height=2.2), result.rule.scale, result.rule.metric
    unit = "percentage points" if result.rule.in_points else "in its unit"
    draw_interval(ax, 0, (scale * result.low, scale * result.high), BLUE, width=2.5)
    ax.plot(scale * result.estimate, 0, "o", color=BLUE, markersize=8, label=f"{result.verdict}, {result.runs} runs")
    goal = scale * result.rule.value
    asked = f"asked: {result.rule.kind} {goal:.3g}"
    if result.rule.against:
        ax.axvspan(-goal, goal, color=GREY, alpha=0.2, linewidth=0, label=asked)
        ax.axvline(0, color=GREY, linewidth=1, linestyle="--")
        ax.set_xlabel(f"{metric or 'accuracy'} minus the baseline's ({unit}; interval for all looks together)")
    else:
        if result.rule.kind == "se":
            ax.axvline(goal, color=ORANGE, linewidth=1.5, linestyle="--", label=asked)
        of = f"mean {metric}" if metric else "mean"
        ax.set_xlabel(f"standard error of the {of} ({unit}, with its bound for all looks together)")
    ax.set(ylim=(-1, 1), yticks=[])
    ax.spines["left"].set_visible(False)
    return finish(ax)


def plot_plan(result: RunPlan | GapPlan, ax: Axes | None = None) -> Axes:
    """Draw the smallest gap that a number of runs of each configuration establishes.

    Parameters
    ----------
    result : RunPlan or GapPlan
        Of `plan_runs` or `plan_gap`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on. The lines take the spread as exact; the dot is the plan, with its range as a bar.
    """
    from .plans import RunPlan, plan_gap

    ax = new_axes(ax)
    runs = result.runs_needed if isinstance(result, RunPlan) else result.runs
    counts = np.unique(np.geomspace(2, max(100, 4 * runs), 40).astype(int))
    plans = [
        plan_gap(
            int(count),
            variance=result.var_a,
            variance_b=result.var_b,
            n_examples=result.n_examples,
            tau2=None if math.isnan(result.tau2) else result.tau2,
            alpha=result.alpha,
            power=result.power,
        )
        for count in counts
    ]
    exact = ", if the spread is exact" if math.isfinite(result.degrees) else ""
    ax.plot(counts, [100 * plan.gap_needed for plan in plans], color=BLUE, linewidth=1.8, label=f"this test set{exact}")
    if not math.isnan(plans[0].gap_needed_dist):
        dist = [100 * plan.gap_needed_dist for plan in plans]
        ax.plot(counts, dist, color=ORANGE, linewidth=1.8, linestyle="--", label="the distribution")
    _draw_plan(result, ax)
    ax.set(xscale="log", yscale="log", xlabel="runs of each configuration")
    ax.set_ylabel(f"gap shown with {percent(result.power)} power (percentage points)")
    _plain_numbers(ax)
    return finish(ax, 3 if not exact else 1)


def _draw_plan(result: RunPlan | GapPlan, ax: Axes) -> None:
    """Draw the plan as a dot, with its range."""
    from .plans import RunPlan

    if isinstance(result, RunPlan):
        runs, gap = result.runs_needed, 100 * result.gap
        ends: dict[str, Any] = {"xerr": [[max(0, runs - result.runs_low)], [max(0, result.runs_high - runs)]]}
    else:
        runs, gap = result.runs, 100 * result.gap_needed
        ends = {"yerr": [[max(0.0, gap - 100 * result.gap_low)], [max(0.0, 100 * result.gap_high - gap)]]}
    if not math.isnan(gap):
        ax.errorbar(
            runs, gap, fmt="o", color="black", capsize=3, label=f"{runs:,} runs, {gap:.3g} percentage points", **ends
        )


def _plain_numbers(ax: Axes, *, x_only: bool = False) -> None:
    """Label logarithmic axes with plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis in (ax.xaxis,) if x_only else (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
