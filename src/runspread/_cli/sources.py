"""``runspread sources``."""

from __future__ import annotations

import click

from .show import json_option, show, split_option, study_argument


@click.command("sources")
@study_argument
@split_option
@json_option
def command(study: str, split: str, as_json: bool) -> None:
    """Which source of randomness the spread comes from: initialisation, data order, augmentation.

    The study holds runs in which all seeds vary and runs in which one does, or a complete crossing of some seeds.
    """
    import runspread as rs

    show(rs.variance_by_source(rs.open_study(study), split=split), as_json=as_json)
