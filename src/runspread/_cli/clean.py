"""``runspread clean``."""

from __future__ import annotations

import re

import click

from .printing import say

_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0}


def _age(_: click.Context, parameter: click.Parameter, text: str) -> float:
    found = re.fullmatch(r"(\d+)([mhd])", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no age such as 7d, 12h or 30m", param=parameter)
    return int(found[1]) * _SECONDS[found[2]]


@click.command("clean", epilog="Example: runspread clean runs/a --dry-run")
@click.argument("place", metavar="URL")
@click.option("--older-than", default="7d", show_default=True, callback=_age, help="Age of what is taken away.")
@click.option("--dry-run", is_flag=True, help="Name it, and take nothing away.")
def command(place: str, older_than: float, dry_run: bool) -> None:
    """Take away what writers that died left in a study in a bucket: files of shards that were never published.

    Published shards stay. A writer that was slow finds its shard's id taken, and publishes under the next.
    """
    from .._words import count
    from ..studies.layout import SHARD, SHARDS
    from ..studies.stores.cleaning import clean
    from ..studies.stores.urls import open_store

    gone = clean(open_store(place), f"{SHARDS}/", SHARD, older_than=older_than, dry_run=dry_run)
    for key in gone:
        say(f"  {key}")
    say(f"{count(len(gone), 'object')} {'would be' if dry_run else ('was' if len(gone) == 1 else 'were')} taken away")
