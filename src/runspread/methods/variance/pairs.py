"""Joint correctness of pairs of examples: which pairs of errors are not independent."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_seed
from ..._reading.copies import repeated_rows
from ..._reading.correctness import as_outcomes
from ..._reading.opening import opens
from ..._reading.options import DEFAULTS_OF_OUTCOMES, OutcomeOptions, divided
from ..._results import Result, Table
from ...errors import InputError
from ..audit.auditing import warns_of_seeds
from .counting import unpacked_rows
from .dropped import dropped_examples

_BLOCK = 512


@dataclass(frozen=True, eq=False, kw_only=True)
class PairDeviations(Result):
    """Joint correctness of pairs of examples against independence, ``dev_ij = #(both right)/R - p_i p_j`` for i < j.

    Attributes
    ----------
    n_runs, n_examples, n_pairs : int
        Runs, examples, and pairs looked at.
    pair_dev_max : float
        Largest absolute deviation; NaN without a pair.
    pair_dev_arg : tuple of int
        The lexicographically first pair that has it.
    pair_dev_count : int
        Pairs whose absolute deviation reaches the threshold.
    threshold : float
        Inclusive, compared exactly.
    pair_dev, pair_dev_se, pair_dev_z : float
        Signed deviation of that pair, its standard error if the two were independent, and their ratio.
    sampled : bool
        Whether the pairs are a random sample.
    """

    no_picture = "rs.variance(...).plot() draws what dependent errors do to the accuracies"

    n_runs: int
    n_examples: int
    n_pairs: int
    pair_dev_max: float
    pair_dev_arg: tuple[int, int]
    pair_dev_count: int
    threshold: float
    pair_dev: float
    pair_dev_se: float
    pair_dev_z: float
    sampled: bool = False

    def table(self) -> Table:
        """Return the numbers as one row."""
        first, second = self.pair_dev_arg
        columns = {
            "pairs": [self.n_pairs],
            "largest deviation": [self.pair_dev_max],
            "pair": [f"{first}, {second}"],
            "z": [self.pair_dev_z],
            "threshold": [self.threshold],
            "pairs at or above": [self.pair_dev_count],
        }
        return Table(columns, formats={"largest deviation": ".2%", "threshold": ".2%"})

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        kind = "sampled pairs" if self.sampled else "pairs"
        return (
            f"{self.pair_dev_count} of {self.n_pairs} {kind} of examples are right together more or less often than "
            f"independent errors allow by at least {self.threshold:.2%} ({self.n_runs} runs; the largest deviation is "
            f"{self.pair_dev_max:.2%}); pairs below that may still be dependent."
        )


def default_pair_threshold(n_runs: int, n_examples: int) -> float:
    """Return the deviation that independent pairs hardly reach: 2 %, or the Bonferroni bound at 5 % if larger.

    The bound is by the normal distribution and goes beyond 1, which no deviation does, where there are few runs.
    """
    from scipy.special import ndtri

    pairs = max(2, n_examples * (n_examples - 1))
    return min(1.0, max(0.02, float(-ndtri(0.05 / pairs)) * 0.25 / math.sqrt(n_runs)))


@opens("source")
@warns_of_seeds(pooled=True)
def pair_deviations(
    source: Any = None,
    labels: Any = None,
    *,
    correct: ArrayLike | None = None,
    threshold: float | None = None,
    sample: int | None = None,
    seed: int | np.random.Generator = 0,
    **reading: Unpack[OutcomeOptions],
) -> PairDeviations:
    """Return how far pairs of examples are from independent errors (2304.01910, section 4; spec 3.2).

    The cost grows with runs times examples squared: 10,000 examples and 1,000 runs take some 10 s per core.

    Parameters
    ----------
    source, labels, correct
        As for `variance`.
    threshold : float, optional
        Deviations that are counted, inclusive. Default 2 %, or more where independent pairs would reach that by chance.
    sample : int, optional
        Number of random pairs to look at; all by default.
    seed : int or Generator
        Seed of the sample.
    **reading : OutcomeOptions
        How outputs are read: ``split``, ``kind``, ``nan``, ``missing``.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> len(rs.methods.variance.pair_deviations(logits, labels).table()) > 0
    True
    """
    how, _ = divided(pair_deviations, reading, DEFAULTS_OF_OUTCOMES, {})
    outcomes = as_outcomes(source, labels, correct=correct, **how)
    packed = np.concatenate([np.packbits(chunk.correct, axis=1) for chunk in outcomes.chunks()])
    found = scan_pairs(packed, outcomes.shape[1], threshold=threshold, sample=sample, seed=seed)
    notes = (*dropped_examples(outcomes), *repeated_rows(packed, outcomes.shape[1]))
    return replace(found, excluded=outcomes.excluded, warnings=notes)


def scan_pairs(
    packed: NDArray[np.uint8],
    examples: int,
    *,
    threshold: float | None = None,
    sample: int | None = None,
    seed: int | np.random.Generator = 0,
) -> PairDeviations:
    """Return the deviations of all pairs, or of a random sample, from correctness in bits [runs, bytes]."""
    runs = len(packed)
    threshold = default_pair_threshold(runs, examples) if threshold is None else threshold
    if not 0 <= threshold <= 1 or (sample is not None and sample < 1):
        raise InputError(f"got threshold={threshold} and sample={sample}", "a threshold from 0 to 1, at least one pair")
    scan = _Scan(packed, examples, threshold)
    if sample is None:
        for start in range(0, examples, _BLOCK):
            scan.block(start)
    elif examples > 1:
        scan.sample(sample, np.random.default_rng(check_seed(seed)))
    deviation, error, z = _first_pair(scan)
    return PairDeviations(
        n_runs=runs,
        n_examples=examples,
        n_pairs=scan.pairs,
        pair_dev_max=scan.best / runs**2 if scan.pairs else math.nan,
        pair_dev_arg=scan.pair,
        pair_dev_count=scan.count,
        threshold=threshold,
        pair_dev=deviation,
        pair_dev_se=error,
        pair_dev_z=z,
        sampled=sample is not None,
    )


def _first_pair(scan: _Scan) -> tuple[float, float, float]:
    """Return the signed deviation of the pair that deviates most, its standard error under independence, the ratio."""
    if not scan.pairs:
        return math.nan, math.nan, math.nan
    p, q = (float(scan.right[example]) / scan.runs for example in scan.pair)
    deviation, error = scan.signed / scan.runs**2, math.sqrt(p * (1 - p) * q * (1 - q) / scan.runs)
    return deviation, error, deviation / error if error else math.nan


class _Scan:
    """Keeps the largest deviation and the count above the threshold, in exact integers scaled by R squared."""

    def __init__(self, packed: NDArray[np.uint8], examples: int, threshold: float) -> None:
        self.packed, self.examples, self.runs = packed, examples, len(packed)
        self.right = sum((rows.sum(axis=0, dtype=np.int64) for rows in self._rows()), np.zeros(examples, np.int64))
        # Inclusive on the decimal as it is written: 0.1 means one tenth, not the nearest double.
        self.limit = math.ceil(Fraction(repr(float(threshold))) * self.runs**2)
        self.best, self.signed, self.pair, self.count, self.pairs = -1, 0, (-1, -1), 0, 0

    def _rows(self) -> Iterator[NDArray[np.bool_]]:
        return unpacked_rows(self.packed, self.examples)

    def block(self, start: int) -> None:
        """Look at the pairs whose first example is in a block."""
        width = min(_BLOCK, self.examples - start)
        joint = np.zeros((width, self.examples - start), np.int64)
        for rows in self._rows():  # each product counts fewer than 2**24 runs, so float32 is exact
            tail = rows[:, start:].astype(np.float32)
            joint += (tail[:, :width].T @ tail).astype(np.int64)
        signed = self.runs * joint - self.right[start : start + width, None] * self.right[start:]
        scaled = np.abs(signed)
        scaled[~(np.arange(scaled.shape[1]) > np.arange(width)[:, None])] = -1
        where = int(scaled.argmax())
        first, second = divmod(where, scaled.shape[1])
        self._take(scaled[scaled >= 0], int(signed.flat[where]), (start + first, start + second))

    def sample(self, count: int, rng: np.random.Generator) -> None:
        """Look at `count` random pairs, drawn with replacement."""
        first = rng.integers(self.examples, size=count)
        second = (first + rng.integers(1, self.examples, size=count)) % self.examples
        first, second = np.minimum(first, second), np.maximum(first, second)
        joint = np.zeros(count, np.int64)
        for rows in self._rows():
            joint += (rows[:, first] & rows[:, second]).sum(axis=0, dtype=np.int64)
        signed = self.runs * joint - self.right[first] * self.right[second]
        scaled = np.abs(signed)
        top = np.flatnonzero(scaled == scaled.max())
        at = top[np.lexsort((second[top], first[top]))[0]]
        self._take(scaled, int(signed[at]), (int(first[at]), int(second[at])))

    def _take(self, scaled: NDArray[np.int64], signed: int, pair: tuple[int, int]) -> None:
        """Count deviations, and keep the largest of the block, given with its sign, if it is the largest so far."""
        self.pairs += len(scaled)
        self.count += int((scaled >= self.limit).sum())
        if len(scaled) and abs(signed) > self.best:
            self.best, self.signed, self.pair = abs(signed), signed, pair
