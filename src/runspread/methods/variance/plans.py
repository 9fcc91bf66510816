"""Plans: how many runs a question takes, and what gap a number of runs can show (spec 5.2; scores 6)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from ..._checks import check_choice
from ..._reading.opening import opens
from ..._results import Result, Table
from ...errors import InputError
from ..audit.auditing import warns_of_seeds
from .basis import Basis, basis_of, range_of
from .pilot import known
from .power import quantiles, runs_for_distribution, runs_for_fixed_t, runs_for_welch, smallest, student_rejection
from .result import points

PRESETS = ("compare", "paper")


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
        As published: runs of each on the distribution by the normal law, which flatters few.
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
        """Return a row a question, with the range of the first."""
        columns = {
            "question": ["this test set", "this test set, if the spread is exact", "distribution"],
            "runs of each": [self.runs_needed, self.runs_plugin, self.runs_needed_dist],
            "low": [self.runs_low, math.nan, math.nan],
            "high": [self.runs_high, math.nan, math.nan],
        }
        title = f"Runs of each configuration for a gap of {points(self.gap)} points"
        return Table(columns, formats=dict.fromkeys(list(columns)[1:], ",.0f"), title=title)

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        runs = range_of(self.degrees, self.runs_plugin, self.runs_low, self.runs_high, ",.0f", "runs")
        return (
            f"A gap of {points(self.gap)} points needs {self.runs_needed:,} runs of each on this test set "
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
        As published: on this test set by the normal law and by Student's t test, with the variances taken as exact.
    gap_dist : float
        As published: on the distribution by the normal law; NaN where `tau2` is not known.
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
        """Return a row a question, with the range of what these runs show on this test set."""
        rows = {
            "beyond noise, this test set": (self.gap_noise, math.nan, math.nan),
            "shown, this test set": (self.gap_needed, self.gap_low, self.gap_high),
            "shown, if the spread is exact": (self.gap_plugin, math.nan, math.nan),
            "shown, distribution": (self.gap_needed_dist, math.nan, math.nan),
        }
        names = ("gap in points", "low", "high")
        columns = {name: [100 * row[at] for row in rows.values()] for at, name in enumerate(names)}
        title = f"Runs of each configuration: {self.runs}"
        return Table({"question": list(rows), **columns}, formats=dict.fromkeys(names, ".3f"), title=title)

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        asked = f"{_asked(self.power, self.alpha)}; {self.basis}"
        if self.runs == 1:
            return (
                f"One run of each configuration shows no gap: that takes two runs of one of them; differences below "
                f"{points(self.gap_noise)} points are within noise (level {self.alpha:.0%}; {self.basis})."
            )
        dist = "" if math.isnan(self.gap_needed_dist) else f", of {points(self.gap_needed_dist)} on the distribution"
        return (
            f"{self.runs} runs of each show a gap of {points(self.gap_needed)} points on this test set{dist} ({asked})"
            f"{range_of(self.degrees, *self._ends, '.2f', 'points')}."
        )

    @property
    def _ends(self) -> tuple[float, float, float]:
        return 100 * self.gap_plugin, 100 * self.gap_low, 100 * self.gap_high


@opens("source")
@warns_of_seeds(pooled=True)
def plan_runs(
    gap: float,
    source: Any = None,
    labels: Any = None,
    *,
    variance: float | None = None,
    variance_b: float | None = None,
    n_examples: int | None = None,
    error: float | None = None,
    tau2: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    correct: ArrayLike | None = None,
    split: str = "test",
    kind: str = "auto",
    nan: str = "exclude",
    missing: str = "raise",
    clusters: ArrayLike | None = None,
) -> RunPlan:
    """Return how many runs of each of two configurations establish a gap in accuracy.

    Runs of a pilot are a sample: their spread may be half or twice the true one. The plan allows for that, so that over
    pilots of any size the comparison has the power asked for on average, and says between which numbers the truth may
    lie. The gap is the one worth knowing about, not the one that the pilot showed.

    Parameters
    ----------
    gap : float
        True difference that is to be established, as a fraction: 0.001 is a tenth of a point.
    source : VarianceResult, Comparison, or as for `variance`, optional
        Where the variance of a run comes from; copies count once. A `Comparison` also brings the second variance and
        `tau2`.
    variance, variance_b : float, optional
        Test-set variance of accuracy of each configuration, taken as exact, instead of `source`; the second defaults
        to the first.
    n_examples : int, optional
        Size of the test set. Beside a `source` with runs it asks for a test set of another size: what is real stays,
        and the noise of the examples shrinks or grows (that of clusters with their number). Not beside a `Comparison`.
    error : float, optional
        Error rate: with `n_examples` alone it gives the variance of independent errors, err/(2n), for calibrated runs.
        No repeated runs are needed for this, and it bounds nothing: fine-tunings were seen at 1 to 5 times that spread.
    tau2 : float, optional
        Variance over examples of the difference in success rate.
    alpha, power : float
        Two-sided level, and probability of success.
    labels, correct, split, kind, nan, missing, clusters
        As for `variance`, beside a `source` that is no result. With clusters, on a test set of another size it is the
        number of clusters that grows or shrinks.

    Raises
    ------
    InputError
        There is no pilot of two runs or more, it shows no spread at all, or it is one of two runs from which the plan
        would be above 1,000 runs; or the error rate is 0, from which nothing follows.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.variance.plan_runs(0.001, variance=0.00149**2).runs_needed
    36
    """
    if not 0 < gap < math.inf:
        raise InputError(f"gap={gap}", "a positive difference of accuracies, as a fraction")
    reading = {"split": split, "kind": kind, "nan": nan, "missing": missing}
    reading |= {"labels": labels, "correct": correct, "clusters": clusters}
    basis = basis_of(source, variance, variance_b, n_examples, error, tau2, reading)
    _check_levels(alpha, power)
    var_a, var_b = basis.spread.variances
    z = quantiles(alpha, power)
    dist, least = math.nan, math.nan
    if basis.examples is not None:
        dist = runs_for_distribution(gap, var_a, var_b, basis.examples.variance, 1, alpha, power)
        least = z * math.sqrt(basis.examples.variance)
    return RunPlan(
        gap=gap,
        alpha=alpha,
        power=power,
        runs_fixed_normal=max(2, math.ceil(z**2 * (var_a + var_b) / gap**2)),
        runs_fixed_t=runs_for_fixed_t(gap, var_a, var_b, alpha, power),
        runs_dist=dist,
        min_delta_dist=least,
        **_runs(gap, basis, alpha, power),
        **basis.facts(_beyond_these(least)),
    )


def _beyond_these(least: float) -> str:
    """Return what a plan for this test set leaves open on the distribution."""
    if math.isnan(least):
        return "On the distribution it can take more runs: a comparison of both configurations tells."
    return f"On the distribution gaps below {points(least)} points cannot be shown with this test set." if least else ""


def _asked(power: float, alpha: float) -> str:
    return f"power {power:.0%}, level {alpha:.0%}"


def _runs(gap: float, basis: Basis, alpha: float, power: float) -> dict[str, Any]:
    """Return the runs of each that are needed, with their range."""
    spread = basis.spread
    plugin = runs_for_welch(gap, *spread.variances, alpha, power)
    needed = plugin if spread.known else int(spread.runs(gap, alpha, power, near=plugin))
    basis.refuse_two_runs(needed)
    low, high = (runs_for_welch(gap, *ends, alpha, power) for ends in basis.ends)
    dist = math.nan
    if basis.examples is not None:
        dist = spread.runs(gap, alpha, power, basis.examples, near=needed)
    return {
        "runs_needed": needed,
        "runs_plugin": plugin,
        "runs_low": low,
        "runs_high": high,
        "runs_upper": runs_for_welch(gap, *basis.safe, alpha, power),
        "sd_upper": math.sqrt(basis.safe[0]),
        "runs_needed_dist": dist,
    }


@opens("source")
@warns_of_seeds(pooled=True)
def plan_gap(
    runs: int,
    source: Any = None,
    labels: Any = None,
    *,
    variance: float | None = None,
    variance_b: float | None = None,
    n_examples: int | None = None,
    error: float | None = None,
    tau2: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    correct: ArrayLike | None = None,
    split: str = "test",
    kind: str = "auto",
    nan: str = "exclude",
    missing: str = "raise",
    clusters: ArrayLike | None = None,
) -> GapPlan:
    """Return the smallest gap that `runs` runs of each of two configurations establish.

    Parameters
    ----------
    runs : int
        Runs of each configuration; 1 compares two single trainings, which shows noise only.
    source, labels, variance, variance_b, n_examples, error, tau2, alpha, power
        As for `plan_runs`.
    correct, split, kind, nan, missing, clusters
        As for `plan_runs`.
    """
    if runs < 1:
        raise InputError(f"runs={runs}", "at least one run of each")
    reading = {"split": split, "kind": kind, "nan": nan, "missing": missing}
    reading |= {"labels": labels, "correct": correct, "clusters": clusters}
    basis = basis_of(source, variance, variance_b, n_examples, error, tau2, reading)
    _check_levels(alpha, power)
    var_a, var_b = basis.spread.variances
    total, z = (var_a + var_b) / runs, quantiles(alpha, power)
    noise = basis.noise(alpha) * math.sqrt(total)
    return GapPlan(
        runs=runs,
        alpha=alpha,
        power=power,
        gap_fixed_normal=z * math.sqrt(total),
        gap_fixed_t=student_gap(var_a + var_b, runs, alpha, power),
        gap_dist=math.nan if basis.examples is None else z * math.sqrt(total + basis.examples.variance),
        gap_noise=noise,
        **(_gaps(runs, basis, alpha, power) if runs > 1 else dict.fromkeys(_GAPS, math.nan)),
        **basis.facts(f"Differences below {points(noise)} points are within noise." if runs > 1 else ""),
    )


def student_gap(variance: float, runs: int, alpha: float, power: float) -> float:
    """Return the gap at which Student's t test has the power asked for; NaN for one run of each."""
    from scipy.optimize import brentq

    if runs < 2 or not variance:
        return math.nan if runs < 2 else 0.0
    test, high = student_rejection(variance, runs, alpha), 4.0
    while test.power(high * test.unit)[0] < power:
        high *= 2
    found = brentq(lambda x: float(test.power(x * test.unit)[0]) - power, 0.0, high, xtol=1e-12)
    return float(found) * test.unit


_GAPS = ("gap_needed", "gap_plugin", "gap_low", "gap_high", "gap_needed_dist")


def _gaps(runs: int, basis: Basis, alpha: float, power: float) -> dict[str, float]:
    """Return the gap that the runs show, with its range."""
    spread = basis.spread
    plugin, low, high = (known(*ends).gap(runs, alpha, power) for ends in (spread.variances, *basis.ends))
    dist = math.nan if basis.examples is None else spread.gap(runs, alpha, power, basis.examples)
    needed = plugin if spread.known else spread.gap(runs, alpha, power)
    return dict(zip(_GAPS, (needed, plugin, low, high, dist), strict=True))


def plan_variance(ratio: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return the runs that show a distribution-wise variance of `ratio` times the independent-errors variance.

    The test is one-sided against zero (spec 5.2): the smallest R >= 2 with
    ``P(chi2_{R-1} > chi2_{1-alpha, R-1} / (1 + ratio)) >= power``.
    """
    from scipy.special import chdtrc, chdtri

    if not ratio > 0:
        raise InputError(f"ratio={ratio}", "a positive ratio of variances")
    _check_levels(alpha, power)
    return smallest(lambda runs: float(chdtrc(runs - 1, chdtri(runs - 1, alpha) / (1 + ratio))) >= power)


def plan_superiority(probability: float, *, alpha: float = 0.05, power: float = 0.8, preset: str = "compare") -> int:
    """Return the runs of each configuration with which one is shown to be better, where it wins with `probability`.

    Parameters
    ----------
    probability : float
        P(A > B): how often a run of the better configuration beats one of the other, above one half and below 1. For
        normal runs of equal spread it is a gap of ``sqrt(2) z`` standard deviations, z the normal quantile.
    alpha, power : float
        Level, and probability of success.
    preset : {"compare", "paper"}
        The test that is planned: the two-sided one that `compare` does, or Noether's (1987) for a one-sided rank test,
        of which no verdict here makes use. Bouthillier et al. (2021) advise 0.75 with level 0.05 and power 0.95, which
        takes 29 by the latter.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.variance.plan_superiority(0.75, power=0.95)
    30
    >>> rs.methods.variance.plan_superiority(0.75, power=0.95, preset="paper")
    29
    """
    from scipy.special import ndtri

    check_choice(preset, "preset", PRESETS)
    if not 0.5 < probability <= (1 if preset == "paper" else math.nextafter(1, 0)):
        raise InputError(f"probability={probability}", "a number above one half and below 1")
    _check_levels(alpha, power)
    if preset == "compare":
        return runs_for_welch(math.sqrt(2) * float(ndtri(probability)), 1.0, 1.0, alpha, power)
    z = float(-ndtri(alpha) + ndtri(power))
    return math.ceil((z / (math.sqrt(6) * (probability - 0.5))) ** 2)


def _check_levels(alpha: float, power: float) -> None:
    if not (0 < alpha < 1 and alpha < power < 1):
        raise InputError(f"alpha={alpha} and power={power}", "0 < alpha < power < 1")
