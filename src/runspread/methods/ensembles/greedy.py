"""Greedy forward selection (Caruana et al. 2004), and the same on part of the examples: how much choosing flatters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..._checks import check_integers
from ..._reading.probabilities import Floats
from .._ties import ROUNDING, first_smallest, ranking
from .candidates import OBJECTIVES, Candidates, Indices, Objective, mixture_losses
from .likelihood_apart import likelihood
from .proper_scores import standard_error


@dataclass(frozen=True, eq=False)
class CrossValidatedSelection:
    """Selection repeated on part of the examples and scored on the rest: how much of the score is over-fitting.

    Attributes
    ----------
    folds : int
        Number of parts; each is held out once.
    in_sample : float
        Mean score of the selected ensembles on the examples that selected them.
    held_out, held_out_se : float
        Score of the same on the examples held out, and its standard error over examples.
    held_out_single, held_out_top_k : float
        The same procedure with the best single candidate and with the top K instead of greedy selection.
    gain_over_single, gain_over_single_se, gain_over_top_k, gain_over_top_k_se : float
        Held-out score of the alternative minus that of greedy selection (positive: greedy is better), paired by
        example.
    """

    folds: int
    in_sample: float
    held_out: float
    held_out_se: float
    held_out_single: float
    held_out_top_k: float
    gain_over_single: float
    gain_over_single_se: float
    gain_over_top_k: float
    gain_over_top_k_se: float

    @property
    def optimism(self) -> float:
        """Held-out minus in-sample score."""
        return self.held_out - self.in_sample

    @property
    def gain_interval(self) -> tuple[float, float]:
        """95 % interval of the gain over the best single candidate.

        Ensembles of different folds were chosen on overlapping examples; Nadeau and Bengio (2003) widen the error for
        that by ``sqrt(1 + folds / (folds - 1))``.
        """
        half = 1.96 * self.gain_over_single_se * math.sqrt(1 + self.folds / (self.folds - 1))
        return self.gain_over_single - half, self.gain_over_single + half


@dataclass(frozen=True)
class GreedySettings:
    """How to select: one record, so that selection and its cross-validation cannot differ."""

    size: int
    objective: str
    replacement: bool
    early_stop: bool
    max_steps: int

    def start(self, candidates: Candidates, rows: Indices | None = None) -> Objective:
        """Return the objective without a member yet, on all examples or on some rows."""
        start = likelihood if self.objective == "nll" else OBJECTIVES[self.objective]
        return start(candidates, rows)


def greedy(start: Objective, settings: GreedySettings, n: int) -> tuple[Indices, Floats, str]:
    """Return the path, the score after each step, and why it ended."""
    path: list[int] = []
    path_scores: list[float] = []
    admissible = np.ones(n, dtype=bool)
    while len(set(path)) < settings.size and len(path) < settings.max_steps:
        scores = start.scores()
        left = np.flatnonzero(admissible)
        best = int(left[first_smallest(scores[left])])
        if settings.early_stop and path and not _improves(float(scores[best]), path_scores[-1]):
            return np.array(path), np.array(path_scores), "no improvement"
        path.append(best)
        path_scores.append(float(scores[best]))
        start.add(best)
        admissible[best] = settings.replacement
    return np.array(path), np.array(path_scores), "size" if len(set(path)) == settings.size else "max steps"


def _improves(score: float, best: float) -> bool:
    """Return whether a score is better by more than rounding: a second copy of the only good candidate is not."""
    return score < best - ROUNDING * max(1.0, abs(best))


def cross_validate(
    pool: Candidates, settings: GreedySettings, folds: int, rng: np.random.Generator
) -> CrossValidatedSelection | None:
    """Return the selection on all but one part of the examples, scored on that part; None of fewer than two parts."""
    n = len(pool.labels)
    folds = min(int(check_integers(folds, "folds", 0, None)), n)
    if folds < 2:
        return None
    parts = np.array_split(rng.permutation(n), folds)
    in_sample: list[float] = []
    mixtures: list[Indices] = []
    for held_out in parts:
        kept = np.setdiff1d(np.arange(n), held_out)
        start = settings.start(pool, kept)
        ranked = ranking(start.scores())
        path, path_scores, _ = greedy(start, settings, len(pool))
        in_sample.append(path_scores[-1])
        mixtures += [path, ranked[:1], ranked[: settings.size]]
    losses = mixture_losses(pool, settings.objective, mixtures).reshape(folds, 3, n)
    held_out_losses = [losses[fold][:, part] for fold, part in enumerate(parts)]
    chosen, single, top = np.concatenate(held_out_losses, axis=1)
    return CrossValidatedSelection(
        folds,
        float(np.mean(in_sample)),
        float(chosen.mean()),
        standard_error(chosen),
        float(single.mean()),
        float(top.mean()),
        *_paired(single, chosen),
        *_paired(top, chosen),
    )


def _paired(other: Floats, chosen: Floats) -> tuple[float, float]:
    with np.errstate(invalid="ignore"):
        difference = other - chosen
    return float(difference.mean()), standard_error(difference)
