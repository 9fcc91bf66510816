"""Keywords of the verbs that take outputs per example and one number per run alike, and which belong to which."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from numpy.typing import ArrayLike

from ..._checks import check_keywords
from ..._reading.options import DEFAULTS_OF_OUTCOMES, OutcomeOptions
from ..._reading.scores.table import DEFAULTS as READING
from ..._reading.scores.table import ScoreReading
from ..._words import listed
from ...errors import InputError
from ..scores.compare import COMPARING
from ..scores.over_tasks import OVER_TASKS
from ..scores.planning import PLANNING
from ..scores.ranking import RANKING
from ..scores.summary import DESCRIBING
from ..variance.defaults import COMPARE, PLAN

# What only outputs per example have, and what only tables have; a study has both, and `by` divides it.
OF_OUTPUTS = ("correct", "clusters", "kind", "nan", "missing", "seeds", "samples_are")
OF_TABLES = ("value", "seed", "task", "step", "run", "where", "repeats")
KNOWN: dict[str, Any] = {**DEFAULTS_OF_OUTCOMES, **READING, "names": None, "correct": None, "points": False}


class EvidenceOptions(OutcomeOptions, ScoreReading, total=False):
    """Keywords that say how evidence is read: outputs per example (`OutcomeOptions`) or scores (`ScoreReading`).

    names : sequence of str
        What the sources are called.
    correct : array_like, or one for each source
        Correctness of each run on each example, instead of outputs.
    examples : int
        With accuracies: size of the test set they are measured on; its noise is counted as that of independent errors.
    points : bool
        Whether margins and gaps of accuracies are in percentage points, as on the command line.
    """

    names: tuple[str, ...]
    correct: Any
    examples: int
    points: bool


class ComparingOptions(EvidenceOptions, total=False):
    """Rarely needed keywords of `compare`: of reading, and these.

    baseline, new_arm : str
        Which arm is old, and which one new; of more than two arms each is compared with the baseline.
    clusters, seeds, samples_are
        Of outputs per example; see `methods.variance.compare`.
    paired : bool or "design"
        Whether to pair runs of equal seeds where a correlation is shown.
    spread, gap, threshold, tasks, normalise, gamma
        Of scores; see `methods.scores.compare_scores` and `compare_tasks`.
    """

    baseline: str
    new_arm: str
    clusters: ArrayLike | None
    seeds: Any
    samples_are: str
    paired: bool | str
    spread: str | tuple[float, float]
    gap: float
    threshold: float
    tasks: str
    normalise: Any
    gamma: float


class SummarisingOptions(EvidenceOptions, total=False):
    """Rarely needed keywords of `summary`: of reading, and these.

    target_is_run, threshold, interval
        Of scores; see `methods.scores.run_scores`.
    """

    target_is_run: bool
    threshold: float
    interval: str


class RankingOptions(EvidenceOptions, total=False):
    """Rarely needed keywords of `rank`: of reading, and these.

    on, tasks, normalise, gamma
        Of a table with several tasks; see `methods.scores.compare_tasks`.
    spread : {"each", "shared"}
        Each arm with its own spread, or one for all.
    """

    on: str
    tasks: str
    normalise: Any
    gamma: float
    spread: str


class PlanningOptions(EvidenceOptions, total=False):
    """Keywords of `plan`: of reading, those of `methods.variance.plan_runs`, and those of `methods.scores.plan_scores`.

    variance, variance_b, n_examples, error, tau2, clusters
        Of outputs per example.
    sd, like, spread, not_worse, equivalent, superior, n_old
        Of scores: what is known of the spread, a margin, and the runs of the old arm that are there.
    baseline : str
        The arm whose runs are the pilot; by default all arms are, with their spreads pooled.
    alpha, power : float
        Two-sided level (0.05), and probability of success (0.8).
    """

    variance: float | None
    variance_b: float | None
    n_examples: int | None
    error: float | None
    tau2: float | None
    clusters: ArrayLike | None
    sd: float
    like: str | tuple[float, float]
    not_worse: float
    spread: str
    equivalent: float
    superior: float
    n_old: int
    baseline: str
    alpha: float
    power: float


COMPARISONS = {*KNOWN, *COMPARE, *COMPARING, *OVER_TASKS, "clusters"} - {"confidence_level"}
RANKINGS = {*KNOWN, *RANKING, *OVER_TASKS} - {"confidence_level", "new_arm"}
SUMMARIES = {*KNOWN, *DESCRIBING} - {"confidence_level"}
PLANS = {*KNOWN, *PLAN, *PLANNING, "baseline", "examples"} - {"pilot", "runs"}


def check(given: Collection[str], known: Collection[str], verb: str, named: Collection[str] = ()) -> None:
    """Raise an InputError for the first keyword that a verb does not know; `named` are its other ones."""
    check_keywords([name for name in given if name not in known], sorted({*known, *named}), verb)


def refuse(given: Mapping[str, Any], names: Collection[str], beside: str) -> None:
    """Raise an InputError for keywords that were given and have no effect beside what there is."""
    found = [f"{name}=" for name in names if given.get(name) is not None]
    if found:
        has = "has" if len(found) == 1 else "have"
        raise InputError(f"{listed(found)} {has} no effect on {beside}", hint=f"Drop {listed(found)}.")


def some(given: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return those of the keywords."""
    return {name: value for name, value in given.items() if name in names}
