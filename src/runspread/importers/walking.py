"""One walk over a tree: no link is followed, and depth and count are limited."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .limits import Limits
from .records import Problem, relative

_HIDDEN = {".trash", ".aim", ".neptune", ".trackio"}  # hidden folders in which a format lives
_SKIPPED = {"__pycache__", "node_modules", "site-packages"}


@dataclass
class Folder:
    """A folder of the tree that is imported.

    Attributes
    ----------
    path : Path
        Where it is.
    files : dict of str to os.stat_result
        Regular files by name.
    folders : dict of str to Folder
        Folders by name.
    """

    path: Path
    root: Path
    parent: Folder | None = None
    files: dict[str, os.stat_result] = field(default_factory=dict[str, os.stat_result])
    folders: dict[str, Folder] = field(default_factory=dict[str, "Folder"])

    @property
    def name(self) -> str:
        """Its name."""
        return self.path.name

    @property
    def relative(self) -> str:
        """Its path below the root, with slashes; that of the root is its name."""
        return relative(self.path, self.root)

    def walk(self) -> Iterator[Folder]:
        """Yield this folder and those inside, parents first."""
        yield self
        for name in sorted(self.folders):
            yield from self.folders[name].walk()

    def all_files(self) -> Iterator[Path]:
        """Yield the paths of all files in it and below."""
        for folder in self.walk():
            for name in sorted(folder.files):
                yield folder.path / name

    def stat_of(self, name: str) -> os.stat_result:
        """Return size and times of a file."""
        return self.files[name]


@dataclass
class Tree:
    """What lies at one path of an import, and what was not looked at."""

    top: Folder
    problems: list[Problem] = field(default_factory=list[Problem])
    links: int = 0
    count: int = 0
    only: str | None = None  # the one file that was asked for


def tree_of(path: Path, limits: Limits) -> Tree:
    """Return the tree of a folder, or of a single file."""
    if path.is_dir():
        root = path.resolve()
        tree = Tree(Folder(root, root))
        _fill(tree, tree.top, limits, 0)
        return tree
    place = path.resolve()
    tree = Tree(Folder(place.parent, place.parent), only=place.name)
    tree.top.files[place.name] = place.stat()
    return tree


def _fill(tree: Tree, folder: Folder, limits: Limits, depth: int) -> None:
    if depth > limits.depth:
        tree.problems.append(Problem(folder.relative, f"more than {limits.depth} folders deep: not looked at"))
        return
    inside: list[str] = []
    try:
        with os.scandir(folder.path) as entries:
            for entry in entries:
                if tree.count >= limits.files:
                    _say_full(tree, limits)
                    break
                tree.count += 1
                _take(tree, folder, entry, inside)
    except OSError as error:
        tree.problems.append(Problem(folder.relative, f"cannot be listed ({error.strerror})"))
    for name in sorted(inside):
        folder.folders[name] = Folder(folder.path / name, folder.root, folder)
        _fill(tree, folder.folders[name], limits, depth + 1)


def _take(tree: Tree, folder: Folder, entry: os.DirEntry[str], inside: list[str]) -> None:
    facts = entry.stat(follow_symlinks=False)
    if stat.S_ISLNK(facts.st_mode):
        tree.links += 1
    elif stat.S_ISDIR(facts.st_mode):
        if entry.name not in _SKIPPED and (not entry.name.startswith(".") or entry.name in _HIDDEN):
            inside.append(entry.name)
    elif stat.S_ISREG(facts.st_mode):
        folder.files[entry.name] = facts


def _say_full(tree: Tree, limits: Limits) -> None:
    what = f"holds more than {limits.files:,} files and folders (a limit): the rest was not looked at"
    if not any(problem.what == what for problem in tree.problems):
        tree.problems.append(Problem(tree.top.relative, what))


def newest(files: Sequence[Path]) -> float:
    """Return when the newest of some files was changed, in seconds since 1970."""
    times = [file.lstat().st_mtime for file in files if file.exists()]
    return max(times, default=0.0)
