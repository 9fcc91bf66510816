"""The sentence of a comparison: the answer first, then the number with its interval, then what it does not show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..._words import count, p_text, percent
from .answers import BETTER, EQUIVALENT, NOT_WORSE, UNDECIDED, WORSE
from .pairing import PAIRING_LEVEL
from .run_distribution import share_text

if TYPE_CHECKING:
    from .comparison import Comparison

_PLACES = {"distribution": "on the distribution", "test-set": "on this test set", "models": "on the distribution"}


def sentence(result: Comparison) -> str:
    """Return the answer in one sentence, about the new configuration."""
    old, new = result.names
    return (
        f"{_lead(result)}: {new} minus {old} is {_points(result, result.diff)} percentage points "
        f"({_interval(result)}{_numbers(result)}).{_limits(result)}"
    )


def _lead(result: Comparison) -> str:
    """Return the answer without numbers; where nothing can be said of the configurations, that first."""
    answer = _answer(result)
    if result.answered != "models" or result.on == "models":
        return answer
    return f"Undecided for the configurations, which {_single(result)} cannot tell; {answer[0].lower()}{answer[1:]}"


def _answer(result: Comparison) -> str:
    old, new = result.names
    verdict = result.verdict(result.answered)
    if verdict == UNDECIDED:
        return _undecided(result)
    shown = result.asked_for.shown(result.answers[result.answered])
    margin, where = _margin(result), _PLACES[result.answered]
    whom = f"for {_models(result)} " if result.answered == "models" else ""
    if verdict == EQUIVALENT:
        return f"Yes, {whom}{new} and {old} are equivalent within {margin} {where}{_certain(result)}"
    if verdict == NOT_WORSE:
        return f"Yes, {whom}{new} is not worse than {old} by more than {margin} {where}{_certain(result)}"
    if shown or result.asked == BETTER:
        return f"{'Yes' if shown else 'No'}, {whom}{new} is {verdict} than {old} {where}"
    if shown is None:
        return f"Undecided whether by more than {margin}, but {whom}{new} is {verdict} than {old} {where}"
    return f"No, {whom}{new} is {verdict} than {old} by more than {margin} {where}"


def _undecided(result: Comparison) -> str:
    old, new = result.names
    whom = f"for {_models(result)} " if result.answered == "models" else ""
    if _split(result):
        return (
            f"Undecided on the distribution, though {new} is {result.verdict('test-set')} than {old} on this test set"
        )
    what = {
        BETTER: f"{new} is better than {old}",
        NOT_WORSE: f"{new} is not worse than {old} by more than {_margin(result)}",
        EQUIVALENT: f"{new} and {old} are equivalent within {_margin(result)}",
    }[result.asked]
    return f"Undecided whether {whom}{what} {_PLACES[result.answered]}"


def _certain(result: Comparison) -> str:
    """Say that a difference within the margin is shown all the same."""
    answer = result.answers[result.answered]
    if not (answer.p <= 1 - result.confidence_level and answer.diff):
        return ""
    better = result.asked == EQUIVALENT and answer.diff > 0
    who = f" {result.names[1]} is" if result.asked == EQUIVALENT else ""
    return f", though{who} shown to be {BETTER if better else WORSE} ({p_text(answer.p)})"


def _models(result: Comparison) -> str:
    models = result.n_runs_a + result.n_runs_b
    return "these two models" if models == 2 or result.samples_are == "samples" else f"these {models} models"


def _margin(result: Comparison) -> str:
    return f"{100 * result.margin:g} point{'' if math.isclose(result.margin, 0.01) else 's'}"


def _points(result: Comparison, value: float) -> str:
    return f"{100 * value:+.{result.decimals}f}"


def _interval(result: Comparison) -> str:
    level = result.asked_for.level
    low, high = result.answers[result.answered].interval(level)
    if math.isnan(low):
        return ""
    here = "on the distribution " if _split(result) else ""
    return f"{percent(level)} CI {here}{_points(result, low)} to {_points(result, high)}; "


def _split(result: Comparison) -> bool:
    """Return whether it is better or worse on this test set, and undecided on the distribution."""
    on = "distribution"
    return result.answered == on and result.verdict(on) == UNDECIDED and result.verdict("test-set") in (BETTER, WORSE)


def _numbers(result: Comparison) -> str:
    a, b = result.n_runs_a, result.n_runs_b
    noun = result.samples_are.removesuffix("s")
    runs = f"{count(a, noun)} each" if a == b else f"{a} and {count(b, noun, f'{noun}s')}"
    pairs = (
        "" if result.paired.n_pairs is None else f" compared {'in pairs' if result.form == 'paired' else 'unpaired'}"
    )
    clusters = "" if result.n_clusters is None else f" in {count(result.n_clusters, 'cluster')}"
    return f"{runs}{pairs}, {count(result.n_examples, 'example')}{clusters}"


def pairing_note(result: Comparison) -> tuple[str, ...]:
    """Say why runs were compared in pairs or not, where pairs were asked for."""
    if result.paired.n_pairs is None:
        return ()
    pairs = f"{count(result.paired.n_pairs, 'pair')} of runs with the same seeds"
    if math.isnan(result.paired.p_seed_correlation):
        return (f"Runs were compared unpaired: {pairs} cannot show a correlation of their accuracies.",)
    side = "at most" if result.form == "paired" else "not at most"
    correlation, p = result.paired.seed_correlation, result.paired.p_seed_correlation
    shown = f"{correlation:.2f} (one-sided p {p:.2g}, {side} {PAIRING_LEVEL:g})"
    if result.form == "paired":
        return (f"Runs were compared in pairs: over {pairs} their accuracies have correlation {shown}.",)
    none = "no positive correlation of their accuracies is shown"
    return (f"Runs were compared unpaired: over {pairs} {none}, {shown}.",)


def _limits(result: Comparison) -> str:
    """Say what the answer does not show, and what it would take where it is open."""
    if result.on == "models":
        return " Other runs of the same configurations may differ."
    if result.answered == "models":
        return ""
    if result.answered != result.on:
        return " One example says nothing of others."
    return _what_it_takes(result) if result.verdict() == UNDECIDED else _scope(result)


def _single(result: Comparison) -> str:
    """Say why there is no answer on the configurations."""
    if result.samples_are == "samples":
        return "samples of one model each"
    a, b = result.n_runs_a, result.n_runs_b
    if min(a, b) > 1:
        return "runs among copies of each other"
    return "one run of each" if a == b else f"one run of {result.names[0 if a == 1 else 1]}"


def _scope(result: Comparison) -> str:
    if result.shown and result.asked != BETTER:
        equal = "Equality is not shown; f" if result.verdict() == NOT_WORSE and not _certain(result) else "F"
        return f" {equal}ailure rates up to {share_text(result.unseen_share)} may go unseen."
    if result.on == "test-set":
        return " Other examples may differ."
    return " This compares configurations, not two chosen runs."


def _what_it_takes(result: Comparison) -> str:
    """Say how many runs the margin takes that was asked for; never how many the gap that was seen would."""
    if result.asked == BETTER:
        return " Equality is not shown either: that takes a margin (equivalent)."
    if result.runs_needed is None:
        return f" With {count(result.n_examples, 'example')} no number of runs is likely to show it."
    if result.runs_needed <= min(result.n_runs_a, result.n_runs_b):
        return ""
    return f" If equally good, {count(result.runs_needed, 'run')} each show it in 80% of cases."
