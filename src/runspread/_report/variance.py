"""The report's section on the variance of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .sections import Paper, Section, figure, notes_of

if TYPE_CHECKING:
    from .._study.study import Study


def variance(study: Study) -> Section:
    """Say how much of the spread is real."""
    from .. import variance as variance_of

    result = variance_of(study)
    drawn = figure(
        result.plot,
        shows="Accuracies of the runs, against the law they would follow if runs erred independently on each example.",
        does_not_show="What other test examples would give; the interval above says how sure the estimate is.",
        paper=Paper("Jordan 2023, On the Variance of Neural Network Training", "https://arxiv.org/abs/2304.01910"),
    )
    return Section("Variance of training", result.sentence(), (drawn,), (result.table(),), notes_of(result))
