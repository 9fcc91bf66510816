"""Section 13 of the dynamics specification: every case of the vectors."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from runspread.methods.dynamics import (
    convergence_index,
    outcome_regression,
    prepare_sequences,
    training_map,
    trajectory_dissimilarity,
    weight_metrics,
)
from runspread.methods.dynamics.influence import posterior_gradient
from runspread.methods.dynamics.maps import path_graph
from runspread.methods.dynamics.metrics_of_weights import WEIGHT_METRICS
from runspread.methods.dynamics.outcome import detour_states
from runspread.methods.hmm import HiddenMarkovModel, fit_hmm
from runspread.methods.hmm.expectation import expectation, log_parameters
from runspread.methods.hmm.kernels import load_kernels
from runspread.methods.hmm.parameters import as_frames

from .loading import Vectors

V = Vectors("dynamics")
METRIC_CASES = [str(case) for case in V["cases_metrics"]]


def keys_of(case: str) -> list[str]:
    return [key.partition("/")[2] for key in V if key.startswith(f"{case}/")]


@pytest.mark.parametrize("case", METRIC_CASES)
def test_weight_metrics(case):
    expected = [key for key in keys_of(case) if key.startswith("metrics_")]
    weights = {key: V[f"{case}/{key}"] for key in keys_of(case) if key not in expected and key != "columns"}
    estimators = {"metrics_bessel": "unbiased", "metrics_population": "population"}
    assert set(expected) == set(estimators)
    assert tuple(V[f"{case}/columns"]) == WEIGHT_METRICS
    for key in expected:
        got = weight_metrics(weights, variance=estimators[key])
        np.testing.assert_allclose(list(got.values()), V[f"{case}/{key}"], rtol=1e-9, atol=1e-15)


# --- hidden Markov models -------------------------------------------------------------------------------------------

HMM_CASES = [str(case) for case in V["cases_hmm"]]
PARAMETERS = ("startprob", "transmat", "means", "covars")


@pytest.fixture(params=["compiled", "plain"])
def kernels(request, monkeypatch):
    """Run with numba's recursions, and as if numba were not installed."""
    if request.param == "compiled":
        pytest.importorskip("numba")
    else:
        monkeypatch.setitem(sys.modules, "numba", None)
    return load_kernels()


def has(case: str, prefix: str) -> bool:
    return any(key.startswith(prefix) for key in keys_of(case))


def sequences(case: str) -> list[np.ndarray]:
    return np.split(V[f"{case}/X"], np.cumsum(V[f"{case}/lengths"])[:-1])


def parameters(case: str, prefix: str) -> dict[str, np.ndarray]:
    return {name: V[f"{case}/{prefix}{name}"] for name in PARAMETERS}


def fitted(case: str) -> HiddenMarkovModel:
    prior = V[f"{case}/covars_prior"]
    return fit_hmm(
        sequences(case),
        int(V[f"{case}/n_components"]),
        initial=parameters(case, "init_"),
        covariance=str(V[f"{case}/covariance_type"]),
        iterations=int(V[f"{case}/n_iter"]),
        tolerance=float(V[f"{case}/tol"]),
        prior=prior,
        mode="compat",
    )


def check_scores(model: HiddenMarkovModel, case: str, prefix: str) -> None:
    runs = sequences(case)

    def expected(key: str) -> np.ndarray:
        return V[f"{case}/{prefix}{key}"]

    np.testing.assert_allclose(model.score(runs), expected("loglik"), rtol=1e-6)
    np.testing.assert_allclose(model.score_runs(runs), expected("loglik_per_seq"), rtol=1e-6)
    np.testing.assert_allclose(np.concatenate(model.posterior(runs)), expected("posteriors"), atol=1e-6)
    decoded = model.decode(runs)
    np.testing.assert_array_equal(np.concatenate(decoded.paths), expected("viterbi_path"))
    np.testing.assert_allclose(decoded.log_probability, expected("viterbi_logprob_per_seq"), rtol=1e-6)
    np.testing.assert_allclose(decoded.log_probability.sum(), expected("viterbi_logprob"), rtol=1e-6)
    assert model.n_parameters == expected("n_params")
    np.testing.assert_allclose(model.aic(runs), expected("aic"), rtol=1e-6)
    np.testing.assert_allclose(model.bic(runs), expected("bic"), rtol=1e-6)


@pytest.mark.parametrize("case", [case for case in HMM_CASES if has(case, "init_out_")])
def test_scores_at_given_parameters(case, kernels):
    model = HiddenMarkovModel(**parameters(case, "init_"))
    assert (model.covariance, model.n_states) == (V[f"{case}/covariance_type"], V[f"{case}/n_components"])
    check_scores(model, case, "init_out_")


@pytest.mark.parametrize("case", [case for case in HMM_CASES if has(case, "out_") and has(case, "out_posteriors")])
def test_fit_of_one_start(case, kernels):
    model = fitted(case)
    for name in PARAMETERS:
        np.testing.assert_allclose(getattr(model, name), V[f"{case}/out_{name}"], atol=1e-6, err_msg=name)
    np.testing.assert_allclose(model.history, V[f"{case}/out_loglik_history"], rtol=1e-6)
    assert len(model.history) == V[f"{case}/out_iterations"]
    check_scores(model, case, "out_")


@pytest.mark.parametrize("case", [case for case in HMM_CASES if V[f"{case}/init_startprob"].ndim == 2])
def test_fit_of_several_starts_at_once(case, kernels):
    model, runs = fitted(case), sequences(case)
    each = [model.restart(index) for index in range(len(model.restarts))]
    for name in PARAMETERS:
        np.testing.assert_allclose([getattr(m, name) for m in each], V[f"{case}/out_{name}"], atol=1e-6, err_msg=name)
    np.testing.assert_allclose([m.history for m in each], V[f"{case}/out_loglik_history"], rtol=1e-6)
    np.testing.assert_allclose([m.score(runs) for m in each], V[f"{case}/out_loglik"], rtol=1e-6)
    np.testing.assert_allclose([m.log_likelihood for m in each], V[f"{case}/out_loglik"], rtol=1e-6)
    np.testing.assert_allclose([m.aic(runs) for m in each], V[f"{case}/out_aic"], rtol=1e-6)
    np.testing.assert_allclose([m.bic(runs) for m in each], V[f"{case}/out_bic"], rtol=1e-6)
    assert model.log_likelihood == max(m.log_likelihood for m in each)


@pytest.mark.parametrize("case", [case for case in HMM_CASES if has(case, "enum_")])
def test_brute_force_enumeration(case, kernels):
    model, runs = HiddenMarkovModel(**parameters(case, "init_")), sequences(case)
    np.testing.assert_allclose(model.score(runs), V[f"{case}/enum_loglik"], rtol=1e-12)
    np.testing.assert_allclose(np.concatenate(model.posterior(runs)), V[f"{case}/enum_posteriors"], atol=1e-12)
    sums = expectation(as_frames(runs), model.parameters(), kernels)
    np.testing.assert_allclose(sums.xi[:, :, 0], V[f"{case}/enum_xi_sum"], atol=1e-12)
    decoded = model.decode(runs)
    np.testing.assert_allclose(decoded.log_probability.sum(), V[f"{case}/enum_viterbi_logprob"], rtol=1e-12)
    np.testing.assert_array_equal(np.concatenate(decoded.paths), V[f"{case}/enum_viterbi_path"])


def in_log_space(model: HiddenMarkovModel, runs: list[np.ndarray], kernels) -> tuple[np.ndarray, np.ndarray, float]:
    frames = as_frames(runs)
    logs = log_parameters(model.parameters())
    parts = [kernels.smooth_log(np.ascontiguousarray(p), *logs) for p in frames.split(model.log_density(frames))]
    return np.concatenate([p[0] for p in parts]), sum(p[1] for p in parts), sum(p[2] for p in parts)


SINGLE = [(case, "init_") for case in HMM_CASES if V[f"{case}/init_startprob"].ndim == 1]
SINGLE += [(case, "out_") for case, _ in SINGLE if has(case, "out_startprob")]


@pytest.mark.parametrize(("case", "prefix"), SINGLE)
def test_certified_scaling_equals_log_space(case, prefix, kernels):
    model, runs = HiddenMarkovModel(**parameters(case, prefix)), sequences(case)
    gamma, xi, total = in_log_space(model, runs, kernels)
    sums = expectation(as_frames(runs), model.parameters(), kernels)
    np.testing.assert_allclose(sums.total[0], total, rtol=1e-9)
    np.testing.assert_allclose(np.concatenate(model.posterior(runs)), gamma, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sums.xi[:, :, 0], xi, rtol=1e-9, atol=1e-9)


def test_a_lost_path_is_noticed_and_recovered(kernels):
    """Some case of the file must make the scaled recursion wrong without an error, and the certificate notice it."""
    noticed: list[str] = []
    for case in (case for case in HMM_CASES if has(case, "init_out_")):
        model, frames = HiddenMarkovModel(**parameters(case, "init_")), as_frames(sequences(case))
        if expectation(frames, model.parameters(), kernels).fallbacks:
            noticed.append(case)
            assert model.score(frames) == pytest.approx(float(V[f"{case}/init_out_loglik"]), rel=1e-9)
    scaled = [abs(plain_scaled(case, kernels) - float(V[f"{case}/init_out_loglik"])) for case in noticed]
    assert max(scaled, default=0.0) > 1.0


def plain_scaled(case: str, kernels) -> float:
    """Log-likelihood by the scaled recursion alone."""
    model, frames = HiddenMarkovModel(**parameters(case, "init_")), as_frames(sequences(case))
    b, top = kernels.relative(model.log_density(frames)[:, :, None])
    norms = kernels.smooth(np.exp(b), frames.offsets, model.startprob[:, None], model.transmat[:, :, None])[2]
    return float(np.log(norms).sum() + top.sum())


@pytest.mark.parametrize("case", [case for case in HMM_CASES if f"{case}/raw" in V])
def test_standardising_each_run(case):
    lengths = V[f"{case}/lengths"]
    raw = np.split(V[f"{case}/raw"], np.cumsum(lengths)[:-1])
    prepared = prepare_sequences(raw, columns=[str(name) for name in V[f"{case}/columns"]])
    np.testing.assert_allclose(np.concatenate(prepared.sequences), V[f"{case}/X"], atol=1e-9)
    np.testing.assert_array_equal(prepared.lengths, lengths)
    assert len(V[f"{case}/accuracy"]) == lengths.sum()


@pytest.mark.parametrize("case", [case for case in HMM_CASES if has(case, "inf_")])
def test_influence(case):
    model, runs = HiddenMarkovModel(**parameters(case, "out_")), sequences(case)
    filtered = np.concatenate(model.filtered(runs))
    np.testing.assert_allclose(filtered, V[f"{case}/inf_filtered"], atol=1e-9)
    gradient = posterior_gradient(model, V[f"{case}/X"], filtered)
    np.testing.assert_allclose(gradient, V[f"{case}/inf_gradient"], rtol=1e-6, atol=1e-6)
    edges = training_map(model, runs, top=3).edges
    np.testing.assert_array_equal([(e.source, e.target) for e in edges], V[f"{case}/inf_edges"])
    np.testing.assert_array_equal([e.occurrences for e in edges], V[f"{case}/inf_edge_occurrences"])
    np.testing.assert_array_equal([e.runs for e in edges], V[f"{case}/inf_edge_runs"])
    everything = training_map(model, runs, top=model.n_metrics).edges
    for row, (edge, short) in enumerate(zip(everything, edges, strict=True)):
        index = [model.metric_names.index(name) for name in edge.features]
        importance, movement = V[f"{case}/inf_edge_importance"][row], V[f"{case}/inf_edge_movement"][row]
        np.testing.assert_allclose(edge.influence, importance[index], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(edge.movement, movement[index], atol=1e-9)
        assert [model.metric_names.index(n) for n in short.features] == V[f"{case}/inf_edge_top3"][row].tolist()


# --- analysis -------------------------------------------------------------------------------------------------------

ANALYSIS_CASES = [str(case) for case in V["cases_analysis"]]


@pytest.mark.parametrize("case", ANALYSIS_CASES)
def test_analysis_of_paths(case):
    def expected(key: str) -> np.ndarray:
        return V[f"{case}/{key}"]

    cuts = np.cumsum(expected("lengths"))[:-1]
    paths, curves = np.split(expected("paths"), cuts), np.split(expected("accuracy"), cuts)
    transmat = expected("transmat")
    assert transmat.shape[0] == expected("n_components")
    found = convergence_index(curves, float(expected("threshold")))
    np.testing.assert_array_equal(found.index, expected("convergence_index"))
    np.testing.assert_array_equal(found.capped, expected("convergence_capped"))
    graph = path_graph(paths, transmat, found.capped)
    np.testing.assert_allclose(graph["occupancy"], expected("state_distribution"), atol=1e-9)
    np.testing.assert_array_equal(graph["edge_occurrences"], expected("edge_occurrences"))
    np.testing.assert_array_equal(graph["edge_runs"], expected("edge_runs"))
    np.testing.assert_allclose(graph["pruned_transmat"], expected("pruned_transmat"), atol=1e-9)
    np.testing.assert_allclose(graph["edge_mean_convergence"], expected("edge_mean_convergence"), atol=1e-9)
    np.testing.assert_allclose(graph["edge_sd_convergence"], expected("edge_sd_convergence"), atol=1e-9)
    assert graph["is_linear"] == expected("is_linear")
    assert [len(route) for route in graph["routes"]] == expected("collapsed_path_length").tolist()
    for ground, key in (("tv", "dissimilarity_tv"), ("label", "dissimilarity_label_wasserstein")):
        got = trajectory_dissimilarity(graph["occupancy"], ground=ground)
        np.testing.assert_allclose(got, expected(key), atol=1e-9)


@pytest.mark.parametrize("case", ANALYSIS_CASES)
def test_regression_and_detours(case):
    shares, index = V[f"{case}/state_distribution"], V[f"{case}/convergence_index"]
    fit = outcome_regression(shares, index, V[f"{case}/lengths"])
    np.testing.assert_allclose(fit.target, V[f"{case}/target"], atol=1e-9)
    np.testing.assert_allclose(fit.coef, V[f"{case}/coef"], atol=1e-9)
    np.testing.assert_allclose(fit.r_squared, V[f"{case}/r_squared"], atol=1e-9)
    np.testing.assert_allclose(fit.f_statistic, V[f"{case}/f_statistic"], rtol=1e-9)
    np.testing.assert_allclose(fit.f_pvalue, V[f"{case}/f_pvalue"], rtol=1e-6)
    assert fit.rank == V[f"{case}/rank"]
    states = detour_states(shares, index, fit)
    np.testing.assert_array_equal(states.optional, V[f"{case}/optional"])
    np.testing.assert_array_equal(states.detour, V[f"{case}/detour"])


ORIGIN = {"hmmlearn_version", "numpy_version"}
INPUTS = {"covars_prior", "n_iter", "tol"}  # of cases that are only scored


def test_every_expected_value_was_looked_at():
    """Runs last in this file; truths of synthetic cases are what produced the data, not what a method must give."""
    names = {key: key.partition("/")[2] for key in V.unread() - ORIGIN}
    assert not {key for key, name in names.items() if not name.startswith("true_") and name not in INPUTS}
