"""Copies are found, near ones too, and count as one run; runs that agree by chance are none (audit A6)."""

from __future__ import annotations

import numpy as np
import pytest

import runspread as rs
from runspread._reading.copies import copied_outcomes, copied_outputs
from runspread._reading.outputs import ArrayOutputs
from runspread.methods.audit import RunEvidence
from runspread.methods.audit.auditing import copied_runs
from runspread.methods.ensembles import diversity, select_ensemble
from runspread.methods.variance import independence_test, pair_deviations, perturbation_sensitivity, run_accuracies
from runspread.methods.variance.whole_sources import counted
from tests.methods.variance.probit import draw


def logits(rng, runs=5, examples=300, classes=3, own=0.5, scale=1.0):
    """Outputs of runs that share what is hard, and differ by `own`."""
    labels = rng.integers(0, classes, examples)
    common = rng.normal(size=(examples, classes)) + 1.5 * np.eye(classes)[labels]
    return scale * (common + own * rng.normal(size=(runs, examples, classes))), labels


def copies_of(values, labels=None):
    return copied_outputs(ArrayOutputs(np.asarray(values), labels))[0]


def outcomes_of(matrix):
    matrix = np.asarray(matrix, bool)
    return copied_outcomes([row.tobytes() for row in matrix], matrix.sum(axis=1), matrix.sum(axis=0))


@pytest.mark.parametrize("runs", [2, 5])
def test_five_equal_rows_do_not_explain_themselves(runs):
    """The expected number of equal pairs was computed from the copies: "would make about 10"."""
    rows = np.repeat(np.random.default_rng(0).random((1, 500)) < 0.8, runs, axis=0)
    for method in (rs.variance, independence_test, pair_deviations):
        said = method(correct=rows).warnings
        assert "identical outcomes: repeated seeds or copies" in said[0]
        assert f"All {runs} runs are copies of one, which count as 1 run" in said[1]
    assert outcomes_of(rows).distinct.tolist() == [0]


def test_copies_among_others_count_once():
    matrix = draw(np.random.default_rng(1), 8, 400, 0.2)[0]
    matrix[[3, 6]] = matrix[1]
    found = outcomes_of(matrix)
    assert found.groups == ((1, 3, 6),)
    assert found.distinct.tolist() == [0, 1, 2, 4, 5, 7]
    assert found.n_distinct == 6


@pytest.mark.parametrize(
    ("runs", "examples", "error"), [(5, 20, 0.3), (200, 10, 0.3), (50, 30, 0.02), (200, 1000, 0.001), (5, 1000, 0.0)]
)
def test_chance_makes_equal_rows_on_small_or_easy_test_sets(runs, examples, error):
    for seed in range(20):
        rng = np.random.default_rng([2, seed])
        assert not outcomes_of(rng.random((runs, examples)) >= error).groups


def test_a_failing_run_makes_no_copies_of_two_perfect_ones():
    matrix = np.ones((3, 1000), bool)
    matrix[2] = np.random.default_rng(3).random(1000) < 0.1
    assert not outcomes_of(matrix).groups
    assert "by chance" in rs.variance(correct=matrix).warnings[0]


@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-5, 1e-4])
@pytest.mark.parametrize("kind", ["logits", "half", "probabilities", "one column"])
def test_near_copies_of_outputs(noise, kind):
    rng = np.random.default_rng(4)
    values, _ = logits(rng, classes=1 if kind == "one column" else 3)
    if kind == "probabilities":
        values = np.exp(values) / np.exp(values).sum(axis=2, keepdims=True)
    values[3] = values[1] + noise * rng.normal(size=values[1].shape) * (0.1 if kind == "probabilities" else 1)
    found = copies_of(values.astype(np.float16 if kind == "half" else np.float64))
    assert found.groups == ((1, 3),)
    assert found.distinct.tolist() == [0, 1, 2, 4]


HONEST = {
    "logits": lambda rng: logits(rng, 30)[0],
    "very similar runs in half precision": lambda rng: logits(rng, 30, own=0.05)[0].astype(np.float16),
    "one logit, one decimal": lambda rng: logits(rng, 60, classes=1, own=0.3)[0].round(1),
    "one logit, no decimals": lambda rng: logits(rng, 60, classes=1, own=0.3, scale=3)[0].round(),
    "random labels in half precision": lambda rng: rng.normal(scale=1e-3, size=(60, 100, 10)).astype(np.float16),
    "probabilities near 0 and 1": lambda rng: (1 / (1 + np.exp(-logits(rng, 30, classes=1, scale=20)[0]))).astype(
        np.float16
    ),
    "collapsed": lambda rng: (
        np.log([[[0.7, 0.2, 0.1]]])
        + rng.normal(scale=0.002, size=(30, 1, 3))
        + rng.normal(scale=1e-6, size=(30, 100, 3))
    ),
    "dead": lambda rng: np.zeros((5, 100, 3)),
    "three examples": lambda rng: logits(rng, 30, examples=3)[0],
    "three hundred runs": lambda rng: logits(rng, 300, examples=60)[0].astype(np.float16),
}


@pytest.mark.parametrize("name", HONEST)
def test_outputs_of_honest_runs_are_no_copies(name):
    for seed in range(3):
        found = copies_of(HONEST[name](np.random.default_rng([5, seed])))
        assert not found.groups
        assert not found.partial


def test_runs_that_are_sure_of_every_example_are_no_copies_where_all_are_right():
    labels = np.arange(200) % 4
    sure = np.repeat(np.eye(4)[labels][None], 5, axis=0)
    assert not copies_of(sure, labels).groups
    wrong = np.roll(sure, 1, axis=2)  # all wrong in the same way, on every example
    wrong[:, ::2] = sure[:, ::2]
    assert copies_of(wrong, labels).groups == ((0, 1, 2, 3, 4),)


def test_copies_of_a_part():
    rng = np.random.default_rng(6)
    values, _ = logits(rng, 6)
    values[2, :150] = values[0, :150]
    found = copies_of(values)
    assert not found.groups
    ((first, second, share),) = found.partial
    assert (first, second) == (0, 2)
    assert share == pytest.approx(0.5)
    audit = rs.audit(RunEvidence.from_arrays(predictions=values))
    assert not audit.passed
    assert "the same predictions on a part of the examples (run 0 = run 2)" in audit.findings[0].what


def test_many_runs_are_compared_by_keys():
    rng = np.random.default_rng(7)
    values, _ = logits(rng, 1000, examples=80)
    values = values.astype(np.float16)
    values[[10, 700]] = values[400] + 1e-4 * rng.normal(size=(2, 80, 3)).astype(np.float16)
    values[900, :40] = values[20, :40]
    found = copies_of(values)
    assert found.groups == ((10, 400, 700),)
    assert [pair[:2] for pair in found.partial] == [(20, 900)]


def test_chains_of_near_copies_are_one_run():
    values, _ = logits(np.random.default_rng(8), 4)
    values[1], values[2] = values[0] + 6e-4, values[0] + 12e-4
    assert copies_of(values).groups == ((0, 1, 2),)


def test_predicted_classes_without_labels():
    rng = np.random.default_rng(9)
    rows = rng.integers(0, 5, (8, 100))
    rows[5] = rows[2]
    assert copies_of(rows).groups == ((2, 5),)
    easy = np.where(rng.random((40, 1000)) < 0.001, 0, np.arange(1000) % 5)
    assert not copies_of(easy).groups
    assert not copies_of(np.zeros((5, 100), int)).groups  # which failing runs predict


METHODS = {
    "variance": rs.variance,
    "calibration": rs.calibration,
    "scores": rs.ensemble_scores,
    "diversity": diversity,
    "independence_test": lambda values, labels: independence_test(values, labels, resamples=9),
    "run_accuracies": run_accuracies,
    "compare": lambda values, labels: rs.compare(values, logits(np.random.default_rng(10), 5)[0], labels),
    "select_ensemble": lambda values, labels: select_ensemble(values, labels, size=2, folds=0),
}


@pytest.mark.filterwarnings("ignore::runspread.errors.RunspreadWarning")
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("noise", [0.0, 1e-5])
def test_methods_warn_of_copies_in_arrays(name, noise):
    values, labels = logits(np.random.default_rng(11))
    values[:] = values[0] + noise * np.random.default_rng(12).normal(size=values.shape)
    said = [note for note in METHODS[name](values, labels).warnings if "copied runs" in note or "or copies" in note]
    assert len(said) == 1


def test_poked_runs_are_to_be_alike():
    values, _ = logits(np.random.default_rng(13))
    assert not perturbation_sensitivity(values, values, values + 1e-6).warnings


@pytest.mark.parametrize("noise", [0.0, 1e-5])
def test_a_study_of_copies_fails_its_audit(tmp_path, noise):
    rng = np.random.default_rng(14)
    values, labels = logits(rng)
    study = rs.create_study(tmp_path / "study", splits={"test": labels})
    for seed in range(5):
        with study.record(seeds=seed) as run:
            run.predictions("test", values[0] + noise * rng.normal(size=values[0].shape))
    found = rs.audit(study)
    assert not found.passed
    assert (found.n_runs, found.n_distinct) == (5, 1)
    assert found.findings[0].kind == "copied runs"
    assert "10 pairs of runs have" in found.findings[0].what
    assert "All 5 runs count as 1 run" in found.findings[0].effect
    assert "copied runs" in rs.variance(study).warnings[0]


def test_the_runs_without_copies_are_told_to_methods(tmp_path):
    """What a verdict needs: positions of distinct runs among those that were counted."""
    rng = np.random.default_rng(15)
    values, labels = logits(rng, 6)
    values[4] = values[1] + 1e-5
    values[0, 3, 0] = np.nan
    statistics, outcomes = counted(values, labels, {}, nan="drop_run")
    assert copied_runs(values, statistics, outcomes).distinct.tolist() == [0, 1, 2, 4]  # of runs 1 to 5
    study = rs.create_study(tmp_path / "study", splits={"test": labels})
    for seed in range(1, 6):
        with study.record(seeds=seed) as run:
            run.predictions("test", values[seed])
    statistics, outcomes = counted(study, None, {})
    assert copied_runs(study, statistics, outcomes).n_distinct == 4
    matrix = np.repeat(draw(rng, 1, 300, 0.2)[0], 3, axis=0)
    statistics, outcomes = counted(None, None, {}, correct=matrix)
    assert copied_runs(None, statistics, outcomes).n_distinct == 1
    assert copied_runs(statistics, statistics, None).n_distinct == 1
