from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods.variance import (
    best_seed_selection,
    independence_test,
    pair_deviations,
    run_accuracies,
    two_group_tasks,
)
from tests.methods.variance.probit import draw


def test_common_factor_is_found():
    found = independence_test(correct=draw(np.random.default_rng(0), 40, 150, 0.4)[0], resamples=99)
    assert found.p_permutation == found.p_ks == 0.01
    assert found.p_chi2 < 1e-6
    assert "speak against" in found.sentence()
    assert len(found.table()) == 3


def test_independent_errors_are_not():
    found = independence_test(correct=draw(np.random.default_rng(1), 40, 150, 0.0)[0], resamples=99)
    assert min(found.p_permutation, found.p_ks) > 0.05
    plain = rs.variance(correct=draw(np.random.default_rng(1), 40, 150, 0.0)[0])
    assert (found.f_ratio, found.ks_stat) == pytest.approx((plain.test.f_ratio, plain.distribution.ks), rel=1e-12)


@pytest.mark.parametrize(
    ("p_permutation", "p_ks", "whole", "speaks"),
    [(0.03, 0.4, 0.06, False), (0.4, 0.03, 0.06, False), (0.02, 0.9, 0.04, True), (0.8, 0.7, 1.0, False)],
)
def test_two_looks_share_one_level(p_permutation, p_ks, whole, speaks):
    """Audit A14: each look at 5 % spoke against independent errors in 5.5 to 9.3 % of honest data sets."""
    found = independence_test(correct=draw(np.random.default_rng(1), 5, 60, 0.0)[0], resamples=99)
    found = dataclasses.replace(found, p_permutation=p_permutation, p_ks=p_ks)
    assert found.p_value == pytest.approx(whole)
    assert (" examples speak against" in found.sentence()) is speaks
    assert found.to_dict()["p_value"] == found.p_value


def test_independent_errors_are_rarely_spoken_against():
    """Audit A14: in at most 11 of 150 honest data sets, where 5 % are promised; a factor that runs share is found."""
    rng, spoke = np.random.default_rng(5), 0
    for _ in range(150):
        found = independence_test(correct=draw(rng, 8, 30, 0.0)[0], resamples=39, seed=rng)
        spoke += " examples speak against" in found.sentence()
    assert spoke <= 11
    against = [independence_test(correct=draw(rng, 8, 60, 1.0)[0], resamples=39, seed=rng) for _ in range(10)]
    assert sum(found.p_value <= 0.05 for found in against) >= 9


def test_many_runs_draw_from_the_law():
    matrix = np.random.default_rng(2).random((5000, 12)) < 0.7
    assert independence_test(correct=matrix, resamples=19).p_ks > 0.05


def test_permutation_by_enumeration():
    """Two runs on two examples, both right once: of the four arrangements two have equal counts."""
    p = independence_test(correct=[[1, 1], [0, 0]], resamples=3999, seed=3).p_permutation
    assert p == pytest.approx(0.5, abs=0.04)


def test_refusals():
    with pytest.raises(InputError, match="one run"):
        independence_test(correct=[[1, 0]])
    with pytest.raises(InputError, match="resamples"):
        independence_test(correct=np.eye(3), resamples=0)


def test_perfect_runs_and_copies():
    right = independence_test(correct=np.ones((3, 20)), resamples=3)
    assert "cannot tell" in right.sentence()
    assert "nan" not in right.sentence()
    assert right.warnings[0].startswith("3 pairs of runs have identical outcomes: independent errors")
    matrix = draw(np.random.default_rng(4), 10, 150, 0.0)[0]
    matrix[3] = matrix[2]
    for result in (independence_test(correct=matrix, resamples=3), pair_deviations(correct=matrix)):
        assert result.warnings == ("1 pair of runs has identical outcomes: " + COPIES,)


COPIES = "repeated seeds or copies bias every variance and interval."


def test_two_group_tasks_of_perfect_runs_and_copies():
    labels = np.arange(40) % 3
    perfect = two_group_tasks(np.tile(labels, (4, 1)), labels)
    assert "do not differ" in perfect.sentence()
    assert "nan" not in perfect.sentence()
    predicted = np.random.default_rng(5).integers(0, 3, (6, 40))
    predicted[1] = predicted[0]
    assert two_group_tasks(predicted, labels).warnings == ("1 pair of runs has identical outcomes: " + COPIES,)


def test_policies_are_everywhere():
    """What `variance` does with missing outcomes and NaN, the methods that read the same runs do."""
    matrix = draw(np.random.default_rng(6), 8, 40, 0.0)[0].astype(float)
    full = matrix[:, 1:]
    matrix[3, 0] = np.nan
    same = {"correct": matrix, "missing": "intersect"}
    for method in (pair_deviations, run_accuracies, best_seed_selection):
        found, expected = method(**same), method(correct=full)
        assert [note for note in found.warnings if "1 of 40 examples was excluded" in note], method
        np.testing.assert_equal({**found.to_dict(), "warnings": []}, {**expected.to_dict(), "warnings": []})
    assert independence_test(**same, resamples=3).n_examples == 39
    both = rs.compare(correct=(matrix, draw(np.random.default_rng(7), 8, 40, 0.0)[0]), missing="intersect")
    assert both.n_examples == 39
    dropped = rs.compare(correct=(matrix, matrix), missing="drop_run")
    assert [item.run for item in dropped.excluded] == ["A: run 3", "B: run 3"]
    logits = np.random.default_rng(8).normal(size=(5, 9, 3))
    logits[2, 1] = np.nan
    assert pair_deviations(logits, np.arange(9) % 3, nan="exclude").n_runs == 4
