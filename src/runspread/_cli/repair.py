"""``runspread repair``."""

from __future__ import annotations

import click

from .show import json_option, show, whole_study_argument


@click.command("repair", epilog="Example: runspread repair runs/a")
@whole_study_argument
@json_option
@click.pass_context
def command(ctx: click.Context, study: str, as_json: bool) -> None:
    """Move damaged shards of a study aside, and say which runs are to be trained again.

    Nothing is deleted: what is damaged lies in the folder damaged/ of the study.

    Exit status 0: the study is intact now. 1: something is still wrong.
    """
    from ..studies.repair import repair_study

    found = repair_study(study)
    show(found, as_json=as_json)
    ctx.exit(0 if found.ok else 1)
