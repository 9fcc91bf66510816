"""Two arms beside the mean: arrangements, ranks, the chance that a new run is better, the median shift (scores 3.4)."""

from __future__ import annotations

import bisect
import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._results import Part
from .one_arm import mean_of

Floats = NDArray[np.float64]
MOST_ARRANGEMENTS = 20_000
_EXACT_PAIRS = 1_600  # pairs of runs up to which the distribution of the rank sum is counted
_MOST_PAIRS = 10**7  # of runs that are held at once
_MOST_LEFT, _TURNS = 10**6, 16  # differences among which one is looked up; after so many turns, as many as are held
_ASIDE = 0.01  # of an interval, by which its ends are aimed beside what they are to hold
_FEWEST_FOR_BM = 10
_MOST_TO_DRAW = 2_000  # runs whose arrangements are drawn


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranks(Part):
    """Answers of two arms that rest on order or on arrangements of the runs.

    Attributes
    ----------
    p_perm, p_mw : float
        Permutation test of the means, and Mann and Whitney's with ties, both two-sided by distance; exact up to 20,000
        arrangements. Beyond, `compare_scores` has the former by 9,999 random ones, the latter by counts of rank sums.
    p_bm : float
        Brunner and Munzel's; NaN where an arm has fewer than 10 runs, or the arms do not overlap.
    u_new : float
        Pairs in which the new run has the larger value; ties count half.
    p_superior, p_superior_lo, p_superior_hi : float
        Share of pairs in which the new run is better, and Newcombe's interval (2006, method 5).
    hl, hl_lo, hl_hi : float
        Hodges and Lehmann's shift: the median of all differences, and its interval by ranks (NaN where too few runs).
    """

    p_perm: float
    p_mw: float
    p_bm: float
    u_new: float
    p_superior: float
    p_superior_lo: float
    p_superior_hi: float
    hl: float
    hl_lo: float
    hl_hi: float


def ranks(a: Floats, b: Floats, level: float, *, lower: bool) -> Ranks:
    """Return the answers that rest on order, of old runs a [n_a] and new runs b [n_b]."""
    total = len(a) * len(b)
    a, b = np.sort(a), np.sort(b)  # what is in order is looked up, and sorted again, in a fraction of the time
    u_new = pairs_above(a, b)
    share = (total - u_new if lower else u_new) / total
    low, high = newcombe_interval(share, len(a), len(b), level)
    shift, shift_lo, shift_hi = hodges_lehmann(a, b, level)
    p_perm, p_mw = arrangement_tests(a, b)
    return Ranks(
        p_perm=p_perm,
        p_mw=p_mw,
        p_bm=brunner_munzel(a, b),
        u_new=u_new,
        p_superior=share,
        p_superior_lo=low,
        p_superior_hi=high,
        hl=shift,
        hl_lo=shift_lo,
        hl_hi=shift_hi,
    )


def pairs_above(a: Floats, b: Floats) -> float:
    """Return in how many pairs the run of b is above that of a; ties count half."""
    ordered = np.sort(a)
    below, upto = np.searchsorted(ordered, b, side="left"), np.searchsorted(ordered, b, side="right")
    return float(below.sum() + upto.sum()) / 2


@functools.lru_cache(maxsize=64)
def _arrangements(n: int, chosen: int) -> NDArray[np.int64]:
    """Return all choices [arrangements, chosen] of `chosen` runs among n."""
    return np.array(list(itertools.combinations(range(n), chosen)), np.int64)


def too_many_arrangements(n_a: int, n_b: int) -> bool:
    """Whether the runs of two arms have more arrangements than are counted."""
    return n_a + n_b > MOST_ARRANGEMENTS or math.comb(n_a + n_b, min(n_a, n_b, 20)) > MOST_ARRANGEMENTS


def arrangement_tests(a: Floats, b: Floats) -> tuple[float, float]:
    """Return the exact two-sided p of the mean difference and of the rank sum, by distance from the middle."""
    from scipy.stats import rankdata

    n = len(a) + len(b)
    if n < 3 or too_many_arrangements(len(a), len(b)):
        return math.nan, math.nan
    pool = np.concatenate([a, b])
    finite = bool(np.isfinite(pool).all())
    centred = (pool - mean_of(pool)) / (float(np.ptp(pool)) or 1.0) if finite else np.zeros(n)
    scores = np.stack([centred, rankdata(pool) - (n + 1) / 2])
    few, chosen = (0, len(a)) if len(a) <= len(b) else (len(a), n)
    sums = scores[:, _arrangements(n, chosen - few)].sum(axis=-1)
    seen = scores[:, few:chosen].sum(axis=-1, keepdims=True)
    slack = np.array([[1e-9 / (1 / len(a) + 1 / len(b))], [1e-9]])
    found = (np.abs(sums) >= np.abs(seen) - slack).mean(axis=1)
    return float(found[0]) if finite else math.nan, float(found[1])


def drawn_arrangements_p(a: Floats, b: Floats, draws: int = 9_999, seed: int = 0) -> float:
    """Return the permutation p of the mean difference by random arrangements and the one observed.

    NaN beyond 2,000 runs.

    Parameters
    ----------
    a, b : ndarray of float [runs]
        Old and new.
    draws, seed : int
        Random arrangements, and the seed of the generator that draws them.
    """
    n, few = len(a) + len(b), min(len(a), len(b))
    if n > _MOST_TO_DRAW:
        return math.nan
    rng, pool = np.random.default_rng(seed), np.concatenate([a, b])
    centred = (pool - pool.mean()) / (float(np.ptp(pool)) or 1.0)
    seen = abs(float((centred[: len(a)] if len(a) == few else centred[len(a) :]).sum()))
    slack, hits, at_once = 1e-9 / (1 / len(a) + 1 / len(b)), 1, max(1, 10**6 // n)
    for start in range(0, draws, at_once):
        shuffled = rng.permuted(np.tile(centred, (min(at_once, draws - start), 1)), axis=1)
        hits += int(np.count_nonzero(np.abs(shuffled[:, :few].sum(axis=1)) >= seen - slack))
    return hits / (draws + 1)


def rank_sum_p(a: Floats, b: Floats) -> float:
    """Return Mann and Whitney's two-sided p with midranks, counted exactly for up to 1,600 pairs of runs.

    Beyond, the normal distribution with the variance that ties leave and a correction for continuity.
    """
    from scipy.special import ndtr
    from scipy.stats import rankdata

    n, few = len(a) + len(b), min(len(a), len(b))
    doubled = np.rint(2 * rankdata(np.concatenate([a, b]))).astype(np.int64)
    seen = int(doubled[: len(a)].sum() if len(a) == few else doubled[len(a) :].sum())
    middle = few * (n + 1)
    if len(a) * len(b) > _EXACT_PAIRS:
        spread = math.sqrt(few * (n - few) / (n * (n - 1)) * float(np.square(doubled - (n + 1)).sum()))
        return min(1.0, 2 * float(ndtr(-max(0.0, abs(seen - middle) - 1) / spread))) if spread else 1.0
    counts = np.zeros((few + 1, int(doubled.sum()) + 1))
    counts[0, 0] = 1.0
    for rank in doubled.tolist():
        counts[1:, rank:] += counts[:-1, : counts.shape[1] - rank].copy()
    sums = np.arange(counts.shape[1])
    return float(counts[few, np.abs(sums - middle) >= abs(seen - middle)].sum() / counts[few].sum())


def newcombe_interval(share: float, n_a: float, n_b: float, level: float, tasks: int = 1) -> tuple[float, float]:
    """Return Newcombe's interval (2006, method 5) of the chance that a new run is better, on average over tasks."""
    from scipy.optimize import brentq

    z = _normal_quantile((1 + level) / 2)
    n = (n_a + n_b) / 2 - 1

    def excess(at: float) -> float:
        variance = at * (1 - at) * (1 + n * ((1 - at) / (2 - at) + at / (1 + at))) / (n_a * n_b * tasks)
        return abs(share - at) - z * math.sqrt(max(variance, 0.0))

    tiny = 1e-9
    low = 0.0 if share <= 0 else float(brentq(excess, 0.0, share if share < 1 else 1 - tiny, xtol=1e-14))
    high = 1.0 if share >= 1 else float(brentq(excess, share if share > 0 else tiny, 1.0, xtol=1e-14))
    return low, high


def _normal_quantile(probability: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(probability))


@functools.lru_cache(maxsize=512)
def _tail_counts(n_a: int, n_b: int, tail: float) -> int:
    """Return for how many u the chance of at most u pairs above, without ties, is within `tail`."""
    if n_a * n_b > _EXACT_PAIRS:
        spread = math.sqrt(n_a * n_b * (n_a + n_b + 1) / 12)
        return max(0, math.floor(n_a * n_b / 2 + _normal_quantile(tail) * spread) + 1)
    counts = np.zeros((n_a + 1, n_a * n_b + 1))
    counts[0, 0] = 1.0
    for rank in range(1, n_a + n_b + 1):  # the rank sum of a, less its least
        for chosen in range(min(rank, n_a), 0, -1):
            step = rank - chosen
            if step <= n_a * n_b:
                counts[chosen, step:] += counts[chosen - 1, : n_a * n_b + 1 - step]
    below = np.cumsum(counts[n_a]) / math.comb(n_a + n_b, n_a)
    return int(np.count_nonzero(below <= tail * (1 + 1e-12)))


def hodges_lehmann(a: Floats, b: Floats, level: float) -> tuple[float, float, float]:
    """Return the median of all differences b - a, and the ends of its interval (NaN where too few runs)."""
    total = len(a) * len(b)
    tail = _tail_counts(len(a), len(b), (1 - level) / 2)
    wanted = [(total - 1) // 2, total // 2, *([tail - 1, total - tail] if tail else [])]
    if total <= _MOST_PAIRS:
        found = _order_statistics(a, b, wanted)
    else:
        differences = _Differences(a, b)
        found = [differences.kth(at) for at in wanted]
    middle = found[0] / 2 + found[1] / 2
    return (middle, found[2], found[3]) if tail else (middle, math.nan, math.nan)


def _order_statistics(a: Floats, b: Floats, wanted: list[int]) -> list[float]:
    """Return some differences b - a by their order; two runs that both count as the worst are equal."""
    with np.errstate(invalid="ignore"):
        differences = np.subtract.outer(b, a).ravel()
    differences[np.isnan(differences)] = 0.0
    ordered = np.partition(differences, wanted)
    return [float(ordered[at]) if math.isfinite(ordered[at]) else math.nan for at in wanted]


class _Differences:
    """Differences b - a of sorted runs by their order, too many to be held at once.

    An interval that holds the one asked for shrinks around it, until it holds few: its ends are aimed at, by
    interpolation, from both sides, and every third time at its middle. Counts are kept for the next one asked for.
    """

    def __init__(self, a: Floats, b: Floats) -> None:
        self.a, self.b = np.sort(a), np.sort(b)
        self._ends = [float(self.b[0] - self.a[-1]), float(self.b[-1] - self.a[0])]
        self._at_most = [self.at_most(self._ends[0]), len(a) * len(b)]

    def at_most(self, value: float) -> int:
        """Return how many differences are at most `value`."""
        return int(np.searchsorted(self.b, self.a + value, side="right").sum())

    def kth(self, k: int) -> float:
        """Return the k-th smallest difference (from 0)."""
        at = bisect.bisect_right(self._at_most, k)
        if not at:
            return self._ends[0]
        low, high = self._ends[at - 1 : at + 1]
        below, upto = self._at_most[at - 1 : at + 1]
        for turn in itertools.count():
            if upto - below <= (_MOST_LEFT if turn < _TURNS else _MOST_PAIRS):
                return self._inside(low, high, k - below)
            if turn % 3 == 2 and turn > 3 and (equal := self._all_equal(low, high)) is not None:
                return equal
            aim = (-_ASIDE, _ASIDE, None)[turn % 3]
            share = 0.5 if aim is None else min(max((k + 0.5 - below) / (upto - below) + aim, 0.0), 1.0)
            middle = low + (high - low) * share
            if middle in (low, high):
                middle = low + (high - low) / 2
                if middle in (low, high):
                    return high
            number = self._counted(middle)
            low, high, below, upto = (low, middle, below, number) if number > k else (middle, high, number, upto)
        raise AssertionError

    def _counted(self, value: float) -> int:
        at = bisect.bisect_left(self._ends, value)
        self._ends.insert(at, value)
        self._at_most.insert(at, self.at_most(value))
        return self._at_most[at]

    def _all_equal(self, low: float, high: float) -> float | None:
        """Return the differences above `low` and up to `high` where rounding alone sets them apart, as printed ones."""
        a, b = self.a, self.b
        first, last = np.searchsorted(b, a + low, side="right"), np.searchsorted(b, a + high, side="right")
        there = first < last
        least, most = (b[first[there]] - a[there]).min(), (b[last[there] - 1] - a[there]).max()
        noise = 8 * np.spacing(max(np.abs(a[[0, -1]]).max(), np.abs(b[[0, -1]]).max()))
        return float(most) if most - least <= noise else None

    def _inside(self, low: float, high: float, rank: int) -> float:
        """Return one of the differences above `low` and up to `high` by its rank among them."""
        a, b = self.a, self.b
        start = np.searchsorted(b, a + low, side="right")
        times = np.searchsorted(b, a + high, side="right") - start
        first = np.repeat(start - np.cumsum(times) + times, times)
        left = b[first + np.arange(len(first))] - np.repeat(a, times)
        if rank >= len(left):  # the largest of all, which rounding put above its own sum
            return high
        return float(np.partition(left, rank)[rank])


def brunner_munzel(a: Floats, b: Floats) -> float:
    """Return Brunner and Munzel's two-sided p; NaN below 10 runs of an arm, and where the arms do not overlap."""
    from scipy.stats import brunnermunzel

    if min(len(a), len(b)) < _FEWEST_FOR_BM or a.max() < b.min() or b.max() < a.min():
        return math.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(brunnermunzel(a, b).pvalue)
