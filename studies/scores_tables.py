"""Simulate the tables of the specification of scores again, with the package's own tests and intervals.

Run from the repository root: ``python studies/scores_tables.py [--sets 2000]``. Each cell is printed beside that of the
specification, which has 20,000 data sets; how far they lie apart is in Monte Carlo standard errors of both.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from score_tables.more import arms, looks, modes, pilots, tasks
from score_tables.rows import FURTHEST, LAWS, Row, row
from simulations.scores import draw

from runspread.methods.scores.forms import Arm, both_forms, difference, judged
from runspread.methods.scores.one_arm import arm_intervals
from runspread.methods.scores.pairing import pairing
from runspread.methods.scores.ranks import rank_sum_p

# law, sd of new over that of old, runs of old and of new; Student, Welch, Mann-Whitney
SIZES = """normal 1 2 2 .048 .024 0 | normal 1 3 3 .047 .032 0 | normal 1 5 5 .053 .047 .033
normal 1 10 10 .050 .048 .043 | normal 3 3 3 .074 .051 0 | normal 3 5 5 .065 .050 .046 | normal 3 10 10 .059 .049 .060
normal 3 8 3 .214 .066 .151 | skew 1 5 5 .037 .026 .033 | skew 3 5 5 .110 .098 .082 | skew 3 10 10 .101 .095 .163
bimodal 1 5 5 .036 .022 .030 | bimodal 3 5 5 .144 .129 .108 | heavy 1 5 5 .039 .032 .031
heavy 3 10 10 .051 .043 .057"""
# runs of old and of new, sd of new over that of old; the larger p of both tests
GUARDED = """2 4 1 .029 | 2 8 1 .024 | 2 20 1 .018 | 2 4 .3333 .077 | 2 8 .3333 .084 | 2 20 .3333 .076 | 2 4 3 .018
2 8 3 .004 | 2 20 3 .000 | 3 20 1 .022 | 3 20 .3333 .059 | 3 20 3 .000"""
RUNS = (2, 3, 5, 10, 20)
COVERED = {  # t interval of the mean, chi-square interval of the standard deviation
    "normal": ((0.952, 0.948, 0.949, 0.948, 0.949), (0.951, 0.949, 0.950, 0.949, 0.948)),
    "skew": ((0.921, 0.886, 0.875, 0.886, 0.905), (0.918, 0.870, 0.784, 0.672, 0.605)),
    "bimodal": ((0.912, 0.870, 0.819, 0.887, 0.932), (0.939, 0.908, 0.829, 0.879, 0.924)),
    "heavy": ((0.959, 0.962, 0.961, 0.962, 0.956), (0.935, 0.907, 0.852, 0.755, 0.664)),
}
VERDICTS = {  # by runs of each: better, worse, equivalent, not worse; true goodness 0, -1, +1
    2: ((0.013, 0.002, 0.045), (0.011, 0.041, 0.002), (0.015, 0.010, 0.009), (0.099, 0.027, 0.241)),
    3: ((0.018, 0.001, 0.116), (0.017, 0.115, 0.001), (0.022, 0.011, 0.011), (0.225, 0.039, 0.578)),
    5: ((0.021, 0.000, 0.270), (0.023, 0.263, 0.000), (0.058, 0.018, 0.018), (0.407, 0.047, 0.879)),
    10: ((0.022, 0.000, 0.559), (0.023, 0.553, 0.000), (0.392, 0.046, 0.046), (0.689, 0.050, 0.996)),
    20: ((0.025, 0.000, 0.869), (0.026, 0.871, 0.000), (0.854, 0.048, 0.049), (0.926, 0.048, 1.00)),
}
PAIRED = {0.0: (0.037, 0.047, 0.051, 0.051), 0.6: (0.017, 0.025, 0.034, 0.046)}  # size at 3, 5, 10, 20 pairs
SINGLE = {  # one run against 2, 3, 5, 10, 30
    "normal": (0.050, 0.051, 0.049, 0.051, 0.053),
    "skew": (0.065, 0.081, 0.081, 0.070, 0.057),
    "bimodal": (0.073, 0.097, 0.081, 0.065, 0.070),
    "heavy": (0.051, 0.062, 0.071, 0.071, 0.062),
}
SEEN = (0.20, 0.48, 0.77, 0.92, 0.97)  # one run 4 sd away, normal


def cells(text: str) -> Iterator[list[str]]:
    """Yield the words of each cell of a table above."""
    for cell in text.replace("\n", " | ").split("|"):
        yield cell.split()


def sizes(sets: int) -> Iterator[Row]:
    """13.1: how often equal means are said to differ."""
    for number, (law, ratio, old, new, *expected) in enumerate(cells(SIZES)):
        rng, hits = np.random.default_rng([1, number]), np.zeros(3)
        for _ in range(sets):
            a, b = draw(rng, int(old), LAWS[law]), float(ratio) * draw(rng, int(new), LAWS[law])
            both = both_forms(Arm.of(a), Arm.of(b))
            hits += [both.p_student <= 0.05, both.p_welch <= 0.05, rank_sum_p(a, b) <= 0.05]
        for test, share, found in zip(("Student", "Welch", "Mann-Whitney"), expected, hits / sets, strict=True):
            yield row(
                "13.1", f"{test}: {law}, sd ratio {ratio}, {old} and {new} runs", float(share), float(found), sets
            )
    for number, (old, new, ratio, share) in enumerate(cells(GUARDED)):
        rng, hits = np.random.default_rng([2, number]), 0
        for _ in range(sets):
            a, b = rng.normal(size=int(old)), float(ratio) * rng.normal(size=int(new))
            hits += difference(Arm.of(a), Arm.of(b)).p() <= 0.05
        yield row("13.1", f"guarded: normal, sd ratio {ratio}, {old} and {new} runs", float(share), hits / sets, sets)


def coverage(sets: int) -> Iterator[Row]:
    """13.2: how often intervals of one arm hold the truth."""
    for number, (law, (means, sds)) in enumerate(COVERED.items()):
        for at, n in enumerate(RUNS):
            rng, hits = np.random.default_rng([3, number, at]), np.zeros(2)
            for _ in range(sets):
                one = arm_intervals(draw(rng, n, LAWS[law]), 0.95)
                hits += [one.mean_lo <= 0 <= one.mean_hi, one.sd_lo <= 1 <= one.sd_hi]
            for what, share, found in zip(("mean", "sd"), (means[at], sds[at]), hits / sets, strict=True):
                yield row("13.2", f"interval of the {what}: {law}, {n} runs", share, float(found), sets)


def verdicts(sets: int) -> Iterator[Row]:
    """13.8: verdicts with a margin of one standard deviation."""
    for n, expected in VERDICTS.items():
        for at, true in enumerate((0.0, -1.0, 1.0)):
            rng, hits = np.random.default_rng([4, n, at]), np.zeros(4)
            for _ in range(sets):
                one = difference(Arm.of(rng.normal(size=n)), Arm.of(true + rng.normal(size=n)))
                found = judged(one, 1.0, 0.95, "better", lower=False)
                verdict = found.verdict
                hits += [verdict == "better", verdict == "worse", found.p_equivalent <= 0.05, found.p_not_worse <= 0.05]
            for word, shares, share in zip(
                ("better", "worse", "equivalent", "not worse"), expected, hits / sets, strict=True
            ):
                yield row("13.8", f"{word}: {n} runs each, new is {true:+g} sd better", shares[at], float(share), sets)


def pairs(sets: int) -> Iterator[Row]:
    """13.9: size where pairs are used only if their correlation is shown."""
    for rho, expected in PAIRED.items():
        for n, share in zip((3, 5, 10, 20), expected, strict=True):
            rng, hits = np.random.default_rng([5, n, int(10 * rho)]), 0
            for _ in range(sets):
                shared = rng.normal(size=n)
                a, b = (math.sqrt(rho) * shared + math.sqrt(1 - rho) * rng.normal(size=n) for _ in range(2))
                one = pairing(a, b, range(n), range(n), 0.95)
                found = one.difference(b.mean() - a.mean()) if one.paired else difference(Arm.of(a), Arm.of(b))
                hits += found.p() <= 0.05
            yield row("13.9", f"tested pairs: {n} pairs, correlation {rho:g}", share, hits / sets, sets)


def single(sets: int) -> Iterator[Row]:
    """13.10: one run against several."""
    settings = [(law, 0.0, shares) for law, shares in SINGLE.items()] + [("normal", 4.0, SEEN)]
    for number, (law, gap, shares) in enumerate(settings):
        for n, share in zip((2, 3, 5, 10, 30), shares, strict=True):
            rng, hits = np.random.default_rng([6, number, n]), 0
            for _ in range(sets):
                a, b = draw(rng, n, LAWS[law]), gap + draw(rng, 1, LAWS[law])
                hits += difference(Arm.of(a), Arm.of(b)).p() <= 0.05
            yield row("13.10", f"one run against {n}: {law}, {gap:g} sd away", share, hits / sets, sets)


PARTS = (sizes, coverage, modes, arms, tasks, pilots, looks, verdicts, pairs, single)  # in the order of the tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=2000, help="data sets of a cell")
    options = parser.parse_args()
    count: dict[str, list[float]] = defaultdict(list)
    print("| table | cell | specified | simulated | standard errors apart |\n|---|---|---:|---:|---:|")
    for part in PARTS:
        for one in part(options.sets):
            count[one.table].append(one.apart)
            far = f"{one.apart:.1f}{' **' if one.apart > FURTHEST else ''}"
            print(f"| {one.table} | {one.setting} | {one.specified:.3f} | {one.found:.3f} | {far} |", flush=True)
    for table, values in count.items():
        beyond = sum(z > FURTHEST for z in values)
        print(
            f"\n{table}: {len(values)} cells, {beyond} of them more than {FURTHEST:g} standard errors apart, "
            f"the furthest {max(values):.1f}"
        )


if __name__ == "__main__":
    main()
