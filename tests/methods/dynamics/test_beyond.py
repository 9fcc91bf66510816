"""Beyond the paper: live monitoring, early prediction, stability, comparison of maps."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError, RunspreadWarning
from runspread.methods.dynamics import (
    TrainingDynamics,
    compare_maps,
    map_stability,
    predict_from_prefix,
    prefix,
    stability,
    trajectory_dissimilarity,
)
from runspread.methods.dynamics import comparison as comparison_module
from runspread.methods.dynamics.prefix import _auc
from runspread.methods.hmm import HiddenMarkovModel
from runspread.methods.hmm.fit import fit_hmm
from tests.methods.dynamics.test_analysis import FAST, forked_runs
from tests.vectors.loading import DEFAULT_FOLDER


@pytest.fixture(scope="module")
def result():
    runs, index = forked_runs(24)
    return rs.dynamics(runs, outcome=index, states=[4], standardize="pooled", restarts=8, covariance="diag")


def small_model() -> HiddenMarkovModel:
    return HiddenMarkovModel(
        startprob=np.array([0.8, 0.2, 0.0]),
        transmat=np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.0, 0.1, 0.9]]),
        means=np.array([[0.0], [1.0], [3.0]]),
        covars=np.array([[0.5], [0.7], [1.0]]),
    )


def density(model: HiddenMarkovModel, value: float) -> np.ndarray:
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


def replayed(found: TrainingDynamics, monitor_of=lambda found: found.model.monitor()) -> list[list]:
    """Give every run to a monitor of its own, in its own units."""
    monitors = [(monitor_of(found), run) for run in found.prepared.raw.split(found.prepared.raw.x)]
    return [[monitor.update(row) for row in run] for monitor, run in monitors]


def agreement(found: TrainingDynamics) -> np.ndarray:
    """Return the share of each run's checkpoints at which a monitor gives the decoded state."""
    pairs = zip(replayed(found), found.map.paths, strict=True)
    return np.array([np.mean([reading.state for reading in run] == path) for run, path in pairs])


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_replayed_runs_of_a_default_model_are_in_their_decoded_states(covariance):
    """Runs of slightly different levels, standardised each on its own."""
    runs, index = forked_runs(24)
    rng = np.random.default_rng(3)
    for run in runs.values():
        for name in run:
            run[name] = run[name] + 0.3 * rng.normal()
    found = rs.dynamics(runs, outcome=index, states=[4], restarts=8, covariance=covariance)
    assert found.prepared.standardize == "run"
    shares = agreement(found)
    assert shares.mean() > 0.9
    assert shares.min() > 0.6
    assert 0.85 < found.model.live_agreement < shares.mean()


def test_a_model_of_recorded_metrics_follows_its_runs():
    """Weight metrics of six trainings on sparse parity: followed well, but too few to follow a seventh."""
    with np.load(DEFAULT_FOLDER / "dynamics.npz") as vectors:
        cuts = np.cumsum(vectors["real_full/lengths"])[:-1]
        runs = np.split(vectors["real_full/raw"], cuts)
    found = rs.dynamics(runs, states=[4], restarts=4, iterations=32, covariance="full")
    with pytest.warns(RunspreadWarning, match="runs are in their decoded state"):
        assert agreement(found).mean() > 0.85
    pooled = rs.dynamics(runs, states=[4], restarts=4, iterations=32, covariance="full", standardize="pooled")
    assert agreement(pooled).mean() > 0.95


def test_runs_of_different_levels_are_not_followed_in_silence():
    runs, index = forked_runs(12)
    for number, run in enumerate(runs.values()):
        for name in run:
            run[name] = run[name] + 40.0 * number
    found = rs.dynamics(runs, outcome=index, states=[4], restarts=4, covariance="diag")
    assert found.model.live_agreement < 0.8
    with pytest.warns(RunspreadWarning, match='standardize="pooled"'):
        found.model.monitor()


def test_a_monitor_knows_detours_and_horizon(result):
    """Without arguments it watches for the detours that were found until the longest run ends."""
    readings = replayed(result)
    asked = replayed(result, lambda found: found.model.monitor(found.detours, horizon=60))
    for run, same, path in zip(readings, asked, result.map.paths, strict=True):
        assert [r.risk for r in run] == [r.risk for r in same]
        assert (run[-1].visited > 0.99) == (result.detours[0] in path)
        assert 0.05 < run[0].risk < 0.6
    assert result.monitor().detours == result.model.detours == result.detours
    back = HiddenMarkovModel.from_json(result.model.to_json())
    assert (back.detours, back.horizon, back.live_agreement) == (result.detours, 60, result.model.live_agreement)


def test_what_was_not_asked_is_not_no_risk():
    runs, _ = forked_runs(6)
    silent = rs.dynamics(runs, states=[3], **FAST).model
    assert silent.detours is None
    reading = silent.monitor().update(np.zeros(3))
    assert np.isnan(reading.risk)
    assert np.isnan(reading.visited)
    without_end = small_model().monitor([1]).update([0.2])
    assert np.isnan(without_end.risk)
    assert 0 < without_end.visited < 1


def test_a_stored_model_of_single_runs_follows_like_the_first_one():
    runs, index = forked_runs(12)
    model = rs.dynamics(runs, outcome=index, states=[4], **FAST).model
    back = HiddenMarkovModel.from_json(model.to_json())
    turned = model.permuted([3, 0, 1, 2])
    row = dict(zip(model.columns, np.array([2.0, 1.0, 0.0]), strict=True))
    expected = model.monitor().update(row)
    np.testing.assert_array_equal(back.monitor().update(row).probabilities, expected.probabilities)
    np.testing.assert_allclose(turned.monitor().update(row).probabilities, expected.probabilities[[3, 0, 1, 2]])
    assert turned.monitor().update(row).risk == pytest.approx(expected.risk, nan_ok=True)


def test_monitor_refuses_nonsense():
    with pytest.raises(InputError, match=r"states 0\.\.2"):
        small_model().monitor(detours=[3])
    with pytest.raises(InputError, match=r"\(1,\) metrics"):
        small_model().monitor().update([1.0, 2.0])
    with pytest.raises(InputError, match="without names"):
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
    prediction = predict_from_prefix(early_detour(), (0.03, 0.2), folds=4, covariance="diag", restarts=8)
    assert prediction.at_risk.tolist() == [20, 20]
    assert prediction.auc[1] > 0.9
    assert prediction.auc_low[1] > prediction.auc_high[0] or prediction.auc[0] < 0.7
    assert prediction.brier[1] < 0.5 * prediction.brier_baseline[1]
    assert prediction.route_probability[1] > prediction.route_baseline[1] + 0.2
    assert "first 20% of training distinguish slow runs from fast ones" in prediction.sentence()
    signs = prediction.signs_table()
    assert set(signs["known"]) == {0.03, 0.2}
    assert {0.0, 1.0} <= set(signs["slow"])
    assert len(prediction.table()) == 2


def test_every_held_out_run_has_a_probability_of_every_route():
    found = early_detour()
    prediction = predict_from_prefix(found, (0.03, 0.2), folds=4, covariance="diag", restarts=8)
    assert set(prediction.routes) == set(found.map.routes)
    assert tuple(prediction.routes[i] for i in prediction.taken) == found.map.routes
    chances = prediction.path_probability
    assert chances.shape == (2, 20, len(prediction.routes))
    np.testing.assert_allclose(chances.sum(axis=2), 1)
    right = chances[:, np.arange(20), prediction.taken]
    assert (right[1] > 0.9).all()  # in the detour or past the turn to it
    np.testing.assert_allclose(right.mean(axis=1), prediction.route_probability)
    table = prediction.paths_table(0.2)
    assert len(table) == 20
    assert table["took"][1] == "0→1→2→3"
    assert table["P(0→1→2→3)"] == chances[1, :, prediction.routes.index((0, 1, 2, 3))].tolist()
    assert prediction.paths_table(most=1)["P(another)"] == pytest.approx(1 - chances[0, :, 0])
    with pytest.raises(InputError, match=r"known=0.5. Expected one of 0\.03, 0\.2"):
        prediction.paths_table(0.5)


def test_a_run_without_a_future_to_foretell_has_no_probabilities(result):
    prediction = predict_from_prefix(result, (0.35,), folds=3, covariance="diag")
    done = result.convergence < 21
    assert np.isnan(prediction.path_probability[0, done]).all()
    assert len(prediction.paths_table()) == (~done).sum()


def test_few_runs_have_an_auc_but_no_interval():
    runs, index = forked_runs(7)
    found = rs.dynamics(runs, outcome=index, states=[4], standardize="pooled", **FAST)
    prediction = predict_from_prefix(found, (0.1, 0.3), folds=3)
    assert prediction.at_risk.max() <= 7
    assert np.isfinite(prediction.auc).all()
    assert np.isnan([prediction.auc_low, prediction.auc_high]).all()
    assert "Too few runs had not converged yet (7 at most; 8 are needed)" in prediction.sentence()


def test_converged_runs_are_not_judged(result):
    prediction = predict_from_prefix(result, (0.35,), folds=3, covariance="diag")
    judged = ~np.isnan(prediction.slow[0])
    np.testing.assert_array_equal(judged, result.convergence >= 21)


def test_early_states_foretell_nothing_when_the_outcome_is_noise():
    runs, _ = forked_runs(30, seed=3)
    noise = np.random.default_rng(4).integers(40, 60, 30)
    result = rs.dynamics(runs, outcome=noise, states=[4], standardize="pooled", **FAST)
    prediction = predict_from_prefix(result, (0.2, 0.5), covariance="diag")
    assert (prediction.auc_low < 0.5).all()
    assert "not shown to distinguish slow runs from fast ones: AUC at most" in prediction.sentence()


def test_a_single_state_tells_nothing_and_the_auc_says_so():
    """Slow runs are predicted from fewer slow ones: their base rate alone would give an AUC near 0."""
    runs, index = forked_runs(10)
    found = rs.dynamics(runs, outcome=index, states=[1], **FAST)
    prediction = predict_from_prefix(found, (0.1, 0.2))
    assert prediction.auc.tolist() == [0.5, 0.5]
    assert ((prediction.auc_low < 0.5) & (prediction.auc_high > 0.5)).all()


def test_auc_is_the_share_of_ordered_pairs():
    assert _auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True])) == pytest.approx(3.5 / 4)


def test_prefixes_need_an_outcome_and_folds(result):
    runs, _ = forked_runs(4)
    with pytest.raises(InputError, match="without an outcome"):
        predict_from_prefix(rs.dynamics(runs, states=[2], **FAST))
    with pytest.raises(InputError, match="between 0 and 1"):
        predict_from_prefix(result, (0.0, 0.5))
    with pytest.raises(InputError, match="25 folds for 24 runs"):
        predict_from_prefix(result, folds=25)


def test_a_clear_map_is_stable(result):
    firm = map_stability(result, bootstraps=5)
    assert np.median(firm.bootstrap_agreement) > 0.95
    assert np.nanmax(firm.restart_agreement) == pytest.approx(1.0)
    assert min(firm.edge_support[edge] for edge in firm.edges) >= 0.8
    assert firm.detour_support[result.detours[0]] >= 0.8
    assert firm.linear_support == 0.0
    assert (firm.restart_gap[~np.isnan(firm.restart_gap)] >= 0).all()
    assert "resamples of the runs" in firm.sentence()
    assert len(firm.table()) == len(result.map.edges)


def test_a_result_is_fitted_again_as_it_was_fitted():
    """Ten copies of three steps without noise: only prior and floor keep the covariances of a resample regular."""
    run = np.repeat([[0.0, 0.0, 1.0], [1.0, 2.0, 1.0], [3.0, 2.5, 0.0]], 20, axis=0)
    found = rs.dynamics([run] * 10, states=[3], restarts=8, prior="identity", variance_floor=1e-3, outcome=[30] * 10)
    assert found.fit_options == {"restarts": 8, "prior": "identity", "variance_floor": 1e-3}
    firm = map_stability(found, bootstraps=4)
    assert firm.bootstrap_agreement.tolist() == [1.0] * 4
    assert {firm.edge_support[edge] for edge in firm.edges} == {1.0}


def test_fit_options_reach_the_fits_and_can_be_overridden(result, monkeypatch):
    used = []

    def noted(frames, n_states, **settings):
        used.append(settings)
        return fit_hmm(frames, n_states, **settings)

    monkeypatch.setattr(stability, "fit_hmm", noted)
    monkeypatch.setattr(prefix, "fit_hmm", noted)
    runs, index = forked_runs(8)
    options = {"prior": "identity", "variance_floor": 1e-3, "iterations": 7}
    found = rs.dynamics(runs, outcome=index, states=[3], covariance="diag", **options)
    map_stability(found, bootstraps=1)
    predict_from_prefix(found, (0.3,), folds=2)
    assert len(used) == 1 + 3
    for settings in used:
        assert {name: settings[name] for name in options} == options
        assert (settings["covariance"], settings["restarts"]) == ("diag", 4)
    map_stability(found, bootstraps=1, iterations=3, restarts=1)
    assert (used[-1]["iterations"], used[-1]["restarts"]) == (3, 1)


def test_a_map_of_noise_is_not_stable():
    rng = np.random.default_rng(5)
    result = rs.dynamics([rng.normal(size=(40, 3)) for _ in range(8)], states=[4], **FAST)
    firm = map_stability(result, bootstraps=4, covariance="diag", restarts=1)
    assert firm.bootstrap_agreement.mean() < 0.8
    assert np.isnan(firm.detour_support).all()


def test_a_removed_detour_is_seen_to_be_removed(result):
    runs, index = forked_runs(24, seed=7)
    plain = {name: run for i, (name, run) in enumerate(runs.items()) if i % 4}
    options = {"outcome": {n: index[n] for n in plain}, "states": [3], "standardize": "pooled"}
    after = rs.dynamics(plain, **options, **FAST)
    comparison = compare_maps(result, after, bootstraps=200)
    detour = result.detours[0]
    assert comparison.removed
    assert comparison.visits[:, detour].tolist() == [6, 0]
    assert comparison.dissimilarity[1] < comparison.dissimilarity[0]
    assert comparison.convergence_change[2] < 0
    assert "The detour is gone" in comparison.sentence()
    assert comparison.table()["detour before"][detour] == "yes"


def test_the_same_runs_twice_change_nothing(result):
    comparison = compare_maps(result, result, bootstraps=100)
    assert not comparison.removed
    np.testing.assert_array_equal(comparison.visits[0], comparison.visits[1])
    assert comparison.dissimilarity_change[0] == 0
    assert comparison.dissimilarity_change[1] <= 0 <= comparison.dissimilarity_change[2]
    assert comparison.log_density[0] == pytest.approx(comparison.log_density[1])
    assert (comparison.pvalue == 1).all()


@pytest.mark.parametrize(("first", "detour_runs"), [(0, 6), (1, 0)])
def test_some_of_the_same_runs_keep_their_visits(result, first, detour_runs):
    """Runs 0, 4, 8, ... take the detour; standardised together they have another mean and deviation than all runs."""
    runs, index = forked_runs(24)
    some = {name: run for i, (name, run) in enumerate(runs.items()) if i % 4 == first}
    outcome = {name: index[name] for name in some}
    after = rs.dynamics(some, outcome=outcome, states=[3], standardize="pooled", **FAST)
    comparison = compare_maps(result, after, bootstraps=20)
    known = (result.map.occupancy[first::4] > 0).sum(axis=0)
    np.testing.assert_array_equal(comparison.visits[1], known)
    assert comparison.visits[1, result.detours[0]] == detour_runs


def test_few_runs_have_a_change_but_no_interval(result):
    runs, index = forked_runs(6)
    after = rs.dynamics(runs, outcome=index, states=[3], standardize="pooled", **FAST)
    comparison = compare_maps(result, after, bootstraps=20)
    for estimate, low, high in (comparison.dissimilarity_change, comparison.convergence_change):
        assert np.isfinite(estimate)
        assert np.isnan([low, high]).all()
    assert "too few runs for an interval" in comparison.sentence()


@pytest.mark.parametrize("n", [prefix.FEWEST, 20, 80])
@pytest.mark.parametrize("shift", [0.0, 1.2, 2.0])
def test_the_interval_of_the_auc_covers(n, shift):
    """Normal scores whose means differ by `shift`: the true AUC is Φ(shift / √2)."""
    rng, truth = np.random.default_rng(11), statistics.NormalDist().cdf(shift / np.sqrt(2))
    hits = 0
    for _ in range(300):
        late = rng.permutation(n) < n // 2
        _, low, high = prefix._auc_interval(rng.normal(size=n) + shift * late, late)
        hits += low <= truth <= high
    assert 0.92 <= hits / 300 <= 0.99


def shares_of_time(rng, n: int, forking: float) -> np.ndarray:
    """Return shares [n, 3] of runs of which some spend a third of the time in a state of their own."""
    plain, fork = rng.dirichlet([40, 1e-3, 60], size=n), rng.dirichlet([20, 30, 50], size=n)
    return np.where((rng.random(n) < forking)[:, None], fork, plain)


@pytest.mark.slow
@pytest.mark.parametrize("n", [comparison_module.FEWEST, 24])
@pytest.mark.parametrize("forking", [(0.25, 0.0), (0.5, 0.1)])
def test_the_interval_of_the_change_in_dissimilarity_covers(n, forking):
    rng = np.random.default_rng(12)
    before, after = (trajectory_dissimilarity(shares_of_time(rng, 20_000, share)) for share in forking)
    hits = 0
    for _ in range(200):
        runs = [shares_of_time(rng, n, share) for share in forking]
        _, low, high = comparison_module._change(*runs, trajectory_dissimilarity, 200, rng)
        hits += low <= after - before <= high
    assert 0.88 <= hits / 200 <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("n", [comparison_module.FEWEST, 24])
def test_the_interval_of_the_change_in_convergence_covers(n):
    rng, hits = np.random.default_rng(13), 0
    for _ in range(300):
        times = rng.gamma(4, 20, size=n), rng.gamma(4, 15, size=n)
        _, low, high = comparison_module._change(*times, np.mean, 300, rng)
        hits += low <= -20 <= high
    assert 0.9 <= hits / 300 <= 0.99


def test_maps_in_different_units_are_not_compared(result):
    runs, _ = forked_runs(4)
    with pytest.raises(InputError, match="standardize='pooled' and 'run'"):
        compare_maps(result, rs.dynamics(runs, states=[2], **FAST))


def test_maps_over_different_metrics_are_not_compared(result):
    runs, _ = forked_runs(4)
    other = rs.dynamics(runs, metrics=["l1", "l2"], states=[2], **FAST)
    with pytest.raises(InputError, match="lack norm"):
        compare_maps(result, other)
