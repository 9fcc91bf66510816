"""Small studies with known content, for tests of what lies above the study floor."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import runspread as rs


def make_study(path: Path, runs: int = 6, examples: int = 80, classes: int = 4, *, seed: int = 0) -> rs.Study:
    """Return a study of `runs` runs whose logits scatter around the truth, with two metrics."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=examples)
    study = rs.create_study(path, splits={"test": labels})
    truth = np.eye(classes)[labels]
    for number in range(runs):
        with study.record(seeds=number, hyperparameters={"lr": 0.1}) as run:
            for step in range(1, 6):
                run.log(step, loss=1 / step + 0.01 * rng.random(), accuracy=1 - 1 / (step + 1))
            run.predictions("test", 2 * truth + rng.normal(size=truth.shape))
            run.weights({"layer.weight": rng.normal(size=(3, 4))})
    return study


def small_recipe() -> rs.training.Recipe:
    """Return the recipe that the fixture `trained_study` trains."""
    splits = {"train_examples": 1000, "validation": 300, "evaluate": ("validation", "test")}
    return rs.recipe("digits-mlp", epochs=4, hidden=(16,), **splits)
