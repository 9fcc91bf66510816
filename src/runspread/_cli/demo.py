"""``runspread demo``."""

from __future__ import annotations

import time

import click

from .printing import say
from .progress import duration, training_progress


@click.command("demo")
@click.option(
    "-o",
    "--out",
    default="runspread-demo",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder of the new study.",
)
@click.option("--runs", type=click.IntRange(min=2), default=64, show_default=True, help="Number of networks to train.")
def command(out: str, runs: int) -> None:
    """Train 64 small networks on digits, analyse their spread, and write report.html.

    Nothing is downloaded: the digits come with scikit-learn. Run again, the command only analyses.
    """
    import runspread as rs

    started = time.perf_counter()
    with training_progress() as progress:
        study = rs.train("digits-mlp", runs=runs, out=out, progress=progress)
    trained = time.perf_counter() - started
    say(f"{len(study.runs)} runs in {study.path} ({duration(trained)})")
    say(rs.variance(study).sentence())
    say(f"wrote {study.report()}")
