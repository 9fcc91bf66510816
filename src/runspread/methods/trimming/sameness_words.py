"""The verdict of `same` in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .sameness import SameModel


def sentence(result: SameModel) -> str:
    """Return the verdict, what it rests on and what it cannot see."""
    return f"{_verdict(result)} ({'; '.join(_evidence(result))}). {_blind_spots(result)}"


def _verdict(result: SameModel) -> str:
    runs = f"{result.new.n} new and {counted(result.old.n, 'old run')}"
    if result.same and result.level == 0:
        return f"No difference is shown between {runs}, beyond the fraction {result.alpha:g} that may differ"
    much = "no trimming makes the rest alike"
    if np.isfinite(result.level):
        much = f"{result.level:.3f} must be discarded, {result.alpha:g} may"
    if result.same:
        of = f"{result.level:.3f} of {result.alpha:g}"
        return f"The outputs of {runs} differ, but more than the allowed fraction is not shown: {of}"
    if result.same_distribution:
        return f"The answers of {runs} differ example by example: {_answers(result)}"
    if result.same_examples is False:
        return f"The outputs of {runs} differ, also example by example: {much}"
    return f"The outputs of {runs} differ: {much}"


def _answers(result: SameModel) -> str:
    old, between, new = (f"{share:.1%}" for share in result.tests.disagreement)
    return f"new and old disagree on {between} of {result.new.examples} examples, old on {old}, new on {new}"


def _evidence(result: SameModel) -> list[str]:
    by_answers = result.same_distribution and not result.same
    found = [] if by_answers else [counted(result.new.examples, "example")]
    if not np.isnan(result.old.accuracy):
        found.append(f"accuracy {result.old.accuracy:.2%} before, {result.new.accuracy:.2%} now")
    if not result.tests.arrangements:
        threshold = result.delta[0] + result.delta[1]
        return [f"distance {result.distance:.4f}, threshold {threshold:.4f} by {result.settings.threshold}", *found]
    p_values = f"p = {result.tests.p_examples if by_answers else result.tests.p_value:.2g}"
    if result.same_examples is not None and not by_answers:
        p_values += f" for the distribution, {result.tests.p_examples:.2g} by example"
    return [f"{p_values}, against {result.tests.epsilon_each:g}", *found]


def _blind_spots(result: SameModel) -> str:
    if not result.tests.arrangements:
        return "It holds for these runs; other seeds are not considered."
    if result.same_examples is not None:
        unseen = "Changes too small for these runs go unseen." if result.level == 0 else "Smaller ones go unseen."
        return unseen if result.same else "This does not say which is better."
    why = "one run on a side" if min(result.old.n, result.new.n) == 1 else "no labels or example ids"
    unseen = "" if result.same and result.level > 0 else ": changes that keep the distribution go unseen"
    return f"Not compared by example ({why}){unseen}."


def counted(number: int, thing: str) -> str:
    """Return "1 run" or "2 runs"."""
    return f"{number} {thing}{'s' * (number != 1)}"
