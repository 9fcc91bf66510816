"""Settings of trimming, and their default values: one set for the verbs, the command and the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ..._reading.margins import Margin
from ..._reading.options import ReadingOptions

Mode = Literal["step", "published"]
Threshold = Literal["dkw", "published", "rigorous"]
ReferenceKind = Literal["mixture", "sampled", "ensemble", "single"]
MODES = ("step", "published")
THRESHOLDS = ("dkw", "published", "rigorous")
REFERENCES = ("mixture", "sampled", "ensemble", "single")
GRID = (0.0, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45)
CAP = 0.5  # what the published rule reports where no level of its grid is accepted

REFERENCE: ReferenceKind = "mixture"
MODE: Mode = "step"
REPLICATES = 100
EPSILON = 0.01
ALLOWED = 0.05  # fraction of the new outputs that may differ in `same`
PERMUTATIONS = 999
KINDS: tuple[Literal["mixture", "ensemble"], ...] = ("mixture", "ensemble")  # what is made of M runs
TOLERANCE = 0.0  # level up to which M runs count as representative
ACCURACY_BINS = 5
CALIBRATION_BINS = 15
RESAMPLES = 2000  # of the runs, for intervals
CONFIDENCE_LEVEL = 0.95


class ScalarOptions(ReadingOptions, total=False):
    """Keywords of every verb of trimming: how outputs are read and become one number per run and example.

    Attributes
    ----------
    margin : {"gap", "one-vs-rest", "pairwise", "top-two", "true-class"}, optional
        Which number, see `margins`; the gap for two classes, one-vs-rest for more, each class then tested at
        ``epsilon / classes``.
    classes : (int, int)
        The two classes of the pairwise margin.
    clip : (float, float)
        Bounds to which the numbers are saturated.
    labels : array_like of int [examples] or path
        True classes, for margins that need them; taken from the source where it has them.
    split, kind, nan
        As in `ReadingOptions`; probabilities are taken as their logarithms.
    """

    margin: Margin | None
    classes: tuple[int, int] | None
    clip: tuple[float, float] | None
    labels: Any


class TrimmingSettings(ScalarOptions, total=False):
    """Keywords of `trimming`, `representative_size` and `same` beside those that they name: `ScalarOptions`, and these.

    Attributes
    ----------
    workers : int, optional
        Threads; as many as there are cores by default. The result does not depend on it.
    progress : callable
        Called with the number of steps done, and of all steps.
    """

    workers: int | None
    progress: Callable[[int, int], None] | None
