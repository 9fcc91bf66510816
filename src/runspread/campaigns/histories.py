"""Adoption of an existing table of tries: read only, replayed into a new ledger, and what it can say by itself."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .._words import count
from ..errors import InputError
from ..methods.gate.history import noise_of_chance
from .gates import Gate

_COLUMNS = {
    "state": ("commit", "revision", "sha", "state", "id", "experiment", "name"),
    "status": ("status", "decision", "kept", "result"),
    "note": ("description", "note", "desc", "message", "change"),
    "seconds": ("seconds", "time_s", "duration", "wall_time"),
}
_VALUES = ("val_bpb", "val_loss", "loss", "value", "metric", "score", "accuracy", "val_acc")
_KEPT, _DROPPED, _CRASHED = (
    ("keep", "kept", "accept", "1", "true"),
    ("discard", "drop", "reject", "0", "false"),
    "crash",
)


@dataclass(frozen=True)
class Row:
    """One try of a history."""

    state: str
    value: float  # NaN where it crashed
    status: str  # keep, drop or crash
    note: str
    seconds: float


def read_history(path: str | Path, metric: str = "") -> tuple[str, list[Row]]:
    """Return the metric's column and the rows of a table with a line per try, tabs or commas between its columns.

    Raises
    ------
    InputError
        It has no rows, or no column of outcomes or decisions that can be recognised.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}", "a table with a line per try") from error
    reader = csv.DictReader(lines, delimiter="\t" if lines and "\t" in lines[0] else ",")
    names = {name.strip().lower(): name for name in reader.fieldnames or ()}
    chosen = {what: next((names[one] for one in known if one in names), "") for what, known in _COLUMNS.items()}
    value = metric if metric in (reader.fieldnames or ()) else next((names[one] for one in _VALUES if one in names), "")
    if not value or not chosen["status"] or (metric and value != metric):
        raise InputError(
            f"{path} has the columns {', '.join(names) or 'none'}",
            f"{metric or 'a metric such as val_loss'}, and a status of keep, discard or crash",
            "Name the metric: --metric COLUMN",
        )
    rows = [_row(number, cells, value, chosen) for number, cells in enumerate(reader, 2)]
    if not rows:
        raise InputError(f"{path} has no tries", "a line per try")
    return value, rows


def _row(number: int, cells: dict[str, str | None], value: str, chosen: dict[str, str]) -> Row:
    status = (cells.get(chosen["status"]) or "").strip().lower()
    known = "keep" if status in _KEPT else "drop" if status in _DROPPED else "crash" if _CRASHED in status else ""
    text = (cells.get(value) or "").strip()
    try:
        outcome = float(text) if text and known != "crash" else math.nan
    except ValueError:
        known = ""
        outcome = math.nan
    if not known or (known == "keep" and not math.isfinite(outcome)):
        raise InputError(
            f"line {number} has {value} {text!r} and status {status!r}", "a number, and keep, discard or crash"
        )
    seconds = (cells.get(chosen["seconds"]) or "").strip() if chosen["seconds"] else ""
    return Row(
        state=(cells.get(chosen["state"]) or f"line {number}").strip(),
        value=outcome,
        status=known,
        note=(cells.get(chosen["note"]) or "").strip()[:1000],
        seconds=float(seconds) if seconds.replace(".", "", 1).isdigit() else 0.0,
    )


def adopt(gate: Gate, rows: Sequence[Row], file: str) -> None:
    """Write a history into a new ledger, as tries without seeds; decisions are those of the history."""
    with gate.writing():
        for number, row in enumerate(rows):
            facts = {"event": "attempt", "attempt": number, "name": f"{number}: {row.state}", "state": row.state}
            gate.append(facts | {"imported": True, "note": row.note, "source": file})
            outcome = row.value if math.isfinite(row.value) else math.nan
            event = gate.run_event(outcome, None, row.state, "try", {"seconds": row.seconds})
            gate.append(event | {"attempt": number})
            if not number or row.status == "keep":
                if not math.isfinite(row.value):
                    raise InputError("the first try of the history failed", "an outcome of the start")
                why = "the start of the history" if not number else "the history kept it"
                gate.append({"event": "keep", "attempt": number, "bar": row.value, "why": why})
            else:
                gate.append({"event": "drop", "attempt": number, "why": "the history dropped it"})


def _of_chance(gain: float, tries: int, *, higher: bool) -> str:
    """Return how much noise would give a gain by chance, where there is one."""
    if gain <= 0:
        better = "higher" if higher else "lower"
        return f"The last that was kept is not better than the first if {better} is better: is that right (--higher)?"
    return (
        f"The last that was kept is better than the first by {gain:.4g}. If runs of one state have a standard "
        f"deviation of {noise_of_chance(gain, tries):.2g}, the best of {count(tries, 'try', 'tries')} that change "
        "nothing is as much better on average."
    )


def history_sentences(rows: Sequence[Row], *, higher: bool) -> list[str]:
    """Return what a history can say: how many tries, how much noise would explain it, and what to do."""
    tries, kept = rows[1:], [row for row in rows[1:] if row.status == "keep"]
    said = [f"{count(len(tries), 'try', 'tries')}, {len(kept)} kept, {sum(r.status == 'crash' for r in rows)} crashed."]
    finished = [row.value for row in tries if math.isfinite(row.value)]
    sign = -1.0 if higher else 1.0
    if kept and finished:
        gain = sign * (rows[0].value - kept[-1].value)
        said.append(_of_chance(gain, len(finished), higher=higher))
    repeats = {state: n for state, n in Counter(row.state for row in rows).items() if n > 1}
    if not repeats:
        said.append("No state was run twice, so the history does not say how much runs of one state differ.")
    if kept:
        said.append(
            f"Nothing can be certified from a history. To find out, run {rows[0].state} and {kept[-1].state} 5 times "
            "each with fresh seeds, which `runspread gate certify` hands out."
        )
    return said
