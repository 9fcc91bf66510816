"""What the replay of a ledger knows: the campaign's settings, its runs, attempts and trials."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import InputError
from ..methods.gate.claims import Sides
from ..methods.gate.defaults import ALPHA, RULE
from ..methods.gate.looks import CERTIFIED, ON, Look, certificate_looks
from .guards import Guard, parse_guard

FINAL, INTERIM, CONFIRM = "final", "interim", "confirm"  # kinds of trials
START, END = "start", "end"


@dataclass(frozen=True)
class Setup:
    """How a campaign was begun."""

    campaign: str
    metric: str
    higher: bool = False
    alpha: float = ALPHA
    rule: str = RULE
    slack: float = 0.0  # in the unit of the outcome
    start_runs: int = 0  # runs of the start, whose mean is the first bar; 0: as many as a kept state has
    test: str = "permutation"
    statistic: str = "mean"
    fixed: int = 0
    pair: bool = False
    guards: dict[str, str] = field(default_factory=dict[str, str])
    command: str = ""
    pattern: str = ""
    json_key: str = ""
    seeds: str = ""
    environment: dict[str, str] = field(default_factory=dict[str, str])
    evaluation: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def sign(self) -> float:
        """What an outcome is multiplied by so that smaller is better."""
        return -1.0 if self.higher else 1.0

    def guarding(self) -> list[Guard]:
        """Return the metrics that must not get worse."""
        return [parse_guard(text) for text in self.guards.values()]


def number_of(value: Any, what: str) -> float:
    """Return what a program reports as a number; an error that leaves the ledger as it is where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{what} is {value!r}", "a number; NaN for a run that failed") from None


@dataclass
class Run:
    """One run that was reported."""

    id: int
    state: str
    seed: int | None
    role: str
    outcome: float  # as it is; NaN where it failed
    seconds: float
    status: str
    guards: dict[str, float]
    void: bool = False

    @property
    def failed(self) -> bool:
        """Whether it has no finite outcome."""
        return not math.isfinite(self.outcome)


@dataclass
class Tried:
    """An attempt: a state with its runs in the climb, and what became of it."""

    id: int
    name: str
    state: str
    note: str = ""
    imported: bool = False
    runs: list[Run] = field(default_factory=list[Run])
    decision: str = ""  # start, keep, drop, or nothing while it is open
    why: str = ""
    bar: float = math.nan  # that it was held against
    waiting: int | None = None  # seed that was handed out last, until it is reported

    def counted(self) -> list[Run]:
        """Return the runs that count: those not made void."""
        return [run for run in self.runs if not run.void]

    def losses(self, sign: float) -> list[float]:
        """Return outcomes so that smaller is better, infinite for failed runs."""
        return [math.inf if run.failed else sign * run.outcome for run in self.counted()]

    def mean(self) -> float:
        """Return the mean outcome; NaN where a run failed or there is none."""
        values = [run.outcome for run in self.counted()]
        return math.fsum(values) / len(values) if values else math.nan


@dataclass
class Slot:
    """A fresh run of a trial: handed out, and reported when `run` is there."""

    seed: int
    side: str
    run: Run | None = None


@dataclass
class Trial:
    """A certificate or a confirmation: fresh runs of two states, taken alternately, judged at its looks."""

    id: int
    kind: str
    start: str
    end: str
    spent: float
    looks: tuple[Look, ...]
    attempt: int | None = None
    slots: list[Slot] = field(default_factory=list[Slot])
    at: int = 0  # look that is judged next
    judged: int = 0  # looks that were judged
    verdict: str = ON
    p: float = math.nan

    @property
    def open(self) -> bool:
        """Whether more runs are wanted."""
        return self.verdict == ON

    @property
    def certified(self) -> bool:
        """Whether the end was shown to be better."""
        return self.verdict == CERTIFIED

    @property
    def look(self) -> Look:
        """The look that is judged next, or was judged last."""
        return self.looks[min(self.at, len(self.looks) - 1)]

    def waiting(self) -> Iterator[Slot]:
        """Yield the runs that were handed out and are not reported."""
        return (slot for slot in self.slots if slot.run is None)

    def complete(self) -> bool:
        """Whether all runs of the look are reported."""
        wanted = 2 * self.look.runs
        return len(self.slots) >= wanted and all(slot.run is not None for slot in self.slots[:wanted])

    def runs_of(self, side: str) -> list[Run]:
        """Return the reported runs of a side."""
        return [slot.run for slot in self.slots if slot.side == side and slot.run is not None]

    def sides(self, setup: Setup, values: str = "") -> Sides:
        """Return the outcomes of both sides; of a guard where one is named."""
        start, end = (
            np.array([run.guards.get(values, math.nan) if values else run.outcome for run in self.runs_of(side)])
            for side in (START, END)
        )
        return Sides(start, end, setup.higher, setup.pair, setup.statistic == "median")


def looks_of(setup: Setup, kind: str, spent: float, confirm_runs: int) -> tuple[Look, ...]:
    """Return the looks of a trial; a confirmation has one."""
    fixed = confirm_runs if kind == CONFIRM else setup.fixed
    return certificate_looks(spent, pair=setup.pair, fixed=fixed, test=setup.test)


def setup_of(event: dict[str, Any]) -> Setup:
    """Return the settings in the first event of a ledger; names that a later version added are excluded."""
    known = {name: event[name] for name in Setup.__dataclass_fields__ if name in event}
    return Setup(**known)
