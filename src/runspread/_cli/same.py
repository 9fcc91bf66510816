"""``runspread same``."""

from __future__ import annotations

import sys
from typing import Any

import click

from .show import json_option, show, split_option
from .trimming import number_or_name


@click.command("same")
@click.argument("old", metavar="OLD", type=click.Path())
@click.argument("new", metavar="NEW", type=click.Path())
@click.option("--alpha", default=0.05, show_default=True, help="Fraction of the new outputs that may differ.")
@click.option(
    "--threshold", default="permutation", show_default=True, help="permutation, dkw, rigorous, or a distance."
)
@click.option("--epsilon", default=0.01, show_default=True, help="Probability of a false alarm.")
@click.option("--permutations", default=999, show_default=True, help="Exchanges of runs for the threshold.")
@split_option
@json_option
def command(old: str, new: str, threshold: str, as_json: bool, **options: Any) -> None:
    """Whether new training code gives the outputs of the old, up to a fraction ALPHA: exit status 0 yes, 1 no."""
    import runspread as rs

    found = rs.same_model(rs.open_study(old), rs.open_study(new), threshold=number_or_name(threshold), **options)
    show(found, as_json=as_json)
    sys.exit(0 if found.same else 1)
