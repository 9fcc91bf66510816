"""Ensembles against the vectors: every case, size and parameter comes from the file."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

import runspread as rs
from runspread.methods.ensembles import EnsembleSelection, diversity, ensemble_probabilities, select_ensemble
from runspread.methods.ensembles.calibration import reliability
from runspread.nn._functional import (
    Convolution,
    Factors,
    batch_layer,
    bias_penalty,
    hyper_batch_layer,
    kernel_penalty,
    moments,
)

from .loading import Vectors

vectors = Vectors("ensembles")
EXACT = {"rtol": 1e-10, "atol": 1e-12}


def matching(pattern: str) -> list[tuple[str, ...]]:
    """Return the groups of every key that matches `pattern` in full."""
    found = [match.groups() for key in vectors if (match := re.fullmatch(pattern, key))]
    return found or [pytest.param(marks=pytest.mark.skip(f"no key like {pattern}"))]  # type: ignore[list-item]


def close(actual, key: str, **tolerance) -> None:
    np.testing.assert_allclose(actual, vectors[key], **(tolerance or EXACT))


# --- metrics ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", [g[0] for g in matching(r"(\w+)_ens_probs")])
def test_scores(prefix):
    probabilities, labels = vectors[f"{prefix}_probs"], vectors[f"{prefix}_labels"]
    scored = rs.ensemble_scores(probabilities, labels)
    close(ensemble_probabilities(probabilities), f"{prefix}_ens_probs")
    close(scored.nll, f"{prefix}_nll")
    close(scored.gibbs_nll, f"{prefix}_gibbs_nll")
    close(scored.accuracy, f"{prefix}_acc")
    close(scored.brier, f"{prefix}_brier")
    close(scored.member_nll, f"{prefix}_member_nll")
    close(scored.member_accuracy, f"{prefix}_member_acc")


@pytest.mark.parametrize(("prefix", "bins", "convention"), matching(r"(\w+)_ece(\d+)(_rightclosed)?"))
def test_calibration_error(prefix, bins, convention):
    closed = "right" if convention else "left"
    scored = rs.ensemble_scores(
        vectors[f"{prefix}_probs"], vectors[f"{prefix}_labels"], n_bins=int(bins), closed=closed
    )
    close(scored.ece, f"{prefix}_ece{bins}{convention or ''}")


@pytest.mark.parametrize(("prefix", "bins", "closed"), matching(r"(\w+)_nb(\d+)_(left|right)"))
def test_calibration_error_on_bin_edges(prefix, bins, closed):
    probabilities, labels = vectors[f"{prefix}_probs"], vectors[f"{prefix}_labels"]
    key = f"{prefix}_nb{bins}_{closed}"
    close(rs.ensemble_scores(probabilities[None], labels, n_bins=int(bins), closed=closed).ece, key)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    close(reliability(confidence, correct, n_bins=int(bins), closed=closed).ece, key)


@pytest.mark.parametrize("prefix", [g[0] for g in matching(r"(\w+)_disagreement")])
def test_diversity(prefix):
    probabilities, labels = vectors[f"{prefix}_probs"], vectors[f"{prefix}_labels"]
    found = diversity(probabilities, labels)
    close(found.disagreement, f"{prefix}_disagreement")
    close(found.normalised_disagreement, f"{prefix}_disagreement_norm")
    close(found.kl, f"{prefix}_kl_all_ordered")
    close(diversity(probabilities, labels, kl_pairs="i<j").kl, f"{prefix}_kl_i_lt_j")
    close(found.cosine_similarity, f"{prefix}_cosine_similarity")
    close(found.predictive_entropy, f"{prefix}_pred_entropy")
    close(found.expected_entropy, f"{prefix}_expected_entropy")
    close(found.mutual_information, f"{prefix}_mutual_info")
    close(found.brier_diversity, f"{prefix}_brier_diversity")


# --- greedy selection ------------------------------------------------------------------------------------------------

OBJECTIVES = {"brier": "brier", "err": "error", "nll": "nll"}


def check_path(selection: EnsembleSelection, key: str) -> None:
    np.testing.assert_array_equal(selection.path, vectors[f"{key}_path"])
    if f"{key}_score" in vectors:
        close(selection.path_scores, f"{key}_score")
    if f"{key}_weights" in vectors:
        close(selection.weights, f"{key}_weights")


@pytest.mark.parametrize(("pool", "size", "replacement", "early_stop"), matching(r"(\w+)_K(\d+)_rep(\d)_es(\d)_path"))
def test_greedy_paths(pool, size, replacement, early_stop):
    found = select_ensemble(
        vectors[f"{pool}_probs"],
        vectors[f"{pool}_labels"],
        int(size),
        replacement=replacement == "1",
        early_stop=early_stop == "1",
    )
    check_path(found, f"{pool}_K{size}_rep{replacement}_es{early_stop}")


@pytest.mark.parametrize(("pool", "objective", "size"), matching(r"(\w+)_(brier|err|nll)_K(\d+)_path"))
def test_greedy_paths_of_other_objectives(pool, objective, size):
    probabilities, labels = vectors[f"{pool}_probs"], vectors[f"{pool}_labels"]
    found = select_ensemble(probabilities, labels, int(size), objective=OBJECTIVES[objective])
    check_path(found, f"{pool}_{objective}_K{size}")


@pytest.mark.parametrize(("pool", "size"), matching(r"([a-zA-Z]+)_K(\d+)_path"))
def test_greedy_paths_with_defaults(pool, size):
    found = select_ensemble(vectors[f"{pool}_probs"], vectors[f"{pool}_labels"], int(size))
    check_path(found, f"{pool}_K{size}")


@pytest.mark.parametrize("pool", [g[0] for g in matching(r"(\w+)_valid")])
def test_invalid_candidates(pool):
    valid = vectors[f"{pool}_valid"].astype(bool)
    found = select_ensemble(vectors[f"{pool}_probs"], vectors[f"{pool}_labels"], 1)
    np.testing.assert_array_equal(~np.isnan(found.single_scores), valid)
    assert [item.run for item in found.excluded] == [found.run_ids[i] for i in np.flatnonzero(~valid)]


# --- layers ----------------------------------------------------------------------------------------------------------


def tensor(key: str) -> torch.Tensor:
    return torch.from_numpy(vectors[key])


class Layer:
    """Inputs of one family of layers: ``be``/``hbe`` dense, ``bec``/``hbec`` convolutional."""

    def __init__(self, prefix: str) -> None:
        self.dense = f"{prefix}_x" in vectors and vectors[f"{prefix}_x"].ndim == 2
        self.prefix, self.hyper = prefix, f"h{prefix}"
        self.members = len(vectors[f"{prefix}_r"])
        self.x = rs.nn.tile(tensor(f"{prefix}_x"), self.members)
        self.factors = Factors(tensor(f"{prefix}_r"), tensor(f"{prefix}_s"))
        self.weight, self.bias = self.kernel(f"{prefix}_W"), tensor(f"{prefix}_b")

    def kernel(self, key: str) -> torch.Tensor:
        return tensor(key).T if self.dense else tensor(key)

    def convolution(self, name: str) -> Convolution | None:
        """``out_s2p1_nobias`` names stride 2 and padding 1."""
        found = re.search(r"_s(\d+)p(\d+)", name)
        if found is None:
            return None
        stride, padding = int(found[1]), int(found[2])
        return Convolution((stride, stride), (padding, padding))

    def batch(self, name: str) -> torch.Tensor:
        bias = None if "nobias" in name else self.bias
        return batch_layer(self.x, self.weight, self.factors, bias, self.convolution(name))

    def rows(self, key: str) -> torch.Tensor:
        return tensor(f"{self.hyper}_{key}").unflatten(0, (self.members, -1))

    def response_factors(self, name: str) -> Factors:
        if "tied" in name:
            return self.factors
        return Factors(tensor(f"{self.hyper}_u"), tensor(f"{self.hyper}_v"))

    def hyper_batch(self, name: str, e1: torch.Tensor | None = None, e2: torch.Tensor | None = None) -> torch.Tensor:
        bias, response_bias = (None, None) if "nobias" in name else (self.bias, tensor(f"{self.hyper}_db"))
        return hyper_batch_layer(
            self.x,
            self.weight,
            self.factors,
            self.kernel(f"{self.hyper}_D"),
            self.response_factors(name),
            self.rows("e1") if e1 is None else e1,
            bias=bias,
            response_bias=response_bias,
            e2=self.rows("e2") if e2 is None else e2,
            conv=self.convolution(name),
        )

    def penalty(self, name: str) -> torch.Tensor:
        factors = (self.factors, self.response_factors(name)) if "fast" in name else (None, None)
        averages = moments(self.rows("l2k"), self.rows("e1"))
        total = kernel_penalty(self.weight, self.kernel(f"{self.hyper}_D"), averages, *factors)
        if "nobias" not in name:
            total = total + bias_penalty(
                self.bias, tensor(f"{self.hyper}_db"), moments(self.rows("l2b"), self.rows("e2"))
            )
        return total


LAYERS = sorted({g[0] for g in matching(r"([a-z]+)_r")})


@pytest.mark.parametrize(("prefix", "name"), [g for p in LAYERS for g in matching(rf"({p})_(out\w*)")])
def test_batch_layer(prefix, name):
    close(Layer(prefix).batch(name), f"{prefix}_{name}")


@pytest.mark.parametrize(("prefix", "name"), [g for p in LAYERS for g in matching(rf"h({p})_(out\w*)")])
def test_hyper_batch_layer(prefix, name):
    close(Layer(prefix).hyper_batch(name), f"h{prefix}_{name}")


@pytest.mark.parametrize(("prefix", "name"), [g for p in LAYERS for g in matching(rf"h({p})_(l2_\w+)")])
def test_penalty_of_effective_weights(prefix, name):
    close(Layer(prefix).penalty(name), f"h{prefix}_{name}")


@pytest.mark.parametrize("prefix", [g[0] for g in matching(r"(\w+)_K")])
def test_number_of_members(prefix):
    layer = Layer(prefix)
    members, outputs = int(vectors[f"{prefix}_K"]), len(layer.bias.T)
    module = rs.nn.BatchLinear(layer.weight.shape[1], outputs, members).double()
    with torch.no_grad():
        for name, value in {"weight": layer.weight, "bias": layer.bias}.items():
            getattr(module, name).copy_(value)
        for name, value in zip(("input_factor", "output_factor"), layer.factors, strict=True):
            getattr(module, name).copy_(value)
        close(module(rs.nn.tile(tensor(f"{prefix}_x"), members)), f"{prefix}_out")


@pytest.mark.parametrize("prefix", LAYERS)
def test_modules_compute_the_same(prefix):
    layer = Layer(prefix)
    out, coordinates = len(layer.bias.T), layer.rows("e1").shape[-1]
    if layer.dense:
        module = rs.nn.HyperBatchLinear(layer.weight.shape[1], out, layer.members, coordinates, hidden=None)
        name = "out"
    else:
        sizes = (layer.weight.shape[1], out, tuple(layer.weight.shape[2:]), layer.members, coordinates)
        name = next(g[0] for g in matching(rf"h{prefix}_(out\w*)") if "nobias" not in g[0])
        conv = layer.convolution(name)
        assert conv is not None
        module = rs.nn.HyperBatchConv2d(*sizes, hidden=None, stride=conv.stride, padding=conv.padding)
    module = module.double()
    r, s = layer.factors
    u, v = layer.response_factors("")
    values = {
        "weight": layer.weight,
        "response": layer.kernel(f"h{prefix}_D"),
        "input_factor": r,
        "output_factor": s,
        "response_input_factor": u,
        "response_output_factor": v,
        "bias": layer.bias,
        "response_bias": tensor(f"h{prefix}_db"),
    }
    module.load_state_dict({**values, "embedding.weight": torch.zeros(2 * out, coordinates)})
    module._e = torch.cat([layer.rows("e1"), layer.rows("e2")], dim=-1)
    close(module(layer.x).detach(), f"h{prefix}_{name}")
    close(module.penalty(layer.rows("l2k"), layer.rows("l2b")).detach(), f"h{prefix}_l2_fast")


# --- distributions of hyperparameters ----------------------------------------------------------------------------


def bounds_at(lower: torch.Tensor, upper: torch.Tensor) -> rs.nn.LogUniformBounds:
    low, high = vectors["lam_logmin"], vectors["lam_logmax"]
    bounds = rs.nn.LogUniformBounds(np.exp(low), np.exp(high), len(lower), start="full", dtype=torch.float64)
    bounds.log_low.copy_(torch.from_numpy(low))
    bounds.log_high.copy_(torch.from_numpy(high))
    with torch.no_grad():
        bounds.log_lower.copy_(lower)
        bounds.log_upper.copy_(upper)
    return bounds


def test_log_uniform_distributions():
    bounds = bounds_at(tensor("lam_lo"), tensor("lam_hi"))
    u = tensor("lam_u")
    close(bounds.sample(u.shape[1], u=u).detach(), "lam_samples")
    close(bounds.mean().detach(), "lam_mean")
    close(bounds.entropies().detach(), "lam_entropy_each")
    close(bounds.entropy().detach(), "lam_entropy_mean")


def test_projection():
    bounds = bounds_at(tensor("clip_lo_in"), tensor("clip_hi_in"))
    bounds.project()
    close(bounds.log_lower.detach(), "clip_lo_out")
    close(bounds.log_upper.detach(), "clip_hi_out")


def test_tuning_step():
    bounds, layer = bounds_at(tensor("lam_lo"), tensor("lam_hi")), Layer("be")
    u, head, labels = tensor("lam_u"), tensor("tune_E"), tensor("tune_labels")
    e = bounds.normalise(bounds.sample(u.shape[1], u=u)) @ head
    close(e.detach().flatten(0, 1), "tune_e")
    logits = layer.hyper_batch("out", *e.chunk(2, dim=-1)).unflatten(0, (layer.members, -1))
    close(logits.detach(), "tune_logits")
    loss = rs.nn.tuning_loss(logits, labels, bounds.entropy(), float(vectors["tune_tau"]))
    close(loss.detach(), "tune_loss")
    loss.backward()
    close(bounds.log_lower.grad, "tune_grad_lo", rtol=1e-7, atol=1e-10)
    close(bounds.log_upper.grad, "tune_grad_hi", rtol=1e-7, atol=1e-10)


def test_label_smoothing_by_member():
    logits, labels, smoothing = tensor("ls_logits"), tensor("ls_labels"), tensor("ls_eps")
    for k, member in enumerate(logits):
        rows = smoothing[k].expand(1, len(member))
        found = rs.nn.smoothed_cross_entropy(member[None], labels[k], rows)
        np.testing.assert_allclose(found, vectors["ls_ce"][k], **EXACT)


# Stacked optimisers, the schedule and the search are asserted in test_training.py.
ELSEWHERE = ("opt_", "sched_", "search_")


def test_every_key_was_read():
    assert not {key for key in vectors.unread() if not key.startswith(ELSEWHERE)}
