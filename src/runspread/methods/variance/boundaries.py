"""Group-sequential boundaries: how large a statistic must be at each look so that all looks together keep the level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice

SPENDING = ("obrien-fleming", "pocock")
_NODES = 401


class _Density(NamedTuple):
    """The density of the statistic at a look among the paths that go on: nodes, and values times weights."""

    nodes: NDArray[np.float64]
    mass: NDArray[np.float64]


def spending(fraction: float, alpha: float, kind: str) -> float:
    """Return the level spent when a fraction of the information is in (Lan and DeMets 1983)."""
    from scipy.special import ndtr, ndtri

    if kind == "pocock":
        return alpha * math.log1p((math.e - 1) * fraction)
    return float(4 * ndtr(ndtri(alpha / 4) / math.sqrt(fraction)))  # each side spends half by its own function


def sequential_boundaries(information: Sequence[float], alpha: float, kind: str = "pocock") -> NDArray[np.float64]:
    """Return the two-sided boundary of the standardised statistic at each look.

    The statistics have independent increments: ``Cov(Z_j, Z_k) = sqrt(I_j / I_k)`` for j < k. The recursion is that of
    Armitage, McPherson and Rowe (1969), by Simpson's rule.

    Parameters
    ----------
    information : sequence of float [looks]
        Information at each look, increasing.
    alpha : float
        Level that all looks together keep.
    kind : {"pocock", "obrien-fleming"}
        How the level is spent: evenly, which stops early, or at the end, which hardly lowers the power.

    Returns
    -------
    ndarray of float64 [looks]
        abs(Z) at or above it stops the trial at that look.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.variance.sequential_boundaries([0.5, 1.0], 0.05).round(2)
    array([2.16, 2.2 ])
    """
    check_choice(kind, "kind", SPENDING)
    times = np.asarray(information, np.float64) / information[-1]
    bounds = np.empty(len(times))
    spent, density, before = 0.0, None, 0.0
    for look, time in enumerate(times.tolist()):
        level = spending(time, alpha, kind)
        bounds[look] = _boundary(density, before, time, level - spent)
        density = _go_on(density, before, time, bounds[look])
        spent, before = level, time
    return bounds


def _boundary(density: _Density | None, before: float, time: float, level: float) -> float:
    """Return the boundary that is crossed for the first time at this look with probability `level`."""
    from scipy.optimize import brentq
    from scipy.special import ndtri

    if density is None:
        return float(-ndtri(level / 2))
    return float(brentq(lambda z: _crossing(density, before, time, z) - level, 1e-6, 12.0, xtol=1e-10))


def _crossing(density: _Density, before: float, time: float, bound: float) -> float:
    """Return the probability of having gone on so far and being beyond the boundary now."""
    from scipy.special import ndtr

    scale, step = math.sqrt(time), math.sqrt(time - before)
    start = density.nodes * math.sqrt(before)
    outside = ndtr((-bound * scale - start) / step) + ndtr((start - bound * scale) / step)
    return float(density.mass @ outside)


def _go_on(density: _Density | None, before: float, time: float, bound: float) -> _Density:
    """Return the density inside the boundary at this look."""
    nodes = np.linspace(-bound, bound, _NODES)
    weights = np.ones(_NODES)
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    weights *= (nodes[1] - nodes[0]) / 3
    if density is None:
        values = np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
    else:
        scale, variance = math.sqrt(time), time - before
        gaps = nodes[:, None] * scale - density.nodes * math.sqrt(before)
        values = np.exp(-(gaps**2) / (2 * variance)) @ density.mass * scale / math.sqrt(2 * math.pi * variance)
    return _Density(nodes, values * weights)
