"""A lucky seed.

Runs of the probit model (see Variance of training) on 150 examples; what picking the best of 10 gains on fresh examples
is judged by its true value for normal accuracies. Means of the estimate over 25 data sets are judged by their t
interval at 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import ndtr
from scipy.stats import multivariate_normal, t
from tests.methods.variance.probit import MEAN, TAU, draw, population_variance

from runspread.methods.variance import best_seed_model, best_seed_selection
from simulations.promises import Promise, promise

EXAMPLES, COUNT, BATCH = 150, 10, 25
LOSS = 0.2  # share of its correct answers that a failing run loses


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    sets = max(2 * BATCH, round(200 * scale))
    for beta, failures in ((0.0, 0.0), (0.1, 0.0), (0.3, 0.0), (0.0, 0.1)):
        for runs in (3, 5, 10, 30) if not failures else (10,):
            yield from gain(runs, beta, failures, sets)


def true_gain(beta: float) -> float:
    """Return what the best of `COUNT` runs gains on fresh examples."""
    total = 1 + TAU**2 + beta**2
    h = MEAN / math.sqrt(total)
    again = multivariate_normal.cdf([h, h], cov=[[1, TAU**2 / total], [TAU**2 / total, 1]])
    real = population_variance(beta)
    noise = (ndtr(h) - again - real) / EXAMPLES
    return float(best_seed_model(1.0, 0.5, [COUNT]).e_max[0] * real / math.sqrt(real + noise))


def gain(runs: int, beta: float, failures: float, sets: int) -> Iterator[Promise]:
    """Estimate the gain without bias, cover it, and promise none where there is none."""
    rng = np.random.default_rng([runs, int(1000 * beta), int(10 * failures)])
    found = []
    for _ in range(sets):
        correct = draw(rng, runs, EXAMPLES, beta)[0]
        failing = rng.random((runs, 1)) < failures
        correct &= ~failing | (rng.random(correct.shape) < 1 - LOSS)
        found.append(best_seed_selection(correct=correct, counts=[COUNT]))
    truth = true_gain(beta)
    setting = f"{runs} runs, true gain {100 * truth:.2f} points"
    if failures:  # the best of ten is hardly ever one that fails
        truth = failures * LOSS * float(ndtr(MEAN / math.sqrt(1 + TAU**2)))
        setting = f"{runs} runs, one in ten fails, true gain {100 * truth:.2f} points"
    covered = [result.fresh.low[0] <= truth <= result.fresh.high[0] for result in found]
    yield promise("interval of the gain from the best of 10 seeds", setting, (0.93, 1.0), covered, assumed=not failures)
    if failures:
        return
    batches = np.array([result.fresh.gain[0] for result in found])[: sets // BATCH * BATCH].reshape(-1, BATCH)
    errors = batches.std(axis=1, ddof=1) / math.sqrt(BATCH) * t.ppf(0.975, BATCH - 1)
    near = np.abs(batches.mean(axis=1) - truth) <= errors
    yield promise("mean of 25 estimates of that gain is the true one", setting, (0.9, 1.0), near)
    if not beta:
        yield promise(
            "part of the advantage transfers, where nothing is real", setting, (0, 0.05), [x.shown for x in found]
        )
