"""Some runs of a study: by what they share, and how a reader calls each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from .._reading.plain_files import UnfitJsonError, parse_json
from ..errors import InputError
from .layout import RunMetadata
from .records import SEED_ROLES

_LONGEST_SEED = 10**6  # a seed beyond this was drawn, and is no name for a run
NOT_SET = "(not set)"  # what runs without a hyperparameter are asked for by
_MISSING = object()


def chosen_runs(runs: Sequence[RunMetadata], where: Mapping[str, Any]) -> frozenset[str]:
    """Return the ids of the runs whose value of every name is the one asked for, or one of those in a list.

    Raises
    ------
    InputError
        No run has a name, or none has the values; the message lists what there is.
    """
    found = list(runs)
    for name, wanted in where.items():
        values = values_of(found, name)
        options = wanted if isinstance(wanted, (list, tuple, set, frozenset)) else [wanted]
        kept = [run for run, value in zip(found, values, strict=True) if any(_equal(value, each) for each in options)]
        if not kept:
            there = ", ".join(dict.fromkeys(NOT_SET if value is _MISSING else str(value) for value in values))
            raise InputError(f"no run has {name}={', '.join(map(str, options))}", f"{name} to be one of {there}")
        found = kept
    return frozenset(run.id for run in found)


def values_of(runs: Sequence[RunMetadata], name: str) -> list[Any]:
    """Return each run's value of a hyperparameter, of a seed's role, or its status."""
    if name in SEED_ROLES and not any(name in run.hyperparameters for run in runs):
        return [getattr(run.seeds, name) for run in runs]
    if name == "status" and not any(name in run.hyperparameters for run in runs):
        return [run.status for run in runs]
    values = [run.hyperparameters.get(name, _MISSING) for run in runs]
    if all(value is _MISSING for value in values):
        names = dict.fromkeys(name for run in runs for name in run.hyperparameters)
        raise InputError(f"no run has {name!r}", f"one of {', '.join([*names, 'status', *SEED_ROLES])}")
    return values


def groups_of(runs: Sequence[RunMetadata], name: str) -> list[tuple[Any, frozenset[str]]]:
    """Return the values of a name that occur, in order, each with the ids of its runs.

    Runs that lack it are the last group, under `NOT_SET`: no run is excluded.
    """
    values = values_of(runs, name)
    groups: dict[str, tuple[Any, list[str]]] = {}
    for run, value in zip(runs, values, strict=True):
        if value is not _MISSING:
            groups.setdefault(json.dumps(value, sort_keys=True), (value, []))[1].append(run.id)
    found = [(value, frozenset(ids)) for value, ids in groups.values()]
    with suppress(TypeError):
        found.sort(key=lambda group: group[0])
    lacking = frozenset(run.id for run, value in zip(runs, values, strict=True) if value is _MISSING)
    return [*found, (NOT_SET, lacking)] if lacking else found


def _equal(value: Any, wanted: Any) -> bool:
    """Whether a value is the one asked for, which a command line can only give as text."""
    if value is _MISSING:
        return wanted is _MISSING or wanted == NOT_SET
    if value == wanted or str(value) == str(wanted):
        return True
    if not isinstance(wanted, str):
        return False
    with suppress(UnfitJsonError):
        return bool(value == parse_json(wanted))
    with suppress(ValueError):  # .1 and 1e-3, which are no JSON, or read differently there
        return isinstance(value, (int, float)) and float(wanted) == value
    return False


def labels_of(runs: Sequence[RunMetadata]) -> dict[str, str]:
    """Return each run's id and what a reader calls it: by what differs between the runs, such as "seed 3, lr 0.1".

    Seeds that were drawn have fifteen digits; then a run is called by its number. Ids that are no digests stay names.
    """
    names = dict.fromkeys(name for run in runs for name in run.hyperparameters)
    differ = [name for name in names if len({json.dumps(run.hyperparameters.get(name)) for run in runs}) > 1]
    seeds = _seed_labels(runs)
    found: dict[str, str] = {}
    for run, seed in zip(runs, seeds, strict=True):
        own = [f"{name} {run.hyperparameters[name]}" for name in differ if name in run.hyperparameters]
        found[run.id] = ", ".join([seed, *own])
    if len(set(found.values())) < len(found):
        found = {run.id: f"run {number}, {found[run.id]}" for number, run in enumerate(runs)}
    return {id: label if _is_digest(id) else id for id, label in found.items()} | _source_names(runs)


def _source_names(runs: Sequence[RunMetadata]) -> dict[str, str]:
    """Return what imported runs are called in their source, where no two of them share a name."""
    named = {run.id: str(run.source["name"]) for run in runs if run.source is not None and "name" in run.source}
    taken = list(named.values())
    others = {run.id for run in runs} - named.keys()
    return {id: name for id, name in named.items() if taken.count(name) == 1 and name not in others}


def _seed_labels(runs: Sequence[RunMetadata]) -> list[str]:
    seeds = [run.seeds.to_dict() for run in runs]
    alike = all(len(set(by_role.values())) == 1 for by_role in seeds)
    short = all(seed is not None and seed < _LONGEST_SEED for by_role in seeds for seed in by_role.values())
    if not short:
        return [f"run {number}" for number in range(len(runs))]
    if alike:
        return [f"seed {by_role['init']}" for by_role in seeds]
    differ = [role for role in SEED_ROLES if len({by_role[role] for by_role in seeds}) > 1] or list(SEED_ROLES[:1])
    return [", ".join(f"{role} {by_role[role]}" for role in differ) for by_role in seeds]


def _is_digest(id: str) -> bool:
    return len(id) == 16 and set(id) <= set("0123456789abcdef")
