"""The commands and the report's section on ensembles; batch ensembles trained from a recipe."""

from __future__ import annotations

import json
import re
import shlex

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

import runspread as rs
from runspread._cli import cli
from runspread._report.ensembles import ensemble as section
from runspread.errors import CorruptShardError, InputError, MissingDataError
from runspread.methods.ensembles import select_ensemble
from runspread.training import make_ensemble, train_batch_ensemble
from runspread.training.datasets import load_dataset
from runspread.training.ensembles import procedures
from runspread.training.ensembles.batch import _augmentation

SETTINGS = ("epochs=3", "hidden=(12,)", "train_examples=700", "validation=300", "lr=5e-3")
RECIPE = rs.recipe("digits-mlp", epochs=3, hidden=(12,), train_examples=700, validation=300, lr=5e-3)


def invoke(*words):
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


def set_options():
    return [word for setting in SETTINGS for word in ("--set", setting)]


@pytest.fixture(scope="module")
def study(trained_study):
    return trained_study


def test_ensemble(study, tmp_path):
    found = invoke("ensemble", study.path, "--size", 3, "-o", tmp_path / "shipped")
    assert found.exit_code == 0
    assert "Greedy selection chose 3 of 8 candidates" in found.output
    assert "optimistic" in found.output
    assert "times the parameters of a single network" in found.output
    shipped = rs.load_ensemble(tmp_path / "shipped")
    assert shipped.member_ids == select_ensemble(study, size=3).member_ids


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


def test_ensemble_says_what_to_train_with(tmp_path):
    words = ("train", "digits-mlp", "--runs", 3, "--workers", 1, "--set", "epochs=1", "--set", "hidden=(12,)")
    assert invoke(*words, "-o", tmp_path / "a").exit_code == 0
    found = invoke("ensemble", tmp_path / "a", "-o", tmp_path / "best")
    assert found.exit_code == 2
    assert "no completed run has predictions on split 'validation'" in found.output
    advice = shlex.split(re.search("the settings of this study and (.*)\\.", found.output)[1])
    assert invoke(*words, *advice, "-o", tmp_path / "b").exit_code == 0
    assert invoke("ensemble", tmp_path / "b", "-o", tmp_path / "best").exit_code == 0
    assert len(rs.load_ensemble(tmp_path / "best")) >= 1
    assert "--data was given without -o" in invoke("ensemble", tmp_path / "b", "--data", "x").output


def test_ensemble_of_a_loop_of_ones_own(tmp_path):
    labels = np.arange(30) % 3
    recipe = {"dataset": "mine", "model": "mine", "name": "mine"}
    made = rs.create_study(tmp_path / "s", splits={"test": labels, "validation": labels}, recipe=recipe)
    with made.record(seeds=0) as run:
        run.predictions("test", np.eye(3)[labels])
    found = invoke("ensemble", made.path)
    assert "run.predictions('validation', logits)" in found.output
    found = invoke("ensemble", made.path, "-o", tmp_path / "best")
    assert found.exit_code == 2
    assert "rs.ensemble(study, size=5, split='validation', network=model)" in found.output


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
    assert all(name in wrong.output for name in (*procedures.VARIANTS, "deep"))


def test_hyper_batch(tmp_path):
    found = invoke("hyper-batch", "digits-mlp", "--members", 2, *set_options(), "-o", tmp_path / "shipped")
    assert found.exit_code == 0, found.output
    assert "hyper-batch ensemble of 2 members" in found.output
    shipped = rs.load_ensemble(tmp_path / "shipped")
    assert shipped.metadata.conversion.kind == "hyper-batch"
    plain = invoke("hyper-batch", "digits-mlp", "--members", 2, "--fixed", *set_options(), "--json")
    assert json.loads(plain.stdout)["kind"] == "batch"


@pytest.mark.parametrize("hyper", [True, False])
def test_batch_ensemble_of_a_recipe(hyper, tmp_path):
    found = train_batch_ensemble(RECIPE.replace(epochs=40), members=3, hyper=hyper, tuning_rate=0.03)
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
    found = train_batch_ensemble(RECIPE.replace(steps=7, batch_size=100), members=2, hyper=False)
    assert len(found.log.losses) == 7
    assert len(train_batch_ensemble(RECIPE.replace(epochs=0.5), members=2, hyper=False).log.losses) == 2


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
    with pytest.raises(InputError, match="masked tokens"):
        train_batch_ensemble(RECIPE.replace(augment=("mask:15",)))
    with pytest.raises(InputError, match="hinge"):
        train_batch_ensemble(RECIPE.replace(loss="hinge"))
    with pytest.raises(InputError, match=r"stop_loss=0\.1"):
        train_batch_ensemble(RECIPE.replace(stop_loss=0.1, evaluate=("train", "test")))
    with pytest.raises(InputError, match="conversion keyword 'tied'"):
        train_batch_ensemble(RECIPE, hyper=False, conversion={"tied": True})
    with pytest.raises(InputError, match=r"training keyword 'tuningrate'.*Did you mean 'tuning_rate'"):
        train_batch_ensemble(RECIPE, tuningrate=0.1)
    with pytest.raises(InputError, match="does not fit"):
        train_batch_ensemble(RECIPE, conversion={"hidden": "wide"})
    with pytest.raises(InputError, match="two numbers"):
        train_batch_ensemble(RECIPE, ranges={"l2": 3})
    with pytest.raises(InputError, match="tunes nothing"):
        train_batch_ensemble(RECIPE, hyper=False, ranges={"l2": (1, 2)})
    with pytest.raises(InputError, match="seed is -1"):
        train_batch_ensemble(RECIPE, seed=-1)
    with pytest.raises(InputError, match="device 'abacus'"):
        train_batch_ensemble(RECIPE, device="abacus")
    with pytest.raises(InputError, match=r"validation=NUMBER"):
        train_batch_ensemble(RECIPE.replace(validation=0))


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
    assert "their hyperparameters" in found.figures[1].shows


def test_no_section_without_a_split_that_chooses(tmp_path):
    labels = np.array([0, 1, 0])
    study = rs.create_study(tmp_path / "mine", splits={"test": labels})
    with study.record(seeds=0) as run:
        run.predictions("test", np.eye(2)[labels])
    with pytest.raises(MissingDataError):
        section(rs.open_study(study.path))


# ------------------------------------------------------------------ what the recipe says is done


def batch_losses(recipe, **options):
    return train_batch_ensemble(recipe, members=2, **{"hyper": False, **options}).log.losses


@pytest.mark.parametrize(
    ("base", "field"),
    [
        ({}, {"label_smoothing": 0.3}),
        ({}, {"beta1": 0.5}),
        ({}, {"beta2": 0.5}),
        ({}, {"eps": 0.1}),
        ({"l2": 1e4}, {"decay": "weights"}),
        ({"optimizer": "sgd", "momentum": 0.9, "lr": 0.05}, {"nesterov": True}),
    ],
)
def test_a_batch_ensemble_follows_its_recipe(base, field):
    recipe = RECIPE.replace(optimizer="adam", batch_size=50, epochs=2).replace(**base)
    assert not np.array_equal(batch_losses(recipe.replace(**field)), batch_losses(recipe))


def test_the_last_batch_is_left_out_where_the_recipe_says_so():
    recipe = RECIPE.replace(batch_size=150, epochs=2)  # of 400
    assert len(batch_losses(recipe.replace(drop_last=True))) == 4
    assert len(batch_losses(recipe.replace(drop_last=False))) == 6
    assert len(batch_losses(recipe, epochs=3)) == 6  # what is said in the call goes before the recipe


def test_a_batch_ensemble_starts_from_the_recipe_s_checkpoint(tmp_path):
    (head, body), path = (("layers.1", "layers.0"), tmp_path / "start.safetensors")
    rates = {"lr": 1e-12, "epochs": 1}
    study = rs.train(RECIPE, runs=1, out=tmp_path / "runs", workers=1)
    weights = {name: torch.tensor(np.array(value)) for name, value in study.weights(study.runs[0]).items()}
    save_file(weights, path)
    recipe = RECIPE.replace(start_from=str(path), fresh=(head,), **rates)
    layers = train_batch_ensemble(recipe, members=2, hyper=False).ensemble.module().core.layers
    torch.testing.assert_close(layers[body].weight, weights[f"{body}.weight"], atol=1e-6, rtol=0)
    assert not torch.allclose(layers[head].weight, weights[f"{head}.weight"], atol=1e-3)


def test_a_recipe_s_smoothing_gives_way_to_one_that_is_tuned():
    recipe = RECIPE.replace(label_smoothing=0.3)
    assert not np.array_equal(batch_losses(recipe, hyper=True), batch_losses(RECIPE, hyper=True))
    space = (rs.nn.Hyperparameter("smoothing", 1e-3, 0.2, "label_smoothing"),)
    options = {"hyper": True, "conversion": {"hyperparameters": space}}
    np.testing.assert_array_equal(batch_losses(recipe, **options), batch_losses(RECIPE, **options))


# ------------------------------------------------------------------ what is written beside the ensemble


def test_the_log_is_shipped_with_the_ensemble(tmp_path):
    options = {"conversion": {"tied": True, "hidden": None}, "ranges": {"l2": (0.1, 100)}, "tau": 1e-2}
    found = train_batch_ensemble(RECIPE, members=2, seed=3, tuning_rate=0.02, **options)
    folder = found.ensemble.save(tmp_path / "shipped")
    loaded = rs.load_ensemble(folder)
    assert loaded.log.to_dict() == found.log.to_dict()
    assert loaded.log.sentence() == found.log.sentence()
    facts = json.loads((folder / "ensemble.json").read_text())["training"]
    assert (facts["seed"], facts["tuned_on"], facts["device"]) == (3, "validation", "cpu")
    assert facts["conversion"] == {"tied": True, "hidden": None}
    assert (facts["settings"]["tau"], facts["settings"]["tuning_rate"]) == (1e-2, 0.02)
    assert facts["warnings"] == list(found.log.warnings)
    assert {(h.low, h.high) for h in loaded.module().core.hyperparameters if h.role == "l2"} == {(0.1, 100)}
    (folder / "training.safetensors").write_bytes(b"")
    with pytest.raises(CorruptShardError, match="checksum"):
        rs.load_ensemble(folder)


def test_cost_is_shipped_with_the_ensemble(study, tmp_path):
    made = make_ensemble(study, study.runs.ids[:2])
    counted = json.loads((made.save(tmp_path / "counted") / "ensemble.json").read_text())["cost"]
    assert counted["parameters"] == 2 * counted["single_parameters"]
    cost = made.cost(load_dataset(RECIPE).split("test").inputs[:8], repeats=2)
    measured = json.loads((made.save(tmp_path / "measured") / "ensemble.json").read_text())["cost"]
    assert measured["seconds"] == cost.seconds
    assert measured["examples"] == 8


def test_hyper_batch_takes_what_the_converter_takes(tmp_path):
    words = ("--conversion", "hidden=none", "--range", "l2=0.1,100", "--training", "tau=0", "--device", "cpu")
    out = ("-o", tmp_path / "shipped")
    found = invoke("hyper-batch", "digits-mlp", "--members", 2, *set_options(), *words, *out)
    assert found.exit_code == 0, found.output
    assert "steps" in found.stderr
    assert "times the parameters of a single network" in found.output
    loaded = rs.load_ensemble(tmp_path / "shipped")
    assert loaded.metadata.conversion.options["hidden"] is None
    assert loaded.metadata.training["settings"]["tau"] == 0
    assert loaded.metadata.cost["single_seconds"] > 0


@pytest.mark.parametrize("rate", ["-1", "nan"])
def test_a_tuning_rate_out_of_range_ends_with_status_2(rate):
    found = invoke("hyper-batch", "digits-mlp", *set_options(), "--tuning-rate", rate)
    assert found.exit_code == 2
    assert "tuning_rate" in found.output


def test_a_folder_that_exists_is_found_before_the_work(study, tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError

    for name in ("train_batch_ensemble", "hyper_deep_ensemble", "select_ensemble"):
        monkeypatch.setattr(rs, name, never, raising=False)
    search = ("--search", "l2=loguniform(1e-3,1e3)", "-o", tmp_path / "study", "--ship", tmp_path)
    for words in (
        ("hyper-batch", "digits-mlp", *set_options(), "-o", tmp_path),
        ("hyper-deep", "digits-mlp", *set_options(), *search),
        ("ensemble", study.path, "-o", tmp_path),
    ):
        found = invoke(*words)
        assert found.exit_code == 2
        assert f"{tmp_path} already exists" in found.output


def test_the_section_leaves_out_runs_that_cannot_be_scored(tmp_path):
    rng = np.random.default_rng(0)
    labels = {name: rng.integers(0, 3, 320) for name in ("validation", "test")}
    made = rs.create_study(tmp_path / "part", splits=labels)
    for seed in range(21):
        with made.record(seeds=seed) as run:
            for name in ("validation", "test"):
                logits = rng.normal(size=(320, 3)) + (4 if seed == 7 else 1.5) * np.eye(3)[labels[name]]
                if (seed, name) != (7, "test"):
                    run.predictions(name, logits)
            run.weights({"w": np.ones((2, 3), np.float32)})
    opened = rs.open_study(made.path)
    lost = opened.runs[7].id
    assert lost in select_ensemble(opened, size=5).member_ids  # it is the best of all
    found = section(opened)
    assert len(found.figures) == 3
    assert lost not in found.tables[0]["member"]
    assert any(lost in note and "no predictions on split 'test'" in note for note in found.notes)
    assert any(note.startswith("Cost: 30 stored numbers against 6") for note in found.notes)


def test_a_file_of_outputs_is_chosen_from(tmp_path):
    rng, labels = np.random.default_rng(0), np.arange(400) % 4
    np.save(tmp_path / "x.npy", (np.eye(4)[labels] + rng.normal(size=(8, 400, 4))).astype(np.float32))
    np.save(tmp_path / "y.npy", labels)
    words = ["ensemble", str(tmp_path / "x.npy"), "--labels", str(tmp_path / "y.npy")]
    result = CliRunner().invoke(cli, [*words, "--json"], catch_exceptions=False)
    found = select_ensemble(np.load(tmp_path / "x.npy"), labels)
    assert json.loads(result.output)["path"] == found.path.tolist()
    text = CliRunner().invoke(cli, words, catch_exceptions=False).output
    assert "95% CI" in text
    refused = CliRunner().invoke(cli, [*words, "-o", str(tmp_path / "e")])
    assert refused.exit_code == 2
    assert "Drop -o" in refused.output
