"""One verb a question: outputs, studies, plain scores, mappings, frames and tables go to the methods that fit them."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

import runspread as rs
from runspread.errors import InputError
from runspread.methods.scores import RunScores, ScoreComparison, ScorePlan, ScoreRanking, ScoreTasks, compare_scores
from runspread.methods.variance import Comparison, RunPlan
from tests.methods.verbs.conftest import LABELS

OLD, NEW = [0.412, 0.398, 0.405, 0.401], [0.391, 0.380, 0.388, 0.395]
THREE = {"a": [90.1, 90.3, 90.2], "b": [91.9, 92.1, 92.2], "c": [92.0, 92.3, 91.9]}
RESTS = "From one score per run; with per-example outputs it could also be told"


def outputs(runs=4, quality=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(runs, 80, 4)) + quality * np.eye(4)[LABELS]


# ------------------------------------------------------------------ one number per run


def test_plain_sequences_are_compared():
    """Before, rs.compare([0.91, 0.92, 0.90], [0.89, 0.90, 0.88]) was an error about axes."""
    found = rs.compare([0.91, 0.92, 0.90], [0.89, 0.90, 0.88])
    assert isinstance(found, ScoreComparison)
    assert found.verdict() == "undecided"
    assert found.difference.diff == pytest.approx(-0.02)
    assert "higher is better" in found.sentence()
    assert any("higher is taken to be better" in note for note in found.warnings)
    assert RESTS in found.sentence()


def test_a_direction_is_never_guessed_of_what_may_be_a_loss():
    with pytest.raises(InputError, match="higher or lower better"):
        rs.compare([3.28, 3.29], [3.27, 3.26])
    assert rs.compare(OLD, NEW, lower_is_better=True).verdict() == "better"
    assert rs.compare(OLD, NEW, metric="val_loss").verdict() == "better"


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series, lambda x: np.array(x, "f4")])
def test_any_sequence_will_do(kind):
    found = rs.compare(kind(OLD), kind(NEW), metric="loss")
    assert found.difference.diff == pytest.approx(-0.0155, rel=1e-5)


def test_tensors_are_sequences_too():
    torch = pytest.importorskip("torch")
    assert rs.compare(torch.tensor(OLD), torch.tensor(NEW), metric="loss").verdict() == "better"


def test_tables_frames_and_mappings_answer_alike(tmp_path):
    rows = [
        {"method": name, "seed": seed, "val_loss": value}
        for name, values in (("old", OLD), ("new", NEW))
        for seed, value in enumerate(values)
    ]
    frame = pd.DataFrame(rows)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    sources = [frame, rows, frame.to_dict("list"), *(str(tmp_path / f"a.{end}") for end in ("csv", "tsv", "jsonl"))]
    answers = {rs.compare(one, metric="val_loss").to_json() for one in (*sources, tmp_path / "a.parquet")}
    assert len(answers) == 1
    assert json.loads(answers.pop())["rests_on"].startswith("From one score per run")


def test_two_files_with_one_number_a_line(tmp_path):
    for name, values in (("base.txt", OLD), ("wide.txt", NEW)):
        (tmp_path / name).write_text("\n".join(map(str, values)) + "\n")
    found = rs.compare(tmp_path / "base.txt", tmp_path / "wide.txt", metric="loss")
    assert found.names == {"old": "base", "new": "wide"}
    assert found.difference.diff == pytest.approx(-0.0155)
    for name, values in (("a.csv", OLD), ("b.csv", NEW)):
        (tmp_path / name).write_text("val_loss\n" + "\n".join(map(str, values)))
    assert rs.compare(tmp_path / "a.csv", tmp_path / "b.csv").metric == "val_loss"  # the header is the metric
    (tmp_path / "bad.txt").write_text("0.1\n0.2\nx\n")
    with pytest.raises(InputError, match=r"line 3 of .*bad\.txt is 'x'"):
        rs.compare(tmp_path / "base.txt", tmp_path / "bad.txt")
    np.save(tmp_path / "old.npy", OLD)
    np.save(tmp_path / "new.npy", NEW)
    assert rs.compare(tmp_path / "old.npy", tmp_path / "new.npy", metric="loss").verdict() == "better"


def test_two_tables_of_one_arm_each(tmp_path):
    for name, values in (("base.csv", OLD), ("wide.csv", NEW)):
        lines = [f"{seed},{value}" for seed, value in enumerate(values)]
        (tmp_path / name).write_text("\n".join(["seed,val_loss", *lines]))
    found = rs.compare(tmp_path / "base.csv", tmp_path / "wide.csv", metric="val_loss")
    assert found.names == {"old": "base", "new": "wide"}
    assert found.verdict() == "better"


def test_more_than_two_arms():
    found = rs.compare(THREE, metric="accuracy")
    assert isinstance(found, ScoreRanking)
    assert found.maybe_best.tolist() == [False, True, True]
    against = rs.compare(THREE, metric="accuracy", baseline="a")
    assert against.verdicts == ("better", "better")
    assert against.sentence().startswith("Against a, b and c are better (3 runs each, after Holm's correction")
    pair = rs.compare(THREE, metric="accuracy", baseline="a", new_arm="c")
    assert isinstance(pair, ScoreComparison)
    assert rs.rank(THREE, metric="accuracy", baseline="a").to_json() == against.to_json()
    with pytest.raises(InputError, match="not_worse= has no effect on 3 arms"):
        rs.compare(THREE, metric="accuracy", baseline="a", not_worse=0.5)


def test_several_tasks():
    rng = np.random.default_rng(0)
    rows = [
        {"model": name, "task": task, "seed": k, "accuracy": 0.6 + 0.05 * at + gap + 0.002 * rng.normal()}
        for name, gap in (("old", 0.0), ("new", 0.02))
        for at, task in enumerate("abcd")
        for k in range(3)
    ]
    found = rs.compare(rows, metric="accuracy")
    assert isinstance(found, ScoreTasks)
    assert found.verdicts == ("better",)
    assert rs.compare(rows, metric="accuracy", on="these-tasks").on == "these-tasks"
    one = rs.compare(rows, metric="accuracy", task="b")  # a task that is no column is the one to keep
    assert isinstance(one, ScoreComparison)
    assert one.arms.n_new == 3
    with pytest.raises(InputError, match="paired= has no effect on several tasks"):
        rs.compare(rows, metric="accuracy", paired=True)


def test_summary_and_plan_of_scores():
    found = rs.summary([3.2772, 3.2794, 3.2781], metric="val_loss", target=3.28)
    assert isinstance(found, RunScores)
    assert "how much of the spread is noise of the test set" in found.sentence()
    assert len(rs.summary(THREE, metric="accuracy").arms) == 3
    plan = rs.plan([90.1, 92.4, 88.7, 91.0, 93.9], gap=2.0, metric="accuracy")
    assert isinstance(plan, ScorePlan)
    assert (plan.runs_plugin, plan.runs_assurance, plan.runs_upper) == (17, 26, 40)
    assert plan.sentence().startswith("26 runs of each arm show a gap of 2 percentage points in four cases of five")
    assert rs.plan(sd=0.002, gap=0.001).runs_plugin == 64
    assert rs.plan(like="modded-nanogpt logs: GPT-2 scale speedrun (124M class)", gap=0.003).runs_assurance > 2
    assert rs.plan(THREE, metric="accuracy", baseline="a", runs=5).solved_for == "gap"
    assert rs.plan(THREE, metric="accuracy", equivalent=1.0).question == "equivalent"


# ------------------------------------------------------------------ outputs and studies


def test_outputs_go_where_they_went():
    a, b = outputs(), outputs(quality=3, seed=1)
    found = rs.compare(a, b, LABELS)
    assert isinstance(found, Comparison)
    assert found.to_json() == rs.methods.variance.compare(a, b, LABELS).to_json()
    right = (a.argmax(-1) == LABELS, b.argmax(-1) == LABELS)
    assert rs.compare(correct=right).verdict() == found.verdict()
    assert isinstance(rs.plan(found, gap=0.05), RunPlan)
    assert (
        rs.plan(correct=right[0], gap=0.05).runs_needed
        == rs.methods.variance.plan(correct=right[0], gap=0.05).runs_needed
    )


def test_outputs_are_ranked_and_summed_up_by_their_accuracies():
    arms = {"a": outputs(), "b": outputs(quality=3, seed=1), "c": outputs(quality=3, seed=2)}
    found = rs.rank(arms, LABELS)
    assert found.metric == "accuracy"
    assert found.names == ("a", "b", "c")
    assert not found.maybe_best[0]
    assert found.mean[1] == (arms["b"].argmax(-1) == LABELS).mean()
    assert "From the accuracy of each run; rs.compare also tells" in found.sentence()
    broken = outputs()
    broken[1, 0, 0] = np.nan
    one = rs.summary(broken, LABELS)
    assert one.arms[0].moments.n == 3
    assert [item.run for item in one.excluded] == ["run 1"]
    assert "NaN" in one.excluded[0].reason


def test_a_study_is_compared_with_an_array(shelf):
    assert isinstance(rs.compare(shelf["a"], outputs(), LABELS), Comparison)
    with pytest.raises(InputError, match="the sources are a study and outputs per example"):
        rs.compare(shelf["a"], outputs(), metric="val_loss")


def test_studies_are_compared_by_outputs_unless_a_metric_is_named(shelf):
    assert isinstance(rs.compare(shelf["a"], shelf["b"]), Comparison)
    scalar = rs.compare(str(shelf["a"].path), str(shelf["b"].path), metric="val_loss")
    assert isinstance(scalar, ScoreComparison)
    assert scalar.names == {"old": "a", "new": "b"}
    assert scalar.verdict() == "worse"
    last = shelf["a"].metrics()["val_loss"].values[:, -1]
    assert scalar.old.tolist() == last.tolist()
    assert rs.compare(shelf["a"], shelf["b"], metric="accuracy").unit == "fraction"


def test_a_study_is_divided_by_a_hyperparameter(shelf):
    two, three = shelf["two"], shelf["three"]
    by_outputs = rs.compare(two, by="lr")
    assert isinstance(by_outputs, Comparison)
    assert by_outputs.names == ("lr=0.1", "lr=0.3")
    assert rs.compare(two, by="lr", baseline=0.3).names == ("lr=0.3", "lr=0.1")
    assert rs.compare(two, by="lr", metric="val_loss").names == {"old": "lr=0.1", "new": "lr=0.3"}
    assert rs.compare(three, by="lr", metric="val_loss", baseline="0.1").verdicts == ("worse", "worse")
    assert rs.compare(three, by="lr", baseline="lr=0.1", new_arm="lr=0.9").names == ("lr=0.1", "lr=0.9")
    assert rs.rank(three, by="lr").names == ("lr=0.1", "lr=0.3", "lr=0.9")
    paired = rs.compare(two, by="lr", metric="val_loss", paired="design")
    assert paired.difference.form == "paired"  # seeds of the runs are known


def test_a_study_without_outputs_names_its_metrics(shelf):
    with pytest.raises(
        InputError, match=r"the runs have no outputs; logged were train_loss, val_loss.* Pass metric='train_loss'"
    ):
        rs.compare(shelf["bare"], by="lr")
    assert rs.compare(shelf["bare"], by="lr", metric="val_loss").verdict() == "worse"
    whole = rs.summary(shelf["bare"], metric="val_loss")
    assert whole.arms[0].moments.n == 8  # a seed stands for two runs here, which differ in the learning rate
    assert any("differ in lr (0.1 and 0.3)" in note for note in whole.warnings)
    with pytest.raises(InputError, match=r"no run has a metric 'vall_loss'\. Expected one of train_loss, val_loss"):
        rs.compare(shelf["bare"], by="lr", metric="vall_loss")


def test_another_split_is_asked_for_by_those_that_there_are(shelf):
    with pytest.raises(rs.errors.MissingDataError, match="test"):
        rs.compare(shelf["a"], shelf["b"], split="tset")


def test_runs_of_a_study_that_diverged_are_named(tmp_path):
    study = rs.create_study(tmp_path / "s", splits={"test": LABELS})
    for rate in (0.1, 0.3):
        for seed in range(4):
            with study.record(seeds=seed, hyperparameters={"lr": rate}) as run:
                run.log(1, val_loss=rate + seed / 100)
                if (rate, seed) == (0.3, 2):
                    run.diverged("NaN loss")
    found = rs.compare(study, by="lr", metric="val_loss")
    assert found.diverging.diverged == (0, 4, 1, 4)
    assert "One run of lr=0.3 diverged and is excluded" in found.sentence()


def test_a_plan_from_a_study(shelf):
    assert isinstance(rs.plan(shelf["a"], gap=0.05), RunPlan)
    scalar = rs.plan(shelf["a"], gap=0.01, metric="val_loss")
    assert isinstance(scalar, ScorePlan)
    assert scalar.df == 4
    assert rs.plan(shelf["two"], gap=0.01, metric="val_loss", by="lr").df == 6


# ------------------------------------------------------------------ examples


def test_the_noise_of_examples_is_a_floor():
    old, new = [0.910, 0.911, 0.909], [0.915, 0.916, 0.914]
    plain = rs.compare(old, new, metric="accuracy")
    floored = rs.compare(old, new, metric="accuracy", examples=1000)
    assert (plain.verdict(), floored.verdict()) == ("better", "undecided")
    error = math.sqrt(np.mean([p * (1 - p) for p in old]) / 1000 + np.mean([p * (1 - p) for p in new]) / 1000)
    half = floored.difference.hi - floored.difference.diff
    assert half == pytest.approx(t.ppf(0.975, floored.difference.df) * error)
    assert "with independent errors on 1,000 examples" in floored.sentence()
    assert floored.to_dict()["examples"] == 1000
    percent = rs.compare([100 * x for x in old], [100 * x for x in new], metric="accuracy", examples=1000)
    assert percent.difference.hi == pytest.approx(100 * floored.difference.hi)
    many = rs.compare(old, new, metric="accuracy", examples=10**9)
    assert many.difference.hi == pytest.approx(plain.difference.hi)


def test_equal_accuracies_still_have_the_noise_of_examples():
    found = rs.compare([0.9, 0.9, 0.9], [0.9, 0.9, 0.9], metric="accuracy", examples=400, equivalent=0.1)
    assert found.verdict() == "equivalent"
    assert rs.compare([0.9], [0.95], metric="accuracy", examples=400).verdict() == "undecided"


def test_the_floor_in_rankings_summaries_and_plans():
    arms = {"a": [0.910, 0.911, 0.909], "b": [0.915, 0.916, 0.914], "c": [0.8, 0.801, 0.799]}
    assert rs.rank(arms, metric="accuracy").maybe_best.tolist() == [False, True, False]
    floored = rs.rank(arms, metric="accuracy", examples=1000, baseline="a")
    assert floored.maybe_best.tolist() == [True, True, False]
    assert floored.verdicts == ("undecided", "worse")
    assert "with independent errors on 1,000 examples" in floored.sentence()
    summed = rs.summary(arms["a"], metric="accuracy", examples=1000)
    assert "with independent errors on 1,000 examples" in summed.sentence()
    one = summed.arms[0].intervals
    assert one.mean_hi - one.mean_lo > 10 * 0.001
    assert one.next_hi == rs.summary(arms["a"], metric="accuracy").arms[0].intervals.next_hi
    plan = rs.plan(arms["a"], metric="accuracy", gap=0.005, n_examples=1000)
    assert math.isinf(plan.runs_assurance)
    assert plan.examples_needed == pytest.approx(1000 * 2 * (2.8016 / 0.005) ** 2 * 0.91 * 0.09 / 1000, rel=0.01)
    enough = rs.plan(arms["a"], metric="accuracy", gap=0.005, n_examples=10**7)
    assert enough.runs_assurance == rs.plan(arms["a"], metric="accuracy", gap=0.005).runs_assurance


def test_the_winner_without_its_luck_counts_the_noise_of_examples():
    """With examples= the set of arms that may be best counted it, and the interval beside it did not."""
    arms = {
        name: [mean - 0.001, mean, mean + 0.001]
        for name, mean in zip("abcde", (0.9, 0.901, 0.902, 0.903, 0.904), strict=True)
    }
    plain, floored = (rs.rank(arms, metric="accuracy", **how) for how in ({}, {"examples": 1000}))
    error = math.sqrt(np.mean([p * (1 - p) for p in arms["e"]]) / 1000)
    halves = [(one.best.winner_hi - one.best.winner_lo) / 2 for one in (plain, floored)]
    assert halves[0] < error / 4 < halves[1]
    assert floored.best.luck == pytest.approx(error * 1.163, rel=0.01)  # the mean of the largest of five normal numbers
    assert floored.best.tau2 == 0


@pytest.mark.parametrize("metric", ["val_loss", "return"])
def test_examples_are_of_accuracies(metric):
    with pytest.raises(InputError, match="which is no accuracy"):
        rs.compare([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], metric=metric, examples=100)


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rs.compare(OLD, outputs(), LABELS), "the sources are one number per run and outputs per example"),
        (lambda: rs.compare(OLD, NEW, metric="loss", clusters=[1]), "clusters= has no effect on one number per run"),
        (lambda: rs.compare(OLD, NEW, LABELS, metric="loss"), "labels= has no effect on one number per run"),
        (lambda: rs.compare(OLD, NEW, metric="loss", on="test-set"), "on='test-set' with one number per run"),
        (lambda: rs.compare(OLD, NEW, metric="loss", split="test"), "split= has no effect on one number per run"),
        (lambda: rs.compare(outputs(), outputs(), LABELS, diverged="worst"), "diverged= has no effect on outputs"),
        (lambda: rs.compare(outputs(), outputs(), LABELS, examples=80), "examples= has no effect on outputs"),
        (lambda: rs.compare(OLD, [], metric="loss"), "new has no runs"),
        (lambda: rs.compare(OLD, NEW, mteric="loss"), "unknown compare keyword 'mteric'.*Did you mean 'metric'"),
        (lambda: rs.rank(THREE, metric="accuracy", baseline="d"), "unknown arm 'd'"),
        (lambda: rs.plan(OLD, metric="loss"), "neither gap= nor runs="),
        (lambda: rs.plan(OLD, metric="loss", gap=0.1, runs=3), "both gap= and runs="),
        (lambda: rs.plan([0.4], metric="loss", gap=0.1), "no arm of the pilot has two runs"),
        (lambda: rs.plan(OLD, metric="loss", gap=0.1, error=0.1), "error= has no effect on one number per run"),
        (lambda: rs.compare(OLD), "the table has one arm"),
        (lambda: rs.compare(OLD, NEW, metric="loss", by="lr"), "by= has no effect on sources that are one arm each"),
        (lambda: rs.compare("nowhere.csv"), "nowhere.csv does not exist"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_old_names_of_the_methods_answer_as_the_verb_does():
    verb, method = rs.compare(OLD, NEW, metric="loss"), compare_scores(OLD, NEW, metric="loss")
    assert method.rests_on == ""
    assert {**verb.to_dict(), "rests_on": ""} == method.to_dict()
    assert verb.sentence().startswith(method.sentence())


# ------------------------------------------------------------------ what the sentence says of odd runs


def test_text_in_percent_and_single_numbers_are_scores():
    percent = rs.compare(["91.2%", "91.0%", "91.5%"], ["92.2%", "92.0%", "92.5%"], metric="accuracy")
    assert percent.unit == "percent"
    assert percent.difference.diff == pytest.approx(1.0)
    one = rs.compare([0.912, 0.910, 0.915], 0.930, metric="accuracy")
    assert "one run of new and 3 of old" in one.sentence()
    columns = {"method": np.array(["a", "a", "b", "b"]), "loss": np.array([0.9, 0.91, 0.92, 0.93])}
    assert rs.compare(columns, metric="loss").names == {"old": "a", "new": "b"}


def test_runs_that_diverged_are_of_the_arm_that_they_are_of():
    """The name of one arm begins with that of the other."""
    arms = {"new": [0.9, 0.91, math.nan], "new big": [0.8, math.nan, math.nan]}
    assert "One run of new and two of new big diverged and are excluded." in rs.compare(arms, metric="loss").sentence()
    stood_in = rs.compare(arms, metric="loss", diverged=2.0)
    assert "One run of new and two of new big diverged and count as 2." in stood_in.sentence()
    assert stood_in.to_dict()["stand_in"] == 2


def test_runs_without_the_step_are_said_to_be_left_out():
    rows = [{"method": m, "seed": s, "step": t, "loss": 1 / t + s / 10} for m in "ab" for s in (1, 2) for t in (1, 2)]
    rows = [row for row in rows if (row["method"], row["seed"], row["step"]) != ("b", 2, 2)]
    assert "One run of b is excluded (no step 2)." in rs.compare(rows, metric="loss", at=2).sentence()


def test_pairs_that_are_not_used_are_said_so():
    rows = [{"method": m, "seed": s, "loss": v} for m, vs in (("a", OLD), ("b", NEW)) for s, v in enumerate(vs)]
    found = rs.compare(rows, metric="loss", paired=True)
    assert found.difference.form == "welch"
    assert any(note.startswith("The runs are compared unpaired: over 4 pairs of runs") for note in found.warnings)
    two = rs.compare([row for row in rows if row["seed"] < 2], metric="loss", paired=True)
    assert any("2 pairs of runs with equal seeds cannot show a correlation" in note for note in two.warnings)


@pytest.mark.parametrize("gap", [0, -0.1, math.inf, math.nan])
def test_a_gap_that_is_none(gap):
    with pytest.raises(InputError, match="is no difference to show"):
        rs.plan(OLD, metric="loss", gap=gap)


def test_huge_numbers_are_written_short():
    found = rs.compare([1e149, 1.1e149, 1.05e149], [1.2e149, 1.4e149, 1.3e149], metric="loss")
    assert len(found.sentence()) < 400
    with pytest.raises(InputError, match="whose square is no number"):
        rs.compare([1e308, 1.1e308, 1.05e308], [1.2e308, 1.4e308, 1.3e308], metric="loss")


def test_an_arm_that_spreads_more_is_named_in_a_plan():
    """Its runs make the pooled spread larger, and the plan with it."""
    rng = np.random.default_rng(0)
    arms = {f"arm {k}": rng.normal(3.28, 0.001, 6).tolist() for k in range(8)}
    assert not rs.plan(arms, metric="val_loss", gap=0.002).warnings
    wild = rs.plan({**arms, "wild": rng.normal(3.28, 0.02, 6).tolist()}, metric="val_loss", gap=0.002)
    assert len(wild.warnings) == 1
    assert wild.warnings[0].startswith("wild (")
    assert "times) spreads more than the other arms together" in wild.warnings[0]
