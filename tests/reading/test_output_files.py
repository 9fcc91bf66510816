"""Outputs of runs from a file: the same answers as from the array, and errors that say what to do."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

import runspread as rs
from runspread._cli import cli
from runspread.errors import InputError
from runspread.methods.ensembles import diversity, select_ensemble


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 200, 3)).astype(np.float16), rng.integers(0, 3, 200)


@pytest.fixture
def files(tmp_path, arrays):
    logits, labels = arrays
    np.save(tmp_path / "logits.npy", logits)
    np.save(tmp_path / "labels.npy", labels)
    save_file({"logits": logits, "labels": labels}, tmp_path / "runs.safetensors")
    return tmp_path


def test_npy_is_mapped_and_gives_what_the_array_gives(files, arrays):
    outputs = rs.open_outputs(files / "logits.npy", files / "labels.npy")
    assert all(isinstance(chunk, np.memmap) for chunk in outputs.chunks())
    assert rs.variance(outputs).to_dict() == rs.variance(*arrays).to_dict()


def test_safetensors_brings_its_labels(files, arrays):
    outputs = rs.open_outputs(files / "runs.safetensors")
    assert rs.variance(outputs).to_dict() == rs.variance(*arrays).to_dict()
    np.testing.assert_array_equal(np.concatenate(list(outputs.chunks(1))), arrays[0])


def test_labels_that_are_given_win(files):
    labels = np.zeros(200, np.int64)
    outputs = rs.open_outputs(files / "runs.safetensors", labels)
    np.testing.assert_array_equal(outputs.labels, labels)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nothing.npy", {}, "does not exist"),
        ("text.txt", {}, "numpy.save"),
        ("broken.npy", {}, "cannot be read"),
        ("broken.safetensors", {}, "cannot be read"),
        ("pickled.npy", {}, "cannot be read"),
        ("two.safetensors", {}, "tensor="),
        ("two.safetensors", {"tensor": "labels2"}, "the tensor labels2"),
        ("logits.npy", {"tensor": "logits"}, "a .npy file holds only one"),
        ("logits.npy", {"labels": [0, 1]}, "2 labels for 200 examples"),
    ],
)
def test_bad_files(files, arrays, name, options, message):
    (files / "text.txt").write_text("0 1")
    (files / "broken.npy").write_bytes(b"\x93NUMPY")
    (files / "broken.safetensors").write_bytes(b"\x10")
    np.save(files / "pickled.npy", np.array([{}], object), allow_pickle=True)
    save_file({"logits": arrays[0], "predictions": arrays[1][None]}, files / "two.safetensors")
    with pytest.raises(InputError, match=message):
        rs.open_outputs(files / name, **options)


def test_commands_take_files(files, arrays):
    run = CliRunner().invoke(cli, ["variance", str(files / "runs.safetensors"), "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["var_dist"] == rs.variance(*arrays).to_dict()["var_dist"]
    other = np.random.default_rng(1).normal(size=(12, 200, 3))
    np.save(files / "other.npy", other)
    paths = [str(files / name) for name in ("logits.npy", "other.npy")]
    run = CliRunner().invoke(cli, ["compare", *paths, "--labels", str(files / "labels.npy")])
    assert run.exit_code == 3, run.output
    run = CliRunner().invoke(cli, ["variance", str(files), "--labels", str(files / "labels.npy")])
    assert run.exit_code != 0


@pytest.mark.parametrize("name", ["targets", "y_true", "labels", "Labels", "answers"])
@pytest.mark.parametrize("way", ["folder", "pattern", "list"])
def test_a_file_of_labels_is_no_run(tmp_path, name, way):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 100)
    classes = np.where(rng.random((4, 100)) < 0.8, labels, rng.integers(0, 3, (4, 100)))
    for number, run in enumerate(classes):
        np.save(tmp_path / f"run_{number}.npy", run)
    np.save(tmp_path / f"{name}.npy", labels)
    where = {"folder": tmp_path, "pattern": f"{tmp_path}/*.npy", "list": sorted(tmp_path.glob("*.npy"))}[way]
    given = tmp_path / f"{name}.npy" if name == "answers" else None  # a name that says nothing
    outputs = rs.open_outputs(where, given)
    assert outputs.run_ids == ("run_0", "run_1", "run_2", "run_3")
    found = rs.variance(outputs)  # the labels as a run had made 6 points of "real" spread of 1
    assert (found.mean_acc, found.n_runs) == (pytest.approx((classes == labels).mean()), 4)


def test_of_two_files_of_labels_one_has_to_be_said(files, arrays):
    folder = files / "runs"
    folder.mkdir()
    for name, array in (
        ("run_0", arrays[0][0]),
        ("run_1", arrays[0][1]),
        ("labels", arrays[1]),
        ("targets", arrays[1]),
    ):
        np.save(folder / f"{name}.npy", array)
    with pytest.raises(InputError, match="2 files of labels") as caught:
        rs.open_outputs(folder)
    said = str(caught.value).split("labels='")[1].split("'")[0]  # the hint is carried out
    assert len(rs.open_outputs(folder, labels=said).run_ids) == 2


def test_a_folder_of_folders_gets_a_pattern_that_works(tmp_path, arrays):
    for number in range(3):
        (tmp_path / f"seed_{number}").mkdir()
        np.save(tmp_path / f"seed_{number}" / "logits.npy", arrays[0][number])
    with pytest.raises(InputError, match="pattern") as caught:
        rs.open_outputs(tmp_path)
    pattern = str(caught.value).split("such as '")[1].split("'")[0]
    assert rs.open_outputs(pattern).run_ids == ("seed_0", "seed_1", "seed_2")


def test_float8_outputs_get_an_error_that_names_the_type(tmp_path):
    header = json.dumps({"logits": {"dtype": "F8_E4M3", "shape": [2, 2, 2], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(InputError, match=r"numbers of type F8_E4M3.*float32"):
        rs.open_outputs(tmp_path / "x.safetensors")


@pytest.mark.parametrize("method", [rs.ensemble_scores, diversity, rs.trimming, select_ensemble])
def test_percentages_are_no_logits(method):
    rng = np.random.default_rng(2)
    percent = 100 * rng.dirichlet([6, 3, 1], size=(4, 40))
    labels = np.zeros(40, int)
    labels[:2] = 1, 2
    for given in (percent, percent.round(1)):
        with pytest.raises(InputError, match=r"all sum to 100.*Divide by 100.*kind='logits'"):
            method(given, labels=labels)
    method(percent / 100, labels=labels)  # the hints are carried out
    method(percent, labels=labels, kind="logits")


@pytest.mark.parametrize("high", [1.0, 5.0, 100.0])
def test_logits_of_one_height_are_logits(high):
    labels = np.arange(40) % 3
    logits = np.tile(high * np.eye(3)[labels], (4, 1, 1))
    assert diversity(logits, labels=labels).normalised_disagreement == 0
    rs.trimming(logits + 2, labels=labels)


def test_percentages_are_not_recorded_as_logits(tmp_path):
    study = rs.create_study(tmp_path / "s", splits={"test": np.zeros(10, int)})
    shares = np.tile([80.0, 15.0, 5.0], (10, 1))
    with pytest.raises(InputError, match="all sum to 100"), study.record(seeds=0) as run:
        run.predictions("test", shares)
    with study.record(seeds=1) as run:
        run.predictions("test", shares / 100)
    assert study.predictions("test").kind == "log-probabilities"
