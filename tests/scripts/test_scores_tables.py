"""The tables of scores again, with few data sets: no cell lies far from what is specified."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "studies"


@pytest.mark.slow
def test_the_tables_come_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    import scores_tables as tables

    sets, rows = 200, []
    for part in tables.PARTS:
        rows += part(sets)
    assert len(rows) == 190 + 70 + 63 + 24 + 45 + 28
    assert [row for row in rows if row.apart > tables.FURTHEST] == []
