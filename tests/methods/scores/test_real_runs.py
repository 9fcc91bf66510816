"""Real trainings, one number per run: what their authors published, and what the specification computed from them."""

from __future__ import annotations

import csv
import functools
import math
from decimal import Decimal

import numpy as np
import pytest

from runspread.methods.scores import compare_scores, fit_prior, run_scores
from runspread.methods.scores.forms import Arm, difference, pooled_sd
from runspread.methods.scores.one_arm import t_quantile
from tests.conftest import SHARED

FOLDER = SHARED / "real" / "scores"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the real scores (../shared/real) are not here")
LOOSE = {"track_1_short/2024-11-06_ShortcutsTweaks": 6, "track_1_short/2024-12-04_ValueEmbed": 38}


@functools.cache
def groups():
    """The runs of each folder and number of steps."""
    return run_scores(FOLDER / "speedrun.csv", by=("group", "steps"), run="run", metric="val_loss")


@functools.cache
def series() -> np.ndarray:
    with (FOLDER / "speedrun_1261.csv").open() as file:
        return np.array([float(row["val_loss"]) for row in csv.DictReader(file)])


def test_all_published_p_values_come_out_to_their_printed_digits():
    with (FOLDER / "speedrun_published.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    wrong = []
    for row in rows:
        losses = series() if row["losses"].startswith("see") else [float(text) for text in row["losses"].split()]
        assert len(losses) == int(row["n"])
        found = run_scores(losses, metric="val_loss", target=3.28).arms[0].target
        printed = Decimal(row["p_published"])
        rounded = Decimal(repr(found.p_target_better)).quantize(printed)
        if rounded != printed:
            wrong.append((row["readme"], row["p_published"], found.p_target_better))
    assert wrong == []


def test_the_spread_of_one_kind_of_training():
    arms = [one for one in groups().arms if one.moments.n >= 5]
    assert len(groups().arms) == 206
    assert sum(one.moments.n for one in groups().arms) == 1435
    assert len(arms) == 117
    loose = {one.arm.rpartition(", ")[0]: one.moments.n for one in arms if one.moments.sd > 0.004}
    assert loose == LOOSE
    kept = [one for one in arms if one.moments.sd <= 0.004]
    sds, degrees = [one.moments.sd for one in kept], [one.moments.n - 1 for one in kept]
    assert (len(kept), sum(one.moments.n for one in kept)) == (115, 1253)
    assert pooled_sd(*(Arm.of(one.values) for one in kept)) == pytest.approx(0.0014786657, rel=1e-7)
    assert np.median(sds) == pytest.approx(0.0012247, abs=5e-8)
    prior = fit_prior(sds, degrees)
    assert prior.sd == pytest.approx(0.00124024, abs=5e-9)
    assert prior.df == pytest.approx(12.11545, abs=5e-6)


def test_groups_within_one_recipe_are_rare():
    found = [one for one in groups().arms if one.moments.n >= 8 and one.moments.sd <= 0.004]
    assert len(found) == 86
    assert [one.arm.partition(", ")[0] for one in found if one.shape.p_gap <= 0.025] == [
        "track_1_short/2026-02-16_FlattenForward/prior"
    ]
    assert not [one for one in found if one.shape.p_dip <= 0.025]
    assert sum(len(one.outliers) > 0 for one in found) == 2


def two(new: str, old: str, steps: tuple[int, int], **asked):
    found = {one.arm: one.values for one in groups().arms}
    pick = {name: values for name, values in found.items() if name in (f"{new}, {steps[0]}", f"{old}, {steps[1]}")}
    return compare_scores(pick[f"{old}, {steps[1]}"], pick[f"{new}, {steps[0]}"], metric="val_loss", **asked)


def named(text: str) -> tuple[str, int]:
    """The folder whose name ends so, and its steps."""
    arms = [one for one in groups().arms if one.arm.rpartition(", ")[0].endswith(text)]
    folder, _, steps = max(arms, key=lambda one: one.moments.n).arm.rpartition(", ")
    return folder, int(steps)


def test_two_recipes_that_are_the_same_within_a_thousandth():
    (new, a), (old, b) = named("2024-12-10_MFUTweaks"), named("2024-12-08_UNetValueEmbedsTweaks")
    found = two(new, old, (a, b), equivalent=0.001)
    assert (found.arms.n_new, found.arms.n_old) == (40, 75)
    d, r = found.difference, found.ranks
    assert (d.diff, d.lo, d.hi) == pytest.approx((0.00004, -0.00085, 0.00093), abs=5e-6)
    assert d.df == pytest.approx(73.23, abs=5e-3)
    assert found.verdict() == "equivalent"
    assert found.judged.p_equivalent == pytest.approx(0.0177, abs=5e-5)
    assert (r.p_superior, r.p_superior_lo, r.p_superior_hi) == pytest.approx((0.4955, 0.388, 0.604), abs=5e-4)


def test_two_recipes_of_which_one_is_better():
    (new, a), (old, b) = named("20260514_aurora_proj_pruned_extended_contra"), named("20260515_contranormuown")
    found = two(new, old, (a, b))
    assert (found.arms.n_new, found.arms.n_old) == (16, 20)
    d, r = found.difference, found.ranks
    assert (d.diff, d.lo, d.hi) == pytest.approx((-0.00413, -0.00485, -0.00342), abs=5.1e-6)
    assert found.verdict() == "better"
    assert (r.p_superior, r.p_superior_lo, r.p_superior_hi) == pytest.approx((0.994, 0.874, 0.9997), abs=5e-4)


def test_a_long_series():
    one = run_scores(series(), metric="val_loss").arms[0]
    assert (one.moments.mean, one.moments.sd) == pytest.approx((3.279385, 0.001849), abs=5e-7)
    assert one.best_of[[1, 4, 9, 49]] == pytest.approx([3.278344, 3.277304, 3.276679, 3.275567], abs=5e-7)


@pytest.mark.slow
def test_intervals_and_tests_on_samples_of_real_runs():
    """As a population: 2 to 10 runs cover its mean at the stated rate, and seldom call equal means different."""
    x, rng, sets = series(), np.random.default_rng(1261), 2000
    for n, size in ((2, 0.023), (3, 0.035), (5, 0.047), (10, 0.048)):
        covered = wrong = 0
        for _ in range(sets):
            a, b = Arm.of(rng.choice(x, n)), Arm.of(rng.choice(x, n))
            covered += abs(a.mean - x.mean()) <= t_quantile(0.975, n - 1) * a.sd / math.sqrt(n)
            wrong += difference(a, b).p() <= 0.05
        assert covered / sets == pytest.approx(0.95, abs=0.02)
        assert wrong / sets == pytest.approx(size, abs=4 * math.sqrt(size / sets))
