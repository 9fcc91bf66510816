"""The trimming level against linear programs and the published inner function; everything comes from the file."""

from __future__ import annotations

import math

import numpy as np
import pytest

import runspread as rs
from runspread.methods.trimming import (
    clip_gaps,
    logit_gap,
    optimal_trimming,
    trimmed_distance,
    trimming_level,
    trimming_level_grid,
)
from runspread.methods.trimming.defaults import GRID
from runspread.methods.trimming.levels import threshold_terms

from .loading import Vectors

vectors = Vectors("trimming")
DISTANCE = {"rtol": 0, "atol": 1e-9}
LEVEL = {"rtol": 0, "atol": 1e-7}
INPUTS = {"ref", "cand", "alphas", "logits", "idx", "n_candidates", "in", "bounds", "epsilon"}

cases = pytest.mark.parametrize("case", [str(name) for name in vectors["case_names"]])
modes = pytest.mark.parametrize("mode", ["step", "published"])


def samples(case: str) -> tuple[np.ndarray, np.ndarray]:
    return vectors[f"{case}__ref"], vectors[f"{case}__cand"]


@modes
@cases
def test_distances(case, mode):
    distances = trimmed_distance(*samples(case), vectors[f"{case}__alphas"], mode=mode)
    np.testing.assert_allclose(distances, vectors[f"{case}__d_{mode}"], **DISTANCE)


@modes
@cases
def test_last_threshold_is_the_bound_of_the_mode(case, mode):
    reference, candidate = samples(case)
    delta = threshold_terms(None, float(vectors["epsilon"]), candidate.size, reference.size, mode)
    assert delta == (pytest.approx(float(vectors[f"{case}__deltas_{mode}"][-1]), abs=1e-12), 0.0)


@modes
@cases
def test_exact_levels(case, mode):
    key = {"step": "alpha_hat_step", "published": "alpha_hat_published_exact"}[mode]
    levels = [
        trimming_level(*samples(case), threshold=float(delta), mode=mode) for delta in vectors[f"{case}__deltas_{mode}"]
    ]
    np.testing.assert_allclose(levels, vectors[f"{case}__{key}"], **LEVEL)


@cases
def test_grid_levels(case):
    levels = [
        trimming_level_grid(*samples(case), threshold=float(delta)) for delta in vectors[f"{case}__deltas_published"]
    ]
    assert levels == vectors[f"{case}__alpha_hat_published_grid"].tolist()


@cases
def test_optimal_trimming_attains_the_distance(case):
    reference, candidate = samples(case)
    for alpha, distance in zip(vectors[f"{case}__alphas"], vectors[f"{case}__d_step"], strict=True):
        best = optimal_trimming(reference, candidate, alpha)
        values, counts = np.unique(candidate, return_counts=True)
        assert np.array_equal(best.values, values)
        assert best.weights.sum() == pytest.approx(1, abs=1e-12)
        assert (best.weights >= 0).all()
        assert (best.weights <= counts / counts.sum() / (1 - alpha) + 1e-12).all()
        assert step_distance(reference, values, best.weights) == pytest.approx(distance, abs=1e-9)


def step_distance(reference: np.ndarray, values: np.ndarray, weights: np.ndarray) -> float:
    """Kolmogorov distance between an empirical law and a discrete one, by comparing them at every jump of either."""
    jumps = np.union1d(reference, values)
    ours = np.append(0, weights.cumsum())[np.searchsorted(values, jumps, side="right")]
    theirs = np.searchsorted(np.sort(reference), jumps, side="right") / reference.size
    return float(np.abs(ours - theirs).max())


# --- the pipeline of gaps, halves and references ---------------------------------------------------------------------

pipelines = pytest.mark.parametrize("name", [str(name) for name in vectors["pipeline_names"]])
kinds = pytest.mark.parametrize("kind", ["mixture", "ensemble"])


def halves(name: str, kind: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Reference sample and candidate samples of each replicate, written out as the specification words them."""
    gaps, first = vectors[f"{name}__gap"], int(vectors[f"{name}__n_candidates"])
    half = gaps.shape[1] // 2
    pairs = []
    for draw in vectors[f"{name}__idx"]:
        reference = gaps[first:, draw[half:]]
        pairs.append((reference.ravel() if kind == "mixture" else reference.mean(0), gaps[:first, draw[:half]]))
    return pairs


@pipelines
def test_gaps(name):
    np.testing.assert_array_equal(logit_gap(vectors[f"{name}__logits"]), vectors[f"{name}__gap"])


@pipelines
@modes
def test_pipeline_thresholds(name, mode):
    size = vectors[f"{name}__gap"].shape[1]
    delta, _ = threshold_terms(None, float(vectors[f"{name}__epsilon"]), size // 2, size - size // 2, mode)
    assert delta == pytest.approx(float(vectors[f"{name}__delta_{mode}"]), abs=1e-12)


@pipelines
@kinds
@modes
def test_pipeline_distances(name, kind, mode):
    alphas = vectors[f"{name}__alphas_{'step' if mode == 'step' else 'grid'}"]
    distances = [trimmed_distance(*pair, alphas, mode=mode) for pair in halves(name, kind)]
    np.testing.assert_allclose(distances, vectors[f"{name}__{kind}_d_{mode}"], **DISTANCE)


@pipelines
@kinds
@modes
def test_pipeline_levels_pair_by_pair(name, kind, mode):
    delta = float(vectors[f"{name}__delta_{mode}"])
    levels = [trimming_level(*pair, threshold=delta, mode=mode) for pair in halves(name, kind)]
    key = {"step": "alpha_hat_step", "published": "alpha_hat_published_exact"}[mode]
    np.testing.assert_allclose(levels, vectors[f"{name}__{kind}_{key}"], **LEVEL)


@pipelines
@kinds
def test_pipeline_grid_levels_pair_by_pair(name, kind):
    grid, delta = vectors[f"{name}__alphas_grid"], float(vectors[f"{name}__delta_published"])
    assert grid.tolist() == list(GRID)
    levels = [trimming_level_grid(*pair, threshold=delta, grid=grid) for pair in halves(name, kind)]
    np.testing.assert_array_equal(levels, vectors[f"{name}__{kind}_alpha_hat_published_grid"])
    mean = vectors[f"{name}__{kind}_alpha_hat_published_grid_mean"]
    np.testing.assert_allclose(np.mean(levels, axis=0), mean, **DISTANCE)


@pipelines
@kinds
@modes
def test_pipeline_as_one_call(name, kind, mode):
    logits, first = vectors[f"{name}__logits"], int(vectors[f"{name}__n_candidates"])
    found = rs.trimming(
        logits[:first],
        logits[first:],
        reference=kind,
        mode=mode,
        epsilon=float(vectors[f"{name}__epsilon"]),
        indices=vectors[f"{name}__idx"],
    )
    key = {"step": "alpha_hat_step", "published": "alpha_hat_published_exact"}[mode]
    np.testing.assert_allclose(found.levels, vectors[f"{name}__{kind}_{key}"], **LEVEL)
    assert found.delta[0] == pytest.approx(float(vectors[f"{name}__delta_{mode}"]), abs=1e-12)
    if mode == "published":
        np.testing.assert_array_equal(found.grid_levels, vectors[f"{name}__{kind}_alpha_hat_published_grid"])
        mean = vectors[f"{name}__{kind}_alpha_hat_published_grid_mean"]
        np.testing.assert_allclose(found.grid_mean, mean, **DISTANCE)


@pytest.mark.parametrize(("kind", "key"), [("saturate", "clip__clip_out"), ("published", "clip__published_out")])
def test_clipping(kind, key):
    low, high = vectors["clip__bounds"]
    np.testing.assert_array_equal(clip_gaps(vectors["clip__in"], (low, high), kind=kind), vectors[key])


def test_every_expected_value_was_checked():
    assert not {key for key in vectors.unread() if key.rpartition("__")[2] not in INPUTS}
    assert not math.isnan(float(vectors["epsilon"]))
