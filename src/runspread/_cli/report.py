"""``runspread report``."""

from __future__ import annotations

import click

from .show import study_argument


@click.command("report")
@study_argument
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="The page [default: STUDY/report.html].")
def command(study: str, output: str | None) -> None:
    """Write a study's report: one HTML page that opens offline, prints, and reads well on a phone."""
    from .._report.page import write_report
    from .._study.study import open_study

    click.echo(f"wrote {write_report(open_study(study), output)}")
