"""`Attempt`: one try of a campaign, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..methods.gate.climbing import AGAIN
from ..methods.gate.climbing import CONFIRM as CONFIRMING
from .deciding import after_run_of_attempt, why_of
from .records import Slot, Trial, Tried, number_of
from .replay import Campaign
from .seeds import CLIMB, SeedToRun

if TYPE_CHECKING:
    from .gates import Gate


class Attempt:
    """One try: `next_seed` says what to run, `record` takes the outcome, until it is decided.

    Attributes
    ----------
    gate : Gate
        Its campaign.
    id : int
        Its number in the ledger.
    """

    def __init__(self, gate: Gate, number: int) -> None:
        self.gate, self.id = gate, number

    @property
    def _tried(self) -> Tried:
        return self.gate.campaign.tried[self.id]

    @property
    def state(self) -> str:
        """What is trained."""
        return self._tried.state

    @property
    def decision(self) -> str:
        """What was decided: start, keep, drop, confirm (fresh runs are wanted), run again, or nothing before a run."""
        tried = self._tried
        if tried.decision:
            return tried.decision
        if self.gate.campaign.confirming(tried):
            return CONFIRMING
        return AGAIN if tried.runs else ""

    @property
    def why(self) -> str:
        """Why it was decided so."""
        tried = self._tried
        return tried.why or (why_of(self.gate.campaign, tried) if tried.runs and self.gate.campaign.kept else "")

    @property
    def kept(self) -> bool:
        """Whether it was kept."""
        return self.decision in ("start", "keep")

    @property
    def waiting(self) -> SeedToRun | None:
        """The seed that was handed out last, while its run is not reported."""
        campaign, tried = self.gate.campaign, self._tried
        if tried.decision or tried.waiting is None or campaign.confirming(tried):
            return None
        return SeedToRun(tried.waiting, tried.state, self._role(campaign, tried))

    def next_seed(self) -> SeedToRun | None:
        """Return the next seed to run, with its ``.state``; None when the try is decided.

        Under the rule "strict" a try that passes is confirmed: then the state may be the kept one.
        """
        with self.gate.writing() as campaign:
            tried = campaign.tried[self.id]
            if tried.decision:
                return None
            if trial := campaign.confirming(tried):
                return self.gate.slot_of(trial)
            role = self._role(campaign, tried)
            seed = self.gate.hand_out(CLIMB, role, tried.state, attempt=tried.id)
            return SeedToRun(seed, tried.state, role)

    def record(
        self,
        value: float,
        *,
        seed: int | None = None,
        seconds: float = 0.0,
        guards: Mapping[str, float] | None = None,
        status: str = "",
        note: str = "",
        state: str = "",
    ) -> str:
        """Report a run, and return the decision.

        Parameters
        ----------
        value : float
            Its outcome; NaN or infinite where it failed, which is worse than every finite one.
        seed : int, optional
            Its seed; by default the one that was handed out last.
        seconds : float
            How long it took.
        guards : mapping of str to float
            Values of the campaign's guards.
        status : str
            What happened to a run that failed.
        note : str
            Kept in the ledger.
        state : str
            The state that was run, where it is known: refused if it is another one.

        Returns
        -------
        str
            See `decision`.

        Raises
        ------
        InputError
            The try is decided, the seed was used before, or a guard is missing.
        """
        value = number_of(value, "the outcome")
        facts = {"seconds": seconds, "guards": guards, "status": status, "note": note}
        with self.gate.writing() as campaign:
            tried = campaign.tried[self.id]
            trial = campaign.confirming(tried)
            if trial is not None:
                self._record_fresh(trial, value, seed, state, facts)
            else:
                self._record(campaign, tried, value, tried.waiting if seed is None else int(seed), state, facts)
        return self.decision

    def _record_fresh(self, trial: Trial, value: float, seed: int | None, state: str, facts: dict[str, Any]) -> None:
        waiting: list[Slot] = list(trial.waiting())
        if seed is None and not waiting:
            raise InputError("no seed was handed out for this run", hint="Call next_seed() first.")
        self.gate.report_fresh(trial, value, waiting[0].seed if seed is None else int(seed), state, facts)

    def _record(
        self, campaign: Campaign, tried: Tried, value: float, seed: int | None, state: str, facts: dict[str, Any]
    ) -> None:
        if state and state != tried.state:
            raise InputError(f"the run is of the state {state}, the try {tried.name!r} of {tried.state}")
        before = next((run for run in campaign.runs if seed is not None and run.seed == seed), None)
        if before is not None and before in tried.runs:
            self.gate.check_repeat(before, value)
            return
        if tried.decision:
            raise InputError(
                f"the try {tried.name!r} was decided: {tried.decision}", "an open try", "Begin another try."
            )
        taken = campaign.used.get(seed) if seed is not None else None
        if taken is not None and (before is not None or taken != tried.state):
            raise InputError(f"the seed {seed} was used before, for {taken}", "a seed that no run has had")
        event = self.gate.run_event(value, seed, tried.state, self._role(campaign, tried), facts)
        self.gate.append(event | {"attempt": tried.id})
        after_run_of_attempt(campaign, tried, self.gate.append)

    @staticmethod
    def _role(campaign: Campaign, tried: Tried) -> str:
        if tried is campaign.start:
            return "baseline"
        return "second" if tried.counted() else "try"
