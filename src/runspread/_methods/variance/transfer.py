"""`seed_selection`: is a lucky seed better (spec 7)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._errors import InputError
from ..._reading.opening import opens
from ..._results import Result, Table
from .estimate import variance
from .intervals import scaled_interval
from .result import VarianceResult, points, refuse_beside_result
from .selection import best_of_gain, checked_counts

_GRID = np.linspace(-12.0, 12.0, 24001)
_STEP = _GRID[1] - _GRID[0]
_ROUNDING = 1e-9
_LEAST_CLUSTERED = 4


@dataclass(frozen=True, eq=False, kw_only=True)
class SelectionModel(Result):
    """What the best of N runs is worth when accuracies are normal (spec 7).

    Attributes
    ----------
    sd : float
        Standard deviation of accuracy on the examples that pick.
    lam : float
        Share of that variance that is distribution-wise, in [0, 1].
    counts : tuple of int
        N.
    e_max : ndarray of float [N]
        Mean of the largest of N standard normals.
    apparent_gain, fresh_gain : ndarray of float [N]
        Expected advantage on the examples that pick, and on fresh ones.
    p_above_mean, p_beats_random, p_truly_best : ndarray of float [N]
        Probability that the selected run is above the mean on the distribution, beats a random run, is the best of N.
    fraction : float
        Share of the runs, for the next two.
    top_apparent_gain, top_fresh_gain : float
        Expected advantage of the best `fraction` of many runs, on the examples that pick and on fresh ones.
    """

    sd: float
    lam: float
    counts: tuple[int, ...]
    e_max: NDArray[np.float64]
    apparent_gain: NDArray[np.float64]
    fresh_gain: NDArray[np.float64]
    p_above_mean: NDArray[np.float64]
    p_beats_random: NDArray[np.float64]
    p_truly_best: NDArray[np.float64]
    fraction: float
    top_apparent_gain: float
    top_fresh_gain: float

    def table(self) -> Table:
        """Return a row for each N."""
        columns = {
            "best of": self.counts,
            "looks better by": 100 * self.apparent_gain,
            "is better by": 100 * self.fresh_gain,
            "above average": self.p_above_mean,
            "beats a random run": self.p_beats_random,
            "is the best": self.p_truly_best,
        }
        shares = dict.fromkeys(("above average", "beats a random run", "is the best"), ".1%")
        formats = {"looks better by": ".3f", "is better by": ".3f", **shares}
        return Table(columns, formats=formats, title="Picking the best of N runs, percentage points")

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        return (
            f"The best of {self.counts[-1]} runs looks {points(self.apparent_gain[-1])} points better than the mean "
            f"and is {points(self.fresh_gain[-1])} points better on fresh data, if accuracies are normal with standard "
            f"deviation {points(self.sd)} points of which a share of {self.lam:.1%} is real."
        )


def seed_selection_model(
    sd: float, lam: float, counts: Sequence[int] = (2, 5, 10, 20, 50, 100), *, fraction: float = 0.25
) -> SelectionModel:
    """Return what picking the best of N runs is worth under normal accuracies.

    Parameters
    ----------
    sd : float
        Standard deviation of accuracy between runs, on the examples that pick.
    lam : float
        Share of its square that is distribution-wise (``kr20`` of a `VarianceResult`); from 0 to 1.
    counts : sequence of int
        For which N.
    fraction : float
        Which top share of many runs to say the same of.
    """
    if not sd >= 0 or not 0 <= lam <= 1:
        raise InputError(f"sd={sd} and lam={lam}", "sd of zero or more, and a share from 0 to 1")
    if not 0 < fraction < 1:
        raise InputError(f"fraction={fraction}", "a share of the runs, between 0 and 1")
    counts = checked_counts(counts)
    top = _mean_of_top(fraction)
    highest = np.array([_mean_of_largest(lambda x: x, count) for count in counts])
    above = _probabilities(lam, 1 - lam, counts)
    beats = _probabilities(lam, 2 - lam, counts)
    return SelectionModel(
        sd=sd,
        lam=lam,
        counts=counts,
        e_max=highest,
        apparent_gain=sd * highest,
        fresh_gain=lam * sd * highest,
        p_above_mean=above,
        p_beats_random=beats,
        p_truly_best=_truly_best(lam, np.array(counts)),
        fraction=fraction,
        top_apparent_gain=sd * top,
        top_fresh_gain=lam * sd * top,
    )


def _mean_of_top(fraction: float) -> float:
    """Return the mean of the top `fraction` of a standard normal, ``phi(z) / fraction`` at its quantile z."""
    from scipy.special import ndtri

    return math.exp(-(float(ndtri(fraction)) ** 2) / 2) / math.sqrt(2 * math.pi) / fraction


def _mean_of_largest(function: Any, count: int) -> float:
    """Return the mean of a function of the largest of `count` standard normals (the trapezoid rule, exact here)."""
    from scipy.special import log_ndtr

    log_density = math.log(count) - _GRID**2 / 2 - math.log(2 * math.pi) / 2 + (count - 1) * log_ndtr(_GRID)
    return float((function(_GRID) * np.exp(log_density)).sum() * _STEP)


def _probabilities(signal: float, noise: float, counts: Sequence[int]) -> NDArray[np.float64]:
    """Return E Phi(sqrt(signal/noise) Z_(N)) for each N."""
    from scipy.special import ndtr

    if noise == 0:
        return np.array([1 - 0.5**count for count in counts])
    slope = math.sqrt(signal / noise)
    return np.array([_mean_of_largest(lambda x: ndtr(slope * x), count) for count in counts])


def _truly_best(lam: float, counts: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return N E[Phi2(A, H; sqrt(lam))^(N-1)], the chance that the run picked is the best on the distribution."""
    if lam in (0.0, 1.0):
        return np.ones(len(counts)) if lam else 1 / counts
    step = 0.1  # of the trapezoid rule, exact to 1e-13 here
    nodes = np.arange(-8.05, 8.1, step)  # no node at zero, where Owen's formula divides
    weights = np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi) * step
    rho, rest = math.sqrt(lam), math.sqrt(1 - lam)
    seen = nodes[:, None]
    below = _bivariate_normal(seen, rho * seen + rest * nodes, rho, rest)
    both = weights[:, None] * weights
    return np.array([count * (both * below ** (count - 1)).sum() for count in counts.tolist()])


def _bivariate_normal(h: NDArray[np.float64], k: NDArray[np.float64], rho: float, rest: float) -> NDArray[np.float64]:
    """Return the bivariate normal distribution function by Owen's T function (1956); `rest` is sqrt(1 - rho^2)."""
    from scipy.special import ndtr, owens_t

    k = np.where(k == 0, 1e-300, k)
    t_h, t_k = owens_t(h, (k - rho * h) / (h * rest)), owens_t(k, (h - rho * k) / (k * rest))
    return np.clip((ndtr(h) + ndtr(k)) / 2 - t_h - t_k - np.where(h * k < 0, 0.5, 0.0), 0.0, 1.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class SeedSelection(Result):
    """What picking the best of several seeds is worth on fresh examples, as far as these runs tell.

    Estimates are unbiased for normal accuracies, at two runs as at many: where all seeds are equally good they are
    negative as often as positive. Each has an interval.

    Attributes
    ----------
    n_runs, n_examples : int
        R and n.
    level : float
        Of the intervals.
    counts : tuple of int
        N: the best of how many runs is picked on the whole test set.
    apparent_gain, apparent_low, apparent_high : ndarray of float [N]
        By how much the run picked looks better than the mean run on the examples that picked it.
    fresh_gain, fresh_low, fresh_high : ndarray of float [N]
        By how much it is better on fresh examples. Intervals are cut at 0, which is what equally good seeds give.
    share, share_low, share_high : float
        Share of the advantage that transfers to fresh examples, cut to [0, 1].
    model : SelectionModel
        The same with the probabilities that the run picked is above the mean, beats a random run, is the best.
    model_low, model_high : SelectionModel
        At the ends of the interval of what is real.
    top_quarter_gain1, top_quarter_gain2 : float
        Seen on two halves of the test set: advantage of the best quarter of runs on the half that picked them, and on
        the other.
    best_of_gain1, best_of_gain2 : ndarray of float [N]
        Seen on the halves: advantage of the best of N runs, over all subsets of N of these runs; NaN where there are
        fewer.
    slope_half : float
        Regression slope of the second half's accuracy on the first's.
    kr20 : float
        Share of the variance on the whole test set that is distribution-wise.
    first, second : ndarray of float [runs]
        Accuracy of each run on the two halves.
    """

    n_runs: int
    n_examples: int
    level: float
    counts: tuple[int, ...]
    apparent_gain: NDArray[np.float64]
    apparent_low: NDArray[np.float64]
    apparent_high: NDArray[np.float64]
    fresh_gain: NDArray[np.float64]
    fresh_low: NDArray[np.float64]
    fresh_high: NDArray[np.float64]
    share: float
    share_low: float
    share_high: float
    model: SelectionModel
    model_low: SelectionModel
    model_high: SelectionModel
    top_quarter_gain1: float
    top_quarter_gain2: float
    best_of_gain1: NDArray[np.float64]
    best_of_gain2: NDArray[np.float64]
    slope_half: float
    kr20: float
    first: NDArray[np.float64]
    second: NDArray[np.float64]

    @property
    def shown(self) -> bool:
        """Whether the runs show that some of the advantage of a lucky seed transfers."""
        return self.share_low > 0

    def table(self) -> Table:
        """Return a row for each N, in percentage points."""
        columns: dict[str, Any] = {
            "best of": self.counts,
            "looks better by": 100 * self.apparent_gain,
            "is better by": 100 * self.fresh_gain,
            "low": 100 * self.fresh_low,
            "high": 100 * self.fresh_high,
        }
        title = f"Advantage over the mean run, percentage points, {self.level:.0%} interval on fresh examples"
        return Table(columns, formats=dict.fromkeys(list(columns)[1:], ".3f"), title=title)

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        looks = (
            f"the best of {self.counts[-1]} looks {points(self.apparent_gain[-1])} points better than the mean run on "
            f"these {self.n_examples} examples"
        )
        found = f"estimate {points(self.fresh_gain[-1])}, if accuracies are normal"
        ends = f"{points(self.fresh_low[-1])} to {points(self.fresh_high[-1])}"
        if self.shown:
            return (
                f"Part of a lucky seed's advantage transfers: {looks}, and is {ends} better on fresh ones "
                f"({self.level:.0%} interval from {self.n_runs} runs; {found})."
            )
        return (
            f"Whether a lucky seed's advantage transfers cannot be told with {self.n_runs} runs: {looks}, and may be "
            f"{ends} better on fresh ones ({self.level:.0%} interval; {found})."
        )


@opens("source")
def seed_selection(
    source: Any = None,
    labels: Any = None,
    *,
    correct: ArrayLike | None = None,
    counts: Sequence[int] | None = None,
    split: str = "test",
    kind: str = "auto",
    nan: str = "exclude",
    missing: str = "raise",
    level: float | None = None,
    first_half: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> SeedSelection:
    """Return what picking the best seed is worth on examples that did not pick it.

    Parameters
    ----------
    source : VarianceResult, or as for `variance`
        The runs. A result has its halves and its level already.
    labels, correct, split, kind, nan, missing, first_half, clusters
        As for `variance`.
    counts : sequence of int, optional
        For which N to say what the best of N runs is worth; default those of the result, or 2, 5, 10.
    level : float, optional
        Of the intervals; default 0.95.

    Raises
    ------
    InputError
        There are fewer than two runs or two examples; or fewer than four runs where examples come in clusters.

    Notes
    -----
    The run that is picked on all examples but one is judged on that one, for each in turn: of accuracies that are
    normal, it gains ``e_N / c4(R)`` times the mean over i of ``Cov(a_-i, x_i) / sd(a_-i)`` (e_N: mean of the largest of
    N standard normals; c4: bias of a standard deviation from R runs). Nothing that picks is looked at again, so that
    equally good seeds gain exactly 0 on average.
    """
    if isinstance(source, VarianceResult):
        refuse_beside_result(labels=labels, correct=correct, first_half=first_half, level=level, clusters=clusters)
        found = source
    else:
        found = variance(
            source,
            labels,
            correct=correct,
            split=split,
            kind=kind,
            nan=nan,
            missing=missing,
            level=0.95 if level is None else level,
            first_half=first_half,
            best_of=(2, 5, 10) if counts is None else counts,
            pairs="none",
            clusters=clusters,
        )
    found.require_runs()
    if math.isnan(found.cov_half):
        raise InputError(f"{found.n_runs} runs on {found.n_examples} examples", "two runs and two halves of examples")
    numbers = found.best_of if counts is None else checked_counts(counts)
    first, second = found.correct_by_half.T / np.array(found.half_sizes)[:, None]
    gains = np.array([best_of_gain(first, second, count) for count in numbers], np.float64).reshape(-1, 2)
    return SeedSelection(
        n_runs=found.n_runs,
        n_examples=found.n_examples,
        level=found.level,
        counts=numbers,
        top_quarter_gain1=found.top_quarter_gain1,
        top_quarter_gain2=found.top_quarter_gain2,
        best_of_gain1=gains[:, 0],
        best_of_gain2=gains[:, 1],
        slope_half=found.slope_half,
        kr20=found.kr20,
        first=first,
        second=second,
        excluded=found.excluded,
        warnings=found.warnings,
        **_worth(found, numbers),
    )


def _worth(found: VarianceResult, counts: tuple[int, ...]) -> dict[str, Any]:
    """Return estimates and intervals of what picking is worth.

    The interval of what is real gives the others: each grows with it, and the noise of the examples is known well.
    """
    bias = _sd_bias(found.n_runs)
    looks = found.sd_test / bias
    gain = picked_gain(found) / bias if found.n_clusters is None else _clustered_gain(found, bias)
    share = min(1.0, max(0.0, gain / looks)) if looks else 0.0
    model = seed_selection_model(looks, share, counts)
    model = replace(model, fresh_gain=gain * model.e_max, top_fresh_gain=gain * _mean_of_top(model.fraction))
    noise = max(0.0, found.var_test - found.var_dist)
    low, high = (_model_at(end**2, noise, counts) for end in found.sd_interval)
    seen = scaled_interval(found.var_test, found.n_runs - 1, found.level)
    return {
        "apparent_gain": model.apparent_gain,
        "apparent_low": math.sqrt(seen[0]) * model.e_max,
        "apparent_high": math.sqrt(seen[1]) * model.e_max,
        "fresh_gain": model.fresh_gain,
        "fresh_low": low.fresh_gain,
        "fresh_high": high.fresh_gain,
        "share": share,
        "share_low": low.lam,
        "share_high": high.lam,
        "model": model,
        "model_low": low,
        "model_high": high,
    }


def _model_at(real: float, noise: float, counts: tuple[int, ...]) -> SelectionModel:
    total = real + noise
    return seed_selection_model(math.sqrt(total), real / total if total else 0.0, counts)


def _sd_bias(runs: int) -> float:
    """Return c4, the mean of a standard deviation from `runs` normal values over the true one."""
    return math.sqrt(2 / (runs - 1)) * math.exp(math.lgamma(runs / 2) - math.lgamma((runs - 1) / 2))


def picked_gain(found: VarianceResult) -> float:
    """Return the mean over examples of the covariance of an example with the accuracy on the others, over its sd."""
    own = found.right * (found.n_runs - found.right) / (found.n_runs * (found.n_runs - 1))
    with_others = found.item_total_cov - own
    others = found.n_examples**2 * found.var_test - found.item_total_cov - with_others
    some = others > _ROUNDING * found.n_examples**2 * found.var_test  # others that never differ pick nothing
    return float(np.where(some, with_others / np.sqrt(np.where(some, others, 1.0)), 0.0).mean())


def _clustered_gain(found: VarianceResult, bias: float) -> float:
    """Return the same where clusters are independent: ``s_H^2 / sigma``, each part unbiased by itself."""
    if found.n_runs < _LEAST_CLUSTERED:
        raise InputError(
            f"{found.n_runs} runs on examples in clusters",
            f"{_LEAST_CLUSTERED} runs or more",
            "Train more runs: fewer have no estimate there.",
        )
    if not found.sd_test:
        return 0.0
    half = (found.n_runs - 1) / 2
    inverse = math.sqrt(half) * math.exp(math.lgamma(half - 0.5) - math.lgamma(half))  # mean of sigma over the sd
    lift = found.var_dist / (found.var_test - found.var_ind) if found.var_dist else 1.0
    return lift * (found.sd_test / bias - found.var_ind / (inverse * found.sd_test))
