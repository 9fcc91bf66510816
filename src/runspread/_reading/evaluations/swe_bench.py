"""SWE-bench: lists of resolved instances, reports of runs, reports of instances (evals 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import InputError
from .one_file import OneFile
from .options import cluster_of, item_list, named

_ATTEMPTED = ("generated", "with_logs", "applied", "resolved", "unresolved", "no_generation", "no_logs")
_IDS = ("submitted_ids", "completed_ids", "resolved_ids", "unresolved_ids", "empty_patch_ids", "error_ids")


def is_list(record: Any) -> bool:
    """Whether a file lists resolved instances."""
    return isinstance(record, Mapping) and isinstance(record.get("resolved"), list)


def is_report(record: Any) -> bool:
    """Whether a file is the report of a run."""
    return isinstance(record, Mapping) and isinstance(record.get("resolved_ids"), list)


def is_instance(record: Any) -> bool:
    """Whether a file is the report of instances."""
    return (
        isinstance(record, Mapping)
        and bool(record)
        and all(isinstance(one, Mapping) and isinstance(one.get("resolved"), bool) for one in record.values())
    )


def read_list(file: OneFile, record: Mapping[str, Any]) -> None:
    """Read a list of resolved instances; what was tried comes from `items`, or from lists that say so."""
    every = item_list(file.options["items"])
    if every is None and (record.get("generated") or "unresolved" in record):  # else failures are not listed
        every = [*dict.fromkeys(str(one) for name in _ATTEMPTED for one in record.get(name, []))]
    if every is None:
        raise InputError(
            f"{file.path.name} lists what was resolved, and not what was tried",
            "the ids of all instances",
            "Pass items= (or --items) with a file of one id per line, or read the report of the run.",
        )
    folder = file.path.parent
    _add(file, folder.parent.name if folder.name == "results" else folder.name, every, record["resolved"])


def read_report(file: OneFile, record: Mapping[str, Any]) -> None:
    """Read the report of a run: what was submitted is what was tried, whatever `total_instances` says."""
    every = item_list(file.options["items"])
    if every is None:
        every = record.get("submitted_ids") or [
            *dict.fromkeys(one for name in _IDS[1:] for one in record.get(name, []))
        ]
    total = record.get("total_instances")
    if isinstance(total, int) and total > len(every):
        file.gathering.note(
            f"{file.path.name}: {len(every)} of {total} instances were submitted; the others are no failures here."
        )
    name = file.path.stem
    _add(file, name.rpartition(".")[0] or name, every, record["resolved_ids"])


def read_instance(file: OneFile, record: Mapping[str, Any]) -> None:
    """Read the report of one instance, or of several."""
    solved = [name for name, one in record.items() if one["resolved"]]
    folders = file.path.parents
    _add(file, folders[1].name if len(record) == 1 and len(folders) > 1 else folders[0].name, list(record), solved)


def _add(file: OneFile, model: str, every: list[str], solved: list[str]) -> None:
    options = file.options
    model = named(options["by"], file.path) or model
    seed = named(options["seed"], file.path) or ""
    file.gathering.defines_items = True
    file.gathering.metric = "resolved"
    if options["clusters"] is None:
        file.gathering.cluster_name = "repository"
    found = set(map(str, solved))
    outside = found - set(map(str, every))
    if outside:
        file.gathering.note(f"{file.path.name}: {len(outside)} resolved instances are not among the items.")
    for item in map(str, every):
        cluster = cluster_of(options["clusters"], item) or item.rpartition("-")[0] or item
        file.add(model, item, item in found, seed=seed, cluster=cluster)
