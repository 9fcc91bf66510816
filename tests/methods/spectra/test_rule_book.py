"""What counts as a layer: live modules, state dicts, checkpoints, files and shards give one answer."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import runspread as rs
from runspread.errors import InputError
from runspread.methods.spectra import from_torch_checkpoint, layer_metrics, spectrum

torch = pytest.importorskip("torch")
nn = torch.nn
prune = pytest.importorskip("torch.nn.utils.prune")
safetensors_torch = pytest.importorskip("safetensors.torch")
RNG = np.random.default_rng(3)


def heavy(*shape):
    return (RNG.standard_t(3, size=shape) * 0.02).astype(np.float32)


class Experts(nn.Module):
    """Stacked as in gpt-oss and Llama 4, biases too."""

    def __init__(self):
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.randn(3, 56, 112))
        self.gate_up_proj_bias = nn.Parameter(torch.randn(64, 112))
        self.down_proj = nn.Parameter(torch.randn(3, 56, 56))


class Everything(nn.Module):
    """Tensors with the axes of a matrix that are no layer, and layers that are called after something else."""

    def __init__(self):
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, 64))
        self.pos_embed = nn.Parameter(torch.randn(1, 65, 64))
        self.relative_position_bias_table = nn.Parameter(torch.randn(169, 60))
        self.register_buffer("mask", torch.tril(torch.ones(64, 64)))
        self.register_buffer("attn_mask", torch.zeros(16, 49, 49))
        self.register_buffer("queue", torch.randn(64, 128))
        self.register_buffer("steps_seen", torch.randn(64, 64))
        self.register_buffer("relative_position_index", torch.zeros(64, 64, dtype=torch.long))
        self.tok_emb, self.bags = nn.Embedding(90, 64), nn.Embedding(80, 64)
        self.bags.weight = self.tok_emb.weight
        self.embedding_net = nn.Sequential(nn.Linear(64, 60), nn.ReLU(), nn.Linear(60, 64))
        self.embed_out = nn.Linear(64, 70, bias=False)
        self.time_embed = nn.Sequential(nn.Linear(64, 60), nn.SiLU(), nn.Linear(60, 64))
        self.patch_embed = nn.Conv2d(3, 64, 5, 5)
        self.attn, self.qkv = nn.MultiheadAttention(64, 4), nn.Linear(64, 192)
        self.lstm, self.cell = nn.LSTM(64, 60, proj_size=50), nn.LSTMCell(64, 60)
        self.gru_cell, self.rnn_cell = nn.GRUCell(64, 60), nn.RNNCell(64, 60)
        self.up, self.bilinear = nn.ConvTranspose1d(64, 60, 4), nn.Bilinear(64, 64, 3)
        self.norm = nn.LayerNorm((60, 64))
        self.experts = Experts()
        self.head = nn.Linear(64, 90, bias=False)
        self.head.weight = self.tok_emb.weight


class Reparametrised(nn.Module):
    """Weights that the layers compute from others."""

    def __init__(self):
        super().__init__()
        new, old = nn.utils.parametrizations, nn.utils
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.pruned = nn.Linear(64, 60)
            prune.l1_unstructured(self.pruned, "weight", amount=0.5)
            self.old_norm = old.weight_norm(nn.Linear(64, 60))
            self.old_norm_of_positions = old.weight_norm(nn.Conv1d(60, 62, 5), dim=2)
            self.old_spectral = old.spectral_norm(nn.Linear(64, 60))
            self.old_spectral_turned = old.spectral_norm(nn.ConvTranspose1d(60, 62, 3))
        self.norm = new.weight_norm(nn.Linear(64, 60))
        self.spectral = new.spectral_norm(nn.Conv2d(60, 62, 3))


def everything():
    torch.manual_seed(0)
    return Everything()


def reparametrised():
    """Return the network after a forward pass of every layer, so that the singular vectors are not the first draw."""
    torch.manual_seed(0)
    made = Reparametrised()
    for name, layer in made.named_children():
        size = {"spectral": (1, 60, 8, 8), "old_norm_of_positions": (1, 60, 8), "old_spectral_turned": (1, 60, 8)}
        layer(torch.randn(size.get(name, (2, 64))))
    return made.eval()


def ways(module, folder: Path):
    """Yield every way that the same weights reach the spectra."""
    state = module.state_dict()
    yield "state dict", dict(state)
    yield "arrays", {name: value.numpy() for name, value in state.items()}
    torch.save({"model": state, "epoch": 3}, folder / "c.pt")
    yield "checkpoint", from_torch_checkpoint(folder / "c.pt")
    safetensors_torch.save_model(module, str(folder / "m.safetensors"))
    yield "safetensors", folder / "m.safetensors"
    sharded(state, folder / "shards")
    yield "shards", folder / "shards"
    pickled(state, folder / "bins")
    yield "pickled shards", from_torch_checkpoint(folder / "bins")


def parts(state, n=3):
    unique = {value.data_ptr(): name for name, value in reversed(state.items())}
    names = [name for name in state if name in unique.values()]
    return [{name: state[name].contiguous().clone() for name in names[k::n]} for k in range(n)]


def sharded(state, folder):
    folder.mkdir()
    index = {}
    for k, part in enumerate(parts(state)):
        file = f"model-{k + 1:05d}-of-00003.safetensors"
        safetensors_torch.save_file(part, folder / file)
        index |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def pickled(state, folder):
    folder.mkdir()
    index = {}
    for k, part in enumerate(parts(state)):
        file = f"pytorch_model-{k + 1:05d}-of-00003.bin"
        torch.save(part, folder / file)
        index |= dict.fromkeys(part, file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    torch.save({"state": {0: {"exp_avg": torch.ones(60, 60)}}}, folder / "optimizer.pt")


def facts(found):
    """Return status, kind and shape by name, whatever the checkpoint put in front of it; tied weights have one name."""
    names = {one: one.name.removeprefix("model.") for one in found.layers}
    tied = {"bags.weight": "tok_emb.weight", "head.weight": "tok_emb.weight"}
    return {tied.get(name, name): (one.status, one.kind, one.shape) for one, name in names.items()}


@pytest.mark.parametrize("make", [everything, reparametrised])
def test_a_module_and_its_weights_agree_however_they_are_kept(make, tmp_path):
    """B1: the same layers, statuses and averages live and from each kind of file."""
    module = make()
    live = rs.spectra(module)
    assert len(live.used) > 5
    for way, source in ways(module, tmp_path):
        found = rs.spectra(source)
        assert facts(found) == facts(live), way
        assert {name.removeprefix("model.") for name in found.used} == set(live.used), way
        assert found.means == pytest.approx(live.means, rel=1e-9), way
        assert found.skipped == live.skipped, way


def test_every_tensor_of_a_module_has_a_place_and_a_reason():
    for module in (everything(), reparametrised()):
        found = rs.spectra(module)
        for name in module.state_dict():
            layers = [one for one in found.layers if name in (one.name.split("[")[0], *one.aliases, *one.made_of)]
            assert layers, name
            assert all(one.status == "ok" or one.why for one in layers), name


def test_only_weights_of_layers_are_averaged():
    """B1: tokens, positions, masks, queues, other buffers, expert biases and gains of a normalisation are no layers."""
    found = rs.spectra(everything())
    used = {name.split("[")[0].removesuffix(".weight") for name in found.used}
    assert used == {
        "embedding_net.0", "embedding_net.2", "embed_out", "time_embed.0", "time_embed.2", "patch_embed",
        "attn.in_proj_weight", "attn.out_proj", "qkv", "lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.weight_hr_l0",
        "cell.weight_ih", "cell.weight_hh", "gru_cell.weight_ih", "gru_cell.weight_hh", "rnn_cell.weight_ih",
        "rnn_cell.weight_hh", "up", "bilinear", "experts.gate_up_proj", "experts.down_proj",
    }  # fmt: skip
    for name in ("cls_token", "pos_embed", "mask", "attn_mask", "queue", "steps_seen", "norm.weight", "norm.bias",
                 "relative_position_bias_table", "relative_position_index", "experts.gate_up_proj_bias"):  # fmt: skip
        assert found[name].status == "not_a_layer", name
    assert found["tok_emb.weight"].aliases == ("bags.weight", "head.weight")
    assert found.skipped["embedding"] == 1
    assert found["experts.down_proj"].kind == found["bilinear.weight"].kind == "stack"
    expected = spectrum(everything().experts.down_proj.detach().numpy(), layout="stack").eigenvalues
    np.testing.assert_array_equal(found["experts.down_proj"].spectrum.eigenvalues, expected)


@pytest.mark.parametrize(
    "name", ["pruned", "old_norm", "old_norm_of_positions", "old_spectral", "old_spectral_turned", "norm", "spectral"]
)
def test_reparametrised_weights_are_analysed_as_the_layers_use_them(name):
    """B1: weight_orig and weight_mask, weight_g and weight_v, original0 and original1 are no layers of their own."""
    module = reparametrised()
    found = rs.spectra(module)[f"{name}.weight"]
    layer = getattr(module, name)
    if name.startswith("old"):  # their weight is computed by the forward pass
        layer(torch.randn(1, 60, 8) if layer.weight.ndim == 3 else torch.randn(1, 64))
    layout = "conv_transposed" if "turned" in name else "auto"
    expected = layer_metrics(layer.weight.detach().double().numpy(), layout=layout, stored="float32")
    for metric in ("alpha", "log_norm", "log_spectral_norm"):
        assert found[metric] == pytest.approx(expected[metric], rel=1e-4, abs=1e-6)
    assert len(found.made_of) > 1
    assert found.why


def test_a_parametrisation_that_only_the_module_knows():
    class Doubled(nn.Module):
        def forward(self, x):
            return 2 * x

    module = nn.Sequential(nn.Linear(64, 60), nn.Linear(60, 60))
    nn.utils.parametrize.register_parametrization(module[0], "weight", Doubled())
    live, state = rs.spectra(module), rs.spectra(module.state_dict())
    expected = layer_metrics(module[0].weight.detach().numpy())
    assert live["0.weight"]["log_norm"] == pytest.approx(expected["log_norm"], rel=1e-9)
    assert state["0.parametrizations.weight.original"].status == "parametrised"
    assert "function of it" in state["0.parametrizations.weight.original"].why
    assert state.used == ("1.weight",)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.embed_tokens.weight", "embedding"), ("wte.weight", "embedding"), ("emb.weight", "embedding"),
        ("bert.embeddings.word_embeddings.weight", "embedding"), ("emb_l.0.weight", "embedding"),
        ("shared.weight", "embedding"), ("embedding_layer.weight", "embedding"), ("embed_out.weight", "dense"),
        ("embed_proj.weight", "dense"), ("embedding_net.fc.weight", "dense"), ("text_embed.proj.weight", "dense"),
        ("lm_head.weight", "dense"), ("unembed.weight", "dense"), ("member.weight", "dense"), ("blocks.0.W_O", "dense"),
    ],
)  # fmt: skip
def test_names_of_tables_are_read_by_their_last_part(name, kind):
    """B1: "embed" anywhere in the path decided."""
    found = rs.spectra({name: heavy(80, 60), "other.weight": heavy(60, 60)})
    assert found[name].kind == kind


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Embedding(90, 64), nn.Linear(64, 70)),
        (nn.Embedding(90, 64), nn.Dropout(), nn.LayerNorm(64), nn.Linear(64, 70)),
        (nn.Embedding(90, 64), nn.LSTM(64, 60)),
        (nn.Linear(64, 90, bias=False), nn.ReLU(), nn.Linear(90, 70)),
        (nn.Linear(64, 90, bias=False), nn.BatchNorm1d(90), nn.Linear(90, 70)),
    ],
)
def test_a_table_in_a_sequence_is_told_by_what_the_next_layer_takes(layers):
    module = nn.Sequential(*layers)
    assert facts(rs.spectra(module.state_dict())) == facts(rs.spectra(module))
    assert len(rs.spectra({f"{k}.weight": heavy(70, 60) for k in range(3)}).used) == 3


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [
        ("mlp.experts.gate_up_proj", (8, 64, 128), "stack"), ("mlp.experts.down_proj", (8, 64, 60), "stack"),
        ("block_sparse_moe.input_linear.weight", (8, 256, 128), "stack"), ("moe.w1.weight", (8, 128, 64), "stack"),
        ("mlp.output_linear.weight", (64, 60, 16), "stack"), ("blocks.0.attn.W_Q", (4, 64, 60), "stack"),
        ("experts.0.conv.weight", (64, 60, 3), "conv"), ("conv1.weight", (64, 32, 128), "conv"),
        ("features.0.weight", (64, 32, 16), "conv"), ("encoder.0.weight", (64, 1, 80), "conv"),
        ("mlp.experts.gate_up_proj_bias", (64, 128), "vector"), ("mlp.experts.mlp1_bias", (64, 128), "vector"),
        ("h.0.attn.bias", (1, 1, 64, 64), "vector"),
    ],
)  # fmt: skip
def test_stacks_of_experts_are_no_convolutions(name, shape, kind):
    """B1: [experts, out, in] was a kernel with as many taps as inputs, [experts, width] a layer."""
    found = rs.spectra({name: heavy(*shape), "other.weight": heavy(60, 60)})
    assert found[name].kind == kind
    assert (name in found.used) == (kind == "stack" or found[name].n_eigenvalues >= 50)


def test_convolutions_of_keras_have_their_channels_last():
    kernel = heavy(3, 3, 60, 62)
    found = rs.spectra({"params/Conv_0/kernel": kernel, "params/Dense_0/kernel": heavy(60, 70)})
    expected = spectrum(np.transpose(kernel, (3, 2, 0, 1))).eigenvalues
    np.testing.assert_array_equal(found["params/Conv_0/kernel"].spectrum.eigenvalues, expected)
    assert len(found.used) == 2


def test_what_the_rules_cannot_see_can_be_told():
    arrays = {"odd": heavy(60, 60), "fc.weight": heavy(60, 60), "g.weight": heavy(64, 32, 3, 3)}
    assert rs.spectra(arrays)["odd"].status == "not_a_layer"
    assert "no name of a layer's weight" in rs.spectra(arrays)["odd"].why
    told = rs.spectra(arrays, kinds={"odd": "dense", "fc.weight": "vector", "g.weight": "conv/2"})
    assert told.used == ("odd", "g.weight")
    assert told["g.weight"].spectrum.groups == 2
    with pytest.raises(InputError, match="Did you mean 'dense'"):
        rs.spectra(arrays, kinds={"odd": "dence"})


def test_plain_mappings_of_matrices_are_matrices():
    """Names that nobody calls a weight say nothing, so shapes do; but a mask stays one."""
    found = rs.spectra({"first": heavy(60, 70), "second": heavy(60, 70), "mask": heavy(60, 60), "b": np.ones(3)})
    assert found.used == ("first", "second")
    assert found["mask"].status == "not_a_layer"


@pytest.mark.parametrize(
    ("copy", "model"),
    [
        ("teacher.", "student."), ("module.encoder_k.", "module.encoder_q."), ("momentum_encoder.", "base_encoder."),
        ("target_network.", "online_network."), ("critic_target.", "critic."), ("ema.", "net."),
        ("model_ema.", "model."), ("target_net.", "policy_net."), ("optimizer.exp_avg.", ""),
        ("swa_model.module.", "model."),
    ],
)  # fmt: skip
def test_copies_and_states_beside_the_model_are_left_out(tmp_path, copy, model):
    """B1: optimiser state, averages, teachers and target networks of one file were averaged with the model."""
    weights = {"0.weight": heavy(60, 70), "1.weight": heavy(60, 60)}
    both = {model + name: value for name, value in weights.items()}
    both |= {copy + name: value * 2 for name, value in weights.items()}
    safetensors.numpy.save_file(both, tmp_path / "m.safetensors")
    for source in (both, tmp_path / "m.safetensors"):
        found = rs.spectra(source)
        assert set(found.used) == {model + name for name in weights}
        assert found.skipped == {"training_state": 2}
        assert found[f"{copy}0.weight"].why
    alone = rs.spectra({copy + name: value for name, value in weights.items()})
    assert len(alone.used) == 2  # where there is nothing else, it is the model


def test_layers_called_like_a_copy_are_kept():
    arrays = {"target_proj.weight": heavy(60, 60), "source_proj.weight": heavy(60, 60)}
    arrays |= {"attn.key.weight": heavy(60, 60), "attn.query.weight": heavy(60, 60), "opt_proj.weight": heavy(60, 60)}
    assert set(rs.spectra(arrays).used) == set(arrays)


def test_a_matrix_of_equal_singular_values_has_no_exponent_in_single_precision():
    weight = torch.empty(128, 128)
    nn.init.orthogonal_(weight, generator=torch.Generator().manual_seed(0))
    for kind in (torch.float32, torch.float16, torch.bfloat16):
        assert rs.spectra({"w": weight.to(kind)})["w"].status == "degenerate"
    assert rs.spectra({"w": heavy(128, 128)})["w"].status == "ok"


def test_lazy_and_sparse_parameters_are_named():
    module = nn.Sequential(nn.LazyLinear(60), nn.Linear(60, 60))
    found = rs.spectra(module)
    assert found["0.weight"].status == "unsupported"
    assert "before its first batch" in found["0.weight"].why
    assert found.used == ("1.weight",)


def test_parity_averages_what_weightwatcher_does():
    """B10: WeightWatcher takes names that end in .weight alone."""
    module = nn.Sequential(nn.MultiheadAttention(64, 4), nn.Linear(64, 70), nn.LSTM(64, 60))
    found = rs.spectra(module, parity="weightwatcher")
    assert set(found.used) == {"0.out_proj.weight", "1.weight"}
    assert found.skipped["not_in_weightwatcher"] == 3
    assert found["0.in_proj_weight"].metrics["alpha"] > 0
    assert len(rs.spectra({"a": heavy(60, 60)}, parity="weightwatcher").used) == 1


def test_tied_weights_that_a_study_keeps_twice_are_one_table(tmp_path):
    module = nn.ModuleDict({"tok_emb": nn.Embedding(90, 64), "up": nn.Linear(64, 70), "head": nn.Linear(64, 90)})
    module["head"].weight = module["tok_emb"].weight
    study = rs.create_study(tmp_path / "s", splits={"test": np.arange(4)})
    with study.record(seeds=0) as recorded:
        recorded.weights(module)
    live, kept = rs.spectra(module), rs.spectra(study.weights(study.runs[0]))
    assert facts(kept) == facts(live)
    assert kept.means == pytest.approx(live.means, rel=1e-9)
    apart = rs.spectra({"tok_emb.weight": heavy(90, 64), "head.weight": heavy(90, 64)})
    assert apart.used == ("head.weight",)
    table = heavy(90, 64)
    alike = rs.spectra(
        {"tok_emb.weight": table, "first.weight": table.copy()}
    )  # no output layer: equal by chance or aim
    assert alike.used == ("first.weight",)


def test_a_live_adapter_tells_its_scaling():
    class Adapted(nn.Module):
        def __init__(self):
            super().__init__()
            self.base_layer = nn.Linear(60, 70)
            self.lora_A = nn.ModuleDict({"default": nn.Linear(60, 20, bias=False)})
            self.lora_B = nn.ModuleDict({"default": nn.Linear(20, 70, bias=False)})
            self.scaling = {"default": 4.0}

    module = nn.ModuleDict({"q": Adapted()})
    found = rs.spectra(module)
    product = module["q"].lora_B["default"].weight.double() @ module["q"].lora_A["default"].weight.double()
    expected = layer_metrics(4 * product.detach().numpy())
    assert found["q.lora_BA.default"]["log_norm"] == pytest.approx(expected["log_norm"], rel=1e-9)
    assert found.used == rs.spectra(module.state_dict()).used == ("q.base_layer.weight",)


# ---- low-rank adapters


def factors(rank=20, rows=70, columns=60):
    return heavy(rank, columns), heavy(rows, rank)


NAME = "base_model.model.q_proj.lora_{}.weight"


def test_the_update_of_an_adapter_is_one_matrix():
    """B1: A and B were two layers, whose exponents change with a change of basis that changes nothing."""
    a, b = factors()
    turn = np.diag(np.exp(RNG.normal(size=20))).astype(np.float32)
    expected = layer_metrics(b.astype(float) @ a)
    for down, up in ((a, b), (turn @ a, b @ np.linalg.inv(turn))):
        found = rs.spectra({NAME.format("A"): down, NAME.format("B"): up})
        assert len(found.layers) == 1
        layer = found.layers[0]
        assert layer.name == "base_model.model.q_proj.lora_BA"
        assert layer["alpha"] == pytest.approx(expected["alpha"], rel=1e-5)
        assert layer["matrix_rank"] == 20
        assert np.isnan(layer["log_spectral_norm"])
        assert np.isnan(found.means["log_spectral_norm"])
        assert "scaling of the adapter is not known" in found.sentence()
        assert "nan" not in found.sentence() + layer.sentence()


@pytest.mark.parametrize(
    ("config", "scaling"),
    [
        ({"lora_alpha": 40}, 2.0),
        ({"lora_alpha": 40, "use_rslora": True}, 40 / 20**0.5),
        ({"lora_alpha": 40, "alpha_pattern": {"q_proj": 10}}, 0.5),
        ({"lora_alpha": 40, "alpha_pattern": {"v_proj": 10}}, 2.0),
        ({"lora_alpha": 40, "alpha_pattern": {".*_proj": 10}}, None),
        ({"lora_alpha": "much"}, None),
    ],
)
def test_the_scaling_of_an_adapter_is_read_beside_it(tmp_path, config, scaling):
    a, b = factors()
    safetensors.numpy.save_file({NAME.format("A"): a, NAME.format("B"): b}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    found = rs.spectra(tmp_path).layers[0]
    if scaling is None:
        assert np.isnan(found["log_spectral_norm"])
    else:
        expected = layer_metrics(scaling * (b.astype(float) @ a))
        assert found["log_spectral_norm"] == pytest.approx(expected["log_spectral_norm"], rel=1e-9)
        assert found["log_norm"] == pytest.approx(expected["log_norm"], rel=1e-9)


@pytest.mark.parametrize(
    ("down", "up", "turned"),
    [
        ("lora_unet_to_q.lora_down.weight", "lora_unet_to_q.lora_up.weight", False),
        ("to_q_lora.down.weight", "to_q_lora.up.weight", False),
        ("q.lora_A.default.weight", "q.lora_B.default.weight", False),
        ("layers.0.q_proj.lora_a", "layers.0.q_proj.lora_b", True),
    ],
)
def test_names_of_factors_in_other_libraries(down, up, turned):
    a, b = factors()
    found = rs.spectra({down: a.T if turned else a, up: b.T if turned else b})
    assert len(found.layers) == 1
    assert found.layers[0]["alpha"] == pytest.approx(layer_metrics(b.astype(float) @ a)["alpha"], rel=1e-9)


def test_an_adapter_beside_its_base_is_not_averaged_with_it():
    a, b = factors()
    base = heavy(70, 60)
    names = {"q.base_layer.weight": base, "q.lora_A.default.weight": a, "q.lora_B.default.weight": b}
    found = rs.spectra(names)
    assert found.used == ("q.base_layer.weight",)
    assert found.skipped == {"adapter_update": 1}
    kohya = rs.spectra({"q.lora_down.weight": a, "q.lora_up.weight": b, "q.alpha": np.float32(10)})
    expected = layer_metrics(0.5 * (b.astype(float) @ a))
    assert kohya.layers[0]["log_norm"] == pytest.approx(expected["log_norm"], rel=1e-9)


def test_adapters_that_are_not_understood_have_a_status():
    a, b = factors()
    dora = {"q.lora_A.weight": a, "q.lora_B.weight": b, "q.lora_magnitude_vector": heavy(1, 70)}
    other = {"q.hada_w1_a": heavy(60, 60), "q.hada_w1_b": heavy(60, 60)}
    apart = {"q.lora_A.weight": a, "q.lora_B.weight": heavy(70, 19)}
    for arrays in (dora, other, apart, {"q.lora_A.weight": a}):
        found = rs.spectra(arrays)
        assert {layer.status for layer in found.layers} == {"adapter"}
        assert not found.used


def _eigenvalues(matrix):
    return spectrum(matrix).eigenvalues


def test_kernels_along_one_axis_have_their_channels_last_too():
    kernel = heavy(3, 60, 70)
    for names in (("Conv_0/kernel", "Conv_0/bias"), ("net/conv1d/w", "net/conv1d/b"), ("tcn/kernel", "tcn/bias")):
        found = rs.spectra({names[0]: kernel, names[1]: heavy(70), "Dense_0/kernel": heavy(60, 62)})[names[0]]
        assert (found.kind, found.shape) == ("conv", (70, 60, 3))  # 60 matrices of 3 x 60 before
        np.testing.assert_allclose(found.spectrum.eigenvalues, _eigenvalues(np.transpose(kernel, (2, 1, 0))))


@pytest.mark.parametrize("biased", [True, False])
def test_heads_of_an_attention_projection_of_flax_are_one_matrix(biased):
    into, out = heavy(70, 4, 16), heavy(4, 16, 70)
    model = {"attn/query/kernel": into, "attn/out/kernel": out}
    if biased:
        model |= {"attn/query/bias": heavy(4, 16), "attn/out/bias": heavy(70)}
    found = rs.spectra(model)
    assert found["attn/query/kernel"].shape == (70, 64)  # 70 matrices of 4 x 16 before
    np.testing.assert_allclose(found["attn/query/kernel"].spectrum.eigenvalues, _eigenvalues(into.reshape(70, 64)))
    np.testing.assert_allclose(found["attn/out/kernel"].spectrum.eigenvalues, _eigenvalues(out.reshape(64, 70)))


def test_layers_that_flax_scans_over_stay_a_matrix_each():
    found = rs.spectra({"blocks/mlp/kernel": heavy(6, 60, 70), "blocks/mlp/bias": heavy(6, 70)})["blocks/mlp/kernel"]
    assert (found.kind, found.shape) == ("stack", (6, 60, 70))


def test_depthwise_and_pointwise_kernels_of_keras():
    pointwise = heavy(1, 1, 60, 70)
    found = rs.spectra({"sep/depthwise_kernel": heavy(3, 3, 60, 1), "sep/pointwise_kernel": pointwise})
    assert found["sep/depthwise_kernel"].status == "depthwise_skipped"
    assert found.used == ("sep/pointwise_kernel",)
    np.testing.assert_allclose(found["sep/pointwise_kernel"].spectrum.eigenvalues, _eigenvalues(pointwise[0, 0]))


@pytest.mark.parametrize(
    ("gates", "names"), [(4, ("input", "forget", "cell", "output")), (3, ("update", "reset", "new"))]
)
def test_gates_of_keras_cells_are_apart(gates, names):
    kernel, recurrent = heavy(70, gates * 60), heavy(60, gates * 60)
    found = rs.spectra({"rnn/kernel": kernel, "rnn/recurrent_kernel": recurrent, "rnn/bias": heavy(gates * 60)})
    assert len(found.used) == 2 * gates
    for number, gate in enumerate(names):
        columns = slice(60 * number, 60 * number + 60)
        for name, whole in (("kernel", kernel), ("recurrent_kernel", recurrent)):
            part = found[f"rnn/{name}[{gate}]"]
            np.testing.assert_allclose(part.spectrum.eigenvalues, _eigenvalues(whole[:, columns].T))
    whole = rs.spectra({"rnn/kernel": kernel, "rnn/recurrent_kernel": recurrent}, fused=True)
    assert len(whole.used) == 2


def _near(matrix, correlation=0.9):
    noise = np.random.default_rng(3).normal(size=matrix.shape) * matrix.std()
    return correlation * matrix + np.sqrt(1 - correlation**2) * noise


@pytest.mark.parametrize(
    ("copy", "original"),
    [("polyak", "model"), ("avg_model", "model"), ("modelEMA", "model"), ("model-ema", "net"), ("slow_model", "model"),
     ("target_net", "q_net"), ("old_policy", "actor"), ("best", "last"), ("ckpt.avg_weights", "ckpt.weights")],
)  # fmt: skip
def test_copies_of_the_network_are_found_by_their_numbers(copy, original):
    first, second = heavy(60, 64), heavy(64, 60)
    model = {f"{original}.fc1.weight": first, f"{original}.fc2.weight": second}
    copied = {name.replace(f"{original}.", f"{copy}.", 1): _near(values) for name, values in model.items()}
    for source in (model | copied, copied | model):
        found = rs.spectra(source)
        assert set(found.used) == set(model)  # both before, each layer twice
        assert found.skipped == {"training_state": 2}
        assert found[f"{copy}.fc1.weight"].why == f"of {copy}, a copy of {original}"


def test_layers_that_are_called_like_copies_and_have_other_numbers_are_layers():
    model = {f"{name}.fc{k}.weight": heavy(60, 64) for name in ("avg", "max", "init_conv", "mid_conv") for k in (1, 2)}
    assert len(rs.spectra(model).used) == 8


def test_a_tied_output_layer_that_is_kept_twice_in_bfloat16_counts_as_the_table(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    table = torch.randn(100, 64).bfloat16()
    tensors = {"emb.weight": table, "head.weight": table.clone(), "fc.weight": torch.randn(64, 64).bfloat16()}
    save_file(tensors, tmp_path / "model.safetensors")
    for source in (tmp_path / "model.safetensors", tensors):
        found = rs.spectra(source)
        assert found.used == ("fc.weight",)
        assert found["head.weight"].name == "emb.weight"


def test_kernels_of_a_model_of_pytorch_have_its_layout():
    kernel = heavy(70, 60, 3, 3)
    for name in ("kernel", "conv_kernel", "W"):
        found = rs.spectra({f"block.{name}": kernel, "block.b": heavy(70), "fc.weight": heavy(60, 62)})
        assert found[f"block.{name}"].shape == kernel.shape
    assert rs.spectra({"block.conv_kernel": kernel})["block.conv_kernel"].shape == kernel.shape
