"""The scripts behind docs/studies/gate.md: the small training learns, and the replay reads a table of attempts."""

from __future__ import annotations

import importlib
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "studies"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(FOLDER), str(FOLDER / "gate"), *sys.path])
    return importlib.import_module


def test_the_small_training_learns_and_its_bugs_show(script):
    training = script("small_training")
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=600)
    x = np.eye(10)[y].repeat(4, axis=1) + 0.3 * rng.normal(size=(600, 40))
    images = training.Images(x[:300], y[:300], x[300:], y[300:])
    clean = training.Options()
    first, again = (training.train(images, clean, 3) for _ in range(2))
    assert first[0] == again[0]
    assert first[1] > 0.9
    assert training.train(images, clean, 4)[0] != first[0]
    for changes in script("bugs").BUGS.values():
        assert training.train(images, clean.but(**changes), 3)[0] > 0
    assert training.train(images, clean.but(momentum=0.0), 3)[0] > first[0]


def test_the_replay_says_what_so_many_runs_can_certify(script, tmp_path):
    table = tmp_path / "attempts.csv"
    rows = [
        f"t/{name},{k},1,3.27,{time + k}" for name, time in (("a", 9e5), ("b", 8e5), ("c", 8.5e5)) for k in range(5)
    ]
    table.write_text("\n".join(["group,run,steps,val_loss,train_time_ms", *rows, "t/d,0,1,3.27,1000"]))
    speedrun = script("speedrun")
    found = speedrun.groups(table, "t")
    times = [times for times, _ in found.values()]
    said = [speedrun.replay(before, after) for before, after in pairwise(times)]
    assert said == [("certified", 5), ("not certified", 5), ("too few runs", 1)]
