"""Answers of one model in cells: one training, prompt and item each, with its samples (evals 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of one model.

    Attributes
    ----------
    seed, prompt, item : ndarray of int64 [cells]
        Which; numbers from 0.
    n : ndarray of int64 [cells]
        Samples.
    mean, var : ndarray of float64 [cells]
        Of the scores of the samples; `var` (divisor n - 1) is NaN for one sample.
    """

    seed: Codes
    prompt: Codes
    item: Codes
    n: Codes
    mean: Floats
    var: Floats

    def __len__(self) -> int:
        return len(self.n)

    @property
    def repeats(self) -> bool:
        """Whether any cell has two samples."""
        return bool((self.n > 1).any())

    @property
    def decode(self) -> float:
        """Variance of one answer inside a cell: the mean over cells with two samples; NaN without any."""
        return float(self.var[self.n > 1].mean()) if self.repeats else float("nan")

    @property
    def noise(self) -> Floats:
        """Variance of each cell's mean [cells]; cells of one sample borrow the mean of the others, 0 without any."""
        own = self.decode if self.repeats else 0.0
        return np.where(self.n > 1, self.var, own) / self.n

    def take(self, rows: NDArray[Any]) -> Cells:
        """Return some of the cells, by position or mask."""
        return Cells(self.seed[rows], self.prompt[rows], self.item[rows], self.n[rows], self.mean[rows], self.var[rows])

    def weights(self) -> Floats:
        """Return the weight of each cell in its item: all that are there weigh the same (evals 3.3)."""
        return 1.0 / np.bincount(self.item)[self.item]

    def item_means(self, items: int, *, by_answers: bool = False) -> Floats:
        """Return the mean of each item [items] over its cells, or over its answers; NaN where there is none."""
        return _mean_by(self.item, self.mean, self._counting(by_answers), items)

    def by(self, level: Codes, levels: int, items: int, *, by_answers: bool = False) -> Floats:
        """Return means [levels, items] over the other factor, of cells or of answers; NaN where missing."""
        flat = level * items + self.item
        return _mean_by(flat, self.mean, self._counting(by_answers), levels * items).reshape(levels, items)

    def _counting(self, by_answers: bool) -> Floats:
        return self.n.astype(np.float64) if by_answers else np.ones(len(self))


def _mean_by(codes: Codes, values: Floats, weights: Floats, size: int) -> Floats:
    total, weight = np.bincount(codes, weights * values, size), np.bincount(codes, weights, size)
    with np.errstate(invalid="ignore"):
        return np.where(weight > 0, total / weight, np.nan)


def cells_of(seed: Codes, prompt: Codes, item: Codes, score: Floats) -> Cells:
    """Return the cells of answers, a row each [rows]."""
    prompts, items = int(prompt.max()) + 1, int(item.max()) + 1
    key = (seed.astype(np.int64) * prompts + prompt) * items + item
    found, at, n = np.unique(key, return_inverse=True, return_counts=True)
    mean = np.bincount(at, score) / n
    squares = np.bincount(at, np.square(score - mean[at]))
    with np.errstate(invalid="ignore", divide="ignore"):
        var = np.where(n > 1, squares / (n - 1), np.nan)
    rest, of_item = np.divmod(found, items)
    of_seed, of_prompt = np.divmod(rest, prompts)
    return Cells(of_seed, of_prompt, of_item, n.astype(np.int64), mean, var)


def renumbered(codes: Codes) -> tuple[Codes, Codes]:
    """Return the values that occur, sorted, and the position of each row's value among them."""
    levels, at = np.unique(codes, return_inverse=True)
    return levels, at.astype(np.int64)
