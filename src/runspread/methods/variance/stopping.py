"""When to stop training more runs: looks at the data that together keep their error rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._reading.scores.words import direction, is_share, spoken
from ..._results import Result, Table
from ..._words import percent
from ...errors import InputError
from .._statistics import sample_variance
from .boundaries import sequential_boundaries
from .power import welch_power
from .run_distribution import log_jackknife, share_text, unlike_normal, unseen_share
from .wording import points

KINDS = ("gap", "se")
_FIRST = 5
_GROWTH = 1.3
_LEAST_BASELINE = 3
_NO_BOUND = 700.0  # an exponent beyond which a bound is none
_NO_SPREAD = {"answered": False, "verdict": "undecided", "low": -math.inf, "high": math.inf}


@dataclass(frozen=True, eq=False, kw_only=True)
class InterimLook(Result):
    """What one look at the runs says.

    Attributes
    ----------
    rule : StoppingRule
        The rule.
    number : int
        Which look, from 1.
    runs : int
        Runs looked at.
    answered : bool
        Whether the question is answered.
    verdict : str
        ``"known"``, ``"better"``, ``"worse"``, ``"smaller than the gap"``, or ``"undecided"``.
    estimate, low, high : float
        Against a baseline: the difference in mean accuracy, and an interval that holds at all looks together.
        Otherwise: the standard error of the mean accuracy, and its upper bound at all looks together (`low` is 0).
        Of another metric, in its own unit.
    mean_acc : float
        Mean accuracy of the runs, or mean of the metric.
    next_runs : int or None
        How many runs there should be at the next look; None when there is none.
    """

    picture = ".plots:plot_look"

    rule: StoppingRule
    number: int
    runs: int
    answered: bool
    verdict: str
    estimate: float
    low: float
    high: float
    mean_acc: float
    next_runs: int | None

    @property
    def stop(self) -> bool:
        """Whether to stop: the question is answered, or the runs are used up."""
        return self.answered or self.next_runs is None

    def table(self) -> Table:
        """Return the look as one row, in percentage points; of a metric that is no share, in its unit."""
        scale = self.rule.scale
        columns = {
            "look": [self.number],
            "runs": [self.runs],
            "verdict": [self.verdict],
            "difference" if self.rule.against else "standard error": [scale * self.estimate],
            "low": [scale * self.low],
            "high": [scale * self.high],
        }
        shape = ".3f" if self.rule.in_points else ".4g"
        return Table(columns, formats=dict.fromkeys(("difference", "standard error", "low", "high"), shape))

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        state, rule = self.verdict[0].upper() + self.verdict[1:], self.rule
        error = f"chance of a wrong stop at most {percent(rule.alpha)} over all looks, {rule.assumes}"
        of = f" in {spoken(rule.metric)}" if rule.metric else ""
        if rule.against:
            interval = f"interval {rule.signed(self.low)} to {rule.signed(self.high)}"
            interval = "no interval" if math.isinf(self.high) else interval
            numbers = f"difference{of} {rule.signed(self.estimate)}{rule.unit} ({interval}"
        else:
            bound = "without a bound" if math.isinf(self.high) else f"at most {rule.size(self.high)}"
            mean = f"mean {spoken(rule.metric)}" if rule.metric else "mean"
            numbers = f"standard error of the {mean} {rule.size(self.estimate)}{rule.unit} ({bound}"
        goal = f"{rule.kind} {rule.size(rule.value)}{rule.unit}"
        return f"{state} after {self.runs} runs: {numbers}; {error}), asked for {goal}."


@dataclass(frozen=True, kw_only=True)
class StoppingRule:
    """A plan of looks at a growing number of runs, whose error rate holds for all looks together.

    The schedule is fixed beforehand, so a training that was interrupted goes on as if it had not been.

    Attributes
    ----------
    kind : {"gap", "se"}
        ``"se"``: until the standard error of the mean accuracy on this test set is at most `value`. ``"gap"``: against
        a baseline, until the sign of the difference is known or the difference is known to be smaller than `value`;
        without one, until there are runs enough to show a gap of `value` against another configuration with as many
        runs and as much spread.
    value : float
        As a fraction (0.001 is a tenth of a percentage point).
    looks : tuple of int
        Numbers of runs at which to look.
    against : int
        Runs of the baseline; 0 without one.
    alpha : float
        Chance that the rule stops with a wrong claim: for accuracies that are normal over runs, or as `failures` says.
    power : float
        For a gap without a baseline: the power that the runs are to have.
    failures : float
        Share of failing runs that is guarded against: where that many or more end far from the others, alpha holds too.
        0 takes accuracies as normal; then one training in ten that fails makes up to every second stop wrong, since
        few runs rarely hold one.
    metric : str
        What is looked at instead of the accuracy: a logged metric, `value` then being in its unit.
    lower_is_better : bool
        Its direction.
    """

    kind: str
    value: float
    looks: tuple[int, ...]
    against: int = 0
    alpha: float = 0.05
    power: float = 0.8
    failures: float = 0.0
    metric: str = ""
    lower_is_better: bool = False

    @property
    def in_points(self) -> bool:
        """Whether differences are percentage points: of accuracies, and of metrics that are shares as they are."""
        return not self.metric or is_share(self.metric)

    @property
    def scale(self) -> float:
        """What a number is multiplied by before it is shown."""
        return 100.0 if self.in_points else 1.0

    @property
    def unit(self) -> str:
        """The unit, after a number."""
        return " percentage points" if self.in_points else ""

    def size(self, value: float) -> str:
        """Return an amount as it is shown, without its unit."""
        return points(value) if self.in_points else f"{value:.4g}"

    def signed(self, value: float) -> str:
        """Return a difference as it is shown, without its unit."""
        return f"{100 * value:+.2f}" if self.in_points else f"{value:+.4g}"

    @property
    def assumes(self) -> str:
        """What the chance of a wrong stop rests on."""
        what = f"values of {self.metric}" if self.metric else "accuracies"
        if self.failures:
            return f"if {what} are normal or {percent(self.failures)} of runs or more fail"
        return f"if {what} are normal over runs"

    def next_look(self, runs: int) -> int | None:
        """Return the number of runs at the first look beyond `runs`, None when there is none."""
        return next((look for look in self.looks if look > runs), None)

    def look(self, accuracies: ArrayLike, baseline: ArrayLike | None = None) -> InterimLook:
        """Look at the accuracies of the runs so far.

        Parameters
        ----------
        accuracies : array_like of float [runs]
            Accuracy of each run, as fractions, or the metric of each. Runs beyond the last planned look that is
            reached are not looked at: looking at any other number would spend error that was not planned.
        baseline : array_like of float [runs], optional
            Accuracies of the baseline; its number of runs is part of the plan.

        Raises
        ------
        InputError
            There are fewer runs than at the first look, or the baseline is not the planned one.
        """
        values = _checked(accuracies, in_points=self.in_points)
        other = None if baseline is None else _checked(baseline, in_points=self.in_points)
        if (0 if other is None else len(other)) != self.against:
            raise InputError(
                f"got a baseline of {0 if other is None else len(other)} runs", f"{self.against}, as planned"
            )
        number = int(np.searchsorted(self.looks, len(values), "right"))
        if not number:
            raise InputError(f"got {len(values)} runs", f"{self.looks[0]} or more, the first look")
        values = values[: self.looks[number - 1]]
        last = number == len(self.looks)
        answer = self._spread(values) if other is None else self._difference(values, other, number)
        stops = last or answer["answered"]
        return InterimLook(
            rule=self,
            number=number,
            runs=len(values),
            mean_acc=float(values.mean()),
            next_runs=None if last else self.looks[number],
            warnings=self._caveats(values, other, answer["answered"]) if other is None or stops else (),
            **answer,
        )

    def _spread(self, values: NDArray[np.float64]) -> dict[str, Any]:
        """Bound the spread from above at all looks together, an equal part of alpha a look."""
        runs = len(values)
        highest = self._highest(values, guarded=bool(self.failures))
        known = self._enough(highest, runs)
        if known and not self.failures and unlike_normal(values):
            highest = self._highest(values, guarded=True)
            known = self._enough(highest, runs)
        return {
            "answered": known,
            "verdict": "known" if known else "undecided",
            "estimate": math.sqrt(float(sample_variance(values)) / runs),
            "low": 0.0,
            "high": math.sqrt(highest / runs),
        }

    def _highest(self, values: NDArray[np.float64], *, guarded: bool) -> float:
        """Return the upper bound of the variance: by the chi-square distribution, and `guarded` by the jackknife too.

        Equal accuracies bound nothing. The jackknife is that of the logarithm of the variance, with a t quantile; a
        single failing run, which it hangs on, leaves it without a bound.
        """
        from scipy.special import chdtri, stdtrit

        runs, variance = len(values), float(sample_variance(values))
        if not variance:
            return math.inf
        tail = self.alpha / len(self.looks) / (2 if self.failures else 1)
        highest = (runs - 1) * variance / float(chdtri(runs - 1, 1 - tail))
        if not guarded:
            return highest
        reach = -float(stdtrit(runs - 1, tail)) * math.sqrt(log_jackknife(values))
        return max(highest, variance * math.exp(reach)) if reach < _NO_BOUND else math.inf

    def _enough(self, variance: float, runs: int) -> bool:
        """Return whether so many runs answer the question, if their accuracies have this variance."""
        if self.kind == "se" or math.isinf(variance):
            return math.sqrt(variance / runs) <= self.value
        return welch_power(self.value, variance, variance, runs, runs, 0.05) >= self.power

    def _caveats(
        self, values: NDArray[np.float64], other: NDArray[np.float64] | None, answered: bool
    ) -> tuple[str, ...]:
        """Return what the reader should know where the rule stops: accuracies that are not normal, failures unseen."""
        notes = [unlike_normal(values)]
        if other is not None:
            found = unlike_normal(other)
            notes.append(found and f"baseline: {found}")
        elif answered and not self.failures:
            share = share_text(unseen_share(len(values), 1 - self.alpha))
            notes.append(
                f"among {len(values)} runs, a kind of failure that hits up to {share} of trainings may not be "
                "seen; failures=0.1 guards against those of one in ten or more."
            )
        return tuple(note for note in notes if note)

    def _difference(self, values: NDArray[np.float64], other: NDArray[np.float64], number: int) -> dict[str, Any]:
        """Give the repeated confidence interval of the difference (Jennison and Turnbull 1989), by a t distribution."""
        from scipy.special import ndtr, stdtrit

        first, second = _variances(values, other)
        if not first + second:
            return _NO_SPREAD | {"estimate": float(values.mean() - other.mean())}
        first, second = first / len(values), second / len(other)
        degrees = min(len(values), len(other)) - 1  # never above Welch's, which are too many for a baseline of three
        tail = float(ndtr(-self.boundaries[number - 1]))
        half = float(-stdtrit(degrees, tail)) * math.sqrt(first + second)
        delta = float(values.mean() - other.mean())
        low, high = delta - half, delta + half
        above, below = ("worse", "better") if self.lower_is_better else ("better", "worse")
        verdict = above if low > 0 else below if high < 0 else "undecided"
        if verdict == "undecided" and max(-low, high) < self.value:
            verdict = "smaller than the gap"
        return {
            "answered": verdict != "undecided",
            "verdict": verdict,
            "estimate": delta,
            "low": low,
            "high": high,
        }

    @cached_property
    def boundaries(self) -> NDArray[np.float64]:
        """Boundary of abs(Z) at each look against the baseline.

        The difference of means at a later look has the earlier ones as independent increments, since the baseline
        stays the same. Its noise makes the looks more alike than runs alone would, by an amount that hangs on the
        unknown spreads; taking the baseline as exact is the cautious end of that.
        """
        return sequential_boundaries(self.looks, self.alpha)


def stopping_rule(
    question: str,
    *,
    max_runs: int,
    against: int = 0,
    looks: Sequence[int] | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    failures: float = 0.0,
    metric: str = "",
    lower_is_better: bool | None = None,
) -> StoppingRule:
    """Return the rule for a question such as ``"gap=0.1"`` or ``"se=0.02"``, in percentage points.

    Of a logged metric that is no share, such as a loss, the question is in its own unit.

    Parameters
    ----------
    question : str
        What is to be known; see `StoppingRule`.
    max_runs : int
        Runs at the last look.
    against : int
        Runs of a baseline to compare with; 0 for none. It needs three runs, and five or more to be of much use.
    looks : sequence of int, optional
        Numbers of runs at which to look, increasing; default 5, and then a third more each time.
    alpha : float
        Chance that the rule stops with a wrong claim.
    power : float
        For a gap without a baseline.
    failures : float
        Share of failing runs to guard against, such as 0.1; 0 takes accuracies as normal. Looks then begin where so
        many failing runs would have been seen (at 36 runs for one in ten). Not with a baseline.
    metric : str
        A metric that is looked at instead of the accuracy.
    lower_is_better : bool, optional
        Its direction, where its name does not tell and there is a baseline.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.variance.stopping_rule("se=0.02", max_runs=40).looks
    (5, 6, 8, 11, 14, 18, 24, 31, 40)
    """
    kind, value = _goal(question, metric)
    if not 0 < alpha < power < 1:
        raise InputError(f"got alpha={alpha} and power={power}", "0 < alpha < power < 1")
    if against and kind == "se":
        raise InputError("got a baseline for a standard error", "a question such as 'gap=0.1'", "Or omit the baseline.")
    if against and against < _LEAST_BASELINE:
        raise InputError(
            f"got a baseline of {against} runs",
            f"{_LEAST_BASELINE} or more",
            "Train more of it: five or more tell far more.",
        )
    first = _first_look(failures, alpha, against, max_runs)
    planned = tuple(looks) if looks is not None else _schedule(max_runs, first)
    least = first if failures else 2
    if not planned or planned[0] < least or planned[-1] > max_runs or list(planned) != sorted(set(planned)):
        raise InputError(f"looks at {planned} of {max_runs} runs", f"increasing numbers from {least} to max_runs")
    return StoppingRule(
        kind=kind,
        value=value,
        looks=planned,
        against=against,
        alpha=alpha,
        power=power,
        failures=failures,
        metric=metric,
        lower_is_better=direction(metric, lower_is_better) if metric and against else False,
    )


def _goal(question: str, metric: str) -> tuple[str, float]:
    """Return the kind and the value of a question; percentage points become a fraction."""
    kind, sign, text = (part.strip() for part in question.partition("="))
    check_choice(kind, "question", KINDS)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    share = not metric or is_share(metric)
    value = value / 100 if share else value
    if sign != "=" or not 0 < value < (1 if share else math.inf):
        unit = "percentage points" if share else f"the unit of {metric}"
        raise InputError(f"got question {question!r}", f"'gap=0.1' or 'se=0.02', in {unit}")
    return kind, value


def _first_look(failures: float, alpha: float, against: int, max_runs: int) -> int:
    """Return the first look: where failing runs of that share would be seen with all but half of alpha."""
    if not failures:
        return _FIRST
    if not 0 < failures < 1:
        raise InputError(f"got failures={failures}", "a share of the runs, such as 0.1")
    if against:
        raise InputError(
            "got failures with a baseline", "one of them", "Omit failures: against a baseline outlying runs are named."
        )
    first = max(_FIRST, math.ceil(math.log(alpha / 2) / math.log1p(-failures)))
    if first > max_runs:
        raise InputError(
            f"got failures={failures:g} with max_runs={max_runs}",
            f"{first} runs or more, among which such failures would show",
            f"Allow max_runs={first}, or take accuracies as normal (failures=0).",
        )
    return first


def _schedule(max_runs: int, first: int) -> tuple[int, ...]:
    """Return looks at `first` runs and a third more each time, the last at `max_runs`."""
    looks = [max_runs]
    while looks[-1] > first:
        looks.append(max(first, min(looks[-1] - 1, round(looks[-1] / _GROWTH))))
    return tuple(reversed(looks))


def _variances(values: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """Return the variances of both; runs with equal accuracies are taken to spread as the others do."""
    first, second = float(sample_variance(values)), float(sample_variance(other))
    return first or second, second or first


def _checked(accuracies: ArrayLike, *, in_points: bool = True) -> NDArray[np.float64]:
    values = np.asarray(accuracies, np.float64)
    if not in_points:
        if values.ndim != 1 or not np.isfinite(values).all():
            raise InputError(f"got values of shape {values.shape}", "one finite number per run")
        return values
    if values.ndim != 1 or not bool(((values >= 0) & (values <= 1)).all()):
        raise InputError(
            f"got accuracies of shape {values.shape}", "one number from 0 to 1 per run", "Not percentages."
        )
    return values
