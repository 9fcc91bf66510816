"""What the runs of a comparison are: the same on both sides (A6), samples of one model (A10), some that fail (A15)."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import runspread as rs
from runspread._reading import copies
from runspread.errors import InputError
from runspread.methods.audit import auditing as audit
from runspread.methods.audit import evidence
from runspread.methods.variance import run_statistics
from tests.conftest import SHARED

NAMES = ("old", "new")


def drawn(seed, runs, examples=400, accuracy=0.8):
    rng = np.random.default_rng(seed)
    return rng.random((runs, examples)) < np.clip(rng.normal(accuracy, 0.1, examples), 0, 1)


def outputs(seed, runs, shift=1.0, examples=300):
    rng = np.random.default_rng([3, seed])
    labels = np.arange(examples) % 3
    return rng.normal(size=(runs, examples, 3)) + shift * np.eye(3)[labels], labels


# ------------------------------------------------------------------ A6: one training on both sides


@pytest.mark.parametrize("asked", [{}, {"equivalent": 0.07}, {"not_worse": 0.05}, {"on": "models"}])
@pytest.mark.parametrize(
    ("first", "second"), [(slice(None), slice(None)), (slice(2, 5), slice(None)), (slice(None), [4])]
)
def test_a_configuration_without_a_run_of_its_own_is_refused(asked, first, second):
    """`compare s s --equivalent 7` said yes."""
    runs = drawn(1, 6)
    with pytest.raises(InputError, match=r"of which .* has every one") as error:
        rs.compare(correct=(runs[first], runs[second]), names=NAMES, **asked)
    assert "old: run" in str(error.value)
    assert "variance()" in error.value.hint
    assert rs.variance(correct=runs).n_runs == 6
    assert rs.compare(correct=(runs, drawn(2, 6)), **asked).verdict()  # other runs, as the hint says


@pytest.mark.parametrize("kind", ["correct", "classes", "outputs", "statistics", "bits"])
def test_runs_on_both_sides_are_named(kind):
    values, labels = outputs(1, 9)
    old, new = values[:6], np.concatenate([values[7:], values[[3]], values[[0]]])
    if kind != "outputs":
        old, new = old.argmax(axis=2), new.argmax(axis=2)
    if kind in ("statistics", "bits"):
        old, new = (run_statistics(part, labels, keep_bits=kind == "bits") for part in (old, new))
    if kind == "correct":
        result = rs.compare(correct=(old == labels, new == labels), names=NAMES)
    else:
        result = rs.compare(old, new, None if kind in ("statistics", "bits") else labels, names=NAMES)
    note = result.warnings[0]
    assert note.startswith("2 runs are in both configurations (old: run 0 = new: run 3 and old: run 3 = new: run 2)")
    one = rs.compare(correct=(drawn(4, 3), np.concatenate([drawn(5, 2), drawn(4, 3)[:1]])), names=NAMES)
    assert one.warnings[0].startswith("1 run is in both configurations (old: run 0 = new: run 2)")


def test_chance_makes_no_shared_runs():
    for seed in range(20):
        rng = np.random.default_rng([6, seed])
        easy = rng.random((2, 30, 30)) >= 0.02  # many equal rows, which errors on so few examples make
        assert not [note for note in rs.compare(correct=tuple(easy)).warnings if "both configurations" in note]
    right = np.ones((3, 200), bool)
    assert rs.compare(correct=(right, right)).verdict() == "undecided"


# ------------------------------------------------------------------ A6: copies that are excluded


@pytest.mark.parametrize("kind", ["outputs", "correct"])
def test_copies_that_are_set_aside_are_said_to_be(kind):
    """It warned of variances that are too small because of runs that it had excluded."""
    values, labels = outputs(2, 6)
    other, _ = outputs(3, 5, shift=1.2)
    values[[4, 5]] = values[1]
    if kind == "correct":
        result = rs.compare(correct=(values.argmax(axis=2) == labels, other.argmax(axis=2) == labels), names=NAMES)
    else:
        result = rs.compare(values, other, labels, names=NAMES)
    assert (result.n_runs_a, len(result.excluded)) == (4, 2)
    notes = " ".join(result.warnings)
    assert "old: copied runs: 2 runs are copies of others, and excluded" in notes
    assert "too small" not in notes
    assert "bias every variance" not in notes


def test_outputs_are_looked_at_for_copies_once(monkeypatch):
    looked = []
    whole = copies.copied_outputs
    monkeypatch.setattr(audit, "copied_outputs", lambda *args, **kwargs: looked.append(1) or whole(*args, **kwargs))
    monkeypatch.setattr(evidence, "copied_outputs", lambda *args: looked.append(1) or whole(*args))
    (old, labels), (new, _) = outputs(4, 4), outputs(5, 4)
    rs.compare(old, new, labels)
    assert len(looked) == 2  # one a side


def test_copies_of_a_part_are_still_named():
    (old, labels), (new, _) = outputs(6, 4), outputs(7, 4)
    old[2, :200] = old[0, :200]
    assert any("on a part of the examples" in note for note in rs.compare(old, new, labels).warnings)


# ------------------------------------------------------------------ A15: runs that fail


def failing(seed, runs, share=0.1, loss=0.3, examples=500):
    rng = np.random.default_rng(seed)
    accuracy = 0.9 + 0.003 * rng.normal(size=runs) - loss * (rng.random(runs) < share)
    return rng.random((runs, examples)) < accuracy[:, None]


@pytest.mark.parametrize("side", [0, 1])
def test_an_outlying_run_of_either_side_is_named(side):
    arms = [failing(1, 8, share=0.0), failing(2, 8, share=0.0)]
    arms[side][5] = np.random.default_rng(3).random(500) < 0.6
    notes = rs.compare(correct=tuple(arms), names=NAMES).warnings
    (note,) = (note for note in notes if "outlying" in note)
    assert note.startswith(f"{NAMES[side]}: run 5 ({arms[side][5].mean():.2%}) is an outlying run: the verdict takes")


def test_two_groups_of_runs_are_named():
    arms = failing(4, 12, share=0.0), failing(5, 12, share=0.0)
    arms[0][:4] = np.random.default_rng(6).random((4, 500)) < 0.6
    assert any("the runs fall into two groups, 4 near" in note for note in rs.compare(correct=arms).warnings)


SEEN = {
    (10, 10): "10 runs of each, failures in up to 26% of",
    (5, 80): "5 runs of A and 80 runs of B, failures in up to 45% and 3.7% of",
}


@pytest.mark.parametrize("runs", SEEN)
def test_what_so_many_runs_may_not_have_seen_is_said(runs):
    """Where 10 % of trainings lose 30 points, "not worse" is wrongly shown in a third of cases."""
    result = rs.compare(correct=(failing(7, runs[0], share=0.0), failing(8, runs[1], share=0.0)), not_worse=0.05)
    note = f"This takes accuracies as normal over runs: with {SEEN[runs]} trainings may not have been seen (95% bound)."
    assert result.warnings[-1] == note
    assert result.unseen_share == pytest.approx(1 - 0.05 ** (1 / min(runs)))
    assert result.shown
    assert f"ailure rates up to {'26%' if runs[0] == 10 else '45%'} may go unseen." in result.sentence()


def test_of_single_models_no_law_of_runs_is_assumed():
    result = rs.compare(correct=(drawn(9, 1), drawn(10, 1)), on="models")
    assert not [note for note in result.warnings if "normal" in note]
    assert "unseen" not in result.sentence()


# ------------------------------------------------------------------ A10: samples of one model


def test_samples_of_two_models_do_not_depend_on_their_order():
    """Read as runs, p ranged from 0.009 to 0.25 by the order of the samples alone."""
    rng = np.random.default_rng(11)
    hard = rng.random(164)
    old, new = rng.random((2, 10, 164)) < np.stack([hard, np.clip(hard + 0.06, 0, 1)])[:, None]
    shuffled = [rng.permuted(part, axis=0) for part in (old, new)]
    first, second = (rs.compare(correct=tuple(x), samples_are="samples") for x in ((old, new), shuffled))
    np.testing.assert_equal(first.to_dict(), second.to_dict())
    as_runs = [rs.compare(correct=tuple(x)).to_dict()["p"] for x in ((old, new), shuffled)]
    assert as_runs[0] != as_runs[1]
    json.loads(first.to_json())


def test_samples_answer_for_these_models_alone():
    rng = np.random.default_rng(12)
    hard = rng.random(400)
    old, new = rng.random((10, 400)) < 0.8 * hard, rng.random((6, 400)) < hard
    result = rs.compare(correct=(old, new), samples_are="samples", names=NAMES)
    assert (result.verdict(), result.verdict("test-set"), result.form) == ("undecided", "undecided", "none")
    assert result.verdict("models") == "better"
    assert result.sentence().startswith(
        "Undecided for the configurations, which samples of one model each cannot tell; yes, for these two models new"
    )
    assert "10 and 6 samples, 400 examples)" in result.sentence()
    assert "nan" not in result.sentence()
    asked = rs.compare(correct=(old, new), samples_are="samples", on="models", names=NAMES)
    assert asked.shown
    d = new.mean(axis=0) - old.mean(axis=0)
    assert asked.answers["models"].error == pytest.approx(d.std(ddof=1) / 20)
    assert all(
        math.isnan(value) for value in (result.fixed.var_a, result.fixed.p_superior, result.models.p, result.fixed.p)
    )
    assert (result.models.only_a, result.runs_needed, result.samples_are) == (None, None, "samples")
    assert not [note for note in result.warnings if "normal" in note or "copied" in note]
    clusters = np.arange(400) // 8
    grouped = rs.compare(correct=(old, new), samples_are="samples", on="models", clusters=clusters)
    assert "in 50 clusters" in grouped.sentence()


def test_equal_samples_are_no_copies():
    rng = np.random.default_rng(13)
    old = np.repeat(rng.random((1, 300)) < 0.6, 5, axis=0)  # decoded without chance
    new = rng.random((5, 300)) < 0.8
    result = rs.compare(correct=(old, new), samples_are="samples", on="models")
    assert (result.n_runs_a, result.excluded, result.verdict()) == (5, (), "better")


def test_samples_that_are_none(tmp_path):
    old, new = drawn(14, 3), drawn(15, 3)
    with pytest.raises(InputError, match="pairs of samples") as error:
        rs.compare(correct=(old, new), samples_are="samples", seeds=(range(3), range(3)))
    assert "Omit paired and seeds" in error.value.hint
    assert rs.compare(correct=(old, new), samples_are="samples").paired.n_pairs is None
    with pytest.raises(InputError, match="unknown samples_are"):
        rs.compare(correct=(old, new), samples_are="epochs")
    study = rs.create_study(tmp_path / "study", splits={"test": np.arange(300) % 3})
    with study.record(seeds=1) as run:
        run.predictions("test", outputs(1, 1)[0][0])
    with pytest.raises(InputError, match="with a study"):
        rs.compare(study, study, samples_are="samples")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the data beside the checkout are not here")
def test_samples_of_real_models_in_any_order():
    passed = np.load(SHARED / "real" / "humaneval_murdza_10x164.npz")
    marks = next(passed[key] for key in passed.files if passed[key].shape == (10, 164))
    rng = np.random.default_rng(16)
    found = [
        rs.compare(
            correct=(marks[:5], rng.permuted(marks[5:], axis=0)), samples_are="samples", missing="intersect"
        ).ci_models
        for _ in range(5)
    ]
    assert len(set(found)) == 1
