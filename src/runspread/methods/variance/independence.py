"""`independence_test`: do runs err independently on each example, by resampling (spec 2.7 and 3.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_integers, check_seed
from ..._reading.copies import repeated_rows
from ..._reading.correctness import as_outcomes
from ..._reading.opening import opens
from ..._reading.options import DEFAULTS_OF_OUTCOMES, OutcomeOptions, divided
from ..._results import Result, Table
from ...errors import InputError
from ..audit.auditing import warns_of_seeds
from .null import chi2_p_value, ks_statistic, poisson_binomial_pmf
from .sums import ratio

_FROM_PMF = 5000
_LEVEL = 0.05


@dataclass(frozen=True, eq=False, kw_only=True)
class IndependenceTest(Result):
    """Tests of independent errors: no distribution-wise variance, and Poisson-binomial accuracies.

    Attributes
    ----------
    n_runs, n_examples, resamples : int
        R, n, and resamples of each kind.
    f_ratio, p_chi2 : float
        Test-set variance over that of independent errors, and its chi-square p-value (one-sided).
    p_permutation : float
        The same by permuting every example's outcomes over runs: valid at any number of runs.
    ks_stat, p_ks : float
        Largest distance of the distribution functions, and its parametric-bootstrap p-value. Tables of the statistic
        do not apply: the distribution is discrete and fitted to the same runs.
    """

    no_picture = "rs.variance(...).plot() draws the accuracies against the distribution that the test is about"

    n_runs: int
    n_examples: int
    resamples: int
    f_ratio: float
    p_chi2: float
    p_permutation: float
    ks_stat: float
    p_ks: float

    @property
    def p_value(self) -> float:
        """P-value of independent errors that the sentence goes by: twice the smaller of the two resampled ones.

        Two looks are taken, so each has half of the level (Bonferroni).
        """
        return min(1.0, 2 * min(self.p_permutation, self.p_ks))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, and the p-value of both tests together."""
        return super().to_dict() | {"p_value": self.p_value}

    def table(self) -> Table:
        """Return a row a test."""
        columns = {
            "test": ["variance ratio, chi-square", "variance ratio, permutation", "Kolmogorov-Smirnov, bootstrap"],
            "statistic": [self.f_ratio, self.f_ratio, self.ks_stat],
            "p": [self.p_chi2, self.p_permutation, self.p_ks],
        }
        return Table(columns, formats={"p": ".3g"})

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        if math.isnan(self.f_ratio):
            return (
                f"{self.n_runs} runs on {self.n_examples} examples cannot tell whether errors are independent: on each "
                f"example all of them are right, or all wrong."
            )
        against = self.p_value <= _LEVEL
        speak = "cannot speak" if 2 / (self.resamples + 1) > _LEVEL else "speak" if against else "do not speak"
        with_ = f" with {self.resamples} resamples" if speak == "cannot speak" else ""
        return (
            f"{self.n_runs} runs on {self.n_examples} examples {speak}{with_} against "
            f"independent errors (p {self.p_value:.2g} for both tests together): accuracies vary {self.f_ratio:.2f} "
            f"times as much as independent errors would (permutation p {self.p_permutation:.2g}), and their "
            f"distribution is {self.ks_stat:.3f} from the Poisson-binomial distribution (p {self.p_ks:.2g})."
            f"{'' if against else ' A large p does not show independence.'}"
        )


@opens("source")
@warns_of_seeds(pooled=True)
def independence_test(
    source: Any = None,
    labels: Any = None,
    *,
    correct: ArrayLike | None = None,
    resamples: int = 199,
    seed: int | np.random.Generator = 0,
    **reading: Unpack[OutcomeOptions],
) -> IndependenceTest:
    """Return resampling tests of independent errors; the cost is `resamples` times runs times examples.

    Parameters
    ----------
    source, labels, correct
        As for `variance`.
    resamples : int
        Permutations, and bootstrap samples.
    seed : int or Generator
        Seed of the resampling.
    **reading : OutcomeOptions
        How outputs are read: ``split``, ``kind``, ``nan``, ``missing``.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> bool(rs.methods.variance.independence_test(logits, labels, resamples=19).p_value <= 1)
    True
    """
    resamples = int(check_integers(resamples, "resamples", 1, None))
    rng = np.random.default_rng(check_seed(seed))
    how, _ = divided(independence_test, reading, DEFAULTS_OF_OUTCOMES, {})
    outcomes = as_outcomes(source, labels, correct=correct, **how)
    matrix = np.concatenate([chunk.correct.copy() for chunk in outcomes.chunks()])
    runs, examples = matrix.shape
    if runs < 2:
        raise InputError("got one run", "two runs or more")
    counts, right = matrix.sum(axis=1, dtype=np.int64), matrix.sum(axis=0, dtype=np.int64)
    p = right / runs
    f_ratio = ratio(float(counts.var(ddof=1)), float((p * (1 - p)).sum() * runs / (runs - 1)))
    pmf = poisson_binomial_pmf(p)
    distance = ks_statistic(counts, pmf)
    spread, distances = counts.var(), np.empty(resamples)
    wider = 0
    for index in range(resamples):
        wider += bool(rng.permuted(matrix, axis=0).sum(axis=1).var() >= spread * (1 - 1e-12))
        distances[index] = _null_distance(rng, runs, p, pmf)
    return IndependenceTest(
        n_runs=runs,
        n_examples=examples,
        resamples=resamples,
        f_ratio=f_ratio,
        p_chi2=chi2_p_value(f_ratio, runs),
        p_permutation=(1 + wider) / (resamples + 1),
        ks_stat=distance,
        p_ks=(1 + int((distances >= distance - 1e-12).sum())) / (resamples + 1),
        excluded=outcomes.excluded,
        warnings=repeated_rows(np.packbits(matrix, axis=1), examples),
    )


def _null_distance(rng: np.random.Generator, runs: int, p: NDArray[np.float64], pmf: NDArray[np.float64]) -> float:
    """Return the statistic of runs that err independently, with the distribution fitted anew."""
    if runs >= _FROM_PMF:  # the fit hardly moves with so many runs
        return ks_statistic(rng.choice(len(pmf), runs, p=pmf / pmf.sum()), pmf)
    drawn = rng.random((runs, len(p))) < p
    return ks_statistic(drawn.sum(axis=1), poisson_binomial_pmf(drawn.mean(axis=0)))
