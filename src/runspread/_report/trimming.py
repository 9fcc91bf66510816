"""The report's section on which runs are typical, and how many stand for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .sections import Paper, Section, figure, notes_of

if TYPE_CHECKING:
    from .._study.study import Study

REPLICATES = 25  # a report is read for the picture; ask `runspread trimming` for more
SUBSETS = 10  # of the runs at each size, which cost most
PAPER = Paper(
    "Banerjee et al. 2025, Measuring training variability from stochastic optimization using robust nonparametric "
    "testing",
    "https://arxiv.org/abs/2406.08307",
)


def trimming(study: Study) -> Section:
    """Say which runs are typical, how many represent them all, and what accuracy does not tell about that."""
    import runspread as rs

    levels = rs.trimming(study, resample="split", replicates=REPLICATES)
    sizes = rs.representative_size(study, replicates=SUBSETS)
    scores = rs.trimming_scores(study, levels=levels)
    figures = (
        figure(
            levels.plot,
            shows="The share of each run's outputs that must be discarded before the rest pass for the other runs'.",
            does_not_show="Which examples a run gets wrong: runs that disagree everywhere can share one distribution.",
            paper=PAPER,
        ),
        figure(
            sizes.plot,
            shows="The level between M runs and the rest, for their average distribution and for their ensemble. "
            f"{sizes.sentence()}",
            does_not_show="Whether the ensemble is more accurate: it can be better than the average run and unlike it.",
            paper=PAPER,
        ),
        figure(
            scores.plot,
            shows="The level of every run against its accuracy, and the spread of levels at nearly equal accuracy. "
            f"{scores.sentence()}",
            does_not_show="A cause: runs differ in more than what is drawn.",
            paper=PAPER,
        ),
    )
    return Section("Typical runs", levels.sentence(), figures, (scores.table(), scores.bins()), notes_of(levels))
