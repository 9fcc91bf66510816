"""The plug-in of pytest and its assertions: levels, seeds, baselines, messages, and baselines that do not fit."""

from __future__ import annotations

import json
import math
import re
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import norm

from runspread.errors import InputError, RunspreadWarning
from runspread.methods.gate import regression_limits, regression_test
from runspread.methods.gate.regression import Scale
from runspread.testing import (
    Baseline,
    assert_learns,
    assert_no_regression,
    assert_not_worse,
    assert_reproducible,
    assert_same_distribution,
    assert_seeds_differ,
    pytest_plugin,
    read_baseline,
    write_baseline,
)

from .curves import curve

pytest_plugins = ["pytester"]
VALUES = tuple(0.5 + 0.01 * np.random.default_rng(0).normal(size=10))


def loss(seed: int, mean: float = 0.5) -> float:
    return float(mean + 0.01 * np.random.default_rng(seed).normal())


def worse(seed: int) -> float:
    return loss(seed, 0.6)


@pytest.fixture
def baseline() -> Baseline:
    return Baseline("small_mlp", metric="test loss", values=VALUES, seeds=tuple(range(10)), revision="3f2c1a")


# ---------------------------------------------------------------------- two stages


@pytest.mark.parametrize(
    ("runs", "first", "then"), [(5, 3.41, 2.28), (8, 2.58, 1.72), (10, 2.35, 1.56), (20, 1.93, 1.25), (40, 1.70, 1.07)]
)
def test_limits_are_those_of_the_specification(runs, first, then):
    limits = regression_limits(runs, 0.01)
    assert (round(limits.first, 2), round(limits.then, 2), limits.fresh) == (first, then, 3)


def test_a_good_first_run_is_enough():
    asked = []
    found = regression_test(lambda: asked.append(1) or 0.5, VALUES)
    assert not found.red
    assert len(asked) == 1


def test_a_bad_first_run_is_followed_by_fresh_ones_which_decide_alone():
    outcomes = iter([9.0, 0.5, 0.49, 0.51])
    found = regression_test(lambda: next(outcomes), VALUES)
    assert not found.red
    assert found.judged == (0.5, 0.49, 0.51)


def test_a_failed_run_is_worse_than_every_other():
    assert regression_test([math.nan], VALUES).red
    assert regression_test(lambda: math.inf, VALUES).red


def test_direction_and_margin():
    assert regression_test([0.6] * 3, VALUES).red
    assert not regression_test([0.6] * 3, VALUES, higher=True).red
    assert regression_test([0.4] * 3, VALUES, higher=True).red
    assert not regression_test([0.6] * 3, VALUES, margin=0.1).red


def test_accuracies_near_one_are_stretched():
    """On the plain scale a run at 1 could never be too good, and one below 0.99 not be judged."""
    values = [0.991, 0.993, 0.992, 0.99, 0.994, 0.992, 0.991, 0.993]
    assert not regression_test([0.992] * 3, values, higher=True).red
    assert regression_test([0.97] * 3, values, higher=True).red


def test_one_stage_where_one_run_is_allowed():
    assert len(regression_test(lambda: 9.0, VALUES, max_runs=1).outcomes) == 1


def test_the_shift_that_would_be_seen_turns_nine_tests_of_ten_red():
    """On average over baselines, in whose standard deviations it is said."""
    limits, rng, red = regression_limits(10, 0.01), np.random.default_rng(0), list[float]()
    for _ in range(4000):
        values = rng.normal(size=10)
        mean, sd = values.mean(), values.std(ddof=1)
        first, then = (mean + (limit - limits.seen()) * sd for limit in (limits.first, limits.then))
        red.append(norm.sf(first) * norm.sf(then * math.sqrt(limits.fresh)))
    assert np.mean(red) == pytest.approx(0.9, abs=0.01)


def test_the_shift_of_accuracies_near_one_is_that_of_their_scale():
    """In standard deviations of the accuracies it was too small: it turned four tests in five red, not nine in ten."""
    limits, rng, red = regression_limits(10, 0.01), np.random.default_rng(0), list[float]()
    middle = math.asin(math.sqrt(0.97))
    for _ in range(4000):
        values = np.sin(middle + 0.02 * rng.normal(size=10)) ** 2
        scale = Scale.of(values, higher=True)
        assert scale.stretched
        losses = scale.losses(values)
        worse = -math.asin(math.sqrt(0.97 - scale.shift(values, limits.seen())))
        mean, sd = losses.mean(), losses.std(ddof=1)
        first, then = ((mean + limit * sd - worse) / 0.02 for limit in (limits.first, limits.then))
        red.append(norm.sf(first) * norm.sf(then * math.sqrt(limits.fresh)))
    assert np.mean(red) == pytest.approx(0.9, abs=0.015)


def test_outcomes_that_are_handed_in_promise_no_shift_of_another_test(baseline, capsys):
    """One outcome has one stage; what two stages would have seen was said of it."""
    for outcomes in ([0.5], [0.5, 0.51]):
        assert_no_regression(outcomes, baseline)
        assert "would have been seen" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, 2.0, 3.0, 4.0], "has 4 runs"),
        ([1.0, 2.0, 3.0, 4.0, math.nan], "a run of the baseline failed"),
        ([0.5] * 8, "assert_reproducible"),
    ],
)
def test_baselines_that_cannot_be_used(values, said):
    with pytest.raises(InputError, match=said):
        regression_test([1.0], values)


# ---------------------------------------------------------------------- assertions


def test_red_says_what_a_stranger_needs(baseline):
    with pytest.raises(AssertionError) as failed:
        assert_no_regression(worse, baseline)
    said = str(failed.value)
    for part in (
        "small_mlp: test loss is worse than its baseline. New mean 0.6",
        "of 3 fresh runs (0.",
        "baseline 0.5",
        "10 runs of 3f2c1a",
        "limit 1.56 sd",
        "fewer than 1 of 100 commits, for 95 % of baselines",
        "--stochastic-seed 0",
        "--update-baselines",
    ):
        assert part in said


def test_green_says_what_would_have_been_seen(baseline, capsys):
    assert_no_regression(loss, baseline)
    said = capsys.readouterr().out
    assert re.search(r"not shown to be worse .* A shift of 0\.0\d+ would have been seen 9 times in 10", said)


def test_not_worse_has_to_be_shown(baseline):
    assert_not_worse(loss, baseline, margin=0.05)
    with pytest.raises(AssertionError, match="is not shown to be not worse"):
        assert_not_worse(loss, baseline, margin=0.001)
    with pytest.raises(AssertionError, match="is worse than its baseline"):
        assert_not_worse(worse, baseline, margin=0.05)
    with pytest.raises(AssertionError, match="1 of 5 new runs failed"):
        assert_not_worse([0.5, 0.5, 0.5, 0.5, math.nan], baseline, margin=0.05)
    with pytest.raises(InputError, match="a number above 0"):
        assert_not_worse(loss, baseline, margin=0)


def test_same_distribution_sees_both_directions(baseline):
    assert_same_distribution([loss(seed) for seed in range(50, 58)], baseline)
    for mean in (0.4, 0.6):
        with pytest.raises(AssertionError, match="does not say which is better"):
            assert_same_distribution([loss(seed, mean) for seed in range(8)], baseline)
    with pytest.raises(InputError, match="Use more new runs"):
        assert_same_distribution([0.5], baseline)


def test_same_distribution_refuses_what_it_could_never_call_different(baseline):
    """Twice the smaller of two one-sided p-values: 10 and 3 runs reach 2 / 286, not 1 / 286, and would stay green."""
    far = [loss(seed, 9.0) for seed in range(3)]
    with pytest.raises(AssertionError, match=r"p = 0\.007"):
        assert_same_distribution(far, baseline)
    with pytest.raises(InputError, match=r"p-values down to 0\.007"):
        assert_same_distribution(far, replace(baseline, false_red=0.005))


@pytest.mark.parametrize(
    "outputs", [np.full((8, 20), 0.9), np.full((8, 20), 300), np.zeros((8, 2, 2), int), [math.nan] * 8, 0.5]
)
def test_same_distribution_refuses_what_are_no_classes_or_outcomes(tmp_path, outputs):
    """Probabilities were cut to whole numbers, 0 for all of them, and so all alike."""
    old = np.random.default_rng(0).integers(2, size=(8, 20))
    made = write_baseline(tmp_path / "a.json", old.mean(1), range(8), predictions=old, metric="accuracy")
    with pytest.raises(InputError):
        assert_same_distribution(outputs, made)


def test_one_new_run_does_not_say_how_far_runs_differ(tmp_path):
    """With 1 of 120 runs the statistic is unknown, and no number of it is at least what was seen: p = 0, always red."""
    old = np.random.default_rng(0).integers(2, size=(120, 20))
    made = write_baseline(tmp_path / "a.json", np.linspace(0.4, 0.6, 120), range(120), predictions=old)
    with pytest.raises(InputError, match="2 or more"):
        assert_same_distribution(old[:1], made)


def test_same_distribution_sees_answers_that_are_permuted_among_examples(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=400)

    def answers(runs: int) -> np.ndarray:
        return np.where(rng.random((runs, 400)) < 0.9, labels, rng.integers(10, size=(runs, 400)))

    old = answers(8)
    made = write_baseline(tmp_path / "a.json", (old == labels).mean(1), range(8), predictions=old, metric="accuracy")
    kept = read_baseline(tmp_path / "a.json")
    np.testing.assert_array_equal(kept.answers(), old)
    assert made.values == kept.values
    assert_same_distribution(answers(6), kept)
    with pytest.raises(AssertionError, match="answers on 400 examples"):
        assert_same_distribution(answers(6)[:, rng.permutation(400)], kept)
    with pytest.raises(InputError, match="the same examples"):
        assert_same_distribution(answers(6)[:, :300], kept)


def drifting(seed: int) -> dict[str, np.ndarray]:
    found = curve(seed)
    found["loss"][7:] += np.random.default_rng().normal(size=13)
    return found


def deaf(seed: int) -> float:
    return 1.0


def test_reproducible_in_fresh_interpreters():
    assert_reproducible(curve, seed=3)


def test_what_is_not_reproducible_is_named_by_its_first_step():
    with pytest.raises(AssertionError, match=r"two runs with seed 3 differ: loss at 7, .* 13 of 20 values"):
        assert_reproducible(drifting, seed=3, fresh=False)
    with pytest.raises(AssertionError, match="the seed is not used"):
        assert_reproducible(deaf, fresh=False)
    with pytest.raises(InputError, match="a function of a module"):
        assert_reproducible(lambda seed: seed)


def test_a_tolerance_may_replace_bits():
    noise = iter([0.0, 1e-9, 0.0])
    assert_reproducible(lambda seed: 1.0 + seed + next(noise), equal=1e-6, fresh=False)


def test_seeds_differ():
    assert_seeds_differ(loss)
    with pytest.raises(AssertionError, match="the seed is not used"):
        assert_seeds_differ(deaf)
    with pytest.raises(InputError):
        assert_seeds_differ(loss, [1, 1])


def test_learns():
    assert_learns(lambda seed: (600, 1000), 0.1)
    with pytest.raises(AssertionError, match="not shown to have learned"):
        assert_learns(lambda seed: (110, 1000), 0.1)


# ---------------------------------------------------------------------- baselines


def test_a_baseline_keeps_its_provenance(tmp_path):
    made = write_baseline(tmp_path / "b" / "x.json", VALUES, range(10), metric="loss", seconds=1.5)
    text = made.path.read_text()
    assert len(text) < 4096
    found = json.loads(text)
    assert {"version", "name", "metric", "higher", "values", "seeds", "revision", "date", "environment"} <= set(found)
    assert {"python", "machine", "device"} <= set(found["environment"])
    assert read_baseline(made.path, metric="loss") == made


@pytest.mark.parametrize(
    ("expected", "said"),
    [({"metric": "accuracy"}, "metric 'loss'"), ({"higher": True}, "higher False"), ({"config": "a"}, "config")],
)
def test_a_baseline_of_something_else_is_refused(tmp_path, expected, said):
    made = write_baseline(tmp_path / "x.json", VALUES, range(10), metric="loss")
    with pytest.raises(InputError, match=said):
        read_baseline(made.path, **expected)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"version": 1, "values": ["a"]}', '{"version": 99, "values": [1]}'])
def test_a_file_that_is_no_baseline_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError):
        read_baseline(tmp_path / "x.json")


def test_no_baseline_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match="pytest --update-baselines"):
        read_baseline(tmp_path / "x.json")


@pytest.mark.parametrize("known", [{"machine": "abacus"}, {"device": "cuda"}])
def test_a_baseline_of_another_processor_is_refused(baseline, known, monkeypatch):
    monkeypatch.setattr("runspread.testing.baselines._device", lambda: "cpu")
    other = replace(baseline, environment=known)
    for refuses in (
        lambda: assert_no_regression(loss, other),
        lambda: assert_not_worse(loss, other, margin=0.05),
        lambda: assert_same_distribution([loss(seed) for seed in range(50, 58)], other),
    ):
        with pytest.raises(InputError, match=f"made elsewhere: {next(iter(known))} .*, not "):
            refuses()


def test_a_device_that_nobody_knows_is_none_of_another_kind(baseline, monkeypatch):
    """Before a training has loaded torch, nothing is known of the device it will take."""
    monkeypatch.setattr("runspread.testing.baselines._device", lambda: "")
    assert_no_regression(loss, replace(baseline, environment={"device": "cuda"}))
    monkeypatch.setattr("runspread.testing.baselines._device", lambda: "cuda")
    assert_no_regression(loss, replace(baseline, environment={"device": ""}))


def test_a_baseline_of_another_processor_may_be_made_under_a_name_of_its_own(suite, pytester):
    suite("--update-baselines")
    file = Path(pytester.path) / "baselines" / "mlp.json"
    file.write_text(re.sub('"machine": "[^"]*"', '"machine": "abacus"', file.read_text()))
    done = suite()
    done.assert_outcomes(passed=2, failed=1)
    done.stdout.fnmatch_lines(["*made elsewhere: machine abacus, not *"])
    test = Path(pytester.path) / "test_it.py"
    test.write_text(test.read_text().replace('"mlp"', '"mlp_here"'))
    suite("--update-baselines").assert_outcomes(passed=3)
    suite().assert_outcomes(passed=3)


@pytest.mark.parametrize(
    "changes",
    [
        {"values": None},
        {"values": [0.5, "1_0"]},
        {"environment": []},
        {"seeds": 3},
        {"values": [math.nan] * 8},
        {"predictions": "A" * 300_000},
    ],
)
def test_a_baseline_that_was_edited_wrongly_is_refused(tmp_path, changes):
    made = write_baseline(tmp_path / "x.json", VALUES, range(10), metric="loss")
    made.path.write_text(json.dumps(json.loads(made.path.read_text()) | changes))
    with pytest.raises(InputError):
        read_baseline(made.path)


@pytest.mark.parametrize("shape", [(8, 19), (160,), (8, 21), (-8, -20), (2**40, 2**40), (0, 160)])
def test_predictions_that_are_not_what_they_state_are_refused(tmp_path, shape):
    old = np.random.default_rng(0).integers(2, size=(8, 20))
    made = write_baseline(tmp_path / "a.json", np.linspace(0.4, 0.6, 8), range(8), predictions=old)
    with pytest.raises(InputError, match="do not have the shape"):
        replace(made, shape=shape).answers()
    with pytest.raises(InputError, match="are damaged"):
        replace(made, predictions="AAAA").answers()


def test_a_run_far_from_the_others_is_warned_of(baseline):
    with pytest.warns(RunspreadWarning, match="lies far from the others"):
        assert_no_regression(loss, replace(baseline, values=(*VALUES, 0.9)))


def test_trap_11_an_update_takes_new_seeds(tmp_path, baseline, capsys):
    kept = replace(baseline, path=tmp_path / "x.json", update=True, first_seed=7)
    assert_no_regression(loss, kept)
    assert "Review and commit it" in capsys.readouterr().out
    seeds = set(read_baseline(kept.path).seeds)
    assert len(seeds) == 10
    assert not seeds & set(baseline.seeds)


def test_outcomes_without_seeds_are_stored_without(tmp_path, baseline):
    """They were stored as those of the seeds 0 to 9, which nobody had said."""
    for update in (assert_no_regression, assert_same_distribution):
        update(list(VALUES), replace(baseline, path=tmp_path / "x.json", update=True))
        assert read_baseline(tmp_path / "x.json").seeds == ()


# ---------------------------------------------------------------------- the plug-in

SUITE = """
import numpy as np
from runspread.testing import assert_no_regression

def loss(seed):
    return float(MEAN + 0.01 * np.random.default_rng(seed).normal())

def test_loss(stochastic_baseline):
    assert_no_regression(loss, stochastic_baseline("mlp", metric="loss"))

def test_other(stochastic_baseline):
    assert_no_regression(loss, stochastic_baseline("other", metric="loss"))

def test_plain():
    pass
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("runspread.testing.pytest_plugin.random_seed", lambda: 1)  # the same every time
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # others would take most of the time
    pytester.makepyfile(test_it=SUITE.replace("MEAN", "0.5"))

    def run(*options: str) -> pytest.RunResult:
        with warnings.catch_warnings():  # the inner session sets filters of its own
            return pytester.runpytest_inprocess("-p", "runspread.testing.pytest_plugin", *options)

    return run


def test_a_baseline_is_made_used_and_missed(suite, pytester):
    suite().assert_outcomes(passed=1, failed=2)
    done = suite("--update-baselines")
    done.assert_outcomes(passed=3)
    done.stdout.fnmatch_lines(["*mlp.json was written: baseline 0.*Review and commit it.*"])
    assert {file.name for file in (Path(pytester.path) / "baselines").iterdir()} == {"mlp.json", "other.json"}
    done = suite("--stochastic-seed", "5")
    done.assert_outcomes(passed=3)
    done.stdout.fnmatch_lines(["stochastic: 2 tests, each falsely red in at most 0.5 % of commits, seeds of 5*"])
    pytester.makepyfile(test_it=SUITE.replace("MEAN", "0.7500"))
    done = suite("--stochastic-seed", "5")
    done.assert_outcomes(failed=2, passed=1)
    done.stdout.fnmatch_lines(["*mlp: loss is worse than its baseline. New mean 0.*--stochastic-seed 5*"])


def test_a_worker_hands_over_which_baselines_it_wrote():
    worker = SimpleNamespace(workeroutput={}, stash={pytest_plugin._WRITTEN: [Path("a.json")]})
    whole = SimpleNamespace(stash={})
    pytest_plugin.pytest_sessionfinish(SimpleNamespace(config=worker))
    pytest_plugin.pytest_testnodedown(SimpleNamespace(config=whole, workeroutput=worker.workeroutput))
    assert whole.stash == {pytest_plugin._WRITTEN: [Path("a.json")]}
    pytest_plugin.pytest_testnodedown(SimpleNamespace(config=whole))  # one that crashed hands over nothing


@pytest.mark.slow
def test_workers_beside_each_other_say_which_baselines_they_wrote(pytester):
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    pytester.makepyfile(test_it=SUITE.replace("MEAN", "0.5000"))
    done = pytester.runpytest_subprocess("-p", "runspread.testing.pytest_plugin", "-n", "2", "--update-baselines")
    done.assert_outcomes(passed=3)
    for name in ("mlp", "other"):
        done.stdout.fnmatch_lines([f"*{name}.json was written: baseline 0.*Review and commit it.*"])


def test_tests_that_are_deselected_keep_the_level_of_the_suite(suite):
    suite("--update-baselines")
    done = suite("-k", "test_other")
    done.stdout.fnmatch_lines(["stochastic: 2 tests, each falsely red in at most 0.5 %*"])
    done = suite("test_it.py::test_loss")
    done.stdout.fnmatch_lines(["stochastic: 2 tests, each falsely red in at most 0.5 %*"])


def test_the_marker_is_there_for_who_deselects(suite):
    done = suite("-m", "not stochastic", "--strict-markers")
    done.assert_outcomes(passed=1, deselected=2)


def test_the_budget_is_set_in_the_configuration(suite, pytester):
    suite("--update-baselines")
    pytester.makeini("[pytest]\nstochastic_false_red = 0.02\nstochastic_budget = per_test\n")
    suite().stdout.fnmatch_lines(["*each falsely red in at most 2 % of commits*"])
    suite("--stochastic-budget", "0.001").stdout.fnmatch_lines(["*at most 0.1 % of commits*"])


def test_trap_10_a_job_that_runs_again_has_the_same_seeds(suite, monkeypatch):
    monkeypatch.setenv("CI", "1")
    monkeypatch.setattr("runspread.testing.baselines.revision", lambda: "3f2c1a")
    suite("--update-baselines")
    seeds = [re.search(r"seeds of (\d+)", suite().stdout.str())[1] for _ in range(2)]
    assert seeds[0] == seeds[1]
    monkeypatch.setattr("runspread.testing.baselines.revision", lambda: "other")
    assert re.search(r"seeds of (\d+)", suite().stdout.str())[1] != seeds[0]


def test_without_the_fixture_it_says_and_loads_nothing(pytester):
    pytester.makepyfile(
        """
        import sys

        def test_plain():
            assert "numpy" not in sys.modules
            assert "runspread.testing.asserts" not in sys.modules
        """
    )
    done = pytester.runpytest_subprocess("-p", "runspread.testing.pytest_plugin", "-p", "no:hypothesispytest")
    done.assert_outcomes(passed=1)
    assert "stochastic" not in done.stdout.str()


def test_red_as_rarely_as_it_says_in_most_baselines():
    """Given its baseline, a test is falsely red in at most 1 % of commits, for 95 % of baselines."""
    rng, good, limits = np.random.default_rng(0), 0, regression_limits(10, 0.01)
    for _ in range(4000):
        values = rng.normal(size=10)
        mean, sd = values.mean(), values.std(ddof=1)
        rate = norm.sf(mean + limits.first * sd) * norm.sf((mean + limits.then * sd) * math.sqrt(3))
        good += rate <= 0.01
    assert 0.94 < good / 4000 < 0.97
