"""The commands on one number per run: compare, plan, rank, summary; statuses, units, and what is refused."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.stats import ttest_ind

from runspread._cli import cli
from tests.conftest import SHARED
from tests.methods.verbs.conftest import record

UNTIDY = Path(__file__).parents[1] / "data" / "scores" / "untidy.csv"
MESSY = SHARED / "real" / "scores" / "messy.csv"
SPEEDRUN = SHARED / "real" / "scores" / "speedrun.csv"
real = pytest.mark.skipif(not MESSY.is_file(), reason="the real scores (../shared/real) are not here")
LOSSES = {"plain": [0.731, 0.744, 0.738, 0.735], "mixed": [0.712, 0.705, 0.718, 0.709]}


def invoke(*words):
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


def facts(*words):
    return json.loads(invoke(*words, "--json").stdout)


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a table of arms: a row a run."""

    def write(metric="accuracy", **arms):
        rows = [
            {"method": arm, "seed": seed, metric: value}
            for arm, runs in arms.items()
            for seed, value in enumerate(runs)
        ]
        path = tmp_path / "scores.csv"
        pd.DataFrame(rows).to_csv(path, index=False)
        return path

    return write


# ------------------------------------------------------------------ untidy tables


def test_an_untidy_table():
    """Runs that diverged, a missing value, a doubled row, percent cells, two metrics, two tasks."""
    found = facts("compare", UNTIDY, "--metric", "test_loss", "--task", "letters")
    oracle = ttest_ind(LOSSES["mixed"], LOSSES["plain"], equal_var=False)
    assert found["p"] == pytest.approx(oracle.pvalue)
    assert (found["lo"], found["hi"]) == pytest.approx(tuple(oracle.confidence_interval()))
    assert found["diff"] == pytest.approx(-0.026)
    assert found["verdict"] == "better"
    assert found["diverged"] == [1, 5, 1, 5]
    assert [(item["run"], item["reason"]) for item in found["excluded"]] == [
        ("plain seed 4", "diverged"),
        ("mixed seed 3", "diverged"),
        ("mixed seed 4", "no value"),
    ]
    said = invoke("compare", UNTIDY, "--metric", "test_loss", "--where", "dataset=letters")
    assert said.exit_code == 0
    text = " ".join(said.output.split())
    assert "Yes, mixed is better than plain: its test loss is 0.0260 lower (95% interval 0.0165 to 0.0355 lower" in text
    assert "One run of plain and one of mixed diverged and are excluded, and one run of mixed has no value." in text
    assert "1 row that repeats another is dropped" in text


def test_an_untidy_table_in_percent():
    found = facts("compare", UNTIDY, "--metric", "accuracy")
    assert found["unit"] == "percent"
    assert found["diff"] == pytest.approx(79.475 - 78.375)
    assert invoke("compare", UNTIDY, "--metric", "accuracy", "--not-worse", 0.5).exit_code == 0


def test_diverged_runs_as_the_worst_or_as_a_number():
    words = ("compare", UNTIDY, "--metric", "test_loss", "--task", "letters", "--diverged")
    worst = facts(*words, "worst")
    assert (worst["n_old"], worst["n_new"], worst["form"]) == (5, 5, "mann-whitney")
    assert worst["p_superior"] == pytest.approx((4 * 5 + 0.5) / 25)
    assert facts(*words, "2.5")["mean_old"] == pytest.approx((sum(LOSSES["plain"]) + 2.5) / 5)
    refused = invoke(*words, "raise")
    assert refused.exit_code == 2
    assert "plain seed 4 diverged" in refused.stderr


def test_two_values_of_one_run():
    words = ("compare", UNTIDY, "--metric", "test_loss", "--task", "digits")
    refused = invoke(*words)
    assert refused.exit_code == 2
    assert "mixed seed 2 on digits is there twice, with 0.225 and 0.214" in refused.stderr
    assert "--repeats mean" in refused.stderr
    assert facts(*words, "--repeats", "mean")["n_new"] == 3
    assert facts(*words, "--repeats", "last")["mean_new"] == pytest.approx((0.221 + 0.218 + 0.214) / 3)


def test_no_run_disappears():
    found = facts("summary", UNTIDY, "--metric", "test_loss", "--repeats", "mean")
    rows = sum(line.split(",")[3] == "test_loss" for line in UNTIDY.read_text().splitlines())
    runs = sum(one["n"] for one in found["arms"])
    assert runs + len(found["excluded"]) + 1 + 1 == rows  # one row is there twice, one run has two values


@real
def test_the_messy_table_by_the_numbers_of_the_specification():
    words = ("compare", MESSY, "--by", "method", "--metric", "val_loss")
    found = facts(*words, "--where", "task=mnist")
    assert found["diff"] == pytest.approx(-0.0155)
    assert (found["lo"], found["hi"]) == pytest.approx((-0.0262416860, -0.0047583140), rel=1e-8)
    assert found["p"] == pytest.approx(0.0123725305, rel=1e-8)
    assert found["verdict"] == "better"
    assert facts(*words, "--task", "mnist") == found
    assert facts(*words, "--task", "mnist", "--diverged", "worst")["p_superior"] == pytest.approx(0.82)
    accuracy = facts("compare", MESSY, "--metric", "accuracy")
    assert (accuracy["diff"], accuracy["n_old"], accuracy["n_new"]) == (pytest.approx(0.575), 4, 4)
    refused = invoke(*words, "--task", "cifar")
    assert refused.exit_code == 2
    assert "new seed 2 on cifar is there twice" in refused.stderr
    assert facts(*words, "--task", "cifar", "--repeats", "mean")["n_new"] == 3


@real
def test_real_trainings_by_the_numbers_of_the_specification():
    arms = ("track_1_short/2024-12-08_UNetValueEmbedsTweaks", "track_1_short/2024-12-10_MFUTweaks")
    words = ("compare", SPEEDRUN, "--by", "group", "--metric", "val_loss", "--where", "steps=1480")
    found = facts(*words, "--baseline", arms[0], "--new", arms[1], "--equivalent", 0.001)
    assert found["verdict"] == "equivalent"
    assert found["df"] == pytest.approx(73.23, abs=0.01)
    assert found["p_equivalent"] == pytest.approx(0.0177, abs=1e-4)


# ------------------------------------------------------------------ statuses and units


def test_the_statuses(table):
    path = table(old=[0.90, 0.91, 0.905, 0.902], new=[0.93, 0.935, 0.931, 0.938], same=[0.905, 0.903, 0.908, 0.901])
    pair = ("compare", path, "--metric", "accuracy", "--baseline")
    assert invoke(*pair, "old", "--new", "new").exit_code == 0
    assert invoke(*pair, "new", "--new", "old").exit_code == 1
    assert invoke(*pair, "old", "--new", "same").exit_code == 3
    assert invoke(*pair, "nothing", "--new", "same").exit_code == 2
    assert invoke(*pair, "old", "--new", "same", "--not-worse", 1).exit_code == 0
    assert invoke(*pair, "old", "--new", "same", "--equivalent", 1).exit_code == 0
    assert invoke(*pair, "old", "--new", "same", "--equivalent", 0.1).exit_code == 3
    assert invoke(*pair, "new", "--new", "old", "--not-worse", 1).exit_code == 1  # worse by more is shown
    assert invoke(*pair, "new", "--new", "old", "--not-worse", 3).exit_code == 3  # worse, but perhaps by less
    assert invoke(*pair, "old", "--new", "new", "--equivalent", 1).exit_code == 1
    assert "Verdict: worse (exit status 1)" in invoke(*pair, "new", "--new", "old").output


def test_statuses_of_several_arms(table):
    path = table(a=[90.0, 90.2, 90.1], b=[92.0, 92.2, 92.1], c=[90.1, 90.3, 90.0])
    assert invoke("compare", path, "--metric", "accuracy", "--baseline", "a").exit_code == 0
    assert invoke("compare", path, "--metric", "accuracy", "--baseline", "b").exit_code == 1
    assert invoke("compare", path, "--metric", "accuracy").exit_code == 0  # b alone may be the best
    assert invoke("rank", path, "--metric", "accuracy").exit_code == 0
    two = table(a=[90.0, 90.2, 90.1], c=[90.1, 90.3, 90.0])
    assert invoke("rank", two, "--metric", "accuracy").exit_code == 3
    assert invoke("rank", two, "--metric", "accuracy", "--baseline", "a").exit_code == 3
    assert invoke("summary", two, "--metric", "accuracy").exit_code == 0


def test_arrays_of_one_number_per_run_are_taken_as_in_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("old.npy", np.array([0.412, 0.398, 0.405, 0.401]))
    np.save("new.npy", np.array([0.391, 0.380, 0.388, 0.395]))
    found = invoke("compare", "old.npy", "new.npy", "--metric", "loss")
    assert found.output.startswith("Yes, new is better than old")
    assert "of each arm show a gap of 0.01" in invoke("plan", "old.npy", "--metric", "loss", "--gap", 0.01).output
    assert "(95% interval" in invoke("summary", "old.npy").output


HINTED = {
    "a metric's word": ("method,seed,val_accuracy\n", "{arm},{seed},{value}\n", (), ["--metric", "val_accuracy"]),
    "the one column of numbers": (
        "method,note,outcome\n", "{arm},n{seed},{value}\n", ("--higher-is-better",), ["--metric", "outcome"]
    ),
    "a name of two words": ("method,seed,val acc\n", "{arm},{seed},{value}\n", (), ["--metric", "val acc"]),
    "cells that recur": (
        "note,optimizer,score\n", "{arm}{seed},{arm},{value}\n", ("--metric", "acc"), ["--by", "optimizer"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", HINTED)
def test_a_hint_names_the_column_that_is_meant_and_can_be_typed(tmp_path, kind):
    head, row, words, expected = HINTED[kind]
    path = tmp_path / "untold.csv"
    values = {"old": (0.81, 0.82, 0.80), "new": (0.91, 0.92, 0.90)}
    lines = [row.format(arm=arm, seed=seed, value=x) for arm, of in values.items() for seed, x in enumerate(of)]
    path.write_text(head + "".join(lines))
    refused = invoke("compare", path, *words)
    assert refused.exit_code == 2
    hint = shlex.split(refused.output.partition("Name it: ")[2].rstrip().removesuffix("."))
    assert hint == expected
    assert invoke("compare", path, *words, *hint).output.startswith("Yes, new is better than old")


def test_margins_of_accuracies_are_points_and_of_losses_their_unit(table):
    fractions = table(old=[0.90, 0.91, 0.905], new=[0.905, 0.903, 0.908])
    assert facts("compare", fractions, "--metric", "accuracy", "--not-worse", 2)["margin"] == pytest.approx(0.02)
    assert facts("plan", fractions, "--metric", "accuracy", "--gap", 2)["gap"] == pytest.approx(0.02)
    assert (
        "by more than 2 percentage points"
        in invoke("compare", fractions, "--metric", "accuracy", "--not-worse", 2).output
    )
    percents = table(old=[90, 91, 90.5], new=[90.5, 90.3, 90.8])
    assert facts("compare", percents, "--metric", "accuracy", "--not-worse", 2)["margin"] == 2
    losses = table("loss", old=[0.9, 0.91, 0.905], new=[0.905, 0.903, 0.908])
    assert facts("compare", losses, "--metric", "loss", "--not-worse", 0.02)["margin"] == 0.02
    assert facts("plan", losses, "--metric", "loss", "--gap", 0.01)["gap"] == 0.01


def test_the_floor_of_examples(table):
    path = table(old=[0.910, 0.911, 0.909], new=[0.915, 0.916, 0.914])
    assert invoke("compare", path, "--metric", "accuracy").exit_code == 0
    floored = invoke("compare", path, "--metric", "accuracy", "--examples", 1000)
    assert floored.exit_code == 3
    assert "with independent errors on 1,000 examples" in " ".join(floored.output.split())
    planned = invoke("plan", path, "--metric", "accuracy", "--gap", 0.5, "--examples", 1000)
    assert "No number of runs shows a gap of 0.5 percentage points on 1,000 examples" in planned.output


def test_a_direction_that_the_name_does_not_tell(table):
    path = table("speed", old=[1.0, 1.1, 1.05], new=[1.3, 1.35, 1.32])
    asked = invoke("compare", path, "--metric", "speed")
    assert asked.exit_code == 2
    assert "--lower-is-better or --higher-is-better" in asked.stderr
    assert invoke("compare", path, "--metric", "speed", "--lower-is-better").exit_code == 1
    assert invoke("compare", path, "--metric", "speed", "--higher-is-better").exit_code == 0


def test_pairs_of_equal_seeds(tmp_path):
    lines = ["method,seed,score"]
    for seed in range(10):
        lines += [
            f"old,{seed},{seed * 0.1 + 0.001 * (seed % 3)}",
            f"new,{seed},{seed * 0.1 + 0.01 + 0.001 * (seed % 4)}",
        ]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    words = ("compare", tmp_path / "pairs.csv", "--higher-is-better")
    assert invoke(*words).exit_code == 3
    assert invoke(*words, "--paired").exit_code == 0
    assert facts(*words, "--paired")["form"] == "paired"


def test_files_with_one_number_a_line(tmp_path):
    for name, runs in LOSSES.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(map(str, runs)))
    found = invoke("compare", tmp_path / "plain.txt", tmp_path / "mixed.txt", "--metric", "loss")
    assert found.exit_code == 0
    assert "Yes, mixed is better than plain" in found.output
    paths = [tmp_path / f"{name}.txt" for name in LOSSES]
    assert invoke("rank", *paths, "--metric", "loss").exit_code == 0
    assert invoke("summary", paths[0], "--metric", "loss", "--target", 0.75).exit_code == 0


# ------------------------------------------------------------------ studies


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scores")
    record(folder / "a", (0.1,), 5)
    record(folder / "b", (0.3,), 5, seed=1)
    record(folder / "sweep", (0.1, 0.3))
    return folder


def test_studies_by_a_logged_metric_and_by_a_hyperparameter(studies):
    a, b, sweep = (studies / name for name in ("a", "b", "sweep"))
    assert "delta" in facts("compare", a, b)  # outputs, where there are some
    scalar = facts("compare", a, b, "--metric", "val_loss")
    assert (scalar["names"], scalar["verdict"]) == ({"old": "a", "new": "b"}, "worse")
    assert facts("compare", sweep, "--by", "lr")["names"] == ["lr=0.1", "lr=0.3"]
    words = ("compare", sweep, "--by", "lr", "--metric", "val_loss")
    assert invoke(*words).exit_code == 1
    assert invoke(*words, "--baseline", "0.3").exit_code == 0
    assert invoke("rank", sweep, "--by", "lr", "--metric", "val_loss").exit_code == 0
    assert facts("summary", sweep, "--by", "lr", "--metric", "train_loss")["arms"][1]["arm"] == "lr=0.3"
    assert invoke("rank", a, b).exit_code in (0, 3)
    assert facts("plan", a, "--metric", "val_loss", "--gap", 0.01)["df"] == 4
    assert facts("plan", a, "--gap", 5)["runs_needed"] > 1
    kept = [word for seed in range(3) for word in ("--where", f"init={seed}")]
    assert facts(*words, *kept)["n_old"] == 3


# ------------------------------------------------------------------ output


def test_latex_plot_and_json(table, tmp_path):
    path = table(old=[0.90, 0.91, 0.905], new=[0.93, 0.935, 0.931])
    words = ("compare", path, "--metric", "accuracy")
    latex = invoke(*words, "--latex")
    assert latex.exit_code == 0
    assert latex.output.startswith("% Yes, new is better than old: its accuracy is 2.70 percentage points higher")
    assert r"\textbf" in latex.output.partition("\n\\begin{table}\n")[2]
    drawn = invoke(*words, "--plot", tmp_path / "scores.png")
    assert drawn.exit_code == 0
    assert (tmp_path / "scores.png").stat().st_size > 1000
    for command in ("rank", "summary"):
        assert invoke(command, path, "--metric", "accuracy", "--latex").output.count(r"\begin{table}") == 1
        assert invoke(command, path, "--metric", "accuracy", "--plot", tmp_path / f"{command}.svg").exit_code in (0, 3)
        assert (tmp_path / f"{command}.svg").exists()
    both = invoke(*words, "--latex", "--json")
    assert both.exit_code == 2
    assert "rests_on" in facts(*words)


def test_many_arms_are_listed_in_part(table):
    path = table("loss", **{f"m{k}": [0.1 * k, 0.1 * k + 0.01, 0.1 * k + 0.02] for k in range(60)})
    some = invoke("rank", path, "--metric", "loss")
    assert "... and 30 more between the two ends (--rows -1 lists all)" in some.output
    assert "more between" not in invoke("rank", path, "--metric", "loss", "--rows", -1).output


# ------------------------------------------------------------------ what is refused

REFUSED = [
    ("method,model,score\na,b,0.1\nb,c,0.2\n", (), "2 columns may be the arm: method, model", "--by method"),
    ("method,score,result\na,0.1,0.2\nb,0.2,0.3\n", (), "2 columns may be the value", "--value score"),
    ("who,score\na,0.1\nb,0.2\n", (), "is known to name arms", "--by"),
    ("method,loss\na,0.1\nb,0.2\n", (), "is known to hold values", "--metric"),
    ("method,score\na,91%\na,0.92\nb,92%\n", (), "mixed units", "Write all in percent"),
    ("method,accuracy\na,91.5\na,90\nb,0.92\nb,0.9\n", ("--metric", "accuracy"), "mixed units", "Write all"),
    ("method,error_accuracy\na,0.1\nb,0.2\n", ("--metric", "error_accuracy"), "higher or lower better", "--lower"),
    (
        "method,seed,loss\na,1,0.1\na,1,0.2\nb,1,0.2\n",
        ("--metric", "loss"),
        "a seed 1 is there twice",
        "--repeats mean",
    ),
    ('method,score\na,"0,91"\nb,0.9\n', ("--higher-is-better",), "row 1 has '0,91' in column 'score'", "Write 0.91"),
    ("method,loss\na,0.1\nb,-inf\n", ("--metric", "loss"), "better than anything", "a finite value"),
    ("method,score\na,\nb,\n", ("--higher-is-better",), "no run has a finite value", "one number per run"),
    ("method,score\n", (), "has no rows", "one row per"),
    ("", (), "is empty", "one number a line, or a table"),
    ("method;score\na;1\n", (), "holds a single column", "They seem to be separated by ';'"),
    ("method,score\na,0.1\na,0.2\n", ("--higher-is-better",), "the table has one arm, a", "runspread summary"),
    ("method,score\na,0.1\nb,0.2,3\n", (), "row 2 of", "2, as in the header"),
    ("method,score\na,x\nb,0.2\n", ("--higher-is-better",), "row 1 has 'x' in column 'score'", "a number"),
    ("method,loss\na,0.1\nb,0.2\n", ("--metric", "los"), "there is no column 'los'", "Did you mean 'loss'"),
    ("method,loss\na,0.1\nb,0.2\n", ("--metric", "loss", "--baseline", "A"), "unknown arm 'A'", "one of a, b"),
    (
        "method,loss\na,0.1\nb,0.2\n",
        ("--metric", "loss", "--not-worse", "0"),
        "--not-worse 0 asks for no margin",
        "above 0",
    ),
    (
        "method,loss\na,0.1\nb,0.2\n",
        ("--metric", "loss", "--confidence-level", "2"),
        "confidence level is 2",
        "0.5 and 1",
    ),
    ("method,loss\na,0.1\nb,0.2\n", ("--metric", "loss", "--examples", "100"), "no accuracy", "Drop examples"),
    ("method,loss\na,0.1\nb,0.2\n", ("--metric", "loss", "--clusters", "x.npy"), "--clusters has no effect", "Drop"),
    ("method,loss\na,0.1\nb,0.2\n", ("--metric", "loss", "--split", "test"), "--split has no effect", "Drop --split"),
    ("method,loss\na,0.1\nb,0.2\n", ("--metric", "loss", "--where", "lr=1"), "there is no column 'lr'", "one of"),
]


@pytest.mark.parametrize(("text", "words", "found", "hint"), REFUSED, ids=[case[2][:40] for case in REFUSED])
def test_what_cannot_be_answered(tmp_path, text, words, found, hint):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    said = invoke("compare", path, *words)
    assert said.exit_code == 2, said.output
    assert found in said.stderr
    assert hint in said.stderr
    assert not re.search(r"Traceback|\bnan\b", said.output + said.stderr)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("method,loss\na,0.1\nb,0.2\n", "one run of each says nothing about the spread"),
        ("method,loss\na,0.1\na,0.12\na,0.11\nb,0.2\n", "one run of b and 3 of a"),
        ("method,loss\na,0.1\na,0.1\nb,0.2\nb,0.2\n", "no spread at all"),
        ("method,loss\na,0.1\na,0.12\nb,0.11\nb,0.13\n", "two runs of each hardly measure a spread"),
    ],
)
def test_few_or_equal_runs_are_undecided_or_guarded(tmp_path, text, said):
    (tmp_path / "few.csv").write_text(text)
    found = invoke("compare", tmp_path / "few.csv", "--metric", "loss")
    assert found.exit_code in (1, 3)
    assert said in " ".join(found.output.split())


def test_kinds_are_not_mixed(tmp_path, studies):
    (tmp_path / "a.csv").write_text("method,loss\na,0.1\nb,0.2\n")
    mixed = invoke("compare", tmp_path / "a.csv", studies / "a")
    assert mixed.exit_code == 2
    assert "is a table of scores" in mixed.stderr
    assert invoke("compare", tmp_path / "none.csv").exit_code == 2
    assert invoke("compare", studies / "a", "--by", "lr").exit_code == 2  # one arm


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("method,model,loss\na,x,0.1\na,x,0.2\nb,y,0.2\nb,y,0.21\n", ("--metric", "loss")),
        ("who,loss\na,0.1\na,0.12\nb,0.2\nb,0.3\n", ("--metric", "loss")),
        ("method,loss\na,0.1\na,0.12\nb,0.2\nb,0.3\n", ()),
        ("method,score,result\na,1,0.1\na,2,0.12\nb,1,0.2\nb,1,0.3\n", ("--lower-is-better",)),
        ("method,seed,step,epoch,loss\na,1,1,1,0.1\na,2,1,1,0.2\nb,1,1,1,0.2\nb,2,1,1,0.21\n", ("--metric", "loss")),
        ("method,id,name,loss\na,1,x,0.1\na,2,y,0.2\nb,1,z,0.2\nb,2,u,0.21\n", ("--metric", "loss")),
        ("method,seed,trial,loss\na,1,1,0.1\na,2,1,0.2\nb,1,1,0.2\nb,2,1,0.21\n", ("--metric", "loss")),
        ("method,task,data,loss\na,1,1,0.1\na,1,1,0.2\nb,1,1,0.2\nb,1,1,0.21\n", ("--metric", "loss")),
        ("method,seed,loss\na,1,0.1\na,1,0.2\na,2,0.3\nb,1,0.2\nb,2,0.21\n", ("--metric", "loss")),
        ("method,speed\na,0.1\na,0.12\nb,0.2\nb,0.3\n", ("--metric", "speed")),
        ("method,loss,acc\na,0.1,1\na,0.12,2\nb,0.2,3\nb,0.3,4\n", ("--metric", "los")),
    ],
)
def test_the_option_that_an_error_names_helps(tmp_path, text, words):
    """The hint of every error about columns is an option that can be typed as it stands."""
    (tmp_path / "t.csv").write_text(text)
    command = ["compare", tmp_path / "t.csv", *words]
    said = invoke(*command)
    assert said.exit_code == 2
    near = re.search(r"Did you mean '(\w+)'", said.stderr)
    hint = re.search(r"(--[\w-]+)( (?!or)\w+)?", said.stderr)
    if near:
        command[-1] = near[1]
    else:
        command += [hint[1], *(hint[2] or "").split()]
    assert invoke(*command).exit_code in (0, 1, 3), said.stderr


def test_a_named_metric_is_a_column_though_others_may_hold_values(tmp_path):
    (tmp_path / "t.csv").write_text("method,score,result,loss\na,1,2,0.1\na,1,2,0.2\nb,1,2,0.4\nb,1,2,0.5\n")
    assert facts("compare", tmp_path / "t.csv", "--metric", "loss")["diff"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.csv", b"\xff\xfem\x00e\x00", "is no text in UTF-8"),
        ("a.jsonl", b"\xff\xfem\x00e\x00", "is no text in UTF-8"),
        ("a.txt", b"\xff\xfem\x00e\x00", "is no text in UTF-8"),
        ("a.parquet", b"PAR1 and no more", "cannot be read"),
        ("a.jsonl", b'{"method": "a", "loss": 1}\n{"method": ', "line 2"),
        ("a.csv", b"method,loss\na,0.1\n,0.2\nb,0.3\n", "row 2 has no value in column 'method', which names the arms"),
    ],
)
def test_files_that_are_none_are_refused_by_name(tmp_path, name, content, found):
    (tmp_path / name).write_bytes(content)
    said = invoke("compare", tmp_path / name, "--metric", "loss")
    assert said.exit_code == 2
    assert found in said.stderr
    assert name in said.stderr


def test_settings_that_vary_in_wide_tables_are_warned_of(tmp_path):
    """Only long tables were looked at: the commonest form has a column per metric."""
    rows = ["method,seed,lr,train_time,accuracy,acc_stderr"]
    rows += [
        f"{m},{s},{0.1 if s else 0.3},{7 if s else 9},0.9{s}{k},0.01" for k, m in enumerate("ab") for s in range(3)
    ]
    (tmp_path / "wide.csv").write_text("\n".join(rows))
    text = " ".join(invoke("compare", tmp_path / "wide.csv", "--metric", "accuracy").output.split())
    assert "Runs of a differ in lr (0.3 and 0.1): their spread is not of seeds alone." in text
    assert "train_time" not in text  # a measurement
    assert "The column acc_stderr is ignored" in text


# ------------------------------------------------------------------ several metrics, groups of runs, plans of shares


def test_several_metrics_are_corrected_together():
    found = facts("compare", UNTIDY, "--task", "letters")
    assert [one["metric"] for one in found["comparisons"]] == ["test_loss", "accuracy"]
    assert found["verdicts"] == ["better", "better"]
    said = invoke("compare", UNTIDY, "--task", "letters")
    assert said.exit_code == 0
    assert "After Holm's correction over 2 metrics, mixed is better than plain by test loss and accuracy." in " ".join(
        said.output.split()
    )
    assert invoke("compare", UNTIDY, "--task", "letters", "--baseline", "mixed").exit_code == 1
    margin = invoke("compare", UNTIDY, "--task", "letters", "--not-worse", 1)
    assert margin.exit_code == 2
    assert "--not-worse test_loss=...,accuracy=..." in margin.stderr
    each = ("--not-worse", "test_loss=0.1,accuracy=1")
    assert invoke("compare", UNTIDY, "--task", "letters", *each).exit_code == 0
    said = facts("compare", UNTIDY, "--task", "letters", *each)
    assert [one["judged"]["margin"] if "judged" in one else one["margin"] for one in said["comparisons"]] == [0.1, 1]
    assert invoke("compare", UNTIDY, "--task", "letters", "--not-worse", "a=b").exit_code == 2


def test_the_runs_that_a_gap_takes_and_the_shares_beyond_a_threshold(table):
    path = table(old=[0.90, 0.91, 0.905], new=[0.905, 0.903, 0.908])
    runs = [facts("compare", path, "--metric", "accuracy", "--gap", gap)["runs_needed"] for gap in (1, 0.5, 0.25)]
    assert 2 < runs[0] < runs[1] < runs[2]  # points: of a gap of 1 as a fraction two runs would do
    assert invoke("compare", path, "--metric", "accuracy", "--threshold", 0.904).exit_code == 3
    assert invoke("summary", path, "--metric", "accuracy", "--threshold", 0.904).exit_code == 0
    assert invoke("plan", "--superior", 0.75).exit_code == 0
    assert invoke("plan", path, "--metric", "accuracy", "--gap", 1, "--spread", "each").exit_code == 0


def test_a_plan_is_drawn(table, tmp_path):
    path = table(old=[0.90, 0.91, 0.905], new=[0.905, 0.903, 0.908])
    drawn = invoke("plan", path, "--metric", "accuracy", "--gap", 1, "--plot", tmp_path / "plan.png")
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "plan.png").exists()


def test_statuses_over_tasks(tmp_path):
    lines = ["method,task,seed,accuracy"]
    for arm, gain in (("old", 0.0), ("new", 0.03), ("same", 0.0)):
        lines += [
            f"{arm},{task},{seed},{0.6 + 0.05 * at + gain * (1 + at / 9) + (7 * seed + 3 * at + len(arm)) % 5 / 1000}"
            for at, task in enumerate("wxyz")
            for seed in range(3)
        ]
    (tmp_path / "tasks.csv").write_text("\n".join(lines))
    words = ("compare", tmp_path / "tasks.csv", "--metric", "accuracy", "--baseline")
    assert invoke(*words, "old", "--new", "new").exit_code == 0
    assert invoke(*words, "new", "--new", "old").exit_code == 1
    assert invoke(*words, "old", "--new", "same").exit_code == 3
    assert invoke(*words, "old").exit_code == 0  # one of both is better
    assert invoke(*words, "new").exit_code == 1
    assert invoke(*words, "old", "--new", "new", "--on", "these-tasks", "--normalise", "baseline").exit_code == 0


def test_words_of_one_point_and_of_options(table, tmp_path):
    path = table(a=[90.0, 90.5, 91.0], b=[91.0, 92.0, 92.5], c=[90.1, 90.2, 90.9])
    assert (
        "show a gap of 1 percentage point in four cases"
        in invoke("plan", path, "--metric", "accuracy", "--gap", 1).output
    )
    ranked = " ".join(invoke("rank", path, "--metric", "accuracy").output.split())
    assert "warning: So few runs show more with --spread shared" in ranked
    (tmp_path / "tasks.csv").write_text(
        "method,task,score\n"
        + "".join(f"{m},{t},{b * k}\n" for m in "ab" for t, b in (("x", 1), ("y", 100)) for k in range(6))
    )
    scales = invoke("compare", tmp_path / "tasks.csv", "--higher-is-better")
    assert scales.exit_code == 2
    assert "Pass --normalise baseline, or normalise={task: (low, high), ...}" in scales.stderr
