"""Tests of training code against a baseline: one run, then more where it looks worse; red as rarely as is said."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..._words import count
from ...errors import InputError
from ..scores.forms import Arm, Difference, Judged, judged, student_form, welch_form
from .tolerance import tolerance_factor

FALSE_RED, MOST_RUNS, SEEN = 0.01, 4, 0.9
NEAR_THE_END = 0.1  # accuracies within this of 0 or 1 are judged on the scale of arcsin sqrt
GRID = 60  # quantiles of the mean and of the standard deviation of a baseline
FAR = 4.0  # robust standard deviations from the median, where a run of a baseline is warned of
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """How far above a baseline's mean new runs may lie, in its standard deviations.

    Attributes
    ----------
    first : float
        For the first run; infinite where there is one stage alone.
    then : float
        For the mean of the fresh runs after it.
    fresh : int
        How many those are.
    baseline_runs : int
        Runs of the baseline.
    """

    first: float
    then: float
    fresh: int
    baseline_runs: int

    def seen(self) -> float:
        """Return the shift, in the baseline's standard deviations, that turns a test red in nine cases of ten.

        On average over baselines of normal runs, whose mean and standard deviation are not the true ones.
        """
        return _seen(self)


@lru_cache(256)
def _seen(limits: Limits) -> float:
    from scipy.optimize import brentq
    from scipy.stats import chi2, norm

    middles, n = (np.arange(GRID) + 0.5) / GRID, limits.baseline_runs
    mean = norm.ppf(middles)[:, None] / math.sqrt(n)
    sd = np.sqrt(chi2.ppf(middles, n - 1) / (n - 1))[None]

    def missed(shift: float) -> float:
        first = norm.sf(mean + (limits.first - shift) * sd) if math.isfinite(limits.first) else 1.0
        return float((first * norm.sf((mean + (limits.then - shift) * sd) * math.sqrt(limits.fresh))).mean()) - SEEN

    return float(brentq(missed, 0.0, 1000.0))


def regression_limits(baseline_runs: int, false_red: float = FALSE_RED, *, max_runs: int = MOST_RUNS) -> Limits:
    """Return the limits of a test in two stages: a run that is too bad is followed by fresh ones, whose mean decides.

    Parameters
    ----------
    baseline_runs : int
        Runs of the baseline.
    false_red : float
        Largest share of red tests where nothing changed, in 95 % of baselines of normal runs.
    max_runs : int
        Runs of a red test: 1 and the others afterwards. 1: one stage.

    Returns
    -------
    Limits
        Each stage has the square root of the rate: fresh runs are independent given the baseline, and both limits are
        exceeded most by the same baselines, so the rates multiply.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.gate.regression_limits(20).baseline_runs
    20
    """
    if max_runs == 1:
        return Limits(-math.inf, tolerance_factor(baseline_runs, 1, false_red), 1, baseline_runs)
    each, fresh = math.sqrt(false_red), max_runs - 1
    first, then = (tolerance_factor(baseline_runs, runs, each) for runs in (1, fresh))
    return Limits(first, then, fresh, baseline_runs)


@dataclass(frozen=True)
class Scale:
    """The scale on which runs are judged: larger is worse, accuracies near 0 or 1 through arcsin sqrt.

    Attributes
    ----------
    higher : bool
        Whether larger outcomes are better.
    stretched : bool
        Whether outcomes are shares whose spread depends on where they lie.
    """

    higher: bool
    stretched: bool

    @classmethod
    def of(cls, values: Floats, *, higher: bool) -> Scale:
        """Return the scale of a baseline."""
        mean, shares = float(values.mean()), bool(((values >= 0) & (values <= 1)).all())
        return cls(higher, higher and shares and not NEAR_THE_END < mean < 1 - NEAR_THE_END)

    def losses(self, values: Sequence[float] | Floats, margin: float = 0.0) -> Floats:
        """Return outcomes so that larger is worse, bettered by a margin; infinite where a run failed."""
        raw = np.asarray(values, dtype=np.float64)
        better = raw + margin if self.higher else raw - margin
        if self.stretched:
            better = np.arcsin(np.sqrt(np.clip(better, 0, 1)))
        return np.where(np.isfinite(raw), -better if self.higher else better, np.inf)

    def shift(self, values: Floats, far: float) -> float:
        """Return how far the mean is from what is worse by so many standard deviations, in the unit of the outcomes."""
        losses = self.losses(values)
        mean, reach = float(losses.mean()), far * float(losses.std(ddof=1))
        if not self.stretched:
            return reach
        return math.sin(-mean) ** 2 - math.sin(max(-mean - reach, 0.0)) ** 2


@dataclass(frozen=True)
class Tested:
    """How a test ended.

    Attributes
    ----------
    red : bool
        Whether the new runs are shown to be worse.
    outcomes : tuple of float
        Of the new runs: the first, then the fresh ones.
    judged : tuple of float
        Of the runs that decided.
    far : float
        How far their mean lies above that of the baseline, in its standard deviations.
    limit : float
        How far it may.
    """

    red: bool
    outcomes: tuple[float, ...]
    judged: tuple[float, ...]
    far: float
    limit: float


def check_values(values: Sequence[float] | Floats, least: int = 5) -> Floats:
    """Return the outcomes of a baseline.

    Raises
    ------
    InputError
        There are too few, one is not finite, or all are equal.
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or len(found) < least:
        raise InputError(f"the baseline has {count(found.size, 'run')}", f"{least} or more, better 10", "Update it.")
    if not np.isfinite(found).all():
        raise InputError("a run of the baseline failed", "finite outcomes", "Mend the training first, then update it.")
    if np.ptp(found) == 0:
        raise InputError(
            f"all {len(found)} runs of the baseline are {found[0]:.9g}",
            "runs that differ",
            "The training is deterministic, or the seed is not used: test it with assert_reproducible.",
        )
    return found


def far_values(values: Floats) -> Floats:
    """Return the runs of a baseline that lie far from the others, which make its spread too large."""
    apart = np.abs(values - np.median(values))
    spread = 1.4826 * float(np.median(apart))
    return values[apart > FAR * spread] if spread > 0 else values[:0]


def regression_test(
    new: Callable[[], float] | Sequence[float],
    baseline: Sequence[float] | Floats,
    *,
    higher: bool = False,
    margin: float = 0.0,
    false_red: float = FALSE_RED,
    max_runs: int = MOST_RUNS,
) -> Tested:
    """Say whether new runs are shown to be worse than a baseline.

    Parameters
    ----------
    new : callable or sequence of float
        Returns the outcome of another fresh run; or all outcomes, which are judged in one stage. A run that is not
        finite failed, and is worse than every other.
    baseline : sequence of float
        Outcomes of its runs, 5 or more.
    higher : bool
        Whether larger is better.
    margin : float
        By how much they may be worse, in the unit of the outcome.
    false_red : float
        Largest share of red tests where nothing changed.
    max_runs : int
        Runs of a red test.

    Returns
    -------
    Tested
        Whether it is red, and by what.

    Notes
    -----
    A tolerance bound, not a test at a level that holds on average over baselines: see `tolerance_factor`.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> baseline = rng.normal(0.3, 0.01, 20)
    >>> rs.methods.gate.regression_test([0.305, 0.298, 0.301, 0.299], baseline).red
    False
    """
    values = check_values(baseline)
    scale = Scale.of(values, higher=higher)
    losses = scale.losses(values)
    mean, sd = float(losses.mean()), float(losses.std(ddof=1))

    def far(outcomes: Sequence[float]) -> float:
        return (float(scale.losses(outcomes, margin).mean()) - mean) / sd

    if not callable(new):
        given = [float(value) for value in new]
        if not given:
            raise InputError("there are no new runs", "one or more outcomes")
        limit = tolerance_factor(len(values), len(given), false_red)
        return Tested(far(given) > limit, tuple(given), tuple(given), far(given), limit)
    limits = regression_limits(len(values), false_red, max_runs=max_runs)
    first = [float(new())]
    if max_runs == 1 or far(first) <= limits.first:
        limit = limits.then if max_runs == 1 else limits.first
        return Tested(far(first) > limit, tuple(first), tuple(first), far(first), limit)
    fresh = [float(new()) for _ in range(limits.fresh)]
    return Tested(far(fresh) > limits.then, (*first, *fresh), tuple(fresh), far(fresh), limits.then)


def shown_not_worse(
    new: Sequence[float], baseline: Sequence[float] | Floats, margin: float, *, level: float, higher: bool = False
) -> Judged:
    """Say whether new runs are shown to be worse than a baseline by less than a margin.

    Parameters
    ----------
    new, baseline : sequence of float
        Finite outcomes; two new ones or more.
    margin : float
        Above 0, in the unit of the outcome.
    level : float
        Of the one-sided test.
    higher : bool
        Whether larger is better.

    Returns
    -------
    Judged
        With its verdict. Student's form and Welch's have to agree: a small level finds Welch's too sure of few new runs
        against many.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> rs.methods.gate.shown_not_worse(rng.normal(0.3, 0.01, 5), rng.normal(0.3, 0.01, 20), 0.1, level=0.05).verdict
    'not worse'
    """
    old, arm = Arm.of(np.asarray(baseline, dtype=np.float64)), Arm.of(np.asarray(new, dtype=np.float64))
    forms = [form for form in (student_form(old, arm), welch_form(old, arm)) if not math.isnan(form.se)]
    one = Difference(arm.mean - old.mean, tuple(forms), "guarded")
    return judged(one, margin, 1 - level, "not worse", lower=not higher)
