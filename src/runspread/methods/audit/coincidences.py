"""Equal first losses: how many chance makes at the resolution at which they were logged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..._reading.copies import equal_groups

_DECIMALS = 7
_LEVEL = 0.005  # expected groups from which on equal losses are put down to chance
_CAUTION = 2.0  # times the chance that the normal distribution gives: losses are not normal
_UNSEEN = 1e-4  # of a loss: its spread over initialisations where all are equal, which is little
_MANTISSAS = ((16, 8), (13, 11))  # lowest bits of single precision that are zero in bfloat16 and half precision

Floats = NDArray[np.float64]


def resolution(values: Floats) -> float:
    """Return the step to which values were rounded: decimals, half precision or bfloat16, shares of a batch.

    Parameters
    ----------
    values : ndarray of float
        Finite, at least one; in double or in single precision.
    """
    single = values.astype(np.float32)
    largest = float(np.abs(values).max())
    found = [float(np.spacing(np.float32(largest))) if (single == values).all() else float(np.spacing(largest))]
    for decimals in range(_DECIMALS):
        if (values.round(decimals).astype(np.float32) == single).all():
            found.append(10.0**-decimals)
            break
    for zeros, digits in _MANTISSAS:
        if largest > 0 and (single.view(np.uint32) & np.uint32(2**zeros - 1) == 0).all():
            found.append(2.0 ** (math.floor(math.log2(largest)) - digits + 1))
    steps = np.diff(np.unique(values))
    if len(steps) > 3:
        multiples = steps / steps.min()
        if (np.abs(multiples - multiples.round()) < 1e-3).all():
            found.append(float(steps.min()))
    return max(found)


def says_nothing(value: float, step: float) -> bool:
    """Return whether a first loss may be that of a network that predicts K classes alike: ln K, as perplexity K."""
    if value <= 0 or value > 20:
        return value <= 0 or abs(value - round(value)) <= step
    classes = max(2, round(math.exp(value)))
    return abs(value - math.log(classes)) <= max(step, 1e-6)


def equal_losses(values: Floats, steps: Floats) -> list[list[int]]:
    """Return the groups of runs whose first losses are equal, all that were logged, beyond what chance makes.

    The chance that two runs agree is taken from the spread of the runs outside the group. Where there are none it is
    that of a small spread, so that losses that were logged coarsely tell nothing.

    Parameters
    ----------
    values : ndarray of float [runs, losses]
        First values of every loss that was logged; NaN where one was not, or tells nothing.
    steps : ndarray of float [losses]
        Their resolution.
    """
    groups = equal_groups(None if np.isnan(row).all() else row.tobytes() for row in values)
    return [list(group) for group in groups if _expected(values, group, steps) < math.log(_LEVEL)]


def can_tell(values: Floats, steps: Floats) -> bool:
    """Return whether the losses are fine enough for one pair of runs with equal ones to be beyond chance."""
    known = np.flatnonzero(np.isfinite(values).any(axis=1))
    return len(known) > 1 and _expected(values, known[:1], steps, size=2) < math.log(_LEVEL)


def _expected(values: Floats, group: Sequence[int] | NDArray[np.intp], steps: Floats, size: int = 0) -> float:
    """Return the logarithm of the expected number of groups of that size that are as equal as `group`."""
    size = size or len(group)
    runs, first = max(size, int(np.isfinite(values).any(axis=1).sum())), int(group[0])
    outside = np.delete(values, group, axis=0)
    pairs = [_log_chance(values[first, k], outside[:, k], float(steps[k])) for k in range(values.shape[1])]
    ways = math.lgamma(runs + 1) - math.lgamma(size + 1) - math.lgamma(runs - size + 1)
    # of losses that hang together the finest counts; with no other run one spread, unknown, makes all of them equal
    return ways + min(pairs, default=0.0) * (size - 1 if size < runs else 1)


def _log_chance(value: float, others: Floats, step: float) -> float:
    """Return the logarithm of the chance that two runs have the same loss, 0 where the loss tells nothing."""
    others = others[np.isfinite(others)]
    if not math.isfinite(value) or (not len(others) and says_nothing(value, step)):
        return 0.0
    spread = _UNSEEN * abs(value)
    if len(others):
        seen = np.append(others, value)
        spread = float(seen.std(ddof=1))
        robust = float(np.subtract(*np.quantile(seen, (0.75, 0.25)))) / 1.349
        spread = min(spread, robust) if len(seen) > 4 and robust > 0 else spread
    if not spread > 0:
        return 0.0
    return min(0.0, math.log(_CAUTION * step / (2 * math.sqrt(math.pi) * spread)))
