"""The state of a campaign: the replay of its ledger's events, one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import LedgerError
from ..methods.gate.claims import stand_in
from ..methods.gate.defaults import CONFIRMATION_RUNS
from ..methods.gate.looks import CERTIFIED, ON
from ..methods.gate.spreads import Noise, noise
from .records import CONFIRM, FINAL, Run, Setup, Slot, Trial, Tried, looks_of, setup_of

EVENTS = ("init", "attempt", "seed", "run", "keep", "drop", "certificate", "void")
CONSTANT = "constant"  # verdict: the runs do not vary


class Campaign:
    """What a ledger says so far. `apply` takes one event; nothing else changes it."""

    def __init__(self) -> None:
        self.setup: Setup | None = None
        self.tried: list[Tried] = []
        self.runs: list[Run] = []
        self.trials: list[Trial] = []
        self.used: dict[int, str] = {}  # seed to the state that has it
        self.counters: dict[str, int] = {}
        self.start: Tried | None = None
        self.start_state = ""  # what certificates compare with: the start, or what was certified last
        self.kept: Tried | None = None
        self.bar = math.nan
        self.wealth = math.nan
        self.closed = False

    def apply(self, event: dict[str, Any]) -> None:
        """Take one event; one of a kind that a later version added changes nothing."""
        kind = event.get("event")
        if kind not in EVENTS:
            return
        try:
            getattr(self, f"_{kind}")(event)
        except (LookupError, TypeError, ValueError, ArithmeticError, StopIteration) as error:
            raise LedgerError(
                f"an event {kind} of the ledger does not fit those before it: {error!r}",
                hint="Its sums are right, so it was written by something else than runspread. Restore it from a copy.",
            ) from error

    @property
    def settings(self) -> Setup:
        """Settings of the campaign."""
        if self.setup is None:
            raise LedgerError("the ledger is empty", "a campaign that was begun", "Run: runspread gate init")
        return self.setup

    @property
    def certificate(self) -> Trial | None:
        """The last certificate."""
        return next((trial for trial in reversed(self.trials) if trial.kind != CONFIRM), None)

    def confirming(self, tried: Tried) -> Trial | None:
        """Return the open confirmation of an attempt."""
        return next((one for one in reversed(self.trials) if one.attempt == tried.id and one.open), None)

    # ------------------------------------------------------------------ events

    def _init(self, event: dict[str, Any]) -> None:
        self.setup = setup_of(event)
        self.wealth = self.setup.alpha

    def _attempt(self, event: dict[str, Any]) -> None:
        tried = Tried(
            event["attempt"], event["name"], event["state"], event.get("note", ""), event.get("imported", False)
        )
        self.tried.append(tried)
        if self.start is None:
            self.start, self.start_state = tried, tried.state

    def _seed(self, event: dict[str, Any]) -> None:
        self.used.setdefault(event["seed"], event["state"])
        self.counters[event["stream"]] = event["counter"]
        if event.get("trial") is not None:
            self.trials[event["trial"]].slots.append(Slot(event["seed"], event["side"]))
        elif event.get("attempt") is not None:
            self.tried[event["attempt"]].waiting = event["seed"]

    def _run(self, event: dict[str, Any]) -> None:
        outcome = event["outcome"]
        run = Run(
            id=event["id"],
            state=event["state"],
            seed=event.get("seed"),
            role=event["role"],
            outcome=math.nan if outcome is None else float(outcome),
            seconds=event.get("seconds") or 0.0,
            status=event["status"],
            guards=event.get("guards", {}),
        )
        self.runs.append(run)
        if run.seed is not None:
            self.used.setdefault(run.seed, run.state)
        if event.get("trial") is not None:
            waiting = self.trials[event["trial"]].waiting()
            next(slot for slot in waiting if slot.seed == run.seed and slot.side == event["side"]).run = run
        else:
            tried = self.tried[event["attempt"]]
            tried.runs.append(run)
            tried.waiting = None if tried.waiting == run.seed else tried.waiting

    def _keep(self, event: dict[str, Any]) -> None:
        tried = self._decided(event, "start" if self.kept is None else "keep")
        self.kept, self.bar = tried, float(event["bar"])

    def _drop(self, event: dict[str, Any]) -> None:
        self._decided(event, "drop")
        if event.get("bar") is not None:
            self.bar = float(event["bar"])

    def _decided(self, event: dict[str, Any], decision: str) -> Tried:
        tried = self.tried[event["attempt"]]
        tried.decision, tried.why, tried.bar = decision, event.get("why", ""), self.bar
        return tried

    def _certificate(self, event: dict[str, Any]) -> None:
        if event["verdict"] == "begun":
            looks = looks_of(self.settings, event["kind"], event["spent"], CONFIRMATION_RUNS)
            facts = {name: event[name] for name in ("kind", "start", "end", "spent")}
            self.trials.append(Trial(event["trial"], **facts, looks=looks, attempt=event.get("attempt")))
            self.wealth -= event["spent"]
            return
        trial, p = self.trials[event["trial"]], event.get("p")
        trial.verdict, trial.p, trial.at = event["verdict"], math.nan if p is None else float(p), event["look"] + 1
        trial.judged = event["look"] + 1
        refunded = trial.verdict == CONSTANT or (trial.certified and trial.kind != FINAL)
        self.wealth = max(self.wealth + (trial.spent if refunded else 0.0), 0.0)
        if trial.verdict not in (ON, CONSTANT) and trial.kind == FINAL:
            self.closed = True
        if trial.verdict == CERTIFIED and trial.kind != CONFIRM:
            self.start_state = trial.end

    def _void(self, event: dict[str, Any]) -> None:
        self.runs[event["id"]].void = True

    # ------------------------------------------------------------------ what follows

    def unselected(self) -> dict[str, list[float]]:
        """Return state to the outcomes of runs that were not chosen for what they showed."""
        groups: dict[str, list[float]] = {}
        for state, run in self._unselected():
            if not run.failed and not run.void:
                groups.setdefault(state, []).append(run.outcome)
        return groups

    def _unselected(self) -> Iterator[tuple[str, Run]]:
        imported: dict[str, list[Run]] = {}
        for tried in self.tried:
            if tried.imported:
                imported.setdefault(tried.state, []).extend(tried.runs)
            elif tried.decision == "start" or tried is self.start:
                yield from ((tried.state, run) for run in tried.runs)
            elif tried.decision == "keep":
                yield from ((tried.state, run) for run in tried.runs[1:])
        for state, runs in imported.items():
            yield from ((state, run) for run in runs if len(runs) > 1)
        for trial in self.trials:
            yield from ((slot.run.state, slot.run) for slot in trial.slots if slot.run is not None)

    def noise(self) -> Noise:
        """Return the spread of runs of one state."""
        return noise(self.unselected())

    def noise_before(self, trial: Trial) -> float:
        """Return the spread without the runs of a trial, which must not depend on which of them is on which side."""
        own = {id(slot.run) for slot in trial.slots}
        groups: dict[str, list[float]] = {}
        for state, run in self._unselected():
            if not run.failed and not run.void and id(run) not in own:
                groups.setdefault(state, []).append(run.outcome)
        return noise(groups).noise_sd

    def failed_as(self, trial: Trial) -> float:
        """Return the loss that stands for failed runs of a trial."""
        losses = np.array([self.settings.sign * run.outcome for run in self.runs])
        return stand_in(losses, self.noise_before(trial))
