"""One candidate against one reference in full: distance against level, and what is trimmed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..._reading.margins import Floats
from ..._results import Result, Table
from ...errors import InputError
from .defaults import CAP, EPSILON, GRID, MODE, Mode, Threshold
from .levels import (
    Trimming,
    check_alphas,
    default_threshold,
    optimal_trimming,
    prepare,
    threshold_terms,
    trimmed_distance,
    trimming_level,
)
from .nodes import SLACK

POINTS = 101


@dataclass(frozen=True, eq=False, kw_only=True)
class TrimmingCurve(Result):
    """Trimmed distance of a candidate by level, and its trimming at the level that suffices.

    Attributes
    ----------
    level : float
        Alpha-hat; inf where no trimming helps.
    alphas, distances : ndarray [levels]
        Levels and the distances left after trimming by them.
    delta : (float, float)
        A distance is accepted up to ``delta[0] + delta[1] / (1 - alpha)``.
    reference, candidate : ndarray
        Sorted samples.
    trimmed_by : float
        Level of `trimming`: `level`, or 0.5 where that is inf.
    trimming : Trimming
        An optimal trimming of the candidate.
    mode, threshold, epsilon
        Settings.
    """

    picture = ".plots:plot_trimming_curve"

    level: float
    alphas: Floats
    distances: Floats
    delta: tuple[float, float]
    reference: Floats
    candidate: Floats
    trimmed_by: float
    trimming: Trimming
    mode: str
    threshold: str | float
    epsilon: float

    def accepted_up_to(self, alphas: Floats) -> Floats:
        """Return the threshold at each level."""
        return self.delta[0] + self.delta[1] / (1 - alphas)

    def table(self) -> Table:
        """Return distance and threshold at the levels of the published grid."""
        at = np.asarray(GRID)
        mode: Any = self.mode
        distances = trimmed_distance(self.reference, self.candidate, at, mode)
        limit = self.accepted_up_to(at)
        return Table({"level": at, "distance": distances, "threshold": limit, "accepted": distances <= limit + SLACK})

    def sentence(self) -> str:
        """Return the level with sizes and threshold."""
        n, m = self.candidate.size, self.reference.size
        test = f"threshold {self.accepted_up_to(np.zeros(1))[0]:.4f} ({self.threshold}, epsilon {self.epsilon:g})"
        if self.level == np.inf:
            answer = (
                "No trimming makes the candidate pass for the reference, which has mass where the candidate has none"
            )
        else:
            answer = f"After discarding {self.level:.1%} of its mass the candidate passes for the reference"
        return (
            f"{answer} (n = {n}, m = {m}, distance {self.distances[0]:.4f} before trimming, {test}). This compares "
            "the two distributions, not individual examples."
        )


def curve_alphas(level: float, points: int) -> Floats:
    """Return the levels of a curve: up to 0.5, or somewhat beyond the level that suffices."""
    return np.linspace(0, max(CAP, level + (1 - level) / 10) if np.isfinite(level) else CAP, points)


def trimming_curve(
    reference: ArrayLike,
    candidate: ArrayLike,
    *,
    alphas: ArrayLike | None = None,
    threshold: Threshold | float | None = None,
    epsilon: float = EPSILON,
    mode: Mode = MODE,
) -> TrimmingCurve:
    """Return the trimmed distance of one candidate by level, with its level and an optimal trimming: for plots.

    Parameters
    ----------
    reference : array_like [m]
        Sample of the reference.
    candidate : array_like [n]
        Sample of the candidate.
    alphas : array_like [levels], optional
        Levels of the curve, ascending, from 0; by default up to 0.5, and further where the candidate's level is.
    threshold, epsilon, mode
        As in `trimming_level`.

    Returns
    -------
    TrimmingCurve
        The curve; ``plot_trimming_curve`` and ``plot_trimmed_cdf`` draw it.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> reference, candidate = rng.normal(size=300), np.append(rng.normal(size=240), rng.normal(5, 0.3, size=60))
    >>> round(rs.methods.trimming.trimming_curve(reference, candidate).level, 2)
    0.09
    """
    given = None if alphas is None else check_alphas(alphas)
    start = 0.0 if given is None else given[0]
    if start != 0 or np.ndim(candidate) != 1:
        raise InputError(
            f"got levels from {start:g} and a candidate of {np.ndim(candidate)} axes", "from 0, and one axis"
        )
    pair = prepare(reference, candidate, mode)
    own = pair.candidates[0]
    level = float(trimming_level(pair.reference, own, threshold=threshold, epsilon=epsilon, mode=mode))
    levels = curve_alphas(level, POINTS) if given is None else given
    by = level if np.isfinite(level) else CAP
    return TrimmingCurve(
        level=level,
        alphas=levels,
        distances=trimmed_distance(pair.reference, own, levels, mode=mode),
        delta=threshold_terms(threshold, epsilon, own.size, pair.reference.size, mode),
        reference=pair.reference,
        candidate=own,
        trimmed_by=by,
        trimming=optimal_trimming(pair.reference, own, by, mode=mode),
        mode=mode,
        threshold=default_threshold(threshold, mode),
        epsilon=epsilon,
    )
