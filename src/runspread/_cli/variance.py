"""``runspread variance``."""

from __future__ import annotations

import click

from .show import json_option, show, split_option, study_argument


@click.command("variance")
@study_argument
@split_option
@json_option
def command(study: str, split: str, as_json: bool) -> None:
    """How much of the spread in accuracy is real, and how much is the finite test set."""
    import runspread as rs

    show(rs.variance(rs.open_study(study), split=split), as_json=as_json)
