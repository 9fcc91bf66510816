"""Several arms, several tasks, plans and looks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from runspread.errors import InputError
from runspread.methods.scores import (
    compare_scores,
    compare_tasks,
    e_value,
    look_levels,
    plan_scores,
    rank_scores,
    t_boot_interval,
)
from runspread.methods.scores.arms import maybe_best
from runspread.methods.scores.forms import Arm, difference
from runspread.methods.scores.plans import equivalence_power
from runspread.methods.scores.tasks import by_signs

ARMS = {"a": [90.1, 90.3, 90.2], "b": [91.9, 92.1, 92.2], "c": [92.0, 92.3, 92.2], "d": [91.0, 91.2, 91.3]}


def rows(names=("old", "new"), gap=0.02, tasks="abcdef", runs=3, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {"method": name, "task": task, "seed": k, "accuracy": 0.6 + 0.03 * at + gap * i + 0.002 * rng.normal()}
        for i, name in enumerate(names)
        for at, task in enumerate(tasks)
        for k in range(runs)
    ]


def test_which_may_be_the_best():
    found = rank_scores(ARMS, metric="accuracy")
    assert dict(zip(found.names, found.maybe_best.tolist(), strict=True)) == {
        "a": False,
        "b": True,
        "c": True,
        "d": False,
    }
    assert found.sentence().startswith("With 95% confidence the best of 4 arms is among 2: c (92.17) and b (92.07)")
    assert found.table()["may be best"] == ["yes", "yes", "no", "no"]
    none = rank_scores({"a": [1.0, 2.0, 3.0], "b": [1.5, 2.5, 3.5]}, metric="return")
    assert "none of the 2 arms can be ruled out" in none.sentence()


def test_against_a_baseline_by_holm():
    found = rank_scores(ARMS, metric="accuracy", baseline="d")
    assert dict(zip("abc", found.verdicts, strict=True)) == {"a": "worse", "b": "better", "c": "better"}
    assert found.sentence().startswith("Against d, b and c are better; a is worse (3 runs each, after Holm's")
    assert found.table()["verdict"].count("baseline") == 1
    with pytest.raises(InputError, match="arm"):
        rank_scores(ARMS, metric="accuracy", baseline="e")
    with pytest.raises(InputError, match="1 arm with runs"):
        rank_scores({"a": [1.0, 2.0]}, metric="accuracy")


def test_the_fast_set_is_that_of_pair_by_pair():
    rng = np.random.default_rng(2)
    for lower in (False, True):
        values = [rng.normal(k / 3, 1, int(rng.integers(1, 7))) for k in range(9)]
        values[4] = np.zeros(4)
        arms = [Arm.of(x) for x in values]
        tail = 0.05 / (len(arms) - 1)
        out = [
            any(
                (difference(a, b).p_below(0) if lower else difference(a, b).p_above(0)) <= tail
                for b in arms
                if b is not a
            )
            for a in arms
        ]
        np.testing.assert_array_equal(maybe_best(values, 0.95, lower=lower), ~np.array(out))


def test_both_questions_over_tasks():
    found = compare_tasks(rows(), metric="accuracy")
    assert found.verdicts == ("better",)
    assert found.sentence().startswith("Yes, on tasks like these 6: new is ")
    assert "percentage points better than old on average" in found.sentence()
    assert "3 runs per task). It is better on 6 of the 6." in found.sentence()
    assert found.to_dict()["p_like_used"][0] == max(found.pairs.p_these[0], found.pairs.p_like[0])
    turned = [{**row, "loss": -row["accuracy"]} for row in rows()]
    other = compare_tasks(turned, metric="loss")
    assert other.pairs.diff[0] == pytest.approx(found.pairs.diff[0])
    many = compare_tasks(rows(("a", "b", "c")), metric="accuracy", on="these-tasks")
    assert many.verdicts == ("better",) * 3
    assert "after Holm's correction over 3 pairs" in many.sentence()


def test_tasks_that_cannot_be_averaged_are_named():
    holes = [row for row in rows() if (row["method"], row["task"]) != ("new", "c")]
    assert any("Excluded" in note and "c" in note for note in compare_tasks(holes, metric="accuracy").warnings)
    with pytest.raises(InputError, match="no runs on c"):
        compare_tasks(holes, metric="accuracy", tasks="raise")
    with pytest.raises(InputError, match="1 of 1 tasks"):
        compare_tasks(rows(tasks="a"), metric="accuracy")
    scaled = [{**row, "accuracy": row["accuracy"] * (1 if row["task"] in "abc" else 50)} for row in rows()]
    with pytest.raises(InputError, match="one scale over tasks"):
        compare_tasks(scaled, metric="return", value="accuracy")
    by_noise = compare_tasks(scaled, metric="return", value="accuracy", normalise="baseline")
    assert any("hardly measure" in note for note in by_noise.warnings)
    by_rank = compare_tasks(scaled, metric="return", value="accuracy", normalise="rank")
    assert by_rank.verdicts == ("better",)
    assert by_rank.means.sum(axis=0) == pytest.approx(np.ones(6))
    ends = {task: (0.0, 1.0) if task in "abc" else (0.0, 50.0) for task in "abcdef"}
    assert compare_tasks(scaled, metric="return", value="accuracy", normalise=ends).verdicts == ("better",)


@pytest.mark.parametrize(("tasks", "verdict"), [("abcde", "undecided"), ("abcdef", "better")])
@pytest.mark.parametrize("normalise", ["none", "rank"])
def test_differences_equal_on_every_task_are_judged_by_their_signs(tasks, verdict, normalise):
    """Rounding made their spread 1e-17, and the verdict hung on it: t was infinite or unknown."""
    same = [
        {"method": arm, "task": task, "seed": seed, "accuracy": 0.1 + at / 11 + 0.1 * (arm == "new") + 0.007 * seed}
        for arm in ("old", "new")
        for at, task in enumerate(tasks)
        for seed in range(4)
    ]
    found = compare_tasks(same, metric="accuracy", normalise=normalise)
    assert found.verdicts == (verdict,)
    assert math.isnan(found.pairs.se_like[0]) if normalise == "rank" else found.pairs.se_like[0] == 0
    assert found.pairs.p_like[0] == 2.0 ** (1 - len(tasks))
    assert math.isnan(found.intervals.like_lo[0])
    assert "tasks like these no interval" in found.sentence()


def test_the_signs_of_differences_are_tried_exactly():
    apart = np.array([0.3, -0.1, 0.2, 0.25, 0.05])
    signs = np.array(list(itertools.product([1, -1], repeat=5)))
    expected = np.mean(np.abs(signs @ apart) >= abs(apart.sum()) - 1e-9)
    assert by_signs(apart) == expected
    assert by_signs(np.full(5, 0.1)) == 2 / 2**5
    assert math.isnan(by_signs(np.zeros(5)))


def test_ranks_are_no_t_test_of_few_tasks():
    """Ranks of arms that lie apart are nearly alike on every task: t called three tasks a proof in 13 % of cases."""
    some = rows(tasks="abc", gap=0.02)
    some[-1]["accuracy"] = 0.1  # so that the differences are not all equal
    found = compare_tasks(some, metric="accuracy", normalise="rank")
    assert found.pairs.p_like[0] >= 2 / 2**3
    assert found.verdicts == ("undecided",)
    assert math.isnan(found.intervals.like_lo[0])
    assert "tasks like these no interval" in found.sentence()


def test_the_same_runs_in_another_order_are_no_difference():
    runs = np.random.default_rng(0).normal(92, 0.3, size=10)
    for seed in range(20):
        found = compare_scores(runs, np.random.default_rng(seed).permutation(runs), lower_is_better=False)
        assert found.difference.diff == 0
        assert "is equal to that of" in found.sentence()
    noisy = compare_scores([0.3, 0.1 + 0.2, 0.3], [0.4, 0.4, 0.4], lower_is_better=False)
    assert noisy.difference.form == "none"


def test_the_resampled_interval_of_a_mean_is_near_its_closed_form():
    rng = np.random.default_rng(0)
    arm = [rng.normal(size=4) for _ in range(12)]
    value, low, high = t_boot_interval([arm], "mean", 0.95)
    noise = math.sqrt(sum(x.var(ddof=1) / len(x) for x in arm)) / len(arm)
    assert (high - low) / 2 == pytest.approx(2.03 * noise, rel=0.08)
    assert low < value < high


def test_plans():
    pilot = np.array([90.0, 92.0, 88.0, 91.0, 94.0])
    pilot = 91 + 2 * (pilot - pilot.mean()) / pilot.std(ddof=1)
    plan = plan_scores(2.0, pilot=pilot)
    assert (plan.runs_plugin, plan.runs_assurance) == (17, 26)
    assert plan.runs_upper == 40
    assert plan.sentence().startswith("26 runs of each arm show a gap of 2 in four cases of five")
    assert plan_scores(1.0, sd=1.0).runs_assurance == 17
    assert "taken as exact" in plan_scores(1.0, sd=1.0).sentence()
    assert plan_scores(runs=17, sd=1.0).gap == pytest.approx(1.0, abs=0.02)
    assert math.isnan(plan_scores(0.1, pilot=[1.0, 2.0]).runs_assurance)
    assert "run one more pilot first" in plan_scores(0.1, pilot=[1.0, 2.0]).sentence()
    assert plan_scores(1.0, sd=1.0, n_old=5).runs_assurance == math.inf
    assert 9 < plan_scores(1.0, sd=1.0, n_old=40).runs_assurance < 17
    assert plan_scores(not_worse=1.0, sd=1.0).runs_assurance == 14
    like = plan_scores(0.002, like="modded-nanogpt logs: GPT-2 scale speedrun (124M class)")
    assert like.runs_plugin < like.runs_assurance


def test_equivalence_as_tabled():
    found = [equivalence_power(1, 1, 1, n, 0.05) for n in (2, 3, 5, 10, 20)]
    assert found == pytest.approx([0.016, 0.022, 0.061, 0.385, 0.855], abs=5e-4)
    assert plan_scores(equivalent=1.0, sd=1.0).runs_assurance == 18


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gap": 1.0}, "nothing is known of the spread"),
        ({"sd": 1.0}, "no gap is given"),
        ({"gap": 1.0, "sd": -1.0}, "above 0"),
        ({"gap": 1.0, "sd": 1.0, "power": 1.5}, "between 0 and 1"),
        ({"gap": 1.0, "pilot": [2.0, 2.0]}, "no spread between runs"),
        ({"gap": 2.0, "sd": 1.0, "equivalent": 1.0}, "beyond the margin"),
        ({"runs": 1, "sd": 1.0}, "two or more"),
    ],
)
def test_what_cannot_be_planned_is_named(settings, message):
    gap = settings.pop("gap", None)
    with pytest.raises(InputError, match=message):
        plan_scores(gap, **settings)


def test_looks():
    levels = look_levels()
    assert len(levels) == 9
    assert levels.sum() > 0.05 > levels.max()
    with pytest.raises(InputError, match="increasing numbers"):
        look_levels((4, 4))
    assert e_value([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert e_value([0.0, 0.1, 0.2, 0.3, 0.1], [5.0, 5.1, 5.2, 5.3, 5.1]) > 20
    assert e_value([0.0, 1.0, 2.0], [0.1, 1.1, 1.9]) < 1
