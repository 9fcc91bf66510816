"""Stopping rules: published boundaries, and simulated error rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from runspread.errors import InputError
from runspread.methods.variance import plan_runs, sequential_boundaries, stopping_rule


@pytest.mark.parametrize(
    ("kind", "published"),
    [
        ("obrien-fleming", [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
        ("pocock", [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]),
    ],
)
def test_published_boundaries(kind, published):
    """Five equally spaced looks, two-sided 0.05: Lan and DeMets (1983), as tabulated by Reboussin et al. (2000)."""
    np.testing.assert_allclose(sequential_boundaries([1, 2, 3, 4, 5], 0.05, kind), published, atol=2e-4)


def test_one_look_is_the_fixed_test():
    assert sequential_boundaries([7.0], 0.05)[0] == pytest.approx(1.959964, abs=1e-6)


def test_boundaries_keep_their_level_on_random_walks():
    rng = np.random.default_rng(0)
    information = np.array([5.0, 7, 12, 20, 21])
    bounds = sequential_boundaries(information, 0.1)
    steps = rng.normal(size=(200_000, 5)) * np.sqrt(np.diff(information, prepend=0))
    crossed = (np.abs(steps.cumsum(axis=1) / np.sqrt(information)) >= bounds).any(axis=1).mean()
    assert crossed == pytest.approx(0.1, abs=4 * math.sqrt(0.09 / 200_000))


def follow(rule, draw, baseline=None):
    """Train until known: hand the rule the runs it asks for."""
    runs = draw(rule.looks[-1])
    count = rule.next_look(0)
    while True:
        look = rule.look(runs[:count], baseline)
        if look.stop:
            return look
        count = look.next_runs


def test_standard_error_is_known_when_it_says_so():
    rng = np.random.default_rng(1)
    sd, rule = 0.0015, stopping_rule("se=0.03", max_runs=80)
    looks = [follow(rule, lambda n: 0.94 + sd * rng.normal(size=n)) for _ in range(1000)]
    wrong = [look.answered and sd / math.sqrt(look.runs) > rule.value for look in looks]
    assert np.mean(wrong) <= 0.05
    assert np.mean([look.answered for look in looks]) > 0.95
    needed = (sd / rule.value) ** 2
    assert needed < np.mean([look.runs for look in looks]) < 2.5 * needed


def test_gap_without_baseline_has_its_power():
    rng = np.random.default_rng(2)
    sd, rule = 0.0015, stopping_rule("gap=0.15", max_runs=120)
    looks = [follow(rule, lambda n: 0.94 + sd * rng.normal(size=n)) for _ in range(500)]
    needed = plan_runs(rule.value, variance=sd**2).runs_needed
    wrong = [look.answered and look.runs < needed for look in looks]
    assert np.mean(wrong) <= 0.05
    assert np.mean([look.answered for look in looks]) > 0.95


@pytest.mark.parametrize("runs_a", [3, 5, 10, 40])
def test_comparison_with_a_baseline_keeps_its_error_rate(runs_a):
    rng = np.random.default_rng(3)
    rule = stopping_rule("gap=0.2", max_runs=60, against=runs_a)
    verdicts = []
    for _ in range(1000):
        baseline = 0.94 + 0.0015 * rng.normal(size=runs_a)
        verdicts.append(follow(rule, lambda n: 0.94 + 0.0015 * rng.normal(size=n), baseline).verdict)
    wrong = np.mean([verdict in ("better", "worse") for verdict in verdicts])
    assert wrong <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 1000)


def test_real_difference_is_found_early():
    rng = np.random.default_rng(4)
    rule = stopping_rule("gap=0.05", max_runs=200, against=50)
    looks = []
    for _ in range(200):
        baseline = 0.94 + 0.0015 * rng.normal(size=50)
        looks.append(follow(rule, lambda n: 0.942 + 0.0015 * rng.normal(size=n), baseline))
    assert np.mean([look.verdict == "better" for look in looks]) > 0.97
    assert np.mean([look.runs for look in looks]) < 60


def test_no_difference_can_be_known_too():
    rng = np.random.default_rng(5)
    rule = stopping_rule("gap=0.2", max_runs=200, against=200)
    baseline = 0.94 + 0.0015 * rng.normal(size=200)
    look = follow(rule, lambda n: 0.94 + 0.0015 * rng.normal(size=n), baseline)
    assert look.verdict == "smaller than the gap"
    assert look.answered
    assert "Smaller than the gap after" in look.sentence()


def test_looks_are_planned_and_others_are_not_taken():
    """Runs beyond a planned look are not looked at: a stop depends on the plan alone, however shards come in."""
    rule = stopping_rule("se=0.02", max_runs=40)
    values = 0.9 + 0.001 * np.random.default_rng(6).normal(size=40)
    assert rule.look(values[:9]).to_json() == rule.look(values[:8]).to_json()
    assert rule.look(values[:9]).next_runs == 11
    assert rule.look(values).stop
    assert len(rule.look(values).table()) == 1


@pytest.mark.parametrize("equal", [0.5, 0.8, 0.9, 0.05, 1 / 3, 1.0])
def test_equal_accuracies_are_no_certainty(equal):
    """Audit A11: five equal accuracies were a spread of zero, known for certain; of 0.8 the variance is 2e-32."""
    look = stopping_rule("se=0.02", max_runs=10).look(np.full(5, equal))
    assert (look.verdict, look.estimate, look.high) == ("undecided", 0.0, math.inf)
    assert "all 5 accuracies are equal" in look.warnings[0]
    rule = stopping_rule("gap=0.02", max_runs=10, against=3)
    both = rule.look(np.full(5, equal), np.full(3, equal))
    assert (both.verdict, both.low, both.high) == ("undecided", -math.inf, math.inf)
    apart = rule.look(np.full(5, equal), np.full(3, 0.7))
    assert (apart.verdict, apart.low, apart.high) == ("undecided", -math.inf, math.inf)
    for result in (look, both, apart):
        assert "inf" not in result.sentence()
    if equal == 0.5:
        look.plot()
        both.plot()


@pytest.mark.parametrize("equal", [0.5, 0.8, 0.9, 0.05])
def test_one_constant_arm_is_taken_to_spread_as_the_other(equal):
    rule = stopping_rule("gap=0.02", max_runs=10, against=3)
    other = equal + np.array([-0.04, 0.0, 0.04])
    constant, same = (
        rule.look(values, other)
        for values in (np.full(5, equal), equal + 0.04 * np.sqrt([1, 1, 0, 1, 1]) * [1, -1, 0, 1, -1])
    )
    assert constant.high - constant.low == pytest.approx(same.high - same.low)
    last = rule.look(equal + np.linspace(-0.04, 0.04, 10), np.full(3, equal))
    assert last.verdict == "undecided"
    assert last.warnings == ("baseline: all 3 accuracies are equal, which bounds no spread: are the seeds different?",)


def failing(rng, share, depth, sd=0.015):
    """Accuracies of 120 runs, of which a share loses `depth`; and their true standard deviation."""
    fails = rng.random(120) < share
    return 0.93 + sd * rng.normal(size=120) - depth * fails, math.sqrt(sd**2 + share * (1 - share) * depth**2)


def test_rare_failures_are_said_and_can_be_guarded_against():
    """Audit A15: one run in ten that fails made up to half of the stops wrong, without a word."""
    rng = np.random.default_rng(7)
    wrong = {0.0: 0, 0.1: 0}
    for _ in range(60):
        values, sd = failing(rng, 0.1, 0.3)
        for failures in wrong:
            rule = stopping_rule(f"se={100 * sd / math.sqrt(45)}", max_runs=120, failures=failures)
            look = follow(rule, lambda n, values=values: values[:n])
            wrong[failures] += look.answered and look.runs < 45
            assert "normal" in look.sentence()
            if look.answered and not failures:
                assert "may not be seen; failures=0.1 guards" in look.warnings[-1]
    assert wrong[0.1] <= 6 < wrong[0.0]


def test_an_outlying_run_is_named_and_ends_the_trust_in_the_normal_law():
    rule = stopping_rule("se=1", max_runs=40)
    values = 0.93 + 0.01 * np.random.default_rng(8).normal(size=40)
    assert rule.look(values[:18]).verdict == "known"
    values[3] = 0.4
    look = rule.look(values[:18])
    assert look.verdict == "undecided"
    assert "run 3 (40.00%) is an outlying run: accuracies may not be normal over runs" in look.warnings[0]
    groups = rule.look(np.concatenate([values[4:26], values[4:22] - 0.3]))
    assert "two groups" in groups.warnings[0]


def test_looks_that_guard_against_failures_begin_where_they_would_be_seen():
    rule = stopping_rule("se=0.1", max_runs=120, failures=0.1)
    assert rule.looks[0] == 36
    assert 0.9 ** rule.looks[0] <= 0.025 < 0.9 ** (rule.looks[0] - 1)
    assert "10% of runs or more fail" in rule.look(0.9 + 0.001 * np.random.default_rng(0).normal(size=36)).sentence()
    with pytest.raises(InputError, match="max_runs=36"):
        stopping_rule("se=0.1", max_runs=30, failures=0.1)
    with pytest.raises(InputError, match="baseline"):
        stopping_rule("gap=0.1", max_runs=60, failures=0.1, against=5)
    for failures in (-0.1, 1.0, math.nan):
        with pytest.raises(InputError, match="a share of the runs"):
            stopping_rule("se=0.1", max_runs=60, failures=failures)


def test_a_gap_without_baseline_is_that_of_the_test_that_compare_does():
    """Audit A8: two runs had the power of Student's test and half of Welch's."""
    rule = stopping_rule("gap=1", max_runs=5, looks=[2, 5])
    sd = 0.01 / 6 * math.sqrt(stats.chi2.ppf(0.025, 1))  # whose upper bound at this look is a sixth of the gap
    values = 0.9 + sd * np.array([1, -1]) / math.sqrt(2)
    look = rule.look(values)
    assert 0.01 / (look.high * math.sqrt(2)) == pytest.approx(6, rel=0.01)
    assert look.verdict == "undecided"


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("gap", {}),
        ("gap=x", {}),
        ("gap=-1", {}),
        ("gap=nan", {}),
        ("width=1", {}),
        ("se=0.1", {"against": 5}),
        ("gap=0.1", {"against": 1}),
        ("gap=0.1", {"against": 2}),
        ("gap=0.1", {"alpha": 0}),
        ("gap=0.1", {"max_runs": 1}),
        ("gap=0.1", {"looks": [5, 5]}),
        ("gap=0.1", {"looks": [5, 60]}),
    ],
)
def test_bad_questions(question, options):
    with pytest.raises(InputError):
        stopping_rule(question, **({"max_runs": 50} | options))


def test_bad_looks():
    rule = stopping_rule("gap=0.1", max_runs=50, against=5)
    with pytest.raises(InputError, match="first look"):
        rule.look([0.5, 0.5], [0.5] * 5)
    with pytest.raises(InputError, match="as planned"):
        rule.look([0.5] * 10)
    with pytest.raises(InputError, match="Not percentages"):
        rule.look([94.0] * 10, [0.9] * 5)


def test_a_loss_is_looked_at_in_its_own_unit():
    rng = np.random.default_rng(0)
    baseline = (3.28 + 0.0015 * rng.normal(size=8)).tolist()
    rule = stopping_rule("gap=0.001", max_runs=40, against=8, metric="val_loss")
    assert (rule.value, rule.unit, rule.lower_is_better) == (0.001, "", True)
    better = follow(rule, lambda n: 3.27 + 0.0015 * rng.normal(size=n), baseline)
    assert better.verdict == "better"  # lower
    assert better.high < 0
    assert "difference in validation loss -0.0" in better.sentence()
    assert "asked for gap 0.001." in better.sentence()
    worse = follow(rule, lambda n: 3.29 + 0.0015 * rng.normal(size=n), baseline)
    assert worse.verdict == "worse"
    known = follow(stopping_rule("se=0.001", max_runs=40, metric="val_loss"), lambda n: 3 + 0.0015 * rng.normal(size=n))
    assert known.verdict == "known"
    assert "standard error of the mean validation loss" in known.sentence()
    assert "points" not in known.sentence()


def test_a_share_is_looked_at_in_points_and_a_direction_asked_for():
    assert stopping_rule("gap=0.5", max_runs=40, against=8, metric="val_accuracy").value == 0.005
    with pytest.raises(InputError, match="is higher or lower better"):
        stopping_rule("gap=0.5", max_runs=40, against=8, metric="speed")
    assert stopping_rule("gap=0.5", max_runs=40, against=8, metric="speed", lower_is_better=False).value == 0.5
    with pytest.raises(InputError, match="in the unit of val_loss"):
        stopping_rule("gap=-1", max_runs=40, metric="val_loss")
    with pytest.raises(InputError, match="one finite number per run"):
        stopping_rule("se=1", max_runs=40, metric="val_loss").look([1.0, np.nan, 2.0, 3.0, 4.0])


@pytest.mark.slow
def test_looks_at_a_loss_keep_their_error():
    """Equal means: as often wrong as alpha says, at most, over all looks."""
    rng = np.random.default_rng(2)
    rule = stopping_rule("gap=0.0001", max_runs=40, against=8, metric="val_loss")
    wrong = [
        follow(rule, lambda n: 3.28 + 0.0015 * rng.normal(size=n), 3.28 + 0.0015 * rng.normal(size=8)).answered
        for _ in range(1500)
    ]
    assert np.mean(wrong) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 1500)
