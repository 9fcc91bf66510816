"""Dynamics of a study: its logs, the command, the section of the report."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread._report.any_study import curves
from runspread._report.dynamics import dynamics as section
from runspread.errors import InputError, MissingDataError
from runspread.methods.dynamics.plots import plot_state_ribbons
from tests.methods.dynamics.test_analysis import forked_runs

NAMES = {"l1": "l1", "l2": "l2", "norm": "spectral"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Weight metrics every second step, loss at every step, a diverged run and a failed one."""
    runs, index = forked_runs(10)
    made = rs.create_study(tmp_path_factory.mktemp("dynamics") / "study", splits={})
    for number, (name, log) in enumerate(runs.items()):
        with made.record(seeds=number) as run:
            for t in range(60):
                run.log(2 * t, test_accuracy=float(t >= index[name]), **{NAMES[k]: v[t] for k, v in log.items()})
                run.log(2 * t + 1, loss=1.0 / (t + 1))
    with made.record(seeds=98) as run:
        run.log(0, l1=1.0, l2=2.0, spectral=np.nan, test_accuracy=0.0)
        run.diverged("not finite")
    with pytest.raises(RuntimeError), made.record(seeds=99) as run:
        raise RuntimeError("out of memory")
    return made


def test_a_study_is_read_at_the_steps_all_metrics_share(study):
    options = {"outcome": "test_accuracy", "threshold": 0.5, "states": [4], "restarts": 3, "covariance": "diag"}
    result = rs.dynamics(study, **options)
    runs, index = forked_runs(10)
    direct = rs.dynamics({n: {NAMES[k]: v for k, v in log.items()} for n, log in runs.items()}, outcome=index,
                         states=[4], restarts=3, covariance="diag")  # fmt: skip
    assert result.prepared.columns == ("l1", "l2", "spectral")
    assert result.prepared.lengths.tolist() == [60] * 10
    np.testing.assert_array_equal(result.convergence, direct.convergence)
    assert {e.reason for e in result.excluded} == {
        "diverged: spectral is nan at checkpoint 0 (not finite)",
        "failed",
    }
    assert "2 excluded" in result.sentence()
    assert (result.every, direct.every) == (2, None)
    assert plot_state_ribbons(result).get_xlabel() == "checkpoint (every 2 steps)"


@pytest.fixture
def diverging(tmp_path):
    """Four sound runs and three that diverged: after 3 checkpoints, after 20 with NaN, after 12 without."""
    made = rs.create_study(tmp_path / "diverging", splits={})
    for seed, (sound, logged) in enumerate([(40, 40)] * 4 + [(3, 3), (20, 25), (12, 12)]):
        rng = np.random.default_rng(seed)
        with made.record(seeds=seed) as run:
            for t in range(logged):
                l1 = t + rng.normal() if t < sound else np.nan
                run.log(5 * t, l1=l1, l2=5.0 * (t > 8) + rng.normal(), mean_b=np.nan, test_accuracy=float(t > 15))
            if sound < 40:
                run.diverged("the loss was not finite")
    return made


def test_diverged_runs_are_listed_with_their_first_bad_checkpoint(diverging):
    options = {"outcome": "test_accuracy", "threshold": 0.5, "states": [2], "restarts": 2, "covariance": "diag"}
    short, torn, cut = (run.id for run in diverging.runs if run.status == "diverged")
    found = rs.dynamics(diverging, **options)
    why = " (the loss was not finite)"
    assert {e.run: e.reason for e in found.excluded} == {
        short: f"diverged: its log ends before checkpoint 3{why}",
        torn: f"diverged: l1 is nan at checkpoint 20{why}",
        cut: f"diverged: its log ends before checkpoint 12{why}",
    }
    kept = rs.dynamics(diverging, diverged="truncate", **options)
    lengths = dict(zip(kept.prepared.run_ids, kept.prepared.lengths, strict=True))
    assert (lengths[torn], lengths[cut]) == (20, 12)
    assert kept.convergence[kept.prepared.run_ids.index(cut)] == -1
    assert [(e.run, e.reason) for e in kept.excluded] == [
        (short, f"diverged: its log ends before checkpoint 3{why}, fewer than 10 checkpoints before that")
    ]
    words = ["dynamics", str(diverging.path), "--diverged", "truncate", "--states", "2", "--covariance", "diag"]
    shown = CliRunner().invoke(cli, [*words, "--restarts", "2"], catch_exceptions=False)
    assert "6 runs (1 excluded)" in shown.output
    wrong = CliRunner().invoke(cli, [*words[:3], "cut"])
    assert (wrong.exit_code, "is not one of 'exclude', 'truncate'" in wrong.output) == (2, True)


def test_metrics_at_no_common_step_are_refused(study):
    with pytest.raises(MissingDataError, match="no common step"):
        rs.dynamics(study, metrics=["l1", "loss"], states=[2])
    with pytest.raises(InputError, match="Did you mean 'loss'"):
        rs.dynamics(study, metrics=["los"], states=[2])
    with pytest.raises(InputError, match="a list of outcomes for a study"):
        rs.dynamics(study, outcome=[1, 2, 3], states=[2])


def test_the_command(study, tmp_path):
    words = ["dynamics", str(study.path), "--outcome", "test_accuracy", "--threshold", "0.5", "--states", "3"]
    words += ["--covariance", "diag", "--plot", str(tmp_path / "map.svg"), "--restarts", "2", "--iterations", "9"]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert "10 runs" in result.output
    assert "Transitions" in result.output
    assert (tmp_path / "map.svg").read_text().startswith("<?xml")
    machine = CliRunner().invoke(cli, [*words[:9], "diag", "--json"], catch_exceptions=False)
    assert len(json.loads(machine.output)["map"]["paths"]) == 10
    few = CliRunner().invoke(cli, [*words, "--json"], catch_exceptions=False)
    assert len(json.loads(few.output)["model"]["restarts"]) == 2


def test_the_command_says_what_is_missing(study):
    result = CliRunner().invoke(cli, ["dynamics", str(study.path), "--outcome", "test_accuracy"])
    assert result.exit_code == 2
    assert "without a threshold" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--plot", "map.xyz"], "--plot map.xyz has an unknown ending. Expected a name that ends in ."),
        (["--plot", "nowhere/map.svg"], "the folder of --plot, nowhere, does not exist"),
        (["--threshold", "0.5"], "threshold=0.5 without an outcome. Expected outcome= (--outcome)"),
        (["--below"], "--below was given without --outcome"),
    ],
)
def test_the_command_refuses_before_it_fits(study, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("runspread.methods.dynamics.analysis.select_hmm", None)
    result = CliRunner().invoke(cli, ["dynamics", str(study.path), *words])
    assert result.exit_code == 2
    assert message in result.output


def test_the_report_has_a_section(study):
    made = section(study)
    assert made.title == "Training dynamics"
    assert len(made.figures) == 2
    assert "test_accuracy is above 0.95" in made.lead
    assert "For the same answer run: runspread dynamics study --outcome test_accuracy --threshold 0.95" in made.notes
    assert "<svg" in made.figures[0].svg


def test_the_report_draws_the_metrics_of_the_weights_last(study):
    made = curves(study)
    assert [figure.shows.split()[0] for figure in made.figures] == ["loss", "test_accuracy", "l1", "l2"]
    assert made.notes == ("The study holds 1 more metric: spectral.",)


def test_a_study_without_weight_metrics_has_none(tmp_path):
    plain = rs.create_study(tmp_path / "plain", splits={})
    for seed in range(4):
        with plain.record(seeds=seed) as run:
            run.log(1, loss=0.5)
    assert section(plain) is None


def test_an_outcome_that_is_the_only_metric_is_named_and_the_hint_works(tmp_path):
    study = rs.create_study(tmp_path / "study")
    rng = np.random.default_rng(0)
    for seed in range(4):
        with study.record(seeds={"init": seed}) as run:
            for step in range(30):
                run.log(step, loss=float(np.exp(-step / 10) + 0.01 * rng.normal()))
    study = rs.open_study(tmp_path / "study")
    with pytest.raises(MissingDataError, match="loss, the outcome, is the only metric that was logged") as raised:
        rs.dynamics(study, outcome="loss", threshold=0.5, direction="below")
    assert "metrics=['loss'] (--metric loss)" in str(raised.value)
    found = rs.dynamics(
        study, outcome="loss", threshold=0.5, direction="below", metrics=["loss"], states=[1, 2], restarts=2
    )
    assert found.prepared.columns == ("loss",)
    words = ["dynamics", str(study.path), "--outcome", "loss", "--threshold", "0.5", "--below"]
    shown = CliRunner().invoke(cli, words)
    assert (shown.exit_code, "is the only metric" in shown.output) == (2, True)
    shown = CliRunner().invoke(cli, [*words, "--metric", "loss", "--states", "2", "--restarts", "2"])
    assert shown.exit_code == 0, shown.output


@pytest.mark.parametrize("with_steps", [False, True])
def test_tables_of_nothing_but_the_outcome_get_the_same_error(with_steps):
    run = {"loss": np.linspace(1, 0, 30), **({"step": np.arange(30)} if with_steps else {})}
    with pytest.raises(MissingDataError, match="loss, the outcome, is the only metric"):
        rs.dynamics([run] * 3, outcome="loss", threshold=0.5, direction="below")
    with pytest.raises(MissingDataError, match="loss, the outcome, is the only metric"):
        rs.dynamics([np.ones((30, 1))] * 3, columns=["loss"], outcome="loss", threshold=0.5, direction="below")
