"""Does a metric track quality, or only distinguish architectures? Simpson's paradox over a corpus of models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice, check_integers, check_seed
from ..._results import Excluded, Result, Table
from ..._words import count, listed
from ...errors import InputError
from .._statistics import holm_adjusted
from .associations import Association, TauSplit, association, split_associations
from .columns import Corpus
from .granulated import GridScores, grid_scores
from .resampling import NEGLIGIBLE, Resampling, resampled

SIGNIFICANT = 0.05
RESAMPLES = 2000  # permutations of a metric, and more where a p-value is small
VOTERS = 6  # models a partition needs to vote
_MAJORITY = 2 / 3
_MEANINGS = {
    "reversal": "Simpson's paradox: inside partitions the sign is the opposite",
    "mixed": "the signs over all models and inside partitions differ, but partitions disagree or are too small to say",
    "masked": "it tracks the target inside partitions, which pooling hides: a shape-like metric",
    "aggregate_only": f"it distinguishes partitions; inside them |tau| is below {NEGLIGIBLE:g}: a scale-like metric",
    "not_shown_inside": "it goes with the target over all models; whether it does inside partitions is not shown",
    "consistent": "the same sign over all models and inside partitions",
    "none": "no association is shown",
}
_SAID = {  # verb of one metric, of several, and the rest; {} is the partition
    "reversal": ("has", "have", "the opposite sign inside {} (reversal: Simpson's paradox)"),
    "masked": ("tracks", "track", "it inside {}, which pooling hides (masked)"),
    "consistent": ("has", "have", "the same sign overall and inside {} (consistent)"),
    "aggregate_only": (
        "distinguishes",
        "distinguish",
        f"values of {{}}, with |tau| below {NEGLIGIBLE:g} inside (aggregate only)",
    ),
    "not_shown_inside": ("tracks", "track", "it overall (not shown inside {})"),
    "mixed": ("differs", "differ", "in sign overall and inside {}, not alike everywhere (mixed)"),
    "none": ("is", "are", "not shown to go with it, overall or inside {} (none)"),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class MetricAnalysis(Result):
    """One metric against the target: overall, inside partitions, and what that makes of it.

    Attributes
    ----------
    metric : str
        Name of the metric.
    target, partition : str
        Names of the target and of the column that partitions the models.
    overall : Association
        Over all models.
    partitions : dict of str to Association
        Inside each partition.
    split : TauSplit
        Within and between partitions.
    tests : Resampling
        Tests of no association, of a negligible one inside partitions, and intervals.
    p_all, p_within, p_negligible : float
        p-values corrected over the metrics by Holm's method.
    verdict : {"reversal", "mixed", "masked", "aggregate_only", "not_shown_inside", "consistent", "none"}
        What the metric is good for. "reversal" needs both corrected tests; "aggregate_only" needs the association
        inside partitions to be shown to be below `NEGLIGIBLE` (equivalence), not merely no significant one.
    grid : GridScores or None
        Granulated Kendall and conditional mutual information, where hyperparameters were given.
    x, y : ndarray [models]
        Metric and target.
    groups : ndarray of str [models]
        Partition of each model.
    """

    picture = ".plots:plot_simpson"

    excluded_noun = "model"

    metric: str
    target: str
    partition: str
    overall: Association
    partitions: dict[str, Association]
    split: TauSplit
    tests: Resampling
    p_all: float
    p_within: float
    p_negligible: float
    verdict: str
    grid: GridScores | None
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    groups: NDArray[Any]

    @property
    def meaning(self) -> str:
        """What the verdict says."""
        return _MEANINGS[self.verdict]

    def table(self) -> Table:
        """Return a row for all models and one a partition."""
        rows = {"all": self.overall, **self.partitions}
        names = ("n", "tau_b", "rho", "r2", "rmse", "slope")
        columns: dict[str, list[Any]] = {"models": list(rows)}
        columns |= {name: [getattr(row, name) for row in rows.values()] for name in names}
        return Table(columns, formats={"tau_b": ".2f", "rho": ".2f", "r2": ".2f"}, title=self.metric)

    def sentence(self) -> str:
        """Say the verdict with its numbers."""
        low, high = self.tests.tau_within_interval
        return (
            f"{self.metric} against {self.target}: {self.verdict.replace('_', ' ')} ({self.meaning}). Kendall's tau is "
            f"{self.overall.tau_b:.2f} over {self.overall.n} models (p = {self.p_all:.2g}) and "
            f"{self.split.tau_b_within:.2f} inside {count(len(self.partitions), 'value')} of {self.partition} "
            f"(95% CI {low:.2f} to {high:.2f}, p = {self.p_within:.2g}). An association is not a cause."
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class ParadoxAnalysis(Result):
    """Metrics against a target over a corpus of models, overall and inside partitions.

    Attributes
    ----------
    target : str
        Name of the target.
    partition : str
        Name of the column that partitions the models.
    analyses : tuple of MetricAnalysis
        One per metric.
    n : int
        Number of models with a target and a partition.
    n_resamples : int
        Most permutations of one metric; 0 where the normal approximation took their place.
    """

    picture = ".plots:plot_within_between"

    excluded_noun = "row"

    target: str
    partition: str
    analyses: tuple[MetricAnalysis, ...]
    n: int
    n_resamples: int

    def __getitem__(self, metric: str) -> MetricAnalysis:
        names = [one.metric for one in self.analyses]
        return self.analyses[names.index(check_choice(metric, "metric", names))]

    def table(self) -> Table:
        """Return one row per metric: overall, inside, between, each partition, p-values, verdict."""
        rows = self.analyses
        columns: dict[str, list[Any]] = {
            "metric": [one.metric for one in rows],
            "n": [one.overall.n for one in rows],
            "tau": [one.overall.tau_b for one in rows],
            "p": [one.p_all for one in rows],
            "tau within": [one.split.tau_b_within for one in rows],
            "low": [one.tests.tau_within_interval[0] for one in rows],
            "high": [one.tests.tau_within_interval[1] for one in rows],
            "p within": [one.p_within for one in rows],
            "tau between": [one.split.tau_between for one in rows],
        }
        for name in dict.fromkeys(name for one in rows for name in one.partitions):
            columns[f"tau {name}"] = [_tau_of(one, name) for one in rows]
        columns["R2"] = [one.overall.r2 for one in rows]
        columns["P opposite"] = [one.tests.p_opposite for one in rows]
        if any(one.grid is not None for one in rows):
            columns["Psi"] = [None if one.grid is None else one.grid.Psi for one in rows]
            columns["CMI"] = [None if one.grid is None else one.grid.score for one in rows]
        columns["verdict"] = [one.verdict.replace("_", " ") for one in rows]
        formats = {name: ".2f" for name in columns if name.startswith(("tau", "low", "high", "R2", "P ", "Psi"))}
        return Table(columns, formats=formats | {"p": ".3g", "p within": ".3g", "CMI": ".3f"}, title=self._title())

    def _title(self) -> str:
        return f"Metrics against {self.target}, partitioned by {self.partition}"

    def sentence(self) -> str:
        """Name the metrics by verdict."""
        by_verdict = {verdict: [one.metric for one in self.analyses if one.verdict == verdict] for verdict in _SAID}
        parts: list[str] = []
        for verdict, names in by_verdict.items():
            if names:
                one, several, rest = _SAID[verdict]
                verb = one if len(names) == 1 else several
                parts.append(f"{listed(names, most=4)} {verb} {rest.format(self.partition)}")
        return (
            f"Against {self.target}, {'; '.join(parts)}. This is of {count(len(self.analyses), 'metric')} over "
            f"{count(self.n, 'model')}, at 5 % after Holm's correction. An association is not a cause."
        )


def _tau_of(analysis: MetricAnalysis, partition: str) -> float | None:
    found = analysis.partitions.get(partition)
    return None if found is None else found.tau_b


def analyse_corpus(
    corpus: Corpus,
    target: str,
    partition: str,
    *,
    n_resamples: int | None = None,
    seed: int = 0,
    higher_is_better: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> ParadoxAnalysis:
    """Return the analysis of every metric of a corpus (see `paradox`)."""
    if not corpus.metrics:
        raise InputError("there are no metrics", "at least one column")
    if n_resamples is not None:
        n_resamples = int(check_integers(n_resamples, "n_resamples", 1, None))
    found: list[MetricAnalysis] = []
    rng_of = _Draws(check_seed(seed), n_resamples, len(corpus.metrics))
    for name in corpus.metrics:
        found.append(_analysed(corpus, name, (target, partition), rng_of, higher_is_better))
        if progress is not None:
            progress(len(found), len(corpus.metrics))
    analyses = _judged(found)
    drawn = max(one.tests.n_resamples for one in analyses)
    return ParadoxAnalysis(
        target=target,
        partition=partition,
        analyses=analyses,
        n=len(corpus.target),
        n_resamples=drawn,
        excluded=corpus.excluded,
        warnings=(*_caveats(corpus, partition, len(analyses), drawn), *_incomplete(analyses)),
    )


@dataclass(frozen=True)
class _Draws:
    """How many permutations each metric gets, and from which seed: other metrics do not change them."""

    seed: int
    asked: int | None
    n_metrics: int

    @property
    def counts(self) -> tuple[int, int]:
        """Permutations at first, and at most: enough for the smallest p-value to survive Holm's correction."""
        return (self.asked, self.asked) if self.asked else (RESAMPLES, max(RESAMPLES, 100 * self.n_metrics))

    def generator(self, metric: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, crc32(metric.encode())])


def _judged(found: list[MetricAnalysis]) -> tuple[MetricAnalysis, ...]:
    """Correct the p-values over the metrics, and give the verdicts."""
    tests = [one.tests for one in found]
    p_all = holm_adjusted(np.array([each.p_all for each in tests]))
    p_within = holm_adjusted(np.array([each.p_within for each in tests]))
    p_negligible = holm_adjusted(np.array([each.p_negligible for each in tests]))
    corrected = [
        replace(one, p_all=float(p_all[k]), p_within=float(p_within[k]), p_negligible=float(p_negligible[k]))
        for k, one in enumerate(found)
    ]
    return tuple(replace(one, verdict=_verdict(one)) for one in corrected)


def _analysed(
    corpus: Corpus, name: str, named: tuple[str, str], draws: _Draws, higher_is_better: bool
) -> MetricAnalysis:
    known = np.isfinite(corpus.metrics[name])
    if known.sum() < 3:
        raise InputError(f"metric {name!r} has {int(known.sum())} finite values", "at least 3")
    x, y, labels = corpus.metrics[name][known], corpus.target[known], corpus.groups[known]
    partitions, codes = np.unique(labels, return_inverse=True)
    order = sorted(range(len(partitions)), key=lambda k: _natural(str(partitions[k])))
    inside = {str(partitions[k]): association(x[codes == k], y[codes == k]) for k in order}
    first, most = draws.counts
    grid = None
    if corpus.hyperparameters:
        columns = {
            axis: [v for v, keep in zip(c, known, strict=True) if keep] for axis, c in corpus.hyperparameters.items()
        }
        grid = grid_scores(x, -y if higher_is_better else y, columns)
    return MetricAnalysis(
        metric=name,
        target=named[0],
        partition=named[1],
        overall=association(x, y),
        partitions=inside,
        split=split_associations(x, y, codes.astype(np.int64)),
        tests=resampled(
            x, y, codes.astype(np.int64), n_resamples=first, most=most, level=0.95, rng=draws.generator(name)
        ),
        p_all=np.nan,
        p_within=np.nan,
        p_negligible=np.nan,
        verdict="none",
        grid=grid,
        x=x,
        y=y,
        groups=labels,
        excluded=tuple(
            Excluded(m, f"no finite {name}") for m, keep in zip(corpus.models, known, strict=True) if not keep
        ),
    )


def _natural(label: str) -> tuple[int, float, str]:
    try:
        return (0, float(label), label)
    except ValueError:
        return (1, 0.0, label)


def _verdict(one: MetricAnalysis) -> str:
    """Return the verdict by the corrected tests; partitions of fewer than 6 models do not vote on a reversal."""
    overall, within = one.overall.tau_b, one.split.tau_within
    everywhere, inside = one.p_all < SIGNIFICANT, one.p_within < SIGNIFICANT
    if everywhere and inside and overall * within < 0:
        return "reversal" if _majority_shares_sign(one) else "mixed"
    if inside and (not everywhere or abs(overall) < abs(within) / 2):
        return "masked"
    if not everywhere or not np.isfinite(overall):
        return "none"
    if inside:
        return "consistent"
    return "aggregate_only" if one.p_negligible < SIGNIFICANT and len(one.partitions) > 1 else "not_shown_inside"


def _majority_shares_sign(one: MetricAnalysis) -> bool:
    """Whether partitions with two thirds of the inside pairs do not contradict the sign inside (zero does not)."""
    voters = [part for part in one.partitions.values() if part.n >= VOTERS]
    pairs = [part.n * (part.n - 1) for part in voters]
    agreeing = sum(p for p, part in zip(pairs, voters, strict=True) if part.tau_a * one.split.tau_within >= 0)
    return agreeing >= _MAJORITY * sum(pairs) > 0


def _incomplete(analyses: tuple[MetricAnalysis, ...]) -> list[str]:
    """Name the metrics that some models lack."""
    lacking = [f"{one.metric} by {count(len(one.excluded), 'model')}" for one in analyses if one.excluded]
    return [f"Judged without the models that have no finite value: {listed(lacking)}."] if lacking else []


def _caveats(corpus: Corpus, partition: str, n_metrics: int, drawn: int) -> list[str]:
    sizes = Counter(map(str, corpus.groups))
    notes: list[str] = []
    if len(sizes) < 2:
        notes.append(f"All models share one {partition}: inside and overall are the same association.")
    small = [name for name, size in sizes.items() if size < VOTERS]
    if max(sizes.values()) < 2:
        notes.append(f"No two models share a {partition}: nothing can be said of what happens inside.")
    elif small:
        notes.append(f"Partitions with fewer than {VOTERS} models do not vote on a reversal: {listed(small)}.")
    if drawn and n_metrics / (drawn + 1) >= SIGNIFICANT:
        notes.append(
            f"With {drawn} permutations and {n_metrics} metrics no corrected p-value can be below {SIGNIFICANT:g}: no "
            f"association can be shown. Use at least {int(n_metrics / SIGNIFICANT)} permutations (n_resamples=)."
        )
    return notes + list(corpus.notes)
