"""Spectral metrics over training and over seeds: what a difference is worth beside the luck of a seed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice
from ..._results import Result, Table
from ..._words import count
from ...errors import InputError
from .models import ModelSpectra, in_words
from .study_measures import run_columns
from .tails import Floats

_LEVEL = 0.05
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False, kw_only=True)
class QualityDifference(Result):
    """A difference in one metric, set against the spread over seeds.

    Attributes
    ----------
    metric : str
        Name of the metric.
    first, second : str
        What is compared.
    difference : float
        Second minus first.
    interval : tuple of float
        95 % t interval of the difference; NaN where runs do not differ in their changes.
    p_value : float
        Of no difference, by the same t test: of the runs' changes (paired), or against the seed spread. It is below 5 %
        exactly where the interval excludes zero.
    seed_sd : float
        Standard deviation over runs that differ in seeds alone.
    n : int
        Number of runs (paired), or degrees of freedom of the spread plus one.
    paired : bool
        Whether each run was compared with itself.
    """

    picture = ".plots:plot_quality_difference"

    metric: str
    first: str
    second: str
    difference: float
    interval: tuple[float, float]
    p_value: float
    seed_sd: float
    n: int
    paired: bool

    def table(self) -> Table:
        """Return one row."""
        return Table(
            {
                "metric": [self.metric], "first": [self.first], "second": [self.second],
                "difference": [self.difference], "low": [self.interval[0]], "high": [self.interval[1]],
                "p": [self.p_value], "seed sd": [self.seed_sd], "n": [self.n],
            }
        )  # fmt: skip

    @property
    def verdict(self) -> str:
        """``"more"`` or ``"less"`` where the interval excludes zero, ``"undecided"`` where it does not."""
        if not self.p_value < _LEVEL:
            return "undecided"
        return "more" if self.difference > 0 else "less"

    def sentence(self) -> str:
        """Say whether the difference is more than seed noise."""
        low, high = self.interval
        more = "not shown to be more than" if self.verdict == "undecided" else "more than"
        basis = f"paired over {self.n} runs" if self.paired else f"against the spread over seeds, {self.n - 1} df"
        noise = f"is {self.seed_sd:.3g}" if np.isfinite(self.seed_sd) else "needs runs of one configuration"
        differs = f"{self.metric} differs by {self.difference:.3g} from {self.first} to {self.second}"
        if np.isnan(self.p_value):
            return (
                f"{differs} in all {self.n} runs alike, which leaves no spread of changes to test it by; the standard "
                f"deviation of seed noise {noise}."
            )
        return (
            f"{differs} (95% CI {low:.3g} to {high:.3g}, p = {self.p_value:.3g}, {basis}): {more} seed noise, "
            f"whose standard deviation {noise}. It does not show that the better value generalises better."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the verdict."""
        return super().to_dict() | {"verdict": self.verdict}


@dataclass(frozen=True, eq=False, kw_only=True)
class StudySpectra(Result):
    """Model-level spectral metrics of every run of a study, at one or more steps.

    Attributes
    ----------
    source : str
        What was read.
    runs : tuple of str
        Ids of the runs.
    steps : tuple of (int or None)
        Training steps; None is the end.
    metrics : dict of str to ndarray [runs, steps]
        Mean over layers by name; NaN where a run has no weights at a step.
    hyperparameters : dict of str to list [runs]
        By name.
    accuracy : dict of str to list [runs]
        Final accuracy by split.
    layers : dict of str to ndarray [runs, steps]
        ``"<layer>/<metric>"`` for layers that every run has.
    depth : tuple of int
        Number of weight matrices and kernels of each run's network, embeddings aside.
    skipped : dict of str to int
        Number of layers excluded from the averages, of all runs and steps together, by reason.
    """

    picture = ".plots:plot_study_spectra"

    source: str
    runs: tuple[str, ...]
    steps: tuple[int | None, ...]
    metrics: dict[str, NDArray[np.float64]]
    hyperparameters: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    accuracy: dict[str, list[float | None]] = field(default_factory=dict[str, "list[float | None]"])
    layers: dict[str, NDArray[np.float64]] = field(default_factory=dict[str, NDArray[np.float64]])
    depth: tuple[int, ...] = ()
    skipped: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def has_averages(self) -> bool:
        """Whether any run has a layer that enters the averages."""
        return any(np.isfinite(values).any() for values in self.metrics.values())

    def values(self, metric: str) -> NDArray[np.float64]:
        """Return a metric [runs, steps]: of the model, or ``"<layer>/<metric>"`` of a layer."""
        everything = self.metrics | self.layers
        return everything[check_choice(metric, "metric", everything)]

    def seed_sd(self, metric: str) -> NDArray[np.float64]:
        """Return for each step the standard deviation over runs of equal hyperparameters [steps]."""
        return _pooled_sd(self.values(metric), self._configurations())[0]

    def table(self) -> Table:
        """Return one row per metric and step: mean and spread over runs, spread over seeds alone, number of runs."""
        rows: list[tuple[Any, ...]] = []
        for name, values in self.metrics.items():
            spread = self.seed_sd(name)
            for k, step in enumerate(self.steps):
                known = values[:, k][np.isfinite(values[:, k])]
                mean = float(np.mean(known)) if known.size else float("nan")
                sd = float(np.std(known, ddof=1)) if known.size > 1 else float("nan")
                rows.append((name, step_name(step), mean, sd, float(spread[k]), len(known)))
        columns = zip(*rows, strict=True)
        return Table(dict(zip(("metric", "step", "mean", "sd", "seed sd", "runs"), map(list, columns), strict=True)))

    def to_table(self, taken: Collection[str] = ()) -> Table:
        """Return one row per run with final metrics, hyperparameters, depth and accuracies, for `paradox`.

        Parameters
        ----------
        taken : collection of str
            Names that hyperparameters must not have, besides those of the other columns; one that does is called
            ``"hyperparameter <name>"``.
        """
        last = len(self.steps) - 1
        columns = run_columns(self.runs, self.hyperparameters, self.accuracy, (*self.metrics, *taken))
        depth = {"depth": self.depth} if self.depth and "depth" not in columns else {}
        return Table(columns | depth | {name: values[:, last] for name, values in self.metrics.items()})

    def sentence(self) -> str:
        """Give the exponent at the end with its spread over seeds."""
        alphas, spread = self.values("alpha")[:, -1], self.seed_sd("alpha")[-1]
        if not np.isfinite(alphas).any():
            return (
                f"None of {len(self.runs)} runs of {self.source} has a layer with a fit and enough eigenvalues to "
                f"average, which are 50 unless min_evals says otherwise{in_words(self.skipped)}."
            )
        mean = (
            f"Over {count(len(self.runs), 'run')} of {self.source} the average exponent at "
            f"{step_name(self.steps[-1])} is {np.nanmean(alphas):.2f}"
        )
        if not np.isfinite(spread):
            return (
                f"{mean} ({np.nanmin(alphas):.2f} to {np.nanmax(alphas):.2f}). No two runs differ in seeds "
                "alone, so how much of that is luck is not known."
            )
        return (
            f"{mean}, with a standard deviation over seeds of {spread:.3g}. Differences between checkpoints "
            "below about three of these are within reach of a lucky seed."
        )

    def difference(self, metric: str, first: int | None, second: int | None) -> QualityDifference:
        """Return how a metric changes between two steps, each run compared with itself (paired t test).

        It assumes that changes are normal over runs. With two or three runs only large changes show.

        Parameters
        ----------
        metric : str
            Name.
        first, second : int or None
            Steps; None is the end of training.

        Raises
        ------
        InputError
            A step was not read, or fewer than two runs have both.
        """
        values = self.values(metric)
        a, b = (values[:, self._place(step)] for step in (first, second))
        known = np.isfinite(a) & np.isfinite(b)
        changes = (b - a)[known]
        if len(changes) < 2:
            raise InputError(f"{len(changes)} runs have {metric} at both steps", "at least 2")
        n = len(changes)
        mean, interval, p_value = _paired_t(changes)
        spread = _pooled_sd(values[:, [self._place(second)]], self._configurations())[0][0]
        return QualityDifference(
            metric=metric,
            first=step_name(first),
            second=step_name(second),
            difference=mean,
            interval=interval,
            p_value=p_value,
            seed_sd=float(spread),
            n=n,
            paired=True,
        )

    def compare(
        self, metric: str, first: float | ModelSpectra, second: float | ModelSpectra, *, step: int | None = None
    ) -> QualityDifference:
        """Return whether two single models differ in a metric by more than two seeds of this study do.

        Parameters
        ----------
        metric : str
            Name.
        first, second : ModelSpectra or float
            The two models, such as ``rs.spectra(path)``, or the metric's value in them.
        step : int or None
            Step at which the study's spread is taken; its last by default.

        Raises
        ------
        InputError
            No two runs of the study differ in seeds alone, or a model lacks the metric.
        """
        first, first_name = _value_of(first, metric, "one model")
        second, second_name = _value_of(second, metric, "another")
        column = len(self.steps) - 1 if step is None else self._place(step)
        spread, free = _pooled_sd(self.values(metric)[:, [column]], self._configurations())
        if not (free[0] > 0 and spread[0] > 0):
            raise InputError(
                "there are no two runs of equal hyperparameters", "at least two runs that differ in seeds alone"
            )
        from scipy.special import stdtr, stdtrit

        error = float(np.sqrt(2) * spread[0])
        difference, df = second - first, int(free[0])
        half = float(stdtrit(df, 0.975)) * error
        return QualityDifference(
            metric=metric,
            first=f"{first_name} ({first:.3g})",
            second=f"{second_name} ({second:.3g})",
            difference=difference,
            interval=(difference - half, difference + half),
            p_value=float(2 * stdtr(df, -abs(difference) / error)),
            seed_sd=float(spread[0]),
            n=df + 1,
            paired=False,
        )

    def _place(self, step: int | None) -> int:
        if step not in self.steps:
            raise InputError(f"got step {step}", f"one of {', '.join(map(step_name, self.steps))}")
        return self.steps.index(step)

    def _configurations(self) -> NDArray[np.intp]:
        """Return for each run the number of its combination of hyperparameters."""
        keys = [repr([column[row] for column in self.hyperparameters.values()]) for row in range(len(self.runs))]
        return np.unique(keys, return_inverse=True)[1]


def _value_of(model: float | ModelSpectra, metric: str, name: str) -> tuple[float, str]:
    """Return the metric of a model, and what to call the model."""
    if isinstance(model, ModelSpectra):
        model, name = model.means[check_choice(metric, "metric", model.means)], model.source
    if not np.isfinite(model):
        raise InputError(
            f"{metric} of {name} is {model}", "a finite value", "Its spectra say which layers are too small."
        )
    return float(model), name


def step_name(step: int | None) -> str:
    """Return what a step is called in a sentence; None is the end of training."""
    return "the end" if step is None else f"step {step}"


def _pooled_sd(values: Floats, groups: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return for each column the standard deviation inside groups, pooled, and its degrees of freedom."""
    squares, free = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for k in range(values.shape[1]):
        for group in np.unique(groups):
            known = values[groups == group, k]
            known = known[np.isfinite(known)]
            if len(known) > 1:
                squares[k] += float(np.sum((known - np.mean(known)) ** 2))
                free[k] += len(known) - 1
    return np.sqrt(np.divide(squares, free, out=np.full_like(squares, np.nan), where=free > 0)), free


def _paired_t(changes: Floats) -> tuple[float, tuple[float, float], float]:
    """Return mean change, its 95 % t interval and the p-value of that t test; NaN where all runs change by the same."""
    from scipy.special import stdtr, stdtrit

    n, mean = len(changes), float(np.mean(changes))
    error = float(np.std(changes, ddof=1)) / np.sqrt(n)
    if error <= _ROUNDING * float(np.abs(changes).max()):
        return mean, (float("nan"), float("nan")), float("nan")
    half = float(stdtrit(n - 1, 1 - _LEVEL / 2)) * error
    return mean, (mean - half, mean + half), float(2 * stdtr(n - 1, -abs(mean) / error))
