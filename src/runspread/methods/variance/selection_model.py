"""What picking the best of N runs is worth where accuracies are normal (spec 7)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._results import Result, Table
from ...errors import InputError
from .result import points
from .selection import checked_counts

_GRID = np.linspace(-12.0, 12.0, 24001)
_STEP = _GRID[1] - _GRID[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class BestSeedModel(Result):
    """What the best of N runs is worth when accuracies are normal (spec 7).

    Attributes
    ----------
    sd : float
        Standard deviation of accuracy on the examples that pick.
    lam : float
        Share of that variance that is distribution-wise, in [0, 1].
    counts : tuple of int
        N.
    e_max : ndarray of float [N]
        Mean of the largest of N standard normals.
    apparent_gain, fresh_gain : ndarray of float [N]
        Expected advantage on the examples that pick, and on fresh ones.
    p_above_mean, p_beats_random, p_truly_best : ndarray of float [N]
        Probability that the selected run is above the mean on the distribution, beats a random run, is the best of N.
    fraction : float
        Share of the runs, for the next two.
    top_apparent_gain, top_fresh_gain : float
        Expected advantage of the best `fraction` of many runs, on the examples that pick and on fresh ones.
    """

    picture = ".plots:plot_best_seed_model"

    sd: float
    lam: float
    counts: tuple[int, ...]
    e_max: NDArray[np.float64]
    apparent_gain: NDArray[np.float64]
    fresh_gain: NDArray[np.float64]
    p_above_mean: NDArray[np.float64]
    p_beats_random: NDArray[np.float64]
    p_truly_best: NDArray[np.float64]
    fraction: float
    top_apparent_gain: float
    top_fresh_gain: float

    def table(self) -> Table:
        """Return a row for each N."""
        columns = {
            "best of": self.counts,
            "looks better by": 100 * self.apparent_gain,
            "is better by": 100 * self.fresh_gain,
            "above average": self.p_above_mean,
            "beats a random run": self.p_beats_random,
            "is the best": self.p_truly_best,
        }
        shares = dict.fromkeys(("above average", "beats a random run", "is the best"), ".1%")
        formats = {"looks better by": ".3f", "is better by": ".3f", **shares}
        return Table(columns, formats=formats, title="Picking the best of N runs, percentage points")

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        return (
            f"The best of {self.counts[-1]} runs looks {points(self.apparent_gain[-1])} percentage points better than "
            f"the mean and is {points(self.fresh_gain[-1])} points better on fresh data, if accuracies are normal with "
            f"standard deviation {points(self.sd)} points of which a share of {self.lam:.1%} is real."
        )


def best_seed_model(
    sd: float, lam: float, counts: Sequence[int] = (2, 5, 10, 20, 50, 100), *, fraction: float = 0.25
) -> BestSeedModel:
    """Return what picking the best of N runs is worth under normal accuracies.

    Parameters
    ----------
    sd : float
        Standard deviation of accuracy between runs, on the examples that pick.
    lam : float
        Share of its square that is distribution-wise (``kr20`` of a `VarianceResult`); from 0 to 1.
    counts : sequence of int
        For which N.
    fraction : float
        Which top share of many runs to say the same of.

    Examples
    --------
    >>> import runspread as rs
    >>> found = rs.methods.variance.best_seed_model(0.01, 0.3, (2, 10))  # three tenths of the variance are real
    >>> (100 * found.fresh_gain).round(2)
    array([0.17, 0.46])
    """
    if not sd >= 0 or not 0 <= lam <= 1:
        raise InputError(f"got sd={sd} and lam={lam}", "sd of zero or more, and a share from 0 to 1")
    if not 0 < fraction < 1:
        raise InputError(f"got fraction={fraction}", "a share of the runs, between 0 and 1")
    counts = checked_counts(counts)
    top = mean_of_top(fraction)
    highest = np.array([_mean_of_largest(lambda x: x, count) for count in counts])
    above = _probabilities(lam, 1 - lam, counts)
    beats = _probabilities(lam, 2 - lam, counts)
    return BestSeedModel(
        sd=sd,
        lam=lam,
        counts=counts,
        e_max=highest,
        apparent_gain=sd * highest,
        fresh_gain=lam * sd * highest,
        p_above_mean=above,
        p_beats_random=beats,
        p_truly_best=_truly_best(lam, np.array(counts)),
        fraction=fraction,
        top_apparent_gain=sd * top,
        top_fresh_gain=lam * sd * top,
    )


def mean_of_top(fraction: float) -> float:
    """Return the mean of the top `fraction` of a standard normal, ``phi(z) / fraction`` at its quantile z."""
    from scipy.special import ndtri

    return math.exp(-(float(ndtri(fraction)) ** 2) / 2) / math.sqrt(2 * math.pi) / fraction


def _mean_of_largest(function: Any, count: int) -> float:
    """Return the mean of a function of the largest of `count` standard normals (the trapezoid rule, exact here)."""
    from scipy.special import log_ndtr

    log_density = math.log(count) - _GRID**2 / 2 - math.log(2 * math.pi) / 2 + (count - 1) * log_ndtr(_GRID)
    return float((function(_GRID) * np.exp(log_density)).sum() * _STEP)


def _probabilities(signal: float, noise: float, counts: Sequence[int]) -> NDArray[np.float64]:
    """Return E Phi(sqrt(signal/noise) Z_(N)) for each N."""
    from scipy.special import ndtr

    if noise == 0:
        return np.array([1 - 0.5**count for count in counts])
    slope = math.sqrt(signal / noise)
    return np.array([_mean_of_largest(lambda x: ndtr(slope * x), count) for count in counts])


def _truly_best(lam: float, counts: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return N E[Phi2(A, H; sqrt(lam))^(N-1)], the chance that the run picked is the best on the distribution."""
    if lam in (0.0, 1.0):
        return np.ones(len(counts)) if lam else 1 / counts
    step = 0.1  # of the trapezoid rule, exact to 1e-13 here
    nodes = np.arange(-8.05, 8.1, step)  # no node at zero, where Owen's formula divides
    weights = np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi) * step
    rho, rest = math.sqrt(lam), math.sqrt(1 - lam)
    seen = nodes[:, None]
    below = _bivariate_normal(seen, rho * seen + rest * nodes, rho, rest)
    both = weights[:, None] * weights
    return np.array([count * (both * below ** (count - 1)).sum() for count in counts.tolist()])


def _bivariate_normal(h: NDArray[np.float64], k: NDArray[np.float64], rho: float, rest: float) -> NDArray[np.float64]:
    """Return the bivariate normal distribution function by Owen's T function (1956); `rest` is sqrt(1 - rho^2)."""
    from scipy.special import ndtr, owens_t

    k = np.where(k == 0, 1e-300, k)
    t_h, t_k = owens_t(h, (k - rho * h) / (h * rest)), owens_t(k, (h - rho * k) / (k * rest))
    return np.clip((ndtr(h) + ndtr(k)) / 2 - t_h - t_k - np.where(h * k < 0, 0.5, 0.0), 0.0, 1.0)
