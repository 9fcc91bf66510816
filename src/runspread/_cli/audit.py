"""``runspread audit``."""

from __future__ import annotations

import sys

import click

from .opening import kind_option, labels_option, open_source
from .show import json_option, show, study_argument


@click.command("audit")
@study_argument
@click.option("--split", help="Whose predictions to compare [default: test, or the first split that there is].")
@labels_option
@kind_option
@json_option
def command(study: str, split: str | None, labels: str | None, kind: str, as_json: bool) -> None:
    """Signs that the seeds of the runs were not independent: same starts, same orders, copies, repeats.

    It says what it checked, and what was not recorded: no sign is no proof.

    Of files of outputs (.npy, .npz or .safetensors) it can tell copies only.

    Exit status 1 when something makes the intervals wrong, 2 when a single run cannot tell.
    """
    import runspread as rs

    result = rs.audit(open_source(study, labels), split=split, kind=kind)
    show(result, as_json=as_json)
    sys.exit(2 if result.n_runs < 2 else 0 if result.passed else 1)
