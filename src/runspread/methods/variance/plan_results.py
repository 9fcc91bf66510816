"""What plans say: how many runs a question takes, or what gap a number of runs can show."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..._results import Result, Table
from ..._words import percent
from .basis import range_of
from .wording import points


@dataclass(frozen=True, eq=False, kw_only=True)
class RunPlan(Result):
    """How many runs of each of two configurations establish a gap.

    The test that is planned is the one that `compare` does: Welch's. Where the spread was measured on a pilot, the
    power is averaged over what the pilot leaves open, for runs whose accuracies are normal.

    Attributes
    ----------
    gap : float
        True difference in accuracy that is to be established.
    alpha, power : float
        Two-sided level, and probability of success.
    var_a, var_b : float
        Test-set variance of accuracy between runs of each configuration.
    n_examples : int or None
        Size of the test set.
    tau2 : float
        Variance over examples of the difference in success rate; NaN where not known.
    runs_needed : int
        Runs of each on this test set: the answer.
    runs_plugin : int
        The same if the variances were exact.
    runs_low, runs_high : int
        The same at both ends of the 90 % interval of the spread; planned from an error rate, at the spread of
        independent errors and at five times that.
    runs_upper : int
        The same at the upper 80 % bound of the spread: enough in four pilots of five.
    sd_upper : float
        That bound, of the first configuration.
    degrees : float
        Degrees of freedom of the pilot's variance, the fewer of two; infinite where it is given.
    runs_needed_dist : float
        Runs of each on the distribution, where both tests of `compare` have to agree: the answer for it. Infinite if
        no number suffices, NaN where `tau2` is not known.
    runs_fixed_normal, runs_fixed_t : int
        As published: runs of each on this test set, by the normal approximation and by Student's t test, with the
        variances taken as exact.
    runs_dist : float
        As published: runs of each on the distribution by the normal distribution, which flatters few.
    min_delta_dist : float
        Smallest gap that any number of runs can establish on the distribution with this test set.
    basis : str
        Where the variances come from.
    """

    picture = ".plots:plot_plan"

    gap: float
    alpha: float
    power: float
    var_a: float
    var_b: float
    n_examples: int | None
    tau2: float
    runs_needed: int
    runs_plugin: int
    runs_low: int
    runs_high: int
    runs_upper: int
    sd_upper: float
    degrees: float
    runs_needed_dist: float
    runs_fixed_normal: int
    runs_fixed_t: int
    runs_dist: float
    min_delta_dist: float
    basis: str

    def table(self) -> Table:
        """Return one row per question, with the range of the first."""
        columns = {
            "question": ["this test set", "this test set, if the spread is exact", "distribution"],
            "runs of each": [self.runs_needed, self.runs_plugin, self.runs_needed_dist],
            "low": [self.runs_low, math.nan, math.nan],
            "high": [self.runs_high, math.nan, math.nan],
        }
        title = f"Runs of each configuration for a gap of {points(self.gap)} percentage points"
        return Table(columns, formats=dict.fromkeys(list(columns)[1:], ",.0f"), title=title)

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        runs = range_of(self.degrees, self.runs_plugin, self.runs_low, self.runs_high, ",.0f", "runs")
        return (
            f"A gap of {points(self.gap)} percentage points needs {self.runs_needed:,} runs of each on this test set "
            f"({_asked(self.power, self.alpha)}; {self.basis}){runs}{self._beyond()}"
        )

    def _beyond(self) -> str:
        """Say what it takes on the distribution."""
        if math.isinf(self.runs_needed_dist):
            return "; on the distribution no number of runs suffices."
        return (
            "."
            if math.isnan(self.runs_needed_dist)
            else f". On the distribution it takes {self.runs_needed_dist:,.0f} of each."
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class GapPlan(Result):
    """The smallest gap that a number of runs of each configuration establishes.

    Attributes
    ----------
    runs : int
        Runs of each configuration.
    alpha, power, var_a, var_b, n_examples, tau2, degrees, basis
        As in `RunPlan`.
    gap_needed : float
        On this test set: the answer. NaN for a single run of each, of which no test can tell.
    gap_plugin : float
        The same if the variances were exact.
    gap_low, gap_high : float
        The same at both ends of the range of the spread, as in `RunPlan`.
    gap_needed_dist : float
        On the distribution, where both tests of `compare` have to agree; NaN where `tau2` is not known.
    gap_fixed_normal, gap_fixed_t : float
        As published: on this test set by the normal distribution and by Student's t test, with the variances taken as
        exact.
    gap_dist : float
        As published: on the distribution by the normal distribution; NaN where `tau2` is not known.
    gap_noise : float
        Difference of two means beyond which noise alone rarely goes: the two-sided level, without power.
    """

    picture = ".plots:plot_plan"

    runs: int
    alpha: float
    power: float
    var_a: float
    var_b: float
    n_examples: int | None
    tau2: float
    gap_needed: float
    gap_plugin: float
    gap_low: float
    gap_high: float
    degrees: float
    gap_needed_dist: float
    gap_fixed_normal: float
    gap_fixed_t: float
    gap_dist: float
    gap_noise: float
    basis: str

    def table(self) -> Table:
        """Return one row per question, with the range of what these runs show on this test set."""
        rows = {
            "beyond noise, this test set": (self.gap_noise, math.nan, math.nan),
            "shown, this test set": (self.gap_needed, self.gap_low, self.gap_high),
            "shown, if the spread is exact": (self.gap_plugin, math.nan, math.nan),
            "shown, distribution": (self.gap_needed_dist, math.nan, math.nan),
        }
        names = ("gap in percentage points", "low", "high")
        columns = {name: [100 * row[at] for row in rows.values()] for at, name in enumerate(names)}
        title = f"Runs of each configuration: {self.runs}"
        return Table({"question": list(rows), **columns}, formats=dict.fromkeys(names, ".3f"), title=title)

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        asked = f"{_asked(self.power, self.alpha)}; {self.basis}"
        if self.runs == 1:
            return (
                f"One run of each configuration shows no gap: that takes two runs of one of them; differences below "
                f"{points(self.gap_noise)} percentage points are within noise "
                f"(level {percent(self.alpha)}; {self.basis})."
            )
        dist = "" if math.isnan(self.gap_needed_dist) else f", of {points(self.gap_needed_dist)} on the distribution"
        return (
            f"{self.runs} runs of each show a gap of {points(self.gap_needed)} percentage points on this test "
            f"set{dist} ({asked}){range_of(self.degrees, *self._ends, '.2f', 'points')}."
        )

    @property
    def _ends(self) -> tuple[float, float, float]:
        return 100 * self.gap_plugin, 100 * self.gap_low, 100 * self.gap_high


def _asked(power: float, alpha: float) -> str:
    return f"power {percent(power)}, level {percent(alpha)}"
