"""Outputs of runs from a file: the same answers as from the array, and errors that say what to do."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

import runspread as rs
from runspread._cli import cli


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
        ("nothing.npy", {}, "no file"),
        ("text.txt", {}, "numpy.save"),
        ("broken.npy", {}, "cannot be read"),
        ("broken.safetensors", {}, "cannot be read"),
        ("pickled.npy", {}, "cannot be read"),
        ("two.safetensors", {}, "tensor="),
        ("two.safetensors", {"tensor": "labels2"}, "the tensor labels2"),
        ("logits.npy", {"tensor": "logits"}, "only with .safetensors"),
        ("logits.npy", {"labels": [0, 1]}, "2 labels for 200 examples"),
    ],
)
def test_bad_files(files, arrays, name, options, message):
    (files / "text.txt").write_text("0 1")
    (files / "broken.npy").write_bytes(b"\x93NUMPY")
    (files / "broken.safetensors").write_bytes(b"\x10")
    np.save(files / "pickled.npy", np.array([{}], object), allow_pickle=True)
    save_file({"logits": arrays[0], "predictions": arrays[1][None]}, files / "two.safetensors")
    with pytest.raises(rs.InputError, match=message):
        rs.open_outputs(files / name, **options)


def test_commands_take_files(files, arrays):
    run = CliRunner().invoke(cli, ["variance", str(files / "runs.safetensors"), "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["var_dist"] == rs.variance(*arrays).to_dict()["var_dist"]
    paths = [str(files / "logits.npy")] * 2
    run = CliRunner().invoke(cli, ["compare", *paths, "--labels", str(files / "labels.npy")])
    assert run.exit_code == 3, run.output
    run = CliRunner().invoke(cli, ["variance", str(files), "--labels", str(files / "labels.npy")])
    assert run.exit_code != 0
