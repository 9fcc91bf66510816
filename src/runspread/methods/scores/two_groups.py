"""`score_modes`: do the runs of an arm fall into two groups? (scores 2.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._results import Table
from ..._words import count, percent
from ...errors import InputError
from .basis import ScoreResult
from .compare import checked_level
from .defaults import LEVEL
from .modes import Shape, shape
from .one_arm import moments, share_interval

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoreModes(ScoreResult):
    """Whether the runs of one arm fall into two groups.

    Attributes
    ----------
    n : int
        Runs.
    values : ndarray of float64 [n]
        The runs.
    shape : Shape
        The statistics and the verdict.
    sizes, means, sds : tuple of float
        Of the lower and the upper group, at the widest gap or at the threshold; empty without either.
    share, share_lo, share_hi : float
        Share of runs in the upper group, with Clopper and Pearson's interval.
    threshold : float or None
        Where the runs were divided, if that was given.
    confidence_level : float
        Of the interval.
    """

    picture = ".plots:plot_score_modes"

    n: int
    values: Floats
    shape: Shape
    sizes: tuple[int, ...]
    means: tuple[float, ...]
    sds: tuple[float, ...]
    share: float
    share_lo: float
    share_hi: float
    threshold: float | None
    confidence_level: float

    def table(self) -> Table:
        """Return both groups."""
        names = ["lower", "upper"][: len(self.sizes)]
        return Table({"group": names, "n": self.sizes, "mean": self.means, "sd": self.sds})

    def sentence(self) -> str:
        """Return whether there are two groups; never that there is one."""
        level = percent(self.confidence_level)
        if self.threshold is not None:
            return (
                f"{self.sizes[1]} of {count(self.n, 'run')} lie above {self.threshold:g}: a run does so with "
                f"probability {self.share:.0%} ({level} interval {self.share_lo:.0%} to {self.share_hi:.0%})."
            )
        if self.n < 8:
            return f"{count(self.n, 'run')} are too few to see two groups. It takes 8 or more."
        if not self.shape.two_groups:
            return f"No two groups are shown among {count(self.n, 'run')}. This does not show that there is one."
        return (
            f"Mean and standard deviation mislead here: of {self.n} runs {self.sizes[1]} end near {self.means[1]:.2g} "
            f"and {self.sizes[0]} near {self.means[0]:.2g}. A run ends in the upper group with probability "
            f"{self.share:.0%} ({level} interval {self.share_lo:.0%} to {self.share_hi:.0%})."
        )


def score_modes(values: ArrayLike, *, threshold: float | None = None, confidence_level: float = LEVEL) -> ScoreModes:
    """Return whether runs fall into two groups, so that mean and standard deviation describe neither.

    Parameters
    ----------
    values : array_like of float [n]
        One number per run; eight or more, unless a threshold is given.
    threshold : float, optional
        Where to divide the runs, instead of the widest gap.
    confidence_level : float
        Confidence level of the interval of the share.

    Raises
    ------
    InputError
        Values that are not finite, or none.

    Examples
    --------
    >>> import runspread as rs
    >>> scores = [0.90, 0.91, 0.89, 0.90, 0.92, 0.91, 0.90, 0.89, 0.91, 0.40, 0.41, 0.39]
    >>> rs.methods.scores.score_modes(scores).shape.two_groups
    True
    """
    x = np.asarray(values, np.float64).ravel()
    if not len(x) or not np.isfinite(x).all():
        raise InputError("the values are empty or not finite", "one finite number per run")
    form, y = shape(x), np.sort(x)
    at = form.gap_at if threshold is None else int(np.searchsorted(y, threshold, side="right"))
    groups = (y[:at], y[at:]) if threshold is not None or form.two_groups else ()
    share, ends = math.nan, (math.nan, math.nan)
    if groups:
        share, ends = len(groups[1]) / len(x), share_interval(len(groups[1]), len(x), checked_level(confidence_level))
    facts = [moments(group) for group in groups]
    return ScoreModes(
        n=len(x),
        values=x,
        shape=form,
        sizes=tuple(one.n for one in facts),
        means=tuple(one.mean for one in facts),
        sds=tuple(one.sd for one in facts),
        share=share,
        share_lo=ends[0],
        share_hi=ends[1],
        threshold=threshold,
        confidence_level=confidence_level,
    )
