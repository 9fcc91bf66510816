"""What a shell is offered when the tabulator is pressed: names of recipes, and folders that hold studies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

_DEPTH = 3  # folders below the one that is typed
_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".npy", ".npz", ".safetensors")


def recipe_names(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem]:
    """Return the recipes whose name begins with what was typed."""
    from ..training.catalog import CATALOG

    return [CompletionItem(name, help=str(CATALOG[name]["dataset"])) for name in CATALOG if name.startswith(typed)]


class SourcePath(click.Path):
    """The path of what a command reads: studies and files of data are offered, and else what the shell finds."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        parent, begin = os.path.split(incomplete)
        found = sorted(str(path) for path in _sources(Path(parent or "."), begin, _DEPTH))
        return [CompletionItem(path) for path in found] or [CompletionItem(incomplete, type="file")]


def _sources(folder: Path, begin: str, depth: int) -> Iterator[Path]:
    from ..studies.layout import holds_study

    try:
        inside = [path for path in folder.iterdir() if path.name.startswith(begin) and (begin or path.name[0] != ".")]
    except OSError:
        return
    for path in inside:
        if path.is_dir() and holds_study(path):
            yield path
        elif path.is_dir() and depth > 1:
            yield from _sources(path, "", depth - 1)
        elif path.suffix in _SUFFIXES:
            yield path
