"""Scores of a metric over a grid of hyperparameters: granulated Kendall, and the contest's mutual information."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._results import Result, Table
from ...errors import InputError
from .._ties import snap
from ..spectra.tails import Floats
from .associations import members_of
from .kendall import pairs_of

_PAIRS = 1_000_000  # of models, at a time
_CELLS = 1024  # of the grid, whose pairs are counted once for all axes


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
        """Return one row per axis."""
        smallest = [
            float(np.min([v for pair, v in zip(self.pairs, self.information, strict=True) if axis in pair]))
            if len(self.axes) > 1 else float("nan")
            for axis in self.axes
        ]  # fmt: skip
        return Table({"hyperparameter": self.axes, "psi": self.psi, "smallest information": smallest})

    def sentence(self) -> str:
        """Say how well the metric orders models that differ in one thing."""
        mutual = f"is {self.score:.3f}" if np.isfinite(self.score) else "is undefined, as the grid has holes"
        return (
            f"Over {self.n} models the metric orders the generalisation gap of those that differ in one hyperparameter "
            f"with a granulated Kendall coefficient of {self.Psi:.2f}; conditional mutual information {mutual}. "
            "Neither says that the metric causes the gap."
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

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> depth, width = np.repeat([1, 2, 3], 6), np.tile([64, 128, 256], 6)
    >>> metric = depth + 0.1 * rng.normal(size=18)
    >>> rs.methods.corpus.grid_scores(metric, 1.0 * depth, {"depth": depth, "width": width}).axes
    ('depth', 'width')
    """
    mu, g = np.asarray(metric, dtype=np.float64), np.asarray(gap, dtype=np.float64)
    lengths = {len(mu), len(g), *(len(column) for column in hyperparameters.values())}
    if len(lengths) != 1 or len(mu) < 2 or not np.isfinite([mu, g]).all():
        raise InputError(f"got columns of lengths {sorted(lengths)}", "one length of at least two, and no NaN")
    mu, g = snap(mu), snap(g)
    codes = {name: np.unique([_hashed(v) for v in column], return_inverse=True)[1]
             for name, column in hyperparameters.items()}  # fmt: skip
    codes = {name: code for name, code in codes.items() if code.max() > 0}
    if not codes:
        raise InputError("no hyperparameter has more than one value", "at least one that varies")
    psi = np.array([_granulated(mu, g, [c for other, c in codes.items() if other != name]) for name in codes])
    pairs = tuple(permutations(codes, 2))
    information = _all_information(mu, g, codes, pairs)
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
    taus = [pairs_of(mu[rows], gap[rows]).tau_a for rows in members_of(group.astype(np.int64)) if len(rows) > 1]
    return float(np.mean(taus)) if taus else float("nan")


def _all_information(
    mu: Floats, gap: Floats, codes: Mapping[str, NDArray[np.intp]], pairs: Sequence[tuple[str, str]]
) -> NDArray[np.float64]:
    """Return the information of every ordered pair of axes; of both orders it is the same."""
    cells, cell = np.unique(np.stack(list(codes.values()), axis=1), axis=0, return_inverse=True)
    counts = _order_counts(mu, gap, cell.ravel(), len(cells)) if len(cells) <= _CELLS else None
    known: dict[frozenset[str], float] = {}
    for pair in pairs:
        if frozenset(pair) not in known:
            a, b = (codes[axis] for axis in pair)
            known[frozenset(pair)] = _information(mu, gap, a, b, (cell.ravel(), counts))
    return np.array([known[frozenset(pair)] for pair in pairs])


def _order_counts(mu: Floats, gap: Floats, cell: NDArray[np.intp], n_cells: int) -> NDArray[np.int64]:
    """Count the ordered pairs of models by their cells and by whether gap and metric are larger [cells, cells, 2, 2].

    A pair of a model with itself counts, as in the contest's own code. A part of the pairs is held at a time.
    """
    order = np.argsort(cell, kind="stable")
    mu, gap, cell = mu[order], gap[order], cell[order]
    starts = np.searchsorted(cell, np.arange(n_cells))
    found = np.zeros((3, n_cells, n_cells), dtype=np.int64)
    for rows in np.array_split(np.arange(len(mu)), -(-(len(mu) ** 2) // _PAIRS)):
        by_gap, by_mu = gap[rows, None] > gap, mu[rows, None] > mu
        for k, larger in enumerate((by_gap & by_mu, by_gap, by_mu)):
            np.add.at(found[k], cell[rows], np.add.reduceat(larger, starts, axis=1, dtype=np.int64))
    both, gaps, metrics = found
    sizes = np.bincount(cell, minlength=n_cells)
    neither = sizes[:, None] * sizes - gaps - metrics + both
    return np.stack([neither, metrics - both, gaps - both, both], axis=-1).reshape(n_cells, n_cells, 2, 2)


def _information(
    mu: Floats,
    gap: Floats,
    a: NDArray[np.intp],
    b: NDArray[np.intp],
    grid: tuple[NDArray[np.intp], NDArray[np.int64] | None],
) -> float:
    """Return the mean mutual information over cells of (a1, a2, b1, b2), over the mean entropy of the gap's order.

    All cells weigh the same, as in the contest's own code.
    """
    nb = int(b.max()) + 1
    code, n_codes = a * nb + b, (int(a.max()) + 1) * nb
    if len(np.unique(code)) < n_codes:
        return float("nan")
    cell, by_cell = grid
    if by_cell is None:
        counts = _order_counts(mu, gap, code, n_codes)
    else:
        of_cell = np.zeros(len(by_cell), dtype=np.intp)
        of_cell[cell] = code
        counts = np.zeros((n_codes, n_codes, 2, 2), dtype=np.int64)
        np.add.at(counts, (of_cell[:, None], of_cell), by_cell)
    counts = counts.reshape(-1, 2, 2)
    totals = counts.sum(axis=(1, 2), keepdims=True)
    p = counts / totals
    p_gap, p_mu = p.sum(axis=2, keepdims=True), p.sum(axis=1, keepdims=True)
    expected = p_gap * p_mu
    logs = np.log2(np.divide(p, expected, out=np.ones_like(p), where=p > 0))
    entropy = -np.sum(p_gap * np.log2(p_gap + 1e-12), axis=(1, 2))
    return float(np.mean(np.sum(p * logs, axis=(1, 2))) / np.mean(entropy))
