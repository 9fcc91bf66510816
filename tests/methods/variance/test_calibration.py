"""Calibration, disagreement and two-group tasks: definitions by brute force, bounds, edge cases."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods.variance import run_statistics, two_group_tasks


@pytest.fixture(scope="module")
def votes():
    rng = np.random.default_rng(0)
    q = rng.dirichlet(np.full(5, 0.3), 60)
    predictions = np.stack([[rng.choice(5, p=row) for row in q] for _ in range(14)])
    labels = np.array([rng.choice(5, p=row) for row in q])
    return predictions, labels


def test_disagreement_over_run_pairs_and_triples(votes):
    predictions, labels = votes
    result = rs.calibration(predictions, labels)
    pairs = [(a != b).mean() for a, b in itertools.combinations(predictions, 2)]
    triples = [((a != b) & (b != c) & (a != c)).mean() for a, b, c in itertools.combinations(predictions, 3)]
    one_right = [((a == labels) != (b == labels)).mean() for a, b in itertools.combinations(predictions, 2)]
    assert result.disagreement.rate == pytest.approx(np.mean(pairs), rel=1e-12)
    assert result.disagreement.three_distinct == pytest.approx(np.mean(triples), rel=1e-12)
    assert result.disagreement.correctness == pytest.approx(np.mean(one_right), rel=1e-12)


def test_bounds(votes):
    result = rs.calibration(*votes)
    assert result.errors.cwce >= result.errors.cace
    assert result.errors.cace <= 2
    assert result.predicted.binomial >= result.measured.var_ind * (result.n_runs - 1) / result.n_runs
    one_bin = rs.calibration(*votes, bins=1)
    assert one_bin.errors.cace == 0  # labels and votes both sum to n
    assert result.to_dict()["cace_15"] == result.errors.cace


def test_two_runs_have_no_triples(votes):
    result = rs.calibration(votes[0][:2], votes[1])
    assert math.isnan(result.disagreement.three_distinct)
    assert math.isnan(result.predicted.without_labels)
    assert not math.isnan(result.disagreement.rate)
    assert "disagree" in result.sentence()


def test_one_run(votes):
    result = rs.calibration(votes[0][:1], votes[1])
    assert math.isnan(result.disagreement.rate)
    assert math.isnan(result.errors.cace_crossfit)
    assert result.err == pytest.approx((votes[0][0] != votes[1]).mean())
    assert "takes two" in result.sentence()


def test_abstention_is_a_class_of_its_own():
    predictions = np.array([[-1, 0, 1], [-1, 1, 1], [0, -1, 1]])
    result = rs.calibration(predictions, [0, 1, 1], n_classes=2)
    assert result.n_classes == 3
    assert result.disagreement.rate == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_out_of_range(votes):
    with pytest.raises(InputError, match="values of labels are out of range"):
        rs.calibration(*votes, n_classes=4)
    with pytest.raises(InputError, match="values of predictions are out of range"):
        rs.calibration(votes[0], np.zeros(60, int), n_classes=4)
    with pytest.raises(InputError, match="bins"):
        rs.calibration(*votes, bins=0)
    with pytest.raises(InputError, match="votes"):
        rs.calibration(run_statistics(*votes, votes=False))


def test_statistics_give_the_same(votes):
    statistics = run_statistics(*votes)
    assert rs.calibration(statistics).to_json() == rs.calibration(*votes).to_json()


def test_curve_of_calibrated_votes():
    """Labels drawn from the vote shares themselves: the curve lies on the diagonal."""
    rng = np.random.default_rng(1)
    q = rng.dirichlet(np.full(3, 0.5), 4000)
    cumulative = q.cumsum(axis=1)
    predictions = (rng.random((200, 4000, 1)) > cumulative).sum(axis=2)
    labels = (rng.random((4000, 1)) > cumulative).sum(axis=1)
    result = rs.calibration(predictions, labels)
    filled = result.curve.cells > 200
    np.testing.assert_allclose(result.curve.hit[filled], result.curve.share[filled], atol=0.08)
    assert result.errors.cace_crossfit < 0.06
    assert result.predicted.with_labels == pytest.approx(result.measured.var_ind, rel=0.05)
    assert result.predicted.without_labels == pytest.approx(result.measured.var_ind, rel=0.05)


def test_tasks_by_collapsing(votes):
    predictions, labels = votes
    tasks = two_group_tasks(predictions, labels)
    assert len(tasks.mask) == 15
    for row, mask in enumerate(tasks.mask.tolist()):
        positive = np.array([mask >> k & 1 for k in range(5)])
        one = rs.variance(positive[predictions], positive[labels], pairs="none")
        found = tasks.err[row], tasks.var_test[row], tasks.var_ind[row], tasks.var_dist[row]
        expected = 1 - one.mean_acc, one.var_test, one.var_ind, one.var_dist
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    assert len(tasks.table()) == 15
    assert "15 two-group tasks" in tasks.sentence()


def test_tasks_with_abstentions():
    predictions, labels = np.array([[0, -1, 2], [1, 1, 2]]), np.array([0, 1, 2])
    tasks = two_group_tasks(predictions, labels)
    # abstaining is wrong in every task: run 0 has example 1 wrong whatever the groups
    np.testing.assert_allclose(tasks.err, [(1 + 1) / 6, (1 + 1) / 6, 1 / 6])


@pytest.mark.parametrize(("runs", "classes", "found"), [(1, 3, "one run"), (3, 17, "17 classes"), (3, 1, "1 classes")])
def test_tasks_refuse(runs, classes, found):
    with pytest.raises(InputError, match=found):
        two_group_tasks(np.zeros((runs, 4), int), np.zeros(4, int), n_classes=classes)


def test_the_calibration_error_is_biased_at_few_runs_only():
    """It was said of 300 runs too."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 60)
    for runs, biased in ((5, True), (99, True), (100, False), (300, False)):
        predicted = np.where(rng.random((runs, 60)) < 0.7, labels, (labels + 1) % 3)
        assert ("biased upwards at so few runs" in rs.calibration(predicted, labels).sentence()) is biased
