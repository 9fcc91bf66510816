"""Several tasks: differences on these tasks and on tasks like them, ranks over tasks (scores 5.2, 5.4)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._results import Part
from .._statistics import holm_adjusted
from .one_arm import equal_but_for_rounding, mean_of, standard_deviation, t_above

Floats = NDArray[np.float64]
Cells = Sequence[Sequence[Floats]]  # [arms][tasks], each of runs [n]; goodness upwards
_EXACT_TASKS = 25  # up to which Wilcoxon's test over tasks is exact
_EQUAL_SUMS = 1e-12  # of all sizes: sums of the same differences in another order
_SIGNED_TASKS = 14  # up to which all signs of the differences are tried; of more, t is near enough


@dataclass(frozen=True, eq=False, kw_only=True)
class TaskPairs(Part):
    """Every pair of arms over tasks, in lexicographic order; the second arm less the first.

    Attributes
    ----------
    pairs : ndarray of int64 [pairs, 2]
        Positions of both arms.
    diff : ndarray of float64 [pairs]
        Mean difference over tasks.
    se_these, df_these, p_these : ndarray of float64 [pairs]
        On these tasks: the noise of runs alone.
    se_like, p_like, p_like_used : ndarray of float64 [pairs]
        On tasks like these: how the difference varies from task to task; `p_like_used` asks for both. Differences that
        are all equal, for which t is infinite at any size, are judged by their signs, and so are those of ranks, which
        are bounded and so alike where arms lie apart. `se_like` is NaN for ranks: there is no interval.
    p_like_holm : ndarray of float64 [pairs]
        The same after Holm.
    omega2 : ndarray of float64 [pairs]
        Variance of the true difference from task to task.
    p_wilcoxon : ndarray of float64 [pairs]
        Signed ranks over tasks.
    """

    pairs: NDArray[np.int64]
    diff: Floats
    se_these: Floats
    df_these: Floats
    p_these: Floats
    se_like: Floats
    p_like: Floats
    p_like_used: Floats
    p_like_holm: Floats
    omega2: Floats
    p_wilcoxon: Floats


@dataclass(frozen=True, eq=False, kw_only=True)
class TaskRanks(Part):
    """Average ranks of arms over tasks (1 is best), which ignore runs altogether.

    Attributes
    ----------
    ranks : ndarray of float64 [arms]
        Average ranks of the task means.
    friedman, p_friedman, iman_davenport, p_iman_davenport, nemenyi_cd : float
        Friedman's test, Iman and Davenport's, and Nemenyi's distance; NaN for two arms.
    """

    ranks: Floats
    friedman: float
    p_friedman: float
    iman_davenport: float
    p_iman_davenport: float
    nemenyi_cd: float


def cell_means(cells: Cells) -> Floats:
    """Return the mean of each cell [arms, tasks]."""
    return np.array([[mean_of(x) for x in arm] for arm in cells])


def cell_noise(cells: Cells) -> tuple[Floats, Floats]:
    """Return the squared standard error of each cell's mean and its degrees of freedom [arms, tasks]."""
    noise = np.array([[standard_deviation(x) ** 2 / len(x) for x in arm] for arm in cells])
    return noise, np.array([[float(len(x) - 1) for x in arm] for arm in cells])


def satterthwaite(noise: Floats, degrees: Floats) -> float:
    """Return the degrees of freedom of a sum of squared standard errors."""
    known = noise > 0
    if not known.any():
        return math.nan
    return float(noise[known].sum() ** 2 / (noise[known] ** 2 / degrees[known]).sum())


def task_pairs(cells: Cells, *, ranked: bool = False) -> TaskPairs:
    """Return the difference of every pair of arms on these tasks and on tasks like them; `ranked` cells are bounded."""
    means, (noise, degrees) = cell_means(cells), cell_noise(cells)
    pairs = list(itertools.combinations(range(len(cells)), 2))
    rows = [_pair(means[[i, j]], noise[[i, j]], degrees[[i, j]], ranked) for i, j in pairs]
    columns = {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}
    return TaskPairs(
        pairs=np.array(pairs, np.int64).reshape(-1, 2), p_like_holm=holm_adjusted(columns["p_like_used"]), **columns
    )


def _pair(means: Floats, noise: Floats, degrees: Floats, ranked: bool) -> dict[str, float]:
    """Return the numbers of one pair [2, tasks]."""
    apart = _exactly(means[1] - means[0], float(np.abs(means).max()))
    m, diff = len(apart), mean_of(apart)
    se_these = math.sqrt(float(noise.sum())) / m
    df = satterthwaite(noise, degrees)
    sd = standard_deviation(apart)
    se_like = sd / math.sqrt(m)
    p_these = 2 * t_above(abs(diff) / se_these, df) if se_these > 0 else math.nan
    p_like = 2 * t_above(abs(diff) / se_like, m - 1) if se_like > 0 else by_signs(apart)
    if ranked and se_like > 0 and m <= _SIGNED_TASKS:
        p_like = max(p_like, by_signs(apart))
    return {
        "diff": diff,
        "se_these": se_these,
        "df_these": df,
        "p_these": p_these,
        "se_like": math.nan if ranked else se_like,
        "p_like": p_like,
        "p_like_used": max(p_these, p_like) if not math.isnan(p_these + p_like) else math.nan,
        "omega2": max(0.0, sd**2 - float(noise.sum()) / m) if m > 1 else math.nan,
        "p_wilcoxon": _signed_ranks(apart),
    }


def _exactly(apart: Floats, size: float) -> Floats:
    """Return differences of numbers of some size; those equal but for rounding, to zero or all to one another, are."""
    if equal_but_for_rounding(np.append(apart, 0.0), size):
        return np.zeros_like(apart)
    return np.full_like(apart, np.median(apart)) if equal_but_for_rounding(apart, size) else apart


def by_signs(apart: Floats) -> float:
    """Return the share of all signs of differences whose sum is as far from zero; NaN where they are zero, or one."""
    m, size = len(apart), float(np.abs(apart).sum())
    if m < 2 or not size:
        return math.nan
    if np.ptp(apart) == 0:  # of both signs, out of 2^m
        return 2.0 ** (1 - m)
    others = 1.0 - 2.0 * (np.arange(2 ** (m - 1))[:, None] >> np.arange(m - 1) & 1)  # the first keeps its sign
    sums = np.abs(apart[0] + others @ apart[1:])
    return float(np.mean(sums >= abs(float(apart.sum())) - _EQUAL_SUMS * size))


def _signed_ranks(apart: Floats) -> float:
    from scipy.stats import wilcoxon

    if not apart.any():
        return math.nan
    ties = len(np.unique(np.abs(apart))) < len(apart) or bool((apart == 0).any())
    exact = len(apart) <= _EXACT_TASKS and not ties
    return float(wilcoxon(apart, method="exact" if exact else "auto").pvalue)


def task_ranks(means: Floats) -> TaskRanks:
    """Return the average ranks of task means [arms, tasks], and what is tested on them."""
    from scipy.special import fdtrc
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    k, m = means.shape
    average = np.asarray(rankdata(-means, axis=0).mean(axis=1), np.float64)
    if k < 3 or m < 2:
        nan = math.nan
        return TaskRanks(
            ranks=average, friedman=nan, p_friedman=nan, iman_davenport=nan, p_iman_davenport=nan, nemenyi_cd=nan
        )
    found = friedmanchisquare(*means)
    chi2 = float(found.statistic)
    room = m * (k - 1) - chi2
    f = (m - 1) * chi2 / room if room > 0 else math.inf
    q = float(studentized_range.ppf(0.95, k, np.inf)) / math.sqrt(2)
    return TaskRanks(
        ranks=average,
        friedman=chi2,
        p_friedman=float(found.pvalue),
        iman_davenport=f,
        p_iman_davenport=float(fdtrc(k - 1, (k - 1) * (m - 1), f)),
        nemenyi_cd=q * math.sqrt(k * (k + 1) / (6 * m)),
    )
