"""One arm: what was published about real trainings, groups of runs, targets, and few runs."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from runspread.errors import InputError
from runspread.methods.scores import fit_prior, run_scores, score_modes
from runspread.methods.scores.modes import resolution
from runspread.methods.scores.one_arm import best_of, standard_deviation
from tests.conftest import SHARED

REAL = SHARED / "real" / "scores"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the real scores (../shared/real) are not here")


@real
def test_all_published_p_values_of_real_records_are_reproduced():
    with (REAL / "speedrun_published.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (REAL / "speedrun_1261.csv").open(newline="") as file:
        longest = [float(row["val_loss"]) for row in csv.DictReader(file)]
    assert len(rows) == 40
    for row in rows:
        losses = longest if row["losses"].startswith("see") else [float(x) for x in row["losses"].split()]
        found = run_scores(losses, metric="val_loss", target=3.28).arms[0].target
        printed = row["p_published"]
        digits = len(printed.partition(".")[2].partition("e")[0])
        if "e" in printed:
            assert f"{found.p_target_better:.{digits}e}" == f"{float(printed):.{digits}e}"
        else:
            assert found.p_target_better == pytest.approx(float(printed), abs=0.51 * 10.0**-digits)
        assert found.p_target_better == pytest.approx(float(row["p_recomputed"]), rel=1e-5, abs=1e-9)


@real
def test_groups_of_equal_trainings_spread_as_the_specification_says():
    found = run_scores(REAL / "speedrun.csv", by=("group", "steps"), metric="val_loss")
    groups = [one for one in found.arms if one.moments.n >= 5]
    wide = [one.arm for one in groups if one.moments.sd > 0.004]
    assert len(groups) == 117
    assert sorted(name.partition("/")[2].partition(",")[0] for name in wide) == [
        "2024-11-06_ShortcutsTweaks",
        "2024-12-04_ValueEmbed",
    ]
    kept = [one.moments for one in groups if one.moments.sd <= 0.004]
    degrees = np.array([one.n - 1 for one in kept])
    sds = np.array([one.sd for one in kept])
    assert sum(one.n for one in kept) == 1253
    assert math.sqrt((degrees * sds**2).sum() / degrees.sum()) == pytest.approx(0.0014786657, rel=1e-6)
    assert np.median(sds) == pytest.approx(0.0012247, abs=1e-7)
    assert fit_prior(sds, degrees) == pytest.approx((0.00124024, 12.11545), rel=1e-5)


@real
def test_a_real_group_of_two_kinds_of_runs_is_called():
    found = run_scores(REAL / "speedrun.csv", by=("group", "steps"), metric="val_loss")
    called = [one.arm for one in found.arms if one.moments.n >= 8 and one.shape.two_groups]
    assert [name.partition(",")[0] for name in called] == ["track_1_short/2026-02-16_FlattenForward/prior"]


def test_sentences():
    scores = [0.90, 0.91, 0.89, 0.90, 0.92, 0.91, 0.90, 0.89, 0.91, 0.40, 0.41, 0.39]
    assert score_modes(scores).sentence() == (
        "Mean and standard deviation mislead here: of 12 runs 9 end near 0.9 and 3 near 0.4. A run ends in the upper "
        "group with probability 75% (95% interval 43% to 95%)."
    )
    assert "8 or more" in score_modes(scores[:5]).sentence()
    assert "This does not show that there is one." in score_modes(np.random.default_rng(0).normal(size=9)).sentence()
    assert score_modes(scores[:3], threshold=0.9).sizes == (2, 1)
    assert "one run says nothing" in run_scores([0.9], metric="accuracy").sentence()
    assert "Two runs hardly measure" in run_scores([0.9, 0.91], metric="accuracy").sentence()
    target = run_scores([3.2772, 3.2794, 3.2781], metric="val_loss", target=3.28).sentence()
    assert "it is not shown to be better than 3.28" in target
    assert "3 of the 3 runs beat that number" in target
    with pytest.raises(InputError, match="finite number per run"):
        score_modes([])


def test_sd_survives_large_means_and_extreme_values():
    rng = np.random.default_rng(0)
    small = rng.normal(size=50)
    assert standard_deviation(small + 1e6) == pytest.approx(small.std(ddof=1), rel=1e-9)
    assert standard_deviation(np.array([1e308, -1e308])) == pytest.approx(math.sqrt(2) * 1e308)
    assert standard_deviation(np.array([1e-308, 3e-308])) == pytest.approx(math.sqrt(2) * 1e-308)


def test_the_best_of_more_runs_than_there_are_is_extrapolated_and_marked():
    x = np.random.default_rng(0).normal(3, 0.5, 200)
    for lower in (True, False):
        few, many = (run_scores(v, lower_is_better=lower).arms[0] for v in (x[:20], x))
        assert few.expected_best(20) == (few.best_of[-1], False)
        found = few.expected_best(40)
        assert found.extrapolated
        largest = np.random.default_rng(1).normal(size=(20_000, 40)).max(axis=1).mean()
        sign = -1 if lower else 1
        assert found.value == pytest.approx(few.moments.mean + sign * few.moments.sd * largest, abs=0.01)
        assert not many.expected_best(40).extrapolated
    with pytest.raises(InputError, match="the best of 0"):
        few.expected_best(0)
    with pytest.raises(InputError, match="the best of 10 of 1 run"):
        run_scores([0.9], metric="accuracy").arms[0].expected_best(10)


def test_best_of_many_runs_agrees_with_best_of_few():
    x = np.random.default_rng(1).normal(size=61)
    direct = best_of(x[:60], lower=False)
    longer = best_of(np.concatenate([x[:60], [-99.0]]), lower=False)
    assert longer[-1] == pytest.approx(x[:60].max())
    assert best_of(x, lower=True)[0] == pytest.approx(x.mean())
    assert np.all(np.diff(direct) > 0)


def test_resolution():
    assert resolution(np.array([0.91, 0.92, 0.92, 0.95])) == pytest.approx(0.01)
    assert resolution(np.array([0.1 + 0.2, 0.3, 0.4, 0.6])) == pytest.approx(0.1)
    assert resolution(np.array([0.911, 0.923, 0.95])) == 0
    assert resolution(np.array([1.0, 3.0, 3.0, 7.0])) == 2
    assert resolution(np.array([1.0, 1.0])) == 0


def test_outliers_and_rounding_are_warned_of():
    rng = np.random.default_rng(3)
    values = [*rng.normal(size=15).tolist(), 12.0]
    assert any("far from the other runs" in note for note in run_scores(values).warnings)
    assert any("rounded to 0.1" in note for note in run_scores([0.1, 0.2, 0.2, 0.1, 0.1]).warnings)
