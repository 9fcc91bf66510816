"""The seed audit.

Twelve runs, 200 logged steps. Honest runs must not be called dependent, and runs with the same batches must be found.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

import runspread as rs
from simulations.promises import Promise, promise


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of data sets."""
    sets = max(50, round(500 * scale))
    for shared, noise, promised in ((0, 0.8, (0.0, 0.02)), (2, 0.8, (0.95, 1.0))):
        rng = np.random.default_rng([10, shared])
        failed = []
        for _ in range(sets):
            batch = rng.normal(size=(12, 200))
            if shared:
                batch[1] = batch[0]
            losses = np.exp(-np.arange(200) / 40) + 0.7
            losses = losses + 0.1 * (noise * batch + math.sqrt(1 - noise**2) * rng.normal(size=(12, 200)))
            evidence = rs.RunEvidence.from_arrays(seeds={"order": list(range(12))}, losses=losses)
            failed.append(not rs.audit(evidence).passed)
        which = "two of twelve runs share their batches" if shared else "all runs independent"
        setting = f"{which}; batches make {100 * noise**2:.0f} % of a step's variance"
        yield promise("runs are called dependent", setting, promised, failed)
