from __future__ import annotations

from itertools import count

import pytest


@pytest.fixture(autouse=True)
def same_seeds(monkeypatch):
    """Campaigns of tests have fixed names, so that the seeds that they hand out are the same every time."""
    numbers = count()
    monkeypatch.setattr("runspread.campaigns.gates.new_name", lambda: f"test{next(numbers)}")
