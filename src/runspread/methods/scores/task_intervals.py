"""Mean differences over tasks: their intervals, and whether they are within a margin (scores 3.3, 5.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._results import Part
from .forms import first_shown
from .one_arm import t_above, t_quantile
from .tasks import TaskPairs

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class TaskIntervals(Part):
    """Intervals of the mean difference of every pair, for both questions.

    Attributes
    ----------
    these_lo, these_hi : ndarray of float64 [pairs]
        On these tasks.
    like_lo, like_hi : ndarray of float64 [pairs]
        On tasks like these.
    """

    these_lo: Floats
    these_hi: Floats
    like_lo: Floats
    like_hi: Floats


@dataclass(frozen=True, eq=False, kw_only=True)
class TaskMargin(Part):
    """Whether two arms differ over tasks by less than a margin, for the question that was asked.

    Attributes
    ----------
    asked : str
        not worse or equivalent.
    margin : float
        In the unit of the scores.
    p_not_worse, p_equivalent : float
        One-sided p of being worse by the margin or more, and of differing by it or more.
    lo_tost, hi_tost : float
        The interval of the mean difference that belongs to a margin: at 1 - 2 (1 - level). Above 0 is better.
    """

    asked: str
    margin: float
    p_not_worse: float
    p_equivalent: float
    lo_tost: float
    hi_tost: float

    @property
    def beyond(self) -> bool:
        """Whether the opposite is shown: the whole interval is beyond the margin."""
        below = self.hi_tost < -self.margin
        return below or (self.asked == "equivalent" and self.lo_tost > self.margin)


def task_intervals(pairs: TaskPairs, tasks: int, level: float) -> TaskIntervals:
    """Return the intervals of the mean difference of every pair; NaN without a spread of runs, or of tasks."""
    t_these = np.array([t_quantile((1 + level) / 2, df) if df > 0 else math.nan for df in pairs.df_these])
    t_like = t_quantile((1 + level) / 2, tasks - 1)
    these = t_these * np.where(pairs.se_these > 0, pairs.se_these, np.nan)
    like = t_like * np.where(pairs.se_like > 0, pairs.se_like, np.nan)
    return TaskIntervals(
        these_lo=pairs.diff - these, these_hi=pairs.diff + these, like_lo=pairs.diff - like, like_hi=pairs.diff + like
    )


def task_margin(pairs: TaskPairs, asked: str, margin: float, level: float, tasks: int, *, like: bool) -> TaskMargin:
    """Return the tests of a margin on the first pair; on tasks like these both forms have to agree."""
    diff = float(pairs.diff[0])
    forms = [(float(pairs.se_these[0]), float(pairs.df_these[0]))]
    forms += [(float(pairs.se_like[0]), tasks - 1.0)] * like
    known = all(se > 0 and df > 0 for se, df in forms)
    worse = max(t_above((diff + margin) / se, df) for se, df in forms) if known else math.nan
    better = max(t_above((margin - diff) / se, df) for se, df in forms) if known else math.nan
    half = max(t_quantile(level, df) * se for se, df in forms) if known else math.nan
    return TaskMargin(
        asked=asked,
        margin=margin,
        p_not_worse=worse,
        p_equivalent=max(worse, better) if known else math.nan,
        lo_tost=diff - half,
        hi_tost=diff + half,
    )


def verdict_with(found: TaskMargin, diff: float, p: float, alpha: float) -> str:
    """Return the verdict on the new arm, of those that go with what was asked."""
    p_margin = found.p_equivalent if found.asked == "equivalent" else found.p_not_worse
    return first_shown(found.asked, diff, p, p_margin, alpha)
