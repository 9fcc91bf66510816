"""Whether two sets of runs give the same answers example by example, and not only as often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._reading.margins import Floats
from ..._reading.scalars import Scalars
from .exchanges import Rows

Numbers = NDArray[np.int64] | Floats


@dataclass(frozen=True)
class Agreement:
    """How far apart the answers of runs are on the same examples.

    Attributes
    ----------
    differences : ndarray [runs, runs]
        Number of examples on which two runs predict different classes; of single outputs without labels the sum of the
        absolute differences.
    right : ndarray of int [runs] or None
        Number of examples that each run gets right; None without labels.
    n_examples : int
        Examples.
    """

    differences: Numbers
    right: NDArray[np.int64] | None
    n_examples: int

    @classmethod
    def of(cls, old: Scalars, new: Scalars) -> Agreement:
        """Compare all old and new runs with each other."""
        right = None if old.right is None or new.right is None else np.concatenate([old.right, new.right])
        scalar = right is None and old.is_single
        answers = np.concatenate([runs.values[0] if scalar else runs.votes for runs in (old, new)])
        return cls(differences(answers), right, answers.shape[1])

    def statistics(self, new: Rows) -> Floats:
        """Return how far apart old and new runs are under each arrangement [arrangements].

        It is the energy distance of the answers or, if larger, the difference of the mean accuracies, each over its
        root mean square over the arrangements, so that they are on one scale.
        """
        old, between, own = self._means(new)
        found = _scaled(between - (old + own) / 2)
        if self.right is None:
            return found
        return np.maximum(found, _scaled(_gaps(self.right, new)))

    def shares(self, new: Rows) -> tuple[float, float, float]:
        """Return the mean share of examples on which two old runs, an old and a new one, two new ones differ."""
        old, between, own = (float(mean[0]) / self.n_examples for mean in self._means(new[:1]))
        return old, between, own

    def _means(self, new: Rows) -> tuple[Floats, Floats, Floats]:
        """Return the mean difference [arrangements] of two old runs, of an old and a new one, of two new ones."""
        n_new = int(new[0].sum())
        n_old = new.shape[1] - n_new
        to_new = self._sums(new)
        to_old = self.differences.sum(0) - to_new if self.differences.dtype.kind == "i" else self._sums(~new)
        return (
            _mean(to_old, ~new, n_old * (n_old - 1)),
            _mean(to_old, new, n_old * n_new),
            _mean(to_new, new, n_new * (n_new - 1)),
        )

    def _sums(self, chosen: Rows) -> Numbers:
        """Return the sum [arrangements, runs] of the differences of each run from the chosen ones.

        Equal sums are equal numbers: of whole numbers a product of matrices is exact, of others it is not.
        """
        if self.differences.dtype.kind == "i":
            return np.rint(chosen.astype(np.float64) @ self.differences.astype(np.float64)).astype(np.int64)
        return np.einsum("ar,rs->as", chosen.astype(np.float64), self.differences)


def _mean(sums: Numbers, others: Rows, pairs: int) -> Floats:
    """Return the mean difference [arrangements] from some other runs; NaN where there are no pairs."""
    total = np.where(others, sums, 0).sum(1)
    return total / pairs if pairs else np.full(len(others), np.nan)


def differences(answers: NDArray[Any]) -> Numbers:
    """Return how far apart the answers [runs, examples] of each pair of runs are [runs, runs]."""
    scalar = answers.dtype.kind == "f"
    kind: Any = np.float64 if scalar else np.int64
    found = np.zeros((len(answers), len(answers)), dtype=kind)
    for run, own in enumerate(answers):
        others = answers[run + 1 :]
        found[run, run + 1 :] = np.abs(others - own).sum(1) if scalar else np.count_nonzero(others != own, axis=1)
    return found + found.T


def _gaps(right: NDArray[np.int64], new: Rows) -> Floats:
    """Return the absolute difference [arrangements] of the mean numbers of right answers, up to a factor."""
    n_new = int(new[0].sum())
    own = np.where(new, right, 0).sum(1)
    return np.abs(own * (new.shape[1] - n_new) - (right.sum() - own) * n_new).astype(np.float64)


def _scaled(statistics: Floats) -> Floats:
    """Return statistics over their root mean square; zeros where they are all zero."""
    size = np.sqrt(np.square(statistics).mean())
    return statistics / size if size > 0 else np.zeros(len(statistics))
