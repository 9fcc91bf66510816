"""``runspread verify``."""

from __future__ import annotations

import click

from .show import json_option, show, whole_study_argument


@click.command("verify")
@whole_study_argument
@json_option
@click.pass_context
def command(ctx: click.Context, study: str, as_json: bool) -> None:
    """Compare every file of a study with its checksum, and its labels with those of its shards.

    Exit status 0: all agree. 1: some do not.
    """
    from ..studies.opening import verify_folder

    found = verify_folder(study)
    show(found, as_json=as_json)
    ctx.exit(0 if found.ok else 1)
