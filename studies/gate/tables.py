"""Gain, runs and bias of campaigns: what does not fit the table of promises.

Run from the repository root: ``python studies/gate/tables.py``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1])]

from simulations.gate import LAWS, Climb, World, certify, climb

from runspread.methods.gate import certificate_looks


def rules(campaigns: int) -> None:
    """Print true gain and runs per campaign of each rule."""
    print("| noise | rule one: gain / runs | two | three | two-more | gain per run, two over one |")
    print("|---|---|---|---|---|---|")
    for at, law in enumerate(LAWS):
        cells, rates = [], []
        for rule in ("one", "two", "three", "two-more"):
            rng = np.random.default_rng([70, at])
            found = [climb(World(rng, law, helps=0.1, by=2.0, harm=0.5), rule) for _ in range(campaigns)]
            gain, runs = np.mean([one.gain for one in found]), np.mean([one.runs for one in found])
            cells.append(f"{gain:.1f} / {runs:.0f}")
            rates.append(gain / runs)
        print(f"| {law} | {' | '.join(cells)} | {rates[1] / rates[0]:.2f} |")
    rng = np.random.default_rng(73)
    drift = {rule: [climb(World(rng, harm=0.5), rule).gain for _ in range(campaigns)] for rule in ("two", "two-more")}
    said = "; ".join(f"{rule} {np.mean(gains):+.2f}" for rule, gains in drift.items())
    print(f"\nWhere nothing helps and half harm, normal noise, the climb gains: {said}")


def totals(campaigns: int) -> None:
    """Print all runs of a campaign with its certificate."""
    print("\n| noise | all runs, nothing helps | one in ten helps by 2 |\n|---|---|---|")
    for at, law in enumerate(LAWS):
        cells = []
        for settings in ({}, {"helps": 0.1, "by": 2.0, "harm": 0.5}):
            rng, runs = np.random.default_rng([71, at]), []
            for _ in range(campaigns):
                world = World(rng, law, **settings)
                found = climb(world)
                runs.append(found.runs + certify(world, found).runs)
            cells.append(f"{np.mean(runs):.0f}")
        print(f"| {law} | {' | '.join(cells)} |")


def bias(sets: int) -> None:
    """Print the mean error of the gain, in standard deviations of a run."""
    print("\n| true gain, sd | fixed 8 + 8 | three looks | first look of three | three looks, of those certified |")
    print("|---|---|---|---|---|")
    fixed = certificate_looks(0.05, fixed=8)
    for at, gain in enumerate((0.0, 0.5, 1.0, 1.5, 3.0)):
        rng = np.random.default_rng([72, at])
        world, found = World(rng), Climb((0.0, 1.0), (-gain, 1.0), 0, [])
        one = [certify(world, found, fixed).gain for _ in range(sets)]
        three = [certify(world, found) for _ in range(sets)]
        kept = [each.gain for each in three if each.verdict == "certified"]
        errors = [np.mean(one), np.mean([each.gain for each in three]), np.mean([each.first_gain for each in three])]
        print(f"| {gain:g} | {' | '.join(f'{error - gain:+.3f}' for error in (*errors, np.mean(kept)))} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=400)
    arguments = parser.parse_args()
    rules(arguments.campaigns)
    totals(arguments.campaigns)
    bias(2 * arguments.campaigns)


if __name__ == "__main__":
    main()
