"""The commands and the report's section on ensembles; batch ensembles trained from a recipe."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread._report.ensembles import ensemble as section
from runspread._training.datasets import load_dataset
from runspread._training.ensembles.batch import _augmentation

SETTINGS = ("epochs=3", "hidden=(12,)", "train_examples=700", "validation=300", "lr=5e-3")
RECIPE = rs.recipe("digits-mlp", epochs=3, hidden=(12,), train_examples=700, validation=300, lr=5e-3)


def invoke(*words):
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


def set_options():
    return [word for setting in SETTINGS for word in ("--set", setting)]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    recipe = RECIPE.replace(evaluate=("validation", "test"))
    return rs.train(recipe, runs=8, out=tmp_path_factory.mktemp("cli") / "study", workers=1)


def test_ensemble(study, tmp_path):
    found = invoke("ensemble", study.path, "--size", 3, "-o", tmp_path / "shipped")
    assert found.exit_code == 0
    assert "Greedy selection with replacement" in found.output
    assert "optimism" in found.output
    shipped = rs.load_ensemble(tmp_path / "shipped")
    assert shipped.member_ids == rs.select_ensemble(study, size=3).member_ids


def test_ensemble_as_json(study):
    options = ("--size", 2, "--objective", "brier", "--no-replacement", "--no-early-stop", "--json")
    facts = json.loads(invoke("ensemble", study.path, *options).output)
    assert facts["objective"] == "brier"
    assert len(facts["members"]) == 2
    assert sum(facts["weights"]) == pytest.approx(1)


def test_ensemble_of_an_unknown_split(study):
    found = invoke("ensemble", study.path, "--split", "holdout")
    assert found.exit_code == 2
    assert "holdout" in found.output


def test_hyper_deep(tmp_path):
    words = ("digits-mlp", "--search", "l2=loguniform(1e-3,1e3)", "--size", 2, "--runs", 3, "--workers", 1)
    found = invoke("hyper-deep", *words, *set_options(), "-o", tmp_path / "study", "--ship", tmp_path / "shipped")
    assert found.exit_code == 0, found.output
    assert "hyper-deep ensemble" in found.output
    assert len(rs.load_ensemble(tmp_path / "shipped")) in (1, 2)
    deep = invoke("hyper-deep", *words, *set_options(), "-o", tmp_path / "deep", "--variant", "deep", "--json")
    assert '"kind": "deep"' in deep.output
    wrong = invoke("hyper-deep", *words, *set_options(), "-o", tmp_path / "x", "--variant", "wide")
    assert wrong.exit_code == 2


def test_hyper_batch(tmp_path):
    found = invoke("hyper-batch", "digits-mlp", "--members", 2, *set_options(), "-o", tmp_path / "shipped")
    assert found.exit_code == 0, found.output
    assert "hyper-batch ensemble of 2 members" in found.output
    shipped = rs.load_ensemble(tmp_path / "shipped")
    assert shipped.facts.conversion.kind == "hyper-batch"
    plain = invoke("hyper-batch", "digits-mlp", "--members", 2, "--fixed", *set_options(), "--json")
    assert json.loads(plain.output)["kind"] == "batch"


@pytest.mark.parametrize("hyper", [True, False])
def test_batch_ensemble_of_a_recipe(hyper, tmp_path):
    found = rs.train_batch_ensemble(RECIPE.replace(epochs=40), members=3, hyper=hyper, tuning_rate=0.03)
    assert found.scores.accuracy > 0.8
    assert found.scores.nll < found.scores.gibbs_nll
    assert (len(found.log.tuning_steps) > 0) == hyper
    loaded = rs.load_ensemble(found.ensemble.save(tmp_path / "shipped"))  # its recipe builds the network
    inputs = load_dataset(RECIPE).split("test").inputs
    np.testing.assert_array_equal(loaded.predict(inputs), found.ensemble.predict(inputs))
    assert found.kind in found.sentence()
    assert np.isfinite(found.ensemble.cost(inputs[:20], repeats=2).single_seconds)  # against its recipe's plain network
    assert list(found.table()["predictor"])[2:] == ["member 0", "member 1", "member 2"]
    json.loads(found.to_json())
    found.plot().figure.clear()


def test_the_length_of_a_batch_ensemble_may_be_in_steps():
    found = rs.train_batch_ensemble(RECIPE.replace(steps=7, batch_size=100), members=2, hyper=False)
    assert len(found.log.losses) == 7
    assert len(rs.train_batch_ensemble(RECIPE.replace(epochs=0.5), members=2, hyper=False).log.losses) == 2


def test_the_recipe_augments_the_batch_of_a_batch_ensemble():
    images, labels = torch.rand(20, 1, 4, 4), torch.zeros(20, dtype=torch.int64)
    assert _augmentation(RECIPE, 0, labels) is None
    augment = _augmentation(RECIPE.replace(augment=("flip",)), 0, labels)
    rows = torch.tensor([3, 19, 7, 0, 11, 5])
    first, second = (augment(images[rows], rows, epoch) for epoch in (0, 1))
    flipped = [(found == images[rows].flip(-1)).all(dim=(1, 2, 3)) for found in (first, second)]
    kept = [(found == images[rows]).all(dim=(1, 2, 3)) for found in (first, second)]
    assert all(torch.equal(a, ~b) for a, b in zip(flipped, kept, strict=True))
    assert 0 < sum(int(each.sum()) for each in flipped) < 12
    assert not torch.equal(first, second)
    assert torch.equal(first[:2], augment(images[rows[:2]], rows[:2], 0))  # it hangs on example, seed and epoch


def test_what_the_batch_trainer_lacks_is_said():
    with pytest.raises(rs.InputError, match="masked tokens"):
        rs.train_batch_ensemble(RECIPE.replace(augment=("mask:15",)))
    with pytest.raises(rs.InputError, match="hinge"):
        rs.train_batch_ensemble(RECIPE.replace(loss="hinge"))
    with pytest.raises(rs.InputError, match=r"validation=NUMBER"):
        rs.train_batch_ensemble(RECIPE.replace(validation=0))


def test_section_of_the_report(study):
    found = section(study)
    assert len(found.figures) == 3
    assert "Greedy selection" in found.lead
    assert all("<svg" in figure.svg for figure in found.figures)


def test_the_section_shows_what_was_searched(tmp_path):
    recipe = RECIPE.replace(evaluate=("validation", "test"))
    space = {"l2.layers.0": "loguniform(1e-3,1e3)", "dropout": "uniform(0,0.5)"}
    found = section(rs.train(recipe, runs=6, search=space, out=tmp_path / "s", workers=1))
    assert len(found.figures) == 4
    assert "what was searched" in found.figures[1].shows


def test_no_section_without_a_split_that_chooses(tmp_path):
    labels = np.array([0, 1, 0])
    study = rs.create_study(tmp_path / "mine", splits={"test": labels})
    with study.record(seeds=0) as run:
        run.predictions("test", np.eye(2)[labels])
    with pytest.raises(rs.MissingDataError):
        section(rs.open_study(study.path))
