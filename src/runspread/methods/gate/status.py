"""`GateStatus`: where a campaign stands, and what may be claimed of it now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..._results import Part, Result, Table
from ..._words import count
from .claims import Claim
from .spreads import Noise


class TryRow(NamedTuple):
    """One try of the climb: its runs, and what became of it."""

    name: str
    state: str
    decision: str
    runs: tuple[float, ...]
    mean: float
    bar: float
    seconds: float
    note: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Asked(Part):
    """What the last command decided, and which run comes next.

    Attributes
    ----------
    decision : str
        keep, drop, run again, confirm, certified, not certified, go on, or nothing.
    why : str
        In a sentence.
    next : dict
        seed, state and role of the run that is wanted; empty where none is.
    """

    decision: str = ""
    why: str = ""
    next: dict[str, Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Cost(Part):
    """What the campaign took.

    Attributes
    ----------
    tries, keeps, runs : int
        Tries, those kept, and runs of all kinds.
    failed : int
        Runs that failed.
    seconds : float
        Of all runs together.
    seconds_a_run : float
        Median of those that were timed; NaN without.
    certificate_seconds : (float, float)
        What a certificate takes at the first and at the last look.
    early_drops : int
        Tries that one run was enough to drop.
    """

    tries: int
    keeps: int
    runs: int
    failed: int
    seconds: float
    seconds_a_run: float
    certificate_seconds: tuple[float, float]
    early_drops: int


@dataclass(frozen=True, eq=False, kw_only=True)
class GateStatus(Result):
    """Where a campaign stands.

    Attributes
    ----------
    asked : Asked
        The last decision, and the run that is wanted next.
    metric : str
        Name of the outcome.
    higher : bool
        Whether larger is better.
    rule : str
        Of the climb.
    start, kept : str
        State of the start, and the state kept now.
    bar : float
        Mean of the runs of the kept state that it was chosen by: not an estimate.
    noise : Noise
        Spread of runs of one state.
    alpha, wealth : float
        Level of the campaign, and what is left of it.
    closed : bool
        Whether the final certificate is there, so that nothing can be tried any more.
    campaigns : int
        Ledgers in the same folder: each is an alpha of its own.
    cost : Cost
        Runs and seconds.
    claim : Claim
        What may be claimed now.
    attempts : tuple of TryRow
        Every try, the start first.
    """

    picture = ".plots:plot_gate"

    asked: Asked
    metric: str
    higher: bool
    rule: str
    start: str
    kept: str
    bar: float
    noise: Noise
    alpha: float
    wealth: float
    closed: bool
    campaigns: int
    cost: Cost
    claim: Claim
    attempts: tuple[TryRow, ...]

    def table(self) -> Table:
        """Return one row per try: decision, runs, mean, and how far below the bar of its time, also in spreads."""
        sign, sd = (-1.0 if self.higher else 1.0), self.noise.noise_sd
        below = [sign * (row.bar - row.mean) for row in self.attempts]
        return Table(
            {
                "try": [row.name for row in self.attempts],
                "decision": [row.decision or "open" for row in self.attempts],
                "runs": [len(row.runs) for row in self.attempts],
                f"mean {self.metric}": [row.mean for row in self.attempts],
                "better than the bar by": below,
                "in sd": [gap / sd if sd > 0 else float("nan") for gap in below],
                "gain per hour": [self._hourly(row, gap) for row, gap in zip(self.attempts, below, strict=True)],
                "note": [row.note for row in self.attempts],
            },
            formats={f"mean {self.metric}": ".6g", "better than the bar by": ".3g", "in sd": ".2f"},
        )

    def _hourly(self, row: TryRow, gap: float) -> float:
        return gap / row.seconds * 3600 if row.decision == "keep" and row.seconds > 0 else float("nan")

    def sentence(self) -> str:
        """Return what may be claimed now; of a certificate under way, how far it is."""
        if self.claim.verdict == "go on":
            runs = count(self.claim.runs, "fresh run")
            return f"The certificate goes on: it is undecided after {runs} each (p = {self.claim.p:.2g})."
        return self.claim.sentence()
