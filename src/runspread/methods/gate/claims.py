"""`Claim`: what may be said of the end of a campaign against its start."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._results import Part, Result, Table
from ..._words import count, listed
from .._statistics import sample_variance
from ..scores.ranks import hodges_lehmann
from .exact import permutation_p, ranked, sign_flip_p, welch_min_p
from .looks import CERTIFIED, WELCH, Look, judge

Floats = NDArray[np.float64]
SURE_GAIN = 1.05  # standard deviations: the gain that three looks certify in 80 % of campaigns
STAND_IN = 10  # standard deviations beyond the worst finite outcome, where a failed run is put


class Gain(NamedTuple):
    """A difference with its one-sided bounds."""

    gain: float
    low: float
    high: float
    error: float


@dataclass(frozen=True)
class Sides:
    """Outcomes of a certificate's runs, in the order in which they were taken.

    Attributes
    ----------
    start, end : ndarray [runs]
        Outcomes as they are, infinite where a run failed.
    higher : bool
        Whether larger is better.
    pair : bool
        Whether runs of one position have one seed.
    median : bool
        Whether they are compared by ranks, and the gain is the median of all differences between a run of the start
        and one of the end. A failed run counts as worse than every other in both.
    """

    start: Floats
    end: Floats
    higher: bool = False
    pair: bool = False
    median: bool = False

    def first(self, runs: int) -> Sides:
        """Return the first runs of each side."""
        return replace(self, start=self.start[:runs], end=self.end[:runs])

    def p_value(self, failed_as: float, test: str = "permutation") -> float:
        """Return the one-sided p-value of "the end is better than the start".

        Where a run failed, the permutation test goes by ranks: means would hang on what stands for it, so that one
        failed run in the end could not be made up for. Whether one failed does not depend on which runs are on which
        side, so that the test stays exact.

        Parameters
        ----------
        failed_as : float
            See `stand_in`; for the test welch-min.
        test : {"permutation", "welch-min"}
            The test of the campaign.
        """
        if test == WELCH:
            return welch_min_p(*self.losses(failed_as))
        sides = self.losses(math.inf)
        if self.median or math.inf in sides[0] + sides[1]:
            sides = ranked(*sides, pair=self.pair)
        return sign_flip_p(*sides) if self.pair else permutation_p(*sides)

    def losses(self, stand_in: float) -> tuple[list[float], list[float]]:
        """Return both sides so that smaller is better; a failed run has the value of `stand_in`."""
        sign = -1.0 if self.higher else 1.0
        start, end = (
            [sign * float(x) if math.isfinite(x) else stand_in for x in side] for side in (self.start, self.end)
        )
        return start, end

    def gain(self, level: float) -> Gain:
        """Return the gain, with bounds that each miss with probability `level` at most; a mean is of finished runs."""
        from scipy.stats import t

        if self.median:
            return self._median_gain(level)
        start, end = (side[np.isfinite(side)] for side in (self.start, self.end))
        sign = 1.0 if self.higher else -1.0
        if self.pair:
            both = np.isfinite(self.start) & np.isfinite(self.end)
            start, end = self.start[both], self.end[both]
        if not len(start) or not len(end):
            return Gain(math.nan, math.nan, math.nan, math.nan)
        gain, df = sign * float(end.mean() - start.mean()), len(start) + len(end) - 2
        if self.pair:
            error, df = _error(end - start), len(start) - 1
        elif df > 0:
            squares = sum(float(sample_variance(side)) * (len(side) - 1) for side in (start, end) if len(side) > 1)
            error = math.sqrt(squares / df * (1 / len(start) + 1 / len(end)))
        else:
            error = math.nan
        reach = float(t.isf(level, df)) * error if df > 0 else math.nan
        return Gain(gain, gain - reach, gain + reach, error)

    def _median_gain(self, level: float) -> Gain:
        start, end = (np.array(side) for side in self.losses(math.inf))
        shift, low, high = hodges_lehmann(start, end, 1 - 2 * level)
        below, above = (-math.inf if math.isnan(high) else -high), (math.inf if math.isnan(low) else -low)
        return Gain(-shift, below, above, math.nan)

    def spread(self) -> float:
        """Return the standard deviation within the sides, of the finished runs."""
        sides = [side[np.isfinite(side)] for side in (self.start, self.end)]
        df = sum(max(len(side) - 1, 0) for side in sides)
        squares = sum(float(sample_variance(side)) * (len(side) - 1) for side in sides if len(side) > 1)
        return math.sqrt(squares / df) if df else math.nan

    def constant(self) -> bool:
        """Whether all finished runs of each side agree to the last digit: then nothing varies."""
        sides = [side[np.isfinite(side)] for side in (self.start, self.end)]
        return all(len(side) > 1 and np.ptp(side) == 0 for side in sides)


def _error(differences: Floats) -> float:
    if len(differences) < 2:
        return math.nan
    return math.sqrt(float(sample_variance(differences)) / len(differences))


def stand_in(losses: Floats, sd: float) -> float:
    """Return the value that stands for a failed run: ten standard deviations above the worst that finished.

    `sd` must not depend on which run is on which side, or the permutation test would not be exact: it is the noise of
    the climb, or without one the spread of all `losses`.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> round(rs.methods.gate.stand_in(np.array([3.1, 3.2, np.inf]), 0.01), 3)  # what a failed run counts as
    3.3
    """
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return 0.0
    spread = sd if sd > 0 else float(np.std(finite))
    return float(finite.max()) + (STAND_IN * spread if spread > 0 else 1.0)


class Judged(NamedTuple):
    """How a look ended."""

    verdict: str
    p: float
    guards: tuple[float, ...]


def judge_sides(
    sides: Sides, look: Look, failed_as: float, *, last: bool, test: str = "permutation", guards: tuple[float, ...] = ()
) -> Judged:
    """Judge the runs of one look.

    Parameters
    ----------
    sides : Sides
        Of which the first `look.runs` of each are taken.
    look : Look
        Runs and level.
    failed_as : float
        See `stand_in`.
    last : bool
        Whether it is the last look.
    test : {"permutation", "welch-min"}
        The test of the campaign.
    guards : tuple of float
        p-values of the guards at this look.
    """
    p = sides.first(look.runs).p_value(failed_as, test)
    return Judged(judge(p, list(guards), look, last=last), p, guards)


@dataclass(frozen=True, eq=False, kw_only=True)
class Bounds(Part):
    """The gain with its bounds, over all fresh runs and at the first look.

    Attributes
    ----------
    gain, low, high : float
        Mean of one side less that of the other, positive where the end is better, over all finished runs of the
        certificate. `low` is above the true gain in at most `alpha` of campaigns, `high` below it in as many.
    gain_unbiased, low_unbiased, high_unbiased : float
        The same at the first look, whose gain does not depend on when it stopped.
    """

    gain: float = math.nan
    low: float = math.nan
    high: float = math.nan
    gain_unbiased: float = math.nan
    low_unbiased: float = math.nan
    high_unbiased: float = math.nan


@dataclass(frozen=True, eq=False, kw_only=True)
class Claim(Result):
    """What may be claimed of a campaign's end state against its start.

    Attributes
    ----------
    certified : bool
        Whether the end was certified to be better.
    verdict : str
        certified, not certified, go on (more fresh runs are needed), constant (the runs do not vary) or none (there is
        no certificate).
    metric : str
        Name of the outcome.
    start, end : str
        The states compared.
    bounds : Bounds
        Gain with its bounds.
    p : float
        p-value at the last look.
    level : float
        Level of that look.
    alpha : float
        Level of the whole certificate.
    runs : int
        Fresh runs per side.
    failed : (int, int)
        Failed runs of the start and of the end. They count as worse than every other in the test.
    tries, keeps, climb_runs : int
        What the climb took.
    bar : float
        Mean of the runs that the kept state was chosen by: no estimate.
    """

    no_picture = "draw the campaign: rs.gate(path).status().plot()"

    certified: bool
    verdict: str
    metric: str
    start: str = ""
    end: str = ""
    bounds: Bounds
    p: float = math.nan
    level: float = math.nan
    alpha: float = math.nan
    runs: int = 0
    failed: tuple[int, int] = (0, 0)
    tries: int = 0
    keeps: int = 0
    climb_runs: int = 0
    bar: float = math.nan

    def table(self) -> Table:
        """Return the gain with its bounds, over all runs and at the first look."""
        b = self.bounds
        return Table(
            {
                "": ["all fresh runs", "first look"],
                "gain": [b.gain, b.gain_unbiased],
                "at least": [b.low, b.low_unbiased],
                "at most": [b.high, b.high_unbiased],
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, with the sentence."""
        return super().to_dict() | {"sentence": self.sentence()}

    def sentence(self) -> str:
        """Return what may be claimed, and what may not."""
        if self.verdict == "constant":
            return "These runs do not vary: there is nothing to certify. Compare the two numbers."
        if self.verdict not in (CERTIFIED, "not certified"):
            tries, kept = count(self.tries, "try", "tries"), f"{self.keeps} kept"
            bar = f": the bar ({self.bar:.6g}) is the best of many" if self.keeps else ""
            return f"{tries}, {kept}, {count(self.climb_runs, 'run')}. Nothing may be claimed yet{bar}."
        gain, runs = self._gain(), f"{count(self.runs, 'fresh run')} each"
        if self.certified:
            return (
                f"Certified: the end state is better than the start{f' by {gain}' if gain else ''} on {runs}; false "
                f"certificates in at most {100 * self.alpha:.3g} % of campaigns."
            )
        chance = f"The {count(self.keeps, 'keep')} may all be chance." if self.keeps != 1 else "The keep may be chance."
        text = f"Not certified after {runs}{f': gain {gain}' if gain else ''}."
        return f"{text} {chance if self.keeps else 'Nothing was kept.'}"

    def _gain(self) -> str:
        """Return the gain with its lower bound; nothing where too many runs failed to have one."""
        if math.isnan(self.bounds.gain):
            return ""
        level = f"at {100 * (1 - self.alpha):.4g} %"
        low = f"at least {self.bounds.low:.3g} {level}" if math.isfinite(self.bounds.low) else "without a lower bound"
        return f"{self.bounds.gain:.3g} ({low})"


def claim_of(sides: Sides, looks: tuple[Look, ...], look: Look, verdict: str, p: float, **facts: Any) -> Claim:
    """Return the claim after a look.

    Parameters
    ----------
    sides : Sides
        All runs of the certificate.
    looks : tuple of Look
        Its looks.
    look : Look
        The last that was judged.
    verdict : str
        How that ended.
    p : float
        Its p-value.
    **facts
        Of the campaign: see `Claim`.
    """
    taken, first = sides.first(look.runs), sides.first(looks[0].runs)
    whole, unbiased = taken.gain(look.level), first.gain(looks[0].level)
    failed = int((~np.isfinite(taken.start)).sum()), int((~np.isfinite(taken.end)).sum())
    numbers = dict(zip(("gain", "low", "high"), whole[:3], strict=True))
    numbers |= dict(zip(("gain_unbiased", "low_unbiased", "high_unbiased"), unbiased[:3], strict=True))
    return Claim(
        certified=verdict == CERTIFIED,
        verdict=verdict,
        bounds=Bounds(**numbers),
        p=p,
        level=look.level,
        alpha=sum(one.level for one in looks),
        runs=look.runs,
        failed=failed,
        warnings=_warnings(whole, unbiased, taken, verdict, failed),
        **facts,
    )


def _warnings(whole: Gain, unbiased: Gain, sides: Sides, verdict: str, failed: tuple[int, int]) -> tuple[str, ...]:
    notes = list[str]()
    if verdict == CERTIFIED and not whole.low >= SURE_GAIN * sides.spread():
        notes.append(
            "Gains certified with so few runs are on average too high, unless they are large: quote the lower bound."
        )
    if abs(whole.gain - unbiased.gain) > whole.error:
        notes.append(f"The first look alone, which is unbiased, shows a gain of {unbiased.gain:.3g}.")
    if any(failed):
        where = [f"{number} of the {side}" for number, side in zip(failed, ("start", "end"), strict=True) if number]
        finished = "" if sides.median else "; the gain is over those that finished"
        notes.append(
            f"Failed runs ({listed(where)}) count as worse than every other in the test, which goes by ranks{finished}."
        )
    return tuple(notes)
