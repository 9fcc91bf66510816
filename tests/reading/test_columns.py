"""One value an example, from a file of its own or beside the outputs."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from runspread._reading.columns import read_column
from runspread.errors import InputError

IDS = np.array([3, 3, 1, 2])


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "ids.npy", IDS)
    np.savez(tmp_path / "several.npz", patient=IDS, predictions=np.zeros((2, 4), int))
    save_file({"patient": IDS, "document": IDS[::-1].copy()}, tmp_path / "several.safetensors")
    (tmp_path / "examples.csv").write_text("id,patient\n0,c\n1,c\n2,a\n3,b\n")
    (tmp_path / "one.tsv").write_text("patient\nc\nc\na\nb\n")
    return tmp_path


@pytest.mark.parametrize(
    "name", ["ids.npy", "several.npz", "several.npz:patient", "several.safetensors:patient", "examples.csv:patient"]
)
def test_files(folder, name):
    found = read_column(str(folder / name))
    np.testing.assert_array_equal(np.unique(found, return_inverse=True)[1], IDS - 1)


def test_a_table_of_one_column(folder):
    assert read_column(str(folder / "one.tsv")).tolist() == ["c", "c", "a", "b"]


@pytest.mark.parametrize("beside", ["several.npz", "several.safetensors"])
def test_an_array_beside_the_outputs(folder, beside):
    np.testing.assert_array_equal(read_column("patient", folder / beside), IDS)


@pytest.mark.parametrize(
    ("name", "beside", "what"),
    [
        ("nowhere.npy", None, "does not exist"),
        ("patient", None, "'patient' is not a file"),
        ("patient", "ids.npy", "'patient' is not a file"),
        ("doctor", "several.npz", "several.npz has no column 'doctor'; it holds patient"),
        ("examples.csv:doctor", None, "it holds id, patient"),
        ("examples.csv", None, "examples.csv has several columns"),
        ("broken.npy", None, "cannot be read"),
        ("broken.npz", None, "cannot be read"),
        ("broken.safetensors", None, "cannot be read"),
        ("ragged.csv:a", None, "rows of different lengths"),
    ],
)
def test_what_is_refused(folder, name, beside, what):
    for kind in ("npy", "npz", "safetensors"):
        (folder / f"broken.{kind}").write_bytes(b"not an array")
    (folder / "ragged.csv").write_text("a,b\n1\n")
    where = name if name in ("patient", "doctor") else str(folder / name)
    with pytest.raises(InputError, match=what):
        read_column(where, None if beside is None else folder / beside)
