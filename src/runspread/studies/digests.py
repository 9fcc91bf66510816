"""Digest columns of shards that were there before them: made of the outputs and published beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .._reading.digest_columns import VERSION
from .._reading.opening import opened_studies, opens
from .._reading.plain_files import UnfitJsonError, decode_json, read_whole, seal_holds
from .._reading.safetensors import TensorFile
from .._reading.study_folders import refuse_url
from ..errors import CorruptShardError
from .arrays import Arrays
from .columns import columns_beside
from .files import listed_sums, storage_errors, write_json
from .layout import (
    CHECKSUMS,
    DIGEST,
    DIGEST_FACTS,
    DIGESTS,
    PREDICTIONS,
    DigestMetadata,
    ShardMetadata,
    digest_folder,
    labels_key,
    shard_folder,
)
from .publishing import FolderExistsError, clear_leftovers, published_folder
from .shards import ShardRows, read_predictions, write_arrays

if TYPE_CHECKING:
    from .study import Study

Beside = Callable[[str, ShardMetadata, tuple[int, ...]], ShardRows | None]


def digests_beside(study: Path, arrays: Arrays) -> Beside:
    """Return a function that finds what was made later of a shard, in one look at the folder."""
    folder = study / DIGESTS
    there = {place.name for place in folder.iterdir()} if folder.is_dir() else set[str]()

    def beside(name: str, facts: ShardMetadata, rows: tuple[int, ...]) -> ShardRows | None:
        made = _usable(study, name) if name in there else None
        if made is None:
            return None
        own = msgspec.structs.replace(facts, sums={DIGEST: made.sums})
        return ShardRows(study, name, own, rows, arrays, under=DIGESTS)

    return beside


def _usable(study: Path, name: str) -> DigestMetadata | None:
    """Return what is said of a shard's later columns; None where they were not made of the outputs that are there."""
    made = read_digest_facts(digest_folder(study, name))
    return made if made is not None and made.of == _sum_of_predictions(shard_folder(study, name)) else None


def read_digest_facts(folder: Path) -> DigestMetadata | None:
    """Return what ``digest.json`` says; None where it cannot be used: then the outputs themselves are read."""
    with suppress(OSError, UnfitJsonError):
        data = read_whole(folder / DIGEST_FACTS)
        facts = decode_json(data, DigestMetadata)
        if seal_holds(data) and facts.definitions == VERSION:
            return facts
    return None


def _sum_of_predictions(shard: Path) -> str:
    with suppress(OSError, ValueError):
        return listed_sums(read_whole(shard / CHECKSUMS)).get(PREDICTIONS, "")
    return ""


@opens("study", by=opened_studies)
def add_digests(study: Study, *, dry_run: bool = False) -> list[str]:
    """Make digest columns of the final outputs of every shard that has none; it can be stopped and started again.

    Parameters
    ----------
    study : Study or path
        A study in a folder.
    dry_run : bool
        Whether only to name the shards.

    Returns
    -------
    list of str
        Ids of the shards that got columns (or would); not those where older columns lie that cannot be used, which
        `Study.verify` names.

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> study = rs.create_study(mkdtemp() + "/mine", splits={"test": [0, 1]})
    >>> with study.record(seeds=0) as run:
    ...     run.predictions("test", [[2.0, 0.0], [0.0, 1.0]])
    >>> len(rs.studies.add_digests(study, dry_run=True))
    1
    """
    refuse_url(study.location, "add digests")
    with storage_errors(f"adding digests to {study.path}"):
        done: list[str] = []
        for part in study.parts:
            splits = _without_columns(part)
            columns = {} if dry_run or not splits else _made(part, splits)
            if columns:
                _publish(study.path, part, columns)
            if (columns and _usable(study.path, part.name)) or (dry_run and splits):
                done.append(part.name)
    study.refresh()
    return done


def wrong_digests(study: Path, intact: Mapping[str, ShardMetadata], *, deep: bool) -> dict[str, list[str]]:
    """Return what is wrong with columns that were made of intact shards; in depth each is made again and compared."""
    found: dict[str, list[str]] = {}
    beside = digests_beside(study, Arrays())
    for name, facts in intact.items():
        if not digest_folder(study, name).exists():
            continue
        rows = tuple(range(len(facts.runs)))
        made = beside(name, facts, rows)
        problem = "it cannot be used; delete it, and runspread digest makes it again"
        try:
            held = None if made is None else TensorFile(made.file(DIGEST))
            if made is not None and held is not None and held.sums() == made.facts.sums[DIGEST]:
                problem = _unlike_outputs(ShardRows(study, name, facts, rows), held) if deep else ""
        except CorruptShardError as error:
            problem = error.found
        if problem:
            found[f"{DIGESTS}/{name}"] = [problem]
    return found


def _unlike_outputs(part: ShardRows, held: TensorFile) -> str:
    """Return which columns differ from those that the outputs give now."""
    splits = {key.partition("/")[2] for key in held.entries}
    again = _made(part, sorted(splits))
    differ = [
        key for key in held.entries if not np.array_equal(held[key], again.get(key, ()), equal_nan=_may_be_nan(key))
    ]
    return f"it differs from what the outputs give in {', '.join(differ)}" if differ else ""


def _may_be_nan(key: str) -> bool:
    return key.startswith(("log_true/", "margin/", "sample/"))


def _without_columns(part: ShardRows) -> list[str]:
    splits = {split for run in part.facts.runs for split, step in run.predictions if step is None}
    return sorted(split for split in splits if part.facts.kinds.get(split) != "classes" and part.digest(split) is None)


def _made(part: ShardRows, splits: list[str]) -> Mapping[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for split in splits:
        kind = part.facts.kinds.get(split)
        labels = part.array(PREDICTIONS, labels_key(split))
        found |= columns_beside(read_predictions(part, split, None, kind), labels, split, kind)
    return found


def _publish(study: Path, part: ShardRows, columns: Mapping[str, NDArray[Any]]) -> None:
    target = digest_folder(study, part.name)
    target.parent.mkdir(exist_ok=True)
    clear_leftovers(target.parent)
    with suppress(FolderExistsError), published_folder(target) as folder:  # who was first made the same
        held = write_arrays(folder, {DIGEST: columns})[DIGEST]
        facts = DigestMetadata(definitions=VERSION, of=_sum_of_predictions(part.folder), sums=held.sums())
        write_json(folder / DIGEST_FACTS, facts)
