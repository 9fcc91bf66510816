"""The counting kernels against plain NumPy, on both sides of every switch."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import runspread as rs
from runspread._methods.variance import counting, half


@pytest.mark.parametrize("classes", [3, 39, 40, 200])
@pytest.mark.parametrize("easy", [0.0, 0.9])
def test_votes(classes, easy):
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, 90)
    predictions = rng.integers(-1, classes, (600, 90))
    predictions = np.where(rng.random(90) < easy, labels, predictions)
    votes = rs.run_statistics(predictions, labels, n_classes=classes).votes
    every = [*range(classes), *([-1] if easy == 0 or (predictions < 0).any() else [])]
    expected = np.stack([(predictions == k).sum(axis=0) for k in every], axis=1)
    np.testing.assert_array_equal(votes.sum(axis=0), expected)


@pytest.mark.parametrize("distinct", [1, 5, 400])
def test_weighted_sums(distinct):
    rng = np.random.default_rng(0)
    correct, weights = rng.random((700, 33)) < 0.5, rng.integers(0, distinct, 700) + 9_000
    np.testing.assert_array_equal(counting.weighted_sums(correct, weights), weights @ correct.astype(int))


def test_large_weights_stay_exact():
    correct, weights = np.ones((600, 2), bool), np.arange(600) + 2**40
    np.testing.assert_array_equal(counting.weighted_sums(correct, weights), [int(weights.sum())] * 2)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("examples", [1, 7, 8, 64, 65, 131])
def test_split_sums(monkeypatch, native, examples):
    if not native:
        monkeypatch.delattr(np, "bitwise_count", raising=False)
    rng = np.random.default_rng(1)
    correct, first = rng.random((20, examples)) < 0.5, rng.random(examples) < 0.5
    packed = counting.packed_rows(correct)
    expected = np.stack([correct[:, first].sum(axis=1), correct[:, ~first].sum(axis=1)], axis=1)
    np.testing.assert_array_equal(counting.split_sums(packed, first), expected)
    np.testing.assert_array_equal(np.concatenate(list(counting.unpacked_rows(packed, examples))), correct)


@pytest.mark.parametrize("compiled", [True, False])
def test_argmax_of_float16(monkeypatch, compiled):
    if compiled:
        pytest.importorskip("numba")
        monkeypatch.setattr(half, "_COMPILE_FROM", 0)
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(5000, 7)).astype(np.float16)
    rows[:2000] = rng.choice(np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, 6e-8, -6e-8], np.float16), (2000, 7))
    rows[10:300:7, 3] = np.nan
    rows[0] = -np.inf
    np.testing.assert_array_equal(half.half_argmax(rows), rows.argmax(axis=1))


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int64])
def test_classes_beyond_a_byte(kind):
    high = min(250, np.iinfo(kind).max)
    labels = np.array([0, 1, high, high - 1])
    predictions = np.array([[0, 1, high, 0], [0, 0, high, high - 1], [1, 1, 1, high - 1]], kind)
    result = rs.variance(predictions, labels)
    np.testing.assert_array_equal(result.correct, (predictions == labels.astype(kind)).sum(axis=1))


def test_label_beyond_the_type_of_the_predictions():
    """255 as a label must not wrap to -1, the mark of an abstention."""
    result = rs.variance(np.array([[-1, 0], [-1, 1]], np.int8), np.array([255, 0]))
    assert result.correct.tolist() == [1, 0]


def test_kept_bits_make_statistics_as_good_as_the_outcomes():
    rng = np.random.default_rng(3)
    matrix, weights = rng.random((30, 45)) < 0.8, rng.random(45)
    parts = [rs.RunStatistics(n_examples=45, n_runs=30, keep_bits=True) for _ in range(2)]
    parts[0].update_correct(matrix[:11], start=0)
    parts[1].update_correct(matrix[11:], start=11)
    parts[1].merge(parts[0])
    whole, streamed = rs.variance(correct=matrix, weights=weights), rs.variance(parts[1], weights=weights)
    expected = whole.to_dict() | {"run_ids": []}
    found = streamed.to_dict()
    for key, value in expected.items():
        assert found[key] == value or found[key] == pytest.approx(value), key
    with pytest.raises(rs.InputError, match="keep_bits"):
        rs.variance(rs.run_statistics(matrix.astype(int), np.ones(45, int)), weights=weights)


def test_one_run_at_a_time_in_any_order():
    rng = np.random.default_rng(4)
    matrix = rng.random((50, 20)) < 0.7
    statistics = rs.RunStatistics(n_examples=20, n_runs=50)
    for run in rng.permutation(50):
        statistics.update_correct(matrix[run : run + 1], start=int(run))
    np.testing.assert_array_equal(statistics.correct, matrix.sum(axis=1))
    with pytest.raises(rs.InputError, match="twice"):
        statistics.update_correct(matrix[:1], start=7)


def test_poisson_binomial_against_scipy():
    binomial = getattr(stats, "poisson_binom", None)  # SciPy 1.15
    if binomial is None:
        pytest.skip("this SciPy has no Poisson-binomial law")
    p = np.random.default_rng(5).beta(0.6, 0.04, 700)
    np.testing.assert_allclose(rs.poisson_binomial_pmf(p), binomial.pmf(np.arange(701), p), atol=1e-12)
