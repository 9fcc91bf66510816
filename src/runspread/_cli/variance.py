"""``runspread variance``."""

from __future__ import annotations

import click

from .._reading.correctness import NAN_POLICIES
from .opening import labels_option, open_source
from .show import json_option, show, split_option, study_argument


@click.command("variance")
@study_argument
@split_option
@labels_option
@click.option("--level", default=0.95, show_default=True, help="Of the intervals.")
@click.option(
    "--nan",
    type=click.Choice(NAN_POLICIES),
    default="raise",
    show_default=True,
    help="What NaN in outputs means: an error, no prediction, or a run to leave out.",
)
@json_option
def command(study: str, split: str, labels: str | None, level: float, nan: str, as_json: bool) -> None:
    """How much of the spread in accuracy is real, and how much is the finite test set.

    STUDY is a study's folder, or a .npy or .safetensors file with the outputs of runs trained elsewhere.
    """
    import runspread as rs

    show(rs.variance(open_source(study, labels), split=split, level=level, nan=nan), as_json=as_json)
