"""Replay of public records: which steps in a table of attempts would have been certified, and with how many runs.

Run from the repository root: ``python studies/gate/speedrun.py ../shared/real/scores/speedrun.csv``. Groups are
attempts in their order; each is held against the one before, by training time. The runs are those that were published,
in their order, so that nothing here is fresh: the replay shows what so many runs could certify, not what is true.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np

from runspread.methods.gate import Sides, certificate_looks, judge_sides


def groups(table: Path, track: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return group to training times in minutes and losses of its runs, in the order of the table."""
    found: dict[str, list[tuple[float, float]]] = {}
    with table.open() as file:
        for row in csv.DictReader(file):
            if row["group"].startswith(track):
                found.setdefault(row["group"], []).append(
                    (float(row["train_time_ms"]) / 60_000, float(row["val_loss"]))
                )
    return {name: tuple(np.array(rows).T) for name, rows in found.items()}


def replay(start: np.ndarray, end: np.ndarray) -> tuple[str, int]:
    """Return how a certificate on published runs ends, and runs per side at its last look."""
    looks = certificate_looks(0.05)
    for at, look in enumerate(looks):
        if min(len(start), len(end)) < look.runs:
            return "too few runs", min(len(start), len(end))
        verdict = judge_sides(Sides(start, end), look, 0.0, last=at == len(looks) - 1).verdict
        if verdict != "go on":
            return verdict, look.runs
    return "not certified", looks[-1].runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--track", default="track_1_short")
    arguments = parser.parse_args()
    found = list(groups(arguments.table, arguments.track).items())
    counts: Counter[str] = Counter()
    print("| attempt | runs | minutes before | minutes | verdict on time | runs per side |\n|---|---|---|---|---|---|")
    for (_, (before, _)), (name, (after, _)) in pairwise(found):
        verdict, runs = replay(before, after)
        faster = "faster" if after.mean() < before.mean() else "slower"
        counts[f"{faster}, {verdict}"] += 1
        if verdict != "too few runs":
            short = name.split("/", 1)[1]
            print(f"| {short} | {len(after)} | {before.mean():.3f} | {after.mean():.3f} | {verdict} | {runs} |")
    print(f"\n{len(found)} attempts: " + "; ".join(f"{what} {number}" for what, number in counts.most_common()))


if __name__ == "__main__":
    main()
