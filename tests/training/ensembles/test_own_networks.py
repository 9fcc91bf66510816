"""What `rs.train` trains can be shipped: networks with tied weights, recurrent or lazy layers."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError, RunspreadWarning
from runspread.training import TorchNetwork, load_split, make_ensemble, study_measures

torch = pytest.importorskip("torch")

from tests.training.ensembles import own_networks  # noqa: E402

FILE = Path(own_networks.__file__)
KINDS = ("tied", "lstm", "gru", "lazy")


def recipe(kind: str, **options):
    return rs.recipe("digits-mlp", model=f"{FILE}:{kind}", model_options={}, epochs=1, evaluate=("test",), **options)


@pytest.fixture(scope="module", params=KINDS)
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / request.param
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RunspreadWarning)  # recurrent layers cannot be stacked, and it says so
        study = rs.train(recipe(request.param), runs=2, vary=("init",), out=folder)
    return request.param, study


def test_the_ensemble_predicts_what_the_runs_predicted(trained, tmp_path):
    kind, study = trained
    with pytest.raises(InputError, match=r"names code, .*code that a file names is never run.*recipe=, the recipe"):
        make_ensemble(study, study.runs.ids)
    ensemble = make_ensemble(study, study.runs.ids, recipe=recipe(kind))
    inputs, _ = load_split(recipe(kind), "test")
    outputs = study.predictions("test").to_array().astype(np.float64)
    expected = np.exp(outputs - outputs.max(-1, keepdims=True))
    expected /= expected.sum(-1, keepdims=True)
    assert ensemble.member_probabilities(inputs) == pytest.approx(expected, abs=2e-3)  # recorded in half precision
    given = make_ensemble(study, study.runs.ids, network=getattr(own_networks, kind)((64,), 10))
    again = getattr(own_networks, kind)((64,), 10)
    if kind == "lazy":
        with pytest.raises(InputError, match=r"lazy layers.*Call it on one batch first"):
            rs.load_ensemble(given.save(tmp_path / "unsized"), network=again)
        again.eval()(torch.zeros(1, 64))  # what the error says
    saved = rs.load_ensemble(given.save(tmp_path / "e"), network=again)
    assert saved.predict(inputs[:5]) == pytest.approx(given.predict(inputs[:5]), abs=1e-6)
    assert ensemble.cost(inputs[:4], repeats=1).sentence()


def test_measures_of_the_networks(trained):
    kind, study = trained
    with pytest.raises(InputError, match="code that a file names is never run"):
        study_measures(study, examples=50, noise=False)
    assert study_measures(study, recipe=recipe(kind), examples=50, noise=False).metrics
    with pytest.raises(InputError, match="differs from the study's in model"):
        study_measures(study, recipe="digits-mlp")


def test_tied_weights_that_differ_are_refused(tmp_path):
    network = own_networks.tied((64,), 10)
    state = {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}
    state["b.weight"] += 1
    study = rs.create_study(tmp_path / "s", splits={"test": np.arange(4)})
    with study.record(seeds=0) as run:
        run.weights(state)
    with pytest.raises(InputError, match=r"(a|b)\.weight has other values than (a|b)\.weight, to which it is tied"):
        make_ensemble(study, study.runs.ids, network=network)
    with pytest.raises(InputError, match=r"b\.weight differs from a\.weight"):
        TorchNetwork(network).logits(state, np.zeros((1, 64), np.float32))


def test_recorded_state_dicts_of_tied_networks_fit(tmp_path):
    network = own_networks.tied((64,), 10)
    study = rs.create_study(tmp_path / "s", splits={"test": np.arange(4)})
    with study.record(seeds=0) as run:
        run.weights(network)
    inputs = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs)).softmax(-1).numpy()
    assert make_ensemble(study, study.runs.ids, network=network).predict(inputs) == pytest.approx(expected, abs=1e-6)


def test_a_lazy_layer_without_a_size_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no pass reaches: spare\.weight"):
        rs.train(recipe("unused"), runs=1, out=tmp_path / "s")
