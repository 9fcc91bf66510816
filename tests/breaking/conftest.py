"""Counts of the full form, written as a table where ``RUNSPREAD_TALLY`` names a file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


@pytest.fixture
def tally(request):
    """Note how often something was tried, and how often a promise was broken."""

    def note(what: str, tried: int, broken: int) -> None:
        if place := os.environ.get("RUNSPREAD_TALLY"):
            line = {"test": request.node.nodeid, "what": what, "tried": tried, "broken": broken}
            with Path(place).open("a") as file:
                file.write(json.dumps(line) + "\n")
        assert broken == 0

    return note
