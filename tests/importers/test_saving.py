"""From runs to a study: again, growing, killed; and the contract that every importer keeps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from types import MappingProxyType

import numpy as np
import pytest
from click.testing import CliRunner

import runspread as rs
from runspread._cli import cli
from runspread.errors import InputError
from runspread.importers.saving import save_runs
from runspread.testing import ImporterTests

from ..conftest import SHARED
from . import writers as w
from .test_traps import mixed, only

FOREIGN = SHARED / "foreign"


@pytest.fixture
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("out") / "study"


def snapshot(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*") if path.is_file()}


class Imported(ImporterTests):
    def import_runs(self, source, out):
        return rs.import_runs(source).save(out)


class TestLightning(Imported):
    statuses = MappingProxyType({"version_0": "completed", "version_1": "completed", "version_2": "diverged"})

    def make_source(self, folder):
        for number, last in enumerate((0.5, 0.25, "nan")):
            w.lightning_version(folder, w.epochs([1.0, last]), f"seed: {number}\n", number=number)
        return folder


class TestTensorBoard(Imported):
    statuses = MappingProxyType({"a": "completed", "b": "diverged"})

    def make_source(self, folder):
        w.event_file(folder / "a", w.curve_events("loss", {0: 1.0, 1: 0.5}))
        w.event_file(folder / "b", w.curve_events("loss", {0: 1.0, 1: float("nan")}))
        return folder


class TestMLflowFiles(Imported):
    statuses = MappingProxyType({"1" * 32: "completed", "2" * 32: "failed"})

    def make_source(self, folder):
        for digit, status in (("1", 3), ("2", 4)):
            lines = [f"{1 / (k + 1)} {k}" for k in range(5)]
            w.mlflow_run(
                folder / "mlruns" / "1", digit * 32, metrics={"loss": lines}, params={"seed": digit}, status=status
            )
        return folder


class TestMLflowDatabase(Imported):
    statuses = MappingProxyType({"1" * 32: "completed", "2" * 32: "failed"})

    def make_source(self, folder):
        rows = [(k, 1 / (k + 1), 0) for k in range(5)]
        runs = {"1" * 32: {"metrics": {"loss": rows}}, "2" * 32: {"metrics": {"loss": rows[:2]}, "status": "KILLED"}}
        w.mlflow_database(folder / "mlflow.db", runs)
        return folder


class TestWandb(Imported):
    statuses = MappingProxyType({"aaa": "completed", "bbb": "failed"})

    def make_source(self, folder):
        for id, code in (("aaa", 0), ("bbb", 1)):
            records = [w.run_record(id, {"lr": 0.1}), *(w.history(k, loss=1 / (k + 1)) for k in range(5))]
            w.wandb_file(folder / f"run-20240101_000000-{id}", id, [*records, w.exit_record(code)])
        return folder


class TestSacred(Imported):
    statuses = MappingProxyType({"1": "completed", "2": "failed"})

    def make_source(self, folder):
        for number, status in ((1, "COMPLETED"), (2, "FAILED")):
            w.sacred_run(folder, number, status=status, metrics={"loss": [1.0, 0.5]})
        return folder


class TestHuggingFace(Imported):
    statuses = MappingProxyType({"a": "completed", "b": "completed"})

    def make_source(self, folder):
        for name in "ab":
            w.trainer_state(folder / name, 40, seed_text="42")
        return folder


class TestDvclive(Imported):
    statuses = MappingProxyType({"one": "completed", "two": "completed"})

    def make_source(self, folder):
        for name in self.statuses:
            w.dvclive_run(folder, name, curves={"loss": [(0, 1.0), (1, 0.5)]})
        return folder


class TestKeras(Imported):
    statuses = MappingProxyType({"seed_0/training.log": "completed", "seed_1/training.log": "completed"})

    def make_source(self, folder):
        for name in self.statuses:
            (folder / name).parent.mkdir()
            (folder / name).write_text("epoch,loss\n0,1.0\n1,0.5\n")
        return folder


class TestTrackio(Imported):
    statuses = MappingProxyType({"first": "completed", "second": "completed"})

    def make_source(self, folder):
        rows = [{"loss": 1.0, "eval": {"acc": 0.5}}, {"loss": 0.5}]
        w.trackio_database(folder / "project.db", {n: {"rows": rows, "config": {"seed": 1}} for n in self.statuses})
        return folder


class TestNeptune(Imported):
    statuses = MappingProxyType({"RUN-1": "completed", "RUN-2": "failed"})

    def make_source(self, folder):
        pytest.importorskip("pyarrow")
        for id in self.statuses:
            neptune_part(folder / "project-1" / f"{id}_part_0.parquet", id, failed=id == "RUN-2")
        return folder


def neptune_part(path, id, *, failed):
    from datetime import UTC, datetime
    from decimal import Decimal

    import pyarrow as pa
    import pyarrow.parquet as pq

    names = (
        "attribute_path",
        "attribute_type",
        "step",
        "timestamp",
        "int_value",
        "float_value",
        "string_value",
        "bool_value",
    )
    rows = [
        ("sys/failed", "bool", None, None, None, None, None, failed),
        ("config/seed", "int", None, None, 7, None, None, None),
        ("config/opt", "string", None, None, None, None, "sgd", None),
        ("metrics/test_acc", "float", None, None, None, 0.75, None, None),
    ]
    for k in range(4):
        at = datetime.fromtimestamp(1.7e9 + k, UTC)
        rows.append(("metrics/loss", "float_series", Decimal(k), at, None, 1 / (k + 1), None, None))
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    types = {"step": pa.decimal128(18, 6), "timestamp": pa.timestamp("ms", "UTC"), "int_value": pa.int64()}
    arrays = {name: pa.array(cells, types.get(name)) for name, cells in columns.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"project_id": ["w/p"] * len(rows), "run_id": [id] * len(rows)} | arrays), path)


def test_neptune_and_trackio_give_seeds_configurations_and_results(tmp_path):
    pytest.importorskip("pyarrow")
    TestNeptune().make_source(tmp_path / "n")
    TestTrackio().make_source(tmp_path)
    runs = rs.import_runs(tmp_path)
    run = runs["RUN-1"]
    assert (set(run.seeds.values()), run.hyperparameters, run.summary) == (
        {7},
        {"config.opt": "sgd"},
        {"metrics/test_acc": 0.75},
    )
    assert run.curves["metrics/loss"].values.tolist() == [1, 1 / 2, 1 / 3, 1 / 4]
    assert runs["RUN-2"].status == "crashed"
    assert runs["first"].curves["eval.acc"].values.tolist() == [0.5]
    assert set(runs["first"].seeds.values()) == {1}


class TestText(ImporterTests):
    statuses = MappingProxyType({"a.txt": "completed", "b.txt": "completed"})

    def make_source(self, folder):
        for name in self.statuses:
            (folder / name).write_text("hello\nstep:0/9 val_loss:1.5\nnoise\nstep:9/9 val_loss:0.25\nstep:9")
        return folder

    def import_runs(self, source, out):
        return rs.importers.from_text(source, pattern=r"step:(?P<step>\d+)/\d+ val_loss:(?P<val_loss>[\d.]+)").save(out)

    def test_points(self, tmp_path):
        curves = self._imported(tmp_path).metrics()["val_loss"]
        assert curves.steps.tolist() == [[0, 9]] * 2
        assert curves.values.tolist() == [[1.5, 0.25]] * 2


class TestTable(ImporterTests):
    statuses = MappingProxyType({"x": "completed", "y": "completed"})

    def make_source(self, folder):
        (folder / "t.csv").write_text(
            "run,seed,lr,step,val_acc\nx,1,0.1,0,0.5\nx,1,0.1,1,0.75\ny,2,0.1,0,0.5\ny,2,0.1,1,1\n"
        )
        return folder / "t.csv"

    def import_runs(self, source, out):
        return rs.importers.from_table(source).save(out)


# ------------------------------------------------------------------ 21: again, and growing folders


def test_21_a_second_import_writes_nothing(tmp_path, out):
    mixed(tmp_path, each=2)
    study, first = save_runs(rs.import_runs(tmp_path), out, {})
    before = snapshot(out)
    again, second = save_runs(rs.import_runs(tmp_path), out, {})
    assert (len(first.new), len(second.new), len(second.same)) == (10, 0, 10)
    assert snapshot(out) == before
    assert again.runs.ids == study.runs.ids


@pytest.mark.skipif(
    not FOREIGN.is_dir(), reason="the logs beside the developers' checkouts (../shared/foreign) are not here"
)
@pytest.mark.parametrize("folder", sorted(path.name for path in FOREIGN.glob("*/")) if FOREIGN.is_dir() else [])
def test_21_a_second_import_of_every_real_folder_writes_nothing(folder, out):
    if folder in ("made-aim", "json-seeds-grouping", "seeds-morphology"):
        pytest.skip("has no run that is detected")
    runs = rs.import_runs(FOREIGN / folder, metrics=["*"])
    study = runs.save(out)
    before = snapshot(out)
    rs.import_runs(FOREIGN / folder, metrics=["*"]).save(out)
    assert snapshot(out) == before
    assert study.verify().ok
    assert {run.id for run in runs.kept()} == set(study.runs.ids)
    for run in runs.kept():
        for name in run.taken():
            values = run.curves[name].values if name in run.curves else [run.summary[name]]
            stored = study.metrics()[name].of(run.id)[1]
            with np.errstate(over="ignore"):
                np.testing.assert_array_equal(stored, np.asarray(values).astype(stored.dtype))


def test_21_a_growing_folder_adds_only_what_is_new(tmp_path, out):
    for number in range(3):
        w.lightning_version(tmp_path, w.epochs([1.0, number]), f"seed: {number}\n", number=number)
    rs.import_runs(tmp_path).save(out)
    before = snapshot(out)
    w.lightning_version(tmp_path, w.epochs([1.0, 9.0]), "seed: 9\n", number=3)
    study, saved = save_runs(rs.import_runs(tmp_path), out, {})
    assert (saved.new, saved.grown, len(saved.same)) == (["version_3"], [], 3)
    assert {path: stamp for path, stamp in snapshot(out).items() if path in before} == before
    assert len(study.runs) == 4


def test_21_a_completed_run_that_grew_is_superseded_and_its_old_record_kept(tmp_path, out):
    w.lightning_version(tmp_path, w.epochs([1.0, 0.5]), "seed: 1\n")
    w.lightning_version(tmp_path, w.epochs([1.0, 0.25]), "seed: 2\n", number=1)
    rs.import_runs(tmp_path).save(out)
    before = snapshot(out)
    for values in ([1.0, 0.5, 0.125], [1.0, 0.5, 0.125, 0.0625]):
        w.lightning_version(tmp_path, w.epochs(values), "seed: 1\n")
        study, saved = save_runs(rs.import_runs(tmp_path), out, {})
        assert (saved.grown, saved.same) == (["version_0"], ["version_1"])
        assert study.metrics()["val_loss"].of("version_0")[1].tolist() == values
        assert rs.open_study(out).metrics()["val_loss"].of("version_0")[1].tolist() == values
    assert set(before) <= set(snapshot(out))
    assert study.runs["version_0"].supersedes
    assert sorted(study.runs.ids) == ["version_0", "version_1"]
    assert study.verify().ok
    merged = rs.create_study(out.parent / "merged")
    merged.merge(study)
    assert merged.metrics()["val_loss"].of("version_0")[1].tolist() == values


def test_21_a_run_whose_old_points_changed_is_named_and_left_alone(tmp_path, out):
    w.lightning_version(tmp_path, w.epochs([1.0, 0.5]))
    rs.import_runs(tmp_path).save(out)
    w.lightning_version(tmp_path, w.epochs([1.0, 0.75, 0.5]))
    before = snapshot(out)
    study, saved = save_runs(rs.import_runs(tmp_path), out, {})
    assert saved.changed == ["version_0"]
    assert "val_loss differs from what was imported before" in str(saved.problems[0])
    assert snapshot(out) == before
    assert study.metrics()["val_loss"].of("version_0")[1].tolist() == [1.0, 0.5]
    done = CliRunner().invoke(cli, ["import", str(tmp_path), "--out", str(out), "--strict"])
    assert done.exit_code == 2
    assert "left alone" in done.output


def test_21_a_run_that_is_running_is_partial_until_it_has_ended(tmp_path, out):
    w.trainer_state(tmp_path / "a" / "checkpoint-20", 20)
    w.trainer_state(tmp_path / "b", 40)
    assert rs.import_runs(tmp_path).save(out).runs.ids == ("b",)
    study = rs.import_runs(tmp_path, running="partial").save(out)
    assert {run.id: (run.status, run.source_status) for run in study.runs} == {
        "a": ("failed", "running"), "b": ("completed", "finished"),
    }  # fmt: skip
    w.trainer_state(tmp_path / "a" / "checkpoint-40", 40)
    study, saved = save_runs(rs.import_runs(tmp_path), out, {})
    assert saved.grown == ["a"]
    assert study.runs["a"].status == "completed"
    assert len(study.metrics()["loss"].of("a")[0]) == 8


def test_21_a_source_that_disappears_changes_nothing(tmp_path, out):
    for number in range(2):
        w.lightning_version(tmp_path, w.epochs([1.0, number]), number=number)
    rs.import_runs(tmp_path).save(out)
    (tmp_path / "version_0" / "metrics.csv").unlink()
    assert rs.import_runs(tmp_path).save(out).runs.ids == ("version_0", "version_1")


def test_21_a_file_that_is_being_written_is_read_to_its_last_whole_line(tmp_path):
    place = w.lightning_version(tmp_path, w.epochs([1.0, 0.5, 0.25]))
    text = (place / "metrics.csv").read_text()
    (place / "metrics.csv").write_text(text[:-9])
    assert only(rs.import_runs(tmp_path)).curves["val_loss"].values.tolist() == [1.0, 0.5]


def test_21_an_import_that_is_killed_loses_nothing_and_leaves_nothing_half(tmp_path, out):
    for number in range(400):
        w.lightning_version(tmp_path, w.epochs([1.0, number]), f"seed: {number}\n", number=number)
    code = f"import runspread as rs; rs.import_runs({str(tmp_path)!r}).save({str(out)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if out.is_dir() and len(list(out.glob("shards/[!.]*"))) >= 3:
            break
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    partial = rs.open_study(out)
    assert partial.verify().ok
    there = len(partial.runs)
    assert there
    before = {path: stamp for path, stamp in snapshot(out).items() if "/." not in str(path)}
    study, saved = save_runs(rs.import_runs(tmp_path), out, {})
    assert len(study.runs) == 400
    assert len(saved.same) == there
    assert {path: stamp for path, stamp in snapshot(out).items() if path in before} == before
    assert study.verify().ok


def test_21_two_imports_at_once_end_in_one_study(tmp_path, out):
    mixed(tmp_path, each=4)
    code = f"import runspread as rs; rs.import_runs({str(tmp_path)!r}).save({str(out)!r})"
    rs.create_study(out)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    both = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    study = rs.open_study(out)
    assert len(study.runs) == 20
    assert study.verify().ok


# ------------------------------------------------------------------ refusals, tables, predictions


def test_a_study_is_never_written_into_its_source(tmp_path):
    w.lightning_version(tmp_path, w.epochs([1.0, 0.5]))
    with pytest.raises(InputError, match="lies inside"):
        rs.import_runs(tmp_path).save(tmp_path / "study")


def test_a_path_without_runs_lists_what_was_looked_for(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing")
    with pytest.raises(
        InputError, match=r"none of its 1 files is a log\. Expected one of run-ID.wandb .W&B.; .*Lightning"
    ):
        rs.import_runs(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        rs.import_runs(tmp_path / "missing")
    with pytest.raises(InputError, match="there is no format 'comet'"):
        rs.import_runs(tmp_path, format="comet")
    with pytest.raises(InputError, match="setting"):
        rs.import_runs(tmp_path, patern="x")


def test_one_bad_run_stops_no_other(tmp_path):
    w.sacred_run(tmp_path, 1, metrics={"loss": [1.0]})
    w.trainer_state(tmp_path / "hf", 40)
    (tmp_path / "hf" / "trainer_state.json").write_text("{not json")
    runs = rs.import_runs(tmp_path)
    assert runs.ids == ("1",)
    assert str(runs.problems[0]).startswith("hf: hf/trainer_state.json is no JSON")
    with pytest.raises(InputError, match="no JSON"):
        rs.import_runs(tmp_path / "hf")


def test_tables_in_memory():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"seed": [0, 1, 2], "lr": [0.1, 0.1, 0.2], "test_acc": [0.5, 0.75, 0.25]})
    runs = rs.importers.from_table(frame)
    assert [run.hyperparameters for run in runs] == [{"lr": 0.1}, {"lr": 0.1}, {"lr": 0.2}]
    assert [run.summary["test_acc"] for run in runs] == [0.5, 0.75, 0.25]
    assert "3 runs in 2 configurations" in runs.sentence()
    with pytest.raises(InputError, match="no column 'acc'"):
        rs.importers.from_table(frame, metrics=["acc"])
    with pytest.raises(InputError, match=r"Name it: metrics="):
        rs.importers.from_table({"seed": [0, 1], "x": [1, 2]})


def test_a_sample_of_a_history_is_said(tmp_path):
    (tmp_path / "export.csv").write_text("_step,val_loss\n0,1\n3,0.5\n4,0.25\n9,0.125\n")
    assert "samples the history" in " ".join(only(rs.importers.from_table(tmp_path / "export.csv")).notes)


def test_paths_with_the_same_ids_are_told_apart(tmp_path):
    for name in ("a", "b"):
        w.lightning_version(tmp_path / name, w.epochs([1.0, 0.5]))
    runs = rs.import_runs([tmp_path / "a", tmp_path / "b"])
    assert runs.ids == ("a/version_0", "b/version_0")


@pytest.fixture
def predicted(tmp_path):
    labels = np.random.default_rng(0).integers(3, size=200)
    logits = 2 * np.eye(3)[labels] + np.random.default_rng(1).normal(size=(3, 200, 3))
    for number in range(3):
        accuracy = float(np.mean(logits[number].argmax(1) == labels))
        text = f"epoch,step,test_acc,loss\n0,7,,1.0\n1,15,,0.5\n1,16,{accuracy},\n"
        place = w.lightning_version(tmp_path, text, f"seed: {number}\n", number=number)
        np.save(place / "test_logits.npy", logits[number])
    np.save(tmp_path / "labels.npy", labels)
    return tmp_path, labels, logits


def test_predictions_by_a_pattern(predicted, out):
    root, _, logits = predicted
    study = rs.import_runs(root, predictions={"test": "test_logits.npy"}).save(
        out, labels={"test": root / "labels.npy"}
    )
    np.testing.assert_allclose(study.predictions("test").to_array(), logits, rtol=1e-3, atol=1e-3)
    assert rs.variance(study).sentence()
    command = ["import", str(root), "--out", str(out.parent / "two"), "--predictions", "test=*/test_logits.npy",
               "--labels", f"test={root / 'labels.npy'}", "--strict"]  # fmt: skip
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    assert len(rs.open_study(out.parent / "two").predictions("test")) == 3


def test_predictions_that_are_asked_for_later_are_added(predicted, out):
    root, labels, _ = predicted
    rs.import_runs(root).save(out)
    asked = {"predictions": {"test": "test_logits.npy"}}
    study, saved = save_runs(rs.import_runs(root, **asked), out, {"test": labels})
    assert (len(saved.grown), saved.new) == (3, [])
    assert study.predictions("test").shape == (3, 200, 3)
    before = snapshot(out)
    _, saved = save_runs(rs.import_runs(root, **asked), out, {"test": labels})
    assert len(saved.same) == 3
    rs.import_runs(root).save(out)  # without predictions again: nothing is lost
    assert snapshot(out) == before


def test_predictions_that_do_not_fit_are_named_and_the_run_kept(predicted, out):
    root, labels, logits = predicted
    np.save(root / "version_1" / "test_logits.npy", logits[1][:100])
    order = np.random.default_rng(2).permutation(200)
    np.save(root / "version_2" / "test_logits.npy", logits[2][order])
    runs = rs.import_runs(root, predictions={"test": "test_logits.npy"})
    study, saved = save_runs(runs, out, {"test": labels})
    texts = [str(problem) for problem in saved.problems]
    assert any("version_1: the predictions in test_logits.npy are excluded" in text for text in texts)
    assert any("version_2: test accuracy of the predictions is" in text and "another order" in text for text in texts)
    assert len(study.runs) == 3
    before = snapshot(out)
    save_runs(runs, out, {"test": labels})
    assert snapshot(out) == before
    with pytest.raises(InputError, match=r"no file of a run is named nothing\.npy"):
        rs.import_runs(root, predictions={"test": "nothing.npy"}).save(out)


def test_predictions_as_people_save_them(predicted, tmp_path_factory):
    """Classes as text, with and without a heading; archives with labels; safetensors; tables of W&B."""
    from safetensors.numpy import save_file

    root, labels, logits = predicted
    classes = logits.argmax(-1)

    def table(k):
        rows = [[i, "x", int(labels[i]), *row] for i, row in enumerate(logits[k].tolist())]
        return json.dumps({"columns": ["id", "text", "label", "logit0", "logit1", "logit2"], "data": rows})

    lines = ["".join(f"{c}\n" for c in row) for row in classes]
    numbered = ["".join(f"{i},{c}\n" for i, c in enumerate(row)) for row in classes]
    writers = {
        "p.txt": lambda k, path: path.write_text("# prediction\n" + lines[k]),
        "p.csv": lambda k, path: path.write_text("index,prediction\n" + numbered[k]),
        "p.npz": lambda k, path: np.savez(path, predictions=logits[k], label_ids=labels),
        "p.safetensors": lambda k, path: save_file({"logits": logits[k], "labels": labels}, path),
        "p.table.json": lambda k, path: path.write_text(table(k)),
    }
    for name, write in writers.items():
        for k in range(3):
            write(k, root / f"version_{k}" / name)
        runs = rs.import_runs(root, predictions={"test": name})
        study, saved = save_runs(runs, tmp_path_factory.mktemp("p") / "study", {"test": labels})
        assert saved.problems == [], name
        found = study.predictions("test")
        assert found.shape[:2] == (3, 200), name
        expected = classes if len(found.shape) == 2 else logits
        np.testing.assert_allclose(found.to_array(), expected, rtol=1e-3, atol=2e-3, err_msg=name)


@pytest.mark.slow
def test_batches_that_torch_saved(predicted, out):
    torch = pytest.importorskip("torch")
    root, labels, logits = predicted
    for k in range(3):
        torch.save(
            [torch.tensor(part) for part in np.array_split(logits[k], 4)], root / f"version_{k}" / "predictions.pt"
        )
    runs = rs.import_runs(root, predictions={"test": "predictions.pt"})
    study, saved = save_runs(runs, out, {"test": labels})
    assert saved.problems == []
    np.testing.assert_allclose(study.predictions("test").to_array(), logits, rtol=1e-3, atol=2e-3)


def save_ranks(torch, folder, logits, *, indices=True):
    """Save predictions as two processes do whose sampler deals the examples out, and the last of them twice."""
    n = len(logits)
    for rank in range(2):
        at = [*range(rank, n, 2), *([0] if rank else [])]
        batches = [at[start : start + 32] for start in range(0, len(at), 32)]
        torch.save([torch.tensor(logits[batch]) for batch in batches], folder / f"predictions_{rank}.pt")
        if indices:
            torch.save([batches], folder / f"batch_indices_{rank}.pt")


@pytest.mark.slow
def test_predictions_of_several_processes_are_put_into_the_order_of_the_examples(predicted, out):
    torch = pytest.importorskip("torch")
    root, labels, logits = predicted
    save_ranks(torch, root / "version_0", logits[0])
    save_ranks(torch, root / "version_1", logits[1], indices=False)
    for name in ("a.npy", "b.npy"):
        (root / "version_2" / "more").mkdir(exist_ok=True)
        np.save(root / "version_2" / "more" / name, logits[2])
    runs = rs.import_runs(root, predictions={"test": "predictions_*.pt", "again": "**/more/*.npy"})
    study, saved = save_runs(runs, out, {"test": labels, "again": labels})
    np.testing.assert_allclose(study.predictions("test").to_array(), logits[:1], rtol=1e-3, atol=2e-3)
    said = "\n".join(map(str, saved.problems))
    assert "unknown without batch_indices_0.pt beside it" in said
    assert "2 files fit the pattern (a.npy, b.npy)" in said


def test_final_weights_are_copied_from_safetensors(tmp_path, out):
    from safetensors.numpy import save_file

    w.trainer_state(tmp_path / "a", 40)
    save_file({"fc.weight": np.ones((2, 3), "f4")}, tmp_path / "a" / "model.safetensors")
    assert rs.import_runs(tmp_path).save(out).runs[0].weights == ()
    study = rs.import_runs(tmp_path, weights="final").save(out.parent / "weights")
    np.testing.assert_array_equal(study.weights("a")["fc.weight"], np.ones((2, 3)))


# ------------------------------------------------------------------ the command


def test_the_command_shows_before_it_writes(tmp_path, out):
    mixed(tmp_path, each=2)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "trainer_state.json").write_text("no")
    runner = CliRunner()
    shown = runner.invoke(cli, ["import", str(tmp_path), "--out", str(out), "--dry-run"])
    assert shown.exit_code == 0, shown.output
    for words in ("10 runs in", "seed keys: ", "metrics: val_loss (10 runs)", "problem: broken"):
        assert words in shown.output, words
    assert not out.exists()
    done = runner.invoke(cli, ["import", str(tmp_path), "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.output)["new"]) == 10
    again = runner.invoke(cli, ["import", str(tmp_path), "--out", str(out), "--report"])
    assert (out / "report.html").read_text().count("What was imported")
    assert "0 new, 10 there already" in again.output
    strict = runner.invoke(cli, ["import", str(tmp_path), "--out", str(out), "--strict"])
    assert strict.exit_code == 2
    missing = runner.invoke(cli, ["import", str(tmp_path)])
    assert missing.exit_code == 2
    assert "--dry-run shows" in missing.output


def test_the_options_of_the_command_reach_the_import(tmp_path, out):
    (tmp_path / "a.txt").write_text("step 0 loss 1.5\nstep 1 loss 0.5\n")
    words = ["import", str(tmp_path), "--out", str(out), "--pattern", r"step (?P<step>\d+) loss (?P<loss>[\d.]+)"]
    words += ["--config", "all-equal", "--stale", "2h", "--limit", "depth=3", "--metric", "loss"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    study = rs.open_study(out)
    assert study.runs.ids == ("a.txt",)
    assert study.runs[0].hyperparameters == {}
    for bad in (
        ["--limit", "depth=x"],
        ["--limit", "width=3"],
        ["--seed", "x=y"],
        ["--pattern", "("],
        ["--stale", "soon"],
    ):
        assert CliRunner().invoke(cli, ["import", str(tmp_path), "--dry-run", *bad]).exit_code == 2, bad


def test_a_study_says_where_its_runs_came_from(tmp_path, out):
    w.wandb_file(tmp_path / "run-20240101_000000-k", "k", [w.run_record("k", {"lr": 0.1}, name="wise-tree-3"),
                 w.history(0, loss=1.0), w.history(1, loss=0.5), w.exit_record(0)])  # fmt: skip
    study = rs.import_runs(tmp_path).save(out)
    run = study.runs["k"]
    assert (run.source_status, run.source["format"], run.source["path"]) == (
        "finished",
        "wandb",
        "run-20240101_000000-k",
    )
    assert study.run_names == {"k": "wise-tree-3"}
    assert study.runs.table()["source status"] == ["finished"]
    assert (next(out.rglob("provenance.json")).read_text()).count("host") == 0


def test_the_report_and_info_say_what_an_imported_study_can_answer(tmp_path, out):
    for number in range(4):
        rows = w.epochs([1 / (k + 1 + number) for k in range(12)])
        w.lightning_version(tmp_path, rows, f"seed: {number}\n", number=number)
    study = rs.import_runs(tmp_path).save(out)
    page = study.report().read_text()
    for words in ("4 runs were imported from lightning", "--predictions", "3 of 8 questions", "What can be asked"):
        assert words in page, words
    shown = CliRunner().invoke(cli, ["info", str(out)])
    assert "imported     lightning 4" in shown.output


def test_dynamics_follows_metrics_of_unequal_cadence(tmp_path, out):
    """A test accuracy that was logged once, and a learning rate logged at other steps, stop nobody."""
    rng = np.random.default_rng(0)
    for number in range(6):
        rows = "".join(f"{k},{10 * k + 9},{2 / (k + 2) + rng.normal() / 50},,\n" for k in range(30))
        rows += "".join(f",{50 * k},,{0.1 / (k + 1)},\n" for k in range(6)) + "29,300,,,0.9\n"
        w.lightning_version(
            tmp_path, "epoch,step,val_loss,lr-SGD,test_acc\n" + rows, f"seed: {number}\n", number=number
        )
    result = rs.dynamics(rs.import_runs(tmp_path).save(out), states=[2])
    assert result.sentence()


def test_a_version_that_goes_on_where_another_ended_is_proposed(tmp_path):
    w.lightning_version(tmp_path, w.epochs([1.0, 0.5, 0.25]), "seed: 1\n")
    rows = "epoch,step,val_loss\n3,31,0.2\n4,39,0.1\n"
    w.lightning_version(tmp_path, rows, "seed: 1\n", number=1)
    w.lightning_version(tmp_path, rows, "seed: 2\n", number=2)
    runs = rs.import_runs(tmp_path)
    assert ["resumed" in " ".join(run.notes) for run in runs] == [False, True, False]
