"""A promise beside what was simulated: how often, in data sets whose truth is known, what a user reads was so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

CONFIDENCE = 0.95  # of the Monte Carlo intervals that the page shows
MISSED = 0.999  # a promise counts as missed where this interval excludes it: some hundred rows are looked at


@dataclass(frozen=True)
class Promise:
    """One row: what is promised under which assumptions, and how often it came true.

    Attributes
    ----------
    what : str
        The verdict, interval, p-value, plan or recommendation that a user reads.
    setting : str
        How the data were simulated: numbers of runs and examples, the truth, what breaks the assumption.
    low, high : float
        The promised share lies between these (0 to 0.05: at most 5 %; 0.92 to 0.98: coverage of a 95 % interval).
    hits, trials : int
        In how many of the simulated data sets it happened.
    assumed : bool
        Whether the setting fulfils what the promise assumes. False: the row shows what happens where it does not, and
        is reported, not judged.
    """

    what: str
    setting: str
    low: float
    high: float
    hits: int
    trials: int
    assumed: bool = True

    @property
    def share(self) -> float:
        """Share of the data sets."""
        return self.hits / self.trials

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Clopper and Pearson's interval of the share."""
        found = binomtest(self.hits, self.trials).proportion_ci(confidence)
        return float(found.low), float(found.high)

    @property
    def kept(self) -> bool:
        """Whether the simulated share is compatible with the promise."""
        low, high = self.interval(MISSED)
        return low <= self.high and high >= self.low


def promise(
    what: str, setting: str, promised: tuple[float, float], hits: Sequence[bool], *, assumed: bool = True
) -> Promise:
    """Count `hits` of a promise: `promised` is the range in which their share should lie."""
    found = np.asarray(hits, dtype=bool)
    return Promise(what, setting, *promised, int(found.sum()), len(found), assumed)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0")


def _promised(row: Promise) -> str:
    if row.low <= 0:
        return f"at most {_percent(row.high)} %"
    if row.high >= 1:
        return f"at least {_percent(row.low)} %"
    return f"{_percent(row.low)} to {_percent(row.high)} %"


def _verdict(row: Promise) -> str:
    if not row.assumed:
        return "assumption broken"
    return "kept" if row.kept else "**missed**"


def table(rows: Sequence[Promise]) -> str:
    """Return promises as a table in Markdown."""
    head = ["promise", "setting", "promised", "simulated (95 % interval)", "data sets", "verdict"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        low, high = row.interval()
        share = f"{100 * row.share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
        lines.append([row.what, row.setting, _promised(row), share, str(row.trials), _verdict(row)])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
