"""`Evaluations`: models on items, their differences, and what each error bar covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..._results import Part, Result, Table
from ..._words import count
from .bars import Variances
from .consistency import Consistency
from .deciding import DecidingItems
from .paper_table import latex_of
from .posterior import Posterior
from .shares import EvaluationSources
from .words import answer


@dataclass(frozen=True, eq=False, kw_only=True)
class Counts(Part):
    """What a model's mean rests on.

    Attributes
    ----------
    n_items, n_clusters, n_seeds, n_prompts, n_answers : int
        Items, clusters of them (items without clusters), trainings, prompts, answers with a score.
    n_left_out : int
        Items without a score, and attempts without one at other items, that were excluded.
    """

    n_items: int
    n_clusters: int
    n_seeds: int
    n_prompts: int
    n_answers: int
    n_left_out: int


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelScore(Part):
    """The mean of one model.

    Attributes
    ----------
    model : str
        Name.
    mean, lo, hi : float
        Mean over items (each weighs the same; over benchmarks first, where there are several) and its interval.
    se, df : float
        Of what the interval covers.
    n_eff : float
        Independent yes-or-no questions that would give this interval.
    mean_rows : float
        Mean of all answers, which weighs items by their number of samples.
    worst, best : float
        Mean with all that was excluded wrong, and right; NaN where scores are not within 0..1.
    variances : Variances
        By where they come from.
    counts : Counts
        What it rests on.
    """

    model: str
    mean: float
    lo: float
    hi: float
    se: float
    df: float
    n_eff: float
    mean_rows: float
    worst: float
    best: float
    variances: Variances
    counts: Counts


@dataclass(frozen=True, eq=False, kw_only=True)
class Discordant(Part):
    """Of models with one 0/1 answer each: items that only new and that only old solves, and the exact p."""

    n01: int | None = None
    n10: int | None = None
    exact_p: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelDifference(Part):
    """One model against another, paired by item: new minus old.

    Attributes
    ----------
    old, new : str
        Names.
    diff, lo, hi : float
        Mean over common items and its interval.
    p, p_holm : float
        Two-sided p of no difference, and corrected for the number of comparisons.
    lo_all, hi_all : float
        Interval that holds for all comparisons together (Bonferroni).
    se, df : float
        Of what the interval covers.
    p_not_worse, p_equivalent : float
        One-sided p-values against the margin, not corrected; NaN without.
    verdict : str
        better, worse, not worse, equivalent or undecided, of the new one, by p-values corrected for the number of
        comparisons.
    smallest_gap : float
        A true gap that such data show in four cases of five.
    n_items : int
        Common items.
    lacks_old, lacks_new : int
        Items that the old, and that the new one lacks.
    variances : Variances
        By where they come from.
    discordant : Discordant
        The exact test, where it applies.
    posterior : Posterior
        What is believed of the difference, where that was asked for.
    """

    old: str
    new: str
    diff: float
    lo: float
    hi: float
    p: float
    p_holm: float
    lo_all: float
    hi_all: float
    se: float
    df: float
    p_not_worse: float
    p_equivalent: float
    verdict: str
    smallest_gap: float
    n_items: int
    lacks_old: int
    lacks_new: int
    variances: Variances
    discordant: Discordant
    posterior: Posterior


@dataclass(frozen=True, eq=False, kw_only=True)
class Asked(Part):
    """What was asked.

    Attributes
    ----------
    on : str
        What the answer covers: distribution (new trainings, new items), models (these checkpoints, new items), test-set
        (new trainings, these items) or samples (new answers of these checkpoints to these items).
    level : float
        Of intervals; every test is one at 1 - level.
    asked : str
        better, not worse or equivalent.
    margin : float or None
        Of the question.
    baseline : str or None
        What the others are compared with.
    clusters : str or None
        What clusters are called; None without.
    metric : str
        Name of the score.
    method : str
        Of the intervals of means: wilson, t, beta or bootstrap.
    chosen : str or None
        The model that led on the other half of the questions, where one half chooses and the other reports.
    """

    on: str
    level: float
    asked: str
    margin: float | None
    baseline: str | None
    clusters: str | None
    metric: str
    method: str = "wilson"
    chosen: str | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluations(Result):
    """Models on items: how good each is, and whether one is better.

    Attributes
    ----------
    question : Asked
        What was asked, and what the answer covers.
    models : tuple of ModelScore
        In the order of the source.
    differences : tuple of ModelDifference
        Against the baseline, or of every two.
    may_be_best : tuple of str
        Models that are not shown to be below the leader.
    in_unit : bool
        Whether scores lie within 0..1, so that they are shown in percent.
    tasks : tuple of str
        Benchmarks, each of the same weight.
    sources : EvaluationSources
        Where the spread of answers comes from.
    consistency : Consistency
        How often two answers differ.
    deciding_items : DecidingItems or None
        Which items the first difference hangs on.
    """

    picture = ".plots:plot_evaluations"
    says_excluded = True

    question: Asked
    models: tuple[ModelScore, ...]
    differences: tuple[ModelDifference, ...]
    may_be_best: tuple[str, ...]
    in_unit: bool
    tasks: tuple[str, ...]
    sources: EvaluationSources
    consistency: Consistency
    deciding_items: DecidingItems | None

    @property
    def verdict(self) -> str | None:
        """The verdict on the new one of two models; of more, what holds for all; None for one model."""
        verdicts = {one.verdict for one in self.differences}
        return verdicts.pop() if len(verdicts) == 1 else "undecided" if verdicts else None

    @property
    def shown(self) -> bool | None:
        """Whether the verdict asked for holds for every new model: True, False where one is the opposite, else None."""
        holds = {"better": ("better",), "not worse": ("better", "not worse"), "equivalent": ("equivalent",)}
        opposite = ("worse", "better") if self.question.asked == "equivalent" else ("worse",)
        verdicts = [one.verdict for one in self.differences]
        if verdicts and all(verdict in holds[self.question.asked] for verdict in verdicts):
            return True
        return False if any(verdict in opposite for verdict in verdicts) else None

    def table(self) -> Table:
        """Return a row a model, and a row a difference where there are two models or more; in percent within 0..1."""
        scale = 100 if self.in_unit else 1
        rows: list[tuple[Any, ...]] = [
            (one.model, one.mean, one.lo, one.hi, None, one.counts.n_items, one.counts.n_clusters, one.df, "")
            for one in self.models
        ]
        rows += [
            (f"{one.new} - {one.old}", one.diff, one.lo, one.hi, one.p, one.n_items, None, one.df, one.verdict)
            for one in self.differences
        ]
        if len(self.differences) > 1:
            rows = [
                (*row[:4], None if at < len(self.models) else self.differences[at - len(self.models)].p_holm, *row[5:])
                for at, row in enumerate(rows)
            ]
        heads = ("model", "mean", "low", "high", "p", "items", "clusters", "df", "verdict")
        columns: dict[str, list[Any]] = {head: [row[at] for row in rows] for at, head in enumerate(heads)}
        for name in ("mean", "low", "high"):
            columns[name] = [scale * value for value in columns[name]]
        if self.question.clusters is None:
            del columns["clusters"]
        if not self.differences:
            del columns["verdict"], columns["p"]
        shown = ".1f" if self.in_unit else ".4g"
        return Table(columns, formats={"mean": shown, "low": shown, "high": shown, "p": ".3g", "df": ".1f"})

    def sentence(self) -> str:
        """Return the answer, its interval, and what it does not cover."""
        text, problems = answer(self), len(self.excluded)
        return f"{text} {count(problems, 'problem')} with files or rows: see `excluded`." if problems else text

    def to_latex(self, *, caption: str | None = None, label: str | None = None) -> str:
        r"""Return a LaTeX table for the package booktabs: a model a row, bold what may be the best.

        Parameters
        ----------
        caption, label : str, optional
            For the environment ``table``, which is written if either is given.
        """
        return latex_of(self, caption, label)
