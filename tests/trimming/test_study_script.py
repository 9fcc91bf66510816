"""The study's analysis on made-up runs: tables have their rows, claims their verdicts."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import runspread as rs

SCRIPT = Path(__file__).parents[2] / "studies" / "trimming" / "trimming.py"


@pytest.fixture(scope="module")
def script():
    specification = importlib.util.spec_from_file_location("study_of_trimming", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    before = list(sys.path)
    specification.loader.exec_module(module)
    sys.path[:] = before
    module.BOOTSTRAP = 50
    return module


def made(path, runs, scale, seed):
    """Binary runs on 120 examples, of two splits; `scale` tells one kind of training from another."""
    rng = np.random.default_rng(seed)
    labels = np.arange(120) % 2
    study = rs.create_study(path, splits={"test": labels, "validation": labels})
    for number in range(runs):
        with study.record(seeds=number) as run:
            for split in ("test", "validation"):
                run.predictions(split, scale * (2 * np.eye(2)[labels] + rng.normal(size=(120, 2)) + rng.normal() / 3))
    return study


@pytest.fixture(scope="module")
def arms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arms")
    return {
        "init only": made(folder / "init", 8, 1.0, 1),
        "order only": made(folder / "order", 8, 9.0, 2),
        "both": made(folder / "both", 20, 1.0, 3),
    }


def test_experiments(script, arms, tmp_path):
    facts = {}
    text, claims = script.ensemble_size(arms["both"], facts, tmp_path)
    assert [claim.name for claim in claims] == ["E1 mixture", "E1 ensemble", "E1 size"]
    assert claims[0].holds
    assert (tmp_path / "distances.png").stat().st_size > 1000
    assert len(facts["E1"]["rows"]) == text.count("\n| ") - 1

    text, claims = script.randomness(arms, 12, facts)
    rows = {row[0]: row for row in facts["E2"]["rows"]}
    assert [row[1] for row in rows.values()] == [8, 8, 8]
    level = {name: np.mean(facts["E2"]["levels"][name]) for name in rows}
    assert level["order only"] > 0.2 > level["init only"]
    assert claims[1].measured.startswith(f"{level['order only'] - level['both']:+.3f} (")

    text, claims = script.expressiveness(arms["both"], facts, tmp_path)
    told = rs.trimming(arms["both"], resample="split").atypical.mean()
    assert claims[0].holds == (facts["E3"]["within"] >= 0.5 if told >= 0.05 else None)
    assert "accuracy from" in text

    text, claims = script.transfer(arms["both"], facts)
    assert claims[0].holds is True
    assert "quarter with the smallest level | 5 |" in text


def test_intervals(script):
    values = np.arange(40.0)
    said, (low, high) = script.rank_correlation(values, -values)
    assert said == "-1.000 (-1.000 to -1.000)"
    assert (low, high) == pytest.approx((-1, -1))
    said, (low, high) = script.with_limits(values, np.mean)
    assert low < 19.5 < high
    assert said.startswith("19.500 (")
