"""How many runs it takes to represent them all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice, check_integers, check_seed
from ..._compiled import can_compile
from ..._reading.margins import Floats
from ..._reading.opening import opens
from ..._reading.scalars import Scalars
from ..._results import Result, Table
from ..._words import count, percent
from ...errors import InputError
from ..audit.auditing import warns_of_seeds
from .defaults import EPSILON, KINDS, MODE, REFERENCE, REPLICATES, TOLERANCE, Threshold, TrimmingSettings
from .inputs import Inputs
from .levels import beyond_reach, default_threshold, threshold_terms
from .merged_values import MergedValues
from .nodes import SLACK, distance, smallest_level, unsettled
from .records import ResampledSettings
from .resampling import Counter, Draw, draw_examples, in_threads
from .typicality import FEW_REFERENCES

DIRECTIONS = ("few trimmed", "pool trimmed")
COVERAGE = 0.95
CONFIDENCE = 0.95  # of the intervals on shares of subsets
DEFAULT_SIZES = 10
COMPILE_FROM = 2**22  # values in all replicates; below, loading the compiled loops takes longer than they save
MIN_SUBSETS = math.ceil(math.log((1 - CONFIDENCE) / 2) / math.log(COVERAGE))  # none of so many beyond: below 5 %


@dataclass(frozen=True, eq=False, kw_only=True)
class RepresentativeSize(Result):
    """Trimming level and distance between what M runs give and the average of disjoint runs, as M grows.

    Attributes
    ----------
    sizes : ndarray of int [sizes]
        M, the number of runs.
    kinds : tuple of str
        What is made of the M runs: ``mixture`` (average of their distributions), ``ensemble`` (distribution of their
        averaged logits).
    directions : tuple of str
        Which distribution is trimmed: that of the M runs (``few trimmed``), or that of the pool.
    levels : ndarray [kinds, directions, subsets, sizes]
        Levels of random subsets, candidate and reference on examples of their own.
    distances : ndarray [kinds, subsets, sizes]
        Kolmogorov distances between subset and pool on all examples: no error of the test set, but of the runs.
    smallest : ndarray [kinds, directions]
        Smallest size from which on the level of 95 % of the subsets is at most `tolerance`; inf if there is none.
    not_ruled_out, shown : ndarray [kinds, directions]
        The same where each share of subsets may be that high, and where it must be: by the ends of its exact binomial
        interval of 95 %. With too few subsets nothing can be shown.
    pool_size : int
        Runs in the pool.
    tolerance : float
        Level up to which a subset counts as representative.
    delta, n, m
        As in `TrimmingLevels`.
    settings : ResampledSettings
        Margin, classes, clip, reference, resample, mode, threshold, epsilon and seed; the reference is the mixture of
        the pool's runs, or of the M runs where the pool is trimmed.
    """

    picture = ".plots:plot_representative_size"

    replicate_fields: ClassVar[tuple[str, ...]] = ("levels", "distances")

    sizes: NDArray[np.int64]
    kinds: tuple[str, ...]
    directions: tuple[str, ...]
    levels: Floats
    distances: Floats
    smallest: Floats
    not_ruled_out: Floats
    shown: Floats
    pool_size: int
    tolerance: float
    delta: tuple[float, float]
    n: int
    m: int
    settings: ResampledSettings

    @property
    def resolved(self) -> bool:
        """Whether there are subsets enough to tell that 95 % of them are within the tolerance, and examples enough."""
        return self.levels.shape[2] >= MIN_SUBSETS and not beyond_reach(self.delta)

    def recommended(self, kind: str = "mixture") -> int | None:
        """Return the size from which M runs are representative in both directions; None if no size tried is.

        It is an estimate from random subsets: see `interval`, and `resolved` for whether it says anything.
        """
        return self._largest(self.smallest, kind)

    def interval(self, kind: str = "mixture") -> tuple[int | None, int | None]:
        """Return the sizes that the subsets do not rule out: smallest and largest; None beyond the sizes tried."""
        return self._largest(self.not_ruled_out, kind), self._largest(self.shown, kind)

    def _largest(self, sizes: Floats, kind: str) -> int | None:
        check_choice(kind, "kind", self.kinds)
        size = sizes[self.kinds.index(kind)].max()
        return int(size) if np.isfinite(size) else None

    def quantile(self, q: float) -> Floats:
        """Return a quantile over the subsets of the levels, shape [kinds, directions, sizes]."""
        return np.quantile(self.levels, q, axis=2, method="inverted_cdf")

    def table(self) -> Table:
        """Return one row per kind and size: 95 % quantile of the levels, and share above the tolerance."""
        beyond = self.levels > self.tolerance + SLACK
        upper, above = self.quantile(COVERAGE), beyond.mean(2)
        limits = share_limits(beyond.sum(2), self.levels.shape[2])
        columns: dict[str, Any] = {
            "of M runs": np.repeat(self.kinds, len(self.sizes)),
            "M": np.tile(self.sizes, len(self.kinds)),
            "median distance": np.median(self.distances, axis=1).ravel(),
        }
        formats = {"median distance": ".4f"}
        for j, direction in enumerate(self.directions):
            level, share = f"{direction}: 95 %", f"above {self.tolerance:g} ({direction.split()[0]})"
            low, high = (limit[:, j].ravel() for limit in limits)
            columns |= {level: upper[:, j].ravel(), share: above[:, j].ravel()}
            columns[f"{CONFIDENCE:.0%} ({direction.split()[0]})"] = [
                f"{a:.0%} to {b:.0%}" for a, b in zip(low, high, strict=True)
            ]
            formats |= {level: ".3f", share: ".0%"}
        title = (
            f"Representative: a trimming level of at most {self.tolerance:g} in both directions for "
            f"{percent(COVERAGE)} of subsets (threshold {sum(self.delta):.4f}), for exchangeable runs and "
            "this number of examples"
        )
        return Table(columns, formats=formats, title=title)

    def sentence(self) -> str:
        """Return the recommended sizes with what they rest on; none where the subsets are too few to tell."""
        if beyond_reach(self.delta):
            return (
                f"How many runs represent the others cannot be told at n = {self.n}, m = {self.m}: the threshold "
                f"{sum(self.delta):.4f} is as large as distances can be. Use more examples."
            )
        subsets = self.levels.shape[2]
        if not self.resolved and all(self.interval(kind)[0] is not None for kind in self.kinds):
            return (
                f"No verdict yet: that takes at least {MIN_SUBSETS} random subsets ({subsets} were drawn, against a "
                f"pool of {self.pool_size} runs, n = {self.n}, m = {self.m})."
            )
        found = "; ".join(f"the {kind} of {self._words(kind)}" for kind in self.kinds)
        judged = f"over {subsets} random subsets, against a pool of {self.pool_size} runs, n = {self.n}, m = {self.m}"
        return f"{found[0].upper()}{found[1:]} ({judged})."

    def _words(self, kind: str) -> str:
        size, (low, high) = self.recommended(kind), self.interval(kind)
        if low is None:
            return f"up to {self.sizes[-1]} runs is not representative"
        if not self.resolved:
            return f"M runs has no verdict, which takes {MIN_SUBSETS} subsets"
        if size is None:
            return f"up to {self.sizes[-1]} runs is neither shown to be representative nor ruled out"
        within = f"{CONFIDENCE:.0%} CI {low} to {high or f'over {self.sizes[-1]}'}"
        return f"{count(size, 'run')} or more is representative ({within})"


@opens("outputs")
@warns_of_seeds(pooled=True)
def representative_size(
    outputs: Any,
    *,
    sizes: Sequence[int] | None = None,
    kinds: Sequence[Literal["mixture", "ensemble"]] = KINDS,
    tolerance: float = TOLERANCE,
    resample: Literal["bootstrap", "split"] | None = "split",
    replicates: int = REPLICATES,
    threshold: Threshold | float | None = None,
    epsilon: float = EPSILON,
    seed: int = 0,
    **settings: Unpack[TrimmingSettings],
) -> RepresentativeSize:
    """Return how many runs represent the average run, and how many make an ensemble that behaves like it.

    In each replicate half of the runs, chosen at random, form the pool; nested random subsets of the rest are compared
    with it, once with the subset as candidate and once with the pool. The mixture of M runs approaches the pool as M
    grows; the ensemble, whose averaged logits have less noise than a run's, need not: its limit is another.

    Parameters
    ----------
    outputs : array_like, RunOutputs or study
        Logits [runs, examples, classes], or scalar outputs of a floating type [runs, examples].
    sizes : sequence of int, optional
        Numbers of runs M to try, at most half of the runs; up to 10, evenly spaced on a log scale, by default.
    kinds : sequence of {"mixture", "ensemble"}
        What to make of the M runs.
    tolerance : float
        Level up to which a subset counts as representative.
    resample, threshold, epsilon, seed
        As in `trimming`; disjoint halves of the examples are the default here, because the threshold holds for them.
    replicates : int
        Number of random subsets of each size; below 72 there is no verdict.
    **settings
        As in `trimming`: see `TrimmingSettings`.

    Returns
    -------
    RepresentativeSize
        Levels and distances by size, and the smallest representative sizes.

    Raises
    ------
    InputError
        Fewer than four usable runs, or sizes or settings out of range.

    Notes
    -----
    Banerjee et al., arXiv 2406.08307.

    The scalar outputs of all runs are held and sorted together: some 90 bytes per value at the
    peak, for every class of one-vs-rest.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 2
    >>> outputs = 2 * np.eye(2)[labels] + rng.normal(size=(8, 200, 2))  # [runs, examples, classes]
    >>> rs.representative_size(outputs, replicates=10).pool_size
    4
    """
    _check_settings(kinds, tolerance)
    inputs = Inputs.of(representative_size, settings)
    scalars = inputs.read(outputs)
    chosen = _check_sizes(sizes, len(scalars.run_ids))
    rng = np.random.default_rng(check_seed(seed))
    draws = draw_examples(scalars.values.shape[2], resample, replicates, None, rng)
    draws = draws * (replicates if resample is None else 1)
    n, m = len(draws[0][0]), len(draws[0][1])
    delta = threshold_terms(threshold, epsilon, n, m, MODE, len(scalars.values))
    merged = [MergedValues.of(values) for values in scalars.values]
    compiles = can_compile() and scalars.values.size * len(draws) >= COMPILE_FROM
    study = Subsets(scalars, merged, chosen, tuple(kinds), delta, compiles)
    levels, distances = study.compare_all(draws, rng, inputs)
    limits = share_limits((levels > tolerance + SLACK).sum(2), levels.shape[2])
    said = ResampledSettings(
        **inputs.used(scalars),
        reference=REFERENCE,
        resample=resample,
        mode=MODE,
        threshold=default_threshold(threshold, MODE),
        epsilon=epsilon,
        seed=seed,
    )
    return RepresentativeSize(
        sizes=chosen,
        kinds=tuple(kinds),
        directions=DIRECTIONS,
        levels=levels,
        distances=distances,
        smallest=_smallest(levels, chosen, tolerance),
        not_ruled_out=_first_to_stay(limits[0] <= 1 - COVERAGE, chosen),
        shown=_first_to_stay(limits[1] <= 1 - COVERAGE, chosen),
        pool_size=_pool_size(scalars),
        tolerance=tolerance,
        delta=delta,
        n=n,
        m=m,
        settings=said,
        excluded=scalars.excluded,
        warnings=_warnings(scalars, len(draws)),
    )


def _pool_size(scalars: Scalars) -> int:
    return len(scalars.run_ids) - len(scalars.run_ids) // 2


def _check_settings(kinds: Sequence[str], tolerance: float) -> None:
    for kind in kinds:
        check_choice(kind, "kind", KINDS)
    if not kinds or len(set(kinds)) < len(kinds):
        raise InputError(f"got kinds {tuple(kinds)}", f"one or more of {', '.join(KINDS)}, each once")
    if not 0 <= tolerance < 1:
        raise InputError(f"got tolerance {tolerance}", "a level from 0 up to, not including, 1")


def _warnings(scalars: Scalars, subsets: int) -> tuple[str, ...]:
    notes: list[str] = []
    if (pool := _pool_size(scalars)) < FEW_REFERENCES:
        notes.append(f"The pool is made of only {count(pool, 'run')}: it is itself uncertain.")
    if subsets < MIN_SUBSETS:
        notes.append(f"{subsets} random subsets cannot tell whether 95 % are within the tolerance: {MIN_SUBSETS} can.")
    if copies := scalars.count_copies():
        notes.append(
            f"{count(copies, 'run')} {'has' if copies == 1 else 'have'} exactly the outputs of another: exclude copies."
        )
    return tuple(notes)


def _check_sizes(sizes: Sequence[int] | None, n_runs: int) -> NDArray[np.int64]:
    largest = n_runs // 2
    if largest < 2:
        raise InputError(f"got {n_runs} usable runs", "at least 4: half of them form the pool")
    if sizes is None:
        return np.unique(np.geomspace(1, largest, DEFAULT_SIZES).round().astype(np.int64))
    chosen = np.unique(check_integers(sizes, "sizes", 1, largest))
    if not chosen.size:
        raise InputError("there are no sizes", "at least one")
    return chosen


def _smallest(levels: Floats, sizes: NDArray[np.int64], tolerance: float) -> Floats:
    """Return the first size from which on 95 % of the subsets stay within the tolerance, or inf."""
    return _first_to_stay((levels <= tolerance + SLACK).mean(2) >= COVERAGE, sizes)


def _first_to_stay(accepted: NDArray[np.bool_], sizes: NDArray[np.int64]) -> Floats:
    """Return the first size from which on all sizes are accepted, or inf."""
    stays = np.minimum.accumulate(accepted[..., ::-1], axis=-1)[..., ::-1]
    return np.where(stays.any(-1), sizes[stays.argmax(-1)], np.inf)


def share_limits(counts: NDArray[np.int64], total: int) -> tuple[Floats, Floats]:
    """Return the exact binomial (Clopper-Pearson) interval of 95 % of shares, over subsets of these runs."""
    from scipy.special import betaincinv

    tail = (1 - CONFIDENCE) / 2
    k = np.asarray(counts, dtype=np.float64)
    low = np.where(k > 0, betaincinv(np.maximum(k, 0.5), total - k + 1, tail), 0.0)
    high = np.where(k < total, betaincinv(k + 1, np.maximum(total - k, 0.5), 1 - tail), 1.0)
    return low, high


@dataclass(frozen=True)
class Subsets:
    """Compares nested subsets of the runs with a pool of others."""

    scalars: Scalars
    merged: list[MergedValues]
    sizes: NDArray[np.int64]
    kinds: tuple[str, ...]
    delta: tuple[float, float]
    is_compiled: bool = False

    def compare_all(self, draws: list[Draw], rng: np.random.Generator, inputs: Inputs) -> tuple[Floats, Floats]:
        """Return levels [kinds, directions, draws, sizes] and distances [kinds, draws, sizes], each on a new order."""
        orders = rng.permuted(np.tile(np.arange(len(self.scalars.run_ids)), (len(draws), 1)), axis=1)
        counter = Counter(len(draws), inputs.progress)
        found = in_threads(lambda index: self.compare(orders[index], draws[index]), len(draws), inputs.workers, counter)
        levels, distances = zip(*found, strict=True)
        return np.stack(levels, axis=2), np.stack(distances, axis=1)

    def compare(self, order: NDArray[np.intp], draw: Draw) -> tuple[Floats, Floats]:
        """Return levels [kinds, directions, sizes] and distances [kinds, sizes], the largest over the statistics.

        Parameters
        ----------
        order : ndarray of int [runs]
            The runs in random order: subsets are taken from its start, the pool is its second half.
        draw : (candidate examples, reference examples)
            Examples of the levels; the distances use all.
        """
        place = np.argsort(order)
        members = place < self.sizes[:, None]
        pool = (place >= len(order) // 2).astype(np.int64)
        averaged = self.scalars.of_ensembles(members) if "ensemble" in self.kinds else None
        if self.is_compiled:
            found = self._compiled(place, pool, draw, averaged)
            return found[..., :2].transpose(0, 2, 1), found[..., 2]
        levels = np.zeros((len(self.kinds), len(DIRECTIONS), len(self.sizes)))
        distances = np.zeros((len(self.kinds), len(self.sizes)))
        for statistic, merged in enumerate(self.merged):
            against = Pooled(merged, pool, draw, self.delta)
            for k, runs in enumerate(members):
                for i, kind in enumerate(self.kinds):
                    values = averaged[statistic, k] if kind == "ensemble" and averaged is not None else None
                    found, apart = against.compare(runs, values)
                    levels[i, :, k] = np.maximum(levels[i, :, k], found)
                    distances[i, k] = max(distances[i, k], apart)
        return levels, distances

    def _compiled(
        self, place: NDArray[np.intp], pool: NDArray[np.int64], draw: Draw, averaged: Floats | None
    ) -> Floats:
        """Return [kinds, sizes, 3]: levels in both directions and distances, the largest over the statistics."""
        from . import levels_numba

        delta, n_examples = np.array(self.delta), self.scalars.n_examples
        counts = np.stack([*(np.bincount(half, minlength=n_examples) for half in draw), np.ones(n_examples, np.int64)])
        largest = np.zeros((len(self.kinds), len(self.sizes), 3))
        for statistic, merged in enumerate(self.merged):
            mass = levels_numba.masses(merged.places, pool, counts)
            for i, kind in enumerate(self.kinds):
                if kind == "ensemble" and averaged is not None:
                    few = merged.values, averaged[statistic], averaged[statistic].argsort(axis=-1), merged.equal_up_to
                    found = levels_numba.ensembles(*few, mass, counts, delta)
                else:
                    found = levels_numba.mixtures(merged.places, place, self.sizes, mass, counts, delta)
                if np.isnan(found).any():
                    raise unsettled()
                np.maximum(largest[i], found, out=largest[i])
        return largest


class Pooled:
    """The pool's distribution of one statistic on the candidates' examples, on the reference's, and on all."""

    def __init__(self, merged: MergedValues, pool: NDArray[np.int64], draw: Draw, delta: tuple[float, float]) -> None:
        n_examples = int(merged.example.max()) + 1
        self.merged, self.delta = merged, delta
        everything = np.ones(n_examples, dtype=np.int64)
        self.examples = [np.bincount(half, minlength=n_examples) for half in draw] + [everything]
        self.masses = [merged.mass(pool, examples) for examples in self.examples]

    def compare(self, runs: NDArray[np.bool_], averaged: Floats | None) -> tuple[tuple[float, float], float]:
        """Return the levels in both directions, and the distance, of a subset of runs.

        Parameters
        ----------
        runs : ndarray of bool [runs]
            Whether each run is in the subset.
        averaged : ndarray [examples] or None
            Scalars of their ensemble; the average of their distributions is compared if None.
        """
        if averaged is None:
            positions = self.merged.of_runs(runs)
            few_values = [self.merged.average(positions, examples) for examples in self.examples]
        else:
            few_values = [self.merged.ensemble(averaged, examples) for examples in self.examples]
        few = smallest_level(few_values[0].nodes(self.masses[1], trimmed=True), self.delta)
        pool = smallest_level(few_values[1].nodes(self.masses[0], trimmed=False), self.delta)
        return (float(few[0]), float(pool[0])), float(
            distance(few_values[2].nodes(self.masses[2], trimmed=True), 1.0)[0]
        )
