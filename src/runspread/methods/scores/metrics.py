"""`compare_metrics`: two arms by several metrics, with one correction over all of them (scores 1.9)."""

from __future__ import annotations

from collections.abc import Mapping
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
from .._statistics import holm_adjusted
from .basis import ScoreResult
from .compare import COMPARING, CompareSettings, compare_scores
from .comparison import ScoreComparison

Floats = NDArray[np.float64]
_OF_ONE = ("not_worse", "equivalent", "gap", "threshold")  # in the unit of one metric


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoreMetrics(ScoreResult):
    """Whether a new arm is better than an old one by several metrics.

    Attributes
    ----------
    names : dict
        Of old and new.
    comparisons : tuple of ScoreComparison [metrics]
        By each metric alone, without a correction.
    p_holm : ndarray of float64 [metrics]
        Two-sided p of no difference, after Holm's correction over metrics.
    verdicts : tuple of str [metrics]
        better, worse or undecided by these.
    confidence_level : float
        Of intervals; all verdicts together err in at most 1 - confidence_level of cases.
    """

    says_excluded = True
    no_picture = "draw one of result.comparisons"

    names: dict[str, str]
    comparisons: tuple[ScoreComparison, ...]
    p_holm: Floats
    verdicts: tuple[str, ...]
    confidence_level: float

    @property
    def shown(self) -> bool:
        """Whether the new arm is better by some metric and worse by none."""
        return "better" in self.verdicts and "worse" not in self.verdicts

    @property
    def refuted(self) -> bool:
        """Whether the new arm is worse by some metric and better by none."""
        return "worse" in self.verdicts and "better" not in self.verdicts

    def table(self) -> Table:
        """Return a row for each metric."""
        ones = self.comparisons
        columns: dict[str, list[Any]] = {
            "metric": [one.metric for one in ones],
            "difference": [one.difference.diff for one in ones],
            "low": [one.difference.lo for one in ones],
            "high": [one.difference.hi for one in ones],
            "p (Holm)": self.p_holm.tolist(),
            "verdict": list(self.verdicts),
        }
        level = percent(self.confidence_level)
        title = f"{self.names['new']} minus {self.names['old']}, {level} intervals of one metric each"
        return Table(columns, formats={"p (Holm)": ".3g"}, title=title)

    def sentence(self) -> str:
        """Return by which metrics the new arm is better or worse, after the correction."""
        by_verdict = {
            word: [
                spoken(one.metric) for one, found in zip(self.comparisons, self.verdicts, strict=True) if found == word
            ]
            for word in ("better", "worse", "undecided")
        }
        new, old = self.names["new"], self.names["old"]
        parts = [
            f"{word} than {old} by {listed(by_verdict[word], 4)}" for word in ("better", "worse") if by_verdict[word]
        ]
        if by_verdict["undecided"]:
            parts.append(f"undecided by {listed(by_verdict['undecided'], 4)}")
        excluded = f" {count(len(self.excluded), 'value')} excluded." if self.excluded else ""
        over = f"After Holm's correction over {count(len(self.comparisons), 'metric')}"
        return f"{over}, {new} is {'; '.join(parts)}.{excluded}"


def compare_metrics(source: Any, **settings: Unpack[CompareSettings]) -> ScoreMetrics:
    """Return whether a new arm is better than an old one by several metrics, with one correction over all of them.

    Parameters
    ----------
    source : table
        One number per run and metric, of two arms.
    **settings : CompareSettings
        Those of `compare_scores` but margins, which are in the unit of one metric; ``metric=("a", "b")`` names some.

    Raises
    ------
    InputError
        What `compare_scores` refuses, or one metric alone.

    Examples
    --------
    >>> import runspread as rs
    >>> rows = [
    ...     {"method": name, "seed": k, "accuracy": mean + k / 1000, "loss": 1 - mean + k % 2 / 9}
    ...     for name, mean in (("old", 0.80), ("new", 0.82)) for k in range(4)
    ... ]
    >>> rs.methods.scores.compare_metrics(rows, metric=("accuracy", "loss")).verdicts
    ('better', 'undecided')
    """
    check_keywords(settings, {**COMPARING, **READING}, "compare_metrics")
    given: Mapping[str, Any] = settings
    of_one = [name for name in _OF_ONE if given.get(name) is not None]
    if of_one:
        raise InputError(f"{listed(of_one)} is given for several metrics", "one metric", "Name it with metric=.")
    table = read_scores(source, **given_of(settings))
    if len(table.metrics) < 2:
        raise InputError("there is one metric", "two or more", "Use compare_scores.")
    own: dict[str, Any] = {name: value for name, value in given.items() if name in COMPARING}
    direction: dict[str, Any] = {name: given[name] for name in ("lower_is_better",) if name in given}
    found = tuple(compare_scores(table.only(metric), **own, **direction) for metric in table.metrics)
    p = holm_adjusted(np.array([one.difference.p for one in found]))
    verdicts = tuple(_word(one, float(q)) for one, q in zip(found, p, strict=True))
    return ScoreMetrics(
        names=found[0].names,
        comparisons=found,
        p_holm=p,
        verdicts=verdicts,
        confidence_level=found[0].confidence_level,
        excluded=table.excluded,
        warnings=tuple(dict.fromkeys(note for one in found for note in one.warnings)),
    )


def _word(one: ScoreComparison, p: float) -> str:
    """Return the verdict by a metric after the correction."""
    if not p <= 1 - one.confidence_level or one.judged.verdict == "undecided":
        return "undecided"
    return one.judged.verdict
