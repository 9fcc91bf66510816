"""Several tries at an item: one of k right, all k right, and how often two answers differ (evals 6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError

Floats = NDArray[np.float64]


def _none_of(n: NDArray[np.int64], c: NDArray[np.int64], k: int) -> Floats:
    """Return C(n - c, k) / C(n, k) as a product, which neither overflows nor cancels; 0 where it has to be."""
    steps = np.arange(k)
    terms = (n - c)[..., None] - steps
    return np.prod(np.maximum(terms, 0) / (n[..., None] - steps), axis=-1)


def _checked(n: ArrayLike, c: ArrayLike, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    samples, right = np.broadcast_arrays(np.asarray(n, np.int64), np.asarray(c, np.int64))
    if k < 1 or (samples < k).any():
        raise InputError(
            f"k={k} with {int(samples.min())} samples of an item",
            "k from 1 to the number of samples",
            "More tries than samples are not known from these answers.",
        )
    if (right < 0).any() or (right > samples).any():
        raise InputError("more right answers than answers, or fewer than none", "0 to n right answers")
    return samples, right


def one_of(n: ArrayLike, c: ArrayLike, k: int) -> Floats:
    """Return pass@k of items with `n` samples, `c` of them right: the chance that one of k is right (unbiased)."""
    samples, right = _checked(n, c, k)
    return 1 - _none_of(samples, right, k)


def all_of(n: ArrayLike, c: ArrayLike, k: int) -> Floats:
    """Return pass^k of items: the chance that all k are right (unbiased)."""
    samples, right = _checked(n, c, k)
    return _none_of(samples, samples - right, k)


def flips_within(n: Floats, right: Floats) -> Floats:
    """Return the chance that two samples of a cell differ in correctness; NaN below two samples."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 1, 2 * right * (n - right) / (n * (n - 1)), np.nan)


def flips_across(p: Floats) -> Floats:
    """Return for each item the chance that samples of two seeds differ, the mean over pairs of seeds present.

    Parameters
    ----------
    p : ndarray of float [seeds, items]
        Share of right samples; NaN where missing.
    """
    known = ~np.isnan(p)
    filled = np.where(known, p, 0.0)
    seeds, total, squares = known.sum(axis=0), filled.sum(axis=0), np.square(filled).sum(axis=0)
    pairs = seeds * (seeds - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        products = (total**2 - squares) / pairs  # mean over ordered pairs of p_s p_t
        return np.where(pairs > 0, 2 * total / seeds - 2 * products, np.nan)
