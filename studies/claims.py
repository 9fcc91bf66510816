"""What the studies share: a claim beside what was measured, as a row of a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Claim:
    """One claim, its tolerance, what was measured, and whether it holds (None: reported only)."""

    name: str
    expected: str
    measured: str
    holds: bool | None


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def claims_table(claims: Sequence[Claim]) -> str:
    """Return claims as a table in Markdown; what misses says so."""
    verdicts = {True: "holds", False: "**missed**", None: "reported"}
    rows = [(claim.name, claim.expected, claim.measured, verdicts[claim.holds]) for claim in claims]
    return markdown_table(("claim", "expected", "measured", "verdict"), rows)


def save(path: Path, claims: Sequence[Claim], **facts: Any) -> None:
    """Write claims and figures as JSON, for whoever wants the digits."""
    path.write_text(json.dumps({"claims": [asdict(claim) for claim in claims], **facts}, indent=1, default=float))
