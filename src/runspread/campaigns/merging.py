"""Ledgers of two machines become one: their events by time, numbered anew."""

from __future__ import annotations

import heapq
import os
from collections.abc import Sequence
from typing import Any

from .._reading.study_folders import target_path
from ..errors import InputError
from .gates import Gate
from .ledger import Ledger
from .replay import Campaign

_ALIKE = ("metric", "higher", "rule", "test", "pair", "guards", "evaluation")


def merge_ledgers(paths: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> Gate:
    """Write the events of several ledgers into a new one, by their time; the first gives the campaign its settings.

    Parameters
    ----------
    paths : sequence of path
        Ledgers of the same metric, rule and evaluation; one of them may have a certificate, and then it is the first.
    out : path
        The new ledger; the others stay as they are.

    Returns
    -------
    Gate
        The merged campaign: its start is that of the ledger that began first.

    Raises
    ------
    InputError
        They are of different campaigns in kind, or two have a run with the same seed: one of them is a copy.

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> folder = mkdtemp()
    >>> for name in "ab":
    ...     gate = rs.gate(f"{folder}/{name}.jsonl", metric="val_loss")
    >>> merged = rs.campaigns.merge_ledgers([f"{folder}/a.jsonl", f"{folder}/b.jsonl"], f"{folder}/both.jsonl")
    """
    if target_path(out).exists():
        raise InputError(f"{out} is there already", "a new ledger", "Name another with --out.")
    read = [Ledger(path).read_new() for path in paths]
    if len(read) < 2 or not all(read):
        raise InputError(f"{len(read)} ledgers, of which {sum(map(bool, read))} hold events", "two or more")
    for path, events in zip(paths[1:], read[1:], strict=True):
        for name in _ALIKE:
            if events[0].get(name) != read[0][0].get(name):
                raise InputError(f"{path} has {name} {events[0].get(name)!r}, {paths[0]} {read[0][0].get(name)!r}")
        if any(event["event"] == "certificate" for event in events):
            raise InputError(f"{path} has a certificate of its own", "one ledger with certificates", "Name it first.")
    _check_seeds(paths, read)
    numbered = ([(event["time"], at, event) for event in events[1:]] for at, events in enumerate(read))
    gate, renumbered = Gate(out), _Numbers()
    with gate.writing() as campaign:
        gate.append(_bare(read[0][0]))
        for _, at, event in heapq.merge(*numbered, key=lambda one: one[:2]):
            gate.append(_keep_the_best(campaign, renumbered.of(at, _bare(event)), paths[at]))
    return gate


def _keep_the_best(campaign: Campaign, event: dict[str, Any], path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a decision of one ledger as one of both: what was kept is so only if it is better than what both have."""
    if event["event"] != "keep" or campaign.kept is None:
        return event
    sign = campaign.settings.sign
    if sign * event["bar"] < sign * campaign.bar:
        return event
    why = f"kept in {os.fspath(path)}, not better than the bar of both ledgers"
    return {**event, "event": "drop", "bar": None, "why": why}


def _bare(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in ("crc", "prev")}


def _check_seeds(paths: Sequence[str | os.PathLike[str]], read: Sequence[list[dict[str, Any]]]) -> None:
    """Raise if two ledgers have handed out or reported one seed."""
    known: dict[int, Any] = {}
    for path, events in zip(paths, read, strict=True):
        own = {event["seed"] for event in events if event.get("seed") is not None}
        shared = own & known.keys()
        if shared:
            raise InputError(
                f"{path} and {known[min(shared)]} both have the seed {min(shared)}",
                "ledgers that were begun apart",
                "One of them is a copy of the other, or both had their seeds from one file.",
            )
        known |= dict.fromkeys(own, path)


class _Numbers:
    """Numbers of attempts, runs and trials in the merged ledger."""

    def __init__(self) -> None:
        self._new: dict[tuple[str, int, int], int] = {}
        self._next: dict[str, int] = dict.fromkeys(("attempt", "run", "trial"), 0)

    def of(self, ledger: int, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event of a ledger with its numbers in the merged one."""
        kind = event["event"]
        begins = {"attempt": "attempt", "run": "run"}.get(kind)
        if kind == "certificate" and event["verdict"] == "begun":
            begins = "trial"
        changed = dict(event)
        for key, what in (("attempt", "attempt"), ("trial", "trial"), ("id", "run")):
            if changed.get(key) is not None:
                changed[key] = self._number(what, ledger, changed[key], new=what == begins)
        return changed

    def _number(self, what: str, ledger: int, old: int, *, new: bool) -> int:
        if new:
            self._new[what, ledger, old] = self._next[what]
            self._next[what] += 1
        return self._new[what, ledger, old]
