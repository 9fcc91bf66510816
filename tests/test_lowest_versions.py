"""The constraints of `make test-lowest` are the lower bounds that the package declares."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def parts(version: str) -> list[int]:
    numbers = [int(part) for part in version.split(".")]
    return numbers + [0] * (3 - len(numbers))


def test_the_lowest_versions_are_those_that_the_package_declares():
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
    bounds = {name.lower(): parts(low) for name, low in (text.split(">=") for text in declared)}
    text = (REPOSITORY / "constraints-lowest.txt").read_text()
    pinned = {name.lower(): parts(version) for name, version in re.findall(r"^([\w-]+)==([\d.]+)$", text, re.MULTILINE)}
    assert {name: pinned.get(name) for name in bounds} == bounds
    newest = (REPOSITORY / "constraints.txt").read_text().lower()
    assert [name for name in bounds if f"\n{name}==" not in newest] == []
