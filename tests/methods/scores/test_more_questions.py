"""What beside the mean is asked of scores: metrics, groups of runs, a shared spread, the winner's luck, bands."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import runspread as rs
from runspread._cli.statuses import status_of
from runspread.errors import InputError
from runspread.methods.scores import (
    compare_metrics,
    compare_scores,
    compare_tasks,
    plan_scores,
    rank_metrics,
    rank_scores,
    run_scores,
)
from runspread.methods.scores.arms import all_pairs, maybe_best, versus_baseline
from runspread.methods.scores.bands import improvement_intervals, profile_bands
from runspread.methods.scores.groups import newcombe_difference
from runspread.methods.scores.one_arm import bca_interval
from runspread.methods.scores.plans import runs_for_superiority, superiority_power
from runspread.methods.scores.ranks import arrangement_tests, drawn_arrangements_p
from runspread.methods.scores.winner import expected_largest

RNG = np.random.default_rng(5)
TWO_METRICS = [
    {"method": name, "seed": k, "accuracy": mean + k / 1000, "loss": 1 - mean + (k % 2) / 9}
    for name, mean in (("old", 0.80), ("new", 0.82))
    for k in range(4)
]


def test_several_metrics_with_one_correction():
    found = compare_metrics(TWO_METRICS, metric=("accuracy", "loss"))
    alone = [compare_scores(TWO_METRICS, metric=metric).difference.p for metric in ("accuracy", "loss")]
    assert found.p_holm[0] == pytest.approx(min(1, 2 * alone[0]))
    assert found.p_holm[1] == pytest.approx(alone[1])
    assert found.verdicts == ("better", "undecided")
    assert found.shown
    assert not found.refuted
    assert found.sentence() == (
        "After Holm's correction over 2 metrics, new is better than old by accuracy; undecided by loss."
    )
    assert found.table()["verdict"] == ["better", "undecided"]
    assert rs.compare(TWO_METRICS, metric=("accuracy", "loss")).verdicts == found.verdicts
    with pytest.raises(InputError, match="gap is given for several metrics"):
        compare_metrics(TWO_METRICS, metric=("accuracy", "loss"), gap=0.1)
    with pytest.raises(InputError, match="one metric"):
        compare_metrics(TWO_METRICS, metric="loss")


@pytest.mark.parametrize(("asked", "word"), [("not_worse", "not worse"), ("equivalent", "equivalent")])
def test_margins_of_several_metrics_are_corrected_too(asked, word):
    margins = {"accuracy": 0.03, "loss": 0.5}
    found = rs.compare(TWO_METRICS, metric=("accuracy", "loss"), **{asked: margins})
    alone = [compare_scores(TWO_METRICS, metric=name, **{asked: margin}).judged for name, margin in margins.items()]
    p = [one.p_equivalent if asked == "equivalent" else one.p_not_worse for one in alone]
    assert sorted(found.p_margin) == pytest.approx([2 * min(p), max(p)] if max(p) > 2 * min(p) else [2 * min(p)] * 2)
    assert found.verdicts == ("better" if asked == "not_worse" else "equivalent", word)
    assert found.shown
    assert not found.refuted
    assert "loss (margin 0.5)" in found.sentence()
    assert found.table()["margin"] == [0.03, 0.5]


def test_a_margin_that_one_metric_exceeds_is_refuted():
    found = rs.compare(
        TWO_METRICS, metric=("accuracy", "loss"), baseline="new", not_worse={"accuracy": 0.005, "loss": 0.5}
    )
    assert found.verdicts[0] == "worse"
    assert found.beyond == (True, False)
    assert (found.shown, found.refuted) == (False, True)
    assert "accuracy (margin 0.5 percentage points and exceeded)" in found.sentence()


@pytest.mark.parametrize(
    ("margin", "said"),
    [
        (0.01, "one margin for accuracy and loss, which differ in unit"),
        ({"accuracy": 0.01}, "no margin for loss"),
        ({"accuracy": 0.01, "lss": 0.1}, "loss"),
    ],
)
def test_margins_leave_no_metric_out(margin, said):
    with pytest.raises(InputError, match=said):
        rs.compare(TWO_METRICS, metric=("accuracy", "loss"), not_worse=margin)


def test_one_margin_is_enough_for_accuracies():
    rows = [{**row, "f1": row["accuracy"] - 0.1} for row in TWO_METRICS]
    found = rs.compare(rows, metric=("accuracy", "f1"), not_worse=0.01)
    assert [one.judged.margin for one in found.comparisons] == [0.01, 0.01]


def test_several_arms_by_several_metrics():
    rows = [
        {"method": name, "seed": k, "accuracy": mean + k / 1000, "loss": 1 - mean + (k % 2) / 900, "f1": 0.5 + k / 99}
        for name, mean in (("a", 0.80), ("b", 0.82), ("c", 0.8205), ("d", 0.80))
        for k in range(4)
    ]
    metrics = ("accuracy", "loss", "f1")
    found = rs.rank(rows, metric=metrics)
    alone = [rank_scores(rows, metric=name, confidence_level=1 - 0.05 / 3) for name in metrics]
    assert [one.maybe_best.tolist() for one in found.rankings] == [one.maybe_best.tolist() for one in alone]
    assert found.sentence().startswith(
        "With 95% confidence over 3 metrics together: by accuracy the best is among b and c; by loss the best is among "
        "b and c; by f1 no arm can be ruled out as the best."
    )
    assert found.table()["loss: may be best"] == ["no", "yes", "yes", "no"]
    assert found.maybe_best.all()
    assert found.to_latex().splitlines()[5].count("&") == 3
    assert rs.compare(rows, metric=metrics).to_json() == found.to_json().replace('"rank"', '"compare"')
    against = rs.compare(rows, metric=metrics, baseline="a")
    assert against.verdicts[:3] == ("better", "better", "undecided")
    assert "by loss b and c better, d undecided" in against.sentence()
    with pytest.raises(InputError, match="not_worse= has no effect on 4 arms: name two"):
        rs.compare(rows, metric=metrics, not_worse=0.1)
    with pytest.raises(InputError, match="one metric"):
        rank_metrics(rows, metric="loss")


def test_an_arm_without_runs_by_a_metric_is_not_ruled_out_there():
    rows = [
        {"method": name, "seed": k, "accuracy": 0.8 + k / 99, "loss": None if name == "c" else 0.3 + k % 2 / 9}
        for name in "abc"
        for k in range(4)
    ]
    assert rs.rank(rows, metric=("accuracy", "loss")).table()["loss: may be best"] == ["yes", "yes", None]


def test_several_metrics_and_tasks_are_not_one_question():
    rows = [{**row, "task": task} for row in TWO_METRICS for task in ("x", "y")]
    for verb in (rs.compare, rs.rank):
        with pytest.raises(InputError, match="one task with task='x'"):
            verb(rows, metric=("accuracy", "loss"))
        assert verb(rows, metric=("accuracy", "loss"), task="x").sentence()


@pytest.mark.parametrize("margin", ["0.1", {"accuracy": "0.1", "loss": 0.1}])
def test_a_margin_that_is_text_is_refused(margin):
    with pytest.raises(InputError, match="is text"):
        rs.compare(TWO_METRICS, metric=("accuracy", "loss"), not_worse=margin)
    with pytest.raises(InputError, match="one number in the unit"):
        compare_scores(TWO_METRICS, metric="loss", not_worse=margin)


@pytest.mark.parametrize("margin", [[0.1], "0.1", 10**400, {"loss": 0.1}])
def test_a_margin_is_a_number_whatever_it_is_asked_of(margin):
    rows = [{"model": name, "item": i, "score": i % 2} for name in "ab" for i in range(9)]
    asks = [
        lambda: compare_scores(TWO_METRICS, metric="loss", not_worse=margin),
        lambda: rs.compare(TWO_METRICS, metric=("accuracy", "loss"), equivalent={"accuracy": margin, "loss": 0.1}),
        lambda: rs.evaluations(rows, equivalent=margin),
    ]
    for ask in asks:
        with pytest.raises(InputError, match="one number in the unit"):
            ask()


def test_shares_of_runs_beyond_a_threshold():
    old, new = [0.9, 0.91, 0.4, 0.41, 0.39], [0.9, 0.92, 0.91, 0.9, 0.4]
    found = compare_scores(old, new, metric="accuracy", threshold=0.8).groups
    assert (found.share_old, found.share_new, found.threshold) == (0.4, 0.8, 0.8)
    assert found.p_fisher == pytest.approx(stats.fisher_exact([[2, 3], [4, 1]]).pvalue)
    assert newcombe_difference((48, 80), (56, 70), 0.95) == pytest.approx((0.0524, 0.3339), abs=5e-5)  # Newcombe 1998
    assert newcombe_difference((0, 5), (0, 5), 0.95)[0] == pytest.approx(-newcombe_difference((0, 5), (0, 5), 0.95)[1])
    loss = compare_scores([1.0, 0.2], [0.3, 0.1], metric="loss", threshold=0.5)
    assert loss.groups.share_new == 1.0
    assert loss.table()["quantity"][-1] == "share of runs better than 0.5"
    assert compare_scores([1.0, 0.2], [0.3, 0.1], metric="loss").groups is None


def test_runs_of_two_groups_are_said_in_every_sentence_with_a_mean():
    failing = [0.90, 0.91, 0.905, 0.895, 0.902, 0.41, 0.39, 0.40, 0.899, 0.903]
    arms = {"a": failing, "b": RNG.normal(0.5, 0.01, 10).tolist(), "c": RNG.normal(0.55, 0.01, 10).tolist()}
    said = "Mean and standard deviation mislead for a: 7 of 10 runs end near 0.902 and 3 near 0.4."
    assert said in rank_scores(arms, metric="accuracy").sentence()
    assert said in run_scores(arms, metric="accuracy").sentence()
    tasks = [
        {"method": arm, "task": task, "seed": k, "accuracy": x}
        for arm in "ab"
        for task in "xy"
        for k, x in enumerate(arms[arm])
    ]
    ends = dict.fromkeys("xy", (0.0, 1.0))
    assert "mislead for a on x: 7 of 10 runs" in compare_tasks(tasks, metric="accuracy", normalise=ends).sentence()
    losses = run_scores([1 - x for x in failing], metric="loss").sentence()
    assert "A run ends in the better group with probability 70%" in losses


def test_a_shared_spread_is_that_of_all_arms():
    values = [RNG.normal(k, 1, 4) for k in (0.0, 0.2, 3.0)]
    sd = math.sqrt(np.mean([x.var(ddof=1) for x in values]))
    t = (values[1].mean() - values[0].mean()) / (sd * math.sqrt(2 / 4))
    assert all_pairs(values, spread="shared").p_pairs[0] == pytest.approx(2 * stats.t.sf(abs(t), 9))
    found = versus_baseline(values, 0, 0.95, spread="shared")
    expected = stats.dunnett(values[1], values[2], control=values[0], random_state=0)
    np.testing.assert_allclose(found.p_baseline_holm, np.maximum(expected.pvalue, found.p_baseline))
    assert found.correction == "Dunnett"
    ends = expected.confidence_interval(0.95)
    np.testing.assert_allclose(found.baseline_lo, ends.low, rtol=1e-3)
    ranking = rank_scores(dict(zip("abc", values, strict=True)), metric="return", spread="shared", baseline="a")
    assert "after Dunnett's correction over 2 comparisons" in ranking.sentence()
    assert "p (Dunnett)" in ranking.table().columns
    flat = versus_baseline([np.ones(3)] * 3, 0, 0.95, spread="shared")
    assert flat.correction == "Holm"
    assert np.isnan(flat.p_baseline).all()
    goods = [x.mean() for x in values]
    tail = 0.05 / 2
    out = [any(stats.t.sf((b - a) / (sd * math.sqrt(2 / 4)), 9) <= tail for b in goods if b > a) for a in goods]
    np.testing.assert_array_equal(maybe_best(values, 0.95, lower=False, spread="shared"), ~np.array(out))


def test_few_runs_are_told_what_a_shared_spread_could_show():
    arms = {name: RNG.normal(0, 1, 3).tolist() for name in "abcd"}
    notes = " ".join(rank_scores(arms, metric="return").warnings)
    assert "spread='shared', if it is known that all arms spread alike (Brown and Forsythe's p" in notes
    assert not any("spread='shared'" in note for note in rank_scores(arms, metric="return", spread="shared").warnings)


def test_the_luck_of_the_best_of_two_or_three():
    assert [expected_largest(k) for k in (2, 3, 10)] == pytest.approx([0.5641896, 0.8462844, 1.5387527], abs=1e-6)
    arms = {"a": [1.0, 2.0, 3.0], "b": [1.5, 2.5, 3.6], "c": [1.4, 2.4, 3.5]}
    found = rank_scores(arms, metric="return")
    sd = math.sqrt(np.mean([np.var(x, ddof=1) for x in arms.values()]))
    assert found.best.luck == pytest.approx(sd / math.sqrt(3) * 0.8462843753)
    assert "As the best of 3 it looks up to 0.505 better than it is, on average." in found.sentence()


def test_plans_for_two_pilots_and_for_the_share_of_pairs():
    pilot = np.array([90.0, 92.0, 88.0, 91.0, 94.0])
    shared = plan_scores(2.0, pilot=(pilot, 2 * pilot))
    each = plan_scores(2.0, pilot=(pilot, 2 * pilot), spread="each")
    assert each.runs_plugin == shared.runs_plugin
    assert each.runs_assurance > shared.runs_assurance
    assert each.spread_old == pytest.approx((pilot.std(ddof=1), 4))
    assert "standard deviations known from 4 and 4 degrees of freedom" in each.sentence()
    with pytest.raises(InputError, match="spread='each' is given with 1 pilot"):
        plan_scores(2.0, pilot=pilot, spread="each")
    plan = plan_scores(superior=0.75)
    assert plan.runs_assurance == runs_for_superiority(0.75, 0.05, 0.8) == 21
    assert superiority_power(0.75, 21, 0.05) >= 0.8 > superiority_power(0.75, 20, 0.05)
    assert "if its run wins 75% of pairs" in plan.sentence()
    with pytest.raises(InputError, match="above one half"):
        plan_scores(superior=0.4)


def test_runs_are_needed_for_what_is_asked_and_for_nothing_else():
    old, new = [1.0, 1.2, 0.9, 1.1], [1.05, 1.25, 0.95, 1.2]
    assert compare_scores(old, new, metric="return").runs_needed is None
    asked = compare_scores(old, new, metric="return", gap=0.1)
    assert asked.runs_needed > 4
    assert f"a gap of 0.1 takes {asked.runs_needed:,} runs of each" in asked.sentence()
    with pytest.raises(InputError, match="gap is -1"):
        compare_scores(old, new, metric="return", gap=-1.0)


def test_a_target_that_is_one_run_and_runs_beyond_a_threshold():
    x = np.array([3.277, 3.279, 3.278, 3.2765])
    plain, single = (run_scores(x, metric="loss", target=3.28, target_is_run=is_run) for is_run in (False, True))
    t = (x.mean() - 3.28) / (x.std(ddof=1) * math.sqrt(1 + 1 / 4))
    assert single.arms[0].target.t_target == pytest.approx(t)
    assert single.arms[0].target.p_target > plain.arms[0].target.p_target
    found = run_scores(x, metric="loss", threshold=3.2785)
    assert found.arms[0].success.success_count == 3
    assert "3 of 4 runs are better than 3.2785: a run is so with probability 75%" in found.sentence()
    assert rs.summary(x, metric="loss", threshold=3.2785).arms[0].success.success_rate == 0.75


def test_a_bootstrap_interval_is_offered_from_twenty_runs_on():
    x = RNG.exponential(size=25)
    found = run_scores(x, metric="loss", interval="bca").arms[0].intervals
    assert (found.mean_lo, found.mean_hi) == bca_interval(x, 0.95)
    assert found.mean_hi - x.mean() > x.mean() - found.mean_lo
    with pytest.raises(InputError, match=r"interval='bca' is given, and the arm has 19 runs. Expected 20 runs"):
        run_scores(x[:19], metric="loss", interval="bca")


def test_arrangements_are_drawn_where_there_are_too_many():
    a, b = RNG.normal(size=7), RNG.normal(1, 1, 7)
    exact, _ = arrangement_tests(a, b)
    assert drawn_arrangements_p(a, b) == pytest.approx(exact, abs=4 * math.sqrt(exact / 9_999))
    assert drawn_arrangements_p(b, a) == pytest.approx(exact, abs=4 * math.sqrt(exact / 9_999))
    found = compare_scores(RNG.normal(size=15), RNG.normal(size=15), metric="return")
    assert 0 < found.ranks.p_perm <= 1
    assert found.ranks.p_mw == pytest.approx(stats.mannwhitneyu(found.old, found.new, method="exact").pvalue, rel=1e-9)
    assert "permutation, drawn" in found.table()["test"]


def cells(arms: int, tasks: int, runs: int, gap: float = 0.5):
    rng = np.random.default_rng(1)
    return [[rng.normal(gap * i, 1, runs) for _ in range(tasks)] for i in range(arms)]


def test_bands_of_profiles_and_of_the_chance_to_improve():
    found = cells(2, 5, 4)
    low, high = profile_bands(found, [-1.0, 0.0, 1.0], 0.95)
    share = np.mean([(x > 0).mean() for x in found[0]])
    assert 0 <= low[0, 1] < share < high[0, 1] <= 1
    low, high = improvement_intervals(found, 0.95)
    np.testing.assert_allclose(low, 1 - high.T)
    rows = [
        {"method": f"m{i}", "task": f"t{k}", "seed": s, "return": x}
        for i, arm in enumerate(found)
        for k, runs in enumerate(arm)
        for s, x in enumerate(runs)
    ]
    result = compare_tasks(rows, metric="return")
    table = result.improvement()
    assert table["arm"] == ["m0", "m1"]
    assert table["low"][1] <= result.aggregates.p_improvement[1, 0] <= table["high"][1]
    assert result.profile([0.0])["share"] == pytest.approx([np.mean([(x > 0).mean() for x in arm]) for arm in found])
    mean = result.aggregate("iqm")
    assert mean["low"][0] < mean["iqm"][0] < mean["high"][0]
    narrow = result.aggregate("iqm", interval="percentile")
    assert narrow["high"][0] - narrow["low"][0] < mean["high"][0] - mean["low"][0]


def test_few_runs_that_decide_nothing_are_told_of_known_spreads():
    old, new = [1.0, 1.2, 0.9], [1.05, 1.25, 0.95]
    assert any("known from elsewhere" in note for note in compare_scores(old, new, metric="return").warnings)
    known = compare_scores(old, new, metric="return", spread=(0.01, 20))
    assert not any("known from elsewhere" in note for note in known.warnings)
    assert not any("elsewhere" in note for note in compare_scores(old, [9.0, 9.1, 9.2], metric="return").warnings)


def test_groups_among_runs_of_which_some_diverged():
    failing = [0.90, 0.91, 0.905, 0.895, 0.902, 0.41, 0.39, 0.40, 0.899, 0.903, math.nan]
    found = compare_scores(failing, [0.9, 0.91, 0.92], metric="accuracy", diverged="worst")
    assert found.groups.threshold == pytest.approx(0.6525)
    assert found.groups.share_old == pytest.approx(7 / 11)
    assert "7 of 10 runs end near 0.902" in found.sentence()


@pytest.mark.parametrize(
    ("arms", "known"),
    [
        ({"a": [0.1, 0.2], "b": [0.3, 0.5], "c": [0.2, 0.7]}, False),  # p was 2e-47
        ({"a": [0.1, 0.2, 0.1, 0.2], "b": [0.3, 0.5, 0.3, 0.5]}, False),  # two values each: p was 1e-91
        ({"a": [0.1, 0.2, 0.4], "b": [0.3, 0.5], "c": [0.2, 0.7, 0.8]}, True),
    ],
)
def test_two_runs_of_each_tell_nothing_of_equal_spreads(arms, known):
    found = rs.rank(arms, metric="loss")
    if not known:
        assert math.isnan(found.together.p_levene)
        assert not any("Brown" in note for note in found.warnings)
    else:
        assert found.together.p_levene == stats.levene(arms["a"], arms["c"], center="median").pvalue


# ---------------------------------------------------------------------- margins over tasks


def over_tasks(gain: float, spread: float = 0.05, tasks: int = 8) -> list[dict[str, object]]:
    """Runs whose mean difference over tasks is exactly `gain`, and varies from task to task by `spread`."""
    own = stats.norm.ppf((np.arange(tasks) + 0.5) / tasks)
    return [
        {"method": name, "task": f"t{at}", "seed": k, "accuracy": 80 + at + (gain + spread * shift) * new + deviation}
        for new, name in enumerate(("old", "new"))
        for at, shift in enumerate(own)
        for k, deviation in enumerate((-0.4, -0.1, 0.1, 0.4))
    ]


@pytest.mark.parametrize("on", ["these-tasks", "tasks-like-these"])
@pytest.mark.parametrize(
    ("gain", "asked", "verdict", "status"),
    [
        (0.0, {"not_worse": 1.0}, "not worse", 0),
        (3.0, {"not_worse": 1.0}, "better", 0),
        (-3.0, {"not_worse": 1.0}, "worse", 1),
        (0.0, {"equivalent": 1.0}, "equivalent", 0),
        (3.0, {"equivalent": 1.0}, "better", 1),
        (-1.05, {"not_worse": 1.0}, "worse", 3),
    ],
)
def test_margins_of_the_mean_over_tasks(on, gain, asked, verdict, status):
    found = rs.compare(over_tasks(gain), metric="accuracy", on=on, **asked)
    assert found.verdicts == (verdict,)
    assert status_of(found) == status
    assert found.within.lo_tost < found.pairs.diff[0] < found.within.hi_tost
    starts = {0: "Yes", 1: "No", 3: "Undecided whether new is worse than old by more than 1 percentage point"}
    assert found.sentence().startswith(starts[status])
    assert "It is better on" in found.sentence()


def test_a_margin_on_tasks_like_these_asks_for_both_forms():
    rows = over_tasks(-0.1, spread=0.9)
    these, like = (
        rs.compare(rows, metric="accuracy", on=on, not_worse=0.6) for on in ("these-tasks", "tasks-like-these")
    )
    assert these.verdicts[0] == "not worse"
    assert like.verdicts[0] == "undecided"
    d = like.means[1] - like.means[0]
    alone = stats.ttest_1samp(d, -0.6, alternative="greater").pvalue
    assert like.within.p_not_worse == pytest.approx(max(alone, these.within.p_not_worse))
    assert rs.compare(rows, metric="accuracy").within is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"not_worse": 1.0, "equivalent": 1.0}, "one question"),
        ({"not_worse": 0.0}, "no margin"),
        ({"not_worse": 1.0, "normalise": "baseline", "baseline": "old"}, "normalise="),
        ({"gap": 1.0}, "gap= has no effect on several tasks"),
    ],
)
def test_margins_over_tasks_without_a_meaning_are_refused(more, said):
    with pytest.raises(InputError, match=said):
        rs.compare(over_tasks(0.0), metric="accuracy", **more)


def test_a_margin_over_tasks_is_of_two_arms():
    rows = over_tasks(0.0) + [{**row, "method": "third"} for row in over_tasks(0.5) if row["method"] == "new"]
    with pytest.raises(InputError, match="a margin with 3 arms"):
        rs.compare(rows, metric="accuracy", not_worse=1.0)
    assert rs.compare(rows, metric="accuracy", not_worse=1.0, baseline="old", new_arm="new").verdicts == ("not worse",)


def test_what_has_no_spread_is_said_without_nan():
    one_run = [row for row in over_tasks(1.0) if row["seed"] == 0]
    for rows, more in (
        (one_run, {}),
        (one_run, {"not_worse": 1.0}),
        (over_tasks(0.0, spread=0.0), {"equivalent": 1.0}),
    ):
        for on in ("these-tasks", "tasks-like-these"):
            text = rs.compare(rows, metric="accuracy", on=on, **more).sentence()
            assert "nan" not in text
            assert "1 runs" not in text
            assert "0.0000" not in text
    assert "no interval" in rs.compare(one_run, metric="accuracy", not_worse=1.0).sentence()


def test_warnings_of_one_metric_name_it():
    rows = [{**row, "loss": 0.5} for row in TWO_METRICS]
    for found in (rs.compare(rows, metric=("accuracy", "loss")), rs.rank(rows, metric=("accuracy", "loss"))):
        assert "loss: The runs of old have no spread at all: are these different seeds?" in found.warnings
