"""What follows from a reported run: decisions on attempts, and looks of trials. Called while the ledger is locked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..errors import InputError
from ..methods.gate.claims import judge_sides
from ..methods.gate.climbing import AGAIN, DECIDING, KEEP, RUNS, decide
from ..methods.gate.climbing import CONFIRM as CONFIRMING
from ..methods.gate.defaults import CONFIRMATION_RUNS
from ..methods.gate.looks import CERTIFIED, confirmation_level
from .records import CONFIRM, Trial, Tried, looks_of
from .replay import CONSTANT, Campaign

Append = Callable[[dict[str, Any]], None]


def after_run_of_attempt(campaign: Campaign, tried: Tried, append: Append) -> None:
    """Decide an attempt, if its runs suffice, and write the decision."""
    if tried is campaign.start:
        _after_run_of_start(campaign, tried, append)
        return
    setup, runs = campaign.settings, tried.losses(campaign.settings.sign)
    sd = campaign.noise().noise_sd
    slack = setup.slack + (sd if setup.rule == "strict" and sd > 0 else 0.0)
    verdict = decide(runs, setup.sign * campaign.bar, setup.rule, slack=slack)
    if verdict == AGAIN:
        return
    if verdict == CONFIRMING:
        _begin_confirmation(campaign, tried, append)
    elif verdict == KEEP:
        append({"event": "keep", "attempt": tried.id, "bar": _mean_of_finished(tried), "why": why_of(campaign, tried)})
    else:
        append({"event": "drop", "attempt": tried.id, "why": why_of(campaign, tried)})


def _after_run_of_start(campaign: Campaign, tried: Tried, append: Append) -> None:
    """Make the mean of the start's finished runs the bar, once there are enough of them."""
    finished = [run for run in tried.counted() if not run.failed]
    setup = campaign.settings
    if len(finished) >= (setup.start_runs or RUNS[setup.rule]):
        bar = _mean_of_finished(tried)
        append({"event": "keep", "attempt": tried.id, "bar": bar, "why": "the start of the campaign"})


def _mean_of_finished(tried: Tried) -> float:
    finished = [run.outcome for run in tried.counted() if not run.failed]
    return math.fsum(finished) / len(finished)


def why_of(campaign: Campaign, tried: Tried) -> str:
    """Return how an attempt stands against the bar."""
    setup = campaign.settings
    runs = tried.counted()[: DECIDING[setup.rule]]
    if runs and runs[-1].failed:
        return f"its run {len(runs)} failed ({runs[-1].status})"
    mean = math.fsum(run.outcome for run in runs) / len(runs) if runs else math.nan
    better = "below" if setup.sign > 0 else "above"
    far = campaign.noise()
    gap = setup.sign * (campaign.bar - mean)
    spreads = f", by {abs(gap) / far.noise_sd:.1f} sd" if far.noise_sd > 0 else ""
    what = f"its run, {mean:.6g}," if len(runs) == 1 else f"the mean of its {len(runs)} runs, {mean:.6g},"
    enough = gap > 0 and setup.slack >= gap
    is_better = "is" if gap > 0 else "is not"
    return f"{what} {is_better} {better} the bar {campaign.bar:.6g}{spreads}{', less than the slack' if enough else ''}"


def _begin_confirmation(campaign: Campaign, tried: Tried, append: Append) -> None:
    spent = confirmation_level(campaign.wealth)
    try:
        looks_of(campaign.settings, CONFIRM, spent, CONFIRMATION_RUNS)
    except InputError:
        append({"event": "drop", "attempt": tried.id, "why": "no level is left to confirm it with"})
        return
    kept = campaign.kept.state if campaign.kept else campaign.start_state
    begin_trial(campaign, CONFIRM, kept, tried.state, spent, append, attempt=tried.id)


def begin_trial(
    campaign: Campaign, kind: str, start: str, end: str, spent: float, append: Append, *, attempt: int | None = None
) -> None:
    """Write that a trial begins, and take its level from the wealth."""
    looks_of(campaign.settings, kind, spent, CONFIRMATION_RUNS)  # raises where no look can reach its level
    event = {"event": "certificate", "verdict": "begun", "trial": len(campaign.trials), "kind": kind}
    append(event | {"start": start, "end": end, "spent": spent, "attempt": attempt, "wealth": campaign.wealth - spent})


def after_run_of_trial(campaign: Campaign, trial: Trial, append: Append) -> None:
    """Judge a trial's look, if its runs are there, and write how it ended."""
    if not trial.open or not trial.complete():
        return
    setup, look, at = campaign.settings, trial.look, trial.at
    sides = trial.sides(setup)
    event: dict[str, Any] = {"event": "certificate", "trial": trial.id, "look": at, "runs": look.runs}
    if not at and sides.first(look.runs).constant():
        append(event | {"verdict": CONSTANT, "p": None, "wealth": campaign.wealth + trial.spent})
    else:
        guards = [one.p_value(trial.sides(setup, one.name), look, test=setup.test) for one in setup.guarding()]
        last = at == len(trial.looks) - 1
        failed_as = campaign.failed_as(trial)
        found = judge_sides(sides, look, failed_as, last=last, test=setup.test, guards=tuple(guards))
        gain = sides.first(look.runs).gain(look.level).gain
        facts = {"verdict": found.verdict, "p": found.p, "level": look.level, "guards": guards}
        append(event | facts | {"gain": None if math.isnan(gain) else gain, "wealth": campaign.wealth})
    if trial.kind == CONFIRM and not trial.open:
        _after_confirmation(campaign, trial, append)


def _after_confirmation(campaign: Campaign, trial: Trial, append: Append) -> None:
    """Keep what was confirmed; the bar is the mean of the fresh runs of whichever is kept."""
    assert trial.attempt is not None
    still = campaign.kept is not None and campaign.kept.state == trial.start
    side = "end" if trial.verdict == CERTIFIED else "start"
    fresh = [run.outcome for run in trial.runs_of(side) if not run.failed]
    bar = math.fsum(fresh) / len(fresh) if fresh else campaign.bar
    if trial.verdict == CERTIFIED and still:
        why = f"confirmed on {trial.look.runs} fresh runs each (p = {trial.p:.2g})"
        append({"event": "keep", "attempt": trial.attempt, "bar": bar, "why": why})
        return
    why = "the state that it was held against is not the kept one any more"
    if trial.verdict == CONSTANT:
        why = "its fresh runs do not vary"
    elif still:
        why = f"not confirmed on {trial.look.runs} fresh runs each (p = {trial.p:.2g})"
    append({"event": "drop", "attempt": trial.attempt, "why": why, "bar": bar if still else None})
