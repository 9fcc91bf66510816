"""The report: one HTML file with everything inside, from the sections that are registered in `sections`."""

from __future__ import annotations

import base64
import hashlib
import os
from importlib import resources
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
    from ..studies.layout import REPORT

    return write_text(study.path / REPORT if path is None else Path(path), render(study, sections))


def write_text(target: Path, page: str) -> Path:
    """Write a page in one step, so that a reader never sees half of it."""
    from ..studies.files import storage_errors
    from ..studies.publishing import publish_file

    with storage_errors(f"writing {target}"):
        publish_file(target, page.encode(errors="replace"))
    return target


def render(study: Study, sections: list[Section]) -> str:
    """Return the page of a study as text."""
    return render_page(study.path.resolve().name, "How trainings of the same network differ.", sections)


def render_page(name: str, about: str, sections: list[Section]) -> str:
    """Return sections as the text of a page, under a name and a line about it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from .. import __version__

    environment = Environment(
        loader=PackageLoader("runspread._report", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    script = resources.files("runspread._report").joinpath("sort.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = environment.get_template("page.html.jinja")
    return template.render(
        name=name,
        about=about,
        sections=sections,
        version=__version__,
        script=Markup(script),  # the page's own, and by its sum the only one that a browser runs
        script_sum=f"sha256-{digest}",
    )
