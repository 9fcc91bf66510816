"""`Gate`: a campaign of tries over its ledger, for programs."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from .._words import count
from ..errors import InputError, RunspreadError
from ..methods.gate.claims import Claim
from ..methods.gate.status import GateStatus
from .attempts import Attempt
from .deciding import after_run_of_trial, begin_trial
from .ledger import Ledger
from .records import CONFIRM, END, FINAL, INTERIM, START, Run, Trial, number_of
from .replay import Campaign
from .seeds import FRESH, SeedToRun, next_seed
from .states import check_evaluation, environment


def new_name() -> str:
    """Return the name of a campaign, from which its seeds follow."""
    return os.urandom(8).hex()


class Gate:
    """A campaign: tries that are kept, dropped or run again, and its certificate. `rs.gate` opens or begins one.

    Attributes
    ----------
    ledger : Ledger
        The file of events. All that is known follows from it, so that any number of processes may share it.
    """

    def __init__(self, path: str | os.PathLike[str], *, one_writer: bool = False) -> None:
        self.ledger = Ledger(path, one_writer=one_writer)
        self._campaign = Campaign()

    @property
    def campaign(self) -> Campaign:
        """What the ledger says, read again where it grew."""
        self._take(self.ledger.read_new())
        return self._campaign

    def _take(self, events: list[dict[str, Any]]) -> None:
        try:
            for event in events:
                self._campaign.apply(event)
        except RunspreadError:
            self._campaign = Campaign()  # half a campaign would answer with something else than what happened
            raise

    @contextmanager
    def writing(self) -> Generator[Campaign]:
        """Hold the ledger's lock, and yield what it says: a decision and its event are made under one lock."""
        with self.ledger.writing() as events:
            self._take(events)
            yield self._campaign

    def append(self, event: dict[str, Any]) -> None:
        """Write an event, inside `writing`."""
        self._campaign.apply(self.ledger.append(event))

    def begin(self, **settings: Any) -> None:
        """Write the first line of a ledger.

        Raises
        ------
        InputError
            There is a campaign already.
        """
        with self.writing() as campaign:
            if campaign.setup is not None:
                raise InputError(
                    f"{self.ledger.path} holds a campaign already", "a new file", "Name another with --ledger."
                )
            facts = {"event": "init", "version": 1, "campaign": new_name(), "environment": environment()}
            self.append(facts | {key: value for key, value in settings.items() if value})

    def attempt(self, name: str, state: str = "", *, note: str = "") -> Attempt:
        """Return the open try of a name, or begin one.

        Parameters
        ----------
        name : str
            What the try is called.
        state : str
            What is trained: a revision or digest of code and configuration; by default the name.
        note : str
            Kept in the ledger.

        Returns
        -------
        Attempt
            To take seeds from and report runs to. The first try of a campaign is its start.

        Raises
        ------
        InputError
            The campaign is closed, its start is not finished, or its evaluation changed.
        """
        with self.writing() as campaign:
            check_evaluation(campaign.settings.evaluation)
            self._check_open(campaign)
            found = next((one for one in campaign.tried if one.name == name and not one.decision), None)
            if found is None:
                if campaign.start is not None and campaign.kept is None:
                    so_far = count(len(campaign.start.runs), "run")
                    raise InputError(
                        f"the start, {campaign.start.name!r}, has {so_far}, which is too few",
                        "the runs of the start before the first try",
                        f"Run the start first: runspread gate try {campaign.start.name!r}",
                    )
                number, optional = len(campaign.tried), {"note": note} if note else {}
                self.append({"event": "attempt", "attempt": number, "name": name, "state": state or name, **optional})
                found = campaign.tried[-1]
            if state and found.state != state:
                raise InputError(
                    f"the try {name!r} is of the state {found.state}, not of {state}", hint="Use another name."
                )
            return Attempt(self, found.id)

    def certify(
        self, run: Callable[[str, int], float] | None = None, *, against: str = "", interim: bool = False
    ) -> Claim:
        """Compare the kept state with the start on fresh runs, and return what may be claimed.

        Parameters
        ----------
        run : callable, optional
            From state and seed to the outcome of one training, in a new process; NaN for a run that failed. Without
            it, the runs of `wanted` are to be reported one by one with `report`.
        against : str
            State to compare with; by default the start, or what an interim certificate certified last.
        interim : bool
            Whether the campaign goes on afterwards: half of the level that is left is spent, and given back if it is
            certified. A final certificate spends all and closes the campaign.

        Returns
        -------
        Claim
            Of verdict "go on" while runs are wanted.

        Raises
        ------
        InputError
            Nothing was kept, or no level is left.
        """
        trial = self.begin_certificate(against=against, interim=interim)
        while run is not None and trial.open:
            wanted = self.wanted()
            assert wanted is not None
            self.report(run(wanted.state, int(wanted)), int(wanted), state=wanted.state)
            trial = self._campaign.trials[trial.id]
        return self.claim()

    def begin_certificate(self, *, against: str = "", interim: bool = False) -> Trial:
        """Return the certificate under way, or begin one: see `certify`."""
        with self.writing() as campaign:
            trial = campaign.certificate
            if trial is None or not trial.open:
                check_evaluation(campaign.settings.evaluation)
                self._check_open(campaign)
                start, end = against or campaign.start_state, campaign.kept.state if campaign.kept else ""
                if not end or start == end or start not in {one.state for one in campaign.tried}:
                    raise InputError(
                        f"the states to compare are {start or 'nothing'!r} and {end or 'nothing'!r}",
                        "two states of this campaign that differ",
                        "There is nothing to certify before a try is kept.",
                    )
                spent = campaign.wealth / 2 if interim else campaign.wealth
                begin_trial(campaign, INTERIM if interim else FINAL, start, end, spent, self.append)
            elif against not in ("", trial.start):
                raise InputError(f"the certificate under way is against {trial.start}, not {against}")
            return campaign.trials[-1] if trial is None or not trial.open else trial

    def wanted(self, *, more: bool = False) -> SeedToRun | None:
        """Return the fresh run of the certificate that is wanted next; None without an open certificate.

        Parameters
        ----------
        more : bool
            Whether to hand out another run although some are not reported yet, for workers beside each other. A run
            that was handed out is wanted until it is reported: a certificate has no run that nobody hears of.
        """
        with self.writing() as campaign:
            trial = campaign.certificate
            return None if trial is None or not trial.open else self.slot_of(trial, more=more)

    def slot_of(self, trial: Trial, *, more: bool = False) -> SeedToRun:
        """Return the run of a trial that is wanted next; inside `writing`."""
        waiting, role = list(trial.waiting()), CONFIRM if trial.kind == CONFIRM else "certificate"
        if waiting and not (more and len(trial.slots) < 2 * trial.look.runs):
            slot = waiting[0]
        else:
            side, at = (START, END)[len(trial.slots) % 2], len(trial.slots)
            shared = trial.slots[-1].seed if self._campaign.settings.pair and at % 2 else None
            state = trial.start if side == START else trial.end
            self.hand_out(FRESH, role, state, shared, trial=trial.id, side=side)
            slot = trial.slots[-1]
        return SeedToRun(slot.seed, trial.start if slot.side == START else trial.end, role)

    def report(self, value: float, seed: int, *, state: str = "", **facts: Any) -> None:
        """Record a fresh run of the certificate.

        Parameters
        ----------
        value : float
            Its outcome; NaN or infinite where it failed.
        seed : int
            The seed that was handed out for it.
        state : str
            The state that was run; refused if it is not the one that the seed was handed out for.
        **facts
            seconds, guards, status and note: see `Attempt.record`.
        """
        value = number_of(value, "the outcome")
        with self.writing() as campaign:
            trial = campaign.certificate
            if trial is None:
                raise InputError("there is no certificate under way", hint="Run: runspread gate certify")
            self.report_fresh(trial, value, seed, state, facts)

    def report_fresh(self, trial: Trial, value: float, seed: int, state: str, facts: dict[str, Any]) -> None:
        """Record a fresh run of a trial; inside `writing`."""
        slots = [slot for slot in trial.slots if slot.seed == seed]
        states = {START: trial.start, END: trial.end}
        if not slots:
            raise InputError(
                f"the seed {seed} was not handed out for this certificate", "a fresh seed", "Ask: gate next-seed"
            )
        fitting = [slot for slot in slots if state in ("", states[slot.side])]
        if not fitting:
            raise InputError(
                f"the run with seed {seed} is of the state {state}",
                f"the state {states[slots[0].side]}",
                "Run that one.",
            )
        slot = next((slot for slot in fitting if slot.run is None), None)
        if slot is None:
            self.check_repeat(fitting[0].run, value)
            return
        event = self.run_event(value, seed, states[slot.side], _role_of(trial), facts)
        self.append(event | {"trial": trial.id, "side": slot.side})
        after_run_of_trial(self._campaign, trial, self.append)

    def void(self, run: int, reason: str) -> None:
        """Say that a run of the climb does not count, and why; it stays in the ledger.

        Raises
        ------
        InputError
            There is no such run, it is of a certificate, whose runs all count, or its try was decided.
        """
        with self.writing() as campaign:
            if not 0 <= run < len(campaign.runs) or not reason.strip():
                raise InputError(f"run {run} with the reason {reason!r}", "the number of a run, and a reason")
            found = campaign.runs[run]
            tried = next((one for one in campaign.tried if found in one.runs), None)
            if tried is None or tried.decision:
                raise InputError(
                    f"run {run} is of {'a certificate' if tried is None else 'a try that was decided'}",
                    "a run of an open try",
                    "What was decided with it stands; a new certificate needs a new campaign.",
                )
            self.append({"event": "void", "id": run, "reason": reason})

    def claim(self) -> Claim:
        """Return what may be claimed now."""
        from .summaries import claim

        return claim(self.campaign)

    def status(self) -> GateStatus:
        """Return where the campaign stands."""
        from .summaries import status

        return status(self)

    # ------------------------------------------------------------------ inside `writing`

    def _check_open(self, campaign: Campaign) -> None:
        trial = campaign.certificate
        final = trial is not None and trial.kind == FINAL and trial.open
        if campaign.closed or final:
            raise InputError(
                f"the campaign {'is closed: it has' if campaign.closed else 'has begun'} its final certificate",
                "a campaign that goes on",
                "Begin a new one in another ledger, or use --interim next time.",
            )

    def hand_out(self, stream: str, role: str, state: str, shared: int | None = None, **where: Any) -> int:
        """Return a seed that nobody has had, or the `shared` one of a pair, and write that it is spent."""
        setup = self._campaign.settings
        own, used = ("file" if setup.seeds else stream), self._campaign.used
        counter = self._campaign.counters.get(own, 0)
        seed = shared
        if seed is None:
            seed, counter = next_seed(setup.campaign, stream, counter, used, setup.seeds)
        event = {"event": "seed", "seed": seed, "stream": own, "counter": counter, "role": role, "state": state}
        self.append(event | where)
        return seed

    def run_event(
        self, value: float, seed: int | None, state: str, role: str, facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the event of a run, or raise if a guard has no value."""
        given: Mapping[str, Any] = facts.get("guards") or {}
        guards = {name: number_of(one, f"the guard {name}") for name, one in given.items()}
        outcome, seconds = number_of(value, "the outcome"), number_of(facts.get("seconds") or 0.0, "seconds")
        failed = not math.isfinite(outcome)
        missing = set(self._campaign.settings.guards) - guards.keys() - {"seconds"}
        if missing and not failed:
            raise InputError(f"the run has no value of {', '.join(sorted(missing))}", "a value of every guard")
        if "seconds" in self._campaign.settings.guards:
            guards.setdefault("seconds", seconds)
        status = facts.get("status") or ("failed" if failed else "completed")
        event = {"event": "run", "id": len(self._campaign.runs), "state": state, "seed": seed, "role": role}
        event |= {"outcome": None if failed else outcome, "seconds": seconds, "status": status, "guards": guards}
        return event | {key: facts[key] for key in ("note", "revision") if facts.get(key)}

    @staticmethod
    def check_repeat(run: Run | None, value: float) -> None:
        """Accept a report that is there already; refuse another value for it."""
        if run is not None and (run.outcome == value or (run.failed and not math.isfinite(value))):
            return
        raise InputError(f"the run with this seed was reported before, as {run and run.outcome}", "one report per seed")


def _role_of(trial: Trial) -> str:
    return CONFIRM if trial.kind == CONFIRM else "certificate"
