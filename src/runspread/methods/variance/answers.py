"""What data say of a difference, new minus old: tests that are all to agree, at any level and for any margin.

A question about two configurations has one or more forms: a t test, the exact test of two models. Its p-value is the
largest of theirs and its interval holds all of theirs, so that a verdict, an interval and a margin never disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from ..._checks import check_numbers
from ...errors import InputError

BETTER, WORSE, NOT_WORSE, EQUIVALENT, UNDECIDED = "better", "worse", "not worse", "equivalent", "undecided"


class TForm(NamedTuple):
    """A t test of a difference: its standard error and degrees of freedom.

    `below` and `above` (0 or more) move the lower and the upper limit outwards, where the estimate's distribution is
    skewed.
    """

    error: float
    degrees: float
    below: float = 0.0
    above: float = 0.0

    def p_above(self, diff: float, value: float) -> float:
        """Return the one-sided p-value against a true difference of `value` or less."""
        from scipy.special import stdtr

        return float(stdtr(self.degrees, (value - diff + self.below) / self.error))

    def ends(self, diff: float, tail: float) -> tuple[float, float]:
        """Return the limits that the difference lies beyond with probability `tail` each."""
        from scipy.special import stdtrit

        half = -float(stdtrit(self.degrees, tail)) * self.error
        return diff - half - self.below, diff + half + self.above

    def mirrored(self) -> TForm:
        """Return the form of the difference old minus new."""
        return TForm(self.error, self.degrees, self.above, self.below)


class Discordant(NamedTuple):
    """The exact test of two models: examples that only the new one, and only the old one, gets right (McNemar).

    Given how many examples distinguish the two models, the number that speaks for the new one is binomial; limits are
    those of Clopper and Pearson.
    """

    new: int
    old: int
    n_examples: int

    @property
    def total(self) -> int:
        """Examples that distinguish the two models."""
        return self.new + self.old

    def p_above(self, _: float, value: float) -> float:
        """Return the one-sided p-value against a true difference of `value` or less; 0 where nothing differs.

        There the t form alone knows how much may hide among examples that were not seen.
        """
        from scipy.special import bdtrc

        if not self.total:
            return 0.0
        share = (1 + value * self.n_examples / self.total) / 2
        if not 0 < share < 1:
            return float(share >= 1)
        return 1.0 if self.new == 0 else float(bdtrc(self.new - 1, self.total, share))

    def ends(self, diff: float, tail: float) -> tuple[float, float]:
        """Return the limits that the difference lies beyond with probability `tail` each."""
        from scipy.special import betaincinv

        if not self.total:
            return diff, diff
        low = float(betaincinv(self.new, self.old + 1, tail)) if self.new else 0.0
        high = float(betaincinv(self.new + 1, self.old, 1 - tail)) if self.old else 1.0
        scale = self.total / self.n_examples
        return (2 * low - 1) * scale, (2 * high - 1) * scale

    def mirrored(self) -> Discordant:
        """Return the form of the difference old minus new."""
        return Discordant(self.old, self.new, self.n_examples)


@dataclass(frozen=True)
class Answer:
    """A difference of accuracies, new minus old, and how sure it is.

    Attributes
    ----------
    diff : float
        Estimate.
    forms : tuple
        Tests that all have to agree; none where nothing can be said.
    """

    diff: float
    forms: tuple[TForm | Discordant, ...]

    def p_above(self, value: float) -> float:
        """Return the one-sided p-value against a true difference of `value` or less; NaN where nothing can be said."""
        return max((form.p_above(self.diff, value) for form in self.forms), default=math.nan)

    def p_below(self, value: float) -> float:
        """Return the one-sided p-value against a true difference of `value` or more; NaN where nothing can be said."""
        return Answer(-self.diff, tuple(form.mirrored() for form in self.forms)).p_above(-value)

    @property
    def p(self) -> float:
        """Two-sided p-value that there is no difference; NaN where nothing can be said."""
        return math.nan if not self.forms else min(1.0, 2 * min(self.p_above(0.0), self.p_below(0.0)))

    def interval(self, level: float) -> tuple[float, float]:
        """Return the interval of the true difference: it holds those of all forms, and no impossible value."""
        if not self.forms:
            return math.nan, math.nan
        ends = [form.ends(self.diff, (1 - level) / 2) for form in self.forms]
        return max(-1.0, min(low for low, _ in ends)), min(1.0, max(high for _, high in ends))

    @property
    def error(self) -> float:
        """Standard error of the first t form; NaN where nothing can be said."""
        return next((form.error for form in self.forms if isinstance(form, TForm)), math.nan)

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the first t form; NaN where nothing can be said."""
        return next((form.degrees for form in self.forms if isinstance(form, TForm)), math.nan)


class Asked(NamedTuple):
    """Which verdict is asked for: "better", "not worse" or "equivalent", the last two by a margin; and the level."""

    what: str
    margin: float
    alpha: float

    @classmethod
    def of(cls, level: float, not_worse: float | None, equivalent: float | None) -> Asked:
        """Return what is asked for after checks."""
        if not 0.5 < level < 1:
            raise InputError(f"got confidence_level={level}", "a number between 0.5 and 1, such as 0.95")
        given = {NOT_WORSE: not_worse, EQUIVALENT: equivalent}
        given = {what: margin for what, margin in given.items() if margin is not None}
        if len(given) > 1:
            raise InputError("got both not_worse and equivalent", "one of them", "Equivalent within a margin is both.")
        for what, margin in given.items():
            check_numbers(margin, what)
            if not 0 < margin < 1:
                raise InputError(
                    f"got {what.replace(' ', '_')}={margin:g}",
                    "a margin above 0 and below 1, as a fraction",
                    "0.005 is half a percentage point; that nothing at all is lost cannot be shown by any data.",
                )
            return cls(what, float(margin), 1 - level)
        return cls(BETTER, math.nan, 1 - level)

    @property
    def level(self) -> float:
        """Level of the interval that belongs to the test: for a margin each end is tested by itself."""
        return 1 - self.alpha if self.what == BETTER else 1 - 2 * self.alpha

    def p(self, answer: Answer) -> float:
        """Return the p-value of the verdict asked for: two-sided for better, else one-sided at the margin."""
        if self.what == BETTER:
            return answer.p
        not_worse = answer.p_above(-self.margin)
        return not_worse if self.what == NOT_WORSE else max(not_worse, answer.p_below(self.margin))

    def verdict(self, answer: Answer) -> str:
        """Return the first verdict that holds (`scores.md` 3.3): every one is a test at the level."""
        sign = BETTER if answer.diff > 0 else WORSE
        plain = sign if answer.p <= self.alpha and answer.diff else UNDECIDED
        shown = self.what != BETTER and self.p(answer) <= self.alpha
        if shown and not (self.what == NOT_WORSE and plain == BETTER):
            return self.what
        return plain

    def shown(self, answer: Answer) -> bool | None:
        """Return whether the verdict asked for is shown, False where its opposite is, None where neither is."""
        verdict = self.verdict(answer)
        if verdict == self.what or (self.what == NOT_WORSE and verdict == BETTER):
            return True
        if self.what == BETTER or verdict == UNDECIDED:
            return False if verdict == WORSE else None
        beyond = answer.p_below(-self.margin) <= self.alpha
        if self.what == EQUIVALENT:
            beyond = beyond or answer.p_above(self.margin) <= self.alpha
        return False if beyond else None
