"""The report's section on the best ensemble of a study's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .sections import Figure, Paper, Section, figure, notes_of

if TYPE_CHECKING:
    from .._methods.selection import EnsembleSelection
    from .._study.study import Study

SIZE = 5
PAPERS = (
    Paper(
        "Caruana et al. 2004, Ensemble Selection from Libraries of Models", "https://doi.org/10.1145/1015330.1015432"
    ),
    Paper("Wenzel et al. 2020, Hyperparameter Ensembles", "https://arxiv.org/abs/2006.13570"),
    Paper("Guo et al. 2017, On Calibration of Modern Neural Networks", "https://arxiv.org/abs/1706.04599"),
)


def ensemble(study: Study) -> Section:
    """Choose an ensemble on the validation split and score it on the test split, where there are both."""
    from .. import select_ensemble

    result = select_ensemble(study, size=SIZE)
    chosen = figure(
        result.plot,
        shows="The score after each step of the choice, beside the best runs with equal weights and random subsets.",
        does_not_show="How good the ensemble is: the same examples chose it. The diamond is the honest figure.",
        paper=PAPERS[0],
    )
    reported = _on_test(study, result.weights) if "test" in study.splits else ()
    figures = (chosen, *_members(study, result), *reported)
    return Section("The best ensemble", result.sentence(), figures, (result.table(),), notes_of(result))


def _members(study: Study, result: EnsembleSelection) -> tuple[Figure, ...]:
    from .. import plot_members

    own = {name: study.runs[name].hyperparameters for name in result.member_ids}
    searched = max(len(values) for values in own.values())
    if not searched:
        return ()
    drawn = figure(
        lambda ax: plot_members(result, own, ax),
        shows="The members' weights and what was searched.",
        does_not_show="Which hyperparameter matters: the members were chosen together.",
        paper=PAPERS[1],
        size=(3.6 + 0.8 * searched, 1.9 + 0.34 * result.size),
    )
    return (drawn,)


def _on_test(study: Study, weights: NDArray[np.float64]) -> tuple[Figure, ...]:
    from .. import ensemble_sizes, scores

    sizes = ensemble_sizes(study, sizes=range(1, 11))
    scored = scores(study, weights=weights)
    return (
        figure(
            sizes.plot,
            shows="The score on the test split against the number of members, by way of choosing them.",
            does_not_show="What another search, or other seeds, would give.",
            paper=PAPERS[1],
        ),
        figure(
            scored.plot,
            shows="Accuracy against confidence of the ensemble on the test split; a larger dot holds more examples.",
            does_not_show="A proper score: a better ensemble may well have a larger calibration error.",
            paper=PAPERS[2],
            size=(4.4, 4.0),
        ),
    )
