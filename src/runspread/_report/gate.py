"""The page of a campaign: the climb, the noise, what is certified and what is not."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from .._reading.study_folders import target_path
from .._results import Table
from .._words import count
from .rendering import page_of_sections, write_text
from .sections import Section, figure

if TYPE_CHECKING:
    from ..campaigns.gates import Gate
    from ..methods.gate.status import GateStatus


def write_gate_page(gate: Gate, path: str | os.PathLike[str] | None = None) -> Path:
    """Write a campaign as one HTML page that opens offline, by default beside its ledger."""
    own = gate.ledger.path
    target = own.with_name(f"{own.name.removesuffix('.jsonl')}.html") if path is None else target_path(path)
    found = gate.status()
    page = page_of_sections(
        f"Campaign {own.name.removesuffix('.gate.jsonl')}",
        "Tries of a change, one after the other, and what may be claimed of them.",
        [_claim(found), _climb(found), _noise(found), _cost(found)],
    )
    return write_text(target, page)


def _claim(found: GateStatus) -> Section:
    tables = (found.claim.table(),) if found.claim.runs else ()
    return Section("What may be claimed", found.sentence(), tables=tables, notes=found.claim.warnings)


def _climb(found: GateStatus) -> Section:
    drawn = figure(
        found.plot,
        shows="Every run of every try, in order, and the bar that the next try has to beat.",
        does_not_show="How good the kept state is: the bar is the best of many, so it is too good.",
    )
    lead = f"{count(found.cost.tries, 'try', 'tries')}, {found.cost.keeps} kept; the bar is {found.bar:.6g}."
    return Section("The climb claims nothing", lead, (drawn,), (found.table(),))


def _noise(found: GateStatus) -> Section:
    noise = found.noise
    lead = "Nothing is known of the noise: no state was run twice without being chosen."
    if math.isfinite(noise.noise_sd):
        lead = (
            f"Runs of one state have a standard deviation of {noise.noise_sd:.3g}, on {noise.noise_df} degrees of "
            "freedom, from runs that were not chosen for what they showed."
        )
    return Section("Noise", lead, notes=tuple(note for note in found.warnings if note not in found.claim.warnings))


def _cost(found: GateStatus) -> Section:
    cost = found.cost
    hours = [cost.seconds, cost.seconds_a_run, *cost.certificate_seconds]
    names = ["all runs so far", "one run (median)", "a certificate that ends at the first look", "one with all looks"]
    lead = (
        f"{count(cost.runs, 'run')}, of which {cost.failed} failed; {count(cost.early_drops, 'try', 'tries')} "
        f"needed one run to be dropped. Of the level {found.alpha:g}, {found.wealth:.3g} is left."
    )
    return Section("Cost", lead, tables=(Table({"": names, "hours": [second / 3600 for second in hours]}),))
