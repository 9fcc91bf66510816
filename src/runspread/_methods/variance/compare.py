"""`compare`: is configuration A better than B, on this test set and on the distribution (spec 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._errors import InputError
from ..._reading.correctness import on_common_examples
from ..._reading.outputs import check_same_examples, examples_of
from ..._results import Excluded, Result, Table
from .audit import audited
from .estimate import reservations
from .pairing import PAIRING_LEVEL, PairedForm, pair_runs, paired_form, run_seeds
from .power import runs_for_distribution, runs_for_fixed_t
from .statistics import RunStatistics, counted
from .sums import number, ratio

UNDECIDED = "undecided"


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison(Result):
    """Two configurations on one test set. Differences are A minus B; accuracies are fractions.

    Attributes
    ----------
    names : tuple of str
        How to call A and B.
    n_runs_a, n_runs_b, n_examples : int
        R of each, and n.
    level : float
        Of the intervals and verdicts.
    mean_a, mean_b, delta : float
        Mean accuracies and their difference.
    se_welch, t_welch, df_welch, p_welch : float
        Welch's test over runs: this test set held fixed.
    se_dist, z_dist, p_dist : float
        Test on the distribution: run noise and example noise.
    s2_diff, tau2 : float
        Variance over examples of the difference in success rate, and its unbiased form without run noise (where runs
        are compared in pairs, without the noise that pairs share too).
    p_superiority : float
        Probability that a run of A beats a run of B on this test set, ties counting half.
    mcnemar_b, mcnemar_c : int
        Examples that only the first run of A gets right, and only that of B.
    mcnemar_p, mcnemar_se : float
        Exact two-sided p-value for these two models on the distribution, and the standard error of their difference.
    var_a, var_b : float
        Test-set variance of each.
    runs_fixed, runs_dist : float
        Runs of each configuration that would establish a true gap as large as the one seen, with 80 % power, on this
        test set and on the distribution; infinite where no number of runs can.
    n_pairs : int or None
        Runs of A and B that share their seeds; None where pairs were not asked for.
    seed_correlation, p_seed_correlation : float
        Correlation of the accuracies over those pairs, and the one-sided p-value that it is positive; NaN below three
        pairs.
    paired : bool
        Whether intervals, verdicts and the sentence use the paired tests: where `p_seed_correlation` is at most 0.01.
    se_paired, t_paired, df_paired, p_paired : float
        Paired form of Welch's test; the paired t test where every run has a partner. NaN without pairs.
    se_dist_paired, z_dist_paired, p_dist_paired : float
        Paired form of the test on the distribution.
    """

    names: tuple[str, str]
    n_runs_a: int
    n_runs_b: int
    n_examples: int
    level: float
    mean_a: float
    mean_b: float
    delta: float
    se_welch: float
    t_welch: float
    df_welch: float
    p_welch: float
    se_dist: float
    z_dist: float
    p_dist: float
    s2_diff: float
    tau2: float
    p_superiority: float
    mcnemar_b: int
    mcnemar_c: int
    mcnemar_p: float
    mcnemar_se: float
    var_a: float
    var_b: float
    runs_fixed: float
    runs_dist: float
    n_pairs: int | None = None
    seed_correlation: float = math.nan
    p_seed_correlation: float = math.nan
    paired: bool = False
    se_paired: float = math.nan
    t_paired: float = math.nan
    df_paired: float = math.nan
    p_paired: float = math.nan
    se_dist_paired: float = math.nan
    z_dist_paired: float = math.nan
    p_dist_paired: float = math.nan

    @property
    def _fixed(self) -> tuple[float, float, float]:
        """Standard error, degrees of freedom and p-value on this test set, of the form that is used."""
        if self.paired:
            return self.se_paired, self.df_paired, self.p_paired
        return self.se_welch, self.df_welch, self.p_welch

    @property
    def _dist(self) -> tuple[float, float]:
        """Standard error and p-value on the distribution, of the form that is used."""
        return (self.se_dist_paired, self.p_dist_paired) if self.paired else (self.se_dist, self.p_dist)

    @property
    def ci_fixed(self) -> tuple[float, float]:
        """Interval of the difference on this test set."""
        from scipy.special import stdtrit

        error, degrees, _ = self._fixed
        if math.isnan(degrees):
            return math.nan, math.nan
        half = float(stdtrit(degrees, (1 + self.level) / 2)) * error
        return self.delta - half, self.delta + half

    @property
    def ci_dist(self) -> tuple[float, float]:
        """Interval of the difference on the distribution: by its standard error, and not inside that on this test set.

        The normal law flatters few runs, and what is not known on this test set cannot be known beyond it.
        """
        from scipy.special import ndtri

        half = float(ndtri((1 + self.level) / 2)) * self._dist[0]
        low, high = self.ci_fixed
        half = max(half, (high - low) / 2) if high > low else half
        return self.delta - half, self.delta + half

    @property
    def p_distribution(self) -> float:
        """P-value on the distribution that verdict and table go by: the larger of that and of that on this test set.

        The harder question has the larger p. ``p_dist`` alone errs too often at few runs (in one of six comparisons of
        two runs each, at a level of 5 %), and Welch's test alone leaves out the examples.
        """
        return float(np.maximum(self._dist[1], self._fixed[2]))

    def verdict(self, question: str = "distribution") -> str:
        """Return ``"A"``, ``"B"`` or ``"undecided"``.

        Parameters
        ----------
        question : {"test set", "distribution", "models on test set", "models on distribution"}
            Which of two configurations is better on this test set or on the distribution; or which of the first two
            trained models is. On the distribution both tests have to say so (`p_distribution`).
        """
        p = {
            "test set": self._fixed[2],
            "distribution": self.p_distribution,
            "models on distribution": self.mcnemar_p,
            "models on test set": 0.0,  # counts, no inference
        }
        if question not in p:
            raise InputError(f"question {question!r}", f"one of {', '.join(p)}")
        difference = self.mcnemar_b - self.mcnemar_c if question.startswith("models") else self.delta
        if difference == 0 or not p[question] <= 1 - self.level:
            return UNDECIDED
        return "A" if difference > 0 else "B"

    def table(self) -> Table:
        """Return the two-by-two table of questions with the answer to each."""
        questions = ("models on test set", "models on distribution", "test set", "distribution")
        gap = (self.mcnemar_b - self.mcnemar_c) / self.n_examples
        columns: dict[str, Sequence[Any]] = {
            "question": [
                "first two models, this test set",
                "first two models, distribution",
                "configurations, this test set",
                "configurations, distribution",
            ],
            "difference": [100 * value for value in (gap, gap, self.delta, self.delta)],
            "se": [100 * value for value in (0.0, self.mcnemar_se, self._fixed[0], self._dist[0])],
            "p": [math.nan, self.mcnemar_p, self._fixed[2], self.p_distribution],
            "better": [self._named(self.verdict(question)) for question in questions],
        }
        title = f"{self.names[0]} minus {self.names[1]}, percentage points"
        return Table(columns, formats={"difference": ".3f", "se": ".3f", "p": ".3g"}, title=title)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, the intervals, the p-value on the distribution that counts, and the verdicts."""
        questions = ("test set", "distribution")
        return super().to_dict() | {
            "ci_fixed": list(self.ci_fixed),
            "ci_dist": list(self.ci_dist),
            "p_distribution": self.p_distribution,
            "verdicts": {question: self._named(self.verdict(question)) for question in questions},
        }

    def _named(self, verdict: str) -> str:
        return {"A": self.names[0], "B": self.names[1]}.get(verdict, verdict)

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        fixed, dist = self.verdict("test set"), self.verdict("distribution")
        if fixed == dist:
            lead = "undecided" if fixed == UNDECIDED else "yes"
            lead = f"{lead}, on this test set and on the distribution"
        else:
            answers = ("undecided" if verdict == UNDECIDED else "yes" for verdict in (fixed, dist))
            lead = "on this test set {}, on the distribution {}".format(*answers)
        better = self.names[0] if self.delta >= 0 else self.names[1]
        other = self.names[1] if self.delta >= 0 else self.names[0]
        low, high = (f"{100 * sign:+.2f}" for sign in self.ci_dist)
        interval = f"{self.level:.0%} interval on the distribution {low} to {high}"
        if math.isnan(self.ci_dist[0]):
            interval = "no interval: one run of a configuration shows no spread"
        return (
            f"Is {better} better than {other}? {lead[0].upper()}{lead[1:]}: {self.names[0]} minus {self.names[1]} is "
            f"{100 * self.delta:+.2f} points ({self.n_runs_a} and {self.n_runs_b} runs, {self.n_examples} examples; "
            f"{interval}).{self._pairing()}{self._advice()}"
        )

    def _pairing(self) -> str:
        """Say which form was used, where pairs were asked for."""
        if self.n_pairs is None:
            return ""
        pairs = f"{self.n_pairs} {'pair' if self.n_pairs == 1 else 'pairs'} of runs with the same seeds"
        if math.isnan(self.p_seed_correlation):
            return f" Runs were compared unpaired: {pairs} cannot show a correlation of their accuracies."
        side = "at most" if self.paired else "not at most"
        shown = f"{self.seed_correlation:.2f} (one-sided p {self.p_seed_correlation:.2g}, {side} {PAIRING_LEVEL:g})"
        if self.paired:
            return f" Runs were compared in pairs: over {pairs} their accuracies have correlation {shown}."
        return (
            f" Runs were compared unpaired: over {pairs} no positive correlation of their accuracies is shown, {shown}."
        )

    def _advice(self) -> str:
        """Say what it would take to decide what is not decided."""
        if self.verdict("distribution") != UNDECIDED:
            return " This compares configurations, not two chosen runs."
        if min(self.n_runs_a, self.n_runs_b) < 2:
            return " It takes two runs of each to tell."
        if math.isnan(self.runs_dist):
            return " The means are equal, which does not show that the configurations are."
        if math.isinf(self.runs_dist):
            return f" No number of runs can establish a gap of that size on {self.n_examples} examples."
        needed = max(self.runs_dist, self.runs_fixed)  # the verdict on the distribution asks for both
        more = max(0, int(needed) - min(self.n_runs_a, self.n_runs_b))
        if not more:
            return " The power was there: a true gap of that size would have shown in four of five such comparisons."
        plural = "run" if more == 1 else "runs"
        return f" Were the true gap as large, {more} more {plural} of each would tell in four cases of five."


def compare(
    a: Any = None,
    b: Any = None,
    labels: ArrayLike | None = None,
    *,
    correct: tuple[ArrayLike, ArrayLike] | None = None,
    split: str = "test",
    nan: str = "raise",
    missing: str = "raise",
    level: float = 0.95,
    names: tuple[str, str] = ("A", "B"),
    paired: bool = False,
    seeds: tuple[ArrayLike, ArrayLike] | None = None,
) -> Comparison:
    """Return whether one configuration is better than another, and on what.

    Runs are compared unpaired, also where both configurations used the same seeds: long trainings decorrelate even
    under identical seeds. With `paired` or `seeds`, runs of the same seeds are compared in pairs if their accuracies
    are shown to be positively correlated (a one-sided t test at 1 %, which keeps the size of both steps together at
    that of one), and unpaired otherwise; the sentence says which. The replication unit is the run; examples are a
    sample of the distribution.

    Parameters
    ----------
    a, b : array_like, RunOutputs, study or RunStatistics
        Runs of each configuration on the same examples, as for `variance`.
    labels : array_like of int [examples], optional
        True classes; taken from the sources where they have them.
    correct : tuple of two array_like of 0/1 [runs, examples], optional
        Given instead of `a`, `b` and `labels`.
    split, nan, missing
        As for `variance`; ``missing="intersect"`` keeps the examples that all runs of both have.
    level : float
        Of intervals and verdicts.
    names : tuple of str
        How to call the two.
    paired : bool
        Whether to pair the runs of two studies whose recorded seeds are the same in every role.
    seeds : tuple of two array_like [runs] or [runs, roles], optional
        Seeds of the runs of A and of B, to pair them by; for arrays, files and statistics (with ``keep_bits=True``).

    Raises
    ------
    InputError
        The two were not evaluated on the same examples; or pairs are asked for and there are no seeds, or several runs
        have the same.
    """
    asked = paired or seeds is not None
    if seeds is not None and len(seeds) != 2:
        raise InputError(f"seeds of {len(seeds)} configurations", "seeds=(a, b), with one seed a run")
    if not 0 < level < 1:
        raise InputError(f"level={level}", "a number between 0 and 1, such as 0.95")
    if correct is not None and len(correct) == 2 and missing == "intersect":
        correct = on_common_examples(*correct)
    sources = [{"correct": x} for x in correct] if correct is not None else [{"source": x} for x in (a, b)]
    if len(sources) != 2 or (correct is not None and not (a is None and b is None)):
        raise InputError("neither two sources nor two arrays of correctness", "a and b, or correct=(xa, xb)")
    reading = {"split": split, "nan": nan, "missing": missing}
    keep: dict[str, Any] = {"votes": False, "keep_bits": asked}
    counted_before = [isinstance(x.get("source"), RunStatistics) for x in sources]
    both = []
    for x, done in zip(sources, counted_before, strict=True):
        how = {"labels": labels, **reading}
        if done and not all(counted_before):  # what is asked for is meant for the other
            how = {"labels": None}
        both.append(counted(x.get("source"), settings=keep, correct=x.get("correct"), **how))
    (first, outcomes_a), (second, outcomes_b) = both
    _check_as_many_examples(first, second)
    a_name, b_name = names if names[0] != names[1] else ("A", "B")
    check_same_examples(
        {a_name: first.labels, b_name: second.labels}, {a_name: examples_of(a, split), b_name: examples_of(b, split)}
    )
    pairs = None
    if asked:
        of_a, of_b = (None, None) if seeds is None else seeds
        keys = run_seeds(a, first, outcomes_a, of_a, names[0]), run_seeds(b, second, outcomes_b, of_b, names[1])
        pairs = pair_runs(*keys, names)
    excluded = tuple(
        Excluded(f"{name}: {item.run}", item.reason)
        for name, found in ((a_name, outcomes_a), (b_name, outcomes_b))
        for item in (() if found is None else found.excluded)
    )
    notes = [
        f"{name}: {note}"
        for name, source, (found, _) in zip(names, (a, b), both, strict=True)
        for note in audited([source], reservations(found))
    ]
    numbers = _numbers(first, second)
    form = None if pairs is None else paired_form(first, second, pairs, names, numbers["s2_diff"])
    numbers |= _settled(numbers, form, 1 - level)
    return Comparison(names=names, level=level, excluded=excluded, warnings=tuple(notes), **numbers)


def _check_as_many_examples(a: RunStatistics, b: RunStatistics) -> None:
    if a.n_examples != b.n_examples:
        raise InputError(f"A on {a.n_examples} examples and B on {b.n_examples}", "the same examples")


def _numbers(a: RunStatistics, b: RunStatistics) -> dict[str, Any]:
    sums_a, sums_b = a.sums, b.sums
    delta = float(sums_a.mean_acc - sums_b.mean_acc)
    var_a, var_b = number(sums_a.var_test), number(sums_b.var_test)
    return {
        "n_runs_a": sums_a.n_runs,
        "n_runs_b": sums_b.n_runs,
        "n_examples": a.n_examples,
        "mean_a": float(sums_a.mean_acc),
        "mean_b": float(sums_b.mean_acc),
        "delta": delta,
        "var_a": var_a,
        "var_b": var_b,
        **_welch(delta, var_a / sums_a.n_runs, var_b / sums_b.n_runs, sums_a.n_runs, sums_b.n_runs),
        **_distribution(a, b, delta),
        **_mcnemar(a.first_run, b.first_run),
        "p_superiority": _superiority(a.correct, b.correct),
    }


def _welch(delta: float, mean_a: float, mean_b: float, runs_a: int, runs_b: int) -> dict[str, float]:
    """Return Welch's test from the variances of the two means."""
    from scipy.special import stdtr

    squared = mean_a + mean_b
    error = math.sqrt(squared)
    if math.isnan(error):
        return dict.fromkeys(("se_welch", "t_welch", "df_welch", "p_welch"), math.nan)
    degrees = ratio(squared**2, mean_a**2 / (runs_a - 1) + mean_b**2 / (runs_b - 1))
    t = delta / error if error else math.copysign(math.inf, delta) if delta else math.nan
    p = 2 * float(stdtr(degrees, -abs(t))) if error else 0.0 if delta else math.nan
    return {"se_welch": error, "t_welch": t, "df_welch": degrees, "p_welch": p}


def _distribution(a: RunStatistics, b: RunStatistics, delta: float) -> dict[str, float]:
    """Return the test on the distribution: run effects of both, and the spread of the difference over examples."""
    from scipy.special import ndtr

    sums_a, sums_b, n = a.sums, b.sums, a.n_examples
    difference = a.right / sums_a.n_runs - b.right / sums_b.n_runs
    spread = float(difference.var(ddof=1)) if n > 1 else math.nan
    between = number(sums_a.var_dist) / sums_a.n_runs + number(sums_b.var_dist) / sums_b.n_runs
    error = math.nan if math.isnan(between) else math.sqrt(max(spread / n + between, spread / n))
    z = ratio(delta, error)
    inter = number(sums_a.var_inter) / sums_a.n_runs + number(sums_b.var_inter) / sums_b.n_runs
    p = 2 * float(ndtr(-abs(z)))
    return {"s2_diff": spread, "tau2": spread - inter, "se_dist": error, "z_dist": z, "p_dist": p}


def _mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the exact test that two trained models err equally often (one run of each configuration)."""
    from scipy.special import bdtr

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    total = only_first + only_second
    p = min(1.0, 2 * float(bdtr(min(only_first, only_second), total, 0.5))) if total else 1.0
    difference = first.astype(np.float64) - second
    return {
        "mcnemar_b": only_first,
        "mcnemar_c": only_second,
        "mcnemar_p": p,
        "mcnemar_se": float(difference.std(ddof=1)) / math.sqrt(len(first)) if len(first) > 1 else math.nan,
    }


def _superiority(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Return the share of run pairs in which A has more correct predictions, ties counting half."""
    ordered = np.sort(b)
    below, not_above = np.searchsorted(ordered, a, "left"), np.searchsorted(ordered, a, "right")
    return float((below + not_above).sum() / (2 * len(a) * len(b)))


def _settled(found: dict[str, Any], form: PairedForm | None, alpha: float) -> dict[str, Any]:
    """Return what depends on whether runs are compared in pairs: the fields on pairs, tau2 and the runs needed."""
    if form is None or not form.fields.get("paired"):
        return ({} if form is None else form.fields) | _needed(found, alpha)
    tau2 = {"tau2": found["tau2"] + form.shared_noise}
    return form.fields | tau2 | _needed(found | tau2 | {"var_a": form.variance, "var_b": 0.0}, alpha, paired=True)


def _needed(found: dict[str, Any], alpha: float, *, paired: bool = False) -> dict[str, float]:
    """Return the runs of each that would establish the gap seen, on this test set and on the distribution.

    For pairs, ``var_a`` is the variance of their difference and ``var_b`` zero.
    """
    gap, var_a, var_b = abs(found["delta"]), found["var_a"], found["var_b"]
    if not gap or math.isnan(var_a + var_b):
        return {"runs_fixed": math.nan, "runs_dist": math.nan}
    tau2 = max(0.0, found["tau2"])
    return {
        "runs_fixed": float(runs_for_fixed_t(gap, var_a, var_b, alpha, 0.8, paired=paired)),
        "runs_dist": runs_for_distribution(gap, var_a, var_b, tau2, found["n_examples"], alpha, 0.8),
    }


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted for several comparisons (Holm 1979).

    Parameters
    ----------
    p_values : array_like of float [comparisons]
        Unadjusted.

    Returns
    -------
    ndarray of float64 [comparisons]
        Reject where at most the level: the chance of any false rejection is then at most the level.
    """
    p = np.asarray(p_values, np.float64)
    if p.ndim != 1 or p.size == 0 or not bool(((p >= 0) & (p <= 1)).all()):
        raise InputError(f"p-values {p}", "one axis of numbers from 0 to 1, not empty")
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, steps)
    return adjusted
