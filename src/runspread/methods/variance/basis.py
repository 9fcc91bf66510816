"""What a plan rests on: given variances, an error rate, a pilot of runs, or a comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..._reading.options import DEFAULTS_OF_OUTCOMES
from ..._results import Excluded
from ..._words import listed
from ...errors import InputError
from .pilot import RANGE, SAFE, Arm, Floats, Spread
from .power import Examples
from .result import VarianceResult, points, root
from .run_distribution import unlike_normal, warnings_of_distribution

_FINE_TUNINGS = 5.0  # times the spread of independent errors at which fine-tunings were seen
_FEW = 5  # runs of a pilot below which its range is wider than more runs cost
_BITS = "Count the runs with keep_bits=True, or exclude the copies."
_MOST_FROM_TWO = 1000  # runs that a plan from a pilot of two runs may ask for


@dataclass(frozen=True)
class Basis:
    """What a plan rests on.

    Attributes
    ----------
    spread : Spread
        Variances of accuracy of both configurations, as far as they are known.
    n_examples : int or None
        Size of the test set.
    tau2 : float
        Variance over examples of the difference in success rate; NaN where not known.
    text : str
        Where the variances come from, in words.
    pilot : int
        Runs of the pilot, the fewer of two; 0 without one.
    stretch : float
        How many times as large the standard deviation may be for reasons that no interval covers.
    degrees_of_examples : float
        Degrees of freedom of the noise of the examples.
    notes : tuple of str
        What the reader should know about the pilot.
    excluded : tuple of Excluded
        Runs that the pilot excluded.
    """

    spread: Spread
    n_examples: int | None
    tau2: float
    text: str
    pilot: int = 0
    stretch: float = 1.0
    degrees_of_examples: float = math.inf
    notes: tuple[str, ...] = ()
    excluded: tuple[Excluded, ...] = ()

    @property
    def examples(self) -> Examples | None:
        """What the examples add to the variance of the difference on the distribution; None where it is not known."""
        if self.n_examples is None or math.isnan(self.tau2):
            return None
        return Examples(self.tau2 / self.n_examples, self.degrees_of_examples)

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the pilot, the fewer of two."""
        return min(arm.degrees for arm in self.spread.arms)

    @property
    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Both variances at the ends of the range of the spread."""
        if self.stretch > 1:
            first, second = self.spread.variances
            return (first, second), (self.stretch**2 * first, self.stretch**2 * second)
        return self.spread.quantile((1 - RANGE) / 2), self.spread.quantile((1 + RANGE) / 2)

    @property
    def safe(self) -> tuple[float, float]:
        """Both variances at the upper bound of the spread that holds for four pilots of five."""
        return self.ends[1] if self.stretch > 1 else self.spread.quantile(SAFE)

    def noise(self, alpha: float) -> float:
        """Return beyond how many standard errors a difference of new runs rarely goes, given the pilot."""
        from scipy.special import ndtri, stdtrit

        if math.isinf(self.degrees):
            return -float(ndtri(alpha / 2))
        return -float(stdtrit(self.degrees, alpha / 2))

    def refuse_two_runs(self, needed: int) -> None:
        """Raise an InputError where a pilot of two runs leaves the plan open without bounds."""
        if self.pilot == 2 and needed > _MOST_FROM_TWO:
            raise InputError(
                f"a pilot of two runs, from which the plan would be {needed:,} runs",
                "a pilot of three runs or more: two hardly measure a spread",
                "Train one more run of the pilot first.",
            )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the reader should know about the pilot."""
        if not 0 < self.pilot < _FEW:
            return self.notes
        few = f"{self.pilot} runs hardly measure a spread: a pilot of {_FEW} or more narrows the range of this plan."
        return (few, *self.notes)

    def facts(self, note: str = "") -> dict[str, Any]:
        """Return the fields that plans share; `note` goes to the warnings."""
        var_a, var_b = self.spread.variances
        return {
            "var_a": var_a,
            "var_b": var_b,
            "n_examples": self.n_examples,
            "tau2": self.tau2,
            "degrees": self.degrees,
            "basis": self.text,
            "warnings": (*self.warnings, *((note,) if note else ())),
            "excluded": self.excluded,
        }


def range_of(degrees: float, plugin: float, low: float, high: float, form: str, unit: str) -> str:
    """Return what a plan's number would be if the spread were exact, and its range, in words."""
    if low == high:
        return ""
    ends = f"{low:{form}} to {high:{form}}"
    if math.isinf(degrees):
        return f"; fine-tunings were seen at 1 to 5 times that spread: {ends} {unit}"
    return f": {plugin:{form}} if that spread is exact, {ends} over its {RANGE:.0%} interval"


def basis_of(
    source: Any,
    variance: float | None,
    variance_b: float | None,
    n_examples: int | None,
    error: float | None,
    tau2: float | None,
    reading: Mapping[str, Any],
) -> Basis:
    """Return what a plan rests on after checks; `reading` goes to `variance` with the source."""
    runs = source if source is not None else reading.get("correct")
    options = {"source": runs, "variance": variance, "error": error}
    given = [name for name, value in options.items() if value is not None]
    if len(given) != 1:
        raise InputError(" and ".join(given) or "nothing", "one of source, variance, or error with n_examples")
    numbers = tuple(0.0 if value is None else value for value in (variance, variance_b, tau2))
    if not all(0 <= value < math.inf for value in numbers):
        raise InputError(f"got variances {numbers}", "finite variances of zero or more")
    if n_examples is not None and n_examples < 1:
        raise InputError(f"got n_examples={n_examples}", "one example or more")
    told = [name for name, value in reading.items() if value is not None and not _as_usual(name, value)]
    if told and runs is None:
        raise InputError(f"got {listed(told)} beside {given[0]}", "a study or outputs of runs, to which they belong")
    if runs is not None:
        found = _from_source(source, n_examples, reading, told)
    elif error is not None:
        found = _a_priori(error, n_examples)
    else:
        assert variance is not None
        text = f"standard deviation {points(root(variance))} points per run, taken as exact"
        found = Basis(Spread(Arm(variance)), n_examples, math.nan, text)
    if variance_b is not None:
        found = replace(found, spread=Spread(found.spread.first, Arm(variance_b)))
    return found if tau2 is None else replace(found, tau2=tau2)


def _as_usual(name: str, value: Any) -> bool:
    return isinstance(value, str) and value == DEFAULTS_OF_OUTCOMES.get(name)


def _a_priori(error: float, n_examples: int | None) -> Basis:
    if n_examples is None or not 0 <= error <= 1:
        raise InputError(f"got error={error} and n_examples={n_examples}", "an error rate and the size of the test set")
    if not error:
        raise InputError(
            f"no spread follows from error=0 with {n_examples} examples",
            "the error rate that you expect, above 0",
            "No error seen on n examples leaves rates up to 3/n possible (95% bound): plan with that.",
        )
    variance = error / (2 * n_examples)
    about = f"standard deviation about {points(math.sqrt(variance))} points per run"
    text = f"{about} for calibrated runs with independent errors"
    note = "That spread is of calibrated runs with independent errors, err/(2n), and bounds nothing."
    return Basis(Spread(Arm(variance)), n_examples, math.nan, text, stretch=_FINE_TUNINGS, notes=(note,))


def _from_source(source: Any, n_examples: int | None, reading: Mapping[str, Any], told: Sequence[str]) -> Basis:
    """Return the basis in a comparison, in a variance result, or in whatever `variance` takes."""
    from .comparison import Comparison  # a comparison makes plans, a plan can rest on a comparison
    from .estimate import variance as estimate

    if told and isinstance(source, (Comparison, VarianceResult)):
        raise InputError(
            f"got {listed(told)} beside a {type(source).__name__}",
            "the result alone",
            f"Give {'it' if len(told) == 1 else 'them'} to compare() or variance().",
        )
    if isinstance(source, Comparison):
        return _of_comparison(source, n_examples)
    if not isinstance(source, VarianceResult):
        source = estimate(source, pairs="none", **reading)
    return _of_runs(source, n_examples)


def _of_comparison(found: Any, n_examples: int | None) -> Basis:
    if n_examples not in (None, found.n_examples):
        raise InputError(
            f"got n_examples={n_examples} with a comparison on {found.n_examples}",
            "a comparison alone",
            "Give the runs of one configuration, whose spread can be carried to a test set of another size.",
        )
    runs = found.n_runs_a, found.n_runs_b
    if min(runs) < 2:
        raise _one_run()
    if found.form == "none":
        raise InputError("a comparison of runs among which are copies", "runs that count once", _BITS)
    if not found.fixed.var_a + found.fixed.var_b:
        raise _no_spread(min(runs))
    clusters = getattr(found, "n_clusters", None)
    return Basis(
        Spread(Arm(found.fixed.var_a, runs[0] - 1), Arm(found.fixed.var_b, runs[1] - 1)),
        found.n_examples,
        max(0.0, found.distribution.tau2),
        f"variances from {runs[0]} and {runs[1]} runs",
        pilot=min(runs),
        degrees_of_examples=(found.n_examples if clusters is None else clusters) - 1,
        notes=found.warnings,
        excluded=found.excluded,
    )


def _of_runs(found: VarianceResult, n_examples: int | None) -> Basis:
    """Return the basis in one configuration's runs, carried to a test set of `n_examples` where that is another."""
    found.require_runs()
    runs = len(found.distinct)
    if runs < 2:
        raise _one_run() if found.n_runs < 2 else _no_spread(found.n_runs)
    wanted = found.n_examples if n_examples is None else n_examples
    accuracy = found.accuracy[found.distinct]
    variance = float(accuracy.var(ddof=1)) if runs < found.n_runs else found.var_test
    if wanted == found.n_examples:
        arm = Arm(variance, runs - 1, floor=found.var_ind / _share_of_pairs(found))
        text = f"standard deviation {points(root(variance))} points per run from {runs} runs"
    else:
        arm = _carried(found, variance, wanted)
        text = (
            f"standard deviation {points(root(arm.carried))} points per run on {wanted} examples, carried from "
            f"{runs} runs on {found.n_examples}{_in_clusters(found.n_clusters)}"
        )
    if not max(arm.carried, arm.floor):
        raise _no_spread(found.n_runs)
    return Basis(
        Spread(arm), wanted, math.nan, text, pilot=runs, notes=_notes(found, accuracy), excluded=found.excluded
    )


def _notes(found: VarianceResult, accuracy: Floats) -> tuple[str, ...]:
    """Return the warnings of the pilot; on the distribution of its runs, what a plan makes of it."""
    odd = unlike_normal(accuracy)
    of_intervals = warnings_of_distribution(found.outcomes.correct, found.n_examples, found.outcomes.run_ids)
    notes = tuple(note for note in found.warnings if note not in of_intervals)
    if len(accuracy) < found.n_runs:
        notes += (f"{found.n_runs} runs count as {len(accuracy)}, as some are copies.",)
    return (*notes, f"pilot: {odd}") if odd else notes


def _share_of_pairs(found: VarianceResult) -> float:
    """Return the share of the pairs of runs that are of two runs: by so much copies shrink every variance."""
    pairs = sum(math.comb(len(group), 2) for group in found.outcomes.copies)
    return 1 - pairs / math.comb(found.n_runs, 2)


def _in_clusters(count: int | None) -> str:
    return "" if count is None else f" in {count} clusters, whose number grows alike"


def _carried(found: VarianceResult, variance: float, n_examples: int) -> Arm:
    """Return the variance on a test set of another size: the noise of the examples changes with their number."""
    if math.isnan(found.var_dist):
        raise InputError(
            f"got n_examples={n_examples} with {found.n_runs} runs on {found.n_examples} examples",
            "two runs on two examples or more",
        )
    share, lift = found.n_examples / n_examples, 1 / _share_of_pairs(found)
    noise = (found.var_test - found.var_dist) * lift
    degrees = len(found.distinct) - 1
    if not math.isnan(found.jackknife.degrees):
        degrees = min(degrees, found.jackknife.degrees)
    return Arm(variance, degrees, removed=noise * (1 - share), floor=found.var_ind * lift * share)


def _one_run() -> InputError:
    return InputError("got one run", "two runs or more to know the variance", "Or plan from error= and n_examples=.")


def _no_spread(runs: int) -> InputError:
    return InputError(
        f"got {runs} runs without any spread",
        "a pilot whose runs differ: equal accuracies do not show that runs have no spread",
        "Train more runs of the pilot, or give the variance that you expect.",
    )
