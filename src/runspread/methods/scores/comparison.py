"""`ScoreComparison`: two arms of one number per run (scores 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._results import Part, Table
from ..._words import percent
from .amounts import Amounts, runs_of_both
from .arm_runs import ArmRuns
from .basis import ScoreResult, on_examples
from .effect import Effect
from .forms import Forms, Judged
from .groups import GroupShares
from .pairing import Pairing
from .paper import Paper, PaperColumn
from .ranks import Ranks, too_many_arrangements

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class BothArms(Part):
    """Runs, mean and standard deviation of both arms.

    Attributes
    ----------
    n_old, n_new : int
        Runs.
    examples : int or None
        Size of the test set, where it was given: the noise of independent errors on it is then counted.
    mean_old, mean_new, sd_old, sd_new : float
        In the unit of the metric; NaN where one run has no spread.
    """

    n_old: int
    n_new: int
    examples: int | None
    mean_old: float
    mean_new: float
    sd_old: float
    sd_new: float


@dataclass(frozen=True, eq=False, kw_only=True)
class MeanDifference(Part):
    """New minus old, as the verdict takes it.

    Attributes
    ----------
    diff, lo, hi : float
        Difference of means and its interval, in the unit of the metric.
    p : float
        Two-sided, of no difference.
    form : str
        welch, guarded, student, prior, paired, mann-whitney (where diverged runs count as worst) or none.
    df : float
        Degrees of freedom.
    """

    diff: float
    lo: float
    hi: float
    p: float
    form: str
    df: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Diverged(Part):
    """Runs that diverged.

    Attributes
    ----------
    diverged : tuple of int
        Diverged and all runs of old, diverged and all runs of new.
    p_diverged : float
        Fisher's exact p of equal rates; NaN where none diverged.
    stand_in : float or None
        What stands for those among the values; None where they are excluded.
    """

    diverged: tuple[int, int, int, int]
    p_diverged: float
    stand_in: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoreComparison(Paper, ScoreResult):
    """Whether a new arm is better than an old one, from one number per run.

    Attributes
    ----------
    names : dict
        Of old and new.
    metric, unit : str
        Name of the metric; fraction, percent or plain.
    lower_is_better : bool
        Direction of the metric.
    direction_found : bool
        Whether the direction was read from the name of the metric.
    confidence_level : float
        Of intervals; every test is one at 1 - confidence_level.
    arms : BothArms
        Runs, mean and standard deviation of each.
    difference : MeanDifference
        New minus old.
    forms : Forms
        Welch's and Student's numbers.
    ranks : Ranks
        Answers by order, among them the chance that a new run is better.
    effect : Effect
        In standard deviations.
    judged : Judged
        Verdict and tests against a margin.
    runs_needed : int or None
        Runs of each that show the gap or, if both are equal, the margin asked for in four cases of five; None without.
    diverging : Diverged
        Runs that diverged.
    paired : Pairing or None
        The paired form, where pairs were asked for.
    groups : GroupShares or None
        Shares of runs beyond a threshold, where one was given or the runs of an arm fall into two groups.
    old, new : ndarray of float64 [n]
        The runs.
    """

    says_excluded = True

    picture = ".plots:plot_score_comparison"

    names: dict[str, str]
    metric: str
    unit: str
    lower_is_better: bool
    direction_found: bool
    confidence_level: float
    arms: BothArms
    difference: MeanDifference
    forms: Forms
    ranks: Ranks
    effect: Effect
    judged: Judged
    runs_needed: int | None
    diverging: Diverged
    paired: Pairing | None
    groups: GroupShares | None
    old: Floats
    new: Floats

    def verdict(self) -> str:
        """Return the verdict on the new arm: better, worse, not worse, equivalent or undecided."""
        return self.judged.verdict

    @property
    def refuted(self) -> bool:
        """Whether the opposite of what was asked is shown: worse, or with a margin a difference beyond it."""
        if self.asked == "better":
            return self.judged.verdict == "worse"
        margin, low, high = self.judged.margin or math.inf, self.judged.lo_tost, self.judged.hi_tost
        below, above = high < -margin, low > margin
        return below or above if self.asked == "equivalent" else (above if self.lower_is_better else below)

    @property
    def asked(self) -> str:
        """What was asked: better, not worse or equivalent."""
        return self.judged.asked

    @property
    def shown(self) -> bool:
        """Whether the verdict asked for holds."""
        return self.judged.shown

    def table(self) -> Table:
        """Return each quantity with its interval, its p and the name of its test."""
        d, r, e = self.difference, self.ranks, self.effect
        nan, drawn = math.nan, too_many_arrangements(len(self.old), len(self.new))
        rows = [
            ("difference of means", d.diff, d.lo, d.hi, d.p, d.form),
            ("Hodges-Lehmann", r.hl, r.hl_lo, r.hl_hi, r.p_mw, "Mann-Whitney"),
            ("P(new better)", r.p_superior, r.p_superior_lo, r.p_superior_hi, nan, "Newcombe"),
            ("Hedges g", e.hedges_g, e.d_lo, e.d_hi, self.forms.p_student, "Student"),
            ("arrangements of means", nan, nan, nan, r.p_perm, f"permutation, {'drawn' if drawn else 'exact'}"),
        ]
        if not math.isnan(r.p_bm):
            rows.append(("ranks, unequal spread", nan, nan, nan, r.p_bm, "Brunner-Munzel"))
        if self.groups is not None:
            g = self.groups
            beyond = f"share of runs better than {g.threshold:.4g}"
            rows.append((beyond, g.share_diff, g.share_lo, g.share_hi, g.p_fisher, "Newcombe, Fisher"))
        names = ("quantity", "value", "low", "high", "p", "test")
        columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
        title = f"{self.names['new']} minus {self.names['old']}, {percent(self.confidence_level)} intervals"
        return Table(columns, formats={"value": ".5g", "low": ".5g", "high": ".5g", "p": ".3g"}, title=title)

    def arm_runs(self) -> dict[str, ArmRuns]:
        """Return the runs of both arms by name, as pictures and tables of papers take them."""
        counts, both = self.diverging.diverged, (self.old, self.new)
        return {
            name: ArmRuns(values=values, n_diverged=bad, stand_in=self.diverging.stand_in)
            for name, values, bad in zip(self.names.values(), both, counts[::2], strict=True)
        }

    def _paper(self) -> tuple[list[str], list[PaperColumn]]:
        runs = self.arm_runs()
        return list(runs), [PaperColumn(self.metric, "", self.unit, self.lower_is_better, runs, self._maybe_best())]

    def _maybe_best(self) -> frozenset[str]:
        """Return which of both arms may be the better one, by the test of the verdict."""
        old, new = self.names["old"], self.names["new"]
        d = self.difference
        if d.p <= 2 * (1 - self.confidence_level) and d.diff:  # one-sided at 1 - level
            return frozenset({new if (d.diff < 0) == self.lower_is_better else old})
        return frozenset({old, new})

    def sentence(self) -> str:
        """Return the verdict, the difference with its interval and the runs, and what it does not show."""
        text = _answer(self)
        return f"{text} {_diverged_words(self)}".strip()


def _amounts(one: ScoreComparison) -> Amounts:
    half = (one.difference.hi - one.difference.lo) / 2
    return Amounts(one.metric, one.unit, half if math.isfinite(half) else abs(one.difference.diff) / 10)


def _answer(one: ScoreComparison) -> str:
    new, old = one.names["new"], one.names["old"]
    if one.difference.form == "mann-whitney":
        return _by_order(one)
    if one.difference.form == "none":
        return _no_spread(one)
    amounts, verdict = _amounts(one), one.judged.verdict
    apart = amounts.apart(one.difference.diff)
    inside = _inside(one, amounts)
    if verdict == "equivalent":
        within = amounts.margin(one.judged.margin or 0.0)
        certain = " A difference is shown, smaller than that." if one.difference.p <= 1 - one.confidence_level else ""
        same = f"{new} and {old} have the same mean {amounts.name}"
        by = f", {apart} for {new}" if one.difference.diff else ""
        return f"Yes, within {within}: {same}{by} ({inside}).{certain}"
    if verdict == "not worse":
        return _not_worse(one, amounts, f"{apart} ({inside})")
    if verdict in ("better", "worse"):
        return f"{_start(one, amounts)}: its {amounts.name} is {apart} ({inside})."
    return _undecided(one, amounts, inside)


def _start(one: ScoreComparison, amounts: Amounts) -> str:
    """Return better or worse as an answer to what was asked: with a margin, whether by more than that."""
    found = f"{one.names['new']} is {one.judged.verdict} than {one.names['old']}"
    if one.shown or one.asked == "better":
        return f"{'Yes' if one.shown else 'No'}, {found}"
    margin = amounts.margin(one.judged.margin or 0.0)
    return (
        f"No, {found} by more than {margin}" if one.refuted else f"Undecided whether by more than {margin}, but {found}"
    )


def _not_worse(one: ScoreComparison, amounts: Amounts, how: str) -> str:
    """Return that the new arm is not worse by the margin, and whether it is shown to be worse, by less."""
    worse = one.difference.p <= 1 - one.confidence_level
    rest = "It is shown to be worse, by less than that." if worse else "This does not show that it is equally good."
    margin = amounts.margin(one.judged.margin or 0.0)
    start = f"Yes, {one.names['new']} is not worse than {one.names['old']} by more than {margin}"
    return f"{start}: its {amounts.name} is {how}. {rest}"


def _undecided(one: ScoreComparison, amounts: Amounts, inside: str) -> str:
    new, old = one.names["new"], one.names["old"]
    apart = amounts.apart(one.difference.diff)
    if one.arms.n_old == one.arms.n_new == 2:
        return (
            f"Undecided: {new} is {apart}, but two runs of each hardly measure a spread ({inside}). "
            "A third run of each narrows it more than any other test of these four numbers."
        )
    beside = f"{apart} than" if one.difference.diff else "equal to"
    text = f"Undecided: the {amounts.name} of {new} is {beside} that of {old} ({inside})."
    if one.runs_needed is not None and one.judged.gap is not None:
        gap = f"a gap of {amounts.margin(one.judged.gap)} takes {one.runs_needed:,} runs of each"
        return f"{text} To be shown in four cases of five, {gap}."
    if one.runs_needed is not None:
        aim = "equivalence" if one.asked == "equivalent" else "that it is not worse"
        return f"{text} If both are equal, {one.runs_needed:,} runs of each show {aim} in four cases of five."
    return f"{text} This does not show that they are equal."


def _inside(one: ScoreComparison, amounts: Amounts) -> str:
    """Return interval, runs and direction, as they stand in brackets."""
    by_margin = one.judged.verdict in ("equivalent", "not worse") or (one.asked != "better" and one.refuted)
    level = 1 - 2 * (1 - one.confidence_level) if by_margin else one.confidence_level
    ends = (one.judged.lo_tost, one.judged.hi_tost) if by_margin else (one.difference.lo, one.difference.hi)
    parts = [f"{percent(level)} interval {amounts.interval(*ends)}", _runs(one)]
    if one.direction_found:
        parts.append("lower is better" if one.lower_is_better else "higher is better")
    if one.arms.examples is not None:
        parts.append(on_examples(one.arms.examples))
    if one.difference.form == "paired" and one.paired is not None:
        parts.append(f"{one.paired.n_pairs} pairs of equal seeds")
    return "; ".join(parts)


def _runs(one: ScoreComparison) -> str:
    old, new = one.arms.n_old, one.arms.n_new
    if 1 not in (old, new):
        return runs_of_both(old, new)
    single, several = ("old", "new") if old == 1 else ("new", "old")
    return f"one run of {one.names[single]} and {max(old, new)} of {one.names[several]}"


def _no_spread(one: ScoreComparison) -> str:
    if max(one.arms.n_old, one.arms.n_new) < 2:
        start = "Undecided: one run of each says nothing about the spread between runs."
        return f"{start} It takes two runs of one of them."
    amounts = _amounts(one)
    apart = amounts.apart(one.difference.diff)
    return (
        f"Undecided: the {amounts.name} of {one.names['new']} is {apart}, but the runs show no spread at all "
        f"({_runs(one)}). Are these different seeds?"
    )


def _by_order(one: ScoreComparison) -> str:
    undecided = f"Undecided between {one.names['new']} and {one.names['old']}"
    start = undecided if one.judged.verdict == "undecided" else _start(one, _amounts(one))
    r, level = one.ranks, percent(one.confidence_level)
    return (
        f"{start}: a run of the former is the better one in {r.p_superior:.0%} of pairs ({level} interval "
        f"{r.p_superior_lo:.0%} to {r.p_superior_hi:.0%}; {_runs(one)}). "
        "Diverged runs count as the worst, so that only the order of runs is compared."
    )


def _diverged_words(one: ScoreComparison) -> str:
    """Return which runs diverged or have no value; nothing where all count as they are."""
    counts, stand_in = one.diverging.diverged, one.diverging.stand_in
    if stand_in is not None and counts[0] + counts[2]:
        named = {one.names["old"]: counts[0], one.names["new"]: counts[2]}
        said = _said(named, f"diverged and {{counts}} as {stand_in:g}")
        return f"{said}. {_excluded_runs(one)}".strip()
    return _excluded_runs(one)


def _excluded_runs(one: ScoreComparison) -> str:
    """Return which runs are excluded, and why."""
    owners = [_owner(item.run, one) for item in one.excluded]
    rest = {"diverged": "diverged and {are} excluded", "no value": "{have} no value"}
    parts: list[str] = []
    for reason in dict.fromkeys(item.reason for item in one.excluded):
        own = [name for name, item in zip(owners, one.excluded, strict=True) if item.reason == reason]
        named = {name: own.count(name) for name in one.names.values()}
        parts.append(_said(named, rest.get(reason, f"{{are}} excluded ({reason})")))
    text = ", and ".join([parts[0], *(part[:1].lower() + part[1:] for part in parts[1:])]) if parts else ""
    return f"{text}{'' if 'excluded' in text else ', excluded'}." if text else ""


def _owner(run: str, one: ScoreComparison) -> str:
    """Return the arm whose name a run's begins with: the longest, as one name may begin with the other."""
    return max((name for name in one.names.values() if run.startswith(f"{name} ")), key=len, default=one.names["old"])


def _said(named: dict[str, int], rest: str) -> str:
    """Return how many runs of which arm did what: One run of base and two of new have no value."""
    several = {"are": "are", "have": "have", "counts": "count"}
    verbs = {"are": "is", "have": "has", "counts": "counts"} if sum(named.values()) == 1 else several
    text = f"{_named_runs(named)} {rest.format(**verbs)}"
    return f"{text[:1].upper()}{text[1:]}"


def _named_runs(named: dict[str, int]) -> str:
    """Return how many runs of which arm: one run of base and two of new."""
    words = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    texts = [(words[k] if k < len(words) else str(k), name, k) for name, k in named.items() if k]
    first = f"{texts[0][0]} {'run' if texts[0][2] == 1 else 'runs'} of {texts[0][1]}"
    return " and ".join([first, *(f"{word} of {name}" for word, name, _ in texts[1:])])
