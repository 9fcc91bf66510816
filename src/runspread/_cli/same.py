"""``runspread same``."""

from __future__ import annotations

import sys
from typing import Any

import click

from .choosing import choosing_runs
from .opening import kind_option, labels_option, open_sources, refuse_ignored, scalar_options
from .progress import counted
from .show import json_option, show, split_option
from .trimming import number_or_name


@click.command("same")
@click.argument("old", metavar="OLD", type=click.Path())
@click.argument("new", metavar="NEW", type=click.Path())
@click.option("--alpha", default=0.05, show_default=True, help="Fraction of the new outputs that may differ.")
@click.option(
    "--threshold", default="permutation", show_default=True, help="permutation, dkw, rigorous, or a distance."
)
@click.option(
    "--epsilon", default=0.01, show_default=True, help="Probability of a false alarm; with labels half for each test."
)
@click.option(
    "--permutations", default=999, show_default=True, help="Most exchanges of runs: all where there are no more."
)
@split_option
@labels_option
@kind_option
@scalar_options
@choosing_runs
@json_option
def command(old: str, new: str, threshold: str, labels: str | None, as_json: bool, **options: Any) -> None:
    """Whether runs of new training code can be distinguished from runs of the old.

    Compared are the distributions of outputs, of which a fraction ALPHA may differ, and with labels the answers example
    by example. Exit status 0: no difference is shown; 1: one is shown; 2: so few runs cannot show one.

    OLD and NEW are folders of studies, or outputs of runs trained elsewhere: .npy, .npz or .safetensors files, or
    folders or patterns of such files, one for each run.
    """
    import runspread as rs

    limit = number_or_name(threshold)
    if limit != "permutation":
        refuse_ignored(f"with --threshold {threshold}", "--threshold permutation", "permutations", "seed")
    if isinstance(limit, float):
        refuse_ignored("with a distance as --threshold", "the name of a bound", "epsilon")
    before, after = open_sources((old, new), labels)
    found = rs.same_model(before, after, threshold=limit, progress=counted(), **options)
    show(found, as_json=as_json)
    sys.exit(0 if found.same else 1)
