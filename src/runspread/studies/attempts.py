"""Several records of one run: which counts, and what a shard with another one is called."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from .layout import RunMetadata, ShardMetadata
from .records import RunRecord, attempt_name


def counting_rows(
    ordered: Sequence[tuple[str, ShardMetadata]], only: frozenset[str] | None
) -> dict[str, tuple[int, ...]]:
    """Return for each shard the rows of the attempts that count for their runs.

    That is the last of those that failed, or the first that did not, unless a later one says that it supersedes it.
    """
    chosen: dict[str, tuple[str, int]] = {}
    status: dict[str, str] = {}
    for name, facts in ordered:
        for row, run in enumerate(facts.runs):
            free = status.get(run.id, "failed") == "failed" or run.supersedes == chosen[run.id][0]
            if free and (only is None or run.id in only):
                chosen[run.id], status[run.id] = (name, row), run.status
    rows: dict[str, list[int]] = {}
    for name, row in chosen.values():
        rows.setdefault(name, []).append(row)
    return {name: tuple(sorted(found)) for name, found in rows.items()}


def _all_failed(runs: Sequence[RunRecord | RunMetadata]) -> bool:
    return all(run.status == "failed" for run in runs)


def free_name(
    name: str, records: Sequence[RunRecord], shards: Mapping[str, ShardMetadata], corrupt: Collection[str]
) -> str:
    """Return the id under which a shard is written: an attempt gets a new one where it does not repeat what is there.

    That is where one of the two failed, where the records supersede earlier ones, or where what is there is corrupt.
    """
    again = _all_failed(records) or any(record.supersedes for record in records)
    attempt = 1
    while (at := attempt_name(name, attempt)) in corrupt or (at in shards and (again or _all_failed(shards[at].runs))):
        attempt += 1
    return at
