"""Does a metric track quality, or only tell architectures apart? Simpson's paradox over a corpus of models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice, check_seed
from ..._errors import InputError
from ..._results import Excluded, Result, Table
from ..spectra.tails import Floats
from .associations import Association, Resampling, Split, association, holm, resampled, split_associations
from .grid_scores import GridScores, grid_scores

SIGNIFICANT = 0.05
VOTERS = 6  # models a partition needs to vote
_MAJORITY = 2 / 3
_MEANINGS = {
    "reversal": "Simpson's paradox: the sign inside partitions is the opposite of the sign over all models",
    "masked": "it tracks the target inside partitions, which pooling hides: a shape-like metric",
    "aggregate_only": "it tells partitions apart and does not track the target inside them: a scale-like metric",
    "consistent": "the same sign over all models and inside partitions",
    "none": "no association that chance would not give",
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
    split : Split
        Within and between partitions.
    tests : Resampling
        Permutation tests and bootstrap.
    p_all, p_within : float
        p-values corrected over the metrics by Holm's method.
    verdict : {"reversal", "masked", "aggregate_only", "consistent", "none"}
        What the metric is good for.
    grid : GridScores or None
        Granulated Kendall and conditional mutual information, where hyperparameters were given.
    x, y : ndarray [models]
        Metric and target.
    groups : ndarray of str [models]
        Partition of each model.
    """

    metric: str
    target: str
    partition: str
    overall: Association
    partitions: dict[str, Association]
    split: Split
    tests: Resampling
    p_all: float
    p_within: float
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
            f"{self.metric} against {self.target} over {self.overall.n} models, {len(self.partitions)} values of "
            f"{self.partition}: "
            f"{self.verdict.replace('_', ' ')} ({self.meaning}). Kendall's tau is {self.overall.tau_b:.2f} overall "
            f"(p = {self.p_all:.3g}) and {self.split.tau_within:.2f} inside partitions (95% interval {low:.2f} to "
            f"{high:.2f}, p = {self.p_within:.3g}); an association, not a cause."
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
        One a metric.
    n : int
        Number of models with a target and a partition.
    n_resamples : int
        Permutations, and bootstrap samples.
    """

    target: str
    partition: str
    analyses: tuple[MetricAnalysis, ...]
    n: int
    n_resamples: int

    def __getitem__(self, metric: str) -> MetricAnalysis:
        names = [one.metric for one in self.analyses]
        return self.analyses[names.index(check_choice(metric, "metric", names))]

    def table(self) -> Table:
        """Return one row a metric: overall, inside, between, each partition, p-values, verdict."""
        rows = self.analyses
        columns: dict[str, list[Any]] = {
            "metric": [one.metric for one in rows],
            "n": [one.overall.n for one in rows],
            "tau": [one.overall.tau_b for one in rows],
            "p": [one.p_all for one in rows],
            "tau within": [one.split.tau_within for one in rows],
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
        formats = {name: ".2f" for name in columns if name.startswith(("tau", "R2", "P ", "Psi"))}
        return Table(columns, formats=formats | {"p": ".3g", "p within": ".3g", "CMI": ".3f"}, title=self._title())

    def _title(self) -> str:
        return f"Metrics against {self.target}, partitioned by {self.partition}"

    def sentence(self) -> str:
        """Name the metrics by verdict."""
        by_verdict = {verdict: [one.metric for one in self.analyses if one.verdict == verdict] for verdict in _MEANINGS}
        parts = [f"{verdict.replace('_', ' ')}: {', '.join(names)}" for verdict, names in by_verdict.items() if names]
        left = f" ({len(self.excluded)} more left out)" if self.excluded else ""
        return (
            f"{len(self.analyses)} metrics against {self.target} over {self.n} models{left}, overall and inside "
            f"{self.partition}: {'; '.join(parts)}. Verdicts are at 5 % after Holm's correction over the metrics; an "
            "association is not a cause."
        )


def _tau_of(analysis: MetricAnalysis, partition: str) -> float | None:
    found = analysis.partitions.get(partition)
    return None if found is None else found.tau_b


@dataclass(frozen=True)
class Corpus:
    """The columns that an analysis needs, as arrays.

    Attributes
    ----------
    models : tuple of str
        Name of each model.
    metrics : dict of str to ndarray [models]
        By name.
    target : ndarray [models]
        Quality.
    groups : ndarray of str [models]
        Partition.
    hyperparameters : dict of str to list [models]
        For scores over the grid.
    excluded : tuple of Excluded
        Models left out.
    """

    models: tuple[str, ...]
    metrics: dict[str, Floats]
    target: Floats
    groups: NDArray[Any]
    hyperparameters: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    excluded: tuple[Excluded, ...] = ()


def corpus_of(
    table: Table,
    metrics: Sequence[str],
    target: str,
    partition: str,
    *,
    hyperparameters: Sequence[str] = (),
    model: str | None = None,
) -> Corpus:
    """Return the columns of a table; rows without a finite target or a partition are left out and named.

    Raises
    ------
    InputError
        A column is missing or holds no numbers, or fewer than three rows remain.
    """
    names = _model_names(table, model)
    y, groups = _numbers(table, target), [_label(value) for value in table[partition]]
    excluded: list[Excluded] = []
    kept: list[int] = []
    for row, name in enumerate(names):
        if not np.isfinite(y[row]):
            excluded.append(Excluded(name, f"no finite {target}"))
        elif not groups[row]:
            excluded.append(Excluded(name, f"no {partition}"))
        else:
            kept.append(row)
    if len(kept) < 3:
        raise InputError(f"{len(kept)} of {len(names)} models have a finite {target} and a {partition}", "at least 3")
    return Corpus(
        models=tuple(names[row] for row in kept),
        metrics={name: _numbers(table, name)[kept] for name in metrics},
        target=y[kept],
        groups=np.array([groups[row] for row in kept]),
        hyperparameters={name: [table[name][row] for row in kept] for name in hyperparameters},
        excluded=tuple(excluded),
    )


def _model_names(table: Table, model: str | None) -> list[str]:
    column = model or next((name for name in ("run", "model", "model_id", "id") if name in table.columns), None)
    return [str(value) for value in (table[column] if column else range(len(table)))]


def _numbers(table: Table, name: str) -> Floats:
    column = table[name]
    try:
        return np.array([np.nan if value is None or value == "" else float(value) for value in column])
    except (TypeError, ValueError) as error:
        raise InputError(f"column {name!r} holds {error}", "numbers") from error


def _label(value: Any) -> str:
    """Return a partition's name: 2, 2.0 and "2" are one partition."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def analyse_corpus(
    corpus: Corpus,
    target: str,
    partition: str,
    *,
    n_resamples: int = 2000,
    seed: int = 0,
    higher_is_better: bool = True,
) -> ParadoxAnalysis:
    """Return the analysis of every metric of a corpus (see `paradox`)."""
    if not corpus.metrics:
        raise InputError("no metrics", "at least one column")
    if n_resamples < 1:
        raise InputError(f"n_resamples {n_resamples}", "at least 1")
    named = (target, partition)
    found = [_analysed(corpus, name, named, n_resamples, seed, higher_is_better) for name in corpus.metrics]
    p_all = holm(np.array([one.tests.p_all for one in found]))
    p_within = holm(np.array([one.tests.p_within for one in found]))
    analyses = [
        replace(one, p_all=float(p_all[k]), p_within=float(p_within[k]), verdict=_verdict(one, p_all[k], p_within[k]))
        for k, one in enumerate(found)
    ]
    return ParadoxAnalysis(
        target=target,
        partition=partition,
        analyses=tuple(analyses),
        n=len(corpus.target),
        n_resamples=n_resamples,
        excluded=corpus.excluded,
        warnings=tuple(_reservations(corpus, partition)),
    )


def _analysed(
    corpus: Corpus, name: str, named: tuple[str, str], n_resamples: int, seed: int, higher_is_better: bool
) -> MetricAnalysis:
    known = np.isfinite(corpus.metrics[name])
    if known.sum() < 3:
        raise InputError(f"metric {name!r} has {int(known.sum())} finite values", "at least 3")
    x, y, labels = corpus.metrics[name][known], corpus.target[known], corpus.groups[known]
    partitions, codes = np.unique(labels, return_inverse=True)
    order = sorted(range(len(partitions)), key=lambda k: _natural(str(partitions[k])))
    inside = {str(partitions[k]): association(x[codes == k], y[codes == k]) for k in order}
    rng = np.random.default_rng([check_seed(seed), crc32(name.encode())])
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
        tests=resampled(x, y, codes.astype(np.int64), n_resamples=n_resamples, level=0.95, rng=rng),
        p_all=np.nan,
        p_within=np.nan,
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


def _verdict(one: MetricAnalysis, p_all: float, p_within: float) -> str:
    """Return the verdict of section 13.4; partitions of fewer than 6 models do not vote."""
    overall, within = one.overall.tau_b, one.split.tau_within
    if not (np.isfinite(overall) and np.isfinite(within)):
        return "none"
    everywhere, inside = p_all < SIGNIFICANT, p_within < SIGNIFICANT
    certain = (everywhere and inside) or one.tests.p_opposite > 1 - SIGNIFICANT
    if overall * within < 0 and certain and _majority_shares_sign(one):
        return "reversal"
    if inside and (not everywhere or abs(overall) < abs(within) / 2):
        return "masked"
    if everywhere and not inside:
        return "aggregate_only"
    return "consistent" if everywhere and overall * within > 0 else "none"


def _majority_shares_sign(one: MetricAnalysis) -> bool:
    """Whether partitions with two thirds of the inside pairs do not contradict the sign inside (zero does not)."""
    voters = [part for part in one.partitions.values() if part.n >= VOTERS]
    pairs = [part.n * (part.n - 1) for part in voters]
    agreeing = sum(p for p, part in zip(pairs, voters, strict=True) if part.tau_a * one.split.tau_within >= 0)
    return agreeing >= _MAJORITY * sum(pairs) > 0


def _reservations(corpus: Corpus, partition: str) -> list[str]:
    sizes = Counter(map(str, corpus.groups))
    notes: list[str] = []
    if len(sizes) < 2:
        notes.append(f"All models share one {partition}: nothing can be told apart from the overall association.")
    small = [name for name, size in sizes.items() if size < VOTERS]
    if small:
        notes.append(f"Partitions with fewer than {VOTERS} models do not vote on a reversal: {', '.join(small)}.")
    return notes
