"""Where a command writes: on this machine, whatever is written; only studies are written into stores."""

from __future__ import annotations

import os
from typing import Any

import click

from .._reading.study_folders import target_path


class TargetPath(click.Path):
    """The path of a file or folder to be written; a URL is refused before any work is done."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        target_path(os.fspath(value), "a file" if self.file_okay else "a folder")
        return super().convert(value, param, ctx)


target_file = TargetPath(dir_okay=False)
target_folder = TargetPath(file_okay=False)
