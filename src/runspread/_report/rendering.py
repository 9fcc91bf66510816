"""The page: one HTML file with everything inside, from chapters of sections."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from .._papers import bibtex
from .._results import Table
from .._words import visible
from .model import Chapter, Section


def render_page(name: str, about: str, chapters: Sequence[Chapter]) -> str:
    """Return chapters as the text of a page, under a name and a line about it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from .. import __version__

    environment = Environment(
        loader=PackageLoader("runspread._report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_spelled,
    )
    style, script = (_file(f"page.{ending}") for ending in ("css", "js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html.jinja").render(
        name=name,
        about=about,
        chapters=chapters,
        version=__version__,
        bibtex=bibtex,
        own=_own,
        numeric_of=_numeric_of,
        style=Markup(style),
        script=Markup(script),  # the page's own, and by its sum the only one that a browser runs
        script_sum=f"sha256-{digest}",
    )


def page_of_sections(name: str, about: str, sections: Sequence[Section]) -> str:
    """Return sections without a summary as the text of a page."""
    from .sections import cut

    keyed = [replace(cut(section), key=section.key or f"s{at}") for at, section in enumerate(sections, 1)]
    return render_page(name, about, [Chapter("", tuple(keyed))])


def write_text(target: Path, page: str) -> Path:
    """Write a page in one step, so that a reader never sees half of it."""
    from ..studies.files import storage_errors
    from ..studies.publishing import publish_file

    with storage_errors(f"writing {target}"):
        publish_file(target, page.encode(errors="replace"))
    return target


def _file(name: str) -> str:
    return resources.files("runspread._report").joinpath(name).read_text(encoding="utf-8")


def _spelled(value: Any) -> Any:
    """Return what a page prints: text in which nothing turns the direction of reading."""
    return visible(value) if type(value) is str else value


def _numeric_of(table: Table) -> list[bool]:
    return [table.is_numeric(name) for name in table.columns]


def _own(svg: str, prefix: str) -> str:
    """Return a drawing whose ids begin with the section's, as each may be on a page once."""
    return re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
