"""Choosing an ensemble.

Candidates whose logits are the truth plus shared and own noise; an ensemble of five is chosen on 300 examples. What the
choice gains over the best single run is estimated by cross-validation on those examples, and judged by what the same
choice, made on other 300 examples, gains on 20,000 new ones on average.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import runspread as rs
from runspread.methods.ensembles import select_ensemble
from simulations.promises import Promise, promise

CLASSES, NEW, CHOOSING = 3, 20_000, 240  # examples of four folds of five choose


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    sets = max(40, round(200 * scale))
    for own, name in ((1.5, "runs differ"), (0.0, "runs are one and the same, so that nothing is gained")):
        rng = np.random.default_rng([1, round(10 * own)])
        truth = np.mean([true_gain(rng, own) for _ in range(40)]) if own else 0.0
        covered, claimed = [], []
        for _ in range(sets):
            checked = select_ensemble(*draw(rng, 300, own), 5, n_random=1).cross_validation
            assert checked is not None
            low, high = checked.gain_interval
            covered.append(low - 1e-12 <= truth <= high + 1e-12)
            claimed.append(low > 1e-12 or high < -1e-12)
        setting = f"12 candidates, 300 examples; {name}"
        yield promise("95 % interval of the held-out gain", setting, (0.92, 1.0), covered)
        if not own:
            yield promise("the ensemble is better or worse, where it is neither", setting, (0.0, 0.05), claimed)


def draw(rng: np.random.Generator, examples: int, own: float) -> tuple[np.ndarray, np.ndarray]:
    """Return logits of 12 candidates, and labels."""
    labels = rng.integers(CLASSES, size=examples)
    shared = 1.5 * np.eye(CLASSES)[labels] + rng.normal(size=(examples, CLASSES))
    return shared + own * rng.normal(size=(12, examples, CLASSES)) * np.linspace(0.8, 1.2, 12)[:, None, None], labels


def true_gain(rng: np.random.Generator, own: float) -> float:
    """Return what an ensemble chosen on the examples of four folds gains on new ones."""
    outputs, labels = draw(rng, CHOOSING + NEW, own)
    chosen = select_ensemble(outputs[:, :CHOOSING], labels[:CHOOSING], 5, folds=0, n_random=1)
    new, answers = outputs[:, CHOOSING:], labels[CHOOSING:]
    single = rs.ensemble_scores(new[[chosen.best_single]], answers).nll
    return float(single - rs.ensemble_scores(new, answers, weights=chosen).nll)
