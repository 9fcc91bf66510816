"""The report's section on weight spectra."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..methods.corpus.analysis import VOTERS
from .sections import PAPERS, Figure, Section, figure, notes_of, papers

if TYPE_CHECKING:
    from ..methods.corpus.analysis import ParadoxAnalysis
    from ..methods.spectra.models import ModelSpectra
    from ..methods.spectra.quality import StudySpectra
    from ..studies.study import Study

_PAPER = PAPERS["martin2021simpson"]
_MOST_MODELS = 300  # networks whose spectra are taken for a page


def spectra(study: Study) -> Section | None:
    """Show the exponent of the weights over runs and training, and one run layer by layer."""
    from .. import spectra as spectra_of
    from ..methods.spectra import study_spectra

    with_weights = [run for run in study.runs if run.status == "completed" and run.weights]
    if not with_weights:
        return None
    steps = {step for run in with_weights for step in run.weights}
    everything = len(steps) * len(with_weights) <= _MOST_MODELS
    result = study_spectra(study, steps="all") if everything else study_spectra(study)
    one = study.runs[result.runs[0]]
    model = spectra_of(study.weights(one, step=None if None in one.weights else one.weights[-1]))
    notes = notes_of(result) + (() if everything else ("Steps before the end of training were skipped to save time.",))
    judged = _judged(result, study)
    if judged is None:
        drawn, tables = _figures(result, model, one.id), (result.table(),)
        return Section("Weight spectra", result.sentence(), drawn, tables, notes, **papers(_PAPER.key))
    return Section(
        "Weight spectra",
        f"{result.sentence()} {judged.sentence()}",
        (*_figures(result, model, one.id), _within_between(judged)),
        (result.table(), judged.table()),
        notes + notes_of(judged),
        **papers(_PAPER.key),
    )


def _judged(result: StudySpectra, study: Study) -> ParadoxAnalysis | None:
    """Return which metrics track accuracy, where there are enough networks of several groups to ask."""
    from .. import paradox

    target = next((f"{split}_accuracy" for split in ("test", *result.accuracy) if split in result.accuracy), None)
    groups = _groups(result, study)
    if target is None or groups is None:
        return None
    metrics = [name for name, values in result.metrics.items() if np.isfinite(values[:, -1]).sum() >= VOTERS]
    return paradox(result, metrics, target=target, partition=groups) if metrics else None


def _groups(result: StudySpectra, study: Study) -> str | None:
    """Return what divides the networks into groups that can vote: their depth, or the one hyperparameter that does."""
    if _votes(result.depth):
        return "depth"
    own = [study.runs[name].hyperparameters for name in result.runs]
    named = sorted(set.intersection(*(set(values) for values in own)))
    found = [name for name in named if _votes([str(values[name]) for values in own])]
    return found[0] if len(found) == 1 else None


def _votes(values: Iterable[object]) -> bool:
    sizes = Counter(values)
    return len(sizes) > 1 and min(sizes.values()) >= VOTERS


def _within_between(judged: ParadoxAnalysis) -> Figure:
    from ..methods.corpus.plots import plot_within_between

    group = judged.partition
    return figure(
        partial(plot_within_between, judged),
        shows=f"How each metric correlates with {judged.target} over all networks, within each {group}, and between "
        f"values of {group}.",
        does_not_show=f"A cause. A metric that only distinguishes values of {group} is of no use within one.",
        paper=_PAPER,
        size=(4.8, 0.9 + 0.3 * len(judged.analyses)),
    )


def _figures(result: StudySpectra, model: ModelSpectra, run: str) -> tuple[Figure, ...]:
    from ..methods.spectra.plots import plot_model, plot_power_law, plot_study_spectra

    if not model.used:
        return ()
    layer = model[model.used[-1]]
    assert layer.fit is not None  # layers that are averaged have one
    return (
        figure(
            partial(plot_study_spectra, result),
            shows="The exponent of the eigenvalue tail of each run, averaged over layers.",
            does_not_show="Quality: compare exponents only between models of the same architecture and depth.",
            paper=_PAPER,
        ),
        figure(
            partial(plot_model, model),
            shows=f"The exponent of each layer of run {run}, with its standard error.",
            does_not_show="Whether a power law describes the layer; an exponent above 6 says little.",
            paper=_PAPER,
        ),
        figure(
            partial(plot_power_law, layer.fit),
            shows=f"Eigenvalues of layer {layer.name} of run {run} on logarithmic axes, with the fitted tail.",
            does_not_show="That no other distribution fits as well.",
            paper=_PAPER,
        ),
    )
