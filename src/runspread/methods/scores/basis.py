"""What an answer from one number per run rests on, and the noise of the test set where its size is known."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..._checks import check_integers
from ..._reading.scores.words import FRACTION, PERCENT, spoken
from ..._results import Result
from ..._words import count
from ...errors import InputError

Floats = NDArray[np.float64]
_MOST_MODES = 2  # arms of two groups that a sentence describes


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoreResult(Result):
    """Base of results from one number per run.

    Attributes
    ----------
    rests_on : str
        The last sentence of `sentence`: what the answer rests on, and what more could be told. Empty where a method of
        this family was called by its own name.
    modes : tuple of str
        What `sentence` says of arms whose runs fall into two groups, of which mean and spread describe neither.
    """

    keys: ClassVar = {"confidence_level": "level"}

    rests_on: str = ""
    modes: tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "sentence" in vars(cls):
            resting: Any = _resting(cls.sentence)
            cls.sentence = resting


def _resting(sentence: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return a sentence that ends with arms of two groups, the first two of them, and with what it rests on."""

    @functools.wraps(sentence)
    def resting(self: ScoreResult) -> str:
        more = len(self.modes) - _MOST_MODES
        others = [f"So it is with {count(more, 'other arm')}."] if more > 0 else []
        return " ".join([sentence(self), *self.modes[:_MOST_MODES], *others, self.rests_on]).strip()

    return resting


def on_examples(examples: int) -> str:
    """Return what an interval that counts the noise of the test set takes its errors to be."""
    return f"with independent errors on {examples:,} examples"


def error_floor(x: Floats, examples: int | None, unit: str, metric: str) -> float:
    """Return the least standard error of the mean of accuracies [n] on so many test examples; 0 without their number.

    Errors on the examples are taken as independent: the variance of the mean is then at least the mean of
    ``p (1 - p) / examples`` over the runs, however many runs there are, since all of them are tested on the same ones.
    """
    if examples is None or not len(x):
        return 0.0
    check_integers(examples, "examples", 1, None)
    if unit not in (FRACTION, PERCENT):
        raise InputError(
            f"examples={examples} for the {spoken(metric)}, which is no accuracy",
            "accuracies between 0 and 1, or in percent",
            "Drop examples, or name the metric, as in metric='accuracy'.",
        )
    scale = 100.0 if unit == PERCENT else 1.0
    share = x[np.isfinite(x)] / scale
    return scale * math.sqrt(float((share * (1 - share)).mean()) / examples) if len(share) else 0.0
