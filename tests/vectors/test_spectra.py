"""Spectra against the vectors: every case and every expected key of the file, whatever its cases are called."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, special, stats

import runspread as rs
from runspread.methods.corpus import grid_scores
from runspread.methods.spectra import (
    accuracy_of,
    compare_tails,
    fit_marchenko_pastur,
    fit_power_law,
    fit_truncated_power_law,
    fit_without_fingers,
    layer_metrics,
    margin_percentile,
    norm_measures,
    output_margins,
    path_norm,
    spectral_distance,
    spectrum,
    svd_smoothing,
    truncate_weights,
)
from runspread.methods.spectra import spectral_numbers as numbers
from runspread.training import TorchNetwork
from tests.vectors.loading import Vectors

VECTORS = Vectors("spectra")
FIELDS: dict[str, set[str]] = {}
for _key in VECTORS:
    _case, _, _field = _key.partition("/")
    FIELDS.setdefault(_case, set()).add(_field)


def cases(*fields: str, without: tuple[str, ...] = ()) -> list[str]:
    return [case for case, has in FIELDS.items() if has >= set(fields) and not has & set(without)]


def value(case: str, field: str):
    array = VECTORS[f"{case}/{field}"]
    return array.item() if array.ndim == 0 else array


def check(case: str, found: dict, *, rel: float = 1e-10, abs_: float = 1e-12) -> None:
    """Compare with every field of `found` that the case has."""
    for field, number in found.items():
        if field in FIELDS[case]:
            np.testing.assert_allclose(number, value(case, field), rtol=rel, atol=abs_, err_msg=f"{case}/{field}")


def above_threshold(case: str) -> np.ndarray:
    """The eigenvalues that the vectors fit: above WeightWatcher's threshold, except where the case says 'none'."""
    evals = np.sort(value(case, "evals"))
    return evals[evals > 1e-5] if "n_fit" in FIELDS[case] else evals


FITTED = cases("evals", "xmin_index")
MATRICES = cases("W", "N", "M", "evals")


@pytest.mark.parametrize("case", FITTED)
def test_power_law(case):
    values = above_threshold(case)
    if "n_fit" in FIELDS[case]:
        assert len(values) == value(case, "n_fit")
    fit = fit_power_law(values, min_tail=2)
    assert fit.xmin_index == value(case, "xmin_index")
    assert fit.n_tail == value(case, "n_tail")
    _, alphas, distances = fit.profile()
    check(
        case,
        {
            "alpha": fit.alpha, "D": fit.D, "sigma": fit.sigma, "xmin": fit.xmin, "alphas_profile": alphas,
            "Ds_profile": distances, "num_pl_spikes": np.sum(value(case, "evals") >= fit.xmin),
            "pl15_alpha": fit.alpha, "pl15_D": fit.D, "pl15_xmin": fit.xmin, "pl15_sigma": fit.sigma,
        },
    )  # fmt: skip
    ww = fit_power_law(values, min_tail=2, ties="copies", small_sample="weightwatcher")
    check(case, {"ww077_alpha": ww.alpha, "ww077_D": ww.D, "ww077_xmin": ww.xmin, "ww077_sigma": ww.sigma})
    forced = fit_power_law(values, min_tail=2, xmax="max")
    check(
        case, {"pl15_xmaxforce_alpha": forced.alpha, "pl15_xmaxforce_D": forced.D, "pl15_xmaxforce_xmin": forced.xmin}
    )


@pytest.mark.parametrize("case", cases("evals", "ww_index"))
def test_ties(case):
    evals = value(case, "evals")
    if "note" in FIELDS[case]:
        assert value(case, "note")
    fit = fit_power_law(evals, min_tail=2)
    check(case, {"pl15_alpha": fit.alpha, "pl15_D": fit.D, "pl15_xmin": fit.xmin})
    copies = fit_power_law(evals, min_tail=2, ties="copies")
    check(case, {"ww_alpha": copies.alpha, "ww_D": copies.D, "ww_xmin": copies.xmin})
    assert copies.xmin_index == value(case, "ww_index")


@pytest.mark.parametrize("case", cases("pl15_tpl_alpha"))
def test_truncated_power_law(case):
    fit = fit_truncated_power_law(above_threshold(case), min_tail=2)
    expected = value(case, "pl15_tpl_alpha"), value(case, "pl15_tpl_Lambda"), value(case, "pl15_tpl_D")
    assert fit.alpha == pytest.approx(expected[0], abs=1e-3)
    if expected[1] > 1e-4:
        assert pytest.approx(expected[1], rel=1e-3) == fit.Lambda
    assert pytest.approx(expected[2], abs=1e-3) == fit.D
    # the peer's ratio: 1e-3 where its optimiser arrived; never better than the exact maximum
    assert pytest.approx(value(case, "pl15_tpl_vs_pl_R"), abs=1e-3) == fit.R
    assert value(case, "pl15_tpl_vs_pl_R") - 1e-6 <= fit.R
    if value(case, "pl15_tpl_vs_pl_R") > 1e-3:
        assert fit.p_value == pytest.approx(value(case, "pl15_tpl_vs_pl_p"), abs=1e-3)
    else:
        assert fit.p_value > 0.95 < value(case, "pl15_tpl_vs_pl_p")


def log_likelihoods(name: str, tail: np.ndarray, xmin: float, p) -> np.ndarray:
    """The alternatives in their usual parameters, cut off below xmin; p = (location of log or log rate, log shape)."""
    if name == "lognormal":
        z = special.log_ndtr(-(np.log(xmin) - p[0]) / np.exp(p[1]))
        return stats.norm.logpdf(np.log(tail), p[0], np.exp(p[1])) - np.log(tail) - z
    rate, beta = np.exp(p[0]), np.exp(p[1])
    return np.log(beta * rate) + (beta - 1) * np.log(tail * rate) + (xmin * rate) ** beta - (tail * rate) ** beta


@pytest.mark.parametrize("case", cases("pl15_pl_vs_lognormal_R"))
def test_alternatives(case):
    fit = fit_power_law(above_threshold(case), min_tail=2)
    comparison = compare_tails(fit, ("lognormal", "exponential", "stretched_exponential"))
    plain = np.log((fit.alpha - 1) / fit.xmin) - fit.alpha * np.log(fit.tail / fit.xmin)
    for name, ratio, p_value in zip(comparison.alternative, comparison.R, comparison.p_value, strict=True):
        peer, peer_p = value(case, f"pl15_pl_vs_{name}_R"), value(case, f"pl15_pl_vs_{name}_p")
        if name == "exponential":  # a closed form here, Nelder-Mead to 1e-4 there
            assert ratio == pytest.approx(peer, rel=5e-3)
            assert p_value == pytest.approx(peer_p, rel=0.05, abs=1e-6)
            continue
        if ratio == pytest.approx(peer, abs=1e-3):
            assert p_value == pytest.approx(peer_p, abs=1e-3)
            continue
        # The peer's search stopped early, or lost its normaliser to underflow (and shows an impossible likelihood).
        # The power law is a limit of both laws, so at the true maximum it cannot win; and no start beats our maximum.
        assert ratio < 0.05
        starts = [(np.log(fit.xmin) + a, b) for a in (-30.0, 0.0, 3.0) for b in (-2.0, 0.0, 1.5)]
        with np.errstate(all="ignore"):
            best = max(
                -optimize.minimize(
                    lambda p, name=name: np.nan_to_num(-np.sum(log_likelihoods(name, fit.tail, fit.xmin, p)), nan=1e9),
                    start if name == "lognormal" else (-start[0], start[1]),
                    method="Nelder-Mead",
                ).fun
                for start in starts
            )
        ours = np.sum(plain) - ratio * np.sqrt(fit.n_tail) * _spread(name, fit, plain)
        assert ours >= best - 1e-2


def _spread(name, fit, plain) -> float:
    from runspread.methods.spectra.tail_alternatives import _LAWS

    return float(np.std(plain - _LAWS[name](fit.tail, fit.xmin)[0]))


@pytest.mark.parametrize("case", MATRICES)
def test_eigenvalues(case):
    weight = value(case, "W")
    scale = np.sqrt(0.5) if weight.ndim == 4 else 1.0
    expected = value(case, "evals")
    for method, tolerance in (("svd", 1e-9), ("gram", 1e-8)):
        found = spectrum(weight, scale=scale, method=method)
        assert (found.N, found.M, found.receptive_field) == tuple(value(case, name) for name in ("N", "M", "rf"))
        assert value(case, "Q") == found.N / found.M
        np.testing.assert_allclose(found.eigenvalues, expected, rtol=1e-9, atol=1e-13 * expected[-1])
        fit = fit_power_law(found.eigenvalues[found.eigenvalues > 1e-5], min_tail=2)
        assert fit.alpha == pytest.approx(value(case, "alpha"), rel=tolerance)


@pytest.mark.parametrize("case", MATRICES)
def test_parity_of_layer_metrics(case):
    layer = layer_metrics(value(case, "W"), parity="weightwatcher", n_shuffles=1, seed=value(case, "rand_seed"))
    m = layer.metrics
    same = ("norm", "log_norm", "log_spectral_norm", "stable_rank", "sv_max", "weak_rank_loss", "rand_distance",
            "max_rand_eval", "ww_softrank", "ww_maxdist", "detX_num", "detX_val")  # fmt: skip
    check(case, {name: m[name] for name in same})
    check(
        case,
        {
            "lambda_max": m["spectral_norm"], "matrix_rank_ww": m["matrix_rank"], "entropy_ww": m["entropy"],
            "entropy_row": m["entropy"], "sv_min_ww": m["sv_min"], "rank_loss_ww": m["rank_loss"],
            "ww077_alpha": m["alpha"], "ww077_D": m["D"], "ww077_xmin": m["xmin"], "ww077_sigma": m["sigma"],
        },
        rel=1e-9,
    )  # fmt: skip
    # these two rest on the standard exponent in the file, also where WeightWatcher's rule for small samples applies
    evals, alpha = value(case, "evals"), value(case, "alpha")
    check(
        case,
        {
            "alpha_weighted": alpha * np.log10(evals[-1]),
            "log_alpha_norm": numbers.log_alpha_norm(evals, alpha),
        },
    )
    if len(above_threshold(case)) >= 20:
        check(case, {name: m[name] for name in ("alpha_weighted", "log_alpha_norm")})
    assert ("success" if layer.status == "ok" else "failed") == value(case, "status")
    assert layer.detail == value(case, "warning_ww")


@pytest.mark.parametrize("case", MATRICES)
def test_shuffled_spectra(case):
    first, second = value(case, "rand_evals_1"), value(case, "rand_evals_2")
    evals = value(case, "evals")
    assert spectral_distance(evals, second) == pytest.approx(value(case, "rand_distance"), rel=1e-10)
    assert second[-1] / evals[-1] == pytest.approx(value(case, "ww_softrank"), rel=1e-10)
    assert first[-1] == pytest.approx(value(case, "max_rand_eval"), rel=1e-10)
    assert evals[-1] - second[-1] == pytest.approx(value(case, "ww_maxdist"), rel=1e-10)


@pytest.mark.parametrize("case", MATRICES)
def test_marchenko_pastur(case):
    """From the eigenvalues in the file: the last digit of an eigenvalue can turn the peer's simplex another way."""
    for prefix, field in (("mp_", "evals"), ("rand_", "rand_evals_1")):
        fit = fit_marchenko_pastur(value(case, field), value(case, "N"), value(case, "M"), require_bulk=False)
        assert fit.num_spikes == value(case, f"{prefix}num_spikes")
        sigma, softrank = ("mp_sigma", "mp_softrank") if prefix == "mp_" else ("rand_sigma_mp", "rand_mp_softrank")
        check(
            case,
            {
                sigma: fit.sigma, softrank: fit.mp_softrank, f"{prefix}bulk_max": fit.bulk_max,
                f"{prefix}bulk_min": fit.bulk_min, f"{prefix}Wscale": fit.W_scale,
            },
            rel=1e-6,
        )  # fmt: skip


@pytest.mark.parametrize("case", MATRICES)
def test_default_metrics_agree_where_the_definitions_do(case):
    weight = value(case, "W")
    layer = layer_metrics(weight, min_fit=2, min_tail=2, min_eigenvalues=2)
    factor = 0.5 if weight.ndim == 4 else 1.0
    found = {"norm": layer["norm"] * factor, "lambda_max": layer["spectral_norm"] * factor}
    check(case, found | {"stable_rank": layer["stable_rank"]})
    if layer.spectrum.rank == len(above_threshold(case)):
        assert layer["alpha"] == pytest.approx(value(case, "alpha"), rel=1e-8)


@pytest.mark.parametrize("case", cases("clip_alpha"))
def test_clipped_fingers(case):
    fit = fit_without_fingers(above_threshold(case), parity=True)
    assert fit.num_fingers == value(case, "clip_num_fingers")
    check(case, {"clip_alpha": fit.alpha, "clip_raw_alpha": fit.raw_alpha, "clip_xmin": fit.xmin, "clip_D": fit.D})


@pytest.mark.parametrize("case", cases("ww_status", "W"))
def test_scale_does_not_matter_here_and_does_there(case):
    weight = value(case, "W")
    layer = layer_metrics(weight, min_tail=2)
    check(case, {name: layer[name] for name in ("alpha", "D", "sigma", "xmin", "n_tail")}, rel=1e-8)
    np.testing.assert_allclose(layer.spectrum.eigenvalues, value(case, "evals"), rtol=1e-9)
    theirs = layer_metrics(weight, parity="weightwatcher")
    assert theirs["alpha"] == pytest.approx(value(case, "ww_alpha"), rel=1e-9)
    assert ("success" if theirs.status == "ok" else "failed") == value(case, "ww_status")
    assert theirs.detail == value(case, "ww_warning")


# --------------------------------------------------------------- one network, trained on scikit-learn's digits


NETWORKS = cases("perm", "n_train", "train_acc")


def parameters(case: str, kind: str) -> dict[str, np.ndarray]:
    return {f.removeprefix(f"{kind}."): value(case, f) for f in FIELDS[case] if f.startswith(f"{kind}.")}


def network(case: str):
    """The sequential network that the names and shapes of its parameters describe."""
    nn = pytest.importorskip("torch").nn
    weights = {int(n.split(".")[0]): w for n, w in parameters(case, "param").items() if n.endswith("weight")}
    layers = []
    for place in range(max(weights) + 1):
        weight = weights.get(place)
        if weight is not None and weight.ndim == 4:
            layers.append(nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], padding=weight.shape[2] // 2))
        elif weight is not None:
            layers.append(nn.Linear(weight.shape[1], weight.shape[0]))
        elif place - 1 in weights:
            layers.append(nn.ReLU())
        else:  # between the kernels and the matrices: pooling, then flattening
            layers.append(nn.MaxPool2d(2) if isinstance(layers[-1], nn.ReLU) else nn.Flatten())
    return nn.Sequential(*layers)


@pytest.fixture(scope="module", params=NETWORKS)
def trained(request):
    datasets = pytest.importorskip("sklearn.datasets")
    case = request.param
    inputs, labels = datasets.load_digits(return_X_y=True)
    order, n = value(case, "perm"), value(case, "n_train")
    inputs = (inputs[order] / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    weights = parameters(case, "param")
    return case, TorchNetwork(network(case)), weights, (inputs, labels[order], n)


def test_network_reaches_its_accuracy(trained):
    case, net, weights, (inputs, labels, n) = trained
    assert f"{case}/seed" in VECTORS
    assert value(case, "seed") >= 0
    for part, name in ((slice(None, n), "train_acc"), (slice(n, None), "test_acc")):
        assert accuracy_of(net, inputs[part], labels[part])(weights) == pytest.approx(value(case, name), abs=0.003)


def test_svd_smoothed_accuracy(trained):
    case, net, weights, (inputs, labels, n) = trained
    shares = sorted({int(f[3:].split("_")[0]) for f in FIELDS[case] if f.startswith("svd")})
    for part, name in ((slice(None, n), "train"), (slice(n, None), "test")):
        result = svd_smoothing(weights, accuracy_of(net, inputs[part], labels[part]), [s / 100 for s in shares])
        for share, accuracy in zip(shares, result.accuracy, strict=True):
            assert accuracy == pytest.approx(value(case, f"svd{share}_{name}_acc"), abs=0.003)


def test_weightwatcher_table_of_the_network(trained):
    case, _, weights, _ = trained
    found = rs.spectra(weights, parity="weightwatcher", min_eigenvalues=50)
    modules = [name for name, _ in network(case).named_modules()]
    names = [str(name) for name in value(case, "ww_min50.longname")]
    assert sorted(found.used) == sorted(f"{name}.weight" for name in names)
    layers = [found[f"{name}.weight"] for name in names]
    table = {
        "layer_id": [modules.index(name) for name in names],
        "N": [layer.spectrum.N for layer in layers], "M": [layer.spectrum.M for layer in layers],
        "rf": [layer.spectrum.receptive_field for layer in layers], "num_evals": [x.n_eigenvalues for x in layers],
    } | {
        column: [layer[ours] for layer in layers]
        for column, ours in {
            "alpha": "alpha", "D": "D", "xmin": "xmin", "sigma": "sigma", "lambda_max": "spectral_norm",
            "alpha_weighted": "alpha_weighted", "log_alpha_norm": "log_alpha_norm", "log_norm": "log_norm",
            "stable_rank": "stable_rank", "entropy": "entropy",
        }.items()
    }  # fmt: skip
    check(case, {f"ww_min50.{column}": numbers_ for column, numbers_ in table.items()}, rel=1e-9)
    check(case, {f"ww_min50_summary.{name}": mean for name, mean in found.means.items()}, rel=1e-9)


def test_norm_measures_of_the_network(trained):
    case, net, weights, (inputs, labels, n) = trained
    logits = net.logits(weights, inputs[:n])
    margin = margin_percentile(logits, labels[:n])
    path = path_norm(net, weights, inputs.shape[1:])
    found = norm_measures(weights, n, initial=parameters(case, "init"), margin=margin, path_norm=path).raw
    assert margin == pytest.approx(value(case, "margin_10pct"), rel=1e-4)
    assert np.median(output_margins(logits, labels[:n])) == pytest.approx(value(case, "margin_median"), rel=1e-4)
    assert found["inverse_margin_sq"] == pytest.approx(value(case, "inverse_margin_sq"), rel=1e-3)
    names = ("log_prod_spec", "log_prod_fro", "param_norm", "dist_fro_init", "dist_spec_init", "fro_over_spec",
             "path_norm", "num_params")  # fmt: skip
    check(case, {name: found[name] for name in names}, rel=1e-6)
    assert found["distance_from_init"] == pytest.approx(value(case, "distance_from_init_pgdl"), rel=1e-6)


@pytest.mark.parametrize("case", cases("trunc10_k"))
def test_truncation(case):
    weight = value(case, "W").astype(np.float64)
    for share in (10, 20):
        changed = truncate_weights({"w": weight}, share / 100)["w"]
        blocks = changed.reshape(*changed.shape[:2], -1)
        ranks = {int(np.linalg.matrix_rank(blocks[:, :, k])) for k in range(blocks.shape[2])}
        assert ranks == {value(case, f"trunc{share}_k")}
        residual = np.linalg.norm(weight - changed) / np.linalg.norm(weight)
        assert residual == pytest.approx(value(case, f"trunc{share}_rel_residual"), rel=1e-9)


# --------------------------------------------------------------- corpora of models


@pytest.mark.parametrize("case", cases("x", "y", "group"))
def test_association(case):
    x, y, groups = (value(case, name) for name in ("x", "y", "group"))
    table = {"m": x, "y": y, "g": groups}
    analysis = rs.paradox(table, "m", "y", "g", n_resamples=50)["m"]
    parts = {"all": analysis.overall} | {f"group{name}": part for name, part in analysis.partitions.items()}
    assert len(parts) == len(np.unique(groups)) + 1
    for name, part in parts.items():
        fields = ("n", "slope", "intercept", "r2", "rmse", "tau_b", "tau_a", "rho", "pearson")
        check(case, {f"{name}.{field}": getattr(part, field) for field in fields})
    split = analysis.split
    fields = ("slope_all", "slope_within", "slope_between", "weight_within", "r2_within")
    check(case, {f"decomp.{field}": getattr(split, field) for field in fields})
    check(case, {"tau_within": split.tau_within, "tau_between": split.tau_between})
    weight = split.pair_weight
    both = weight * split.tau_within + (1 - weight) * split.tau_between
    assert both == pytest.approx(analysis.overall.tau_a, abs=1e-12)
    share = split.weight_within
    assert share * split.slope_within + (1 - share) * split.slope_between == pytest.approx(split.slope_all, abs=1e-12)


@pytest.mark.parametrize("case", cases("granulated_psi", "H"))
def test_grid_scores(case):
    columns = {str(axis): column for axis, column in enumerate(value(case, "H").T)}
    scores = grid_scores(value(case, "x"), value(case, "gap"), columns)
    check(
        case,
        {"granulated_psi": scores.psi, "granulated_Psi": scores.Psi, "cmi": scores.score},
    )
    pairs, values = value(case, "cmi_pairs"), value(case, "cmi_values")
    expected = {tuple(map(str, pair)): number for pair, number in zip(pairs, values, strict=True)}
    found = dict(zip(scores.pairs, scores.information, strict=True))
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=1e-10, abs=1e-12)


CORPORA = [(case, field.removesuffix(".stats")) for case in cases("stats_metrics") for field in sorted(FIELDS[case])
           if field.endswith(".stats")]  # fmt: skip


@pytest.mark.parametrize(("case", "subset"), CORPORA)
def test_corpus_of_trained_models(case, subset):
    table = {f.removeprefix("col."): value(case, f) for f in FIELDS[case] if f.startswith("col.")}
    rows = np.ones(len(table["train_acc"]), dtype=bool) if subset.startswith("all") else table["train_acc"] >= 0.95
    assert int(rows.sum()) == int("".join(filter(str.isdigit, subset)))
    metrics = [str(name) for name in value(case, "stats_metrics")]
    analysis = rs.paradox(
        {name: column[rows] for name, column in table.items()}, metrics, "test_acc", "depth", n_resamples=20
    )
    columns = [str(name) for name in value(case, "stats_columns")]
    for metric, expected in zip(metrics, value(case, f"{subset}.stats"), strict=True):
        one = analysis[metric]
        found = {name: getattr(one.overall, name) for name in ("tau_b", "rho", "r2", "rmse", "slope")}
        found |= {n: getattr(one.split, n) for n in ("tau_within", "tau_between", "slope_within", "slope_between",
                                                     "weight_within")}  # fmt: skip
        found |= {f"tau_depth{depth}": part.tau_b for depth, part in one.partitions.items()}
        np.testing.assert_allclose([found[name] for name in columns], expected, rtol=1e-10, atol=1e-12, err_msg=metric)


def test_every_key_of_the_file_was_read(request):
    ran = {item.originalname for item in request.session.items if item.path == request.node.path}
    defined = {name for name in globals() if name.startswith("test_")}
    if ran != defined:
        pytest.skip("only a part of this file was run")
    assert VECTORS.unread() == set()
