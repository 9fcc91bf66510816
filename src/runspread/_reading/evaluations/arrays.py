"""What is in memory becomes answers: tables, arrays and outputs of runs by model (evals 1)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import to_numpy
from ..._results import Excluded, Table
from ...errors import InputError
from ..correctness import as_outcomes
from ..opening import opened
from ..outputs import RunOutputs
from ..protocols import is_study
from ..study_folders import is_study_folder
from ..tables import as_table
from .answers import Answers, Gathering
from .options import checked, cluster_name
from .reading import read_evals
from .tidy import ROLES, read_rows, rows_of

_AXES = "[items], [runs, items] or [runs, items, samples]"


def as_answers(source: Any, labels: Any = None, **options: Any) -> Answers:
    """Return answers from what users have.

    Parameters
    ----------
    source : Answers, path, sequence of paths, table, or mapping of model to its scores or outputs
        Scores have the axes [items], [runs, items] or [runs, items, samples]; outputs of runs (with `labels`) are
        turned into correctness.
    labels : array_like of int [examples], optional
        True classes, for outputs of runs that lack them.
    **options : EvaluationReading
        How they are read.
    """
    source = _as_models(source)
    if isinstance(source, Answers):
        answers = source
        if options.get("clusters") is not None:
            answers = _clustered(answers, options["clusters"])
    elif isinstance(source, (str, os.PathLike)) or _are_paths(source):
        answers = _of_files(source, options)
    elif isinstance(source, Mapping) and not isinstance(source, Table) and not _is_table(source):
        answers = _of_models(source, labels, options)
    elif isinstance(source, (np.ndarray, list)) and not _is_list_of_rows(source):
        answers = _of_models({"model": source}, labels, options)
    else:
        answers = _of_table(source, options)
    return _as_runs(answers) if options.get("samples_are") == "runs" else answers


def _as_models(source: Any) -> Any:
    """Return studies, and outputs of runs, as models by name; all else as it is."""
    if is_study(source) or isinstance(source, RunOutputs):
        return {"model": source}
    paths = [source] if isinstance(source, (str, os.PathLike)) else source if _are_paths(source) else []
    if paths and all(is_study_folder(Path(one)) for one in paths):
        return {Path(one).resolve().name: opened(one) for one in paths}
    return source


def _of_files(source: Any, options: Mapping[str, Any]) -> Answers:
    """Return the answers in files; clusters that are no key of theirs are set afterwards."""
    clusters = options.get("clusters")
    if isinstance(clusters, str) and clusters not in ("item", "task"):
        return read_evals(source, **options)
    answers = read_evals(source, **{name: one for name, one in options.items() if name != "clusters"})
    return answers if clusters is None else _clustered(answers, clusters)


def _are_paths(source: Any) -> bool:
    listed = isinstance(source, (list, tuple)) and len(source) > 0
    return listed and all(isinstance(one, (str, os.PathLike)) for one in source)


def _is_list_of_rows(source: Any) -> bool:
    return isinstance(source, list) and bool(source) and isinstance(source[0], Mapping)


def _is_table(source: Mapping[Any, Any]) -> bool:
    """Whether a mapping is one of columns: it has one of items and one of scores."""
    names = {str(name).strip().lower() for name in source}
    return bool(names & set(ROLES["item"])) and bool(names & set(ROLES["score"]))


def _of_table(source: Any, options: Mapping[str, Any]) -> Answers:
    how = dict(checked(options))
    by_row = None if isinstance(how["clusters"], str) and how["clusters"] not in ("item", "task") else how["clusters"]
    if by_row is not None:
        how["clusters"] = None
    gathering = Gathering(cluster_name=cluster_name(how["clusters"]))
    read_rows(rows_of(as_table(source)), gathering, how, "the table")
    answers = gathering.answers()
    return answers if by_row is None else _clustered(answers, by_row)


def _of_models(source: Mapping[Any, Any], labels: Any, options: Mapping[str, Any]) -> Answers:
    if not source:
        raise InputError("no models", "a mapping of model to its scores")
    problems: list[Excluded] = []
    arrays = {str(name): _scores(name, one, labels, problems) for name, one in source.items()}
    if options.get("samples_are") == "samples":  # the first axis, of one checkpoint
        arrays = {name: _as_samples(name, array) for name, array in arrays.items()}
    items = {array.shape[1] for array in arrays.values()}
    if len(items) > 1:
        sizes = ", ".join(f"{name} {array.shape[1]}" for name, array in arrays.items())
        raise InputError(f"models with other numbers of items ({sizes})", "the same items, in the same order")
    answers = replace(_joined(arrays, items.pop()), problems=tuple(problems), notes=_three_axes(arrays))
    clusters = options.get("clusters")
    return answers if clusters is None else _clustered(answers, clusters)


def _scores(name: Any, one: Any, labels: Any, problems: list[Excluded]) -> NDArray[np.float64]:
    """Return scores [runs, items, samples] of one model, and name runs that were excluded."""
    found = to_numpy(one)
    if not isinstance(found, (np.ndarray, list, tuple)) or labels is not None:
        outcomes = as_outcomes(one, labels)
        problems += [Excluded(f"{name}: {item.run}", item.reason) for item in outcomes.excluded]
        found = np.concatenate([chunk.correct.copy() for chunk in outcomes.chunks()])
    array = np.asarray(found, np.float64)
    if array.ndim not in (1, 2, 3) or not array.size:
        raise InputError(f"the scores of {name} have shape {array.shape}", _AXES)
    array = array[None] if array.ndim == 1 else array
    return array[..., None] if array.ndim == 2 else array


def _three_axes(arrays: Mapping[str, NDArray[np.float64]]) -> tuple[str, ...]:
    """Return a note where scores might be outputs of classifiers."""
    odd = [name for name, one in arrays.items() if one.shape[2] > 1 and (np.nanmin(one) < 0 or np.nanmax(one) > 1)]
    if not odd:
        return ()
    return (f"{odd[0]} is taken for scores [runs, items, samples]: outputs of classifiers need labels=.",)


def _as_samples(name: str, array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [1, items, samples] of what was given as [samples, items]."""
    if array.shape[2] > 1:
        raise InputError(f"samples_are='samples' for scores of {name} with the axes [runs, items, samples]", "two axes")
    return array.transpose(2, 1, 0)


def _joined(arrays: Mapping[str, NDArray[np.float64]], items: int) -> Answers:
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in ("model", "seed", "item", "sample", "score")}
    offset, samples = 0, 0
    for code, array in enumerate(arrays.values()):
        seed, item, sample = (axis.ravel() for axis in np.indices(array.shape))
        one = {
            "model": np.full(array.size, code),
            "seed": seed + offset,
            "item": item,
            "sample": sample,
            "score": array.ravel(),
        }
        for name, values in one.items():
            columns[name].append(values)
        offset, samples = offset + len(array), max(samples, array.shape[2])
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    score = joined.pop("score").astype(np.float64)
    return Answers(
        models=tuple(arrays),
        tasks=("",),
        items=tuple(str(at) for at in range(items)),
        seeds=tuple(f"run {at}" for array in arrays.values() for at in range(len(array))),
        prompts=("",),
        clusters=(),
        model=joined["model"].astype(np.int64),
        seed=joined["seed"].astype(np.int64),
        item=joined["item"].astype(np.int64),
        sample=joined["sample"].astype(np.int64),
        prompt=np.zeros(len(score), np.int64),
        score=score,
        task_of=np.zeros(items, np.int64),
        cluster_of=np.full(items, -1, np.int64),
    )


def _clustered(answers: Answers, clusters: Any) -> Answers:
    """Return answers with the clusters of their items: a mapping, or one value an item in the order of `items`."""
    if isinstance(clusters, str):
        if clusters == "item":
            return replace(answers, clusters=(), cluster_of=np.full(len(answers.items), -1, np.int64))
        if clusters == "task":
            return replace(answers, clusters=answers.tasks, cluster_of=answers.task_of, cluster_name="task")
        if clusters == answers.cluster_name and (answers.cluster_of >= 0).any():
            return answers
        raise InputError(
            f"answers that are read already, and clusters={clusters!r}",
            "clusters that are read with them",
            f"Read them with rs.methods.evaluations.read_evals(..., clusters={clusters!r}).",
        )
    if isinstance(clusters, Mapping):
        values = [clusters.get(item, f"item {item}") for item in answers.items]
    else:
        values = list(clusters) if isinstance(clusters, Iterable) else [clusters]
        if len(values) != len(answers.items):
            raise InputError(f"{len(values)} clusters for {len(answers.items)} items", "one value an item")
    names, codes = np.unique(np.asarray(values).astype(str), return_inverse=True)
    return replace(answers, clusters=tuple(names.tolist()), cluster_of=codes.astype(np.int64))


def _as_runs(answers: Answers) -> Answers:
    """Return answers in which each repeat is a training of its own."""
    pairs = np.stack([answers.seed, answers.sample])
    found, codes = np.unique(pairs, axis=1, return_inverse=True)
    names = tuple(f"run {at}" for at in range(found.shape[1]))
    zero = np.zeros(len(answers), np.int64)
    return replace(answers, seeds=names, seed=codes.astype(np.int64), sample=zero)
