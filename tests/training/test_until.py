"""Training until a question is answered."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli

pytest.importorskip("torch")
pytest.importorskip("sklearn")

TINY = {"epochs": 1, "hidden": (8,), "record": "1 epoch"}


def test_stops_when_the_standard_error_is_known(tmp_path):
    recipe = rs.recipe("digits-mlp", **TINY)
    study, look = rs.train_until(recipe, until="se=10", max_runs=12, out=tmp_path / "s")
    assert look.verdict == "known"
    assert look.runs == len(study.runs) < 12
    again, same = rs.train_until(recipe, until="se=10", max_runs=12, out=tmp_path / "s")
    assert (len(again.runs), same.to_json()) == (len(study.runs), look.to_json())


def test_gives_up_at_the_last_run(tmp_path):
    study, look = rs.train_until(rs.recipe("digits-mlp", **TINY), until="se=0.0001", max_runs=7, out=tmp_path / "s")
    assert (look.verdict, look.runs, look.stop, len(study.runs)) == ("undecided", 7, True, 7)


def test_against_a_baseline(tmp_path):
    baseline = rs.train(rs.recipe("digits-mlp", **TINY), runs=6, out=tmp_path / "a")
    better = rs.recipe("digits-mlp", **(TINY | {"epochs": 20, "hidden": (64,), "lr": 3e-3}))
    _, look = rs.train_until(better, until="gap=1", max_runs=20, against=baseline, out=tmp_path / "b")
    assert look.verdict == "better"
    assert look.low > 0


def test_command_line(tmp_path):
    words = ["train", "digits-mlp", "--until", "se=20", "--max-runs", "6", "-o", str(tmp_path / "s")]
    settings = ["--set", "epochs=1", "--set", "hidden=[8]"]
    result = CliRunner().invoke(cli, words + settings, catch_exceptions=False)
    assert result.exit_code == 0
    assert "Known after 5 runs: standard error of the mean" in result.output


def test_baseline_needs_a_gap(tmp_path):
    baseline = rs.train(rs.recipe("digits-mlp", **TINY), runs=3, out=tmp_path / "a")
    with pytest.raises(rs.InputError, match="baseline"):
        rs.train_until("digits-mlp", until="se=1", max_runs=5, against=baseline, out=tmp_path / "b")
