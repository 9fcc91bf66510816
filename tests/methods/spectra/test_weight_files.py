"""Folders, indexes and shards of one model, and plain words for what is something else."""

from __future__ import annotations

import gzip
import json
import tarfile
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread.errors import InputError
from runspread.methods.spectra import compare_tails, fit_power_law, from_torch_checkpoint, layer_metrics

RNG = np.random.default_rng(6)
A, B = ((RNG.standard_t(3, size=(70, 60)) * 0.02).astype(np.float32) for _ in range(2))
INDEX = "model.safetensors.index.json"


def save(file, **tensors):
    file.parent.mkdir(exist_ok=True)
    safetensors.numpy.save_file({name.replace("_", "."): value for name, value in tensors.items()}, file)


def index(folder, name=INDEX, **files):
    (folder / name).write_text(json.dumps({"weight_map": {key.replace("_", "."): file for key, file in files.items()}}))


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


def hinted(error):
    """Run the code that an error advises, and return what it gives."""
    code = error.value.hint.split("In Python: ")[1]
    names = {"rs": rs, "np": np}
    for module in ("torch", "onnx"):
        if f"{module}." in code:
            names[module] = pytest.importorskip(module)
    if "numpy_helper" in code:
        names["numpy_helper"] = pytest.importorskip("onnx.numpy_helper")
    return eval(code, names)


# ---- B8: the index of shards


def test_a_tensor_that_the_index_names_must_be_in_its_shard(tmp_path):
    """B8: it was not missed."""
    save(tmp_path / "model-00001-of-00001.safetensors", a_weight=A)
    index(tmp_path, a_weight="model-00001-of-00001.safetensors", b_weight="model-00001-of-00001.safetensors")
    with pytest.raises(InputError, match=r"lacks the tensor b\.weight.*Copy model-00001-of-00001\.safetensors again"):
        rs.spectra(tmp_path)
    with pytest.raises(InputError, match=r"b\.weight"):
        rs.spectra(tmp_path / INDEX)
    assert run("spectra", tmp_path).exit_code == 2


def test_the_index_decides_between_two_copies(tmp_path):
    """B8: it was refused."""
    save(tmp_path / "model-00001-of-00001.safetensors", a_weight=A, b_weight=A)
    save(tmp_path / "model-overlay.safetensors", a_weight=B)
    index(tmp_path, a_weight="model-overlay.safetensors", b_weight="model-00001-of-00001.safetensors")
    found = rs.spectra(tmp_path)
    assert found["a.weight"]["alpha"] == layer_metrics(B)["alpha"]
    assert found["b.weight"]["alpha"] == layer_metrics(A)["alpha"]
    assert len(found.layers) == 2
    index(tmp_path, b_weight="model-00001-of-00001.safetensors", c_weight="model-overlay.safetensors")
    with pytest.raises(InputError, match=r"lacks the tensor c\.weight"):
        rs.spectra(tmp_path)


@pytest.mark.parametrize("kept", [1, 2])
def test_one_shard_of_two_is_not_the_model(tmp_path, kept):
    """B8: it counted as the model, with an exponent over 1 of 1 tensors."""
    name = f"model-0000{kept}-of-00002.safetensors"
    save(tmp_path / name, a_weight=A)
    with pytest.raises(InputError, match=f"shard {3 - kept} of 2 of model.safetensors is missing"):
        rs.spectra(tmp_path)
    with pytest.raises(InputError, match=r"one of 2 shards.*Pass the folder"):
        rs.spectra(tmp_path / name)
    save(tmp_path / f"model-0000{3 - kept}-of-00002.safetensors", b_weight=B)
    assert rs.spectra(tmp_path).used == ("a.weight", "b.weight") if kept == 1 else ("b.weight", "a.weight")


def test_a_folder_without_an_index_is_its_model(tmp_path):
    """B8: states of optimisers and averages in files of their own were averaged as layers."""
    save(tmp_path / "model.safetensors", a_weight=A)
    save(tmp_path / "training_state.safetensors", optimizer_exp_avg_a_weight=B)
    save(tmp_path / "model_ema.safetensors", ema_a_weight=B)
    save(tmp_path / "consolidated.safetensors", tok_weight=B)
    found = rs.spectra(tmp_path)
    assert found.used == ("a.weight",)
    assert {item.run for item in found.excluded} == {
        "training_state.safetensors", "model_ema.safetensors", "consolidated.safetensors",
    }  # fmt: skip
    assert len(rs.spectra(tmp_path / "model_ema.safetensors").used) == 1  # asked for, it is read


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "weight_map"),
        ("{", "cannot be read"),
        ('{"weight_map": {}}', "no tensor"),
        ('{"weight_map": 3}', "weight_map"),
    ],
)
def test_indexes_that_are_none(tmp_path, text, message):
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(InputError, match=message):
        rs.spectra(tmp_path)


def test_slices_of_a_model_split_over_devices_are_not_the_model(tmp_path):
    torch = pytest.importorskip("torch")
    for number in range(2):
        torch.save({"a.weight": torch.from_numpy(A)}, tmp_path / f"consolidated.0{number}.pth")
    with pytest.raises(InputError, match="one of 2 slices"):
        from_torch_checkpoint(tmp_path / "consolidated.00.pth")


def test_shards_of_a_pickled_checkpoint(tmp_path):
    """B8: sharded pytorch_model.bin could not be read, and the hint analysed the first shard."""
    torch = pytest.importorskip("torch")
    names = [f"pytorch_model-0000{k}-of-00002.bin" for k in (1, 2)]
    for name, key, value in zip(names, ("a.weight", "b.weight"), (A, B), strict=True):
        torch.save({key: torch.from_numpy(value)}, tmp_path / name)
    torch.save({"state": {}}, tmp_path / "optimizer.pt")
    (tmp_path / "config.json").write_text("{}")
    index(tmp_path, "pytorch_model.bin.index.json", a_weight=names[0], b_weight=names[1])
    with pytest.raises(InputError, match="unpickled") as error:
        rs.spectra(tmp_path)
    assert hinted(error).used == ("a.weight", "b.weight")
    with pytest.raises(InputError, match="one of 2 shards"):
        from_torch_checkpoint(tmp_path / names[0])
    with pytest.raises(InputError, match="index of a PyTorch checkpoint"):
        rs.spectra(tmp_path / "pytorch_model.bin.index.json")
    index(tmp_path, "pytorch_model.bin.index.json", a_weight=names[0], c_weight=names[1])
    with pytest.raises(InputError, match=rf"{names[1]} lacks the tensor c\.weight"):
        from_torch_checkpoint(tmp_path)
    (tmp_path / names[1]).unlink()
    with pytest.raises(InputError, match=f"{names[1]} is missing"):
        from_torch_checkpoint(tmp_path / "pytorch_model.bin.index.json")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_sparse_tensor_in_a_checkpoint_is_named(tmp_path):
    """B8: it vanished."""
    torch = pytest.importorskip("torch")
    dense = torch.from_numpy(A)
    state = {"s.weight": dense.to_sparse(), "m.weight": torch.empty(60, 60, device="meta"), "d.weight": dense}
    torch.save({"model": state, "c.weight": torch.ones(2, dtype=torch.complex128)}, tmp_path / "m.pt")
    found = rs.spectra(from_torch_checkpoint(tmp_path / "m.pt"))
    assert [layer.name for layer in found.layers] == ["model.s.weight", "model.m.weight", "model.d.weight"]
    assert found["model.s.weight"].status == found["model.m.weight"].status == "unsupported"
    assert (found["model.s.weight"].why, found["model.m.weight"].why) == ("sparse", "on the meta device")
    assert found.used == ("model.d.weight",)


def test_kinds_reach_a_checkpoint(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"odd": torch.from_numpy(A), "fc.weight": torch.from_numpy(B)}, tmp_path / "m.pt")
    checkpoint = from_torch_checkpoint(tmp_path / "m.pt")
    assert rs.spectra(checkpoint).used == ("fc.weight",)
    assert rs.spectra(checkpoint, kinds={"odd": "dense"}).used == ("odd", "fc.weight")


def test_folders_that_hold_several_models(tmp_path):
    torch = pytest.importorskip("torch")
    for folder in ("unet", "vae"):
        save(tmp_path / folder / "diffusion_pytorch_model.safetensors", a_weight=A)
    with pytest.raises(InputError, match="its subfolders unet, vae do"):
        rs.spectra(tmp_path)
    for name in ("first.pt", "second.pt"):
        torch.save({"a.weight": torch.from_numpy(A)}, tmp_path / name)
    with pytest.raises(InputError, match=r"2 checkpoints: first\.pt, second\.pt"):
        from_torch_checkpoint(tmp_path)


# ---- B11: other kinds of files


def others(folder):
    """Write files of other kinds; yield name, and words that the message must have."""
    (folder / "m.gguf").write_bytes(b"GGUF\3\0\0\0" + bytes(4000))
    yield "m.gguf", ("GGUF", "safetensors files that it was made from")
    (folder / "old.ggml").write_bytes(b"lmgg" + bytes(400))
    yield "old.ggml", ("GGML",)
    (folder / "m.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(400))
    yield "m.h5", ("HDF5", "rs.spectra({name: array, ...})")
    (folder / "m.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(400))
    yield "m.tflite", ("TensorFlow Lite",)
    (folder / "m.onnx").write_bytes(b"\x08\x08\x12\x07pytorch" + bytes(40))
    yield "m.onnx", ("ONNX",)
    (folder / "without_ending").write_bytes(b"\x08\x08\x12\x07pytorch" + bytes(40))
    yield "without_ending", ("ONNX",)
    (folder / "pointer.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    yield "pointer.safetensors", ("Git LFS pointer", "git lfs pull")
    (folder / "page.safetensors").write_text("<!DOCTYPE html><html></html>")
    yield "page.safetensors", ("web page",)
    (folder / "nothing.safetensors").write_bytes(b"")
    yield "nothing.safetensors", ("an empty file",)
    (folder / "m.json").write_text('{"weights": [1, 2, 3]}')
    yield "m.json", ("JSON text",)
    with gzip.open(folder / "m.safetensors.gz", "wb") as stream:
        stream.write(b"x")
    yield "m.safetensors.gz", ("gzip", "Unpack it")
    with tarfile.open(folder / "m.nemo", "w") as archive:
        archive.add(folder / "m.json", "m.json")
    yield "m.nemo", ("tar archive",)
    with zipfile.ZipFile(folder / "m.keras", "w") as archive:
        archive.writestr("model.weights.h5", b"")
    yield "m.keras", ("Keras",)
    with zipfile.ZipFile(folder / "m.zip", "w") as archive:
        archive.writestr("readme.txt", b"")
    yield "m.zip", ("a zip archive",)
    (folder / "cut.zip").write_bytes(b"PK\x03\x04" + bytes(40))
    yield "cut.zip", ("truncated",)
    (folder / "m.parquet").write_bytes(b"PAR1" + bytes(40))
    yield "m.parquet", ("Parquet",)
    (folder / "m.msgpack").write_bytes(b"\x82\xa6params" + bytes(40))
    yield "m.msgpack", ("msgpack",)
    (folder / "__0_0.distcp").write_bytes(b"\x93\x01" + bytes(40))
    yield "__0_0.distcp", ("distributed PyTorch checkpoint", "dcp_to_torch")


def test_other_kinds_of_files_are_named_by_their_first_bytes(tmp_path):
    """B11: all of them had a header of no possible length."""
    for name, words in others(tmp_path):
        for read in (rs.spectra, from_torch_checkpoint):
            with pytest.raises(InputError) as error:
                read(tmp_path / name)
            for word in words:
                assert word in str(error.value), name
            assert error.value.hint, name
        out = run("spectra", tmp_path / name)
        assert out.exit_code == 2
        assert words[0] in " ".join(out.output.split()), name


def test_a_folder_says_what_it_holds_instead(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "m.gguf").write_bytes(b"GGUF\3\0\0\0" + bytes(400))
    with pytest.raises(InputError, match=r"holds no safetensors file, but m\.gguf: a GGUF file"):
        rs.spectra(tmp_path)


def test_arrays_of_numpy_are_read_as_the_hint_says(tmp_path):
    np.savez(tmp_path / "m.npz", **{"a.weight": A})
    np.save(tmp_path / "m.npy", A)
    with pytest.raises(InputError, match=r"an \.npz file of NumPy") as error:
        rs.spectra(tmp_path / "m.npz")
    assert hinted(error).means["alpha"] == layer_metrics(A)["alpha"]
    with pytest.raises(InputError, match="a NumPy array") as error:
        rs.spectra(tmp_path / "m.npy")
    assert hinted(error)["alpha"] == layer_metrics(A)["alpha"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_files_of_torch_are_read_as_the_hint_says(tmp_path):
    """B11: a TorchScript program, and checkpoints of any ending, of today's format and the old one."""
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Embedding(80, 60), torch.nn.Linear(60, 70))
    alpha = rs.spectra(net).means["alpha"]
    torch.jit.script(net[1]).save(str(tmp_path / "m.jit"))
    for read in (rs.spectra, from_torch_checkpoint):
        with pytest.raises(InputError, match="a TorchScript program") as error:
            read(tmp_path / "m.jit")
        assert hinted(error).means["alpha"] == pytest.approx(alpha, rel=1e-9)
    live = rs.spectra(torch.jit.script(net))
    assert {layer.name: layer.kind for layer in live.layers if layer.status == "ok"} == {
        "0.weight": "embedding", "1.weight": "dense",
    }  # fmt: skip
    torch.save(net.state_dict(), tmp_path / "m.pth.tar")
    torch.save(net.state_dict(), tmp_path / "old", _use_new_zipfile_serialization=False)
    for name in ("m.pth.tar", "old"):
        with pytest.raises(InputError, match="has to be unpickled") as error:
            rs.spectra(tmp_path / name)
        assert "--torch" in error.value.hint
    assert hinted(error).means["alpha"] == pytest.approx(alpha, rel=1e-9)
    save(tmp_path / "m.safetensors", a_weight=A)
    for source in (tmp_path / "m.safetensors", tmp_path / "folder"):
        if source.suffix == "":
            save(source / "m.safetensors", a_weight=A)
        with pytest.raises(InputError, match="safetensors") as error:
            from_torch_checkpoint(source)
        assert hinted(error).used == ("a.weight",)


def test_a_model_of_onnx_is_read_as_the_hint_says(tmp_path):
    onnx = pytest.importorskip("onnx")
    weight = onnx.numpy_helper.from_array(A, "fc.weight")
    graph = onnx.helper.make_graph([], "g", [], [], [weight])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "m.onnx")
    with pytest.raises(InputError, match="an ONNX model") as error:
        rs.spectra(tmp_path / "m.onnx")
    assert hinted(error).means["alpha"] == layer_metrics(A)["alpha"]


# ---- messages of the tail's functions


def test_values_in_place_of_a_fit_are_refused_with_the_way_to_one():
    """An AttributeError before."""
    values = np.arange(1, 99.0)
    with pytest.raises(InputError, match="a fitted power law") as error:
        compare_tails(values)
    code = error.value.hint.split("In Python: ")[1]
    assert len(eval(code, {"rs": rs, "values": values, "compare_tails": compare_tails}).alternative) == 4


@pytest.mark.parametrize("bad", [(5, 1), (np.nan, 2), (1,), (1, 2, 3), 4.0])
def test_a_range_of_starts_the_wrong_way_round_is_refused(bad):
    """A status that said too few values before."""
    with pytest.raises(InputError, match="the smaller first"):
        fit_power_law(np.arange(1, 99.0), xmin_range=bad)
    assert fit_power_law(np.arange(1, 99.0), xmin_range=(5, 50)).xmin >= 5


def test_an_index_that_leaves_out_a_whole_shard_is_not_the_model(tmp_path):
    for number, name in enumerate(("a_weight", "b_weight"), start=1):
        save(tmp_path / f"model-0000{number}-of-00002.safetensors", **{name: RNG.normal(size=(60, 62))})
    index(tmp_path, a_weight="model-00001-of-00002.safetensors")
    with pytest.raises(InputError, match="names no tensor of shard 2 of 2"):  # half of the model before
        rs.spectra(tmp_path)
    index(tmp_path, a_weight="./model-00001-of-00002.safetensors", b_weight="model-00002-of-00002.safetensors")
    assert len(rs.spectra(tmp_path).used) == 2


def test_shards_that_are_numbered_from_0_are_whole(tmp_path):
    for number, name in enumerate(("a_weight", "b_weight")):
        save(tmp_path / f"model-0000{number}-of-00002.safetensors", **{name: RNG.normal(size=(60, 62))})
    assert len(rs.spectra(tmp_path).used) == 2


def test_files_beside_an_index_are_named(tmp_path):
    save(tmp_path / "model-00001-of-00001.safetensors", a_weight=RNG.normal(size=(60, 62)))
    save(tmp_path / "adapter_model.safetensors", x_weight=RNG.normal(size=(60, 62)))
    index(tmp_path, a_weight="model-00001-of-00001.safetensors")
    found = rs.spectra(tmp_path)
    assert [(one.run, one.reason) for one in found.excluded] == [("adapter_model.safetensors", f"not in {INDEX}")]


@pytest.mark.parametrize("part", ["shards", "shards/*", "shards/*/weights.safetensors"])
def test_a_part_of_a_study_is_no_model(tmp_path, part):
    study = rs.create_study(tmp_path / "s", splits={"test": np.zeros(4, int)})
    with study.record(seeds=0) as recorder:
        recorder.weights({"fc.weight": RNG.normal(size=(60, 62))})
    with pytest.raises(
        InputError, match="its tensors hold several runs"
    ) as caught:  # runs pooled in one exponent before
        rs.spectra(next(tmp_path.glob(f"s/{part}")))
    said = str(caught.value).split("rs.open_study('")[1].split("'")[0]  # the hint is carried out
    assert len(rs.spectra(rs.open_study(said)).runs) == 1
