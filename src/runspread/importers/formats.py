"""What a format is: how its runs are found in a tree, and how one is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .limits import Clock
from .options import Options
from .records import Checkpoint, Output, RawRun, relative
from .walking import Folder, Tree


@dataclass
class Claim:
    """What one run, or one file of runs, is made of.

    Attributes
    ----------
    folder : Folder
        Where it lies; not searched further if `whole`.
    files : list of Path
        What it consists of.
    whole : bool
        Whether all below the folder belongs to it.
    facts : Any
        What the finder knows and the reader wants.
    """

    folder: Folder
    files: list[Path] = field(default_factory=list[Path])
    whole: bool = True
    facts: Any = None


@dataclass(frozen=True)
class Format:
    """A format of logs.

    Attributes
    ----------
    name : str
        What ``--from`` and ``format=`` call it, such as ``tensorboard``.
    tool : str
        What it is called where users read of it; help, messages and the page take it from here.
    looks_for : str
        What its runs are recognised by.
    find : callable
        From a tree, what is taken, and options to claims.
    read : callable
        From a claim, options and a clock to runs.
    join : callable, optional
        Puts runs together that are one.
    """

    name: str
    tool: str
    looks_for: str
    find: Callable[[Tree, Taken, Options], list[Claim]]
    read: Callable[[Claim, Options, Clock], list[RawRun]]
    join: Callable[[list[RawRun]], list[RawRun]] = list


class Taken:
    """Folders and files that a run has claimed already."""

    def __init__(self) -> None:
        self._folders: set[Path] = set()
        self._files: set[Path] = set()

    def add(self, claim: Claim) -> None:
        """Note what a claim takes."""
        if claim.whole:
            self._folders.add(claim.folder.path)
        self._files.update(claim.files)

    def free(self, top: Folder) -> Iterator[Folder]:
        """Yield the folders that nothing has claimed, parents first."""
        if top.path in self._folders:
            return
        yield top
        for name in sorted(top.folders, key=by_number):
            yield from self.free(top.folders[name])

    def has(self, path: Path) -> bool:
        """Whether a file is claimed."""
        return path in self._files


def by_number(name: str) -> list[Any]:
    """Return what orders names so that version_10 comes after version_9."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d{1,18})", name)]


_WEIGHTS = re.compile(r"\.(ckpt|pt|pth|bin|safetensors|h5|keras|pkl)\Z")
_STEP = re.compile(r"(?:step|checkpoint|global_step)[=_-]?(\d+)")
_SPLITS = ("test", "valid", "validation", "val", "eval", "train", "dev")
_PREDICTIONS = re.compile(r"pred|logit|prob|output", re.IGNORECASE)


def list_files(run: RawRun, folder: Folder) -> None:
    """List what may hold predictions or weights in a run's folder; nothing is loaded."""
    for path in folder.all_files():
        where, name = relative(path, folder.root), path.name.lower()
        if _PREDICTIONS.search(name) and name.endswith((".npy", ".npz", ".pt", ".txt", ".csv", ".safetensors")):
            run.outputs.append(Output(where, _split_of(path.stem), _kind_of(name)))
        elif name.endswith(".table.json"):
            run.outputs.append(Output(where, _split_of(path.stem), "table"))
        elif _WEIGHTS.search(name) and not name.startswith(("optimizer", "scheduler", "rng", "training_args")):
            step = _STEP.search(where)
            run.checkpoints.append(Checkpoint(where, int(step[1]) if step else None, not name.endswith("safetensors")))


def _split_of(stem: str) -> str | None:
    words = re.split(r"[^a-z]+", stem.lower())
    found = next((split for split in _SPLITS if split in words), None)
    return {"validation": "val", "valid": "val"}.get(found, found) if found else None


def _kind_of(name: str) -> str | None:
    if "logit" in name:
        return "logits"
    if "prob" in name:
        return "probabilities"
    return "classes" if name.endswith(".txt") else None


def first_with(folders: Iterable[Folder], name: str) -> Folder | None:
    """Return the first folder that holds a file."""
    return next((folder for folder in folders if name in folder.files), None)


def named(folder: Folder, names: Sequence[str]) -> list[Path]:
    """Return the paths of files in a folder, of those names that are there."""
    return [folder.path / name for name in names if name in folder.files]
