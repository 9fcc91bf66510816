"""``runspread compare``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from ..errors import InputError
from .choosing import choosing_runs
from .clusters import clusters_option, read_clusters
from .opening import kind_option, labels_option, open_sources, samples_option
from .show import json_option, level_option, show, split_option

if TYPE_CHECKING:
    from ..methods.variance.comparison import Comparison

ON = ("distribution", "test-set", "models")
PLACES = {"distribution": "on the distribution", "test-set": "on this test set", "models": "for these models"}
STATUS = {True: 0, False: 1, None: 3}


@click.command("compare")
@click.argument("a", type=click.Path())
@click.argument("b", type=click.Path())
@split_option
@level_option
@click.option(
    "--on",
    type=click.Choice(ON),
    default="distribution",
    show_default=True,
    help="What the answer covers: new runs and new examples (distribution), new runs on these examples (test-set), or "
    "these models on new examples (models).",
)
@click.option("--not-worse", type=float, metavar="M", help="Ask whether B is at most M percentage points worse than A.")
@click.option(
    "--equivalent", type=float, metavar="M", help="Ask whether A and B differ by less than M percentage points."
)
@click.option(
    "--paired",
    is_flag=True,
    help="Compare runs with equal recorded seeds in pairs, if their accuracies are shown to be correlated.",
)
@clusters_option
@labels_option
@kind_option
@samples_option
@choosing_runs
@json_option
def command(
    a: str,
    b: str,
    split: str,
    level: float,
    on: str,
    not_worse: float | None,
    equivalent: float | None,
    paired: bool,
    clusters: str | None,
    labels: str | None,
    kind: str,
    samples_are: str,
    as_json: bool,
) -> None:
    """Whether study B is better than study A; exit status 1: worse is shown, 3: undecided.

    B is the new one: differences are B minus A. A and B are study folders, or outputs of runs trained elsewhere: .npy,
    .npz or .safetensors files, or folders or patterns of such files, one file per run.

    Exit status 0: B is shown to be better (with a margin: not worse, or equivalent). 1: the opposite is shown. 3:
    undecided. 2: there is no answer, for example because A and B hold the same runs. This makes it usable as a gate in
    continuous integration.
    """
    import runspread as rs

    old, new = open_sources((a, b), labels)
    names = (Path(a).resolve().name, Path(b).resolve().name)
    result = rs.compare(
        old,
        new,
        split=split,
        kind=kind,
        confidence_level=level,
        names=names if names[0] != names[1] else ("A", "B"),
        on=on,
        not_worse=fraction(not_worse, "--not-worse"),
        equivalent=fraction(equivalent, "--equivalent"),
        clusters=read_clusters(clusters, a),
        paired=paired,
        samples_are=samples_are,
    )
    show_verdict(result, on, as_json=as_json)


def show_verdict(result: Comparison, on: str, *, as_json: bool) -> NoReturn:
    """Show a comparison with its verdict, and exit with the status of it."""
    show(result, as_json=as_json)
    status = STATUS[result.shown]
    if not as_json:
        click.echo(f"\nVerdict: {result.verdict()} {PLACES[on]} (exit status {status})")
    sys.exit(status)


def fraction(points: float | None, option: str) -> float | None:
    """Return a margin as a fraction."""
    if points is None:
        return None
    if not 0 < points < 100:
        raise InputError(f"{option} is {points:g}", "percentage points between 0 and 100, such as 0.5")
    return points / 100
