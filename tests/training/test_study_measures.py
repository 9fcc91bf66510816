"""Data-dependent measures of a study that runspread trained, and the table that puts them beside spectra."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods.corpus import corpus_table
from runspread.methods.spectra import (
    accuracy_of,
    margin_percentile,
    norm_measures,
    pac_bayes_measures,
    path_norm,
    perturbation_tolerance,
    study_spectra,
    svd_smoothing,
)
from runspread.training import TorchNetwork, study_measures

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
from click.testing import CliRunner  # noqa: E402
from torch import nn  # noqa: E402

from runspread._cli import cli  # noqa: E402
from runspread._reading.tables import as_table  # noqa: E402


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Six perceptrons of two depths on the digits, one of which diverges."""
    recipe = rs.recipe("digits-mlp", epochs=3, optimizer="sgd", record="none", init="torch", logits_dtype="float32")
    recipe = recipe.replace(checkpoint_at=(0,), evaluate=("train", "test"))
    search = {"hidden": [[64], [64, 64]], "lr": [0.1, 0.05, 1e30]}
    return rs.train(recipe, runs=6, out=tmp_path_factory.mktemp("studies") / "s", search=search)


@pytest.fixture(scope="module")
def measured(study):
    return study_measures(study, worst_case=True, draws=2)


def digits(study):
    from runspread.training.engine import make_task
    from runspread.training.study_networks import recipe_of

    split = make_task(recipe_of(study, None)).splits["train"]
    return split.gather(torch.arange(len(split.labels))).numpy(), split.labels.numpy()


def network_of(study, run):
    weights = {name: torch.tensor(value) for name, value in study.weights(run).items()}
    sizes = [64, *run.hyperparameters["hidden"], 10]
    layers = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    for k, layer in enumerate(layers):
        layer.load_state_dict({name: weights[f"layers.{k}.{name}"] for name in ("weight", "bias")})
    spaced = [module for layer in layers for module in (layer, nn.ReLU())][:-1]
    return nn.Sequential(nn.Flatten(), *spaced)


def test_measures_are_those_of_each_network(study, measured):
    inputs, labels = digits(study)
    assert len(measured.runs) == 4
    assert [one.reason for one in measured.excluded] == ["diverged"] * 2
    for row, run in enumerate(measured.runs):
        network = TorchNetwork(network_of(study, study.runs[run]))
        found = {name: values[row] for name, values in measured.metrics.items()}
        accuracy = accuracy_of(network, inputs, labels)
        smooth = svd_smoothing(network.weights, accuracy)
        assert smooth.unchanged == pytest.approx(study.runs[run].accuracy["train"], abs=1e-3)
        np.testing.assert_allclose([found[f"SVD{k}"] for k in (10, 20, 40)], smooth.accuracy, atol=2e-3)
        margin = margin_percentile(study.predictions("train").to_array()[row], labels)
        assert found["margin"] == pytest.approx(margin, rel=1e-4)
        path = path_norm(network, network.weights, (64,))
        assert found["log_path_norm"] == pytest.approx(np.log(path), rel=1e-6)
        weights, start = study.weights(run), study.weights(run, step=0)
        norms = norm_measures(weights, len(labels), initial=start, margin=margin, path_norm=path)
        assert {name: found[name] for name in norms.raw} == pytest.approx(norms.raw, rel=1e-4)
        levels = pac_bayes_measures(weights, start, found["sigma"], found["sigma_magnitude"], len(labels))
        assert {name: found[name] for name in levels} == pytest.approx(levels, rel=1e-6)
        assert 0 < found["sharpness_radius"] <= 0.5
        cost = accuracy(network.weights) - np.mean(
            [accuracy(noisy(network.weights, found["sigma"], s)) for s in (1, 2)]
        )
        assert 0 < cost < 0.3


def noisy(weights, sigma, seed):
    rng = np.random.default_rng(seed)
    return {name: (w + sigma * rng.standard_normal(w.shape)).astype("f4") for name, w in weights.items()}


def test_initial_weights_are_drawn_again_where_they_were_not_recorded(study, measured, tmp_path):
    recipe = rs.recipe("digits-mlp", epochs=3, optimizer="sgd", record="none", init="torch", evaluate=("train", "test"))
    bare = rs.train(recipe, runs=6, out=tmp_path / "s", search={"hidden": [[64], [64, 64]], "lr": [0.1, 0.05, 1e30]})
    again = study_measures(bare, noise=False, examples=100)
    assert again.n_train == 100
    assert again.runs == measured.runs
    for name in ("distance_from_init", "l2_dist", "dist_spec_init"):
        np.testing.assert_allclose(again.metrics[name], measured.metrics[name], rtol=1e-5)
    assert "sigma" not in again.metrics
    assert "sharpness_radius" not in again.metrics


def test_normalisation_is_folded_and_groups_are_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(
        "from torch import nn\n\n\ndef net(shape, outputs):\n"
        "    return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),\n"
        "                         nn.Conv2d(8, 8, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(128, outputs))\n"
    )
    recipe = rs.recipe("digits-mlp", model="model.py:net", epochs=1, record="none")
    study = rs.train(recipe, runs=1, out=tmp_path / "s", workers=1)
    found = study_measures(study, recipe=recipe, noise=False).metrics
    weights = study.weights(study.runs[0])
    scale = weights["2.weight"] / np.sqrt(weights["2.running_var"] + 1e-5)
    folded = [weights["1.weight"] * scale[:, None, None, None], weights["4.weight"], weights["7.weight"]]
    assert found["param_norm"][0] == pytest.approx(sum(np.sum(w.astype(float) ** 2) for w in folded), rel=1e-4)
    assert found["num_params"][0] == sum(w.size for w in folded)


def test_noise_may_be_searched_on_fewer_examples(study, measured):
    fewer = study_measures(study, noise_examples=200, draws=2)
    assert fewer.n_train == measured.n_train
    np.testing.assert_array_equal(fewer.metrics["SVD20"], measured.metrics["SVD20"])
    assert (fewer.metrics["sigma"] != measured.metrics["sigma"]).any()
    run = study.runs[fewer.runs[0]]
    network, (inputs, labels) = TorchNetwork(network_of(study, run)), digits(study)
    accuracy = accuracy_of(network, inputs[:200], labels[:200])
    assert fewer.metrics["sigma"][0] == perturbation_tolerance(network.weights, accuracy, draws=2, seed=0)


def test_measures_join_the_spectra_of_their_runs(study, measured):
    spectra = study_spectra(study)
    table = corpus_table([measured, spectra])
    assert len(table) == 4
    assert sorted(table["depth"]) == [2, 2, 3, 3]
    assert table["alpha"] == pytest.approx(spectra.values("alpha")[:, 0])
    assert table["SVD20"] == pytest.approx(measured.metrics["SVD20"])
    analysis = rs.paradox([spectra, measured], n_resamples=20)
    assert {"alpha", "SVD20", "log_prod_fro"} <= {one.metric for one in analysis.analyses}
    assert list(analysis["SVD20"].partitions) == ["2", "3"]
    with pytest.raises(InputError, match="2 times"):
        corpus_table([spectra, spectra, measured])
    with pytest.raises(InputError, match="studies, their spectra"):
        corpus_table({"alpha": [1.0]})


def test_hyperparameters_named_like_a_column_keep_their_values(study, measured):
    values = list(range(4))
    named = dict.fromkeys(("alpha", "SVD20", "test_accuracy", "run", "width"), values)
    spectra = replace(study_spectra(study), hyperparameters=named)
    table = corpus_table([replace(measured, hyperparameters=named), spectra])
    for name in ("alpha", "SVD20", "test_accuracy", "run"):
        assert table[f"hyperparameter {name}"] == values
    assert table["width"] == values
    assert table["alpha"] == pytest.approx(spectra.values("alpha")[:, 0])
    assert table["SVD20"] == pytest.approx(measured.metrics["SVD20"])
    assert table["test_accuracy"] == measured.accuracy["test"]
    assert rs.paradox([spectra], "alpha", "test_accuracy", "hyperparameter alpha", n_resamples=20).n == 4


def test_networks_too_small_for_spectra_are_judged_by_their_measures(study, measured):
    options = {"min_evals": 10_000}
    analysis = rs.paradox([study, measured], n_resamples=20, spectra_options=options)
    assert {one.metric for one in analysis.analyses} == set(measured.metrics)
    with pytest.raises(InputError, match=r"None of 4 runs .* excluded\)"):
        rs.paradox(study, n_resamples=20, spectra_options=options)


def test_the_table_goes_through_a_file(study, measured, tmp_path):
    table = corpus_table([study, measured])
    (tmp_path / "corpus.csv").write_text(table.to_csv())
    again = as_table(tmp_path / "corpus.csv")
    assert again["run"] == table["run"]
    assert again["SVD20"] == table["SVD20"]
    assert list(again.columns) == list(table.columns)


def test_measures_on_the_command_line(study, tmp_path):
    words = ["paradox", str(study.path), "--measures", "--metric", "SVD20", "--resamples", "20"]
    kept = CliRunner().invoke(cli, [*words, "--save", str(tmp_path / "c.csv")], catch_exceptions=False)
    assert kept.exit_code == 0
    assert "SVD20" in kept.output
    assert as_table(tmp_path / "c.csv")["depth"] == corpus_table(study)["depth"]


def test_sentence_and_table(measured):
    assert "4 runs" in measured.sentence()
    assert "Excluded: 2 runs" in measured.sentence()
    row = dict(zip(measured.table().columns, next(measured.table().rows()), strict=True))
    assert row["measure"] == "SVD10"
    assert row["mean"] == pytest.approx(measured.metrics["SVD10"].mean())


def test_studies_that_cannot_be_measured_are_refused(study, tmp_path):
    own = rs.create_study(tmp_path / "own", splits={"test": np.arange(4)})
    with pytest.raises(InputError, match=r"not trained by rs\.train, so its networks cannot be rebuilt"):
        study_measures(own)
    parity = rs.recipe("sparse-parity-small", epochs=1, record="none")
    with pytest.raises(InputError, match="hinge"):
        study_measures(rs.train(parity, runs=1, out=tmp_path / "p", workers=1))
    with pytest.raises(InputError, match="9999 of"):
        study_measures(study, examples=9999)
    light = rs.recipe("digits-mlp", epochs=1, record="none", keep_weights=False)
    with pytest.raises(InputError, match="keep_weights"):
        study_measures(rs.train(light, runs=1, out=tmp_path / "l", workers=1))


def test_jacobian_of_a_linear_network_is_the_product_of_its_matrices():
    module = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Identity(), nn.Linear(4, 3)).double()
    network = TorchNetwork(module)
    a, b = (network.weights[name] for name in ("1.weight", "3.weight"))
    inputs = np.random.default_rng(0).normal(size=(5, 2, 3))
    expected = (np.mean((b @ a) ** 2) + np.mean(b**2)) / 2
    assert network.jacobian_norm(network.weights, inputs) == pytest.approx(expected, rel=1e-12)
    assert not module[1]._forward_pre_hooks


def test_jacobian_is_over_layers_not_over_owners_of_tokens():
    """The module that owns a class token was a layer, and the network's own input entered the average."""

    class Owner(torch.nn.Module):
        def __init__(self, layers):
            super().__init__()
            self.layers, self.cls_token = layers, torch.nn.Parameter(torch.ones(1, 1, 4))

        def forward(self, x):
            return self.layers(2 * x)

    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    inputs = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    owner, plain = TorchNetwork(Owner(layers)), TorchNetwork(layers)
    assert owner.jacobian_norm(owner.weights, inputs) == pytest.approx(
        plain.jacobian_norm(plain.weights, 2 * inputs), rel=1e-5
    )


def test_jacobian_is_that_of_torch():
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)).double()
    network = TorchNetwork(module)
    inputs = np.random.default_rng(1).normal(size=(4, 1, 4, 4))
    x = torch.from_numpy(inputs)
    outer = torch.stack([torch.func.jacrev(lambda one: module(one[None])[0])(one) for one in x])
    hidden = module[:3](x).detach()
    inner = torch.stack([torch.func.jacrev(module[3])(one) for one in hidden])
    expected = (outer.square().mean() + inner.square().mean()) / 2
    assert network.jacobian_norm(network.weights, inputs) == pytest.approx(expected.item(), rel=1e-10)
