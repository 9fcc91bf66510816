"""How many runs represent them all: against the pair of samples, on a toy with a known answer, bad inputs."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

import runspread as rs
from runspread.errors import InputError
from runspread.methods.trimming import margins, representative, trimmed_distance, trimming_level
from runspread.methods.trimming.representative import MIN_SUBSETS, _smallest, share_limits
from runspread.methods.trimming.resampling import draw_examples


def toy(runs, examples, seed=0, noise=1.0):
    """Section 6: a law of two bumps a run sees with seed noise of its own."""
    rng = np.random.default_rng(seed)
    signal = rng.choice([-2.0, 2.0], size=examples) + rng.normal(size=examples)
    return signal + noise * rng.normal(size=(runs, examples))


def drawn_as_the_function_does(runs, examples, resample, replicates, seed):
    rng = np.random.default_rng(seed)
    draws = draw_examples(examples, resample, replicates, None, rng)
    return draws, rng.permuted(np.tile(np.arange(runs), (len(draws), 1)), axis=1)


@pytest.mark.parametrize("decimals", [0, 8])
@pytest.mark.parametrize("resample", ["split", "bootstrap"])
def test_every_comparison_equals_the_pair_of_samples(decimals, resample):
    gaps = np.round(toy(11, 75) * np.linspace(0.5, 2, 11)[:, None], decimals)
    found = rs.representative_size(gaps, sizes=[1, 3, 5], replicates=6, resample=resample, threshold=0.06, seed=4)
    draws, orders = drawn_as_the_function_does(11, 75, resample, 6, 4)
    for subset, ((own, other), order) in enumerate(zip(draws, orders, strict=True)):
        pool = gaps[order[5:]]
        for k, size in enumerate(found.sizes):
            runs = gaps[order[:size]]
            for i, few in enumerate((runs, runs.mean(0, keepdims=True))):
                trimmed = trimming_level(pool[:, other].ravel(), few[:, own].ravel(), threshold=0.06)
                backwards = trimming_level(few[:, other].ravel(), pool[:, own].ravel(), threshold=0.06)
                assert found.levels[i, :, subset, k] == pytest.approx([trimmed, backwards], abs=1e-12)
                apart = trimmed_distance(pool.ravel(), few.ravel(), 0.0)[0]
                assert found.distances[i, subset, k] == pytest.approx(apart, abs=1e-12)
    assert np.unique(found.levels).size > 10


def test_classes_take_the_worst():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(8, 60, 3)) * np.linspace(0.3, 3, 8)[:, None, None]
    found = rs.representative_size(logits, sizes=[1, 4], replicates=3, threshold=0.15)
    draws, orders = drawn_as_the_function_does(8, 60, "split", 3, 0)
    own, other = draws[2]
    order = orders[2]
    pool, mean = margins(logits[order[4:]]), margins(logits[order[:4]].mean(0))
    expected = [trimming_level(pool[:, other, k].ravel(), mean[own, k], threshold=0.15) for k in range(3)]
    assert max(expected) > 0
    assert found.levels[1, 0, 2, 1] == pytest.approx(max(expected), abs=1e-12)


def test_toy_mixture_converges_and_ensemble_goes_elsewhere():
    """Section 6 with 10,000 points: 0 at one run, 0.12 to 0.15 for ensembles of 20, 0.16 to 0.18 for those of 100."""
    found = rs.representative_size(toy(200, 10_000), sizes=[1, 20, 100], replicates=3, resample=None, threshold=0.0326)
    assert (found.levels[0] == 0).all()
    ensemble = found.levels[1, 0]
    assert (ensemble[:, 0] == 0).all()
    assert 0.10 < np.median(ensemble[:, 1]) < 0.17
    assert 0.14 < np.median(ensemble[:, 2]) < 0.20
    mixture = np.median(found.distances[0], axis=0)
    assert 0.004 < mixture[0] < 0.010
    assert mixture[2] < 0.0015
    assert found.recommended("mixture") == 1
    assert found.recommended("ensemble") is None


def test_unlike_runs_take_several():
    """Runs that differ by a shift: one is not the average, many are."""
    gaps = toy(60, 2000, noise=0.1) + np.random.default_rng(9).normal(0, 0.5, size=(60, 1))
    found = rs.representative_size(gaps, kinds=["mixture"], replicates=40)
    size = found.recommended()
    assert size is not None
    assert 2 < size <= 30
    middle = found.quantile(0.95)[0, 0]
    assert middle[0] > 0
    assert middle[-1] == 0


def test_smallest_size_is_where_the_level_stays():
    levels = np.zeros((1, 1, 20, 4))
    levels[0, 0, :3, 0] = levels[0, 0, :2, 1] = levels[0, 0, :1, 2] = 0.2
    sizes = np.array([1, 2, 4, 8])
    assert _smallest(levels, sizes, 0.0).item() == 4
    assert _smallest(levels, sizes, 0.2).item() == 1
    levels[0, 0, :5, 3] = math.inf
    assert _smallest(levels, sizes, 0.2).item() == math.inf


def test_result_shows_itself():
    found = rs.representative_size(toy(20, 200), replicates=5)
    assert found.sizes.tolist()[0] == 1
    assert found.sizes.tolist()[-1] == 10
    table = found.table()
    assert len(table) == 2 * len(found.sizes)
    assert table["M"] == found.sizes.tolist() * 2
    upper = [*found.quantile(0.95)[0, 1], *found.quantile(0.95)[1, 1]]
    assert table["pool trimmed: 95 %"] == upper
    assert table["above 0 (few)"][-1] == (found.levels[1, 0, :, -1] > 0).mean()
    assert found.sentence().startswith("No verdict yet")
    assert "(5 were drawn, against a pool of 10 runs, n = 100, m = 100)" in found.sentence()
    assert json.loads(found.to_json())["pool_size"] == 10
    again = rs.representative_size(toy(20, 200), replicates=5, workers=1)
    assert np.array_equal(again.levels, found.levels)
    assert np.array_equal(again.distances, found.distances)


def test_excluded_runs_are_named_and_out():
    gaps = toy(9, 100)
    broken = np.insert(gaps, 4, math.nan, axis=0)
    found = rs.representative_size(broken, replicates=3)
    assert [e.run for e in found.excluded] == ["run 4"]
    assert np.array_equal(found.levels, rs.representative_size(gaps, replicates=3).levels)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"outputs": toy(3, 50)}, "at least 4"),
        ({"sizes": [1, 6]}, "out of range"),
        ({"sizes": []}, "no sizes"),
        ({"kinds": ["ensembles"]}, "Did you mean 'ensemble'"),
        ({"replicates": 0}, "0 replicates"),
        ({"replicates": 0, "resample": None}, "0 replicates"),
        ({"replicates": 2.5}, "2.5 replicates"),
        ({"kinds": []}, "one or more of"),
        ({"kinds": ["mixture", "mixture"]}, "each once"),
        ({"tolerance": math.nan}, "tolerance nan"),
        ({"tolerance": -1}, "tolerance -1"),
        ({"workers": -1}, "workers is -1"),
    ],
)
def test_impossible_settings_are_errors(arguments, message):
    with pytest.raises(InputError, match=message):
        rs.representative_size(**{"outputs": toy(10, 50), **arguments})


def test_share_limits_equal_scipy():
    counts, total = np.arange(21), 20
    low, high = share_limits(counts, total)
    for count, a, b in zip(counts, low, high, strict=True):
        expected = stats.binomtest(int(count), total).proportion_ci(0.95, method="exact")
        assert (a, b) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_few_subsets_give_no_verdict():
    few = rs.representative_size(toy(20, 200), kinds=["mixture"], replicates=MIN_SUBSETS - 1)
    assert not few.resolved
    assert "No verdict yet" in few.sentence()
    assert f"{MIN_SUBSETS - 1} random subsets cannot tell" in few.warnings[0]
    enough = rs.representative_size(toy(20, 200), kinds=["mixture"], replicates=MIN_SUBSETS)
    assert enough.resolved
    assert enough.interval() == (1, 1)
    assert "The mixture of 1 run or more is representative" in enough.sentence()
    assert enough.table()["95% (few)"][0] == "0% to 5%"


def test_interval_holds_the_size_that_many_subsets_give():
    gaps = toy(60, 500, noise=0.1) + np.random.default_rng(9).normal(0, 0.5, size=(60, 1))
    rough, firm = (rs.representative_size(gaps, kinds=["mixture"], replicates=n) for n in (80, 500))
    low, high = rough.interval()
    assert low is not None
    assert low <= firm.recommended() <= (high or 30)
    assert low < (high or 31)


def test_no_size_is_ruled_out_firmly_by_few_subsets():
    gaps = toy(12, 400) * np.repeat([1, 3], 6)[:, None]
    found = rs.representative_size(gaps, kinds=["ensemble"], sizes=[1], replicates=10, threshold=0.01)
    assert found.interval("ensemble") == (None, None)
    assert "is not representative" in found.sentence()


def test_small_pools_and_copies_are_told():
    gaps = toy(12, 100)
    assert "only 6 runs" in rs.representative_size(gaps, replicates=2).warnings[0]
    gaps = toy(24, 100)
    gaps[20] = gaps[3]
    assert "1 run has exactly the outputs" in rs.representative_size(gaps, replicates=2).warnings[-1]


def test_result_carries_its_settings():
    found = rs.representative_size(toy(20, 60), replicates=3, clip=(-2, 2), seed=5)
    assert (
        found.settings.mode,
        found.settings.reference,
        found.settings.clip,
        found.settings.classes,
        found.settings.seed,
    ) == ("step", "mixture", (-2, 2), None, 5)
    clipped = rs.representative_size(np.clip(toy(20, 60), -2, 2), replicates=3, seed=5)
    assert np.array_equal(found.levels, clipped.levels)


@pytest.mark.parametrize("resample", ["split", "bootstrap"])
def test_compiled_loops_give_the_same_numbers(monkeypatch, resample):
    pytest.importorskip("numba")
    rng = np.random.default_rng(3)
    logits = np.round(rng.normal(size=(9, 40, 3)) + rng.normal(size=(9, 1, 3)), 1)  # with ties, and runs that differ
    found = []
    for least in (0, 10**12):
        monkeypatch.setattr(representative, "COMPILE_FROM", least)
        found.append(rs.representative_size(logits, replicates=20, resample=resample))
    np.testing.assert_array_equal(found[0].levels, found[1].levels)
    np.testing.assert_array_equal(found[0].distances, found[1].distances)
    assert (found[0].levels > 0).any()
