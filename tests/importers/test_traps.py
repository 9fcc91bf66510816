"""The traps that logs of real projects set: what must come out of each, by its number in the specification."""

from __future__ import annotations

import csv
import json
import math
import os
import pickle
import struct
import time
import zipfile

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.importers import outputs
from runspread.importers.hyperparameters import without_names
from runspread.importers.saving import save_runs

from . import writers as w


@pytest.fixture
def out(tmp_path_factory):
    """A folder for studies that is not inside what is imported."""
    return tmp_path_factory.mktemp("out")


def only(runs):
    assert len(runs) == 1, runs.ids
    return runs[0]


def says(run, *words):
    text = " | ".join(run.notes)
    assert all(word in text for word in words), text


# ------------------------------------------------------------------ 1, 2: checkpoints, pointers


def test_01_five_checkpoints_are_one_run(tmp_path):
    for steps in (10, 20, 30, 40):
        w.trainer_state(tmp_path / "out" / f"checkpoint-{steps}", steps)
    run = only(rs.import_runs(tmp_path))
    assert run.id == "out"
    assert run.curves["loss"].steps.tolist() == list(range(5, 41, 5))
    assert run.status == "finished"
    assert "eval_runtime" not in run.taken()
    w.trainer_state(tmp_path / "out", 40)  # a state at the root, and the checkpoints before
    assert only(rs.import_runs(tmp_path)).evidence == "a state at the root, global_step 40 of max_steps 40"


def test_01_a_fork_is_named(tmp_path):
    w.trainer_state(tmp_path / "checkpoint-40", 40)
    state = json.loads((tmp_path / "checkpoint-40" / "trainer_state.json").read_text())
    state["log_history"][0]["loss"] = 9.0
    state |= {"global_step": 10, "log_history": state["log_history"][:2]}
    (tmp_path / "checkpoint-10").mkdir()
    (tmp_path / "checkpoint-10" / "trainer_state.json").write_text(json.dumps(state))
    says(only(rs.import_runs(tmp_path)), "the history in checkpoint-10 is no beginning of the last one")


def test_01_checkpoints_below_the_last_step_were_killed_or_run(tmp_path):
    w.trainer_state(tmp_path / "out" / "checkpoint-20", 20)
    assert only(rs.import_runs(tmp_path)).status == "running"
    for path in tmp_path.rglob("*"):
        os.utime(path, (1.6e9, 1.6e9))
    run = only(rs.import_runs(tmp_path))
    assert (run.status, run.curves["loss"].steps[-1]) == ("killed", 20)


def test_02_pointers_of_lfs_are_named(tmp_path):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n"
    for number in range(3):
        (tmp_path / f"out{number}").mkdir()
        (tmp_path / f"out{number}" / "trainer_state.json").write_text(pointer)
    with pytest.raises(InputError, match=r"3 trainer_state.json are Git LFS pointers: run `git lfs pull`"):
        rs.import_runs(tmp_path)
    w.lightning_version(tmp_path / "logs", w.epochs([1, 0.5]))
    runs = rs.import_runs(tmp_path)
    assert runs.ids == ("logs/version_0",)
    assert len(runs.problems) == 3
    assert "git lfs pull" in str(runs.problems[0])


# ------------------------------------------------------------------ 3: restarts


def test_03_event_files_of_one_version(tmp_path, out):
    w.event_file(tmp_path / "a", w.curve_events("loss", dict.fromkeys(range(40), 1.0)), seconds=1)
    later = w.curve_events("loss", dict.fromkeys(range(30, 60), 2.0), start=1.8e9)
    w.event_file(tmp_path / "a", later, seconds=2)
    run = only(rs.import_runs(tmp_path))
    assert len(run.raw["loss"].steps) == 70
    assert run.curves["loss"].steps.tolist() == list(range(60))
    assert run.curves["loss"].values[29:31].tolist() == [1, 2]
    says(run, "10 of 70 points of loss were written again after a restart at step 30")
    first = only(rs.import_runs(tmp_path, restarts="first")).curves["loss"]
    assert (len(first.steps), first.values[39], first.values[40]) == (60, 1, 2)
    split = rs.import_runs(tmp_path, restarts="split")
    assert split.ids == ("a", "a#2")
    assert split["a"].curves["loss"].steps[-1] == 39
    assert split["a#2"].curves["loss"].steps[0] == 30
    with pytest.raises(InputError, match="restart at step 30"):
        rs.import_runs(tmp_path, restarts="refuse").save(out / "out")


def test_03_a_restart_voids_other_metrics_from_its_first_step_on(tmp_path):
    """A validation that ran after the checkpoint and before the crash belongs to no weights that were kept."""
    before = [event for k in range(40) for event in w.curve_events("loss", {k: 1.0}, start=k)]
    before += w.curve_events("val", {35: 0.5}, start=40.0)
    w.event_file(tmp_path / "a", before, seconds=1)
    after = w.curve_events("loss", dict.fromkeys(range(30, 50), 2.0), start=100.0)
    w.event_file(tmp_path / "a", [*after, *w.curve_events("val", {45: 0.7}, start=130.0)], seconds=2)
    assert only(rs.import_runs(tmp_path)).curves["val"].steps.tolist() == [45]


def test_03_an_axis_of_epochs_beside_one_of_steps_is_no_restart(tmp_path):
    events = []
    for epoch in range(5):
        for k in range(10):
            events += w.curve_events("batch/loss", {10 * epoch + k: 1.0}, start=100 * epoch + k)
        events += w.curve_events("epoch/acc", {epoch: 0.5}, start=100 * epoch + 50)
    w.event_file(tmp_path, events)
    run = only(rs.import_runs(tmp_path))
    assert len(run.curves["batch/loss"].steps) == 50
    assert len(run.curves["epoch/acc"].steps) == 5
    assert not [note for note in run.notes if "again" in note]


def test_03_an_evaluation_at_the_end_voids_nothing(tmp_path):
    both = [*w.curve_events("loss", dict.fromkeys(range(41), 1.0)), *w.curve_events("eval", {40: 0.5})]
    w.event_file(tmp_path / "a", both, seconds=1)
    w.event_file(tmp_path / "a", w.curve_events("eval", {40: 0.5}, start=1.8e9), seconds=2)
    run = only(rs.import_runs(tmp_path))
    assert run.curves["loss"].steps[-1] == 40
    assert run.curves["eval"].steps.tolist() == [40]


def test_03_a_session_start_is_a_restart(tmp_path):
    events = w.curve_events("loss", dict.fromkeys(range(10), 1.0))
    events += [w.event(start=w.START, step=5), *w.curve_events("loss", dict.fromkeys(range(5, 12), 2.0), start=1.8e9)]
    w.event_file(tmp_path / "a", events)
    run = only(rs.import_runs(tmp_path))
    assert run.curves["loss"].values.tolist() == [1.0] * 5 + [2.0] * 7
    says(run, "5 of 17 points of loss were written again after a restart at step 5")


def test_03_one_late_row_is_no_restart(tmp_path):
    w.event_file(tmp_path, w.curve_events("loss", [(1, 1.0), (2, 1.0), (3, 1.0), (2, 5.0), (4, 1.0), (5, 1.0)]))
    run = only(rs.import_runs(tmp_path))
    assert run.curves["loss"].steps.tolist() == [1, 2, 3, 4, 5]
    assert run.curves["loss"].values[1] == 5
    says(run, "1 point of loss has another value at the same step: the last counts")


def test_03_a_resumed_wandb_run_is_one_in_order_of_time(tmp_path):
    first = [w.run_record("abc", {"lr": 0.1}), *(w.history(k, loss=1.0) for k in range(12)), w.exit_record(1)]
    second = [w.run_record("abc", {"lr": 0.1}), *(w.history(k, loss=2.0) for k in range(9, 20)), w.exit_record(0)]
    w.wandb_file(tmp_path / "wandb" / "run-20240102_000000-abc", "abc", second)
    w.wandb_file(tmp_path / "wandb" / "run-20240101_000000-abc", "abc", first)
    run = only(rs.import_runs(tmp_path))
    assert (run.id, run.status) == ("abc", "finished")
    assert run.curves["loss"].values.tolist() == [1.0] * 9 + [2.0] * 11
    says(run, "3 of 23 points of loss were written again after a restart at step 9")


def test_03_mlflow_appends_in_both_stores(tmp_path):
    lines = [f"{1.0} {k}" for k in range(12)] + [f"{2.0} {k}" for k in range(9, 20)]
    w.mlflow_run(tmp_path / "mlruns" / "1", "a" * 32, metrics={"train/loss": lines})
    rows = [(k, 1.0, 0) for k in range(12)] + [(k, 2.0, 0) for k in range(9, 20)]
    w.mlflow_database(tmp_path / "db" / "mlflow.db", {"b" * 32: {"metrics": {"train/loss": rows}}})
    for run in rs.import_runs(tmp_path):
        assert run.curves["train/loss"].values.tolist() == [1.0] * 9 + [2.0] * 11
        says(run, "3 of 23 points of train/loss were written again")


def test_03_keras_appends_from_the_first_epoch_again(tmp_path):
    log = "epoch,loss,val_loss\n" + "".join(f"{k},{1 - k / 10},{k}\n" for k in (0, 1, 2)) * 2 + "6,0.5,NA\n7,0.4,NA\n"
    (tmp_path / "training.log").write_text(log)
    runs = rs.import_runs(tmp_path)
    assert runs.ids == ("training.log", "training.log#2")
    assert runs["training.log#2"].curves["loss"].steps.tolist() == [0, 1, 2, 6, 7]
    assert runs["training.log#2"].curves["val_loss"].steps.tolist() == [0, 1, 2]
    says(runs[0], "--restarts split", "--restarts last")
    assert only(rs.import_runs(tmp_path, restarts="last")).curves["loss"].steps.tolist() == [0, 1, 2, 6, 7]
    (tmp_path / "training.log").write_text("epoch,loss\n0,1\n1,1\n2,1\n1,2\n2,2\n3,2\n")  # a resumption that overlaps
    assert only(rs.import_runs(tmp_path)).curves["loss"].values.tolist() == [1, 2, 2, 2]


def test_03_dvclive_appends(tmp_path):
    points = [(k, 1.0) for k in range(6)] + [(k, 2.0) for k in range(4, 8)]
    w.dvclive_run(tmp_path, "dvclive", curves={"train/loss": points}, summary={"step": 7, "test_acc": 0.8})
    run = only(rs.import_runs(tmp_path))
    assert run.curves["train/loss"].values.tolist() == [1.0] * 4 + [2.0] * 4
    assert run.summary["test_acc"] == 0.8
    assert set(run.seeds.values()) == {1}


# ------------------------------------------------------------------ 4 to 8: event files, steps, numbers, empty runs


def test_04_all_points_are_there(tmp_path):
    w.event_file(tmp_path, w.curve_events("l", {k: float(k) for k in range(12_000)}))
    curve = only(rs.import_runs(tmp_path)).curves["l"]
    assert len(curve.values) == 12_000
    np.testing.assert_array_equal(curve.values, np.arange(12_000))
    np.testing.assert_array_equal(curve.times, 1.7e9 + np.arange(12_000))


@pytest.mark.parametrize("double", [False, True])
def test_04_scalars_of_the_second_version(tmp_path, double):
    values = [0.0, 0.5, -1.25, math.nan, math.inf, 3e-5, 1.0]

    def write(tag, value):
        return w.tensor_scalar(tag, value, double=double)

    w.event_file(tmp_path, w.curve_events("a", dict(enumerate(values)), write=write))
    found = only(rs.import_runs(tmp_path)).curves["a"].values
    np.testing.assert_array_equal(found, np.array(values, "f8" if double else "f4").astype("f8"))


def test_05_a_cut_record_ends_the_file_and_is_said(tmp_path):
    path = w.event_file(tmp_path, w.curve_events("loss", dict.fromkeys(range(50), 1.0)))
    path.write_bytes(path.read_bytes()[:-7])
    run = only(rs.import_runs(tmp_path))
    assert run.curves["loss"].steps[-1] == 48
    says(run, "it ends inside a record")
    data = bytearray(path.read_bytes())
    data[2] ^= 1  # the length of the first record
    path.write_bytes(data)
    runs = rs.import_runs(tmp_path)
    assert runs[0].status == "empty"
    says(runs[0], "a checksum of a length is wrong")


def test_05_checksums_of_data_are_checked_where_that_is_asked_for(tmp_path):
    path = w.event_file(tmp_path, w.curve_events("loss", dict.fromkeys(range(10), 1.0)))
    data = bytearray(path.read_bytes())
    data[-6] ^= 0x10  # inside the last value
    path.write_bytes(data)
    assert len(only(rs.import_runs(tmp_path)).curves["loss"].values) == 10
    run = only(rs.import_runs(tmp_path, verify=True))
    assert len(run.curves["loss"].values) == 9
    says(run, "a checksum of data is wrong")


def test_05_a_wandb_file_of_seven_bytes_is_named(tmp_path):
    w.wandb_file(tmp_path / "run-20240101_000000-x1", "x1", [])
    w.wandb_file(tmp_path / "run-20240101_000001-x2", "x2", [w.history(0, loss=1.0), w.exit_record(0)])
    runs = rs.import_runs(tmp_path)
    assert (runs["x1"].status, runs["x2"].status) == ("empty", "finished")
    says(runs["x1"], "7 bytes: nothing was flushed")
    assert "1 empty" in runs.sentence()


def test_05_a_wandb_file_is_cut_at_a_block(tmp_path):
    records = [w.run_record("k", {"lr": 0.1}), *(w.history(k, loss=1.0, text="x" * 200) for k in range(400))]
    w.wandb_file(tmp_path / "run-20240101_000000-k", "k", records, cut=65536)
    for path in tmp_path.rglob("*"):
        os.utime(path, (1.6e9, 1.6e9))
    run = only(rs.import_runs(tmp_path))
    assert run.status == "killed"
    steps = run.curves["loss"].steps
    assert 200 < len(steps) < 400
    assert steps.tolist() == list(range(len(steps)))


def test_05_numbers_that_describe_media_are_no_results(tmp_path):
    table = {"_type": "table-file", "ncols": 5, "nrows": 10, "path": "media/x.json"}
    nested = b"".join(w.item("", value, nested=("preds", key)) for key, value in table.items())
    records = [w.history(0, loss=1.0, pictures=table), w.field(2, nested + w.item("loss", 0.5)), w.exit_record(0)]
    w.wandb_file(tmp_path / "run-20240101_000000-m", "m", records)
    run = only(rs.import_runs(tmp_path))
    assert run.taken() == ["loss"]
    assert run.raw["preds.nrows"].values.tolist() == [10]
    assert run.raw["pictures.ncols"].values.tolist() == [5]


def test_06_without_steps_the_order_is_the_step(tmp_path):
    w.event_file(tmp_path / "tb", w.curve_events("loss", [(0, float(k)) for k in range(10)]))
    lines = [f"{k}" for k in range(5)]
    w.mlflow_run(tmp_path / "1", "c" * 32, metrics={"loss": lines, "once": ["0.5 0"]})
    runs = rs.import_runs(tmp_path)
    for run, points in ((runs["tb"], 10), (runs["c" * 32], 5)):
        np.testing.assert_array_equal(run.curves["loss"].steps, np.arange(points))
        np.testing.assert_array_equal(run.curves["loss"].values, np.arange(points))
        says(run, "loss was logged without steps: the order of writing is the step")
    assert runs["c" * 32].summary["once"] == 0.5


def test_07_numbers_that_are_none(tmp_path):
    csv = "epoch,step,loss,acc\n0,7,NaN,1e-3\n1,15,Infinity,True\n2,23,-inf,[0.5]\n3,31,,0.25\n4,39,NA,0.125\n"
    w.lightning_version(tmp_path, csv)
    run = only(rs.import_runs(tmp_path))
    np.testing.assert_array_equal(run.curves["loss"].values, [np.nan, np.inf, -np.inf])
    assert run.curves["acc"].values.tolist() == [1e-3, 1.0, 0.5, 0.25, 0.125]
    assert run.status == "diverged"


def test_07_infinity_in_a_database(tmp_path):
    rows = [(0, 0.0, 1), (1, 1.7976931348623157e308, 0), (2, -1.7976931348623157e308, 0)]
    w.mlflow_database(tmp_path / "mlflow.db", {"d" * 32: {"metrics": {"bad": rows}}})
    np.testing.assert_array_equal(only(rs.import_runs(tmp_path)).curves["bad"].values, [np.nan, np.inf, -np.inf])


def test_07_a_run_whose_loss_ends_at_nan_diverged_whatever_its_tracker_says(tmp_path, out):
    w.sacred_run(tmp_path, 1, metrics={"train.loss": [1.0, math.nan], "reward": [1.0, 2.0]})
    w.sacred_run(tmp_path, 2, metrics={"train.loss": [1.0, 0.5], "reward": [1.0, math.nan]})
    runs = rs.import_runs(tmp_path)
    assert [run.status for run in runs] == ["diverged", "finished"]
    study = runs.save(out / "study")
    assert {run.id: run.status for run in study.runs} == {"1": "diverged", "2": "completed"}


def test_08_versions_without_data_are_no_runs(tmp_path, out):
    for number in range(3):
        w.lightning_version(tmp_path, "", "{}\n", number=number)
    w.lightning_version(tmp_path, w.epochs([1, 2]), "{}\n", number=3)
    w.lightning_version(tmp_path, "", "{}\n", number=4)
    w.event_file(tmp_path / "version_4", [])
    runs = rs.import_runs(tmp_path)
    assert [run.status for run in runs] == ["empty"] * 3 + ["unknown", "empty"]
    assert "5 runs" in runs.sentence()
    assert "4 empty" in runs.sentence()
    assert runs.save(out / "out").runs.ids == ("version_3",)


# ------------------------------------------------------------------ 9, 10: statuses


def test_09_a_run_that_says_running_for_ever_was_killed(tmp_path, out):
    w.sacred_run(tmp_path, 1, status="RUNNING", metrics={"loss": [1.0, 0.5]})
    w.mlflow_run(tmp_path / "1x", "e" * 32, metrics={"loss": ["1.0 0"]}, status=1)
    runs = rs.import_runs(tmp_path)
    assert {run.status for run in runs} == {"killed"}
    study = runs.save(out / "out")
    assert {(run.status, run.source_status) for run in study.runs} == {("failed", "killed")}
    assert "heartbeat" in study.runs["1"].error


def test_10_failed_with_a_result_is_failed_and_keeps_it(tmp_path, out):
    trace = ["Traceback\n", "ValueError: in /home/someone/code.py by someone@example.org\n"]
    w.sacred_run(tmp_path, 1, status="FAILED", result={"status": "ok", "acc": 0.5}, fail_trace=trace)
    run = only(rs.import_runs(tmp_path))
    assert run.status == "crashed"
    assert run.summary == {"result.acc": 0.5}
    study = rs.import_runs(tmp_path).save(out / "out")
    assert study.runs[0].status == "failed"
    assert "ValueError: in ~/code.py by <e-mail>" in study.runs[0].error


# ------------------------------------------------------------------ 11: objects


def test_11_tags_of_python_are_never_followed(tmp_path):
    hparams = (
        "seed: 3\nargs: !!python/object:argparse.Namespace\n  data_seed: 5\n  lr: 0.1\n"
        "od: !!python/object/apply:collections.OrderedDict\n- - - a\n    - 1\n"
        "size: !!python/tuple\n- 32\n- 32\nbad: !!python/object/apply:os.system\n- touch /tmp/owned\n- x\n"
        "blob: !!binary |\n  gASV\nname: !!python/name:os.system\n"
        "kind: !!python/object/apply:my.Enum\n- sgd\nnan: .nan\n"
    )
    w.lightning_version(tmp_path, w.epochs([1, 2]), hparams)
    run = only(rs.import_runs(tmp_path))
    assert run.seeds == {"init": 3, "order": 5, "augment": 3}
    assert run.hyperparameters == {
        "args.lr": 0.1, "od.a": 1, "size": [32, 32], "bad": "<system, not read>", "blob": "<binary, not read>",
        "name": "<system, not read>", "kind": "sgd", "nan": "nan",
    }  # fmt: skip
    says(run, "holds Python objects, which are not read")


def test_11_pickles_in_json_stay_text(tmp_path):
    config = {
        "model": {"py/object": "my.Model", "py/state": {"x": 1}}, "blob": {"py/b64": "gASV"},
        "rates": {"py/object": "numpy.ndarray", "values": [0.1, 0.2]}, "n": {"py/object": "numpy.int64", "value": 3},
        "pair": {"py/tuple": [1, 2]},
    }  # fmt: skip
    w.sacred_run(tmp_path, 1, metrics={"loss": [1.0]}, config=config)
    found = only(rs.import_runs(tmp_path)).hyperparameters
    assert found["model"] == "<Model, not read>"
    assert found["blob"] == "<py/b64, not read>"
    assert (found["rates"], found["n"], found["pair"]) == ([0.1, 0.2], 3, [1, 2])


# ------------------------------------------------------------------ 12 to 18: layouts


def test_12_folders_of_add_scalars_and_add_hparams_join_their_run(tmp_path):
    w.event_file(tmp_path / "run", w.curve_events("Loss/train", {0: 1.0, 1: 0.5}))
    for key in ("train", "val"):
        w.event_file(tmp_path / "run" / f"acc_{key}", w.curve_events("acc", {0: 0.5, 1: 0.75}))
    stamp = tmp_path / "run" / "1700000000.123"
    hparams = w.event(hparams=w.field(5, w.hparams_summary({"lr": 0.1, "bn": True, "opt": "sgd", "seed": 4})))
    w.event_file(stamp, [hparams, *w.curve_events("hparam/acc", {0: 0.75})])
    w.event_file(tmp_path / "run" / "other", w.curve_events("reward", {0: 1.0}))
    runs = rs.import_runs(tmp_path)
    assert sorted(runs.ids) == ["run", "run/other"]
    run = runs["run"]
    assert set(run.curves) == {"Loss/train", "acc/train", "acc/val", "hparam/acc"}
    assert run.curves["acc/val"].values.tolist() == [0.5, 0.75]
    assert run.hyperparameters == {"lr": 0.1, "bn": True, "opt": "sgd"}
    assert set(run.seeds.values()) == {4}


def test_13_one_seed_and_equal_curves_are_said(tmp_path):
    for number in range(3):
        values = [1.0, 0.5] if number < 2 else [1.0, 0.25]
        w.lightning_version(tmp_path, w.epochs(values), number=number)
    warnings = " ".join(rs.import_runs(tmp_path).warnings)
    assert "3 runs of one configuration have the same seed, 0" in warnings
    assert "the curves of version_0 and version_1 are equal to the last digit" in warnings


def test_13_one_seed_in_different_configurations_is_normal(tmp_path):
    for number in range(3):
        w.lightning_version(tmp_path, w.epochs([1.0, number]), f"seed: 67\nlr: {number}\n", number=number)
    assert rs.import_runs(tmp_path).warnings == ()


def test_14_one_name_for_all_parents_and_deleted_runs(tmp_path, out):
    place = tmp_path / "mlruns" / "1"
    name = {"mlflow.runName": "same"}
    w.mlflow_run(place, "1" * 32, tags=name)
    for digit in "23":
        tags = name | {"mlflow.parentRunId": "1" * 32}
        w.mlflow_run(place, digit * 32, metrics={"acc": ["0.5 0"]}, params={"seed": digit}, tags=tags)
    w.mlflow_run(place, "4" * 32, metrics={"acc": ["0.5 0"]}, stage="deleted")
    w.mlflow_run(tmp_path / "mlruns" / ".trash", "5" * 32, metrics={"acc": ["0.5 0"]}, key="run_uuid")
    runs = rs.import_runs(tmp_path)
    assert sorted(runs.ids) == ["1" * 32, "2" * 32, "3" * 32]
    assert runs["1" * 32].status == "empty"
    assert runs["2" * 32].parent == "1" * 32
    assert "2 runs deleted in the tracker are excluded" in runs.sentence()
    assert len(runs.save(out / "out").runs) == 2


def test_15_names_of_metrics_stay_as_logged(tmp_path, out):
    metrics = {"rollout/exploration rate": ["0.5 0", "0.25 1"], "mean F1-score - val": ["0.75 0"]}
    w.mlflow_run(tmp_path, "f" * 32, metrics=metrics)
    study = rs.import_runs(tmp_path).save(out / "out")
    assert set(study.metrics()) == set(metrics)
    assert study.verify().ok


def test_16_arrays_in_cells_are_left_out_with_an_example(tmp_path):
    w.lightning_version(tmp_path, 'epoch,step,loss,vec\n0,7,1.0,"[1.0, 2.0]"\n1,15,0.5,"[3.0, 4.0]"\n')
    run = only(rs.import_runs(tmp_path))
    assert set(run.curves) == {"loss"}
    says(run, "vec holds '[1.0, 2.0]', which is no number")
    assert run.left_out["values of vec that are no numbers"] == 2


def test_17_the_placeholder_of_lightning_is_no_metric(tmp_path):
    events = [*w.curve_events("hp_metric", [(0, -1.0)]), *w.curve_events("val/acc", {7: 0.5, 15: 0.75})]
    w.event_file(w.lightning_version(tmp_path, ""), [*events, *w.curve_events("epoch", {7: 0.0, 15: 1.0})])
    w.event_file(w.lightning_version(tmp_path, "", number=1), w.curve_events("hp_metric", [(0, 0.8), (7, 0.9)]))
    runs = rs.import_runs(tmp_path)
    assert set(runs["version_0"].curves) == {"val/acc", "epoch"}
    assert runs["version_0"].taken() == ["val/acc"]
    assert runs["version_1"].curves["hp_metric"].values.tolist() == pytest.approx([0.8, 0.9])


def test_18_two_formats_in_one_run(tmp_path):
    place = w.sacred_run(tmp_path, 1, metrics={"loss": [1.0, 0.5]})
    w.event_file(place / "tb", [])
    run = only(rs.import_runs(tmp_path))
    assert run.source.format == "sacred"
    says(run, "the event files inside hold no scalars")
    w.event_file(place / "tb2", w.curve_events("reward", {0: 1.0, 1: 2.0}))
    assert set(only(rs.import_runs(tmp_path)).curves) == {"loss", "reward"}


def test_18_one_training_in_two_formats_is_counted_once(tmp_path):
    records = [w.run_record("z", {"lr": 0.1}), *(w.history(k, acc=k / 7, loss=0.3 / (k + 1)) for k in range(4))]
    w.wandb_file(tmp_path / "wandb" / "run-20240101_000000-z", "z", [*records, w.exit_record(0)])
    rows = "".join(f"{k},{k},{k / 7},{0.3 / (k + 1)}\n" for k in range(4))
    w.lightning_version(tmp_path / "lightning_logs", "epoch,step,acc,loss\n" + rows, "lr: 0.1\n")
    runs = rs.import_runs(tmp_path)
    assert len(runs) == 2
    assert runs.sentence().startswith("1 run in 1 configuration")
    assert "seem to be one training in two formats" in " ".join(runs.warnings)


def test_19_a_summary_beside_files_of_seeds_is_no_run(tmp_path):
    for seed in range(3):
        fine = {"seed": seed, "model": "gpt2", "task_mod": 23, "accuracy": 0.5 + seed / 8}
        failed = {"seed": seed, "model": "gpt2", "task_mod": 23, "gate_failed": "too low", "accuracy": math.nan}
        (tmp_path / f"seed_{seed}.json").write_text(json.dumps(fine if seed else failed))
    (tmp_path / "seed_sweep_summary.json").write_text(json.dumps({"accuracy": 0.6}))
    runs = rs.importers.from_table(str(tmp_path / "seed_*.json"))
    assert runs.ids == ("seed_0.json", "seed_1.json", "seed_2.json")
    assert [run.status for run in runs] == ["crashed", "unknown", "unknown"]
    assert runs["seed_2.json"].summary == {"accuracy": 0.75}
    assert runs["seed_2.json"].hyperparameters == {"model": "gpt2", "task_mod": 23}
    assert [set(run.seeds.values()) for run in runs] == [{0}, {1}, {2}]
    with pytest.raises(InputError, match=r"there are tables .*from_table or --from table"):
        rs.import_runs(tmp_path)
    assert len(rs.import_runs(tmp_path, format="table")) == 3


def test_20_latest_run_is_a_link_or_a_copy_of_a_sibling(tmp_path):
    records = [w.run_record("q", {}), w.history(0, loss=1.0), w.history(1, loss=0.5), w.exit_record(0)]
    real = w.wandb_file(tmp_path / "run-20240101_000000-q", "q", records).parent
    (tmp_path / "latest-run").symlink_to(real.name, target_is_directory=True)
    assert len(only(rs.import_runs(tmp_path)).raw["loss"].steps) == 2
    (tmp_path / "latest-run").unlink()
    w.wandb_file(tmp_path / "latest-run", "q", records)
    assert len(only(rs.import_runs(tmp_path)).raw["loss"].steps) == 2


# ------------------------------------------------------------------ 22: many formats at once


def mixed(folder, each=8):
    """Runs of five formats that share a metric."""
    for k in range(each):
        first, second, third, fourth, fifth = (
            [1.0 / (epoch + 1) + k / 100 + kind / 1000 for epoch in range(12)] for kind in range(5)
        )
        w.lightning_version(folder / "lightning", w.epochs(first), f"seed: {k}\nlr: 0.1\n", number=k)
        w.event_file(folder / "tb" / f"seed{k}", w.curve_events("val_loss", dict(enumerate(second))))
        lines = [f"{value} {step}" for step, value in enumerate(third)]
        w.mlflow_run(folder / "mlruns" / "1", f"{k:032x}", metrics={"val_loss": lines}, params={"seed": str(k)})
        w.sacred_run(folder / "sacred", k + 1, seed=k, metrics={"val_loss": fourth})
        w.dvclive_run(
            folder / "dvc", f"dvclive-{k}", curves={"val_loss": list(enumerate(fifth))}, params=f"seed: {k}\n"
        )
    return folder


def test_22_forty_mixed_runs_in_one_go(tmp_path):
    runs = rs.import_runs(mixed(tmp_path / "results"))
    assert len(runs) == 40
    formats = runs.table()["format"]
    assert {name: formats.count(name) for name in set(formats)} == dict.fromkeys(
        ("lightning", "tensorboard", "mlflow", "sacred", "dvclive"), 8
    )
    study = runs.save(tmp_path / "study")
    assert len(study.runs) == 40
    assert study.verify().ok
    assert rs.dynamics(study.where(lr=0.1), metrics=["val_loss"], states=[2]) is not None


def test_22_formats_without_a_common_metric_are_not_put_together(tmp_path, out):
    w.lightning_version(tmp_path, w.epochs([1.0, 2.0]))
    w.event_file(tmp_path / "tb", w.curve_events("reward", {0: 1.0}))
    runs = rs.import_runs(tmp_path)
    with pytest.raises(InputError, match=r"no metric of one name in common .*--metric"):
        runs.save(out / "a")
    assert len(rs.import_runs(tmp_path, metrics=["*"]).save(out / "b").runs) == 2


# ------------------------------------------------------------------ 23: hostile files


class _Owned:
    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_23_pickles_are_never_loaded(tmp_path, out):
    owned = _Owned()
    owned.target = tmp_path / "owned"
    for name in ("training_args.bin", "predictions.pkl", "history.pkl"):
        (tmp_path / name).write_bytes(pickle.dumps({"seed": owned}))
    np.save(tmp_path / "predictions.npy", np.array([owned], dtype=object), allow_pickle=True)
    w.trainer_state(tmp_path, 40)
    runs = rs.import_runs(tmp_path, predictions={"test": "*.npy"})
    study = runs.save(out / "out", labels={"test": [0, 1]})
    assert not owned.target.exists()
    assert study.runs[0].predictions == ()


def test_23_huge_and_deep_files_are_refused(tmp_path):
    deep = tmp_path / "deep"
    w.trainer_state(deep, 40)
    (deep / "trainer_state.json").write_text('{"log_history": ' + "[" * 100_000 + "]" * 100_000 + "}")
    laughs = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for this, before in zip("bcdefgh", "abcdefg", strict=True):
        laughs += f"{this}: &{this} [" + ", ".join([f"*{before}"] * 10) + "]\n"
    w.lightning_version(tmp_path / "bomb", w.epochs([1.0, 2.0]), laughs)
    w.lightning_version(tmp_path / "nested", w.epochs([1.0, 2.0]), "a: " + "[" * 5000 + "]" * 5000)
    large = w.event_file(tmp_path / "large", w.curve_events("loss", {0: 1.0, 1: 2.0}))
    head = struct.pack("<Q", 2**63)
    large.write_bytes(large.read_bytes() + head + w.masked(head) + b"x" * 100)
    runs = rs.import_runs(tmp_path)
    assert "levels of nesting" in str(runs.problems[0])
    says(runs["bomb/version_0"], "more than 100,000 values (a limit)")
    says(runs["nested/version_0"], "nested")
    assert runs["bomb/version_0"].hyperparameters == {}
    assert runs["large"].curves["loss"].values.tolist() == [1.0, 2.0]
    says(runs["large"], f"it declares a record of {2**63:,} bytes")


def test_23_an_archive_of_many_gigabytes_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "_LARGEST", 2**22)
    place = w.lightning_version(tmp_path / "logs", w.epochs([1.0, 2.0]))
    with (
        zipfile.ZipFile(place / "test_predictions.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("logits.npy", "w", force_zip64=True) as file,
    ):
        file.write(bytes(2**23))
    with zipfile.ZipFile(place / "training_args.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(2**23))
    runs = rs.import_runs(tmp_path / "logs", predictions={"test": "*.npz"})
    _, saved = save_runs(runs, tmp_path / "out", {"test": np.zeros(4, int)})
    assert "unpacks to more than" in str(saved.problems[0])


def test_23_links_out_of_the_root_are_not_followed(tmp_path):
    w.lightning_version(tmp_path / "elsewhere", w.epochs([1.0, 2.0]), "secret: 1\n")
    root = tmp_path / "root"
    place = w.lightning_version(root, w.epochs([1.0, 2.0]), hparams=None)
    (place / "hparams.yaml").symlink_to(tmp_path / "elsewhere" / "version_0" / "hparams.yaml")
    (root / "version_7").symlink_to(tmp_path / "elsewhere" / "version_0", target_is_directory=True)
    (root / "loop").symlink_to(root, target_is_directory=True)
    run = only(rs.import_runs(root))
    assert run.id == "version_0"
    assert run.hyperparameters == {}


def test_23_too_many_files_and_folders_are_said(tmp_path):
    w.lightning_version(tmp_path / "a", w.epochs([1.0, 2.0]))
    for number in range(60):
        (tmp_path / f"z{number}").write_text("")
    few = rs.importers.Limits(files=50)
    with pytest.raises(InputError, match="more than 50 files and folders"):
        rs.import_runs(tmp_path, limits=few, format="keras")
    deep = tmp_path / "deep"
    for _ in range(6):
        deep = deep / "d"
    w.lightning_version(deep, w.epochs([1.0, 2.0]))
    runs = rs.import_runs(tmp_path, limits=rs.importers.Limits(depth=4))
    assert any("more than 4 folders deep" in problem.what for problem in runs.problems)


def test_23_names_are_keys_and_never_paths(tmp_path):
    records = [
        w.run_record("../../x/y", {}),
        w.history(0, **{"../x": 1.0}),
        w.history(1, **{"../x": 2.0}),
        w.exit_record(0),
    ]
    w.wandb_file(tmp_path / "in" / "run-20240101_000000-q", "q", records)
    study = rs.import_runs(tmp_path / "in").save(tmp_path / "out" / "study")
    assert study.runs.ids == ("../../x/y",)
    assert study.metrics()["../x"].values.tolist() == [[1.0, 2.0]]
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}
    assert study.verify().ok


def test_23_limits_of_time_and_memory(tmp_path):
    w.event_file(tmp_path / "a", w.curve_events("loss", dict.fromkeys(range(2000), 1.0)))
    w.lightning_version(tmp_path / "b", w.epochs([1.0, 2.0]))
    runs = rs.import_runs(tmp_path, limits=rs.importers.Limits(memory_bytes=10_000))
    assert runs.ids == ("b/version_0",)
    assert "more than 10,000 bytes (a limit: --limit memory_bytes=NUMBER)" in str(runs.problems[0])
    with pytest.raises(InputError, match="processor time"):
        rs.import_runs(tmp_path, limits=rs.importers.Limits(seconds=0.0))


def test_23_numbers_that_are_no_steps(tmp_path):
    records = [w.history(None, _step=step, loss=1.0) for step in (0, 1e300, 2)]
    w.wandb_file(tmp_path / "run-20240101_000000-s", "s", [*records, w.exit_record(0)])
    w.sacred_run(tmp_path, 1, metrics={"loss": [1.0, 0.5]})
    text = (tmp_path / "1" / "metrics.json").read_text()
    (tmp_path / "1" / "metrics.json").write_text(text.replace("[0, 1]", f"[0, {10**30}]"))
    w.lightning_version(tmp_path, w.epochs([1.0, 2.0]))
    runs = rs.import_runs(tmp_path)
    assert "version_0" in runs.ids
    assert len(runs["s"].curves["loss"].values) == 3
    assert str(runs.problems[0]).startswith("1: its curves cannot be put in order")


def test_23_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "trainer_state.json")
    w.lightning_version(tmp_path, w.epochs([1.0, 2.0]))
    assert only(rs.import_runs(tmp_path)).id == "version_0"


# ------------------------------------------------------------------ 24 to 26: text, seeds, personal data


def test_24_windows_lines_and_marks_of_encoding(tmp_path):
    place = w.lightning_version(tmp_path, "")
    (place / "metrics.csv").write_bytes(b"\xef\xbb\xbf" + w.epochs([1.5, 0.5]).replace("\n", "\r\n").encode())
    (place / "hparams.yaml").write_bytes("\ufefflr: 0.1\r\nseed: 3\r\n".encode("utf-8"))
    run = only(rs.import_runs(tmp_path))
    assert run.curves["val_loss"].values.tolist() == [1.5, 0.5]
    assert run.hyperparameters == {"lr": 0.1}
    assert set(run.seeds.values()) == {3}


def test_24_a_comma_as_the_decimal_point_is_refused(tmp_path):
    (tmp_path / "table.csv").write_text("seed;test_acc\n0;0,91\n1;0,93\n")
    with pytest.raises(InputError, match=r"a comma as the decimal point in column test_acc \(0,91\)"):
        rs.importers.from_table(tmp_path / "table.csv")


@pytest.mark.parametrize(
    ("text", "seed"),
    [("'0'", 0), ("0.0", 0), ("0", 0), ("-1", None), ("true", None), ("null", None), ("auto", None),
     (str(2**63), None), (str(2**63 - 1), 2**63 - 1), ("1.5", None), ("'12'", 12)],
)  # fmt: skip
def test_25_values_of_seeds(tmp_path, out, text, seed):
    w.lightning_version(tmp_path, w.epochs([1.0, 2.0]), f"seed: {text}\nlr: 0.1\n")
    run = only(rs.import_runs(tmp_path))
    assert run.seeds == ({} if seed is None else dict.fromkeys(("init", "order", "augment"), seed))
    assert run.hyperparameters == {"lr": 0.1}
    rs.import_runs(tmp_path).save(out / f"out-{abs(hash(text))}")


def test_25_seeds_missing_in_some_runs_and_two_keys_that_differ(tmp_path):
    w.lightning_version(tmp_path, w.epochs([1.0, 2.0]), "seed: 1\n", number=0)
    w.lightning_version(tmp_path, w.epochs([1.0, 3.0]), "{}\n", number=1)
    w.lightning_version(tmp_path, w.epochs([1.0, 4.0]), "seed: 1\nrandom_state: 2\n", number=2)
    w.lightning_version(tmp_path, w.epochs([1.0, 5.0]), "seed: 1\nmodel:\n  init_seed: 7\nfold: 2\n", number=3)
    w.lightning_version(tmp_path, w.epochs([1.0, 6.0]), "run_seed: 9\nseed: 1\n", number=4)
    runs = rs.import_runs(tmp_path, seed_keys=["run_seed=order"])
    assert "Seeds known of 3 of 5" in runs.sentence()
    assert runs["version_2"].seeds == {}
    says(runs["version_2"], "seed=1, random_state=2 differ")
    assert runs["version_3"].seeds == {"init": 7, "order": 1, "augment": 1}
    assert runs["version_3"].hyperparameters == {"split_seed": 2}
    assert runs["version_4"].seeds == {"init": 1, "order": 9, "augment": 1}
    assert "other examples" in " ".join(runs.warnings)
    with pytest.raises(InputError, match=r"--seed x=all-of-them names no role"):
        rs.import_runs(tmp_path, seed_keys=["x=all-of-them"])


def test_25_names_are_seeds_only_if_they_are_the_only_source(tmp_path):
    for seed in (3, 4):
        w.event_file(tmp_path / f"seed_{seed}", w.curve_events("loss", {0: 1.0, 1: 0.5 + seed}))
    runs = rs.import_runs(tmp_path)
    assert [set(run.seeds.values()) for run in runs] == [{3}, {4}]
    assert "the seeds are those in the names" in " ".join(runs.warnings)
    w.event_file(tmp_path / "version_5", w.curve_events("loss", {0: 1.0, 1: 0.5}))
    assert all(run.seeds == {} for run in rs.import_runs(tmp_path))
    runs = rs.import_runs(tmp_path, seed_from_name=r"(?:seed|version)_(\d+)")
    assert [set(run.seeds.values()) for run in runs] == [{3}, {4}, {5}]


def test_25_a_key_that_contradicts_the_name_wins_and_is_named(tmp_path):
    w.lightning_version(tmp_path / "seed_8", w.epochs([1.0, 2.0]), "seed: 3\n")
    run = only(rs.import_runs(tmp_path))
    assert set(run.seeds.values()) == {3}
    says(run, "seed is 3, but the name says 8")


def test_26_no_personal_data_in_any_file_of_the_study(tmp_path):
    config = {"user": "alice", "email": "alice@example.org", "data": "/home/alice/data/cifar", "host": "secret-host",
              "note": "ask alice@example.org", "output_dir": "/home/alice/out"}  # fmt: skip
    w.sacred_run(tmp_path / "s", 1, metrics={"loss": [1.0, 0.5]}, config=config)
    dated = tmp_path / "s" / "runs" / "Nov30_07-05-40_secret-host"
    w.event_file(dated, w.curve_events("loss", {0: 1.0, 1: 0.25}), host="secret-host")
    wandb = {"_wandb": {"e": "alice@example.org"}, "lr": 0.1, "command": "python /home/alice/x.py"}
    records = [w.run_record("p", wandb), w.history(0, loss=1.0), w.history(1, loss=0.125), w.exit_record(0)]
    w.wandb_file(tmp_path / "s" / "w" / "run-20240101_000000-p", "p", records)
    study = rs.import_runs(tmp_path / "s").save(tmp_path / "study")
    assert "runs/Nov30_07-05-40_host" in study.runs.ids
    assert study.runs["1"].hyperparameters["data"] == "~/data/cifar"
    written = b"".join(path.read_bytes() for path in study.path.rglob("*") if path.is_file())
    for word in (b"alice", b"secret-host", b"@example", b"secret.py"):
        assert word not in written, word


# ------------------------------------------------------------------ older layouts, and other steps


def test_dvclive_of_before(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "loss.tsv").write_text("timestamp\tstep\tloss\n1700000000000\t0\t1.5\n1700000001000\t1\t0.5\n")
    (tmp_path / "logs.json").write_text('{"step": 1, "loss": 0.5, "test_acc": 0.75}')
    run = only(rs.import_runs(tmp_path))
    assert run.source.format == "dvclive"
    assert run.curves["loss"].values.tolist() == [1.5, 0.5]
    assert run.curves["loss"].times.tolist() == [1.7e9, 1.7e9 + 1]
    assert run.summary["test_acc"] == 0.75


def test_another_column_is_the_step(tmp_path):
    w.lightning_version(tmp_path, "epoch,step,loss\n0,7,1.0\n1,15,0.5\n")
    assert only(rs.import_runs(tmp_path, step="epoch")).curves["loss"].steps.tolist() == [0, 1]
    records = [w.history(k, loss=1.0, samples=32 * k, global_step=8 * k) for k in range(4)]
    w.wandb_file(tmp_path / "w" / "run-20240101_000000-g", "g", [*records, w.exit_record(0)])
    assert rs.import_runs(tmp_path)["g"].curves["loss"].steps.tolist() == [0, 8, 16, 24]
    assert rs.import_runs(tmp_path, step="samples")["g"].curves["loss"].steps.tolist() == [0, 32, 64, 96]


def test_mlflow_lines_of_every_version(tmp_path):
    place = w.mlflow_run(tmp_path, "7" * 32, metrics={})
    (place / "metrics" / "old").write_text("1700000000000 0.5\n1700000001000 0.25\n")
    (place / "metrics" / "new").write_text("1700000000000 0.5 3 data abc m-1\n1700000001000 nan 4 data abc m-1\n")
    run = only(rs.import_runs(tmp_path))
    assert run.curves["old"].steps.tolist() == [0, 1]
    assert run.curves["new"].steps.tolist() == [3, 4]


def test_a_long_cell_is_read_and_the_limit_of_the_process_is_left(tmp_path):
    before = csv.field_size_limit()
    text = "run,step,loss,note\n" + "".join(f"a,{i},{0.5 - i / 100},{'x' * 200_000}\n" for i in range(3))
    (tmp_path / "t.csv").write_text(text)
    found = rs.importers.from_table(tmp_path / "t.csv")
    assert len(found.runs) == 1
    assert csv.field_size_limit() == before


def test_addresses_are_found_in_time_that_grows_with_the_text():
    """Every place of a long word was taken for the beginning of an address: 200,000 letters took minutes."""
    started = time.process_time()
    for text in ("x" * 10**6, "x." * 10**5 + "@", "a@" * 10**5):
        without_names(text)
    assert time.process_time() - started < 10
    assert without_names("by me+x@y-z.org, in /home/me/runs") == "by <e-mail>, in ~/runs"
