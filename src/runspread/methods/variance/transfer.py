"""`seed_selection`: is a lucky seed better (spec 7)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._reading.copies import Copies
from ..._reading.opening import opens
from ..._results import Result, Table
from ..._words import count
from ...errors import InputError
from .estimate import variance
from .intervals import scaled_interval
from .once import without_copies
from .result import VarianceResult, points, refuse_beside_result
from .selection import best_of_gain, checked_counts
from .selection_model import SelectionModel, mean_of_top, seed_selection_model
from .statistics import counted

_ROUNDING = 1e-9
_LEAST_CLUSTERED = 4
_NORMAL = "What a lucky seed is worth takes the accuracies of runs as normal."
_NOTHING = dict.fromkeys(("share", "share_low", "share_high"), math.nan)


@dataclass(frozen=True, eq=False, kw_only=True)
class SeedSelection(Result):
    """What picking the best of several seeds is worth on fresh examples, as far as these runs tell.

    Estimates are unbiased for normal accuracies, at two runs as at many, unless they are cut to what is left to gain:
    where all seeds are equally good they are negative as often as positive. Each has an interval.

    Attributes
    ----------
    n_runs, n_examples : int
        R and n; copies count once.
    level : float
        Of the intervals.
    counts : tuple of int
        N: the best of how many runs is picked on the whole test set.
    apparent_gain, apparent_low, apparent_high : ndarray of float [N]
        By how much the run picked looks better than the mean run on the examples that picked it.
    fresh_gain, fresh_low, fresh_high : ndarray of float [N]
        By how much it is better on fresh examples: all at most one minus the mean accuracy. The lower end is 0 at
        least, or the estimate where that is negative; sentence and table cut both to 0. NaN where the runs agree on
        every example, as copies of one do.
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

    picture = ".plots:plot_seed_selection"

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
        gain, low, high = 100 * self._possible
        columns: dict[str, Any] = {
            "best of": self.counts,
            "looks better by": 100 * self.apparent_gain,
            "is better by": gain,
            "low": low,
            "high": high,
        }
        title = f"Advantage over the mean run, percentage points, {self.level:.0%} interval on fresh examples"
        return Table(columns, formats=dict.fromkeys(list(columns)[1:], ".3f"), title=title)

    @property
    def _possible(self) -> NDArray[np.float64]:
        """Estimate and ends of the gain on fresh examples, cut to what a gain can be [3, N]."""
        return np.maximum([self.fresh_gain, self.fresh_low, self.fresh_high], 0.0)

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        unknown = f"Whether a lucky seed's advantage transfers cannot be told with {count(self.n_runs, 'run')}"
        if math.isnan(self.fresh_high[-1]):
            alike = f"they agree on all {count(self.n_examples, 'example')}, as copies of one run would"
            return f"{unknown}: {alike if self.n_runs > 1 else 'the others are copies of it'}."
        looks = (
            f"the best of {self.counts[-1]} looks {points(self.apparent_gain[-1])} points better than the mean run on "
            f"{count(self.n_examples, 'example')}"
        )
        gain, low, high = (points(value) for value in self._possible[:, -1])
        interval = f"{self.level:.0%} interval, estimate {gain}"
        if self.shown:
            return (
                f"Part of a lucky seed's advantage transfers: {looks} and is {low} to {high} better on fresh ones "
                f"({interval}; {count(self.n_runs, 'run')})."
            )
        return f"{unknown}: {looks}, and may be {low} to {high} better on fresh ones ({interval})."


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
        reading = {"correct": correct, "split": split, "kind": kind, "nan": nan, "missing": missing}
        settings = {
            "level": 0.95 if level is None else level,
            "best_of": (2, 5, 10) if counts is None else counts,
            "pairs": "none",
            "clusters": clusters,
        }
        found = _without_copies(source, labels, first_half, reading, settings)
    found.require_runs()
    if len(found.distinct) < found.n_runs and len(found.distinct) > 1:
        raise InputError(
            f"a result in which {found.n_runs} runs are {len(found.distinct)}, as some are copies",
            "runs without copies",
            "Give the runs themselves to seed_selection(), which counts copies once.",
        )
    if math.isnan(found.cov_half):
        raise InputError(f"{found.n_runs} runs on {found.n_examples} examples", "two runs and two halves of examples")
    numbers = found.best_of if counts is None else checked_counts(counts)
    first, second = found.correct_by_half.T / np.array(found.half_sizes)[:, None]
    gains = np.array([best_of_gain(first, second, number) for number in numbers], np.float64).reshape(-1, 2)
    return SeedSelection(
        n_runs=len(found.distinct),
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
        warnings=(*found.warnings, _NORMAL),
        **_worth(found, numbers),
    )


def _without_copies(
    source: Any, labels: Any, first_half: ArrayLike | None, reading: dict[str, Any], settings: dict[str, Any]
) -> VarianceResult:
    """Return the result on runs of which copies count once, with the warnings about the copies."""
    found = variance(source, labels, first_half=first_half, **reading, **settings)
    if len(found.distinct) in (1, found.n_runs):
        return found
    counting = {"votes": False, "keep_bits": True, "first_half": first_half}
    statistics, outcomes = counted(source, labels, counting, **reading)
    copies = Copies(found.n_runs, found.copies, (True,) * len(found.copies))
    once = without_copies(statistics, outcomes, copies, counting)
    if once is None:
        raise InputError("statistics of runs among which are copies", "keep_bits=True", "Count the runs with it.")
    return replace(variance(once, **settings), excluded=found.excluded, warnings=found.warnings)


def _worth(found: VarianceResult, counts: tuple[int, ...]) -> dict[str, Any]:
    """Return estimates and intervals of what picking is worth.

    The interval of what is real gives the others: each grows with it, and the noise of the examples is known well.
    """
    bias = _sd_bias(found.n_runs)
    looks = found.sd_test / bias
    gain = picked_gain(found) / bias if found.n_clusters is None else _clustered_gain(found, bias)
    share = min(1.0, max(0.0, gain / looks)) if looks else 0.0
    model = seed_selection_model(looks, share, counts)
    most = 1 - found.mean_acc
    gains = np.minimum(gain * model.e_max, most)
    model = replace(model, fresh_gain=gains, top_fresh_gain=min(gain * mean_of_top(model.fraction), most))
    noise = max(0.0, found.var_test - found.var_dist)
    low, high = (_model_at(end**2, noise, counts) for end in found.sd_interval)
    seen = scaled_interval(found.var_test, found.n_runs - 1, found.level) if found.var_test else (math.nan, math.nan)
    worth = {
        "apparent_gain": np.minimum(model.apparent_gain, most),
        "apparent_low": np.minimum(math.sqrt(seen[0]) * model.e_max, most),
        "apparent_high": np.minimum(math.sqrt(seen[1]) * model.e_max, most),
        "fresh_gain": model.fresh_gain,
        "fresh_low": np.minimum(np.minimum(low.fresh_gain, most), model.fresh_gain),
        "fresh_high": np.maximum(np.minimum(high.fresh_gain, most), model.fresh_gain),
        "share": share,
        "share_low": low.lam,
        "share_high": high.lam,
        "model": model,
        "model_low": low,
        "model_high": high,
    }
    if found.sd_test or found.sd_ind:
        return worth
    return worth | {name: np.full(len(counts), math.nan) for name in worth if name.startswith("fresh")} | _NOTHING


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
