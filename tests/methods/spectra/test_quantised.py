"""Quantised files: float8 numbers times their scales, and packed integers that are named and never analysed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread.methods.spectra import from_torch_checkpoint, layer_metrics, spectrum
from tests.methods.spectra.files import e4m3, raw, write

RNG = np.random.default_rng(5)


def heavy(*shape):
    return (RNG.standard_t(3, size=shape) * 0.02).astype(np.float32)


def words(*shape, dtype="<i4"):
    return RNG.integers(0, 2**31, size=shape).astype(dtype)


# ---- B1: packed integers


def packed_files():
    """Yield a name of a format, its tensors, and a word of the reason, as libraries write them."""
    scale = np.abs(heavy(60, 64)).astype(np.float16)
    yield "AWQ", {"l.qweight": words(60, 512), "l.qzeros": words(60, 64), "l.scales": scale}, "GPTQ or AWQ"
    yield "GPTQ", {
        "m.l.qweight": words(64, 80), "m.l.qzeros": words(60, 64), "m.l.scales": scale,
        "m.l.g_idx": np.arange(512, dtype=np.int32), "m.l.bias": np.ones(80, np.float16),
    }, "GPTQ or AWQ"  # fmt: skip
    yield "MLX", {"l.weight": words(80, 64, dtype="<u4"), "l.scales": scale, "l.biases": scale}, "MLX"
    yield "compressed-tensors", {
        "l.weight_packed": words(80, 64), "l.weight_scale": scale, "l.weight_zero_point": words(60, 64),
        "l.weight_shape": np.array([80, 512]),
    }, "compressed-tensors"  # fmt: skip
    nibbles = words(64, 64).astype(np.uint8)
    yield "NVFP4", {
        "l.weight": nibbles, "l.weight_scale": e4m3(np.abs(heavy(64, 60)) * 50), "l.weight_scale_2": np.float32(0.1),
        "l.input_scale": np.float32(1),
    }, "NVFP4"  # fmt: skip
    yield "torchao", {"q.weight": words(64, 16, 32), "q.scales_and_zeros": heavy(64, 60, 2)}, "torchao"
    yield "bitsandbytes 8", {"l.weight": words(60, 64).astype(np.int8), "l.SCB": heavy(60)}, "bitsandbytes"
    yield "bitsandbytes 4", {
        "l.weight": words(60 * 32, 1).astype(np.uint8), "l.weight.absmax": heavy(60, 1),
        "l.weight.quant_map": heavy(16),
    }, "bitsandbytes"  # fmt: skip
    yield "MXFP4", {
        "mlp.experts.gate_up_proj_blocks": words(4, 64, 2, 16).astype(np.uint8),
        "mlp.experts.gate_up_proj_scales": words(4, 64, 2).astype(np.uint8),
        "mlp.experts.gate_up_proj_bias": heavy(64, 64),
    }, "MXFP4"  # fmt: skip
    yield "HQQ", {"l.W_q": words(64, 64).astype(np.uint8), "l.scale": scale, "l.zero": scale}, "HQQ"
    yield "AQLM", {
        "l.codes": words(64, 64, 1).astype(np.int16), "l.codebooks": heavy(1, 64, 1, 60),
        "l.scales": heavy(64, 1, 1, 1),
    }, "AQLM"  # fmt: skip
    yield "EETQ", {"l.weight": words(64, 64).astype(np.int8), "l.weight_scales": scale}, "EETQ"
    yield "Quanto", {"l.weight._data": words(64, 64).astype(np.int8), "l.weight._scale": heavy(64, 60)}, "Quanto"


@pytest.mark.parametrize(("tensors", "reason"), [pytest.param(*row[1:], id=row[0]) for row in packed_files()])
def test_companions_of_packed_integers_are_no_layers(tmp_path, tensors, reason):
    """B1: scales, zeros and biases were averaged as the model; nothing left to analyse is status 2."""
    file = write(tmp_path / "m.safetensors", tensors)
    found = rs.spectra(file)
    assert not found.used
    matrices = [layer for layer in found.layers if len(layer.shape) > 1 and not layer.name.endswith("bias")]
    assert {layer.status for layer in matrices} == {"quantised"}
    assert any(reason in layer.why for layer in matrices)
    assert len(found.layers) == len(tensors)
    out = CliRunner().invoke(cli, ["spectra", str(file)])
    assert out.exit_code == 2
    assert "quantised" in out.output
    assert "Pass the original weights" in " ".join(out.output.split())
    assert not rs.spectra({name: value for name, value in tensors.items() if isinstance(value, np.ndarray)}).used


def test_what_is_not_quantised_beside_packed_integers_is_read(tmp_path):
    tensors = {"a.qweight": words(64, 64), "a.scales": heavy(60, 64), "lm_head.weight": heavy(70, 60)}
    file = write(tmp_path / "m.safetensors", tensors)
    found = rs.spectra(file)
    assert found.used == ("lm_head.weight",)
    assert "2 quantised excluded" in found.sentence()


@pytest.mark.parametrize("kind", ["float64", "float32", "float16"])
def test_numbers_of_every_float_type_are_no_packed_integers(tmp_path, kind):
    tensors = {"l.weight": heavy(70, 60).astype(kind), "l.bias": np.ones(70, kind)}
    expected = layer_metrics(tensors["l.weight"])["alpha"]
    for source in (tensors, write(tmp_path / "m.safetensors", tensors)):
        assert rs.spectra(source).used == ("l.weight",)
        assert rs.spectra(source).means["alpha"] == pytest.approx(expected, rel=1e-9)


# ---- B2: float8 with scales


def quantised(rows=130, columns=160):
    weight = heavy(rows, columns)
    return e4m3(weight / np.abs(weight).max() * 400)


def spread(scale, shape, rows, columns):
    return np.repeat(np.repeat(scale, rows, 0), columns, 1)[: shape[0], : shape[1]]


@pytest.mark.parametrize(
    ("weight", "scale"),
    [
        ("l.weight", "l.weight_scale_inv"), ("l.weight", "l.weight_scale"), ("l.weight", "l.scale"),
        ("l.weight", "l.scale_inv"), ("l.weight", "l.scale_weight"), ("l.weight", "l.qscale_weight"),
        ("l.weight", "l.weights_scaling_factor"), ("l.weight", "l.weight.scale"), ("l.weight", "l.weight._scale"),
        ("experts.down_proj", "experts.down_proj_scale"), ("experts.w2", "experts.w2_scale_inv"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("blocks", [False, True])
def test_scales_of_float8_are_found_under_every_name_in_use(tmp_path, weight, scale, blocks):
    """B2: under all names but two the scales were ignored without a word, or were layers themselves."""
    numbers = quantised()
    shape = (130, 160)
    factors = np.exp(RNG.normal(size=(2, 2))).astype(np.float32) if blocks else np.float32(0.003)
    both = {weight: numbers, scale: factors, f"{weight.rpartition('.')[0]}.input_scale": np.float32(3)}
    found = rs.spectra(write(tmp_path / "m.safetensors", both))
    full = spread(factors, shape, 128, 128) if blocks else factors
    expected = layer_metrics(numbers.values.astype(float) * full, stored="float8_e4m3")
    assert found.used == (weight,)
    assert found[weight]["alpha"] == pytest.approx(expected["alpha"], rel=1e-9)
    assert found[weight]["log_norm"] == pytest.approx(expected["log_norm"], rel=1e-9)
    assert found[weight].made_of == (weight, scale)
    assert found[scale] is found[weight]


@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [
        ((), 160, 160), ((1, 1), 160, 160), ((160,), 1, 160), ((160, 1), 1, 160), ((1, 160), 160, 1),
        ((2, 2), 128, 128), ((5, 5), 32, 32), ((160, 5), 1, 32), ((160, 10), 1, 16), ((160, 10, 1), 1, 16),
        ((2, 1, 2, 1), 128, 128),
    ],
)  # fmt: skip
@pytest.mark.parametrize("power", [False, True])
def test_shapes_of_scales(tmp_path, shape, rows, columns, power):
    """B2: one factor for all, a row, a column or a block; as numbers, or as powers of two (F8_E8M0 was a KeyError)."""
    weight = heavy(160, 160)
    numbers = e4m3(weight / np.abs(weight).max() * 400)
    codes = RNG.integers(110, 130, size=shape).astype(np.uint8)
    factors = np.ldexp(1.0, codes.astype(int) - 127)
    scale = raw("F8_E8M0", codes) if power else factors.astype(np.float32)
    found = rs.spectra(write(tmp_path / "m.safetensors", {"l.weight": numbers, "l.weight_scale_inv": scale}))
    squeezed = factors.reshape([n for n in shape if n != 1] if len(shape) > 2 else shape)
    table = squeezed[:, None] if squeezed.ndim == 1 else np.broadcast_to(squeezed, squeezed.shape or (1, 1))
    expected = spectrum(numbers.values.astype(float) * spread(table, (160, 160), rows, columns))
    np.testing.assert_allclose(found["l.weight"].spectrum.eigenvalues, expected.eigenvalues, rtol=1e-9)


def test_scales_of_stacked_experts(tmp_path):
    weight = heavy(3, 60, 64)
    numbers = e4m3(weight / np.abs(weight).max() * 400)
    for shape in ((3,), (3, 1, 1), (3, 60), (3, 60, 1), (3, 1, 64)):
        factors = np.exp(RNG.normal(size=shape)).astype(np.float32)
        both = {"mlp.experts.up_proj": numbers, "mlp.experts.up_proj_scale": factors}
        found = rs.spectra(write(tmp_path / "m.safetensors", both))["mlp.experts.up_proj"]
        full = factors.reshape((*shape, *[1] * (3 - len(shape)))).astype(float)
        expected = spectrum(numbers.values * full, layout="stack").eigenvalues
        np.testing.assert_allclose(found.spectrum.eigenvalues, expected, rtol=1e-9)
        assert found.kind == "stack"


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({"l.weight_scale": words(4, 4)}, "stored as int32"),
        ({"l.weight_scale": raw("F8_NEW", np.ones((4, 4), np.uint8))}, "stored as F8_NEW"),
        ({"l.weight_scale": raw("U8", np.ones((4, 4), np.uint8))}, "stored as uint8"),
        ({"l.weight_scale": np.ones((3, 7), np.float32)}, "scales of shape (3, 7)"),
        ({"l.weight_scale": np.ones(159, np.float32)}, "scales of shape (159,)"),
        ({"l.weight_scale": np.float32(1), "l.scale": np.float32(2)}, "may scale it"),
        ({"l.weight_scale": np.float32(1), "l.weight_scale_2": np.float32(2)}, "may scale it"),
        ({"l.weight_zero_point": np.float32(1)}, "may scale it"),
        ({"l.rescaling": np.float32(1)}, "may scale it"),
    ],
)
def test_scales_that_are_not_understood_are_not_guessed(tmp_path, extra, reason):
    """B2: an unknown or integer type of scale ended in a traceback, an unknown name in a wrong number."""
    tensors = {"l.weight": quantised(160, 160), "other.weight": heavy(60, 60)} | extra
    found = rs.spectra(write(tmp_path / "m.safetensors", tensors))
    assert found.used == ("other.weight",)
    assert found["l.weight"].status == "quantised"
    assert reason in found["l.weight"].why


def test_float8_without_scales_is_a_cast_unless_the_configuration_says_otherwise(tmp_path):
    numbers = quantised()
    file = write(tmp_path / "m.safetensors", {"l.weight": numbers, "scaled_fp8": raw("F8_E4M3", np.zeros(0, "u1"))})
    expected = layer_metrics(numbers.values, stored="float8_e4m3")
    assert rs.spectra(file)["l.weight"]["alpha"] == pytest.approx(expected["alpha"], rel=1e-9)
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "fp8"}}))
    found = rs.spectra(file)
    assert found["l.weight"].status == "quantised"
    assert "this one has none" in found["l.weight"].why


def test_the_size_of_blocks_is_read_from_the_configuration(tmp_path):
    numbers, factors = quantised(150, 192), np.exp(RNG.normal(size=(3, 3))).astype(np.float32)
    file = write(tmp_path / "m.safetensors", {"l.weight": numbers, "l.weight_scale_inv": factors})
    config = {"quantization_config": {"quant_method": "fp8", "weight_block_size": [64, 64]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    expected = spectrum(numbers.values.astype(float) * spread(factors, (150, 192), 64, 64)).eigenvalues
    np.testing.assert_allclose(rs.spectra(file)["l.weight"].spectrum.eigenvalues, expected, rtol=1e-9)


@pytest.mark.parametrize(
    "text", ["[1]", "{", '{"quantization_config": 3, "vocab_size": "many"}', '{"text_config": []}']
)
def test_a_configuration_that_makes_no_sense_is_passed_over(tmp_path, text):
    file = write(tmp_path / "m.safetensors", {"l.weight": heavy(60, 60)})
    (tmp_path / "config.json").write_text(text)
    assert rs.spectra(file).used == ("l.weight",)


def test_the_size_of_the_vocabulary_tells_a_table_of_any_name(tmp_path):
    tensors = {"tok.weight": heavy(90, 60), "lm_head.weight": heavy(90, 60), "up.weight": heavy(70, 60)}
    file = write(tmp_path / "m.safetensors", tensors)
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 90}))
    assert rs.spectra(file).used == ("lm_head.weight", "up.weight")


def test_float8_of_other_sources_is_scaled_too(tmp_path):
    torch = pytest.importorskip("torch")
    values = torch.from_numpy(heavy(64, 64) * 1000).to(torch.float8_e4m3fn)
    scale = torch.from_numpy(np.exp(RNG.normal(size=(64, 1))).astype(np.float32))
    state = {"l.weight": values, "l.weight_scale": scale}
    expected = spectrum((values.double() * scale).numpy()).eigenvalues
    powers = torch.full((2, 2), 120, dtype=torch.uint8).view(torch.float8_e8m0fnu)
    state |= {"p.weight": values.clone(), "p.weight_scale_inv": powers}
    torch.save(state, tmp_path / "m.pt")
    halved = spectrum(values.double().numpy() * 2.0**-7).eigenvalues
    for source in (state, from_torch_checkpoint(tmp_path / "m.pt")):
        found = rs.spectra(source)
        np.testing.assert_allclose(found["l.weight"].spectrum.eigenvalues, expected, rtol=1e-9)
        np.testing.assert_allclose(found["p.weight"].spectrum.eigenvalues, halved, rtol=1e-9)


def test_arrays_of_ml_dtypes_are_widened():
    types = pytest.importorskip("ml_dtypes")
    weight = heavy(60, 60)
    for kind in (types.bfloat16, types.float8_e4m3fn):
        found = rs.spectra({"l.weight": weight.astype(kind)})
        expected = layer_metrics(weight.astype(kind).astype(np.float32), stored=str(np.dtype(kind)))
        assert found.means["alpha"] == pytest.approx(expected["alpha"], rel=1e-9)


@pytest.mark.parametrize("name", ["l.weight_s", "l.w_s", "l.s", "l_scale", "scales.l.weight", "l.descale"])
@pytest.mark.parametrize("prefix", ["", "model."])
def test_float8_beside_factors_of_an_unknown_name_is_not_analysed_without_them(tmp_path, name, prefix):
    tensors = {f"{prefix}l.weight": e4m3(heavy(64, 60) * 400), name: np.abs(heavy(64)), f"{prefix}l.bias": heavy(64)}
    write(tmp_path / "x.safetensors", tensors)
    found = rs.spectra(tmp_path / "x.safetensors")
    outside = prefix and name.startswith("l.")  # l.s does not stand beside model.l.weight
    assert found[f"{prefix}l.weight"].status == ("ok" if outside else "quantised")  # "ok" without a word before
    if not outside:
        assert found[f"{prefix}l.weight"].why == f"{name} may scale it"


@pytest.mark.parametrize(
    "quantisation",
    [
        {"quant_method": "modelopt", "quant_algo": "FP8"},
        {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 8, "type": "float"}}}},
    ],
)
def test_a_configuration_that_promises_scales_is_believed(tmp_path, quantisation):
    write(tmp_path / "model.safetensors", {"l.weight": e4m3(heavy(64, 60))})
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": quantisation}))
    assert rs.spectra(tmp_path)["l.weight"].status == "quantised"


@pytest.mark.parametrize(("packed", "factors"), [("B", "s"), ("weight_int8", "weight_scales"), ("data", "d")])
def test_packed_integers_of_any_name_take_their_factors_with_them(packed, factors):
    model = {
        f"l.{packed}": words(64, 480),
        f"l.{factors}": heavy(64, 60),
        "l.bias": heavy(64),
        "n.weight": heavy(64, 60),
    }
    found = rs.spectra(model)
    assert found.used == ("n.weight",)  # the factors of "B" were a layer before
    assert {found[f"l.{name}"].status for name in (packed, factors)} == {"quantised"}


def test_whole_numbers_beside_a_weight_are_no_packed_weight():
    model = {"l.W": heavy(64, 60), "l.lookup": words(64, 60), "m.mask": words(64, 60), "m.gain": heavy(60)}
    found = rs.spectra(model)
    assert found.used == ("l.W",)
    assert found["m.mask"].status == "not_a_layer"
