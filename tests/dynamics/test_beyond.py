"""Beyond the paper: live monitoring, early prediction, stability, comparison of maps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import runspread as rs
from runspread._methods.dynamics.prefix import _auc

from .test_analysis import FAST, forked_runs


@pytest.fixture(scope="module")
def result():
    runs, index = forked_runs(24)
    return rs.dynamics(runs, outcome=index, states=[4], standardize="pooled", restarts=8, covariance="diag")


def small_model() -> rs.HiddenMarkovModel:
    return rs.HiddenMarkovModel(
        startprob=np.array([0.8, 0.2, 0.0]),
        transmat=np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.0, 0.1, 0.9]]),
        means=np.array([[0.0], [1.0], [3.0]]),
        covars=np.array([[0.5], [0.7], [1.0]]),
    )


def density(model: rs.HiddenMarkovModel, value: float) -> np.ndarray:
    variance = model.covars[:, 0]
    return np.exp(-((value - model.means[:, 0]) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


def test_risk_equals_enumeration_of_all_futures():
    """Sum over every path of 5 checkpoints, of which 3 are seen: joint probability of the path and what was seen."""
    model, seen, horizon = small_model(), [0.2, 0.9, 1.1], 5
    weights = {"all": 0.0, "by now": 0.0, "ever": 0.0}
    for path in itertools.product(range(3), repeat=horizon):
        weight = model.startprob[path[0]]
        for t in range(1, horizon):
            weight *= model.transmat[path[t - 1], path[t]]
        for t, value in enumerate(seen):
            weight *= density(model, value)[path[t]]
        weights["all"] += weight
        weights["by now"] += weight * (1 in path[: len(seen)])
        weights["ever"] += weight * (1 in path)
    monitor = model.monitor(detours=[1], horizon=horizon)
    reading = [monitor.update([value]) for value in seen][-1]
    assert reading.visited == pytest.approx(weights["by now"] / weights["all"], rel=1e-10)
    assert reading.risk == pytest.approx(weights["ever"] / weights["all"], rel=1e-10)


def test_monitor_equals_filtering():
    model, run = small_model(), np.random.default_rng(0).normal(size=(12, 1))
    monitor = model.monitor()
    readings = [monitor.update(row) for row in run]
    np.testing.assert_allclose([r.probabilities for r in readings], model.filtered([run])[0], atol=1e-12)
    assert sum(r.surprise for r in readings) == pytest.approx(-model.score([run]))
    assert [r.checkpoint for r in readings] == list(range(12))


def test_a_missing_metric_lets_time_pass_and_teaches_nothing():
    model = small_model()
    monitor = model.monitor()
    first = monitor.update([0.1])
    second = monitor.update([np.nan])
    np.testing.assert_allclose(second.probabilities, first.probabilities @ model.transmat, atol=1e-12)
    assert np.isnan(second.surprise)


def test_monitor_reads_names_in_their_own_units(result):
    raw = result.prepared.raw
    slow = next(run for run, path in enumerate(result.map.paths) if result.detours[0] in path)
    monitor = result.model.monitor(result.detours, horizon=60)
    readings = [
        monitor.update({**dict(zip(raw_names, row, strict=True)), "learning rate": 0.1})
        for raw_names in [result.prepared.columns]
        for row in raw.split(raw.x)[slow]
    ]
    assert readings[-1].visited > 0.99
    assert readings[0].visited < 0.01
    assert [r.state for r in readings][-1] == result.map.paths[slow][-1]


def test_monitor_refuses_nonsense():
    with pytest.raises(rs.InputError, match=r"states 0\.\.2"):
        small_model().monitor(detours=[3])
    with pytest.raises(rs.InputError, match=r"\(1,\) metrics"):
        small_model().monitor().update([1.0, 2.0])
    with pytest.raises(rs.InputError, match="without names"):
        small_model().monitor().update({"l2": 1.0})


def early_detour():
    """Half of the runs pass through a state of their own early on, and converge later by its length."""
    rng = np.random.default_rng(2)
    level = np.array([(0, 0), (2, 1), (1, -4), (5, 3)])
    runs, index = [], []
    for i in range(20):
        parts = [0] * int(rng.integers(4, 7)) + [2] * (14 if i % 2 else 0) + [1] * int(rng.integers(10, 14))
        path = np.array((parts + [3] * 60)[:60])
        runs.append(level[path] + 0.1 * rng.normal(size=(60, 2)))
        index.append(len(parts))
    return rs.dynamics(runs, outcome=index, states=[4], standardize="pooled", restarts=8, covariance="diag")


def test_being_in_the_detour_foretells_slowness():
    prediction = rs.predict_from_prefix(early_detour(), (0.03, 0.2), folds=4, covariance="diag", restarts=8)
    assert prediction.at_risk.tolist() == [20, 20]
    assert prediction.auc[1] > 0.9
    assert prediction.auc_low[1] > prediction.auc_high[0] or prediction.auc[0] < 0.7
    assert prediction.brier[1] < 0.5 * prediction.brier_baseline[1]
    assert prediction.route_probability[1] > prediction.route_baseline[1] + 0.2
    assert "first 20% of training tell slow runs from fast ones" in prediction.sentence()
    signs = prediction.signs_table()
    assert set(signs["known"]) == {0.03, 0.2}
    assert {0.0, 1.0} <= set(signs["slow"])
    assert len(prediction.table()) == 2


def test_converged_runs_are_not_judged(result):
    prediction = rs.predict_from_prefix(result, (0.35,), folds=3, covariance="diag")
    judged = ~np.isnan(prediction.slow[0])
    np.testing.assert_array_equal(judged, result.convergence >= 21)


def test_early_states_foretell_nothing_when_the_outcome_is_noise():
    runs, _ = forked_runs(30, seed=3)
    noise = np.random.default_rng(4).integers(40, 60, 30)
    result = rs.dynamics(runs, outcome=noise, states=[4], standardize="pooled", **FAST)
    prediction = rs.predict_from_prefix(result, (0.2, 0.5), covariance="diag")
    assert (prediction.auc_low < 0.5).all()
    assert "do not tell slow runs" in prediction.sentence()


def test_auc_is_the_share_of_ordered_pairs():
    assert _auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True])) == pytest.approx(3.5 / 4)


def test_prefixes_need_an_outcome_and_folds(result):
    runs, _ = forked_runs(4)
    with pytest.raises(rs.InputError, match="without an outcome"):
        rs.predict_from_prefix(rs.dynamics(runs, states=[2], **FAST))
    with pytest.raises(rs.InputError, match="between 0 and 1"):
        rs.predict_from_prefix(result, (0.0, 0.5))
    with pytest.raises(rs.InputError, match="25 folds for 24 runs"):
        rs.predict_from_prefix(result, folds=25)


def test_a_clear_map_is_stable(result):
    stability = rs.map_stability(result, bootstraps=5, covariance="diag")
    assert np.median(stability.bootstrap_agreement) > 0.95
    assert np.nanmax(stability.restart_agreement) == pytest.approx(1.0)
    assert min(stability.edge_support[edge] for edge in stability.edges) >= 0.8
    assert stability.detour_support[result.detours[0]] >= 0.8
    assert stability.linear_support == 0.0
    assert (stability.restart_gap[~np.isnan(stability.restart_gap)] >= 0).all()
    assert "resamples of the runs" in stability.sentence()
    assert len(stability.table()) == len(result.map.edges)


def test_a_map_of_noise_is_not_stable():
    rng = np.random.default_rng(5)
    result = rs.dynamics([rng.normal(size=(40, 3)) for _ in range(8)], states=[4], **FAST)
    stability = rs.map_stability(result, bootstraps=4, covariance="diag", restarts=1)
    assert stability.bootstrap_agreement.mean() < 0.8
    assert np.isnan(stability.detour_support).all()


def test_a_removed_detour_is_seen_to_be_removed(result):
    runs, index = forked_runs(24, seed=7)
    plain = {name: run for i, (name, run) in enumerate(runs.items()) if i % 4}
    scale, center = result.prepared.scale[0], result.prepared.center[0]  # the units of the first map
    units = {n: (np.stack(list(r.values()), axis=1) - center) / scale for n, r in plain.items()}
    columns = list(result.prepared.columns)
    options = {"columns": columns, "outcome": {n: index[n] for n in plain}, "states": [3], "standardize": "none"}
    after = rs.dynamics(units, **options, **FAST)
    comparison = rs.compare_maps(result, after, bootstraps=200)
    detour = result.detours[0]
    assert comparison.removed
    assert comparison.visits[:, detour].tolist() == [6, 0]
    assert comparison.dissimilarity[1] < comparison.dissimilarity[0]
    assert comparison.convergence_change[2] < 0
    assert "The detour is gone" in comparison.sentence()
    assert comparison.table()["detour before"][detour] == "yes"


def test_the_same_runs_twice_change_nothing(result):
    comparison = rs.compare_maps(result, result, bootstraps=100)
    assert not comparison.removed
    np.testing.assert_array_equal(comparison.visits[0], comparison.visits[1])
    assert comparison.dissimilarity_change[0] == 0
    assert comparison.dissimilarity_change[1] <= 0 <= comparison.dissimilarity_change[2]
    assert comparison.log_density[0] == pytest.approx(comparison.log_density[1])
    assert (comparison.pvalue == 1).all()


def test_maps_over_different_metrics_are_not_compared(result):
    runs, _ = forked_runs(4)
    other = rs.dynamics(runs, metrics=["l1", "l2"], states=[2], **FAST)
    with pytest.raises(rs.InputError, match="lack norm"):
        rs.compare_maps(result, other)
