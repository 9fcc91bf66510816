"""The report's section on which runs are typical, and how many stand for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .sections import Paper, Section, figure, notes_of

if TYPE_CHECKING:
    from .._methods.trimming.representative import RepresentativeSize
    from .._methods.trimming.typicality import TrimmingLevels
    from .._study.study import Study

REPLICATES = 25  # a report is read for the picture; ask `runspread trimming` for more
SUBSETS = 100  # of the runs at each size, which cost most: fewer than 72 cannot tell, and the page then says so
FEW_SUBSETS = 10
MANY_VALUES = 500_000  # scalar outputs beyond which that many subsets take minutes
PAPER = Paper(
    "Banerjee et al. 2025, Measuring training variability from stochastic optimization using robust nonparametric "
    "testing",
    "https://arxiv.org/abs/2406.08307",
)


def trimming(study: Study) -> Section:
    """Say which runs are typical, how many represent them all, and what accuracy does not tell about that."""
    import runspread as rs

    from .._methods.trimming.comparison import FEW_RUNS

    levels = rs.trimming(study, resample="split", replicates=REPLICATES)
    typical = figure(
        levels.plot,
        shows="The share of each run's outputs that must be discarded before the rest pass for the other runs'. "
        f"`runspread trimming --resample split --replicates {REPLICATES}` gives the same; by default it bootstraps.",
        does_not_show="Which examples a run gets wrong: runs that disagree everywhere can share one distribution.",
        paper=PAPER,
    )
    if len(levels.run_ids) < FEW_RUNS:
        few = f"How many runs stand for all, and what accuracy leaves open, takes {FEW_RUNS} usable runs."
        return Section("Typical runs", levels.sentence(), (typical,), (), (*notes_of(levels), few))
    sizes = _sizes(study, levels)
    scores = rs.trimming_scores(study, levels=levels)
    figures = (
        typical,
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
    notes = tuple(dict.fromkeys(note for result in (levels, sizes, scores) for note in notes_of(result)))
    return Section("Typical runs", levels.sentence(), figures, (scores.table(), scores.bins()), notes)


def _sizes(study: Study, levels: TrimmingLevels) -> RepresentativeSize:
    """Return how many runs stand for all, at few sizes."""
    import numpy as np

    import runspread as rs

    runs = len(levels.run_ids)
    statistics = 1 if levels.class_levels is None else len(levels.class_levels)
    cheap = runs * (levels.n + levels.m) * statistics <= MANY_VALUES
    sizes = np.unique(np.geomspace(1, max(1, runs // 2), 5).round().astype(int)).tolist()
    return rs.representative_size(study, sizes=sizes, replicates=SUBSETS if cheap else FEW_SUBSETS)
