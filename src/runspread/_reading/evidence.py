"""What a question is answered from: outputs per example, or one number per run. Decided here, once, for every verb.

A verb that is given something asks `evidence`; what comes back is `Outputs`, which the methods of the family take that
the question belongs to, or `Scores`, which `read_scores` takes. Where an answer rests on one number per run although
there are outputs (a metric was named, or several arms are ranked), `rests_on` says so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .._checks import to_numpy
from .._results import Excluded, Table
from ..errors import InputError
from .opening import is_path, opened
from .protocols import is_study
from .scores.files import TABLES, are_numbers, array_at, numbers_at, stacked
from .scores.studies import arms_of_study, has_outputs, only_metric, scores_of
from .study_folders import is_study_folder

NUMBERS, TABLE, STUDY, OUTPUTS, GROUP = "numbers", "table", "study", "outputs", "group"
_CALLED = {
    NUMBERS: "one number per run",
    TABLE: "a table of scores",
    STUDY: "a study",
    OUTPUTS: "outputs per example",
    GROUP: "several sources",
}
_OLD_AND_NEW = ("old", "new")


@dataclass(frozen=True)
class Scores:
    """One number per run.

    Attributes
    ----------
    source : Any
        What `read_scores` takes.
    reading : dict
        Its keywords that follow from what was given.
    origin : str
        numbers (sequences without a name of a metric), table, study (a metric of it), or outputs (their accuracies).
    excluded : tuple of Excluded
        Runs that were excluded before.
    """

    source: Any
    reading: dict[str, Any] = field(default_factory=dict[str, Any])
    origin: str = TABLE
    excluded: tuple[Excluded, ...] = ()


@dataclass(frozen=True)
class Outputs:
    """Outputs per example, by arm: what the methods of per-example outputs take."""

    arms: dict[str, Any]


def evidence(sources: Sequence[Any], given: Mapping[str, Any]) -> Scores | Outputs:
    """Return what a question is answered from.

    Parameters
    ----------
    sources : sequence
        What was given: one source with all arms, or one source an arm (the old one first).
    given : mapping
        Keywords of the verb: ``names``, ``by``, ``metric``, ``split``, ``at``.

    Raises
    ------
    InputError
        Sources of different kinds, or a study of which neither outputs nor a metric can be taken.
    """
    held = [_looked_at(one) for one in sources]
    kinds = list(dict.fromkeys(kind for kind, _ in held))
    if set(kinds) == {STUDY, OUTPUTS} and not (given.get("metric") or given.get("by")):
        kinds = [OUTPUTS]  # a study's outputs beside an array's
    if len(kinds) > 1:
        first, second = (_CALLED[kind] for kind in kinds[:2])
        raise InputError(f"the sources are {first} and {second}", "all of one kind")
    kind, names = kinds[0], _names(sources, kinds[0], given)
    found = [source for _, source in held]
    if kind == GROUP:
        group = dict(found[0])
        return evidence(list(group.values()), {**given, "names": tuple(str(name) for name in group)})
    if kind == STUDY:
        return _of_studies(dict(zip(names, found, strict=True)), given)
    if kind == OUTPUTS:
        return Outputs(dict(zip(names, found, strict=True)))
    if kind == TABLE:
        return Scores(found[0]) if len(found) == 1 else Scores(stacked(found, names), {"by": "arm"})
    return _of_numbers(found, names)


def is_scores(source: Any) -> bool:
    """Whether a source holds one number per run, and nothing else."""
    return _looked_at(source)[0] in (NUMBERS, TABLE)


def _of_numbers(found: Sequence[tuple[Any, str]], names: Sequence[str]) -> Scores:
    """Return arms of plain numbers; the name of the metric is the header of their files, where they have one."""
    heads = {head for _, head in found if head}
    metric = {"metric": heads.pop()} if len(heads) == 1 else {}
    arms = {name: values for name, (values, _) in zip(names, found, strict=True)}
    if len(arms) < len(found):
        raise InputError(f"two arms are called {names[0]!r}", "a name for each", "Pass names=(...).")
    empty = [name for name, values in arms.items() if not len(values)]
    if empty:
        raise InputError(f"{empty[0] or 'the arm'} has no runs", "one number per run")
    names = [name for name, values in arms.items() for _ in values]
    columns = {"arm": names, "value": [value for values in arms.values() for value in values]}
    return Scores(columns, {"by": "arm", "value": "value", **metric}, TABLE if metric else NUMBERS)


def _of_studies(studies: Mapping[str, Any], given: Mapping[str, Any]) -> Scores | Outputs:
    """Return the outputs of studies where there are some and no metric is named; else their scalars."""
    arms, split, metric = arms_of_study(studies, given.get("by")), given.get("split", "test"), given.get("metric")
    if metric is None and all(has_outputs(study) for study in arms.values()):
        return Outputs(arms)
    metrics = (metric,) if isinstance(metric, str) else tuple(metric or (only_metric(arms),))
    table = scores_of(arms, metrics, split, given.get("at", "last"))
    columns = {"by": "arm", "value": "value", "seed": "seed", "run": "run", "metric": metrics}
    return Scores(table, columns, STUDY)


def _looked_at(source: Any) -> tuple[str, Any]:
    """Return the kind of a source, and the source, opened if it is a study or plain numbers."""
    if isinstance(source, (str, os.PathLike)):
        return _at_path(Path(source), source)
    if is_study(source):
        return STUDY, source
    if isinstance(source, Table) or (hasattr(source, "columns") and hasattr(source, "__getitem__")):
        return TABLE, source
    if isinstance(source, Mapping):
        return _of_mapping(source)
    if isinstance(source, list) and source and all(isinstance(row, Mapping) for row in source):
        return TABLE, source
    if isinstance(source, (int, float)) and not isinstance(source, bool):
        if isinstance(source, int) and abs(source) > sys.float_info.max:
            raise InputError("the number has more than 308 digits", "one that is a value of a metric")
        return NUMBERS, ([float(source)], "")
    if isinstance(source, (list, tuple)) and are_numbers(source):
        return NUMBERS, (list(source), "")
    if not is_path(source) and (values := one_number_per_run(source)) is not None:
        return NUMBERS, (values, "")
    return OUTPUTS, source


def _at_path(path: Path, source: Any) -> tuple[str, Any]:
    if is_study_folder(path):
        return STUDY, opened(source)
    if path.suffix in TABLES:
        numbers = numbers_at(path)
        return (TABLE, source) if numbers is None else (NUMBERS, numbers)
    array = array_at(path)
    return (OUTPUTS, source) if array is None else (NUMBERS, (array, ""))


def _of_mapping(source: Mapping[Any, Any]) -> tuple[str, Any]:
    """Return arms or columns where each value has one axis and one of them holds numbers; else sources by name."""
    numeric = [one_number_per_run(value) is not None for value in source.values()]
    flat = all(n or _is_text(value) for n, value in zip(numeric, source.values(), strict=True))
    return (TABLE, source) if flat and any(numeric) else (GROUP, source)


def _is_text(value: Any) -> bool:
    if hasattr(value, "dtype"):
        return np.ndim(value) == 1 and np.asarray(value).dtype.kind in "UO"
    return isinstance(value, (list, tuple)) and all(isinstance(one, str) or one is None for one in value)


def one_number_per_run(source: Any) -> list[float | None] | None:
    """Return the numbers of a sequence with one axis; None for all else."""
    if not isinstance(source, (list, tuple, np.ndarray)) and not hasattr(source, "__array__"):
        return None
    if isinstance(source, (list, tuple)) and any(np.ndim(one) for one in source[:1]):
        return None
    array = to_numpy(source)
    array = array if isinstance(array, np.ndarray) else np.asarray(array, dtype=object if _has_none(array) else None)
    if array.ndim != 1 or array.dtype.kind not in "iufO":
        return None
    values: list[Any] = array.tolist()
    if array.dtype.kind == "O" and not all(one is None or isinstance(one, (int, float)) for one in values):
        return None
    return values


def _has_none(values: Any) -> bool:
    return any(one is None for one in values)


def _names(sources: Sequence[Any], kind: str, given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return how the arms are called: as was said, else by their files, else old and new."""
    if given.get("names") is not None:
        names = tuple(str(name) for name in given["names"])
        if len(names) != len(sources):
            raise InputError(f"names= has {len(names)} names", f"{len(sources)}, one for each source")
        return names
    if len(sources) == 1:
        return ("",)
    paths = [Path(source) for source in sources if isinstance(source, (str, os.PathLike))]
    stems = tuple(path.resolve().name if kind == STUDY else path.stem for path in paths)
    if len(stems) == len(sources) == len(set(stems)):
        return stems
    return _OLD_AND_NEW if len(sources) == 2 else tuple(f"arm {at}" for at in range(1, len(sources) + 1))
