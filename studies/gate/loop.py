"""An automated loop on a real training: 100 tries with planted improvements and traps, certified, against the truth.

Run from the repository root: ``python studies/gate/loop.py --data ../shared/data/mnist``. The truth is the difference
of 200 fresh runs of the start and of the end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent)]

import small_training as training
from small_training import Images, Options

import runspread as rs

HELP = (("lr", 1.25), ("epochs", 1), ("width", 8))  # planted improvements: rate, steps, width
HARM = (("lr", 0.7), ("l2", 20.0), ("init", 1.6), ("wrong_labels", 0.02), ("momentum", 0.85))
NOTHING = (("nothing", 0.0),)  # a trap: a change that changes nothing, which luck may keep


def changed(options: Options, name: str, by: float) -> Options:
    """Return options after one change."""
    if name == "nothing":
        return options
    if name in ("epochs", "width"):
        return options.but(**{name: getattr(options, name) + int(by)})
    if name == "wrong_labels":
        return options.but(wrong_labels=options.wrong_labels + by)
    return options.but(**{name: getattr(options, name) * by})


def climb(images: Images, gate: rs.campaigns.Gate, rng: np.random.Generator, tries: int) -> dict[str, Options]:
    """Try changes one after the other, a fifth of which help."""
    states = {"start": Options(lr=0.02, width=8, epochs=2)}
    attempt(images, gate, states, "start")
    kept = "start"
    for number in range(tries):
        draw = rng.random()
        pool = HELP if draw < 0.2 else HARM if draw < 0.6 else NOTHING
        name, by = pool[rng.integers(len(pool))]
        state = f"{number}: {name}"
        states[state] = changed(states[kept], name, by)
        if attempt(images, gate, states, state):
            kept = state
    return states


def attempt(images: Images, gate: rs.campaigns.Gate, states: dict[str, Options], state: str) -> bool:
    """Run one try until it is decided; return whether it is kept."""
    one = gate.attempt(state)
    while (seed := one.next_seed()) is not None:
        begun = time.monotonic()
        value = training.train(images, states[seed.state], seed)[0]
        one.record(value, seed=seed, seconds=time.monotonic() - begun)
    return one.kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with train.parquet and test.parquet of MNIST")
    parser.add_argument("--tries", type=int, default=100)
    parser.add_argument("--fresh", type=int, default=200, help="runs of start and end that say what is true")
    parser.add_argument("--campaigns", type=int, default=1)
    arguments = parser.parse_args()
    images = Images.load(arguments.data)
    for number in range(arguments.campaigns):
        with tempfile.TemporaryDirectory() as folder:
            gate = rs.gate(Path(folder) / "loop.gate.jsonl", metric="test_loss")
            states = climb(images, gate, np.random.default_rng(number), arguments.tries)
            status = gate.status()
            claim = gate.certify(lambda state, seed: training.train(images, states[state], seed)[0])  # noqa: B023
        start, end = (
            np.array([training.train(images, states[one], 10**6 + k)[0] for k in range(arguments.fresh)])
            for one in (claim.start, claim.end)
        )
        truth = start.mean() - end.mean()
        error = np.sqrt(start.var(ddof=1) / len(start) + end.var(ddof=1) / len(end))
        first = status.attempts[0].mean
        kept = [row.name for row in status.attempts if row.decision == "keep"]
        print(f"\nCampaign {number}: {len(status.attempts) - 1} tries, {len(kept)} kept, {status.cost.runs} runs")
        print(f"kept: {', '.join(kept)}")
        print(f"bar against the first: {first - status.bar:.4f} (no estimate)")
        print(claim.sentence())
        print(f"truth on {arguments.fresh} fresh runs each: {truth:.4f}, standard error {error:.4f}")


if __name__ == "__main__":
    main()
