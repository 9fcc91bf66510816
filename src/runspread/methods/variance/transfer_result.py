"""What `best_seed_selection` returns: what picking the best of several seeds is worth on fresh examples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..._results import Part, Result, Table
from ..._words import count, percent
from .selection_model import BestSeedModel
from .wording import points


@dataclass(frozen=True, eq=False, kw_only=True)
class ApparentGain(Part):
    """By how much the run picked looks better than the mean run on the examples that picked it, for each N."""

    keys: ClassVar = {"gain": "apparent_gain", "low": "apparent_low", "high": "apparent_high"}

    gain: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class FreshGain(Part):
    """By how much the run picked is better on fresh examples, for each N: all at most one minus the mean accuracy.

    The lower end is 0 at least, or the estimate where that is negative; sentence and table cut both to 0. NaN where the
    runs agree on every example, as copies of one do.
    """

    keys: ClassVar = {"gain": "fresh_gain", "low": "fresh_low", "high": "fresh_high"}

    gain: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Transfer(Part):
    """Share of the advantage that transfers to fresh examples, cut to [0, 1], and the model behind it.

    Attributes
    ----------
    share, share_low, share_high : float
        The share, and its interval.
    model : BestSeedModel
        The gains with the probabilities that the run picked is above the mean, beats a random run, is the best.
    model_low, model_high : BestSeedModel
        At the ends of the interval of what is real.
    """

    share: float
    share_low: float
    share_high: float
    model: BestSeedModel
    model_low: BestSeedModel
    model_high: BestSeedModel


@dataclass(frozen=True, eq=False, kw_only=True)
class SeenOnHalves(Part):
    """What was seen on two halves of the test set.

    Attributes
    ----------
    top_quarter_gain1, top_quarter_gain2 : float
        Advantage of the best quarter of runs on the half that picked them, and on the other.
    best_of_gain1, best_of_gain2 : ndarray of float [N]
        Advantage of the best of N runs, over all subsets of N of these runs; NaN where there are fewer.
    slope : float
        Regression slope of the second half's accuracy on the first's.
    first, second : ndarray of float [runs]
        Accuracy of each run on the two halves.
    """

    keys: ClassVar = {"slope": "slope_half"}

    top_quarter_gain1: float
    top_quarter_gain2: float
    best_of_gain1: NDArray[np.float64]
    best_of_gain2: NDArray[np.float64]
    slope: float
    first: NDArray[np.float64]
    second: NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class BestSeedSelection(Result):
    """What picking the best of several seeds is worth on fresh examples, as far as these runs tell.

    Estimates are unbiased for normal accuracies, at two runs as at many, unless they are cut to what is left to gain:
    where all seeds are equally good they are negative as often as positive. Each has an interval.

    Attributes
    ----------
    n_runs, n_examples : int
        R and n; copies count once.
    confidence_level : float
        Confidence level of the intervals.
    counts : tuple of int
        N: the best of how many runs is picked on the whole test set.
    kr20 : float
        Share of the variance on the whole test set that is distribution-wise.
    apparent : ApparentGain
        By how much the run picked looks better than the mean run: ``gain``, ``low``, ``high`` [N].
    fresh : FreshGain
        By how much it is better on fresh examples: ``gain``, ``low``, ``high`` [N].
    transfer : Transfer
        ``share`` of the advantage that transfers, with its interval, and the ``model`` behind it.
    halves : SeenOnHalves
        What was seen on two halves of the test set: ``slope``, ``best_of_gain1``, ...
    """

    picture = ".plots:plot_best_seed_selection"
    keys: ClassVar = {"confidence_level": "level"}

    n_runs: int
    n_examples: int
    confidence_level: float
    counts: tuple[int, ...]
    kr20: float
    apparent: ApparentGain
    fresh: FreshGain
    transfer: Transfer
    halves: SeenOnHalves

    @property
    def shown(self) -> bool:
        """Whether the runs show that some of the advantage of a lucky seed transfers."""
        return self.transfer.share_low > 0

    def table(self) -> Table:
        """Return a row for each N, in percentage points."""
        gain, low, high = 100 * self._possible
        columns: dict[str, Any] = {
            "best of": self.counts,
            "looks better by": 100 * self.apparent.gain,
            "is better by": gain,
            "low": low,
            "high": high,
        }
        title = f"Advantage over the mean run, percentage points, {percent(self.confidence_level)} CI on fresh examples"
        return Table(columns, formats=dict.fromkeys(list(columns)[1:], ".3f"), title=title)

    @property
    def _possible(self) -> NDArray[np.float64]:
        """Estimate and ends of the gain on fresh examples, cut to what a gain can be [3, N]."""
        return np.maximum([self.fresh.gain, self.fresh.low, self.fresh.high], 0.0)

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        unknown = f"Whether a lucky seed's advantage transfers cannot be told with {count(self.n_runs, 'run')}"
        if math.isnan(self.fresh.high[-1]):
            alike = f"they agree on all {count(self.n_examples, 'example')}, as copies of one run would"
            return f"{unknown}: {alike if self.n_runs > 1 else 'the others are copies of it'}."
        looks = (
            f"the best of {self.counts[-1]} looks {points(self.apparent.gain[-1])} percentage points better than the "
            f"mean run on {count(self.n_examples, 'example')}"
        )
        gain, low, high = (points(value) for value in self._possible[:, -1])
        interval = f"{percent(self.confidence_level)} CI, estimate {gain}"
        if self.shown:
            return (
                f"Part of a lucky seed's advantage transfers: {looks} and is {low} to {high} better on fresh ones "
                f"({interval}; {count(self.n_runs, 'run')})."
            )
        return f"{unknown}: {looks}, and may be {low} to {high} better on fresh ones ({interval})."
