"""``runspread compare``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .choosing import choosing_runs
from .opening import labels_option, open_source
from .show import json_option, show, split_option

QUESTIONS = {"distribution": "distribution", "test-set": "test set"}


@click.command("compare")
@click.argument("a", type=click.Path())
@click.argument("b", type=click.Path())
@split_option
@click.option("--level", default=0.95, show_default=True, help="Of intervals and of the verdict.")
@click.option(
    "--on",
    "question",
    type=click.Choice(list(QUESTIONS)),
    default="distribution",
    show_default=True,
    help="Where B has to be better: on the distribution, or on this very test set.",
)
@click.option(
    "--paired",
    is_flag=True,
    help="Compare runs of the same recorded seeds in pairs, if their accuracies are shown to be correlated.",
)
@labels_option
@choosing_runs
@json_option
def command(
    a: str, b: str, split: str, level: float, question: str, paired: bool, labels: str | None, as_json: bool
) -> None:
    """Whether study B is better than study A, on this test set and on the distribution.

    A and B are folders of studies, or .npy or .safetensors files with the outputs of runs trained elsewhere.

    Exit status 0 when B is better, 1 when it is not shown to be: usable as a gate in continuous integration.
    """
    import runspread as rs

    names = (Path(a).resolve().name, Path(b).resolve().name)
    names = names if names[0] != names[1] else ("A", "B")
    sources = open_source(a, labels), open_source(b, labels)
    result = rs.compare(*sources, split=split, level=level, names=names, paired=paired)
    show(result, as_json=as_json)
    shown = result.verdict(QUESTIONS[question]) == "B"
    if not as_json:
        where = "this test set" if question == "test-set" else "the distribution"
        answer = "yes (exit status 0)" if shown else "not shown (exit status 1)"
        click.echo(f"\nAsked for: is {names[1]} better than {names[0]} on {where}? {answer}")
    sys.exit(0 if shown else 1)
