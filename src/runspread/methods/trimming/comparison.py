"""The trimming level beside accuracy, calibration and churn of the same runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice, check_confidence_level, check_integers, check_seed
from ..._reading.accepting import as_outputs
from ..._reading.kinds import class_of, count_classes, middle_of
from ..._reading.margins import Floats
from ..._reading.opening import opens
from ..._reading.options import ReadingOptions, reading_of
from ..._reading.outputs import RunOutputs, kind_of
from ..._results import Excluded, Result, Table
from ..._words import percent
from ...errors import InputError
from .._statistics import sample_variance
from .._ties import predicted_class, snap
from ..ensembles.proper_scores import ensemble_scores
from .defaults import ACCURACY_BINS, CALIBRATION_BINS, CONFIDENCE_LEVEL, RESAMPLES
from .typicality import TrimmingLevels, trimming

SCORES = ("accuracy", "NLL", "ECE", "churn with ensemble", "pairwise churn")
FEW_RUNS = 4
DWARFS = 1e6  # logits this much larger than the sum of the others' leave it without digits


@dataclass(frozen=True, eq=False, kw_only=True)
class TrimmingScores(Result):
    """Trimming level, accuracy, calibration and churn of every run, and how they go together.

    Attributes
    ----------
    run_ids : tuple of str
        The runs.
    level : ndarray [runs]
        Mean trimming level over the replicates, censored at 0.5.
    values : ndarray [scores, runs]
        The scores named in `names`: accuracy; NLL in nats; ECE; share of examples on which the run's predicted class
        differs from that of the ensemble of the other runs, and, on average, from that of another run.
    names : tuple of str
        Names of the scores.
    correlation, low, high : ndarray [scores]
        Spearman's rank correlation of each score with the level, and its percentile bootstrap interval over runs.
    confidence_level : float
        Confidence level of that interval.
    bin_of : ndarray of int [runs]
        Bin of each run by accuracy; the bins hold equally many runs, as far as ties allow.
    within_share, within_low, within_high : float
        Share of the levels' variance that is left inside the accuracy bins, by unbiased variances, so it can come out
        above 1 where the bins tell nothing; and its percentile bootstrap interval over runs, with the bins held fixed.
        NaN where all levels are equal.
    levels : TrimmingLevels
        What the levels come from.
    """

    picture = ".plots:plot_trimming_scores"

    run_ids: tuple[str, ...]
    level: Floats
    values: Floats
    names: tuple[str, ...]
    correlation: Floats
    low: Floats
    high: Floats
    confidence_level: float
    bin_of: NDArray[np.int64]
    within_share: float
    within_low: float
    within_high: float
    levels: TrimmingLevels

    def of(self, name: str) -> Floats:
        """Return one score [runs] by name."""
        return self.values[self.names.index(check_choice(name, "score", self.names))]

    def table(self) -> Table:
        """Return the rank correlation of each score with the level."""
        columns = {
            "score": self.names,
            "mean": self.values.mean(1),
            "Spearman with level": self.correlation,
            "low": self.low,
            "high": self.high,
        }
        return Table(columns, formats=dict.fromkeys(("Spearman with level", "low", "high"), "+.2f"))

    def bins(self) -> Table:
        """Return the spread of the level inside each accuracy bin."""
        rows: list[tuple[Any, ...]] = []
        for number in np.unique(self.bin_of):
            inside = self.bin_of == number
            accuracy, level = self.of("accuracy")[inside], self.level[inside]
            quantiles = np.quantile(level, [0.05, 0.5, 0.95])
            rows.append((accuracy.min(), accuracy.max(), int(inside.sum()), *quantiles))
        names = ("accuracy from", "to", "runs", "level 5 %", "median", "95 %")
        formats = {"accuracy from": ".2%", "to": ".2%"} | dict.fromkeys(names[3:], ".3f")
        return Table(dict(zip(names, zip(*rows, strict=True), strict=True)), formats=formats)

    def runs(self) -> Table:
        """Return level and scores of every run."""
        columns = {"run": self.run_ids, "level": self.level, **dict(zip(self.names, self.values, strict=True))}
        return Table(columns, formats={"accuracy": ".2%"})

    def sentence(self) -> str:
        """Return how the level goes with accuracy, and how much of it accuracy leaves open."""
        start = f"Over {len(self.run_ids)} runs the trimming level "
        if np.ptp(self.level) == 0:
            return f"{start}is {self.level[0]:.3g} for every run: there is nothing that accuracy could go with."
        return (
            f"{start}{self._rank_words()}, and {self._share_words()}. The intervals are over runs; "
            "correlation is no cause."
        )

    def _rank_words(self) -> str:
        if np.isnan(self.correlation[0]):
            return "has no rank correlation with accuracy, which all runs share"
        return (
            f"has rank correlation {self.correlation[0]:+.2f} ({percent(self.confidence_level)} CI {self.low[0]:+.2f} "
            f"to {self.high[0]:+.2f}) with accuracy"
        )

    def _share_words(self) -> str:
        """Return the share inside the bins; as a share, at most 100 %."""
        share, low, high = np.minimum((self.within_share, self.within_low, self.within_high), 1)
        groups = [self.of("accuracy")[self.bin_of == number] for number in np.unique(self.bin_of)]
        widest = 100 * max(float(np.ptp(group)) for group in groups)
        return (
            f"{share:.0%} of its variance ({low:.0%} to {high:.0%}) remains inside {len(groups)} accuracy bins "
            f"(up to {widest:.2f} percentage points)"
        )


@opens("outputs")
def trimming_scores(
    outputs: Any,
    labels: Any = None,
    *,
    levels: TrimmingLevels | None = None,
    n_accuracy_bins: int = ACCURACY_BINS,
    n_bins: int = CALIBRATION_BINS,
    confidence_level: float = CONFIDENCE_LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
    **reading: Unpack[ReadingOptions],
) -> TrimmingScores:
    """Set the trimming level of every run beside its accuracy, NLL, ECE and churn.

    Parameters
    ----------
    outputs : array_like, RunOutputs or study
        Logits or probabilities [runs, examples, classes].
    labels : array_like of int [examples], optional
        True classes; taken from the source where it has them.
    levels : TrimmingLevels, optional
        Levels of the same runs; by default each half of the runs is compared with the other on disjoint halves of the
        examples.
    n_accuracy_bins : int
        Bins by accuracy, inside which the spread of the level is given.
    n_bins : int
        Bins of the calibration error.
    confidence_level : float
        Confidence level of the intervals.
    resamples : int
        Bootstrap resamples of the runs.
    seed : int
        Seed of the bootstrap, and of the levels where they are made here.
    **reading
        Which `split` of a study is read, of what `kind` outputs are, and what `nan` in them means: see
        `ReadingOptions`.

    Returns
    -------
    TrimmingScores
        Scores, rank correlations and bins.

    Raises
    ------
    InputError
        Fewer than four runs with both a level and scores; no labels.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 2
    >>> outputs = 2 * np.eye(2)[labels] + rng.normal(size=(8, 200, 2))  # [runs, examples, classes]
    >>> rs.methods.trimming.trimming_scores(outputs, labels, resamples=20).level.shape
    (8,)
    """
    named = ("levels", "n_accuracy_bins", "n_bins", "confidence_level", "resamples", "seed")
    how = reading_of(reading, "trimming_scores", named)
    read, nan = _read(outputs, labels, how["split"], how["kind"]), how["nan"]
    check_confidence_level(confidence_level)
    n_accuracy_bins = int(check_integers(n_accuracy_bins, "n_accuracy_bins", 1, None))
    resamples, seed = int(check_integers(resamples, "resamples", 1, None)), check_seed(seed)
    if levels is None:
        levels = trimming(read, resample="split", seed=seed, nan=nan)
    scored = ensemble_scores(read, n_bins=n_bins, nan=nan)
    wanted = set(levels.run_ids) & set(scored.run_ids)
    ids = tuple(run for run in scored.run_ids if run in wanted)
    if len(ids) < FEW_RUNS:
        raise InputError(f"got {len(ids)} runs with a level and scores", f"at least {FEW_RUNS}")
    rows = [scored.run_ids.index(run) for run in ids]
    level = levels.mean[[levels.run_ids.index(run) for run in ids]]
    own = np.stack([scored.member_accuracy, scored.member_nll, scored.member_ece])[:, rows]
    values = np.vstack([own, churn(read, [read.run_ids.index(run) for run in ids])])
    correlation, low, high = _rank_correlations(level, values, confidence_level, resamples, np.random.default_rng(seed))
    bin_of = _equal_bins(snap(values[0]), n_accuracy_bins)
    within = _within_limits(level, bin_of, confidence_level, resamples, np.random.default_rng((seed, 1)))
    return TrimmingScores(
        run_ids=ids,
        level=level,
        values=values,
        names=SCORES,
        correlation=correlation,
        low=low,
        high=high,
        confidence_level=confidence_level,
        bin_of=bin_of,
        within_share=_within_share(level, bin_of),
        within_low=within[0],
        within_high=within[1],
        levels=levels,
        excluded=_either(scored.excluded, levels.excluded),
        warnings=levels.warnings + _note(level),
    )


def _read(outputs: Any, labels: Any, split: str, kind: str) -> RunOutputs:
    read = as_outputs(outputs, labels, split=split, kind=kind)
    if len(read.shape) != 3:
        raise InputError(
            "got predicted classes", "logits or probabilities", "Classes alone have no distribution of gaps."
        )
    return read


def _either(first: tuple[Excluded, ...], second: tuple[Excluded, ...]) -> tuple[Excluded, ...]:
    known = {item.run for item in first}
    return first + tuple(item for item in second if item.run not in known)


def _note(level: Floats) -> tuple[str, ...]:
    zero = (level == 0).mean()
    if zero == 1:
        return ("100% of the levels are 0: no run is distinguishable, so there are no rank correlations.",)
    if zero < 0.5:
        return ()
    return (f"{zero:.0%} of the levels are 0: the rank correlations rest on the other runs.",)


def churn(outputs: RunOutputs, rows: list[int]) -> Floats:
    """Return churn [2, runs]: with the ensemble of the other runs, and the mean over the other runs one by one.

    Parameters
    ----------
    outputs : RunOutputs
        Logits or probabilities, which are averaged as they are for the ensemble.
    rows : list of int
        The runs that count, by position; at least two.
    """
    kind = kind_of(outputs)
    shape = outputs.shape[1], count_classes(kind, outputs.shape[2], outputs.labels)
    total, kept = np.zeros(outputs.shape[1:]), set(rows)
    votes = np.zeros(shape, dtype=np.int64)
    example = np.arange(outputs.shape[1])
    for _, own in _numbered(outputs, kept):
        total += own
        votes[example, class_of(own, kind)] += 1
    found: dict[int, tuple[float, float]] = {}
    for run, own in _numbered(outputs, kept):
        others = total - own if np.isfinite(own).all() else None  # a mask of minus infinity leaves no difference
        if others is None or np.abs(own).max() > DWARFS * np.abs(others).max():  # of what is left most is rounding
            others = sum((values for _, values in _numbered(outputs, kept - {run})), np.zeros_like(own))
        found[run] = _churn_of(own, others, votes, len(rows), kind)
    return np.array([found[run] for run in rows]).T


def _numbered(outputs: RunOutputs, kept: set[int]) -> Iterator[tuple[int, Floats]]:
    run = 0
    for chunk in outputs.chunks():
        for own in chunk:
            if run in kept:
                yield run, own.astype(np.float64)
            run += 1


def _churn_of(
    own: Floats, others: Floats, votes: NDArray[np.int64], n_runs: int, kind: str | None
) -> tuple[float, float]:
    predicted = class_of(own, kind)
    averaged = others - (n_runs - 1) * middle_of(kind) if others.shape[-1] == 1 else others
    agreeing = votes[np.arange(len(predicted)), predicted] - 1
    return float((predicted != predicted_class(averaged, n_runs - 1)).mean()), float(1 - agreeing.mean() / (n_runs - 1))


def _rank_correlations(
    level: Floats, values: Floats, confidence_level: float, resamples: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Return Spearman's correlation of each row of `values` with the level, and percentile bootstrap limits."""
    chosen = rng.integers(len(level), size=(resamples, len(level)))
    tail = (1 - confidence_level) / 2
    level, values = snap(level), np.array([snap(row) for row in values])
    found = [
        (spearman(level[None], row[None])[0], *_limits(spearman(level[chosen], row[chosen]), tail)) for row in values
    ]
    estimate, low, high = np.array(found).T
    return estimate, low, high


def spearman(first: Floats, second: Floats) -> Floats:
    """Return the rank correlation of each pair of rows; NaN where a row is constant."""
    a, b = average_ranks(first), average_ranks(second)
    a, b = a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)
    scale = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return np.divide((a * b).sum(-1), scale, out=np.full(len(scale), np.nan), where=scale > 0)


def average_ranks(rows: Floats) -> Floats:
    """Return the rank of each value in its row, from 1; equal ones share their mean rank. NaN in a row with one.

    That of SciPy comes with a second of imports.
    """
    order = np.argsort(rows, axis=-1)
    ordered = np.take_along_axis(rows, order, -1)
    place = np.broadcast_to(np.arange(rows.shape[-1], dtype=np.float64), rows.shape)
    begins = np.ones(rows.shape, bool)
    begins[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    ends = np.roll(begins, -1, axis=-1)
    first = np.maximum.accumulate(np.where(begins, place, 0.0), axis=-1)
    last = np.minimum.accumulate(np.where(ends, place, np.inf)[..., ::-1], axis=-1)[..., ::-1]
    found = np.empty(rows.shape)
    np.put_along_axis(found, order, (first + last) / 2 + 1, -1)
    return np.where(np.isnan(rows).any(-1, keepdims=True), np.nan, found)


def _limits(resampled: Floats, tail: float) -> tuple[float, float]:
    defined = resampled[~np.isnan(resampled)]
    if not defined.size:
        return np.nan, np.nan
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def _equal_bins(values: Floats, n_bins: int) -> NDArray[np.int64]:
    edges = np.quantile(values, np.linspace(0, 1, n_bins + 1)[1:-1])
    return np.searchsorted(edges, values, side="left").astype(np.int64)


def _within_share(level: Floats, bin_of: NDArray[np.int64]) -> float:
    """Return the pooled variance inside the bins over the total variance, each with its degrees of freedom."""
    groups = [level[bin_of == number] for number in np.unique(bin_of)]
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / max(len(level) - len(groups), 1)
    total = float(sample_variance(level))
    return within / total if total > 0 else float("nan")


def _within_limits(
    level: Floats, bin_of: NDArray[np.int64], confidence_level: float, resamples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Return percentile bootstrap limits of the share, over runs that keep their bins."""
    chosen = rng.integers(len(level), size=(resamples, len(level)))
    drawn, bins, numbers, n = level[chosen], bin_of[chosen], np.unique(bin_of), len(level)
    within, there = np.zeros(resamples), np.zeros(resamples)
    for number in numbers:
        inside = bins == number
        count = inside.sum(1)
        mean = np.where(inside, drawn, 0).sum(1) / np.maximum(count, 1)
        within += np.where(inside, (drawn - mean[:, None]) ** 2, 0).sum(1)
        there += count > 0
    within /= np.maximum(n - there, 1)
    total = sample_variance(drawn)
    # Drawing from the runs shrinks both variances by the degrees of freedom that they have lost once already.
    scale = (n - 1) / max(n - len(numbers), 1)
    share = np.divide(scale * within, total, out=np.full(resamples, np.nan), where=total > 0)
    return _limits(share, (1 - confidence_level) / 2)
