"""Plans: how many runs a question takes, and what gap a number of runs can show (spec 5.2; scores 6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Unpack

from ..._checks import check_alpha_and_power, check_choice
from ..._reading.opening import opens
from ..._reading.options import DEFAULTS_OF_OUTCOMES, divided
from ...errors import InputError
from ..audit.auditing import warns_of_seeds
from .basis import Basis, basis_of
from .defaults import PLAN, PlanOptions
from .pilot import known
from .plan_results import GapPlan, RunPlan
from .power import quantiles, runs_for_distribution, runs_for_fixed_t, runs_for_welch, smallest, student_rejection
from .result import points

PRESETS = ("compare", "paper")


@opens("source")
@warns_of_seeds(pooled=True)
def plan_runs(
    gap: float,
    source: Any = None,
    labels: Any = None,
    **options: Unpack[PlanOptions],
) -> RunPlan:
    """Return how many runs of each of two configurations establish a gap in accuracy.

    Runs of a pilot are a sample: their spread may be half or twice the true one. The plan allows for that, so that over
    pilots of any size the comparison has the power asked for on average, and says between which numbers the truth may
    lie. The gap is the one worth knowing about, not the one that the pilot showed.

    Parameters
    ----------
    gap : float
        True difference that is to be established, as a fraction: 0.001 is a tenth of a percentage point.
    source : VarianceResult, Comparison, or as for `variance`, optional
        Where the variance of a run comes from; copies count once. A `Comparison` also brings the second variance and
        `tau2`.
    labels : array_like of int [examples] or path, optional
        True classes, beside a `source` that is no result.
    **options : PlanOptions
        What is known instead of runs (``error`` with ``n_examples``; ``variance``, ``variance_b``, ``tau2``), what is
        asked for (``alpha`` 0.05, ``power`` 0.8), and how runs are read, as for `variance` (``correct``, ``clusters``,
        ``split``, ``kind``, ``nan``, ``missing``).

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
        raise InputError(f"got gap={gap}", "a positive difference of accuracies, as a fraction")
    basis, alpha, power = _basis(plan_runs, source, labels, options)
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


def _basis(
    verb: Callable[..., Any], source: Any, labels: Any, options: Mapping[str, Any]
) -> tuple[Basis, float, float]:
    """Return what a plan rests on, with its level and power."""
    reading, known = divided(verb, options, DEFAULTS_OF_OUTCOMES, PLAN)
    reading |= {"labels": labels, "correct": known.pop("correct"), "clusters": known.pop("clusters")}
    alpha, power = known.pop("alpha"), known.pop("power")
    basis = basis_of(source, **known, reading=reading)
    check_alpha_and_power(alpha, power)
    return basis, alpha, power


def _beyond_these(least: float) -> str:
    """Return what a plan for this test set leaves open on the distribution."""
    if math.isnan(least):
        return "On the distribution it can take more runs: a comparison of both configurations tells."
    return (
        f"On the distribution gaps below {points(least)} percentage points cannot be shown with this test set."
        if least
        else ""
    )


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
    **options: Unpack[PlanOptions],
) -> GapPlan:
    """Return the smallest gap that `runs` runs of each of two configurations establish.

    Parameters
    ----------
    runs : int
        Runs of each configuration; 1 compares two single trainings, which shows noise only.
    source, labels, **options
        As for `plan_runs`.

    Examples
    --------
    >>> import runspread as rs
    >>> round(rs.methods.variance.plan_gap(10, error=0.05, n_examples=10_000).gap_needed, 4)
    0.0021
    """
    if runs < 1:
        raise InputError(f"got runs={runs}", "at least one run of each")
    basis, alpha, power = _basis(plan_gap, source, labels, options)
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
        **basis.facts(f"Differences below {points(noise)} percentage points are within noise." if runs > 1 else ""),
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

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.variance.plan_variance(2.0)  # runs each to tell variances that differ by a factor of two
    11
    """
    from scipy.special import chdtrc, chdtri

    if not ratio > 0:
        raise InputError(f"got ratio={ratio}", "a positive ratio of variances")
    check_alpha_and_power(alpha, power)
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
        raise InputError(f"got probability={probability}", "a number above one half and below 1")
    check_alpha_and_power(alpha, power)
    if preset == "compare":
        return runs_for_welch(math.sqrt(2) * float(ndtri(probability)), 1.0, 1.0, alpha, power)
    z = float(-ndtri(alpha) + ndtri(power))
    return math.ceil((z / (math.sqrt(6) * (probability - 0.5))) ** 2)
