"""What an audit found to be wrong in how metric logs are read for training dynamics, and what is right."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread._words import count, listed
from runspread.errors import InputError, MissingDataError
from runspread.methods.dynamics import prepare_sequences
from runspread.methods.dynamics.shared import shared_metrics
from runspread.methods.hmm import fit_hmm
from runspread.methods.hmm.parameters import Frames
from runspread.plots import plot_convergence_by_route
from tests.conftest import SHARED
from tests.methods.dynamics.test_audit import CURVES, curves

# ------------------------------------------------------------------------------------------------- (e) cadence


def recorded(folder, every):
    """Record the curves, run i at every ``every(i)``-th step."""
    study = rs.create_study(folder)
    for i, log in enumerate(curves()):
        with study.record(seeds=i) as run:
            for t in range(40):
                run.log(t * every(i), **{name: float(values[t]) for name, values in log.items()})
    return study


def test_a13e_runs_logged_at_different_cadences_are_compared_in_steps(tmp_path):
    options = CURVES | {"metrics": ["loss"]}
    same = rs.dynamics(recorded(tmp_path / "same", lambda i: 1), **options)
    mixed = rs.dynamics(recorded(tmp_path / "mixed", lambda i: 1 + i % 2), **options)
    assert (same.prepared.unit, mixed.prepared.unit) == ("checkpoint", "step")
    np.testing.assert_array_equal(mixed.convergence, same.convergence * (1 + np.arange(24) % 2))
    assert mixed.prepared.every == 2
    np.testing.assert_array_equal(mixed.prepared.lengths, [20 + 20 * (i % 2) for i in range(24)])
    np.testing.assert_array_equal(mixed.prepared.ends, [40 + 40 * (i % 2) for i in range(24)])
    assert any("logged every 1 to 2 steps" in note for note in mixed.warnings)
    assert "convergence in steps" in mixed.table().title
    assert mixed.map.table().title == "Transitions (convergence in steps)"
    index = mixed.convergence_checkpoint
    assert (index == np.ceil(mixed.convergence / 2)).all()
    assert mixed.plot() is not None
    assert plot_convergence_by_route(mixed).get_xlabel().startswith("step of convergence")


def test_a13e_cadences_without_a_common_grid_count_for_as_long_as_they_last():
    logs = [{"loss": log["loss"]} for log in curves(12)]
    steps = [np.arange(40) * gap for gap in [3, 5] * 6]
    when = [int(log["accuracy"].argmax()) for log in curves(12)]
    found = rs.dynamics(logs, steps=steps, outcome=when, states=[3], restarts=4)
    assert found.prepared.unit == "step"
    assert found.convergence.tolist() == [index * gap for index, gap in zip(when, [3, 5] * 6, strict=True)]
    assert found.prepared.lengths.tolist() == [40] * 12
    assert any("share" in note or "no common steps" in note for note in found.warnings)
    log_spaced = np.unique(np.geomspace(1, 400, 40).astype(int))
    logs = [{"loss": log["loss"][: len(log_spaced) - (i == 0)]} for i, log in enumerate(curves(6))]
    steps = [log_spaced[(i == 0) :] for i in range(6)]  # the first run lacks the first checkpoint
    uneven = rs.dynamics(logs, steps=steps, states=[2], restarts=4)
    path, time = uneven.map.paths[1], np.diff(log_spaced, append=2 * log_spaced[-1] - log_spaced[-2]).astype(float)
    time[-1] = np.median(np.diff(log_spaced))
    expected = [time[path == k].sum() / time.sum() for k in range(2)]
    np.testing.assert_allclose(uneven.map.occupancy[1], expected)


def test_a13e_the_same_steps_stay_checkpoints_even_if_the_last_differs():
    logs = [{"loss": log["loss"]} for log in curves(4)]
    steps = [np.append(np.arange(39) * 10, 385 + i) for i in range(4)]
    prepared = prepare_sequences(logs, steps=steps)
    assert (prepared.unit, prepared.every) == ("checkpoint", 10)
    assert prepared.warnings == ()


# ------------------------------------------------------------------------------------------------- (f) default metrics


def test_a13f_metrics_that_were_logged_once_are_left_out_by_default(tmp_path):
    study = rs.create_study(tmp_path / "s")
    rng = np.random.default_rng(0)
    for seed in range(5):
        with study.record(seeds=seed) as run:
            for step in range(60):
                more = {"val_loss": 1 / (step + 1) + 0.01 * rng.normal()} if step % 5 == 0 else {}
                run.log(step, loss=1 / (step + 1) + 0.01 * rng.normal(), gap=rng.normal(), **more)
            run.log(60, final_accuracy=rng.normal())
    found = rs.dynamics(study, states=[1, 2], restarts=2)
    assert set(found.prepared.columns) == {"loss", "gap", "val_loss"}
    assert found.prepared.lengths.tolist() == [12] * 5
    assert found.prepared.dropped == {"final_accuracy": "logged fewer than 10 times in most runs"}
    with pytest.raises(MissingDataError, match="no common step"):
        rs.dynamics(study, metrics=["loss", "final_accuracy"])


def test_a13f_one_common_checkpoint_has_its_own_reason(tmp_path):
    study = rs.create_study(tmp_path / "s")
    for seed in range(3):
        with study.record(seeds=seed) as run:
            for step in range(12):
                run.log(step, loss=float(seed + step))
            run.log(11, final_accuracy=0.5 + seed)
    with pytest.raises(
        InputError, match=r"one checkpoint per run of loss and final_accuracy.*Drop from.*log more often"
    ):
        rs.dynamics(study, metrics=["loss", "final_accuracy"])
    assert rs.dynamics(study, metrics=["loss"], states=[1], restarts=1).prepared.columns == ("loss",)


def test_a13f_the_largest_set_of_metrics_at_common_steps_is_kept():
    even, odd, rare = np.arange(0, 60, 2), np.arange(1, 60, 2), np.arange(0, 60, 20)
    runs = [{"a": even, "b": even, "c": odd, "d": rare}] * 3
    kept, dropped = shared_metrics(runs)
    assert kept == ("a", "b")
    assert dropped == {"d": "logged fewer than 10 times in most runs", "c": "not logged at the steps of a and b"}
    assert shared_metrics([{"a": rare, "b": rare}]) == (("a", "b"), {})


def test_a13f_an_outcome_may_be_logged_at_steps_of_its_own(tmp_path):
    study = rs.create_study(tmp_path / "s")
    rng = np.random.default_rng(0)
    for seed in range(4):
        with study.record(seeds=seed) as run:
            for step in range(50):
                run.log(2 * step, loss=rng.normal())
                run.log(2 * step + 1, accuracy=float(step >= 10 + seed))
    found = rs.dynamics(study, outcome="accuracy", threshold=0.5, states=[1], restarts=1)
    assert found.convergence.tolist() == [11, 12, 13, 14]  # steps 21, 23, ...: the next checkpoint


# ------------------------------------------------------------------------------------------------- (i) no metrics


def test_a13i_what_is_the_same_in_all_runs_is_no_metric():
    rate = 0.1 * 0.5 * (1 + np.cos(np.pi * np.arange(40) / 40))
    runs = [log | {"epoch": np.arange(40) // 4, "lr": rate, "tokens": 512.0 * np.arange(40)} for log in curves(6)]
    prepared = prepare_sequences(runs, metrics=["loss", "epoch", "lr", "tokens"])
    assert prepared.columns == ("loss",)
    assert prepared.dropped == dict.fromkeys(("epoch", "lr", "tokens"), "the same in every run")
    shorter = [{name: values[: 40 - i] for name, values in run.items()} for i, run in enumerate(runs)]
    assert prepare_sequences(shorter, metrics=["loss", "epoch", "lr"]).columns == ("loss",)
    kept = prepare_sequences(runs, metrics=["loss", "epoch"], redundant="keep")
    assert kept.columns == ("loss", "epoch")


def test_a13i_schedules_of_other_scales_and_counters_of_other_pace_are_no_metrics_either():
    rate = np.cos(np.arange(40) / 20)
    runs = [log | {"lr": 0.1 * (1 + i) * rate, "tokens": (1.0 + i) * np.arange(40)} for i, log in enumerate(curves(6))]
    dropped = prepare_sequences(runs, metrics=["loss", "lr", "tokens"]).dropped
    assert dropped == dict.fromkeys(("lr", "tokens"), "the same in every run, up to its scale")
    assert prepare_sequences(runs, metrics=["loss", "lr", "tokens"], standardize="pooled").dropped == {
        "tokens": "counts up evenly in every run"
    }


def test_a13i_runs_that_are_all_alike_are_said_to_be_copies():
    prepared = prepare_sequences([curves(1)[0]] * 3)
    assert any("they are copies of one run" in note for note in prepared.warnings)
    assert prepared.columns == ("loss", "accuracy")


# ------------------------------------------------------------------------------------------------- (j) one state


def test_a13j_one_state_is_no_distinct_phases(tmp_path):
    rng = np.random.default_rng(0)
    study = rs.create_study(tmp_path / "s")
    for seed in range(8):
        with study.record(seeds=seed) as run:
            for step in range(30):
                run.log(step, loss=rng.normal(), accuracy=float(step > 10 + seed))
    words = ["dynamics", str(study.path), "--metric", "loss", "--outcome", "accuracy", "--threshold", "0.5"]
    shown = CliRunner().invoke(cli, [*words, "--states", "3", "--restarts", "4"], catch_exceptions=False)
    assert "One state fits best: no distinct phases found in 8 runs" in shown.output
    for wrong in ("1 states", "take 0 through", "run(s)", "nan points", "all 8 runs take 0"):
        assert wrong not in shown.output
    found = rs.dynamics(study, metrics=["loss"], states=[1, 2], restarts=2)
    assert found.map.sentence() == "The map has one state: it shows no distinct phases in 8 runs."


# ------------------------------------------------------------------------------------------------- (k) empty cells


def lightning(rng, epochs=14, per_epoch=3):
    """Return a log as Lightning's CSVLogger writes it: a row for each place that logs, the cells of others empty."""
    rows, step = [], 0
    for epoch in range(epochs):
        for _ in range(per_epoch):
            step += 10
            rows.append({"lr": 0.1, "step": step})
            rows.append({"epoch": epoch, "step": step, "train_loss": 1 / step + 0.01 * rng.normal()})
        rows.append({"epoch": epoch, "step": step, "val_loss": 1 / step + 0.01 * rng.normal(), "acc": epoch / epochs})
    text = pd.DataFrame(rows, columns=["acc", "epoch", "lr", "step", "train_loss", "val_loss"]).to_csv(index=False)
    return pd.read_csv(io.StringIO(text))


def test_a13k_empty_cells_are_not_diverged():
    frames = {f"version_{i}": lightning(np.random.default_rng(i)) for i in range(5)}
    found = rs.dynamics(frames, outcome="acc", threshold=0.5, states=[1, 2], restarts=2)
    assert found.excluded == ()
    assert found.prepared.columns == ("train_loss", "val_loss")
    assert found.prepared.lengths.tolist() == [14] * 5
    assert found.every == 30
    assert found.convergence.tolist() == [8] * 5  # the first epoch after half of them: 8 / 14
    only = rs.dynamics(frames, metrics=["train_loss"], states=[1], restarts=1)
    assert only.prepared.lengths.tolist() == [42] * 5


def test_a13k_a_run_that_loses_its_loss_has_diverged_all_the_same():
    frames = {f"version_{i}": lightning(np.random.default_rng(i)) for i in range(5)}
    frames["version_3"].loc[40:, "train_loss"] = np.nan
    frames["version_4"].loc[20, "train_loss"] = np.inf
    found = rs.dynamics(frames, metrics=["train_loss", "val_loss"], states=[1], restarts=1)
    assert {e.run: e.reason.split(" is ")[0] for e in found.excluded} == {
        "version_3": "diverged: train_loss",
        "version_4": "diverged: train_loss",
    }


def test_a13k_metrics_in_rows_that_never_meet_leave_the_larger_set():
    rng = np.random.default_rng(0)
    table = {"a": rng.normal(size=(5, 40)), "b": rng.normal(size=(5, 40)), "c": rng.normal(size=(5, 40))}
    for name in ("a", "b"):
        table[name][:, ::2] = np.nan
    table["c"][:, 1::2] = np.nan
    runs = [{name: values[run] for name, values in table.items()} for run in range(5)]
    prepared = prepare_sequences(runs)
    assert prepared.columns == ("a", "b")
    assert prepared.dropped == {"c": "not logged at the steps of a and b"}
    assert prepared.excluded == ()


def test_a13k_real_logs_of_lightning():
    folder = SHARED / "foreign" / "lightning-csv-neurons"
    if not folder.is_dir():
        pytest.skip("the logs beside the developers' checkouts (../shared/foreign) are not here")
    frames = {path.parent.name: pd.read_csv(path) for path in sorted(folder.glob("*/metrics.csv"))}
    prepared = prepare_sequences(frames)
    assert prepared.excluded == ()
    assert len(prepared.run_ids) == len(frames)
    assert "train_loss" in prepared.columns
    assert "epoch" not in prepared.columns


def test_words_that_are_no_numbers_are_no_metrics():
    runs = [log | {"stage": np.array(["warm", "cold"] * 20)} for log in curves(3)]
    prepared = prepare_sequences(runs)
    assert prepared.columns == ("loss", "accuracy")
    assert prepared.dropped == {"stage": "holds no numbers"}


@pytest.mark.parametrize("take", [lambda runs: fit_hmm(runs, 2), lambda runs: rs.dynamics(runs, states=[2])])
def test_c22_one_metric_a_run_gets_a_hint_that_helps(take):
    runs = [np.random.default_rng(i).normal(size=30) for i in range(4)]
    with pytest.raises(InputError, match=r"\[checkpoints, metrics\]\. One metric per run has one column") as error:
        take(runs)
    hint = error.value.hint.partition(": ")[2].rstrip(".")
    assert take(eval(hint, {"runs": runs})).sentence()


def test_numbers_in_words():
    assert (count(1, "run"), count(8, "run"), count(2, "entry", "entries")) == ("1 run", "8 runs", "2 entries")
    assert (listed(["a"]), listed(["a", "b"]), listed([1, 2, 3])) == ("a", "a and b", "1, 2 and 3")
    assert listed(list("abcdefgh"), most=3) == "a, b and 6 others"
    assert listed([]) == ""


def test_frames_know_their_spread():
    frames = Frames(np.array([[1.0, 0.0], [1.0, 2.0]]), np.array([0, 2]), ("a",))
    assert frames.spread.tolist() == [1.0, 1.0]
