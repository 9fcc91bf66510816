"""Greedy forward selection of an ensemble from trained runs (Caruana et al. 2004), with its controls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice, check_integers, check_seed, check_settings
from ..._reading.opening import opens
from ..._reading.probabilities import Floats
from ..._results import Result, Table, to_plain
from ..._words import count
from .._ties import first_smallest, ranking
from ..audit.auditing import warns_of_seeds
from .candidates import (
    OBJECTIVES,
    Candidates,
    Indices,
    candidates_of,
    check_finite,
    check_objective,
    mixture_losses,
    prior_loss,
    reading_of,
)
from .defaults import FOLDS, OBJECTIVE, RANDOM_SUBSETS, SIZE, SelectionSettings, most_steps
from .greedy import CrossValidatedSelection, GreedySettings, cross_validate, greedy
from .words import NAMES, loss_text

ENOUGH_EXAMPLES, ENOUGH_CANDIDATES = 300, 20
_DERIVED = (
    "size", "score", "best_single_score", "member_ids", "n_candidates", "n_infinite", "n_worse_than_prior",
)  # fmt: skip


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
            f"Greedy selection chose {self.size} of {count(self.n_candidates, 'candidate')} ({stop_words(self)}): "
            f"{name} {self.score:.4f} on the {count(self.n_examples, 'selection example')} (optimistic)."
        )
        if checked is None:
            return f"{head} What it gains was not measured: score it, and single runs, on other examples."
        return (
            f"{head} On held-out parts it has {loss_text(checked.held_out)}, the best single run "
            f"{loss_text(checked.held_out_single)}: {gain_words(checked)}."
        )


def gain_words(checked: CrossValidatedSelection) -> str:
    """Return whether choosing is shown to gain over the best single run."""
    low, high = checked.gain_interval
    if not math.isfinite(checked.gain_over_single):
        return "undecided, as an infinite score has no difference"
    least = 1e-9 * max(1.0, abs(checked.held_out))  # below which a gain is rounding
    verdict = "better" if low > least else "worse" if high < -least else "undecided"
    return f"{verdict} (gain {checked.gain_over_single:.4f}, 95% CI {low:.4f} to {high:.4f})"


def stop_words(result: EnsembleSelection) -> str:
    """Return why the selection ended, in words."""
    return {
        "size": f"the {result.size} requested",
        "no improvement": f"{result.requested_size} requested; no further candidate improved the score",
        "max steps": f"{result.requested_size} requested; the limit of {len(result.path)} steps was reached",
    }[result.stop_reason]


@opens("candidates")
@warns_of_seeds(pooled=False)
def select_ensemble(
    candidates: Any,
    labels: Any = None,
    size: int = SIZE,
    *,
    replacement: bool = True,
    objective: str = OBJECTIVE,
    early_stop: bool = True,
    folds: int = FOLDS,
    seed: int = 0,
    **settings: Unpack[SelectionSettings],
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
    replacement : bool
        Whether a candidate may be chosen again, which gives it more weight.
    objective : {"nll", "brier", "error"}
        What to minimise.
    early_stop : bool
        Stop when no candidate improves the score; the ensemble may then be smaller than `size`.
    folds : int
        Parts for cross-validated selection, which measures the over-fitting; 0 for none.
    seed : int
        Seed of folds and random subsets. The selection itself is deterministic.
    **settings
        How candidates are read (`split`, "validation" by default, `kind`, `nan`, `ignore_index`), the limit of steps
        (`max_steps`), and how many random subsets to compare with (`n_random`): see `SelectionSettings`.

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

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> chosen = rs.methods.ensembles.select_ensemble(logits, labels, 3)
    >>> chosen.size
    3
    """
    check_choice(objective, "objective", OBJECTIVES)
    size = int(check_integers(size, "size", 1, None))
    check_settings(settings, SelectionSettings.__annotations__, select_ensemble)
    pool = candidates_of(candidates, labels, reading_of(settings), objective=objective)
    check_objective(pool, objective)
    limit = settings.get("max_steps")
    steps = most_steps(size) if limit is None else int(check_integers(limit, "max_steps", 1, None))
    how = GreedySettings(min(size, len(pool)), objective, replacement, early_stop, steps)
    start = how.start(pool)
    alone = start.scores()
    check_finite(alone, pool)
    path, path_scores, reason = greedy(start, how, len(pool))
    rng = np.random.default_rng(check_seed(seed))
    top = ranking(alone)[: how.size]
    subsets = [rng.permutation(len(pool))[: how.size] for _ in range(settings.get("n_random", RANDOM_SUBSETS))]
    controls = mixture_losses(pool, objective, [top, *subsets]).mean(axis=1)
    return _result(
        pool,
        how,
        path=path,
        path_scores=path_scores,
        alone=alone,
        stop_reason=reason,
        requested_size=size,
        top=top,
        top_k_score=float(controls[0]),
        random_scores=controls[1:],
        cross_validation=cross_validate(pool, how, folds, rng),
    )


def _result(
    pool: Candidates, settings: GreedySettings, *, path: Indices, alone: Floats, top: Indices, **rest: Any
) -> Any:
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
        warnings=(
            *_caveats(pool, rest["requested_size"]),
            *_useless(pool, settings.objective, alone),
            *_unfilled(settings, rest["stop_reason"]),
        ),
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


def _unfilled(settings: GreedySettings, stop_reason: str) -> tuple[str, ...]:
    """Return how to get the members requested, where the limit of steps came first."""
    if stop_reason != "max steps" or not settings.replacement:
        return ()
    return ("runs were chosen again until the limit of steps: choosing without replacement fills the ensemble",)


def _caveats(pool: Candidates, requested: int) -> tuple[str, ...]:
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
