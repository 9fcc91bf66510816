"""`compare_tasks`: arms over several tasks, on these tasks and on tasks like them (scores 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_choice, check_keywords, check_numbers
from ..._reading.scores.table import DEFAULTS as READING
from ..._reading.scores.table import ScoreReading, ScoreTable, given_of, read_scores
from ..._results import Table
from ..._words import count, listed, percent
from ...errors import InputError
from .._statistics import holm_adjusted
from .aggregates import TaskAggregates, percentile_interval, profiles, t_boot_interval, task_aggregates
from .arm_runs import ArmRuns, runs_of_cell
from .bands import improvement_intervals, profile_bands
from .basis import ScoreResult
from .compare import check_margin, checked_level
from .defaults import GAMMA, LEVEL
from .forms import Arm, asked_of, pooled_sd
from .modes import mode_words, shape
from .one_arm import mean_of, standard_deviation
from .paper import Paper, PaperColumn
from .task_intervals import TaskIntervals, TaskMargin, task_intervals, task_margin, verdict_with
from .task_words import words_of_many, words_of_two
from .tasks import TaskPairs, TaskRanks, cell_means, task_pairs, task_ranks

Floats = NDArray[np.float64]
ON = ("tasks-like-these", "these-tasks")
OVER_TASKS: dict[str, Any] = {
    "baseline": None,
    "new_arm": None,
    "on": ON[0],
    "tasks": "common",
    "normalise": "none",
    "gamma": GAMMA,
    "confidence_level": LEVEL,
}
MARGINS: dict[str, Any] = {"not_worse": None, "equivalent": None}
_FEWEST_FOR_UNIT = 5  # runs of the baseline on a task below which its spread is a poor unit
_SCALES_DIFFER = 0.01  # p below which the spread of runs is shown to differ between tasks
_ONE_SCALE = 3.0  # largest ratio of the spreads of runs between tasks on one scale


class TaskSettings(ScoreReading, total=False):
    """Keywords of `compare_tasks`: those of the reading, and these.

    baseline, new_arm : str
        Which two arms; default all of the table.
    on : {"tasks-like-these", "these-tasks"}
        What the verdict is about.
    tasks : {"common", "raise"}
        What to do with tasks on which an arm has no runs: leave them out and name them (default), or an error.
    normalise : {"none", "baseline", "rank"} or mapping of task to (low, high)
        How scores of different scales become one: not at all (default), in standard deviations of the baseline's runs,
        by the share of the runs of a task that a run is better than (which hangs on the arms that are compared; on
        tasks like these the signs of their differences decide, six tasks at least, and there is no interval), or
        between two scores of each task, such as chance and perfect.
    gamma : float
        Score from which the optimality gap counts nothing; default 1.
    not_worse, equivalent : float
        Margin above 0 of the mean over tasks, in the unit of the metric: is the new one of two arms not worse by more,
        or within it on both sides?
    confidence_level : float
        Of intervals; default 0.95.
    """

    baseline: str
    new_arm: str
    on: str
    tasks: str
    normalise: str | Mapping[str, tuple[float, float]]
    gamma: float
    not_worse: float
    equivalent: float
    confidence_level: float


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoreTasks(Paper, ScoreResult):
    """Arms over several tasks. Differences are of goodness: above 0, the second arm of a pair is better.

    Attributes
    ----------
    names, tasks : tuple of str
        Arms and tasks.
    metric, unit : str
        Name of the metric; its unit, plain after normalisation.
    lower_is_better : bool
        Direction of the metric.
    confidence_level : float
        Of intervals.
    on : str
        What the verdict is about.
    runs : tuple of tuple of ArmRuns [arms][tasks]
        The runs, as the table has them.
    cells : tuple of tuple of ndarray of float64 [arms][tasks][n]
        Goodness of each run: on one scale over tasks, and higher is better.
    means : ndarray of float64 [arms, tasks]
        Goodness of each arm on each task: lower-is-better metrics have their sign changed.
    pairs : TaskPairs
        Every pair on these tasks and on tasks like them.
    intervals : TaskIntervals
        Of the mean difference, for both questions.
    aggregates : TaskAggregates
        Mean, median, middle half and optimality gap of each arm.
    ranks : TaskRanks
        Average ranks.
    verdicts : tuple of str [pairs]
        better, worse or undecided for the second arm, after Holm's correction over pairs.
    n_runs : tuple of int
        Fewest and most runs of an arm on a task.
    within : TaskMargin or None
        Of two arms, whether they differ by less than the margin that was asked for.
    """

    picture = ".plots_tasks:plot_score_tasks"

    names: tuple[str, ...]
    tasks: tuple[str, ...]
    metric: str
    unit: str
    lower_is_better: bool
    confidence_level: float
    on: str
    runs: tuple[tuple[ArmRuns, ...], ...]
    cells: tuple[tuple[Floats, ...], ...]
    means: Floats
    pairs: TaskPairs
    intervals: TaskIntervals
    aggregates: TaskAggregates
    ranks: TaskRanks
    verdicts: tuple[str, ...]
    n_runs: tuple[int, int]
    within: TaskMargin | None = None

    def table(self) -> Table:
        """Return a row for each pair, with both questions."""
        p = self.pairs
        columns = {
            "new": [self.names[j] for _, j in p.pairs.tolist()],
            "old": [self.names[i] for i, _ in p.pairs.tolist()],
            "better by": p.diff,
            "low (these)": self.intervals.these_lo,
            "high (these)": self.intervals.these_hi,
            "p (these)": p.p_these,
            "low (like)": self.intervals.like_lo,
            "high (like)": self.intervals.like_hi,
            "p (like)": p.p_like_used,
            "verdict": list(self.verdicts),
        }
        return Table(columns, formats=dict.fromkeys(("p (these)", "p (like)"), ".3g"))

    def sentence(self) -> str:
        """Return the verdict on these tasks and on tasks like them, of two arms; of more, which pairs are decided."""
        return words_of_two(self) if len(self.names) == 2 else words_of_many(self)

    def improvement(self) -> Table:
        """Return for each pair the chance that a run of one arm beats one of the other, averaged over tasks.

        Its interval ("t-boot") is of these tasks, by resampled runs.
        """
        low, high = improvement_intervals(self.cells, self.confidence_level)
        pairs = [(i, j) for i in range(len(self.names)) for j in range(len(self.names)) if i != j]
        columns: dict[str, list[Any]] = {
            "arm": [self.names[i] for i, _ in pairs],
            "beats": [self.names[j] for _, j in pairs],
            "probability": [self.aggregates.p_improvement[i, j] for i, j in pairs],
            "low": [low[i, j] for i, j in pairs],
            "high": [high[i, j] for i, j in pairs],
        }
        return Table(columns, formats=dict.fromkeys(("probability", "low", "high"), ".3f"))

    def profile(self, taus: ArrayLike) -> Table:
        """Return the share of runs above each score, by arm, with bands that hold for one score at a time.

        Parameters
        ----------
        taus : array_like of float [taus]
            Scores, in the unit of `cells`.
        """
        at = np.asarray(taus, np.float64)
        shares, (low, high) = profiles(self.cells, at)[0], profile_bands(self.cells, at, self.confidence_level)
        columns: dict[str, list[Any]] = {
            "arm": [name for name in self.names for _ in at],
            "tau": np.tile(at, len(self.names)).tolist(),
            "share": shares.ravel().tolist(),
            "low": low.ravel().tolist(),
            "high": high.ravel().tolist(),
        }
        return Table(columns, title=f"Bands: pointwise {percent(self.confidence_level)}")

    def aggregate(self, kind: str = "mean", *, interval: str = "t-boot", gamma: float = GAMMA) -> Table:
        """Return an aggregate over tasks of each arm, with its interval by resampled runs.

        Parameters
        ----------
        kind : {"mean", "median", "iqm", "optimality_gap"}
            Which; the middle half excludes the best and the worst quarter of runs on tasks.
        interval : {"t-boot", "percentile"}
            "percentile" is rliable's, which covers too little at few runs.
        gamma : float
            Score from which the optimality gap counts nothing.
        """
        check_choice(interval, "interval", ("t-boot", "percentile"))
        rows: list[tuple[float, float, float]] = []
        for arm in self.cells:
            value, low, high = t_boot_interval([arm], kind, self.confidence_level, gamma=gamma)
            if interval == "percentile":
                low, high = percentile_interval([arm], kind, self.confidence_level, gamma=gamma)
            rows.append((value, low, high))
        value, low, high = (list(column) for column in zip(*rows, strict=True))
        return Table(
            {"arm": self.names, kind: value, "low": low, "high": high},
            title=f"{percent(self.confidence_level)} {interval}",
        )

    def _paper(self) -> tuple[list[str], list[PaperColumn]]:
        columns = [
            PaperColumn(
                metric=self.metric,
                task=task,
                unit=self.unit,
                lower=self.lower_is_better,
                cells={name: row[at] for name, row in zip(self.names, self.runs, strict=True)},
            )
            for at, task in enumerate(self.tasks)
        ]
        return list(self.names), columns


def compare_tasks(source: Any, **settings: Unpack[TaskSettings]) -> ScoreTasks:
    """Return how arms differ over several tasks, on these tasks and on tasks like them.

    Parameters
    ----------
    source : table
        One number per run, with columns of arms and of tasks.
    **settings : TaskSettings
        Which arms, what the verdict is about, and how the table is read.

    Raises
    ------
    InputError
        One task, tasks without runs of an arm, or tasks of different scales.

    Examples
    --------
    >>> import runspread as rs
    >>> rows = [
    ...     {"method": name, "task": task, "seed": seed, "accuracy": 0.7 + gain * (at + 9) + 0.001 * seed}
    ...     for name, gain in (("old", 0.0), ("new", 0.002)) for at, task in enumerate("abcd") for seed in range(3)
    ... ]
    >>> rs.methods.scores.compare_tasks(rows, metric="accuracy").verdicts
    ('better',)
    """
    check_keywords(settings, {**OVER_TASKS, **MARGINS, **READING}, "compare_tasks")
    options: dict[str, Any] = {**OVER_TASKS, **MARGINS, **settings}
    asked, margin = asked_of(options)
    level, on = checked_level(options["confidence_level"]), check_choice(options["on"], "question", ON)
    table = read_scores(source, **given_of(settings))
    metric = table.metrics[0]
    if len(table.metrics) > 1:
        raise InputError(f"the table has {len(table.metrics)} metrics", "one", f"Pass metric={metric!r}.")
    arms = _arms(table, options["baseline"], options["new_arm"])
    tasks, warnings = _common(table, arms, check_choice(options["tasks"], "way to take tasks", ("common", "raise")))
    runs = tuple(tuple(runs_of_cell(table.cell(arm, task), table) for task in tasks) for arm in arms)
    cells = [[one.values for one in row] for row in runs]
    cells, unit, notes = _on_one_scale(cells, tasks, table, options["normalise"])
    pairs = task_pairs(cells, ranked=isinstance(options["normalise"], str) and options["normalise"] == "rank")
    p = pairs.p_like_holm if on == ON[0] else holm_adjusted(pairs.p_these)
    counts = [len(x) for arm in cells for x in arm]
    verdicts = tuple(_word(d, q, 1 - level) for d, q in zip(pairs.diff.tolist(), p.tolist(), strict=True))
    within = None
    if margin is not None:
        _check_margin(margin, table, arms, options["normalise"])
        within = task_margin(pairs, asked, margin, level, len(tasks), like=on == ON[0])
        verdicts = (verdict_with(within, float(pairs.diff[0]), float(p[0]), 1 - level),)
    return ScoreTasks(
        names=arms,
        tasks=tasks,
        metric=metric,
        unit=unit,
        lower_is_better=table.lower_is_better(),
        confidence_level=level,
        on=on,
        runs=runs,
        cells=tuple(tuple(row) for row in cells),
        means=cell_means(cells),
        pairs=pairs,
        intervals=task_intervals(pairs, len(tasks), level),
        aggregates=task_aggregates(cells, options["gamma"]),
        ranks=task_ranks(cell_means(cells)),
        verdicts=verdicts,
        within=within,
        n_runs=(min(counts), max(counts)),
        excluded=table.excluded,
        warnings=(*table.warnings, *warnings, *notes),
        modes=_mode_words(arms, tasks, runs),
    )


def _mode_words(arms: Sequence[str], tasks: Sequence[str], runs: Sequence[Sequence[ArmRuns]]) -> tuple[str, ...]:
    """Return what is said of arms whose runs on a task fall into two groups."""
    return tuple(
        word
        for arm, row in zip(arms, runs, strict=True)
        for task, one in zip(tasks, row, strict=True)
        for word in mode_words(f"{arm} on {task}", one.finite, shape(one.finite))
    )


def _check_margin(margin: float, table: ScoreTable, arms: Sequence[str], normalise: Any) -> None:
    """Raise where a margin of the mean over tasks has no meaning."""
    check_margin(margin, table)
    if len(arms) != 2:
        raise InputError(f"a margin with {len(arms)} arms", "two", "Name them with baseline= and new_arm=.")
    if normalise != "none":
        raise InputError("a margin and normalise=", "a margin in the unit of the metric", "Drop one of them.")


def _word(diff: float, p: float, alpha: float) -> str:
    return ("better" if diff > 0 else "worse") if p <= alpha and diff else "undecided"


def _arms(table: ScoreTable, baseline: str | None, new: str | None) -> tuple[str, ...]:
    """Return the arms that are compared, the baseline first."""
    for name in (baseline, new):
        if name is not None:
            check_choice(name, "arm", table.arms)
    rest = [new] if new is not None else [arm for arm in table.arms if arm != baseline]
    arms: tuple[str, ...] = tuple(rest if baseline is None else [baseline, *rest])
    if len(arms) < 2:
        raise InputError(f"the table has one arm, {listed(arms)}", "two or more")
    return arms


def _common(table: ScoreTable, arms: Sequence[str], how: str) -> tuple[tuple[str, ...], list[str]]:
    """Return the tasks on which every arm has runs, and a warning that names the others."""
    complete = tuple(task for task in table.tasks if all(len(table.cell(arm, task)) for arm in arms))
    lost = [task for task in table.tasks if task not in complete]
    if lost and how == "raise":
        raise InputError(
            f"an arm has no runs on {listed(lost)}", "runs of each arm on each task", "Pass tasks='common'."
        )
    if len(complete) < 2:
        raise InputError(
            f"{len(complete)} of {len(table.tasks)} tasks have runs of each arm",
            "two or more",
            "Keep one task and use rs.compare.",
        )
    warnings = [f"Excluded, since an arm has no runs there: {listed(lost)}."] if lost else []
    if len(complete) == 2:
        warnings.append("Two tasks say little about tasks like them: the test has one degree of freedom.")
    return complete, warnings


def _on_one_scale(
    cells: list[list[Floats]], tasks: Sequence[str], table: ScoreTable, how: Any
) -> tuple[list[list[Floats]], str, list[str]]:
    """Return goodness on one scale over tasks, its unit, and warnings."""
    sign = -1.0 if table.lower_is_better() else 1.0
    if isinstance(how, Mapping):
        ends = [_ends_of(how, task) for task in tasks]
        scaled = [[(x - low) / (high - low) for x, (low, high) in zip(arm, ends, strict=True)] for arm in cells]
        return scaled, "plain", []
    check_choice(how, "normalisation", ("none", "baseline", "rank"))
    if how == "rank":
        return by_rank([[sign * x for x in arm] for arm in cells]), "plain", []
    if how == "none":
        warnings = _check_scales(cells, tasks)
        return [[sign * x for x in arm] for arm in cells], table.units[table.metrics[0]], warnings
    sds = [standard_deviation(x) for x in cells[0]]
    flat = [task for task, sd in zip(tasks, sds, strict=True) if not sd > 0]
    if flat:
        raise InputError(f"the baseline has no spread on {listed(flat)}", "two or more runs that differ on each task")
    scaled = [[sign * (x - mean_of(b)) / sd for x, b, sd in zip(arm, cells[0], sds, strict=True)] for arm in cells]
    few = min(len(x) for x in cells[0]) < _FEWEST_FOR_UNIT
    note = "The unit is the spread of the baseline's runs, which fewer than 5 runs per task hardly measure."
    return scaled, "plain", [note] if few else []


def by_rank(cells: list[list[Floats]]) -> list[list[Floats]]:
    """Return for each run the share of the runs on its task that it is better than, ties half [arms][tasks][n]."""
    from scipy.stats import rankdata

    columns: list[list[Floats]] = []
    for task in zip(*cells, strict=True):
        together = (rankdata(np.concatenate(task)) - 0.5) / sum(map(len, task))
        columns.append(np.split(together, np.cumsum([len(x) for x in task])[:-1]))
    return [list(row) for row in zip(*columns, strict=True)]


def _ends_of(how: Mapping[str, tuple[float, float]], task: str) -> tuple[float, float]:
    if task not in how:
        raise InputError(f"normalise has no low and high for {task}", "both for each task")
    ends = check_numbers(how[task], f"low and high of {task}")
    if ends.shape != (2,):
        raise InputError(f"{count(ends.size, 'value')} for {task}", "its low and its high")
    low, high = ends.tolist()
    if low == high:
        raise InputError(f"low and high of {task} are both {low}", "two different scores")
    return low, high


def _check_scales(cells: list[list[Floats]], tasks: Sequence[str]) -> list[str]:
    """Raise where the spread of runs is shown to differ between tasks, and by more than three times; else warn.

    Of a few runs the largest spread of several tasks is three times the smallest by chance.
    """
    from scipy.special import fdtrc

    known: list[tuple[float, int]] = []
    for at in range(len(tasks)):
        arms = [Arm.of(arm[at]) for arm in cells]
        sd, df = pooled_sd(*arms), sum(arm.n - 1 for arm in arms)
        if sd > 0:
            known.append((sd, df))
    if len(known) < 2:
        return []
    (low, df_low), (high, df_high) = min(known), max(known)
    if high <= _ONE_SCALE * low:
        return []
    pairs = len(known) * (len(known) - 1)
    found = f"the spread of runs differs {high / low:.1f} times between tasks"
    if pairs * float(fdtrc(df_high, df_low, (high / low) ** 2)) <= _SCALES_DIFFER:
        hint = "Pass normalise='baseline', or normalise={task: (low, high), ...}."
        raise InputError(found, "one scale over tasks", hint)
    return [f"{found[0].upper()}{found[1:]}, which so few runs may do by chance: are all tasks on one scale?"]
