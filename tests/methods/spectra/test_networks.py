"""Measures that look at the network itself: smoothing, clipping, distances, norms, noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from runspread.errors import InputError
from runspread.methods.spectra import (
    accuracy_of,
    clip_traps,
    layer_metrics,
    margin_percentile,
    norm_measures,
    output_margins,
    pac_bayes_measures,
    path_norm,
    perturbation_tolerance,
    sharpness_measures,
    svd_smoothing,
    truncate_weights,
    weight_distances,
    worst_case_radius,
)
from runspread.training import TorchNetwork, fold_batch_norm

torch = pytest.importorskip("torch")
nn = torch.nn
RNG = np.random.default_rng(3)


class Linear:
    """A linear classifier in NumPy: the smallest thing that is a network."""

    def logits(self, weights, inputs):
        return inputs @ weights["w"].T + weights["b"]

    def gradient(self, weights, inputs, labels):
        scores = self.logits(weights, inputs)
        share = np.exp(scores - scores.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        share[np.arange(len(labels)), labels] -= 1
        return {"w": share.T @ inputs / len(labels), "b": share.mean(0)}


@pytest.fixture
def problem():
    centres = RNG.normal(size=(3, 20)) * 2
    labels = RNG.integers(0, 3, 300)
    inputs = centres[labels] + RNG.normal(size=(300, 20))
    weights = {"w": centres * 0.5, "b": -0.25 * (centres**2).sum(1)}
    return weights, inputs, labels


@pytest.mark.parametrize("keep", [0.1, 0.5, 1.0])
def test_truncation_is_the_best_approximation(keep):
    weight = RNG.normal(size=(30, 20))
    changed = truncate_weights({"w": weight, "b": np.ones(30)}, keep)
    s = linalg.svdvals(weight)
    k = int(keep * 20)
    assert np.linalg.norm(weight - changed["w"]) == pytest.approx(np.linalg.norm(s[k:]), abs=1e-9)
    assert np.linalg.matrix_rank(changed["w"]) == k
    np.testing.assert_array_equal(changed["b"], np.ones(30))


def test_kernels_are_truncated_slice_by_slice():
    kernel = RNG.normal(size=(12, 10, 3, 3)).astype(np.float32)
    changed = truncate_weights({"conv": kernel}, 0.3)["conv"]
    assert changed.dtype == np.float32
    for a in range(3):
        for b in range(3):
            u, s, v = linalg.svd(kernel[:, :, a, b].astype(float), full_matrices=False)
            np.testing.assert_allclose(changed[:, :, a, b], (u[:, :3] * s[:3]) @ v[:3], atol=1e-5)
    grouped = truncate_weights({"c": kernel}, 0.3, groups={"c": 2})["c"]
    assert np.linalg.matrix_rank(grouped[:6, :, 0, 0]) == np.linalg.matrix_rank(grouped[6:, :, 0, 0]) == 1
    up = truncate_weights({"up": kernel}, 1.0, kinds={"up": "conv_transposed"})["up"]
    np.testing.assert_allclose(up, kernel, atol=1e-5)


def test_stacked_runs_are_truncated_one_by_one():
    stack = RNG.normal(size=(4, 30, 20))
    changed = truncate_weights({"w": stack, "b": np.ones((4, 30))}, 0.2, stacked=True)
    for run in range(4):
        np.testing.assert_allclose(changed["w"][run], truncate_weights({"w": stack[run]}, 0.2)["w"], atol=1e-12)
    result = svd_smoothing({"w": stack}, lambda w: w["w"].mean((1, 2)), (0.1, 0.2), stacked=True)
    assert result.accuracy.shape == (2, 4)
    assert "means over 4 runs" in result.sentence()


def test_rules_keep_what_they_name():
    spikes = RNG.normal(size=(200, 100)) / 10 + np.outer(RNG.normal(size=200), RNG.normal(size=100)) / 3
    assert np.linalg.matrix_rank(truncate_weights({"w": spikes}, "spikes")["w"]) == 1
    heavy = RNG.normal(size=(200, 100)) @ np.diag(np.arange(1, 101) ** -0.8)
    layer = layer_metrics(heavy)
    for rule, count in (("power_law", "num_pl_spikes"), ("trace_log", "detX_num")):
        assert np.linalg.matrix_rank(truncate_weights({"w": heavy}, rule)["w"]) == layer[count]


@pytest.mark.parametrize("keep", [0.0, 1.5, "best"])
def test_impossible_shares_are_refused(keep):
    with pytest.raises(InputError):
        truncate_weights({"w": np.ones((3, 3))}, keep)


def test_nothing_to_truncate_is_an_error():
    with pytest.raises(InputError, match="no weight matrices"):
        truncate_weights({"b": np.ones(3)})
    with pytest.raises(InputError, match="nothing to keep"):
        svd_smoothing({"w": np.ones((3, 3))}, lambda _: 0.5, ())


def test_clipping_removes_the_trap_and_keeps_what_was_learned():
    noise = RNG.normal(size=(150, 100)) * 0.1
    u, v = RNG.normal(size=150), RNG.normal(size=100)
    learned = 8 * np.outer(u / np.linalg.norm(u), v / np.linalg.norm(v))
    weight = noise + learned
    weight[5, 7] = 6.0
    clipped = clip_traps(weight, seed=0)
    assert clipped.num_spikes == 1
    assert abs(clipped.weight[5, 7]) < 0.6
    direction = (u / np.linalg.norm(u)) @ clipped.weight @ (v / np.linalg.norm(v))
    assert direction == pytest.approx(8, rel=0.05)
    untouched = clip_traps(noise, seed=0)
    assert untouched.num_spikes == 0
    np.testing.assert_allclose(untouched.weight, noise, atol=1e-12)


def test_distances():
    first = {"w": RNG.normal(size=(6, 5)), "c": RNG.normal(size=(4, 3, 2, 2)), "b": RNG.normal(size=6)}
    second = {name: weight + RNG.normal(size=weight.shape) for name, weight in first.items()}
    found = weight_distances(first, second)
    assert found.layers == ("w", "c")
    change = second["w"] - first["w"]
    assert found.frobenius[0] == pytest.approx(np.linalg.norm(change))
    assert found.spectral[0] == pytest.approx(np.linalg.norm(change, 2))
    assert found.relative[0] == pytest.approx(np.linalg.norm(change) / np.linalg.norm(first["w"]))
    assert found.squared == pytest.approx(sum(np.sum((second[n] - first[n]) ** 2) for n in first))
    slices = [np.linalg.norm((second["c"] - first["c"])[:, :, a, b]) for a in range(2) for b in range(2)]
    assert found.euclidean[1] == pytest.approx(np.mean(slices))
    assert weight_distances(first, first).squared == 0
    square = {"w": RNG.normal(size=(20, 20))}
    assert weight_distances(square, square).cka[0] == pytest.approx(
        np.linalg.norm(square["w"].T @ square["w"])
        / np.sqrt(np.linalg.norm(square["w"].T @ square["w"]) * np.linalg.norm(square["w"] @ square["w"].T))
    )
    with pytest.raises(InputError, match="the same names"):
        weight_distances(first, {"w": first["w"]})


def test_margins():
    logits = np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 1.5], [1.0, 0.0, 5.0]])
    np.testing.assert_allclose(output_margins(logits, [0, 1, 0]), [2.0, 0.5, -4.0])
    many = RNG.normal(size=(200, 4))
    labels = RNG.integers(0, 4, 200)
    assert margin_percentile(many, labels) == np.sort(output_margins(many, labels))[19]
    with pytest.raises(InputError, match="one label per example"):
        output_margins(logits, [0, 1])


def test_norms_by_definition():
    weights = {"a": RNG.normal(size=(7, 5)), "c": RNG.normal(size=(4, 3, 2, 2)), "b": RNG.normal(size=7)}
    initial = {name: RNG.normal(size=weight.shape) for name, weight in weights.items()}
    found = norm_measures(weights, 500, initial=initial, margin=0.7, path_norm=12.0)
    unfolded = [weights["a"], weights["c"].reshape(4, 12)]
    spectral = [np.linalg.norm(matrix, 2) ** 2 for matrix in unfolded]
    moved = [np.sum((weights[name] - initial[name]) ** 2) for name in ("a", "c")]
    expected = {
        "log_prod_spec": np.log(spectral).sum(),
        "log_prod_spec_over_margin": np.log(spectral).sum() - 2 * np.log(0.7),
        "log_sum_spec": np.log(2 * np.prod(spectral) ** 0.5),
        "log_sum_fro_over_margin": np.log(2 * (np.prod([np.sum(matrix**2) for matrix in unfolded]) / 0.49) ** 0.5),
        "dist_over_spec": sum(m / s for m, s in zip(moved, spectral, strict=True)),
        "dist_fro_init": sum(moved),
        "distance_from_init": sum(moved) + np.sum((weights["b"] - initial["b"]) ** 2),
        "l2": np.sqrt(sum(np.sum(w**2) for w in weights.values())),
        "path_norm_over_margin": 12 / 0.49,
        "num_params": 35 + 48,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name
    assert found.normalised["log_prod_spec"] == pytest.approx(0.5 * (found["log_prod_spec"] - np.log(500)))
    assert found.normalised["param_norm"] == pytest.approx(np.sqrt(found["param_norm"] / 500))
    initial_bound = found["log_prod_spec_over_margin"] + np.log(found["dist_over_spec"])
    assert found["log_prod_spec_initial"] == pytest.approx(initial_bound)
    with pytest.raises(InputError, match="the same parameters"):
        norm_measures(weights, 500, initial={"a": weights["a"]})


def test_noise_level_is_where_the_cost_is():
    weights = {"w": np.zeros(200_000), "n": np.arange(3)}
    found = perturbation_tolerance(
        weights, lambda w: 1 - float(np.std(w["w"])), drop=0.1, tolerance=1e-3, seed=0, draws=2
    )
    assert found == pytest.approx(0.1, abs=2e-3)
    relative = perturbation_tolerance(
        {"w": np.full(200_000, 5.0)}, lambda w: 1 - float(np.std(w["w"])), noise="magnitude", tolerance=1e-3, seed=0
    )
    assert relative == pytest.approx(0.02, abs=1e-3)


def test_pac_bayes_by_definition():
    weights, initial = {"w": RNG.normal(size=40)}, {"w": RNG.normal(size=40)}
    found = pac_bayes_measures(weights, initial, 0.2, 0.3, 1000)
    d2 = np.sum((weights["w"] - initial["w"]) ** 2)
    assert found["pacbayes_init"] == pytest.approx(d2 / 0.16 + np.log(1000 / 0.2) + 10)
    assert found["pacbayes_flatness"] == pytest.approx(25)
    total = sum(
        np.log((1e-6 + (0.09 + 1) * d2 / 40) / (1e-6 + 0.09 * (a - b) ** 2))
        for a, b in zip(weights["w"], initial["w"], strict=True)
    )
    assert found["pacbayes_mag_init"] == pytest.approx(total / 4 + np.log(1000 / 0.3) + 10)
    with pytest.raises(InputError, match="positive"):
        pac_bayes_measures(weights, initial, 0.0, 0.3, 1000)


def test_worst_case_is_worse_than_noise(problem):
    weights, inputs, labels = problem
    network = Linear()
    initial = {name: 0 * weight for name, weight in weights.items()}
    found = sharpness_measures(weights, network, inputs, labels, initial=initial, worst_case=True, seed=0)
    accuracy = accuracy_of(network, inputs, labels)
    assert accuracy(weights) > 0.95
    assert 0 < found.radius < found.sigma_magnitude
    assert {"sharpness_flatness", "pacbayes_orig"} <= set(found.measures)
    assert "worst-case" in found.sentence()
    wider = worst_case_radius(weights, network, inputs, labels, drop=0.3, seed=0)
    assert wider > found.radius


def network_and_data():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(144, 3)
    )
    module(torch.randn(50, 1, 8, 8))  # gives the normalisation something to remember
    return module, RNG.normal(size=(30, 1, 8, 8)).astype(np.float32)


def test_torch_network_is_the_module_in_evaluation_mode():
    module, inputs = network_and_data()
    network = TorchNetwork(module, batch=7)
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(inputs)).numpy()
    module.train()
    np.testing.assert_allclose(network.logits(network.weights, inputs), expected, atol=1e-6)
    assert module.training
    stack = {name: np.stack([weight, weight * 0]) for name, weight in network.weights.items()}
    stacked = network.logits(stack, inputs, stacked=True)
    np.testing.assert_allclose(stacked[0], expected, atol=1e-5)
    np.testing.assert_allclose(stacked[1], 0, atol=1e-6)


def test_torch_gradient():
    module = nn.Linear(5, 3).double()
    network, labels = TorchNetwork(module), np.array([0, 1, 2, 0])
    inputs = RNG.normal(size=(4, 5))
    found = network.gradient(network.weights, inputs, labels)
    own = Linear().gradient({"w": network.weights["weight"], "b": network.weights["bias"]}, inputs, labels)
    np.testing.assert_allclose(found["weight"], own["w"], atol=1e-12)
    np.testing.assert_allclose(found["bias"], own["b"], atol=1e-12)


def test_folding_batch_norm_changes_no_output():
    module, inputs = network_and_data()
    folded = fold_batch_norm(module)
    with torch.no_grad():
        np.testing.assert_allclose(
            folded(torch.from_numpy(inputs)).numpy(), module.eval()(torch.from_numpy(inputs)).numpy(), atol=1e-5
        )
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    assert module[1].num_batches_tracked == 1
    dense = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    dense(torch.randn(20, 4))
    x = torch.randn(5, 4)
    with torch.no_grad():
        np.testing.assert_allclose(fold_batch_norm(dense)(x).numpy(), dense.eval()(x).numpy(), atol=1e-6)


def test_path_norm_sums_products_along_paths():
    module = nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False))
    network = TorchNetwork(module)
    a, b = (network.weights[name].astype(float) for name in ("0.weight", "2.weight"))
    paths = sum(b[k, j] ** 2 * a[j, i] ** 2 for k in range(2) for j in range(4) for i in range(3))
    assert path_norm(network, network.weights, (3,)) == pytest.approx(paths, rel=1e-9)
