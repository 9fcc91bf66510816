"""``runspread verify``."""

from __future__ import annotations

from pathlib import Path

import click

from .show import json_option, show, whole_study_argument


@click.command("verify", epilog="Example: runspread verify runs/a")
@whole_study_argument
@click.option(
    "--deep",
    is_flag=True,
    help="Also compare arrays with what is said of their runs, the index with the shards, and ensembles in the folder.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, study: str, deep: bool, as_json: bool) -> None:
    """Compare every file of a study with its checksum, and its labels with those of its shards.

    STUDY may also be the folder of a saved ensemble.

    Exit status 0: all agree. 1: some do not.
    """
    from .._reading.study_folders import is_url
    from ..studies.checking import holds_ensemble, verify_ensemble
    from ..studies.opening import verify_folder

    ensemble = not is_url(study) and holds_ensemble(Path(study))
    found = verify_ensemble(Path(study)) if ensemble else verify_folder(study, deep=deep)
    show(found, as_json=as_json)
    ctx.exit(0 if found.ok else 1)
