"""Clusters enter every number that the independence of examples enters (audit A3), in every method that takes them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods.variance import RunStatistics, run_accuracies, run_statistics, score_variance, two_group_tasks
from runspread.methods.variance.clusters import Grouping, mean_variance
from tests.methods.variance.probit import draw_clustered

CLUSTERED = (
    "var_ind",
    "var_dist",
    "ci_fixed_hi",
    "ci_pop_hi",
    "p_chi2",
    "se_mean_dist",
    "corr_half",
    "kr20",
    "f_ratio",
)


@pytest.fixture(scope="module")
def runs():
    sizes = np.random.default_rng(0).integers(2, 12, 40)
    matrix, _, clusters = draw_clustered(np.random.default_rng(1), 12, sizes, 0.0, 1.0)
    order = np.random.default_rng(2).permutation(len(clusters))
    return matrix[:, order], clusters[order]


def test_clusters_enter_estimate_interval_p_and_sentence(runs):
    matrix, clusters = runs
    plain, result = rs.variance(correct=matrix), rs.variance(correct=matrix, clusters=clusters)
    assert plain.test.p_value < 1e-6 < 0.01 < result.test.p_value  # errors shared inside clusters are no real spread
    assert plain.sd_interval[0] > 0 == result.sd_interval[0]
    assert result.sd_ind > 1.5 * plain.sd_ind
    assert result.intervals.se_mean_dist > 1.2 * plain.intervals.se_mean_dist
    assert result.intervals.mean_low < plain.intervals.mean_low < plain.intervals.mean_high < result.intervals.mean_high
    assert "in 40 clusters" in result.sentence()
    assert "independent clusters give" in result.sentence()
    assert "independent clusters alone" in result.table()["spread"]
    assert "cluster" not in plain.sentence()


def test_clusters_by_any_name_and_in_any_order(runs):
    matrix, clusters = runs
    expected = rs.variance(correct=matrix, clusters=clusters).to_dict()
    names = np.array([f"patient {7 * c % 40}" for c in clusters])
    order = np.random.default_rng(5).permutation(len(clusters))
    for other in (
        rs.variance(correct=matrix, clusters=names),
        rs.variance(correct=matrix[:, order], clusters=clusters[order]),
    ):
        for name in ("var_dist_cluster", "ci_fixed_hi_cluster", "ci_pop_hi_cluster", "p_chi2_cluster"):
            assert other.to_dict()[name] == pytest.approx(expected[name], rel=1e-9)


def test_an_example_a_cluster_changes_nothing(runs):
    matrix, _ = runs
    plain = rs.variance(correct=matrix).to_dict()
    single = rs.variance(correct=matrix, clusters=np.arange(matrix.shape[1])).to_dict()
    assert single.pop("n_clusters") == matrix.shape[1]
    assert single.pop("var_dist_cluster") == plain["var_dist"]
    del plain["n_clusters"]
    np.testing.assert_equal(single, plain)


def test_old_keys_are_those_without_clusters(runs):
    matrix, clusters = runs
    plain, result = rs.variance(correct=matrix), rs.variance(correct=matrix, clusters=clusters)
    keys = result.to_dict()
    for name in CLUSTERED:
        assert keys[name] == plain.to_dict()[name]
        assert keys[f"{name}_cluster"] != keys[name]
    shown = result.components.kr20, result.test.p_value, result.intervals.var_pop_high
    assert shown == (keys["kr20_cluster"], keys["p_chi2_cluster"], keys["ci_pop_hi_cluster"])
    # what is said has no unclustered twin
    assert keys["sd_pop"] == list(result.intervals.sd_pop) != list(plain.intervals.sd_pop)


def test_halves_are_made_of_whole_clusters(runs):
    matrix, clusters = runs
    found = rs.variance(correct=matrix, clusters=clusters)
    first = clusters % 2 == 0
    assert found.halves.sizes == (first.sum(), (~first).sum())
    np.testing.assert_array_equal(found.halves.correct[:, 0], matrix[:, first].sum(axis=1))
    own = np.arange(len(clusters)) < 50
    given = rs.variance(correct=matrix, clusters=clusters, first_half=own)
    np.testing.assert_array_equal(given.halves.correct[:, 0], matrix[:, :50].sum(axis=1))


def test_jackknife_over_clusters_leaves_each_out(runs):
    matrix, clusters = runs
    left = [
        rs.variance(correct=matrix[:, clusters != g], clusters=clusters[clusters != g], pairs="none").var_dist
        for g in range(40)
    ]
    direct = 39 / 40 * np.square(left - np.mean(left)).sum()
    assert rs.variance(correct=matrix, clusters=clusters).jackknife.examples == pytest.approx(direct, rel=1e-9)


def test_standard_error_of_the_mean_over_clusters(runs):
    matrix, clusters = runs
    found = rs.variance(correct=matrix, clusters=clusters)
    of_items = mean_variance(matrix.mean(axis=0), Grouping.of(clusters, len(clusters))).variance
    assert found.intervals.se_mean_dist**2 == pytest.approx(max(of_items, of_items + found.var_dist / 12), rel=1e-9)


def test_two_runs_and_few_clusters(runs):
    matrix, clusters = runs
    two = rs.variance(correct=matrix[:2], clusters=clusters)
    assert two.interval_covers == "runs and clusters"
    few = rs.variance(correct=matrix, clusters=clusters // 14)
    assert "3 clusters: little can be said about new clusters." in few.warnings
    assert rs.variance(correct=matrix, clusters=clusters // 20).interval_covers == "runs"
    assert math.isnan(rs.variance(correct=matrix[:1], clusters=clusters).test.p_value)
    with pytest.raises(InputError, match="all the same") as error:
        rs.variance(correct=matrix, clusters=np.zeros(matrix.shape[1]))
    assert "Omit clusters" in error.value.hint
    rs.variance(correct=matrix)  # the hint


def test_clusters_need_no_bits(runs, monkeypatch):
    """What is too large to be kept in bits is read once more."""
    matrix, clusters = runs
    expected = rs.variance(correct=matrix, clusters=clusters)
    monkeypatch.setattr("runspread.methods.variance.statistics._MOST_BITS", 10)
    found = rs.variance(correct=matrix, clusters=clusters)
    assert (found.var_dist, found.intervals.var_pop_high) == (expected.var_dist, expected.intervals.var_pop_high)
    statistics = RunStatistics(n_examples=matrix.shape[1], votes=False)
    statistics.update_correct(matrix)
    with pytest.raises(InputError, match="keep_bits=True"):
        rs.variance(statistics, clusters=clusters)


def test_clusters_of_scores_of_any_kind(runs):
    matrix, clusters = runs
    found = score_variance(matrix.astype(float), clusters=clusters)
    expected = rs.variance(correct=matrix, clusters=clusters)
    assert found.var_dist == pytest.approx(expected.var_dist, rel=1e-9)
    assert found.ci_fixed_hi == pytest.approx(expected.intervals.var_fixed_high, rel=1e-9)
    assert found.sd_interval == pytest.approx(expected.intervals.sd_fixed, rel=1e-9)
    assert "independent clusters give" in found.sentence()


def test_run_accuracies_take_clusters(runs):
    matrix, clusters = runs
    found, plain = run_accuracies(correct=matrix, clusters=clusters), run_accuracies(correct=matrix)
    assert found.kr20 == rs.variance(correct=matrix, clusters=clusters).components.kr20 < plain.kr20
    result = rs.variance(correct=matrix)
    with pytest.raises(InputError, match="clusters beside a VarianceResult"):
        run_accuracies(result, clusters=clusters)


@pytest.fixture(scope="module")
def predictions(runs):
    """Predicted classes whose correctness is that of `runs`."""
    matrix, clusters = runs
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 4, matrix.shape[1])
    return np.where(matrix, labels, (labels + rng.integers(1, 4, matrix.shape)) % 4), labels, clusters


def test_calibration_takes_clusters(predictions):
    predicted, labels, clusters = predictions
    plain, found = rs.calibration(predicted, labels), rs.calibration(predicted, labels, clusters=clusters)
    same = rs.variance(predicted, labels, clusters=clusters)
    assert (found.measured.var_ind, found.measured.var_dist, found.measured.p_value) == (
        same.var_ind,
        same.var_dist,
        same.test.p_value,
    )
    assert found.disagreement.gap_high - found.disagreement.gap_low > 1.2 * (
        plain.disagreement.gap_high - plain.disagreement.gap_low
    )
    assert "in 40 clusters" in found.sentence()
    assert "from independent clusters" in found.sentence()
    assert "independent clusters, measured" in found.table()["sd of independent errors"]
    assert (
        found.table()["percentage points"][:6] == plain.table()["percentage points"]
    )  # predictions are of independent examples


def test_the_gap_of_calibration_by_its_formula(predictions):
    predicted, labels, clusters = predictions
    runs = len(predicted)
    apart = np.mean([predicted[r] != predicted[s] for r in range(runs) for s in range(runs) if r != s], axis=0)
    gap = apart - (predicted != labels).mean(axis=0)
    found = rs.calibration(predicted, labels, clusters=clusters)
    variance, degrees = mean_variance(gap, Grouping.of(clusters, len(clusters)))
    half = (found.disagreement.gap_high - found.disagreement.gap_low) / 2
    assert found.disagreement.gap == pytest.approx(gap.mean())
    assert (found.disagreement.gap_high + found.disagreement.gap_low) / 2 == pytest.approx(gap.mean())
    from scipy.stats import t

    assert half == pytest.approx(t.ppf(0.975, degrees) * math.sqrt(variance), rel=1e-9)


def test_over_and_understates_follow_the_interval():
    labels = np.zeros(200, int)
    rng = np.random.default_rng(7)
    predicted = (rng.random((6, 200)) < 0.3).astype(int)
    found = rs.calibration(predicted, labels, n_classes=2)
    assert ("overstates" in found.sentence()) == (found.disagreement.gap_low > 0)
    agreeing = np.repeat(predicted[:1], 6, axis=0)
    assert "disagreement understates the error" in rs.calibration(agreeing, labels).sentence()
    even = rs.calibration((rng.random((6, 200)) < 0.5).astype(int), labels, n_classes=2)
    assert even.disagreement.gap_low < 0 < even.disagreement.gap_high
    assert "no gap is shown between them" in even.sentence()
    assert "the same on every example" in rs.calibration(np.zeros((3, 50), int), labels[:50]).sentence()


def test_two_group_tasks_take_clusters(predictions):
    predicted, labels, clusters = predictions
    plain, found = two_group_tasks(predicted, labels), two_group_tasks(predicted, labels, clusters=clusters)
    for at, mask in enumerate(found.mask.tolist()):
        positive = (mask >> np.arange(4)) & 1
        task = rs.variance(correct=positive[predicted] == positive[labels], clusters=clusters, pairs="none")
        assert found.var_ind[at] == pytest.approx(task.var_ind, rel=1e-12)
        assert found.var_dist[at] == pytest.approx(task.var_dist, rel=1e-12)
        assert found.p_chi2[at] == pytest.approx(task.test.p_value, rel=1e-9)
    assert found.n_real < plain.n_real
    assert "in 40 clusters" in found.sentence()
    assert "independent clusters" in found.table().columns
    with pytest.raises(InputError, match="clusters with RunStatistics") as error:
        two_group_tasks(run_statistics(predicted, labels, keep_confusion=True), clusters=clusters)
    assert "Pass the predictions" in error.value.hint
