"""`compare_metrics`: two arms by several metrics, with one correction over all of them (scores 1.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice, check_keywords
from ..._reading.scores.table import DEFAULTS as READING
from ..._reading.scores.table import ScoreTable, given_of, read_scores
from ..._reading.scores.words import FRACTION, PERCENT, spoken
from ..._results import Table
from ..._words import count, listed, percent
from ...errors import InputError
from .._statistics import holm_adjusted
from .amounts import Amounts
from .basis import ScoreResult
from .compare import COMPARING, CompareSettings, compare_scores
from .comparison import ScoreComparison
from .forms import first_shown, holds, margin_of

Floats = NDArray[np.float64]
_OF_ONE = ("gap", "threshold")  # in the unit of one metric
MARGINS = ("not_worse", "equivalent")
VERDICTS = ("better", "equivalent", "not worse", "worse", "undecided")


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
    p_margin : ndarray of float64 [metrics]
        Of the margin that was asked for, corrected likewise; NaN without.
    verdicts : tuple of str [metrics]
        better, equivalent, not worse, worse or undecided by these.
    beyond : tuple of bool [metrics]
        Whether the opposite of what was asked is shown: worse, or with a margin a difference beyond it, at the level
        that is left to one metric.
    confidence_level : float
        Of intervals. All verdicts of better and worse together err in at most 1 - confidence_level of cases, and all
        verdicts on margins together in as many: each kind has a correction of its own.
    """

    says_excluded = True
    no_picture = "draw one of result.comparisons"

    names: dict[str, str]
    comparisons: tuple[ScoreComparison, ...]
    p_holm: Floats
    p_margin: Floats
    verdicts: tuple[str, ...]
    beyond: tuple[bool, ...]
    confidence_level: float

    @property
    def asked(self) -> str:
        """What was asked: better, not worse or equivalent."""
        return self.comparisons[0].asked

    @property
    def shown(self) -> bool:
        """Whether the new arm is better by some metric and worse by none; with margins, whether all of them hold."""
        if self.asked != "better":
            return all(holds(word, self.asked) for word in self.verdicts)
        return "better" in self.verdicts and "worse" not in self.verdicts

    @property
    def refuted(self) -> bool:
        """Whether the new arm is worse by some metric and better by none; with margins, whether one is exceeded."""
        if self.asked != "better":
            return any(self.beyond)
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
        }
        if self.asked != "better":
            columns |= {"margin": [one.judged.margin for one in ones], "p of it (Holm)": self.p_margin.tolist()}
        columns["verdict"] = list(self.verdicts)
        level = percent(self.confidence_level)
        title = f"{self.names['new']} minus {self.names['old']}, {level} intervals of one metric each"
        return Table(columns, formats={"p (Holm)": ".3g", "p of it (Holm)": ".3g"}, title=title)

    def sentence(self) -> str:
        """Return by which metrics the new arm is better or worse, after the correction."""
        new, old = self.names["new"], self.names["old"]
        forms = {"equivalent": f"equivalent to {old}", "undecided": "undecided"}
        parts = [
            f"{forms.get(word, f'{word} than {old}')} by {listed(named, 4)}"
            for word in VERDICTS
            if (named := [self._called(at) for at, found in enumerate(self.verdicts) if found == word])
        ]
        excluded = f" {count(len(self.excluded), 'value')} excluded." if self.excluded else ""
        over = f"After Holm's correction over {count(len(self.comparisons), 'metric')}"
        return f"{over}, {new} is {'; '.join(parts)}.{excluded}"

    def _called(self, at: int) -> str:
        """Return a metric's name, with its margin where that was asked for."""
        one = self.comparisons[at]
        name, margin = spoken(one.metric), one.judged.margin
        if margin is None:
            return name
        beyond = " and exceeded" if self.beyond[at] else ""
        return f"{name} (margin {Amounts(one.metric, one.unit, margin).margin(margin)}{beyond})"


def compare_metrics(source: Any, **settings: Unpack[CompareSettings]) -> ScoreMetrics:
    """Return whether a new arm is better than an old one by several metrics, with one correction over all of them.

    Parameters
    ----------
    source : table
        One number per run and metric, of two arms.
    **settings : CompareSettings
        Those of `compare_scores`; ``metric=("a", "b")`` names some metrics. A margin is one for each metric, in its
        unit: ``not_worse={"accuracy": 0.005, "loss": 0.01}``, or one number for metrics that are all accuracies.

    Raises
    ------
    InputError
        What `compare_scores` refuses, one metric alone, or a margin that leaves a metric out.

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
    given: dict[str, Any] = {**settings}
    of_one = [name for name in _OF_ONE if given.get(name) is not None]
    if of_one:
        raise InputError(f"{listed(of_one)} is given for several metrics", "one metric", "Name it with metric=.")
    table = read_scores(source, **given_of(settings))
    if len(table.metrics) < 2:
        raise InputError("there is one metric", "two or more", "Use compare_scores.")
    own: dict[str, Any] = {name: value for name, value in given.items() if name in COMPARING and name not in MARGINS}
    own |= {name: given[name] for name in ("lower_is_better",) if name in given}
    margins = {name: by_metric(name, given[name], table) for name in MARGINS if given.get(name) is not None}

    def compared(metric: str, **more: Any) -> ScoreComparison:
        asked: dict[str, Any] = {**own, **{key: one[metric] for key, one in margins.items()}, **more}
        return compare_scores(table.only(metric), **asked)

    found = tuple(compared(metric) for metric in table.metrics)
    p = holm_adjusted(np.array([one.difference.p for one in found]))
    p_margin = holm_adjusted(np.array([_p_of_margin(one) for one in found]))
    strict = 1 - (1 - found[0].confidence_level) / len(found)
    return ScoreMetrics(
        names=found[0].names,
        comparisons=found,
        p_holm=p,
        p_margin=p_margin,
        verdicts=tuple(_word(one, float(q), float(m)) for one, q, m in zip(found, p, p_margin, strict=True)),
        beyond=tuple(one.refuted and compared(one.metric, confidence_level=strict).refuted for one in found),
        confidence_level=found[0].confidence_level,
        excluded=table.excluded,
        warnings=notes_by_metric(table.metrics, [one.warnings for one in found]),
    )


def notes_by_metric(metrics: Sequence[str], notes: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the warnings of results by several metrics, each once; one that is not of all of them names its metric."""
    common = [note for note in notes[0] if all(note in others for others in notes)]
    own = [
        f"{spoken(metric)}: {note}"
        for metric, these in zip(metrics, notes, strict=True)
        for note in these
        if note not in common
    ]
    return tuple(dict.fromkeys([*common, *own]))


def by_metric(name: str, given: Any, table: ScoreTable) -> dict[str, float]:
    """Return a margin for each metric of a table, from one for each or from one for all, in the unit of each."""
    example = f"{name}={{{', '.join(f'{metric!r}: ...' for metric in table.metrics[:4])}}}"
    if isinstance(given, Mapping):
        pairs: Mapping[Any, Any] = given
        known = {str(metric): margin_of(name, margin) for metric, margin in pairs.items()}
        for metric in known:
            check_choice(metric, f"metric of {name}", table.metrics)
        missing = [metric for metric in table.metrics if metric not in known]
        if missing:
            raise InputError(f"{name} has no margin for {listed(missing)}", "one per metric", f"Write {example}.")
        return known
    margin, units = margin_of(name, given), {table.units[metric] for metric in table.metrics}
    if len(table.metrics) > 1 and units not in ({FRACTION}, {PERCENT}):
        raise InputError(
            f"{name}={margin:g} is one margin for {listed(table.metrics, 4)}, which differ in unit",
            "one margin per metric",
            f"Write {example}, or name one metric with metric=.",
        )
    return dict.fromkeys(table.metrics, margin)


def _p_of_margin(one: ScoreComparison) -> float:
    return one.judged.p_equivalent if one.asked == "equivalent" else one.judged.p_not_worse


def _word(one: ScoreComparison, p: float, p_margin: float) -> str:
    """Return the verdict by a metric after the correction."""
    if one.difference.form == "mann-whitney":  # without means there is no difference, but an order
        good = one.ranks.p_superior - 0.5
    else:
        good = -one.difference.diff if one.lower_is_better else one.difference.diff
    return first_shown(one.asked, good, p, p_margin, 1 - one.confidence_level)
