"""Plots of ensembles: size, members, calibration, diversity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._plotting import BLUE, GREY, ORANGE, STYLES, new_axes
from ...errors import InputError
from .selection import NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..._reading.probabilities import Floats
    from .disagreement import Diversity
    from .proper_scores import Scores
    from .selection import EnsembleSelection
    from .sizes import EnsembleSizes

TICKS = 14  # names of runs that fit side by side


def plot_ensemble_sizes(result: EnsembleSizes, ax: Axes | None = None) -> Axes:
    """Draw the score against the ensemble's size, a line for each way to choose the members."""
    ax = new_axes(ax)
    ax.fill_between(result.sizes, result.random_low, result.random_high, color=GREY, alpha=0.18, linewidth=0)
    for number, (name, values) in enumerate(result.curves.items()):
        colour, line, marker = STYLES[number % len(STYLES)]
        label = f"{name} (band: 10 to 90 %)" if name == "random" else name
        ax.plot(result.sizes, values, color=colour, linestyle=line, marker=marker, markersize=4, label=label)
    _zoom(ax, np.concatenate(list(result.curves.values())))
    ax.set_xticks(result.sizes)
    ax.set_xlabel("distinct members")
    ax.set_ylabel(f"{NAMES[result.objective]} on {result.n_report_examples} other examples")
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def plot_selection(result: EnsembleSelection, ax: Axes | None = None) -> Axes:
    """Draw the score after each step of the selection, against the single best, the top K and random subsets."""
    ax = new_axes(ax)
    steps = np.arange(1, len(result.path) + 1)
    shown = [*result.path_scores, result.top_k_score]
    if len(result.random_scores):
        low, high = np.quantile(result.random_scores, [0.1, 0.9])
        label = f"random subsets, 10 to 90 %: {low:.3g} to {high:.3g}"
        ax.axhspan(low, high, color=GREY, alpha=0.15, linewidth=0, label=label)
    ax.axhline(result.top_k_score, color=ORANGE, linestyle="--", label=f"top {len(result.top_k)}, equal weights")
    ax.plot(steps, result.path_scores, color=BLUE, marker="o", label="greedy")
    if result.cross_validation is not None:
        held_out, error = result.cross_validation.held_out, result.cross_validation.held_out_se
        place = (len(steps) + 0.35, held_out)
        shown += [held_out - error, held_out + error]
        ax.errorbar(*place, yerr=error, color="black", marker="D", markersize=4, capsize=3, label="held out (± 1 s.e.)")
    _zoom(ax, np.array(shown))
    labelled = slice(None, None, -(-len(steps) // TICKS))
    names = [_short(result.run_ids[i], 18) for i in result.path]
    ax.set_xticks(steps[labelled], names[labelled], rotation=30, ha="right")
    ax.set_xlabel("candidate added")
    ax.set_ylabel(f"{NAMES[result.objective]} on {result.n_examples} examples")
    ax.legend(frameon=False, fontsize=8)
    return ax


def plot_members(
    result: EnsembleSelection, hyperparameters: Mapping[str, Mapping[str, Any]] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the weights of the chosen members, with their hyperparameters.

    Parameters
    ----------
    result : EnsembleSelection
        The selection.
    hyperparameters : mapping of str to mapping, optional
        Hyperparameters by run id; of a study ``{run.id: run.hyperparameters for run in study.runs}``.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    """
    values = {i: (hyperparameters or {}).get(result.run_ids[i], {}) for i in result.members}
    names = list(dict.fromkeys(name for own in values.values() for name in own))
    order = result.members[np.argsort(-result.weights[result.members], kind="stable")]
    ax = new_axes(ax, width=3.6 + 0.8 * len(names), height=(1.9 if names else 0.9) + 0.34 * result.size)
    most = float(result.weights.max())
    ax.barh(np.arange(len(order)), result.weights[order], color=BLUE, height=0.6)
    for row, member in enumerate(order):
        ax.text(float(result.weights[member]), row, f" {result.weights[member]:.2f}", va="center", fontsize=8)
        for column, name in enumerate(names):
            text = _number(values[member].get(name, "–"))
            ax.text(most * (1.5 + 0.55 * column), row, text, va="center", ha="center", fontsize=8)
    for column, name in enumerate(names):
        place = (most * (1.5 + 0.55 * column), -0.6)
        ax.annotate(name, place, rotation=30, ha="left", va="bottom", fontsize=8, annotation_clip=False)
    ax.set_yticks(np.arange(len(order)), [_short(result.run_ids[i]) for i in order])
    ax.set_xticks(np.round(np.linspace(0, most, 3), 2))
    ax.set_xlim(0, most * (1.25 + 0.55 * len(names)))
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.set_xlabel(f"weight ({result.n_candidates - result.size} other candidates have none)", loc="left")
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines["bottom"].set_bounds(0, most)
    return ax


def plot_reliability(result: Scores, ax: Axes | None = None) -> Axes:
    """Draw accuracy against confidence by bin; dots as large as their bin is full."""
    ax = new_axes(ax, width=4.4, height=4.2)
    bins = result.reliability
    filled = bins.counts > 0
    share = bins.counts[filled] / bins.counts.sum()
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="calibrated")
    ax.vlines(bins.confidence[filled], bins.confidence[filled], bins.accuracy[filled], color=ORANGE, linewidth=2)
    ax.scatter(bins.confidence[filled], bins.accuracy[filled], s=20 + 400 * share, color=BLUE, zorder=3, label="a bin")
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="mean confidence in the bin", ylabel="accuracy in the bin")
    ax.set_title(f"ECE {result.ece:.3f} in {len(bins.counts)} bins, {result.n_examples} examples")
    ax.legend(frameon=False, markerscale=0.6)
    return ax


def plot_diversity(result: Diversity, ax: Axes | None = None) -> Axes:
    """Draw the measures of diversity as bars."""
    ax = new_axes(ax, height=2.4)
    names = ("disagreement", "kl", "brier_diversity", "mutual_information")
    values = [getattr(result, name) for name in names]
    shown = ("disagreement\n(share)", "KL divergence\n(nats)", "Brier diversity", "mutual information\n(nats)")
    ax.bar(np.arange(len(values)), np.where(np.isfinite(values), values, 0), color=BLUE, width=0.6)
    for place, value in enumerate(values):
        ax.text(place, value if np.isfinite(value) else 0, f"{value:.3g}", ha="center", va="bottom", fontsize=8)
    ax.set_xticks(np.arange(len(values)), shown, fontsize=8)
    ax.margins(y=0.15)
    ax.set_title(f"{result.n_members} distinct members, {result.n_examples} examples")
    return ax


def plot_diversity_against_score(
    ensembles: Mapping[str, tuple[Scores, Diversity]], ax: Axes | None = None, *, metric: str = "nll"
) -> Axes:
    """Draw ensembles by disagreement and score, one mark each.

    Parameters
    ----------
    ensembles : mapping of str to (Scores, Diversity)
        Ensembles by name, on the same examples.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    metric : {"nll", "brier", "ece", "accuracy"}
        Score on the vertical axis.
    """
    if not ensembles:
        raise InputError("there are no ensembles", "at least one")
    ax = new_axes(ax)
    for number, (name, (scored, diverse)) in enumerate(ensembles.items()):
        colour, _, marker = STYLES[number % len(STYLES)]
        ax.scatter(diverse.disagreement, getattr(scored, metric), color=colour, marker=marker, s=45, label=name)
    ax.set_xlabel("mean disagreement of two members (share of examples)")
    ax.set_ylabel(f"{'NLL' if metric == 'nll' else metric} of the ensemble")
    ax.margins(0.15)
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def _zoom(ax: Axes, values: Floats) -> None:
    """Let the lines fill the picture; a band that reaches farther is cut off."""
    finite = values[np.isfinite(values)]
    margin = 0.12 * (np.ptp(finite) or abs(float(finite[0])) or 1.0)
    ax.set_ylim(float(finite.min() - margin), float(finite.max() + 2 * margin))


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _short(name: str, limit: int = 14) -> str:
    return name if len(name) <= limit else f"{name[: limit - 1]}…"
