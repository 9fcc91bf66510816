"""The report: one HTML file with everything inside, from the sections that are registered in `sections`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .sections import Section, build_sections

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..studies.study import Study


def report(study: Study, path: str | os.PathLike[str] | None = None, *, clusters: ArrayLike | None = None) -> Path:
    """Write a study's report as one HTML page that opens offline.

    Parameters
    ----------
    study : Study
        The study.
    path : str or path, optional
        Where to write; by default ``report.html`` in the study's folder.
    clusters : array_like [examples], optional
        Cluster of each test example, where several belong together (one patient, one document), for the methods that
        take clusters.

    Returns
    -------
    Path
        The file written.
    """
    return write_page(study, build_sections(study, clusters=clusters), path)


def write_page(study: Study, sections: list[Section], path: str | os.PathLike[str] | None = None) -> Path:
    """Write sections that are built as the page of a study: see `report`."""
    from ..studies.files import storage_errors, write_bytes
    from ..studies.layout import REPORT

    target = study.path / REPORT if path is None else Path(path)
    page = render(study, sections)
    with storage_errors(f"writing {target}"):
        temporary = target.with_name(f".{target.name}.tmp")
        write_bytes(temporary, page.encode())
        temporary.replace(target)
    return target


def render(study: Study, sections: list[Section]) -> str:
    """Return the page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from .. import __version__

    environment = Environment(
        loader=PackageLoader("runspread._report", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    template = environment.get_template("page.html.jinja")
    return template.render(name=study.path.resolve().name, sections=sections, version=__version__)
