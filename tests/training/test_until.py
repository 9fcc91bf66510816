"""Training until a question is answered."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread.errors import InputError, StudyError

pytest.importorskip("torch")
pytest.importorskip("sklearn")

TINY = {"epochs": 1, "hidden": (8,), "record": "1 epoch"}


def test_stops_when_the_standard_error_is_known(tmp_path):
    recipe = rs.recipe("digits-mlp", **TINY)
    study, look = rs.train_until(recipe, until="se=10", max_runs=12, out=tmp_path / "s")
    assert look.verdict == "known"
    assert look.runs == len(study.runs) < 12
    assert any("may not be seen" in note for note in look.warnings)
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


def invoke(*words):
    tiny = ["--set", "epochs=1", "--set", "hidden=[8]"] if words[0] == "train" else []
    return CliRunner().invoke(cli, [str(word) for word in words] + tiny, catch_exceptions=False)


def recorded(path, labels, runs=4, predictions=True):
    """A baseline of somebody's own loop."""
    study = rs.create_study(path, splits={"test": labels})
    rng = np.random.default_rng(0)
    for seed in range(runs):
        with study.record(seeds=seed) as run:
            if predictions:
                run.predictions("test", rng.normal(size=(len(labels), 10)) + 3 * np.eye(10)[labels])
    return study


def test_command_line(tmp_path):
    words = ["train", "digits-mlp", "--until", "se=20", "--max-runs", "6", "-o", str(tmp_path / "s")]
    settings = ["--set", "epochs=1", "--set", "hidden=[8]"]
    result = CliRunner().invoke(cli, words + settings, catch_exceptions=False)
    assert result.exit_code == 0
    assert "Known after 5 runs: standard error of the mean" in result.output


def test_baseline_needs_a_gap(tmp_path):
    baseline = rs.train(rs.recipe("digits-mlp", **TINY), runs=3, out=tmp_path / "a")
    with pytest.raises(InputError, match="baseline"):
        rs.train_until("digits-mlp", until="se=1", max_runs=5, against=baseline, out=tmp_path / "b")


def test_the_plan_of_looks_is_kept(tmp_path):
    """Two plans over the same runs would err more often than either promises."""
    recipe = rs.recipe("digits-mlp", **TINY)
    rs.train_until(recipe, until="se=0.0001", max_runs=5, out=tmp_path / "s")
    with pytest.raises(StudyError, match="looked at under another plan"):
        rs.train_until(recipe, until="se=0.0001", max_runs=7, out=tmp_path / "s")
    with pytest.raises(StudyError, match="question"):
        rs.train_until(recipe, until="se=0.1", max_runs=5, out=tmp_path / "s")
    assert len(rs.open_study(tmp_path / "s").runs) == 5
    assert len(rs.train(recipe, runs=6, out=tmp_path / "s").runs) == 6


def test_a_baseline_that_cannot_be_compared_is_refused(tmp_path):
    digits = np.arange(10)
    recipe = rs.recipe("digits-mlp", **TINY)
    other = recorded(tmp_path / "other", digits)
    with pytest.raises(InputError, match="the same examples"):
        rs.train_until(recipe, until="gap=1", max_runs=5, against=other, out=tmp_path / "b")
    silent = recorded(tmp_path / "silent", digits, predictions=False)
    with pytest.raises(InputError, match="no accuracies on split 'test'"):
        rs.train_until(recipe, until="gap=1", max_runs=5, against=silent, out=tmp_path / "b")
    two = recorded(tmp_path / "two", digits, runs=2)
    with pytest.raises(InputError, match="3 or more"):
        rs.train_until(recipe, until="gap=1", max_runs=5, against=two, out=tmp_path / "b")
    with pytest.raises(InputError, match="its own baseline"):
        rs.train_until(recipe, until="gap=1", max_runs=5, against=other, out=tmp_path / "other")


def test_a_baseline_of_repeated_seeds_is_warned_of(tmp_path):
    trained = rs.train(rs.recipe("digits-mlp", **TINY), runs=3, out=tmp_path / "a")
    labels, reader = trained.predictions().labels, trained.predictions()
    baseline = rs.create_study(tmp_path / "c", splits={"test": labels})
    for number in range(6):
        with baseline.record(seeds=number % 3, id=f"r{number}") as run:
            run.predictions("test", reader[number % 3])
    _, look = rs.train_until(
        rs.recipe("digits-mlp", **(TINY | {"epochs": 2})),
        until="gap=1",
        max_runs=5,
        against=baseline,
        out=tmp_path / "b",
    )
    assert any(note.startswith("baseline: repeated seeds") for note in look.warnings)


def test_exit_status_is_the_answer(tmp_path):
    unknown = invoke("train", "digits-mlp", "--until", "se=0.0001", "--max-runs", 5, "-o", tmp_path / "s")
    assert unknown.exit_code == 3
    assert "Undecided after 5 runs" in unknown.output


def test_failures_are_guarded_against_from_the_command_line(tmp_path):
    few = invoke("train", "digits-mlp", "--until", "se=1", "--max-runs", 30, "--failures", 10, "-o", tmp_path / "s")
    assert (few.exit_code, "max_runs=36" in few.stderr) == (2, True)
    alone = invoke("train", "digits-mlp", "--failures", 10, "-o", tmp_path / "s")
    assert (alone.exit_code, "--failures was given without --until" in alone.stderr) == (2, True)


@pytest.mark.parametrize(
    "words", [["--max-runs", 5], ["--against", "nowhere"], ["--until", "se=1", "--runs", 9, "--max-runs", 5]]
)
def test_options_that_would_be_ignored_are_refused(tmp_path, words):
    result = invoke("train", "digits-mlp", "-o", tmp_path / "s", *words)
    assert result.exit_code == 2
    assert "--until" in result.stderr
    assert not (tmp_path / "s").exists()


def test_until_a_logged_metric_is_known(tmp_path):
    """Before, the question could be about accuracy alone."""
    baseline = rs.train(rs.recipe("digits-mlp", **TINY), runs=5, out=tmp_path / "a")
    more = rs.recipe("digits-mlp", **(TINY | {"epochs": 3, "hidden": (16,)}))
    asked = {"until": "gap=0.01", "max_runs": 12, "against": baseline, "metric": "test_loss"}
    study, look = rs.train_until(more, out=tmp_path / "b", **asked)
    assert look.verdict == "better"
    assert look.high < 0  # a lower loss
    last = [float(study.metrics()["test_loss"].of(run)[1][-1]) for run in study.runs.ids[: look.runs]]
    assert look.mean_acc == pytest.approx(np.mean(last))
    with pytest.raises(StudyError, match="metric test_loss there, train_loss here"):
        rs.train_until(more, out=tmp_path / "b", **(asked | {"metric": "train_loss"}))
    shares = ["train", "digits-mlp", "--until", "se=20", "--metric", "test_accuracy", "--max-runs", "6"]
    done = invoke(*shares, "-o", tmp_path / "c")
    assert done.exit_code == 0
    assert "standard error of the mean test accuracy" in done.output
    assert " points" in done.output
    with pytest.raises(InputError, match="no run has a metric 'test_los'"):
        rs.train_until(more, out=tmp_path / "d", **(asked | {"metric": "test_los"}))


def test_a_metric_goes_with_a_question(tmp_path):
    alone = CliRunner().invoke(cli, ["train", "digits-mlp", "--metric", "test_loss", "-o", str(tmp_path / "s")])
    assert alone.exit_code == 2
    assert "--metric was given without --until" in alone.stderr
