"""Which formats lie in a tree: in the order in which their signatures are looked for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from .curves import settle
from .formats import Claim, Format, Taken
from .limits import Clock, SourceProblem, is_pointer
from .options import Options
from .records import Problem, RawRun, relative
from .registry import FORMATS, PROPOSED
from .walking import Tree, tree_of


def read_paths(
    paths: Sequence[str | os.PathLike[str]], formats: Sequence[Format] | None, options: Options
) -> tuple[list[RawRun], list[Problem]]:
    """Return the runs at some paths, and what went wrong.

    Parameters
    ----------
    paths : sequence of path
        Folders or files.
    formats : sequence of Format or None
        Which are looked for; None is all that are detected.
    options : Options
        What was asked for.

    Raises
    ------
    InputError
        A path that does not exist, or no run at all: the message lists what was looked for, and the nearest miss.
    """
    runs: list[RawRun] = []
    problems: list[Problem] = []
    trees: list[Tree] = []
    for path in paths:
        place = Path(path)
        if not place.exists():
            raise InputError(f"{place} does not exist", "a folder or a file of logs")
        tree = tree_of(place, options.limits)
        trees.append(tree)
        own = _read_tree(tree, FORMATS if formats is None else formats, options, problems)
        runs += own
        problems += tree.problems
    _prefix_roots(runs, trees)
    if not runs:
        _refuse_nothing(paths, trees, formats, problems)
    return runs, problems


def _read_tree(tree: Tree, formats: Sequence[Format], options: Options, problems: list[Problem]) -> list[RawRun]:
    taken = Taken()
    runs: list[RawRun] = []
    for kind in formats:
        claims = kind.find(tree, taken, options)
        for claim in claims:
            taken.add(claim)
        own = [run for claim in claims for run in _read_claim(kind, claim, options, problems)]
        joined = kind.join(own)
        for run in joined:
            settle(run, options.restarts)
        runs += joined
    problems += _named_only(tree)
    return runs


def _read_claim(kind: Format, claim: Claim, options: Options, problems: list[Problem]) -> list[RawRun]:
    """Read one run; whatever is wrong with it becomes a line of `problems`."""
    where = claim.folder.relative if claim.whole or not claim.files else relative(claim.files[0], claim.folder.root)
    try:
        runs = kind.read(claim, options, Clock(options.limits))
        for run in runs:
            run.place = claim.folder.path
            if kind.join is list:  # else what belongs together is settled together
                settle(run, options.restarts)
        return runs
    except SourceProblem as problem:
        problems.append(Problem(where, str(problem)))
    except (OSError, ValueError, ArithmeticError, LookupError, TypeError, RecursionError, MemoryError) as error:
        problems.append(Problem(where, f"it cannot be read as {kind.name} ({type(error).__name__}: {error})"))
    return []


def _prefix_roots(runs: Sequence[RawRun], trees: Sequence[Tree]) -> None:
    """Prefix ids with their root, of several, where two collide."""
    if len(trees) < 2:
        return
    counts = Counter(run.id for run in runs)
    roots = [tree.top.path for tree in trees]
    for run in runs:
        if counts[run.id] > 1 and run.files:
            root = next((root for root in roots if root in run.files[0].parents), None)
            if root is not None:
                run.id = f"{root.name}/{run.id}"


def _named_only(tree: Tree) -> list[Problem]:
    """Return formats that are there and not read."""
    return [
        Problem(folder.relative, "Aim repository: not read; export it with its SDK, and use from_table")
        for folder in tree.top.walk()
        if ".aim" in folder.folders or folder.name == ".aim"
        if folder.name != ".aim" or folder.parent is None
    ]


def _refuse_nothing(
    paths: Sequence[str | os.PathLike[str]],
    trees: Sequence[Tree],
    formats: Sequence[Format] | None,
    problems: Sequence[Problem],
) -> None:
    """Raise with what was looked for and the nearest miss."""
    miss = _nearest_miss(trees, problems)
    looked = "; ".join(f"{kind.looks_for} ({kind.tool})" for kind in formats or (*FORMATS, *PROPOSED))
    where = ", ".join(str(path) for path in paths)
    raise InputError(f"{where} holds no run that can be read" + (f": {miss}" if miss else ""), f"one of {looked}")


def _nearest_miss(trees: Sequence[Tree], problems: Sequence[Problem]) -> str:
    pointers: Counter[str] = Counter()
    tables: list[str] = []
    files = 0
    for tree in trees:
        for path in tree.top.all_files():
            files += 1
            if files <= 2000 and path.lstat().st_size < 1024 and is_pointer(path):
                pointers[path.name] += 1
            elif path.suffix in (".csv", ".json", ".tsv") and len(tables) < 3:
                tables.append(relative(path, tree.top.root))
    if pointers:
        name, number = pointers.most_common(1)[0]
        are = "is a Git LFS pointer" if number == 1 else "are Git LFS pointers"
        return f"{number} {name} {are}: run `git lfs pull`"
    if problems:
        return "; ".join(str(problem) for problem in problems[:3])
    if tables:
        return f"there are tables ({', '.join(tables)}): read them with rs.importers.from_table or --from table"
    return f"none of its {files} files is a log" if files else "it is empty"
