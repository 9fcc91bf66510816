"""Runs a contract outside pytest's own collection, to see which of its tests a broken implementation fails."""

from __future__ import annotations

import inspect
from pathlib import Path


def failures(contract: object, folder: Path) -> set[str]:
    """Return the names of the tests that fail (an AssertionError, or pytest's own failure), without ``test_``."""
    failed: set[str] = set()
    for name, test in inspect.getmembers(contract, inspect.ismethod):
        if name.startswith("test_"):
            own = folder / name
            own.mkdir()
            try:
                test(*([own] if "tmp_path" in inspect.signature(test).parameters else []))
            except BaseException as error:
                if type(error).__name__ != "Skipped":
                    failed.add(name.removeprefix("test_"))
    return failed
