"""Expected calibration error on equal bins of the top-1 confidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_choice, check_integers
from .._ties import ROUNDING

CLOSED = ("left", "right")


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence against accuracy by bin.

    Attributes
    ----------
    counts : ndarray of int64 [bins]
        Examples in each bin.
    accuracy, confidence : ndarray of float64 [bins]
        Means within each bin, NaN where it is empty.
    closed : {"left", "right"}
        Which end of a bin belongs to it.
    """

    counts: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    confidence: NDArray[np.float64]
    closed: str

    @property
    def ece(self) -> float:
        """Expected calibration error: mean over examples of ``|accuracy - confidence|`` of their bin."""
        filled = self.counts > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float(self.counts[filled] @ gaps / self.counts.sum())


def reliability(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], *, n_bins: int = 15, closed: str = "left"
) -> Reliability:
    """Sort examples into equal bins of confidence.

    Parameters
    ----------
    confidence : ndarray [examples]
        Largest class probability.
    correct : ndarray of bool [examples]
        Whether that class is the true one.
    n_bins : int
        Number of bins on 0..1.
    closed : {"left", "right"}
        ``"left"``: bin ``min(floor(confidence * n_bins), n_bins - 1)`` (TensorFlow's histogram); ``"right"``: bins
        ``(a, b]`` as in Guo et al. (2017).
    """
    n_bins = int(check_integers(n_bins, "n_bins", 1, None))
    scaled = confidence * n_bins
    edge = np.rint(scaled)  # an average that is an edge but for rounding is that edge
    scaled = np.where(np.abs(scaled - edge) <= ROUNDING * n_bins, edge, scaled)
    lower = np.floor(scaled) if check_choice(closed, "closed", CLOSED) == "left" else np.ceil(scaled) - 1
    bins = np.clip(lower, 0, n_bins - 1).astype(np.int64)
    counts = np.bincount(bins, minlength=n_bins)
    with np.errstate(invalid="ignore"):
        accuracy = np.bincount(bins, weights=correct, minlength=n_bins) / counts
        mean = np.bincount(bins, weights=confidence, minlength=n_bins) / counts
    return Reliability(counts, accuracy, mean, closed)
