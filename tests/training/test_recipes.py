"""Recipes, search spaces, seeds, plans, cadences and schedules: what needs no torch."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.nn._schedules import schedule_factors
from runspread.training import recipe_names
from runspread.training.cadence import record_steps, steps_per_epoch
from runspread.training.plan import deal_runs, deal_shards, structural
from runspread.training.recipes import recipe_from_dict
from runspread.training.search import as_search, parse_distribution, parse_search, parse_settings, sample
from runspread.training.seeding import derive_seed, epoch_order, run_seeds

NAMES = [
    "digits-mlp",
    "mnist-mlp",
    "mnist-lenet",
    "cifar10-resnet9",
    "cifar10-resnet20",
    "cifar10-wrn28x10",
    "cifar10-vgg",
    "modular-addition",
    "modular-addition-stable",
    "sparse-parity",
    "text-mlm",
]


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_survives_json(name):
    made = rs.recipe(name)
    assert recipe_from_dict(json.loads(json.dumps(made.to_dict()))) == made
    assert made.name == name


def test_the_promised_recipes_are_there():
    assert set(NAMES) <= set(recipe_names())


def test_overrides_reach_recipe_model_and_data():
    made = rs.recipe("digits-mlp", epochs=10, batch_size=128, hidden=(128,), record="none", train_examples=500)
    assert (made.epochs, made.batch_size, made.record) == (10, 128, "none")
    assert made.model_options["hidden"] == (128,)
    assert made.dataset_options["train_examples"] == 500
    assert rs.recipe(made, lr=0.5).lr == 0.5
    assert rs.recipe("digits-mlp", steps=7).epochs is None  # one of the two
    assert rs.recipe("digits-mlp", hidden=32).model_options["hidden"] == (32,)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"epoch": 3}, "Did you mean 'epochs'"),
        ({"hiden": (3,)}, "Did you mean 'hidden'"),
        ({"lr": "fast"}, "Expected `float`, got `str`"),
        ({"lr": -1.0}, "lr=-1.0. Expected a number from 0"),
        ({"hidden": ("a",)}, "hidden='a'"),
        ({"record": "often"}, "record='often'. Expected 'none', '5 steps'"),
        ({"augment": ("flop",)}, "unknown augmentation 'flop'"),
        ({"augment": ("crop",)}, "augmentation 'crop'. Expected 'crop:4'"),
        ({"dataset": "digit"}, "Did you mean 'digits'"),
        ({"model": "lenett"}, "Did you mean 'lenet'"),
        ({"epochs": 1, "steps": 2}, "epochs=1"),
        ({"optimizer": "lion"}, "Invalid enum value 'lion'"),
    ],
)
def test_what_does_not_fit_is_said(overrides, message):
    with pytest.raises(InputError) as error:
        rs.recipe("digits-mlp", **overrides)
    assert message in str(error.value)


def test_unknown_recipe_names_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'sparse-parity'"):
        rs.recipe("sparse-party")


def test_a_recipe_from_a_file(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import runspread as rs\nrecipe = rs.recipe('digits-mlp', lr=0.5)\ndef make():\n    return recipe\nother = 3\n"
    )
    for name in ("recipe", "make"):
        assert rs.recipe(f"{tmp_path}/mine.py:{name}", epochs=3).lr == 0.5
    with pytest.raises(InputError, match=r"is a int\. Expected a recipe"):
        rs.recipe(f"{tmp_path}/mine.py:other")
    with pytest.raises(InputError, match="no 'recip' in"):
        rs.recipe(f"{tmp_path}/mine.py:recip")
    with pytest.raises(InputError, match="no file"):
        rs.recipe(f"{tmp_path}/yours.py:recipe")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(InputError, match="ZeroDivisionError"):
        rs.recipe(f"{tmp_path}/broken.py:recipe")


def test_settings_and_search_are_parsed():
    assert parse_settings(["lr=0.1", "hidden=(128,64)", "record=2 epochs", "nesterov=true", "batch_size=none"]) == {
        "lr": 0.1,
        "hidden": (128, 64),
        "record": "2 epochs",
        "nesterov": True,
        "batch_size": None,
    }
    search = parse_search(["l2=loguniform(1e-3,1e3)", "optimizer=choice(sgd,adam)"])
    assert str(search["l2"]) == "loguniform(0.001,1000.0)"
    assert search["optimizer"].values == ("sgd", "adam")
    for text in search.values():
        assert parse_distribution(str(text)) == text
    assert as_search({"lr": [0.1, 0.2]})["lr"].kind == "grid"


@pytest.mark.parametrize(
    "text",
    [
        "lr",
        "=3",
        "lr=",
        "lr=loguniform(0,1)",
        "lr=uniform(2,1)",
        "lr=uniform(1)",
        "lr=normal(0,1)",
        "lr=0.1",
        "lr=choice()",
    ],
)
def test_bad_search_is_an_error(text):
    with pytest.raises(InputError, match="lower bound first" if "(2,1)" in text else None):
        parse_search([text])


def test_samples_follow_their_distribution():
    search = parse_search(["a=loguniform(1e-3,1e3)", "b=uniform(-1,1)", "c=integer(1,3)", "d=choice(x,y)"])
    draws = [sample(search, 0, index) for index in range(2000)]
    assert np.mean([math.log(draw["a"]) for draw in draws]) == pytest.approx(0, abs=4 * 6.9 / 2000**0.5)
    assert np.std([math.log(draw["a"]) for draw in draws]) == pytest.approx(6 * math.log(10) / 12**0.5, rel=0.05)
    assert np.mean([draw["b"] for draw in draws]) == pytest.approx(0, abs=4 * 0.58 / 2000**0.5)
    assert {draw["c"] for draw in draws} == {1, 2, 3}
    assert {draw["d"] for draw in draws} == {"x", "y"}
    assert sample({"a": search["a"]}, 0, 5)["a"] == draws[5]["a"]  # the rest of the space makes no difference


def test_grids_are_crossed():
    search = as_search({"depth": [1, 2, 3], "width": [8, 16], "lr": "uniform(0,1)"})
    cells = [(draw["depth"], draw["width"]) for draw in (sample(search, 0, index) for index in range(12))]
    assert len(set(cells[:6])) == 6
    assert cells[:6] == cells[6:]


def test_seeds_are_a_function_of_base_seed_role_and_index():
    assert run_seeds(0, 3, ("init",)) == run_seeds(0, 3, ("init",))
    assert run_seeds(0, 3, ("init",)).order == run_seeds(0, 9, ("init",)).order
    seeds = {derive_seed(base, role, index) for base in (0, 1) for role in ("init", "order") for index in range(500)}
    assert len(seeds) == 2000
    assert max(seeds) < 2**48


def test_orders_are_permutations_that_hang_on_seed_and_epoch():
    assert sorted(epoch_order(5, 0, 30)) == list(range(30))
    assert list(epoch_order(5, 0, 30)) == list(epoch_order(5, 0, 30))
    assert list(epoch_order(5, 0, 30)) != list(epoch_order(5, 1, 30))
    assert list(epoch_order(5, 0, 30)) != list(epoch_order(6, 0, 30))


def test_run_i_is_the_same_however_many_there_are():
    recipe = rs.recipe("digits-mlp")
    search = parse_search(["lr=loguniform(1e-4,1e-1)"])
    few, many = (deal_runs(recipe, n, vary=("init", "order"), seed=7, search=search) for n in (3, 50))
    assert many[:3] == few
    with pytest.raises(InputError, match="unknown hyperparameter 'lrr'"):
        deal_runs(recipe, 2, vary=("init",), seed=0, search=parse_search(["lrr=uniform(0,1)"]))
    with pytest.raises(InputError, match="unknown seed role"):
        deal_runs(recipe, 2, vary=("data",), seed=0, search={})
    with pytest.raises(InputError, match="runs is 0"):
        deal_runs(recipe, 0, vary=("init",), seed=0, search={})


@pytest.mark.parametrize(("runs", "largest", "workers"), [(64, 32, 2), (40, 32, 2), (100, 32, 2), (1, 8, 4), (7, 3, 2)])
def test_shards_are_even_and_keep_all_workers_busy(runs, largest, workers):
    plans = deal_runs(rs.recipe("digits-mlp"), runs, vary=("init",), seed=0, search={})
    shards = deal_shards(plans, largest, workers)
    assert [plan for shard in shards for plan in shard] == plans
    sizes = [len(shard) for shard in shards]
    assert max(sizes) <= largest
    assert max(sizes) - min(sizes) <= 1
    assert len(shards) % workers == 0 or len(shards) == runs


def test_shards_hold_runs_of_one_structure():
    search = as_search({"hidden": [(8,), (16,)], "batch_size": [16, 32], "lr": "uniform(0,1)"})
    plans = deal_runs(rs.recipe("digits-mlp"), 24, vary=("init",), seed=0, search=search)
    shards = deal_shards(plans, 4, 2)
    assert sorted(plan.id for shard in shards for plan in shard) == sorted(plan.id for plan in plans)
    for shard in shards:
        assert len({str(structural(plan)) for plan in shard}) == 1


def test_cadence():
    assert record_steps("none", 100, 10) == (100,)
    assert record_steps("30 steps", 100, 10) == (30, 60, 90, 100)
    assert record_steps("2 epochs", 50, 10) == (20, 40, 50)
    assert record_steps("epoch", 30, 10) == (10, 20, 30)
    assert record_steps("log 4", 1000, 10) == (1, 10, 100, 1000)
    assert record_steps("1 epoch", 0, 10) == (0,)
    assert (steps_per_epoch(1437, 128, True), steps_per_epoch(1437, 128, False)) == (11, 12)
    assert steps_per_epoch(50, None, True) == 1
    with pytest.raises(InputError, match="batch_size=60 with 50"):
        steps_per_epoch(50, 60, True)


def test_schedules_begin_and_end_where_they_should():
    linear = schedule_factors("linear", 100, 10)
    np.testing.assert_allclose(linear, 1 - np.arange(100) / 100)
    warm = schedule_factors("cosine", 100, 10, warmup=2)
    np.testing.assert_allclose(warm[:20], np.arange(20) / 20)
    np.testing.assert_allclose(warm[20:], 0.5 + 0.5 * np.cos(np.pi * np.arange(80) / 80))
    assert set(schedule_factors("constant", 5, 10)) == {1.0}
    np.testing.assert_allclose(
        schedule_factors("drops", 40, 10, drops=(1, 3), factor=0.1)[[0, 10, 29, 30]], [1, 0.1, 0.1, 0.01]
    )
