"""Runs of which copies count once: statistics without the copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..._reading.copies import Copies
from ..._reading.correctness import CorrectOutcomes, Outcomes, PredictedOutcomes
from ...errors import CorruptShardError
from ..audit.auditing import copied_runs
from .statistics import RunStatistics

_MOST_OUTPUTS = 2000  # runs whose outputs are looked at for near copies; of more, equal predictions tell


def copies_of(source: Any, statistics: RunStatistics, outcomes: Outcomes | None) -> Copies:
    """Return which of the runs that were counted are one run; `source` is what was counted."""
    if statistics.n_runs > _MOST_OUTPUTS:
        return statistics.copies
    try:
        return copied_runs(source, statistics, outcomes)
    except CorruptShardError:  # in what the audit looks at, of which the method has no need
        return statistics.copies


def without_copies(
    statistics: RunStatistics, outcomes: Outcomes | None, copies: Copies, settings: Mapping[str, Any]
) -> RunStatistics | None:
    """Return the statistics in which copies count once; None where the correctness of each run is not known."""
    if isinstance(outcomes, (PredictedOutcomes, CorrectOutcomes)):
        keep = np.zeros_like(outcomes.keep)
        keep[np.flatnonzero(outcomes.keep)[copies.distinct]] = True
        return RunStatistics.from_outcomes(outcomes.only(keep), **settings)
    if statistics.packed is None:
        return None
    once = RunStatistics(n_examples=statistics.n_examples, n_runs=copies.n_distinct, votes=False, keep_bits=True)
    once.update_correct(statistics.packed[copies.distinct, : -(-statistics.n_examples // 8)], packed=True)
    return once
