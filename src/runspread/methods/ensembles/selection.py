"""Greedy forward selection of an ensemble from trained runs (Caruana et al. 2004), with its controls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice, check_integers, check_seed
from ..._reading.opening import opens
from ..._reading.probabilities import Floats
from ..._results import Result, Table, to_plain
from ..._words import count
from .._ties import ROUNDING, first_smallest, ranking
from ..audit.auditing import warns_of_seeds
from .candidates import (
    OBJECTIVES,
    Candidates,
    Indices,
    Objective,
    check_finite,
    check_objective,
    mixture_losses,
    prior_loss,
    read_candidates,
)
from .proper_scores import standard_error

ENOUGH_EXAMPLES, ENOUGH_CANDIDATES = 300, 20
_DERIVED = (
    "size", "score", "best_single_score", "member_ids", "n_candidates", "n_infinite", "n_worse_than_prior",
)  # fmt: skip
NAMES = {"nll": "NLL", "brier": "Brier score", "error": "error rate"}


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


@dataclass(frozen=True, eq=False, kw_only=True)
class EnsembleSelection(Result):
    """The members of an ensemble, how they were chosen, and what choosing bought.

    Positions count along the first axis of the source, excluded candidates included.

    Attributes
    ----------
    path : ndarray of int64 [steps]
        Candidate added at each step.
    path_scores : ndarray of float64 [steps]
        Objective after each step, on the examples that selected; lower is better.
    counts, weights : ndarray [candidates]
        How often each candidate was chosen, and that divided by the number of steps. Zero for most is normal.
    members : ndarray of int64 [size]
        Distinct members in the order in which they entered.
    stop_reason : {"size", "no improvement", "max steps"}
        Why selection ended.
    requested_size : int
        Distinct members asked for.
    objective : {"nll", "brier", "error"}
        What was minimised.
    replacement, early_stop : bool
        Whether a candidate may enter again; whether a step must improve the score.
    single_scores : ndarray of float64 [candidates]
        Objective of each candidate alone; NaN for excluded ones.
    top_k : ndarray of int64 [requested size]
        Best candidates alone.
    top_k_score : float
        Objective of their average with equal weights.
    random_scores : ndarray of float64 [draws]
        Objective of random subsets of as many candidates, equal weights.
    cross_validation : CrossValidatedSelection or None
        Over-fitting of the selection; None when not asked for.
    prior_score : float
        Objective of a predictor that always gives the label frequencies.
    run_ids : tuple of str [candidates]
        Ids of the candidates.
    n_examples : int
        Examples that selected.
    """

    picture = ".plots:plot_selection"

    path: Indices
    path_scores: Floats
    counts: Indices
    weights: Floats
    members: Indices
    stop_reason: str
    requested_size: int
    objective: str
    replacement: bool
    early_stop: bool
    single_scores: Floats
    top_k: Indices
    top_k_score: float
    random_scores: Floats
    cross_validation: CrossValidatedSelection | None
    prior_score: float
    run_ids: tuple[str, ...]
    n_examples: int

    @property
    def size(self) -> int:
        """Number of distinct members."""
        return len(self.members)

    @property
    def n_candidates(self) -> int:
        """Number of candidates, excluded ones included."""
        return len(self.weights)

    @property
    def score(self) -> float:
        """Objective of the ensemble on the examples that selected it; flatters it."""
        return float(self.path_scores[-1])

    @property
    def best_single(self) -> int:
        """Position of the best candidate alone."""
        return first_smallest(self.single_scores)

    @property
    def best_single_score(self) -> float:
        """Objective of the best candidate alone."""
        return float(np.nanmin(self.single_scores))

    @property
    def n_infinite(self) -> int:
        """Valid candidates with an infinite score alone."""
        return int(np.isinf(self.single_scores).sum())

    @property
    def n_worse_than_prior(self) -> int:
        """Valid candidates worse than always predicting the label frequencies."""
        return int((self.single_scores > self.prior_score).sum())

    @property
    def member_ids(self) -> tuple[str, ...]:
        """Ids of the distinct members."""
        return tuple(self.run_ids[i] for i in self.members)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, and what follows from them: size, scores, ids of the members, useless candidates."""
        derived = {name: to_plain(getattr(self, name)) for name in _DERIVED}
        optimism = None if self.cross_validation is None else self.cross_validation.optimism
        return {**super().to_dict(), **derived, "optimism": optimism}

    def table(self) -> Table:
        """Return the distinct members with their weights."""
        entered = [int(np.argmax(self.path == i)) for i in self.members]
        name = NAMES[self.objective]
        return Table(
            {
                "member": self.member_ids,
                "count": self.counts[self.members],
                "weight": self.weights[self.members],
                f"{name} alone": self.single_scores[self.members],
                f"{name} on entry": self.path_scores[entered],
            },
            formats={"weight": ".3f"},
        )

    def sentence(self) -> str:
        """Return what was chosen, and what choosing it bought on examples that did not choose."""
        name, checked = NAMES[self.objective], self.cross_validation
        head = (
            f"Greedy selection {'with' if self.replacement else 'without'} replacement selected {self.size} of "
            f"{count(self.n_candidates, 'candidate')} ({stop_words(self)}): {name} {self.score:.4f} on the "
            f"{count(self.n_examples, 'example')} that chose, which is optimistic."
        )
        if checked is None:
            return f"{head} What it gains was not measured: score it, and single runs, on other examples."
        low, high = checked.gain_interval
        least = 1e-9 * max(1.0, abs(checked.held_out))  # below which a gain is rounding
        verdict = "better" if low > least else "worse" if high < -least else "not shown to be better or worse"
        return (
            f"{head} Chosen on part of them and scored on the rest, its {name} is {checked.held_out:.4f}, against "
            f"{checked.held_out_single:.4f} for the best single run chosen alike: {verdict} (gain "
            f"{checked.gain_over_single:.4f}, 95% CI {low:.4f} to {high:.4f})."
        )


def stop_words(result: EnsembleSelection) -> str:
    """Return why the selection ended, in words."""
    again = ", since runs were chosen again; choosing without replacement fills it" if result.replacement else ""
    return {
        "size": f"the {result.size} asked for",
        "no improvement": f"of {result.requested_size} asked for; nothing more improved the score",
        "max steps": f"of {result.requested_size} asked for; the limit of {len(result.path)} steps was reached{again}",
    }[result.stop_reason]


@dataclass(frozen=True)
class Settings:
    """How to select: one record, so that selection and its cross-validation cannot differ."""

    size: int
    objective: str
    replacement: bool
    early_stop: bool
    max_steps: int

    def start(self, candidates: Candidates, rows: Indices | None = None) -> Objective:
        """Return the objective without a member yet, on all examples or on some rows."""
        return OBJECTIVES[self.objective](candidates, rows)


@opens("candidates")
@warns_of_seeds(pooled=False)
def select_ensemble(
    candidates: Any,
    labels: Any = None,
    size: int = 5,
    *,
    split: str = "validation",
    replacement: bool = True,
    objective: str = "nll",
    early_stop: bool = True,
    max_steps: int | None = None,
    folds: int = 5,
    n_random: int = 100,
    seed: int = 0,
    kind: str = "auto",
    nan: str = "exclude",
    ignore_index: int | None = None,
) -> EnsembleSelection:
    """Choose the members of an ensemble from trained runs by greedy forward selection.

    Each step adds the candidate that gives the best score of the averaged probabilities (the lowest position of those
    that are as good but for rounding), until `size` distinct members are in. The scores are exact and incremental.

    Parameters
    ----------
    candidates : array_like, RunOutputs, study or Candidates
        Logits or probabilities [runs, examples, classes], in memory or memory-mapped; predicted classes
        [runs, examples], for the objective ``"error"`` (a majority vote); a study; a path; or what `read_candidates`
        returned.
    labels : array_like of int [examples] or path, optional
        True classes; taken from the source where it has them.
    size : int
        Distinct members wanted. A member chosen again counts in the weights only.
    split : str
        Which split of a study to select on. Never the one to report on.
    replacement : bool
        Whether a candidate may be chosen again, which gives it more weight.
    objective : {"nll", "brier", "error"}
        What to minimise.
    early_stop : bool
        Stop when no candidate improves the score; the ensemble may then be smaller than `size`.
    max_steps : int, optional
        Limit of the number of steps; ``max(50, 10 * size)`` by default.
    folds : int
        Parts for cross-validated selection, which measures the over-fitting; 0 to leave it out.
    n_random : int
        Random subsets of `size` to compare with.
    seed : int
        Seed of folds and random subsets. The selection itself is deterministic.
    kind : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
        What the numbers are, where neither they nor their source tell.
    nan : {"exclude", "raise"}
        Whether runs with NaN, a positive infinity or a row without a finite entry are left out, or an error.
    ignore_index : int, optional
        Examples with this label are left out.

    Returns
    -------
    EnsembleSelection
        Members, weights, path, controls. Candidates with NaN or infinite outputs are excluded and named.

    Raises
    ------
    InputError
        No usable candidate, none with a finite score, or arguments out of range.

    References
    ----------
    Caruana et al. (2004), ICML; Wenzel et al. (2020), arXiv 2006.13570, algorithm 1 (``hyper_ens``).
    """
    check_choice(objective, "objective", OBJECTIVES)
    size = int(check_integers(size, "size", 1, None))
    pool = read_candidates(candidates, labels, split=split, kind=kind, nan=nan, ignore_index=ignore_index)
    check_objective(pool, objective)
    steps = max(50, 10 * size) if max_steps is None else int(check_integers(max_steps, "max_steps", 1, None))
    settings = Settings(min(size, len(pool)), objective, replacement, early_stop, steps)
    start = settings.start(pool)
    alone = start.scores()
    check_finite(alone, pool)
    path, path_scores, reason = greedy(start, settings, len(pool))
    rng = np.random.default_rng(check_seed(seed))
    top = ranking(alone)[: settings.size]
    subsets = [rng.permutation(len(pool))[: settings.size] for _ in range(n_random)]
    controls = mixture_losses(pool, objective, [top, *subsets]).mean(axis=1)
    return _result(
        pool,
        settings,
        path=path,
        path_scores=path_scores,
        alone=alone,
        stop_reason=reason,
        requested_size=size,
        top=top,
        top_k_score=float(controls[0]),
        random_scores=controls[1:],
        cross_validation=_cross_validate(pool, settings, folds, rng),
    )


def greedy(start: Objective, settings: Settings, n: int) -> tuple[Indices, Floats, str]:
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


def _cross_validate(
    pool: Candidates, settings: Settings, folds: int, rng: np.random.Generator
) -> CrossValidatedSelection | None:
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


def _result(pool: Candidates, settings: Settings, *, path: Indices, alone: Floats, top: Indices, **rest: Any) -> Any:
    n = len(pool.members)
    counts = np.bincount(pool.valid[path], minlength=n)
    single = np.full(n, np.nan)
    single[pool.valid] = alone
    entered = np.sort(np.unique(path, return_index=True)[1])
    return EnsembleSelection(
        path=pool.valid[path],
        counts=counts,
        weights=counts / len(path),
        members=pool.valid[path[entered]],
        objective=settings.objective,
        replacement=settings.replacement,
        early_stop=settings.early_stop,
        single_scores=single,
        top_k=pool.valid[top],
        prior_score=prior_loss(pool.labels, settings.objective),
        run_ids=pool.members.outputs.run_ids,
        n_examples=len(pool.labels),
        excluded=pool.excluded(),
        warnings=(*_reservations(pool, rest["requested_size"]), *_useless(pool, settings.objective, alone)),
        **rest,
    )


def _useless(pool: Candidates, objective: str, alone: Floats) -> tuple[str, ...]:
    """Return what is to be said of candidates that alone are of no use."""
    worse, infinite = int((alone > prior_loss(pool.labels, objective)).sum()), int(np.isinf(alone).sum())
    said = (
        (worse, "always giving the label frequencies would score better than they do alone"),
        (infinite, "they give some true classes probability zero, so that their score alone is infinite"),
    )
    return tuple(
        f"{found} of {count(len(pool), 'candidate')} {'is' if found == 1 else 'are'} of little use: {why}"
        for found, why in said
        if found
    )


def _reservations(pool: Candidates, requested: int) -> tuple[str, ...]:
    present = np.unique(pool.labels)
    said: list[tuple[bool | NDArray[np.bool_], str]] = [
        (
            requested > len(pool),
            f"{requested} members were asked for, only {count(len(pool), 'candidate')} can be used",
        ),
        (len(present) == 1, f"all labels are class {present[0]}: the scores say little"),
        (
            len(pool.labels) < ENOUGH_EXAMPLES,
            f"{len(pool.labels)} examples select poorly; use at least {ENOUGH_EXAMPLES}",
        ),
        (
            len(pool) < ENOUGH_CANDIDATES,
            f"{count(len(pool), 'candidate')} to choose from are few; {ENOUGH_CANDIDATES} or more pay off",
        ),
    ]
    return tuple(text for applies, text in said if applies)
