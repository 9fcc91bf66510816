"""Runs whose floating-point outputs agree too well for two trainings, from one number for each of a sample of examples.

Copies that another machine, batch size or precision made again agree to a small part of the outputs' spread; two
trainings differ by a good part of it, also where all their predictions are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice

import numpy as np
from numpy.typing import NDArray

SAMPLED = 32  # examples, in stretches evenly over the test set: whole pages of a file are read
CLOSE = 1e-3  # of the spread over examples: half precision rounds to half of it, two trainings differ by 0.1 and more
_ALL = 0.95  # of the sampled examples agree in copies
_PART = 0.2  # of them agree in runs of which a part was copied
_FEW, _SOME = 3, 16  # examples that it takes to tell copies, and copies of a part
_ALIKE = 0.05  # of the spread: differences between very similar trainings
_CERTAIN = 0.01  # a probability nearer to 0 or 1 says nothing: it is the same in all good models
_WIDER = 10.0
_CHANCE = 1e-6  # for a pair of runs
_PAIRWISE = 200  # runs up to which all pairs are looked at
_WINDOW = 64  # neighbours in order of a key that are looked at beyond that
_STRETCHES = 4
_BLOCKS = 8
_BATCH = 256
_ABSURD = 300  # binary digits of a size that no outputs of use have

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


def places(examples: int) -> Ints:
    """Return which examples are looked at."""
    if examples <= SAMPLED:
        return np.arange(examples)
    starts = np.arange(_STRETCHES) * (examples - SAMPLED // _STRETCHES) // (_STRETCHES - 1)
    return np.unique(starts[:, None] + np.arange(SAMPLED // _STRETCHES))


def sketches_of(samples: Iterable[NDArray[np.floating]]) -> tuple[Floats, list[bytes | None]]:
    """Return one number for each sampled example of each run [runs, sampled], NaN where it tells nothing.

    Also a digest of each run's sample, None where it holds NaN.

    Parameters
    ----------
    samples : iterable of ndarray [sampled, classes] or [sampled]
        The outputs of one run after the other on the sampled examples.
    """
    found: list[Floats] = []
    heads: list[bytes | None] = []
    samples = iter(samples)
    while batch := list(islice(samples, _BATCH)):
        block = np.stack(batch)
        lost = np.atleast_1d(np.isnan(block).reshape(len(block), -1).any(axis=1))
        heads += [None if nan else blake2b(row, digest_size=16).digest() for row, nan in zip(block, lost, strict=True)]
        found.append(_sketched(block, lost))
    return np.concatenate(found), heads


def _sketched(samples: NDArray[np.floating], lost: NDArray[np.bool_]) -> Floats:
    """Return a weighted sum of each example's outputs; log-odds where outputs are probabilities."""
    values = samples.astype(np.float64).reshape(*samples.shape[:2], -1)
    values[~np.isfinite(values)] = 0.0
    shares = np.flatnonzero(((values > -CLOSE) & (values < 1 + CLOSE)).all(axis=(1, 2)))
    inside = np.clip(values[shares], _CERTAIN, 1 - _CERTAIN)
    values[shares] = np.log(inside / (1 - inside))
    values = _sane(values)
    sums = (values * np.random.default_rng(0).normal(size=values.shape[2])).sum(axis=2)
    certain = (inside == _CERTAIN) | (inside == 1 - _CERTAIN)
    sums[shares] = np.where(certain.all(axis=2), np.nan, sums[shares])
    sums[lost] = np.nan
    return _without_repeats(sums)


def _sane(values: Floats) -> Floats:
    """Return values [runs, ...] with runs of an absurd size (1e300, 1e-310) brought to one that squares fit in."""
    sizes = np.abs(values).max(axis=(1, 2), initial=0.0)
    shift = np.where(
        sizes > 2.0**_ABSURD, -2 * _ABSURD, np.where((sizes > 0) & (sizes < 2.0**-_ABSURD), 2 * _ABSURD, 0)
    )
    return values if not shift.any() else np.ldexp(values, shift[:, None, None])


def _without_repeats(sums: Floats) -> Floats:
    """Return the numbers with NaN where a run has the same for two examples: a class, a mask, a network that died."""
    order = np.argsort(sums, axis=1, kind="stable")
    ordered = np.take_along_axis(sums, order, axis=1)
    same = np.diff(ordered, axis=1) == 0
    edge = np.zeros((len(sums), 1), bool)
    repeated = np.empty_like(sums, bool)
    np.put_along_axis(repeated, order, np.hstack([same, edge]) | np.hstack([edge, same]), axis=1)
    return np.where(repeated, np.nan, sums)


def nearly_equal(sketches: Floats) -> tuple[list[tuple[int, int]], tuple[tuple[int, int, float], ...]]:
    """Return pairs of runs that are copies, and pairs that share a part of their outputs, with the share.

    Parameters
    ----------
    sketches : ndarray of float [runs, sampled]
        See `sketches_of`.
    """
    told = np.flatnonzero(np.isfinite(sketches).sum(axis=1) >= _FEW)
    sketches = sketches[told]
    spread = np.nanstd(sketches, axis=1) if len(sketches) else np.zeros(0)
    near: list[tuple[int, int]] = []
    partial: list[tuple[int, int, float]] = []
    for first, second in _candidates(sketches, spread):
        limit = CLOSE * np.minimum(spread[first], spread[second])[:, None]
        gaps = np.abs(sketches[first] - sketches[second])
        known = np.isfinite(gaps).sum(axis=1)
        agree = (gaps <= limit).sum(axis=1)
        copies = (known >= _FEW) & (agree >= _ALL * known)
        parts = ~copies & (known >= _SOME) & (agree >= _PART * known)
        for at in np.flatnonzero(copies | parts).tolist():
            a, b = int(first[at]), int(second[at])
            step = min(_step(sketches[a]), _step(sketches[b]), _smallest(gaps[at]))
            small = gaps[at][gaps[at] <= limit[at]]
            unit = _ALIKE * float(min(spread[a], spread[b]))
            if copies[at] and _log_chance(np.maximum(small, step / 2) / unit) < math.log(_CHANCE):
                near.append((int(told[a]), int(told[b])))
            wide = _WIDER * max(float(limit[at, 0]), step)
            if parts[at] and _log_part(int(agree[at]), int((gaps[at] <= wide).sum())) < math.log(_CHANCE):
                partial.append((int(told[a]), int(told[b]), float(agree[at] / known[at])))
    return near, tuple(partial)


def _step(row: Floats) -> float:
    """Return the smallest difference of a run's numbers: that to which they were rounded, where they were."""
    return _smallest(np.diff(np.sort(row[np.isfinite(row)])))


def _smallest(differences: Floats) -> float:
    """Return the smallest difference above zero."""
    return float(np.min(differences[differences > 0], initial=math.inf))


def _log_chance(gaps: Floats) -> float:
    """Return the logarithm of the chance of differences as small as these, which run evenly from 0 to 1 otherwise."""
    return float(np.log(np.clip(gaps, 1e-30, 1.0)).sum())


def _log_part(agree: int, around: int) -> float:
    """Return the logarithm of the chance that so many of those differences that are small are very small."""
    ways = math.lgamma(around + 1) - math.lgamma(agree + 1) - math.lgamma(around - agree + 1)
    return ways - agree * math.log(_WIDER)


def _candidates(sketches: Floats, spread: Floats) -> Iterator[tuple[Ints, Ints]]:
    """Yield positions of pairs of runs that may agree: all of few runs, of many those that agree in a block."""
    runs = len(sketches)
    if runs <= _PAIRWISE:
        for first in range(runs - 1):
            yield np.full(runs - 1 - first, first), np.arange(first + 1, runs)
        return
    rng = np.random.default_rng(0)
    seen = np.zeros(0, np.int64)
    for block in np.array_split(np.nan_to_num(sketches), _BLOCKS, axis=1):
        keys = block @ rng.choice([-1.0, 1.0], (block.shape[1], 2)) if block.shape[1] else np.zeros((runs, 2))
        pairs = _neighbours(keys, 2 * CLOSE * spread * math.sqrt(max(1, block.shape[1])))
        pairs = np.setdiff1d(pairs, seen)
        seen = np.union1d(seen, pairs)
        if len(pairs):
            yield np.divmod(pairs, runs)


def _neighbours(keys: Floats, limit: Floats) -> NDArray[np.int64]:
    """Return pairs of runs whose two keys agree to within `limit`, as ``first * runs + second``."""
    runs = len(keys)
    order = np.argsort(keys[:, 0], kind="stable")
    keys, limit = keys[order], limit[order]
    found: list[NDArray[np.int64]] = []
    for step in range(1, min(_WINDOW, runs - 1) + 1):
        near = np.flatnonzero(keys[step:, 0] - keys[:-step, 0] <= limit[step:])
        if not len(near):
            break
        near = near[np.abs(keys[near + step, 1] - keys[near, 1]) <= limit[near]]
        ends = np.sort(np.stack([order[near], order[near + step]]), axis=0)
        found.append(ends[0] * runs + ends[1])
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
