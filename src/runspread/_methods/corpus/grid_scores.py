"""Scores of a metric over a grid of hyperparameters: granulated Kendall, and the contest's mutual information."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._errors import InputError
from ..._results import Result, Table
from ..spectra.tails import Floats
from .associations import signs


@dataclass(frozen=True, eq=False, kw_only=True)
class GridScores(Result):
    """How well a metric orders models that differ in one hyperparameter, and what it tells about the order at all.

    Attributes
    ----------
    axes : tuple of str
        Hyperparameters with more than one value.
    psi : ndarray [axes]
        Mean rank correlation of metric and gap within groups of models that differ in that axis alone.
    Psi : float
        Mean of `psi`: the granulated Kendall coefficient, 1 for a metric that always rises with the gap.
    pairs : tuple of (str, str)
        Ordered pairs of hyperparameters conditioned on.
    information : ndarray [pairs]
        Conditional mutual information of the order by metric and the order by gap, as a share of the entropy of the
        latter; NaN where the grid has holes.
    score : float
        The smallest of these: the contest's score (which was printed times 100).
    n : int
        Number of models.
    """

    axes: tuple[str, ...]
    psi: NDArray[np.float64]
    Psi: float
    pairs: tuple[tuple[str, str], ...]
    information: NDArray[np.float64]
    score: float
    n: int

    def table(self) -> Table:
        """Return one row an axis."""
        smallest = [
            float(np.min([v for pair, v in zip(self.pairs, self.information, strict=True) if axis in pair]))
            if len(self.axes) > 1 else float("nan")
            for axis in self.axes
        ]  # fmt: skip
        return Table({"hyperparameter": self.axes, "psi": self.psi, "smallest information": smallest})

    def sentence(self) -> str:
        """Say how well the metric orders models that differ in one thing."""
        holes = "" if np.isfinite(self.score) else " (undefined: the grid has holes)"
        return (
            f"Over {self.n} models the metric orders the generalisation gap of those that differ in one hyperparameter "
            f"with a granulated Kendall coefficient of {self.Psi:.2f}; conditional mutual information {self.score:.3f}"
            f"{holes}. Neither says that the metric causes the gap."
        )


def grid_scores(
    metric: ArrayLike, gap: ArrayLike, hyperparameters: Mapping[str, Sequence[Any] | NDArray[Any]]
) -> GridScores:
    """Return granulated Kendall coefficients and the contest score of one metric over a grid of models.

    Parameters
    ----------
    metric : array_like [models]
        The metric.
    gap : array_like [models]
        Generalisation gap: training minus test accuracy, or 1 minus test accuracy.
    hyperparameters : mapping of str to sequence [models]
        Values of each hyperparameter.

    Raises
    ------
    InputError
        Fewer than two models, columns of different lengths, NaN, or no hyperparameter that varies.

    References
    ----------
    Jiang et al. (2019), "Fantastic generalization measures", equation 5; Jiang et al. (2020), the PGDL contest, whose
    published scores this reproduces.
    """
    mu, g = np.asarray(metric, dtype=np.float64), np.asarray(gap, dtype=np.float64)
    lengths = {len(mu), len(g), *(len(column) for column in hyperparameters.values())}
    if len(lengths) != 1 or len(mu) < 2 or not np.isfinite([mu, g]).all():
        raise InputError(f"columns of lengths {sorted(lengths)}", "one length of at least two, and no NaN")
    codes = {name: np.unique([_hashed(v) for v in column], return_inverse=True)[1]
             for name, column in hyperparameters.items()}  # fmt: skip
    codes = {name: code for name, code in codes.items() if code.max() > 0}
    if not codes:
        raise InputError("no hyperparameter has more than one value", "at least one that varies")
    psi = np.array([_granulated(mu, g, [c for other, c in codes.items() if other != name]) for name in codes])
    pairs = tuple(permutations(codes, 2))
    information = np.array([_information(mu, g, codes[a], codes[b]) for a, b in pairs])
    return GridScores(
        axes=tuple(codes),
        psi=psi,
        Psi=float(np.nanmean(psi)) if np.isfinite(psi).any() else float("nan"),
        pairs=pairs,
        information=information,
        score=float(np.min(information)) if len(pairs) else float("nan"),
        n=len(mu),
    )


def _hashed(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)


def _granulated(mu: Floats, gap: Floats, others: list[NDArray[np.intp]]) -> float:
    """Return the mean over groups of equal `others` of the mean sign product over pairs; NaN without groups."""
    keys = np.stack(others, axis=1) if others else np.zeros((len(mu), 1), dtype=np.intp)
    _, group = np.unique(keys, axis=0, return_inverse=True)
    group = group.ravel()
    product = signs(mu) * signs(gap)
    taus: list[float] = []
    for k in range(group.max() + 1):
        rows = np.flatnonzero(group == k)
        if len(rows) > 1:
            taus.append(float(np.sum(product[np.ix_(rows, rows)])) / (len(rows) * (len(rows) - 1)))
    return float(np.mean(taus)) if taus else float("nan")


def _information(mu: Floats, gap: Floats, a: NDArray[np.intp], b: NDArray[np.intp]) -> float:
    """Return the mean mutual information over cells of (a1, a2, b1, b2), over the mean entropy of the gap's order.

    Ordered pairs include a model with itself, and all cells weigh the same, as in the contest's own code.
    """
    na, nb = int(a.max()) + 1, int(b.max()) + 1
    pair_a, pair_b = a[:, None] * na + a, b[:, None] * nb + b
    outcome = 2 * (gap[:, None] > gap) + (mu[:, None] > mu)
    cell = pair_a * nb**2 + pair_b
    counts = np.bincount((4 * cell + outcome).ravel(), minlength=4 * na**2 * nb**2).reshape(-1, 2, 2)
    totals = counts.sum(axis=(1, 2), keepdims=True)
    if (totals == 0).any():
        return float("nan")
    p = counts / totals
    p_gap, p_mu = p.sum(axis=2, keepdims=True), p.sum(axis=1, keepdims=True)
    expected = p_gap * p_mu
    logs = np.log2(np.divide(p, expected, out=np.ones_like(p), where=p > 0))
    entropy = -np.sum(p_gap * np.log2(p_gap + 1e-12), axis=(1, 2))
    return float(np.mean(np.sum(p * logs, axis=(1, 2))) / np.mean(entropy))
