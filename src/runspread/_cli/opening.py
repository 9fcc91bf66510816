"""What the outputs of runs are read from: a study, or one file of an array."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

labels_option: Callable[..., Any] = click.option(
    "--labels", type=click.Path(), help="True classes (.npy), where STUDY is a .npy or .safetensors file of outputs."
)


def open_source(path: str, labels: str | None) -> Any:
    """Return the study at `path`, or the outputs of the file at `path`."""
    import runspread as rs
    from runspread._errors import InputError

    if Path(path).is_file():
        return rs.open_outputs(path, labels)
    if labels is not None:
        raise InputError(f"--labels for the study {path}", "labels only beside a file", "A study has its own.")
    return rs.open_study(path)
