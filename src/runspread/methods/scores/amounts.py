"""Numbers of a metric in sentences: percentage points of an accuracy, decimals by the interval, higher and lower."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..._reading.scores.words import FRACTION, PERCENT, spoken
from ..._words import count

_MOST_DECIMALS = 12
_LARGE = 1e9  # numbers from here on are written with an exponent


def decimals_for(half: float) -> int:
    """Return the decimals at which a half-width has two significant figures, three where it begins with 1."""
    if not math.isfinite(half) or half <= 0:
        return 4
    place = math.floor(math.log10(half) + 1e-9)
    return max(0, min(_MOST_DECIMALS, (2 if half < 2 * 10.0**place else 1) - place))


class Amounts(NamedTuple):
    """How differences and levels of one metric are written.

    Attributes
    ----------
    metric, unit : str
        Name, and fraction, percent or plain.
    half : float
        Half-width of the interval that goes with them, in the unit of the metric.
    """

    metric: str
    unit: str
    half: float

    @property
    def name(self) -> str:
        """The metric's name in words."""
        return spoken(self.metric)

    @property
    def scale(self) -> float:
        """What a difference is multiplied by: an accuracy between 0 and 1 differs by percentage points."""
        return 100.0 if self.unit == FRACTION else 1.0

    def plain(self, value: float) -> str:
        """Return the size of a difference without its unit."""
        size = abs(self.scale * value)
        return f"{size:.{decimals_for(self.scale * self.half)}f}" if size < _LARGE else f"{size:.4g}"

    def _with_unit(self, text: str) -> str:
        unit = "percentage point" if text == "1" else "percentage points"
        return f"{text} {unit}" if self.unit in (FRACTION, PERCENT) else text

    def size(self, value: float) -> str:
        """Return the size of a difference with its unit; one that rounds to 0 and is not gets a digit of its own."""
        text = self.plain(value)
        if value and not float(text):
            text = f"{abs(self.scale * value):.1g}"
        return self._with_unit(text)

    def margin(self, value: float) -> str:
        """Return a margin as it was given, with its unit."""
        return self._with_unit(f"{self.scale * value:g}")

    def rounded(self, value: float) -> str:
        """Return an amount to three significant digits, with its unit."""
        return self._with_unit(f"{self.scale * value:.3g}")

    def apart(self, value: float) -> str:
        """Return a difference in words: 0.6 percentage points higher; none is equal."""
        return f"{self.size(value)} {_side(value)}" if value else "equal"

    def interval(self, low: float, high: float) -> str:
        """Return an interval in words: 0.2 to 0.4 lower, 0.9 lower to 1.7 higher."""
        if low <= 0 <= high:
            return f"{self.plain(low)} lower to {self.plain(high)} higher"
        near, far = sorted((low, high), key=abs)
        return f"{self.plain(near)} to {self.plain(far)} {_side(low)}"

    def level(self, value: float) -> str:
        """Return a value of the metric itself, in its own unit."""
        return f"{value:.{decimals_for(self.half)}f}" if abs(value) < _LARGE else f"{value:.4g}"


def _side(value: float) -> str:
    return "lower" if value < 0 else "higher"


def runs_of_both(old: int, new: int) -> str:
    """Return how many runs two arms have: 3 runs each, 4 and 5 runs."""
    return f"{count(old, 'run')} each" if old == new else f"{old} and {new} runs"
