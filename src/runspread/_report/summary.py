"""The summary on top of a page: at most six sentences, each with the section that it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._words import count, listed
from .any_study import first_split
from .model import Answer, Section

if TYPE_CHECKING:
    from ..studies.study import Study

LIMITS = "limits"
_QUESTIONS = (  # and the sections that answer each
    ("How good are the runs?", ("accuracy", "configurations")),
    ("How much of the spread is real?", ("variance",)),
    ("Are the seeds independent?", ("audit",)),
    ("Which runs stand out?", ("trimming", "dynamics")),
    ("What does an ensemble gain?", ("ensemble",)),
)


def summary_of(sections: Sequence[Section]) -> tuple[Answer, ...]:
    """Return what the sections answer, by question; a question that none answers is missing, and `limits` says so."""
    short = {section.key: (section.key, section.title, section.short) for section in sections if section.short}
    asked = ((question, tuple(short[key] for key in keys if key in short)) for question, keys in _QUESTIONS)
    found = [Answer(question, parts) for question, parts in asked if parts]
    limits = next((section for section in sections if section.key == LIMITS), None)
    if limits is not None:
        found.append(Answer("What limits these answers?", (short[LIMITS],)))
    return tuple(found)


def limits_of(study: Study, sections: Sequence[Section]) -> Section:
    """Return the section that says what the answers rest on, and what is not answered and why."""
    missing = [section for section in sections if section.needs or section.error]
    needs = tuple(f"{one.title} needs {one.needs}." if one.needs else f"{one.title}: {one.lead}" for one in missing)
    short = f"{_rest_on(study)}.{f' Not answered: {listed([one.title for one in missing])}.' if missing else ''}"
    caveats = sum(len(section.notes) for section in sections)
    lead = f"{short} {count(caveats, 'caveat stands', 'caveats stand')} with the answers below." if caveats else short
    return Section("What limits these answers", lead, notes=needs, short=short, key=LIMITS)


def _rest_on(study: Study) -> str:
    usable = [run for run in study.runs if run.status == "completed"]
    lost = len(study.runs) - len(usable)
    split = first_split(study)
    examples = "" if split is None or split not in study.splits else f" and {len(study.splits[split]):,} examples"
    kinds = len({repr(sorted(run.hyperparameters.items())) for run in usable})
    of = f" of {count(kinds, 'configuration')}" if usable else ""
    shown = f"They rest on {count(len(usable), 'completed run')}{of}{examples}"
    more = f"; {count(lost, 'other run did', 'other runs did')} not complete" if lost else ""
    few = "; that is few runs for any statement on others" if 0 < len(usable) < _FEW else ""
    return f"{shown}{more}{few}"


_FEW = 10
