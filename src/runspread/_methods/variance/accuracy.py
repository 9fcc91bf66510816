"""`run_accuracies`: each run's accuracy, and what it says about that run on the distribution (spec 5.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._results import Result, Table
from .estimate import variance
from .result import VarianceResult, points, refuse_beside_result, root


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
    mean_acc, sd_test, kr20 : float
        As in `VarianceResult`.
    n_examples : int
        Size of the test set.
    """

    run_ids: tuple[str, ...]
    accuracy: NDArray[np.float64]
    estimate: NDArray[np.float64]
    residual_sd: float
    mean_acc: float
    sd_test: float
    kr20: float
    n_examples: int

    def table(self) -> Table:
        """Return a row a run."""
        columns = {"run": self.run_ids, "accuracy": self.accuracy, "estimate on distribution": self.estimate}
        return Table(columns, formats={"accuracy": ".2%", "estimate on distribution": ".2%"})

    def sentence(self) -> str:
        """Return the answer in one sentence."""
        best = int(self.accuracy.argmax())
        return (
            f"The best of {len(self.accuracy)} runs, {self.run_ids[best]}, has {self.accuracy[best]:.2%} on "
            f"{self.n_examples} examples; on the distribution expect {self.estimate[best]:.2%} of it, within "
            f"{points(self.residual_sd)} points (one standard deviation), beside the error of the mean."
        )


def run_accuracies(
    source: Any = None,
    labels: ArrayLike | None = None,
    *,
    correct: ArrayLike | None = None,
    split: str = "test",
    nan: str = "raise",
    missing: str = "raise",
) -> RunAccuracies:
    """Return the accuracy of each run, and what it predicts on the distribution.

    Parameters
    ----------
    source : VarianceResult, or as for `variance`
        The runs.
    labels, correct, split, nan, missing
        As for `variance`.
    """
    if isinstance(source, VarianceResult):
        refuse_beside_result(labels=labels, correct=correct)
        found = source
    else:
        found = variance(source, labels, correct=correct, split=split, nan=nan, missing=missing, pairs="none")
    share = 0.0 if math.isnan(found.kr20) else min(1.0, max(0.0, found.kr20))
    return RunAccuracies(
        run_ids=found.run_ids or tuple(f"run {index}" for index in range(found.n_runs)),
        accuracy=found.accuracy,
        estimate=found.mean_acc + share * (found.accuracy - found.mean_acc),
        residual_sd=root(found.var_dist * (1 - share)),
        mean_acc=found.mean_acc,
        sd_test=found.sd_test,
        kr20=found.kr20,
        n_examples=found.n_examples,
        excluded=found.excluded,
        warnings=found.warnings,
    )
