"""Networks whose weight matrices are truncated to their top singular directions, and what accuracy that leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._reading.weights.sorting import layers_of_arrays
from ..._results import Result, Table
from ..._words import percent
from ...errors import InputError
from .marchenko_pastur import fit_marchenko_pastur
from .powerlaw import fit_power_law
from .singular_values import matrices_of, rounding_floor, tensor_of_matrices
from .spectral_numbers import trace_log
from .tails import Floats

RULES = ("share", "power_law", "trace_log", "spikes")
Evaluate = Callable[[dict[str, NDArray[Any]]], Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class SmoothingResult(Result):
    """Accuracy of a network after its weight matrices were truncated.

    Attributes
    ----------
    kept : tuple of str
        What was kept: a share such as "20%", or the name of a rule.
    accuracy : ndarray [kept, ...]
        What `evaluate` returned for the truncated network: one number, or one per run of a stack.
    unchanged : ndarray [...]
        The same for the network as it is.
    """

    picture = ".plots:plot_smoothing"

    kept: tuple[str, ...]
    accuracy: NDArray[np.float64]
    unchanged: NDArray[np.float64]

    @property
    def loss_of_accuracy(self) -> NDArray[np.float64]:
        """Accuracy of the unchanged network minus that of the truncated one [kept, ...]."""
        return self.unchanged[None] - self.accuracy

    def table(self) -> Table:
        """Return one row a truncation; means over runs for a stack."""
        means = [float(np.mean(row)) for row in self.accuracy]
        lost = [float(np.mean(row)) for row in self.loss_of_accuracy]
        return Table({"kept": self.kept, "accuracy": means, "lost": lost}, formats={"accuracy": ".2%", "lost": ".2%"})

    def sentence(self) -> str:
        """Say how much accuracy each truncation leaves."""
        parts = [f"{np.mean(row):.1%} with {kept}" for kept, row in zip(self.kept, self.accuracy, strict=True)]
        runs = f" (means over {self.unchanged.size} runs)" if self.unchanged.ndim else ""
        return (
            f"With only the top singular directions of every weight matrix the accuracy is {', '.join(parts)}, against "
            f"{np.mean(self.unchanged):.1%} unchanged{runs}; biases and all else stay as they are."
        )


def truncate_weights(
    weights: Mapping[str, ArrayLike],
    keep: float | Literal["power_law", "trace_log", "spikes"] = 0.2,
    *,
    groups: Mapping[str, int] | None = None,
    kinds: Mapping[str, str] | None = None,
    stacked: bool = False,
) -> dict[str, NDArray[Any]]:
    """Replace every weight matrix by its best approximation of low rank; vectors stay as they are.

    Parameters
    ----------
    weights : mapping of str to array_like
        Parameters by name: matrices ``[out, in]``, kernels ``[out, in/groups, k1, ...]``, vectors; with a leading run
        axis where `stacked`.
    keep : float or str
        Share of the singular directions of each matrix, at least one (``floor(keep M)``; a kernel keeps as many in
        each slice); or a rule: the tail of the fitted power law, the trace-log count, or the Marchenko-Pastur spikes.
    groups : mapping of str to int, optional
        Groups of convolutions.
    kinds : mapping of str to str, optional
        Kind of a tensor where its shape does not say (see `spectra`).
    stacked : bool
        Whether arrays have a leading run axis.

    Returns
    -------
    dict
        The same names, shapes and types.

    Notes
    -----
    The data-dependent shape metric of Martin and Mahoney (2021), section 3.2, is the training accuracy of the result
    with 10 or 20 % kept. The truncation is exact.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> weight = rng.normal(size=(160, 100)) @ np.diag(np.arange(1, 101.0) ** -0.6)  # a heavy tail
    >>> smooth = rs.methods.spectra.truncate_weights({"fc.weight": weight}, 0.2)
    >>> int(np.linalg.matrix_rank(smooth["fc.weight"]))
    20
    """
    factors = _Factors(weights, groups or {}, kinds or {}, stacked)
    return factors.truncated(_checked_keep(keep))


def svd_smoothing(
    weights: Mapping[str, ArrayLike],
    evaluate: Evaluate,
    keep: Sequence[float | str] = (0.1, 0.2, 0.4),
    *,
    groups: Mapping[str, int] | None = None,
    kinds: Mapping[str, str] | None = None,
    stacked: bool = False,
) -> SmoothingResult:
    """Return the accuracy of a network whose weight matrices are truncated to a few singular directions.

    Parameters
    ----------
    weights, groups, kinds, stacked
        As in `truncate_weights`.
    evaluate : callable
        Takes weights by name and returns an accuracy, or one per run; for a torch module see `TorchNetwork`. Evaluated
        on training data it gives the shape metric that predicts test accuracy without test data.
    keep : sequence of float or str
        What to keep, each as in `truncate_weights`; the decompositions are shared.

    References
    ----------
    Martin and Mahoney (2021), arXiv:2106.00734.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> weight = rng.normal(size=(160, 100)) @ np.diag(np.arange(1, 101.0) ** -0.6)  # a heavy tail
    >>> len(rs.methods.spectra.svd_smoothing({"fc.weight": weight}, lambda weights: 0.5).table())
    3
    """
    checked = [_checked_keep(one) for one in keep]
    if not checked:
        raise InputError("got nothing to keep", "at least one share or rule")
    factors = _Factors(weights, groups or {}, kinds or {}, stacked)
    return SmoothingResult(
        kept=tuple(one.replace("_", " ") if isinstance(one, str) else percent(one) for one in checked),
        accuracy=np.array([evaluate(factors.truncated(one)) for one in checked], dtype=np.float64),
        unchanged=np.asarray(evaluate({name: np.asarray(w) for name, w in weights.items()}), dtype=np.float64),
    )


def _checked_keep(keep: float | str) -> float | str:
    if isinstance(keep, str):
        return check_choice(keep, "rule", RULES[1:])
    if not 0 < keep <= 1:
        raise InputError(f"got keep {keep}", "a share above 0, at most 1, or the name of a rule")
    return float(keep)


class _Factors:
    """Singular value decompositions of all matrices of a model, computed once."""

    def __init__(
        self, weights: Mapping[str, ArrayLike], groups: Mapping[str, int], kinds: Mapping[str, str], stacked: bool
    ) -> None:
        self._weights = {name: np.asarray(weight) for name, weight in weights.items()}
        self._stacked = stacked
        self._layers: dict[str, list[_Layer]] = {}
        one = {name: array[0] if stacked else array for name, array in self._weights.items() if array.ndim >= stacked}
        for layer in layers_of_arrays(one, kinds):
            if layer.made_of:
                raise InputError(
                    f"{layer.name}, which is made of {' and '.join(layer.made_of)}",
                    "weights as the layers use them",
                    "Make pruning or a parametrisation permanent first (torch.nn.utils.prune.remove and its like).",
                )
            for name in (layer.name, *layer.aliases):
                array = self._weights[name]
                runs = array if stacked else array[None]
                self._layers[name] = [_Layer(run, layer.kind, groups.get(name, 1)) for run in runs]
        if not self._layers:
            raise InputError("there are no weight matrices among the weights", "at least one array with two axes")

    def truncated(self, keep: float | str) -> dict[str, NDArray[Any]]:
        return dict(self._changed(keep))

    def _changed(self, keep: float | str) -> Iterator[tuple[str, NDArray[Any]]]:
        for name, array in self._weights.items():
            if name not in self._layers:
                yield name, array
                continue
            runs = [layer.truncated(keep) for layer in self._layers[name]]
            yield name, (np.stack(runs) if self._stacked else runs[0]).astype(array.dtype)


class _Layer:
    """One tensor as factors ``u diag(s) v`` of its matrices."""

    def __init__(self, weight: NDArray[Any], kind: str, groups: int) -> None:
        self._shape, self._groups = weight.shape, groups
        self._layout = {"embedding": "dense", "update": "auto"}.get(kind, kind)
        blocks = matrices_of(weight, layout=self._layout, groups=groups)
        self.u, self.s, self.v = np.linalg.svd(blocks, full_matrices=False)
        self._floor = rounding_floor(blocks, float(self.s.max()) ** 2, str(weight.dtype), gram=False)

    def truncated(self, keep: float | str) -> Floats:
        kept = self._shrunk(keep)
        blocks = (self.u * kept[:, None, :]) @ self.v
        return tensor_of_matrices(blocks, shape=self._shape, layout=self._layout, groups=self._groups)

    def _shrunk(self, keep: float | str) -> Floats:
        """Return the singular values with those that are not kept set to zero."""
        if isinstance(keep, str):
            return np.where(self.s**2 >= self._threshold(keep), self.s, 0.0)
        count = max(1, int(np.floor(keep * self.s.shape[1] + 1e-9)))
        return np.where(np.arange(self.s.shape[1]) < count, self.s, 0.0)

    def _threshold(self, rule: str) -> float:
        """Return the smallest eigenvalue that a rule keeps; the largest where it keeps none."""
        pooled = np.sort(self.s**2, axis=None)
        if rule == "trace_log":
            return trace_log(pooled)[1]
        if rule == "power_law":
            values = pooled[pooled > self._floor]
            fit = fit_power_law(values) if values.size else None
            return fit.xmin if fit is not None and fit.status == "ok" else 0.0
        large, small = sorted((self.u.shape[1], self.v.shape[2]), reverse=True)
        bulk = fit_marchenko_pastur(pooled, large, small)
        return min(bulk.threshold, float(pooled[-1])) if bulk.status == "ok" else 0.0
