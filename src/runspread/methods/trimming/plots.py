"""Plots of the trimming level: which runs are typical, how many are representative, what is trimmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..._plotting import BLUE, GREY, LIGHT, ORANGE, draw_interval, finish, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .comparison import TrimmingScores
    from .curve import TrimmingCurve
    from .examples import TrimmedExamples
    from .representative import RepresentativeSize
    from .sameness import SameModel
    from .typicality import TrimmingLevels

CAP = 0.5


def plot_trimming_levels(result: TrimmingLevels, ax: Axes | None = None) -> Axes:
    """Draw the trimming level of every run, the most typical first.

    Parameters
    ----------
    result : TrimmingLevels
        What `trimming` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    from matplotlib.ticker import MaxNLocator

    ax = new_axes(ax)
    order = np.lexsort((result.rejected, result.mean))
    place = np.arange(1, len(order) + 1)
    low, high = (np.minimum(limit[order], result.settings.cap) for limit in (result.lower, result.upper))
    width = float(np.clip(120 / len(order), 0.4, 3))
    ax.vlines(place, low, high, color=LIGHT, linewidth=width, label="5 to 95 % of replicates")
    for chosen, marker, face, name in (
        (~result.atypical, "o", "white", "distinguishable in ≤ half of them"),
        (result.atypical, "o", BLUE, "distinguishable in > half"),
    ):
        some = chosen[order]
        ax.plot(
            place[some], result.mean[order][some], marker, color=BLUE, markerfacecolor=face, markersize=4, label=name
        )
    beyond = result.upper[order] > result.settings.cap
    if beyond.any():
        above = np.full(int(beyond.sum()), result.settings.cap + 0.02)  # not on top of the dots
        ax.plot(place[beyond], above, "^", color=ORANGE, markersize=4, label=f"reaches beyond {result.settings.cap:g}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="run, by mean level", ylabel="trimming level", ylim=(-0.02, None))
    return finish(ax)


def plot_trimming_curve(result: TrimmingCurve, ax: Axes | None = None) -> Axes:
    """Draw the distance that is left after trimming against the level, with the threshold.

    Parameters
    ----------
    result : TrimmingCurve
        What `trimming_curve` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax)
    _draw_curve(ax, result, result.threshold)
    return finish(ax)


def plot_same_model(result: SameModel, ax: Axes | None = None) -> Axes:
    """Draw the distance of old and new runs after trimming, with the threshold and the level that is allowed.

    Parameters
    ----------
    result : SameModel
        What `same` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax)
    ax.axvspan(0, result.alpha, color=BLUE, alpha=0.10, linewidth=0, label=f"allowed: up to {result.alpha:g}")
    _draw_curve(ax, result, result.settings.threshold)
    return finish(ax)


def _draw_curve(ax: Axes, result: TrimmingCurve | SameModel, threshold: str | float) -> None:
    alphas, distances, level = result.alphas, result.distances, result.level
    limit = result.delta[0] + result.delta[1] / (1 - alphas)
    last = float(alphas[-1])
    ax.plot(alphas, distances, color=BLUE, linewidth=1.8, label="distance left after trimming")
    ax.plot(alphas, limit, color=ORANGE, linewidth=1.4, linestyle="--", label=f"threshold ({threshold})")
    if np.isfinite(level):
        last = max(last, level + (1 - level) / 10)  # a caller's levels may end before it
        height = result.delta[0] + result.delta[1] / (1 - level)
        ax.plot([level], [height], "o", color="black", markersize=6, label=f"level {level:.3f}")
    else:
        ax.plot([], [], " ", label="no level suffices")
    top = 1.15 * max(float(distances.max()), float(limit[0]))
    ax.set(xlabel="fraction trimmed", ylabel="Kolmogorov distance", ylim=(0, top), xlim=(0, last))


def plot_trimmed_cdf(result: TrimmingCurve, ax: Axes | None = None, *, output: str = "scalar output") -> Axes:
    """Draw the distributions before and after trimming, the reference with its band, and below them what is trimmed.

    Parameters
    ----------
    result : TrimmingCurve
        What `trimming_curve` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    output : str
        Name of what the samples hold, for the axis.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax, height=4.0)
    span = result.reference[0], result.reference[-1], result.candidate[0], result.candidate[-1]
    values = np.unique(np.concatenate([result.reference, result.candidate]))
    values = values[np.isfinite(values)]
    target = np.searchsorted(result.reference, values, side="right") / result.reference.size
    places, heights, steps = _reference_line(result, values, target)
    before = np.searchsorted(result.candidate, values, side="right") / result.candidate.size
    kept = np.append(0.0, result.trimming.weights.cumsum())
    after = kept[np.searchsorted(result.trimming.values, values, side="right")]
    band = float(result.accepted_up_to(np.array([result.trimmed_by]))[0])
    low, high = np.clip(heights - band, 0, 1), np.clip(heights + band, 0, 1)
    ax.fill_between(places, low, high, step=steps, color=LIGHT, alpha=0.6, linewidth=0, label=f"reference ± {band:.3f}")
    drawn: Any = f"steps-{steps}" if steps else "default"
    ax.plot(places, heights, drawstyle=drawn, color="black", linewidth=1.0, label="reference")
    ax.step(values, before, where="post", color=BLUE, linewidth=1.4, linestyle=":", label="candidate")
    name = f"candidate, {result.trimmed_by:.1%} trimmed{'' if np.isfinite(result.level) else ' (in vain)'}"
    ax.step(values, after, where="post", color=BLUE, linewidth=1.6, label=name)
    _draw_strip(ax, result, (min(span), max(span)))
    ax.set(xlabel=output, ylabel="share of examples at or below", ylim=(-0.22, 1.02), yticks=np.linspace(0, 1, 6))
    return finish(ax)


def _reference_line(
    result: TrimmingCurve, values: NDArray[np.float64], steps: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], Literal["post"] | None]:
    """Return the reference's distribution as the distance reads it: in steps, or interpolated as published."""
    if result.mode == "step":
        return values, steps, "post"
    from .levels import interpolated_mass, shares

    first = np.searchsorted(values, result.reference[0])  # where it jumps from 0 to the first value's share
    mass = interpolated_mass(result.reference, shares(result.reference.size)[1:], values)
    return np.insert(values, first, values[first]), np.insert(mass, first, 0.0), None


def _draw_strip(ax: Axes, result: TrimmingCurve, span: tuple[float, float], bins: int = 60) -> None:
    """Draw the fraction that is trimmed of the candidate's mass, by value, as a strip below the distributions."""
    finite = np.isfinite(result.candidate)
    low, high = (result.candidate[finite][[0, -1]]) if not np.isfinite(span).all() else span
    if not low < high:
        return
    at = np.searchsorted(result.trimming.values, result.candidate)
    edges = np.linspace(low, high, bins + 1)
    mass, _ = np.histogram(result.candidate[finite], edges)
    lost, _ = np.histogram(result.candidate[finite], edges, weights=result.trimming.trimmed[at][finite])
    share = np.divide(lost, mass, out=np.zeros(bins), where=mass > 0)
    ax.axhline(-0.2, color=GREY, linewidth=0.6)
    ax.stairs(
        -0.2 + 0.15 * share,
        edges,
        baseline=-0.2,
        fill=True,
        color=ORANGE,
        hatch="////",
        edgecolor="white",
        linewidth=0,
        label="share trimmed here (strip height = all)",
    )


def plot_representative_size(result: RepresentativeSize, ax: Axes | None = None) -> Axes:
    """Draw the level between M runs and a pool of others against M, with the range of 90 % of random subsets.

    Parameters
    ----------
    result : RepresentativeSize
        What `representative_size` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    from matplotlib.ticker import NullLocator

    ax = new_axes(ax)
    low, middle, high = (np.minimum(result.quantile(q), CAP) for q in (0.05, 0.5, 0.95))
    styles = {"mixture": (BLUE, "o"), "ensemble": (ORANGE, "s")}
    for i, kind in enumerate(result.kinds):
        colour, marker = styles[kind]
        for j, direction in enumerate(result.directions):
            dodged = result.sizes * 1.035 ** (2 * (2 * i + j) - 3)  # side by side, so that no bar hides another
            ax.vlines(dodged, low[i, j], high[i, j], color=colour, linewidth=1.2)
            name = f"{kind}, {direction.replace('few', 'M runs')}"
            face = colour if j == 0 else "white"
            line = f"{'-' if j == 0 else '--'}{marker}"
            ax.plot(
                dodged, middle[i, j], line, color=colour, markerfacecolor=face, markersize=4, linewidth=0.8, label=name
            )
    ax.plot([], [], color=GREY, linewidth=1.2, label="bar: 90 % of subsets")
    ax.set(xscale="log", xlabel="number of runs M", ylabel="trimming level against the pool")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(result.sizes, [str(size) for size in result.sizes])
    ax.set_ylim(-0.01, max(0.05, 1.08 * float(high.max())))
    return finish(ax)


def plot_trimming_scores(result: TrimmingScores, ax: Axes | None = None, *, score: str = "accuracy") -> Axes:
    """Draw the trimming level of every run against a score; for accuracy with the bins and their medians.

    Parameters
    ----------
    result : TrimmingScores
        What `trimming_scores` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    score : str
        Name of the score.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax)
    values = result.of(score)
    percent = score != "NLL"
    scale = 100 if percent else 1
    row = result.names.index(score)
    rank = f"Spearman {result.correlation[row]:+.2f} ({result.low[row]:+.2f} to {result.high[row]:+.2f})"
    if np.isnan(result.correlation[row]):
        rank = f"no rank correlation: all {'levels' if np.ptp(result.level) == 0 else 'runs'} are equal"
        rank += "" if np.ptp(result.level) == 0 else f" in {score}"
    name = f"run; {rank}"
    ax.plot(scale * values, result.level, "o", color=BLUE, markersize=4, alpha=0.6, markeredgewidth=0, label=name)
    if score == "accuracy":
        for number in np.unique(result.bin_of):
            inside = result.bin_of == number
            low, middle, high = np.quantile(result.level[inside], [0.05, 0.5, 0.95])
            left, right = scale * values[inside].min(), scale * values[inside].max()
            draw_interval(ax, middle, (left, right), ORANGE, width=2)
            ax.vlines((left + right) / 2, low, high, color=ORANGE, linewidth=1)
        ax.plot([], [], color=ORANGE, linewidth=2, label="bin of accuracy: median, 5 to 95 %")
    ax.set(xlabel=f"{score} (%)" if percent else "NLL (nats)", ylabel="trimming level (mean)", ylim=(-0.01, None))
    return finish(ax, columns=1)


def plot_trimmed_examples(result: TrimmedExamples, ax: Axes | None = None) -> Axes:
    """Draw the fraction trimmed of every example against the runs' mean output there.

    Parameters
    ----------
    result : TrimmedExamples
        What `trimmed_examples` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax)
    markers = "osD^vP*X<>"
    classes = [None] if result.labels is None else np.unique(result.labels)
    colours = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#E69F00", GREY, "black", "#F0E442", LIGHT)
    for number, label in enumerate(classes):
        inside = slice(None) if label is None or result.labels is None else result.labels == label
        ax.plot(
            result.mean_output[inside],
            result.trimmed[inside],
            markers[number % len(markers)],
            color=colours[number % len(colours)],
            markersize=3.5,
            alpha=0.5,
            markeredgewidth=0,
            label="example" if label is None else f"class {label}",
        )
    ax.axhline(result.mean_level, color=GREY, linewidth=1, linestyle="--", label="if examples played no part")
    if left := int((~np.isfinite(result.mean_output)).sum()):
        ax.plot([], [], " ", label=f"not shown: {left} with infinite outputs")
    ax.set(
        xlabel=f"mean {result.settings.margin} of the trimmed runs",
        ylabel="fraction trimmed (mean)",
        ylim=(-0.01, None),
    )
    return finish(ax, columns=4)
