"""How much noise a network's weights stand: PAC-Bayes and sharpness measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice, check_labels, check_seed, check_settings
from ..._results import Result, Table
from ...errors import InputError
from .defaults import DRAWS, DROP, RadiusSettings
from .norms import Network, Weights, accuracy_of

_EPSILON = 1e-3  # smallest noise on a weight, however small the weight
_OFFSET = 10.0  # of the union bound over noise levels in Dziugaite et al. (2020)
Accuracy = Callable[[Mapping[str, NDArray[Any]]], float]
Noise = Literal["plain", "magnitude"]


@dataclass(frozen=True, eq=False, kw_only=True)
class SharpnessMeasures(Result):
    """Noise levels that cost a network a fixed accuracy, and the measures that follow from them.

    Attributes
    ----------
    sigma : float
        Standard deviation of Gaussian noise on all weights at which the mean accuracy falls by `drop`.
    sigma_magnitude : float
        The same for noise in proportion to each weight.
    radius : float or None
        Largest relative change of each weight whose worst case keeps the accuracy within `drop`, by gradient ascent.
    measures : dict of str to float
        By name, before normalisation.
    normalised : dict of str to float
        ``sqrt(value/m)``.
    drop : float
        Fall in accuracy.
    n_train : int
        Number of training examples m.
    """

    sigma: float
    sigma_magnitude: float
    radius: float | None
    measures: dict[str, float]
    normalised: dict[str, float]
    drop: float
    n_train: int

    def table(self) -> Table:
        """Return one row per measure."""
        return Table(
            {
                "measure": [*self.measures], "value": [*self.measures.values()],
                "normalised": [*self.normalised.values()],
            }
        )  # fmt: skip

    def sentence(self) -> str:
        """Say how much noise the weights stand."""
        worst = "" if self.radius is None else f", a worst-case change of each weight by {self.radius:.1%}"
        return (
            f"Gaussian noise of standard deviation {self.sigma:.3g} on the weights, noise of "
            f"{self.sigma_magnitude:.1%} of each weight{worst}, costs {self.drop:.0%} of training accuracy; "
            "these depend on the scale of the weights, which networks can change without changing what they compute."
        )


def perturbation_tolerance(
    weights: Mapping[str, ArrayLike],
    accuracy: Accuracy,
    *,
    noise: Noise = "plain",
    drop: float = DROP,
    tolerance: float = 0.01,
    highest: float = 2.0,
    steps: int = 15,
    draws: int = DRAWS,
    seed: int | np.random.Generator | None = None,
) -> float:
    """Return the largest noise on the weights whose mean cost in accuracy is `drop`, by bisection.

    Parameters
    ----------
    weights : mapping of str to array_like
        Parameters by name.
    accuracy : callable
        Takes weights and returns the training accuracy (see `accuracy_of`).
    noise : {"plain", "magnitude"}
        Standard deviation sigma for all weights, or ``sqrt(sigma^2 w^2 + 1e-6)`` for a weight w.
    drop : float
        Fall in accuracy.
    tolerance : float
        How near to `drop` is near enough.
    highest : float
        Upper end of the search.
    steps, draws : int
        Bisection steps, and draws of noise in each.
    seed : int or Generator, optional
        Seed of the noise.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> weight = rng.normal(size=(160, 100)) @ np.diag(np.arange(1, 101.0) ** -0.6)  # a heavy tail
    >>> kept = lambda weights: float(np.abs(weights["fc.weight"] - weight).mean() < 0.05)  # stands for an accuracy
    >>> bool(rs.methods.spectra.perturbation_tolerance({"fc.weight": weight}, kept, seed=0) > 0)
    True
    """
    check_choice(noise, "noise", ("plain", "magnitude"))
    arrays = {name: np.asarray(weight) for name, weight in weights.items()}
    rng = np.random.default_rng(check_seed(seed))
    clean = accuracy(arrays)
    low, high = 0.0, highest
    for _ in range(steps):
        sigma = (low + high) / 2
        cost = clean - float(np.mean([accuracy(_noisy(arrays, sigma, noise, rng)) for _ in range(draws)]))
        if abs(cost - drop) <= tolerance:
            return sigma
        low, high = (low, sigma) if cost > drop else (sigma, high)
    return (low + high) / 2


def _noisy(weights: Weights, sigma: float, noise: Noise, rng: np.random.Generator) -> Weights:
    def changed(weight: NDArray[Any]) -> NDArray[Any]:
        if weight.dtype.kind != "f":
            return weight
        deviation = sigma if noise == "plain" else np.sqrt(sigma**2 * weight**2 + _EPSILON**2)
        kind = np.float64 if weight.dtype == np.float64 else np.float32
        return (weight + deviation * rng.standard_normal(weight.shape, dtype=kind)).astype(weight.dtype)

    return {name: changed(weight) for name, weight in weights.items()}


def worst_case_radius(
    weights: Mapping[str, ArrayLike],
    network: Network,
    inputs: NDArray[Any],
    labels: ArrayLike,
    *,
    drop: float = DROP,
    seed: int | np.random.Generator | None = None,
    **settings: Unpack[RadiusSettings],
) -> float:
    """Return the largest relative box around the weights in which gradient ascent costs at most `drop` accuracy.

    Parameters
    ----------
    weights : mapping of str to array_like
        Parameters by name.
    network : Network
        With gradients.
    inputs, labels
        Training examples.
    drop : float
        Fall in accuracy. The box is ``|w' - w| <= radius |w|``.
    seed : int or Generator, optional
        Seed of starts and batches.
    **settings
        How radii are searched (`tolerance`, `highest`, `steps`), and how the worst case at each is (`restarts`,
        `ascents`, `rate`, `batch`): see `RadiusSettings`.

    Notes
    -----
    The sharpness baseline of the PGDL contest (2020) with the sign of its step corrected: as published the step
    descends the loss, and its rate is a fixed 1e-3 whatever the scale of the gradient.
    """
    arrays = {name: np.asarray(weight) for name, weight in weights.items()}
    truth, rng = check_labels(labels), np.random.default_rng(check_seed(seed))
    accuracy = accuracy_of(network, inputs, truth)
    clean = accuracy(arrays)
    check_settings(settings, RadiusSettings.__annotations__, worst_case_radius)
    search = RadiusSearch(**settings)
    ascent = _Ascent(network, inputs, truth, search)
    low, high = 0.0, search.highest
    for _ in range(search.steps):
        radius = (low + high) / 2
        cost = clean - min(accuracy(ascent(arrays, radius, rng)) for _ in range(search.restarts))
        if abs(cost - drop) <= search.tolerance:
            return radius
        low, high = (low, radius) if cost > drop else (radius, high)
    return (low + high) / 2


@dataclass(frozen=True)
class RadiusSearch:
    """`RadiusSettings`, with defaults."""

    tolerance: float = 0.01
    highest: float = 0.5
    steps: int = 20
    restarts: int = 3
    ascents: int = 20
    rate: float = 0.1
    batch: int = 64


@dataclass(frozen=True)
class _Ascent:
    network: Network
    inputs: NDArray[Any]
    labels: NDArray[np.int64]
    search: RadiusSearch

    def __call__(self, weights: Weights, radius: float, rng: np.random.Generator) -> Weights:
        """Return weights in the box around `weights` that gradient ascent finds bad."""
        box = {name: radius * np.abs(w) if w.dtype.kind == "f" else 0 * w for name, w in weights.items()}
        moved = {name: w + box[name] * rng.uniform(-1, 1, w.shape) for name, w in weights.items()}
        for _ in range(self.search.ascents):
            rows = rng.choice(len(self.labels), min(self.search.batch, len(self.labels)), replace=False)
            cast = {name: w.astype(weights[name].dtype) for name, w in moved.items()}
            slope = self.network.gradient(cast, self.inputs[rows], self.labels[rows])
            for name, gradient in slope.items():
                step = self._step(gradient, radius, weights[name])
                moved[name] = np.clip(moved[name] + step, weights[name] - box[name], weights[name] + box[name])
        return {name: w.astype(weights[name].dtype) for name, w in moved.items()}

    def _step(self, gradient: NDArray[Any], radius: float, weight: NDArray[Any]) -> NDArray[Any]:
        size = float(np.max(np.abs(gradient)))
        reach = radius * float(np.max(np.abs(weight)))
        return gradient * (self.search.rate * reach / size) if size > 0 else gradient


def sharpness_measures(
    weights: Mapping[str, ArrayLike],
    network: Network,
    inputs: NDArray[Any],
    labels: ArrayLike,
    *,
    initial: Mapping[str, ArrayLike],
    n_train: int | None = None,
    worst_case: bool = False,
    drop: float = DROP,
    draws: int = DRAWS,
    seed: int | np.random.Generator | None = None,
) -> SharpnessMeasures:
    """Return PAC-Bayes and sharpness measures of one network on training examples.

    Parameters
    ----------
    weights, initial : mapping of str to array_like
        Parameters by name after and before training.
    network : Network
        With gradients where `worst_case`.
    inputs, labels
        Training examples, all or a sample.
    n_train : int, optional
        Number of training examples m; of those given when None.
    worst_case : bool
        Search for the worst case too (many gradients).
    drop : float
        Fall in accuracy that fixes the noise level.
    draws : int
        Draws of noise a level.
    seed : int or Generator, optional
        Seed of the noise.

    References
    ----------
    Dziugaite et al. (2020), appendix C.4 (the noise level is a standard deviation here, as in the text there); Jiang
    et al. (2019). The constants of the worst-case measure follow the same form and were not checked against the paper.
    """
    rng, truth = np.random.default_rng(check_seed(seed)), check_labels(labels)
    accuracy = accuracy_of(network, inputs, truth)
    sigma, relative = (
        perturbation_tolerance(weights, accuracy, noise=noise, drop=drop, draws=draws, seed=rng)
        for noise in ("plain", "magnitude")
    )
    m = n_train or len(truth)
    found = pac_bayes_measures(weights, initial, sigma, relative, m)
    radius = None
    if worst_case:
        radius = worst_case_radius(weights, network, inputs, truth, drop=drop, seed=rng)
        found |= _worst_case(weights, initial, radius, m)
    return SharpnessMeasures(
        sigma=sigma,
        sigma_magnitude=relative,
        radius=radius,
        measures=found,
        normalised={name: float(np.sqrt(max(0.0, value) / m)) for name, value in found.items()},
        drop=drop,
        n_train=m,
    )


def _moves(weights: Mapping[str, ArrayLike], initial: Mapping[str, ArrayLike]) -> tuple[NDArray[Any], NDArray[Any]]:
    names = [name for name, weight in weights.items() if np.asarray(weight).dtype.kind == "f"]
    missing = [name for name in names if name not in initial]
    if missing:
        raise InputError(f"initial weights lack {missing[0]}", "the same parameters")
    flat = np.concatenate([np.asarray(weights[name], dtype=np.float64).ravel() for name in names])
    return flat, flat - np.concatenate([np.asarray(initial[name], dtype=np.float64).ravel() for name in names])


def pac_bayes_measures(
    weights: Mapping[str, ArrayLike],
    initial: Mapping[str, ArrayLike],
    sigma: float,
    sigma_magnitude: float,
    n_train: int,
) -> dict[str, float]:
    """Return the PAC-Bayes measures that follow from two noise levels.

    Parameters
    ----------
    weights, initial : mapping of str to array_like
        Parameters after and before training.
    sigma, sigma_magnitude : float
        From `perturbation_tolerance`.
    n_train : int
        Number of training examples.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> weight = rng.normal(size=(160, 100)) @ np.diag(np.arange(1, 101.0) ** -0.6)  # a heavy tail
    >>> start = {"fc.weight": 0 * weight}
    >>> len(rs.methods.spectra.pac_bayes_measures({"fc.weight": weight}, start, 0.1, 0.1, 1000))
    6
    """
    if not (sigma > 0 and sigma_magnitude > 0 and n_train > 0):
        raise InputError(f"got noise levels {sigma} and {sigma_magnitude}, {n_train} examples", "positive numbers")
    final, moved = _moves(weights, initial)
    e2, s2 = _EPSILON**2, sigma_magnitude**2

    def magnitude(distance: float) -> float:
        top = e2 + (s2 + 1) * distance / len(final)
        return 0.25 * float(np.sum(np.log(top / (e2 + s2 * moved**2)))) + np.log(n_train / sigma_magnitude) + _OFFSET

    plain = np.log(n_train / sigma) + _OFFSET
    return {
        "pacbayes_init": float(np.sum(moved**2)) / (4 * sigma**2) + plain,
        "pacbayes_orig": float(np.sum(final**2)) / (4 * sigma**2) + plain,
        "pacbayes_flatness": 1 / sigma**2,
        "pacbayes_mag_init": magnitude(float(np.sum(moved**2))),
        "pacbayes_mag_orig": magnitude(float(np.sum(final**2))),
        "pacbayes_mag_flatness": 1 / s2,
    }


def _worst_case(
    weights: Mapping[str, ArrayLike], initial: Mapping[str, ArrayLike], radius: float, n_train: int
) -> dict[str, float]:
    final, moved = _moves(weights, initial)
    scale, offset = np.log(2 * len(final)) / (4 * radius**2), np.log(n_train / radius) + _OFFSET
    return {
        "sharpness_init": float(np.sum(moved**2)) * scale + offset,
        "sharpness_orig": float(np.sum(final**2)) * scale + offset,
        "sharpness_flatness": 1 / radius**2,
    }
