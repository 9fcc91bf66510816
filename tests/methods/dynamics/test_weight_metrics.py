from __future__ import annotations

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods.dynamics import weight_metrics
from runspread.methods.dynamics.metrics_of_weights import WEIGHT_METRICS


def test_closed_form_of_one_matrix():
    """Singular values 3 and 4, so norm 5; entries 3, 0, 0, -4 and biases 1, 2, 3, 10."""
    got = weight_metrics([np.diag([3.0, -4.0]), np.array([1.0, 2.0, 3.0, 10.0])])
    assert tuple(got) == WEIGHT_METRICS
    expected = [7, 5, -1, 4, 7 / 5, -1 / 4, 3.5, 0.5, -1 / 4, 0, 8.25, 4, 2, 50 / 3]
    assert list(got.values()) == pytest.approx(expected, rel=1e-14)
    population = weight_metrics([np.diag([3.0, -4.0]), np.array([1.0, 2.0, 3.0, 10.0])], variance="population")
    assert [population[n] for n in ("variance_lambda", "var_w", "var_b")] == pytest.approx([0.25, 6.1875, 12.5])


def test_stacked_runs_equal_single_runs():
    rng = np.random.default_rng(0)
    stack = {"fc1.weight": rng.normal(size=(5, 7, 4)), "fc1.bias": rng.normal(size=(5, 7))}
    together = weight_metrics(stack, stacked=True)
    for run in range(5):
        alone = weight_metrics({name: array[run] for name, array in stack.items()})
        assert [v[run] for v in together.values()] == pytest.approx(list(alone.values()), rel=1e-13)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_diverged_run_is_nan_and_leaves_the_others_alone(bad):
    weights = np.random.default_rng(1).normal(size=(3, 4, 4))
    clean = weight_metrics({"a.weight": weights.copy()}, stacked=True)
    weights[1, 2, 3] = bad
    got = weight_metrics({"a.weight": weights}, stacked=True)
    for name in WEIGHT_METRICS[:11]:
        assert np.isnan(got[name][1])
        np.testing.assert_array_equal(got[name][[0, 2]], clean[name][[0, 2]])


def test_tiny_singular_values_count_as_zero_but_not_in_the_largest():
    got = weight_metrics([np.diag([1.0, 9e-6])])
    assert (got["mean_lambda"], got["variance_lambda"]) == (0.5, 0.5)
    assert weight_metrics([np.diag([9e-6, 9e-6])])["spectral"] == pytest.approx(9e-6)


@pytest.mark.parametrize("shape", [(300, 280), (260, 310)])
def test_large_matrices_have_the_metrics_of_their_singular_values(shape):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(2, *shape)) / np.sqrt(shape[1])
    weights[1, :, 40:] = 0.0  # rank 40: the rest counts as 0
    found = weight_metrics({"fc.weight": weights}, stacked=True)
    singular = np.linalg.svd(weights, compute_uv=False)
    np.testing.assert_allclose(found["spectral"], singular[:, 0], rtol=1e-12)
    np.testing.assert_allclose(found["mean_lambda"], singular.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found["variance_lambda"], singular.var(axis=1, ddof=1), rtol=1e-9)


def test_no_biases_and_zero_layers_are_undefined_not_errors():
    got = weight_metrics([np.zeros((2, 3))])
    assert np.isnan([got[n] for n in ("code_sparsity", "computational_sparsity", "mean_b", "median_b", "var_b")]).all()
    with_other = weight_metrics([np.zeros((2, 2)), np.eye(2)])
    assert with_other["code_sparsity"] == pytest.approx(2 / np.sqrt(2))


def test_encoder_does_not_split_heads_and_skips_embeddings():
    rng = np.random.default_rng(2)
    layer = "encoder.layer.0."
    names = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    weights = {f"{layer}{n}.weight": rng.normal(size=(6, 6)) for n in names}
    weights[f"{layer}intermediate.dense.weight"] = rng.normal(size=(12, 6))
    weights[f"{layer}output.dense.weight"] = rng.normal(size=(6, 12))
    biases = {f"{layer}intermediate.dense.bias": rng.normal(size=12), f"{layer}output.dense.bias": rng.normal(size=6)}
    noise = {
        "embeddings.word_embeddings.weight": rng.normal(size=(50, 6)),
        f"{layer}attention.self.query.bias": rng.normal(size=6),
        f"{layer}output.LayerNorm.weight": np.ones(6),
        f"{layer}output.LayerNorm.bias": np.ones(6),
        "cls.predictions.decoder.weight": rng.normal(size=(50, 6)),
    }
    expected = weight_metrics([*weights.values(), *biases.values()])
    assert weight_metrics({**noise, **weights, **biases}) == pytest.approx(expected)


def test_fused_attention_equals_separate_heads():
    rng = np.random.default_rng(3)
    fused, out = rng.normal(size=(24, 8)), rng.normal(size=(8, 8))
    heads = fused.reshape(3, 2, 4, 8)
    separate = dict(zip(("W_Q", "W_K", "W_V"), heads, strict=True)) | {"W_O": out}
    names = {"attn.in_proj_weight": fused, "attn.out_proj.weight": out}
    assert weight_metrics(names, heads=2) == pytest.approx(weight_metrics(separate), nan_ok=True)
    transposed = {"attn.c_attn.weight": fused.T, "attn.c_proj.weight": out}
    assert weight_metrics(transposed, heads=2) == pytest.approx(weight_metrics(separate), nan_ok=True)


def test_torch_modules_are_read_without_importing_torch_here():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Embedding(9, 5), torch.nn.Linear(5, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 3)
    )
    linears = [part for part in model if isinstance(part, torch.nn.Linear)]
    bare = [p.detach().numpy() for part in linears for p in (part.weight, part.bias)]
    assert weight_metrics(model) == pytest.approx(weight_metrics(bare))
    assert weight_metrics(model.to(torch.bfloat16))["l1"] == pytest.approx(weight_metrics(bare)["l1"], rel=1e-2)


def test_torch_encoder_layer_tells_its_heads():
    torch = pytest.importorskip("torch")
    layer = torch.nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16)
    with_state = weight_metrics(layer.state_dict(), heads=2)
    assert weight_metrics(layer) == pytest.approx(with_state)
    assert weight_metrics(layer, architecture="encoder")["l1"] != pytest.approx(with_state["l1"])


OWN_NETWORK = """
from torch import nn

class Own(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.rows, self.n_heads = nn.Embedding(8, 8), 2
        for name in ("q_proj", "k_proj", "v_proj", "out_proj", "fc1"):
            setattr(self, name, nn.Linear(8, 8))
        self.readout = nn.Linear(8, outputs)

    def forward(self, x):
        x = x.unflatten(1, (8, 8)) + self.rows.weight
        q, k, v = (part(x).unflatten(2, (2, 4)).transpose(1, 2) for part in (self.q_proj, self.k_proj, self.v_proj))
        mixed = (q @ k.transpose(2, 3)).softmax(3) @ v
        return self.readout(self.fc1(x + self.out_proj(mixed.transpose(1, 2).flatten(2))).relu().mean(1))

class Plain(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.rows, self.readout = nn.Embedding(8, 8), nn.Linear(8, outputs)

    def forward(self, x):
        return self.readout((x.unflatten(1, (8, 8)) + self.rows.weight).tanh().mean(1))

def own(shape, outputs):
    return Own(outputs)

def plain(shape, outputs):
    return Plain(outputs)
"""


@pytest.mark.parametrize("kind", ["own", "plain"])
def test_a_training_logs_what_the_module_itself_gives(kind, tmp_path):
    """Attention with two heads, and an embedding that its name does not tell."""
    torch = pytest.importorskip("torch")
    (tmp_path / "model.py").write_text(OWN_NETWORK)
    recipe = rs.recipe("digits-mlp", epochs=1, record="11 steps", weight_metrics=True)
    recipe = recipe.replace(model=f"{tmp_path}/model.py:{kind}", model_options={})
    study = rs.train(recipe, runs=2, out=tmp_path / "s")
    parts: dict = {}
    exec(OWN_NETWORK, parts)  # the code above
    for run in study.runs:
        module = parts[kind]((64,), 10)
        module.load_state_dict({name: torch.tensor(np.asarray(v)) for name, v in study.weights(run).items()})
        logged = {name: curve.of(run.id)[1][-1] for name, curve in study.metrics().items() if name in WEIGHT_METRICS}
        assert logged == pytest.approx(weight_metrics(module), rel=1e-4, abs=1e-6)
        bare = weight_metrics({name: np.asarray(value) for name, value in study.weights(run).items()})
        assert bare["l1"] != pytest.approx(logged["l1"], rel=1e-2)  # names alone do not tell


def test_a_module_and_its_state_dict_have_the_same_metrics():
    """B1: masks and tokens counted, "embed" anywhere in a path did not, and pruned weights were taken apart."""
    torch = pytest.importorskip("torch")
    prune = pytest.importorskip("torch.nn.utils.prune")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cls_token = torch.nn.Parameter(torch.ones(1, 1, 8))
            self.register_buffer("mask", torch.ones(8, 8))
            self.embedding_net = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.Linear(6, 5))
            self.head = torch.nn.Linear(5, 4)
            prune.l1_unstructured(self.head, "weight", amount=0.5)

    torch.manual_seed(0)
    net = Net()
    layers = (*net.embedding_net, net.head)
    expected = weight_metrics([one.detach().numpy() for layer in layers for one in (layer.weight, layer.bias)])
    for source in (net, net.state_dict()):
        assert weight_metrics(source) == pytest.approx(expected, rel=1e-6)


def test_experts_of_a_stack_are_matrices():
    rng = np.random.default_rng(0)
    stack = rng.normal(size=(3, 6, 5))
    found = weight_metrics({"mlp.experts.down_proj.weight": stack}, architecture="mlp")
    assert found == pytest.approx(weight_metrics(list(stack)), nan_ok=True)


def test_downsampling_and_batch_norm_of_a_convolutional_network_do_not_count():
    rng = np.random.default_rng(4)
    counted = {
        "conv1.weight": rng.normal(size=(4, 3, 3, 3)),
        "fc.weight": rng.normal(size=(5, 4)),
        "fc.bias": np.ones(5),
    }
    others = {
        "layer1.downsample.0.weight": rng.normal(size=(4, 4, 1, 1)),
        "bn1.weight": np.ones(4),
        "bn1.bias": np.ones(4),
        "bn1.running_var": np.full(4, 7.0),
        "bn1.num_batches_tracked": np.array(3),
        "conv1.bias": np.ones(4),
    }
    assert weight_metrics(counted | others) == pytest.approx(weight_metrics(counted))


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        ({}, {}, "no weights"),
        ([np.ones(3)], {}, "only biases"),
        ({"a.weight": np.eye(2)}, {"architecture": "transfomer"}, "Did you mean 'transformer'"),
        ({"a.weight": np.eye(2)}, {"architecture": "transformer"}, "no transformer weights among a.weight"),
        ({"q_proj.weight": np.ones((3, 4))}, {"heads": 2}, "3 rows. Expected a multiple of 2 heads"),
        ({"a": np.ones((2, 3, 3)), "b": np.ones((3, 3, 3))}, {"stacked": True}, "leading axes"),
        ([np.eye(2)], {"architecture": "mlp"}, "unnamed arrays"),
        ([np.eye(2)], {"variance": "biased"}, "unknown variance"),
    ],
)
def test_bad_input_is_named(weights, options, message):
    with pytest.raises(InputError, match=message):
        weight_metrics(weights, **options)
