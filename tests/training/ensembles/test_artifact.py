"""An ensemble as a thing to ship: prediction, files, modules, ONNX, cost."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

import runspread as rs
from runspread._reading.plain_files import sealed
from runspread.errors import CorruptShardError, FormatVersionError, InputError, NotAStudyError, StorageError
from runspread.methods.ensembles import ensemble_probabilities, select_ensemble
from runspread.training import Ensemble, load_split, make_ensemble
from runspread.training.datasets import load_dataset
from tests.factories import small_recipe

RECIPE = small_recipe()


@pytest.fixture(scope="module")
def study(trained_study):
    return trained_study


@pytest.fixture(scope="module")
def chosen(study):
    return select_ensemble(study, size=3)


@pytest.fixture(scope="module")
def ensemble(study, chosen):
    return make_ensemble(study, chosen)


@pytest.fixture(scope="module")
def test_split():
    return load_dataset(RECIPE).split("test")


def test_examples_of_a_recipe(test_split):
    inputs, labels = load_split(RECIPE)
    np.testing.assert_array_equal(inputs, test_split.inputs)
    np.testing.assert_array_equal(labels, test_split.labels)
    assert len(load_split(RECIPE, "validation")[1]) == 300
    with pytest.raises(InputError, match="no split 'dev'"):
        load_split("digits-mlp", "dev")


def test_dropout_at_test_time_has_the_rates_of_training(tmp_path, test_split):
    recipe = RECIPE.replace(hidden=(16, 8), dropout=0.1, epochs=1)
    space = {"dropout.dropouts.1": "uniform(0.2,0.6)"}
    study = rs.train(recipe, runs=2, search=space, out=tmp_path / "runs", workers=1)
    ensemble = make_ensemble(study, list(study.runs.ids))
    loaded = rs.load_ensemble(ensemble.save(tmp_path / "shipped"))
    for made in (ensemble, loaded):
        for run, member in zip(study.runs, made.module().core.networks, strict=True):
            rates = [module.p for module in member.modules() if isinstance(module, nn.Dropout)]
            assert rates == [0.1, run.hyperparameters["dropout.dropouts.1"]]
    passes = ensemble.mc_dropout(test_split.inputs, passes=400, seed=1)
    assert passes.shape == (400, 360, 10)
    assert passes.std(axis=0).max() > 0.01
    np.testing.assert_allclose(passes.sum(axis=-1), 1, atol=1e-6)
    np.testing.assert_array_equal(passes[:3], loaded.mc_dropout(test_split.inputs, passes=3, seed=1))
    assert np.abs(passes.mean(axis=0) - ensemble.predict(test_split.inputs)).mean() < 0.02
    with pytest.raises(InputError, match="without dropout"):
        Ensemble.of([nn.Linear(6, 2)]).mc_dropout(np.zeros((2, 6), np.float32))


def small(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(64, 3))


X = torch.randn(5, 1, 6, 6, generator=torch.Generator().manual_seed(0))


def test_selection_from_a_study_needs_no_training(study, chosen):
    assert chosen.n_candidates == 8
    assert chosen.n_examples == 300
    assert set(chosen.member_ids) <= set(study.runs.ids)


def test_prediction_is_the_weighted_average_of_the_recorded_runs(study, chosen, ensemble, test_split):
    recorded = study.predictions("test").to_array("float64")
    expected = ensemble_probabilities(recorded, weights=chosen.weights, kind="logits")
    np.testing.assert_allclose(ensemble.predict(test_split.inputs), expected, atol=2e-3)  # recorded as float16
    np.testing.assert_allclose(ensemble.weights, chosen.weights[chosen.members])
    assert ensemble.member_ids == chosen.member_ids


def test_scores_of_the_ensemble_follow_from_its_members(study, chosen, ensemble, test_split):
    members = ensemble.member_probabilities(test_split.inputs)
    scored = rs.ensemble_scores(members, test_split.labels, weights=ensemble.weights)
    recorded = rs.ensemble_scores(study, weights=chosen.weights)
    assert scored.nll == pytest.approx(recorded.nll, abs=1e-3)
    assert scored.accuracy == pytest.approx(recorded.accuracy, abs=2 / len(test_split))


def test_saved_and_loaded_it_predicts_the_same(ensemble, tmp_path, test_split):
    folder = ensemble.save(tmp_path / "shipped")
    loaded = rs.load_ensemble(folder)
    np.testing.assert_array_equal(loaded.predict(test_split.inputs), ensemble.predict(test_split.inputs))
    assert loaded.metadata.selection["objective"] == "nll"
    assert loaded.metadata.members[0]["seeds"]["init"] is not None
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["shipped"]
    with pytest.raises(StorageError, match="exists"):
        ensemble.save(folder)


def test_batches_and_ways_to_run_agree(ensemble, test_split):
    x = test_split.inputs[:100]
    whole = ensemble.predict(x)
    np.testing.assert_allclose(ensemble.predict(x, batch_size=7), whole, atol=1e-6)
    with torch.no_grad():
        module = ensemble.module()(torch.from_numpy(np.array(x)))
    np.testing.assert_allclose(module.numpy(), whole, atol=1e-6)
    np.testing.assert_allclose(whole.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:, :-1], r"inputs of shape \(360, 63\). Expected \(examples, 64\)\.$"),
        (lambda x: x[0], r"inputs of shape \(64,\).*inputs\[None\]"),
        (lambda x: x[:0], "no inputs"),
        (lambda x: "x", "inputs of dtype <U1. Expected numbers"),
        (lambda x: [[1, 2], [3]], "no array"),
        (lambda x: np.where(x > 0.9, np.nan, x), "inputs hold [0-9]+ NaN"),
        (lambda x: torch.full((3, 64), torch.nan), "inputs hold 192 NaN"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(ensemble, test_split, change, message):
    for ask in (ensemble.predict, ensemble.member_probabilities, ensemble.cost):
        with pytest.raises(InputError, match=message):
            ask(change(test_split.inputs))
    assert ensemble.predict(test_split.inputs[:2].tolist()).shape == (2, 10)


def test_a_changed_or_newer_file_is_refused(ensemble, tmp_path):
    folder = ensemble.save(tmp_path / "shipped")
    with pytest.raises(NotAStudyError):
        rs.load_ensemble(tmp_path)
    facts = json.loads((folder / "ensemble.json").read_text())
    with pytest.raises(CorruptShardError, match="differs from the sum"):
        edited = (folder / "ensemble.json").read_bytes()
        (folder / "ensemble.json").write_bytes(edited.replace(b'"version"', b'"versioN"'))
        rs.load_ensemble(folder)
    del facts["crc32"]
    (folder / "ensemble.json").write_bytes(sealed(json.dumps({**facts, "version": 99}).encode()))
    with pytest.raises(FormatVersionError, match="99"):
        rs.load_ensemble(folder)
    (folder / "ensemble.json").write_text(json.dumps(facts)[:-5])
    with pytest.raises(CorruptShardError):
        rs.load_ensemble(folder)
    (folder / "ensemble.json").write_bytes(sealed(json.dumps(facts).encode()))
    raw = bytearray((folder / "weights.safetensors").read_bytes())
    raw[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(raw)
    with pytest.raises(CorruptShardError, match="checksum"):
        rs.load_ensemble(folder)


def test_code_that_a_file_names_is_never_run(ensemble, tmp_path):
    folder = ensemble.save(tmp_path / "shipped")
    facts = json.loads((folder / "ensemble.json").read_text())
    del facts["crc32"]  # who means harm writes the right sum
    marker = tmp_path / "run"
    (tmp_path / "evil.py").write_text(f"open({str(marker)!r}, 'w')")
    for place in (facts["recipe"], facts["members"][0]["hyperparameters"]):
        before = dict(place)
        place["model"] = f"{tmp_path / 'evil.py'}:build"
        (folder / "ensemble.json").write_bytes(sealed(json.dumps(facts).encode()))
        with pytest.raises(InputError, match="network="):
            rs.load_ensemble(folder)
        assert not marker.exists()
        place.clear()
        place.update(before)


def test_networks_of_ones_own(tmp_path):
    members = [small(seed).eval() for seed in range(3)]
    ensemble = Ensemble.of(members, weights=[0.5, 0.25, 0.25], mean=0.1, std=2.0)
    expected = sum(w * m((X - 0.1) / 2).softmax(-1) for w, m in zip((0.5, 0.25, 0.25), members, strict=True)).detach()
    np.testing.assert_allclose(ensemble.predict(X), expected, atol=1e-6)
    folder = ensemble.save(tmp_path / "own")
    with pytest.raises(InputError, match="network="):
        rs.load_ensemble(folder)
    np.testing.assert_array_equal(rs.load_ensemble(folder, network=small(9)).predict(X), ensemble.predict(X))
    with pytest.raises(InputError, match="same architecture"):
        rs.load_ensemble(folder, network=nn.Linear(3, 3))
    with pytest.raises(InputError, match="sum 1"):
        Ensemble.of(members, weights=[1, 1, 1])


def test_members_of_different_widths(tmp_path):
    members = [nn.Sequential(nn.Flatten(), nn.Linear(36, width), nn.Linear(width, 3)) for width in (4, 7)]
    ensemble = Ensemble.of(members)
    folder = ensemble.save(tmp_path / "unlike")
    untrained = [nn.Sequential(nn.Flatten(), nn.Linear(36, width), nn.Linear(width, 3)) for width in (4, 7)]
    loaded = rs.load_ensemble(folder, network=untrained)
    np.testing.assert_array_equal(loaded.predict(X), ensemble.predict(X))
    with pytest.raises(InputError, match="1 networks for 2 members"):
        rs.load_ensemble(folder, network=untrained[:1])


def test_members_whose_widths_were_searched(tmp_path, test_split):
    recipe = RECIPE.replace(epochs=1)
    study = rs.train(recipe, runs=4, search={"hidden": [(12,), (20,)]}, out=tmp_path / "runs", workers=1)
    assert len({str(run.hyperparameters["hidden"]) for run in study.runs}) == 2
    ensemble = make_ensemble(study, study.runs.ids)
    loaded = rs.load_ensemble(ensemble.save(tmp_path / "shipped"))
    np.testing.assert_array_equal(loaded.predict(test_split.inputs), ensemble.predict(test_split.inputs))


@pytest.mark.parametrize("kind", ["batch", "hyper-batch"])
def test_batch_ensembles_are_shipped_too(kind, tmp_path):
    network = small()
    convert = rs.nn.batch_ensemble if kind == "batch" else rs.nn.hyper_batch_ensemble
    core = convert(network, 3, generator=torch.Generator().manual_seed(0)).eval()
    ensemble = Ensemble.of(core)
    np.testing.assert_allclose(ensemble.predict(X), core.predict(X), atol=1e-6)
    loaded = rs.load_ensemble(ensemble.save(tmp_path / kind), network=small(5))
    np.testing.assert_array_equal(loaded.predict(X), ensemble.predict(X))
    assert loaded.metadata.conversion.kind == kind
    cost = ensemble.cost(X, single=network, repeats=2)
    assert cost.single_parameters == sum(p.numel() for p in network.parameters())
    assert cost.parameters == sum(p.numel() for p in core.parameters())
    assert cost.single_seconds > 0


def test_a_foreign_study_needs_the_network(tmp_path):
    labels = np.array([0, 1, 2, 0, 1])
    study = rs.create_study(tmp_path / "mine", splits={"validation": labels})
    networks = [small(seed).eval() for seed in range(3)]
    for seed, network in enumerate(networks):
        with study.record(seeds=seed) as run:
            run.predictions("validation", network(X))
            run.weights(network)
    study = rs.open_study(tmp_path / "mine")
    found = select_ensemble(study, size=2, folds=0)
    with pytest.raises(InputError, match="network="):
        make_ensemble(study, found)
    ensemble = make_ensemble(study, found, network=small(8))
    assert ensemble.member_ids == found.member_ids
    all_three = make_ensemble(study, study.runs.ids, network=small(8))
    expected = torch.stack([m(X).softmax(-1) for m in networks]).mean(0).detach()
    np.testing.assert_allclose(all_three.predict(X), expected, atol=1e-6)
    with pytest.raises(InputError, match="unknown run"):
        make_ensemble(study, ["nobody"], network=small())


def test_cost(ensemble, test_split):
    cost = ensemble.cost(test_split.inputs[:64], repeats=3)
    assert cost.parameters == len(ensemble) * cost.single_parameters
    assert 0 < cost.single_seconds < 1
    assert "times the parameters" in cost.sentence()
    assert len(cost.table()) == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_onnx_gives_the_same(ensemble, tmp_path, test_split):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    x = np.array(test_split.inputs[:9], dtype=np.float32)
    path = ensemble.to_onnx(tmp_path / "ensemble.onnx", x[:2])
    session = runtime.InferenceSession(str(path))
    for rows in (x, x[:1]):
        (found,) = session.run(None, {session.get_inputs()[0].name: rows})
        np.testing.assert_allclose(found, ensemble.predict(rows), atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("convert", [rs.nn.batch_ensemble, rs.nn.hyper_batch_ensemble])
def test_onnx_of_batch_ensembles(convert, tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    ensemble = Ensemble.of(convert(small(), 3, generator=torch.Generator().manual_seed(0)))
    session = runtime.InferenceSession(str(ensemble.to_onnx(tmp_path / "e.onnx", X)))
    (found,) = session.run(None, {"inputs": X[:3].numpy()})
    np.testing.assert_allclose(found, ensemble.predict(X[:3]), atol=1e-5)


@torch.no_grad()
def test_prediction_follows_the_weights():
    ensemble = Ensemble.of([small(seed) for seed in range(3)])
    before = ensemble.predict(X)
    for parameter in ensemble.module().parameters():
        parameter.data.mul_(2)  # which no version counter sees
    after = ensemble.predict(X)
    assert np.abs(after - before).max() > 0.01
    np.testing.assert_allclose(after, ensemble.module()(X), atol=1e-6)
    ensemble.module().double()
    np.testing.assert_allclose(ensemble.predict(X.double()), after, atol=1e-6)


def test_members_that_compute_differently_are_not_stacked():
    torch.manual_seed(0)
    layers = [nn.Linear(6, 3) for _ in range(2)]
    bent = [nn.Sequential(layers[0], nn.ReLU()), nn.Sequential(layers[1], nn.Tanh())]
    leaky = [nn.Sequential(layer, nn.LeakyReLU(slope)) for layer, slope in zip(layers, (0.1, 0.9), strict=True)]
    x = torch.randn(5, 6)
    for members in (bent, leaky):
        ensemble = Ensemble.of(members)
        assert not ensemble.module().core.stackable
        expected = torch.stack([member(x).softmax(-1) for member in members]).mean(0).detach()
        np.testing.assert_allclose(ensemble.predict(x), expected, atol=1e-6)
    dropped = [nn.Sequential(layer, nn.Dropout(rate)) for layer, rate in zip(layers, (0.1, 0.9), strict=True)]
    assert Ensemble.of(dropped).module().core.stackable  # the rate has no say in a prediction
