"""`run_scores`: what each arm of a table of scores is (scores 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice, check_integers, check_keywords, check_numbers
from ..._reading.scores.table import DEFAULTS as READING
from ..._reading.scores.table import Place, ScoreCell, ScoreReading, ScoreTable, given_of, read_scores
from ..._results import Part, Table
from ..._words import count, percent
from ...errors import InputError
from .amounts import Amounts
from .arm_runs import ArmRuns, runs_of_cell
from .basis import ScoreResult, error_floor, on_examples
from .compare import arm_warnings, checked_level
from .defaults import LEVEL
from .modes import Shape, mode_words, shape
from .one_arm import (
    ArmIntervals,
    Moments,
    Target,
    against_target,
    arm_intervals,
    bca_interval,
    best_of,
    moments,
    outliers,
    share_interval,
)
from .paper import Paper, PaperColumn
from .winner import expected_largest

Floats = NDArray[np.float64]
DESCRIBING: dict[str, Any] = {
    "target": None,
    "target_is_run": False,
    "threshold": None,
    "interval": "t",
    "examples": None,
    "confidence_level": LEVEL,
}
_FEWEST_FOR_BCA = 20


class SummarySettings(ScoreReading, total=False):
    """Keywords of `run_scores`: those of the reading, and these.

    target : float
        A number to compare the runs with, in the unit of the metric.
    target_is_run : bool
        Whether the target is itself one run of a method: its noise is then counted as that of the runs here.
    threshold : float
        Value beyond which a run succeeds: the share of such runs is given, with its interval.
    interval : {"t", "bca"}
        Of the mean: Student's t (default), or from 20 runs on the bootstrap's (bias-corrected and accelerated), which
        covers less than it says below.
    examples : int
        Size of the test set that the accuracies are measured on: the intervals of means then count its noise, as if
        errors were independent.
    confidence_level : float
        Of intervals; default 0.95.
    """

    target: float
    target_is_run: bool
    threshold: float
    interval: str
    examples: int
    confidence_level: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Success(Part):
    """Runs on the good side of a threshold, with Clopper and Pearson's interval of their share."""

    threshold: float
    success_count: int
    success_rate: float
    success_lo: float
    success_hi: float


@dataclass(frozen=True, eq=False, kw_only=True)
class ArmScores(Part):
    """The runs of one arm on one task.

    Attributes
    ----------
    arm, task, metric : str
        Which.
    n_diverged : int
        Runs without a finite value.
    stand_in : float or None
        What stands for those among the values; None where they are excluded.
    values : ndarray of float64 [n]
        The runs; none where an arm lost all of them.
    moments : Moments
        Mean and spread.
    intervals : ArmIntervals
        Of mean, standard deviation and the next run.
    target : Target or None
        Against a number, where one was given.
    shape : Shape
        Whether the runs fall into two groups.
    best_of : ndarray of float64 [n]
        Expected best of 1 .. n runs; of more than 3,000 runs, of the first ten million over n; empty where the
        direction is not known.
    success : Success or None
        Runs beyond the threshold, where one was given.
    outliers : ndarray of int64
        Positions of outliers, which are named and never removed.
    """

    arm: str
    task: str
    metric: str
    n_diverged: int
    stand_in: float | None
    values: Floats
    moments: Moments
    intervals: ArmIntervals
    target: Target | None
    shape: Shape
    best_of: Floats
    success: Success | None
    outliers: NDArray[np.int64]

    @property
    def runs(self) -> ArmRuns:
        """The runs, as pictures and tables of papers take them."""
        return ArmRuns(values=self.values, n_diverged=self.n_diverged, stand_in=self.stand_in)

    def expected_best(self, runs: int) -> ExpectedBest:
        """Return the expected best of so many runs; of more than there are, as if runs were normal, and marked so.

        Raises
        ------
        InputError
            No runs, less than one of them, or a metric whose direction is not known.
        """
        runs = int(check_integers(runs, "runs", 0, None))
        if runs < 1 or not len(self.best_of) or (runs > 1 and len(self.values) < 2):
            expected = "one run or more (two, to say more of), of a metric whose direction is known"
            raise InputError(f"the best of {runs} of {count(len(self.values), 'run')}", expected)
        if runs <= len(self.best_of):
            return ExpectedBest(float(self.best_of[runs - 1]), extrapolated=False)
        better = float(np.sign(self.best_of[-1] - self.best_of[0]))
        return ExpectedBest(self.moments.mean + better * self.moments.sd * expected_largest(runs), extrapolated=True)


class ExpectedBest(NamedTuple):
    """The expected best of some runs, and whether it is extrapolated from fewer, which are taken to be normal."""

    value: float
    extrapolated: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class RunScores(Paper, ScoreResult):
    """Arms, tasks and metrics of a table of scores, and what the runs of each are.

    Attributes
    ----------
    arms : tuple of ArmScores
        One for each arm, task and metric, in the order of the table.
    units : dict
        Unit of each metric.
    directions : dict
        Whether lower is better, by metric; None where it is not known.
    target : float or None
        Number that the runs are compared with.
    confidence_level : float
        Of intervals.
    examples : int or None
        Size of the test set, where it was given: intervals of means then count the noise of independent errors on it.
    """

    picture = ".plots:plot_scores"

    arms: tuple[ArmScores, ...]
    units: dict[str, str]
    directions: dict[str, bool | None]
    target: float | None
    confidence_level: float
    examples: int | None = None

    def table(self) -> Table:
        """Return a row for each arm, task and metric."""
        arms = self.arms
        columns: dict[str, list[Any]] = {
            "arm": [one.arm for one in arms],
            "task": [one.task for one in arms],
            "metric": [one.metric for one in arms],
            "n": [one.moments.n for one in arms],
            "diverged": [one.n_diverged for one in arms],
            "mean": [one.moments.mean for one in arms],
            "low": [one.intervals.mean_lo for one in arms],
            "high": [one.intervals.mean_hi for one in arms],
            "sd": [one.moments.sd for one in arms],
            "median": [one.moments.median for one in arms],
            "best": [self._best(one) for one in arms],
        }
        for name in ("task", "metric"):
            if not any(columns[name]):
                del columns[name]
        numbers = ("mean", "low", "high", "sd", "median", "best")
        return Table(
            columns,
            formats=dict.fromkeys(numbers, ".6g"),
            title=f"{percent(self.confidence_level)} intervals of the mean",
        )

    def _best(self, one: ArmScores) -> float:
        """Return the best run of an arm; NaN where the direction is not known."""
        lower = self.directions[one.metric]
        if lower is None or not len(one.values):
            return math.nan
        return float(one.values.min() if lower else one.values.max())

    def sentence(self) -> str:
        """Return the mean with its interval, of one arm; how many arms there are, of several."""
        return _about(self, self.arms[0]) if len(self.arms) == 1 else _about_several(self)

    def summary(self) -> Table:
        """Return `table`."""
        return self.table()

    def _paper(self) -> tuple[list[str], list[PaperColumn]]:
        found = dict.fromkeys((one.metric, one.task) for one in self.arms)
        places = [place for metric in dict.fromkeys(name for name, _ in found) for place in found if place[0] == metric]
        columns = [
            PaperColumn(
                metric=metric,
                task=task,
                unit=self.units[metric],
                lower=self.directions[metric],
                cells={one.arm: one.runs for one in self.arms if (one.metric, one.task) == (metric, task)},
            )
            for metric, task in places
        ]
        return list(dict.fromkeys(one.arm for one in self.arms)), columns


def _about(found: RunScores, one: ArmScores) -> str:
    m, ends, n = one.moments, one.intervals, one.moments.n
    half = (ends.mean_hi - ends.mean_lo) / 2
    amounts = Amounts(one.metric, found.units[one.metric], half if math.isfinite(half) else abs(m.mean) / 1000)
    of = f" of {one.arm}" if one.arm else ""
    if n == 1:
        return f"One run{of} has {amounts.name} {m.mean:.6g}: one run says nothing about the spread between runs."
    if one.success is not None:
        return _success_words(one, one.success, found)
    if one.shape.two_groups and one.target is None:
        return _two_groups_words(
            one.values, one.shape, found.confidence_level, lower=bool(found.directions[one.metric])
        )
    runs = count(n, "run") if found.examples is None else f"{count(n, 'run')}; {on_examples(found.examples)}"
    text = (
        f"The mean {amounts.name}{of} is {amounts.level(m.mean)} ({percent(found.confidence_level)} interval "
        f"{amounts.level(ends.mean_lo)} to {amounts.level(ends.mean_hi)}; {runs})"
    )
    if one.target is not None and found.target is not None:
        t = one.target
        shown = "better" if t.p_target_better <= 1 - found.confidence_level else "not shown to be better"
        beat = f"{t.beat_count} of the {n} runs beat that number"
        return f"{text}, and it is {shown} than {found.target:g} (one-sided p = {t.p_target_better:.2g}). {beat}."
    if n == 2:
        return f"{text}. Two runs hardly measure a spread."
    spread = f"standard deviation between runs {m.sd:.2g} ({ends.sd_lo:.2g} to {ends.sd_hi:.2g} if runs are normal)"
    return f"{text}, with a {spread}."


def _success_words(one: ArmScores, s: Success, found: RunScores) -> str:
    level = percent(found.confidence_level)
    return (
        f"{s.success_count} of {count(one.moments.n, 'run')}{f' of {one.arm}' if one.arm else ''} are better than "
        f"{s.threshold:g}: a run is so with probability {s.success_rate:.0%} ({level} interval "
        f"{s.success_lo:.0%} to {s.success_hi:.0%})."
    )


def _about_several(found: RunScores) -> str:
    counts = [one.moments.n for one in found.arms]
    runs = count(counts[0], "run") + " each" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)} runs each"
    arms = count(len(found.arms), "arm")
    return f"{arms} of scores, {runs}; which of them is better is not tested here."


def _two_groups_words(values: Floats, form: Shape, level: float, *, lower: bool = False) -> str:
    y = np.sort(values)
    low, high = y[: form.gap_at], y[form.gap_at :]
    good = low if lower else high
    ends = share_interval(len(good), len(y), level)
    return (
        f"Mean and standard deviation mislead here: of {len(y)} runs {len(high)} end near {high.mean():.2g} and "
        f"{len(low)} near {low.mean():.2g}. A run ends in the better group with probability {len(good) / len(y):.0%} "
        f"({percent(level)} interval {ends[0]:.0%} to {ends[1]:.0%})."
    )


def run_scores(source: Any, **settings: Unpack[SummarySettings]) -> RunScores:
    """Return what the runs of each arm of a table are: mean, spread, intervals, best of N, groups, outliers.

    Parameters
    ----------
    source : array_like of float [n], or a table
        One number per run, of one arm or of several.
    **settings : SummarySettings
        A target, and how a table is read.

    Raises
    ------
    InputError
        What a table lacks, or a target with an unknown direction.

    Examples
    --------
    >>> import runspread as rs
    >>> print(rs.methods.scores.run_scores([3.2772, 3.2794, 3.2781], metric="val_loss").sentence()[:43])
    The mean validation loss is 3.2782 (95% int
    """
    check_keywords(settings, {**DESCRIBING, **READING}, "run_scores")
    options: dict[str, Any] = {**DESCRIBING, **settings}
    level = checked_level(options["confidence_level"])
    if options["target"] is not None and not np.isfinite(check_numbers(options["target"], "target")):
        raise InputError(f"target is {options['target']}", "a finite number")
    table = read_scores(_as_source(source), one_arm=True, **given_of(settings))
    arms = [_arm(table, place, cell, options, level) for place, cell in table.cells.items()]
    notes = [note for one in arms for note in arm_warnings(one.arm, one.values, one.shape)]
    notes += [note for one in arms for note in _outlier_warning(one, table)]
    return RunScores(
        arms=tuple(arms),
        units=dict(table.units),
        directions=dict(table.directions),
        target=options["target"],
        confidence_level=level,
        examples=options["examples"],
        excluded=table.excluded,
        warnings=(*table.warnings, *notes),
        modes=_mode_words(arms, several=len(arms) > 1 or options["target"] is not None),
    )


def _mode_words(arms: Sequence[ArmScores], *, several: bool) -> tuple[str, ...]:
    """Return what is said of arms of two groups, where the sentence on an arm alone does not say it."""
    if not several:
        return ()
    names = [", ".join(name for name in (one.arm, one.task) if name) for one in arms]
    return tuple(
        word for name, one in zip(names, arms, strict=True) for word in mode_words(name, one.values, one.shape)
    )


def _as_source(source: Any) -> Any:
    """Return an array of scores as a table of one arm; all else as it is."""
    if not isinstance(source, (list, tuple, np.ndarray)) or not len(source) or isinstance(source[0], dict):
        return source
    return {"": list(source)}


def _arm(table: ScoreTable, place: Place, cell: ScoreCell, options: Mapping[str, Any], level: float) -> ArmScores:
    x, target = cell.values, options["target"]
    if not np.isfinite(x).all():
        raise InputError("diverged runs count as worst", "finite values for means and spreads", "Use rs.compare.")
    known = table.directions[place.metric] is not None
    form = shape(x)
    return ArmScores(
        arm=place.arm,
        task=place.task,
        metric=place.metric,
        n_diverged=cell.n_diverged,
        stand_in=runs_of_cell(cell, table).stand_in,
        values=x,
        moments=moments(x),
        target=None if target is None or not len(x) else _target(table, place, x, options, level),
        intervals=_intervals(table, place, x, options, level),
        shape=form,
        success=_success(table, place, x, options["threshold"], level),
        best_of=best_of(x, lower=table.lower_is_better(place.metric)) if known else np.zeros(0),
        outliers=np.zeros(0, np.int64) if form.two_groups else outliers(x),
    )


def _intervals(table: ScoreTable, place: Place, x: Floats, options: Mapping[str, Any], level: float) -> ArmIntervals:
    """Return the intervals of an arm, that of its mean as asked."""
    found = arm_intervals(x, level, error_floor(x, options["examples"], table.units[place.metric], place.metric))
    if check_choice(options["interval"], "interval", ("t", "bca")) == "t":
        return found
    if len(x) < _FEWEST_FOR_BCA or not np.ptp(x) or options["examples"] is not None:
        raise InputError(
            f"interval='bca' is given, and {place.arm or 'the arm'} has {count(len(x), 'run')}",
            f"{_FEWEST_FOR_BCA} runs or more that differ, and no examples=",
            "Leave interval= out: Student's interval covers what it says at any number of runs.",
        )
    low, high = bca_interval(x, level)
    return replace(found, mean_lo=low, mean_hi=high)


def _success(table: ScoreTable, place: Place, x: Floats, threshold: float | None, level: float) -> Success | None:
    if threshold is None or not len(x):
        return None
    sign = -1.0 if table.lower_is_better(place.metric) else 1.0
    number = int(np.count_nonzero(sign * (x - threshold) > 0))
    low, high = share_interval(number, len(x), level)
    return Success(
        threshold=float(threshold),
        success_count=number,
        success_rate=number / len(x),
        success_lo=low,
        success_hi=high,
    )


def _target(table: ScoreTable, place: Place, x: Floats, options: Mapping[str, Any], level: float) -> Target:
    lower, is_run = table.lower_is_better(place.metric), bool(options["target_is_run"])
    return against_target(x, options["target"], level, lower=lower, is_run=is_run)


def _outlier_warning(one: ArmScores, table: ScoreTable) -> list[str]:
    if not len(one.outliers):
        return []
    cell = table.cell(one.arm, one.task, one.metric)
    names = ", ".join(f"{cell.names[at].strip()} ({one.values[at]:.6g})" for at in one.outliers.tolist())
    return [f"{names} {'lies' if len(one.outliers) == 1 else 'lie'} far from the other runs."]
