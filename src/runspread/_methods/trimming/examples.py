"""Which examples are trimmed: where runs put mass that the average run does not explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._errors import InputError
from ..._results import Result, Table
from .levels import optimal_trimming
from .margins import Floats, Margin
from .scalars import Reading, Scalars, read_scalars
from .typicality import TrimmingLevels, ensemble_of, halves, trimming

SHOWN = 20


@dataclass(frozen=True, eq=False, kw_only=True)
class TrimmedExamples(Result):
    """How much of each example's weight is trimmed, averaged over runs.

    Attributes
    ----------
    trimmed : ndarray [examples]
        Mean over the trimmed runs of the fraction discarded at the example.
    mean_output : ndarray [examples]
        Mean over those runs of the scalar output that decides (the class with the largest level for one-vs-rest).
    labels : ndarray of int64 [examples] or None
        True classes, where known.
    n_runs, n_trimmed : int
        Runs, and how many of them have a level above 0.
    mean_level : float
        Mean level of the trimmed runs, for one-vs-rest of the class that decides: the fraction trimmed of an
        example picked blindly.
    margin, classes, clip, reference, resample, mode, threshold, epsilon, n, m
        Settings of the levels, which the trimming shares.
    """

    trimmed: Floats
    mean_output: Floats
    labels: NDArray[np.int64] | None
    n_runs: int
    n_trimmed: int
    mean_level: float
    margin: str
    classes: tuple[int, int] | None
    clip: tuple[float, float] | None
    reference: str
    resample: str | None
    mode: str
    threshold: str | float
    epsilon: float
    n: int
    m: int

    def order(self) -> NDArray[np.intp]:
        """Return the examples, the most trimmed first."""
        return np.argsort(-self.trimmed, kind="stable")

    def table(self) -> Table:
        """Return the 20 most trimmed examples."""
        top = self.order()[:SHOWN]
        columns: dict[str, Any] = {"example": top}
        if self.labels is not None:
            columns["label"] = self.labels[top]
        return Table({**columns, "trimmed": self.trimmed[top], f"mean {self.margin}": self.mean_output[top]})

    def share_in_top(self, fraction: float = 0.1) -> float:
        """Return the share of all trimmed mass that the most trimmed `fraction` of the examples carries."""
        count = max(1, round(fraction * len(self.trimmed)))
        total = self.trimmed.sum()
        return float(self.trimmed[self.order()[:count]].sum() / total) if total > 0 else float("nan")

    def sentence(self) -> str:
        """Return how concentrated the trimming is."""
        if not self.n_trimmed:
            return f"None of {self.n_runs} runs has a trimming level above 0: nothing is trimmed."
        return (
            f"{self.n_trimmed} of {self.n_runs} runs are trimmed, by {self.mean_level:.3f} on average; the tenth of "
            f"the {len(self.trimmed)} examples that is trimmed most carries {self.share_in_top():.0%} of the trimmed "
            "mass (10% if examples played no part). Optimal trimmings are not unique: an example shows where mass is "
            "in excess, not that its own prediction is at fault."
        )


def trimmed_examples(
    candidates: Any,
    references: Any = None,
    *,
    levels: TrimmingLevels | None = None,
    margin: Margin | None = None,
    labels: ArrayLike | None = None,
    classes: tuple[int, int] | None = None,
    clip: tuple[float, float] | None = None,
    split: str = "test",
    seed: int = 0,
) -> TrimmedExamples:
    """Return which examples an optimal trimming of each run discards, at the run's own level.

    Parameters
    ----------
    candidates, references
        As in `trimming`: outputs of runs; the halves of the candidates serve each other without references.
    levels : TrimmingLevels
        Of the same candidates and references; computed on disjoint halves of the examples when left out. Margin,
        classes, clipping, reference and mode are those of the levels.
    margin, labels, classes, clip, split
        As in `trimming`. With levels they are not needed, labels apart, and must not differ.
    seed : int
        Of the levels, where they are made here.

    Returns
    -------
    TrimmedExamples
        Fraction trimmed by example.

    Raises
    ------
    InputError
        Levels of other runs, other examples or other settings; or what `trimming` raises.
    """
    if levels is None:
        levels = trimming(
            candidates,
            references,
            resample="split",
            margin=margin,
            labels=labels,
            classes=classes,
            clip=clip,
            split=split,
            seed=seed,
        )
    reading = _reading_of(levels, margin=margin, classes=classes, clip=clip)
    tested = read_scalars(candidates, labels, split, reading)
    pool = None if references is None else read_scalars(references, labels, split, reading)
    _check_same(levels, tested, pool)
    trimmed = np.flatnonzero(levels.mean > 0)
    deciding, own = _deciding(levels)
    references_of = _References(levels.reference, tested, pool)
    shares = np.zeros((len(trimmed), tested.values.shape[2]))
    outputs = np.zeros_like(shares)
    for row, run in enumerate(trimmed):
        outputs[row] = tested.values[deciding[run], run]
        reference = references_of.run(int(run))[deciding[run]]
        shares[row] = _share_by_example(reference.ravel(), outputs[row], own[run], levels.mode)
    return TrimmedExamples(
        trimmed=shares.mean(0) if len(trimmed) else np.zeros(shares.shape[1]),
        mean_output=outputs.mean(0) if len(trimmed) else np.zeros(shares.shape[1]),
        labels=tested.labels,
        n_runs=len(tested.run_ids),
        n_trimmed=len(trimmed),
        mean_level=float(own[trimmed].mean()) if len(trimmed) else 0.0,
        margin=levels.margin,
        classes=levels.classes,
        clip=levels.clip,
        reference=levels.reference,
        resample=levels.resample,
        mode=levels.mode,
        threshold=levels.threshold,
        epsilon=levels.epsilon,
        n=levels.n,
        m=levels.m,
        excluded=levels.excluded,
        warnings=levels.warnings,
    )


def _reading_of(levels: TrimmingLevels, **given: Any) -> Reading:
    """Return how the levels' outputs were read; what is given besides must not differ."""
    for name, value in given.items():
        known = getattr(levels, name)
        if value is not None and value != known and (known is None or list(value) != list(known)):
            raise InputError(
                f"{name} {value!r} with levels of {name} {known!r}", "the settings of the levels", f"Leave {name} out."
            )
    margin: Any = levels.margin
    return Reading(margin, levels.classes, levels.clip)


def _check_same(levels: TrimmingLevels, tested: Scalars, pool: Scalars | None) -> None:
    """Raise an InputError unless the levels are those of these runs and examples."""
    if levels.run_ids != tested.run_ids:
        raise InputError("levels of other runs", "levels of the same candidates, in the same order")
    parts = halves(len(tested.run_ids))
    sizes = [len(parts[1])] * len(parts[0]) + [len(parts[0])] * len(parts[1])
    expected = sizes if pool is None else [len(pool.run_ids)] * len(tested.run_ids)
    if levels.n_references.tolist() != expected:
        raise InputError(
            f"levels against {levels.n_references[0]} reference runs, here {expected[0]}",
            "the references that the levels were made with",
        )
    statistics = 1 if levels.class_levels is None else len(levels.class_levels)
    examples = {"bootstrap": levels.n + levels.m, "split": levels.n + levels.m, None: levels.n}.get(levels.resample)
    if statistics != tested.n_statistics or examples not in (None, tested.n_examples):
        raise InputError(
            f"levels of {statistics} statistic(s) on {examples} examples, here {tested.n_statistics} on "
            f"{tested.n_examples}",
            "levels of the same outputs",
        )


def _deciding(levels: TrimmingLevels) -> tuple[NDArray[np.intp], Floats]:
    """Return the statistic with the largest mean level, and that level, of each run."""
    if levels.class_levels is None:
        return np.zeros(len(levels.run_ids), dtype=np.intp), levels.mean
    means = np.minimum(levels.class_levels, levels.cap).mean(1)
    return means.argmax(0), means.max(0)


class _References:
    """The reference's values [statistics, runs, examples] of each run; averaged logits where it is an ensemble."""

    def __init__(self, kind: str, tested: Scalars, pool: Scalars | None) -> None:
        self._source = tested if pool is None else pool
        self._kind = kind
        first, second = halves(len(tested.run_ids))
        self._split = len(first)
        if pool is None:
            self._laws = [self._law(second), self._law(first)]
        else:
            self._laws = [self._law(np.arange(len(pool.run_ids)))]

    def _law(self, runs: NDArray[np.intp]) -> Floats:
        return ensemble_of(self._source, runs) if self._kind == "ensemble" else self._source.values[:, runs]

    def run(self, number: int) -> Floats:
        """Return the reference of a run."""
        return self._laws[-1 if number >= self._split else 0]


def _share_by_example(reference: Floats, outputs: Floats, level: float, mode: Any) -> Floats:
    best = optimal_trimming(reference, outputs, level, mode=mode)
    return best.trimmed[np.searchsorted(best.values, outputs)]
