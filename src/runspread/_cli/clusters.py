"""Which examples belong together, on the command line: `--clusters`, of every command whose method takes clusters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

clusters_option: Callable[..., Any] = click.option(
    "--clusters",
    metavar="FILE.npy|COLUMN",
    help="Which examples belong together (one patient, one document): a .npy file with one value per example, "
    "FILE.csv:COLUMN (or .tsv, .npz, .safetensors), or the name of an array in STUDY, if STUDY is a file.",
)


def read_clusters(name: str | None, source: str) -> Any:
    """Return the value of `--clusters` as the method's argument; `source` is the path that the outputs come from."""
    if name is None:
        return None
    from .._reading.columns import read_column

    return read_column(name, source)
