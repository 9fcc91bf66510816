"""Which runs are typical: the trimming level of every run against the average of the others."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice, check_seed
from ..._reading.margins import Floats
from ..._reading.opening import opens
from ..._reading.outputs import check_same_examples
from ..._reading.scalars import Scalars
from ..._results import Result, Table
from ..._words import count
from ...errors import InputError
from ..audit.auditing import warns_of_seeds
from .defaults import (
    CAP,
    EPSILON,
    MODE,
    MODES,
    REFERENCE,
    REFERENCES,
    REPLICATES,
    Mode,
    ReferenceKind,
    Threshold,
    TrimmingSettings,
)
from .inputs import Inputs
from .levels import beyond_reach, default_threshold, round_up_to_grid, threshold_terms
from .levels_apart import SomeRuns, levels_apart
from .nodes import SLACK
from .records import LevelSettings
from .resampling import Counter, Draw, Pool, ResamplingPlan, block_size, draw_examples, resampled_levels

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
    settings : LevelSettings
        Margin, classes, clip, reference, resample, mode, threshold, epsilon, cap and seed.
    """

    picture = ".plots:plot_trimming_levels"

    replicate_fields: ClassVar[tuple[str, ...]] = ("levels", "class_levels", "grid_levels")

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
    settings: LevelSettings

    @property
    def atypical(self) -> NDArray[np.bool_]:
        """Whether each run is distinguishable from the reference in more than half of the replicates."""
        return self.rejected > 0.5

    def table(self) -> Table:
        """Return one row per run, the least typical first."""
        order = np.argsort(-self.mean, kind="stable")
        columns: dict[str, list[Any]] = {"run": [self.run_ids[run] for run in order]}
        for name, values in (
            ("mean level", self.mean),
            ("median", self.median),
            ("5 %", self.lower),
            ("95 %", self.upper),
            ("rejected", self.rejected),
            (f"{self.settings.cap:g} or more", self.censored),
        ):
            columns[name] = values[order].tolist()
        if self.settings.mode == "published":
            columns["published mean"] = self.grid_mean[order].tolist()
        shares = dict.fromkeys(("rejected", f"{self.settings.cap:g} or more"), ".0%")
        levels = ("mean level", "median", "5 %", "95 %", "published mean")
        return Table(columns, formats=dict.fromkeys(levels, ".3f") | shares)

    def sentence(self) -> str:
        """Return how many runs are typical, at which sample sizes, and what that does not show."""
        atypical, total = int(self.atypical.sum()), len(self.run_ids)
        if beyond_reach(self.delta):
            return (
                f"Nothing can be said of {count(total, 'run')} at n = {self.n}, m = {self.m}: the threshold "
                f"{self._threshold()} is as large as distances can be, so every level is 0. Use more examples."
            )
        middle, how = float(np.median(self.mean)), self.settings
        grid = f", published {np.median(self.grid_mean):.3f}" if how.mode == "published" else ""
        replicates = f"{len(self.levels)} {how.resample or 'full-set'} replicate{'s' * (len(self.levels) > 1)}"
        return (
            f"{atypical} of {total} runs {'is' if atypical == 1 else 'are'} distinguishable from the {how.reference} "
            f"of reference runs in more than half of {replicates} (median level {middle:.3f}{grid}; "
            f"n = {self.n}, m = {self.m}; threshold {self._threshold()}). This compares output distributions, not "
            "individual examples."
        )

    def _threshold(self) -> str:
        if self.delta[1]:
            return f"{self.settings.threshold}, epsilon {self.settings.epsilon:g}"
        return f"{self.delta[0]:.4f} by {self.settings.threshold}, epsilon {self.settings.epsilon:g}"


@dataclass(frozen=True)
class Design:
    """What `trimming` was asked to do."""

    reference: ReferenceKind
    resample: str | None
    mode: Mode
    threshold: Threshold | float | None
    epsilon: float
    seed: int
    inputs: Inputs

    def said(self, tested: Scalars) -> LevelSettings:
        """Return the settings as the result has them."""
        return LevelSettings(
            **self.inputs.used(tested),
            reference=self.reference,
            resample=self.resample,
            mode=self.mode,
            threshold=default_threshold(self.threshold, self.mode),
            epsilon=self.epsilon,
            cap=CAP,
            seed=self.seed,
        )

    def plan(self, draws: list[Draw], statistics: int) -> ResamplingPlan:
        """Return what is done in every replicate; each of several statistics is tested at its share of epsilon."""
        delta = threshold_terms(self.threshold, self.epsilon, len(draws[0][0]), len(draws[0][1]), self.mode, statistics)
        return ResamplingPlan(draws, delta, self.mode, self.reference == "sampled", self.seed)


@opens("candidates", "references")
@warns_of_seeds(pooled=True)
def trimming(
    candidates: Any,
    references: Any = None,
    *,
    reference: ReferenceKind = REFERENCE,
    resample: Literal["bootstrap", "split"] | None = "bootstrap",
    replicates: int = REPLICATES,
    threshold: Threshold | float | None = None,
    epsilon: float = EPSILON,
    mode: Mode = MODE,
    indices: ArrayLike | None = None,
    seed: int = 0,
    **settings: Unpack[TrimmingSettings],
) -> TrimmingLevels:
    """Return how much of each run's output distribution the average run does not explain.

    Parameters
    ----------
    candidates : array_like, RunOutputs or study
        Logits [runs, examples, classes], or scalar outputs of a floating type [runs, examples].
    references : array_like, RunOutputs or study, optional
        Other runs on the same examples, which make up the reference. When omitted, the two halves of the
        candidates serve each other: a run of the first half is compared with the second (the published design),
        and a run of the second half with the first.
    reference : {"mixture", "sampled", "ensemble", "single"}
        ``mixture``: average of the runs' distributions. ``sampled``: a random sample of it, closest to the published
        code. ``ensemble``: distribution of the averaged logits, which is not the mixture. ``single``: one run.
    resample : {"bootstrap", "split"} or None
        ``bootstrap``: two halves drawn with replacement, as published; rejects equal distributions up to five times
        more often than `epsilon`. ``split``: random disjoint halves, for which the threshold holds. None: all examples
        for both, descriptive only.
    replicates : int
        Number of resamplings.
    threshold, epsilon, mode
        See `trimming_level`; for the mixture the size of the reference is its number of examples, not of pooled
        values, because the runs share the examples.
    indices : array_like of int [replicates, examples], optional
        Fixes the draws; the first half of each row is for the candidates.
    seed : int
        Seed of the draws.
    **settings
        How outputs are read (`margin`, `classes`, `clip`, `labels`, `split`, `kind`, `nan`), `workers` and `progress`:
        see `TrimmingSettings`.

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

    Outputs are read in blocks of runs, once more for each 64 MiB of what the classes of a one-vs-rest margin give. In
    memory at a time are these, the reference runs' values of one class (32 bytes each while they are sorted; 24, and 24
    more a thread, from then on; there are fewer threads where they would exceed 4 GiB), a block of candidates (some 200
    MiB), and the levels (8 bytes per class, replicate and run). 5,900 candidates of 5,000 examples against 40 take
    0.35 GiB in all. Without `references` half of the runs are the reference; hand in fewer to hold less.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> levels = rs.trimming(logits, replicates=20)
    >>> levels.mean.shape
    (8,)
    """
    for value, name, known in ((reference, "reference", REFERENCES), (mode, "mode", MODES)):
        check_choice(value, name, known)
    inputs = Inputs.of(trimming, settings)
    design = Design(reference, resample, mode, threshold, epsilon, seed, inputs)
    tested = inputs.read(candidates)
    pool = None if references is None else inputs.read(references)
    draws = draw_examples(tested.n_examples, resample, replicates, indices, np.random.default_rng(check_seed(seed)))
    if indices is not None:
        design = dataclasses.replace(design, resample="given")
    plan = design.plan(draws, tested.n_statistics)
    levels, sizes = _against_pool(tested, pool, design, plan) if pool else _across_halves(tested, design, plan)
    return _summarise(levels, sizes, tested, pool, design, plan)


def halves(n_runs: int) -> list[NDArray[np.intp]]:
    """Return the runs of the two halves that serve each other where there are no references."""
    return np.array_split(np.arange(n_runs), 2)


def _against_pool(
    tested: Scalars, pool: Scalars, design: Design, plan: ResamplingPlan
) -> tuple[Floats, NDArray[np.int64]]:
    if (tested.n_classes, tested.n_examples) != (pool.n_classes, pool.n_examples):
        raise InputError(
            f"got candidates with {_size(tested)} and references with {_size(pool)}", "the same examples and classes"
        )
    check_same_examples(
        {"candidates": tested.labels, "references": pool.labels},
        {"candidates": tested.example_ids, "references": pool.example_ids},
    )
    runs, everyone = np.arange(len(tested.run_ids)), np.arange(len(pool.run_ids))
    counter = _counter(tested, [runs], design, plan)
    levels = _levels(SomeRuns(tested, runs), SomeRuns(pool, everyone), design, plan, counter)
    return levels, np.full(len(runs), len(everyone))


def _counter(tested: Scalars, parts: list[NDArray[np.intp]], design: Design, plan: ResamplingPlan) -> Counter:
    """Return what counts the replicates of every block of candidates."""
    blocks = sum(math.ceil(len(part) / block_size(tested.n_examples)) for part in parts)
    return Counter(tested.n_statistics * blocks * len(plan.draws), design.inputs.progress)


def _size(scalars: Scalars) -> str:
    return f"{scalars.n_examples} examples and {scalars.n_classes} classes"


def _across_halves(tested: Scalars, design: Design, plan: ResamplingPlan) -> tuple[Floats, NDArray[np.int64]]:
    if len(tested.run_ids) < 2:
        raise InputError("got 1 run", "at least two, or references", "A run needs others to be compared with.")
    parts = halves(len(tested.run_ids))
    counter = _counter(tested, parts, design, plan)
    first, second = (SomeRuns(tested, part) for part in parts)
    levels = [_levels(own, other, design, plan, counter) for own, other in ((first, second), (second, first))]
    sizes = np.repeat([len(second.runs), len(first.runs)], [len(first.runs), len(second.runs)])
    return np.concatenate(levels, axis=2), sizes


def _levels(own: SomeRuns, other: SomeRuns, design: Design, plan: ResamplingPlan, counter: Counter) -> Floats:
    """Return the levels [statistics, replicates, own runs] of some runs against others.

    Held at a time: one statistic of the other runs, sorted, and one block of the own.
    """
    n_others = len(other.runs)
    if design.reference == "single" and n_others != 1:
        raise InputError(
            f"got {n_others} reference runs for reference='single'",
            "exactly one",
            "Give one run as the references, on the command line as --against.",
        )
    averaged = ensemble_of(*other) if design.reference == "ensemble" else None
    levels: list[Floats] = []
    for number in range(own.scalars.n_statistics):
        apart = levels_apart(own, other, number, plan) if averaged is None and design.mode == "step" else None
        if apart is not None:
            levels.append(apart)
            continue
        reference = next(other.blocks(number, n_others)) if averaged is None else averaged[number]
        ordered = Pool(_checked(reference, design.mode))
        del reference  # sorted anew in the pool
        candidates = (_checked(block, design.mode) for block in own.blocks(number, block_size(own.scalars.n_examples)))
        levels.append(resampled_levels(candidates, ordered, plan, design.inputs.workers, counter))
    return np.stack(levels)


def ensemble_of(pool: Scalars, runs: NDArray[np.intp]) -> Floats:
    """Return the scalars [statistics, 1, examples] of the averaged logits of some runs."""
    return pool.of_ensembles(np.isin(np.arange(len(pool.run_ids)), runs)[None])


def _checked(values: Floats, mode: Mode) -> Floats:
    if mode == "published" and not np.isfinite(values).all():
        raise InputError("got infinite outputs", "finite ones in mode 'published'", "Use mode='step'.")
    return values


def _summarise(
    levels: Floats,
    sizes: NDArray[np.int64],
    tested: Scalars,
    pool: Scalars | None,
    design: Design,
    plan: ResamplingPlan,
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
        censored=(largest >= CAP - SLACK).mean(0),
        delta=plan.delta,
        n=len(plan.draws[0][0]),
        m=len(plan.draws[0][1]),
        n_references=sizes,
        settings=design.said(tested),
        excluded=tested.excluded + (pool.excluded if pool else ()),
        warnings=_warnings(tested, pool),
    )


def _warnings(tested: Scalars, pool: Scalars | None) -> tuple[str, ...]:
    """Return what makes the reference worth less than its number of runs says."""
    notes: list[str] = []
    source, name = (tested, "") if pool is None else (pool, "reference ")
    parts = halves(len(tested.run_ids)) if pool is None else [range(len(pool.run_ids))]
    distinct = min(len({source.digests[run] for run in part}) for part in parts)
    if distinct < FEW_REFERENCES:
        notes.append(f"The reference is made of only {count(distinct, 'run')}: it is itself uncertain.")
    if copies := source.count_copies():
        notes.append(
            f"{count(copies, f'{name}run')} {'has' if copies == 1 else 'have'} exactly the outputs of another: "
            "exclude copies."
        )
    if pool is not None and (shared := tested.count_in(pool)):
        has = "has" if shared == 1 else "have"
        notes.append(
            f"{count(shared, 'candidate')} {has} exactly the outputs of a reference run: use disjoint sets of runs."
        )
    return tuple(notes)
