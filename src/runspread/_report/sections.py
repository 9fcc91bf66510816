"""Sections of the report, in one place. A method adds its own by a function `section` beside its command."""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from .._namespace import modules_that_define
from .._papers import PAPERS as PAPERS
from .._relabelling import relabelled
from .._results import Result, Table
from ..errors import MissingDataError, RunspreadError
from .figures import figure as figure
from .model import Figure as Figure
from .model import Section as Section

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..studies.study import Study


class Entry(NamedTuple):
    """A section of every report.

    Attributes
    ----------
    make : str
        "module:function", the function from a Study to a Section, or to None where there is nothing to say. A module
        with a dot is one of the package's others: `section` beside a command.
    title : str
        What a reader calls it, where it cannot be made.
    needs : str
        What a study needs for it.
    """

    make: str
    title: str
    needs: str = ""


_OUTPUTS = "predictions on a split: run.predictions(...), or import with --predictions"
# In the order of the page; a `section` beside a command that has no place here follows, and what is folded comes last.
SECTIONS = (
    Entry("any_study:accuracy", "Accuracy over runs", "predictions on a split, or a logged metric"),
    Entry("any_study:configurations", "Configurations"),
    Entry("variance:variance", "Variance of training", _OUTPUTS),
    Entry("_cli.audit:section", "Seed audit", "runs"),
    Entry("trimming:trimming", "Typical runs", _OUTPUTS),
    Entry(
        "dynamics:dynamics",
        "Training dynamics",
        "metrics of the weights, logged at 10 steps or more, of 3 runs or more",
    ),
    Entry("ensembles:ensemble", "The best ensemble", "predictions on the split 'validation', which chooses"),
    Entry(
        "spectra:spectra",
        "Weight spectra",
        "the weights of the runs: run.weights(model), or import with --weights final",
    ),
    Entry("variance:calibration", "Agreement and calibration", f"two runs with {_OUTPUTS}"),
    Entry("any_study:curves", "Training curves", "metrics that were logged at more than one step"),
    Entry("any_study:every_run", "The runs", "runs"),
    Entry("imported:answers", "What was imported"),
    Entry("any_study:trained", "What was trained"),
    Entry("any_study:seeds", "Seeds"),
    Entry("any_study:environment", "Environment"),
)
ROWS_LISTED = 500  # more rows make a page slow to open, and nobody reads them


def build_sections(study: Study, *, clusters: ArrayLike | None = None) -> list[Section]:
    """Return all sections; one that the study has nothing for says what it needs, one that cannot be made says why.

    `clusters` [examples] goes to the sections whose methods take clusters of examples.
    """
    names = study.run_names
    built = (_build(entry, study, clusters, names) for entry in (*SECTIONS, *sections_of_commands()))
    found = [cut(section) for section in built if section is not None]
    return _notes_once(sorted(found, key=lambda section: section.folded))


def sections_of_commands() -> list[Entry]:
    """Return the sections beside commands that have no place in `SECTIONS`."""
    from .. import _cli

    made = [(f"_cli.{module}:section", module) for module in modules_that_define("section", _cli.__path__)]
    placed = {entry.make for entry in SECTIONS}
    return [Entry(make, module.replace("_", " ").capitalize()) for make, module in made if make not in placed]


def _build(entry: Entry, study: Study, clusters: ArrayLike | None, names: dict[str, str]) -> Section | None:
    module, _, name = entry.make.partition(":")
    place = f"runspread.{module}" if "." in module else f"{__package__}.{module}"
    make: Callable[..., Section | None] = getattr(importlib.import_module(place), name)
    options = {"clusters": clusters} if "clusters" in inspect.signature(make).parameters else {}
    key = place.rpartition(".")[2] if name == "section" else name
    try:
        made = make(study, **options)
    except MissingDataError as error:
        made = Section(entry.title, "", needs=entry.needs or str(error))
    except RunspreadError as error:
        made = Section(entry.title, f"Not available: {error}", error=error)
    except Exception as error:  # one section never takes the page with it
        said = RunspreadError(f"{type(error).__name__}: {error}", hint="Please report this: the other sections stand.")
        made = Section(entry.title, f"Not available: {said}", error=said)
    if made is None:
        made = Section(entry.title, "", needs=entry.needs) if entry.needs else None
    return None if made is None else replace(relabelled(made, names), key=key.replace("_", "-"))


def cut(section: Section) -> Section:
    """Return a section whose tables have no more rows than a page can show, and say so."""
    long = [table for table in section.tables if len(table) > ROWS_LISTED]
    if not long:
        return section
    notes = tuple(f"{_called(table)} lists the first {ROWS_LISTED} of {len(table):,} rows." for table in long)
    tables = tuple(table.head(ROWS_LISTED) for table in section.tables)
    return replace(section, tables=tables, notes=(*section.notes, *notes))


def _called(table: Table) -> str:
    return f"The table {table.title!r}" if table.title else "The table"


def _notes_once(sections: Sequence[Section]) -> list[Section]:
    """Return sections of which each note stands only where it comes first."""
    seen: set[str] = set()
    found: list[Section] = []
    for section in sections:
        found.append(replace(section, notes=tuple(note for note in section.notes if note not in seen)))
        seen |= set(section.notes)
    return found


def notes_of(result: Result) -> tuple[str, ...]:
    """Return a result's warnings and what it excluded, as sentences."""
    if not result.excluded:
        return result.warnings
    counted = Counter(item.reason for item in result.excluded)
    reasons = ", ".join(f"{count} {reason}" for reason, count in counted.items())
    named = ", ".join(item.run for item in result.excluded[:10])
    return (*result.warnings, f"Excluded: {reasons} ({named}{', ...' if len(result.excluded) > 10 else ''}).")


def titled(table: Table, title: str) -> Table:
    """Return a table under another title."""
    return Table(table.columns, formats=table.formats, title=title)


def papers(*keys: str) -> dict[str, Any]:
    """Return the papers of a section by their keys, as its keyword."""
    return {"papers": tuple(PAPERS[key] for key in keys)}
