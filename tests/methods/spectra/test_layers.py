"""One layer: invariances, floors, layouts of kernels, and the edge cases that break other tools."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, special, stats

from runspread.errors import InputError
from runspread.methods.spectra import (
    density_distance,
    fit_marchenko_pastur,
    fit_power_law,
    fit_without_fingers,
    layer_metrics,
    spectral_distance,
    spectrum,
)
from runspread.methods.spectra import spectral_numbers as numbers
from runspread.methods.spectra.marchenko_pastur import triangular_density

RNG = np.random.default_rng(7)
HEAVY = (RNG.normal(size=(120, 80)) @ np.diag(np.arange(1, 81) ** -0.7)).astype(np.float32)
SHAPE = ("alpha", "D", "stable_rank", "entropy", "n_tail", "matrix_rank", "detX_num")


def test_scaling_changes_scale_only():
    first, second = layer_metrics(HEAVY.astype(float)), layer_metrics(HEAVY.astype(float) * 1e-4)
    for name in SHAPE:
        assert second[name] == pytest.approx(first[name], rel=1e-9), name
    assert second["xmin"] == pytest.approx(first["xmin"] * 1e-8, rel=1e-9)
    shift = 2 * first["alpha"] * np.log10(1e-4)
    assert second["alpha_weighted"] - first["alpha_weighted"] == pytest.approx(shift, rel=1e-9)


def test_rand_distance_ignores_scale():
    first, second = (layer_metrics(HEAVY * factor, n_shuffles=1, name="a") for factor in (1.0, 4.0))
    assert second["rand_distance"] == pytest.approx(first["rand_distance"], rel=1e-9)


@pytest.mark.parametrize("change", ["transposed", "permuted", "rotated"])
def test_invariance(change):
    weight = HEAVY.astype(np.float64)
    changed = {
        "transposed": weight.T,
        "permuted": weight[RNG.permutation(120)][:, RNG.permutation(80)],
        "rotated": stats.ortho_group.rvs(120, random_state=1) @ weight,
    }[change]
    first, second = layer_metrics(weight), layer_metrics(changed)
    for name in (*SHAPE, "log_norm", "log_spectral_norm", "alpha_weighted", "log_alpha_norm", "detX_val"):
        assert second[name] == pytest.approx(first[name], rel=1e-9), name


@pytest.mark.parametrize("rank", [30, 60])
@pytest.mark.parametrize("stored", ["float64", "float32", "float16", "bfloat16"])
def test_rank_is_that_before_rounding(rank, stored):
    product = RNG.normal(size=(100, rank)) @ RNG.normal(size=(rank, 160))
    if stored == "bfloat16":
        bits = product.astype(np.float32).view(np.uint32)
        rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32)
    else:
        rounded = product.astype(stored)
    assert spectrum(rounded, stored=stored).rank == rank
    assert spectrum(rounded, stored=stored, method="svd").rank == rank


@pytest.mark.parametrize(
    ("weight", "status"),
    [
        (np.zeros((40, 30)), "zero"),
        (np.full((40, 30), np.nan), "nonfinite"),
        (np.where(np.eye(40) > 0, np.inf, 0.0), "nonfinite"),
        (np.outer(np.arange(1.0, 41), np.arange(1.0, 31)), "too_few_eigenvalues"),
        ((RNG.normal(size=(100, 5)) @ RNG.normal(size=(5, 100))).astype(np.float32), "too_few_eigenvalues"),
        (stats.ortho_group.rvs(40, random_state=0), "degenerate"),
        (RNG.normal(size=(7, 10)), "too_small"),
        (RNG.normal(size=(10, 64)), "too_few_eigenvalues"),
    ],
)
def test_edge_cases_have_a_status_and_no_fit(weight, status):
    layer = layer_metrics(weight, name="edge", mp_fit=True, n_shuffles=1)
    assert layer.status == status
    assert np.isnan(layer.metrics.get("alpha", np.nan))
    assert "edge" in layer.sentence()
    if status == "zero":
        assert layer["matrix_rank"] == 0
        assert set(layer.metrics) == {"norm", "matrix_rank"}
    elif status != "nonfinite":
        assert np.isfinite(layer["log_norm"])


def test_rank_five_of_a_hundred_is_five():
    weight = (RNG.normal(size=(100, 5)) @ RNG.normal(size=(5, 100))).astype(np.float32)
    assert layer_metrics(weight)["matrix_rank"] == 5


def test_parity_gives_minus_one_for_a_failed_fit():
    layer = layer_metrics(HEAVY * 1e-6, parity="weightwatcher")
    assert layer["alpha"] == layer["D"] == layer["xmin"] == -1
    assert layer.status != "ok"
    assert layer.detail == "over-trained"


def test_kernel_slices_are_pooled_by_group():
    kernel = RNG.normal(size=(12, 4, 3, 2))
    pooled = spectrum(kernel, groups=2)
    expected = [
        linalg.svdvals(kernel[6 * g : 6 * g + 6, :, a, b]) ** 2 for g in range(2) for a in range(3) for b in range(2)
    ]
    np.testing.assert_allclose(pooled.eigenvalues, np.sort(np.concatenate(expected)), rtol=1e-10)
    assert (pooled.N, pooled.M, pooled.receptive_field, pooled.blocks) == (6, 4, 6, 12)


def test_transposed_kernel_is_its_own_transpose():
    kernel = RNG.normal(size=(8, 6, 5))
    straight = spectrum(kernel)
    turned = spectrum(np.swapaxes(kernel, 0, 1), layout="conv_transposed")
    np.testing.assert_allclose(turned.eigenvalues, straight.eigenvalues, rtol=1e-10)
    grouped = spectrum(RNG.normal(size=(8, 3, 5)), layout="conv_transposed", groups=2)
    assert (grouped.N, grouped.M, grouped.blocks) == (4, 3, 10)


def test_unfolded_kernel():
    kernel = RNG.normal(size=(8, 6, 3, 3))
    np.testing.assert_allclose(
        spectrum(kernel, conv_mode="unfold").eigenvalues,
        np.sort(linalg.svdvals(kernel.reshape(8, -1)) ** 2),
        rtol=1e-10,
    )


@pytest.mark.parametrize("shape", [(3, 2, 3), (3, 4, 3, 2)])
def test_fft_spectrum_is_that_of_the_circular_convolution(shape):
    kernel = RNG.normal(size=shape)
    size = (5,) if kernel.ndim == 3 else (4, 5)
    columns = []
    for channel in range(shape[1]):
        for place in np.ndindex(size):
            image = np.zeros((shape[1], *size))
            image[(channel, *place)] = 1
            out = np.zeros((shape[0], *size))
            for o in range(shape[0]):
                for offset in np.ndindex(shape[2:]):
                    shifted = np.roll(image, offset, axis=tuple(range(1, image.ndim)))
                    out[o] += np.tensordot(kernel[(o, slice(None), *offset)], shifted, 1)
            columns.append(out.ravel())
    operator = np.array(columns).T
    found = spectrum(kernel, conv_mode="fft", input_size=size)
    exact = np.sort(linalg.svdvals(operator) ** 2)
    np.testing.assert_allclose(found.eigenvalues, exact[-found.n :], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": np.ones(3)}, "two axes"),
        ({"weight": np.ones((0, 3))}, "two axes"),
        ({"weight": np.ones((4, 2, 3)), "conv_mode": "fft"}, "input_size"),
        ({"weight": np.ones((4, 2, 3)), "groups": 3}, "divisor"),
        ({"weight": np.full((4, 2), np.nan)}, "not finite"),
        ({"weight": np.ones((4, 2)), "layout": "conf"}, "conv"),
    ],
)
def test_bad_weights_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        spectrum(**arguments)


def test_triangular_density_is_the_sum_of_triangles():
    points, grid = np.sort(RNG.exponential(1, 50)), np.linspace(0, 6, 200)
    direct = np.maximum(0, 1 - np.abs(grid[:, None] - points) / 0.1).sum(axis=1) / (50 * 0.1)
    np.testing.assert_allclose(triangular_density(points, grid), direct, atol=1e-12)


@pytest.mark.parametrize(("n", "m"), [(600, 300), (400, 400), (900, 300)])
def test_marchenko_pastur_finds_noise_and_spikes(n, m):
    noise = RNG.normal(0, 0.3, (n, m))
    fit = fit_marchenko_pastur(spectrum(noise).eigenvalues, n, m)
    assert fit.num_spikes == 0
    assert fit.bulk_max == pytest.approx(0.09 * (np.sqrt(n) + np.sqrt(m)) ** 2, rel=0.08)
    spiked = noise + 3 * np.outer(RNG.normal(size=n), RNG.normal(size=m)) / np.sqrt(n)
    found = fit_marchenko_pastur(spectrum(spiked).eigenvalues, n, m)
    assert found.num_spikes == 1
    grid = np.linspace(0, fit.bulk_max * 1.2, 4000)
    assert np.trapezoid(fit.density(grid), grid) == pytest.approx(1, abs=0.05)


def test_marchenko_pastur_says_when_there_is_no_bulk():
    values = np.sort(np.concatenate([np.full(50, 1e-12), np.geomspace(1, 1e6, 50)]))
    fit = fit_marchenko_pastur(values, 200, 100)
    assert fit.status == "failed"
    assert np.isnan(fit.mp_softrank)
    assert "No Marchenko-Pastur" in fit.sentence()
    for bad in ([], [-1.0, 2.0], [0.0, 0.0]):
        with pytest.raises(InputError):
            fit_marchenko_pastur(bad, 2, 2)
    with pytest.raises(InputError, match="N >= M"):
        fit_marchenko_pastur([1.0, 2.0], 2, 3)


def test_shuffles_depend_on_the_name_not_on_the_order():
    again = [layer_metrics(HEAVY, n_shuffles=3, name=name, seed=1)["rand_distance"] for name in ("a", "b", "a")]
    assert again[0] == again[2] != again[1]
    layer = layer_metrics(HEAVY, n_shuffles=8, name="a", mp_fit=True)
    assert 0 < layer["rand_distance_se"] < layer["rand_distance"]
    assert layer_metrics(RNG.normal(size=(120, 80)), n_shuffles=4, mp_fit=True)["rand_num_spikes"] == 0


def test_a_huge_entry_is_a_correlation_trap():
    weight = RNG.normal(size=(150, 100))
    weight[3, 4] = 60.0
    layer = layer_metrics(weight, n_shuffles=4, mp_fit=True)
    assert layer["num_spikes"] == 1
    assert layer["rand_num_spikes"] == 1  # it survives the shuffle: not learned structure


def test_structure_is_far_from_its_shuffle():
    structured = layer_metrics(HEAVY, n_shuffles=2)
    noise = layer_metrics(RNG.normal(size=(120, 80)), n_shuffles=2)
    for name in ("rand_distance", "rand_distance_density"):
        assert structured[name] > 2 * noise[name]


def test_distances_of_spectra():
    a = RNG.exponential(1, 100)
    assert spectral_distance(a, a) == density_distance(a, a) == 0
    p, q = np.sort(a) / a.sum(), np.full(100, 0.01)
    middle = (np.sort(a) + 1) / (a.sum() + 100)
    expected = np.sqrt((stats.entropy(p, middle / middle.sum()) + stats.entropy(q, middle / middle.sum())) / 2)
    assert spectral_distance(a, np.ones(100)) == pytest.approx(expected, rel=1e-10)
    assert density_distance([1.0, 1.0], [3.0, 3.0]) == pytest.approx(np.sqrt(np.log(2)), rel=1e-6)
    with pytest.raises(InputError, match="one length"):
        spectral_distance(a, a[:-1])


def test_density_distance_is_the_integral():
    a, b = np.sort(RNG.exponential(1, 40)), np.sort(RNG.exponential(2, 60))
    grid = np.linspace(-1, 20, 400_001)
    p, q = (triangular_density(values / a.mean(), grid) for values in (a, b))
    middle = (p + q) / 2
    both = special.rel_entr(np.maximum(p, 0), middle) + special.rel_entr(np.maximum(q, 0), middle)
    expected = np.sqrt(np.trapezoid(both, grid) / 2)
    assert density_distance(a, b) == pytest.approx(expected, rel=1e-3)


def test_trace_log_counts_from_the_top():
    values = np.array([0.01, 0.2, 0.5, 1.0, 2.0, 8.0])
    scaled = values * 6 / values.sum()
    count, smallest = numbers.trace_log(values)
    assert np.prod(scaled[-count:]) < 1 <= np.prod(scaled[-count + 1 :])
    assert smallest == values[-count]
    assert numbers.trace_log(np.full(5, 2.0)) == (5, 2.0)


def test_entropy():
    assert numbers.spectral_entropy(np.full(9, 3.0)) == pytest.approx(1)
    assert numbers.spectral_entropy(np.array([0.0, 0.0, 1.0])) == 0
    values = RNG.exponential(1, 30)
    assert numbers.spectral_entropy(values) == pytest.approx(stats.entropy(values) / np.log(30), rel=1e-12)


def test_fingers_are_left_out_only_where_it_matters():
    values = np.append(RNG.pareto(1.5, 300) + 1, [])
    clean = fit_without_fingers(values)
    assert clean.num_fingers == 0
    assert clean.alpha == clean.raw_alpha == fit_power_law(values).alpha
    bulk = spectrum(RNG.normal(size=(150, 150))).eigenvalues
    fit = fit_without_fingers(bulk, threshold=0.2)
    assert fit.alpha <= fit.raw_alpha


def test_log_alpha_norm_does_not_overflow():
    values = np.array([1e-30, 1.0, 1e40])
    assert numbers.log_alpha_norm(values, 12.0) == pytest.approx(480)


def test_bootstrap_reaches_the_layer():
    layer = layer_metrics(HEAVY, bootstrap=20)
    assert 0 <= layer["p_value"] <= 1
    assert layer["alpha_low"] <= layer["alpha_high"]


def test_unknown_names_are_errors():
    with pytest.raises(InputError, match="Did you mean"):
        layer_metrics(HEAVY)["alfa"]
    with pytest.raises(InputError, match="weightwatcher"):
        layer_metrics(HEAVY, parity="weight_watcher")


def test_an_unknown_setting_names_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'n_shuffles'"):
        layer_metrics(HEAVY, shuffles=1)
    with pytest.raises(InputError, match="Did you mean 'bootstrap'"):
        layer_metrics(HEAVY, bootstraps=1)
