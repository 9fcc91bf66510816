"""``runspread report``."""

from __future__ import annotations

import sys

import click

from .clusters import clusters_option, read_clusters
from .opening import open_chosen
from .printing import say
from .show import one_study_argument


@click.command("report")
@one_study_argument
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="File to write [default: STUDY/report.html].")
@clusters_option
def command(study: str, output: str | None, clusters: str | None) -> None:
    """Write a study's report as one HTML page that opens offline.

    Sections that are not available are named with the reason, also on the page. Exit status 2: the reason lies in the
    study's files.
    """
    from .._report.page import write_page
    from .._report.sections import build_sections
    from ..errors import StudyError

    opened = open_chosen(study)
    sections = build_sections(opened, clusters=read_clusters(clusters, study))
    say(f"wrote {write_page(opened, sections, output)}")
    missing: dict[str, list[str]] = {}
    for section in sections:
        if section.error is not None:
            missing.setdefault(str(section.error), []).append(section.title)
    for reason, titles in missing.items():
        say(f"not available: {', '.join(titles)}: {reason}", err=True)
    sys.exit(2 if any(isinstance(section.error, StudyError) for section in sections) else 0)
