"""Which metrics can be modelled together: those that were logged often enough, at steps that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._words import listed

ENOUGH = 10
"""Points that a metric must have in most runs to be modelled unasked."""

Rows = Mapping[str, NDArray[Any]]


def shared_metrics(runs: Sequence[Rows]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the largest set of metrics that most runs logged often enough at common steps, and why not the others.

    Parameters
    ----------
    runs : sequence of mapping of str to ndarray
        For each run the steps (or rows) at which it logged each metric; increasing.

    Returns
    -------
    kept : tuple of str
        Of sets of one size, that with the most common steps. Where none has 10 points in most runs, two are enough: a
        test accuracy that is logged once then stops nobody. All metrics where none has even that.
    dropped : dict of str to str
    """
    names = tuple(dict.fromkeys(name for rows in runs for name in rows))
    counts = {name: np.array([len(rows.get(name, ())) for rows in runs]) for name in names}
    least = next((points for points in (ENOUGH, 2) if any(_often(counts[name], points) for name in names)), None)
    if least is None:
        return names, {}
    often = [name for name in names if _often(counts[name], least)]
    seldom = f"logged fewer than {least} times in most runs"
    sets = [_grown(group, often, runs, least) for group in _alike(often, runs)]
    kept, _ = max(sets, key=lambda found: (len(found[0]), found[1]))
    together = listed([name for name in often if name in kept], most=3)
    dropped = {name: seldom for name in names if name not in often}
    dropped |= {name: f"not logged at the steps of {together}" for name in often if name not in kept}
    return tuple(name for name in names if name in kept), dropped


def _often(counts: NDArray[Any], points: int) -> bool:
    return bool(np.mean(counts >= points) > 0.5)


def _alike(names: Sequence[str], runs: Sequence[Rows]) -> list[list[str]]:
    """Return the metrics in groups that were logged at the same steps in every run."""
    groups: dict[tuple[bytes, ...], list[str]] = {}
    for name in names:
        key = tuple(np.ascontiguousarray(rows.get(name, ())).tobytes() for rows in runs)
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _grown(group: list[str], names: Sequence[str], runs: Sequence[Rows], least: int) -> tuple[list[str], int]:
    """Add to a group, one by one, every other that leaves enough common steps; return it and how many are left."""
    kept, common = list(group), [rows.get(group[0], np.empty(0)) for rows in runs]
    for other in sorted(_alike([n for n in names if n not in group], runs), key=len, reverse=True):
        joint = [
            np.intersect1d(rows.get(other[0], np.empty(0)), steps) for rows, steps in zip(runs, common, strict=True)
        ]
        if np.mean([len(steps) >= least for steps in joint]) > 0.5:
            kept, common = kept + other, joint
    return kept, sum(len(steps) for steps in common)


def common_steps(rows: Rows, names: Sequence[str]) -> NDArray[Any]:
    """Return the steps at which a run logged all of some metrics."""
    return reduce(np.intersect1d, [rows[name] for name in names])
