"""Two-group tasks from streamed statistics: the same integers in any chunking and any order of merging."""

from __future__ import annotations

import numpy as np
import pytest

from runspread.errors import InputError
from runspread.methods.variance import RunStatistics, run_statistics, two_group_tasks


@pytest.fixture
def runs():
    rng = np.random.default_rng(0)
    return rng.integers(-1, 5, (13, 70)), rng.integers(0, 4, 70)


def assert_same(found, expected):
    np.testing.assert_equal(found.to_dict(), expected.to_dict())  # NaN equals NaN


@pytest.mark.parametrize("step", [1, 4, 13])
@pytest.mark.parametrize("n_classes", [None, 6])
def test_any_chunking(runs, step, n_classes):
    predicted, labels = runs
    statistics = RunStatistics(labels, n_classes=n_classes, keep_confusion=True)
    for start in range(0, 13, step):
        statistics.update(predicted[start : start + step])
    assert_same(two_group_tasks(statistics), two_group_tasks(predicted, labels, n_classes=n_classes))


@pytest.mark.parametrize("declared", [None, 13])
def test_any_merging(runs, declared):
    predicted, labels = runs
    parts = []
    for start, stop in ((6, 13), (0, 2), (2, 6)) if declared else ((0, 2), (2, 6), (6, 13)):
        parts.append(RunStatistics(labels, n_runs=declared, keep_confusion=True))
        parts[-1].update(predicted[start:stop], start=start if declared else None)
    for part in parts[1:]:
        parts[0].merge(part)
    assert_same(two_group_tasks(parts[0]), two_group_tasks(predicted, labels))
    expected = [[[((labels == t) & (row == k)).sum() for k in range(5)] for t in range(5)] for row in predicted]
    np.testing.assert_array_equal(parts[0].confusion, expected)


def test_classes_that_appear_late():
    labels = np.array([0, 1, 0])
    statistics = RunStatistics(labels, keep_confusion=True)
    statistics.update([[0, 1, 1]])
    statistics.update([[3, 1, 0]])
    assert statistics.confusion.shape == (2, 4, 4)
    assert_same(two_group_tasks(statistics), two_group_tasks(np.array([[0, 1, 1], [3, 1, 0]]), labels))


@pytest.mark.parametrize(("examples", "kind"), [(2**16 - 1, np.uint16), (2**16, np.uint32)])
def test_counts_never_overflow(examples, kind):
    statistics = RunStatistics(np.zeros(examples, int), n_classes=2, keep_confusion=True)
    statistics.update(np.zeros((2, examples), np.int8))
    assert statistics.confusion.dtype == kind
    assert statistics.confusion[:, 0, 0].tolist() == [examples, examples]


def test_run_statistics_of_logits():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(6, 30, 4)), rng.integers(0, 4, 30)
    assert_same(two_group_tasks(run_statistics(logits, labels, keep_confusion=True)), two_group_tasks(logits, labels))


def test_what_statistics_lack_is_said(runs):
    predicted, labels = runs
    plain = run_statistics(predicted, labels)
    assert plain.confusion is None
    kept = RunStatistics(labels, keep_confusion=True)
    with pytest.raises(InputError, match="keep_confusion=True"):
        two_group_tasks(plain)
    with pytest.raises(InputError, match="no run"):
        two_group_tasks(kept)
    kept.update(predicted[:1])
    with pytest.raises(InputError, match="one run"):
        two_group_tasks(kept)
    with pytest.raises(InputError, match="beside statistics"):
        two_group_tasks(kept, labels)
    with pytest.raises(InputError, match="Call update"):
        kept.update_correct(np.ones((1, 70), bool))
    with pytest.raises(InputError, match="the same arguments"):
        plain.merge(RunStatistics(labels, n_runs=13, keep_confusion=True))
    with pytest.raises(InputError, match="without labels or votes"):
        RunStatistics(n_examples=70, keep_confusion=True)
    with pytest.raises(InputError, match="17 classes"):
        two_group_tasks(run_statistics(predicted, labels, n_classes=17, keep_confusion=True))
