"""What `compare` returns: whether the new configuration is better, worse, not worse or equivalent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..._checks import check_choice
from ..._results import Part, Result, Table
from ..._words import percent
from .answers import EQUIVALENT, Answer, Asked
from .run_distribution import unseen_share
from .sums import ratio

QUESTIONS = ("distribution", "test-set", "models")


@dataclass(frozen=True, eq=False, kw_only=True)
class FixedTests(Part):
    """Published numbers on this test set, held fixed, with whatever spread was seen.

    Attributes
    ----------
    var_a, var_b : float
        Test-set variance between runs of each; NaN for one run.
    se, df, p : float
        Welch's test over runs.
    p_superior : float
        Probability that a new run beats an old one on this test set, ties counting half.
    """

    keys: ClassVar = {"se": "se_welch", "df": "df_welch", "p": "p_welch"}

    var_a: float
    var_b: float
    se: float
    df: float
    p: float
    p_superior: float


@dataclass(frozen=True, eq=False, kw_only=True)
class DistributionTest(Part):
    """Published numbers on the distribution.

    Attributes
    ----------
    se, p : float
        Test by the normal distribution; it flatters few runs.
    s2_diff, tau2 : float
        Variance over examples of the difference in success rate, and its unbiased form without run noise (where runs
        are compared in pairs, without the noise that pairs share too; with clusters, times what they add).
    """

    keys: ClassVar = {"se": "se_dist", "p": "p_dist"}

    se: float
    p: float
    s2_diff: float
    tau2: float


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelsTest(Part):
    """The first two trained models on the distribution (McNemar).

    Attributes
    ----------
    only_a, only_b : int or None
        Examples that only the first old run gets right, and only the first new one; None for samples.
    p, se : float
        Exact two-sided p-value, and the standard error of the difference.
    """

    keys: ClassVar = {"only_a": "mcnemar_b", "only_b": "mcnemar_c", "p": "mcnemar_p", "se": "mcnemar_se"}

    only_a: int | None
    only_b: int | None
    p: float
    se: float


@dataclass(frozen=True, eq=False, kw_only=True)
class PairedTests(Part):
    """Runs of both configurations that share their seeds, and the published tests in pairs.

    Attributes
    ----------
    n_pairs : int or None
        Pairs of runs; None where pairs were not asked for.
    seed_correlation, p_seed_correlation : float
        Correlation of the accuracies over those pairs, and the one-sided p-value that it is positive; NaN below three
        pairs. Runs are compared in pairs where it is at most 0.01.
    se, df, p, se_dist, p_dist : float
        Paired forms of Welch's test and of that on the distribution. NaN below three pairs.
    """

    keys: ClassVar = {
        "se": "se_paired",
        "df": "df_paired",
        "p": "p_paired",
        "se_dist": "se_dist_paired",
        "p_dist": "p_dist_paired",
    }

    n_pairs: int | None = None
    seed_correlation: float = math.nan
    p_seed_correlation: float = math.nan
    se: float = math.nan
    df: float = math.nan
    p: float = math.nan
    se_dist: float = math.nan
    p_dist: float = math.nan


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison(Result):
    """An old and a new configuration on one test set. Differences are new minus old; accuracies are fractions.

    Attributes
    ----------
    names : tuple of str
        How to call the old (A) and the new one (B).
    n_runs_a, n_runs_b, n_examples : int
        R of each, and n.
    n_clusters : int or None
        Clusters of examples; None without clusters.
    confidence_level : float
        Confidence level of tests and intervals.
    on : {"distribution", "test-set", "models"}
        What the answer asked for covers: new examples and new runs; new runs on these very examples; new examples for
        the trained models at hand.
    asked : {"better", "not worse", "equivalent"}
        The verdict asked for.
    margin : float
        Of "not worse" and "equivalent", as a fraction; NaN for "better".
    mean_a, mean_b, diff : float
        Mean accuracies, and new minus old.
    answers : mapping of str to Answer
        By what is covered: the tests that have to agree, for any level and margin; none where nothing can be said.
    form : {"welch", "guarded", "paired", "alike", "none"}
        How the noise of runs is measured: by Welch's test; with the degrees of freedom of the fewer runs where these
        are four at most; in pairs; not at all, as one or both have a single run (copies count once). With a single run
        of one, ``answers["if alike"]`` is what would hold if it spread as the other.
    runs_needed : int or None
        Runs of each configuration that show the margin asked for with 80 % power where both are equally good, taking
        the spread seen as exact. None without a margin, and where no number of runs suffices.
    fixed : FixedTests
        Published numbers on this test set: ``var_a``, ``var_b``, Welch's ``se``, ``df`` and ``p``, ``p_superior``.
    distribution : DistributionTest
        Published numbers on the distribution: ``se``, ``p``, ``s2_diff``, ``tau2``.
    models : ModelsTest
        The first two trained models on the distribution (McNemar): ``only_a``, ``only_b``, ``p``, ``se``.
    paired : PairedTests
        Runs of both that share their seeds: ``n_pairs``, ``seed_correlation``, and the paired forms of the tests.
    samples_are : {"runs", "samples"}
        What the first axis is. Of samples of two models only the answer for these models is known; what depends on runs
        is NaN.
    """

    picture = ".plots:plot_comparison"
    keys: ClassVar = {"confidence_level": "level"}

    names: tuple[str, str]
    n_runs_a: int
    n_runs_b: int
    n_examples: int
    n_clusters: int | None = None
    confidence_level: float
    on: str
    asked: str
    margin: float
    mean_a: float
    mean_b: float
    diff: float
    answers: Mapping[str, Answer]
    form: str
    runs_needed: int | None
    fixed: FixedTests
    distribution: DistributionTest
    models: ModelsTest
    paired: PairedTests
    samples_are: str = "runs"

    @property
    def asked_for(self) -> Asked:
        """The verdict asked for, with its margin and level."""
        return Asked(self.asked, self.margin, 1 - self.confidence_level)

    @property
    def answered(self) -> str:
        """What the sentence covers: what was asked for, or where nothing can be said of that what can be answered."""
        return next((on for on in (self.on, "test-set") if self.answers[on].forms), "models")

    @property
    def unseen_share(self) -> float:
        """Largest share of trainings of the smaller configuration that may do worse than all its runs, at `level`."""
        return unseen_share(min(self.n_runs_a, self.n_runs_b), self.confidence_level)

    @property
    def ci_fixed(self) -> tuple[float, float]:
        """Interval of the difference on this test set."""
        return self.answers["test-set"].interval(self.confidence_level)

    @property
    def ci_dist(self) -> tuple[float, float]:
        """Interval of the difference on the distribution; never inside that on this test set."""
        return self.answers["distribution"].interval(self.confidence_level)

    @property
    def ci_models(self) -> tuple[float, float]:
        """Interval of the difference between the trained models at hand on the distribution."""
        return self.answers["models"].interval(self.confidence_level)

    @property
    def p_distribution(self) -> float:
        """Two-sided p-value on the distribution; never below that on this test set."""
        return self.answers["distribution"].p

    @property
    def shown(self) -> bool | None:
        """Whether the verdict asked for is shown; False where its opposite is, None where neither is."""
        return self.asked_for.shown(self.answers[self.on])

    def verdict(self, on: str | None = None) -> str:
        """Return "better", "worse", "not worse", "equivalent" or "undecided", of the new configuration.

        Parameters
        ----------
        on : {"distribution", "test-set", "models"}, optional
            What the answer covers; what was asked for by default.
        """
        on = self.on if on is None else check_choice(on.replace(" ", "-"), "question", QUESTIONS)
        return self.asked_for.verdict(self.answers[on])

    def table(self) -> Table:
        """Return one row per question, in percentage points; the configurations come first."""
        asked = self.asked_for
        answers = [self.answers[on] for on in QUESTIONS]
        low, high = zip(*(answer.interval(asked.level) for answer in answers), strict=True)
        columns = {
            "question": ["configurations, distribution", "configurations, this test set", "these models, distribution"],
            "difference": [100 * self.diff] * len(QUESTIONS),
            "low": [100 * value for value in low],
            "high": [100 * value for value in high],
            "p": [asked.p(answer) for answer in answers],
            "verdict": [asked.verdict(answer) for answer in answers],
        }
        formats = dict.fromkeys(("difference", "low", "high"), f"+.{self.decimals}f") | {"p": ".3g"}
        old, new = self.names
        title = f"{new} minus {old}, percentage points, {percent(asked.level)} CI{self._at_margin()}"
        return Table(columns, formats=formats, title=title)

    def _at_margin(self) -> str:
        return "" if math.isnan(self.margin) else f"; {self.asked} by a margin of {100 * self.margin:g}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, the interval and p-value of what was asked for, and the verdicts.

        The keys ``delta``, ``t_welch``, ``z_dist``, ``t_paired``, ``z_dist_paired`` and ``p_superiority`` are of old
        minus new, as they were published; ``diff`` and every interval are of new minus old.
        """
        asked, answer, delta = self.asked_for, self.answers[self.on], 0.0 - self.diff
        low, high = answer.interval(self.confidence_level)
        low_margin, high_margin = answer.interval(1 - 2 * asked.alpha)
        margin = None if math.isnan(self.margin) else self.margin
        facts, alike = super().to_dict(), self.answers.get("if alike")
        del facts["answers"]
        return facts | {
            "margin": margin,
            "paired": self.form == "paired",
            "lo": low,
            "hi": high,
            "p": answer.p,
            "df": answer.degrees,
            "lo_tost": low_margin,
            "hi_tost": high_margin,
            "p_not_worse": math.nan if margin is None else answer.p_above(-margin),
            "p_equivalent": math.nan if margin is None else Asked(EQUIVALENT, margin, asked.alpha).p(answer),
            "verdict": self.verdict(),
            "shown": self.shown,
            "verdicts": {on: self.verdict(on) for on in QUESTIONS},
            "ci_fixed": list(self.ci_fixed),
            "ci_dist": list(self.ci_dist),
            "ci_models": list(self.ci_models),
            "ci_if_alike": list(alike.interval(self.confidence_level)) if alike else None,
            "p_distribution": self.p_distribution,
            "delta": delta,
            "t_welch": ratio(delta, self.fixed.se),
            "z_dist": ratio(delta, self.distribution.se),
            "t_paired": ratio(delta, self.paired.se),
            "z_dist_paired": ratio(delta, self.paired.se_dist),
            "p_superiority": 1 - self.fixed.p_superior,
        }

    def sentence(self) -> str:
        """Return the answer in one sentence, about the new configuration."""
        from .comparison_words import sentence

        return sentence(self)

    @property
    def decimals(self) -> int:
        """Decimals of percentage points: two, and more where the interval is narrower than that."""
        low, high = self.answers[self.answered].interval(self.asked_for.level)
        half = 50 * (high - low)
        return 2 if not half > 0 else max(2, 1 - math.floor(math.log10(half)))
