"""The page of an evaluation: which model is better, where the spread comes from, and what decides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .._reading.study_folders import target_path
from .rendering import page_of_sections, write_text
from .sections import Section, figure

if TYPE_CHECKING:
    from ..methods.evaluations.result import Evaluations

_COVERS = {
    "distribution": "Intervals cover new trainings and new questions.",
    "models": "Intervals cover these checkpoints on new questions, not a new training.",
    "test-set": "Intervals cover new trainings on these questions.",
    "samples": "Intervals cover new answers of these checkpoints to these questions.",
}
_ITEMS_LISTED = 200


def write_evaluations_page(found: Evaluations, path: str | Path) -> Path:
    """Write an evaluation as one HTML page that opens offline."""
    sections = [_models(found), _sources(found), _consistency(found)]
    if found.deciding_items is not None:
        sections.append(_deciding(found))
    about = "Models on questions, with error bars that say what they cover."
    return write_text(target_path(path), page_of_sections("Evaluation", about, sections))


def _models(found: Evaluations) -> Section:
    drawn = figure(
        found.plot,
        shows="The mean of every model with its interval; models that may be the best are in another colour.",
        does_not_show="Differences: models are compared by question, which is sharper than comparing intervals.",
    )
    notes = (*found.warnings, *(f"{one.run}: {one.reason}" for one in found.excluded))
    lead = f"{found.sentence()} {_COVERS[found.question.on]}"
    return Section("Which model is better", lead, (drawn,), (found.table(),), notes)


def _sources(found: Evaluations) -> Section:
    drawn = ()
    if any(one.components for one in found.sources.models):
        shares = figure(
            found.sources.plot,
            shows="What the variance of one answer consists of.",
            does_not_show="How sure the shares are: the table has their intervals.",
        )
        drawn = (shares,)
    return Section("Where the spread comes from", found.sources.sentence(), drawn, (found.sources.table(),))


def _consistency(found: Evaluations) -> Section:
    one = found.consistency
    return Section("How often answers differ", one.sentence(), tables=(one.table(),))


def _deciding(found: Evaluations) -> Section:
    one = found.deciding_items
    if one is None:
        raise TypeError("there is no difference whose items decide")
    drawn = figure(
        one.plot,
        shows="The difference of every question, in order.",
        does_not_show="Whether a single one would differ again, where it was answered too rarely to be judged.",
    )
    return Section("Which questions decide", one.sentence(), (drawn,), (one.table().head(_ITEMS_LISTED),))
