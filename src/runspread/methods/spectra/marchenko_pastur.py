"""Marchenko-Pastur fit of the bulk of a spectrum: scale of the noise, edges of the bulk, spikes above it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._results import Result, Table
from ...errors import InputError
from .tails import Floats

HALF_WIDTH = 0.1  # of the triangular kernel, where the eigenvalues have mean one
_GRID_POINTS = 1000
_LOWEST_DENSITY = 0.01  # grid points below are not compared
_PENALTY = 1e6  # a kept point, where the bulk misses the peak or passes the last eigenvalue


@dataclass(frozen=True, eq=False, kw_only=True)
class MarchenkoPasturFit(Result):
    """A Marchenko-Pastur distribution (a quarter circle where N = M) fitted to the density of a spectrum.

    Attributes
    ----------
    sigma : float
        Scale of the noise, for eigenvalues rescaled to mean one (NaN where there is no fit).
    bulk_min, bulk_max : float
        Edges of the bulk, in the unit of the eigenvalues.
    threshold : float
        An eigenvalue above is a spike: the edge plus the width of its finite-size fluctuation.
    num_spikes : int
        Number of spikes.
    mp_softrank : float
        ``bulk_max`` over the largest eigenvalue: near 1 for noise, near 0 where spikes dominate.
    W_scale : float
        Factor on the matrix that makes the mean eigenvalue one.
    N, M : int
        Rows and columns of the matrix (of one slice of a convolution), N >= M.
    n : int
        Number of eigenvalues.
    status : {"ok", "failed"}
        "failed" where no scale puts the bulk's edges around the peak of the density.
    eigenvalues : ndarray [n]
        Ascending.
    """

    picture = ".plots:plot_bulk"

    sigma: float
    bulk_min: float
    bulk_max: float
    threshold: float
    num_spikes: int
    mp_softrank: float
    W_scale: float
    N: int
    M: int
    n: int
    status: str
    eigenvalues: NDArray[np.float64]

    def table(self) -> Table:
        """Return one row of the fit."""
        names = ("sigma", "bulk_min", "bulk_max", "num_spikes", "mp_softrank", "n", "status")
        return Table({name: [getattr(self, name)] for name in names})

    def sentence(self) -> str:
        """Say how many eigenvalues stand out of the noise."""
        if self.status != "ok":
            return f"No Marchenko-Pastur bulk fits the {self.n} eigenvalues: their density has no bulk of that shape."
        return (
            f"{self.num_spikes} of {self.n} eigenvalues stand above the Marchenko-Pastur bulk, which ends at "
            f"{self.bulk_max:.3g} ({self.mp_softrank:.0%} of the largest eigenvalue); the bulk was fitted by least "
            "squares to a smoothed density, without an error bar."
        )

    def density(self, at: ArrayLike) -> NDArray[np.float64]:
        """Return the fitted density of eigenvalues at `at`, in their own unit."""
        w = self.W_scale**2
        scaled = w * np.asarray(at, dtype=np.float64)
        if self.N != self.M:
            return w * marchenko_pastur_density(scaled, self.N / self.M, np.array([self.sigma]))[0]
        root = np.sqrt(scaled)
        with np.errstate(divide="ignore"):
            jacobian = np.where(root > 0, 0.5 / root, 0.0)
        return w * jacobian * quarter_circle_density(root, np.array([self.sigma]))[0]


def fit_marchenko_pastur(eigenvalues: ArrayLike, N: int, M: int, *, require_bulk: bool = True) -> MarchenkoPasturFit:
    """Fit a Marchenko-Pastur distribution to the eigenvalues of ``W^T W``.

    Parameters
    ----------
    eigenvalues : array_like [n]
        Not negative, at least one positive; pooled over the slices of a convolution.
    N, M : int
        Larger and smaller dimension of the matrix, or of one slice.
    require_bulk : bool
        False gives WeightWatcher's number also where no scale puts the edges of the bulk around the peak of the
        density, with the status still "failed".

    Returns
    -------
    MarchenkoPasturFit
        With status "failed" and NaN where no scale fits.

    Raises
    ------
    InputError
        No positive eigenvalue, a negative or non-finite one, or N < M.

    Notes
    -----
    Least squares between the density and a triangular kernel estimate of the density, over a grid of scales and then
    Nelder-Mead: the procedure of WeightWatcher 0.7, whose result it reproduces. The kernel estimate does not depend on
    the scale, so it is computed once, exactly, from prefix sums. Marchenko and Pastur (1967); spikes are counted above
    the edge plus a Tracy-Widom width.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> weight = np.random.default_rng(0).normal(size=(200, 100))
    >>> values = rs.methods.spectra.spectrum(weight).eigenvalues
    >>> rs.methods.spectra.fit_marchenko_pastur(values, 200, 100).num_spikes
    0
    """
    values = np.sort(np.asarray(eigenvalues, dtype=np.float64).ravel())
    if not values.size or not np.isfinite(values).all() or values[0] < 0 or values[-1] <= 0:
        raise InputError("eigenvalues that are not numbers >= 0, or all zero", "at least one positive")
    if N < M or M < 1:
        raise InputError(f"got N = {N}, M = {M}", "N >= M >= 1")
    ratio = N / M
    w = len(values) / float(np.sum(values))
    scaled = w * values
    guess = float(np.sqrt(scaled[-1]) / (1 + 1 / np.sqrt(ratio)))
    sigma, found = _best_scale(*_density_of(np.sqrt(scaled) if ratio == 1 else scaled), ratio, guess)
    sigma = sigma if found or not require_bulk else float("nan")
    bulk_max = (sigma * (1 + 1 / np.sqrt(ratio))) ** 2
    width = np.sqrt(ratio**-0.5 * bulk_max ** (2 / 3) * M ** (-2 / 3))
    return MarchenkoPasturFit(
        sigma=sigma,
        bulk_min=(sigma * (1 - 1 / np.sqrt(ratio))) ** 2 / w,
        bulk_max=bulk_max / w,
        threshold=(bulk_max + width) / w,
        num_spikes=int(np.sum(scaled > bulk_max + width)),
        mp_softrank=bulk_max / scaled[-1],
        W_scale=float(np.sqrt(w)),
        N=N,
        M=M,
        n=len(values),
        status="ok" if found else "failed",
        eigenvalues=values,
    )


def _density_of(points: Floats) -> tuple[Floats, Floats]:
    """Return the grid points where the kernel estimate exceeds a floor, and the estimate there."""
    grid = np.linspace(0, points[-1] + 0.5, _GRID_POINTS)
    density = triangular_density(points, grid)
    kept = density > _LOWEST_DENSITY
    return grid[kept], density[kept]


def triangular_density(points: Floats, grid: Floats, half_width: float = HALF_WIDTH) -> Floats:
    """Return the triangular kernel estimate of the density of ascending `points` on `grid`, exactly, in O(n log n)."""
    sums = np.append(0.0, np.cumsum(points))
    low, middle, high = (np.searchsorted(points, grid + shift) for shift in (-half_width, 0.0, half_width))
    left, right = middle - low, high - middle
    rising = left - (left * grid - (sums[middle] - sums[low])) / half_width
    falling = right - ((sums[high] - sums[middle]) - right * grid) / half_width
    return (rising + falling) / (len(points) * half_width)


def marchenko_pastur_density(at: Floats, ratio: float, sigma: Floats) -> Floats:
    """Return the Marchenko-Pastur density [scales, points] for ``Q = N/M`` and each scale."""
    s2 = sigma[:, None] ** 2
    low, high = s2 * (1 - np.sqrt(1 / ratio)) ** 2, s2 * (1 + np.sqrt(1 / ratio)) ** 2
    inside = (high - at) * (at - low)
    with np.errstate(divide="ignore", invalid="ignore"):
        density = ratio / (2 * np.pi * s2 * at) * np.sqrt(np.maximum(inside, 0.0))
    return np.where(inside > 0, density, 0.0)


def quarter_circle_density(at: Floats, sigma: Floats) -> Floats:
    """Return the quarter-circle density of singular values of a square matrix, of radius 2 whatever the scale."""
    return np.sqrt(np.maximum(4 - at**2, 0.0)) / (np.pi * sigma[:, None] ** 2)


def _best_scale(at: Floats, density: Floats, ratio: float, guess: float) -> tuple[float, bool]:
    """Return the scale of least misfit, and whether it is one at all."""
    from scipy.optimize import fmin

    if not at.size:
        return float("nan"), False
    peak = at[np.argmax(density)]

    def misfit(sigma: Floats) -> Floats:
        if ratio == 1:
            return np.sum((quarter_circle_density(at, sigma) - density) ** 2, axis=1)
        total = np.sum((marchenko_pastur_density(at, ratio, sigma) - density) ** 2, axis=1)
        low, high = ((sigma * (1 + sign * np.sqrt(1 / ratio))) ** 2 for sign in (-1, 1))
        outside = (high < peak) | (high > at[-1]) | (low > peak)
        return np.where(outside, _PENALTY * len(at), total)

    scales = np.asarray(np.arange(195) * (0.01 * guess) + 0.05 * guess, dtype=np.float64)
    grid = misfit(scales)
    best = int(np.argmin(grid))
    fits = ratio == 1 or bool(grid[best] < _PENALTY * len(at))
    found = fmin(lambda p: float(misfit(np.asarray(p, dtype=np.float64))[0]), scales[best : best + 1], disp=False)
    return float(found[0]), fits
