"""What results of trimming say of their settings, of the two sides of a comparison, and of its tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from ..._reading.scalars import Scalars
from ..._results import Part

NAN = float("nan")


@dataclass(frozen=True, eq=False, kw_only=True)
class ComparisonSettings(Part):
    """How outputs became one number per run and example, and how those were compared.

    Attributes
    ----------
    margin, classes, clip
        Which number, as in `ScalarOptions`.
    reference, mode, threshold, epsilon, seed
        As in `trimming`.
    """

    margin: str
    classes: tuple[int, int] | None
    clip: tuple[float, float] | None
    reference: str
    mode: str
    threshold: str | float
    epsilon: float
    seed: int


@dataclass(frozen=True, eq=False, kw_only=True)
class ResampledSettings(ComparisonSettings):
    """`ComparisonSettings`, and how examples were drawn.

    Attributes
    ----------
    resample : {"bootstrap", "split", "given"} or None
        As in `trimming`; "given" for draws that were handed in.
    """

    resample: str | None


@dataclass(frozen=True, eq=False, kw_only=True)
class LevelSettings(ResampledSettings):
    """`ResampledSettings`, and how large a level counts.

    Attributes
    ----------
    cap : float
        Levels are censored at it in their means.
    """

    cap: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Side(Part):
    """Runs on one side of a comparison.

    Attributes
    ----------
    n : int
        Number of runs; copies count once where runs are exchanged.
    examples : int
        Number of examples.
    accuracy : float
        Mean accuracy; NaN without labels.
    """

    n: int
    examples: int
    accuracy: float

    @classmethod
    def counted(cls, runs: Scalars) -> Self:
        """Count the runs of a side."""
        return cls(n=len(runs.run_ids), examples=runs.values.shape[2], accuracy=runs.mean_accuracy())


class OldRuns(Side):
    """The old runs; in `to_dict` their keys end in ``_old``."""

    keys: ClassVar = {"n": "n_old", "examples": "examples_old", "accuracy": "accuracy_old"}


class NewRuns(Side):
    """The new runs; in `to_dict` their keys end in ``_new``."""

    keys: ClassVar = {"n": "n_new", "examples": "examples_new", "accuracy": "accuracy_new"}


@dataclass(frozen=True, eq=False, kw_only=True)
class SameTests(Part):
    """What exchanges of runs between the two sides show.

    Attributes
    ----------
    p_value : float
        p-value of equal distributions, over exchanges of runs; NaN for other thresholds.
    p_examples : float
        p-value of equal answers example by example, over the same exchanges; NaN where answers were not compared.
    epsilon_each : float
        Level of each test: half of `epsilon` where there are two.
    arrangements : int
        Arrangements of the runs that p-values are shares of, the observed one among them; 0 for other thresholds.
    exact : bool
        Whether these are all that can be distinguished.
    disagreement : (float, float, float)
        Mean share of examples on which two old runs, an old and a new one, two new ones predict different classes (of
        single outputs without labels, the mean absolute difference); NaN where answers were not compared.
    """

    epsilon_each: float
    p_value: float = NAN
    p_examples: float = NAN
    arrangements: int = 0
    exact: bool = False
    disagreement: tuple[float, float, float] = (NAN, NAN, NAN)
