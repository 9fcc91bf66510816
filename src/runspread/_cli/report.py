"""``runspread report``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .choosing import file_of_value
from .clusters import clusters_option, read_clusters
from .opening import open_chosen
from .printing import say
from .show import study_argument


@click.command("report")
@study_argument
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="File to write [default: STUDY/report.html].")
@clusters_option
def command(study: str, output: str | None, clusters: str | None) -> None:
    """Write a study's report as one HTML page that opens offline.

    With --by, each value has a page of its own, whose name ends in it.

    Sections that are not available are named with the reason, also on the page. Exit status 2: the reason lies in the
    study's files.
    """
    from .._report.page import write_page
    from .._report.sections import build_sections
    from ..errors import StudyError
    from ..studies.layout import REPORT

    opened = open_chosen(study)
    sections = build_sections(opened, clusters=read_clusters(clusters, study))
    file = file_of_value(opened.path / REPORT if output is None else Path(output))
    say(f"wrote {write_page(opened, sections, file)}")
    missing: dict[str, list[str]] = {}
    for section in sections:
        if section.error is not None:
            missing.setdefault(str(section.error), []).append(section.title)
    for reason, titles in missing.items():
        say(f"not available: {', '.join(titles)}: {reason}", err=True)
    sys.exit(2 if any(isinstance(section.error, StudyError) for section in sections) else 0)
