"""Two arms: the t forms that a difference of means takes, alone or together, and the verdict (scores 3.1, 3.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._results import Part
from ...errors import InputError
from .one_arm import mean_of, standard_deviation, t_above, t_quantile

Floats = NDArray[np.float64]
FEW = 3  # runs of an arm up to which Welch's form alone rejects too often against another number of runs


class Form(NamedTuple):
    """One t form of a difference: its standard error, and its degrees of freedom (infinite if normal)."""

    se: float
    df: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Forms(Part):
    """Welch's and Student's forms of the difference, both; NaN where an arm leaves one undefined.

    Attributes
    ----------
    t_welch, p_welch, df_welch, se_welch : float
        Each arm with a spread of its own.
    t_student, p_student, se_student, sd_pooled : float
        One spread for both.
    guarded : bool
        Whether both had to agree: few and unequal numbers of runs, or one run alone.
    """

    t_welch: float
    p_welch: float
    df_welch: float
    se_welch: float
    t_student: float
    p_student: float
    se_student: float
    sd_pooled: float
    guarded: bool


class Arm(NamedTuple):
    """What the t forms take of an arm; the standard error of its mean is at least `floor` (examples)."""

    n: int
    mean: float
    sd: float
    floor: float = 0.0

    @classmethod
    def of(cls, x: Floats, floor: float = 0.0) -> Arm:
        """Return the arm of these runs [n]."""
        if not np.isfinite(x).all():  # diverged runs as the worst: only their order is known
            return cls(len(x), math.nan, math.nan, floor)
        return cls(len(x), mean_of(x), standard_deviation(x), floor)

    @property
    def se(self) -> float:
        """Standard error of the mean; for one run, which has no spread of its own, the floor alone."""
        return max(self.sd / math.sqrt(self.n), self.floor) if self.n > 1 else self.floor

    def pooled_se(self, sd: float) -> float:
        """Return the standard error of the mean under a spread that is shared."""
        return max(sd / math.sqrt(self.n), self.floor)


def constant(*arms: Arm) -> bool:
    """Whether no arm has any spread, nor examples whose noise is known, so that no form applies."""
    return not any(arm.sd > 0 or arm.floor > 0 for arm in arms)


def student_form(a: Arm, b: Arm) -> Form:
    """Return Student's form: one spread for both."""
    df = a.n + b.n - 2
    if df < 1 or constant(a, b):
        return Form(math.nan, math.nan)
    sd = pooled_sd(a, b)
    if not a.floor + b.floor:
        return Form(sd * math.sqrt(1 / a.n + 1 / b.n), df)
    sd = 0.0 if math.isnan(sd) else sd  # equal accuracies: the noise of the examples is all that is known
    return Form(math.hypot(a.pooled_se(sd), b.pooled_se(sd)), df)


def pooled_sd(*arms: Arm) -> float:
    """Return the standard deviation of runs, pooled over arms; NaN where no arm has two runs or any spread."""
    several = [arm for arm in arms if arm.n > 1]
    if not any(arm.sd > 0 for arm in several):
        return math.nan
    largest = max(arm.sd for arm in several)
    squares = sum((arm.n - 1) * (arm.sd / largest) ** 2 for arm in several)
    return largest * math.sqrt(squares / sum(arm.n - 1 for arm in several))


def welch_form(a: Arm, b: Arm) -> Form:
    """Return Welch's form: each arm with its own spread; NaN where an arm has one run."""
    if min(a.n, b.n) < 2 or constant(a, b):
        return Form(math.nan, math.nan)
    se = math.hypot(a.se, b.se)
    share_a, share_b = (a.se / se) ** 2, (b.se / se) ** 2
    return Form(se, 1 / (share_a**2 / (a.n - 1) + share_b**2 / (b.n - 1)))


def is_guarded(a: Arm, b: Arm) -> bool:
    """Whether Student's form has to agree with Welch's.

    It does for three runs or fewer against another number of them, for one run alone, and for an arm without spread
    against another number of runs, whose zero Welch's form would take for known.
    """
    if constant(a, b) or a.n + b.n < 3:
        return False
    if min(a.n, b.n) < 2:
        return True
    return a.n != b.n and (min(a.n, b.n) <= FEW or min(a.sd, b.sd) == 0)


class Difference(NamedTuple):
    """A difference of means with the forms that all have to agree; none where there is no spread to judge by."""

    value: float
    forms: tuple[Form, ...]
    name: str

    @property
    def df(self) -> float:
        """Degrees of freedom: of the first form."""
        return self.forms[0].df if self.forms else math.nan

    def p(self) -> float:
        """Return the two-sided p of no difference: the largest of the forms'."""
        return self._largest(lambda form: 2 * t_above(abs(self.value) / form.se, form.df))

    def p_above(self, bound: float) -> float:
        """Return the one-sided p of a true difference at or below `bound`, the largest of the forms'."""
        return self._largest(lambda form: t_above((self.value - bound) / form.se, form.df))

    def p_below(self, bound: float) -> float:
        """Return the one-sided p of a true difference at or above `bound`."""
        return self._largest(lambda form: t_above((bound - self.value) / form.se, form.df))

    def half(self, level: float) -> float:
        """Return the half-width of the interval at `level`: the wider of the forms'."""
        return self._largest(lambda form: t_quantile((1 + level) / 2, form.df) * form.se)

    def interval(self, level: float) -> tuple[float, float]:
        """Return the interval at `level`."""
        half = self.half(level)
        return self.value - half, self.value + half

    def _largest(self, number: Callable[[Form], float]) -> float:
        return max((number(form) for form in self.forms), default=math.nan)


def difference(a: Arm, b: Arm, *, spread: str = "each", known: Form | None = None) -> Difference:
    """Return the mean of b less that of a, with the forms that its verdict takes.

    Parameters
    ----------
    a, b : Arm
        Old and new.
    spread : {"each", "shared"}
        Welch's form, guarded by Student's where runs are few; or one spread for both.
    known : Form, optional
        A form that replaces both, as a prior knows the spread.
    """
    value = b.mean - a.mean
    if known is not None:
        return Difference(value, (known,), "prior")
    student, welch = student_form(a, b), welch_form(a, b)
    if math.isnan(student.se):
        return Difference(value, (), "none")
    if spread == "shared":
        return Difference(value, (student,), "student")
    if not is_guarded(a, b):
        return Difference(value, (welch,), "welch")
    if math.isnan(welch.se):
        return Difference(value, (student,), "guarded")
    return Difference(value, (welch, student), "guarded")


def both_forms(a: Arm, b: Arm) -> Forms:
    """Return Welch's and Student's numbers, for the table."""
    value = b.mean - a.mean
    student, welch = student_form(a, b), welch_form(a, b)

    def t_and_p(form: Form) -> tuple[float, float]:
        if math.isnan(form.se):
            return math.nan, math.nan
        t = value / form.se
        return t, 2 * t_above(abs(t), form.df)

    t_welch, p_welch = t_and_p(welch)
    t_student, p_student = t_and_p(student)
    return Forms(
        t_welch=t_welch,
        p_welch=p_welch,
        df_welch=welch.df,
        se_welch=welch.se,
        t_student=t_student,
        p_student=p_student,
        se_student=student.se,
        sd_pooled=pooled_sd(a, b),
        guarded=is_guarded(a, b),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged(Part):
    """The verdict on the new arm, and the tests against a margin.

    Attributes
    ----------
    margin : float or None
        In the unit of the metric.
    p_not_worse, p_equivalent : float
        One-sided p of being worse by the margin or more, and of differing by it or more (two one-sided tests).
    lo_tost, hi_tost : float
        The interval that belongs to a margin: at 1 - 2 (1 - level).
    verdict : str
        better, worse, not worse, equivalent or undecided.
    asked : str
        better, not worse or equivalent.
    shown : bool
        Whether the verdict asked for holds.
    gap : float or None
        True difference for which runs are planned.
    """

    margin: float | None
    p_not_worse: float
    p_equivalent: float
    lo_tost: float
    hi_tost: float
    verdict: str
    asked: str = "better"
    shown: bool = False
    gap: float | None = None


def judged(one: Difference, margin: float | None, level: float, asked: str, *, lower: bool) -> Judged:
    """Return the verdict on a difference, new minus old.

    Parameters
    ----------
    one : Difference
        With the forms that have to agree.
    margin : float or None
        In the unit of the metric.
    level : float
        Every test is one at ``1 - level``.
    asked : {"", "better", "not worse", "equivalent"}
        What was asked.
    lower : bool
        Whether lower is better.
    """
    alpha, good = 1 - level, -one.value if lower else one.value
    not_worse = equivalent = math.nan
    if margin is not None:
        above, below = one.p_above(-margin), one.p_below(margin)
        not_worse, equivalent = below if lower else above, max(above, below)
    low, high = one.interval(1 - 2 * alpha)
    verdict = first_shown(asked, good, one.p(), equivalent if asked == "equivalent" else not_worse, alpha)
    return Judged(
        margin=margin,
        p_not_worse=not_worse,
        p_equivalent=equivalent,
        lo_tost=low,
        hi_tost=high,
        verdict=verdict,
        asked=asked or "better",
        shown=holds(verdict, asked or "better"),
    )


def asked_of(options: Mapping[str, Any]) -> tuple[str, float | None]:
    """Return what is asked, and its margin, by the keywords `not_worse` and `equivalent`."""
    given = {name: options[name] for name in ("not_worse", "equivalent") if options[name] is not None}
    if len(given) > 1:
        raise InputError("both not_worse= and equivalent= are given", "one question")
    for name, value in given.items():
        margin = margin_of(name, value)
        if not 0 < margin < math.inf:
            hint = "Not worse than 0 is better or equal, which no data show: name the loss that would not matter."
            raise InputError(f"{name}={margin:g} asks for no margin", "one above 0 in the unit of the metric", hint)
        return name.replace("_", " "), margin
    return "better", None


def margin_of(name: str, given: Any) -> float:
    """Return one margin as a number."""
    expected = "one number in the unit of the metric"
    if isinstance(given, (str, bytes)):
        raise InputError(f"{name}={given!r} is text", expected)
    try:
        return float(given)
    except (TypeError, ValueError, OverflowError):
        hint = "Margins by metric are for several metrics: see compare_metrics." if isinstance(given, Mapping) else ""
        raise InputError(f"{name}={given!r} is no number", expected, hint) from None


def first_shown(asked: str, good: float, p: float, p_margin: float, alpha: float) -> str:
    """Return the first verdict that its test shows at level alpha, of those that go with what was asked.

    Parameters
    ----------
    asked : {"", "better", "not worse", "equivalent"}
        What was asked.
    good : float
        By how much new is better; its sign counts.
    p, p_margin : float
        Of no difference, two-sided, and of the margin that was asked for.
    alpha : float
        Level of each test.
    """
    shown = p <= alpha
    candidates = {"better": shown and good > 0, "worse": shown and good < 0}
    if asked == "not worse":
        candidates = {"better": candidates["better"], "not worse": p_margin <= alpha, "worse": candidates["worse"]}
    elif asked == "equivalent":
        candidates = {"equivalent": p_margin <= alpha, **candidates}
    return next((name for name, found in candidates.items() if found), "undecided")


def holds(verdict: str, asked: str) -> bool:
    """Whether a verdict is the one asked for, or says more."""
    return verdict == asked or (asked == "not worse" and verdict == "better")
