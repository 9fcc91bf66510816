"""Regression test for training code: against permutations written out, its error rates, bad inputs."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from scipy import stats

import runspread as rs
from runspread.errors import InputError
from runspread.methods.trimming import margins, trimmed_distance, trimming_level
from runspread.methods.trimming.exchanges import exchanges


def pipeline(rng, runs, examples=300, changed=0.0, classes=2):
    """Logits of runs on fixed examples; a changed pipeline is sure of itself on a share of the examples."""
    signal = 2 * np.random.default_rng(0).normal(size=(examples, classes))
    logits = signal + rng.normal(size=(runs, examples, classes)) + 0.3 * rng.normal(size=(runs, 1, classes))
    logits[:, : round(changed * examples), 1] += 15
    return logits


def distances_of_all(old, new):
    """Distance under every arrangement of the runs, the observed one first, pair by pair with SciPy."""
    runs = np.concatenate([old, new])
    chosen = [list(rows) for rows in itertools.combinations(range(len(runs)), len(old))]
    pairs = [(runs[rows].ravel(), np.delete(runs, rows, axis=0).ravel()) for rows in chosen]
    return np.array([stats.ks_2samp(*pair, method="asymp").statistic for pair in pairs])


@pytest.mark.parametrize(("n_old", "n_new", "shift"), [(5, 4, 0.2), (4, 4, 0.3), (5, 4, 2.0), (2, 9, 0.0)])
def test_every_arrangement_written_out(n_old, n_new, shift):
    rng = np.random.default_rng(1)
    old, new = np.round(rng.normal(size=(n_old, 40)), 1), np.round(rng.normal(shift, 1, size=(n_new, 40)), 1)
    found = rs.same(old, new, epsilon=0.05, seed=7)
    every = distances_of_all(old, new)
    assert found.tests.exact
    assert found.tests.arrangements == len(every) // (2 if n_old == n_new else 1)
    assert found.distance == pytest.approx(every[0], abs=1e-12)
    assert found.tests.p_value == pytest.approx((every >= every[0] - 1e-12).mean(), abs=1e-12)
    rejected = [bound for bound in np.unique(every) if (every > bound + 1e-12).mean() <= 0.05]
    assert found.delta[0] == pytest.approx(min(rejected), abs=1e-12)
    assert (found.level > 0) == (found.tests.p_value <= 0.05)
    assert found.level == pytest.approx(trimming_level(old.ravel(), new.ravel(), threshold=found.delta[0]), abs=1e-12)
    curve = trimmed_distance(old.ravel(), new.ravel(), found.alphas)
    assert found.distances == pytest.approx(curve, abs=1e-12)


def test_random_arrangements_are_distinct_and_estimate_the_exact_p_value():
    rng = np.random.default_rng(3)
    old, new = rng.normal(size=(5, 60)), rng.normal(0.1, 1, size=(5, 60))
    every = distances_of_all(old, new)
    exact = (every >= every[0] - 1e-12).mean()
    found = [rs.same(old, new, permutations=99, epsilon=0.05, seed=seed) for seed in range(20)]
    assert not found[0].tests.exact
    mean = np.mean([each.tests.p_value for each in found])
    assert mean == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 2000) + 0.01)
    for sizes in ((5, 5), (4, 6)):  # nearly all of the 126 and 210 that there are
        drawn = exchanges(*sizes, 120, np.random.default_rng(0)).new
        assert np.array_equal(drawn[0], np.repeat([False, True], sizes))
        assert len(np.unique(np.where(drawn[:, :1] & (sizes[0] == sizes[1]), ~drawn, drawn), axis=0)) == 121
        assert (drawn.sum(1) == sizes[1]).all()


@pytest.mark.parametrize("epsilon", [0.05, 0.2])
def test_false_alarms_are_as_rare_as_promised(epsilon):
    rng = np.random.default_rng(5)
    trials = 200
    verdicts = [
        rs.same(
            pipeline(rng, 6, 100), pipeline(rng, 6, 100), alpha=0.0, epsilon=epsilon, permutations=99, seed=trial
        ).same
        for trial in range(trials)
    ]
    alarms = trials - sum(verdicts)
    low, high = stats.binom.ppf([0.001, 0.999], trials, epsilon)
    assert low <= alarms <= high


@pytest.mark.parametrize(("changed", "same"), [(0.0, True), (0.04, True), (0.15, False), (0.4, False)])
def test_changes_below_alpha_pass_and_those_above_do_not(changed, same):
    rng = np.random.default_rng(6)
    old, new = pipeline(rng, 20, 1000), pipeline(rng, 20, 1000, changed)
    found = rs.same(old, new, alpha=0.08)
    assert found.same == same
    if changed > 0.05:
        assert 0.6 * changed < found.level <= changed + 0.02  # the threshold takes its part: never too large
        assert found.tests.p_value == 0.001


def test_narrower_outputs_are_not_the_same_at_any_level():
    rng = np.random.default_rng(7)
    old = pipeline(rng, 20)
    found = rs.same(old, pipeline(rng, 20) / 50, alpha=0.9)
    assert found.level == math.inf
    assert not found.same
    assert json.loads(found.to_json())["level"] == "inf"


def test_identical_runs_are_the_same():
    old = pipeline(np.random.default_rng(8), 6)
    found = rs.same(old, old, alpha=0.0)
    assert found.same
    assert (found.level, found.distance, found.tests.p_value) == (0.0, 0.0, 1.0)
    assert "6 new runs have exactly the outputs of an old run" in found.warnings[0]
    assert "1 new run has exactly the outputs of an old run" in rs.same(old, old[:1], epsilon=0.2).warnings[0]
    assert rs.same(old, pipeline(np.random.default_rng(9), 6)).warnings == ()


def test_classes_are_tested_together():
    rng = np.random.default_rng(9)
    old, new = pipeline(rng, 12, classes=4), pipeline(rng, 12, classes=4)
    new[:, :90, 2] += 15
    found = rs.same(old, new)
    assert found.settings.margin == "one-vs-rest"
    assert found.class_levels.argmax() == 2
    assert found.level == found.class_levels.max()
    assert not found.same
    values = margins(old), margins(new)
    for k, level in enumerate(found.class_levels):
        direct = trimming_level(values[0][..., k].ravel(), values[1][..., k].ravel(), threshold=found.delta[0])
        assert level == pytest.approx(direct, abs=1e-12)
    assert "level of class 3" in found.table()[""]


@pytest.mark.parametrize("threshold", ["dkw", "rigorous"])
def test_independent_examples_have_a_bound_instead(threshold):
    rng = np.random.default_rng(10)
    old, new = rng.normal(size=(3, 500)), rng.normal(size=(4, 700))
    found = rs.same(old, new, threshold=threshold)
    assert found.same
    assert math.isnan(found.tests.p_value)
    assert (found.old.examples, found.new.examples) == (500, 700)
    if threshold == "dkw":
        assert found.delta[0] == pytest.approx(math.sqrt(1200 / 700_000 * math.log(200)))
    with pytest.raises(InputError, match="old runs on 500 examples and new ones on 700"):
        rs.same(old, new)


def test_result_shows_itself():
    rng = np.random.default_rng(11)
    labels = rng.integers(2, size=300)
    old, new = pipeline(rng, 8), pipeline(rng, 9)
    found = rs.same(old, new, labels=labels, alpha=0.1)
    assert found.old.accuracy == pytest.approx((old.argmax(-1) == labels).mean())
    assert found.new.accuracy == pytest.approx((new.argmax(-1) == labels).mean())
    assert found.sentence().startswith("No difference is shown between 9 new and 8 old runs, beyond the fraction")
    assert (
        f"p = {found.tests.p_value:.2g} for the distribution, {found.tests.p_examples:.2g} by example"
        in found.sentence()
    )
    assert "go unseen" in found.sentence()
    assert "mean accuracy, old" in found.table()[""]
    assert math.isnan(rs.same(old, new).old.accuracy)


def test_diverged_runs_are_excluded_and_named():
    rng = np.random.default_rng(12)
    old, new = pipeline(rng, 8), pipeline(rng, 9)
    new[4, 0, 0] = math.nan
    found = rs.same(old, new)
    assert found.new.n == 8
    assert [e.run for e in found.excluded] == ["run 4"]
    clean = rs.same(old, np.delete(new, 4, axis=0))
    assert (found.level, found.delta) == (clean.level, clean.delta)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 1.0}, "alpha 1. Expected a number from 0 up to"),
        ({"epsilon": 0.0}, "between 0 and 1"),
        ({"epsilon": 1e-4}, "p-values down to"),
        ({"permutations": 50}, "p-values down to 0.02"),
        ({"threshold": "permutations"}, "Did you mean 'permutation'"),
    ],
)
def test_impossible_settings_are_errors(arguments, message):
    rng = np.random.default_rng(13)
    with pytest.raises(InputError, match=message):
        rs.same(pipeline(rng, 6), pipeline(rng, 6), **arguments)


def test_too_few_runs_cannot_answer():
    rng = np.random.default_rng(14)
    with pytest.raises(InputError, match="3 old and 3 new runs have 10 distinguishable arrangements"):
        rs.same(pipeline(rng, 3), pipeline(rng, 3))
    with pytest.raises(InputError, match=r"down to 0.1. Expected p-values down to epsilon 0.05"):
        rs.same(pipeline(rng, 3), pipeline(rng, 3), epsilon=0.05)  # an arrangement counts as its mirror image
    assert rs.same(pipeline(rng, 3), pipeline(rng, 3), epsilon=0.1).settings.threshold == "permutation"
    with pytest.raises(InputError, match="the same classes"):
        rs.same(pipeline(rng, 6, classes=3), pipeline(rng, 6, classes=4))


@pytest.mark.parametrize("noise", [0.0, 1e-5])
def test_copies_inside_a_set_count_once(noise):
    rng = np.random.default_rng(0)
    copied = np.repeat(rng.normal(size=(5, 60)), 4, axis=0)
    old, new = copied + noise * rng.normal(size=copied.shape), rng.normal(size=(5, 60))
    once = rs.same(old[::4], new)
    for first, second, name in ((old, new, "old"), (new, old, "new")):
        found = rs.same(first, second)
        assert (found.old.n, found.new.n) == (5, 5)
        assert found.tests.p_value == pytest.approx(once.tests.p_value)
        assert f"15 {name} runs have exactly the outputs of another" in found.warnings[0]
        assert len(found.excluded) == 15
        assert found.excluded[0].reason == "the outputs of run 0 again"


def test_copies_of_one_run_are_no_evidence_of_a_change():
    rng = np.random.default_rng(0)
    copies, new = np.repeat(rng.normal(size=(1, 200)), 6, axis=0), rng.normal(size=(6, 200))
    with pytest.raises(InputError, match=r"1 old and 6 new runs \(5 copies excluded\)"):  # p was 0.0022, exit 1
        rs.same(copies, new)


@pytest.mark.parametrize("part", [0.05, 0.1, 0.3])
def test_a_level_of_exactly_alpha_is_allowed(part):
    old = np.arange(20.0)[None].repeat(3, 0) + np.arange(3)[:, None] / 7
    new = np.concatenate([old] * round(1 / part - 1) + [old + 1000], axis=1)
    whole = np.concatenate([old] * round(1 / part), axis=1)
    found = rs.same(whole, new, alpha=found_level(whole, new), threshold=0.0)
    assert found.same


def found_level(old, new):
    """The level as a fraction of whole runs, without its rounding."""
    return round(rs.same(old, new, threshold=0.0).level, 12)
