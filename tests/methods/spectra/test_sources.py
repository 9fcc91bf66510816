"""Whole models from files that the real libraries wrote, from modules, mappings and studies."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy

import runspread as rs
from runspread._reading.weights.number_formats import from_float8_e4m3, from_float8_e5m2
from runspread.errors import InputError
from runspread.methods.spectra import fit_power_law, from_torch_checkpoint, layer_metrics, spectrum

torch = pytest.importorskip("torch")
nn = torch.nn
safetensors_torch = pytest.importorskip("safetensors.torch")


class Tiny(nn.Module):
    """Every kind of layer that needs care."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(100, 64)
        self.attn = nn.MultiheadAttention(64, 4)
        self.lstm = nn.LSTM(64, 60)
        self.gru = nn.GRU(64, 60)
        self.conv1 = nn.Conv1d(64, 60, 3)
        self.conv3 = nn.Conv3d(8, 6, 3)
        self.up = nn.ConvTranspose2d(60, 64, 2)
        self.grouped = nn.Conv2d(64, 64, 3, groups=2)
        self.depthwise = nn.Conv2d(64, 64, 3, groups=64)
        self.norm = nn.LayerNorm(64)
        self.head = nn.Linear(64, 100, bias=False)
        self.head.weight = self.embed.weight
        self.small = nn.Linear(64, 7)


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    return Tiny()


def statuses(result):
    return {layer.name: layer.status for layer in result.layers}


def test_nothing_of_a_module_is_left_out(tiny):
    found = rs.spectra(tiny)
    named = {name.split("[")[0] for layer in found.layers for name in (layer.name, *layer.aliases)}
    assert named == set(tiny.state_dict())
    assert found["head.weight"] is found["embed.weight"]
    assert found["embed.weight"].aliases == ("head.weight",)
    assert found["embed.weight"].kind == "embedding"
    parts = {layer.name for layer in found.layers if "[" in layer.name}
    assert {"attn.in_proj_weight[query]", "attn.in_proj_weight[key]", "attn.in_proj_weight[value]"} <= parts
    assert {f"lstm.weight_hh_l0[{gate}]" for gate in ("input", "forget", "cell", "output")} <= parts
    assert {f"gru.weight_ih_l0[{gate}]" for gate in ("reset", "update", "new")} <= parts
    assert found["lstm.weight_ih_l0[cell]"].shape == (60, 64)
    assert found["depthwise.weight"].status == "depthwise_skipped"
    assert found["small.weight"].status == "too_small"
    assert found["norm.weight"].status == "not_a_matrix"
    assert found["grouped.weight"].spectrum.groups == 2
    assert (found["grouped.weight"].spectrum.N, found["grouped.weight"].spectrum.M) == (32, 32)
    assert (found["up.weight"].kind, found["up.weight"].spectrum.n) == ("conv_transposed", 240)
    assert found["conv1.weight"].spectrum.n == 180
    assert found["conv3.weight"].spectrum.n == 6 * 27
    assert found.skipped["embedding"] == 1
    assert "embed.weight" not in found.used
    assert "embed.weight" in rs.spectra(tiny, include_embeddings=True).used


def test_parts_are_slices_of_the_tensor(tiny):
    found = rs.spectra(tiny)["attn.in_proj_weight[key]"]
    expected = layer_metrics(tiny.attn.in_proj_weight[64:128].detach().numpy())
    assert found["alpha"] == expected["alpha"]
    fused = rs.spectra(tiny, fused=True)["attn.in_proj_weight"]
    assert fused.spectrum.N == 192


def test_flattened_depthwise(tiny):
    layer = rs.spectra(tiny, depthwise="flatten")["depthwise.weight"]
    assert (layer.spectrum.N, layer.spectrum.M) == (64, 9)


def test_workers_and_order_do_not_matter(tiny):
    state = dict(tiny.state_dict())
    first = rs.spectra(state, workers=1, n_shuffles=1)
    second = rs.spectra(dict(reversed(state.items())), workers=3, n_shuffles=1)
    for layer in first.layers:
        if layer.aliases:
            continue  # shuffles go by the first name of a storage
        other = second[layer.name]
        assert layer.metrics == pytest.approx(other.metrics, rel=1e-12, nan_ok=True)


def test_device_gives_the_same_answer(tiny):
    first, second = rs.spectra(tiny), rs.spectra(tiny, device="cpu")
    assert first.means == pytest.approx(second.means, rel=1e-9)


def test_averages_are_those_of_the_layers_used(tiny):
    found = rs.spectra(tiny)
    alphas = [found[name]["alpha"] for name in found.used]
    assert found.means["alpha"] == pytest.approx(np.mean(alphas))
    assert found.medians["alpha"] == pytest.approx(np.median(alphas))
    assert len(found.used) + sum(found.skipped.values()) == len(found.layers)
    nothing = rs.spectra({"w": np.ones((3, 3))})
    assert np.isnan(nothing.means["alpha"])
    assert "No layer" in nothing.sentence()


def test_progress_is_told(tiny):
    seen = []
    rs.spectra(tiny, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] == len(seen)


def test_sharded_folder_as_hugging_face_writes_it(tmp_path, tiny):
    """Two shards and an index, as ``save_pretrained`` lays them out, written by safetensors itself."""
    state = {name: value.contiguous() for name, value in tiny.state_dict().items() if name != "head.weight"}
    names = list(state)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, members in shards.items():
        safetensors_torch.save_file({name: state[name] for name in members}, tmp_path / file, metadata={"format": "pt"})
    index = {"metadata": {"total_size": 1}, "weight_map": {n: file for file, ns in shards.items() for n in ns}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "config.json").write_text("{}")
    found = rs.spectra(tmp_path)
    assert {name.split("[")[0] for name in statuses(found)} == set(state)
    live = rs.spectra(tiny)
    for name in ("attn.in_proj_weight[query]", "conv3.weight", "lstm.weight_hh_l0[cell]"):
        assert found[name]["alpha"] == pytest.approx(live[name]["alpha"], rel=1e-12)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match=r"model-00002-of-00002\.safetensors is missing"):
        rs.spectra(tmp_path)


def test_sharded_folder_that_hugging_face_wrote(tmp_path, tiny):
    """The library behind ``save_pretrained`` and ``push_to_hub`` splits, names and indexes the shards itself."""
    hub = pytest.importorskip("huggingface_hub")
    hub.save_torch_state_dict(tiny.state_dict(), tmp_path, max_shard_size="60KB")
    assert len(list(tmp_path.glob("model-*-of-*.safetensors"))) > 2
    assert (tmp_path / "model.safetensors.index.json").is_file()
    found, live = rs.spectra(tmp_path), rs.spectra(tiny)
    assert found.used
    for layer in live.layers:
        if layer.status == "ok" and layer.kind == "dense":
            assert found[layer.name]["alpha"] == pytest.approx(layer["alpha"], rel=1e-12)


def test_index_names_are_not_paths(tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": "../secret.safetensors"}}))
    with pytest.raises(InputError, match="same folder"):
        rs.spectra(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text("[1]")
    with pytest.raises(InputError, match="weight_map"):
        rs.spectra(tmp_path)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_every_float_type_is_widened_exactly(tmp_path, dtype):
    weight = torch.randn(60, 80, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight = weight.to(getattr(torch, dtype))
    safetensors_torch.save_file({"w": weight}, tmp_path / "m.safetensors")
    layer = rs.spectra(tmp_path / "m.safetensors")["w"]
    expected = spectrum(weight.double().numpy(), stored=layer.stored)
    np.testing.assert_array_equal(layer.spectrum.eigenvalues, expected.eigenvalues)
    assert layer.stored == dtype.removesuffix("fn")
    assert rs.spectra({"w": weight})["w"].spectrum.floor == layer.spectrum.floor


@pytest.mark.parametrize(("read", "dtype"), [(from_float8_e4m3, "float8_e4m3fn"), (from_float8_e5m2, "float8_e5m2")])
def test_all_numbers_of_float8(read, dtype):
    codes = np.arange(256, dtype=np.uint8)
    expected = torch.from_numpy(codes).view(getattr(torch, dtype)).float().numpy()
    np.testing.assert_array_equal(read(codes).astype(np.float32), expected)


@pytest.mark.parametrize(("suffix", "scale"), [("_scale_inv", (1, 2)), ("_scale", (130, 1)), ("_scale", ())])
def test_float8_scales_are_applied(tmp_path, suffix, scale):
    weight = torch.randn(130, 140, generator=torch.Generator().manual_seed(0)).to(torch.float8_e4m3fn)
    shape = (2, 2) if suffix == "_scale_inv" else scale
    factors = torch.rand(shape, generator=torch.Generator().manual_seed(1)) + 0.5
    safetensors_torch.save_file({"w": weight, "w" + suffix: factors}, tmp_path / "m.safetensors")
    if suffix == "_scale_inv":
        full = factors.repeat_interleave(128, 0)[:130].repeat_interleave(128, 1)[:, :140]
    else:
        full = factors
    found = rs.spectra(tmp_path / "m.safetensors")
    assert [layer.name for layer in found.layers] == ["w"]
    expected = spectrum((weight.double() * full.double()).numpy())
    np.testing.assert_allclose(found["w"].spectrum.eigenvalues, expected.eigenvalues, rtol=1e-9)


def test_integers_are_named_quantised(tmp_path):
    safetensors.numpy.save_file(
        {"q.weight": np.ones((30, 30), np.int8), "ids": np.arange(5), "w": np.eye(30, dtype=np.float32)},
        tmp_path / "m.safetensors",
    )
    found = rs.spectra(tmp_path)
    assert statuses(found) == {"q.weight": "quantised", "ids": "not_a_matrix", "w": "degenerate"}
    assert rs.spectra({"q.weight": torch.ones(30, 30, dtype=torch.int8)})["q.weight"].status == "quantised"
    assert rs.spectra({"q.weight": np.ones((30, 30), np.int8)})["q.weight"].status == "quantised"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_odd_tensors_have_a_status():
    values = torch.randn(60, 60, generator=torch.Generator().manual_seed(0))
    quantised = torch.quantize_per_tensor(values, 0.1, 0, torch.qint8)
    found = rs.spectra(
        {"sparse": values.to_sparse(), "meta": torch.empty(60, 60, device="meta"), "q": quantised, "plain": values}
    )
    assert found["sparse"].status == found["meta"].status == "unsupported"
    assert found["q"]["alpha"] == layer_metrics(quantised.dequantize().numpy())["alpha"]


def test_nonfinite_layers_do_not_stop_the_rest():
    rng = np.random.default_rng(0)
    found = rs.spectra({"bad": np.full((60, 60), np.inf), "good": rng.normal(size=(60, 60))})
    assert statuses(found) == {"bad": "nonfinite", "good": "ok"}
    assert found.skipped == {"nonfinite": 1}
    assert "1 nonfinite" in found.sentence()


def test_too_large_and_stacked_experts():
    rng = np.random.default_rng(0)
    arrays = {"mlp.experts.up": rng.normal(size=(3, 60, 70)), "w": rng.normal(size=(60, 70))}
    found = rs.spectra(arrays, max_size=59)
    assert statuses(found) == {"mlp.experts.up": "too_large", "w": "too_large"}
    found = rs.spectra(arrays)
    assert (found["mlp.experts.up"].kind, found["mlp.experts.up"].spectrum.n) == ("stack", 180)
    assert rs.spectra({"w": arrays["mlp.experts.up"]}, kinds={"w": "stack"})["w"].spectrum.n == 180


@pytest.mark.parametrize("damage", ["short", "header", "offsets", "empty"])
def test_damaged_files_are_named(tmp_path, damage):
    file = tmp_path / "m.safetensors"
    safetensors.numpy.save_file({"w": np.ones((30, 30), np.float32)}, file)
    data = bytearray(file.read_bytes())
    if damage == "short":
        data = data[:-8]
    elif damage == "header":
        data[:8] = (2**60).to_bytes(8, "little")
    elif damage == "offsets":
        data = bytearray(bytes(data).replace(b"[30,30]", b"[30,31]"))
    else:
        data = bytearray()
    file.write_bytes(data)
    with pytest.raises(InputError, match=r"m\.safetensors"):
        rs.spectra(file)


def test_torch_checkpoint_needs_to_be_asked_for(tmp_path, tiny):
    torch.save(tiny.state_dict(), tmp_path / "model.pt")
    with pytest.raises(InputError, match="from_torch_checkpoint"):
        rs.spectra(tmp_path / "model.pt")
    with pytest.raises(InputError, match="from_torch_checkpoint"):
        rs.spectra(tmp_path)
    found = rs.spectra(from_torch_checkpoint(tmp_path / "model.pt"))
    live = rs.spectra(tiny.state_dict())
    assert statuses(found) == statuses(live)
    assert found["embed.weight"].aliases == ("head.weight",)
    assert found.means == pytest.approx(live.means, rel=1e-12)


def test_nested_checkpoints_and_old_formats(tmp_path):
    weight = torch.randn(60, 60, generator=torch.Generator().manual_seed(0)).bfloat16()
    torch.save(
        {"state_dict": {"fc.weight": weight}, "epoch": 3, "opt": [{"m": torch.ones(2)}]},
        tmp_path / "old.ckpt",
        _use_new_zipfile_serialization=False,
    )
    found = rs.spectra(from_torch_checkpoint(tmp_path / "old.ckpt"))
    assert set(statuses(found)) == {"state_dict.fc.weight"}
    assert found["state_dict.fc.weight"].stored == "bfloat16"
    assert [(item.run, item.reason) for item in found.excluded] == [("opt", "1 tensor that is not the model's")]


@pytest.fixture
def trained():
    """A network after a step of Adam: its weights, and the state of the optimiser."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 60), nn.Linear(60, 70))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.randn(5, 64)).square().sum().backward()
    optimizer.step()
    return net.state_dict(), optimizer.state_dict()


def checkpoint(style, weights, optimizer):
    average = {name: value * 2 for name, value in weights.items()}
    return {
        "lightning": {
            "epoch": 1, "state_dict": weights, "optimizer_states": [optimizer], "lr_schedulers": [], "loops": {},
            "callbacks": {"ModelCheckpoint": {"best": torch.ones(60, 60)}},
        },
        "tutorial": {
            "epoch": 1, "model_state_dict": weights, "optimizer_state_dict": optimizer, "loss": torch.ones(()),
        },
        "timm": {"state_dict": weights, "optimizer": optimizer, "state_dict_ema": average, "amp_scaler": {"s": 1}},
        "fairseq": {"args": None, "model": weights, "last_optimizer_state": optimizer, "optimizer_history": [{"n": 1}]},
        "deepspeed": {"module": weights, "optimizer": optimizer, "rng": [torch.ones(60, 60)]},
        "snapshot": {"MODEL_STATE": weights, "OPTIMIZER_STATE": optimizer, "EPOCHS_RUN": 3},
        "wrapped": {"checkpoint": {"model": weights, "optim": optimizer}},
        "unknown names": {"encoder": weights, "opt_e": optimizer, "adam": optimizer, "encoder_ema": average},
        "plain": weights,
        "average alone": {"ema": weights, "optimizer": optimizer},
    }[style]  # fmt: skip


@pytest.mark.parametrize(
    ("style", "prefix", "left_out"),
    [
        ("lightning", "state_dict.", ["optimizer_states", "callbacks"]),
        ("tutorial", "model_state_dict.", ["optimizer_state_dict", "loss"]),
        ("timm", "state_dict.", ["optimizer", "state_dict_ema"]),
        ("fairseq", "model.", ["last_optimizer_state"]),
        ("deepspeed", "module.", ["optimizer", "rng"]),
        ("snapshot", "MODEL_STATE.", ["OPTIMIZER_STATE"]),
        ("wrapped", "checkpoint.model.", ["checkpoint.optim"]),
        ("unknown names", "encoder.", ["opt_e", "adam", "encoder_ema"]),
        ("plain", "", []),
        ("average alone", "ema.", ["optimizer"]),
    ],
)
def test_only_the_model_of_a_checkpoint_is_read(tmp_path, trained, style, prefix, left_out):
    weights, _ = trained
    torch.save(checkpoint(style, *trained), tmp_path / "c.ckpt")
    found = rs.spectra(from_torch_checkpoint(tmp_path / "c.ckpt"))
    assert set(statuses(found)) == {prefix + name for name in weights}
    assert found.means == pytest.approx(rs.spectra(weights).means, rel=1e-12)
    assert [item.run for item in found.excluded] == left_out
    in_memory = rs.spectra(checkpoint(style, *trained))
    assert statuses(in_memory) == statuses(found)
    assert in_memory.means == pytest.approx(found.means, rel=1e-12)
    assert [item.run for item in in_memory.excluded] == left_out


def test_parameters_in_nested_mappings_are_read_as_layers():
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=shape).astype(np.float32) for shape in ((80, 60), (60, 70))]
    layers = {f"Dense_{i}": {"kernel": kernel, "bias": kernel[0]} for i, kernel in enumerate(kernels)}
    found = rs.spectra({"params": layers, "batch_stats": {"norm": {"mean": kernels[0]}}, "step": np.int64(3)})
    assert set(found.used) == {"params.Dense_0.kernel", "params.Dense_1.kernel"}
    plain = rs.spectra({"a.weight": kernels[0].T, "b.weight": kernels[1].T})
    assert found.means["alpha"] == pytest.approx(plain.means["alpha"])
    assert [item.run for item in found.excluded] == ["batch_stats"]
    with pytest.raises(InputError, match=r"without tensors of a model \(keys 'args' and 'step'\)"):
        rs.spectra({"args": {"lr": 0.1}, "step": 3})


def test_two_models_and_tensors_named_like_training_are_kept(tmp_path, trained):
    weights, optimizer = trained
    torch.save({"model": weights, "net": weights, "optimizer": optimizer}, tmp_path / "two.pt")
    found = rs.spectra(from_torch_checkpoint(tmp_path / "two.pt"))
    assert {layer.name.split(".")[0] for layer in found.layers} == {"model"}
    assert found["net.0.weight"] is found["model.0.weight"]  # one storage
    torch.save({"loss_weight": torch.ones(60, 60), "ema": torch.ones(60, 60)}, tmp_path / "flat.pt")
    assert len(rs.spectra(from_torch_checkpoint(tmp_path / "flat.pt")).layers) == 2
    torch.save(optimizer, tmp_path / "optimizer.pt")
    with pytest.raises(InputError, match="no tensors of a model, only state"):
        from_torch_checkpoint(tmp_path / "optimizer.pt")


def test_a_pickled_module_is_named(tmp_path):
    torch.save(nn.Linear(3, 3), tmp_path / "whole.pt")
    with pytest.raises(InputError, match=r"pickled torch\.nn\.modules\.linear\.Linear.*Save model\.state_dict\(\)"):
        from_torch_checkpoint(tmp_path / "whole.pt")


def test_a_folder_of_several_models_is_refused(tmp_path):
    for number in range(2):
        weight = np.random.default_rng(number).normal(size=(60, 60)).astype("f4")
        safetensors.numpy.save_file({"w": weight}, tmp_path / f"ck{number}.safetensors")
    with pytest.raises(InputError, match=r"w is in ck0\.safetensors and in ck1\.safetensors.*Pass one"):
        rs.spectra(tmp_path)
    safetensors.numpy.save_file({"v": weight}, tmp_path / "ck1.safetensors")  # other tensors: shards without an index
    assert len(rs.spectra(tmp_path).layers) == 2
    for kind, number in (("fp16", 0), ("bf16", 1)):
        index = {"weight_map": {"wv"[number]: f"ck{number}.safetensors"}}
        (tmp_path / f"model.{kind}.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="2 indexes"):
        rs.spectra(tmp_path)
    assert statuses(rs.spectra(tmp_path / "model.bf16.safetensors.index.json")) == {"v": "ok"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_shuffles": -1}, "n_shuffles is -1"),
        ({"bootstrap": -5}, "bootstrap is -5"),
        ({"device": "abacus"}, "device 'abacus', unusable here"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        rs.spectra({"w": np.eye(60)}, **options)
    if "bootstrap" in options:
        with pytest.raises(InputError, match=message):
            fit_power_law(np.arange(1.0, 60), **options)


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (subprocess.check_call, (["touch", str(self.mark)],))


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"w": Evil(tmp_path / "ran")}))
    pickle.loads((tmp_path / "evil.pt").read_bytes())
    (tmp_path / "ran").unlink()  # it does run where it is unpickled the usual way
    with pytest.raises(InputError, match="cannot be read safely"):
        from_torch_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()
    torch.save({"epoch": 1}, tmp_path / "empty.pt")
    with pytest.raises(InputError, match="no tensors"):
        from_torch_checkpoint(tmp_path / "empty.pt")
    with pytest.raises(InputError, match="does not exist"):
        from_torch_checkpoint(tmp_path / "absent.pt")


def test_limits_of_the_reading_process_hold(tmp_path, tiny):
    torch.save(tiny.state_dict(), tmp_path / "model.pt")
    with pytest.raises(InputError, match="cannot be read safely"):
        from_torch_checkpoint(tmp_path / "model.pt", memory_bytes=2**20)


def test_unreadable_sources_say_what_to_do(tmp_path):
    with pytest.raises(InputError, match="no file or folder"):
        rs.spectra(tmp_path / "nothing")
    with pytest.raises(InputError, match="holds no safetensors"):
        rs.spectra(tmp_path)
    with pytest.raises(InputError, match="holds no tensors"):
        rs.spectra({})
    with pytest.raises(InputError, match="a torch module"):
        rs.spectra(3)


def test_files_are_read_without_torch(tmp_path):
    safetensors.numpy.save_file({"w": np.random.default_rng(0).normal(size=(60, 60))}, tmp_path / "m.safetensors")
    code = f"import runspread, sys; print(runspread.spectra({str(tmp_path)!r}).means['alpha'], 'torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert float(out[0]) > 1
    assert out[1] == "False"


def test_parity_of_a_model_leaves_out_what_weightwatcher_does(tiny):
    found = rs.spectra(tiny, parity="weightwatcher", min_eigenvalues=8)
    assert found["conv1.weight"].status == found["conv3.weight"].status == "unsupported"
    assert found["small.weight"].status == "too_small"
    assert found["attn.in_proj_weight"].spectrum.N == 192
    assert found["depthwise.weight"].metrics["alpha"] > 0


def test_results_show_themselves(tiny):
    found = rs.spectra(tiny, mp_fit=True, n_shuffles=1)
    assert len(found.table()) < len(found.table(all_tensors=True)) == len(found.layers)
    assert "alpha" in found.summary()["metric"]
    assert json.loads(found.to_json())["layers"][0]["name"] == "embed.weight"
    assert "stable rank" in found["conv1.weight"].sentence()
