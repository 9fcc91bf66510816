"""Metrics that say nothing of a run, or nothing that another metric does not say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._words import listed
from ..hmm.parameters import Array, Frames, is_constant

COPY = 1e-6
"""A metric is a copy where this share of its variance is all that others leave unexplained."""
_SAME = 1e-6  # of a metric's range: single precision
_NEAR = 1e-3  # of the range of two runs: what is further apart in them is not the same in all


def not_of_the_run(raw: Frames, at: Sequence[NDArray[Any]], names: Sequence[str], *, within: bool) -> dict[str, str]:
    """Return the metrics that are the same in all runs (an epoch, a schedule), or only count up.

    Parameters
    ----------
    raw : Frames
        Metrics in their own units.
    at : sequence of ndarray [T]
        When each checkpoint was logged.
    names : sequence of str
    within : bool
        Whether each run is standardised on its own, so that a schedule's scale does not matter either.
    """
    parts = raw.split(raw.x)
    counts = np.ones(raw.x.shape[1], dtype=np.bool_)
    for part, when in zip(parts, at, strict=True):
        if not counts.any():
            break
        counts[counts] = _counts_up(part[:, counts], when)
    same = _same(parts, at, np.ptp(raw.x, axis=0))
    scaled = same.copy()
    if within and len({len(part) for part in parts}) == 1:
        # Two runs settle most metrics; only what is alike in them is standardised and compared in all.
        near = ~same & _alike([_standardised(part) for part in parts[:2]], at[:2], tolerance=_NEAR)
        if near.any():
            scaled[near] = _alike([_standardised(part[:, near]) for part in parts], at)
    found: dict[str, str] = {}
    for d, name in enumerate(names):
        if same[d]:
            found[name] = "the same in every run"
        elif scaled[d]:
            found[name] = "the same in every run, up to its scale"
        elif counts[d]:
            found[name] = "counts up evenly in every run"
    return found


def _standardised(part: Array) -> Array:
    mean, deviation = part.mean(axis=0), part.std(axis=0)
    return (part - mean) / np.where(is_constant(mean, deviation), 1.0, deviation)


def _alike(parts: list[Array], at: Sequence[NDArray[Any]], *, tolerance: float = _SAME) -> NDArray[np.bool_]:
    return _same(parts, at, np.ptp(np.concatenate(parts), axis=0), tolerance=tolerance)


def _same(
    parts: list[Array], at: Sequence[NDArray[Any]], scale: Array, *, tolerance: float = _SAME
) -> NDArray[np.bool_]:
    """Return which metrics [D] of range `scale` agree in all runs wherever two of them were logged at the same time."""
    same = np.full(parts[0].shape[1], len(parts) > 1)
    if not same.any():
        return same
    longest = max(range(len(parts)), key=lambda run: len(parts[run]))
    for part, when in zip(parts, at, strict=True):
        here = there = np.arange(len(when))
        if not np.array_equal(when, at[longest]):
            _, here, there = np.intersect1d(when, at[longest], return_indices=True)
        gap = np.abs(part[here] - parts[longest][there])
        same &= (gap <= tolerance * scale).all(axis=0) if len(here) > 1 else False
        if not same.any():
            break
    return same


def _counts_up(part: Array, at: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which metrics [D] of a run go up by the same amount at every checkpoint, or at every step."""
    if len(part) < 3:
        return np.zeros(part.shape[1], dtype=np.bool_)
    found = np.zeros(part.shape[1], dtype=np.bool_)
    for clock in (np.arange(len(part)), at):
        share = ((clock - clock[0]) / (clock[-1] - clock[0]))[:, None]
        line = part[0] + share * (part[-1] - part[0])
        rising = part[-1] > part[0]
        found |= rising & (np.abs(part - line) <= _SAME * np.abs(part[-1] - part[0])).all(axis=0)
    return found


def copies(covariance: Array, n: int, names: Sequence[str]) -> dict[str, str]:
    """Return the metrics that those before them give, but for a millionth of their variance, and which.

    From their covariances [D, D] over `n` checkpoints.

    A full covariance of such metrics is singular: what decides then is rounding, or the prior.
    """
    if n <= 3 * len(names):  # too few rows to know: everything depends on everything
        return {}
    deviation = np.sqrt(np.diagonal(covariance))
    deviation = np.where(deviation > 0, deviation, 1.0)
    products = covariance / deviation[:, None] / deviation
    kept: list[int] = []
    found: dict[str, str] = {}
    for d, name in enumerate(names):
        twin = next((k for k in kept if 1 - products[d, k] ** 2 < COPY), None)
        if twin is not None:
            found[name] = f"a copy of {names[twin]}"
        elif len(kept) > 1 and _left_over(products, kept, d) < COPY:
            found[name] = f"a linear combination of {listed([names[k] for k in kept], most=3)}"
        else:
            kept.append(d)
    return found


def _left_over(products: Array, kept: list[int], d: int) -> float:
    """Return the share of a metric's variance that a regression on those kept leaves, from all products [D, D]."""
    slope = np.linalg.lstsq(products[np.ix_(kept, kept)], products[kept, d], rcond=None)[0]
    return float(products[d, d] - products[kept, d] @ slope)
