"""`rank_metrics`: which of several arms may be the best by each of several metrics, all together (scores 1.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_keywords
from ..._reading.scores.table import DEFAULTS as READING
from ..._reading.scores.table import given_of, read_scores
from ..._reading.scores.words import spoken
from ..._results import Table
from ..._words import count, listed, percent
from ...errors import InputError
from .basis import ScoreResult
from .compare import checked_level
from .defaults import LEVEL
from .metrics import notes_by_metric
from .paper import Paper, PaperColumn
from .ranking import RANKING, RankSettings, ScoreRanking, rank_scores


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoreRankings(Paper, ScoreResult):
    """Which of several arms may be the best by several metrics.

    Attributes
    ----------
    names : tuple of str [arms]
        In the order of the table.
    rankings : tuple of ScoreRanking [metrics]
        By each metric, at the level that is left to it: 1 - (1 - confidence_level) / metrics.
    confidence_level : float
        Of all sets of arms together, and of all verdicts together.
    baseline : str or None
        What the other arms are compared with.
    """

    says_excluded = True
    no_picture = "draw one of result.rankings"

    names: tuple[str, ...]
    rankings: tuple[ScoreRanking, ...]
    confidence_level: float
    baseline: str | None

    @property
    def verdicts(self) -> tuple[str, ...]:
        """What is shown against the baseline, metric by metric; empty without one."""
        return tuple(word for one in self.rankings for word in one.verdicts)

    @property
    def maybe_best(self) -> NDArray[np.bool_]:
        """Arms [arms] that may be the best by some metric."""
        inside = {name for one in self.rankings for name in _may_be_best(one)}
        return np.array([name in inside for name in self.names])

    def table(self) -> Table:
        """Return a row for each arm: its mean by each metric, and whether it may be the best there, if it has runs."""
        columns: dict[str, list[Any]] = {"arm": list(self.names)}
        for one in self.rankings:
            means, best = dict(zip(one.names, one.mean.tolist(), strict=True)), _may_be_best(one)
            columns[one.metric] = [means.get(name) for name in self.names]
            columns[f"{one.metric}: may be best"] = [
                ("yes" if name in best else "no") if name in means else None for name in self.names
            ]
        return Table(columns, formats={one.metric: ".6g" for one in self.rankings})

    def sentence(self) -> str:
        """Return which arms may be best, or what is shown against the baseline, by each metric."""
        over = f"over {count(len(self.rankings), 'metric')} together"
        parts = [self._of_metric(one) for one in self.rankings]
        start = f"With {percent(self.confidence_level)} confidence {over}"
        if self.baseline is not None:
            start = f"Against {self.baseline}, at {percent(1 - self.confidence_level)} {over}"
        return f"{start}: {'; '.join(parts)}."

    def _of_metric(self, one: ScoreRanking) -> str:
        by = f"by {spoken(one.metric)}"
        if one.against is not None:
            others = [one.names[at] for at in one.against.vs_baseline.tolist()]
            groups = {
                word: [name for name, found in zip(others, one.verdicts, strict=True) if found == word]
                for word in ("better", "worse", "undecided")
            }
            return f"{by} " + ", ".join(f"{listed(names, 4)} {word}" for word, names in groups.items() if names)
        best = _may_be_best(one)
        if len(best) == len(one.names):
            return f"{by} no arm can be ruled out as the best"
        return f"{by} {best[0]} is the best" if len(best) == 1 else f"{by} the best is among {listed(best, 4)}"

    def _paper(self) -> tuple[list[str], list[PaperColumn]]:
        return list(self.names), [column for one in self.rankings for column in one.paper_columns()]


def _may_be_best(one: ScoreRanking) -> list[str]:
    return [name for name, may in zip(one.names, one.maybe_best.tolist(), strict=True) if may]


def rank_metrics(source: Any, **settings: Unpack[RankSettings]) -> ScoreRankings:
    """Return which of several arms may be the best by each of several metrics, all of them at one confidence level.

    Parameters
    ----------
    source : table
        One number per run and metric.
    **settings : RankSettings
        Those of `rank_scores`; ``metric=("a", "b")`` names some metrics.

    Raises
    ------
    InputError
        What `rank_scores` refuses, or one metric alone.

    Examples
    --------
    >>> import runspread as rs
    >>> rows = [
    ...     {"method": name, "seed": k, "accuracy": mean + k / 1000, "loss": 1 - mean + k % 2 / 9}
    ...     for name, mean in (("a", 0.80), ("b", 0.82), ("c", 0.821)) for k in range(4)
    ... ]
    >>> rs.methods.scores.rank_metrics(rows, metric=("accuracy", "loss")).maybe_best.tolist()
    [True, True, True]
    """
    check_keywords(settings, {**RANKING, **READING}, "rank_metrics")
    given: dict[str, Any] = {**settings}
    table = read_scores(source, **given_of(settings))
    if len(table.metrics) < 2:
        raise InputError("there is one metric", "two or more", "Use rank_scores.")
    level = checked_level(given.get("confidence_level", LEVEL))
    own: dict[str, Any] = {name: value for name, value in given.items() if name in (*RANKING, "lower_is_better")}
    own["confidence_level"] = 1 - (1 - level) / len(table.metrics)
    found = tuple(rank_scores(table.only(metric), **own) for metric in table.metrics)
    return ScoreRankings(
        names=table.arms,
        rankings=found,
        confidence_level=level,
        baseline=own.get("baseline"),
        excluded=table.excluded,
        warnings=notes_by_metric(table.metrics, [one.warnings for one in found]),
        modes=tuple(dict.fromkeys(word for one in found for word in one.modes)),
    )
