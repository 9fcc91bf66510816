"""`compare_scores`: is the new arm better, not worse, or equivalent? (scores 3)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice, check_keywords
from ..._reading.scores.table import DEFAULTS as READING
from ..._reading.scores.table import ScoreCell, ScoreReading, ScoreTable, read_scores
from ..._reading.scores.words import FRACTION
from ..._words import count
from ...errors import InputError
from ..variance.power import runs_for_welch
from .arm_runs import ArmRuns, runs_of_cell
from .basis import error_floor
from .comparison import BothArms, Diverged, MeanDifference, ScoreComparison
from .defaults import LEVEL, POWER
from .effect import effect
from .forms import Arm, Difference, Judged, asked_of, both_forms, difference, holds, judged
from .groups import GroupShares, dividing, group_shares
from .modes import Shape, mode_words, shape
from .one_arm import standard_deviation
from .pairing import Pairing, pairing
from .plans import runs_for_equivalence
from .prior import Prior, atlas_prior, moderated_form
from .ranks import Ranks, drawn_arrangements_p, rank_sum_p, ranks, too_many_arrangements

Floats = NDArray[np.float64]
_FEW_RUNS = 5  # of each up to which a spread that is known from elsewhere shows much more
COMPARING: dict[str, Any] = {
    "baseline": None,
    "new_arm": None,
    "not_worse": None,
    "equivalent": None,
    "spread": "each",
    "gap": None,
    "threshold": None,
    "paired": False,
    "examples": None,
    "confidence_level": LEVEL,
}


class CompareSettings(ScoreReading, total=False):
    """Keywords of `compare_scores`: those of the reading, and these.

    baseline, new_arm : str
        Which arm is old and which is new; default the first and the second of a table.
    not_worse, equivalent : float
        Margin above 0 in the unit of the metric: is new not worse by more, or within it on both sides?
    spread : {"each", "shared"}, atlas entry or (float, float)
        Each arm with its own spread (default), one spread for both, or what is known of it: the name of an entry of
        `atlas`, or a standard deviation and its degrees of freedom.
    gap : float
        True difference, above 0 in the unit of the metric, for which `runs_needed` is asked.
    threshold : float
        Value of the metric beyond which a run succeeds: the shares of such runs are compared too.
    paired : bool or "design"
        Whether to pair runs of equal seeds where their correlation is shown; "design" pairs them without that.
    examples : int
        Size of the test set that the accuracies are measured on: the variance of an arm's mean is then at least that
        of independent errors on so many examples.
    confidence_level : float
        Of intervals; default 0.95.
    """

    baseline: str
    new_arm: str
    not_worse: float
    equivalent: float
    spread: str | tuple[float, float]
    gap: float
    threshold: float
    paired: bool | str
    examples: int
    confidence_level: float


def compare_scores(old: Any, new: ArrayLike | None = None, **settings: Unpack[CompareSettings]) -> ScoreComparison:
    """Return whether a new arm is better than an old one, from one number per run.

    Tests are Welch's, guarded by Student's where three runs or fewer meet another number of runs.

    Parameters
    ----------
    old : array_like of float [n_old], or a table
        Scores of the old arm, or a table with both arms (a path, a data frame, a mapping of arm to scores, ...).
    new : array_like of float [n_new], optional
        Scores of the new arm, beside those of the old one.
    **settings : CompareSettings
        What is asked, and how a table is read.

    Raises
    ------
    InputError
        An unknown direction, several metrics or tasks, more than two arms without a choice, a margin of 0 or below.

    Examples
    --------
    >>> import runspread as rs
    >>> old, new = [0.412, 0.398, 0.405, 0.401], [0.391, 0.380, 0.388, 0.395]
    >>> rs.methods.scores.compare_scores(old, new, metric="val_loss").verdict()
    'better'
    """
    check_keywords(settings, {**COMPARING, **READING}, "compare_scores")
    options: dict[str, Any] = {**COMPARING, **settings}
    asked, margin = asked_of(options)
    level = checked_level(options["confidence_level"])
    reading: dict[str, Any] = {name: value for name, value in settings.items() if name in READING}
    table = read_scores(old if new is None else {"old": _sequence(old), "new": _sequence(new)}, **reading)
    one_of_each(table)
    names = _two_arms(table, options["baseline"], options["new_arm"])
    lower = table.lower_is_better()
    check_margin(margin, table)
    return _compared(table, names, options, asked, margin, level, lower=lower, found="lower_is_better" not in reading)


def checked_level(level: float) -> float:
    """Return a confidence level if it is one."""
    if not 0.5 < level < 1:
        raise InputError(f"the confidence level is {level:g}", "a number between 0.5 and 1, such as 0.95")
    return level


def _sequence(values: Any) -> list[float]:
    found = np.asarray(values, dtype=object).ravel().tolist()
    if not found:
        raise InputError("an arm has no runs", "one number per run")
    return found


def check_margin(margin: float | None, table: ScoreTable) -> None:
    """Raise where a margin of a fraction is one of percentage points."""
    if margin is not None and margin > 0.5 and table.units[table.metrics[0]] == FRACTION:
        raise InputError(
            f"the margin is {margin:g}, and {table.metrics[0]} lies between 0 and 1",
            "a fraction",
            f"Write {margin / 100:g}.",
        )


def one_of_each(table: ScoreTable) -> None:
    """Raise if a table has several metrics or tasks."""
    if len(table.metrics) > 1:
        names = ", ".join(table.metrics[:6])
        raise InputError(
            f"the table has {len(table.metrics)} metrics, {names}", "one", f"Pass metric={table.metrics[0]!r}."
        )
    if len(table.tasks) > 1:
        raise InputError(
            f"the table has {len(table.tasks)} tasks, {', '.join(table.tasks[:6])}",
            "one",
            f"Keep one with where={{column: {table.tasks[0]!r}}}, or pass all of them to rs.compare.",
        )


def _two_arms(table: ScoreTable, baseline: str | None, new: str | None) -> tuple[str, str]:
    """Return the names of the old arm and of the new one."""
    for name in (baseline, new):
        if name is not None:
            check_choice(name, "arm", table.arms)
    old = baseline if baseline is not None else next(arm for arm in table.arms if arm != new)
    others = [arm for arm in table.arms if arm != old]
    if new is None and len(others) != 1:
        known = ", ".join(table.arms[:6])
        if not others:
            named = f", {known}" if known else ""
            raise InputError(f"the table has one arm{named}", "two", "Use rs.summary for one arm.")
        raise InputError(
            f"the table has {len(table.arms)} arms, {known}", "two", "Pass baseline= and new_arm=, or use rs.rank."
        )
    return old, new if new is not None else others[0]


def _compared(
    table: ScoreTable,
    names: tuple[str, str],
    options: dict[str, Any],
    asked: str,
    margin: float | None,
    level: float,
    *,
    lower: bool,
    found: bool,
) -> ScoreComparison:
    cells = [table.cell(name) for name in names]
    for name, cell in zip(names, cells, strict=True):
        if not len(cell):
            raise InputError(f"no run of {name} has a value", "one at least")
    a, b = (cell.values for cell in cells)
    old, new = Arm.of(a), Arm.of(b)
    pairs = _pairs(cells, options["paired"], level)
    metric, unit, examples = table.metrics[0], table.units[table.metrics[0]], options["examples"]
    floored = [Arm.of(x, error_floor(x, examples, unit, metric)) for x in (a, b)]
    one = _difference(floored[0], floored[1], options["spread"], pairs)
    verdict, p = judged(one, margin, level, asked, lower=lower), one.p()
    by_order = not (np.isfinite(a).all() and np.isfinite(b).all())
    order = ranks(a, b, level, lower=lower)
    if by_order:
        p, one = rank_sum_p(a, b), Difference(math.nan, (), "mann-whitney")
        verdict = _judged_by_order(p, order.p_superior, margin, level, asked)
    low, high = one.interval(level)
    shapes = tuple(shape(x[np.isfinite(x)]) for x in (a, b))
    groups = _groups(a, b, (shapes[0], shapes[1]), options["threshold"], level, lower=lower)
    return ScoreComparison(
        names={"old": names[0] or "old", "new": names[1] or "new"},
        metric=metric,
        unit=unit,
        lower_is_better=lower,
        direction_found=found,
        confidence_level=level,
        arms=_both(old, new, examples),
        difference=MeanDifference(diff=one.value, lo=low, hi=high, p=p, form=one.name, df=one.df),
        forms=both_forms(old, new),
        ranks=_drawn(order, a, b),
        effect=effect(old, new, level),
        judged=replace(verdict, gap=options["gap"]),
        runs_needed=_runs_needed(old, new, asked, margin, options["gap"], level),
        diverging=_diverged([runs_of_cell(cell, table) for cell in cells]),
        paired=pairs,
        groups=groups,
        modes=_mode_words(names, (a, b), shapes, groups, level),
        old=a,
        new=b,
        excluded=tuple(item for item in table.excluded if _is_of(item.run, names, table)),
        warnings=(
            *table.warnings,
            *_unpaired(pairs),
            *_warnings(names, cells, shapes),
            *_advice(verdict, old, new, options),
        ),
    )


def _is_of(run: str, names: tuple[str, str], table: ScoreTable) -> bool:
    """Whether an excluded run is of one of the two arms."""
    longest = max((arm for arm in table.arms if run.startswith(f"{arm} ")), key=len, default=names[0])
    return longest in names


def _both(old: Arm, new: Arm, examples: int | None) -> BothArms:
    means, sds = {"mean_old": old.mean, "mean_new": new.mean}, {"sd_old": old.sd, "sd_new": new.sd}
    return BothArms(n_old=old.n, n_new=new.n, examples=examples, **means, **sds)


def _pairs(cells: list[ScoreCell], asked: bool | str, level: float) -> Pairing | None:
    if asked is False:
        return None
    if asked not in (True, "design"):
        raise InputError(f"paired is {asked!r}", "True, False or 'design'")
    if not any(seed is not None for cell in cells for seed in cell.seeds):
        raise InputError("the runs have no seeds", "a seed for each, to pair them", "Name their column: seed='...'.")
    (a, b), (seeds_a, seeds_b) = (cell.values for cell in cells), (cell.seeds for cell in cells)
    return pairing(a, b, seeds_a, seeds_b, level, design=asked == "design")


def _unpaired(pairs: Pairing | None) -> list[str]:
    """Return why runs are compared unpaired, where pairs were asked for."""
    if pairs is None or pairs.paired:
        return []
    there = f"{count(pairs.n_pairs, 'pair')} of runs with equal seeds"
    if math.isnan(pairs.p_seed_correlation):
        return [f"The runs are compared unpaired: {there} cannot show a correlation."]
    found = f"{pairs.seed_correlation:.2f} (one-sided p {pairs.p_seed_correlation:.2g})"
    return [f"The runs are compared unpaired: over {there} no positive correlation is shown, {found}."]


def _difference(old: Arm, new: Arm, spread: Any, pairs: Pairing | None) -> Difference:
    if pairs is not None and pairs.paired:
        return pairs.difference(new.mean - old.mean, math.hypot(old.floor, new.floor))
    if isinstance(spread, str) and spread in ("each", "shared"):
        return difference(old, new, spread=spread)
    known = atlas_prior(spread) if isinstance(spread, str) else Prior(*(float(value) for value in spread))
    return difference(old, new, known=moderated_form(known, old, new))


def _judged_by_order(p: float, share: float, margin: float | None, level: float, asked: str) -> Judged:
    """Return the verdict where diverged runs count as the worst and means do not exist."""
    nan, shown = math.nan, p <= 1 - level and share != 0.5
    verdict = ("better" if share > 0.5 else "worse") if shown else "undecided"
    return Judged(
        margin=margin,
        p_not_worse=nan,
        p_equivalent=nan,
        lo_tost=nan,
        hi_tost=nan,
        verdict=verdict,
        asked=asked,
        shown=holds(verdict, asked),
    )


def _runs_needed(old: Arm, new: Arm, asked: str, margin: float | None, gap: float | None, level: float) -> int | None:
    """Return the runs of each that show the gap, or the margin if both are equal; None without either, or a spread."""
    if gap is not None and (not gap > 0 or margin is not None):
        found = f"gap is {gap}" if margin is None else "both gap= and a margin are given"
        raise InputError(found, "one number above 0 in the unit of the metric")
    spreads = [arm.sd for arm in (old, new) if arm.sd > 0]
    if (margin is None and gap is None) or not spreads or not all(math.isfinite(sd) for sd in spreads):
        return None
    variances = [arm.sd**2 if arm.sd > 0 else max(spreads) ** 2 for arm in (old, new)]
    if margin is None:
        return runs_for_welch(gap or 0.0, variances[0], variances[1], 1 - level, POWER)
    if asked == "equivalent":
        return runs_for_equivalence(margin, variances[0], variances[1], 1 - level, POWER)
    return runs_for_welch(margin, variances[0], variances[1], 1 - level, POWER, sides=1)


def _diverged(arms: list[ArmRuns]) -> Diverged:
    from scipy.stats import fisher_exact

    bad_old, all_old, bad_new, all_new = (number for arm in arms for number in (arm.n_diverged, arm.n_all))
    p = math.nan
    if bad_old or bad_new:
        p = float(fisher_exact(np.array([[bad_old, all_old - bad_old], [bad_new, all_new - bad_new]]))[1])
    return Diverged(diverged=(bad_old, all_old, bad_new, all_new), p_diverged=p, stand_in=arms[0].stand_in)


def _advice(verdict: Judged, old: Arm, new: Arm, options: dict[str, Any]) -> list[str]:
    """Return what decides with few runs, where it is known: never chosen unasked."""
    few = max(old.n, new.n) <= _FEW_RUNS and options["spread"] == "each" and math.isfinite(old.mean + new.mean)
    if verdict.verdict != "undecided" or not few:
        return []
    known = "spread=(standard deviation, degrees of freedom), or the name of an entry of the atlas"
    return [f"Where the spread of such runs is known from elsewhere, {known}, decides with fewer of them."]


def _warnings(names: tuple[str, ...], cells: list[ScoreCell], shapes: tuple[Shape, ...]) -> list[str]:
    return [
        warning
        for name, cell, form in zip(names, cells, shapes, strict=True)
        for warning in arm_warnings(name, cell.values, form)
    ]


def _groups(
    a: Floats, b: Floats, shapes: tuple[Shape, Shape], threshold: float | None, level: float, *, lower: bool
) -> GroupShares | None:
    """Return the shares beyond the threshold given, or where the runs fall apart; None without either."""
    at = dividing(a, b, shapes) if threshold is None else float(threshold)
    return None if at is None else group_shares(a, b, at, level, lower=lower)


def _mode_words(
    names: tuple[str, str],
    both: tuple[Floats, Floats],
    shapes: tuple[Shape, ...],
    groups: GroupShares | None,
    level: float,
) -> tuple[str, ...]:
    """Return what the sentence says of arms of two groups, and of shares of runs."""
    found = [
        word
        for name, x, form in zip(names, both, shapes, strict=True)
        for word in mode_words(name, x[np.isfinite(x)], form)
    ]
    if groups is not None:
        called = (names[0] or "old", names[1] or "new")
        found.append(groups.words(called, (len(both[0]), len(both[1])), level))
    return tuple(found)


def _drawn(order: Ranks, a: Floats, b: Floats) -> Ranks:
    """Return the answers by order with p of arrangements where there are too many to count: drawn, and by ranks."""
    if not too_many_arrangements(len(a), len(b)):
        return order
    means = drawn_arrangements_p(a, b) if np.isfinite(a).all() and np.isfinite(b).all() else math.nan
    return replace(order, p_perm=means, p_mw=rank_sum_p(a, b))


def arm_warnings(name: str, values: Floats, form: Shape | None = None) -> list[str]:
    """Return caveats about the runs of one arm: rounding (by `form`, where that is known), no spread."""
    finite = values[np.isfinite(values)]
    found: list[str] = []
    if len(finite) < 2:
        return found
    form = shape(finite) if form is None else form
    sd = standard_deviation(finite)
    of = f" of {name}" if name else ""
    rounded = form.resolution
    if np.ptp(finite) == 0:
        found.append(f"The runs{of} have no spread at all: are these different seeds?")
    elif rounded > sd / 2:
        found.append(f"The values{of} are rounded to {rounded:.3g}, half the spread or more.")
    return found
