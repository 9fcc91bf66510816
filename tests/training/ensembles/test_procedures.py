"""Deep, hyper and hyper-deep ensembles: which runs are trained, which are chosen, and going on when interrupted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.training import deep_ensemble
from runspread.training.ensembles.plans import row_plans, search_plans
from runspread.training.plan import PlannedRun
from runspread.training.search import as_search
from runspread.training.train import train_plans

RECIPE = rs.recipe("digits-mlp", epochs=3, hidden=(12,), lr=5e-3, train_examples=700, validation=300)
SPACE = {"l2": "loguniform(1e-3,1e3)", "dropout": "loguniform(1e-3,0.9)"}
RUNS, SIZE = 6, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ensembles") / "study"


@pytest.fixture(scope="module")
def hyper_deep(folder):
    return rs.hyper_deep_ensemble(RECIPE, search=SPACE, size=SIZE, runs=RUNS, out=folder, workers=1)


def test_plans():
    space = as_search(SPACE)
    shared, own = (search_plans(RECIPE, space, 5, 0, shared_init=flag) for flag in (True, False))
    assert shared[0].hyperparameters == {"l2": 0.0, "dropout": 0.0}  # the recipe's own configuration is candidate 0
    assert len({plan.seeds.init for plan in shared}) == 1
    assert len({plan.seeds.init for plan in own}) == 5
    assert [plan.hyperparameters for plan in shared] == [plan.hyperparameters for plan in own]
    assert len({plan.seeds.order for plan in shared}) == 5
    rows = row_plans([(2, shared[2].hyperparameters), (4, {})], 1, 0)
    assert rows[0].seeds.init == rows[1].seeds.init != shared[0].seeds.init
    assert rows[0].seeds.order != rows[1].seeds.order
    assert rows == row_plans([(2, shared[2].hyperparameters), (4, {})], 1, 0)


def test_candidate_0_leaves_the_others_their_hyperparameters(tmp_path):
    space = as_search({"l2.layers.0": "loguniform(1e4,1e6)", "dropout.dropouts.0": "uniform(0.3,0.9)", "hidden": [12]})
    recipe = RECIPE.replace(logits_dtype="float32", l2=1.0)
    plans = search_plans(recipe, space, 4, 0, shared_init=False)
    assert plans[0].hyperparameters == {"l2.layers.0": 1.0, "dropout.dropouts.0": 0.0, "hidden": (12,)}
    mixed = [
        PlannedRun("run-000", plans[0].seeds, {}),
        *plans[1:],
    ]  # one that has none of its own, as users may plan it
    alone, *together = (
        train_plans(recipe, some, {}, out=tmp_path / str(n), workers=1, stack=4).predictions("test")
        for n, some in enumerate((plans[1:], plans, mixed))
    )
    for plan in plans[1:]:
        expected = alone[alone.run_ids.index(plan.id)]
        for other in together:
            np.testing.assert_allclose(other[other.run_ids.index(plan.id)], expected, atol=1e-5)


def test_the_first_choice_can_be_filled(tmp_path):
    """Of three copies of one configuration the greedy choice takes one, with or without early stop."""
    space = {"l2": "choice(1.0)"}
    options = {"search": space, "size": 3, "runs": 3, "variant": "fixed-init", "out": tmp_path, "workers": 1}
    assert rs.hyper_deep_ensemble(RECIPE, early_stop=False, **options).first_selection.size == 1
    assert rs.hyper_deep_ensemble(RECIPE, fill_first=True, **options).first_selection.size == 3


def test_the_block_is_configurations_by_initialisations(hyper_deep):
    study = hyper_deep.study()
    columns = hyper_deep.first_selection.size
    assert hyper_deep.n_trained == RUNS + columns * (SIZE - 1) == len(study.runs)
    assert hyper_deep.first_selection.n_candidates == RUNS
    assert hyper_deep.selection.n_candidates == columns * SIZE
    inits = [run.seeds.init for run in study.runs]
    assert len(set(inits)) == SIZE
    assert inits.count(study.runs[0].seeds.init) == RUNS
    assert set(hyper_deep.first_selection.member_ids) <= set(hyper_deep.selection.run_ids)
    assert {run.id for run in study.runs} >= set(hyper_deep.member_ids)


def test_the_result_says_what_it_is(hyper_deep):
    assert hyper_deep.kind == "hyper-deep"
    assert hyper_deep.weights.sum() == pytest.approx(1)
    assert len(hyper_deep.table()) == len(hyper_deep.member_ids)
    assert f"from {hyper_deep.n_trained} trained runs" in hyper_deep.sentence()
    few = dataclasses.replace(hyper_deep, selection=dataclasses.replace(hyper_deep.selection, requested_size=9))
    assert "9 requested" in few.sentence()
    study = hyper_deep.study()
    reader = study.predictions("test")
    rows = [reader[reader.run_ids.index(name)] for name in hyper_deep.member_ids]
    expected = rs.ensemble_scores(np.stack(rows), reader.labels, weights=hyper_deep.weights, kind="logits")
    assert hyper_deep.scores.nll == expected.nll
    assert "hyper-deep" in hyper_deep.to_json()


def test_called_again_it_trains_nothing(hyper_deep, folder):
    ticks = []
    again = rs.hyper_deep_ensemble(
        RECIPE, search=SPACE, size=SIZE, runs=RUNS, out=folder, workers=1, progress=ticks.append
    )
    assert again.member_ids == hyper_deep.member_ids
    np.testing.assert_array_equal(again.weights, hyper_deep.weights)
    assert len(again.study().runs) == hyper_deep.n_trained


def test_an_interrupted_procedure_goes_on(hyper_deep, tmp_path):
    class Enough(Exception):
        pass

    def stop(state):
        if state.runs_done:
            raise Enough

    out = tmp_path / "study"
    with pytest.raises(Enough):
        rs.hyper_deep_ensemble(RECIPE, search=SPACE, size=SIZE, runs=RUNS, out=out, workers=1, progress=stop, stack=1)
    found = rs.hyper_deep_ensemble(RECIPE, search=SPACE, size=SIZE, runs=RUNS, out=out, workers=1)
    assert found.n_trained == len(found.study().runs)
    assert set(found.first_selection.run_ids) == set(hyper_deep.first_selection.run_ids)


def test_variants_share_the_folder(hyper_deep, folder):
    fixed = rs.hyper_deep_ensemble(
        RECIPE, search=SPACE, size=SIZE, runs=RUNS, out=folder, workers=1, variant="fixed-init"
    )
    assert (fixed.kind, fixed.n_trained) == ("fixed-init hyper", RUNS)
    assert fixed.member_ids == hyper_deep.first_selection.member_ids
    hyper = rs.hyper_deep_ensemble(
        RECIPE, search=SPACE, size=SIZE, runs=RUNS, out=folder, workers=1, variant="unstratified"
    )
    assert len(set(hyper.init_seeds)) == len(hyper.member_ids)
    budget = rs.hyper_deep_ensemble(
        RECIPE, search=SPACE, size=SIZE, runs=RUNS, out=folder, workers=1, variant="same-budget"
    )
    assert budget.n_trained == RUNS + SIZE * (SIZE - 1)
    assert set(hyper.selection.run_ids) < set(budget.selection.run_ids)
    assert budget.selection.path_scores[0] <= hyper.selection.path_scores[0]


def test_deep_ensemble_of_the_best_configuration(hyper_deep, folder):
    deep = deep_ensemble(RECIPE, search=SPACE, size=SIZE, runs=RUNS, out=folder, workers=1, shared_init=True)
    best = hyper_deep.first_selection.run_ids[hyper_deep.first_selection.best_single]
    assert deep.member_ids[0] == best
    assert len({str(values) for values in deep.hyperparameters}) == 1
    assert len(set(deep.init_seeds)) == SIZE
    assert deep.n_trained == RUNS + SIZE - 1
    np.testing.assert_allclose(deep.weights, 1 / SIZE)
    assert set(deep.member_ids) <= set(hyper_deep.selection.run_ids)  # the block contains the deep ensemble


def test_deep_ensemble_without_a_search(tmp_path):
    deep = deep_ensemble(RECIPE, size=2, out=tmp_path / "deep", workers=1)
    assert deep.n_trained == len(deep.study().runs) == 2
    assert deep.hyperparameters == ({}, {})
    assert deep.scores.nll < deep.scores.gibbs_nll


def test_it_ships(hyper_deep, tmp_path):
    from runspread.training.datasets import load_dataset

    ensemble = hyper_deep.ensemble()
    inputs = load_dataset(RECIPE).split("test").inputs
    labels = load_dataset(RECIPE).split("test").labels
    scored = rs.ensemble_scores(ensemble.member_probabilities(inputs), labels, weights=ensemble.weights)
    assert scored.nll == pytest.approx(hyper_deep.scores.nll, abs=1e-3)
    assert rs.load_ensemble(ensemble.save(tmp_path / "shipped")).member_ids == hyper_deep.member_ids


def test_wrong_arguments(tmp_path):
    with pytest.raises(InputError, match="variant"):
        rs.hyper_deep_ensemble(RECIPE, search=SPACE, size=2, out=tmp_path / "a", variant="strat")
    with pytest.raises(InputError, match="empty search"):
        rs.hyper_deep_ensemble(RECIPE, search={}, size=2, out=tmp_path / "a")
    with pytest.raises(InputError, match="validation"):
        rs.hyper_deep_ensemble(RECIPE.replace(validation=0), search=SPACE, size=2, out=tmp_path / "a")
    with pytest.raises(InputError, match="Did you mean"):
        rs.hyper_deep_ensemble(RECIPE, search={"drpout": "uniform(0,1)"}, size=2, out=tmp_path / "a")
    assert not (tmp_path / "a").exists()
