"""Plans: how many runs a question takes, and what gap a number of runs can show (spec 5.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..._errors import InputError
from ..._results import Result, Table
from .audit import warns_of_seeds
from .power import quantiles, runs_for_distribution, runs_for_fixed_t, smallest, two_sample_power
from .result import VarianceResult, points, root


@dataclass(frozen=True, eq=False, kw_only=True)
class RunPlan(Result):
    """How many runs of each of two configurations establish a gap.

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
    runs_fixed_normal, runs_fixed_t : int
        Runs of each on this test set, by the normal approximation and by the t test.
    runs_dist : float
        Runs of each on the distribution by the normal law, which flatters few: what cannot be shown on this test set
        cannot be shown beyond it, so sentence and table name at least `runs_fixed_t`. Infinite if no number suffices,
        NaN where `tau2` is not known.
    min_delta_dist : float
        Smallest gap that any number of runs can establish on the distribution with this test set.
    basis : str
        Where the variances come from.
    """

    gap: float
    alpha: float
    power: float
    var_a: float
    var_b: float
    n_examples: int | None
    tau2: float
    runs_fixed_normal: int
    runs_fixed_t: int
    runs_dist: float
    min_delta_dist: float
    basis: str

    def table(self) -> Table:
        """Return a row a question."""
        dist = self.runs_dist if math.isnan(self.runs_dist) else max(self.runs_dist, self.runs_fixed_t)
        columns = {
            "question": ["this test set, normal", "this test set, t test", "distribution, as this test set or more"],
            "runs of each": [self.runs_fixed_normal, self.runs_fixed_t, dist],
        }
        return Table(columns, formats={"runs of each": ".0f"}, title=f"Gap of {points(self.gap)} points")

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        gap = points(self.gap)
        rest = ""
        if math.isinf(self.runs_dist):
            rest = (
                f" On the distribution no number of runs can show it with {self.n_examples} examples: "
                f"{points(self.min_delta_dist)} points is the smallest gap that could be shown."
            )
        elif not math.isnan(self.runs_dist):
            rest = f" On the distribution it takes {max(self.runs_dist, self.runs_fixed_t):.0f} of each."
        else:
            rest = " What it takes on the distribution depends on how the two differ from example to example."
        return (
            f"A gap of {gap} points needs {self.runs_fixed_t} runs of each configuration on this test set (level "
            f"{self.alpha:.0%}, power {self.power:.0%}; {self.basis}).{rest}"
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class GapPlan(Result):
    """The smallest gap that a number of runs of each configuration establishes.

    Attributes
    ----------
    runs : int
        Runs of each configuration.
    alpha, power, var_a, var_b, n_examples, tau2, basis
        As in `RunPlan`.
    gap_fixed_normal, gap_fixed_t : float
        On this test set; the t test needs two runs (NaN below).
    gap_dist : float
        On the distribution; NaN where `tau2` is not known.
    gap_noise : float
        Difference of two means beyond which noise alone rarely goes: the two-sided level, without power.
    """

    runs: int
    alpha: float
    power: float
    var_a: float
    var_b: float
    n_examples: int | None
    tau2: float
    gap_fixed_normal: float
    gap_fixed_t: float
    gap_dist: float
    gap_noise: float
    basis: str

    def table(self) -> Table:
        """Return a row a question."""
        values = (self.gap_noise, self.gap_fixed_normal, self.gap_fixed_t, self._gap_beyond())
        columns = {
            "question": [
                "beyond noise, this test set",
                "detectable, this test set, normal",
                "detectable, this test set, t test",
                "detectable, distribution",
            ],
            "gap in points": [100 * value for value in values],
        }
        return Table(columns, formats={"gap in points": ".3f"}, title=f"Runs of each configuration: {self.runs}")

    def _gap_beyond(self) -> float:
        """Return the gap on the distribution: at least what the t test shows on this test set (NaN if not known)."""
        if math.isnan(self.gap_dist) or math.isnan(self.gap_fixed_t):
            return self.gap_dist
        return max(self.gap_dist, self.gap_fixed_t)

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        gap = self.gap_fixed_normal if math.isnan(self.gap_fixed_t) else self.gap_fixed_t
        beyond = self._gap_beyond()
        dist = "" if math.isnan(beyond) else f"; {points(beyond)} points on the distribution"
        subject = "One run of each configuration shows" if self.runs == 1 else f"{self.runs} runs of each show"
        return (
            f"{subject} a gap of {points(gap)} points on this test set{dist} "
            f"(level {self.alpha:.0%}, power {self.power:.0%}; {self.basis}); differences below "
            f"{points(self.gap_noise)} points are within noise."
        )


@warns_of_seeds(pooled=True)
def plan_runs(
    gap: float,
    source: Any = None,
    *,
    variance: float | None = None,
    variance_b: float | None = None,
    n_examples: int | None = None,
    error: float | None = None,
    tau2: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    split: str = "test",
) -> RunPlan:
    """Return how many runs of each of two configurations establish a gap in accuracy.

    Parameters
    ----------
    gap : float
        True difference that is to be established, as a fraction: 0.001 is a tenth of a point.
    source : VarianceResult, Comparison, study, RunOutputs, optional
        Where the variance of a run comes from. A `Comparison` also brings the second variance and `tau2`.
    variance, variance_b : float, optional
        Test-set variance of accuracy of each configuration, instead of `source`; the second defaults to the first.
    n_examples : int, optional
        Size of the test set. Beside a `source` with runs it asks for a test set of another size: what is real stays,
        and the noise of the examples shrinks or grows. Not beside a `Comparison`.
    error : float, optional
        Error rate: with `n_examples` alone it bounds the variance by err/(2n), which holds for calibrated runs with
        nearly independent errors. No repeated runs are needed for this.
    tau2 : float, optional
        Variance over examples of the difference in success rate.
    alpha, power : float
        Two-sided level, and probability of success.
    split : str
        Which split of a study to read.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.plan_runs(0.001, variance=0.00149**2).runs_fixed_t
    36
    """
    if not gap > 0:
        raise InputError(f"gap={gap}", "a positive difference of accuracies, as a fraction")
    facts = _facts(source, variance, variance_b, n_examples, error, tau2, split)
    _check_levels(alpha, power)
    z = quantiles(alpha, power)
    normal = max(2, math.ceil(z**2 * (facts.var_a + facts.var_b) / gap**2))
    dist, least = math.nan, math.nan
    if facts.n_examples is not None and not math.isnan(facts.tau2):
        dist = runs_for_distribution(gap, facts.var_a, facts.var_b, facts.tau2, facts.n_examples, alpha, power)
        least = z * math.sqrt(facts.tau2 / facts.n_examples)
    return RunPlan(
        gap=gap,
        alpha=alpha,
        power=power,
        runs_fixed_normal=normal,
        runs_fixed_t=runs_for_fixed_t(gap, facts.var_a, facts.var_b, alpha, power),
        runs_dist=dist,
        min_delta_dist=least,
        **vars(facts),
    )


@warns_of_seeds(pooled=True)
def plan_gap(
    runs: int,
    source: Any = None,
    *,
    variance: float | None = None,
    variance_b: float | None = None,
    n_examples: int | None = None,
    error: float | None = None,
    tau2: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    split: str = "test",
) -> GapPlan:
    """Return the smallest gap that `runs` runs of each of two configurations establish.

    Parameters
    ----------
    runs : int
        Runs of each configuration; 1 compares two single trainings.
    source, variance, variance_b, n_examples, error, tau2, alpha, power, split
        As for `plan_runs`.
    """
    from scipy.special import ndtri

    if runs < 1:
        raise InputError(f"runs={runs}", "at least one run of each")
    facts = _facts(source, variance, variance_b, n_examples, error, tau2, split)
    _check_levels(alpha, power)
    total, z = (facts.var_a + facts.var_b) / runs, quantiles(alpha, power)
    dist = math.nan
    if facts.n_examples is not None and not math.isnan(facts.tau2):
        dist = z * math.sqrt(total + facts.tau2 / facts.n_examples)
    return GapPlan(
        runs=runs,
        alpha=alpha,
        power=power,
        gap_fixed_normal=z * math.sqrt(total),
        gap_fixed_t=_detectable(facts.var_a, facts.var_b, runs, alpha, power) if runs > 1 else math.nan,
        gap_dist=dist,
        gap_noise=float(-ndtri(alpha / 2)) * math.sqrt(total),
        **vars(facts),
    )


def _detectable(var_a: float, var_b: float, runs: int, alpha: float, power: float) -> float:
    """Return the gap at which the t test has the power asked for."""
    from scipy.optimize import brentq

    unit = math.sqrt((var_a + var_b) / runs)
    if unit == 0:
        return 0.0
    high = 1.0
    while two_sample_power(high * unit, var_a, var_b, runs, alpha) < power:
        high *= 2
    root = brentq(lambda x: two_sample_power(x * unit, var_a, var_b, runs, alpha) - power, 0.0, high, xtol=1e-12)
    return float(root) * unit


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


def plan_superiority(probability: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return the runs of each configuration that show P(A > B) >= `probability` (Noether 1987).

    Bouthillier et al. (2021) advise 0.75 with level 0.05 and power 0.95, which takes 29.
    """
    from scipy.special import ndtri

    if not 0.5 < probability <= 1:
        raise InputError(f"probability={probability}", "a number above one half, at most 1")
    _check_levels(alpha, power)
    z = float(-ndtri(alpha) + ndtri(power))
    return math.ceil((z / (math.sqrt(6) * (probability - 0.5))) ** 2)


def _check_levels(alpha: float, power: float) -> None:
    if not (0 < alpha < 1 and alpha < power < 1):
        raise InputError(f"alpha={alpha} and power={power}", "0 < alpha < power < 1")


@dataclass(frozen=True)
class _Facts:
    """What a plan rests on."""

    var_a: float
    var_b: float
    n_examples: int | None
    tau2: float
    basis: str


def _facts(
    source: Any,
    variance: float | None,
    variance_b: float | None,
    n_examples: int | None,
    error: float | None,
    tau2: float | None,
    split: str,
) -> _Facts:
    given = [
        name for name, value in (("source", source), ("variance", variance), ("error", error)) if value is not None
    ]
    if len(given) != 1:
        raise InputError(" and ".join(given) or "nothing", "one of source, variance, or error with n_examples")
    if source is not None:
        facts = _from_source(source, split, n_examples)
    elif error is not None:
        facts = _a_priori(error, n_examples)
    else:
        assert variance is not None
        facts = _Facts(variance, variance, n_examples, math.nan, f"sd of a run {points(root(variance))} points")
    var_b = facts.var_b if variance_b is None else variance_b
    given_values = (facts.var_a, var_b, 0.0 if tau2 is None else tau2)
    if not all(0 <= value < math.inf for value in given_values):
        raise InputError(f"variances {given_values}", "finite variances of zero or more")
    return _Facts(facts.var_a, var_b, facts.n_examples, facts.tau2 if tau2 is None else tau2, facts.basis)


def _a_priori(error: float, n_examples: int | None) -> _Facts:
    if n_examples is None or n_examples < 1 or not 0 <= error <= 1:
        raise InputError(f"error={error} and n_examples={n_examples}", "an error rate and the size of the test set")
    bound = error / (2 * n_examples)
    basis = (
        f"sd of a run at most {points(math.sqrt(bound))} points, if runs are calibrated and their errors independent"
    )
    return _Facts(bound, bound, n_examples, math.nan, basis)


def _from_source(source: Any, split: str, n_examples: int | None) -> _Facts:
    """Return the facts of a comparison, of a variance result, or of whatever `variance` takes."""
    from .compare import Comparison  # a comparison makes plans, a plan can rest on a comparison
    from .estimate import variance as estimate

    if isinstance(source, Comparison):
        if n_examples not in (None, source.n_examples):
            raise InputError(
                f"n_examples={n_examples} with a comparison on {source.n_examples}",
                "a comparison alone",
                "Give the runs of one configuration, whose spread can be carried to a test set of another size.",
            )
        runs = f"{source.n_runs_a} and {source.n_runs_b} runs"
        facts = _Facts(source.var_a, source.var_b, source.n_examples, max(0.0, source.tau2), f"variances from {runs}")
    else:
        found = source if isinstance(source, VarianceResult) else estimate(source, split=split, pairs="none")
        facts = _of_runs(found, n_examples)
    if math.isnan(facts.var_a + facts.var_b):
        raise InputError("one run", "two runs or more to know the variance", "Or plan from error= and n_examples=.")
    return facts


def _of_runs(found: VarianceResult, n_examples: int | None) -> _Facts:
    """Return the facts of one configuration's runs, carried to a test set of `n_examples` where that is another."""
    if n_examples in (None, found.n_examples):
        basis = f"sd of a run {points(found.sd_test)} points, from {found.n_runs} runs"
        return _Facts(found.var_test, found.var_test, found.n_examples, math.nan, basis)
    assert n_examples is not None
    if n_examples < 1 or math.isnan(found.var_inter):
        raise InputError(
            f"n_examples={n_examples} with {found.n_runs} runs on {found.n_examples} examples",
            "a positive size, and two runs on two examples or more",
        )
    spread = max(0.0, found.var_dist) + max(0.0, found.var_inter) / n_examples
    basis = (
        f"sd of a run {points(root(spread))} points on {n_examples} examples, carried there from {found.n_runs} runs "
        f"on {found.n_examples}"
    )
    return _Facts(spread, spread, n_examples, math.nan, basis)
