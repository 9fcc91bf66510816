"""Power of the t tests that compare two configurations, by quadrature (scores 6.1), and the runs that reach it.

SciPy's noncentral t (``nct.cdf``, ``nctdtr``) returns NaN or wrong values far out: its distribution is integrated here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError

MOST_RUNS = 2**40
_FEW_DEGREES = 20  # below, a critical value is far beyond the scale's spread, so that it takes more nodes
_FAR = 9.0  # standard deviations beyond which a normal distribution has no mass in doubles
_TAIL = 1e-16
FINE, COARSE = (60, 80), (32, 40)  # nodes for the split of the variances and for their scale; coarse: to 1e-4
_GUARDED = 3  # of scores (`scores.md` 3.1, 6.1); `compare` has a guard of its own; plans are of equal numbers, without

Floats = NDArray[np.float64]


class Rejection(NamedTuple):
    """How a test rejects: where ``abs(T)`` exceeds `critical`, with these weights, over the split of the variances.

    T is a noncentral t with `degrees` degrees of freedom, whose noncentrality is the gap over `unit`.
    """

    critical: Floats
    weights: Floats
    degrees: int
    unit: float
    sides: int = 2
    nodes: int = FINE[1]

    def power(self, gap: ArrayLike) -> Floats:
        """Return the power at each true gap (an array of any shape)."""
        shift = np.atleast_1d(np.asarray(gap, np.float64)) / self.unit
        beyond = self._beyond(shift)
        if self.sides == 2:
            near = shift < _FAR  # beyond, nothing is left on the other side
            beyond[near] += self._beyond(-shift[near])
        return np.clip(beyond, 0.0, 1.0)

    def _beyond(self, shift: Floats) -> Floats:
        """Return P(T > critical) at each noncentrality [shifts], whichever way round the integrand is smooth."""
        smooth = self.critical <= math.sqrt(2 * self.degrees)
        found = np.zeros(len(shift))
        if smooth.any():
            found += _over_scales(shift, self.critical[smooth], self.weights[smooth], self.degrees, self.nodes)
        if not smooth.all():
            found += _over_normals(shift, self.critical[~smooth], self.weights[~smooth], self.degrees, self.nodes)
        return found


@functools.cache
def _legendre(count: int) -> tuple[Floats, Floats]:
    """Return Gauss and Legendre's nodes and weights on 0 to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


def _over_scales(shift: Floats, critical: Floats, weights: Floats, degrees: int, count: int) -> Floats:
    """Return the mean of ``Phi(shift - critical u)`` over u, the root of a chi-square by its degrees of freedom."""
    from scipy.special import ndtr

    nodes, masses = _scale_distribution(degrees, count)
    bounds, mass = np.outer(critical, nodes).ravel(), np.outer(weights, masses).ravel()
    return np.array([mass @ ndtr(value - bounds) for value in shift.tolist()])


def _over_normals(shift: Floats, critical: Floats, weights: Floats, degrees: int, count: int) -> Floats:
    """Return the same with the order exchanged: the mean over a normal z of ``P(u < (z + shift) / critical)``."""
    from scipy.special import gammainc

    nodes, masses = _legendre(count)
    low = np.maximum(-_FAR, -shift)[:, None]
    width = np.maximum(0.0, _FAR - low)
    z = low + width * nodes
    reach = np.maximum(0.0, z + shift[:, None])
    below = gammainc(degrees / 2, degrees / 2 * np.square(reach[..., None] / critical)) @ weights
    return (width * masses * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * below).sum(axis=1)


@functools.lru_cache(maxsize=256)
def _scale_distribution(degrees: int, count: int) -> tuple[Floats, Floats]:
    """Return nodes and masses of ``sqrt(chi2 / degrees)`` between its extreme quantiles."""
    from scipy.special import gammainccinv, gammaincinv

    half = degrees / 2
    low, high = (math.sqrt(float(value) / half) for value in (gammaincinv(half, _TAIL), gammainccinv(half, _TAIL)))
    nodes, weights = _legendre(count)
    away = (low - 1) + (high - low) * nodes  # from 1, so that nothing cancels at many degrees
    log_density = (degrees - 1) * np.log1p(away) - degrees * (away + away**2 / 2)
    mass = weights * np.exp(log_density - log_density.max())
    return 1 + away, mass / mass.sum()


@functools.lru_cache(maxsize=256)
def _split_distribution(degrees_a: int, degrees_b: int, count: int) -> tuple[Floats, Floats]:
    """Return nodes and masses of the first sum of squares' share of both, beta distributed, as the square of a sine."""
    from scipy.special import betainccinv, betaincinv

    a, b = degrees_a / 2, degrees_b / 2
    low, high = (math.asin(math.sqrt(float(value))) for value in (betaincinv(a, b, _TAIL), betainccinv(a, b, _TAIL)))
    nodes, weights = _legendre(count)
    angle = low + (high - low) * nodes
    log_density = (degrees_a - 1) * np.log(np.sin(angle)) + (degrees_b - 1) * np.log(np.cos(angle))
    mass = weights * np.exp(log_density - log_density.max())
    return np.square(np.sin(angle)), mass / mass.sum()


def student_rejection(variance: float, runs: int, alpha: float, *, paired: bool = False, sides: int = 2) -> Rejection:
    """Return how Student's test of two arms of `runs` rejects; `variance` is the sum of both arms'.

    With `paired`, how the t test of the differences does, whose variance that is.
    """
    from scipy.special import stdtrit

    degrees = (1 if paired else 2) * (runs - 1)
    critical = -float(stdtrit(degrees, alpha / sides))
    return Rejection(np.array([critical]), np.ones(1), degrees, math.sqrt(variance / runs), sides)


def welch_rejection(
    var_a: float,
    var_b: float,
    runs_a: int,
    runs_b: int,
    alpha: float,
    *,
    sides: int = 2,
    nodes: tuple[int, int] = FINE,
) -> Rejection:
    """Return how Welch's test rejects, guarded by Student's where three runs or fewer meet another number of runs.

    The two sample variances split into their sum, a chi-square, and the first one's share of it; given the share,
    Welch's degrees of freedom are known and the statistic is a noncentral t.
    """
    from scipy.special import stdtrit

    first, second = runs_a - 1, runs_b - 1
    degrees = first + second
    share, mass = _split_distribution(first, second, nodes[0])
    squares_a, squares_b = degrees * var_a * share / first, degrees * var_b * (1 - share) / second
    a, b = squares_a / runs_a, squares_b / runs_b
    unit = math.sqrt(var_a / runs_a + var_b / runs_b)
    welch = np.square(a + b) / (np.square(a) / first + np.square(b) / second)
    critical = np.asarray(-stdtrit(welch, alpha / sides) * np.sqrt(a + b) / unit, np.float64)
    if runs_a != runs_b and min(runs_a, runs_b) <= _GUARDED:
        pooled = (first * squares_a + second * squares_b) / degrees
        student = -float(stdtrit(degrees, alpha / sides)) * np.sqrt(pooled * (1 / runs_a + 1 / runs_b)) / unit
        critical = np.maximum(critical, student)
    return Rejection(critical, mass, degrees, unit, sides, nodes[1])


def welch_power(
    gap: float, var_a: float, var_b: float, runs_a: int, runs_b: int, alpha: float, *, sides: int = 2
) -> float:
    """Return the power of the guarded Welch test for normal runs with these variances and a true gap."""
    return float(welch_rejection(var_a, var_b, runs_a, runs_b, alpha, sides=sides).power(gap)[0])


class Examples(NamedTuple):
    """What the examples add to the variance of a difference of means, and its degrees of freedom."""

    variance: float
    degrees: float


def distribution_power(
    gap: float,
    var_a: float,
    var_b: float,
    runs: int,
    alpha: float,
    examples: Examples,
    *,
    nodes: tuple[int, int] = FINE,
) -> float:
    """Return the power of both tests that a verdict on the distribution takes.

    One is Welch's, on this test set; the other adds the noise of the examples, with Satterthwaite's degrees of freedom.
    """
    from scipy.special import ndtr

    degrees = 2 * (runs - 1)
    share, masses = _split_distribution(runs - 1, runs - 1, nodes[0])
    scale, weights = _scale_distribution(degrees, 4 * nodes[1] if degrees < _FEW_DEGREES else nodes[1])
    a, b = 2 * var_a / runs * share, 2 * var_b / runs * (1 - share)
    squared = np.outer(a + b, scale**2)
    total = squared + examples.variance
    first, own = a / (a + b), squared / total
    spread = (first**2 + (1 - first) ** 2) / (runs - 1)  # one over Welch's degrees of freedom
    welch = np.outer(_critical(spread, alpha) * np.sqrt(a + b), scale)
    both = _critical(spread[:, None] * own**2 + (1 - own) ** 2 / examples.degrees, alpha) * np.sqrt(total)
    unit = math.sqrt((var_a + var_b) / runs + examples.variance)
    bound = np.maximum(welch, both)
    return float(masses @ (ndtr((gap - bound) / unit) + ndtr((-gap - bound) / unit)) @ weights)


def _critical(inverse: Floats, alpha: float) -> Floats:
    """Return two-sided critical values of t for many inverse degrees of freedom, from a table (to 1e-6 of each)."""
    return np.exp(np.interp(inverse, *_critical_table(alpha)))


@functools.lru_cache(maxsize=64)
def _critical_table(alpha: float) -> tuple[Floats, Floats]:
    from scipy.special import stdtrit

    inverse = np.linspace(0, 1, 2001)
    return inverse, np.log(-stdtrit(1 / np.maximum(inverse, 1e-12), alpha / 2))


def two_sample_power(gap: float, var_a: float, var_b: float, runs: int, alpha: float, *, paired: bool = False) -> float:
    """Return the power of Student's two-sided t test with `runs` runs of each configuration (noncentral t, both tails).

    With `paired`, that of the t test of the differences, whose variance is ``var_a + var_b``.
    """
    return float(student_rejection(var_a + var_b, runs, alpha, paired=paired).power(gap)[0])


def smallest(enough: Callable[[int], bool], near: int = 2) -> int:
    """Return the smallest number of runs from two on that is enough, looked for in growing steps from `near` on.

    `enough` must stay true once it is.
    """
    low, high = (1, near) if enough(near) else (near, 0)
    step = 1
    while not high:
        if low + step > MOST_RUNS:
            raise InputError("a question that takes more than 10^12 runs", "a larger gap or a smaller power")
        low, high = (low, low + step) if enough(low + step) else (low + step, 0)
        step *= 2
    while high - step > low and enough(high - step):
        high, step = high - step, 2 * step
    low = max(low, high - step)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def quantiles(alpha: float, power: float) -> float:
    """Return z_{1-alpha/2} + z_{power}."""
    from scipy.special import ndtri

    return float(-ndtri(alpha / 2) + ndtri(power))


def runs_for_welch(gap: float, var_a: float, var_b: float, alpha: float, power: float, *, sides: int = 2) -> int:
    """Return the runs of each configuration with which Welch's test shows a true gap (one-sided for a margin)."""
    if var_a + var_b == 0:
        return 2
    return smallest(lambda runs: welch_power(gap, var_a, var_b, runs, runs, alpha, sides=sides) >= power)


def runs_for_fixed_t(
    gap: float, var_a: float, var_b: float, alpha: float, power: float, *, paired: bool = False
) -> int:
    """Return the runs of each configuration that Student's t test, which assumes equal spread, needs."""
    if var_a + var_b == 0:
        return 2
    return smallest(lambda runs: two_sample_power(gap, var_a, var_b, runs, alpha, paired=paired) >= power)


def runs_for_distribution(
    gap: float, var_a: float, var_b: float, tau2: float, n_examples: float, alpha: float, power: float
) -> float:
    """Return the runs of each configuration that the z test on the distribution needs; infinite if none suffice."""
    room = gap**2 / quantiles(alpha, power) ** 2 - tau2 / n_examples
    return float(max(2, math.ceil((var_a + var_b) / room))) if room > 0 else math.inf
