"""Runs that both configurations of a comparison hold: one and the same training, given twice."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._reading.copies import copied_outcomes
from ..._words import count, listed
from ...errors import InputError
from .sides import Side
from .statistics import RunStatistics

_NAMED = 3


def shared_runs(old: Side, new: Side) -> tuple[str, ...]:
    """Return what to say of runs that are in both configurations, by outcomes that are equal beyond chance.

    Raises
    ------
    InputError
        One configuration has no run that the other lacks.
    """
    first, second = old.all_runs, new.all_runs
    found = copied_outcomes(
        _keys(first, second), np.concatenate([first.correct, second.correct]), first.right + second.right
    )
    both = [group for group in found.groups if group[0] < first.n_runs <= group[-1]]
    if not both:
        return ()
    ids = [f"{side.label}: {run}" for side in (old, new) for run in side.run_ids]
    named = listed([" = ".join((ids[group[0]], ids[group[-1]])) for group in both], most=_NAMED)
    in_old = sum(run < first.n_runs for group in both for run in group)
    in_new = sum(map(len, both)) - in_old
    if in_old == first.n_runs or in_new == second.n_runs:
        a, b = (old, new) if in_new == second.n_runs else (new, old)
        raise InputError(
            f"{count(b.all_runs.n_runs, 'run')} of {b.label}, of which {a.label} has every one ({named})",
            "the runs of two configurations",
            "Pass other runs as the new configuration; how far the runs of one differ is what variance() tells.",
        )
    return (
        f"{count(len(both), 'run')} {'is' if len(both) == 1 else 'are'} in both configurations ({named}): the "
        "difference and its interval are those of runs that are partly the same. Exclude them from one of the two.",
    )


def _keys(first: RunStatistics, second: RunStatistics) -> list[Any]:
    """Return what is equal where all outcomes of two runs are: correctness where both have kept it."""
    a, b = first.packed, second.packed
    if a is None or b is None:
        return [*first.fingerprints, *second.fingerprints]
    width = -(-first.n_examples // 8)
    return [row.tobytes() for packed in (a, b) for row in packed[:, :width]]
