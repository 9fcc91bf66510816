"""What is recorded, how a run ends, where it starts from, how its stack is chosen, and what it may hold."""

from __future__ import annotations

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError, RunspreadWarning, TrainingError
from runspread.methods.dynamics import weight_metrics
from runspread.training import Recipe, recipe_names

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from runspread.training import calibration  # noqa: E402
from runspread.training.calibration import Choice, choose_program, plan_memory  # noqa: E402
from runspread.training.checkpoints import read_checkpoint  # noqa: E402
from runspread.training.engine import StackTraining, make_task  # noqa: E402
from runspread.training.memory import MemoryPlan, activation_floats  # noqa: E402
from runspread.training.models.transformers import ModularTransformer  # noqa: E402
from runspread.training.plan import deal_runs  # noqa: E402
from runspread.training.search import as_search  # noqa: E402


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNSPREAD_CACHE", str(tmp_path / "cache"))


def tiny(**overrides) -> Recipe:
    return rs.recipe("digits-mlp", **{"epochs": 2, "hidden": (16,), "record": "none", **overrides})


def test_what_is_recorded(tmp_path):
    recipe = tiny(record="5 steps", weight_metrics=True, predict_at=(3, 22), checkpoint_at=(0, 11), validation=100)
    recipe = recipe.replace(evaluate=("validation", "test"), logits_dtype="float32", epochs=2)
    study = rs.train(recipe, runs=3, out=tmp_path / "s")
    curves = study.metrics()
    assert curves["test_loss"].steps[0].tolist() == [5, 10, 15, 20]
    assert set(curves) == {
        *(f"{split}_{what}" for split in ("train", "validation", "test") for what in ("loss", "accuracy")),
        *weight_metrics([np.eye(2)]),
    }
    run = study.runs[0]
    assert set(run.predictions) == {(split, step) for split in ("validation", "test") for step in (3, None)}
    assert set(run.weights) == {0, 11, None}
    logits = study.predictions("test").to_array()
    assert logits.dtype == np.float32
    np.testing.assert_allclose(curves["test_accuracy"].values[0, -1], run.accuracy["test"], rtol=1e-6)
    weights = study.weights(run)
    expected = weight_metrics({name: np.asarray(value) for name, value in weights.items()})
    assert curves["l2"].values[0, -1] == pytest.approx(expected["l2"], rel=1e-5)


def test_train_loss_is_the_mean_since_the_last_point(tmp_path):
    fine = rs.train(tiny(record="1 steps", epochs=1), runs=2, out=tmp_path / "fine").metrics()["train_loss"].values
    coarse = rs.train(tiny(record="4 steps", epochs=1), runs=2, out=tmp_path / "c").metrics()["train_loss"].values
    np.testing.assert_allclose(coarse[:, 0], fine[:, :4].mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(coarse[:, -1], fine[:, 8:].mean(axis=1), rtol=1e-5)


def test_a_diverged_run_keeps_its_log_and_its_stack_mates(tmp_path):
    recipe = tiny(optimizer="sgd", record="3 steps", epochs=3)
    search = {"lr": [0.1, 1e30, 0.2]}
    study = rs.train(recipe, runs=3, out=tmp_path / "s", search=search, workers=1, stack=3)
    assert [run.status for run in study.runs] == ["completed", "diverged", "completed"]
    sick = study.runs[1]
    assert "not finite at step" in str(sick.error)
    assert sick.predictions == ()
    assert study.predictions("test").shape[0] == 2
    alone = rs.train(recipe, runs=3, out=tmp_path / "alone", search=search, workers=1, stack=1)
    for run in (study.runs[0], study.runs[2]):
        for name, value in alone.weights(run.id).items():
            np.testing.assert_allclose(study.weights(run)[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stack", [1, 2])
def test_a_run_stops_at_its_training_loss(tmp_path, stack):
    recipe = tiny(epochs=12, record="1 epoch", stop_loss=0.6, evaluate=("train", "test"), logits_dtype="float32")
    search = {"lr": [3e-3, 1e-5]}
    study = rs.train(recipe, runs=2, out=tmp_path / "s", search=search, stack=stack, workers=1)
    quick, slow = study.runs
    losses = study.metrics()["train_loss"]
    mine = losses.values[0][: losses.lengths[0]]
    assert mine[-1] < 0.6 <= mine[-2]
    assert losses.lengths[1] == 12
    step = int(losses.steps[0][losses.lengths[0] - 1])
    shorter = tiny().replace(steps=step)
    shorter = rs.train(shorter, runs=2, out=tmp_path / "shorter", search=search, stack=stack, workers=1)
    for name, value in shorter.weights(quick.id).items():
        np.testing.assert_allclose(study.weights(quick)[name], value, rtol=1e-6)
    assert quick.accuracy["test"] == shorter.runs[quick.id].accuracy["test"]
    whole = rs.train(tiny(epochs=12), runs=2, out=tmp_path / "whole", search=search, stack=stack, workers=1)
    for name, value in whole.weights(slow.id).items():
        np.testing.assert_allclose(study.weights(slow)[name], value, rtol=1e-6)
    assert quick.status == slow.status == "completed"


def test_a_training_ends_when_all_its_runs_have_stopped(tmp_path):
    recipe = tiny(epochs=100_000, record="1 epoch", stop_loss=2.0, evaluate=("train",))
    study = rs.train(recipe, runs=2, out=tmp_path / "s")  # else this test would not end
    assert (study.metrics()["train_loss"].lengths < 100).all()
    with pytest.raises(InputError, match="'train' among them"):
        tiny(stop_loss=0.1)


def test_structures_are_searched_too(tmp_path):
    search = {"hidden": [(8,), (8, 8)], "optimizer": ["sgd", "adam"], "lr": "loguniform(1e-3,1e-2)"}
    study = rs.train(tiny(), runs=8, out=tmp_path / "s", search=search)
    assert {run.status for run in study.runs} == {"completed"}
    for run in study.runs:
        assert len(study.weights(run)) == 2 * (1 + len(run.hyperparameters["hidden"]))
    again = rs.train(tiny(), runs=8, out=tmp_path / "s", search=search)
    assert again.runs.ids == study.runs.ids


@pytest.mark.parametrize(
    ("recipe", "search", "message"),
    [
        ({}, {"l2.haed": "uniform(0,1)"}, "no part 'haed'"),
        ({}, {"momentum": "uniform(0,1)"}, "momentum with adamw"),
        ({"name": "modular-addition-small"}, {"dropout": "uniform(0,0.5)"}, "no dropout layer"),
        ({"name": "modular-addition-small", "dropout": 0.5}, {}, "no dropout layer"),
        ({"name": "sparse-parity-small"}, {"label_smoothing": "uniform(0,0.5)"}, "hinge"),
    ],
)
def test_what_would_be_ignored_is_refused(tmp_path, recipe, search, message):
    recipe = dict(recipe)
    made = rs.recipe(recipe.pop("name", "digits-mlp"), **recipe)
    with pytest.raises(InputError, match=message):
        rs.train(made, runs=2, out=tmp_path / "s", search=search)
    assert not (tmp_path / "s").exists()


def test_dropout_of_one_layer():
    search = as_search({"dropout.dropouts.1": [0.9], "dropout": [0.0]})
    recipe = tiny(hidden=(16, 16))
    training = StackTraining(make_task(recipe), deal_runs(recipe, 2, vary=("init",), seed=0, search=search), "dense")
    assert training.stack.buffers["dropouts.0.rate"].tolist() == [0, 0]
    torch.testing.assert_close(training.stack.buffers["dropouts.1.rate"], torch.tensor([0.9, 0.9]))


def test_l2_and_rate_of_one_part_of_the_network():
    search = as_search({"l2.layers.1": [1e6], "lr.layers.0": [0.0]})
    recipe = tiny(optimizer="sgd", lr=0.01)
    task = make_task(recipe)
    plans = deal_runs(recipe, 2, vary=("init",), seed=0, search=search)
    training = StackTraining(task, plans, "dense")
    before = {name: value.clone() for name, value in training.stack.parameters.items()}
    training.step()
    after = training.stack.parameters
    assert torch.equal(after["layers.0.weight"], before["layers.0.weight"])
    gradient_free = before["layers.1.weight"] * (1 - 0.01 * 2 * 1e6 / 45_000)
    torch.testing.assert_close(after["layers.1.weight"], gradient_free, rtol=0, atol=0.05)


def test_every_run_starts_from_the_checkpoint_with_a_fresh_head(tmp_path):
    from safetensors.torch import save_file

    first = rs.train(tiny(), runs=1, out=tmp_path / "first")
    weights = {name: torch.from_numpy(np.array(value)) for name, value in first.weights(first.runs[0]).items()}
    save_file(weights, tmp_path / "start.safetensors")
    recipe = tiny(epochs=0, start_from=str(tmp_path / "start.safetensors"), fresh=("layers.1",))
    study = rs.train(recipe, runs=3, out=tmp_path / "s")
    for run in study.runs:
        np.testing.assert_array_equal(study.weights(run)["layers.0.weight"], weights["layers.0.weight"])
    heads = {study.weights(run)["layers.1.weight"].tobytes() for run in study.runs}
    assert len(heads) == 3
    assert weights["layers.1.weight"].numpy().tobytes() not in heads


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "start.safetensors"
    save_file({"layers.0.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(InputError, match=r"layers\.0\.weight of shape \(3, 3\).*fresh"):
        make_task(tiny(start_from=str(path))).build()
    save_file({"other": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="a checkpoint with other"):
        make_task(tiny(start_from=str(path))).build()
    path.write_bytes(b"not safetensors")
    with pytest.raises(InputError, match="cannot be read"):
        read_checkpoint(str(path), ())


NOT_STACKABLE = """
import torch

class Odd(torch.nn.Linear):
    def forward(self, x):
        if float(x.detach().sum()) > 1e9:
            return -super().forward(x)
        return super().forward(x)

def build(shape, outputs):
    return Odd(shape[0], outputs)
"""


def test_a_network_that_cannot_be_stacked_is_trained_run_by_run_and_said_so(tmp_path):
    (tmp_path / "model.py").write_text(NOT_STACKABLE)
    recipe = tiny().replace(model=f"{tmp_path}/model.py:build")
    with pytest.warns(RunspreadWarning, match="cannot be batched over runs.*one at a time"):
        study = rs.train(recipe, runs=3, out=tmp_path / "s")
    assert len(study.runs) == 3


def test_a_model_that_cannot_be_built_says_why(tmp_path):
    (tmp_path / "model.py").write_text("def build(shape, outputs):\n    return 3\n")
    with pytest.raises(InputError, match=r"gave a int. Expected a torch\.nn\.Module"):
        rs.train(tiny().replace(model=f"{tmp_path}/model.py:build"), runs=2, out=tmp_path / "s")
    with pytest.raises(InputError, match=r"unexpected keyword argument 'depth'"):
        rs.train(tiny().replace(model=f"{tmp_path}/model.py:build", depth=3), runs=2, out=tmp_path / "s")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "nn.Linear(3, 4)",
            r"build' fails on inputs of shape \(2, 64\) \(RuntimeError: mat1 and mat2 .*\(2x64 and 3x4\)",
        ),
        ("nn.Linear(64, 4)", r"outputs of shape \(2, 4\) for two examples. Expected \(2, 10\)"),
        ("nn.Sequential(nn.Linear(64, 10), nn.Flatten(0))", r"outputs of shape \(20,\)"),
    ],
)
def test_a_model_that_does_not_fit_the_data_says_why(tmp_path, body, message):
    (tmp_path / "model.py").write_text(f"from torch import nn\ndef build(shape, outputs):\n    return {body}\n")
    with pytest.raises(InputError, match=message):
        rs.train(tiny().replace(model=f"{tmp_path}/model.py:build"), runs=2, out=tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_the_choice_is_measured_once_and_remembered(tmp_path, monkeypatch):
    recipe = tiny(epochs=4)
    task = make_task(recipe)
    plans = deal_runs(recipe, 6, vary=("init",), seed=0, search={})
    times = {1: 1.0, 4: 4 * 0.3, 6: 6 * 0.5}
    monkeypatch.setattr(calibration, "_time_step", lambda task, plans, program, threads: times[len(plans)])
    choice, memory = choose_program(task, plans, "auto", workers=1, threads=1)
    assert (choice.program, choice.width) == ("dense", 4)
    assert memory.fits
    monkeypatch.setattr(calibration, "_time_step", lambda *_: pytest.fail("measured again"))
    assert choose_program(task, plans, "auto", workers=1, threads=1)[0] == choice
    assert choose_program(task, plans, 3, workers=1, threads=1)[0].width == 3


def test_a_stack_that_cannot_fit_is_refused_before_it_starts(monkeypatch):
    recipe = tiny()
    task = make_task(recipe)
    plans = deal_runs(recipe, 8, vary=("init",), seed=0, search={})
    one = plan_memory(task, Choice("dense", 1), 1).stack
    data = sum(s.inputs.numel() * 4 for s in task.splits.values())
    monkeypatch.setattr(calibration, "free_memory", lambda device: int(4.6 * one / 0.9 + data))
    monkeypatch.setattr(calibration, "_time_step", lambda task, plans, program, threads: 1.0)  # wider is faster
    assert choose_program(task, plans, "auto", workers=1, threads=1)[0].width == 4
    with pytest.raises(TrainingError, match=r"8 batched runs will hold about .* free"):
        choose_program(task, plans, 8, workers=1, threads=1)
    monkeypatch.setattr(calibration, "free_memory", lambda device: -data)
    with pytest.raises(TrainingError, match="smaller"):
        choose_program(task, plans, 1, workers=1, threads=1)


def test_memory_plan_counts_what_is_there():
    plan = MemoryPlan(data=100, stack=200, workers=3, available=1000)
    assert (plan.total, plan.fits) == (700, True)
    assert not MemoryPlan(data=100, stack=200, workers=5, available=1000).fits
    layer = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    assert 8 + 4 + 2 <= activation_floats(layer, torch.zeros(5, 8)) <= 2 * (8 + 4 + 2) + 4


@pytest.mark.parametrize("layer_norm", [False, True])
def test_the_last_position_forward_is_the_plain_transformer(layer_norm):
    torch.manual_seed(0)
    model = ModularTransformer(12, width=8, heads=2, hidden=16, layer_norm=layer_norm).double()
    pairs = torch.randint(0, 11, (30, 2))
    targets = (pairs.sum(1)) % 11
    plain = plain_forward(model, pairs)
    torch.testing.assert_close(model(pairs), plain, rtol=1e-12, atol=1e-12)
    parameters = list(model.parameters())
    ours, theirs = (
        torch.autograd.grad(torch.nn.functional.cross_entropy(out, targets), parameters)
        for out in (model(pairs), plain)
    )
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def plain_forward(model: ModularTransformer, pairs: torch.Tensor) -> torch.Tensor:
    """Attend from every position to itself and those before it, and read the last; share nothing."""
    tokens = torch.cat([pairs, torch.full((len(pairs), 1), 11)], dim=1)
    x = model.embed[tokens] + model.position
    q, k, v = (torch.einsum("hsd,bpd->bhps", w, x) for w in (model.W_Q, model.W_K, model.W_V))
    scores = q @ k.transpose(-1, -2) / model.size**0.5
    scores = scores.masked_fill(torch.ones(3, 3).triu(1).bool(), float("-inf"))
    mixed = (torch.softmax(scores, dim=-1) @ v).transpose(1, 2).flatten(2)
    x = model.norm1(x + mixed @ model.W_O.T)
    x = model.norm2(x + torch.relu(x @ model.W_in.T + model.b_in) @ model.W_out.T + model.b_out)
    return (x @ model.unembed)[:, -1]


def test_parameter_counts_are_those_that_were_published():
    from runspread.training.build import build_network

    counts = {
        (name, classes): sum(p.numel() for p in build_network(rs.recipe(name), (3, 32, 32), classes).parameters())
        for name in ("cifar10-resnet20", "cifar10-wrn28x10")
        for classes in (10, 100)
    }
    assert counts == {
        ("cifar10-resnet20", 10): 272_282,
        ("cifar10-resnet20", 100): 278_132,
        ("cifar10-wrn28x10", 10): 36_479_194,
        ("cifar10-wrn28x10", 100): 36_536_884,
    }


@pytest.mark.parametrize("name", ["cifar10-resnet20-small", "cifar10-resnet18"])
@pytest.mark.parametrize(("batch_norm", "residual"), [(True, False), (False, True), (False, False)])
def test_a_residual_network_without_its_crutches(name, batch_norm, residual):
    from runspread.training.build import build_network

    recipe = rs.recipe(name, width=4, batch_norm=batch_norm, residual=residual)
    network = build_network(recipe, (3, 16, 16), 10).eval()
    kinds = [type(module).__name__ for module in network.modules()]
    assert ("BatchNorm2d" in kinds) == batch_norm
    assert any("downsample" in key for key in network.state_dict()) == residual
    if not batch_norm:
        x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32))
        torch.testing.assert_close(network(x), _without_norm(network, x, residual=residual))


def _without_norm(network, x, *, residual: bool):
    """Return the outputs of a residual network without normalisation, block after block."""
    x = network.stem(x).relu()
    for name in network.group_names:
        for block in network.get_submodule(name):
            y = block.conv2(block.conv1(x).relu())
            x = (y + block.downsample(x) if residual else y).relu()
    return network.head(x.mean(dim=(2, 3)))


def test_recording_at_the_default_cadence_is_cheap():
    """Counted in numbers that pass through the network, since clocks on a shared machine tell little."""
    for name in recipe_names():
        recipe = rs.recipe(name)
        if recipe.dataset in ("images", "text"):
            continue
        task = make_task(recipe)
        training = StackTraining(task, deal_runs(recipe, 1, vary=("init",), seed=0, search={}), "loop")
        from runspread.training.cadence import record_steps

        points = len(record_steps(recipe.record, training.total, training.feed.per_epoch))
        evaluated = points * sum(len(task.splits[split].inputs) for split in recipe.evaluate)
        trained = 3 * training.total * (recipe.batch_size or len(task.splits["train"].inputs))
        assert evaluated < 0.1 * trained, name
