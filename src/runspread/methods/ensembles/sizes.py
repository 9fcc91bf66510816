"""Score of an ensemble against its size, for several ways to choose its members."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from ..._checks import check_choice, check_integers, check_seed, check_settings
from ..._reading.opening import opens
from ..._reading.probabilities import Floats
from ..._reading.protocols import is_study
from ..._results import Result, Table
from ..._words import count
from ...errors import InputError
from .._ties import first_smallest, ranking
from .candidates import (
    OBJECTIVES,
    Candidates,
    Indices,
    candidates_of,
    check_finite,
    check_objective,
    mixture_losses,
    reading_of,
)
from .defaults import OBJECTIVE, RANDOM_SUBSETS_PER_SIZE, REPORTING, SIZES, CandidateOptions, SizesSettings, most_steps
from .greedy import GreedySettings, greedy
from .words import NAMES, loss_text

NOT_SCORED, NOT_CHOSEN = "no outputs on the examples that score", "no outputs on the examples that choose"


@dataclass(frozen=True, eq=False, kw_only=True)
class EnsembleSizes(Result):
    """Scores by ensemble size; members are chosen on one set of examples and scored on another.

    Attributes
    ----------
    sizes : ndarray of int64 [sizes]
        Distinct members.
    curves : dict of str to ndarray [sizes]
        Score by way of choosing; NaN where selection stopped before that size.
    random_low, random_high : ndarray [sizes]
        10 % and 90 % quantiles over random subsets.
    objective : {"nll", "brier", "error"}
        What was minimised and is shown.
    n_candidates, n_selection_examples, n_report_examples : int
        Candidates, examples that chose, examples that scored.
    """

    picture = ".plots:plot_ensemble_sizes"

    sizes: Indices
    curves: dict[str, Floats]
    random_low: Floats
    random_high: Floats
    objective: str
    n_candidates: int
    n_selection_examples: int
    n_report_examples: int

    def with_curve(self, name: str, scores: ArrayLike) -> EnsembleSizes:
        """Return the result with one more curve [sizes], for example of deep ensembles; NaN where there is none."""
        values = np.asarray(scores, dtype=np.float64)
        if values.shape != self.sizes.shape:
            raise InputError(f"got {values.shape} scores for {len(self.sizes)} sizes", "one score per size")
        return dataclasses.replace(self, curves={**self.curves, name: values})

    def table(self) -> Table:
        """Return a row for each size."""
        formats = dict.fromkeys(self.curves, ".4f")
        return Table({"size": self.sizes, **self.curves}, formats=formats)

    def sentence(self) -> str:
        """Return which greedy ensemble is the best, and what it reaches."""
        chosen = self.curves["greedy"]
        best, last = first_smallest(chosen), int(np.flatnonzero(~np.isnan(chosen))[-1])
        name = NAMES[self.objective]
        more = "" if best == last else f"; the largest ({self.sizes[last]}) has {loss_text(chosen[last])}"
        random = loss_text(self.curves["random"][best])
        return (
            f"The best greedy ensemble of {count(self.n_candidates, 'candidate')} has "
            f"{count(int(self.sizes[best]), 'member')}: {name} {loss_text(chosen[best])} on {self.n_report_examples} "
            f"examples that did not choose them, against {loss_text(chosen[0])} for the smallest ({self.sizes[0]}) and "
            f"{random} for the median random one{more}. The size was picked on these examples."
        )


@opens("candidates", "report")
def ensemble_sizes(
    candidates: Any,
    labels: Any = None,
    *,
    report: Any = None,
    report_labels: Any = None,
    sizes: Sequence[int] = SIZES,
    objective: str = OBJECTIVE,
    seed: int = 0,
    **settings: Unpack[SizesSettings],
) -> EnsembleSizes:
    """Score greedy, top-K and random ensembles of several sizes on examples that did not choose them.

    Parameters
    ----------
    candidates, labels
        As in `select_ensemble`: outputs on the examples that choose.
    report, report_labels
        Outputs of the same runs in the same order on the examples that score; a study brings both, and runs that have
        only one of the two are excluded.
    sizes : sequence of int
        Distinct members.
    objective : {"nll", "brier", "error"}
        What to minimise, and to show.
    seed : int
        Seed of the random subsets.
    **settings
        How candidates are read (`split`, `report_split`, `kind`, `nan`, `ignore_index`), how they are chosen
        (`replacement`, `early_stop`), and how many random subsets to draw (`n_random`): see `SizesSettings`.

    Returns
    -------
    EnsembleSizes
        A curve for ``greedy``, ``top K`` and ``random`` (median), and the band of the random subsets.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> choose, report = logits[:, :100], logits[:, 100:]
    >>> found = rs.methods.ensembles.ensemble_sizes(
    ...     choose, labels[:100], report=report, report_labels=labels[100:], sizes=(1, 2, 4)
    ... )
    >>> found.sizes
    array([1, 2, 4])
    """
    check_choice(objective, "objective", OBJECTIVES)
    wanted = np.unique(check_integers(list(sizes), "sizes", 1, None))
    if report is None and not is_study(candidates):
        raise InputError("there are no examples to report on", "report= and report_labels=, or a study")
    check_settings(settings, SizesSettings.__annotations__, ensemble_sizes)
    reading = reading_of(settings)
    choosing = candidates_of(candidates, labels, reading, objective=objective)
    check_objective(choosing, objective)
    source = candidates if report is None else report
    there: CandidateOptions = {**reading, "split": settings.get("report_split", REPORTING)}
    scoring = candidates_of(source, report_labels, there, objective=objective)
    check_objective(scoring, objective)
    choosing, scoring = _same_runs(choosing, scoring, by_id=report is None)
    wanted = wanted[wanted <= len(choosing)]
    alone = OBJECTIVES[objective](choosing, None).scores()
    check_finite(alone, choosing)
    how = GreedySettings(
        size=int(wanted[-1]),
        objective=objective,
        replacement=settings.get("replacement", False),
        early_stop=settings.get("early_stop", False),
        max_steps=most_steps(int(wanted[-1])),
    )
    path, _, _ = greedy(how.start(choosing), how, len(choosing))
    ranked = ranking(alone)
    rng = np.random.default_rng(check_seed(seed))
    n_random = settings.get("n_random", RANDOM_SUBSETS_PER_SIZE)
    count = int(check_integers(n_random, "n_random", 1, None))
    draws = [rng.permutation(len(choosing))[:size] for size in wanted for _ in range(count)]
    mixtures = [*(_prefix(path, size) for size in wanted), *(ranked[:size] for size in wanted), *draws]
    losses = mixture_losses(scoring, objective, mixtures).mean(axis=1)
    n, unique = len(wanted), len(set(path))
    chosen = np.where(wanted <= unique, losses[:n], np.nan)
    random = losses[2 * n :].reshape(n, count)
    low, middle, high = np.quantile(random, [0.1, 0.5, 0.9], axis=1)
    return EnsembleSizes(
        sizes=wanted,
        curves={"greedy": chosen, "top K": losses[n : 2 * n], "random": middle},
        random_low=low,
        random_high=high,
        objective=objective,
        n_candidates=len(choosing),
        n_selection_examples=len(choosing.labels),
        n_report_examples=len(scoring.labels),
        excluded=tuple({item.run: item for item in (*scoring.excluded(), *choosing.excluded())}.values()),
    )


def _prefix(path: Indices, size: int) -> Indices:
    """Return the path up to the step at which it has `size` distinct members: what selecting that many would give."""
    first = np.sort(np.unique(path, return_index=True)[1])
    return path[: first[min(size, len(first)) - 1] + 1]


def _same_runs(choosing: Candidates, scoring: Candidates, *, by_id: bool) -> tuple[Candidates, Candidates]:
    """Return the candidates with usable outputs on both sets of examples."""
    if choosing.ids == scoring.ids:
        return choosing, scoring
    both = set(choosing.ids) & set(scoring.ids)
    one, other = choosing.only(both, NOT_SCORED), scoring.only(both, NOT_CHOSEN)
    if not both or one.ids != other.ids or not (by_id or len(choosing.members) == len(scoring.members)):
        raise InputError(
            f"got {len(choosing)} runs with usable outputs to choose from and {len(scoring)} to report on",
            "the same runs in the same order",
        )
    return one, other
