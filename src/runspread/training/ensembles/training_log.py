"""The log of a batch or hyper-batch ensemble's training, as files beside the ensemble hold it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...nn import EnsembleTraining

ARRAYS = ("losses", "tuning_steps", "tuning_losses", "lower", "upper", "mean", "low", "high")


def log_arrays(log: EnsembleTraining) -> dict[str, NDArray[Any]]:
    """Return the arrays of a log: losses, and the way of the bounds."""
    return {name: getattr(log, name) for name in ARRAYS}


def log_facts(log: EnsembleTraining) -> dict[str, Any]:
    """Return what a log holds besides arrays."""
    return {"hyperparameters": list(log.names), "seconds": log.seconds, "warnings": list(log.warnings)}


def read_log(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> EnsembleTraining:
    """Return the log that `log_arrays` and `log_facts` described."""
    values: dict[str, Any] = {name: np.array(arrays[name]) for name in ARRAYS}
    return EnsembleTraining(
        **values,
        names=tuple(facts["hyperparameters"]),
        seconds=float(facts["seconds"]),
        warnings=tuple(facts["warnings"]),
    )
