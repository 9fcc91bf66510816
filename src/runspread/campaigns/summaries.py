"""A campaign as a result: what may be claimed, and where it stands."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from ..methods.gate.claims import Bounds, Claim, claim_of
from ..methods.gate.climbing import CONFIRM as CONFIRMING
from ..methods.gate.looks import certificate_looks
from ..methods.gate.spreads import noise_warnings
from ..methods.gate.status import Asked, Cost, GateStatus, TryRow
from .records import CONFIRM, END, START, Trial, Tried
from .replay import CONSTANT, Campaign
from .states import environment

if TYPE_CHECKING:
    from .gates import Gate


def claim(campaign: Campaign) -> Claim:
    """Return what may be claimed of a campaign now: by its last certificate whose looks were judged."""
    trial, facts = campaign.certificate, _facts(campaign)
    if trial is None or not trial.judged:
        return Claim(certified=False, verdict="none", bounds=Bounds(), **facts)
    if trial.verdict == CONSTANT:
        return Claim(certified=False, verdict=CONSTANT, bounds=Bounds(), start=trial.start, end=trial.end, **facts)
    look = trial.looks[trial.judged - 1]
    sides = trial.sides(campaign.settings)
    return claim_of(sides, trial.looks, look, trial.verdict, trial.p, start=trial.start, end=trial.end, **facts)


def _facts(campaign: Campaign) -> dict[str, Any]:
    keeps = sum(tried.decision == "keep" for tried in campaign.tried)
    climbed = sum(len(tried.runs) for tried in campaign.tried)
    tries = len(campaign.tried) - 1 if campaign.tried else 0
    return {
        "metric": campaign.settings.metric,
        "tries": tries,
        "keeps": keeps,
        "climb_runs": climbed,
        "bar": campaign.bar,
    }


def status(gate: Gate) -> GateStatus:
    """Return where a campaign stands."""
    campaign = gate.campaign
    setup, found = campaign.settings, campaign.noise()
    said = claim(campaign)
    return GateStatus(
        asked=_asked(campaign),
        metric=setup.metric,
        higher=setup.higher,
        rule=setup.rule,
        start=campaign.start.state if campaign.start else "",
        kept=campaign.kept.state if campaign.kept else "",
        bar=campaign.bar,
        noise=found,
        alpha=setup.alpha,
        wealth=campaign.wealth,
        closed=campaign.closed,
        campaigns=_campaigns(gate),
        cost=_cost(campaign),
        claim=said,
        attempts=tuple(_row(tried) for tried in campaign.tried),
        warnings=(*said.warnings, *_warnings(gate, campaign)),
    )


def _row(tried: Tried) -> TryRow:
    runs = tuple(run.outcome for run in tried.runs)
    seconds = sum(run.seconds for run in tried.runs)
    return TryRow(tried.name, tried.state, tried.decision, runs, tried.mean(), tried.bar, seconds, tried.note)


def _asked(campaign: Campaign) -> Asked:
    trial = campaign.certificate
    if trial is not None and (trial.open or campaign.closed):
        return asked_of_certificate(trial)
    tried = campaign.tried[-1] if campaign.tried else None
    if tried is None:
        return Asked(next={})
    return Asked(decision=decision_of(campaign, tried), why=tried.why, next=_next(campaign, tried))


def asked_of_certificate(trial: Trial) -> Asked:
    """Return how a certificate stands, and which of its runs was handed out and is not reported."""
    slot = next(trial.waiting(), None)
    state = {START: trial.start, END: trial.end}
    wanted = {"seed": slot.seed, "state": state[slot.side], "role": "certificate"} if slot else {}
    return Asked(decision=trial.verdict, why=_progress(trial), next=wanted)


def decision_of(campaign: Campaign, tried: Tried) -> str:
    """Return the decision on an attempt."""
    return tried.decision or (CONFIRMING if campaign.confirming(tried) else "run again" if tried.runs else "")


def _next(campaign: Campaign, tried: Tried) -> dict[str, Any]:
    if tried.decision or tried.waiting is None:
        return {}
    return {"seed": tried.waiting, "state": tried.state, "role": "second" if tried.runs else "try"}


def _progress(trial: Trial) -> str:
    if trial.verdict == CONSTANT:
        return "the runs do not vary"
    if not trial.open:
        return f"p = {trial.p:.2g} at look {trial.judged} of {len(trial.looks)}"
    done = sum(slot.run is not None for slot in trial.slots)
    return f"{done} of {2 * trial.look.runs} fresh runs of look {trial.at + 1} are reported"


def _cost(campaign: Campaign) -> Cost:
    timed = [run.seconds for run in campaign.runs if run.seconds > 0]
    typical = statistics.median(timed) if timed else math.nan
    setup = campaign.settings
    looks = certificate_looks(setup.alpha, pair=setup.pair, fixed=setup.fixed, test=setup.test)
    dropped = [tried for tried in campaign.tried if tried.decision == "drop"]
    return Cost(
        tries=max(len(campaign.tried) - 1, 0),
        keeps=sum(tried.decision == "keep" for tried in campaign.tried),
        runs=len(campaign.runs),
        failed=sum(run.failed for run in campaign.runs),
        seconds=sum(run.seconds for run in campaign.runs),
        seconds_a_run=typical,
        certificate_seconds=(2 * looks[0].runs * typical, 2 * looks[-1].runs * typical),
        early_drops=sum(len(tried.runs) == 1 for tried in dropped),
    )


def _campaigns(gate: Gate) -> int:
    """Return how many ledgers lie in the folder of one; each spends a level of its own."""
    own = gate.ledger.path
    return max(len({*own.parent.glob("*.gate.jsonl"), own} if own.exists() else {own}), 1)


def _warnings(gate: Gate, campaign: Campaign) -> list[str]:
    notes = noise_warnings(campaign.unselected(), campaign.noise())
    if gate.ledger.torn:
        notes.append("The last line of the ledger is torn: it does not count, and the next writer moves it aside.")
    if (number := _campaigns(gate)) > 1:
        notes.append(f"There are {number} campaigns in this folder: each may err once in {_once_in(campaign)}.")
    equal = next((state for state, values in _by_seed(campaign).items() if len(set(values)) < len(values)), None)
    if equal is not None:
        notes.append(f"Two runs of {equal} with different seeds agree to the last digit: is the seed used?")
    known = campaign.settings.environment
    changed = sorted(name for name, value in environment().items() if known.get(name, value) != value)
    if changed:
        notes.append(f"The environment changed since the campaign began: {', '.join(changed)}.")
    if campaign.settings.rule == "one":
        notes.append("The rule 'one' keeps most of what chance offers; it is certified the same way.")
    if campaign.settings.rule == "two-more":
        notes.append("The rule 'two-more' drifts where nothing helps: with each keep the bar loses its luck.")
    open_ones = [trial for trial in campaign.trials if trial.open and trial.kind != CONFIRM]
    if open_ones and any(open_ones[0].waiting()):
        notes.append("A fresh run that was handed out counts: report it, as failed if it was lost.")
    return notes


def _once_in(campaign: Campaign) -> str:
    return f"{1 / campaign.settings.alpha:.3g}"


def _by_seed(campaign: Campaign) -> dict[str, list[float]]:
    found: dict[str, dict[int, float]] = {}
    for run in campaign.runs:
        if run.seed is not None and not run.failed:
            found.setdefault(run.state, {})[run.seed] = run.outcome
    return {state: list(values.values()) for state, values in found.items()}
