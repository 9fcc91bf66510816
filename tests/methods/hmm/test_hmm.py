"""Properties of the hidden Markov models that hold for any data, and their behaviour at the edges."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import runspread as rs
from runspread.errors import InputError
from runspread.methods.hmm import HiddenMarkovModel, fit_hmm, select_hmm
from runspread.methods.hmm.expectation import expectation
from runspread.methods.hmm.fitting import FitSettings, starting_points
from runspread.methods.hmm.initial import kmeans
from runspread.methods.hmm.kernels import load_kernels
from runspread.methods.hmm.parameters import as_frames
from runspread.methods.hmm.selection import _caveats


def staircase(rng: np.random.Generator, lengths=(60, 45, 80, 30, 70), n_states=3, n_metrics=2, noise=0.3):
    """Runs that climb through states one after the other, with known states."""
    paths = [np.minimum((np.arange(n) * n_states) // n, n_states - 1) for n in lengths]
    levels = 3.0 * np.arange(n_states)[:, None] * np.ones(n_metrics)
    return [levels[path] + noise * rng.normal(size=(len(path), n_metrics)) for path in paths], paths


def random_model(rng: np.random.Generator, n_states=3, n_metrics=2, covariance="full") -> HiddenMarkovModel:
    root = rng.normal(size=(n_states, n_metrics, n_metrics))
    full = root @ np.swapaxes(root, 1, 2) + 0.3 * np.eye(n_metrics)
    return HiddenMarkovModel(
        startprob=rng.dirichlet(np.ones(n_states)),
        transmat=rng.dirichlet(np.ones(n_states), n_states),
        means=2 * rng.normal(size=(n_states, n_metrics)),
        covars=full if covariance == "full" else np.diagonal(full, axis1=1, axis2=2).copy(),
    )


@pytest.fixture(params=["compiled", "plain"])
def kernels(request, monkeypatch):
    if request.param == "compiled":
        pytest.importorskip("numba")
    else:
        monkeypatch.setitem(sys.modules, "numba", None)
    return load_kernels()


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_a_batch_equals_single_fits(covariance, kernels):
    runs, _ = staircase(np.random.default_rng(0))
    options = {"covariance": covariance, "iterations": 8, "tolerance": -np.inf}
    start = starting_points(as_frames(runs), 3, FitSettings(covariance=covariance, restarts=5, seed=4), None)
    names = ("start", "trans", "means", "covars")
    given_names = ("startprob", "transmat", "means", "covars")
    together = fit_hmm(
        runs, 3, initial={g: getattr(start, n) for g, n in zip(given_names, names, strict=True)}, **options
    )
    for index in range(5):
        single = {g: getattr(start, n)[index] for g, n in zip(given_names, names, strict=True)}
        alone = fit_hmm(runs, 3, initial=single, **options)
        np.testing.assert_allclose(together.restarts[index].history, alone.history, rtol=1e-10)
        np.testing.assert_allclose(together.restart(index).covars, alone.covars, rtol=1e-7, atol=1e-10)


@given(seed=st.integers(0, 2**32 - 1), covariance=st.sampled_from(["diag", "full"]))
@settings(max_examples=20, deadline=None)
def test_permuting_states_permutes_everything(seed, covariance):
    rng = np.random.default_rng(seed)
    model, runs = random_model(rng, covariance=covariance), [rng.normal(size=(n, 2)) for n in (9, 1, 5)]
    order = rng.permutation(3)
    other = model.permuted(order)
    assert other.score(runs) == pytest.approx(model.score(runs), rel=1e-10)
    for before, after in zip(model.posterior(runs), other.posterior(runs), strict=True):
        np.testing.assert_allclose(after, before[:, order], atol=1e-10)
    assert other.permuted(np.argsort(order)).transmat == pytest.approx(model.transmat)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_another_run_does_not_change_a_run(seed):
    rng = np.random.default_rng(seed)
    model, run, other = random_model(rng), rng.normal(size=(12, 2)), 5 * rng.normal(size=(40, 2))
    alone, beside = model.posterior([run])[0], model.posterior([run, other])[0]
    np.testing.assert_allclose(alone, beside, atol=1e-12)
    np.testing.assert_allclose(model.score_runs([run, other])[0], model.score([run]), rtol=1e-12)


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_maximum_likelihood_never_falls(covariance):
    rng = np.random.default_rng(2)
    runs = [rng.normal(size=(50, 3)) + np.repeat([[0], [2]], 25, axis=0) for _ in range(6)]
    model = fit_hmm(runs, 3, covariance=covariance, prior=0.0, restarts=8, iterations=30, tolerance=-np.inf)
    for restart in model.restarts:
        history = np.array(restart.history)
        assert (np.diff(history) >= -1e-9 * np.abs(history[1:])).all()


def test_expected_transitions_add_up(kernels):
    rng = np.random.default_rng(3)
    model, runs = random_model(rng), [rng.normal(size=(n, 2)) for n in (1, 2, 30)]
    for run in runs:
        sums = expectation(as_frames([run]), model.parameters(), kernels)
        assert sums.xi.sum() == pytest.approx(len(run) - 1, abs=1e-9)
        assert sums.start.sum() == pytest.approx(1)


def test_filtered_at_the_end_equals_smoothed_and_never_looks_ahead(kernels):
    rng = np.random.default_rng(4)
    model, run = random_model(rng), rng.normal(size=(20, 2))
    filtered = model.filtered([run])[0]
    np.testing.assert_allclose(filtered[-1], model.posterior([run])[0][-1], atol=1e-12)
    np.testing.assert_allclose(model.filtered([run[:7]])[0], filtered[:7], atol=1e-12)


def test_known_states_are_recovered():
    runs, paths = staircase(np.random.default_rng(5))
    model = fit_hmm(runs, 3, restarts=8)
    found = np.concatenate(model.decode(runs).paths)
    truth = np.concatenate(paths)
    pairs = {(int(a), int(b)) for a, b in zip(truth, found, strict=True)}
    assert len(pairs) == 3
    assert select_hmm(runs, range(1, 6), restarts=6, covariance="diag").n_states == 3


def test_one_state_is_the_gaussian_fit():
    x = np.random.default_rng(6).normal(size=(40, 3)) @ np.array([[1, 0, 0], [0.5, 1, 0], [0, 0.2, 2]])
    model = fit_hmm([x[:15], x[15:]], 1, prior=0.0)
    np.testing.assert_allclose(model.means[0], x.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(model.covars[0], np.cov(x.T, ddof=0), atol=1e-12)
    assert model.n_parameters == 3 + 6
    assert not np.any(model.decode([x]).paths[0])


def test_structural_zeros_stay():
    runs, _ = staircase(np.random.default_rng(7))
    forward = np.triu(np.ones((3, 3))) * (1 - np.tri(3, 3, -1) - np.triu(np.ones((3, 3)), 2))
    initial = {
        "startprob": [1.0, 0.0, 0.0],
        "transmat": forward / forward.sum(axis=1, keepdims=True),
        "means": [[0.0, 0.0], [3.0, 3.0], [6.0, 6.0]],
        "covars": np.ones((3, 2)),
    }
    model = fit_hmm(runs, 3, covariance="diag", initial=initial)
    assert (model.transmat[forward == 0] == 0).all()
    assert model.startprob.tolist() == [1.0, 0.0, 0.0]


def test_an_impossible_start_fails_the_restart_alone():
    runs = [np.zeros((5, 1)), np.ones((5, 1))]
    initial = {
        "startprob": [[0.0, 0.0], [0.5, 0.5]],
        "transmat": np.full((2, 2, 2), 0.5),
        "means": np.array([[[0.0], [1.0]]] * 2),
        "covars": np.ones((2, 2, 1)),
    }
    model = fit_hmm(runs, 2, covariance="diag", initial=initial)
    assert model.restarts[0].failure
    assert not model.restarts[1].failure
    assert "1 of 2 restarts failed" in model.warnings[-1] or "1 of 2" in " ".join(model.warnings)


def dead_state() -> dict[str, np.ndarray]:
    """Two states, the second so far away that no frame can come from it."""
    return {
        "startprob": np.array([1.0, 0.0]),
        "transmat": np.array([[1.0, 0.0], [0.5, 0.5]]),
        "means": np.array([[0.0], [50.0]]),
        "covars": np.ones((2, 1)),
    }


def test_a_dead_state_keeps_its_parameters_in_robust_mode_and_fails_in_compat():
    runs = [np.random.default_rng(8).normal(size=(20, 1)) for _ in range(3)]
    model = fit_hmm(runs, 2, covariance="diag", initial=dead_state(), iterations=5)
    assert model.dead_states == (1,)
    assert model.means[1, 0] == 50.0
    assert model.transmat[1].tolist() == [0.5, 0.5]
    assert set(np.concatenate(model.decode(runs).paths)) == {0}
    with pytest.raises(rs.RunspreadError, match=r"all 1 restarts failed with 2 states: .* not finite"):
        fit_hmm(runs, 2, covariance="diag", initial=dead_state(), iterations=5, mode="compat")


def test_robust_equals_compat_where_nothing_dies():
    runs, _ = staircase(np.random.default_rng(9))
    robust, compat = (fit_hmm(runs, 3, restarts=3, mode=mode, iterations=10) for mode in ("robust", "compat"))
    assert robust.history == compat.history
    np.testing.assert_array_equal(robust.covars, compat.covars)


def test_a_singular_state_fails_its_restart_and_a_floor_saves_it():
    """One state sits on a single frame: its full covariance is singular without a prior on the diagonal."""
    rng = np.random.default_rng(10)
    run = np.concatenate([rng.normal(size=(30, 2)), [[40.0, 40.0]]])
    initial = {
        "startprob": [0.5, 0.5],
        "transmat": np.full((2, 2), 0.5),
        "means": [[0.0, 0.0], [40.0, 40.0]],
        "covars": np.tile(np.eye(2), (2, 1, 1)),
    }
    options = {"initial": initial, "iterations": 20, "tolerance": -np.inf}
    fit_hmm([run], 2, prior="identity", **options)
    floored = fit_hmm([run], 2, prior=0.0, variance_floor=1e-4, **options)
    assert np.linalg.eigvalsh(floored.covars).min() == pytest.approx(1e-4)
    with pytest.raises(rs.RunspreadError, match="not positive definite"):
        fit_hmm([run], 2, prior=-1e-3 * np.eye(2), **options)


def test_runs_of_length_one_count_for_start_and_emissions_only(kernels):
    runs = [np.array([[0.0]]), np.array([[1.0]]), np.random.default_rng(11).normal(size=(9, 1))]
    model = fit_hmm(runs, 2, covariance="diag", restarts=4, iterations=5)
    assert np.isfinite(model.score(runs))
    sums = expectation(as_frames(runs[:2]), model.parameters(), kernels)
    assert sums.xi.sum() == 0
    assert sums.start.sum() == pytest.approx(2)


def test_more_states_than_distinct_frames_is_survived():
    runs = [np.tile([[0.0], [1.0]], (6, 1)) for _ in range(3)]
    model = fit_hmm(runs, 4, covariance="diag", restarts=4)
    assert np.isfinite(model.log_likelihood)
    assert len(np.unique(np.concatenate(model.decode(runs).paths))) <= 4


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_json_round_trip(covariance):
    runs, _ = staircase(np.random.default_rng(12))
    model = fit_hmm(runs, 2, covariance=covariance, restarts=2, columns=["loss", "norm"])
    text = model.to_json()
    back = HiddenMarkovModel.from_json(text)
    assert back.score(runs) == model.score(runs)
    assert back.columns == ("loss", "norm")
    assert json.loads(back.to_json())["means"] == json.loads(text)["means"]
    assert "2-state" in model.sentence()
    assert model.table()["state"] == [0, 1]


def test_seeds_decide_and_more_restarts_change_none_of_the_first():
    runs, _ = staircase(np.random.default_rng(13))
    few, many = (fit_hmm(runs, 3, restarts=n, iterations=4) for n in (2, 9))
    for a, b in zip(few.restarts, many.restarts, strict=False):
        np.testing.assert_allclose(a.history, b.history, rtol=1e-9)
    assert fit_hmm(runs, 3, restarts=2, iterations=4, seed=1).history != few.history


def test_kmeans_finds_separated_clusters():
    rng = np.random.default_rng(14)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    x = np.concatenate([c + 0.1 * rng.normal(size=(50, 2)) for c in centres])
    found = kmeans(x, 3, rng, times=5)
    distance = np.linalg.norm(found[:, None] - centres, axis=2)
    assert distance.min(axis=1).max() < 0.1
    assert sorted(distance.argmin(axis=1)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("sequences", "options", "message"),
    [
        ([], {}, "no sequences"),
        ([np.zeros((0, 2)), np.ones((3, 2))], {}, "run 0 has no checkpoints"),
        ({"a": np.ones((3, 2)), "b": np.ones((3, 1))}, {}, r"b has shape \(3, 1\)"),
        ({"a": np.array([[1.0], [np.nan]])}, {}, "a holds nan at checkpoint 1, metric 0"),
        ([np.ones(3)], {}, "run 0 has shape"),
        ([np.ones((3, 1))], {"restart": 3}, "Did you mean 'restarts'"),
        ([np.ones((3, 1))], {"covariance": "spherical"}, "unknown covariance"),
        ([np.ones((3, 1))], {"restarts": 0}, "restarts=0"),
        ([np.ones((3, 2))], {"prior": np.ones(3)}, "a prior of shape"),
        ([np.ones((3, 1))], {"initial": {"means": [[1.0]]}}, "without startprob"),
        ([np.ones((3, 1))], {"columns": ["a", "b"]}, "2 column names for 1 metrics"),
    ],
)
def test_bad_input_is_named(sequences, options, message):
    with pytest.raises(InputError, match=message):
        fit_hmm(sequences, 1, **options)


def test_selection_reports_curves_failures_and_the_limit():
    runs, _ = staircase(np.random.default_rng(15), lengths=(40,) * 10)
    selection = select_hmm(runs, (1, 2), restarts=4, covariance="diag", criterion="bic_mean")
    assert selection.bic.shape == (2, 4)
    assert len(selection.validation_runs) == 2
    assert set(selection.validation_runs).isdisjoint(selection.training_runs)
    assert "the most that were tried" in " ".join(selection.warnings)
    model = selection.model
    held = [runs[int(name.split()[1])] for name in selection.validation_runs]
    assert selection.log_likelihood[1].max() == pytest.approx(model.score(held))
    assert selection.bic[1].min() == pytest.approx(model.bic(held))
    assert selection.table()["chosen"] == ["", "←"]
    assert "held-out" in selection.sentence()


def test_close_numbers_of_states_are_a_warning():
    notes = _caveats(np.array([2, 3, 4]), 1, np.zeros((3, 2)), np.array([[9.0, 9], [1, 5], [4, 6]]), True)
    assert notes == (
        "4 states come within the standard deviation over restarts of the BIC of 3: compare their maps, and other "
        "seeds, before leaning on this one",
    )
    runs, _ = staircase(np.random.default_rng(5))
    clear = select_hmm(runs, (1, 2), restarts=4, covariance="diag")
    assert clear.rivals == ()
    assert not any("come within" in note for note in clear.warnings)


def test_selection_on_one_run_uses_that_run_and_says_so():
    runs, _ = staircase(np.random.default_rng(16), lengths=(90,))
    selection = select_hmm(runs, (1, 2, 3), restarts=3, covariance="diag")
    assert selection.validation_runs == ()
    assert "chosen on the run that was fitted" in " ".join(selection.warnings)


def test_a_number_of_states_without_survivors_cannot_win():
    """A negative prior breaks every covariance that has few frames, so only one state survives."""
    runs = [np.random.default_rng(i).normal(size=(8, 2)) for i in range(5)]
    selection = select_hmm(runs, (1, 6), restarts=3, prior=-2.0 * np.eye(2), iterations=30)
    assert selection.failed.tolist() == [0, 3]
    assert selection.n_states == 1
    assert "3 with 6 states" in " ".join(selection.warnings)


@pytest.mark.parametrize("criterion", ["bic", "bic_mean", "bic_best", "aic", "heldout_ll"])
def test_criteria_choose_what_they_say(criterion):
    runs, _ = staircase(np.random.default_rng(17), lengths=(40,) * 6)
    s = select_hmm(runs, (1, 2, 3, 4), restarts=3, covariance="diag", criterion=criterion)
    curves = {"bic": s.bic_best, "bic_mean": s.bic_mean, "bic_best": s.bic_best, "aic": s.aic.mean(axis=1)}
    curve = curves.get(criterion, -s.log_likelihood.mean(axis=1))
    assert s.n_states == s.states[np.argmin(curve)]


def test_threads_change_nothing():
    runs, _ = staircase(np.random.default_rng(18))
    one, two = (fit_hmm(runs, 3, restarts=8, iterations=5, workers=w) for w in (1, 2))
    for a, b in zip(one.restarts, two.restarts, strict=True):
        np.testing.assert_allclose(a.history, b.history, rtol=1e-10)


def test_compiled_code_leaves_the_processor_as_it_was():
    """The recursions take numbers below 1e-308 for 0; nobody else's arithmetic may."""
    numba_kernels = pytest.importorskip("runspread.methods.hmm.kernels_numba")
    b = np.ones((4, 2, 3))
    numba_kernels.smooth(b, np.array([0, 4]), np.full((2, 3), 0.5), np.full((2, 2, 3), 0.5))
    assert np.float64(1e-310) / 2 > 0
    assert (np.full(64, 1e-310) * 0.5 > 0).all()
