"""A fast part of the simulated promises: none may be missed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "studies"
FAMILIES = sorted(file.stem for file in (FOLDER / "simulations").glob("[a-z]*.py") if file.stem != "promises")


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_promises_are_kept(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    rows = list(importlib.import_module(f"simulations.{family}").promises(0.1))
    assert rows
    missed = [f"{row.what}; {row.setting}: {row.hits} of {row.trials}" for row in rows if row.assumed and not row.kept]
    assert not missed
