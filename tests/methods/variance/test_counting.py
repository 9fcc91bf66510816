"""The counting kernels against plain NumPy, on both sides of every switch."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import runspread as rs
from runspread._reading import half
from runspread.errors import InputError
from runspread.methods.variance import RunStatistics, counting, poisson_binomial_pmf, run_statistics


@pytest.fixture(params=["compiled", "plain"])
def loops(request, monkeypatch) -> counting.Counting:
    """Either implementation; `RunStatistics` uses the same one."""
    if request.param == "compiled":
        pytest.importorskip("numba")
    monkeypatch.setattr(counting, "COMPILE_FROM", 0 if request.param == "compiled" else 2**63)
    return counting.load_counting(1)


@pytest.mark.parametrize("classes", [3, 39, 40, 200])
@pytest.mark.parametrize("easy", [0.0, 0.9])
@pytest.mark.usefixtures("loops")
def test_votes(classes, easy):
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, 90)
    predictions = rng.integers(-1, classes, (600, 90))
    predictions = np.where(rng.random(90) < easy, labels, predictions)
    votes = run_statistics(predictions, labels, n_classes=classes).votes
    every = [*range(classes), *([-1] if easy == 0 or (predictions < 0).any() else [])]
    expected = np.stack([(predictions == k).sum(axis=0) for k in every], axis=1)
    np.testing.assert_array_equal(votes.sum(axis=0), expected)


@pytest.mark.parametrize("distinct", [1, 5, 400])
def test_weighted_sums(loops, distinct):
    rng = np.random.default_rng(0)
    correct, weights = rng.random((700, 5001)) < 0.5, rng.integers(0, distinct, 700) + 9_000
    np.testing.assert_array_equal(loops.weighted_sums(correct, weights), weights @ correct.astype(int))


@pytest.mark.parametrize("step", [1, 2**24, 2**40])  # in 32 bits at once, in parts, not at all
def test_large_weights_stay_exact(loops, step):
    correct, weights = np.ones((600, 2), bool), np.arange(600) * step + 2**40
    np.testing.assert_array_equal(loops.weighted_sums(correct, weights), [int(weights.sum())] * 2)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("examples", [1, 7, 8, 64, 65, 131, 2**15 + 9])
def test_half_sums(monkeypatch, loops, native, examples):
    if not native:
        monkeypatch.delattr(np, "bitwise_count", raising=False)
    rng = np.random.default_rng(1)
    correct, first = rng.random((20, examples)) < 0.5, rng.random(examples) < 0.5
    expected = np.stack([correct[:, first].sum(axis=1), correct[:, ~first].sum(axis=1)], axis=1)
    np.testing.assert_array_equal(loops.half_sums(correct, first), expected)
    ones = np.ones((1, 2 * 2**16), bool)  # more than 16 bits can count
    assert loops.half_sums(ones, ones[0]).tolist() == [[2 * 2**16, 0]]
    packed = counting.packed_rows(correct)
    np.testing.assert_array_equal(np.concatenate(list(counting.unpacked_rows(packed, examples))), correct)


@pytest.mark.parametrize("rows", [1, 255, 256, 700])
def test_column_sums(loops, rows):
    correct = np.random.default_rng(2).random((rows, 4099)) < 0.9
    np.testing.assert_array_equal(loops.column_sums(correct), correct.sum(axis=0))
    np.testing.assert_array_equal(loops.column_sums(correct[::2]), correct[::2].sum(axis=0))


@pytest.mark.parametrize("kind", [bool, np.int8, np.int16])
@pytest.mark.parametrize("examples", [1, 8, 77])
def test_fingerprints_tell_rows_apart(loops, kind, examples):
    """One changed outcome, and two rows exchanged, anywhere."""
    rng = np.random.default_rng(3)
    row = rng.integers(0, 2, examples).astype(kind)
    rows = np.repeat(row[None], 2 * examples + 1, axis=0)
    for i in range(examples):
        rows[i + 1, i] = not row[i]
        rows[examples + i + 1] = np.roll(rows[1], i)
    alike = (rows[:, None] == rows).all(axis=2)
    prints = loops.fingerprints(rows)
    np.testing.assert_array_equal(prints[:, None] == prints, alike)


def test_compiled_loops_give_the_same_statistics(monkeypatch):
    pytest.importorskip("numba")
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 5, 101)
    predictions = np.where(rng.random((530, 101)) < 0.8, labels, rng.integers(-1, 5, (530, 101)))
    predictions[7] = predictions[400]
    made = []
    for limit in (0, 2**63):
        monkeypatch.setattr(counting, "COMPILE_FROM", limit)
        for plan in ({"n_runs": 530}, {}):
            statistics = RunStatistics(labels, n_classes=5, **plan)
            for start in range(0, 530, 100):
                statistics.update(predictions[start : start + 100])
            made.append(statistics)
    for a, b in zip(made[:2], made[2:], strict=True):
        assert a.sums == b.sums
        assert a.duplicate_pairs == b.duplicate_pairs == 1
        for name in ("right_by_group", "weighted", "votes", "correct_by_half", "first_run"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


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


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("columns", [2, 5, 200])
def test_rows_of_any_bits_are_decided_as_numpy_decides_them(monkeypatch, compiled, columns):
    if compiled:
        pytest.importorskip("numba")
        monkeypatch.setattr(half, "_COMPILE_FROM", 0)
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)  # NaN of all kinds, both infinities, both zeros
    rows = np.random.default_rng(4).permutation(np.tile(every, columns)).reshape(-1, columns)
    rows[: len(rows) // 4] = rows[: len(rows) // 4, :1]  # ties
    best, odd = half.half_decided(rows)
    np.testing.assert_array_equal(best, rows.argmax(axis=1))
    np.testing.assert_array_equal(odd, ~np.isfinite(np.take_along_axis(rows, best[:, None].astype(int), axis=1)[:, 0]))


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int64])
def test_classes_beyond_a_byte(kind):
    high = min(250, np.iinfo(kind).max)
    labels = np.array([0, 1, high, high - 1])
    predictions = np.array([[0, 1, high, 0], [0, 0, high, high - 1], [1, 1, 1, high - 1]], kind)
    result = rs.variance(predictions, labels)
    np.testing.assert_array_equal(result.outcomes.correct, (predictions == labels.astype(kind)).sum(axis=1))


def test_label_beyond_the_type_of_the_predictions():
    """255 as a label must not wrap to -1, the mark of an abstention."""
    result = rs.variance(np.array([[-1, 0], [-1, 1]], np.int8), np.array([255, 0]))
    assert result.outcomes.correct.tolist() == [1, 0]


def test_kept_bits_make_statistics_as_good_as_the_outcomes():
    rng = np.random.default_rng(3)
    matrix, weights = rng.random((30, 45)) < 0.8, rng.random(45)
    parts = [RunStatistics(n_examples=45, n_runs=30, keep_bits=True) for _ in range(2)]
    parts[0].update_correct(matrix[:11], start=0)
    parts[1].update_correct(matrix[11:], start=11)
    parts[1].merge(parts[0])
    whole, streamed = rs.variance(correct=matrix, weights=weights), rs.variance(parts[1], weights=weights)
    expected = whole.to_dict() | {"run_ids": []}
    found = streamed.to_dict()
    for key, value in expected.items():
        assert found[key] == value or found[key] == pytest.approx(value), key
    with pytest.raises(InputError, match="keep_bits"):
        rs.variance(run_statistics(matrix.astype(int), np.ones(45, int)), weights=weights)


def test_one_run_at_a_time_in_any_order():
    rng = np.random.default_rng(4)
    matrix = rng.random((50, 20)) < 0.7
    statistics = RunStatistics(n_examples=20, n_runs=50)
    for run in rng.permutation(50):
        statistics.update_correct(matrix[run : run + 1], start=int(run))
    np.testing.assert_array_equal(statistics.correct, matrix.sum(axis=1))
    with pytest.raises(InputError, match="twice"):
        statistics.update_correct(matrix[:1], start=7)


def test_poisson_binomial_against_scipy():
    binomial = getattr(stats, "poisson_binom", None)  # SciPy 1.15
    if binomial is None:
        pytest.skip("this SciPy has no Poisson-binomial law")
    p = np.random.default_rng(5).beta(0.6, 0.04, 700)
    np.testing.assert_allclose(poisson_binomial_pmf(p), binomial.pmf(np.arange(701), p), atol=1e-12)
