"""Learning-rate schedules: a factor for every step, times each run's own base learning rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._checks import check_choice

SCHEDULES = ("constant", "linear", "cosine", "drops")


def schedule_factors(
    schedule: str,
    total: int,
    per_epoch: int,
    *,
    warmup: float = 0.0,
    drops: tuple[float, ...] = (),
    factor: float = 0.1,
) -> NDArray[np.float64]:
    """Return what multiplies the base learning rate at steps ``0..total-1``.

    Parameters
    ----------
    schedule : {"constant", "linear", "cosine", "drops"}
        "linear" and "cosine" go from 1 (after the warm-up) to 0 (at `total`).
    total, per_epoch : int
        Steps in all and steps per epoch; with ``e = step / per_epoch``,
    warmup : float
        the factor is ``e / warmup`` while ``e < warmup``;
    drops, factor : tuple of float, float
        "drops" gives ``factor ** (number of drops <= e)`` (Wenzel et al., 2020: drops at 60, 120, 160, factor 0.2).
    """
    check_choice(schedule, "schedule", SCHEDULES)
    steps = np.arange(total)
    epochs = steps / per_epoch
    start = warmup * per_epoch
    left = np.clip((total - steps) / max(total - start, 1e-12), 0, 1)
    curves: dict[str, NDArray[np.float64]] = {
        "constant": np.ones(total),
        "linear": left,
        "cosine": 0.5 - 0.5 * np.cos(np.pi * left),
        "drops": np.power(float(factor), np.searchsorted(np.asarray(drops, float), epochs, side="right")),
    }
    if warmup <= 0:
        return curves[schedule]
    return np.where(epochs < warmup, epochs / warmup, curves[schedule])
