"""Planted bugs in a training: how often tests against a baseline find them, and how often they are red for nothing.

Run from the repository root: ``python studies/gate/bugs.py --data ../shared/data/mnist``.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

sys.path[:0] = [str(Path(__file__).parent)]

from small_training import Images, Options, train

from runspread.methods.gate import regression_test

CLEAN = Options(dropout=0.0)
BUGS = {
    "gradients not zeroed": {"zero_gradients": False},
    "no momentum": {"momentum": 0.0},
    "first layer frozen": {"freeze_first": True},
    "dropout left on at test": {"dropout_at_test": True},
    "decay ends at half": {"decay_until": 0.5},
    "weight decay x 100": {"l2": 0.05},
    "learning rate halved": {"lr": 0.05},
    "10 % of labels off by one": {"wrong_labels": 0.1},
    "initialisation x 3": {"init": 3.0},
    "half of the data": {"share": 0.5},
    "2 % of labels off by one": {"wrong_labels": 0.02},
    "no learning-rate decay": {"decay_until": 0.0},
    "no shuffling": {"shuffle": False},
    "test inputs x 1.2": {"test_scale": 1.2},
}


def runs(images: Images, options: Options, seeds: range) -> np.ndarray:
    """Return test loss and accuracy [runs, 2]."""
    return np.array([train(images, options, seed)[:2] for seed in seeds])


def red(rng: np.random.Generator, new: np.ndarray, clean: np.ndarray, draws: int, column: int) -> tuple[int, float]:
    """Return how many tests of some are red, each with its own baseline of 10 runs; and runs per test."""
    hits, taken = 0, 0
    for _ in range(draws):
        base = clean[rng.choice(len(clean), 10, replace=False), column]
        found = regression_test(lambda: float(new[rng.integers(len(new)), column]), base, higher=column == 1)
        hits, taken = hits + found.red, taken + len(found.outcomes)
    return hits, taken / draws


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with train.parquet and test.parquet of MNIST")
    arguments = parser.parse_args()
    images, rng, begun = Images.load(arguments.data), np.random.default_rng(0), time.process_time()
    clean = runs(images, CLEAN, range(200))
    fresh = runs(images, CLEAN, range(1000, 1060))
    mean, sd = clean.mean(0), clean.std(0, ddof=1)
    print(f"clean: loss {mean[0]:.4f}, sd {sd[0]:.4f}; accuracy {mean[1]:.4f}, sd {sd[1]:.4f}\n")
    print("| bug | shift of loss, sd | red on loss | on accuracy |\n|---|---|---|---|")
    for name, changes in BUGS.items():
        new = runs(images, CLEAN.but(**changes), range(2000, 2060))
        rates = [red(rng, new, clean, 1000, column)[0] / 1000 for column in (0, 1)]
        print(f"| {name} | {(new[:, 0].mean() - mean[0]) / sd[0]:+.1f} | {rates[0]:.3f} | {rates[1]:.3f} |")
    rates = [red(rng, fresh, clean, 1000, column)[0] / 1000 for column in (0, 1)]
    print(f"| nothing | {(fresh[:, 0].mean() - mean[0]) / sd[0]:+.1f} | {rates[0]:.3f} | {rates[1]:.3f} |")
    baselines(rng, clean)
    suites(rng, clean)
    print(f"\n{time.process_time() - begun:.0f} s of one core, trainings and all")


def baselines(rng: np.random.Generator, clean: np.ndarray) -> None:
    """Print the rate of each of 20 baselines over 1,000 commits that change nothing."""
    rates, taken = [], []
    for _ in range(20):
        chosen = rng.permutation(len(clean))
        base, pool, hits = clean[chosen[:10], 0], clean[chosen[10:], 0], 0
        for _ in range(1000):
            found = regression_test(lambda: float(pool[rng.integers(len(pool))]), base)  # noqa: B023
            hits += found.red
            taken.append(len(found.outcomes))
        rates.append(hits / 1000)
    good = sum(rate <= 0.01 for rate in rates)
    print(f"\n20 baselines, 1,000 commits each, nothing changed: {good} with a rate of at most 1 %")
    print(f"{np.mean(taken):.2f} runs per test")


def suites(rng: np.random.Generator, clean: np.ndarray) -> None:
    """Print how often a suite of ten tests is red, each at a tenth of 1 %, over 1,000 commits that change nothing."""
    hits = 0
    for _ in range(1000):
        outcomes = []
        for _ in range(10):
            base = clean[rng.choice(len(clean), 10, replace=False), 0]
            new = lambda: float(clean[rng.integers(len(clean)), 0])  # noqa: E731
            outcomes.append(regression_test(new, base, false_red=0.001).red)
        hits += any(outcomes)
    low, high = binomtest(hits, 1000).proportion_ci()
    print(f"a suite of ten tests is falsely red in {hits} of 1,000 commits ({100 * low:.2f} to {100 * high:.2f} %)")


if __name__ == "__main__":
    main()
