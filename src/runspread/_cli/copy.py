"""``runspread copy``."""

from __future__ import annotations

import click

from .printing import say


@click.command("copy", epilog="Example: runspread copy runs/a backup/a")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def command(source: str, target: str) -> None:
    """Copy a study between folders and buckets (s3://, gs://, az://), each file compared with its checksum.

    What is there already is skipped: it may be interrupted and called again.
    """
    from .._words import count
    from ..studies.copying import copy_study

    study, copied = copy_study(source, target)
    say(f"copied {count(len(copied), 'shard')}; {study.location} has {count(len(study.runs), 'run')}")
