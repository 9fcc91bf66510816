"""What results on the spread between runs say, in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..._words import count, percent
from ...errors import InputError

if TYPE_CHECKING:
    from .result import VarianceResult


def root(value: float) -> float:
    """Return the square root of a variance estimate, 0 for a negative one, NaN for NaN."""
    return math.sqrt(max(0.0, value)) if not math.isnan(value) else math.nan


def sd_end(value: float) -> float:
    """Return an end of an interval for a variance of accuracies as a standard deviation: at most one half."""
    return min(0.5, root(value)) if not math.isnan(value) else math.nan


def points(value: float) -> str:
    """Return a fraction as percentage points, with as many digits as a spread needs."""
    return f"{100 * value:.3f}" if 0 < abs(value) < 0.001 else f"{100 * value:.2f}"


def how_much_is_real(sd_test: float, sd_ind: float, low: float, high: float, text: Callable[[float], str]) -> str:
    """Return how much of a spread is real, in words, as far as the interval from `low` to `high` tells.

    `text` makes a spread a number with a verb, such as "0.21 are".
    """
    if sd_test < sd_ind and high >= sd_test:  # by chance the runs lie closer together than independent errors would
        return f"none is shown to be real, up to {text(high).rpartition(' ')[0]} may be"
    if high < sd_test:
        least = f"{text(low).rpartition(' ')[0]} to" if low > 0 else "at most"
        return f"{least} {text(high)} real"
    return f"at least {text(low)} real, possibly all" if low > 0 else "anything from none to all may be real"


def refuse_beside_result(**given: object) -> None:
    """Raise an InputError for arguments that a `VarianceResult` as the source would leave without effect."""
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise InputError(
            f"got {', '.join(names)} beside a VarianceResult",
            "the result alone",
            "Give them to variance(), or the runs themselves.",
        )


def variance_sentence(result: VarianceResult) -> str:
    """Return the answer of `variance` in a sentence or two."""
    if result.samples_are == "samples":
        return _of_samples(result)
    if math.isnan(result.var_dist):
        return _undefined(result)
    if not (result.sd_test or result.sd_ind):
        return _no_spread(result)
    low, high = result.sd_interval
    covers = result.interval_covers
    others = "configurations" if covers != "runs" else f"{result.unit}s"
    assumed = "not assuming normality" if result.intervals.accuracies == "any" else "assuming normality"
    real = how_much_is_real(result.sd_test, result.sd_ind, low, high, lambda value: f"{points(value)} are")
    interval = f"{percent(result.confidence_level)} CI {points(low)} to {points(high)}, {assumed}"
    return (
        f"Of the {points(result.sd_test)} percentage points of spread between {result.n_runs} runs, {real}: the "
        f"distribution-wise standard deviation is {points(result.sd_dist)} ({interval}); independent {_errors(result)} "
        f"give {points(result.sd_ind)} (mean accuracy {result.mean_acc:.2%} on {_examples(result)}). Other {others} "
        "may differ."
    )


def _examples(result: VarianceResult) -> str:
    examples = count(result.n_examples, "example")
    return examples if result.n_clusters is None else f"{examples} in {count(result.n_clusters, 'cluster')}"


def _errors(result: VarianceResult) -> str:
    return "errors" if result.n_clusters is None else "clusters"


def _mean_interval(result: VarianceResult) -> str:
    return f"{percent(result.confidence_level)} CI {result.intervals.mean_low:.2%} to {result.intervals.mean_high:.2%}"


def _no_spread(result: VarianceResult) -> str:
    """Say what runs with the same outcomes on every example show: nothing about others."""
    if result.mean_acc in (0.0, 1.0):
        what = f"are all {'right' if result.mean_acc else 'wrong'} on all of {_examples(result)}"
        return (
            f"The {result.n_runs} runs {what}, which shows no spread and excludes none: the accuracy on the "
            f"distribution has a {_mean_interval(result)}, and runs may differ in the rest."
        )
    return (
        f"The {result.n_runs} runs agree on every one of {_examples(result)} (accuracy {result.mean_acc:.2%}), as "
        "copies of one run would: they say nothing about the spread between trainings."
    )


def _undefined(result: VarianceResult) -> str:
    """Say what one run, or one example, leaves open (the spread of independent errors is sqrt(err/(2n)), spec 4.3)."""
    about = points(math.sqrt((1 - result.mean_acc) / (2 * result.n_examples)))
    follows = (
        f"The standard deviation between runs is about {about} percentage points if errors are independent; "
        "fine-tunings were seen at 1 to 5 times that."
    )
    if result.mean_acc in (0.0, 1.0):
        follows = f"All are {'right' if result.mean_acc else 'wrong'}, from which nothing follows about other runs."
    return (
        f"{count(result.n_runs, 'run')} on {count(result.n_examples, 'example')} cannot tell how much of the "
        f"spread is real (accuracy {result.mean_acc:.2%}): it takes two runs and two examples. {follows}"
    )


def _of_samples(result: VarianceResult) -> str:
    spread = ""
    if not math.isnan(result.sd_ind):
        spread = f" Sampling alone makes a single answer per example vary by {points(result.sd_ind)} percentage points."
    return (
        f"{count(result.n_runs, 'sample')} of one model per example: accuracy {result.mean_acc:.2%} on "
        f"{_examples(result)} ({_mean_interval(result)}, for new {result.unit}s, of this model).{spread} Samples tell "
        "nothing about the spread between trainings."
    )
