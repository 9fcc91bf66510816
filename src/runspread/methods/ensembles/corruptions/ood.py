"""Telling inputs of the test set from inputs of another data set by the confidence of a predictor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...._checks import check_choice
from ...._reading.opening import opens
from ...._reading.probabilities import Floats, read_members
from ...._results import Excluded, Result, Table
from ....errors import InputError
from ..disagreement import entropy
from ..proper_scores import mean_probabilities

CONFIDENCES = ("max_probability", "negative_entropy")
TRUE_POSITIVE_RATE = 0.95


@dataclass(frozen=True, eq=False, kw_only=True)
class OodDetection(Result):
    """How well confidence separates inputs of the test set from others.

    Attributes
    ----------
    auroc : float
        Probability that an input from inside is more confident than one from outside (ties count half).
    auroc_low, auroc_high : float
        95 % interval over the inputs (DeLong's error on the logit scale); NaN where the separation is perfect.
    fpr_at_95_tpr : float
        Share of outside inputs accepted at the strictest threshold that accepts 95 % of the inside ones.
    threshold : float
        That threshold.
    confidence : str
        What was compared.
    n_inside, n_outside : int
        Inputs.
    edges : ndarray [bins + 1]
        Edges of equal bins of the confidence.
    inside_counts, outside_counts : ndarray of int64 [bins]
        Inputs in each.
    """

    picture = "..plots_corruptions:plot_ood"

    auroc: float
    auroc_low: float
    auroc_high: float
    fpr_at_95_tpr: float
    threshold: float
    confidence: str
    n_inside: int
    n_outside: int
    edges: Floats
    inside_counts: NDArray[np.int64]
    outside_counts: NDArray[np.int64]

    def table(self) -> Table:
        """Return one row per measure."""
        return Table(
            {
                "measure": ["AUROC", "FPR at 95 % TPR"],
                "value": [self.auroc, self.fpr_at_95_tpr],
                "95% CI": [f"{self.auroc_low:.4f} to {self.auroc_high:.4f}", "–"],
            },
            formats={"value": ".4f"},
        )

    def sentence(self) -> str:
        """Return the separation in words."""
        return (
            f"Confidence ({self.confidence.replace('_', ' ')}) separates {self.n_inside} test inputs from "
            f"{self.n_outside} others with AUROC {self.auroc:.4f} (95% CI over inputs {self.auroc_low:.4f} to "
            f"{self.auroc_high:.4f}) and accepts {self.fpr_at_95_tpr:.2%} of the others where it accepts 95 % of the "
            "test set. Other data may order methods differently."
        )


@opens("inside", "outside")
def ood_detection(
    inside: Any, outside: Any, *, confidence: str = "max_probability", kind: str = "auto", nan: str = "exclude"
) -> OodDetection:
    """Measure how well a predictor's confidence separates its own test set from out-of-distribution data.

    Parameters
    ----------
    inside, outside : array_like or RunOutputs
        Probabilities or logits on either set, [members, examples, classes], which are averaged; of one network x[None].
    confidence : {"max_probability", "negative_entropy"}
        What to compare.
    kind : {"auto", "logits", "log-probabilities", "probabilities", "log-odds", "classes"}
        What the numbers are, where neither they nor their source tell.
    nan : {"exclude", "raise"}
        Whether members with NaN, a positive infinity or a row without a finite entry are excluded, or an error.

    Returns
    -------
    OodDetection
        AUROC with its interval, FPR at 95 % TPR. The inside set is the positive class.

    References
    ----------
    Hendrycks and Gimpel (2017), arXiv 1610.02136; DeLong et al. (1988), Biometrics, for the interval.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> sure, unsure = np.tile([0.9, 0.1], (50, 1)), np.tile([0.6, 0.4], (50, 1))
    >>> rs.methods.ensembles.ood_detection(sure[None], unsure[None]).auroc
    1.0
    """
    check_choice(confidence, "confidence", CONFIDENCES)
    sets = {
        name: read_members(source, kind=kind, nan=nan, needs_labels=False)
        for name, source in (("inside", inside), ("outside", outside))
    }
    positive, negative = (_confidence(mean_probabilities(members), confidence) for members in sets.values())
    excluded = tuple(
        Excluded(f"{name}: {item.run}", item.reason) for name, members in sets.items() for item in members.excluded()
    )
    if len(positive) < 2 or len(negative) < 2:
        raise InputError(f"got {len(positive)} inside and {len(negative)} outside", "at least two of each")
    below, above = _placements(positive, negative), 1 - _placements(negative, positive)
    auroc = float(below.mean())
    error = float(np.sqrt(below.var(ddof=1) / len(below) + above.var(ddof=1) / len(above)))
    low, high = _interval(auroc, error)
    edges = np.histogram_bin_edges(np.concatenate([positive, negative]), bins=30)
    # The largest value that at least 95 % of the inside reach.
    threshold = np.sort(positive)[len(positive) - int(np.ceil(TRUE_POSITIVE_RATE * len(positive)))]
    return OodDetection(
        auroc=auroc,
        auroc_low=low,
        auroc_high=high,
        fpr_at_95_tpr=float((negative >= threshold).mean()),
        threshold=float(threshold),
        confidence=confidence,
        n_inside=len(positive),
        n_outside=len(negative),
        edges=edges,
        inside_counts=np.histogram(positive, edges)[0],
        outside_counts=np.histogram(negative, edges)[0],
        excluded=excluded,
    )


def _interval(auroc: float, error: float) -> tuple[float, float]:
    """Return the 95 % interval, symmetric on the logit scale, where it keeps its level near 0 and 1 too."""
    if not 0 < auroc < 1:
        return float("nan"), float("nan")
    centre, reach = np.log(auroc / (1 - auroc)), 1.96 * error / (auroc * (1 - auroc))
    return float(1 / (1 + np.exp(reach - centre))), float(1 / (1 + np.exp(-reach - centre)))


def _confidence(probabilities: Floats, kind: str) -> Floats:
    return probabilities.max(axis=1) if kind == "max_probability" else -entropy(probabilities)


def _placements(values: Floats, others: ArrayLike) -> Floats:
    """Return for each value the share of `others` below it, ties half."""
    ordered = np.sort(np.asarray(others))
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / (2 * len(ordered))
