"""Levels of many runs over many resamplings of the examples, with all sorting done once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice, check_integers
from ..._compiled import can_compile
from ..._cores import available_cores
from ...errors import InputError
from .._ties import merge_sorted, ranks_among, tolerance
from .defaults import Mode
from .levels import interpolated_mass
from .nodes import Floats, candidate_nodes, row_chunks, smallest_level, unsettled

RESAMPLE = ("bootstrap", "split")
COMPILE_FROM = 2**22  # pooled values in all replicates; below, loading the compiled loops takes longer than they save
TABLE_BYTES = 2**27  # tables of one block of candidates
_ALONE = 2**15  # values of candidates and pool below which threads cost more than they give
THREAD_BYTES = 2**32  # work arrays over the reference pool, of all threads together

T = TypeVar("T")
Indices = NDArray[np.intp]
Progress = Callable[[int, int], None]  # called with what is done and what there is to do
Draw = tuple[Indices, Indices]  # examples of the candidates, examples of the reference


def draw_examples(
    n_examples: int, resample: str | None, replicates: int, indices: ArrayLike | None, rng: np.random.Generator
) -> list[Draw]:
    """Return, for each replicate, the examples on which candidates and reference are evaluated.

    The first ``floor(n_examples / 2)`` of each row of `indices`, or of each drawn row, are the candidates'. Without
    resampling there is one replicate, in which both are evaluated on all examples.
    """
    check_replicates(replicates)
    if indices is not None:
        rows = check_integers(indices, "indices", 0, n_examples - 1)
        if rows.ndim != 2 or 0 in rows.shape:
            raise InputError(f"got indices of shape {rows.shape}", "[replicates, examples], not empty")
    elif resample is None:
        return [(np.arange(n_examples), np.arange(n_examples))]
    else:
        rows = _drawn_rows(n_examples, check_choice(resample, "resample", RESAMPLE), replicates, rng)
    half = rows.shape[1] // 2
    if half == 0:
        raise InputError(f"got {rows.shape[1]} example", "at least two, one for each half")
    return [(row[:half].astype(np.intp), row[half:].astype(np.intp)) for row in rows]


def check_replicates(replicates: Any) -> None:
    """Raise an InputError unless `replicates` is a whole number from 1."""
    if not isinstance(replicates, (int, np.integer)) or replicates < 1:
        raise InputError(f"got {replicates} replicates", "a whole number from 1")


def _drawn_rows(n_examples: int, resample: str, replicates: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if resample == "bootstrap":
        return rng.integers(n_examples, size=(replicates, n_examples))
    return rng.permuted(np.tile(np.arange(n_examples), (replicates, 1)), axis=1)


class Pool:
    """The pooled values of the reference runs, sorted once; a replicate is a count of each value.

    Parameters
    ----------
    values : ndarray [runs, examples]
        Scalar outputs of the reference runs.
    """

    def __init__(self, values: Floats) -> None:
        self.n_runs, self.n_examples = values.shape
        self.order = np.argsort(values, axis=None)
        ordered = values.ravel()[self.order]
        self.equal_up_to = tolerance(ordered)
        self.values = merge_sorted(ordered, self.equal_up_to)
        self.example = self.order % self.n_examples

    def mixture(self, examples: Indices) -> Floats:
        """Return the cumulative mass [values + 1] of the average of the runs' distributions on some examples."""
        counts = np.bincount(examples, minlength=self.n_examples)
        return cumulative_mass(counts.take(self.example), self.n_runs * len(examples))

    def sampled(self, examples: Indices, rng: np.random.Generator) -> Floats:
        """Return the cumulative mass of as many draws from that average as there are examples."""
        points = examples[rng.integers(len(examples), size=len(examples))]
        drawn = rng.integers(self.n_runs, size=len(examples)) * self.n_examples + points
        return cumulative_mass(np.bincount(drawn, minlength=self.order.size)[self.order], len(examples))


def cumulative_mass(counts: NDArray[np.int64], total: int) -> Floats:
    """Return the mass of the first 0, 1, ... sorted values along the last axis, from their counts."""
    mass = np.zeros((*counts.shape[:-1], counts.shape[-1] + 1))
    np.divide(np.cumsum(counts, axis=-1), total, out=mass[..., 1:])  # summed as integers: half the time
    return mass


@dataclass(frozen=True)
class Block:
    """Sorted candidates and where their values fall in the pool.

    Attributes
    ----------
    order : ndarray [candidates, examples]
        Example of each sorted value.
    left, right : ndarray [candidates, examples]
        Number of pooled values below, and at or below, each sorted value; one array where no values are tied.
    values : ndarray [candidates, examples]
        The sorted values; one that is equal to a pooled value but for rounding is that value.
    """

    order: Indices
    left: Indices
    right: Indices
    values: Floats

    @classmethod
    def of(cls, values: Floats, pool: Pool) -> Block:
        """Sort and rank the candidates."""
        order = np.argsort(values, axis=-1)
        ordered = np.take_along_axis(values, order, -1)
        left, right = ranks_among(pool.values, ordered, pool.equal_up_to)
        if right is not left:
            ordered = np.where(left < right, pool.values[np.minimum(left, pool.order.size - 1)], ordered)
        return cls(order, left, right, ordered)

    def levels(self, examples: Indices, pool: Pool, mass: Floats, delta: tuple[float, float], mode: Mode) -> Floats:
        """Return the level of each candidate on some examples, given the pool's cumulative mass."""
        counts = np.bincount(examples, minlength=self.order.shape[1])
        found = np.empty(len(self.order))
        knots = _knots(pool, mass) if mode == "published" else None
        for rows in row_chunks(*self.order.shape):
            below, upto = self._reference_mass(rows, mass, knots)
            own = cumulative_mass(counts.take(self.order[rows]), len(examples))
            found[rows] = smallest_level(candidate_nodes(below, upto, own), delta)
        return found

    def _reference_mass(self, rows: slice, mass: Floats, knots: tuple[Floats, Floats] | None) -> tuple[Floats, Floats]:
        if knots is None:
            below = mass.take(self.left[rows])
            return below, below if self.right is self.left else mass.take(self.right[rows])
        interpolated = interpolated_mass(*knots, self.values[rows])
        return interpolated, interpolated


def _knots(pool: Pool, mass: Floats) -> tuple[Floats, Floats]:
    """Return the pooled values that count, and the mass up to each."""
    drawn = np.diff(mass) > 0
    return pool.values[drawn], mass[1:][drawn]


@dataclass(frozen=True)
class ResamplingPlan:
    """What is done in every replicate.

    Attributes
    ----------
    draws : list of (candidate examples, reference examples)
        One pair a replicate.
    delta : (float, float)
        Threshold, as ``delta[0] + c delta[1]``.
    mode : {"step", "published"}
        How the reference's distribution is read.
    sampled : bool
        Whether the reference is sampled from the mixture instead of being the mixture.
    seed : int
        Seed of the sampling.
    """

    draws: list[Draw]
    delta: tuple[float, float]
    mode: Mode
    sampled: bool = False
    seed: int = 0

    def mass(self, pool: Pool, replicate: int) -> Floats:
        """Return the reference's cumulative mass in a replicate."""
        examples = self.draws[replicate][1]
        if self.sampled:
            return pool.sampled(examples, np.random.default_rng((self.seed, replicate)))
        return pool.mixture(examples)


class Counter:
    """Tells a caller how many of how many steps are done."""

    def __init__(self, total: int, tell: Progress | None) -> None:
        self.total, self._tell, self._done = total, tell, 0

    def step(self) -> None:
        """Count one more."""
        self._done += 1
        if self._tell is not None:
            self._tell(self._done, self.total)


def resampled_levels(
    candidates: Iterable[Floats], pool: Pool, plan: ResamplingPlan, workers: int | None, counter: Counter | None = None
) -> Floats:
    """Return the level of every candidate in every replicate, shape [replicates, candidates].

    Parameters
    ----------
    candidates : iterable of ndarray [runs, examples]
        Scalar outputs, a block of runs at a time; only one block is held.
    pool : Pool
        Other runs on the same examples.
    plan : ResamplingPlan
        Draws and threshold.
    workers : int or None
        Threads; if None as many as there are processors and memory for. The result does not depend on it.
    counter : Counter, optional
        Counts every replicate of every block.
    """
    workers = workers or max(1, min(available_cores(), THREAD_BYTES // (24 * pool.order.size)))
    if can_compile() and plan.mode == "step" and pool.order.size * len(plan.draws) >= COMPILE_FROM:
        return np.concatenate([_compiled_levels(values, pool, plan, workers, counter) for values in candidates], axis=1)
    blocks = (Block.of(values, pool) for values in candidates)
    return np.concatenate([_block_levels(block, pool, plan, workers, counter) for block in blocks], axis=1)


def _block_levels(block: Block, pool: Pool, plan: ResamplingPlan, workers: int, counter: Counter | None) -> Floats:
    def one(replicate: int) -> Floats:
        examples = plan.draws[replicate][0]
        return block.levels(examples, pool, plan.mass(pool, replicate), plan.delta, plan.mode)

    small = block.order.size + pool.order.size < _ALONE
    return np.array(in_threads(one, len(plan.draws), 1 if small else workers, counter))


def _compiled_levels(values: Floats, pool: Pool, plan: ResamplingPlan, workers: int, counter: Counter | None) -> Floats:
    """Return what `_block_levels` does, by loops that visit each value once."""
    from . import levels_numba

    block, delta = Block.of(values, pool), np.array(plan.delta)

    def one(replicate: int) -> Floats:
        own, others = (np.bincount(half, minlength=pool.n_examples) for half in plan.draws[replicate])
        if plan.sampled:
            mass = plan.mass(pool, replicate)
        else:
            mass = levels_numba.pool_mass(others, pool.example, pool.n_runs * int(others.sum()))
        found: Floats = levels_numba.block_levels(block.order, block.left, block.right, own, mass, delta)
        if np.isnan(found).any():
            raise unsettled()
        return found

    return np.array(in_threads(one, len(plan.draws), workers, counter))


def block_size(n_examples: int) -> int:
    """Return of how many candidates the tables fit into memory together."""
    return max(1, TABLE_BYTES // (32 * n_examples))


def in_threads(
    function: Callable[[int], T], count: int, workers: int | None, counter: Counter | None = None
) -> list[T]:
    """Return ``function(0), ... function(count - 1)``, in as many threads as there are cores if None."""
    found: list[T] = []
    with ThreadPoolExecutor(workers or available_cores()) as threads:
        for value in map(function, range(count)) if workers == 1 else threads.map(function, range(count)):
            found.append(value)
            if counter is not None:
                counter.step()
    return found
