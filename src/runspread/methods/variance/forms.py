"""What a second pass over the outcomes adds: the run jackknife, and weighted and stratified forms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..._checks import check_numbers
from ...errors import InputError
from .._statistics import sample_variance
from .clusters import Grouping
from .counting import row_sums, unpacked_rows
from .statistics import RunStatistics
from .sums import RunSums, number


def checked_weights(weights: ArrayLike, n_examples: int) -> NDArray[np.float64]:
    """Return weights [examples] normalised to sum 1."""
    array = check_numbers(weights, "weights")
    if array.shape != (n_examples,):
        raise InputError(f"got weights of shape {array.shape}", f"one weight per example, ({n_examples},)")
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any() or not array.sum() > 0:
        raise InputError(
            f"{int(bad.sum())} weights that are negative or not finite, sum {array.sum()}",
            "finite weights, none negative, with a positive sum",
        )
    return array / array.sum()


@dataclass(frozen=True, eq=False)
class Forms:
    """Which forms are asked for beside the plain one: weights, strata with the prior of each."""

    weights: NDArray[np.float64] | None = None
    strata: Grouping | None = None
    priors: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        n_examples: int,
        *,
        weights: ArrayLike | None,
        strata: ArrayLike | None,
        priors: ArrayLike | None,
    ) -> Forms:
        """Return the forms after checks."""
        groups = None if strata is None else Grouping.of(strata, n_examples, "strata")
        if priors is not None and groups is None:
            raise InputError("got priors without strata", "strata= with one stratum per example")
        shares = None
        if groups is not None:
            shares = checked_weights(groups.sizes if priors is None else priors, len(groups.sizes))
        return cls(
            None if weights is None else checked_weights(weights, n_examples),
            groups,
            shares,
        )

    @property
    def asked(self) -> bool:
        """Whether any form is asked for."""
        return not (self.weights is None and self.strata is None)


class SecondPass:
    """Goes through the outcomes again, now that the number of runs that are right on each example is known."""

    def __init__(self, packed: NDArray[np.uint8], statistics: RunStatistics, forms: Forms) -> None:
        self.statistics, self.forms = statistics, forms
        columns = statistics.right[:, None].astype(np.float64)  # exact: sums stay far below 2**53
        weighted: list[NDArray[np.int64]] = []
        self._values: dict[str, list[NDArray[Any]]] = {"weights": [], "strata": [], "stratified": []}
        for correct in unpacked_rows(packed, statistics.n_examples):
            weighted.append(row_sums(correct, columns)[:, 0].astype(np.int64))
            self._add(correct)
        self.weighted = np.concatenate(weighted)

    def _add(self, correct: NDArray[np.bool_]) -> None:
        forms, values = self.forms, self._values
        if forms.weights is not None:
            values["weights"].append(row_sums(correct, forms.weights[:, None])[:, 0])
        if forms.strata is not None and forms.priors is not None:
            counts = forms.strata.correct(correct)
            values["strata"].append(_power_sums(counts))
            values["stratified"].append(counts @ (forms.priors / forms.strata.sizes))

    def results(self) -> dict[str, float]:
        """Return the estimates of the forms that were asked for, by their keys."""
        forms, values, found = self.forms, self._values, dict[str, float]()
        if forms.weights is not None:
            found |= weighted_form(self.statistics, forms.weights, np.concatenate(values["weights"]))
        if forms.strata is not None and forms.priors is not None:
            sums, accuracy = np.sum(values["strata"], axis=0), np.concatenate(values["stratified"])
            found["var_dist_strat"] = stratified_form(self.statistics, forms.strata, forms.priors, sums, accuracy)
        return found


def _power_sums(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sums over runs of counts [runs, groups] and of their squares [2, groups]."""
    return np.stack([counts.sum(axis=0), np.square(counts).sum(axis=0)])


def weighted_form(
    statistics: RunStatistics, weights: NDArray[np.float64], accuracy: NDArray[np.float64]
) -> dict[str, float]:
    """Return mean, test-set, independent and distribution-wise variance of the weighted accuracy (spec 2.6)."""
    runs = len(accuracy)
    if runs < 2:
        nothing = dict.fromkeys(("var_test_w", "var_ind_w", "var_dist_w"), math.nan)
        return {"mean_w": float(accuracy.mean()), **nothing}
    right = statistics.right
    test = float(sample_variance(accuracy))
    independent = float(np.square(weights) @ (right * (runs - right) / (runs * (runs - 1))))
    rest = 1 - float(np.square(weights).sum())
    return {
        "mean_w": float(accuracy.mean()),
        "var_test_w": test,
        "var_ind_w": independent,
        "var_dist_w": (test - independent) / rest if (weights > 0).sum() > 1 else math.nan,
    }


def stratified_form(
    statistics: RunStatistics,
    strata: Grouping,
    priors: NDArray[np.float64],
    sums: NDArray[np.int64],
    accuracy: NDArray[np.float64],
) -> float:
    """Return the distribution-wise variance for test sets with fixed class counts (spec 2.6).

    `accuracy` [runs] is the mean of the accuracies inside each stratum, weighted by `priors`.
    """
    runs = len(accuracy)
    if runs < 2:
        return math.nan
    right = statistics.right.astype(object)
    excess = 0.0
    for code, size in enumerate(strata.sizes.tolist()):
        squares = int(np.square(right[strata.codes == code]).sum())
        part = RunSums(runs, size, int(sums[0, code]), int(sums[1, code]), squares)
        excess += priors[code] ** 2 * (number(part.var_test) - number(part.var_dist))
    return float(sample_variance(accuracy)) - excess
