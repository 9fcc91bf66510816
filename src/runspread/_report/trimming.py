"""The report's section on which runs are typical, and how many are representative."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .._words import count
from .any_study import other_split, split_of
from .sections import PAPERS, Figure, Section, figure, notes_of, papers, titled

if TYPE_CHECKING:
    from ..methods.trimming.typicality import TrimmingLevels
    from ..studies.study import Study

_NAMED = 3  # runs that stand out, in the summary
MANY_CLASSES = 100
MANY_OUTPUTS = 20_000_000  # beyond which, of many classes, one number per example is looked at
MANY_VALUES = 500_000  # scalar outputs beyond which the sizes take minutes: a page then names the command
PAPER = PAPERS["banerjee2024variability"]


def trimming(study: Study) -> Section:
    """Say which runs are typical, how many represent them all, and what accuracy does not tell about that."""
    import runspread as rs

    from ..methods.trimming.comparison import FEW_RUNS

    reading, one_number = _margin(study)
    levels = rs.trimming(study, **reading)
    typical = figure(
        levels.plot,
        shows="The share of each run's outputs that must be discarded to make the rest indistinguishable from the "
        "other runs.",
        does_not_show="Which examples a run gets wrong: runs that disagree everywhere can share one distribution.",
        paper=PAPER,
    )
    if len(levels.run_ids) < FEW_RUNS:
        few = f"Representative sizes, and the comparison with accuracy, need at least {FEW_RUNS} usable runs."
        return Section(
            "Typical runs",
            levels.sentence(),
            (typical,),
            (levels.table(),),
            (*other_split(study), *one_number, *notes_of(levels), few),
            short=_stand_out(levels),
            **papers(PAPER.key),
        )
    scores = rs.methods.trimming.trimming_scores(study, levels=levels, split=split_of(study))
    beside = figure(
        scores.plot,
        shows="The trimming level of each run against its accuracy, and the spread of levels at nearly equal accuracy. "
        f"{scores.sentence()}",
        does_not_show="A cause: runs differ in more than what is drawn.",
        paper=PAPER,
    )
    notes = tuple(dict.fromkeys(note for result in (levels, scores) for note in notes_of(result)))
    sized, more = _sizes(study, levels, many=bool(one_number))
    figures = (typical, *sized, beside)
    tables = (titled(scores.table(), "Levels beside other scores"), titled(scores.bins(), "Levels by accuracy"))
    return Section(
        "Typical runs",
        levels.sentence(),
        figures,
        tables,
        (*other_split(study), *one_number, *notes, *more),
        short=_stand_out(levels),
        **papers(PAPER.key),
    )


def _margin(study: Study) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return which outputs are looked at: of many of many classes the margins of the true classes, and a note."""
    split = split_of(study)
    shape = study.predictions(split).shape
    if len(shape) < 3 or shape[2] <= MANY_CLASSES or math.prod(shape) <= MANY_OUTPUTS:
        return {"split": split}, ()
    command = f"runspread trimming {study.path.name}"
    return {"split": split, "margin": "true-class"}, (
        f"These are the margins of the true classes: all outputs of {shape[2]:,} classes take minutes ({command}).",
    )


def _stand_out(levels: TrimmingLevels) -> str:
    """Return which runs are distinguishable from the others, in the user's words."""
    from ..methods.trimming.levels import beyond_reach

    total = len(levels.run_ids)
    if total < 2 or beyond_reach(levels.delta):
        return ""
    odd = [run for run, apart in zip(levels.run_ids, levels.atypical.tolist(), strict=True) if apart]
    if not odd:
        return (
            f"None of {count(total, 'run')} has outputs that are distributed in a way shown to differ from the others."
        )
    named = f": {'; '.join(odd)}" if len(odd) <= _NAMED else ""
    return f"By how their outputs are distributed, {len(odd)} of {count(total, 'run')} differ from the others{named}."


def _sizes(study: Study, levels: TrimmingLevels, *, many: bool) -> tuple[tuple[Figure, ...], tuple[str, ...]]:
    """Return the figure of how many runs are representative, and notes; only the command where that takes minutes."""
    import runspread as rs

    statistics = 1 if levels.class_levels is None else len(levels.class_levels)
    if many or len(levels.run_ids) * (levels.n + levels.m) * statistics > MANY_VALUES:
        command = f"runspread trimming {study.path.name} --sizes"
        return (), (f"How many runs are representative takes minutes to compute for this study: {command}",)
    sizes = rs.representative_size(study, split=split_of(study))
    drawn = figure(
        sizes.plot,
        shows="The trimming level between M runs and the rest, for their average distribution and for their ensemble. "
        f"{sizes.sentence()}",
        does_not_show="Whether the ensemble is more accurate: it can be better than the average run and differ from "
        "it.",
        paper=PAPER,
    )
    return (drawn,), notes_of(sizes)
