"""Batch and hyper-batch layers and converters: isolation of members, reductions to simpler layers, parameter counts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import runspread as rs
from runspread.errors import InputError

from .networks import build, mlp

K, B = 3, 4
GREY, COLOUR = (1, 28, 28), (3, 32, 32)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_conv() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 6, 3, stride=2, groups=2, bias=False),
        nn.Flatten(),
        nn.Linear(6 * 2 * 2, 5),
    ).double()


IMAGES = torch.randn(B, 2, 6, 6, dtype=torch.float64, generator=seeded(1))


def hyper(network, **options):
    found = rs.nn.hyper_batch_ensemble(network, K, generator=seeded(), **options).double()
    for layer in found.layers.values():
        head = layer.embedding if isinstance(layer.embedding, nn.Linear) else layer.embedding[-1]
        nn.init.normal_(head.weight, std=0.5)  # the published start is too small to see
    return found


def test_members_do_not_see_each_other():
    for ensemble in (rs.nn.batch_ensemble(small_conv(), K, generator=seeded()), hyper(small_conv())):
        ensemble = ensemble.double().eval()
        before = ensemble(IMAGES).detach()
        with torch.no_grad():
            for layer in ensemble.layers.values():
                for name, parameter in layer.named_parameters(recurse=False):
                    if name.endswith(("factor", "bias")):
                        parameter[1:] += 1.0
        after = ensemble(IMAGES).detach()
        assert torch.equal(before[0], after[0])
        assert (before[1:] - after[1:]).abs().max() > 1e-3


def test_training_and_evaluation_use_one_order_of_rows():
    layer = rs.nn.BatchLinear(5, 4, K, generator=seeded())
    x = torch.randn(B, 5, generator=seeded(2))
    together = layer(rs.nn.tile(x, K)).unflatten(0, (K, B))
    for k in range(K):
        kernel = layer.weight * layer.input_factor[k] * layer.output_factor[k][:, None]
        torch.testing.assert_close(together[k], x @ kernel.T + layer.bias[k])
    interleaved = layer(x.repeat_interleave(K, 0))
    assert not torch.allclose(interleaved, together.flatten(0, 1))


def test_rows_must_be_a_multiple_of_the_members():
    with pytest.raises(InputError, match="4 rows for 3 members"):
        rs.nn.BatchLinear(5, 4, 3)(torch.zeros(4, 5))


def test_one_member_with_unit_factors_is_the_plain_network():
    network = small_conv().eval()
    ensemble = rs.nn.batch_ensemble(network, 1, factors=("normal", 0.0)).eval()
    torch.testing.assert_close(ensemble(IMAGES)[0], network(IMAGES))
    torch.testing.assert_close(ensemble.predict(IMAGES), network(IMAGES).softmax(-1).detach())


def test_without_embeddings_it_is_the_batch_ensemble():
    ensemble = rs.nn.hyper_batch_ensemble(small_conv(), K, generator=seeded()).eval()
    plain = rs.nn.batch_ensemble(small_conv(), K).double().eval()
    for layer in ensemble.layers.values():
        nn.init.zeros_(layer.embedding[-1].weight)
    values = ensemble.state_dict()
    plain.load_state_dict({name: values[name] for name in plain.state_dict()})
    torch.testing.assert_close(ensemble.double()(IMAGES), plain(IMAGES))


def test_conversion_leaves_the_network_alone_and_keeps_its_kernels():
    network = small_conv()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    ensemble = rs.nn.batch_ensemble(network, K)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(ensemble.layers["0"].weight, network[0].weight)
    assert torch.equal(ensemble.layers["0"].bias[2], network[0].bias)
    assert ensemble.shared == ("1.weight", "1.bias")


def test_a_layer_used_twice_stays_one_layer():
    shared = nn.Linear(5, 5)
    ensemble = rs.nn.batch_ensemble(nn.Sequential(shared, nn.ReLU(), shared), K)
    assert ensemble.network[0] is ensemble.network[2]
    assert list(ensemble.layers) == ["0"]
    assert isinstance(rs.nn.batch_ensemble(shared, K).layers[""], nn.Module)


@pytest.mark.parametrize("network", [nn.MultiheadAttention(4, 2), nn.Sequential(nn.LSTM(3, 3)), nn.ReLU()])
def test_what_cannot_be_converted_is_refused(network):
    with pytest.raises(InputError):
        rs.nn.batch_ensemble(network, K)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_factorised_penalty_equals_the_materialised_one(fast, tied):
    ensemble = hyper(small_conv(), tied=tied, fast_l2=fast, reference=7.0, start="full")
    values = ensemble.bounds.sample(B, generator=seeded()).detach().double()
    ensemble.train()
    ensemble(IMAGES, values)
    expected = torch.zeros((), dtype=torch.float64)
    for j, layer in enumerate(ensemble.layers.values()):
        e1, e2 = layer._embeddings()
        groups = layer.conv.groups if layer.conv else 1
        for k in range(K):
            r, s = (f[k] for f in layer.factors) if fast else (torch.ones(()), torch.ones(()))
            u, v = (f[k] for f in layer.response_factors) if fast else (torch.ones(()), torch.ones(()))
            for i in range(B):
                extra = [1] * (layer.weight.ndim - 2)
                outer = [materialise(layer, a, b, groups, extra) for a, b in ((r, s), (u, v))]
                kernel = layer.weight * outer[0] + layer.response * outer[1] * e1[k, i].view(-1, 1, *extra)
                square = kernel.square().sum()
                if layer.bias is not None:
                    square = square + (layer.bias[k] + e2[k, i] * layer.response_bias[k]).square().sum()
                expected = expected + values[k, i, j] * square / (K * B * 7.0)
    torch.testing.assert_close(ensemble.penalty(values), expected)


def materialise(layer, inputs, outputs, groups, extra):
    """The rank-one modulation [out, in / groups, 1, 1] of one member."""
    out, width = layer.weight.shape[:2]
    if inputs.ndim == 0:
        return torch.ones((), dtype=torch.float64)
    by_group = inputs.view(groups, width).repeat_interleave(out // groups, 0)
    return (by_group * outputs[:, None]).view(out, width, *extra)


def test_dropout_differs_by_row_and_only_in_training():
    ensemble = rs.nn.hyper_batch_ensemble(mlp(6, 50, 3, 0.5), 2, generator=seeded()).eval()
    dropout = next(m for m in ensemble.modules() if isinstance(m, rs.nn.RowDropout))
    ensemble(torch.zeros(4, 6))
    x = torch.ones(8, 1000)
    dropout.rates = torch.linspace(0.1, 0.8, 8)
    assert torch.equal(dropout(x), x)
    dropped = dropout.train()(x)
    share = (dropped == 0).float().mean(1)
    torch.testing.assert_close(share, dropout.rates, atol=0.06, rtol=0)
    torch.testing.assert_close(dropped.amax(1), 1 / (1 - dropout.rates))
    assert (rs.nn.RowDropout(0.5, spatial=True)(torch.ones(4, 6, 3, 3)).flatten(2).std(-1) == 0).all()


def test_hyperparameters_must_act():
    idle = rs.nn.Hyperparameter("nothing", 0.1, 1.0, "l2", ("no such layer",))
    with pytest.raises(InputError, match="acts on no layer"):
        rs.nn.hyper_batch_ensemble(small_conv(), K, [idle])
    twice = [rs.nn.Hyperparameter(name, 0.1, 1.0, "l2") for name in "ab"]
    with pytest.raises(InputError, match="a and b both act"):
        rs.nn.hyper_batch_ensemble(small_conv(), K, twice)
    with pytest.raises(InputError, match="less than 1"):
        rs.nn.Hyperparameter("p", 0.1, 1.0, "dropout")


def test_a_hyper_layer_alone_asks_for_its_hyperparameters():
    with pytest.raises(InputError, match="condition"):
        rs.nn.HyperBatchLinear(3, 2, K, 1)(torch.zeros(K, 3))


def test_prediction_with_samples_averages_probabilities():
    ensemble = hyper(small_conv()).eval()
    single, sampled = ensemble.predict(IMAGES), ensemble.predict(IMAGES, samples=3, generator=seeded())
    assert not torch.allclose(single, sampled)
    torch.testing.assert_close(sampled.sum(-1), torch.ones(B, dtype=torch.float64))
    torch.testing.assert_close(single, ensemble(IMAGES).softmax(-1).mean(0).detach())


def published_space(network) -> list[rs.nn.Hyperparameter]:
    """Six L2 coefficients, as in the paper: input, three groups, kernel and bias of the last layer."""
    convolutions = [name for name, m in network.named_modules() if isinstance(m, nn.Conv2d)]
    last = next(name for name, m in network.named_modules() if isinstance(m, nn.Linear))
    parts = [convolutions[:1], convolutions[1:10], convolutions[10:19], convolutions[19:]]
    space = [rs.nn.Hyperparameter(f"l2 {i}", 0.1, 100, "l2", tuple(part)) for i, part in enumerate(parts)]
    ends = [rs.nn.Hyperparameter(role, 0.1, 100, role, (last,)) for role in ("l2_kernel", "l2_bias")]
    return [*space, *ends]


@pytest.mark.parametrize(
    ("classes", "plain", "batch", "hyper_batch"),
    [(10, 36_479_194, 36_557_548, 73_079_516), (100, 36_536_884, 36_615_868, 73_196_876)],
)
def test_wide_resnet_has_the_published_parameter_counts(classes, plain, batch, hyper_batch):
    with torch.device("meta"):
        network = build("wide-resnet", COLOUR, classes)
    assert count(network) == plain
    network = network.to_empty(device="cpu")
    assert count(rs.nn.batch_ensemble(network, 4)) == batch
    found = rs.nn.hyper_batch_ensemble(network, 4, published_space(network), tied=True, hidden=None, fast_l2=False)
    assert count(found) - count(found.bounds) == hyper_batch  # the published figure leaves out the 48 bounds
    assert count(found.bounds) == 2 * 4 * 6


@pytest.mark.parametrize(("classes", "plain"), [(10, 272_282), (100, 278_132)])
def test_resnet20_parameter_counts(classes, plain):
    network = build("resnet20", COLOUR, classes)
    assert count(network) == plain
    kernels = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    channels = sum(m.weight.shape[0] + m.weight.shape[1] for m in kernels)
    assert count(rs.nn.batch_ensemble(network, 4)) == plain + 4 * channels + 3 * classes
    assert rs.nn.hyper_batch_ensemble(network, 2).eval()(torch.zeros(1, 3, 32, 32)).shape == (2, 1, classes)


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [("mlp", GREY, {"hidden": (200, 200)}), ("lenet", GREY, {}), ("lenet", COLOUR, {})],
)
def test_small_networks_in_all_forms(name, shape, options):
    network = build(name, shape, **options)
    sizes = [(m.weight[0].numel(), *m.weight.shape[:2]) for m in network.modules() if hasattr(m, "weight")]
    per_member = sum(fan_out + fan_in for _, fan_out, fan_in in sizes)
    outputs = sum(fan_out for _, fan_out, _ in sizes)
    assert count(rs.nn.batch_ensemble(network, K)) == count(network) + K * per_member + (K - 1) * outputs
    found = rs.nn.hyper_batch_ensemble(network, K, hidden=64)
    coordinates = len(found.hyperparameters)
    embeddings = sum(coordinates * 64 + 64 + 64 * 2 * fan_out for _, fan_out, _ in sizes)
    kernels = sum(fan_in * fan_out for fan_in, fan_out, _ in sizes)
    expected = 2 * kernels + 2 * K * per_member + 2 * K * outputs + embeddings + 2 * K * coordinates
    assert count(found) == expected
    assert coordinates == len(sizes) + 2  # L2 of every layer, two rates of dropout
    assert found.eval()(torch.zeros(2, *shape)).shape == (K, 2, 10)


def test_mc_dropout():
    network = mlp(6, 40, 3, 0.5).train()
    x = torch.randn(5, 6, generator=seeded())
    state = torch.get_rng_state()
    passes = rs.nn.mc_dropout(network, x, passes=7, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert passes.shape == (7, 5, 3)
    assert passes.std(0).min() > 0
    torch.testing.assert_close(passes.sum(-1), torch.ones(7, 5))
    assert torch.equal(passes, rs.nn.mc_dropout(network, x, passes=7, seed=1))
    assert all(module.training for module in network.modules())
    with pytest.raises(InputError, match="without dropout"):
        rs.nn.mc_dropout(nn.Linear(6, 2), x)


def test_mc_dropout_leaves_batch_normalisation_in_evaluation():
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    rs.nn.mc_dropout(network, torch.randn(8, 4), passes=2)
    assert int(network[1].num_batches_tracked) == 0


def test_bounds_start_inside_the_range():
    for start in ("full", "decade", "published"):
        bounds = rs.nn.LogUniformBounds([0.1, 1e-3], [100, 0.9], K, start=start, generator=seeded())
        assert (bounds.log_lower >= bounds.log_low).all()
        assert (bounds.log_upper <= bounds.log_high).all()
        assert (bounds.log_upper > bounds.log_lower).all()
    narrow = rs.nn.LogUniformBounds([0.1], [100], 400, start="published", generator=seeded())
    centre = (100 - 0.1) / torch.tensor(1000.0).log()  # 14.46, as in the authors' code
    torch.testing.assert_close(narrow.mean().mean(), centre, atol=0.01, rtol=0)
    torch.testing.assert_close((narrow.log_upper.exp() - narrow.log_lower.exp()).mean(), torch.tensor(0.4))


def test_mean_of_a_wide_range_lies_near_its_top():
    wide = rs.nn.LogUniformBounds([1e-3], [1e3], 1, start="full")
    assert wide.mean().item() == pytest.approx((1e3 - 1e-3) / torch.tensor(1e6).log().item(), rel=1e-5)
