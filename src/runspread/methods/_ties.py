"""What counts as equal where numbers are ranked: those that differ by no more than rounding.

An average of ten outputs of 0.1 is 0.1 but for its last bits, and which bits depends on the processor. Whatever ranks
or chooses must call the two equal, or the answer depends on the processor too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BITS = 36  # what differs by 2^-36 is equal: averages of thousands are exact to 2^-45, no measurement has eleven digits
ABSURD = 64  # no output is as large as 2^64, but a mask may be, or a run that diverged
GAP = 10  # empty octaves between outputs and a mask (-1e9)
RESIDUE = 40  # so many octaves below the largest, what is left of it is rounding
OFFSET = 1100  # a double's exponents are from -1073 to 1024
ROUNDING = 1e-12  # scores that differ by this, relative to 1 or to themselves, are equal

Floats = NDArray[np.float64]


def tolerance(values: Floats) -> float:
    """Return up to which difference outputs are equal: 2^-36 of the largest.

    Masks and runs that diverged do not count: magnitudes beyond 2^64, and those that are far above all others.
    """
    _, exponents = np.frexp(values[np.isfinite(values) & (values != 0)])
    octaves = np.flatnonzero(np.bincount(exponents + OFFSET)) - OFFSET
    if not octaves.size:
        return 0.0
    sane = octaves[octaves <= ABSURD]
    octaves = sane if sane.size else octaves
    for below in np.flatnonzero(np.diff(octaves) > GAP)[::-1]:
        if octaves[below] <= octaves[-1] - RESIDUE:
            break
        octaves = octaves[: below + 1]
    return 2.0 ** (int(octaves[-1]) - 1 - BITS)


def starts_of(ordered: Floats, equal_up_to: float) -> NDArray[np.bool_]:
    """Return which of sorted values are the first of a group of equal ones."""
    with np.errstate(invalid="ignore"):
        steps = np.diff(ordered)
    return np.append(True, ~(steps <= equal_up_to) & (ordered[1:] != ordered[:-1]))


def merge(*samples: Floats) -> tuple[Floats, ...]:
    """Return samples in which values that are equal but for rounding are equal to the smallest of them.

    All others stay exactly what they are.
    """
    pooled = np.sort(np.concatenate([sample.ravel() for sample in samples]))
    smallest = merge_sorted(pooled, tolerance(pooled))
    if smallest is pooled:
        return samples
    return tuple(smallest[np.searchsorted(pooled, sample)] for sample in samples)


def merge_sorted(ordered: Floats, equal_up_to: float) -> Floats:
    """Return sorted values with the smallest of each group of equal ones in their place; the same array if it is so."""
    starts = starts_of(ordered, equal_up_to)
    if np.array_equal(starts[1:], ordered[1:] != ordered[:-1]):
        return ordered
    return ordered[starts][np.cumsum(starts) - 1]


def ranks_among(ordered: Floats, values: Floats, equal_up_to: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return how many of sorted values are below, and at or below, each of some others; one array without ties."""
    left = np.searchsorted(ordered, values - equal_up_to, side="left")
    right = np.searchsorted(ordered, values + equal_up_to, side="right")
    return left, left if np.array_equal(left, right) else right


def snap(values: Floats) -> Floats:
    """Return values [n] rounded to 36 binary digits: of their own size, or of the median size where they are smaller.

    So 0.93 - 0.92 and 0.92 - 0.91 are equal, and a rest of 1e-17 is zero; one value of 1e12 takes no digits from the
    others. Order is kept, though values closer than the grid become ties.
    """
    sizes = np.abs(values)
    usual = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not len(usual):
        return values
    _, exponents = np.frexp(np.maximum(sizes, np.median(usual)))
    steps = np.ldexp(1.0, np.clip(exponents - BITS, -1000, 1000))
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(values), np.round(values / steps) * steps, values)


def first_smallest(scores: Floats) -> int:
    """Return the first position of the smallest score, or of one that is so but for rounding; NaN counts as none."""
    low = np.nanmin(scores)
    return int(np.argmax(scores <= low + ROUNDING * max(1.0, abs(low))))


def ranks(scores: Floats) -> NDArray[np.int64]:
    """Return the rank of each score, from 0, smallest first; those that are equal but for rounding share one."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    with np.errstate(invalid="ignore"):
        apart = np.diff(ordered) > ROUNDING * np.maximum(1.0, np.abs(ordered[:-1]))
    found = np.empty(len(scores), dtype=np.int64)
    found[order] = np.append(0, np.cumsum(apart))
    return found


def ranking(scores: Floats) -> NDArray[np.intp]:
    """Return the positions of the scores, the smallest first, in their order where they are equal but for rounding."""
    return np.argsort(ranks(scores), kind="stable")


def top_class(sums: Floats, count: float = 1.0) -> NDArray[np.intp]:
    """Return the first of the largest classes, but for rounding, of sums [..., classes] of `count` runs' outputs."""
    top = sums.max(-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        nearly = np.where(np.isfinite(top), top - ROUNDING * (count + np.abs(top)), top)
    return (sums >= nearly).argmax(-1)


def predicted_class(sums: Floats, count: float = 1.0) -> NDArray[np.intp]:
    """Return `top_class` of summed logits; of one column, the log-odds of class 1, whether it is above 0."""
    if sums.shape[-1] == 1:
        return (sums[..., 0] > ROUNDING * count).astype(np.intp)
    return top_class(sums, count)
