"""The spectrum of the same numbers in random order: what is left of it says how much of a spectrum is structure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .marchenko_pastur import fit_marchenko_pastur
from .singular_values import Solver, Spectrum, gram_eigenvalues
from .spectral_numbers import density_distance, spectral_distance
from .tails import Floats

_WW_REPLICAS = 5  # pooled by WeightWatcher for its bulk of shuffled matrices
_WW_FEW = 100  # below this many eigenvalues


def shuffled_eigenvalues(blocks: NDArray[Any], rng: Any, solver: Solver | None = None) -> Floats:
    """Return the pooled eigenvalues, ascending, of matrices whose entries are shuffled within each matrix.

    Parameters
    ----------
    blocks : ndarray [blocks, N, M]
        The matrices, rows >= columns.
    rng : Generator or RandomState
        Anything with ``shuffle``.
    solver : callable, optional
        As in `spectrum`.
    """
    shuffled = blocks.reshape(len(blocks), -1).copy()
    for entries in shuffled:
        rng.shuffle(entries)
    return np.sort(gram_eigenvalues(shuffled.reshape(blocks.shape), solver), axis=None)


def randomised_numbers(
    spectrum: Spectrum,
    blocks: NDArray[Any],
    n_shuffles: int,
    rng: np.random.Generator,
    *,
    mp_fit: bool,
    solver: Solver | None = None,
) -> tuple[dict[str, float], Floats]:
    """Compare a spectrum with those of `n_shuffles` shuffles of its matrices.

    Distances are means over shuffles with their standard errors; ``rand_num_spikes`` counts correlation traps, spikes
    that survive the shuffle because a few entries are huge (mean over shuffles). The eigenvalues of the first shuffle
    come along, to be drawn.
    """
    draws = [shuffled_eigenvalues(blocks, rng, solver) for _ in range(n_shuffles)]
    distances = np.array([spectral_distance(spectrum.eigenvalues, draw) for draw in draws])
    densities = np.array([density_distance(spectrum.eigenvalues, draw) for draw in draws])
    largest = np.array([draw[-1] for draw in draws])
    top = float(spectrum.eigenvalues[-1])
    numbers = {
        "rand_distance": float(np.mean(distances)),
        "rand_distance_se": _standard_error(distances),
        "rand_distance_density": float(np.mean(densities)),
        "max_rand_eval": float(np.mean(largest)),
        "ww_softrank": float(np.mean(largest)) / top,
        "ww_maxdist": top - float(np.mean(largest)),
    }
    return numbers | (_shuffled_bulk(spectrum, draws) if mp_fit else {}), draws[0]


def _standard_error(values: Floats) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def _shuffled_bulk(spectrum: Spectrum, draws: list[Floats]) -> dict[str, float]:
    fits = [mp_numbers(spectrum, draw) for draw in draws]
    return {f"rand_{name}": float(np.mean([fit[name] for fit in fits])) for name in fits[0]}


def mp_numbers(spectrum: Spectrum, eigenvalues: Floats, *, require_bulk: bool = True) -> dict[str, float]:
    """Return the Marchenko-Pastur numbers of `eigenvalues` of matrices of the size of `spectrum`."""
    fit = fit_marchenko_pastur(eigenvalues, spectrum.N, spectrum.M, require_bulk=require_bulk)
    found = fit.status == "ok" or not require_bulk
    return {
        "num_spikes": fit.num_spikes if found else float("nan"),
        "sigma_mp": fit.sigma,
        "mp_softrank": fit.mp_softrank,
        "bulk_max": fit.bulk_max,
        "bulk_min": fit.bulk_min,
        "W_scale": fit.W_scale,
    }


def weightwatcher_randomised_numbers(
    spectrum: Spectrum, blocks: NDArray[Any], rng: np.random.RandomState, *, mp_fit: bool
) -> tuple[dict[str, float], Floats]:
    """Return the same numbers from WeightWatcher's two draws (pooled replicas of small layers, then a single one)."""
    replicas = _WW_REPLICAS if spectrum.M * spectrum.receptive_field < _WW_FEW else 1
    pooled = np.sort(np.concatenate([shuffled_eigenvalues(blocks, rng) for _ in range(replicas)]))
    single = shuffled_eigenvalues(blocks, rng)
    top = float(spectrum.eigenvalues[-1])
    numbers = {
        "max_rand_eval": float(pooled[-1]),
        "rand_distance": spectral_distance(spectrum.eigenvalues, single),
        "ww_softrank": float(single[-1]) / top,
        "ww_maxdist": top - float(single[-1]),
    }
    if mp_fit:
        bulk = mp_numbers(spectrum, pooled, require_bulk=False)
        numbers |= {f"rand_{name}": value for name, value in bulk.items()}
    return numbers, single
