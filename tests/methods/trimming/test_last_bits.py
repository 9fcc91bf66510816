"""Ranks do not hang on the last bits of outputs, which differ between processors."""

from __future__ import annotations

import numpy as np
import pytest

import runspread as rs
from runspread.methods._ties import merge, predicted_class, ranking, tolerance, top_class
from runspread.methods.ensembles import diversity, ensemble_sizes, select_ensemble
from runspread.methods.trimming import trimmed_distance, trimmed_examples, trimming_level, trimming_scores
from tests.methods.trimming.test_runs import made_gaps


def another_processor(values, seed=0):
    """The same numbers with other last bits."""
    steps = np.random.default_rng(seed).integers(-3, 4, size=np.shape(values))
    return values * (1 + steps * np.finfo(np.float64).eps)


@pytest.mark.parametrize("kind", ["mixture", "ensemble", "sampled"])
@pytest.mark.parametrize("mode", ["step", "published"])
@pytest.mark.parametrize("decimals", [0, 1, 2, 8])
def test_levels_do_not_hang_on_the_last_bits(kind, mode, decimals):
    """C1: 134 of 2,400 levels of an ensemble flipped between infinity and 0.3 on data with few decimals."""
    gaps = made_gaps(runs=12, decimals=decimals)
    settings = {"reference": kind, "mode": mode, "threshold": 0.11, "replicates": 10}
    expected = rs.trimming(gaps[:6], gaps[6:], **settings).levels
    for seed in range(3):
        other = another_processor(gaps, seed)
        found = rs.trimming(other[:6], other[6:], **settings).levels
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    if kind == "ensemble":  # summed in another order
        turned = rs.trimming(gaps[:6], gaps[:5:-1], **settings).levels
        np.testing.assert_allclose(turned, expected, rtol=0, atol=1e-12)


def test_levels_of_classes_do_not_hang_on_the_last_bits():
    logits = np.round(np.random.default_rng(1).normal(size=(12, 80, 3)), 1)
    other = another_processor(logits)
    for method in (rs.trimming, rs.representative_size):
        one, two = (method(array, replicates=10) for array in (logits, other))
        assert np.array_equal(one.levels, two.levels)
    one, two = (rs.same(array[:6], array[6:]) for array in (logits, other))
    assert (one.distance, one.tests.p_value, one.level, one.delta) == (
        two.distance,
        two.tests.p_value,
        two.level,
        two.delta,
    )
    one, two = (trimmed_examples(array, seed=1) for array in (logits, other))
    assert one.trimmed == pytest.approx(two.trimmed, abs=1e-12)
    assert np.array_equal(one.order(), two.order())


def test_pairs_of_samples_do_not_hang_on_the_last_bits():
    rng = np.random.default_rng(2)
    reference, candidate = (np.round(rng.normal(size=300), 1) for _ in range(2))
    noisy = another_processor(reference), another_processor(candidate, 1)
    for mode in ("step", "published"):
        assert trimmed_distance(*noisy, [0, 0.1, 0.3], mode=mode) == pytest.approx(
            trimmed_distance(reference, candidate, [0, 0.1, 0.3], mode=mode), abs=1e-12
        )
        assert trimming_level(*noisy, threshold=0.05, mode=mode) == pytest.approx(
            trimming_level(reference, candidate, threshold=0.05, mode=mode), abs=1e-12
        )


def test_samples_without_ties_stay_what_they_are():
    rng = np.random.default_rng(3)
    for scale in (1e-30, 1e-6, 1.0, 1e6, 1e300):
        one, other = scale * rng.normal(size=500), scale * rng.normal(size=(3, 400))
        kept = merge(one, other)
        assert kept[0] is one
        assert kept[1] is other


@pytest.mark.parametrize("mask", [-1e9, float(np.finfo(np.float32).min), -np.inf, 1e30])
def test_masks_do_not_make_other_outputs_equal(mask):
    rng = np.random.default_rng(4)
    gaps = rng.normal(size=(12, 80))
    masked = gaps.copy()
    masked[:, ::5] = mask
    assert tolerance(masked) == tolerance(gaps[:, np.arange(80) % 5 > 0])
    diverged = gaps.copy()
    diverged[7] = 1e30 * rng.normal(size=80)
    assert tolerance(diverged) == tolerance(np.delete(gaps, 7, 0))


def test_rounding_that_is_left_of_a_difference_is_no_output():
    """0.1 + 0.2 - 0.3 is 5e-17: 40 and more octaves below the largest output."""
    values = np.array([0.1 + 0.2 - 0.3, 0.0, 5.0, 5.0 + 1e-14])
    assert tolerance(values) == 2.0**-34
    assert np.unique(merge(values)[0]).size == 2


def test_equal_scores_are_ranked_in_their_order():
    scores = np.array([0.3, 0.1 + 0.2, 0.1, np.inf, 0.1 + 1e-16, np.inf, 0.2])
    assert ranking(scores).tolist() == [2, 4, 6, 0, 1, 3, 5]


def test_classes_that_are_equal_but_for_rounding_go_to_the_first():
    sums = np.array([[0.1 + 0.2, 0.3, 0.0], [0.3, 0.1 + 0.2, 0.0], [np.inf, 1.0, np.inf], [0.0, 1e-9, 0.0]])
    assert top_class(sums).tolist() == [0, 0, 0, 1]
    assert predicted_class(sums).tolist() == [0, 0, 0, 1]
    assert predicted_class(np.array([[0.1 + 0.2 - 0.3], [1e-9], [-1.0], [np.inf]])).tolist() == [0, 1, 0, 1]
    assert top_class(np.ones((3, 1))).tolist() == [0, 0, 0]


def decided(probabilities, labels, objective):
    """What a selection, its sizes and its controls decide."""
    found = select_ensemble(probabilities, labels, 4, objective=objective, n_random=3)
    sizes = ensemble_sizes(
        probabilities, labels, report=probabilities, report_labels=labels, sizes=(1, 2, 4), objective=objective
    )
    checked = found.cross_validation
    return [
        *found.path,
        *found.top_k,
        found.best_single,
        *(round(float(value), 9) for curve in sizes.curves.values() for value in curve),
        *(round(value, 9) for value in (checked.held_out, checked.held_out_single, checked.held_out_top_k)),
    ]


@pytest.mark.parametrize("objective", ["nll", "brier", "error"])
def test_choosing_does_not_hang_on_the_last_bits(objective):
    """Runs that are equally good, each on examples of its own, have scores that differ by rounding alone."""
    rng = np.random.default_rng(5)
    labels = rng.integers(3, size=60)
    sure = np.where(np.eye(3)[labels] == 1, 0.6, 0.2)
    unsure = np.where(np.eye(3)[labels] == 1, 0.1, 0.45)
    right = np.stack([rng.permutation(60) < 40 for _ in range(12)])
    probabilities = np.where(right[..., None], sure, unsure)
    expected = decided(probabilities, labels, objective)
    for seed in range(8):
        noisy = another_processor(probabilities, seed)
        assert decided(noisy, labels, objective) == expected


def test_scores_of_an_average_do_not_hang_on_the_last_bits():
    """Ties between classes, and confidences on the edge of a bin."""
    rng = np.random.default_rng(6)
    labels = rng.integers(3, size=400)
    parts = rng.multinomial(15, [0.4, 0.4, 0.2], size=(6, 400)) / 15
    expected = rs.ensemble_scores(parts, labels)
    for seed in range(8):
        found = rs.ensemble_scores(another_processor(parts, seed), labels)
        assert found.accuracy == expected.accuracy
        assert found.ece == pytest.approx(expected.ece, abs=1e-12)
        assert diversity(another_processor(parts, seed), labels).ensemble_accuracy == expected.accuracy


def test_churn_does_not_hang_on_the_last_bits():
    rng = np.random.default_rng(7)
    labels = rng.integers(3, size=200)
    logits = rng.permuted(np.tile([-0.1, 0.3, -0.2], (6, 200, 1)), axis=2)  # no ties in a run, many in sums of five
    levels = rs.trimming(logits, replicates=2)
    for outputs in (logits, logits[..., :1]):
        expected = trimming_scores(outputs, labels % 2, levels=levels, resamples=9).values[3]
        for seed in range(5):
            noisy = another_processor(outputs, seed)
            assert np.array_equal(trimming_scores(noisy, labels % 2, levels=levels, resamples=9).values[3], expected)
