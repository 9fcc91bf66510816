"""`Answers`: graded answers as columns of numbers, and what gathers them a row at a time (evals 1)."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._results import Excluded, Table
from ..._words import count, listed
from ...errors import InputError

Codes = NDArray[np.int64]
Names = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Answers:
    """Graded answers, a row each. Names and scores alone are held: no question, no answer, no path.

    Attributes
    ----------
    models, tasks, items, seeds, prompts, clusters : tuple of str
        What the numbers below stand for. An item belongs to one task; a training without a name is ``""``.
    model, seed, prompt, item, sample : ndarray of int64 [rows]
        Positions in those; samples are numbered over all files.
    score : ndarray of float64 [rows]
        NaN for an attempt that has no score.
    task_of, cluster_of : ndarray of int64 [items]
        Task and cluster of each item; -1 without a cluster.
    metric : str
        Name of the score, where it has one.
    problems : tuple of Excluded
        Files and rows that could not be read, with the reason.
    notes : tuple of str
        What was assumed, and what was excluded.
    defines_items : bool
        Whether the source defines which items there are, so that a missing one is a failure.
    cluster_name : str
        What a cluster is called: passage, repository, ...
    """

    models: Names
    tasks: Names
    items: Names
    seeds: Names
    prompts: Names
    clusters: Names
    model: Codes
    seed: Codes
    prompt: Codes
    item: Codes
    sample: Codes
    score: NDArray[np.float64]
    task_of: Codes
    cluster_of: Codes
    metric: str = ""
    problems: tuple[Excluded, ...] = ()
    notes: Names = ()
    defines_items: bool = False
    cluster_name: str = "cluster"

    def __len__(self) -> int:
        return len(self.score)

    def table(self) -> Table:
        """Return a row for each model, task and training: items, answers and their mean."""
        tasks = self.task_of[self.item]
        keys, at = np.unique(np.stack([self.model, tasks, self.seed]), axis=1, return_inverse=True)
        known = ~np.isnan(self.score)
        rows = np.bincount(at[known], minlength=keys.shape[1])
        total = np.bincount(at[known], self.score[known], keys.shape[1])
        pairs = np.unique(np.stack([at, self.item]), axis=1)[0]
        columns = {
            "model": [self.models[code] for code in keys[0].tolist()],
            "task": [self.tasks[code] for code in keys[1].tolist()],
            "training": [self.seeds[code] for code in keys[2].tolist()],
            "items": np.bincount(pairs, minlength=keys.shape[1]),
            "answers": rows,
            "mean": [t / n if n else None for t, n in zip(total.tolist(), rows.tolist(), strict=True)],
        }
        return Table(columns, formats={"mean": ".4f"})

    def take(self, rows: NDArray[Any]) -> Answers:
        """Return some rows, by mask or position."""
        columns = {name: getattr(self, name)[rows] for name in ("model", "seed", "prompt", "item", "sample", "score")}
        return replace(self, **columns)


class _Interned:
    """Names by the order in which they are first seen."""

    def __init__(self) -> None:
        self.codes: dict[Any, int] = {}

    def __call__(self, name: Any) -> int:
        return self.codes.setdefault(name, len(self.codes))

    def names(self) -> Names:
        return tuple(str(name) for name in self.codes)


@dataclass
class Gathering:
    """Gathers rows; 48 bytes each, whatever the length of questions and answers.

    Attributes
    ----------
    problems : list of Excluded
        What could not be read.
    notes : dict of str to None
        What was assumed, each once, in order.
    counts : Counter
        What was excluded, by what it is called in the singular.
    defines_items : bool
        See `Answers`.
    cluster_name : str
        What a cluster is called.
    metric : str
        Name of the score.
    """

    problems: list[Excluded] = field(default_factory=list[Excluded])
    notes: dict[str, None] = field(default_factory=dict[str, None])
    counts: Counter[str] = field(default_factory=Counter[str])
    defines_items: bool = False
    cluster_name: str = "cluster"
    metric: str = ""

    def __post_init__(self) -> None:
        names = ("models", "tasks", "items", "seeds", "prompts", "clusters", "samples")
        self._names = {name: _Interned() for name in names}
        self._codes = {name: array("q") for name in ("model", "seed", "prompt", "item", "sample")}
        self._score = array("d")
        self._task_of, self._cluster_of = array("q"), array("q")
        self._digests: dict[int, Any] = {}
        self._torn: set[int] = set()

    def __len__(self) -> int:
        return len(self._score)

    def note(self, text: str) -> None:
        """Say something once."""
        self.notes[text] = None

    def problem(self, where: Any, what: str) -> None:
        """Name what could not be read."""
        self.problems.append(Excluded(str(where), what))

    def add(
        self,
        model: str,
        item: Any,
        score: float,
        *,
        task: str = "",
        seed: Any = "",
        prompt: Any = "",
        sample: Any = None,
        cluster: Any = None,
        digest: Any = None,
    ) -> None:
        """Add an answer; without a `sample` it is one of its own."""
        names, codes = self._names, self._codes
        at = names["items"]((task, str(item)))
        if at == len(self._task_of):
            self._task_of.append(names["tasks"](task))
            self._cluster_of.append(-1)
        if cluster is not None:
            self._join(at, names["clusters"](cluster))
        if digest is not None and self._digests.setdefault(at, digest) != digest:
            self._refuse_digest(item)
        codes["model"].append(names["models"](model))
        codes["seed"].append(names["seeds"](seed))
        codes["prompt"].append(names["prompts"](prompt))
        codes["item"].append(at)
        codes["sample"].append(names["samples"](sample) if sample is not None else -1 - len(self._score))
        self._score.append(score)

    def _join(self, item: int, cluster: int) -> None:
        if self._cluster_of[item] not in (-1, cluster):
            self._torn.add(item)
        self._cluster_of[item] = cluster

    def _refuse_digest(self, item: Any) -> None:
        raise InputError(
            f"item {item} is another question in another file",
            "the same question under the same id",
            "These are different data sets, or versions of one: read those of one data set.",
        )

    def answers(self) -> Answers:
        """Return what was gathered, each answer once."""
        names = self._names
        if self._torn:
            some = [name for _, name in names["items"].codes][min(self._torn)]
            raise InputError(
                f"{count(len(self._torn), 'item')} in more than one cluster, such as {some}", "one cluster an item"
            )
        columns = {name: np.frombuffer(codes, np.int64).copy() for name, codes in self._codes.items()}
        keep = self._distinct(columns, np.frombuffer(self._score, np.float64))
        for what, number in self.counts.items():
            self.note(f"Excluded: {count(number, *what.split('|'))}.")
        return Answers(
            models=names["models"].names(),
            tasks=names["tasks"].names(),
            items=tuple(name for _, name in names["items"].codes),
            seeds=names["seeds"].names(),
            prompts=names["prompts"].names(),
            clusters=names["clusters"].names(),
            **{name: codes[keep] for name, codes in columns.items()},
            score=np.frombuffer(self._score, np.float64)[keep],
            task_of=np.frombuffer(self._task_of, np.int64).copy(),
            cluster_of=np.frombuffer(self._cluster_of, np.int64).copy(),
            metric=self.metric,
            problems=tuple(self.problems),
            notes=tuple(self.notes),
            defines_items=self.defines_items,
            cluster_name=self.cluster_name,
        )

    def _distinct(self, columns: dict[str, Codes], score: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which rows to keep: of equal ones the first; different ones of one answer are a problem."""
        if not len(score) or (columns["sample"] < 0).all():
            return np.ones(len(score), bool)
        key = np.zeros(len(score), np.int64)
        for codes in columns.values():
            _, part = np.unique(codes, return_inverse=True)
            _, key = np.unique(key * (int(part.max()) + 1) + part, return_inverse=True)
        _, first, at = np.unique(key, return_index=True, return_inverse=True)
        repeat = np.flatnonzero(first[at] != np.arange(len(score)))
        same = np.array([score[row] == score[first[at[row]]] for row in repeat], bool)
        if same.any():
            self.counts["row that repeats another|rows that repeat another"] += int(same.sum())
        if (~same).any():
            items = [name for _, name in self._names["items"].codes]
            some = listed([items[columns["item"][row]] for row in repeat[~same][:3]])
            different = count(int((~same).sum()), "row")
            self.problem(f"item {some}", f"{different} with another score for an answer that is there")
        keep = np.ones(len(score), bool)
        keep[repeat] = False
        return keep
