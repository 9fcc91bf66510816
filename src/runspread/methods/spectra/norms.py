"""Norms, margins and sharpness of one network: the generalisation measures that spectral metrics are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_labels, check_logits
from ..._reading.weights.sorting import layers_of_arrays
from ..._results import Result, Table
from ...errors import InputError
from .tails import Floats

Weights = dict[str, NDArray[Any]]


class Network(Protocol):
    """A network as a function of its weights; `TorchNetwork` makes one of a torch module."""

    def logits(self, weights: Mapping[str, NDArray[Any]], inputs: NDArray[Any]) -> NDArray[Any]:
        """Return logits [examples, classes]."""
        ...

    def gradient(self, weights: Mapping[str, NDArray[Any]], inputs: NDArray[Any], labels: NDArray[Any]) -> Weights:
        """Return the gradient of the mean cross-entropy by name of parameter."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class NormMeasures(Result):
    """Norm-based generalisation measures of one network.

    Attributes
    ----------
    raw : dict of str to float
        Before normalisation.
    normalised : dict of str to float
        ``0.5 (value - ln m)`` for logarithms, ``sqrt(value/m)`` for the others, m training examples.
    n_train : int
        Number of training examples m.
    layers : tuple of str
        Weight matrices and kernels that entered.
    """

    raw: dict[str, float]
    normalised: dict[str, float]
    n_train: int
    layers: tuple[str, ...]

    def __getitem__(self, name: str) -> float:
        return self.raw[name]

    def table(self) -> Table:
        """Return one row per measure."""
        return Table(
            {"measure": list(self.raw), "raw": [*self.raw.values()], "normalised": [*self.normalised.values()]}
        )

    def sentence(self) -> str:
        """Name the measures and what they rest on."""
        return (
            f"{len(self.raw)} norm measures over {len(self.layers)} layers and {self.n_train} training examples, among "
            f"them a log product of spectral norms of {self.raw['log_prod_spec']:.2f}; they rank networks at best, "
            "none is a bound here."
        )


def output_margins(logits: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Return for each example the logit of its label minus the largest other logit [examples].

    Parameters
    ----------
    logits : array_like [examples, classes]
        Of one network.
    labels : array_like of int [examples]
        True classes.

    Examples
    --------
    >>> import runspread as rs
    >>> rs.methods.spectra.output_margins([[2.0, 0.5], [0.0, 1.0]], [0, 0])
    array([ 1.5, -1. ])
    """
    scores = check_logits(logits, shape=(None, None)).astype(np.float64)
    truth = check_labels(labels, scores.shape[1])
    if len(truth) != len(scores):
        raise InputError(f"got {len(truth)} labels for {len(scores)} examples", "one label per example")
    rows = np.arange(len(truth))
    others = scores.copy()
    others[rows, truth] = -np.inf
    return scores[rows, truth] - np.max(others, axis=1)


def margin_percentile(logits: ArrayLike, labels: ArrayLike, share: float = 0.1) -> float:
    """Return the ``floor(share m)``-th smallest of m output margins (the smallest where that is none).

    Parameters
    ----------
    logits, labels
        As in `output_margins`, over training examples.
    share : float
        0.1 in Jiang et al. (2019).

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> bool(rs.methods.spectra.margin_percentile(logits[0], labels) < 2)
    True
    """
    margins = np.sort(output_margins(logits, labels))
    return float(margins[max(1, int(np.floor(share * len(margins) + 1e-9))) - 1])


def norm_measures(
    weights: Mapping[str, ArrayLike],
    n_train: int,
    *,
    initial: Mapping[str, ArrayLike] | None = None,
    margin: float | None = None,
    path_norm: float | None = None,
) -> NormMeasures:
    """Return the norm measures of Jiang et al. (2019) and Dziugaite et al. (2020).

    Parameters
    ----------
    weights : mapping of str to array_like
        Parameters by name, batch normalisation folded into the preceding layer. Kernels are unfolded to
        ``[out, in k1 ... kd]``; vectors count for the distance of all parameters alone.
    n_train : int
        Number of training examples.
    initial : mapping of str to array_like, optional
        Parameters at initialisation, for the distances.
    margin : float, optional
        From `margin_percentile`, for the measures over the margin.
    path_norm : float, optional
        From `path_norm`.

    Returns
    -------
    NormMeasures

    References
    ----------
    Jiang et al., "Fantastic generalization measures and where to find them" (2019); Dziugaite et al., "In search of
    robust measures of generalization" (2020), appendix C.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> weight = rng.normal(size=(160, 100)) @ np.diag(np.arange(1, 101.0) ** -0.6)  # a heavy tail
    >>> found = rs.methods.spectra.norm_measures({"fc.weight": weight}, n_train=1000)
    >>> sorted(found.raw)[:2]
    ['fro_over_spec', 'l2']
    """
    matrices = _matrices(weights)
    if not matrices or n_train < 1:
        raise InputError(f"got {len(matrices)} weight matrices, {n_train} training examples", "at least one of each")
    spectral = np.array([float(np.linalg.norm(matrix, 2)) ** 2 for matrix in matrices.values()])
    frobenius = np.array([float(np.sum(matrix**2)) for matrix in matrices.values()])
    logs = _log_norms(spectral, frobenius, margin)
    plain = {
        "num_params": float(sum(matrix.size for matrix in matrices.values())),
        "param_norm": float(np.sum(frobenius)),
        "fro_over_spec": float(np.sum(frobenius / spectral)),
        "l2": float(np.sqrt(sum(float(np.sum(np.asarray(w, dtype=np.float64) ** 2)) for w in weights.values()))),
    }
    if initial is not None:
        far = _distances(weights, matrices, initial, spectral)
        plain |= far
        if margin is not None:
            logs["log_prod_spec_initial"] = logs["log_prod_spec_over_margin"] + float(np.log(far["dist_over_spec"]))
    if margin is not None:
        plain["inverse_margin_sq"] = 1 / margin**2
    if path_norm is not None:
        plain["path_norm"] = path_norm
        if margin is not None:
            plain["path_norm_over_margin"] = path_norm / margin**2
    normalised = {name: 0.5 * (value - np.log(n_train)) for name, value in logs.items()}
    normalised |= {name: float(np.sqrt(value / n_train)) for name, value in plain.items()}
    return NormMeasures(raw=logs | plain, normalised=normalised, n_train=n_train, layers=tuple(matrices))


def _matrices(weights: Mapping[str, ArrayLike]) -> dict[str, Floats]:
    """Return the weights of layers by name, kernels unfolded."""
    layers = layers_of_arrays({name: np.asarray(weight) for name, weight in weights.items()})
    return {layer.name: layer.load().reshape(layer.shape[0], -1).astype(np.float64) for layer in layers}


def _log_norms(spectral: Floats, frobenius: Floats, margin: float | None) -> dict[str, float]:
    """Return log products and log sums (means times d, under the logarithm) of norms, plain and over the margin."""
    depth = len(spectral)
    found: dict[str, float] = {}
    for name, norms in (("spec", spectral), ("fro", frobenius)):
        product = float(np.sum(np.log(norms)))
        found[f"log_prod_{name}"] = product
        found[f"log_sum_{name}"] = np.log(depth) + product / depth
        if margin is not None:
            over = product - 2 * np.log(abs(margin))
            found[f"log_prod_{name}_over_margin"] = over
            found[f"log_sum_{name}_over_margin"] = np.log(depth) + over / depth
    return found


def _distances(
    weights: Mapping[str, ArrayLike], matrices: Mapping[str, Floats], initial: Mapping[str, ArrayLike], spectral: Floats
) -> dict[str, float]:
    missing = [name for name in weights if name not in initial or np.shape(initial[name]) != np.shape(weights[name])]
    if missing:
        raise InputError(f"initial weights lack {missing[0]}, or have it in another shape", "the same parameters")
    before = _matrices(initial)
    moved = [matrix - before[name] for name, matrix in matrices.items()]
    squared = np.array([np.sum(change**2) for change in moved])
    everything = sum(
        float(np.sum((np.asarray(w, dtype=np.float64) - np.asarray(initial[name], dtype=np.float64)) ** 2))
        for name, w in weights.items()
    )
    return {
        "dist_fro_init": float(np.sum(squared)),
        "dist_spec_init": float(sum(np.linalg.norm(change, 2) ** 2 for change in moved)),
        "dist_over_spec": float(np.sum(squared / spectral)),
        "distance_from_init": everything,
        "l2_dist": float(np.sqrt(everything)),
    }


def path_norm(network: Network, weights: Mapping[str, ArrayLike], input_shape: tuple[int, ...]) -> float:
    """Return the path norm: the sum of outputs for an input of ones with every parameter squared.

    Parameters
    ----------
    network : Network
        The function, in evaluation mode.
    weights : mapping of str to array_like
        Parameters by name.
    input_shape : tuple of int
        Of one example.
    """
    squared = {name: np.asarray(weight, dtype=np.float64) ** 2 for name, weight in weights.items()}
    return float(np.sum(network.logits(squared, np.ones((1, *input_shape)))))


def accuracy_of(
    network: Network, inputs: NDArray[Any], labels: ArrayLike
) -> Callable[[Mapping[str, NDArray[Any]]], float]:
    """Return a function from weights to the accuracy on the given examples, for `svd_smoothing` and sharpness.

    Parameters
    ----------
    network : Network
        The function.
    inputs : ndarray [examples, ...]
        Examples.
    labels : array_like of int [examples]
        Their classes.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> class Network:
    ...     def logits(self, weights, inputs):
    ...         return inputs @ weights["w"]
    >>> inputs, labels = np.eye(3), [0, 1, 2]
    >>> rs.methods.spectra.accuracy_of(Network(), inputs, labels)({"w": np.eye(3)})
    1.0
    """
    truth = check_labels(labels)

    def accuracy(weights: Mapping[str, NDArray[Any]]) -> float:
        return float(np.mean(np.argmax(network.logits(weights, inputs), axis=-1) == truth))

    return accuracy
