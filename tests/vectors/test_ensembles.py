"""Ensembles against the vectors: every case, size and parameter comes from the file."""

from __future__ import annotations

import re

import numpy as np
import pytest

import runspread as rs
from runspread._methods._calibration import reliability

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
    scored = rs.scores(probabilities, labels)
    close(rs.ensemble_probabilities(probabilities), f"{prefix}_ens_probs")
    close(scored.nll, f"{prefix}_nll")
    close(scored.gibbs_nll, f"{prefix}_gibbs_nll")
    close(scored.accuracy, f"{prefix}_acc")
    close(scored.brier, f"{prefix}_brier")
    close(scored.member_nll, f"{prefix}_member_nll")
    close(scored.member_accuracy, f"{prefix}_member_acc")


@pytest.mark.parametrize(("prefix", "bins", "convention"), matching(r"(\w+)_ece(\d+)(_rightclosed)?"))
def test_calibration_error(prefix, bins, convention):
    closed = "right" if convention else "left"
    scored = rs.scores(vectors[f"{prefix}_probs"], vectors[f"{prefix}_labels"], n_bins=int(bins), closed=closed)
    close(scored.ece, f"{prefix}_ece{bins}{convention or ''}")


@pytest.mark.parametrize(("prefix", "bins", "closed"), matching(r"(\w+)_nb(\d+)_(left|right)"))
def test_calibration_error_on_bin_edges(prefix, bins, closed):
    probabilities, labels = vectors[f"{prefix}_probs"], vectors[f"{prefix}_labels"]
    key = f"{prefix}_nb{bins}_{closed}"
    close(rs.scores(probabilities, labels, n_bins=int(bins), closed=closed).ece, key)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    close(reliability(confidence, correct, n_bins=int(bins), closed=closed).ece, key)


@pytest.mark.parametrize("prefix", [g[0] for g in matching(r"(\w+)_disagreement")])
def test_diversity(prefix):
    probabilities, labels = vectors[f"{prefix}_probs"], vectors[f"{prefix}_labels"]
    found = rs.diversity(probabilities, labels)
    close(found.disagreement, f"{prefix}_disagreement")
    close(found.normalised_disagreement, f"{prefix}_disagreement_norm")
    close(found.kl, f"{prefix}_kl_all_ordered")
    close(rs.diversity(probabilities, labels, kl_pairs="i<j").kl, f"{prefix}_kl_i_lt_j")
    close(found.cosine_similarity, f"{prefix}_cosine_similarity")
    close(found.predictive_entropy, f"{prefix}_pred_entropy")
    close(found.expected_entropy, f"{prefix}_expected_entropy")
    close(found.mutual_information, f"{prefix}_mutual_info")
    close(found.brier_diversity, f"{prefix}_brier_diversity")


# --- greedy selection ------------------------------------------------------------------------------------------------

OBJECTIVES = {"brier": "brier", "err": "error", "nll": "nll"}


def check_path(selection: rs.EnsembleSelection, key: str) -> None:
    np.testing.assert_array_equal(selection.path, vectors[f"{key}_path"])
    if f"{key}_score" in vectors:
        close(selection.path_scores, f"{key}_score")
    if f"{key}_weights" in vectors:
        close(selection.weights, f"{key}_weights")


@pytest.mark.parametrize(("pool", "size", "replacement", "early_stop"), matching(r"(\w+)_K(\d+)_rep(\d)_es(\d)_path"))
def test_greedy_paths(pool, size, replacement, early_stop):
    found = rs.select_ensemble(
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
    found = rs.select_ensemble(probabilities, labels, int(size), objective=OBJECTIVES[objective])
    check_path(found, f"{pool}_{objective}_K{size}")


@pytest.mark.parametrize(("pool", "size"), matching(r"([a-zA-Z]+)_K(\d+)_path"))
def test_greedy_paths_with_defaults(pool, size):
    found = rs.select_ensemble(vectors[f"{pool}_probs"], vectors[f"{pool}_labels"], int(size))
    check_path(found, f"{pool}_K{size}")


@pytest.mark.parametrize("pool", [g[0] for g in matching(r"(\w+)_valid")])
def test_invalid_candidates(pool):
    valid = vectors[f"{pool}_valid"].astype(bool)
    found = rs.select_ensemble(vectors[f"{pool}_probs"], vectors[f"{pool}_labels"], 1)
    np.testing.assert_array_equal(~np.isnan(found.single_scores), valid)
    assert [item.run for item in found.excluded] == [found.run_ids[i] for i in np.flatnonzero(~valid)]
