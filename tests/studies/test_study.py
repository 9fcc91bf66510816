"""A study on disk: what is written can be read, a kill loses nothing that was published, and bad input is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from safetensors.numpy import save_file

import runspread as rs
from runspread._reading.safetensors import map_tensors
from runspread.errors import (
    CorruptShardError,
    DuplicateRunError,
    FormatVersionError,
    InputError,
    MissingDataError,
    NotAStudyError,
    RunspreadWarning,
    StudyError,
)
from runspread.methods import Excluded
from runspread.methods.dynamics import weight_metrics
from runspread.methods.spectra import study_spectra
from runspread.studies.layout import FORMAT_VERSION
from runspread.studies.opening import verify_folder
from runspread.studies.records import RunRecord

LABELS = np.array([0, 1, 2, 1, 0])


def record_run(study, seed, rng, **hyperparameters):
    logits = rng.normal(size=(len(LABELS), 3)).astype(np.float32)
    with study.record(seeds=seed, hyperparameters=hyperparameters) as run:
        for step in range(seed + 2):
            run.log(step, loss=1 / (step + 1), accuracy=0.5)
        run.predictions("test", logits)
        run.weights({"w": np.full((2, 2), seed, np.float32)})
    return logits


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def study(tmp_path):
    return rs.create_study(tmp_path / "study", splits={"test": LABELS})


@pytest.fixture
def filled(study, rng):
    study.logits = np.stack([record_run(study, seed, rng, lr=0.1) for seed in range(4)])
    return study


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "provenance.json" and ".cache" not in path.parts
    }


# ------------------------------------------------------------------ what is written can be read


def test_round_trip(filled):
    study = rs.open_study(filled.path)
    assert study.runs.ids == filled.runs.ids
    reader = study.predictions("test")
    assert reader.shape == (4, 5, 3)
    np.testing.assert_array_equal(reader.labels, LABELS)
    np.testing.assert_array_equal(reader.to_array(), filled.logits.astype(np.float16))
    np.testing.assert_array_equal(reader[2], filled.logits[2].astype(np.float16))
    np.testing.assert_array_equal(reader[1:3], filled.logits[1:3].astype(np.float16))
    assert study.weights(study.runs[3].id)["w"][0, 0] == 3
    assert study.runs[0].seeds == rs.Seeds(init=0, order=0, augment=0)
    assert study.runs[0].hyperparameters == {"lr": 0.1}


def test_accuracy_is_that_of_the_stored_logits(filled):
    for run, logits in zip(filled.runs, filled.predictions("test").to_array(), strict=True):
        assert run.accuracy["test"] == np.mean(logits.argmax(-1) == LABELS)


@pytest.mark.parametrize("max_bytes", [1, 31, 60, 10**6])
def test_chunks_are_bounded_and_complete(filled, max_bytes):
    chunks = list(filled.predictions("test").chunks(max_bytes))
    one = chunks[0][:1].nbytes
    assert all(chunk.nbytes <= max(max_bytes, one) for chunk in chunks)
    np.testing.assert_array_equal(np.concatenate(chunks), filled.logits.astype(np.float16))


def test_ragged_metrics_keep_their_lengths(filled):
    curves = filled.metrics()["loss"]
    np.testing.assert_array_equal(curves.lengths, [2, 3, 4, 5])
    assert curves.values.shape == (4, 5)
    assert np.isnan(curves.values[0, 2:]).all()
    steps, values = curves.of(filled.runs.ids[1])
    np.testing.assert_array_equal(steps, [0, 1, 2])
    np.testing.assert_allclose(values, [1, 1 / 2, 1 / 3], rtol=1e-6)


def test_files_open_without_runspread(filled):
    from safetensors.numpy import load_file

    shard = next((filled.path / "shards").iterdir())
    assert json.loads((shard / "shard.json").read_text())["runs"][0]["status"] == "completed"
    assert load_file(shard / "predictions.safetensors")["logits/test"].shape == (1, 5, 3)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=shard, check=True)


def test_files_have_the_permissions_of_any_new_file(filled, tmp_path):
    (tmp_path / "plain").touch()
    modes = {path.stat().st_mode for path in filled.path.rglob("*") if path.is_file()}
    assert modes == {(tmp_path / "plain").stat().st_mode}


def test_large_logits_are_kept_in_float32(study):
    logits = np.full((5, 3), 1e6, np.float32)
    with study.record(seeds=0) as run:
        run.predictions("test", logits)
    np.testing.assert_array_equal(study.predictions("test")[0], logits)


def test_predictions_and_weights_at_steps(study, rng):
    with study.record(seeds=0) as run:
        for step in (0, 10):
            run.predictions("test", np.full((5, 3), step, np.float32), step=step)
            run.weights({"a/b": np.array([step])}, step=step)
    assert study.predictions("test", step=10)[0][0, 0] == 10
    assert study.weights(study.runs[0], step=10)["a/b"] == [10]
    with pytest.raises(MissingDataError, match="split 'test' at step 0, split 'test' at step 10"):
        study.predictions("test")
    with pytest.raises(MissingDataError, match=r"no final weights\. Expected one of: step 0, step 10"):
        study.weights(study.runs[0])


def test_a_shard_of_several_runs(study):
    records = [
        RunRecord(
            id=f"run-{index}",
            predictions={("test", None): np.full((5, 3), index, np.float32)} if index != 1 else {},
            labels={"test": LABELS},
            status="completed" if index != 2 else "diverged",
            metrics={"loss": (np.arange(index + 1), np.arange(index + 1.0))},
        )
        for index in range(4)
    ]
    name = study.publish(records, provenance={})
    assert study.publish(records, provenance={"again": True}) == name
    reader = study.predictions("test")
    assert reader.run_ids == ("run-0", "run-3")
    assert {(e.run, e.reason) for e in reader.excluded} == {("run-1", "no split 'test'"), ("run-2", "diverged")}
    np.testing.assert_array_equal(reader.to_array()[:, 0, 0], [0, 3])
    np.testing.assert_array_equal(study.metrics()["loss"].lengths, [1, 2, 3, 4])


def test_torch_modules_and_tensors(study):
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(2, 3).to(torch.bfloat16)
    with study.record(seeds=0) as run:
        run.log(1, loss=torch.tensor(0.25, requires_grad=True))
        run.predictions("test", torch.zeros(5, 3, dtype=torch.bfloat16, requires_grad=True))
        run.weights(model)
    np.testing.assert_array_equal(study.weights(study.runs[0])["weight"], model.weight.detach().float().numpy())
    assert study.metrics()["loss"].values[0, 0] == 0.25


def test_weight_metrics_are_logged_under_their_names(study):
    weights = {"a.weight": np.eye(3), "a.bias": np.ones(3)}
    with study.record(seeds=0) as run:
        run.log_weights(weights, 5, variance="population")
    expected = weight_metrics(weights, variance="population")
    assert set(study.metrics()) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(study.metrics()[name].of(run.id)[1], value, rtol=1e-6)


def test_recording_needs_no_torch(tmp_path):
    code = f"""
    import sys; sys.modules["torch"] = None
    import numpy as np, runspread as rs
    study = rs.create_study({str(tmp_path / "s")!r}, splits={{"test": [0, 1]}})
    with study.record(seeds=1) as run:
        run.log(0, loss=1.0); run.predictions("test", np.eye(2)); run.weights({{"w": np.ones(2)}})
    assert study.runs[0].accuracy == {{"test": 1.0}}
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_same_content_is_written_bit_for_bit(tmp_path):
    studies = []
    for name in ("a", "b"):
        study = rs.create_study(tmp_path / name, splits={"test": LABELS})
        for seed in range(3):
            record_run(study, seed, np.random.default_rng(seed))
        studies.append(tree(study.path))
    assert studies[0] == studies[1]


def test_index_is_only_a_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("runspread.studies.study.INDEX_AFTER", 2)
    study = rs.create_study(tmp_path / "s", splits={"test": LABELS})
    for seed in range(3):
        record_run(study, seed, np.random.default_rng(seed))
    ids = rs.open_study(study.path).runs.ids
    index = next((study.path / ".cache").iterdir())
    assert rs.open_study(study.path).runs.ids == ids
    index.write_bytes(b"not an index")
    assert rs.open_study(study.path).runs.ids == ids
    shutil.rmtree(study.path / ".cache")
    assert rs.open_study(study.path).runs.ids == ids
    rs.open_study(study.path)
    shutil.rmtree(study.path / "shards" / study.runs.ids[0], ignore_errors=True)
    shutil.rmtree(sorted((study.path / "shards").iterdir())[0])
    assert len(rs.open_study(study.path).runs) == 2


def test_another_process_sees_what_was_published(filled, rng):
    other = rs.open_study(filled.path)
    record_run(filled, 9, rng)
    assert len(other.runs) == 4
    other.refresh()
    assert len(other.runs) == 5


# ------------------------------------------------------------------ failures


def test_an_exception_leaves_a_failed_run_and_goes_on(filled):
    with pytest.raises(ZeroDivisionError), filled.record(seeds=50) as run:
        run.log(0, loss=1.0)
        raise ZeroDivisionError("boom")
    failed = rs.open_study(filled.path).runs[run.id]
    assert failed.status == "failed"
    assert "ZeroDivisionError: boom" in failed.error
    assert len(filled.predictions("test")) == 4
    assert filled.predictions("test").excluded == (Excluded(run.id, "failed"),)
    assert filled.metrics()["loss"].of(run.id)[1] == [1.0]


def test_a_failed_run_can_be_tried_again(study, rng):
    for _ in range(2):
        with pytest.raises(RuntimeError), study.record(seeds=0):
            raise RuntimeError("no luck")
    assert not study.is_recorded(seeds=0)
    record_run(study, 0, rng)
    assert study.is_recorded(seeds=0)
    reopened = rs.open_study(study.path)
    assert [run.status for run in reopened.runs] == ["completed"]
    assert len(list((study.path / "shards").iterdir())) == 3


def test_diverged_runs_are_named(filled):
    with filled.record(seeds=60) as run:
        run.log(0, loss=float("nan"))
        run.diverged("loss is NaN")
    assert filled.runs[run.id].status == "diverged"
    assert filled.predictions("test").excluded == (Excluded(run.id, "diverged"),)


def test_two_runs_of_one_id_are_refused(filled, rng):
    before = tree(filled.path)
    with pytest.raises(DuplicateRunError, match="already in the study"):
        record_run(filled, 2, rng, lr=0.1)
    assert tree(filled.path) == before
    with filled.record(seeds=2, hyperparameters={"lr": 0.1}, id="a repetition"):
        pass
    assert "a repetition" in filled.runs


def test_names_from_users_are_never_paths(study):
    with study.record(seeds=0, id="../../etc/passwd") as run:
        run.log(0, **{"../up": 1.0})
        run.weights({"/root": np.ones(1)})
    assert study.runs[0].id == "../../etc/passwd"
    assert all(len(path.name) == 16 for path in (study.path / "shards").iterdir())
    assert study.metrics()["../up"].values[0, 0] == 1


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.zeros((4, 3)), r"logits have shape \(4, 3\)\. Expected shape \(5, any\)"),
        (np.zeros((5, 3, 1)), r"logits have shape \(5, 3, 1\)"),
        (np.zeros((5, 2)), "labels go up to 2, but the logits have 2 classes"),
        (np.full((5, 3), np.nan), r"logits hold 15 NaN, the first at \(0, 0\)"),
        (np.full((5, 3), "a"), "dtype"),
    ],
)
def test_bad_logits_are_refused(study, logits, message):
    with pytest.raises(InputError, match=message), study.record(seeds=0) as run:
        run.predictions("test", logits)


def test_bad_labels_are_refused(tmp_path, study):
    with pytest.raises(InputError, match="1 value of labels is out of range, the first is -1 at 2"):
        rs.create_study(tmp_path / "bad", splits={"test": [0, 1, -1]})
    assert not (tmp_path / "bad").exists()
    with pytest.raises(InputError, match="split 'val' has no labels"), study.record(seeds=0) as run:
        run.predictions("val", np.zeros((5, 3)))
    with pytest.raises(InputError, match="differ from the study's"), study.record(seeds=1) as run:
        run.predictions("test", np.zeros((5, 3)), labels=[0, 0, 0, 0, 0])


def test_metric_steps_must_increase(study):
    with pytest.raises(InputError, match="logged at step 3 after step 3"), study.record(seeds=0) as run:
        run.log(3, loss=1.0)
        run.log(3, loss=1.0)


def test_hyperparameters_must_be_plain(study):
    with pytest.raises(InputError, match="the hyperparameters cannot be written as JSON"):
        study.record(seeds=0, hyperparameters={"lr": object()})


@pytest.mark.parametrize("seeds", [-1, 1.5, {"weights": 3}, "x"])
def test_bad_seeds_are_refused(study, seeds):
    with pytest.raises(InputError, match="Expected"):
        study.record(seeds=seeds)


def test_no_study_and_newer_study(tmp_path, filled):
    with pytest.raises(NotAStudyError, match="no such folder"):
        rs.open_study(tmp_path / "nowhere")
    with pytest.raises(NotAStudyError, match=r"no study\.json"):
        rs.open_study(tmp_path)
    with pytest.raises(StudyError, match="already holds a study"):
        rs.create_study(filled.path)
    with pytest.raises(StudyError, match="not empty"):
        rs.create_study(tmp_path)
    facts = json.loads((filled.path / "study.json").read_text())
    (filled.path / "study.json").write_text(json.dumps(facts | {"version": 99}))
    with pytest.raises(FormatVersionError, match=rf"version 99. Expected at most {FORMAT_VERSION}\. Upgrade"):
        rs.open_study(filled.path)
    (filled.path / "study.json").write_text("{")
    with pytest.raises(NotAStudyError, match="cannot be read"):
        rs.open_study(filled.path)


def test_unknown_names_suggest_the_nearest(filled):
    with pytest.raises(MissingDataError, match=r"split 'tset'.*Expected one of: split 'test'"):
        filled.predictions("tset")
    with pytest.raises(MissingDataError, match=r"no run has a metric 'los'\. Expected one of accuracy, loss"):
        filled.metrics()["los"]
    with pytest.raises(InputError, match="unknown run"):
        filled.weights("nobody")


def test_verify_names_each_corrupt_shard(filled):
    assert filled.verify().ok
    assert "All 4 shards (4 runs)" in filled.verify().sentence()
    shards = sorted((filled.path / "shards").iterdir())
    data = bytearray((shards[0] / "predictions.safetensors").read_bytes())
    data[-1] ^= 1
    (shards[0] / "predictions.safetensors").write_bytes(data)
    (shards[1] / "shard.json").write_text("{")
    (shards[2] / "weights.safetensors").unlink()
    found = filled.verify()
    assert set(found.corrupt) == {shard.name for shard in shards[:3]}
    assert "predictions.safetensors differs" in found.corrupt[shards[0].name][0]
    assert all(shard.name in found.sentence() for shard in shards[:3])
    with pytest.warns(RunspreadWarning, match=shards[1].name):
        reopened = rs.open_study(filled.path)
    assert len(reopened.runs) == 3
    assert Excluded(f"shard {shards[1].name}", "corrupt") in reopened.predictions("test").excluded


def test_a_header_that_does_not_fit_its_bytes_is_named(tmp_path):
    good = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "empty": np.zeros((0, 2), np.int64), "b": np.arange(3)}
    save_file(good, tmp_path / "t.safetensors")
    for memmap in (False, True):
        found = map_tensors(tmp_path / "t.safetensors", memmap=memmap)
        assert {name: value.tolist() for name, value in found.items()} == {n: v.tolist() for n, v in good.items()}
        assert not found["a"].flags.writeable
        assert isinstance(found["a"], np.memmap) == memmap
    data = (tmp_path / "t.safetensors").read_bytes()
    assert b'"shape":[2,3]' in data
    (tmp_path / "t.safetensors").write_bytes(data.replace(b'"shape":[2,3]', b'"shape":[1,3]'))
    for memmap in (False, True):
        with pytest.raises(CorruptShardError, match="cannot be read"):
            map_tensors(tmp_path / "t.safetensors", memmap=memmap)


def test_a_truncated_file_is_named(filled):
    shard = sorted((filled.path / "shards").iterdir())[0]
    path = shard / "predictions.safetensors"
    path.write_bytes(path.read_bytes()[:40])
    reader = rs.open_study(filled.path).predictions("test")
    assert len(reader) == 3
    assert [item.reason.split(":")[0] for item in reader.excluded] == [f"corrupt shard {shard.name}"]


def test_a_full_disk_loses_nothing(filled):
    """A limit on file size stands for a full disk: the same errors come from the operating system."""
    code = f"""
    import resource, numpy as np, runspread as rs
    study = rs.open_study({str(filled.path)!r})
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        with study.record(seeds=99) as run:
            run.weights({{"w": np.zeros(10_000)}})
    except rs.errors.StorageError as error:
        print(error)
    """
    before = tree(filled.path)
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert "writing shard" in done.stdout
    assert "Everything that was published before is intact." in done.stdout
    assert tree(filled.path) == before
    assert filled.verify().ok


def test_kill_in_the_middle_of_recording_loses_only_that_run(filled):
    code = f"""
    import os, signal, numpy as np, runspread as rs
    study = rs.open_study({str(filled.path)!r})
    with study.record(seeds=7) as run:
        run.log(0, loss=1.0)
    with study.record(seeds=8) as run:
        run.log(0, loss=1.0)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False).returncode == -9
    reopened = rs.open_study(filled.path)
    assert len(reopened.runs) == 5
    assert reopened.verify().ok


# ------------------------------------------------------------------ two workers on one run


def fail_run(study, seed):
    with pytest.raises(RuntimeError, match="no memory"), study.record(seeds=seed) as run:
        run.log(0, loss=2.0)
        raise RuntimeError("no memory")


def test_a_run_that_completes_is_kept_where_another_worker_failed_at_it(study, rng):
    first, second = rs.open_study(study.path), rs.open_study(study.path)
    fail_run(first, 9)
    logits = record_run(second, 9, rng)
    for seen in (second, rs.open_study(study.path)):
        assert seen.is_recorded(seeds=9)
        np.testing.assert_array_equal(seen.predictions("test")[0], logits.astype(np.float16))


def test_a_failure_after_another_worker_completed_the_run_is_an_attempt(study, rng):
    second = rs.open_study(study.path)
    record_run(study, 9, rng)
    fail_run(second, 9)
    seen = rs.open_study(study.path)
    assert [run.status for run in seen.runs] == ["completed"]
    assert len(list((study.path / "shards").iterdir())) == 2
    assert seen.verify().sentence() == "All 2 shards (1 runs, and 1 more attempt at them) agree with their checksums."
    assert seen.verify().runs == len(seen.runs) == 1


def test_two_workers_with_different_outputs_of_one_run_lose_nothing(study, rng):
    second = rs.open_study(study.path)
    first_logits = record_run(study, 9, rng)
    with pytest.raises(DuplicateRunError, match="recorded by another worker") as caught:
        record_run(second, 9, rng)
    seen = rs.open_study(study.path)
    np.testing.assert_array_equal(seen.predictions("test").to_array(), [first_logits.astype(np.float16)])
    (kept,) = [shard for shard in (study.path / "shards").iterdir() if shard.name.endswith("-2")]
    assert f"What this one recorded is in {kept}" in str(caught.value)
    assert map_tensors(kept / "predictions.safetensors")["logits/test"].shape == (1, 5, 3)
    assert seen.verify().ok


def test_two_workers_with_the_same_outputs_of_one_run_are_one_shard(study):
    second = rs.open_study(study.path)
    record_run(study, 3, np.random.default_rng(3))
    record_run(study, 9, np.random.default_rng(9))
    record_run(second, 9, np.random.default_rng(9))  # at another position in the study
    assert len(list((study.path / "shards").iterdir())) == 2


def test_a_training_that_is_repeated_elsewhere_may_differ_in_the_last_digits(study):
    second = rs.open_study(study.path)
    names = [
        each.publish([RunRecord(id="run", metrics={"loss": (np.arange(1), np.array([value]))})], provenance={})
        for each, value in ((study, 0.5), (second, 0.50001))
    ]
    assert names[0] == names[1]
    assert second.metrics()["loss"].values == [[0.5]]


def test_a_shard_that_cannot_be_read_does_not_take_a_run_with_it(study, rng):
    record_run(study, 9, rng)
    next((study.path / "shards").iterdir()).joinpath("shard.json").write_text("{")
    with pytest.warns(RunspreadWarning, match="cannot be read"):
        opened = rs.open_study(study.path)
    record_run(opened, 9, rng)
    assert opened.is_recorded(seeds=9)
    assert len(opened.runs) == 1


# ------------------------------------------------------------------ what cannot be written


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda run: run.weights({"w": np.ones(2), "_extra_state": None}), "'_extra_state' of type NoneType"),
        (lambda run: run.weights({"w": np.ones(2, complex)}), "'w' of dtype complex128"),
        (lambda run: run.weights({"w": np.array(["a"])}), "'w' of dtype <U1"),
        (lambda run: run.weights({"w": [[1], [2, 3]]}), "'w' of type list"),
        (lambda run: run.log(2**70, loss=1), "step is 1180591620717411303424. Expected a whole number from 0 to 2"),
        (lambda run: run.log(None, loss=1), "step is None"),
        (lambda run: run.log("one", loss=1), "step is 'one'"),
        (lambda run: run.log(2, loss=2**2000), "metric 'loss' is"),
    ],
)
def test_a_value_that_cannot_be_written_costs_no_log(study, bad, message):
    with pytest.raises(InputError, match=message), study.record(seeds=0) as run:
        run.log(1, loss=0.5)
        bad(run)
    assert [each.status for each in study.runs] == ["failed"]
    assert rs.open_study(study.path).metrics()["loss"].of(run.id)[1] == [0.5]


def test_an_error_is_kept_as_text_whatever_it_is(study):
    with study.record(seeds=0) as run:
        run.diverged(ValueError("loss is NaN"))
    with pytest.raises(OSError, match="no such"), study.record(seeds=1):
        raise OSError("no such file: \udcff")  # a file's name that is no text
    assert rs.open_study(study.path).runs[run.id].error == "loss is NaN"
    assert study.runs.count("failed") == 1


def test_metrics_beyond_single_precision_are_kept(study, recwarn):
    for seed, value in enumerate((1e300, 0.5, np.inf)):
        with study.record(seeds=seed) as run:
            run.log(1, loss=value)
    values = rs.open_study(study.path).metrics()["loss"].values
    assert sorted(values.ravel()) == [0.5, 1e300, np.inf]
    types = {map_tensors(path)["values/loss"].dtype.name for path in study.path.glob("shards/*/metrics.safetensors")}
    assert types == {"float32", "float64"}
    assert not recwarn.list


def test_runs_of_other_classes_are_refused(study, rng):
    with pytest.raises(RuntimeError), study.record(seeds=0) as run:
        run.predictions("test", rng.normal(size=(5, 7)))
        raise RuntimeError("these are of a failed run and bind nobody")
    record_run(study, 1, rng)
    for opened in (study, rs.open_study(study.path)):
        with (
            pytest.raises(InputError, match=r"for split 'test' are logits of 5 columns\. Expected 3, as"),
            opened.record() as run,
        ):
            run.predictions("test", rng.normal(size=(5, 5)))
    assert len(study.predictions("test")) == 1


def test_the_reader_names_both_shards_of_other_classes(study, rng):
    names = [
        study.publish(
            [RunRecord(id=f"{columns}", predictions={("test", None): np.zeros((5, columns))}, labels={"test": LABELS})],
            provenance={},
        )
        for columns in (3, 4)
    ]
    with pytest.raises(StudyError, match=rf"{names[1]} has outputs .* as in shard {names[0]}\. Move the shard"):
        study.predictions("test").to_array()


def test_nan_outputs_say_how_to_record_a_diverged_run(study):
    with study.record(seeds=0) as run:
        with pytest.raises(InputError, match=r"call run\.diverged\(reason\) instead of run\.predictions"):
            run.predictions("test", np.full((5, 3), np.nan))
        run.diverged("outputs are NaN")
    assert study.is_recorded(seeds=0)


@pytest.mark.parametrize("name", ["splits", "example_ids", "recipe"])
def test_a_list_is_no_mapping(tmp_path, name):
    with pytest.raises(InputError, match=f"{name} has type list. Expected a mapping"):
        rs.create_study(tmp_path / "study", **{"splits": {"test": LABELS}, name: ["test"]})
    assert not (tmp_path / "study").exists()


def test_hyperparameters_keep_clear_of_the_tables_own_columns(study, rng):
    record_run(study, 4, rng, **{"run": "mine", "status": "tuned", "seed init": 7, "accuracy test": 2, "lr": 0.1})
    row = {name: value for name, (value,) in study.runs.table().to_dict().items()}
    assert row["run"] == study.runs[0].id
    assert (row["status"], row["seed init"], row["lr"]) == ("completed", 4, 0.1)
    assert row["accuracy test"] == study.runs[0].accuracy["test"]
    names = ("run", "status", "seed init", "accuracy test")
    assert [row[f"hyperparameter {name}"] for name in names] == ["mine", "tuned", 7, 2]


# ------------------------------------------------------------------ labels of the study


def test_verify_compares_the_labels_with_those_of_the_shards(filled):
    path = filled.path / "labels.safetensors"
    whole = path.read_bytes()
    save_file({"test": (LABELS + 1) % 3}, path)
    with pytest.raises(CorruptShardError, match="holds other labels than it was created with, of split 'test'"):
        rs.open_study(filled.path)
    found = verify_folder(filled.path)
    assert not found.ok
    other = "it holds other labels than it was created with, of split 'test'"
    assert found.labels == (other, "split 'test' differs from the labels in 4 of 4 shards")
    assert found.table()["corrupt"] == ["labels.safetensors"]
    assert "All 4 shards (4 runs) agree with their checksums; labels.safetensors is corrupt" in found.sentence()
    save_file({"dev": LABELS}, path)
    assert filled.verify().labels == (
        "it holds dev, which is no split",
        "it holds no labels of split 'test'",
    )
    path.write_bytes(whole)
    assert filled.verify().ok


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_study_without_labels_can_still_be_verified(filled, damage):
    path = filled.path / "labels.safetensors"
    path.write_bytes(path.read_bytes()[:20]) if damage == "cut" else path.unlink()
    with pytest.raises(CorruptShardError, match=r"labels\.safetensors cannot be read .* also holds the labels"):
        rs.open_study(filled.path)
    found = verify_folder(filled.path)
    assert not found.ok
    assert not found.corrupt
    assert "labels.safetensors cannot be read" in found.labels[0]


# ------------------------------------------------------------------ merging


def test_merge_names_a_shard_that_it_cannot_compare(tmp_path, filled, rng):
    other = rs.create_study(tmp_path / "other", splits={"test": LABELS})
    other.merge(filled)
    broken = sorted((filled.path / "shards").iterdir())[0]
    (broken / "shard.json").write_text("{")
    with pytest.warns(RunspreadWarning, match="cannot be read"):
        opened = rs.open_study(filled.path)
    with pytest.raises(CorruptShardError, match=f"shard {broken.name} .* Move it away, and merge again"):
        opened.merge(other)


def test_merge_copies_what_is_new(tmp_path, filled, rng):
    other = rs.create_study(tmp_path / "other", splits={"test": LABELS})
    for seed in (10, 11):
        record_run(other, seed, rng, lr=0.1)
    assert len(filled.merge(other)) == 2
    assert filled.merge(other) == []
    assert len(filled.runs) == 6
    assert filled.verify().ok


def test_merge_refuses_conflicts_before_copying(tmp_path, filled, rng):
    before = tree(filled.path)
    other = rs.create_study(tmp_path / "other", splits={"test": LABELS})
    record_run(other, 10, rng, lr=0.1)
    record_run(other, 3, rng, lr=0.1)  # same seeds and hyperparameters, other numbers
    with pytest.raises(DuplicateRunError):
        filled.merge(other)
    relabelled = rs.create_study(tmp_path / "labels", splits={"test": (LABELS + 1) % 3})
    with pytest.raises(StudyError, match="different labels"):
        filled.merge(relabelled)
    recipe = rs.create_study(tmp_path / "recipe", recipe={"lr": 1})
    with pytest.raises(StudyError, match=r"different recipes .*lr"):
        filled.merge(recipe)
    assert tree(filled.path) == before


def test_different_labels_in_one_split_are_noticed(study, tmp_path):
    free = rs.create_study(tmp_path / "free")
    for seed, labels in enumerate((LABELS, LABELS)):
        with free.record(seeds=seed) as run:
            run.predictions("test", np.zeros((5, 3)), labels=labels if seed == 0 else (labels + 1) % 3)
    with pytest.raises(StudyError, match="different labels for split 'test'"):
        free.predictions("test")


def test_one_logit_is_the_log_odds_of_class_1(tmp_path):
    study = rs.create_study(tmp_path / "study", splits={"test": [0, 1, 1, 0]})
    for seed in range(2):
        with study.record(seeds=seed) as run:
            run.predictions("test", np.array([[-1.0], [2.0], [-0.5], [0.0]]) * (seed + 1))
    assert [run.accuracy["test"] for run in study.runs] == [0.75, 0.75]
    assert rs.ensemble_scores(study).member_accuracy.tolist() == [0.75, 0.75]
    assert rs.variance(study).mean_acc == 0.75
    with pytest.raises(InputError, match="but the logits have 2 classes"), study.record(seeds=9) as run:
        run.predictions("other", np.zeros((2, 1)), labels=[0, 2])


# ------------------------------------------------------------------ ids of the examples


IDS = [f"image {k}" for k in range(len(LABELS))]
SWAPPED = [IDS[k] for k in (4, 1, 2, 3, 0)]  # within a class: the labels do not tell


def logits_of(rng):
    return rng.normal(size=(len(LABELS), 3)).astype(np.float32)


def test_another_order_of_examples_is_refused(tmp_path, rng):
    study = rs.create_study(tmp_path / "study", splits={"test": LABELS}, example_ids={"test": IDS})
    with study.record(seeds=0) as run:
        run.predictions("test", logits_of(rng), example_ids=IDS)
        with pytest.raises(InputError, match="same examples in the same order"):
            run.predictions("test", logits_of(rng), example_ids=SWAPPED)
    with study.record(seeds=1) as run:
        run.predictions("test", logits_of(rng))  # without ids nothing is compared
    study = rs.open_study(study.path)
    assert study.example_ids["test"] == study.predictions("test").example_ids
    assert len(study.predictions("test")) == 2


def test_runs_of_different_order_are_not_read_together(study, rng):
    for seed, ids in enumerate((IDS, SWAPPED)):
        with study.record(seeds=seed) as run:
            run.predictions("test", logits_of(rng), example_ids=ids)
    with pytest.raises(StudyError, match="different example ids"):
        rs.open_study(study.path).predictions("test")


def test_studies_of_different_order_are_not_merged(tmp_path, rng):
    studies = []
    for seed, ids in enumerate((IDS, SWAPPED)):
        made = rs.create_study(tmp_path / f"study-{seed}", splits={"test": LABELS})
        with made.record(seeds=seed) as run:
            run.predictions("test", logits_of(rng), example_ids=ids)
        studies.append(made)
    with pytest.raises(StudyError, match="different example ids"):
        studies[0].merge(studies[1])


def test_a_digest_of_ones_own_stands_for_the_ids(tmp_path, rng):
    study = rs.create_study(tmp_path / "study", splits={"test": LABELS}, example_ids={"test": "sha256:1234"})
    with study.record(seeds=0) as run:
        run.predictions("test", logits_of(rng), example_ids="sha256:1234")
    with pytest.raises(InputError, match="distinct id for each of 5"):
        rs.create_study(tmp_path / "b", splits={"test": LABELS}, example_ids={"test": [0, 1, 2, 3, 3]})
    with pytest.raises(InputError, match="unknown split with example ids 'dev'"):
        rs.create_study(tmp_path / "c", splits={"test": LABELS}, example_ids={"dev": IDS})


def test_without_ids_the_files_are_as_before(filled):
    facts = [json.loads(path.read_text()) for path in filled.path.glob("shards/*/shard.json")]
    assert facts
    assert not any("example_ids" in each for each in facts)


def test_a_loop_can_be_started_again_as_it_is(tmp_path):
    ids = {"test": np.arange(5)}
    for _ in range(2):
        study = rs.create_study(tmp_path / "study", splits={"test": LABELS}, example_ids=ids, exist_ok=True)
        for seed in range(3):
            plan = {"seeds": seed, "hyperparameters": {"lr": 0.1}}
            if study.is_recorded(**plan):
                continue
            with study.record(**plan) as run:
                run.log(0, loss=1.0)
    assert len(study.runs) == 3
    with pytest.raises(StudyError, match="exist_ok=True"):
        rs.create_study(tmp_path / "study", splits={"test": LABELS})
    for words, other in (
        ("labels of split 'test'", {"splits": {"test": np.roll(LABELS, 1)}, "example_ids": ids}),
        ("labels of split 'dev'", {"splits": {"test": LABELS, "dev": LABELS}, "example_ids": ids}),
        ("example ids", {"splits": {"test": LABELS}}),
        ("recipe", {"splits": {"test": LABELS}, "example_ids": ids, "recipe": {"lr": 1}}),
    ):
        with pytest.raises(StudyError, match=f"differs from this call in its {words}"):
            rs.create_study(tmp_path / "study", exist_ok=True, **other)


def test_every_method_on_runs_names_the_shards_that_are_corrupt(tmp_path):
    rng = np.random.default_rng(0)
    study = rs.create_study(tmp_path / "s", splits={"test": rng.integers(0, 3, 40)})
    for seed in range(4):
        with study.record(seeds=seed) as run:
            for step in range(12):
                run.log(step, loss=1 / (step + 1) + rng.normal() / 50, accuracy=step / 12 + rng.normal() / 50)
            run.predictions("test", rng.normal(size=(40, 3)))
            run.weights({"fc.weight": rng.standard_t(3, size=(60, 64))})
    shard = sorted((tmp_path / "s" / "shards").iterdir())[0]
    (shard / "shard.json").write_text("{")
    with pytest.warns(RunspreadWarning, match="excluded"):
        study = rs.open_study(tmp_path / "s")
    for method, options in (
        (study_spectra, {}),
        (rs.audit, {}),
        (rs.variance, {}),
        (rs.dynamics, {"states": (1, 2)}),
    ):
        found = method(study, **options)
        assert (f"shard {shard.name}", "corrupt") in [(one.run, one.reason) for one in found.excluded], method.__name__
        assert ("excluded" if method is rs.dynamics else "corrupt") in found.sentence(), method.__name__
