"""A page of a study with very many classes is bounded in time, memory and size, and says what it looked at instead."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import runspread as rs
from runspread._report import trimming

from ..breaking.tools import environment


def many_classes(folder, classes, examples, runs=6):
    labels = np.arange(examples) % classes
    study = rs.create_study(folder, splits={"test": labels})
    for seed in range(runs):
        outputs = np.random.default_rng(seed).normal(size=(examples, classes)).astype(np.float16)
        outputs[np.arange(examples), labels] += 3
        with study.record(seeds=seed) as run:
            run.predictions("test", outputs)
    return study


def test_of_many_outputs_of_many_classes_the_section_looks_at_the_true_class(tmp_path, monkeypatch):
    study = many_classes(tmp_path / "s", classes=8, examples=40)
    monkeypatch.setattr(trimming, "MANY_VALUES", 0)  # no sizes
    whole = trimming.trimming(study)
    monkeypatch.setattr(trimming, "MANY_CLASSES", 5)
    assert trimming.trimming(study).notes == whole.notes  # they are not many outputs
    monkeypatch.setattr(trimming, "MANY_OUTPUTS", 1000)
    found = trimming.trimming(study)
    expected = rs.trimming(study, margin="true-class").sentence()
    assert found.lead == expected != whole.lead
    notes = " ".join(found.notes)
    assert "These are the margins of the true classes" in notes
    assert "runspread trimming s --sizes" in notes


PAGE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
import runspread as rs
rs.report(sys.argv[1], sys.argv[2])
"""


@pytest.mark.slow
def test_a_page_of_ten_thousand_classes_is_bounded(tmp_path):
    """It had not ended after four minutes."""
    many_classes(tmp_path / "s", classes=10_000, examples=1000)
    page = tmp_path / "page.html"
    call = [sys.executable, "-c", PAGE, str(tmp_path / "s"), str(page)]
    done = subprocess.run(call, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert page.stat().st_size < 10**6
    assert "Not available" not in page.read_text()
