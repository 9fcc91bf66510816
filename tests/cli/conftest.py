from __future__ import annotations

import subprocess
import sys

import pytest


def demo(folder, *words):
    """Call the command as a newcomer does."""
    called = [sys.executable, "-m", "runspread", "demo", "--out", folder, *map(str, words)]
    return subprocess.run(called, capture_output=True, text=True, check=True)


@pytest.fixture(scope="package")
def small_demo(tmp_path_factory):
    """The folder of a small demo, and what the command said."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    folder = tmp_path_factory.mktemp("demo") / "study"
    return folder, demo(folder, "--runs", 12)
