"""`run_accuracies`: each run's accuracy, and what it says about that run on the distribution (spec 5.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._reading.opening import opens
from ..._reading.options import DEFAULTS_OF_OUTCOMES, divided
from ..._results import Result, Table
from ..._words import count
from .defaults import AccuracyOptions
from .estimate import variance
from .result import VarianceResult
from .wording import points, refuse_beside_result, root


@dataclass(frozen=True, eq=False, kw_only=True)
class RunAccuracies(Result):
    """Accuracy of each run on this test set, and the best linear estimate of its accuracy on the distribution.

    Attributes
    ----------
    run_ids : tuple of str
        Ids of the runs.
    accuracy : ndarray of float [runs]
        On this test set.
    estimate : ndarray of float [runs]
        ``mean + kr20 (accuracy - mean)``, with kr20 cut to [0, 1].
    residual_sd : float
        Standard deviation of the true accuracy around the estimate, beside the error of the mean.
    mean_acc, sd_test, kr20, ci_mean_lo, ci_mean_hi : float
        As in `VarianceResult`.
    sd_high : float
        Upper end of the interval of the distribution-wise standard deviation: how far runs may lie apart.
    n_examples : int
        Size of the test set.
    """

    picture = ".plots:plot_run_accuracies"

    run_ids: tuple[str, ...]
    accuracy: NDArray[np.float64]
    estimate: NDArray[np.float64]
    residual_sd: float
    mean_acc: float
    sd_test: float
    kr20: float
    n_examples: int
    ci_mean_lo: float
    ci_mean_hi: float
    sd_high: float

    def table(self) -> Table:
        """Return one row per run."""
        columns = {"run": self.run_ids, "accuracy": self.accuracy, "estimate on distribution": self.estimate}
        return Table(columns, formats={"accuracy": ".2%", "estimate on distribution": ".2%"})

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        best = int(self.accuracy.argmax())
        tied = int((self.accuracy == self.accuracy[best]).sum()) - 1
        shared = f" (and {count(tied, 'more run')} as high)" if tied else ""
        runs = f"The best of {len(self.accuracy)} runs, {self.run_ids[best]}{shared}, has"
        if len(self.accuracy) == 1:
            runs = f"The one run, {self.run_ids[0]}, has"
        mean = f"the mean has an interval of {self.ci_mean_lo:.2%} to {self.ci_mean_hi:.2%} there"
        return (
            f"{runs} {self.accuracy[best]:.2%} on {count(self.n_examples, 'example')}; on the distribution expect "
            f"{self.estimate[best]:.2%} of it{self._apart()}; {mean}."
        )

    def _apart(self) -> str:
        """Say how far a run may be from its estimate, as far as that is known."""
        if math.isnan(self.residual_sd):
            return ", while one run cannot tell how far runs differ"
        if not self.sd_high:
            return ", while runs that are all alike cannot tell how far others differ"
        if not self.residual_sd:
            return (
                f", with no spread between runs shown, and up to {points(self.sd_high)} percentage points not excluded"
            )
        return f", within {points(self.residual_sd)} percentage points of the estimate (one standard deviation)"


@opens("source")
def run_accuracies(
    source: Any = None,
    labels: Any = None,
    *,
    correct: ArrayLike | None = None,
    **options: Unpack[AccuracyOptions],
) -> RunAccuracies:
    """Return the accuracy of each run, and what it predicts on the distribution.

    Parameters
    ----------
    source : VarianceResult, or as for `variance`
        The runs.
    labels, correct
        As for `variance`.
    **options
        ``clusters``, and how outputs are read (``split``, ``kind``, ``nan``, ``missing``), as for `variance`.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> rs.methods.variance.run_accuracies(logits, labels).accuracy.shape
    (8,)
    """
    how, clusters = divided(run_accuracies, options, DEFAULTS_OF_OUTCOMES, {"clusters": None})
    if isinstance(source, VarianceResult):
        refuse_beside_result(labels=labels, correct=correct, **clusters)
        found = source
    else:
        found = variance(source, labels, correct=correct, pairs="none", **clusters, **how)
    share = 0.0 if math.isnan(found.components.kr20) else min(1.0, max(0.0, found.components.kr20))
    return RunAccuracies(
        run_ids=found.outcomes.run_ids or tuple(f"run {index}" for index in range(found.n_runs)),
        accuracy=found.accuracy,
        estimate=found.mean_acc + share * (found.accuracy - found.mean_acc),
        residual_sd=root(found.var_dist * (1 - share)),
        mean_acc=found.mean_acc,
        sd_test=found.sd_test,
        kr20=found.components.kr20,
        n_examples=found.n_examples,
        ci_mean_lo=found.intervals.mean_low,
        ci_mean_hi=found.intervals.mean_high,
        sd_high=found.sd_interval[1],
        excluded=found.excluded,
        warnings=found.warnings,
    )
