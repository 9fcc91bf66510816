"""``runspread report``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .choosing import file_of_value, grouping_runs
from .clusters import clusters_option, read_clusters
from .opening import open_chosen
from .printing import say
from .targets import target_file

if TYPE_CHECKING:
    from .._report.model import Section


@click.command("report", epilog="Example: runspread report runs/a runs/b -o both.html")
@click.argument("studies", metavar="STUDY...", nargs=-1, required=True, type=click.Path())
@grouping_runs(lambda options: options["studies"])
@click.option("-o", "--output", type=target_file, help="File to write [default: STUDY/report.html].")
@click.option("--open", "shown", is_flag=True, help="Open the page in the browser.")
@clusters_option
def command(studies: tuple[str, ...], output: str | None, shown: bool, clusters: str | None) -> None:
    """Write the report of a study, or of several that are compared, as one HTML page that opens offline.

    The page begins with the answers. What the study has nothing for is named with what it needs. With --by, each value
    has a page of its own, whose name ends in it.

    Sections that are not available are named with the reason, also on the page. Exit status 2: the reason lies in the
    study's files.
    """
    from .._report.page import place_of, write_pages
    from .._report.sections import build_sections
    from ..errors import StudyError

    opened = [open_chosen(study) for study in studies]
    built = [build_sections(one, clusters=read_clusters(clusters, studies[0])) for one in opened]
    target = write_pages(opened, built, file_of_value(place_of(opened) if output is None else Path(output)))
    say(f"wrote {target}")
    sections = [section for each in built for section in each]
    _say_missing(sections)
    if shown:
        click.launch(str(target))
    sys.exit(2 if any(isinstance(section.error, StudyError) for section in sections) else 0)


def _say_missing(sections: list[Section]) -> None:
    missing: dict[str, list[str]] = {}
    for section in sections:
        if section.error is not None:
            missing.setdefault(str(section.error), []).append(section.title)
    for reason, titles in missing.items():
        say(f"not available: {', '.join(titles)}: {reason}", err=True)
