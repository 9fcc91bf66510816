"""An automated loop on the recipe mnist-mlp-small: 100 tries with planted improvements and traps, and the truth.

Run from the repository root: ``python studies/gate/loop.py --data ../shared/data/mnist``. The outcome is the
test loss of runs that are trained as `runspread train` trains them; the truth is the difference of 200 fresh runs of
the start and of the end. Needs PyTorch.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import runspread as rs

START: dict[str, Any] = {"hidden": (16, 16), "lr": 0.02, "epochs": 2.0}
SMALL: dict[str, Any] = {"train_examples": 4000, "test_examples": 2000, "keep_weights": False}
HELP = ("a rate of 1.3 times", "one epoch more", "8 units more")
HARM = (
    "a rate of 0.6 times",
    "less momentum",
    "decay of 100 times",
    "smoother labels",
    "dropout",
    "a rate that diverges",
)
NOTHING = ("nothing",)  # luck may keep it


def changed(now: dict[str, Any], what: str) -> dict[str, Any]:
    """Return settings after one change."""
    width = now["hidden"][0]
    return (
        now
        | {
            "a rate of 1.3 times": {"lr": 1.3 * now["lr"]},
            "one epoch more": {"epochs": now["epochs"] + 1},
            "8 units more": {"hidden": (width + 8, width + 8)},
            "a rate of 0.6 times": {"lr": 0.6 * now["lr"]},
            "less momentum": {"momentum": now.get("momentum", 0.9) - 0.1},
            "decay of 100 times": {"weight_decay": 0.05},
            "smoother labels": {"label_smoothing": now.get("label_smoothing", 0.0) + 0.1},
            "dropout": {"dropout": 0.3},
            "a rate that diverges": {"lr": 1e6},
            "nothing": {},
        }[what]
    )


class Trainings:
    """Trains the recipe and returns test losses; NaN for a run that diverged."""

    def __init__(self, data: str) -> None:
        self.recipe = rs.recipe("mnist-mlp-small", data=data, **SMALL)

    def losses(self, settings: dict[str, Any], seed: int, runs: int = 1) -> np.ndarray:
        """Return the test loss of each run."""
        recipe = self.recipe.replace(**settings, record=f"{settings['epochs']:g} epochs")
        with tempfile.TemporaryDirectory() as folder:
            study = rs.train(recipe, runs=runs, seed=seed, out=Path(folder) / "runs")
            found = study.metrics().get("test_loss")
            finished = np.empty(0) if found is None else np.asarray(found.values)[:, -1]
        finished = finished[np.isfinite(finished)]
        return finished if len(finished) == runs else np.append(finished, np.full(runs - len(finished), math.nan))


def attempt(trainings: Trainings, gate: rs.campaigns.Gate, states: dict[str, dict[str, Any]], state: str) -> bool:
    """Run one try until it is decided; return whether it is kept."""
    one = gate.attempt(state)
    while (seed := one.next_seed()) is not None:
        begun = time.monotonic()
        value = float(trainings.losses(states[seed.state], int(seed))[0])
        one.record(value, seed=seed, seconds=time.monotonic() - begun)
    return one.kept


def climb(trainings: Trainings, gate: rs.campaigns.Gate, tries: int, seed: int) -> dict[str, dict[str, Any]]:
    """Try changes one after the other: one in five is planted to help, two to harm, two change nothing."""
    rng, states, kept = np.random.default_rng(seed), {"start": START}, "start"
    attempt(trainings, gate, states, "start")
    for number in range(1, tries + 1):
        pool = (HELP, HARM, HARM, NOTHING, NOTHING)[rng.integers(5)]
        what = pool[rng.integers(len(pool))]
        state = f"{number}: {what}"
        states[state] = changed(states[kept], what)
        kept = state if attempt(trainings, gate, states, state) else kept
    return states


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with train.parquet and test.parquet of MNIST")
    parser.add_argument("--tries", type=int, default=100)
    parser.add_argument("--fresh", type=int, default=200, help="runs of start and end that say what is true")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    trainings, begun = Trainings(arguments.data), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        gate = rs.gate(Path(folder) / "loop.gate.jsonl", metric="test_loss")
        states = climb(trainings, gate, arguments.tries, arguments.seed)
        status = gate.status()
        claim = gate.certify(lambda state, seed: float(trainings.losses(states[state], seed)[0]))
    start, end = (
        trainings.losses(states[one], 10**6 + at, arguments.fresh) for at, one in enumerate((claim.start, claim.end))
    )
    truth = np.nanmean(start) - np.nanmean(end)
    error = math.sqrt(sum(np.nanvar(side, ddof=1) / np.isfinite(side).sum() for side in (start, end)))
    kept = [row.name for row in status.attempts if row.decision == "keep"]
    cost = status.cost
    print(f"{cost.tries} tries, {len(kept)} kept, {cost.runs} runs of the climb, of which {cost.failed} failed")
    print(f"kept: {'; '.join(kept)}")
    print(f"the end: {states[claim.end]}")
    print(f"bar against the first runs: {status.attempts[0].mean - status.bar:.4f} (no estimate)")
    print(claim.sentence())
    print(f"truth on {arguments.fresh} fresh runs each: {truth:.4f}, standard error {error:.4f}")
    print(f"{time.process_time() - begun:.0f} s of one core")


if __name__ == "__main__":
    main()
