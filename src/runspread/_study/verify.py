"""Verification: every file against its checksum."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .._errors import CorruptShardError, FormatVersionError
from .._results import Result, Table
from .files import wrong_files
from .shards import read_facts


@dataclass(frozen=True, eq=False, kw_only=True)
class Verification(Result):
    """What `Study.verify` found.

    Attributes
    ----------
    shards : int
        Number of shards.
    runs : int
        Number of runs in the sound shards.
    corrupt : dict of str to tuple of str
        Id of each corrupt shard, and what is wrong with it.
    leftovers : tuple of str
        Folders of shards that were in progress when a process was killed; they may be deleted.
    """

    shards: int
    runs: int
    corrupt: dict[str, tuple[str, ...]]
    leftovers: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every shard is sound."""
        return not self.corrupt

    def table(self) -> Table:
        """Return a row a corrupt shard."""
        return Table({"shard": list(self.corrupt), "problem": ["; ".join(found) for found in self.corrupt.values()]})

    def sentence(self) -> str:
        """Say whether the study is sound."""
        if self.ok:
            return f"All {self.shards} shards ({self.runs} runs) agree with their checksums."
        named = ", ".join(self.corrupt)
        return f"{len(self.corrupt)} of {self.shards} shards are corrupt: {named}."


def verify_study(path: Path) -> Verification:
    """Check every shard under `path`."""
    folders = sorted(folder for folder in (path / "shards").glob("*"))
    leftovers = tuple(folder.name for folder in folders if folder.name.startswith("."))
    shards = [folder for folder in folders if folder.name not in leftovers]
    corrupt: dict[str, tuple[str, ...]] = {}
    runs = 0
    for folder in shards:
        problems = wrong_files(folder)
        try:
            runs += 0 if problems else len(read_facts(folder).runs)
        except (CorruptShardError, FormatVersionError) as error:
            problems.append(str(error))
        if problems:
            corrupt[folder.name] = tuple(problems)
    return Verification(shards=len(shards), runs=runs, corrupt=corrupt, leftovers=leftovers)
