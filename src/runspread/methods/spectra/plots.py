"""Plots of weight spectra: the tail with its fit, the bulk with its spikes, the shuffled matrix, layers and models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..._plotting import BLUE, GREY, LIGHT, ORANGE, finish, new_axes
from ...errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .layers import LayerMetrics
    from .marchenko_pastur import MarchenkoPasturFit
    from .models import ModelSpectra
    from .powerlaw import PowerLawFit
    from .quality import QualityDifference, StudySpectra
    from .singular_values import Spectrum
    from .smoothing import SmoothingResult

EIGENVALUE = "eigenvalue of WᵀW"


def _log_density(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return centres and densities of the filled ones among log-spaced bins."""
    low, high = np.log10(values[0]), np.log10(values[-1])
    edges = np.logspace(low, high + 1e-9, max(8, int(4 * len(values) ** (1 / 3))) + 1)
    counts = np.histogram(values, edges)[0]
    centres, widths = np.sqrt(edges[1:] * edges[:-1]), np.diff(edges)
    filled = counts > 0
    return centres[filled], (counts / (len(values) * widths))[filled]


def plot_power_law(result: PowerLawFit, ax: Axes | None = None) -> Axes:
    """Draw the density of the values on logarithmic axes with the fitted power law.

    Parameters
    ----------
    result : PowerLawFit
        What `fit_power_law` returned, or ``layer.fit``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.
    """
    ax = new_axes(ax)
    centres, density = _log_density(result.values)
    ax.loglog(centres, density, "o", color=BLUE, markersize=4, label=f"{result.n} values, log-spaced bins")
    if result.status == "ok":
        x = np.geomspace(result.xmin, result.values[-1], 100)
        y = (result.alpha - 1) / result.xmin * (x / result.xmin) ** -result.alpha * result.n_tail / result.n
        label = f"α = {result.alpha:.2f} ± {result.sigma:.2f}"
        ax.loglog(x, y, "-", color=ORANGE, linewidth=2, label=label)
        ax.axvline(result.xmin, color=GREY, linestyle=":", linewidth=1.2, label=f"xmin = {result.xmin:.3g}")
    ax.set(xlabel=EIGENVALUE, ylabel="density")
    return finish(ax)


def plot_xmin_profile(result: PowerLawFit, ax: Axes | None = None) -> Axes:
    """Draw the distance and the exponent of every tail against where it starts.

    Parameters
    ----------
    result : PowerLawFit
        What `fit_power_law` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None. The exponent goes on a second axis at the right.
    """
    ax = new_axes(ax)
    xmin, alpha, distance = result.profile()
    ax.semilogx(xmin, distance, "-", color=BLUE, linewidth=1.5, label="KS distance")
    ax.semilogx([result.xmin], [result.D], "o", color=BLUE, markersize=6, markerfacecolor="white", label="smallest")
    ax.set(xlabel="xmin", ylabel="KS distance D", ylim=(0, None))
    right = ax.twinx()
    enough = np.arange(len(xmin)) < max(2, len(xmin) - 8)  # exponents of the last few values run off
    right.semilogx(xmin[enough], alpha[enough], "--", color=ORANGE, linewidth=1.2)
    right.set_ylabel("exponent α (dashed)", color=ORANGE)
    right.tick_params(axis="y", colors=ORANGE)
    right.spines["top"].set_visible(False)
    ax.plot([], [], "--", color=ORANGE, linewidth=1.2, label="α (right)")
    finish(ax, 3)
    ax.spines["right"].set_visible(True)
    return ax


def plot_bulk(result: MarchenkoPasturFit, ax: Axes | None = None) -> Axes:
    """Draw the histogram of the eigenvalues with the fitted bulk, its edges and the spikes beyond.

    Parameters
    ----------
    result : MarchenkoPasturFit
        What `fit_marchenko_pastur` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    """
    ax = new_axes(ax)
    values = result.eigenvalues
    found = result.status == "ok"
    right = 2 * result.threshold if found else float(values[-1])
    shown = values[values <= right]
    ax.hist(shown, bins=50, weights=np.full(len(shown), 1 / len(values)) / (np.ptp(shown) / 50), color=LIGHT,
            label=f"{result.n} eigenvalues")  # fmt: skip
    if found:
        grid = np.linspace(result.bulk_min, result.bulk_max, 400)
        ax.plot(grid, result.density(grid), "-", color=BLUE, linewidth=2, label="Marchenko-Pastur bulk")
        ax.axvline(result.threshold, color=ORANGE, linestyle="--", linewidth=1.2, label="spikes beyond")
        _mark_spikes(ax, values[values > result.threshold], right)
    ax.set(xlabel=EIGENVALUE, ylabel="density", xlim=(0, right))
    return finish(ax)


def _mark_spikes(ax: Axes, spikes: NDArray[Any], right: float) -> None:
    """Mark spikes at the foot of the axes, and say how many lie beyond its end."""
    inside = spikes[spikes <= right]
    ax.plot(inside, np.zeros(len(inside)), "|", color=ORANGE, markersize=14, clip_on=False)
    beyond = len(spikes) - len(inside)
    if beyond:
        text = f"{beyond} more spike{'s' * (beyond > 1)},\nup to {spikes[-1]:.3g} →"
        ax.annotate(text, (0.99, 0.75), xycoords="axes fraction", ha="right", va="center", color=ORANGE)


def plot_shuffled(result: LayerMetrics, ax: Axes | None = None) -> Axes:
    """Draw the eigenvalues of a layer, by rank, beside those of the same numbers in random order.

    Parameters
    ----------
    result : LayerMetrics
        With at least one shuffle.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    """
    if result.spectrum is None or result.shuffled is None:
        raise InputError(f"got layer {result.name} without a shuffle", "one analysed with n_shuffles=1 or more")
    ax = new_axes(ax)
    for values, style, color, label in (
        (result.spectrum.eigenvalues, "o", BLUE, "trained"), (result.shuffled, "x", ORANGE, "entries shuffled"),
    ):  # fmt: skip
        positive = values[::-1][values[::-1] > 0]
        ax.loglog(np.arange(1, len(positive) + 1), positive, style, color=color, markersize=3.5, label=label,
                  markerfacecolor="none")  # fmt: skip
    distance = result.metrics["rand_distance"]
    ax.set(xlabel="rank", ylabel=EIGENVALUE)
    ax.annotate(f"distance {distance:.3f}", (0.03, 0.05), xycoords="axes fraction", color=GREY)
    return finish(ax)


def plot_layer(result: LayerMetrics, ax: Axes | None = None) -> Axes:
    """Draw a layer's spectrum on logarithmic axes, with its power law where it has one.

    Parameters
    ----------
    result : LayerMetrics
        What `layer_metrics` returned, or ``model["name"]``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    """
    if result.fit is not None and result.fit.status == "ok":
        return plot_power_law(result.fit, ax)
    if result.spectrum is None:
        raise InputError(f"layer {result.name} has no spectrum ({result.status})", "one that has")
    return plot_spectrum(result.spectrum, ax)


def plot_spectrum(result: Spectrum, ax: Axes | None = None) -> Axes:
    """Draw the eigenvalues by rank, with the floor below which rounding explains them.

    Parameters
    ----------
    result : Spectrum
        What `spectrum` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    """
    ax = new_axes(ax)
    values = result.eigenvalues[::-1]
    rank = np.arange(1, len(values) + 1)
    ax.loglog(rank[values > 0], values[values > 0], "o", color=BLUE, markersize=3.5, label="eigenvalues")
    if result.rank < result.n:
        ax.axhline(result.floor, color=ORANGE, linestyle="--", linewidth=1.2, label="rounding explains what lies below")
    ax.set(xlabel="rank", ylabel=EIGENVALUE)
    return finish(ax)


def plot_model(result: ModelSpectra, ax: Axes | None = None) -> Axes:
    """Draw the exponent of every layer in the order of the model, with its standard error.

    Parameters
    ----------
    result : ModelSpectra
        What `spectra` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    """
    fitted = [layer for layer in result.layers if layer.fit is not None and layer.fit.status == "ok"]
    if not fitted:
        raise InputError(f"no layer of {result.source} has a power law", "at least one", "See its table for why.")
    ax = new_axes(ax)
    for averaged, face, label in ((True, BLUE, "averaged"), (False, "white", "not averaged")):
        rows = [k for k, layer in enumerate(fitted) if (layer.name in result.used) == averaged]
        if rows:
            values = [fitted[k]["alpha"] for k in rows]
            errors = [fitted[k]["sigma"] for k in rows]
            ax.errorbar(rows, values, errors, fmt="o", color=BLUE, markerfacecolor=face, markersize=5, linewidth=1,
                        label=label)  # fmt: skip
    ax.axhspan(2, 6, color=LIGHT, alpha=0.25, linewidth=0, label="2 to 6: heavy-tailed")
    if np.isfinite(result.means["alpha"]):
        ax.axhline(result.means["alpha"], color=ORANGE, linestyle="--", linewidth=1.2, label="mean")
    few = len(fitted) <= 24
    names = [_short(layer.name) for layer in fitted]
    ax.set_xticks(range(len(fitted)) if few else [], names if few else [], rotation=60, ha="right", fontsize=8)
    ax.set(xlabel="" if few else f"{len(fitted)} layers, in the order of the model", ylabel="exponent α")
    return finish(ax)


def _short(name: str) -> str:
    return name if len(name) <= 22 else "…" + name[-21:]


def plot_study_spectra(result: StudySpectra, ax: Axes | None = None, *, metric: str = "alpha") -> Axes:
    """Draw a metric of every run over training, with the mean; or the runs side by side where there is one step.

    Parameters
    ----------
    result : StudySpectra
        What `study_spectra` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    metric : str
        Name.
    """
    ax = new_axes(ax)
    values = result.values(metric)
    if len(result.steps) == 1:
        order = np.argsort(values[:, 0])
        ax.plot(np.arange(1, len(order) + 1), values[order, 0], "o", color=BLUE, markersize=4, label="a run")
        ax.axhline(float(np.nanmean(values)), color=ORANGE, linestyle="--", linewidth=1.2, label="mean")
        spread = result.seed_sd(metric)[0]
        if np.isfinite(spread):
            mean = float(np.nanmean(values))
            ax.axhspan(mean - spread, mean + spread, color=LIGHT, alpha=0.35, linewidth=0, label="± seed sd")
        ax.set(xlabel="run, by value", ylabel=metric)
        return finish(ax, 3)
    place = np.arange(len(result.steps))
    ax.plot(place, values.T, "-", color=LIGHT, linewidth=0.8)
    ax.plot([], [], "-", color=LIGHT, label=f"{len(result.runs)} runs")
    known = np.isfinite(values).any(axis=0)
    ax.plot(place[known], np.nanmean(values[:, known], axis=0), "o-", color=BLUE, linewidth=2, label="mean")
    ax.set_xticks(place, ["end" if step is None else str(step) for step in result.steps])
    ax.set(xlabel="step", ylabel=metric)
    return finish(ax)


def plot_quality_difference(result: QualityDifference, ax: Axes | None = None) -> Axes:
    """Draw a difference with its interval beside the spread over seeds.

    Parameters
    ----------
    result : QualityDifference
        What ``StudySpectra.difference`` or ``StudySpectra.compare`` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    """
    ax = new_axes(ax, height=1.8)
    ax.axvspan(-result.seed_sd, result.seed_sd, color=LIGHT, alpha=0.4, linewidth=0, label="± seed sd")
    ax.axvline(0, color=GREY, linewidth=0.8)
    low, high = result.interval
    ax.errorbar([result.difference], [0], xerr=[[result.difference - low], [high - result.difference]], fmt="o",
                color=BLUE, capsize=4, label="difference, 95% CI")  # fmt: skip
    ax.set(xlabel=f"{result.metric}: {result.second} minus {result.first}", yticks=[], ylim=(-1, 1))
    ax.spines["left"].set_visible(False)
    return finish(ax)


def plot_smoothing(result: SmoothingResult, ax: Axes | None = None) -> Axes:
    """Draw the accuracy that each truncation leaves, one dot per run for a stack.

    Parameters
    ----------
    result : SmoothingResult
        What `svd_smoothing` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure when None.
    """
    ax = new_axes(ax)
    place = np.arange(len(result.kept) + 1)
    rows = 100 * np.concatenate([result.accuracy.reshape(len(result.kept), -1), result.unchanged.reshape(1, -1)])
    if rows.shape[1] > 1:
        ax.plot(place, rows, "o", color=LIGHT, markersize=3)
        ax.plot([], [], "o", color=LIGHT, markersize=3, label=f"{rows.shape[1]} runs")
    ax.plot(place, rows.mean(axis=1), "o-", color=BLUE, label="mean" if rows.shape[1] > 1 else "accuracy")
    ax.set_xticks(place, [*result.kept, "unchanged"])
    ax.set(xlabel="singular directions kept in every matrix", ylabel="accuracy (%)", ylim=(0, 102))
    return finish(ax)
