"""Studies whose learning rates differ, with outputs and with logged metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import runspread as rs

LABELS = np.arange(80) % 4


def record(path: Path, rates=(0.1,), runs=4, *, outputs=True, seed=0) -> rs.Study:
    """Record runs whose losses grow with the learning rate, one after another."""
    rng = np.random.default_rng(seed)
    study = rs.create_study(path, splits={"test": LABELS})
    for rate in rates:
        for number in range(runs):
            with study.record(seeds=number, hyperparameters={"lr": rate}) as run:
                for step in range(1, 4):
                    run.log(step, val_loss=1 / step + rate + 0.01 * rng.random(), train_loss=rng.random())
                if outputs:
                    run.predictions("test", (2 - rate) * np.eye(4)[LABELS] + rng.normal(size=(80, 4)))
    return study


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    """Studies by name: one configuration, another, two and three learning rates, and one without outputs."""
    folder = tmp_path_factory.mktemp("verbs")
    return {
        "a": record(folder / "a", (0.1,), 5),
        "b": record(folder / "b", (0.3,), 5, seed=1),
        "two": record(folder / "two", (0.1, 0.3)),
        "three": record(folder / "three", (0.1, 0.3, 0.9)),
        "bare": record(folder / "bare", (0.1, 0.3), outputs=False),
    }
