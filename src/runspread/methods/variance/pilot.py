"""What is known of the spread that a plan rests on, and the power that is to be expected of it (scores 6.2).

A pilot's standard deviation is uncertain. A plan that takes it at its word has on average 62, 70 and 75 % power after
pilots of 3, 5 and 10 runs where 80 % are asked, so that power is averaged over what the pilot leaves open.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .power import COARSE, MOST_RUNS, Examples, distribution_power, smallest, welch_rejection

RANGE = 0.9  # of the interval of the pilot's spread that the range of a plan comes from
SAFE = 0.8  # one-sided level of the upper bound of the spread
_DRAWS, _DRAWS_OF_TWO, _ROUGH = 100, 20, 7
_TINY = 1e-200

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """The variance of one configuration's accuracy, as far as it is known.

    Attributes
    ----------
    variance : float
        As estimated by the pilot, or given.
    degrees : float
        Degrees of freedom of the estimate; infinite where the variance is given.
    removed : float
        What a larger test set takes away from it: noise of the examples, which is known better than the spread of runs.
    floor : float
        Variance of independent errors alone, below which the true one is not.
    """

    variance: float
    degrees: float = math.inf
    removed: float = 0.0
    floor: float = 0.0

    @property
    def carried(self) -> float:
        """The estimate on the test set that is planned for."""
        return max(self.variance - self.removed, self.floor) if self.removed else self.variance

    def exceeded(self, tail: Floats) -> Floats:
        """Return the variances that the true one exceeds with these probabilities, given the pilot."""
        from scipy.special import chdtri

        if math.isinf(self.degrees):
            return np.full(len(tail), self.carried)
        drawn = self.variance * self.degrees / chdtri(self.degrees, 1 - tail)
        return np.maximum(drawn - self.removed, self.floor)


@dataclass(frozen=True)
class Spread:
    """The variances of two configurations; `second` is None where one pilot stands for both."""

    first: Arm
    second: Arm | None = None

    @property
    def arms(self) -> tuple[Arm, Arm]:
        """Both configurations."""
        return self.first, self.second or self.first

    @property
    def known(self) -> bool:
        """Whether the variances are given, not estimated."""
        return all(math.isinf(arm.degrees) for arm in self.arms)

    @property
    def variances(self) -> tuple[float, float]:
        """Both variances as estimated."""
        first, second = self.arms
        return first.carried, second.carried

    @functools.cached_property
    def draws(self) -> Floats:
        """Equally likely pairs of variances [draws, 2], given the pilot."""
        return self._drawn(_DRAWS, _DRAWS_OF_TWO)

    def _drawn(self, of_one: int, of_two: int) -> Floats:
        if self.second is None:
            variances = self.first.exceeded(_midpoints(1 if self.known else of_one))
            return np.stack([variances, variances], axis=1)
        both = (arm.exceeded(_midpoints(of_two if math.isfinite(arm.degrees) else 1)) for arm in self.arms)
        return np.array(list(itertools.product(*(values.tolist() for values in both))))

    @functools.cached_property
    def _rough(self) -> Spread:
        """The same with few draws, to begin a search with."""
        few = Spread(self.first, self.second)
        few.__dict__["draws"] = self._drawn(_ROUGH, _ROUGH)
        return few

    def quantile(self, share: float) -> tuple[float, float]:
        """Return the pair of variances whose sum lies above that of `share` of what the pilot leaves open."""
        if self.second is None:
            value = float(self.first.exceeded(np.array([1 - share]))[0])
            return value, value
        order = np.argsort(self.draws.sum(axis=1))
        first, second = self.draws[order[round(share * (len(order) - 1))]].tolist()
        return first, second

    def power(self, gap: float, runs: int, alpha: float, examples: Examples | None = None) -> float:
        """Return the power of `compare` that is to be expected with `runs` runs of each, given the pilot.

        On this test set it is that of Welch's test; with the noise of the examples, that of both tests on the
        distribution.
        """
        if self.second is None and examples is None:  # one ratio of the variances, whatever their size
            units = np.sqrt(np.maximum(self.draws[:, 0], _TINY))
            return float(welch_rejection(1.0, 1.0, runs, runs, alpha, nodes=COARSE).power(gap / units).mean())
        pairs = np.maximum(self.draws, _TINY).tolist()
        return float(np.mean([_power(gap, var_a, var_b, runs, alpha, examples) for var_a, var_b in pairs]))

    def runs(self, gap: float, alpha: float, power: float, examples: Examples | None = None, *, near: int = 2) -> float:
        """Return the fewest runs of each whose expected power is that asked for; infinite where none have it."""
        if examples is not None and _power(gap, _TINY, _TINY, MOST_RUNS, alpha, examples) < power:
            return math.inf
        if len(self.draws) > _ROUGH**2:
            near = int(self._rough.runs(gap, alpha, power, examples, near=near))
        return smallest(lambda runs: self.power(gap, runs, alpha, examples) >= power, near=near)

    def gap(self, runs: int, alpha: float, power: float, examples: Examples | None = None) -> float:
        """Return the gap that `runs` runs of each show with that expected power."""
        from scipy.optimize import brentq

        def excess(gap: float) -> float:
            return self.power(gap, runs, alpha, examples) - power

        noise = 0.0 if examples is None else examples.variance
        near = math.sqrt(float(self.draws.sum(axis=1).mean()) / runs + noise)
        if not near:
            return 0.0
        if len(self.draws) > _ROUGH**2:
            near = self._rough.gap(runs, alpha, power, examples) / 1.1
        low, high = near, 1.2 * near
        while excess(low) >= 0:
            low, high = low / 2, low
        while excess(high) < 0:
            low, high = high, 2 * high
        return float(brentq(excess, low, high, xtol=1e-6 * near))


def _power(gap: float, var_a: float, var_b: float, runs: int, alpha: float, examples: Examples | None) -> float:
    if examples is not None:
        return distribution_power(gap, var_a, var_b, runs, alpha, examples, nodes=COARSE)
    return float(welch_rejection(var_a, var_b, runs, runs, alpha, nodes=COARSE).power(gap)[0])


def known(var_a: float, var_b: float) -> Spread:
    """Return variances that are taken as exact."""
    return Spread(Arm(var_a), None if var_a == var_b else Arm(var_b))


def _midpoints(count: int) -> Floats:
    return (np.arange(count) + 0.5) / count
