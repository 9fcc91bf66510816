"""Which runs are typical: the trimming level of every run against the average of the others."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice
from ..._errors import InputError
from ..._results import Result, Table
from ..variance.audit import warns_of_seeds
from .levels import CAP, MODES, Mode, Threshold, default_threshold, round_up_to_grid, threshold_terms
from .margins import Floats, Margin
from .resampling import Draw, Plan, draw_examples, resampled_levels
from .scalars import Reading, Scalars, read_scalars

ReferenceKind = Literal["mixture", "sampled", "ensemble", "single"]
REFERENCES = ("mixture", "sampled", "ensemble", "single")
FEW_REFERENCES = 10


@dataclass(frozen=True, eq=False, kw_only=True)
class TrimmingLevels(Result):
    """Trimming level of every run, over resamplings of the examples.

    Attributes
    ----------
    run_ids : tuple of str
        The runs.
    levels : ndarray [replicates, runs]
        Exact levels; ``inf`` where no trimming helps. For one-vs-rest the largest over the classes.
    class_levels : ndarray [classes, replicates, runs] or None
        Levels of each class for one-vs-rest, each tested at ``epsilon / classes``.
    grid_levels : ndarray [replicates, runs]
        The levels rounded up to the published grid, ``cap`` beyond it.
    mean, grid_mean : ndarray [runs]
        Means over the replicates of `levels` censored at ``cap``, and of `grid_levels` (the published estimate).
    median, lower, upper : ndarray [runs]
        Median, 5 % and 95 % quantile over the replicates, uncensored.
    rejected, censored : ndarray [runs]
        Share of replicates with a level above 0, and with one of ``cap`` or more.
    delta : tuple of float
        A distance is accepted up to ``delta[0] + delta[1] / (1 - alpha)``.
    n, m : int
        Examples on which candidates and reference are evaluated in a replicate.
    n_references : ndarray of int [runs]
        Runs behind the reference of each run.
    margin, reference, resample, mode, threshold, epsilon, cap
        Settings.
    """

    run_ids: tuple[str, ...]
    levels: Floats
    class_levels: Floats | None
    grid_levels: Floats
    mean: Floats
    grid_mean: Floats
    median: Floats
    lower: Floats
    upper: Floats
    rejected: Floats
    censored: Floats
    delta: tuple[float, float]
    n: int
    m: int
    n_references: NDArray[np.int64]
    margin: str
    reference: str
    resample: str | None
    mode: str
    threshold: str | float
    epsilon: float
    cap: float

    @property
    def atypical(self) -> NDArray[np.bool_]:
        """Whether each run is told from the reference in more than half of the replicates."""
        return self.rejected > 0.5

    def table(self) -> Table:
        """Return a row a run, the least typical first."""
        order = np.argsort(-self.mean, kind="stable")
        columns: dict[str, list[Any]] = {"run": [self.run_ids[run] for run in order]}
        for name, values in (
            ("mean level", self.mean),
            ("median", self.median),
            ("5 %", self.lower),
            ("95 %", self.upper),
            ("rejected", self.rejected),
            (f"{self.cap:g} or more", self.censored),
        ):
            columns[name] = values[order].tolist()
        return Table(columns, formats={"rejected": ".0%", f"{self.cap:g} or more": ".0%"})

    def sentence(self) -> str:
        """Return how many runs are typical, at which sample sizes, and what that does not show."""
        count, total = int(self.atypical.sum()), len(self.run_ids)
        low, middle, high = np.quantile(self.mean, [0.05, 0.5, 0.95])
        replicates = f"{len(self.levels)} {self.resample or 'full-set'} replicate{'s' * (len(self.levels) > 1)}"
        return (
            f"{count} of {total} runs {'is' if count == 1 else 'are'} told from the {self.reference} of the reference "
            f"runs in more than half of {replicates}; the mean trimming level has median {middle:.3f} over the runs "
            f"(5 % to 95 %: {low:.3f} to {high:.3f}), at n = {self.n}, m = {self.m}, threshold {self._threshold()}. "
            "It compares distributions of outputs, not which examples they belong to, and levels of equal n, m and "
            "epsilon only."
        )

    def _threshold(self) -> str:
        if self.delta[1]:
            return f"{self.threshold} (epsilon {self.epsilon:g})"
        return f"{self.delta[0]:.4f} ({self.threshold}, epsilon {self.epsilon:g})"


@dataclass(frozen=True)
class Settings:
    """Settings of `trimming` that travel together."""

    reference: ReferenceKind
    resample: str | None
    mode: Mode
    threshold: Threshold | float | None
    epsilon: float
    workers: int | None
    seed: int

    def plan(self, draws: list[Draw], statistics: int) -> Plan:
        """Return what is done in every replicate; each of several statistics is tested at its share of epsilon."""
        delta = threshold_terms(
            self.threshold, self.epsilon / statistics, len(draws[0][0]), len(draws[0][1]), self.mode
        )
        return Plan(draws, delta, self.mode, self.reference == "sampled", self.seed)


@warns_of_seeds(pooled=True)
def trimming(
    candidates: Any,
    references: Any = None,
    *,
    reference: ReferenceKind = "mixture",
    resample: Literal["bootstrap", "split"] | None = "bootstrap",
    replicates: int = 100,
    threshold: Threshold | float | None = None,
    epsilon: float = 0.01,
    mode: Mode = "step",
    margin: Margin | None = None,
    labels: ArrayLike | None = None,
    classes: tuple[int, int] | None = None,
    clip: tuple[float, float] | None = None,
    split: str = "test",
    indices: ArrayLike | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> TrimmingLevels:
    """Return how much of each run's output distribution the average run does not explain.

    Parameters
    ----------
    candidates : array_like, RunOutputs or study
        Logits [runs, examples, classes], or scalar outputs of a floating type [runs, examples].
    references : array_like, RunOutputs or study, optional
        Other runs on the same examples, which make up the reference. When left out, the two halves of the
        candidates serve each other: a run of the first half is compared with the second (the published design),
        and a run of the second half with the first.
    reference : {"mixture", "sampled", "ensemble", "single"}
        ``mixture``: average of the runs' distributions. ``sampled``: a random sample of it, closest to the published
        code. ``ensemble``: distribution of the averaged logits, another law than the mixture. ``single``: one run.
    resample : {"bootstrap", "split"} or None
        ``bootstrap``: two halves drawn with replacement, as published; rejects equal laws up to five times more
        often than `epsilon`. ``split``: random disjoint halves, for which the threshold holds. None: all examples
        for both, descriptive only.
    replicates : int
        Number of resamplings.
    threshold, epsilon, mode
        See `trimming_level`; for the mixture the size of the reference is its number of examples, not of pooled
        values, because the runs share the examples.
    margin, labels, classes
        See `margins`; by default the gap for two classes, one-vs-rest for more, each class tested at
        ``epsilon / classes``.
    clip : (float, float), optional
        Bounds to which scalar outputs are saturated.
    split : str
        Which split of a study to read.
    indices : array_like of int [replicates, examples], optional
        Fixes the draws; the first half of each row is for the candidates.
    seed : int
        Seed of the draws.
    workers : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    TrimmingLevels
        Levels per replicate and their summary per run.

    Raises
    ------
    InputError
        No usable run, runs on different examples, too few examples, or arguments out of range.

    Notes
    -----
    Banerjee et al., arXiv 2406.08307.
    """
    for value, name, known in ((reference, "reference", REFERENCES), (mode, "mode", MODES)):
        check_choice(value, name, known)
    settings = Settings(reference, resample, mode, threshold, epsilon, workers, seed)
    reading = Reading(margin, classes, clip)
    tested = read_scalars(candidates, labels, split, reading)
    pool = None if references is None else read_scalars(references, labels, split, reading)
    draws = draw_examples(tested.values.shape[2], resample, replicates, indices, np.random.default_rng(seed))
    if indices is not None:
        settings = dataclasses.replace(settings, resample="given")
    plan = settings.plan(draws, len(tested.values))
    levels, sizes = _against_pool(tested, pool, settings, plan) if pool else _across_halves(tested, settings, plan)
    return _summarise(levels, sizes, tested, pool, settings, plan)


def _against_pool(tested: Scalars, pool: Scalars, settings: Settings, plan: Plan) -> tuple[Floats, NDArray[np.int64]]:
    if (tested.values.shape[0], tested.values.shape[2]) != (pool.values.shape[0], pool.values.shape[2]):
        raise InputError(
            f"candidates with {_size(tested)} and references with {_size(pool)}", "the same examples and classes"
        )
    everyone = np.arange(len(pool.run_ids))
    levels = _levels(tested.values, _reference_values(pool, everyone, settings.reference), settings, plan)
    return levels, np.full(len(tested.run_ids), len(everyone))


def _size(scalars: Scalars) -> str:
    return f"{scalars.values.shape[2]} examples and {len(scalars.values)} statistic(s)"


def _across_halves(tested: Scalars, settings: Settings, plan: Plan) -> tuple[Floats, NDArray[np.int64]]:
    runs = np.arange(len(tested.run_ids))
    if len(runs) < 2:
        raise InputError("1 run", "at least two, or references", "A run needs others to be compared with.")
    halves = np.array_split(runs, 2)
    levels = [
        _levels(tested.values[:, own], _reference_values(tested, other, settings.reference), settings, plan)
        for own, other in (halves, halves[::-1])
    ]
    sizes = np.repeat([len(halves[1]), len(halves[0])], [len(halves[0]), len(halves[1])])
    return np.concatenate(levels, axis=2), sizes


def _reference_values(pool: Scalars, runs: NDArray[np.intp], kind: ReferenceKind) -> Floats:
    """Return the scalars [statistics, runs, examples] whose pooled distribution is the reference."""
    if kind == "ensemble":
        return pool.of_ensembles(np.isin(np.arange(len(pool.run_ids)), runs)[None])
    if kind == "single" and len(runs) != 1:
        raise InputError(f"{len(runs)} reference runs for reference='single'", "exactly one")
    return pool.values[:, runs]


def _levels(candidates: Floats, references: Floats, settings: Settings, plan: Plan) -> Floats:
    if settings.mode == "published" and not (np.isfinite(candidates).all() and np.isfinite(references).all()):
        raise InputError("infinite outputs", "finite ones in mode 'published'", "Use mode='step'.")
    pairs = zip(candidates, references, strict=True)
    return np.stack([resampled_levels(own, other, plan, settings.workers) for own, other in pairs])


def _summarise(
    levels: Floats, sizes: NDArray[np.int64], tested: Scalars, pool: Scalars | None, settings: Settings, plan: Plan
) -> TrimmingLevels:
    largest = levels.max(0)
    lower, upper = np.quantile(largest, [0.05, 0.95], axis=0, method="inverted_cdf")  # copes with infinite levels
    on_grid = round_up_to_grid(largest)
    return TrimmingLevels(
        run_ids=tested.run_ids,
        levels=largest,
        class_levels=levels if len(levels) > 1 else None,
        grid_levels=on_grid,
        mean=np.minimum(largest, CAP).mean(0),
        grid_mean=on_grid.mean(0),
        median=np.quantile(largest, 0.5, axis=0, method="inverted_cdf"),
        lower=lower,
        upper=upper,
        rejected=(largest > 0).mean(0),
        censored=(largest >= CAP).mean(0),
        delta=plan.delta,
        n=len(plan.draws[0][0]),
        m=len(plan.draws[0][1]),
        n_references=sizes,
        margin=tested.margin,
        reference=settings.reference,
        resample=settings.resample,
        mode=settings.mode,
        threshold=default_threshold(settings.threshold, settings.mode),
        epsilon=settings.epsilon,
        cap=CAP,
        excluded=tested.excluded + (pool.excluded if pool else ()),
        warnings=_warnings(tested, pool, sizes),
    )


def _warnings(tested: Scalars, pool: Scalars | None, sizes: NDArray[np.int64]) -> tuple[str, ...]:
    notes: list[str] = []
    if sizes.min() < FEW_REFERENCES:
        notes.append(f"The reference is made of only {sizes.min()} run(s): it is itself uncertain.")
    known = {row.tobytes() for row in np.moveaxis(pool.values, 1, 0)} if pool else set[bytes]()
    shared = sum(row.tobytes() in known for row in np.moveaxis(tested.values, 1, 0))
    if shared:
        notes.append(f"{shared} candidate(s) have exactly the outputs of a reference run: use disjoint sets of runs.")
    return tuple(notes)
