"""A training that is reproducible, in a module that a fresh interpreter loads quickly."""

from __future__ import annotations

import numpy as np


def curve(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"loss": rng.normal(size=20), "weights": rng.normal(size=(3, 3))}
