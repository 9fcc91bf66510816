"""Two arms of one number per run: verdicts, sentences, what was published and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.methods.scores import compare_scores
from tests.conftest import SHARED

REAL = SHARED / "real" / "scores"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the real scores (../shared/real) are not here")
OLD, NEW = [0.412, 0.398, 0.405, 0.401], [0.391, 0.380, 0.388, 0.395]


@real
def test_the_messy_table_by_the_numbers_of_the_specification():
    found = compare_scores(REAL / "messy.csv", by="method", metric="val_loss", where={"task": "mnist"})
    facts = found.to_dict()
    assert facts["diff"] == pytest.approx(-0.0155)
    assert (facts["lo"], facts["hi"]) == pytest.approx((-0.0262416860, -0.0047583140), rel=1e-8)
    assert facts["p"] == pytest.approx(0.0123725305, rel=1e-8)
    assert found.verdict() == "better"
    assert found.sentence() == (
        "Yes, new is better than base: its validation loss is 0.0155 lower (95% interval 0.0048 to 0.0262 lower; "
        "4 runs each; lower is better). One run of base and one of new diverged and are excluded, and one run of new "
        "has no value."
    )
    worst = compare_scores(REAL / "messy.csv", metric="val_loss", where={"task": "mnist"}, diverged="worst")
    assert worst.ranks.p_superior == pytest.approx(0.82)
    assert (worst.arms.n_old, worst.arms.n_new) == (5, 5)
    assert worst.difference.form == "mann-whitney"
    assert math.isnan(worst.difference.diff)
    accuracy = compare_scores(REAL / "messy.csv", metric="accuracy").to_dict()
    assert accuracy["diff"] == pytest.approx(0.575)
    assert accuracy["p"] == pytest.approx(0.0213690, rel=3e-5)  # its last digit is not Welch's: 0.02136855
    assert accuracy["p_mw"] == pytest.approx(0.0571, abs=1e-4)


@real
def test_real_trainings_by_the_numbers_of_the_specification():
    settings = {"by": "group", "metric": "val_loss", "where": {"steps": "1480"}, "equivalent": 0.001}
    names = [f"track_1_short/2024-12-{name}" for name in ("08_UNetValueEmbedsTweaks", "10_MFUTweaks")]
    facts = compare_scores(REAL / "speedrun.csv", baseline=names[0], new_arm=names[1], **settings).to_dict()
    assert facts["diff"] == pytest.approx(0.00004, abs=1e-6)
    assert (facts["lo"], facts["hi"]) == pytest.approx((-0.00085, 0.00093), abs=5e-6)
    assert facts["df"] == pytest.approx(73.23, abs=0.01)
    assert facts["p_equivalent"] == pytest.approx(0.0177, abs=1e-4)
    assert facts["verdict"] == "equivalent"
    assert (facts["p_superior"], facts["p_superior_lo"]) == pytest.approx((0.4955, 0.388), abs=5e-4)


def test_old_and_new_swapped_swap_the_answer():
    one, other = (compare_scores(*pair, metric="loss") for pair in ((OLD, NEW), (NEW, OLD)))
    assert (one.verdict(), other.verdict()) == ("better", "worse")
    assert one.difference.diff == -other.difference.diff
    assert (one.difference.lo, one.difference.p) == (-other.difference.hi, other.difference.p)
    assert other.sentence().startswith("No, new is worse than old: its loss is 0.0155 higher")
    assert other.shown is False


def test_affine_changes_and_the_order_of_runs_leave_the_verdict():
    base = compare_scores(OLD, NEW, metric="loss")
    for k, lower in ((3.0, True), (-3.0, False)):
        moved = compare_scores([k * x + 7 for x in OLD[::-1]], [k * x + 7 for x in NEW], lower_is_better=lower)
        assert moved.verdict() == base.verdict()
        assert moved.difference.p == pytest.approx(base.difference.p)
        assert moved.ranks.p_superior == base.ranks.p_superior


def test_sentences_of_margins():
    same = compare_scores([90.1, 90.3, 90.2, 90.0], [90.2, 90.1, 90.3, 90.1], metric="accuracy", equivalent=0.5)
    assert same.sentence().startswith("Yes, within 0.5 percentage points: new and old have the same mean accuracy")
    assert same.shown
    fine = compare_scores([90.1, 90.3, 90.2, 90.0], [90.2, 90.1, 90.3, 90.1], metric="accuracy", not_worse=0.3)
    assert fine.verdict() == "not worse"
    assert "This does not show that it is equally good." in fine.sentence()
    assert "90% interval" in fine.sentence()
    open_ = compare_scores([90.1, 91.3, 90.2], [90.2, 90.1, 91.3], metric="accuracy", not_worse=0.3)
    assert open_.verdict() == "undecided"
    assert open_.runs_needed is not None
    assert f"{open_.runs_needed} runs of each show that it is not worse" in open_.sentence()
    lost = compare_scores(OLD, NEW, metric="loss", equivalent=0.001)
    assert lost.sentence().startswith("No, new is better than old by more than 0.001: its")


@pytest.mark.parametrize(("asked", "word"), [("not_worse", "worse"), ("equivalent", "worse"), ("equivalent", "better")])
def test_better_or_worse_is_no_answer_to_a_margin_that_is_not_crossed(asked, word):
    """A sentence that began with No stood beside exit status 3: worse was shown, and not by how much."""
    old, sign = [0.412, 0.398, 0.405, 0.401], 1 if word == "better" else -1
    near, far = ([x + sign * d for x in old[::-1]] for d in (0.02, 0.2))
    close = compare_scores(old, near, metric="accuracy", **{asked: 0.02})
    assert (close.verdict(), close.refuted) == (word, False)
    start = f"Undecided whether by more than 2 percentage points, but new is {word} than old: its accuracy is "
    assert close.sentence().startswith(start)
    beyond = compare_scores(old, far, metric="accuracy", **{asked: 0.02})
    assert (beyond.verdict(), beyond.refuted) == (word, True)
    assert beyond.sentence().startswith(
        f"No, new is {word} than old by more than 2 percentage points: its accuracy is "
    )
    assert "90% interval" in beyond.sentence()


def test_the_order_of_diverged_runs_is_no_answer_to_a_margin():
    old, new = [0.9, 0.91, 0.92, 0.93, 0.94], [0.95, 0.96, 0.97, 0.98, 0.99]
    found = compare_scores([*old, math.nan], new, metric="accuracy", diverged="worst", equivalent=0.01)
    assert found.difference.form == "mann-whitney"
    assert (found.verdict(), found.shown) == ("better", False)
    assert found.sentence().startswith("Undecided whether by more than 1 percentage point, but new is better than old")


def test_few_runs():
    assert "hardly measure a spread" in compare_scores([0.91, 0.92], [0.93, 0.95], metric="accuracy").sentence()
    one = compare_scores([0.91, 0.92, 0.93], [0.95], metric="accuracy")
    assert one.difference.form == "guarded"
    assert "one run of new and 3 of old" in one.sentence()
    assert "It takes two runs of one of them" in compare_scores([0.91], [0.95], metric="accuracy").sentence()
    constant = compare_scores([0.91, 0.91], [0.95, 0.95], metric="accuracy")
    assert constant.verdict() == "undecided"
    assert math.isnan(constant.difference.p)
    assert "no spread at all" in constant.sentence()


def test_a_constant_arm_is_guarded_where_numbers_of_runs_differ():
    """Decisions: never Welch with v = 0 alone."""
    rng = np.random.default_rng(0)
    varying = rng.normal(0.3, 1, 20)
    found = compare_scores(varying, [0.0] * 5, lower_is_better=True)
    assert found.difference.form == "guarded"
    assert found.difference.p == max(found.forms.p_welch, found.forms.p_student)


def test_spread_that_is_known_from_elsewhere():
    old, new = [3.2801, 3.2795], [3.2770, 3.2765]
    plain = compare_scores(old, new, metric="val_loss")
    known = compare_scores(old, new, metric="val_loss", spread=(0.00124, 12.0))
    assert known.difference.form == "prior"
    assert known.difference.df == 14
    assert compare_scores(old, new, metric="val_loss", spread="shared").difference.form == "student"
    name = "modded-nanogpt logs: GPT-2 scale speedrun (124M class)"
    assert compare_scores(old, new, metric="val_loss", spread=name).difference.form == "prior"
    assert plain.difference.form == "welch"
    with pytest.raises(InputError, match="atlas entry"):
        compare_scores(old, new, metric="val_loss", spread="nanogpt")


def test_pairs_are_used_where_their_correlation_is_shown():
    rng = np.random.default_rng(1)
    shared = rng.normal(size=12)
    rows = [
        {"method": name, "seed": seed, "score": float(shift + x + 0.05 * rng.normal())}
        for name, shift in (("old", 0.0), ("new", 0.1))
        for seed, x in enumerate(shared)
    ]
    found = compare_scores(rows, paired=True, lower_is_better=False)
    assert found.difference.form == "paired"
    assert found.verdict() == "better"
    assert compare_scores(rows, lower_is_better=False).verdict() == "undecided"
    with pytest.raises(InputError, match="have no seeds"):
        compare_scores(OLD, NEW, metric="loss", paired=True)


def test_two_groups_of_runs_are_warned_of():
    failing = [0.90, 0.91, 0.905, 0.895, 0.902, 0.41, 0.39, 0.40, 0.899, 0.903]
    found = compare_scores([0.5, 0.52, 0.51, 0.53], failing, metric="accuracy")
    expected = "Mean and standard deviation mislead for new: 7 of 10 runs end near 0.902 and 3 near 0.4."
    assert expected in found.sentence()
    assert found.groups is not None
    assert found.groups.share_new == 0.7
    assert "are better than 0.6525: 70 percentage points more (95% interval" in found.sentence()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"not_worse": 0.0}, "not_worse=0 asks for no margin. Expected one above 0"),
        ({"equivalent": -1.0}, "equivalent=-1 asks for no margin. Expected one above 0"),
        ({"equivalent": 1.0, "not_worse": 1.0}, "one question"),
        ({"confidence_level": 0.3}, "between 0.5 and 1"),
        ({"equivalent": 0.6}, "Write 0.006"),
        ({"baseline": "odl"}, "Did you mean 'old'"),
        ({"margn": 1.0}, "compare_scores keyword"),
        ({"paired": "yes"}, "True, False or 'design'"),
    ],
)
def test_what_cannot_be_asked_is_named(settings, message):
    with pytest.raises(InputError, match=message):
        compare_scores([0.9, 0.91], [0.92, 0.93], metric="accuracy", **settings)


def test_more_than_two_arms_ask_for_a_choice():
    arms = {"a": [1.0, 2.0], "b": [2.0, 3.0], "c": [9.0, 9.5]}
    with pytest.raises(InputError, match="baseline= and new_arm="):
        compare_scores(arms, metric="return")
    found = compare_scores(arms, metric="return", baseline="a", new_arm="c")
    assert found.names == {"old": "a", "new": "c"}


@pytest.mark.parametrize(("level", "words"), [(0.999, "99.9% interval"), (0.975, "97.5% interval")])
def test_a_confidence_level_is_said_as_it_was_given(level, words):
    a, b = [0.50, 0.52, 0.51, 0.53], [0.60, 0.62, 0.61, 0.63]
    how = {"metric": "accuracy", "confidence_level": level}
    found = [rs.compare(a, b, **how), rs.summary(a, **how)]
    for one in found:
        assert one.confidence_level == level
        assert one.to_dict()["level"] == level
        assert words in one.sentence()
        assert words in one.table().title
    assert f"With {words.removesuffix(' interval')} confidence" in rs.rank({"a": a, "b": b}, **how).sentence()
