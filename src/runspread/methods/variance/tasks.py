"""Two-group tasks: every way to call classes positive or negative, judged from one set of predictions (spec 4.4)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._reading.correctness import Outcomes, as_outcomes
from ..._reading.opening import opens
from ..._reading.options import DEFAULTS, divided
from ..._results import Excluded, Result, Table
from ..._words import count
from ...errors import InputError
from ..audit.auditing import warns_of_seeds
from .clusters import ClusterCounter, ClusterTotals, Grouping, clusters_of, few_clusters
from .defaults import TaskOptions
from .null import chi2_p_value
from .statistics import RunStatistics
from .sums import RunSums, number, ratio, sum_of_squares

_MOST_CLASSES = 16


@dataclass(frozen=True, eq=False, kw_only=True)
class TwoGroupTasks(Result):
    """Spread of accuracy in each two-group task, beside what its error rate predicts.

    Attributes
    ----------
    n_runs, n_examples, n_classes : int
        R, n and K.
    mask : ndarray of int64 [tasks]
        Task m calls class k positive if bit k of m is set; m runs over 1..2^(K-1)-1.
    err, var_test, var_ind, var_dist, p_chi2 : ndarray of float64 [tasks]
        Error rate, and the variances and p-value as in `VarianceResult`: where clusters were given, clusters are taken
        for independent.
    n_clusters : int or None
        Clusters of the examples, where they were given.
    """

    picture = ".plots_calibration:plot_task_spread"

    n_runs: int
    n_examples: int
    n_classes: int
    mask: NDArray[np.int64]
    err: NDArray[np.float64]
    var_test: NDArray[np.float64]
    var_ind: NDArray[np.float64]
    var_dist: NDArray[np.float64]
    p_chi2: NDArray[np.float64]
    n_clusters: int | None = None

    @property
    def sd_predicted(self) -> NDArray[np.float64]:
        """``sqrt(err / (2 n))`` of each task: exact for calibrated runs whose errors are independent."""
        return np.sqrt(self.err / (2 * self.n_examples))

    @property
    def n_real(self) -> int:
        """Tasks whose spread goes beyond that of independent errors (or clusters), at 5 % over all tasks (Holm)."""
        p = np.sort(np.nan_to_num(self.p_chi2, nan=1.0))
        kept = p <= 0.05 / np.arange(len(p), 0, -1)
        return len(p) if kept.all() else int(np.argmin(kept))

    @property
    def squared_correlation(self) -> float:
        """Squared correlation over tasks of the predicted with the measured standard deviation; NaN if one is flat."""
        predicted, measured = self.sd_predicted, np.sqrt(self.var_test)
        if not (np.ptp(predicted) > 0 and np.ptp(measured) > 0):
            return math.nan
        return float(np.corrcoef(predicted, measured)[0, 1] ** 2)

    @property
    def binomial_error_ratio(self) -> float:
        """How many times larger the binomial's squared error on the variances is than that of err/(2n)."""
        binomial = self.err * (1 - self.err) / self.n_examples
        ours = np.square(self.var_test - self.err / (2 * self.n_examples)).sum()
        return ratio(float(np.square(self.var_test - binomial).sum()), float(ours))

    def table(self) -> Table:
        """Return one row per task."""
        columns = {
            "positive classes": [self._members(mask) for mask in self.mask.tolist()],
            "error": self.err,
            "sd": 100 * np.sqrt(self.var_test),
            "predicted sd": 100 * self.sd_predicted,
            f"independent {self._unit}": 100 * np.sqrt(self.var_ind),
            "p": self.p_chi2,
        }
        spreads = dict.fromkeys(("sd", "predicted sd", f"independent {self._unit}"), ".4f")
        return Table(columns, formats={"error": ".2%", "p": ".3g", **spreads})

    @property
    def _unit(self) -> str:
        return "errors" if self.n_clusters is None else "clusters"

    def _members(self, mask: int) -> str:
        return " ".join(str(k) for k in range(self.n_classes) if mask >> k & 1)

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        on = f"{count(self.n_runs, 'run')}, {count(self.n_examples, 'example')}"
        if self.n_clusters is not None:
            on += f" in {count(self.n_clusters, 'cluster')}"
        tasks = f"{count(len(self.mask), 'two-group task')} made of {self.n_classes} classes"
        if math.isnan(self.squared_correlation) or math.isnan(self.binomial_error_ratio):
            return f"The {tasks} do not differ in spread or in error ({on}), so they say nothing on its formulas."
        misses = times(self.binomial_error_ratio)
        return (
            f"Over {tasks} ({on}), sqrt(err/(2n)) explains {self.squared_correlation:.0%} of the variation of the "
            f"standard deviation, and the binomial distribution misses the variances by {misses} the squared error. In "
            f"{self.n_real} of them the spread is shown to go beyond that of independent {self._unit}; predictions "
            "were collapsed, no network was trained on the tasks."
        )


def times(ratio: float) -> str:
    """Return a ratio in words, without digits that nobody needs."""
    return "more than 100 times" if ratio > 100 else f"{ratio:.1f} times"


@opens("source")
@warns_of_seeds(pooled=True)
def two_group_tasks(
    source: Any,
    labels: Any = None,
    *,
    n_classes: int | None = None,
    **options: Unpack[TaskOptions],
) -> TwoGroupTasks:
    """Return the variance of every two-group task that the classes make (2304.01910, section 5; spec 4.4).

    Parameters
    ----------
    source : array_like, RunOutputs, study or RunStatistics
        Logits [runs, examples, classes] or predicted classes [runs, examples], or statistics with
        ``keep_confusion=True``.
    labels, n_classes
        As for `calibration`.
    **options
        ``clusters`` (which take predictions, and one more pass over them), and how outputs are read (``split``,
        ``kind``, ``nan``), as for `variance`.

    Raises
    ------
    InputError
        There are fewer than two runs, more than 16 classes, or statistics without confusion matrices.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> len(rs.methods.variance.two_group_tasks(logits.argmax(-1), labels).table())
    7
    """
    how, settings = divided(two_group_tasks, options, DEFAULTS, {"clusters": None})
    clusters: ArrayLike | None = settings["clusters"]
    if isinstance(source, RunStatistics):
        if clusters is not None:
            raise InputError(
                "got clusters with RunStatistics", "predictions", "Pass the predictions of the runs instead."
            )
        return _tasks(_checked_statistics(source, labels, n_classes), source.excluded)
    outcomes = as_outcomes(source, labels, n_classes=n_classes, **how)
    assert outcomes.labels is not None
    size = _size(outcomes, outcomes.labels, n_classes or outcomes.n_classes)
    statistics = RunStatistics.from_outcomes(outcomes, n_classes=size, keep_confusion=True)
    found = _tasks(statistics, outcomes.excluded)
    if clusters is None:
        return found
    grouping = clusters_of(clusters, outcomes, statistics.n_examples)
    found = replace(found, n_clusters=len(grouping), warnings=found.warnings + few_clusters(grouping))
    if len(grouping) == statistics.n_examples:
        return found
    totals = _clustered(outcomes, statistics, found.mask, grouping)
    return replace(
        found,
        var_ind=np.array([number(task.sums.var_ind) for task in totals]),
        var_dist=np.array([number(task.sums.var_dist) for task in totals]),
        p_chi2=np.array([task.p_value for task in totals]),
    )


def _clustered(
    outcomes: Outcomes, statistics: RunStatistics, masks: NDArray[np.int64], grouping: Grouping
) -> list[ClusterTotals]:
    """Return the sums of each task by cluster, from one more pass over the predictions."""
    labels, size = outcomes.labels, statistics.n_classes
    assert labels is not None
    votes = statistics.votes[..., :size].sum(axis=0, dtype=np.int64)
    positive = (masks[:, None] >> np.arange(size)) & 1
    counters = [ClusterCounter(grouping, _right(votes, labels, row)) for row in positive]
    for _, predicted in outcomes.chunks():
        assert predicted is not None
        for row, counter in zip(positive, counters, strict=True):
            counter.add((predicted >= 0) & (row[predicted] == row[labels]))
    return [counter.totals() for counter in counters]


def _checked_statistics(statistics: RunStatistics, labels: ArrayLike | None, n_classes: int | None) -> RunStatistics:
    if labels is not None or n_classes not in (None, statistics.n_classes):
        raise InputError("got labels or n_classes beside statistics", "those given to RunStatistics alone")
    statistics.require_complete()
    if not statistics.keep_confusion:
        raise InputError("got statistics without confusion matrices", "RunStatistics(labels, ..., keep_confusion=True)")
    _check_size(statistics.n_classes)
    return statistics


def _tasks(statistics: RunStatistics, excluded: tuple[Excluded, ...]) -> TwoGroupTasks:
    """Return the tasks from the confusion matrices of the runs (for V) and their votes (for V_ind)."""
    confusion, labels, runs, size = statistics.confusion, statistics.labels, statistics.n_runs, statistics.n_classes
    if runs < 2 or confusion is None or labels is None:
        raise InputError("one run" if runs else "no run", "two runs or more, to have a variance")
    votes = statistics.votes[..., :size].sum(axis=0, dtype=np.int64)  # without the class of abstentions
    tasks = np.arange(1, 2 ** (size - 1))
    sums = [_task_sums(confusion, votes, labels, mask) for mask in tasks.tolist()]
    return TwoGroupTasks(
        n_runs=runs,
        n_examples=statistics.n_examples,
        n_classes=size,
        mask=tasks,
        err=np.array([float(1 - task.mean_acc) for task in sums]),
        var_test=np.array([number(task.var_test) for task in sums]),
        var_ind=np.array([number(task.var_ind) for task in sums]),
        var_dist=np.array([number(task.var_dist) for task in sums]),
        p_chi2=np.array(
            [chi2_p_value(ratio(number(task.var_test), number(task.var_ind)), task.n_runs) for task in sums]
        ),
        excluded=excluded,
        warnings=statistics.repeats,
    )


def _size(outcomes: Outcomes, labels: NDArray[np.int64], n_classes: int | None) -> int:
    """Return the number of classes: as given, or the largest that occurs."""
    if n_classes is None:
        n_classes = 1 + max(int(labels.max()), *(int(p.max()) for _, p in outcomes.chunks() if p is not None))
    return _check_size(n_classes)


def _check_size(n_classes: int) -> int:
    if not 2 <= n_classes <= _MOST_CLASSES:
        raise InputError(f"got {n_classes} classes", f"2 to {_MOST_CLASSES}: there are 2^(K-1) - 1 tasks")
    return n_classes


def _task_sums(
    confusion: NDArray[np.unsignedinteger[Any]], votes: NDArray[np.int64], labels: NDArray[np.int64], mask: int
) -> RunSums:
    """Return the sums of one task: right is whoever is in the group of the true class."""
    size = votes.shape[1]
    positive = (mask >> np.arange(size)) & 1
    same = positive[:, None] == positive
    correct = confusion[:, same].sum(axis=1, dtype=np.int64)
    right = _right(votes, labels, positive)
    return RunSums(len(confusion), len(labels), int(correct.sum()), sum_of_squares(correct), sum_of_squares(right))


def _right(votes: NDArray[np.int64], labels: NDArray[np.int64], positive: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the runs that are in the group of the true class [examples]."""
    return np.where(positive[labels], votes @ positive, votes @ (1 - positive))
