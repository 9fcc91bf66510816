"""Variance of training.

Runs of the probit model `X = [U < Phi(alpha_i + beta z_r)]`, `alpha ~ N(1.5, 1)`, 200 examples. The fixed-set interval
is judged by the covariance between the very examples of the test set, the population interval by the true variance over
examples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from tests.variance.probit import draw, fixed_variance, population_variance

import runspread as rs
from simulations.promises import Promise, promise

EXAMPLES = 200
COVERAGE = (0.92, 0.98)  # of an interval at 95 %
SIZE = (0.0, 0.05)  # of a test at 5 %


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    yield from intervals(max(50, round(500 * scale)))


def intervals(sets: int) -> Iterator[Promise]:
    """Cover the true variances, and reject a spread of zero as rarely as the level says."""
    for beta in (0.0, 0.1, 0.3):
        truth = population_variance(beta)
        for runs in (5, 10, 50):
            rng = np.random.default_rng([runs, int(1000 * beta)])
            fixed, population, rejected = [], [], []
            for _ in range(sets):
                matrix, alpha = draw(rng, runs, EXAMPLES, beta)
                result = rs.variance(correct=matrix, pairs="none")
                fixed.append(result.ci_fixed_lo <= fixed_variance(alpha, beta) <= result.ci_fixed_hi)
                population.append(result.ci_pop_lo <= truth <= result.ci_pop_hi)
                rejected.append(result.p_chi2 < 0.05)
            setting = f"{runs} runs, true sd {100 * math.sqrt(truth):.2f} points"
            yield promise("interval of the variance on this test set", setting, COVERAGE, fixed)
            yield promise("interval of the variance on the distribution", setting, COVERAGE, population)
            if beta == 0:
                yield promise("some of the spread is real (p below 0.05)", setting, SIZE, rejected)
