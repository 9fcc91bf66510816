"""The report: of one study, or of several that are compared, as one HTML page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._reading.study_folders import refuse_url, target_path
from ..errors import InputError
from .model import Chapter, Section
from .rendering import render_page
from .rendering import write_text as write_text
from .sections import build_sections
from .summary import limits_of, summary_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..studies.study import Study


def report(source: Any, path: str | os.PathLike[str] | None = None, *, clusters: ArrayLike | None = None) -> Path:
    """Write the report of a study, or of several beside each other, as one HTML page that opens offline.

    The page begins with the answers, each with the section that it comes from; recipe, seeds and environment come last.

    Parameters
    ----------
    source : Study, path, or sequence of these
        The study; of several the page compares the runs first.
    path : str or path, optional
        Where to write; by default ``report.html`` in the study's folder, or beside the folder of the first of several.
    clusters : array_like [examples], optional
        Cluster of each test example, where several belong together (one patient, one document), for the methods that
        take clusters.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        There is no study.
    StudyError
        A path holds no study.

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> study = rs.create_study(mkdtemp() + "/mine", splits={"test": [0, 1, 1]})
    >>> for seed in range(3):
    ...     with study.record(seeds=seed) as run:
    ...         run.predictions("test", [[2.0, 0.0], [0.0, 1.0], [0.5, 0.1 * seed]])
    >>> rs.report(study).name
    'report.html'
    """
    studies = opened(source)
    built = [build_sections(study, clusters=clusters) for study in studies]
    return write_pages(studies, built, path)


def opened(source: Any) -> list[Study]:
    """Return the studies of a source, opened."""
    from .._reading.study_folders import open_study

    several = [source] if isinstance(source, (str, os.PathLike)) or hasattr(source, "run_names") else list(source)
    if not several:
        raise InputError("there is no study to report on", "at least one")
    return [open_study(one) if isinstance(one, (str, os.PathLike)) else one for one in several]


def write_page(study: Study, sections: list[Section], path: str | os.PathLike[str] | None = None) -> Path:
    """Write sections that are built as the page of a study: see `report`."""
    return write_pages([study], [sections], path)


def place_of(studies: Sequence[Study]) -> Path:
    """Return where a page is written by default: in the folder of the study, or beside the first of several."""
    from ..studies.layout import REPORT

    refuse_url(studies[0].location, "write a page: say -o FILE")
    first = studies[0].path
    return first / REPORT if len(studies) == 1 else first.resolve().parent / REPORT


def write_pages(
    studies: Sequence[Study], built: Sequence[Sequence[Section]], path: str | os.PathLike[str] | None = None
) -> Path:
    """Write sections that are built, those of each study, as one page: see `report`."""
    target = place_of(studies) if path is None else target_path(path)
    if len(studies) == 1:
        return write_text(target, render(studies[0], built[0]))
    from .several import comparison, names_of

    names = names_of(studies)
    chapters = [chapter_of(*one, prefix=f"s{at}-") for at, one in enumerate(zip(studies, built, names, strict=True), 1)]
    about = "What differs between these studies, and between the runs of each."
    return write_text(target, render_page(", ".join(names), about, [comparison(studies, names), *chapters]))


def render(study: Study, sections: Sequence[Section]) -> str:
    """Return the page of a study as text."""
    about = "How trainings of the same network differ."
    return render_page(study.path.resolve().name, about, [chapter_of(study, sections)])


def chapter_of(study: Study, sections: Sequence[Section], name: str = "", *, prefix: str = "") -> Chapter:
    """Return the sections of a study with their summary before them, and what limits them before what is folded."""
    limits = limits_of(study, sections)
    at = sum(not section.folded for section in sections)
    every = (*sections[:at], limits, *sections[at:])
    return Chapter(name, every, summary_of(every), prefix)
