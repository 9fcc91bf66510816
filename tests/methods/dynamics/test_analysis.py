"""Preprocessing, outcome, map and the whole of ``dynamics`` on runs whose states are known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import runspread as rs
from runspread.errors import InputError
from runspread.methods.dynamics import (
    analysis,
    convergence_index,
    outcome_regression,
    prepare_sequences,
    training_map,
    trajectory_dissimilarity,
)
from runspread.methods.dynamics.influence import posterior_gradient
from runspread.methods.dynamics.maps import path_graph
from runspread.methods.dynamics.outcome import detour_states
from runspread.methods.dynamics.paths import canonical_order, collapsed, occupancy
from runspread.methods.hmm import HiddenMarkovModel
from runspread.methods.hmm.selection import select_hmm

FAST = {"restarts": 3, "iterations": 20, "covariance": "diag"}


def forked_runs(n: int = 20, length: int = 60, seed: int = 0):
    """Runs that climb 0 → 1 → 3; every fourth lingers in a detour 2 on the way and converges that much later."""
    rng = np.random.default_rng(seed)
    level = {0: (0, 0, 0), 1: (2, 1, 0), 2: (2, -4, 4), 3: (5, 3, 1)}
    runs, index = {}, {}
    for i in range(n):
        first, wait, detour = int(rng.integers(8, 14)), int(rng.integers(6, 10)), 14 if i % 4 == 0 else 0
        path = np.array(([0] * first + [1] * wait + [2] * detour + [3] * length)[:length])
        values = np.array([level[s] for s in path]) + 0.1 * rng.normal(size=(length, 3))
        runs[f"seed-{i:02d}"] = {"l1": values[:, 0], "l2": values[:, 1], "norm": values[:, 2]}
        index[f"seed-{i:02d}"] = first + wait + detour
    return runs, index


@pytest.fixture(scope="module")
def forked():
    runs, index = forked_runs()
    return rs.dynamics(runs, outcome=index, states=range(2, 6), standardize="pooled", **FAST)


def test_the_detour_is_found_and_named(forked):
    assert not forked.map.is_linear
    assert forked.map.n_routes == 2
    assert forked.map.common_share == 0.75
    assert len(forked.detours) == 1
    detour = forked.detours[0]
    assert forked.map.visits[detour] == 5
    slow, fast = forked.mean_convergence_with(detour)
    assert slow > fast + 10
    assert forked.regression.r_squared > 0.99
    assert forked.regression.permutation_pvalue == pytest.approx(1 / 1001)
    sentence = forked.sentence()
    assert "Detours: state" in sentence
    assert "5 runs" in sentence
    assert "That it slows these runs is not shown." in sentence
    assert any("describes finished runs" in note for note in forked.warnings)


def test_states_are_numbered_by_first_visit(forked):
    visits = forked.map.first_visit
    assert (np.diff(visits[~np.isnan(visits)]) >= 0).all()
    raw = forked.selection.model.permuted(forked.permutation)
    np.testing.assert_array_equal(raw.means, forked.model.means)


def test_edges_say_what_moves(forked):
    detour = forked.detours[0]
    entry = next(e for e in forked.map.edges if e.target == detour)
    moves = dict(zip(entry.features, entry.movement, strict=True))
    assert moves["l2"] < 0 < moves["norm"]
    assert "l2 ↓" in entry.describe()
    assert entry.mean_convergence == pytest.approx(forked.mean_convergence_with(detour)[0])
    assert f"{entry.source} -> {entry.target}" in forked.map.to_dot()
    assert forked.map.table()["runs"][0].endswith("/20")
    assert len(forked.table()) == forked.model.n_states


def test_every_edge_has_the_movement_of_every_metric(forked):
    """Named are the most influential ones only; the others are there too."""
    columns = forked.model.columns
    assert forked.map.metric_names == columns == ("l1", "l2", "norm")
    few = training_map(forked.model, forked.prepared.frames, top=1)
    for edge, full in zip(few.edges, forked.map.edges, strict=True):
        assert len(edge.features) == 1
        moved = forked.model.means[edge.target] - forked.model.means[edge.source]
        np.testing.assert_array_equal(edge.all_movement, moved)
        np.testing.assert_array_equal(edge.all_influence, full.all_influence)
        assert edge.all_influence.max() == edge.influence[0]
        assert edge.all_movement[columns.index(edge.features[0])] == edge.movement[0]
    table = few.movement_table(["l2"])
    assert list(table.columns) == ["edge", "runs", "l2"]
    assert table["l2"] == [edge.all_movement[1] for edge in few.edges]
    assert list(few.movement_table().columns) == ["edge", "runs", *columns]
    with pytest.raises(InputError, match="Did you mean 'l2'"):
        few.movement_table(["l22"])


def test_result_is_json(forked):
    assert '"detour"' in forked.to_json()


def test_linear_runs_have_no_detour():
    runs, index = forked_runs()
    plain = {name: run for i, (name, run) in enumerate(runs.items()) if i % 4}
    result = rs.dynamics(plain, outcome={n: index[n] for n in plain}, states=[3], **FAST)
    assert result.map.is_linear
    assert result.detours == ()
    assert "All 15 runs follow the same route (3 states): 0→1→2." in result.sentence()


def test_outcome_by_name_by_curve_and_by_index_agree():
    runs, index = forked_runs()
    with_accuracy = {
        name: run | {"accuracy": (np.arange(60) >= index[name]).astype(float)} for name, run in runs.items()
    }
    options = {"states": [4], "threshold": 0.9, **FAST}
    named = rs.dynamics(with_accuracy, outcome="accuracy", **options)
    assert named.prepared.columns == ("l1", "l2", "norm")
    curves = rs.dynamics(runs, outcome={n: r["accuracy"] for n, r in with_accuracy.items()}, **options)
    given_index = rs.dynamics(runs, outcome=list(index.values()), **options)
    frames = {name: pd.DataFrame(run) for name, run in with_accuracy.items()}
    tables = rs.dynamics(frames, outcome="accuracy", metrics=["l1", "l2", "norm"], **options)
    arrays = {name: np.stack(list(run.values()), axis=1) for name, run in with_accuracy.items()}
    columns = ["l1", "l2", "norm", "accuracy"]
    bare = rs.dynamics(arrays, columns=columns, outcome="accuracy", **options)
    for other in (curves, given_index, tables, bare):
        np.testing.assert_array_equal(other.convergence, named.convergence)
        np.testing.assert_allclose(other.regression.coef, named.regression.coef)


def test_runs_that_never_converge_are_counted(forked):
    runs, index = forked_runs()
    late = [-1 if place < 3 else at for place, at in enumerate(index.values())]
    result = rs.dynamics(runs, outcome=late, states=[4], threshold=0.9, **FAST)
    assert f"; 3 of {len(late)} never converged. " in result.sentence()
    assert "3 that never converged count with their length" in result.table().title
    assert "never converged" not in forked.sentence()


def test_loss_converges_below():
    found = convergence_index([[3.0, 1.0, 0.5], [3.0, 2.0, 1.5]], 1.0, direction="below")
    assert found.index.tolist() == [2, -1]
    assert found.capped.tolist() == [2, 3]


def test_a_value_at_the_threshold_is_not_beyond_it_in_single_precision(tmp_path):
    """1,940 of 2,000 is 0.97, which is larger than 0.97 when it is widened."""
    curve = np.array([0.5, 1940 / 2000, 1941 / 2000], np.float32)
    assert convergence_index([curve], 0.97).index.tolist() == [2]
    study = rs.create_study(tmp_path / "study")
    for seed in range(10):
        with study.record(seeds=seed) as run:
            for step in range(12):
                run.log(step, weight=seed + step, accuracy=curve[min(step, 2)])
    result = rs.dynamics(study, metrics=["weight"], outcome="accuracy", threshold=0.97, states=[1], restarts=1)
    assert result.convergence.tolist() == [2] * 10


def test_published_preset_sets_the_published_choices(monkeypatch):
    runs, index = forked_runs(8)
    used = []

    def noted(frames, states, **settings):
        used.append((frames, settings))
        return select_hmm(frames, states, **settings)

    monkeypatch.setattr(analysis, "select_hmm", noted)
    result = rs.dynamics(runs, outcome=index, preset="paper", states=[2, 3], covariance="diag")
    chosen = {name: used[0][1][name] for name in ("restarts", "iterations", "tolerance", "kmeans", "criterion")}
    assert chosen == {
        "restarts": 5,
        "iterations": 32,
        "tolerance": 1e-2,
        "kmeans": "reference",
        "criterion": "bic_mean",
    }
    long = [np.random.default_rng(seed).normal(size=(1100, 2)) for seed in range(2)]
    rs.dynamics(long, preset="paper", states=[1], covariance="diag")
    assert used[1][0].lengths.tolist() == [1000, 1000]
    rs.dynamics(runs, preset="paper", states=[1], restarts=2, covariance="diag")
    assert (used[2][1]["restarts"], used[2][1]["iterations"]) == (2, 32)
    assert len(result.selection.model.restarts) == 5
    assert max(len(r.history) for r in result.selection.model.restarts) <= 32
    assert result.selection.criterion == "bic_mean"


# --- edges (section 12) ---------------------------------------------------------------------------------------------


def test_diverged_runs_are_set_aside_and_named():
    runs, index = forked_runs(8)
    runs["seed-03"]["l2"][17] = np.nan
    runs["seed-05"]["norm"][4] = np.inf
    result = rs.dynamics(runs, outcome=index, states=[3], **FAST)
    assert [e.run for e in result.excluded] == ["seed-03", "seed-05"]
    assert "l2 is nan at checkpoint 17" in result.excluded[0].reason
    assert len(result.map.paths) == len(result.convergence) == 6
    cut = rs.dynamics(runs, outcome=index, states=[3], diverged="truncate", **FAST)
    assert [e.run for e in cut.excluded] == ["seed-05"]  # too short to keep
    assert len(cut.map.paths[3]) == 17
    assert "2 excluded" in result.sentence()


def test_a_converged_run_cut_before_it_converged_counts_as_never():
    runs, _ = forked_runs(8)
    curves = {name: (np.arange(60) >= 30).astype(float) for name in runs}
    runs["seed-02"]["l1"][20] = np.nan
    result = rs.dynamics(runs, outcome=curves, threshold=0.5, states=[2], diverged="truncate", **FAST)
    assert result.convergence.tolist() == [30, 30, -1, 30, 30, 30, 30, 30]


def test_constant_metrics():
    rng = np.random.default_rng(0)
    runs = [np.column_stack([rng.normal(size=20), np.full(20, 7.0), rng.normal(size=20)]) for _ in range(4)]
    runs[1][:, 2] = 3.0
    prepared = prepare_sequences(runs, columns=["a", "b", "c"])
    assert prepared.columns == ("a", "c")
    assert prepared.dropped == {"b": "constant in every run"}
    assert prepared.constant == (("run 1", "c"),)
    assert (prepared.sequences[1][:, 1] == 0).all()
    assert "b dropped" in " ".join(prepared.warnings)
    with pytest.raises(InputError, match="every metric is constant"):
        prepare_sequences([np.ones((5, 2))])


def test_rounding_noise_counts_as_constant():
    noisy = 0.1 + 1e-17 * np.random.default_rng(1).normal(size=50)
    varying = np.linspace(0, 1, 50)
    prepared = prepare_sequences([np.column_stack([noisy, varying])] * 2)
    assert prepared.columns == ("metric 1",)


def test_metrics_never_recorded_are_dropped_not_diverged():
    """A network without biases has NaN bias metrics at every checkpoint."""
    rng = np.random.default_rng(2)
    runs = [{"l1": rng.normal(size=12), "mean_b": np.full(12, np.nan)} for _ in range(3)]
    prepared = prepare_sequences(runs)
    assert prepared.dropped == {"mean_b": "never recorded"}
    assert prepared.excluded == ()


def test_standardised_runs_have_mean_0_and_deviation_1():
    rng = np.random.default_rng(3)
    runs = [5 + 3 * rng.normal(size=(n, 2)) for n in (30, 12)]
    for run in prepare_sequences(runs).sequences:
        np.testing.assert_allclose([run.mean(axis=0), run.std(axis=0)], [[0, 0], [1, 1]], atol=1e-12)
    pooled = np.concatenate(prepare_sequences(runs, standardize="pooled").sequences)
    np.testing.assert_allclose([pooled.mean(axis=0), pooled.std(axis=0)], [[0, 0], [1, 1]], atol=1e-12)
    np.testing.assert_array_equal(prepare_sequences(runs, standardize="none").sequences[1], runs[1])


def test_steps_are_sorted_and_duplicates_refused():
    run = np.arange(6.0)[:, None] ** 2
    steps = [3, 1, 2, 6, 5, 4]
    prepared = prepare_sequences([run, run], steps=[steps, range(6)], standardize="none")
    assert prepared.sequences[0][:, 0].tolist() == [1, 4, 0, 25, 16, 9]
    with pytest.raises(InputError, match="run 1 has step 2 twice"):
        prepare_sequences([run, run], steps=[steps, [0, 1, 2, 2, 3, 4]])


def test_padding_and_first_n():
    padded = np.full((2, 8, 1), np.nan)
    padded[0, :8, 0], padded[1, :5, 0] = np.arange(8), np.arange(5)
    prepared = prepare_sequences(padded, lengths=[8, 5], first_n=6)
    assert prepared.lengths.tolist() == [6, 5]
    assert prepared.excluded == ()


def test_a_run_of_length_one_is_allowed():
    rng = np.random.default_rng(4)
    runs = [rng.normal(size=(n, 2)) for n in (1, 30, 25, 30)]
    result = rs.dynamics(runs, states=[2], **FAST)
    assert len(result.map.paths[0]) == 1
    assert (result.prepared.sequences[0] == 0).all()
    assert ("run 0", "metric 0") in result.prepared.constant


def test_one_run_has_no_split_no_regression_and_no_dissimilarity():
    runs, index = forked_runs(1)
    result = rs.dynamics(runs, outcome=index, states=[2, 3], **FAST)
    assert result.regression is None
    assert np.isnan(result.dissimilarity_tv)
    assert result.selection.validation_runs == ()
    assert "chosen on the run that was fitted" in " ".join(result.warnings)
    assert result.map.is_linear in (True, False)


def test_two_runs_are_one_and_one():
    runs, index = forked_runs(2)
    result = rs.dynamics(runs, outcome=index, states=[2], criterion="bic_mean", **FAST)
    assert len(result.selection.training_runs) == len(result.selection.validation_runs) == 1
    assert 0 <= result.dissimilarity_tv <= 1
    assert result.regression.reason  # 2 runs cannot carry a regression of rank 2


@pytest.mark.parametrize("value", [-1, 5])
def test_equal_outcomes_give_no_regression_but_a_reason(value):
    runs, _ = forked_runs(8)
    result = rs.dynamics(runs, outcome=[value] * 8, states=[3], **FAST)
    assert np.isnan(result.regression.r_squared)
    assert "same convergence time" in result.regression.reason
    assert result.detours == ()
    assert "No detour state" in result.sentence()


def test_one_state():
    runs, index = forked_runs(6)
    result = rs.dynamics(runs, outcome=index, states=[1], **FAST)
    assert result.map.edges == ()
    assert result.map.is_linear
    assert "same share of time" in result.regression.reason


def test_collinear_metrics_are_reported():
    runs, _ = forked_runs(6)
    for run in runs.values():
        run["copy"] = 2 * run["l1"]
    prepared = prepare_sequences(runs)
    assert prepared.condition > 1e10
    assert "linearly dependent" in " ".join(prepared.warnings)
    result = rs.dynamics(runs, states=[2], restarts=3, covariance="full", prior="identity")
    assert np.isfinite(result.model.log_likelihood)


def test_fewer_runs_than_states_is_a_warning():
    runs, _ = forked_runs(3)
    result = rs.dynamics(runs, states=[4], restarts=4, covariance="full")
    assert "fewer runs (3) than states (4)" in result.warnings


def test_fewer_checkpoints_than_free_parameters_is_a_warning():
    runs, _ = forked_runs(4, length=20)
    options = {"restarts": 4, "prior": "identity", "permutations": 10}
    scarce = rs.dynamics(runs, states=[6], covariance="full", **options)  # 6 (3 + 6) + 5 + 30 parameters
    assert any("fewer checkpoints (80) than free parameters (89)" in note for note in scarce.warnings)
    ample = rs.dynamics(runs, states=[2], covariance="diag", **options)
    assert not any("free parameters" in note for note in ample.warnings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outcome": "acuracy"}, "Did you mean 'accuracy'"),
        ({"outcome": "accuracy"}, "without a threshold"),
        ({"outcome": [99] * 4}, "converges at checkpoint 99 of 60"),
        ({"outcome": [0.5] * 4}, "neither whole numbers nor curves"),
        ({"outcome": {"seed-00": 3}}, "no outcome for seed-01"),
        ({"metrics": ["norms"]}, "Did you mean 'norm'"),
        ({"preset": "papers"}, "Did you mean 'paper'"),
        ({"statess": [2]}, "unknown dynamics keyword 'statess'.*Did you mean 'states'"),
        ({"states": []}, "at least one, such as states="),
        ({"first_n": 0}, "first_n=0"),
        ({"outcome": "accuracy", "threshold": 0.5, "direction": "sideways"}, "one of above, below"),
        ({"direction": "sideways"}, "one of above, below"),
        ({"threshold": 0.5}, "threshold=0.5 without an outcome"),
        ({"direction": "below"}, "direction='below' without an outcome"),
    ],
)
def test_bad_input_is_named(change, message):
    runs, _ = forked_runs(4)
    for run in runs.values():
        run["accuracy"] = np.linspace(0, 1, 60)
    with pytest.raises(InputError, match=message):
        rs.dynamics(runs, **({"states": [2]} | FAST | change))


def test_empty_runs_are_named():
    with pytest.raises(InputError, match="b has no checkpoints"):
        prepare_sequences({"a": np.ones((4, 1)), "b": np.ones((0, 1))})
    with pytest.raises(InputError, match="the only run has NaN"):
        prepare_sequences([np.array([[1.0], [np.nan], [2.0]])])


# --- closed forms and properties ------------------------------------------------------------------------------------


def test_regression_equals_ordinary_least_squares_with_intercept():
    """Dropping one state and adding an intercept spans the same space, so R² and F are those of the textbook."""
    from scipy import stats

    rng = np.random.default_rng(5)
    shares = rng.dirichlet(np.ones(2), size=30)
    index = np.round(100 * (0.3 * shares[:, 0] + 0.1 * rng.random(30))).astype(int)
    fit = outcome_regression(shares, index, [100] * 30)
    line = stats.linregress(shares[:, 0], index / 100)
    assert fit.r_squared == pytest.approx(line.rvalue**2)
    assert fit.f_pvalue == pytest.approx(line.pvalue, rel=1e-6)
    assert fit.coef[0] - fit.coef[1] == pytest.approx(line.slope)


def test_leave_one_out_equals_refitting():
    rng = np.random.default_rng(6)
    shares, index = rng.dirichlet(np.ones(3), size=12), rng.integers(1, 50, 12)
    fit = outcome_regression(shares, index, [50] * 12)
    y = index / 50
    left = []
    for run in range(12):
        keep = np.arange(12) != run
        left.append(y[run] - shares[run] @ np.linalg.lstsq(shares[keep], y[keep], rcond=None)[0])
    expected = 1 - np.square(left).sum() / np.square(y - y.mean()).sum()
    assert fit.loo_r_squared == pytest.approx(expected)


def test_a_run_alone_in_a_state_cannot_be_left_out():
    shares = np.array([[0.5, 0.5, 0.0], [0.4, 0.6, 0.0], [0.7, 0.3, 0.0], [0.1, 0.1, 0.8], [0.3, 0.7, 0.0]])
    assert outcome_regression(shares, [5, 6, 3, 10, 7], [10] * 5).loo_r_squared == -np.inf


def test_permutation_pvalue_is_uniform_without_an_effect():
    rng = np.random.default_rng(7)
    shares = rng.dirichlet(np.ones(3), size=15)
    values = [
        outcome_regression(shares, rng.integers(1, 1000, 15), [1000] * 15, permutations=99).permutation_pvalue
        for _ in range(200)
    ]
    assert 0.02 < np.mean(np.array(values) <= 0.1) < 0.2
    assert 0.4 < np.mean(values) < 0.6


def test_never_converged_runs_are_reported_apart():
    rng = np.random.default_rng(8)
    shares, index = rng.dirichlet(np.ones(3), size=12), rng.integers(1, 40, 12)
    index[3] = -1
    fit = outcome_regression(shares, index, [50] * 12)
    done = np.arange(12) != 3
    alone = outcome_regression(shares[done], index[done], [50] * 11)
    assert fit.target[3] == 1.0
    assert fit.converged_only.r_squared == pytest.approx(alone.r_squared)
    assert fit.converged_only.n_runs == 11
    assert "converged runs only" in fit.table().columns


def test_a_detour_needs_every_one_of_its_conditions():
    """State 1 is optional and slow; without significance, without a converging run beside it, it is no detour."""
    rng = np.random.default_rng(9)
    extra = np.where(np.arange(20) % 3 == 0, 0.3, 0.0)
    shares = np.column_stack([0.2 + 0.05 * rng.random(20), extra, np.zeros(20)])
    shares[:, 2] = 1 - shares.sum(axis=1)
    index = np.round(1000 * (shares[:, 0] + shares[:, 1])).astype(int)
    fit = outcome_regression(shares, index, [1000] * 20)
    assert detour_states(shares, index, fit).detour.tolist() == [False, True, False]
    assert not detour_states(shares, index, fit, significance=0.0).detour.any()
    never = np.where(extra > 0, index, -1)
    assert not detour_states(shares, never, outcome_regression(shares, never, [1000] * 20)).optional.any()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_dissimilarity_equals_the_sum_over_pairs(seed):
    shares = np.random.default_rng(seed).dirichlet(np.ones(4), size=6)
    pairs = [(i, j) for i in range(6) for j in range(i)]
    tv = [0.5 * np.abs(shares[i] - shares[j]).sum() for i, j in pairs]
    label = [np.abs(np.cumsum(shares[i]) - np.cumsum(shares[j])).sum() for i, j in pairs]
    assert trajectory_dissimilarity(shares) == pytest.approx(np.mean(tv))
    assert trajectory_dissimilarity(shares, ground="label") == pytest.approx(np.mean(label))


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=12), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_paths_are_described_consistently(lists):
    paths = [np.array(path) for path in lists]
    np.testing.assert_allclose(occupancy(paths, 4).sum(axis=1), 1)
    graph = path_graph(paths, np.full((4, 4), 0.25))
    assert graph["edge_occurrences"].sum() == sum(len(path) - 1 for path in paths)
    assert (graph["edge_runs"] <= len(paths)).all()
    for path, route in zip(paths, graph["routes"], strict=True):
        assert all(a != b for a, b in pairwise(route))
        assert (route[0], route[-1]) == (path[0], path[-1])
    order = canonical_order(paths, 4)
    assert sorted(order) == [0, 1, 2, 3]


def test_runs_that_end_on_the_way_are_told_from_runs_that_branch_off():
    model = HiddenMarkovModel(
        startprob=np.full(3, 1 / 3),
        transmat=np.eye(3) * 0.7 + 0.1,
        means=np.array([[0.0], [5.0], [10.0]]),
        covars=np.full((3, 1), 0.1),
    )
    paths = ([0, 1, 2], [0, 1, 2], [0, 1], [0, 2])
    drawn = training_map(model, [np.repeat(path, 4)[:, None] * 5.0 for path in paths])
    assert drawn.routes == ((0, 1, 2), (0, 1, 2), (0, 1), (0, 2))
    assert drawn.n_unfinished == 1
    assert "2 of 4 runs take 0→1→2, 1 ends on the way" in drawn.sentence()


def test_collapsing():
    assert collapsed(np.array([0, 0, 1, 1, 0, 2])) == (0, 1, 0, 2)


def test_influence_is_the_derivative_of_the_filtered_posterior():
    rng = np.random.default_rng(10)
    root = rng.normal(size=(3, 2, 2))
    model = HiddenMarkovModel(
        startprob=rng.dirichlet(np.ones(3)),
        transmat=rng.dirichlet(np.ones(3), 3),
        means=rng.normal(size=(3, 2)),
        covars=root @ np.swapaxes(root, 1, 2) + np.eye(2),
    )
    run, t, step = rng.normal(size=(6, 2)), 4, 1e-5
    gradient = posterior_gradient(model, run, model.filtered([run])[0])[t]
    for d in range(2):
        up, down = run.copy(), run.copy()
        up[t, d], down[t, d] = run[t, d] + step, run[t, d] - step
        slope = (np.log(model.filtered([up])[0][t]) - np.log(model.filtered([down])[0][t])) / (2 * step)
        np.testing.assert_allclose(gradient[:, d], slope, atol=1e-7)


@pytest.mark.parametrize("states", [1, 3, np.int64(2)])
@pytest.mark.parametrize("verb", [rs.dynamics, rs.methods.hmm.select_hmm])
def test_one_number_of_states_is_an_error_that_says_how_to_ask(verb, states):
    runs = [np.random.default_rng(seed).normal(size=(30, 2)) for seed in range(3)]
    with pytest.raises(InputError, match=rf"states=\[{states}\] tries {states} alone") as raised:
        verb(runs, states=states, restarts=2)
    assert f"states=range(1, {states + 1})" in str(raised.value)
    hinted = verb(runs, states=[int(states)], restarts=2)
    assert len(getattr(hinted, "selection", hinted).states) == 1


@pytest.mark.parametrize(
    ("states", "message"), [(0, "states=0"), ([0, 1], "out of range"), ([], "no numbers of states"), ([1.5], "whole")]
)
def test_numbers_of_states_are_checked_before_anything_is_read(states, message):
    with pytest.raises(InputError, match=message):
        rs.dynamics([np.zeros((30, 2))], states=states)
