"""Scale and shape of one spectrum as single numbers: norms, ranks, entropy, the trace-log condition, distances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from ...errors import InputError
from .marchenko_pastur import HALF_WIDTH, triangular_density
from .powerlaw import PowerLawFit, fit_power_law
from .singular_values import Spectrum
from .tails import Floats

_WW_EPSILON = 1e-10
_SUBDIVISIONS = 8  # of each piece of two densities in their distance
_WW_WEAK = 1e-6  # WeightWatcher's absolute bound of a weak eigenvalue


def scale_numbers(eigenvalues: Floats) -> dict[str, float]:
    """Return norms and stable rank of ascending eigenvalues, not all zero (Martin and Mahoney, 2021)."""
    total, largest = float(np.sum(eigenvalues)), float(eigenvalues[-1])
    return {
        "norm": total,
        "log_norm": float(np.log10(total)),
        "spectral_norm": largest,
        "log_spectral_norm": float(np.log10(largest)),
        "stable_rank": total / largest,
    }


def rank_numbers(spectrum: Spectrum) -> dict[str, float]:
    """Return rank, rank loss, singular values and entropy, with the rank above the rounding floor."""
    return {
        "matrix_rank": spectrum.rank,
        "rank_loss": spectrum.n - spectrum.rank,
        "weak_rank_loss": int(np.sum(spectrum.eigenvalues < _WW_WEAK * spectrum.eigenvalues[-1])),
        "entropy": spectral_entropy(spectrum.eigenvalues),
        "sv_max": float(np.sqrt(spectrum.eigenvalues[-1])),
        "sv_min": float(np.sqrt(spectrum.eigenvalues[0])),
    }


def spectral_entropy(eigenvalues: Floats) -> float:
    """Return the Shannon entropy of the normalised eigenvalues over its largest possible value, ``ln n``."""
    if len(eigenvalues) < 2:
        return float("nan")
    share = eigenvalues[eigenvalues > 0] / np.sum(eigenvalues)
    return float(-np.sum(share * np.log(share)) / np.log(len(eigenvalues)))


def weightwatcher_rank_numbers(spectrum: Spectrum) -> dict[str, float]:
    """Return the same numbers as WeightWatcher 0.7.7 defines them, its pooled ``sv_min`` (a maximum) included."""
    singular = np.sqrt(spectrum.eigenvalues)
    by_block = np.sqrt(spectrum.block_eigenvalues)
    rank = _weightwatcher_rank(singular, spectrum.N)
    share = spectrum.eigenvalues / np.sum(spectrum.eigenvalues) + _WW_EPSILON
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.sum(share * np.log(share)) / np.log(rank + _WW_EPSILON)
    return {
        "matrix_rank": rank,
        "rank_loss": sum(spectrum.M - _weightwatcher_rank(block, spectrum.N) for block in by_block),
        "weak_rank_loss": int(np.sum(spectrum.eigenvalues < _WW_WEAK)),
        "entropy": float(entropy),
        "sv_max": float(singular[-1]),
        "sv_min": float(np.max(np.min(by_block, axis=1))),
    }


def _weightwatcher_rank(singular: Floats, large: int) -> int:
    return int(np.sum(singular > np.max(singular) * large * 2.0**-52))


def log_alpha_norm(eigenvalues: Floats, alpha: float) -> float:
    """Return ``log10 sum lambda^alpha`` without overflow."""
    from scipy.special import logsumexp

    positive = eigenvalues[eigenvalues > 0]
    return float(logsumexp(alpha * np.log(positive)) / np.log(10))


def trace_log(eigenvalues: Floats) -> tuple[int, float]:
    """Return how many top eigenvalues have a product near one once the mean is one, and the smallest of them.

    The exact renormalisation group condition (``detX`` in WeightWatcher): the product of the rescaled eigenvalues from
    the top is followed downwards until it falls below one; without such a place all eigenvalues count.

    Returns
    -------
    count : int
        ``detX_num``.
    smallest : float
        ``detX_val``, in the unit of the eigenvalues.
    """
    n = len(eigenvalues)
    with np.errstate(divide="ignore"):
        logs = np.log(eigenvalues * (n / np.sum(eigenvalues)))
    products = np.cumsum(logs[:0:-1])  # from the top down to the second smallest
    below = np.flatnonzero(products < 0)
    if not below.size:
        return n, float(eigenvalues[min(1, n - 1)])
    return int(below[0]) + 1, float(eigenvalues[n - 1 - below[0]])


def spectral_distance(first: ArrayLike, second: ArrayLike) -> float:
    """Return the Jensen-Shannon distance of two spectra of equal length, compared position by position.

    The ascending eigenvalues are normalised and read as discrete distributions, as WeightWatcher's ``rand_distance``
    does. It is not a distance between densities: see `density_distance`.

    Parameters
    ----------
    first, second : array_like [n]
        Eigenvalues.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> weight = rng.normal(size=(160, 100)) @ np.diag(np.arange(1, 101.0) ** -0.6)  # a heavy tail
    >>> values = rs.methods.spectra.spectrum(weight).eigenvalues
    >>> rs.methods.spectra.spectral_distance(values, values)
    0.0
    """
    a, b = (np.sort(np.asarray(values, dtype=np.float64)) for values in (first, second))
    if a.shape != b.shape:
        raise InputError(f"got {a.size} and {b.size} eigenvalues", "two spectra of one length")
    return _jensen_shannon(a / np.sum(a), b / np.sum(b), (a + b) / np.sum(a + b))


def density_distance(first: ArrayLike, second: ArrayLike) -> float:
    """Return the Jensen-Shannon distance between the densities of two sets of eigenvalues.

    The densities are the kernel estimates of `fit_marchenko_pastur`, in units of the mean of `first`; both are linear
    between the ends and centres of all kernels, so the integral is taken over these points alone.

    Parameters
    ----------
    first, second : array_like
        Eigenvalues, of any two lengths.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> weight = rng.normal(size=(160, 100)) @ np.diag(np.arange(1, 101.0) ** -0.6)  # a heavy tail
    >>> values = rs.methods.spectra.spectrum(weight).eigenvalues
    >>> rs.methods.spectra.density_distance(values, values)
    0.0
    """
    a, b = (np.sort(np.asarray(values, dtype=np.float64)) for values in (first, second))
    a, b = a / np.mean(a), b / np.mean(a)
    points = np.concatenate([a, b])
    corners = np.unique(np.concatenate([points - HALF_WIDTH, points, points + HALF_WIDTH]))
    inside = (np.arange(_SUBDIVISIONS) + 0.5) / _SUBDIVISIONS  # midpoints: the integrand bends where a density ends
    grid = (corners[:-1, None] + np.diff(corners)[:, None] * inside).ravel()
    width = np.repeat(np.diff(corners) / _SUBDIVISIONS, _SUBDIVISIONS)
    p, q = (np.maximum(triangular_density(values, grid), 0.0) for values in (a, b))
    return _jensen_shannon(p * width, q * width, (p + q) / 2 * width)


def _jensen_shannon(p: Floats, q: Floats, middle: Floats) -> float:
    from scipy.special import rel_entr

    return float(np.sqrt(max(0.0, float(np.sum(rel_entr(p, middle) + rel_entr(q, middle)))) / 2))


def fit_without_fingers(
    values: ArrayLike, *, max_fingers: int = 10, threshold: float = 1.0, parity: bool = False, min_tail: int = 8
) -> PowerLawFit:
    """Fit a power law without the few largest values, if that lowers the exponent by more than `threshold`.

    Parameters
    ----------
    values : array_like [n]
        Positive.
    max_fingers : int
        Largest number of values to exclude.
    threshold : float
        Fall in alpha from which a smaller sample is accepted.
    parity : bool
        WeightWatcher 0.7.7: its tails and ties, and its loop, which starts at two values, ends before `max_fingers`,
        and counts one less.
    min_tail : int
        Smallest tail allowed.

    Returns
    -------
    PowerLawFit
        With `raw_alpha` and `num_fingers`.

    Notes
    -----
    The search stops without accepting anything where the exponent falls to 2 or below.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> values = np.append(np.random.default_rng(0).pareto(2.0, size=500) + 1, 1e6)  # one value far out
    >>> bool(rs.methods.spectra.fit_without_fingers(values).alpha > 1)
    True
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))

    def fitted(kept: Floats) -> PowerLawFit:
        if parity:
            return fit_power_law(kept, min_tail=2, ties="copies", small_sample="weightwatcher")
        return fit_power_law(kept, min_tail=min_tail)

    first = fitted(ordered)
    for left_out in range(2, max_fingers) if parity else range(1, max_fingers + 1):
        if left_out >= len(ordered):
            break
        fit = fitted(ordered[:-left_out])
        if fit.alpha + threshold < first.alpha:
            return replace(fit, raw_alpha=first.alpha, num_fingers=left_out - 1 if parity else left_out)
        if not fit.alpha > 2:
            break
    return replace(first, raw_alpha=first.alpha)
