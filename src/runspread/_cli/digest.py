"""``runspread digest``."""

from __future__ import annotations

import click

from .printing import say
from .show import whole_study_argument


@click.command("digest", epilog="Example: runspread digest runs/a --dry-run")
@whole_study_argument
@click.option("--dry-run", is_flag=True, help="Say how many shards would get columns, and write nothing.")
def command(study: str, dry_run: bool) -> None:
    """Add small columns beside the outputs of a study, which most methods read instead.

    They hold predicted classes, correctness, the log-probability and the margin of the true class: 10 bytes per run and
    example. Answers stay the same to the last bit. It may be interrupted, and called again.
    """
    from .._words import count
    from ..studies.digests import add_digests
    from ..studies.opening import open_study

    opened = open_study(study)
    made, shards = add_digests(opened, dry_run=dry_run), len(opened.parts)
    say(f"{count(len(made), 'shard')} of {shards} {'would get' if dry_run else 'got'} digest columns.")
