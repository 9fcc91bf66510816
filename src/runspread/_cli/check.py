"""``runspread check``."""

from __future__ import annotations

import click

from .printing import say


@click.command("check", epilog="Example: runspread check memory://bucket")
@click.argument("place", metavar="URL")
def command(place: str) -> None:
    """Try a bucket or folder before runs are written: whether one of many writers at once wins, and only one.

    It writes some 50 small objects under a name of its own and takes them away again.

    Exit status 0: it may be used. 2: it may not, and why.
    """
    from ..studies.stores.probing import ROUNDS, WRITERS, probe
    from ..studies.stores.urls import open_store

    store = open_store(place)
    probe(store)
    say(f"{store.url} may be used: in {ROUNDS} rounds exactly one of {WRITERS} writers at once won.")
    say("This rules out coarse races; it cannot prove that there are no finer ones.")
