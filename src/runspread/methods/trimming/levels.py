"""Trimmed distance and trimming level of samples against a reference sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..._checks import check_choice
from ...errors import InputError
from .._ties import merge
from .defaults import CAP, EPSILON, GRID, MODE, MODES, THRESHOLDS, Mode, Threshold
from .nodes import SLACK, Floats, Nodes, candidate_nodes, distance, reference_nodes, row_chunks, smallest_level


class Trimming(NamedTuple):
    """An optimal trimming of a candidate: see `optimal_trimming`.

    Attributes
    ----------
    values : ndarray [values]
        Distinct values of the candidate, ascending.
    weights : ndarray [values]
        Mass of each value after trimming; sums to 1.
    trimmed : ndarray [values]
        Fraction of each value's mass that was discarded, in [0, 1].
    distance : float
        Kolmogorov distance between the trimmed candidate and the reference.
    """

    values: Floats
    weights: Floats
    trimmed: Floats
    distance: float


@dataclass(frozen=True)
class Pair:
    """A sorted reference sample and sorted candidate samples, with how to read the reference's distribution."""

    reference: Floats
    candidates: Floats  # [candidates, n]
    mode: Mode

    def nodes(self) -> Iterator[Nodes]:
        """Yield the nodes of consecutive candidates, few enough for their work arrays to stay in cache."""
        by_reference = self.mode == "step" and self.reference.size < self.candidates.shape[1]
        build = self._reference_nodes if by_reference else self._candidate_nodes
        for rows in row_chunks(len(self.candidates), min(self.reference.size, self.candidates.shape[1])):
            yield build(self.candidates[rows])

    def _candidate_nodes(self, candidates: Floats) -> Nodes:
        return candidate_nodes(*self.reference_masses(candidates), shares(candidates.shape[1])[None])

    def reference_masses(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the reference's mass below, and at or below, each of the values."""
        if self.mode == "step":
            return masses(self.reference, values)
        mass = interpolated_mass(self.reference, shares(self.reference.size)[1:], values)
        return mass, mass

    def _reference_nodes(self, candidates: Floats) -> Nodes:
        left, right = (np.empty((len(candidates), self.reference.size)) for _ in range(2))
        for row, candidate in enumerate(candidates):
            left[row], right[row] = masses(candidate, self.reference)
        return reference_nodes(left, right, shares(self.reference.size)[None])


def shares(size: int) -> Floats:
    """Return 0, 1/size, 2/size, ... 1; as quotients of counts, so that equal counts are equal numbers."""
    return np.arange(size + 1) / size


def masses(sample: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Return the share of a sorted sample below, and at or below, each of the values; one array without ties."""
    left, right = (np.searchsorted(sample, values, side=side) for side in ("left", "right"))
    below = left / sample.size
    return below, below if np.array_equal(left, right) else right / sample.size


def interpolated_mass(knots: Floats, cumulative: Floats, values: Floats) -> Floats:
    """Return the linearly interpolated distribution function: 0 below the first knot, at ties that of the last."""
    last = np.append(knots[1:] != knots[:-1], True)
    return np.interp(values, knots[last], cumulative[last], left=0.0, right=1.0)


def check_samples(sample: ArrayLike, name: str, axes: tuple[int, ...], mode: str) -> Floats:
    """Return samples as float64, not empty, without NaN, and finite in published mode."""
    array = np.asarray(sample)
    if array.ndim not in axes or array.size == 0:
        raise InputError(f"{name} has shape {array.shape}", f"{' or '.join(map(str, axes))} axes, not empty")
    if array.dtype.kind not in "iubf":
        raise InputError(f"{name} has dtype {array.dtype}", "numbers")
    array = array.astype(np.float64)
    if np.isnan(array).any():
        raise InputError(f"{name} holds {int(np.isnan(array).sum())} NaN", "numbers")
    if mode == "published" and not np.isfinite(array).all():
        raise InputError(f"{name} holds infinite values", "finite numbers in mode 'published'", "Use mode='step'.")
    return array


def check_epsilon(epsilon: float) -> float:
    """Return a significance in (0, 1)."""
    if not 0 < epsilon < 1:
        raise InputError(f"got epsilon {epsilon}", "a number between 0 and 1")
    return float(epsilon)


def check_mode(mode: str) -> Mode:
    """Return how a reference's distribution is read, if it is known."""
    return "published" if check_choice(mode, "mode", MODES) == "published" else "step"


def check_alphas(alphas: ArrayLike) -> Floats:
    """Return trimming levels as float64 [levels], ascending and in [0, 1)."""
    array = np.atleast_1d(np.asarray(alphas, dtype=np.float64))
    if array.ndim != 1 or not array.size or not ((array >= 0) & (array < 1)).all() or (np.diff(array) < 0).any():
        raise InputError(f"got alphas {np.asarray(alphas)}", "ascending numbers from 0 up to, not including, 1")
    return array


def check_alpha(alpha: ArrayLike) -> float:
    """Return one trimming level in [0, 1)."""
    if np.ndim(alpha):
        raise InputError(f"got alpha {np.asarray(alpha)}", "one number from 0 up to, not including, 1")
    value = float(np.asarray(alpha, dtype=np.float64))
    if not 0 <= value < 1:
        raise InputError(f"got alpha {value:g}", "a number from 0 up to, not including, 1")
    return value


def prepare(reference: ArrayLike, candidate: ArrayLike, mode: Mode) -> Pair:
    """Check the samples, make those values equal that are so but for rounding, and sort them."""
    mode = check_mode(mode)
    fixed = check_samples(reference, "reference", (1,), mode)
    candidates = check_samples(candidate, "candidate", (1, 2), mode)
    fixed, candidates = merge(fixed, np.atleast_2d(candidates))
    return Pair(np.sort(fixed), np.sort(candidates, axis=-1), mode)


def threshold_terms(
    threshold: Threshold | float | None, epsilon: float, n: int, m: int, mode: Mode, tests: int = 1
) -> tuple[float, float]:
    """Return (delta_0, delta_1): a distance is accepted up to ``delta_0 + c delta_1``.

    Parameters
    ----------
    threshold : {"dkw", "published", "rigorous"} or float or None
        Which bound, a number to use as it is, or None for the mode's own (``dkw`` for step).
    epsilon : float
        Significance, in (0, 1).
    n, m : int
        Sizes of the candidate and of the reference sample.
    tests : int
        Number of tests, a class each, that share the significance.
    """
    epsilon = check_epsilon(epsilon) / tests
    if isinstance(threshold, (int, float, np.number)):
        if not threshold >= 0:
            raise InputError(f"got threshold {threshold}", "a distance, 0 or more")
        return float(threshold), 0.0
    chosen = check_choice(default_threshold(threshold, mode), "threshold", THRESHOLDS)
    if chosen == "rigorous":
        bound = math.log(4 / epsilon) / 2
        return math.sqrt(bound / m), math.sqrt(bound / n)
    dkw = math.sqrt((n + m) / (2 * n * m) * math.log(2 / epsilon))
    return dkw + (1 / m if chosen == "published" else 0.0), 0.0


def beyond_reach(delta: tuple[float, float]) -> bool:
    """Whether a threshold is as large as distances can be, so that nothing can be distinguished from anything."""
    return sum(delta) >= 1


def default_threshold(threshold: Threshold | float | None, mode: Mode) -> Threshold | float:
    """Return the threshold, that of the mode if none is given."""
    if threshold is not None:
        return threshold
    return "dkw" if mode == "step" else "published"


def trimmed_distance(reference: ArrayLike, candidate: ArrayLike, alphas: ArrayLike, mode: Mode = MODE) -> Floats:
    """Return the Kolmogorov distance that is left after optimally trimming the candidate.

    The candidate may lose a fraction alpha of its mass, freely chosen, and is renormalised; the reference stays.
    Exact, in closed form, one scan of the sorted samples a level. At alpha = 0 it is the two-sample
    Kolmogorov-Smirnov statistic. It is not symmetric in its arguments for alpha > 0.

    Parameters
    ----------
    reference : array_like [m]
        Sample of the reference.
    candidate : array_like [n] or [candidates, n]
        Sample of one candidate, or of several of equal size.
    alphas : float or array_like [levels]
        Trimming levels, ascending, in [0, 1).
    mode : {"step", "published"}
        ``step`` takes the reference's empirical distribution as it is; ``published`` interpolates it linearly, as
        the authors' code does.

    Returns
    -------
    ndarray [levels] or [candidates, levels]
        The distances.

    Raises
    ------
    InputError
        Empty samples, NaN, infinite values in ``published`` mode, levels that are not ascending or not in [0, 1).

    Notes
    -----
    del Barrio, Inouzhe and Matran (arXiv 1903.08687) for the distance; Banerjee et al. (arXiv 2406.08307) for its use.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> reference, candidate = rng.normal(size=300), np.append(rng.normal(size=240), rng.normal(5, 0.3, size=60))
    >>> rs.methods.trimming.trimmed_distance(reference, candidate, [0.0, 0.2]).round(2)
    array([0.21, 0.07])
    """
    levels = check_alphas(alphas)
    pair = prepare(reference, candidate, mode)
    distances = np.vstack(
        [np.stack([distance(nodes, 1 / (1 - alpha)) for alpha in levels], -1) for nodes in pair.nodes()]
    )
    return distances if np.ndim(candidate) == 2 else distances[0]


def trimming_level(
    reference: ArrayLike,
    candidate: ArrayLike,
    *,
    threshold: Threshold | float | None = None,
    epsilon: float = EPSILON,
    mode: Mode = MODE,
) -> Floats | float:
    """Return alpha-hat: the smallest trimming level that makes the candidate indistinguishable from the reference.

    Parameters
    ----------
    reference : array_like [m]
        Sample of the reference.
    candidate : array_like [n] or [candidates, n]
        Sample of one candidate, or of several of equal size.
    threshold : {"dkw", "published", "rigorous"} or float, optional
        Distance up to which the candidate counts as equal. ``dkw`` (the default in ``step`` mode): two-sample
        Dvoretzky-Kiefer-Wolfowitz bound, valid at level 0. ``published`` (the default in ``published`` mode): plus
        1/m for the interpolation. ``rigorous``: grows with the level, so that the result is a lower confidence bound
        on the true level with error at most `epsilon`. A number is used as it is.
    epsilon : float
        Significance of the test.
    mode : {"step", "published"}
        See `trimmed_distance`.

    Returns
    -------
    float or ndarray [candidates]
        Levels in [0, 1), and ``inf`` where no level is accepted: the reference has more mass than the threshold
        tolerates where the candidate has none.

    Raises
    ------
    InputError
        As `trimmed_distance`, and an `epsilon` outside (0, 1).

    Notes
    -----
    Exact: no grid and no bisection. Contamination below the threshold is invisible, and the level depends on the
    sample sizes through it, so compare levels of equal n, m and epsilon only. arXiv 2406.08307.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> reference, candidate = rng.normal(size=300), np.append(rng.normal(size=240), rng.normal(5, 0.3, size=60))
    >>> round(float(rs.methods.trimming.trimming_level(reference, candidate)), 2)
    0.09
    """
    pair = prepare(reference, candidate, mode)
    delta = threshold_terms(threshold, epsilon, pair.candidates.shape[1], pair.reference.size, mode)
    levels = np.concatenate([smallest_level(nodes, delta) for nodes in pair.nodes()])
    return levels if np.ndim(candidate) == 2 else float(levels[0])


def trimming_level_grid(
    reference: ArrayLike,
    candidate: ArrayLike,
    *,
    grid: ArrayLike = GRID,
    cap: float = CAP,
    threshold: Threshold | float | None = None,
    epsilon: float = EPSILON,
    mode: Mode = "published",
) -> Floats | float:
    """Return the first level of a grid that is accepted, and `cap` where none is: the published rule.

    It is the exact level of `trimming_level` rounded up to the grid; `cap` reads as "more than the grid's last".

    Parameters
    ----------
    reference : array_like [m]
        Sample of the reference.
    candidate : array_like [n] or [candidates, n]
        Sample of one candidate, or of several of equal size.
    grid : array_like [levels]
        Levels to try, ascending, in [0, 1); by default the 13 published ones.
    cap : float
        Value where no level of the grid is accepted.
    threshold, epsilon, mode
        As in `trimming_level`, but the published mode is the default.

    Returns
    -------
    float or ndarray [candidates]
        Levels of the grid, or `cap`.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> reference, candidate = rng.normal(size=300), np.append(rng.normal(size=240), rng.normal(5, 0.3, size=60))
    >>> float(rs.methods.trimming.trimming_level_grid(reference, candidate))
    0.1
    """
    levels = check_alphas(grid)
    distances = np.atleast_2d(trimmed_distance(reference, candidate, levels, mode=mode))
    delta = threshold_terms(threshold, epsilon, np.shape(candidate)[-1], np.size(reference), mode)
    accepted = distances <= delta[0] + delta[1] / (1 - levels) + SLACK
    chosen = np.where(accepted.any(-1), levels[accepted.argmax(-1)], cap)
    return chosen if np.ndim(candidate) == 2 else float(chosen[0])


def round_up_to_grid(levels: Floats, grid: ArrayLike = GRID, cap: float = CAP) -> Floats:
    """Return exact levels as the published rule would report them."""
    steps = check_alphas(grid)
    position = np.searchsorted(steps + SLACK, levels, side="left")
    return np.append(steps, cap)[position]


def optimal_trimming(reference: ArrayLike, candidate: ArrayLike, alpha: float, *, mode: Mode = MODE) -> Trimming:
    """Return a trimming of the candidate that comes closest to the reference.

    Parameters
    ----------
    reference : array_like [m]
        Sample of the reference.
    candidate : array_like [n]
        Sample of the candidate.
    alpha : float
        Fraction that may be trimmed, in [0, 1).
    mode : {"step", "published"}
        See `trimmed_distance`.

    Returns
    -------
    Trimming
        Distinct values, their weights, the fraction trimmed of each, and the distance. Optimal trimmings are not
        unique; this is the clipped mid-range one.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> reference, candidate = rng.normal(size=300), np.append(rng.normal(size=240), rng.normal(5, 0.3, size=60))
    >>> round(rs.methods.trimming.optimal_trimming(reference, candidate, 0.2).distance, 2)
    0.07
    """
    pair = prepare(reference, check_samples(candidate, "candidate", (1,), mode), mode)
    return trimming_of(pair, check_alpha(alpha))


def trimming_of(pair: Pair, alpha: float) -> Trimming:
    """Return the optimal trimming of the one candidate of a pair."""
    values, counts = np.unique(pair.candidates[0], return_counts=True)
    mass = np.append(0, counts.cumsum()) / counts.sum()
    nodes = candidate_nodes(*pair.reference_masses(values[None]), mass[None])
    weights = trimmed_weights(nodes, 1 / (1 - alpha))[0]
    trimmed = np.clip(1 - weights * (1 - alpha) * counts.sum() / counts, 0, 1)
    return Trimming(values, weights, trimmed, float(distance(nodes, 1 / (1 - alpha))[0]))


def trimmed_weights(nodes: Nodes, c: float) -> Floats:
    """Return the weights of the candidates' values after optimal trimming, from `candidate_nodes`."""
    upper, lower = nodes.excess(np.full(nodes.rows, c))
    worst_right = np.maximum.accumulate(upper[:, ::-1], axis=-1)[:, ::-1]
    worst_left = np.minimum.accumulate(lower, axis=-1)
    shift = np.clip((worst_right + worst_left) / 2, 1 - c, 0)
    shift[:, 0], shift[:, -1] = 0, 1 - c
    return np.maximum(np.diff(shift + c * nodes.upper_candidate, axis=-1), 0)
