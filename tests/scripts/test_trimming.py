"""The study's analysis on made-up runs: tables have their rows, claims their verdicts."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import runspread as rs
from runspread.methods.trimming import trimmed_distance

SCRIPT = Path(__file__).parents[2] / "studies" / "trimming" / "trimming.py"


@pytest.fixture(scope="module")
def script():
    specification = importlib.util.spec_from_file_location("study_of_trimming", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    before = list(sys.path)
    sys.path.insert(0, str(SCRIPT.parent))  # as python does for a script
    specification.loader.exec_module(module)
    sys.path[:] = before
    sys.modules["intervals"].BOOTSTRAP, module.ARM_BOOTSTRAP = 50, 20
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
    names = [claim.name for claim in claims]
    assert names == ["E1 mixture", "E1 ensemble, level", "E1 ensemble, distance", "E1 size"]
    assert claims[0].holds
    assert claims[1].measured.startswith("few trimmed: above 0 in ")
    assert (tmp_path / "distances.png").stat().st_size > 1000
    assert len(facts["E1"]["rows"]) + len(facts["E1"]["levels"]) == text.count("\n| ") - 3

    text, claims = script.randomness(arms, 12, facts)
    rows = {row[0]: row for row in facts["E2"]["rows"]}
    assert [row[1] for row in rows.values()] == [8, 8, 8]
    level = {name: np.mean(facts["E2"]["levels"][name]) for name in rows}
    assert level["order only"] > 0.2 > level["init only"]
    assert claims[1].measured.startswith(f"{level['order only'] - level['both']:+.3f} (")

    text, claims = script.expressiveness(arms["both"], facts, tmp_path)
    told = rs.trimming(arms["both"], resample="split").atypical.mean()
    assert claims[0].holds == (facts["E3"]["within"] >= 0.5 if told >= 0.05 else None)
    of_scores, of_bins, sentence = text.split("\n\n")
    assert [line.split(" | ")[0] for line in of_scores.splitlines()[2:]] == [
        f"| {name}" for name in facts["E3"]["scores"]
    ]
    assert sum(int(line.split(" | ")[1]) for line in of_bins.splitlines()[2:]) == 20
    assert sentence.startswith("Over 20 runs the trimming level has rank correlation")

    text, claims = script.transfer(arms["both"], facts)
    assert claims[0].holds is None  # no run is distinguishable, so the ranking by level is noise
    assert "0% of 20 runs distinguishable" in claims[0].measured
    assert "quarter with the smallest level | 5 |" in text


def ranked(path, scales, errors, seed=5):
    """Runs whose scale alone sets their level, and whose share of errors alone sets their accuracy."""
    rng = np.random.default_rng(seed)
    labels = np.arange(400) % 2
    study = rs.create_study(path, splits={"test": labels, "validation": labels})
    for number, (scale, error) in enumerate(zip(scales, errors, strict=True)):
        with study.record(seeds=number) as run:
            for split in ("test", "validation"):
                right = np.where(rng.random(400) < error, -1, 1) * (2 * labels - 1)
                gap = scale * right * np.abs(rng.normal(size=400))
                run.predictions(split, np.stack([-gap / 2, gap / 2], axis=1))
    return study


SPREAD = np.random.default_rng(1).permutation(np.geomspace(1, 40, 24))


@pytest.mark.parametrize(("scales", "holds"), [(SPREAD, True), (np.ones(24), None)])
def test_another_ranking_holds_where_the_level_is_reliable(script, tmp_path, scales, holds):
    errors = np.random.default_rng(2).permutation(np.linspace(0.02, 0.4, 24))
    _, (claim,) = script.transfer(ranked(tmp_path / "study", scales, errors), {})
    assert claim.holds is holds


def test_another_ranking_is_missed_where_accuracy_follows_the_level(script, tmp_path):
    before = ranked(tmp_path / "before", SPREAD, np.full(24, 0.1))
    level = rs.trimming(before, resample="split", split="validation").mean
    errors = np.linspace(0.02, 0.4, 24)[np.argsort(np.argsort(level))]
    _, (claim,) = script.transfer(ranked(tmp_path / "after", SPREAD, errors), {})
    assert claim.holds is False


def test_levels_that_are_noise_have_no_verdict(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "FEW_TOLD", 0.0)
    _, (claim,) = script.transfer(ranked(tmp_path / "study", np.ones(24), np.linspace(0.02, 0.4, 24)), {})
    assert claim.holds is None


def test_intervals(script):
    values = np.arange(40.0)
    said, (low, high) = script.rank_correlation(values, -values)
    assert said == "-1.000 (-1.000 to -1.000)"
    assert (low, high) == pytest.approx((-1, -1))
    said, (low, high) = script.with_limits(values, np.mean)
    assert low < 19.5 < high
    assert said.startswith("19.500 (")
    assert script.wilson(0, 100) == pytest.approx((0, 0.0370), abs=1e-4)
    assert script.wilson(10, 100) == pytest.approx((0.0552, 0.1744), abs=1e-4)


def test_limits_of_a_quantile_cover(script):
    intervals = sys.modules["intervals"]
    rng = np.random.default_rng(0)
    for runs in (12, 32, 100):
        for q in (0.05, 0.5, 0.95):
            limits = [intervals.quantile_limits(rng.random(runs) / 2, q) for _ in range(400)]
            assert np.mean([low <= q / 2 <= high for low, high in limits]) >= 0.93
    assert intervals.quantile_limits(np.full(32, 0.1), 0.95) == (0.1, 0.5)  # 32 runs have no upper limit of their own


def test_interval_of_an_arm_covers_where_it_is_near_the_pool(script):
    """The percentile bootstrap of the distance itself lies above the truth here in four of ten cases."""
    rng = np.random.default_rng(1)
    script.ARM_BOOTSTRAP = 60
    pool = rng.normal(size=(30, 60)) + rng.normal(size=(30, 1)) / 3
    law = np.sort((rng.normal(size=(4000, 60)) + rng.normal(size=(4000, 1)) / 3).ravel())
    truth = trimmed_distance(np.sort(pool, axis=None), law, 0.0)[0]
    inside = []
    for _ in range(40):
        arm = rng.normal(size=(30, 60)) + rng.normal(size=(30, 1)) / 3
        said, level = script.of_arm(pool, arm, 0.05)
        low, high = (float(each) for each in said.partition(" (")[2].rstrip(")").split(" to "))
        inside.append(low - 1e-4 <= truth <= high + 1e-4)
        estimate, least = (float(each) for each in level.partition(" to ")[0].split(" ("))
        assert least <= estimate + 1e-3
    script.ARM_BOOTSTRAP = 20
    assert np.mean(inside) >= 0.9


def test_what_a_monotone_function_leaves(script):
    accuracy = np.linspace(0.8, 0.9, 40)
    assert script.left_by_monotone(accuracy, np.exp(-50 * accuracy)) == pytest.approx(0)
    assert script.left_by_monotone(accuracy, np.tile([0.0, 1.0], 20)) > 0.9
    assert np.isnan(script.left_by_monotone(accuracy, np.zeros(40)))


def test_two_noisy_looks_at_one_quality_do_not_rank_differently(script):
    rng = np.random.default_rng(2)
    quality = rng.normal(size=200)
    looks = [quality + 0.7 * rng.normal(size=200) for _ in range(5)]
    level = -(looks[0] + looks[1]) / 2
    found = script.agreement(np.stack([level, -looks[0], -looks[1], looks[2], looks[3]], axis=1))
    assert found == pytest.approx(1, abs=0.1)
    assert script.rank_correlation(level, looks[2])[1][0] > -0.9  # which alone would have passed for another ranking
    other = rng.normal(size=200)
    assert abs(script.agreement(np.stack([other, other, other, looks[2], looks[3]], axis=1))) < 0.3
    assert script.agreement(np.stack([level, -looks[0], looks[0], looks[2], looks[3]], axis=1)) == np.inf
