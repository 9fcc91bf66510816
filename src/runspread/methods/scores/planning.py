"""`plan_scores`: how many runs a gap takes, or which gap a number of runs shows (scores 6)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice, check_integers, check_keywords
from ..._results import Table
from ..._words import count, percent
from ...errors import InputError
from ..variance.pilot import SAFE, Arm, Spread
from ..variance.power import runs_for_welch, smallest, welch_power, welch_rejection
from .amounts import Amounts
from .basis import ScoreResult
from .defaults import LEVEL, MOST_RUNS, POWER
from .one_arm import standard_deviation
from .plans import equivalence_power, runs_for_superiority, superiority_power
from .prior import Prior, atlas_prior

Floats = NDArray[np.float64]
PLANNING: dict[str, Any] = {
    "pilot": None,
    "sd": None,
    "like": None,
    "not_worse": None,
    "equivalent": None,
    "superior": None,
    "spread": "shared",
    "runs": None,
    "n_old": None,
    "power": POWER,
    "alpha": 1 - LEVEL,
}
_TOO_MANY = 10**5


class PlanSettings(TypedDict, total=False):
    """Keywords of `plan_scores`.

    pilot : array_like of float [n], or a sequence of them
        Runs from which the spread is known, of one arm or of several.
    sd : float
        The standard deviation between runs, taken as exact.
    like : str or (float, float)
        A known spread: an entry of `atlas`, or a standard deviation and its degrees of freedom.
    not_worse, equivalent : float
        Margin above 0; plans for that question, at a true difference of `gap` (0 if not given).
    superior : float
        Share of pairs in which a run of new beats one of old, above one half and below 1: the runs that show that new
        is better (Noether 1987). Nothing has to be known of the spread.
    spread : {"shared", "each"}
        Whether arms of a pilot spread alike, so that they are pooled (default), or each has a spread of its own: the
        first is the old arm, the second the new one.
    runs : int
        Runs of each arm: the gap that they show is asked for.
    n_old : int
        Runs of the old arm that are there; the runs of the new one are asked for.
    power, alpha : float
        Default 0.8 and 0.05.
    """

    pilot: Any
    sd: float
    like: str | tuple[float, float]
    not_worse: float
    equivalent: float
    superior: float
    spread: str
    runs: int
    n_old: int
    power: float
    alpha: float


@dataclass(frozen=True, eq=False, kw_only=True)
class ScorePlan(ScoreResult):
    """How many runs a question about scores takes.

    Attributes
    ----------
    question : str
        better, not worse, equivalent, or superior: better by the share of pairs that its runs win.
    gap : float
        True difference that is planned for, or that `runs_assurance` runs show.
    margin : float or None
        Of the question; of superior, that share.
    sd, df : float
        Standard deviation between runs, and its degrees of freedom (infinite where taken as exact).
    sd_upper : float
        Upper bound of it (80 %).
    spread_old : tuple of float or None
        The same standard deviation and degrees of freedom of the old arm, where each has its own.
    runs_plugin, runs_assurance, runs_upper : float
        Runs of each arm (of the new one, with `n_old`): if the standard deviation is exact; so that power is what was
        asked on average over what the pilot leaves open; at the upper bound. Infinite where none suffice, NaN where a
        pilot is too small to say.
    n_old : int or None
        Runs of the old arm.
    power, alpha : float
        What was asked.
    solved_for : str
        runs or gap.
    metric, unit : str
        Name of the metric, where it is known; fraction, percent or plain.
    examples : int or None
        Size of the test set, where its noise bounds what runs can show.
    examples_needed : int or None
        How many examples the gap takes however many runs there are, where there are too few.
    """

    picture = ".plots_plans:plot_score_plan"

    question: str
    gap: float
    margin: float | None
    sd: float
    df: float
    sd_upper: float
    runs_plugin: float
    runs_assurance: float
    runs_upper: float
    n_old: int | None
    power: float
    alpha: float
    solved_for: str
    metric: str = ""
    unit: str = "plain"
    examples: int | None = None
    examples_needed: int | None = None
    spread_old: tuple[float, float] | None = None

    def table(self) -> Table:
        """Return the three plans."""
        plans = ("standard deviation exact", "on average over the pilot", "to be safe (80 %)")
        runs = [_plain(value) for value in (self.runs_plugin, self.runs_assurance, self.runs_upper)]
        return Table({"plan": plans, "runs": runs, "sd": [self.sd, math.nan, self.sd_upper]})

    def sentence(self) -> str:
        """Return the runs, and what they rest on."""
        runs, amounts = _runs_text(self.runs_assurance), Amounts(self.metric, self.unit, self.gap)
        cases = "in four cases of five" if self.power == POWER else f"in {percent(self.power)} of cases"
        gap, margin = amounts.margin(self.gap), amounts.margin(self.margin or 0.0)
        if self.solved_for == "gap":
            return f"{runs} of each arm show a gap of {amounts.rounded(self.gap)} {cases} ({_basis(self)})."
        of = "of the new arm" if self.n_old is not None else "of each arm"
        if self.examples_needed is not None:
            start = f"No number of runs shows a gap of {gap} on {self.examples:,} examples {cases}"
            return f"{start}: their noise stays, and takes about {self.examples_needed:,} examples to fall below it."
        if math.isinf(self.runs_assurance):
            start = f"No number of new runs shows a gap of {gap} {cases}"
            return f"{start}: more than {self.n_old} runs of old are needed."
        if self.question == "superior":
            return (
                f"{runs} {of} show that new is better, if its run wins {percent(self.margin or 0.0)} of pairs, {cases}."
            )
        if math.isnan(self.runs_assurance):
            return (
                f"A pilot of {count(int(self.df) + 1, 'run')} is too small to plan with: run one more pilot first "
                f"({_plain(self.runs_plugin)} runs {of} if the standard deviation were exactly {_sd(self)})."
            )
        aim = {
            "better": f"show a gap of {gap}",
            "not worse": f"show that new is not worse by more than {margin}",
            "equivalent": f"show equivalence within {margin}",
        }[self.question]
        return f"{runs} {of} {aim} {cases} ({_basis(self)})."


def _plain(value: float) -> Any:
    return int(value) if math.isfinite(value) else value


def _runs_text(value: float) -> str:
    return count(int(value), "run") if math.isfinite(value) else str(value)


def _basis(plan: ScorePlan) -> str:
    if math.isinf(plan.df):
        return f"standard deviation between runs {_sd(plan)}, taken as exact"
    if plan.solved_for == "gap":
        return f"allowing for a standard deviation of {_sd(plan)} from {plan.df:.3g} degrees of freedom"
    known, exactly = f"a standard deviation known from {plan.df:.3g}", f"it were exactly {_sd(plan)}"
    if plan.spread_old is not None:
        known = f"standard deviations known from {plan.spread_old[1]:.3g} and {plan.df:.3g}"
        exactly = "they were exactly those of the pilots"
    return (
        f"allowing for {known} degrees of freedom; {_plain(plan.runs_plugin)} if {exactly}, "
        f"{_plain(plan.runs_upper)} to be safe"
    )


def _sd(plan: ScorePlan) -> str:
    return Amounts(plan.metric, plan.unit, plan.sd).rounded(plan.sd)


def plan_scores(gap: float | None = None, **settings: Unpack[PlanSettings]) -> ScorePlan:
    """Return how many runs of each arm a gap takes, or which gap a number of runs shows.

    The test planned for is that of `compare_scores`. A plan that takes the standard deviation of a small pilot at its
    word has too little power; the one returned in `runs_assurance` has the power asked for on average over what the
    pilot leaves open.

    Parameters
    ----------
    gap : float, optional
        True difference of means to be shown, in the unit of the metric: not the one that the pilot happened to show.
    **settings : PlanSettings
        What is known of the spread, and the question.

    Raises
    ------
    InputError
        Nothing known of the spread, no gap, or a power or level outside 0 to 1.

    Examples
    --------
    >>> import runspread as rs
    >>> plan = rs.methods.scores.plan_scores(2.0, pilot=[90.1, 92.4, 88.7, 91.0, 93.9])
    >>> bool(plan.runs_plugin < plan.runs_assurance < plan.runs_upper)
    True
    """
    check_keywords(settings, PLANNING, "plan_scores")
    options: dict[str, Any] = {**PLANNING, **settings}
    alpha, power = options["alpha"], options["power"]
    for name, value in (("alpha", alpha), ("power", power)):
        if not 0 < value < 1:
            raise InputError(f"{name} is {value}", "a number between 0 and 1")
    question, margin = _question(options)
    if question == "superior":
        return _superior(margin or 0.0, alpha, power)
    spread = _spread_of(options)
    if options["runs"] is not None:
        return _gap_shown(spread, int(check_integers(options["runs"], "runs", 1, None)), alpha, power)
    if gap is None and question == "better":
        raise InputError("no gap is given", "gap= or runs=", "Plan for a gap that would matter, not the one just seen.")
    true = 0.0 if gap is None else float(gap)
    if not math.isfinite(true) or (question == "better" and not true > 0):
        raise InputError(f"gap={true:g} is no difference to show", "one above 0, in the unit of the metric")
    n_old = None if options["n_old"] is None else int(check_integers(options["n_old"], "n_old", 1, None))
    solve = _solver(question, true, margin or 0.0, alpha, power, n_old)
    upper = spread.quantile(SAFE)
    exact, safe = (solve(_exactly(spread, pair)) for pair in (spread.variances, upper))
    runs = exact if spread.known else solve(spread)
    if min(arm.degrees for arm in spread.arms) <= 1 and runs > MOST_RUNS:
        runs = safe = math.nan
    return ScorePlan(
        question=question,
        gap=true,
        margin=margin,
        **_spread_facts(spread, upper),
        runs_plugin=exact,
        runs_assurance=runs,
        runs_upper=safe,
        n_old=options["n_old"],
        power=power,
        alpha=alpha,
        solved_for="runs",
    )


def _exactly(spread: Spread, pair: tuple[float, float]) -> Spread:
    """Return a spread as if its variances were exactly these."""
    return Spread(Arm(pair[0]), None if spread.second is None else Arm(pair[1]))


def _spread_facts(spread: Spread, upper: tuple[float, float]) -> dict[str, Any]:
    """Return what a plan says of the standard deviation: of the new arm, and of the old one where it has its own."""
    old, new = spread.arms
    facts = {
        "sd": math.sqrt(new.variance),
        "df": new.degrees,
        "sd_upper": math.sqrt(upper[1]),
    }
    return facts if spread.second is None else {**facts, "spread_old": (math.sqrt(old.variance), old.degrees)}


def _superior(share: float, alpha: float, power: float) -> ScorePlan:
    """Return the runs of each arm that show that the one which wins this share of pairs is better."""
    runs, nan = float(runs_for_superiority(share, alpha, power)), math.nan
    return ScorePlan(
        question="superior",
        gap=nan,
        margin=share,
        sd=nan,
        df=math.inf,
        sd_upper=nan,
        runs_plugin=runs,
        runs_assurance=runs,
        runs_upper=runs,
        n_old=None,
        power=power,
        alpha=alpha,
        solved_for="runs",
    )


def _spread_of(options: dict[str, Any]) -> Spread:
    """Return what is known of the variances of both arms: one that they share, or one of each."""
    if check_choice(options["spread"], "spread", ("shared", "each")) == "shared":
        return Spread(_shared(options))
    arms = _pilots(options["pilot"]) if options["pilot"] is not None else []
    if len(arms) != 2 or options["sd"] is not None:
        raise InputError(
            f"spread='each' is given with {count(len(arms), 'pilot')}", "runs of two arms", "Pass pilot=(old, new)."
        )
    first, second = (_shared({**options, "pilot": arm}) for arm in arms)
    return Spread(first, second)


def _shared(options: dict[str, Any]) -> Arm:
    """Return what is known of the variance between runs: exact, from a pilot, from elsewhere, or both of these."""
    if options["sd"] is not None:
        if not 0 < options["sd"] < math.inf:
            raise InputError(f"sd is {options['sd']}", "a standard deviation above 0")
        return Arm(float(options["sd"]) ** 2)
    like = options["like"]
    known = None if like is None else atlas_prior(like) if isinstance(like, str) else Prior(*like)
    if options["pilot"] is None:
        if known is None:
            raise InputError("nothing is known of the spread between runs", "one of pilot=, sd= and like=")
        return Arm(known.sd**2, known.df)
    squares, degrees = _pilot(options["pilot"])
    if known is None:
        if not squares > 0:
            raise InputError("the pilot has no spread between runs", "two or more runs that differ")
        return Arm(squares / degrees, degrees)
    return Arm((known.df * known.sd**2 + squares) / (known.df + degrees), known.df + degrees)


def _pilot(pilot: ArrayLike) -> tuple[float, int]:
    """Return the sum of squares within the arms of a pilot and its degrees of freedom."""
    several = [arm for arm in _pilots(pilot) if len(arm) > 1]
    return (
        sum(standard_deviation(arm) ** 2 * (len(arm) - 1) for arm in several),
        sum(len(arm) - 1 for arm in several),
    )


def _pilots(pilot: Any) -> list[Floats]:
    """Return the arms of a pilot."""
    nested: Any = list(pilot.values()) if isinstance(pilot, dict) else pilot
    return [np.asarray(arm, np.float64) for arm in nested] if np.ndim(nested[0]) else [np.asarray(nested, np.float64)]


def _question(options: dict[str, Any]) -> tuple[str, float | None]:
    given = {name: options[name] for name in ("not_worse", "equivalent", "superior") if options[name] is not None}
    if len(given) > 1:
        raise InputError(f"both {'= and '.join(given)}= are given", "one question")
    for name, margin in given.items():
        if not margin > 0:
            raise InputError(f"{name} is {margin}", "a margin above 0")
        return name.replace("_", " "), float(margin)
    return "better", None


def _solver(
    question: str, gap: float, margin: float, alpha: float, power: float, n_old: int | None
) -> Callable[[Spread], float]:
    """Return what finds the runs that a question takes, given what is known of the spread."""
    if (question == "equivalent" and abs(gap) >= margin) or (question == "not worse" and gap <= -margin):
        raise InputError(f"the true difference {gap:g} is beyond the margin {margin:g}", "one inside it")

    def reached(spread: Spread, runs: int) -> bool:
        return _expected(question, spread, runs, gap, margin, alpha, n_old) >= power

    def solve(spread: Spread) -> float:
        if n_old is not None and not reached(spread, _TOO_MANY):
            return math.inf
        if question == "better" and n_old is None:
            return spread.runs(gap, alpha, power) if not spread.known else _exact(spread)
        return float(smallest(lambda runs: reached(spread, runs)))

    def _exact(spread: Spread) -> float:
        return float(runs_for_welch(gap, *spread.variances, alpha, power))

    return solve


def _expected(
    question: str, spread: Spread, runs: int, gap: float, margin: float, alpha: float, n_old: int | None
) -> float:
    """Return the power that is to be expected, over what is left open of the spread."""
    if question == "superior":
        return superiority_power(margin, runs, alpha)
    if spread.second is not None:
        rows = [(float(a), float(b)) for a, b in spread.draws]
        return float(np.mean([_power(question, a, b, runs, gap, margin, alpha, n_old) for a, b in rows]))
    variances = spread.draws[:, 0]
    if question == "equivalent":
        return float(np.mean([equivalence_power(margin, v, v, runs, alpha, gap) for v in variances.tolist()]))
    sides, shift = (2, gap) if question == "better" else (1, gap + margin)
    old = runs if n_old is None else n_old
    if len(variances) == 1:
        return welch_power(shift, variances[0], variances[0], old, runs, alpha, sides=sides)
    rejection = welch_rejection(1.0, 1.0, old, runs, alpha, sides=sides)
    return float(rejection.power(shift / np.sqrt(variances)).mean())


def _power(
    question: str,
    var_old: float,
    var_new: float,
    runs: int,
    gap: float,
    margin: float,
    alpha: float,
    n_old: int | None,
) -> float:
    """Return the power under two known variances."""
    if question == "equivalent":
        return equivalence_power(margin, var_old, var_new, runs, alpha, gap)
    sides, shift = (2, gap) if question == "better" else (1, gap + margin)
    return welch_power(shift, var_old, var_new, runs if n_old is None else n_old, runs, alpha, sides=sides)


def expected_power(plan: ScorePlan, runs: int) -> float:
    """Return the power that is to be expected of so many runs of each arm (of the new one, with `n_old`)."""
    new = Arm(plan.sd**2, plan.df)
    old = plan.spread_old
    spread = Spread(new) if old is None else Spread(Arm(old[0] ** 2, old[1]), new)
    return _expected(plan.question, spread, runs, plan.gap, plan.margin or 0.0, plan.alpha, plan.n_old)


def _gap_shown(spread: Spread, runs: int, alpha: float, power: float) -> ScorePlan:
    """Return the gap that a number of runs of each shows."""
    if runs < 2:
        raise InputError(f"runs is {runs}", "two or more")
    return ScorePlan(
        question="better",
        gap=spread.gap(runs, alpha, power),
        margin=None,
        **_spread_facts(spread, spread.quantile(SAFE)),
        runs_plugin=runs,
        runs_assurance=runs,
        runs_upper=runs,
        n_old=None,
        power=power,
        alpha=alpha,
        solved_for="gap",
    )
