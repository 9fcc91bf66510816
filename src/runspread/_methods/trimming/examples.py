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
from .typicality import TrimmingLevels, trimming

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
        Mean level of the trimmed runs: the fraction trimmed of an example picked blindly.
    margin : str
        Kind of scalar output.
    """

    trimmed: Floats
    mean_output: Floats
    labels: NDArray[np.int64] | None
    n_runs: int
    n_trimmed: int
    mean_level: float
    margin: str

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
    split: str = "test",
    seed: int = 0,
) -> TrimmedExamples:
    """Return which examples an optimal trimming of each run discards, at the run's own level.

    Parameters
    ----------
    candidates, references
        As in `trimming`: outputs of runs; the halves of the candidates serve each other without references.
    levels : TrimmingLevels
        Of the same candidates; computed on disjoint halves of the examples when left out.
    margin, labels, classes, split
        As in `trimming`.
    seed : int
        Of the levels, where they are made here.

    Returns
    -------
    TrimmedExamples
        Fraction trimmed by example.
    """
    reading = Reading(margin, classes)
    tested = read_scalars(candidates, labels, split, reading)
    pool = None if references is None else read_scalars(references, labels, split, reading)
    if levels is None:
        levels = trimming(
            candidates,
            references,
            resample="split",
            margin=margin,
            labels=labels,
            classes=classes,
            split=split,
            seed=seed,
        )
    if levels.run_ids != tested.run_ids:
        raise InputError("levels of other runs", "levels of the same candidates, in the same order")
    trimmed = np.flatnonzero(levels.mean > 0)
    deciding = _deciding(levels)
    shares = np.zeros((len(trimmed), tested.values.shape[2]))
    outputs = np.zeros_like(shares)
    for row, run in enumerate(trimmed):
        outputs[row] = tested.values[deciding[run], run]
        reference = _reference_of(run, tested, pool)[deciding[run]]
        shares[row] = _share_by_example(reference.ravel(), outputs[row], levels.mean[run])
    return TrimmedExamples(
        trimmed=shares.mean(0) if len(trimmed) else np.zeros(shares.shape[1]),
        mean_output=outputs.mean(0) if len(trimmed) else np.zeros(shares.shape[1]),
        labels=tested.labels,
        n_runs=len(tested.run_ids),
        n_trimmed=len(trimmed),
        mean_level=float(levels.mean[trimmed].mean()) if len(trimmed) else 0.0,
        margin=tested.margin,
        excluded=levels.excluded,
        warnings=levels.warnings,
    )


def _deciding(levels: TrimmingLevels) -> NDArray[np.intp]:
    """Return the statistic with the largest mean level, of each run."""
    if levels.class_levels is None:
        return np.zeros(len(levels.run_ids), dtype=np.intp)
    return np.minimum(levels.class_levels, levels.cap).mean(1).argmax(0)


def _reference_of(run: np.intp, tested: Scalars, pool: Scalars | None) -> Floats:
    if pool is not None:
        return pool.values
    first, second = np.array_split(np.arange(len(tested.run_ids)), 2)
    return tested.values[:, second if run in first else first]


def _share_by_example(reference: Floats, outputs: Floats, level: float) -> Floats:
    best = optimal_trimming(reference, outputs, level)
    return best.trimmed[np.searchsorted(best.values, outputs)]
