"""Keywords that say how answers are read, and what keys and patterns mean in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from ..._checks import check_choice
from ...errors import InputError

DEFAULTS: dict[str, Any] = {
    "by": None,
    "seed": None,
    "clusters": None,
    "prompt": None,
    "metric": None,
    "filter": None,
    "items": None,
    "missing": "as_source",
    "samples_are": "samples",
}
MISSING = ("as_source", "zero", "drop")
FOLDER = "DIR"
_PLACES = ("metadata", "doc", "task_args", "model_args", "config", "generate_config")


class EvaluationReading(TypedDict, total=False):
    """Keywords that say how answers are read.

    by : str
        What names the model, where the files do not or name it otherwise: a key such as ``metadata.arm``, ``DIR`` (the
        folder of the file), a pattern with a group that is searched in the path, or a column of a table.
    seed : str
        What names the training, in the same ways. Without it two files of one model are repeats of one checkpoint.
    clusters : str, or one value an item
        What groups items: a key, a column, or a pattern with a group that is searched in the id of the item; ``task``
        for benchmarks as clusters instead of strata, ``item`` for items that are independent.
    prompt : str
        What names the prompt.
    metric : str
        Which score, where an answer has several; default the first.
    filter : str
        Which filter of lm-evaluation-harness; default the first.
    items : path or sequence of str
        Ids of all items, where a source lists those that were solved alone.
    missing : {"as_source", "zero", "drop"}
        What an item without a score means: a failure where the source says so (default), a failure, or one to leave
        out.
    samples_are : {"samples", "runs"}
        Whether repeated answers are samples of one checkpoint (default), or one training each.
    """

    by: str
    seed: str
    clusters: Any
    prompt: str
    metric: str
    filter: str
    items: Any
    missing: str
    samples_are: str


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the reading options with their defaults."""
    options = {**DEFAULTS, **given}
    check_choice(options["missing"], "way to take missing items", MISSING)
    check_choice(options["samples_are"], "meaning of samples", ("samples", "runs"))
    if options["by"] == "model":  # what every source has by itself, under a name of its own
        options["by"] = None
    return options


def is_pattern(key: str) -> bool:
    """Whether a key is a pattern: it has a group."""
    return "(" in key


def from_text(pattern: str, text: str) -> str | None:
    """Return what a pattern's first group finds in a text."""
    try:
        found = re.search(pattern, text)
    except re.error as error:
        raise InputError(f"the pattern {pattern!r} ({error})", r"a regular expression such as 'seed(\d+)'") from error
    return found[1] if found and found.groups() else None


def from_path(key: str, path: Path) -> str | None:
    """Return what ``DIR`` or a pattern says of a path; None for a key."""
    if key == FOLDER:
        return path.parent.name
    return from_text(key, path.as_posix()) if is_pattern(key) else None


def look_up(key: str, *places: Any) -> str | None:
    """Return the value of a key: dotted, or inside metadata, arguments or the document, of the first place with it."""
    for place in places:
        for inside in (place, *(_step(place, name) for name in _PLACES)):
            found = inside
            for name in key.split("."):
                found = _step(found, name)
            if found is not None and not isinstance(found, (Mapping, list)):
                return str(found)
    return None


def named(key: str | None, path: Path, *places: Any) -> str | None:
    """Return what a key, ``DIR`` or a pattern says of a file and of records in it; an error where it says nothing."""
    if key is None:
        return None
    found = from_path(key, path) if key == FOLDER or is_pattern(key) else look_up(key, *places)
    if found is None:
        raise InputError(f"{path.name} says nothing about {key!r}", f"a key of its records, {FOLDER}, or a pattern")
    return found


def cluster_of(key: str | None, item: str, *places: Any) -> str | None:
    """Return the cluster of an item; an item without one is a cluster of its own."""
    if key is None:
        return None
    found = from_text(key, item) if is_pattern(key) else look_up(key, *places)
    return found if found is not None else f"item {item}"


def _step(place: Any, name: str) -> Any:
    return place.get(name) if isinstance(place, Mapping) else None


def item_list(given: Any) -> list[str] | None:
    """Return the ids of all items from a file with one per line, or from a sequence."""
    if given is None:
        return None
    if isinstance(given, (str, Path)):
        path = Path(given)
        if not path.is_file():
            raise InputError(f"the file {path} of items does not exist", "a file with an id per line")
        given = path.read_text(encoding="utf-8").split()
    if not isinstance(given, Sequence) or not given:
        raise InputError("no items", "a file with an id per line, or a sequence of ids")
    return [str(item) for item in given]


def cluster_name(key: Any) -> str:
    """Return what a cluster is called: the last part of its key."""
    plain = isinstance(key, str) and not is_pattern(key)
    return key.rpartition(".")[2].replace("_", " ") if plain else "cluster"
