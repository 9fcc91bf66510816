"""``runspread variance``."""

from __future__ import annotations

import click

from .opening import labels_option, open_source
from .show import json_option, show, split_option, study_argument


@click.command("variance")
@study_argument
@split_option
@labels_option
@json_option
def command(study: str, split: str, labels: str | None, as_json: bool) -> None:
    """How much of the spread in accuracy is real, and how much is the finite test set.

    STUDY is a study's folder, or a .npy or .safetensors file with the outputs of runs trained elsewhere.
    """
    import runspread as rs

    show(rs.variance(open_source(study, labels), split=split), as_json=as_json)
