"""k arms on one task: each pair, each against a baseline, and which may be the best (scores 4.1 to 4.3)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._results import Part
from .._statistics import equal_spread_p, holm_adjusted
from .forms import FEW, Arm, Form, difference, pooled_sd

Floats = NDArray[np.float64]
MOST_FOR_PAIRS = 200  # arms up to which all pairs are tested
_STUDENTIZED = 50  # arms up to which Tukey's distribution is integrated


@dataclass(frozen=True, eq=False, kw_only=True)
class AllPairs(Part):
    """Every pair of arms, in lexicographic order; empty beyond 200 arms.

    Attributes
    ----------
    pairs : ndarray of int64 [pairs, 2]
        Positions of both arms.
    p_pairs, p_pairs_holm, p_pairs_tukey : ndarray of float64 [pairs]
        The guarded p, the same after Holm, and Tukey and Kramer's, which takes one spread for all.
    """

    pairs: NDArray[np.int64]
    p_pairs: Floats
    p_pairs_holm: Floats
    p_pairs_tukey: Floats


@dataclass(frozen=True, eq=False, kw_only=True)
class VersusBaseline(Part):
    """Each other arm less the baseline.

    Attributes
    ----------
    vs_baseline : ndarray of int64 [others]
        Positions of the other arms.
    p_baseline, p_baseline_holm : ndarray of float64 [others]
        The guarded p, and after the correction, by which the verdicts go.
    baseline_lo, baseline_hi : ndarray of float64 [others]
        Simultaneous intervals (Bonferroni's, or Dunnett's).
    correction : str
        Holm, or Dunnett where one spread is shared by all arms.
    """

    vs_baseline: NDArray[np.int64]
    p_baseline: Floats
    p_baseline_holm: Floats
    baseline_lo: Floats
    baseline_hi: Floats
    correction: str = "Holm"


@dataclass(frozen=True, eq=False, kw_only=True)
class Heterogeneity(Part):
    """Tests of all arms together; no verdict depends on them.

    Attributes
    ----------
    f_welch, df1_welch, df2_welch, p_welch_anova : float
        Welch's analysis of variance: whether all means are equal.
    p_levene : float
        Brown and Forsythe's: whether all arms of three runs or more spread alike; NaN where they cannot tell.
    sd_pooled : float
        Standard deviation of runs, pooled over arms.
    """

    f_welch: float
    df1_welch: float
    df2_welch: float
    p_welch_anova: float
    p_levene: float
    sd_pooled: float


def arms_of(values: Sequence[Floats], floors: Sequence[float] | None) -> list[Arm]:
    """Return the arms, each of runs [n], with the least standard error of its mean where it is known."""
    return [Arm.of(x, floor) for x, floor in zip(values, floors or [0.0] * len(values), strict=True)]


def all_pairs(values: Sequence[Floats], *, spread: str = "each", floors: Sequence[float] | None = None) -> AllPairs:
    """Return the tests of every pair of arms, each of runs [n]."""
    if len(values) > MOST_FOR_PAIRS:
        none = np.zeros(0)
        return AllPairs(pairs=np.zeros((0, 2), np.int64), p_pairs=none, p_pairs_holm=none, p_pairs_tukey=none)
    arms = arms_of(values, floors)
    pairs = list(itertools.combinations(range(len(arms)), 2))
    shared = shared_spread(arms) if spread == "shared" else None
    p = np.array([difference(arms[i], arms[j], known=_form(arms[i], arms[j], shared)).p() for i, j in pairs])
    return AllPairs(
        pairs=np.array(pairs, np.int64).reshape(-1, 2),
        p_pairs=p,
        p_pairs_holm=holm_adjusted(p),
        p_pairs_tukey=_tukey(arms, pairs),
    )


class SharedSpread(NamedTuple):
    """One standard deviation of runs for all arms, and its degrees of freedom."""

    sd: float
    df: float


def shared_spread(arms: Sequence[Arm]) -> SharedSpread:
    """Return the spread that all arms share."""
    sd = pooled_sd(*arms)
    floored = any(arm.floor > 0 for arm in arms)  # equal accuracies: the noise of the examples is all that is known
    return SharedSpread(0.0 if math.isnan(sd) and floored else sd, sum(arm.n - 1 for arm in arms))


def _form(a: Arm, b: Arm, shared: SharedSpread | None) -> Form | None:
    """Return the form of a difference under a shared spread; None where each arm has its own, or there is none."""
    if shared is None or not shared.df > 0 or math.isnan(shared.sd):
        return None
    return Form(math.hypot(a.pooled_se(shared.sd), b.pooled_se(shared.sd)), shared.df)


def _tukey(arms: Sequence[Arm], pairs: Sequence[tuple[int, int]]) -> Floats:
    """Return Tukey and Kramer's p of each pair; NaN without spread, with an arm of one run, or beyond 50 arms."""
    sd, df = pooled_sd(*arms), sum(arm.n - 1 for arm in arms)
    if math.isnan(sd) or len(arms) > _STUDENTIZED or min(arm.n for arm in arms) < 2:
        return np.full(len(pairs), math.nan)
    apart = [abs(arms[i].mean - arms[j].mean) / (sd * math.sqrt((1 / arms[i].n + 1 / arms[j].n) / 2)) for i, j in pairs]
    return _beyond_studentized(np.array(apart), len(arms), df)


def _beyond_studentized(ranges: Floats, arms: int, df: float) -> Floats:
    """Return the chance of a studentized range beyond each; of two arms it is t, without SciPy's statistics."""
    from scipy.special import stdtr

    if arms == 2:
        return 2 * np.asarray(stdtr(df, -ranges / math.sqrt(2)), np.float64)
    from scipy.stats import studentized_range

    return np.asarray(studentized_range.sf(ranges, arms, df), np.float64)


def versus_baseline(
    values: Sequence[Floats],
    baseline: int,
    level: float,
    *,
    spread: str = "each",
    floors: Sequence[float] | None = None,
) -> VersusBaseline:
    """Return each other arm less the baseline, with simultaneous intervals at `level`."""
    arms = arms_of(values, floors)
    others = [k for k in range(len(arms)) if k != baseline]
    shared = shared_spread(arms) if spread == "shared" else None
    found = [difference(arms[baseline], arms[k], known=_form(arms[baseline], arms[k], shared)) for k in others]
    p = np.array([one.p() for one in found])
    single = any(arm.n < 2 or arm.floor > 0 for arm in arms)
    if shared is not None and shared.sd > 0 and len(others) > 1 and not single:
        return _dunnett(values, baseline, others, p, level)
    ends = np.array([one.interval(1 - (1 - level) / len(others)) for one in found]).reshape(-1, 2)
    return VersusBaseline(
        vs_baseline=np.array(others, np.int64),
        p_baseline=p,
        p_baseline_holm=holm_adjusted(p),
        baseline_lo=ends[:, 0],
        baseline_hi=ends[:, 1],
    )


def _dunnett(values: Sequence[Floats], baseline: int, others: list[int], p: Floats, level: float) -> VersusBaseline:
    """Return Dunnett's p and intervals; digits beyond the third hang on the seed of its quadrature, which is fixed."""
    from scipy.stats import dunnett

    found = dunnett(*(values[k] for k in others), control=values[baseline], random_state=0)
    ends = found.confidence_interval(level)
    return VersusBaseline(
        vs_baseline=np.array(others, np.int64),
        p_baseline=p,
        p_baseline_holm=np.maximum(np.asarray(found.pvalue, np.float64), p),
        baseline_lo=np.asarray(ends.low, np.float64),
        baseline_hi=np.asarray(ends.high, np.float64),
        correction="Dunnett",
    )


class _Many(NamedTuple):
    """Arms as arrays [arms], goodness upwards; `floor` is the least variance of each mean."""

    n: Floats
    good: Floats
    sd: Floats
    floor: Floats
    shared: SharedSpread | None


def maybe_best(
    values: Sequence[Floats],
    level: float,
    *,
    lower: bool,
    spread: str = "each",
    floors: Sequence[float] | None = None,
) -> NDArray[np.bool_]:
    """Return which arms may be the best [arms] (multiple comparisons with the best, Hsu 1981, by Bonferroni).

    The truly best one is among them with probability `level`. An arm is out if some other is better with a one-sided
    p of at most ``(1 - level) / (arms - 1)``.
    """
    arms = arms_of(values, floors)
    many = _Many(
        np.array([arm.n for arm in arms], float),
        np.array([-arm.mean if lower else arm.mean for arm in arms]),
        np.array([arm.sd for arm in arms]),
        np.square([arm.floor for arm in arms]),
        shared_spread(arms) if spread == "shared" else None,
    )
    if len(arms) < 2:
        return np.ones(len(arms), bool)
    tail = (1 - level) / (len(arms) - 1)
    order = np.argsort(-many.good, kind="stable")
    return np.array([not _is_beaten(many, at, order, tail) for at in range(len(arms))])


def _is_beaten(many: _Many, at: int, order: NDArray[np.intp], tail: float) -> bool:
    """Whether some arm, the highest first, is shown to be better than that `at` this position."""
    above = order[many.good[order] > many.good[at]]
    for few in (above[:64], above[64:]):
        likely = few[_may_beat(many, at, few, tail)]
        if len(likely) and bool(_one_sided(many, at, likely).min() <= tail):
            return True
    return False


def _may_beat(many: _Many, at: int, others: NDArray[np.intp], tail: float) -> NDArray[np.bool_]:
    """Return which of the others a normal distribution would show to be better by Welch's or by Student's error.

    The t distribution has heavier tails, so that no other one can be shown: its integral is taken for few pairs only.
    """
    from scipy.special import ndtri

    if many.shared is not None:
        return np.ones(len(others), bool)
    n, m = many.n[at], many.n[others]
    own = many.sd[at] ** 2 if n > 1 else 0.0
    their = np.where(m > 1, many.sd[others] ** 2, 0.0)
    pooled, (least, their_least) = (
        ((n - 1) * own + (m - 1) * their) / np.maximum(n + m - 2, 1),
        _least(many, at, others),
    )
    squared = np.minimum(
        np.maximum(own / n, least) + np.maximum(their / m, their_least),
        np.maximum(pooled / n, least) + np.maximum(pooled / m, their_least),
    )
    return np.square(many.good[others] - many.good[at]) >= float(ndtri(tail)) ** 2 * squared


def _least(many: _Many, at: int, others: NDArray[np.intp]) -> tuple[float, Floats]:
    """Return the least variances of the means of one arm and of the others."""
    return float(many.floor[at]), many.floor[others]


def _one_sided(many: _Many, at: int, others: NDArray[np.intp]) -> Floats:
    """Return the one-sided p that each of the others is better; 1 where no form applies."""
    from scipy.special import stdtr

    if many.shared is not None:
        return _one_sided_shared(many, many.shared, at, others)
    n, m, gap = many.n[at], many.n[others], many.good[others] - many.good[at]
    sd_a, sd_b = many.sd[at], many.sd[others]
    own, their = np.where(n > 1, sd_a**2, 0.0), np.where(m > 1, sd_b**2, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        least, their_least = _least(many, at, others)
        pooled = ((n - 1) * own + (m - 1) * their) / (n + m - 2)
        shared = np.maximum(pooled / n, least) + np.maximum(pooled / m, their_least)
        student = stdtr(n + m - 2, -gap / np.sqrt(shared))
        squared = np.maximum(own / n, least) + np.maximum(their / m, their_least)
        share = np.maximum(own / n, least) / squared
        df = 1 / (share**2 / (n - 1) + (1 - share) ** 2 / (m - 1))
        welch = stdtr(df, -gap / np.sqrt(squared))
    single = np.minimum(n, m) < 2
    guard = (n != m) & ((np.minimum(n, m) <= FEW) | (own == 0) | (their == 0))
    p = np.where(guard, np.maximum(welch, student), welch)
    p = np.where(single, student, p)
    return np.where((shared > 0) & (n + m > 2), p, 1.0)


def _one_sided_shared(many: _Many, shared: SharedSpread, at: int, others: NDArray[np.intp]) -> Floats:
    """Return the same under one spread of all arms."""
    from scipy.special import stdtr

    if not shared.df > 0 or math.isnan(shared.sd):
        return np.ones(len(others))
    own, their = (np.maximum(shared.sd**2 / many.n[who], many.floor[who]) for who in (at, others))
    return np.asarray(stdtr(shared.df, -(many.good[others] - many.good[at]) / np.sqrt(own + their)), np.float64)


def heterogeneity(values: Sequence[Floats]) -> Heterogeneity:
    """Return the tests of all arms together; NaN where an arm has one run or no spread."""
    from scipy.special import fdtrc

    arms = [Arm.of(x) for x in values]
    sd, nan, k = pooled_sd(*arms), math.nan, len(arms)
    spread_alike = equal_spread_p(values) if sd > 0 else nan
    if min(arm.n for arm in arms) < 2 or not min(arm.sd for arm in arms) > 0 or k < 2:
        return Heterogeneity(
            f_welch=nan, df1_welch=nan, df2_welch=nan, p_welch_anova=nan, p_levene=spread_alike, sd_pooled=sd
        )
    n, mean = np.array([arm.n for arm in arms], float), np.array([arm.mean for arm in arms])
    weight = n / np.square([arm.sd / sd for arm in arms])
    share = weight / weight.sum()
    grand = float((share * mean).sum())
    loss = float(((1 - share) ** 2 / (n - 1)).sum())
    between = float((weight * ((mean - grand) / sd) ** 2).sum()) / (k - 1)
    f = between / (1 + 2 * (k - 2) / (k**2 - 1) * loss)
    df2 = (k**2 - 1) / (3 * loss)
    return Heterogeneity(
        f_welch=f,
        df1_welch=float(k - 1),
        df2_welch=df2,
        p_welch_anova=float(fdtrc(k - 1, df2, f)),
        p_levene=spread_alike,
        sd_pooled=sd,
    )
