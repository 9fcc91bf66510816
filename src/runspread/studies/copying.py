"""A study is copied whole between folders and stores, each shard by a publishing of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..errors import CorruptShardError, StudyError
from .homes import home_at
from .layout import shard_folder
from .opening import open_study
from .publishing import FolderExistsError
from .study import Study
from .verify import read_plan


def copy_study(
    source: str | os.PathLike[str], target: str | os.PathLike[str], *, storage: Mapping[str, Any] | None = None
) -> tuple[Study, list[str]]:
    """Copy a study; what is there already is skipped, so that it may be interrupted and called again.

    Parameters
    ----------
    source, target : str or path
        Folders or URLs; the target is new, or holds a copy that was begun.
    storage : mapping, optional
        Options of object stores; see `open_store`.

    Returns
    -------
    study : Study
        The copy, open.
    copied : list of str
        Ids of the shards that were copied now.

    Raises
    ------
    StudyError
        The target holds another study, or the source holds corrupt shards. Nothing is copied then.

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> study = rs.create_study(mkdtemp() + "/mine", splits={"test": [0, 1]})
    >>> with study.record(seeds=0) as run:
    ...     run.predictions("test", [[2.0, 0.0], [0.0, 1.0]])
    >>> copy, shards = rs.studies.copy_study(study.path, mkdtemp() + "/copy")
    >>> len(copy.runs), len(shards)
    (1, 1)
    """
    here = open_study(source, storage=storage)
    found = here.verify()
    if not found.ok:
        raise CorruptShardError(found.sentence(), hint="Repair the study first. Nothing was copied.")
    home, plan = home_at(target, storage), read_plan(here.path)
    if not (home.has_plan() or home.begin(plan, here.splits)) or read_plan(home.path) != plan:
        raise StudyError(f"{home} holds another study", "a new place", "Nothing was copied.")
    there = open_study(target, storage=storage)
    copied: list[str] = []
    for name in here.shards:
        if name not in there.shards:
            try:
                home.add(name, shard_folder(here.path, name))
            except FolderExistsError as error:
                raise StudyError(f"{home} holds another shard {name}", "equal shards, or none") from error
            copied.append(name)
    there.refresh()
    return there, copied
